use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::c_int;

/// Take datagrams over IPv6 whose UDP checksum is 0 (linux/udp.h; libc has no name for it).
const UDP_NO_CHECK6_RX: c_int = 102;

/// Makes an IPv6 UDP socket take datagrams without a checksum.
///
/// # Errors
/// The system's.
pub fn accept_zero_checksum(socket: &impl AsFd) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the option reads one `int` through the pointer, which lives over the call.
    let outcome = unsafe {
        let (value, len) = ((&raw const on).cast(), size_of::<c_int>() as libc::socklen_t);
        libc::setsockopt(socket.as_fd().as_raw_fd(), libc::SOL_UDP, UDP_NO_CHECK6_RX, value, len)
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
