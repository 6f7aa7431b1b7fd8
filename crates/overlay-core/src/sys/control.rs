//! The control messages beside datagrams: what one is to be like that leaves, and what one was like that came.

use std::mem::{size_of, zeroed};

use libc::{c_int, cmsghdr};
use socket2::SockAddr;

/// Hops that datagrams go which leave a socket of ours without a word about that.
pub const SOCKET_TTL: u8 = 64;

/// What the system is told of one message beside its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How long the datagrams are that it is cut into; none for one datagram.
    pub segment: Option<u16>,
    /// The hop limit of its datagrams, or time to live.
    pub ttl: u8,
    /// Their traffic class, or type of service.
    pub tos: u8,
}

impl Default for Shape {
    /// One datagram, as a socket sends it by itself.
    fn default() -> Self {
        Self { segment: None, ttl: SOCKET_TTL, tos: 0 }
    }
}

/// A control message with a number of at most four octets.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Control {
    header: cmsghdr,
    number: [u8; 4],
    padding: [u8; 4],
}
// SAFETY: CMSG_SPACE only computes.
const _: () = assert!(size_of::<Control>() == unsafe { libc::CMSG_SPACE(4) } as usize);

impl Control {
    /// Without a meaning.
    pub(super) const fn empty() -> Self {
        // SAFETY: all-zero octets are a legal value: numbers.
        unsafe { zeroed() }
    }

    fn new<const LEN: usize>(level: c_int, kind: c_int, value: [u8; LEN]) -> Self {
        let mut control = Self::empty();
        // SAFETY: CMSG_LEN only computes.
        control.header.cmsg_len = unsafe { libc::CMSG_LEN(LEN as u32) } as _;
        control.header.cmsg_level = level;
        control.header.cmsg_type = kind;
        control.number[..LEN].copy_from_slice(&value);
        control
    }

    /// What is told of a message to `address`, where it differs from what the socket does by itself. Between an IPv6 socket
    /// and a mapped address the words of IPv4 hold (`ip_cmsg_send` in net/ipv4/ip_sockglue.c).
    pub(super) fn telling(shape: Shape, address: &SockAddr) -> impl Iterator<Item = Self> {
        let segment =
            shape.segment.map(|size| Self::new(libc::SOL_UDP, libc::UDP_SEGMENT, size.to_ne_bytes()));
        let plain = shape.ttl == SOCKET_TTL && shape.tos == 0;
        let v6 = !plain && is_v6(address);
        let (level, ttl, tos) = match v6 {
            false => (libc::SOL_IP, libc::IP_TTL, libc::IP_TOS),
            true => (libc::SOL_IPV6, libc::IPV6_HOPLIMIT, libc::IPV6_TCLASS),
        };
        let number = |kind, number: u8| Self::new(level, kind, c_int::from(number).to_ne_bytes());
        let ttl = (shape.ttl != SOCKET_TTL).then(|| number(ttl, shape.ttl));
        let tos = (shape.tos != 0).then(|| number(tos, shape.tos));
        segment.into_iter().chain(ttl).chain(tos)
    }
}

fn is_v6(address: &SockAddr) -> bool {
    address.as_socket_ipv6().is_some_and(|address| address.ip().to_ipv4_mapped().is_none())
}

/// What the system has told beside a datagram that came.
pub(super) struct Told<'a>(pub(super) &'a [Control]);

impl Told<'_> {
    /// How long the datagrams are that it is of.
    pub(super) fn train(&self) -> Option<usize> {
        let number = self.number(libc::SOL_UDP, libc::UDP_GRO)?;
        usize::try_from(c_int::from_ne_bytes(number)).ok()
    }

    /// Its type of service, one octet (ip(7)), or traffic class, a number (ipv6(7)).
    pub(super) fn tos(&self) -> u8 {
        let v4 = self.number(libc::SOL_IP, libc::IP_TOS).map(|[tos, ..]| tos);
        let v6 = || {
            self.number(libc::SOL_IPV6, libc::IPV6_TCLASS).map(|number| c_int::from_ne_bytes(number) as u8)
        };
        v4.or_else(v6).unwrap_or(0)
    }

    fn number(&self, level: c_int, kind: c_int) -> Option<[u8; 4]> {
        let mut told = self.0.iter();
        told.find(|told| (told.header.cmsg_level, told.header.cmsg_type) == (level, kind))
            .map(|told| told.number)
    }
}
