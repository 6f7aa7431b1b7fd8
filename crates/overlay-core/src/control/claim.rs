use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;

use super::{Daemon, Paths};

/// A daemon's hold on its place in a run directory, given back when dropped or when the process ends.
#[derive(Debug)]
pub struct Claim {
    socket: PathBuf,
    _lock: File,
}

/// Why a daemon could not have its place.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another one has it.
    #[error("another {program} (process {holder}) serves {}", run.display())]
    Taken {
        /// The daemon.
        program: &'static str,
        /// What the lock file says of the holder.
        holder: String,
        /// The run directory.
        run: PathBuf,
    },
    /// A file or directory could not be made.
    #[error("cannot make {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Claim {
    /// Takes the daemon's place: makes the run directory, locks it for this daemon, and listens.
    /// A socket that a dead daemon has left is replaced.
    ///
    /// # Errors
    /// Another daemon of the kind is alive there, or a file cannot be made.
    pub fn take(paths: &Paths, daemon: Daemon) -> Result<(Self, UnixListener), ClaimError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| ClaimError::Io { path, error }
        };
        fs::create_dir_all(&paths.run).map_err(failed(&paths.run))?;
        let lock_path = paths.run.join(format!("{}.lock", daemon.program()));
        let mut lock = open_lock(&lock_path).map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path)(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let run = paths.run.clone();
                return Err(ClaimError::Taken {
                    program: daemon.program(),
                    holder: holder.trim().to_owned(),
                    run,
                });
            }
        }
        write_holder(&mut lock).map_err(failed(&lock_path))?;
        let socket = paths.socket(daemon);
        let listener = listen(&socket).map_err(failed(&socket))?;
        Ok((Self { socket, _lock: lock }, listener))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The next holder replaces a socket that stays.
        let _ = fs::remove_file(&self.socket);
    }
}

/// Opens the lock file for nobody but its owner: whoever can open it can hold the lock (flock(2)).
fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    lock.set_permissions(Permissions::from_mode(0o600))?;
    Ok(lock)
}

fn write_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", process::id())
}

/// Listens beside the final name and renames: a client finds the old socket or a ready one.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    let fresh = socket.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o666))?;
    fs::rename(&fresh, socket)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::Scratch;
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_free_again_after() {
        let scratch = Scratch::new();
        let paths = Paths { run: scratch.path.join("run"), state: scratch.path.clone() };
        let (claim, _listener) = Claim::take(&paths, Daemon::Varpd).unwrap();
        let second = Claim::take(&paths, Daemon::Varpd).unwrap_err().to_string();
        assert!(second.contains(&process::id().to_string()), "{second}");
        assert!(Claim::take(&paths, Daemon::Overlayd).is_ok());
        drop(claim);
        assert!(!paths.socket(Daemon::Varpd).exists());
        assert!(Claim::take(&paths, Daemon::Varpd).is_ok());
    }
}
