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
    switch_on(socket, UDP_NO_CHECK6_RX)
}

/// Makes a UDP socket take runs of datagrams of one flow as one, with their length beside (UDP_GRO, Linux 5.0).
///
/// # Errors
/// The system's.
pub fn accept_trains(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::UDP_GRO)
}

/// Whether the system cuts one message of a UDP socket into datagrams (UDP_SEGMENT, Linux 4.18): one that does not would
/// send it as a single datagram.
pub fn can_send_trains(socket: &impl AsFd) -> bool {
    // 0 is what it is set to: each message says for itself.
    set_number(socket, libc::UDP_SEGMENT, 0).is_ok()
}

fn switch_on(socket: &impl AsFd, option: c_int) -> io::Result<()> {
    set_number(socket, option, 1)
}

fn set_number(socket: &impl AsFd, option: c_int, number: c_int) -> io::Result<()> {
    // SAFETY: these options read one `int` through the pointer, which lives over the call.
    let outcome = unsafe {
        let (value, len) = ((&raw const number).cast(), size_of::<c_int>() as libc::socklen_t);
        libc::setsockopt(socket.as_fd().as_raw_fd(), libc::SOL_UDP, option, value, len)
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The place of the count of dropped datagrams in SO_MEMINFO's answer, and how many numbers that has
/// (SK_MEMINFO_DROPS and SK_MEMINFO_VARS, linux/sock_diag.h).
const MEMINFO_DROPS: usize = 8;
const MEMINFO_VARS: usize = 9;

/// Datagrams that were dropped because too many waited on a socket already, since it was made (modulo 2^32).
///
/// # Errors
/// The system's.
pub fn dropped_in_queue(socket: impl AsFd) -> io::Result<u32> {
    let mut numbers = [0u32; MEMINFO_VARS];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: `numbers` is `len` octets of writable memory over the call, and any octets are legal numbers.
    let outcome = unsafe {
        let value = numbers.as_mut_ptr().cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, value, &raw mut len)
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(numbers[MEMINFO_DROPS]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_a_full_queue_drops_is_counted() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(dropped_in_queue(&receiver).unwrap(), 0);
        // More than any default queue holds (net.core.rmem_default is some hundred kilobytes).
        for _ in 0..5000 {
            sender.send_to(&[0; 1000], receiver.local_addr().unwrap()).unwrap();
        }
        assert!(dropped_in_queue(&receiver).unwrap() > 0);
    }
}
