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
