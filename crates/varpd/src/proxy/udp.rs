//! UDP datagrams (RFC 768) in IPv4 (RFC 791) or IPv6 (RFC 8200), for what is read above them.

use overlay_core::wire::{Ethernet, Packet, Sum, Transport, pseudo_sum};
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The header (RFC 768).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    source_port: U16,
    destination_port: U16,
    len: U16,
    checksum: U16,
}
const _: () = assert!(size_of::<Header>() == 8);

/// A datagram whose lengths and checksums are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datagram<'a> {
    /// The addresses, as long as the family has them: 4 or 16 octets each.
    pub(super) source: &'a [u8],
    pub(super) destination: &'a [u8],
    /// Source and destination port.
    pub(super) ports: [u16; 2],
    pub(super) payload: &'a [u8],
}

/// The datagram in a frame, when that is whole and no fragment: versions, header lengths and total lengths are
/// [`Packet`]'s checks. What an IP packet has behind its datagram is no part of it.
pub(super) fn read<'a>(frame: &'a [u8], ethernet: &Ethernet) -> Option<Datagram<'a>> {
    let packet = Packet::parse(frame, ethernet)?;
    if packet.transport != Some(Transport::Udp) {
        return None;
    }
    // RFC 791 section 3.1; an IPv6 header has no checksum.
    let header = frame.get(ethernet.header_len..packet.payload_offset)?;
    if !packet.v6 && Sum::default().plus(header).folded() != 0xffff {
        return None;
    }
    let (header, _) = Header::ref_from_prefix(packet.payload).ok()?;
    let datagram = packet.payload.get(..usize::from(header.len.get()))?;
    let payload = datagram.get(size_of::<Header>()..)?;
    if !is_intact(&packet, header, datagram) {
        return None;
    }
    let (source, destination) = packet.addresses.split_at(packet.addresses.len() / 2);
    let ports = [header.source_port.get(), header.destination_port.get()];
    Some(Datagram { source, destination, ports, payload })
}

/// Whether the checksum is right: none (0) is in IPv4 (RFC 768), and not in IPv6 (RFC 8200 section 8.1).
fn is_intact(packet: &Packet<'_>, header: &Header, datagram: &[u8]) -> bool {
    if header.checksum.get() == 0 {
        return !packet.v6;
    }
    pseudo_sum(packet.addresses, Transport::Udp, datagram.len()).plus(datagram).folded() == 0xffff
}

#[cfg(test)]
mod tests {
    use super::super::golden::{IP, UDP4, UDP6, altered, discover, extended, refreshed, rewritten, solicit};
    use super::*;

    fn datagram(frame: &[u8]) -> Option<Datagram<'_>> {
        read(frame, &Ethernet::parse(frame)?)
    }

    #[test]
    fn both_families_are_read_alike() {
        let (v4, v6) = (discover(), solicit());
        let (v4, v6) = (datagram(&v4).unwrap(), datagram(&v6).unwrap());
        assert_eq!((v4.source, v4.destination, v4.ports), (&[0; 4][..], &[255; 4][..], [68, 67]));
        assert_eq!((v6.source.len(), v6.destination.len(), v6.ports), (16, 16, [546, 547]));
        assert_eq!((v4.payload.len(), v6.payload.len()), (249, 24));
    }

    #[test]
    fn a_zero_checksum_is_none_in_ipv4_and_wrong_in_ipv6() {
        assert!(datagram(&altered(discover(), UDP4 + 6, &[0, 0])).is_some());
        assert_eq!(datagram(&altered(solicit(), UDP6 + 6, &[0, 0])), None);
    }

    #[test]
    fn wrong_checksums_are_refused() {
        assert_eq!(datagram(&altered(discover(), IP + 10, &[1, 2])), None);
        assert_eq!(datagram(&altered(discover(), UDP4 + 6, &[1, 2])), None);
        assert_eq!(datagram(&altered(solicit(), UDP6 + 6, &[1, 2])), None);
    }

    #[test]
    fn a_datagram_ends_within_its_packet() {
        for len in [0, 7, 0x102, 0xffff] {
            let frame = rewritten(discover(), UDP4 + 4, &u16::to_be_bytes(len));
            assert_eq!(datagram(&frame), None, "{len}");
        }
    }

    #[test]
    fn what_follows_a_datagram_in_its_packet_is_no_part_of_it() {
        let longer = extended(discover(), &[1, 2, 3, 4]);
        // The datagram's length and checksum as they were, the packet's as they are.
        let mut frame = altered(longer, UDP4 + 4, &discover()[UDP4 + 4..UDP4 + 8]);
        assert_eq!(datagram(&frame).map(|datagram| datagram.payload.len()), Some(249));
        frame.truncate(frame.len() - 1);
        assert_eq!(datagram(&frame), None);
    }

    #[test]
    fn fragments_and_other_transports_are_none() {
        for flags in [[0x20, 0], [0, 1], [0x3f, 0xff]] {
            assert_eq!(datagram(&rewritten(discover(), IP + 6, &flags)), None, "{flags:x?}");
        }
        // "Don't fragment" makes no fragment.
        assert!(datagram(&rewritten(discover(), IP + 6, &[0x40, 0])).is_some());
        // TCP, whose octets at the place of UDP's checksum say that there is none.
        let tcp = rewritten(discover(), IP + 9, &[6]);
        assert_eq!(datagram(&altered(tcp, UDP4 + 6, &[0, 0])), None);
        // A fragment header in IPv6 (RFC 8200 section 4.5).
        assert_eq!(datagram(&altered(solicit(), IP + 6, &[44])), None);
    }

    #[test]
    fn ip_options_are_part_of_the_header() {
        let mut frame = discover();
        frame[IP] = 0x46;
        frame[IP + 3] += 4;
        // Four octets of "no operation" and end, and the header's checksum again.
        frame.splice(UDP4..UDP4, [1, 1, 1, 0]);
        frame[IP + 10..IP + 12].fill(0);
        let checksum = !super::super::golden::slow(&frame[IP..UDP4 + 4]);
        frame[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(datagram(&frame).map(|datagram| datagram.ports), Some([68, 67]));
        assert_eq!(datagram(&altered(frame, IP, &[0x44])), None);
        assert!(datagram(&refreshed(discover())).is_some());
    }
}
