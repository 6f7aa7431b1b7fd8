use super::{Ethernet, Sum};

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Octets of an IPv4 header without options (RFC 791 section 3.1).
pub const IPV4_HEADER_MIN: usize = 20;
/// Octets of an IPv6 header without extensions (RFC 8200 section 3).
pub const IPV6_HEADER: usize = 40;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A transport whose header has ports and a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Transport {
    const fn from_protocol(protocol: u8) -> Option<Self> {
        match protocol {
            TCP => Some(Self::Tcp),
            UDP => Some(Self::Udp),
            _ => None,
        }
    }

    const fn protocol(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
        }
    }

    /// Where the checksum stands in the header.
    pub const fn checksum_offset(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }

    /// The checksum that goes into the header for a sum: UDP says 0 where there is none (RFC 768).
    pub fn checksum(self, sum: Sum) -> u16 {
        match (self, sum.checksum()) {
            (Self::Udp, 0) => 0xffff,
            (_, checksum) => checksum,
        }
    }

    const fn header_min(self) -> usize {
        match self {
            Self::Tcp => 20,
            Self::Udp => 8,
        }
    }
}

/// An IPv4 or IPv6 packet inside a frame, with its lengths checked against the frame's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Whether it is IPv6.
    pub v6: bool,
    /// Source and destination address, one behind the other as in the header.
    pub addresses: &'a [u8],
    /// The transport, where it is one with ports whose whole header is here: not in a fragment, nor behind
    /// IPv6 extension headers.
    pub transport: Option<Transport>,
    /// The payload of the IP header, as long as that says; Ethernet padding is left out.
    pub payload: &'a [u8],
    /// Where the payload begins in the frame.
    pub payload_offset: usize,
}

impl<'a> Packet<'a> {
    /// Reads the packet in a frame whose Ethernet header is `ethernet`; none when there is no whole one.
    pub fn parse(frame: &'a [u8], ethernet: &Ethernet) -> Option<Self> {
        let packet = frame.get(ethernet.header_len..)?;
        match ethernet.ethertype {
            ETHERTYPE_IPV4 => Self::parse_v4(packet, ethernet.header_len),
            ETHERTYPE_IPV6 => Self::parse_v6(packet, ethernet.header_len),
            _ => None,
        }
    }

    fn parse_v4(packet: &'a [u8], offset: usize) -> Option<Self> {
        let header = packet.get(..IPV4_HEADER_MIN)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || header_len < IPV4_HEADER_MIN {
            return None;
        }
        let total = usize::from(word(header, 2));
        let payload = packet.get(header_len..total)?;
        // More fragments, or a place behind the first (RFC 791 section 3.1).
        let fragment = word(header, 6) & 0x3fff != 0;
        let transport = if fragment { None } else { Transport::from_protocol(header[9]) };
        Some(Self::with(false, &header[12..20], transport, payload, offset + header_len))
    }

    fn parse_v6(packet: &'a [u8], offset: usize) -> Option<Self> {
        let header = packet.get(..IPV6_HEADER)?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let payload = packet.get(IPV6_HEADER..)?.get(..usize::from(word(header, 4)))?;
        let transport = Transport::from_protocol(header[6]);
        Some(Self::with(true, &header[8..40], transport, payload, offset + IPV6_HEADER))
    }

    fn with(
        v6: bool,
        addresses: &'a [u8],
        transport: Option<Transport>,
        payload: &'a [u8],
        offset: usize,
    ) -> Self {
        let transport = transport.filter(|transport| payload.len() >= transport.header_min());
        Self { v6, addresses, transport, payload, payload_offset: offset }
    }

    /// Source and destination port, as they stand in the header.
    pub fn ports(&self) -> Option<[u8; 4]> {
        self.transport.and_then(|_| self.payload.first_chunk().copied())
    }

    /// The checksum in the transport's header.
    pub fn checksum(&self) -> Option<u16> {
        self.transport.map(|transport| word(self.payload, transport.checksum_offset()))
    }

    /// The sum over the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    pub fn pseudo_sum(&self, transport: Transport) -> Sum {
        pseudo_sum(self.addresses, transport, self.payload.len())
    }

    /// Octets of the TCP header with its options, where there is a whole one.
    pub fn tcp_header_len(&self) -> Option<usize> {
        let len = usize::from(self.payload.get(12)? >> 4) * 4;
        (self.transport == Some(Transport::Tcp) && (20..=self.payload.len()).contains(&len)).then_some(len)
    }
}

/// The sum over a pseudo-header: source and destination address, protocol, and octets behind the IP header.
pub fn pseudo_sum(addresses: &[u8], transport: Transport, len: usize) -> Sum {
    Sum::default().plus(addresses).plus_word(u16::from(transport.protocol())).plus_word(len as u16)
}

fn word(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A UDP datagram with 4 octets in IPv4, then 6 octets of Ethernet padding.
    fn v4_frame() -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x30, 0x39, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
        frame
    }

    fn packet(frame: &[u8]) -> Option<Packet<'_>> {
        Packet::parse(frame, &Ethernet::parse(frame)?)
    }

    #[test]
    fn padding_is_no_part_of_a_packet() {
        let frame = v4_frame();
        let packet = packet(&frame).unwrap();
        assert_eq!((packet.payload.len(), packet.payload_offset), (12, 34));
        assert_eq!((packet.transport, packet.ports()), (Some(Transport::Udp), Some([0x30, 0x39, 0, 53])));
    }

    #[test]
    fn a_fragment_has_no_ports() {
        let mut frame = v4_frame();
        frame[20] = 0x20;
        assert_eq!(packet(&frame).unwrap().ports(), None);
    }

    #[test]
    fn a_packet_longer_than_its_frame_is_none() {
        let frame = v4_frame();
        for len in 0..14 + 32 {
            assert_eq!(packet(&frame[..len]), None, "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200), v6: bool, ihl: u8) {
            let mut frame = vec![0; 12];
            frame.extend(if v6 { [0x86, 0xdd] } else { [8, 0] });
            frame.push(if v6 { 0x60 } else { 0x40 | ihl & 0xf });
            frame.extend(octets);
            if let Some(packet) = packet(&frame) {
                prop_assert!(packet.payload_offset + packet.payload.len() <= frame.len());
                let _ = (packet.ports(), packet.checksum(), packet.tcp_header_len());
            }
        }
    }
}
