use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::IpMtu;

use super::mux::bound;
use crate::sys;
use crate::types::UnderlayMtu;

/// The largest packet that gets from a listen address to a tunnel end, as far as the system knows: it learns that from the
/// routers' answers to what was sent, and keeps it for a while (tcp(7), ip(7): IP_MTU).
///
/// # Errors
/// The system's: above all that there is no way.
pub fn path_mtu(listen: IpAddr, end: SocketAddr) -> io::Result<UnderlayMtu> {
    // A socket of the tunnel end's own version: a dual-stack listener reaches both.
    let from = match (listen, end) {
        (IpAddr::V6(listen), SocketAddr::V4(_)) if listen.is_unspecified() => [0, 0, 0, 0].into(),
        _ => listen,
    };
    let socket = bound(SocketAddr::new(from, 0))?;
    socket.connect(&end.into())?;
    let octets = match end {
        SocketAddr::V4(_) => getsockopt(&socket, IpMtu)?,
        SocketAddr::V6(_) => sys::ipv6_mtu(&socket)?,
    };
    Ok(UnderlayMtu(octets.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_oneself_is_as_wide_as_the_loopback_device() {
        let device = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        let device: u32 = device.trim().parse().unwrap();
        for (listen, end) in [
            ("127.0.0.1", "127.0.0.1:9"),
            ("0.0.0.0", "127.0.0.1:9"),
            ("::", "127.0.0.1:9"),
            ("::", "[::1]:9"),
        ] {
            let known = path_mtu(listen.parse().unwrap(), end.parse().unwrap()).unwrap();
            // No IPv4 packet is longer than its header can tell (IP_MAX_MTU, include/net/ip.h).
            let expected = if end.starts_with('[') { device } else { device.min(65_535) };
            assert_eq!(known, UnderlayMtu(expected), "{listen} {end}");
        }
    }
}
