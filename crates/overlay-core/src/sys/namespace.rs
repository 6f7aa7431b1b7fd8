//! The ioctl of a namespace's descriptor (ioctl_nsfs(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether a descriptor on the file system of namespaces is a network namespace's.
///
/// # Errors
/// The system's: ENOTTY when it is no namespace's at all.
pub fn is_network_namespace(namespace: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: the request has no argument.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) } {
        kind if kind < 0 => Err(io::Error::last_os_error()),
        kind => Ok(kind == libc::CLONE_NEWNET),
    }
}
