use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd};

/// More groups than a Linux process can have (NGROUPS_MAX, linux/limits.h) are never reported.
const GROUPS_MAX: usize = 65536;

/// The supplementary groups of the peer of a Unix socket (SO_PEERGROUPS, net/core/sock.c).
///
/// # Errors
/// The system's, when `socket` is no connected Unix socket.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut len = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: `groups` is `len` octets of writable memory for the time of the call, and the kernel
        // writes at most `len` of them, whatever their values are.
        let outcome = unsafe {
            let value = groups.as_mut_ptr().cast();
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERGROUPS, value, &raw mut len)
        };
        if outcome == 0 {
            groups.truncate(len as usize / size_of::<u32>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || groups.len() >= GROUPS_MAX {
            return Err(error);
        }
        groups.resize(GROUPS_MAX, 0);
    }
}
