use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{self, Ethernet, IPV4_HEADER_MIN, IPV6_HEADER};

pub(super) const IGMP: u8 = 2;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;
/// Octets of a UDP header (RFC 768).
pub(super) const UDP_HEADER: usize = 8;
/// Where a UDP header has its checksum, and one of ICMPv6 (RFC 4443 section 2.1).
const CHECKSUM_UDP: usize = 6;
const CHECKSUM_ICMPV6: usize = 2;

/// Extension headers that are read; who needs more is refused (RFC 8504 section 5.3 lets hosts have a limit).
const EXTENSIONS_MAX: usize = 8;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// An IPv4 or IPv6 packet up to what its last IP header carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    /// What it carries, behind all extension headers that are here.
    pub(super) protocol: u8,
    pub(super) part: Part,
    /// What is behind all IP headers; nothing in a later fragment.
    pub(super) payload: &'a [u8],
    /// Where that begins in the frame.
    pub(super) offset: usize,
}

/// How much of a packet is in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// The first fragment, or the only one.
    First,
    /// Another fragment: what it is of, only the first says.
    Later,
}

impl<'a> Packet<'a> {
    /// None where it is cut off, its lengths do not fit, or its headers go on for too long.
    pub(super) fn read(frame: &'a [u8], ethernet: &Ethernet) -> Option<Self> {
        let start = ethernet.header_len;
        let whole = wire::Packet::parse(frame, ethernet)?;
        let packet = if whole.v6 {
            let (source, _) = whole.addresses.split_first_chunk::<16>()?;
            let source = IpAddr::V6(Ipv6Addr::from(*source));
            let next = *frame.get(start..start + IPV6_HEADER)?.get(6)?;
            let first = Self::whole(source, next, whole.payload, whole.payload_offset);
            first.behind_extensions()?
        } else {
            let (source, _) = whole.addresses.split_first_chunk::<4>()?;
            let source = IpAddr::V4(Ipv4Addr::from(*source));
            let header = frame.get(start..start + IPV4_HEADER_MIN)?;
            let first = Self::whole(source, header[9], whole.payload, whole.payload_offset);
            // More fragments, and the place of this one (RFC 791 section 3.1).
            first.fragment(u16::from_be_bytes([header[6], header[7]]) & 0x3fff, 0x1fff)
        };
        packet.has_its_header().then_some(packet)
    }

    const fn whole(source: IpAddr, protocol: u8, payload: &'a [u8], offset: usize) -> Self {
        Self { source, protocol, part: Part::Whole, payload, offset }
    }

    /// The same where a field says that it is a fragment, with its place in the bits of `places`.
    fn fragment(self, field: u16, places: u16) -> Self {
        match field {
            0 => self,
            field if field & places == 0 => Self { part: Part::First, ..self },
            _ => Self { part: Part::Later, payload: &[], ..self },
        }
    }

    /// The same, read on up to what is no extension header (RFC 8200 section 4).
    fn behind_extensions(mut self) -> Option<Self> {
        for _ in 0..EXTENSIONS_MAX {
            let len = match self.protocol {
                // Hop-by-hop options, routing, destination options, mobility, HIP, Shim6 (RFC 7045 section 4).
                0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*self.payload.get(1)?) + 1) * 8,
                AUTHENTICATION => (usize::from(*self.payload.get(1)?) + 2) * 4,
                FRAGMENT => 8,
                _ => return Some(self),
            };
            let (header, payload) = self.payload.split_at_checked(len)?;
            let is_fragment = self.protocol == FRAGMENT;
            self = Self { protocol: header[0], payload, offset: self.offset + len, ..self };
            if is_fragment {
                let field = u16::from_be_bytes([header[2], header[3]]);
                // Also an only fragment counts as one; the last three bits are no part of the place.
                self = self.fragment(field | 1, 0xfff8);
            }
            if self.part == Part::Later {
                return Some(self);
            }
        }
        None
    }

    /// Whether the header that says what it is stands in it: in a first fragment it has to (RFC 7112).
    fn has_its_header(&self) -> bool {
        let least = match self.protocol {
            UDP => UDP_HEADER,
            ICMPV6 => 4,
            _ => 0,
        };
        self.part == Part::Later || self.payload.len() >= least
    }

    /// The end of what decides about it: nothing may be written before that any more.
    pub(super) const fn fixed(&self) -> usize {
        match self.protocol {
            UDP => self.offset + CHECKSUM_UDP,
            ICMPV6 => self.offset + CHECKSUM_ICMPV6,
            _ => self.offset,
        }
    }

    /// Where its checksum stands, of those that have one that concerns us.
    pub(super) const fn checksum(&self) -> Option<usize> {
        match self.protocol {
            UDP | ICMPV6 => Some(self.fixed()),
            _ => None,
        }
    }

    /// Source and destination port of a datagram.
    pub(super) fn ports(&self) -> Option<[u16; 2]> {
        let [a, b, c, d] = *self.payload.first_chunk().filter(|_| self.protocol == UDP)?;
        Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
    }

    /// What a whole datagram carries, as long as that says.
    pub(super) fn datagram(&self) -> Option<&'a [u8]> {
        let len = self.payload.get(4..6).filter(|_| self.protocol == UDP && self.part == Part::Whole)?;
        self.payload.get(UDP_HEADER..usize::from(u16::from_be_bytes([len[0], len[1]])))
    }
}
