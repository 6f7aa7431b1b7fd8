use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use super::Namespace;
use super::namespace::Identity;
use crate::sys;
use crate::types::ZoneName;

/// Where `ip netns` keeps named network namespaces (ip-netns(8)).
const ZONES: &str = "/run/netns";

/// The mounts that this process sees; it can be waited for (proc_pid_mountinfo(5)).
const MOUNTS: &str = "/proc/self/mountinfo";

/// A zone that something is in. It does not keep the zone alive, and a later zone of the same name is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: ZoneName,
    identity: Identity,
}

/// Why there is no zone of a name.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// Nothing has the name.
    #[error("zone {0} is not there")]
    Absent(ZoneName),
    /// Something else has it: what `ip netns add` leaves for a moment, or when it is interrupted.
    #[error("zone {0} is not there: /run/netns/{0} is no network namespace")]
    Other(ZoneName),
    /// The system does not say.
    #[error("cannot look for zone {zone}: {error}")]
    System {
        /// The zone.
        zone: ZoneName,
        /// What the system says.
        error: io::Error,
    },
}

impl Zone {
    /// The zone that has a name now.
    pub(super) fn open(name: &ZoneName) -> Result<(Self, Namespace), ZoneError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ZoneError::Absent(name.clone()),
            _ => ZoneError::System { zone: name.clone(), error },
        };
        // Whatever else lies there, opening it neither waits nor does anything.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path(name)).map_err(failed)?;
        if !is_network_namespace(&file).map_err(failed)? {
            return Err(ZoneError::Other(name.clone()));
        }
        let identity = Identity::of(file.metadata()).map_err(failed)?;
        Ok((Self { name: name.clone(), identity }, file.into()))
    }

    /// The zones of this machine, as far as they can be looked into.
    pub(super) fn all() -> impl Iterator<Item = (Self, Namespace)> {
        let entries = fs::read_dir(ZONES).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        names.filter_map(|name| Self::open(&name).ok())
    }

    /// Its name.
    pub const fn name(&self) -> &ZoneName {
        &self.name
    }

    /// Whether the name is still its own.
    pub fn is_there(&self) -> bool {
        Identity::of(fs::metadata(path(&self.name))).is_ok_and(|now| now == self.identity)
    }
}

fn path(name: &ZoneName) -> PathBuf {
    Path::new(ZONES).join(name.as_str())
}

/// Only descriptors on the file system of namespaces are asked what they are: to another file the same request may
/// mean something.
fn is_network_namespace(file: &File) -> io::Result<bool> {
    let system = fstatfs(file).map_err(io::Error::from)?;
    if system.filesystem_type() != NSFS_MAGIC {
        return Ok(false);
    }
    sys::is_network_namespace(file.as_fd())
}

/// Tells when zones may have come or gone: each is a mount, and the list of mounts has something urgent to say
/// (POLLPRI) once for every change.
#[derive(Debug)]
pub struct ZoneWatch(File);

impl ZoneWatch {
    /// Tells of what happens from now on.
    ///
    /// # Errors
    /// The system's, when `/proc` is not there.
    pub fn open() -> io::Result<Self> {
        File::open(MOUNTS).map(Self)
    }
}

impl AsFd for ZoneWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
