use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::c_int;

use super::control::SOCKET_TTL;

/// Take datagrams over IPv6 whose UDP checksum is 0 (linux/udp.h; libc has no name for it).
const UDP_NO_CHECK6_RX: c_int = 102;

/// Makes an IPv6 UDP socket take datagrams without a checksum.
///
/// # Errors
/// The system's.
pub fn accept_zero_checksum(socket: &impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_UDP, UDP_NO_CHECK6_RX, 1)
}

/// Makes a UDP socket take runs of datagrams of one flow as one, with their length beside (UDP_GRO, Linux 5.0).
///
/// # Errors
/// The system's.
pub fn accept_trains(socket: &impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Whether the system cuts one message of a UDP socket into datagrams (UDP_SEGMENT, Linux 4.18): one that does not would
/// send it as a single datagram.
pub fn can_send_trains(socket: &impl AsFd) -> bool {
    // 0 is what it is set to: each message says for itself.
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

/// Makes a UDP socket tell the type of service of each datagram, and an IPv6 one the traffic class too.
///
/// # Errors
/// The system's.
pub fn hear_tos(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    set(socket, libc::SOL_IP, libc::IP_RECVTOS, 1)?;
    if v6 { set(socket, libc::SOL_IPV6, libc::IPV6_RECVTCLASS, 1) } else { Ok(()) }
}

/// Says what the IP headers of a UDP socket's datagrams are to be like: their hops, and whether routers may not divide them,
/// in which case one that is too big for what is known of its way is refused with EMSGSIZE; else the system divides it. An
/// IPv6 socket is told of both versions, as it sends to mapped addresses too.
///
/// # Errors
/// The system's.
pub fn stamp_datagrams(socket: &impl AsFd, v6: bool, df: bool) -> io::Result<()> {
    let (discover4, discover6) = match df {
        true => (libc::IP_PMTUDISC_DO, libc::IPV6_PMTUDISC_DO),
        false => (libc::IP_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DONT),
    };
    set(socket, libc::SOL_IP, libc::IP_TTL, SOCKET_TTL.into())?;
    set(socket, libc::SOL_IP, libc::IP_MTU_DISCOVER, discover4)?;
    if v6 {
        set(socket, libc::SOL_IPV6, libc::IPV6_UNICAST_HOPS, SOCKET_TTL.into())?;
        set(socket, libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, discover6)?;
    }
    Ok(())
}

/// The largest packet that gets to whom an IPv6 socket is connected to (IPV6_MTU, ipv6(7)).
///
/// # Errors
/// The system's; that the socket is not connected among them.
pub fn ipv6_mtu(socket: &impl AsFd) -> io::Result<c_int> {
    let (mut octets, mut len) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: `octets` is `len` octets of writable memory over the call, and any octets are a legal number.
    let outcome = unsafe {
        let value = (&raw mut octets).cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_IPV6, libc::IPV6_MTU, value, &raw mut len)
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(octets) }
}

fn set(socket: &impl AsFd, level: c_int, option: c_int, number: c_int) -> io::Result<()> {
    // SAFETY: these options read one `int` through the pointer, which lives over the call.
    let outcome = unsafe {
        let (value, len) = ((&raw const number).cast(), size_of::<c_int>() as libc::socklen_t);
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, len)
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
