use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;

use super::passed::passed_listener;
use super::{Daemon, Paths};

/// The name of a lock file: no record has it.
const LOCK: &str = "lock";

/// A daemon's hold on its place in a run directory, given back when dropped or when the process ends.
#[derive(Debug)]
pub struct Claim {
    /// The socket that ends with it; that of a service manager stays.
    socket: Option<PathBuf>,
    _locks: [File; 2],
}

/// Why a daemon could not have its place.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another one has it.
    #[error("another {program} (process {holder}) has {}", dir.display())]
    Taken {
        /// The daemon.
        program: &'static str,
        /// What the lock file says of the holder.
        holder: String,
        /// The run or state directory.
        dir: PathBuf,
    },
    /// A service manager has passed something else than the daemon's socket.
    #[error(
        "cannot use the socket that was passed for {}: {problem} (ListenStream= of its unit has to be that path)",
        path.display()
    )]
    Passed {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What ends with a boot and what stays would be one.
    #[error("the run and the state directory are both {}: give each one of its own", .0.display())]
    Same(PathBuf),
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
    /// Takes the daemon's place: makes the run and the state directory, locks both for this daemon, and listens, on the
    /// socket that a service manager has passed if it has. A socket that a dead daemon has left is replaced. Call it before
    /// the process opens anything.
    ///
    /// # Errors
    /// Another daemon of the kind is alive there, what was passed is not its socket, or a file cannot be made.
    pub fn take(paths: &Paths, daemon: Daemon) -> Result<(Self, UnixListener), ClaimError> {
        if paths.run == paths.state {
            return Err(ClaimError::Same(paths.run.clone()));
        }
        let path = paths.socket(daemon);
        let passed =
            passed_listener(&path).map_err(|problem| ClaimError::Passed { path: path.clone(), problem })?;
        let locks = [lock(&paths.run, daemon)?, lock(&paths.state, daemon)?];
        let (socket, listener) = match passed {
            Some(listener) => (None, listener),
            None => (Some(path.clone()), listen(&path).map_err(failed(&path))?),
        };
        Ok((Self { socket, _locks: locks }, listener))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The next holder replaces a socket that stays.
        let _ = self.socket.as_ref().map(fs::remove_file);
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ClaimError {
    let path = path.to_owned();
    move |error| ClaimError::Io { path: path.clone(), error }
}

/// Makes a directory and locks it for one daemon of a kind, by a file in the daemon's own part of it: that is all of the
/// directory that a daemon without root's rights may write to.
fn lock(dir: &Path, daemon: Daemon) -> Result<File, ClaimError> {
    let own = dir.join(daemon.program());
    fs::create_dir_all(&own).map_err(failed(&own))?;
    let path = own.join(LOCK);
    let mut lock = open_lock(&path).map_err(failed(&path))?;
    match lock.try_lock() {
        Ok(()) => {
            // On a disk that takes nothing the lock still holds; only its holder's number is not told.
            let _ = write_holder(&mut lock);
            Ok(lock)
        }
        Err(TryLockError::Error(error)) => Err(failed(&path)(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            let (program, holder) = (daemon.program(), holder.trim().to_owned());
            Err(ClaimError::Taken { program, holder, dir: dir.to_owned() })
        }
    }
}

/// Opens the lock file for nobody but its owner: whoever can open it can hold the lock (flock(2)).
fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    match options.clone().write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(lock) => {
            only_a_file(&lock)?;
            lock.set_permissions(Permissions::from_mode(0o600)).map(|()| lock)
        }
        // What is stored works on a disk that has become read-only, and a lock that was made before holds there.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            options.open(path).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Refuses what the user of the directory may have put there for root to write to: a lock is a plain file with one name.
fn only_a_file(lock: &File) -> io::Result<()> {
    let found = lock.metadata()?;
    if found.is_file() && found.nlink() == 1 { Ok(()) } else { Err(io::Error::other("it is no plain file")) }
}

/// The number of this process in place of an earlier one's. A full disk has room for as much as was there.
fn write_holder(lock: &mut File) -> io::Result<()> {
    let number = format!("{}\n", process::id());
    lock.rewind()?;
    lock.write_all(number.as_bytes())?;
    lock.set_len(number.len() as u64)
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
        let elsewhere = Paths { run: scratch.path.join("other"), ..paths.clone() };
        let shared = Claim::take(&elsewhere, Daemon::Varpd).unwrap_err().to_string();
        assert!(shared.contains(&*scratch.path.to_string_lossy()), "{shared}");
        drop(claim);
        assert!(!paths.socket(Daemon::Varpd).exists());
        assert!(Claim::take(&paths, Daemon::Varpd).is_ok());
    }

    #[test]
    fn the_run_and_the_state_directory_are_two() {
        let scratch = Scratch::new();
        let paths = Paths { run: scratch.path.clone(), state: scratch.path.clone() };
        let error = Claim::take(&paths, Daemon::Overlayd).unwrap_err().to_string();
        assert!(error.contains("are both") && error.contains(&*scratch.path.to_string_lossy()), "{error}");
    }

    #[test]
    fn a_lock_that_is_another_file_too_is_neither_taken_nor_written() {
        let scratch = Scratch::new();
        let paths = Paths { run: scratch.path.join("run"), state: scratch.path.clone() };
        let (lock, other) = (paths.records(Daemon::Varpd, true).join(LOCK), scratch.path.join("other"));
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::write(&other, "another's").unwrap();
        fs::hard_link(&other, &lock).unwrap();
        let error = Claim::take(&paths, Daemon::Varpd).unwrap_err().to_string();
        assert!(error.ends_with("/run/varpd/lock: it is no plain file"), "{error}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "another's");
    }
}
