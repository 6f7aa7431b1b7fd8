use std::ops::Range;

use super::{Gso, VnetHeader, put};
use crate::wire::{Ethernet, IPV6_HEADER, Packet, Sum, Transport};

/// Octets of the longest headers that a cut repeats: Ethernet with tags, IPv4 with options or IPv6 with extension
/// headers, TCP with options.
pub const CUT_HEADER_MAX: usize = 256;

/// Segments that a super-frame is cut into at the most: 64 KiB of the smallest that a stream has (TCP_MIN_GSO_SIZE,
/// include/net/tcp.h).
const SEGMENTS_MAX: usize = 65_536 / 8;

/// TCP flags that only the last segment keeps: FIN and PSH.
const LAST_ONLY: u8 = 0x09;
/// The TCP flag that only the first segment keeps: CWR (RFC 3168 section 6.1.2).
const FIRST_ONLY: u8 = 0x80;

/// How a super-frame becomes segments: where its headers end, and how long each piece of its payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    gso: Gso,
    ip: usize,
    transport: usize,
    header_len: usize,
    size: usize,
    frame_len: usize,
}

/// A super-frame that cannot be cut: its headers and its virtio header do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a super-frame whose headers do not agree")]
pub struct BadSuperFrame;

impl Cut {
    /// The cut of `frame`, a super-frame by its virtio header.
    ///
    /// # Errors
    /// [`BadSuperFrame`].
    pub fn new(frame: &[u8], ethernet: &Ethernet, vnet: &VnetHeader) -> Result<Self, BadSuperFrame> {
        let Some((Some(gso), size)) = vnet.segmentation() else { return Err(BadSuperFrame) };
        let (transport, checksum) = vnet.needs_checksum().ok_or(BadSuperFrame)?;
        let packet = Packet::parse(frame, ethernet).ok_or(BadSuperFrame)?;
        let (ip, frame_len) = (ethernet.header_len, packet.payload_offset + packet.payload.len());
        // The system says where the transport begins: behind extension headers, too, which only IPv6 has.
        let extended = packet.v6 && transport > packet.payload_offset;
        let placed = transport == packet.payload_offset || extended;
        let fitting =
            gso.carries(gso.transport(), packet.v6) && checksum == gso.transport().checksum_offset();
        let header = frame.get(transport..frame_len).ok_or(BadSuperFrame)?;
        let header_len = transport + header_len(gso, header).ok_or(BadSuperFrame)?;
        let cut = Self { gso, ip, transport, header_len, size, frame_len };
        let bounded = header_len <= CUT_HEADER_MAX && header_len < frame_len && size > 0;
        if placed && fitting && bounded && cut.count() <= SEGMENTS_MAX { Ok(cut) } else { Err(BadSuperFrame) }
    }

    /// How many segments there are.
    pub const fn count(&self) -> usize {
        (self.frame_len - self.header_len).div_ceil(self.size)
    }

    /// Octets of the headers that each segment repeats.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Octets of the longest segment.
    pub fn segment_len(&self) -> usize {
        self.frame_len.min(self.header_len + self.size)
    }

    /// Where the payload of a segment stands in the frame.
    pub fn payload(&self, segment: usize) -> Range<usize> {
        let start = self.header_len + segment * self.size;
        start..(start + self.size).min(self.frame_len)
    }

    /// Writes the headers of a segment into exactly [`Cut::header_len`] octets, checksums included.
    pub fn write_header(&self, frame: &[u8], segment: usize, header: &mut [u8]) {
        let payload = self.payload(segment);
        header.copy_from_slice(&frame[..self.header_len]);
        self.write_ip(segment, payload.len(), &mut header[self.ip..self.transport]);
        let transport_len = self.header_len - self.transport + payload.len();
        let transport = &mut header[self.transport..];
        match self.gso {
            Gso::TcpV4 | Gso::TcpV6 => self.write_tcp(segment, transport),
            Gso::Udp => put(transport, 4, transport_len as u16),
        }
        let protocol = self.gso.transport();
        let at = protocol.checksum_offset();
        // The field holds the pseudo-header's sum with the length of the whole, which is taken out of it again
        // (RFC 1624); so nothing has to be known of what stands between the addresses and the transport.
        let whole = (self.frame_len - self.transport) as u16;
        let pseudo = Sum::default().plus(&frame[self.transport + at..][..2]).plus_word(!whole);
        put(transport, at, 0);
        let sum = pseudo.plus_word(transport_len as u16).plus(transport).plus(&frame[payload]);
        put(transport, at, protocol.checksum(sum));
    }

    fn write_ip(&self, segment: usize, payload_len: usize, ip: &mut [u8]) {
        let behind = self.header_len - self.ip + payload_len;
        if ip[0] >> 4 == 6 {
            put(ip, 4, (behind - IPV6_HEADER) as u16);
            return;
        }
        put(ip, 2, behind as u16);
        let identification = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(segment as u16);
        put(ip, 4, identification);
        put(ip, 10, 0);
        let checksum = Sum::default().plus(ip).checksum();
        put(ip, 10, checksum);
    }

    fn write_tcp(&self, segment: usize, tcp: &mut [u8]) {
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = sequence.wrapping_add((segment * self.size) as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if segment + 1 < self.count() {
            tcp[13] &= !LAST_ONLY;
        }
        if segment > 0 {
            tcp[13] &= !FIRST_ONLY;
        }
    }
}

/// Octets of the transport's header.
fn header_len(gso: Gso, transport: &[u8]) -> Option<usize> {
    match gso.transport() {
        Transport::Udp => Some(8),
        Transport::Tcp => Some(usize::from(transport.get(12)? >> 4) * 4).filter(|len| *len >= 20),
    }
}

/// Finishes the checksum that a device has left to us, in place (virtio 1.2 section 5.1.6.2).
///
/// # Errors
/// [`BadSuperFrame`] when it does not stand inside the frame.
pub fn finish_checksum(frame: &mut [u8], vnet: &VnetHeader) -> Result<(), BadSuperFrame> {
    let Some((start, offset)) = vnet.needs_checksum() else { return Ok(()) };
    let part = frame.get_mut(start..).ok_or(BadSuperFrame)?;
    if offset + 2 > part.len() {
        return Err(BadSuperFrame);
    }
    // The field holds the sum of the pseudo-header. 0 says "no checksum" in UDP, where all ones mean the same number;
    // in any other protocol it is a checksum like others. Which one it is, only the place of the checksum tells.
    let transport = if offset == Transport::Udp.checksum_offset() { Transport::Udp } else { Transport::Tcp };
    let checksum = transport.checksum(Sum::default().plus(part));
    put(part, offset, checksum);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::twin::{segments, super_frame};
    use super::*;
    use crate::wire::pseudo_sum;
    use proptest::prelude::*;

    /// Whether a receiver would take the segment: its lengths and checksums are right.
    fn check(segment: &[u8]) {
        let ethernet = Ethernet::parse(segment).unwrap();
        let packet = Packet::parse(segment, &ethernet).expect("a whole packet");
        assert_eq!(packet.payload_offset + packet.payload.len(), segment.len());
        let transport = packet.transport.unwrap();
        assert_eq!(packet.pseudo_sum(transport).plus(packet.payload).folded(), 0xffff);
        if !packet.v6 {
            let header = &segment[ethernet.header_len..packet.payload_offset];
            assert_eq!(Sum::default().plus(header).folded(), 0xffff);
        }
    }

    proptest! {
        #[test]
        fn segments_are_whole_packets_with_the_payload_in_order(
            kind in 0usize..4, tagged: bool, options in 0usize..11, len in 1usize..6000, size in 1usize..1500,
        ) {
            let (gso, v6) = [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false), (Gso::Udp, true)][kind];
            let (frame, vnet) = super_frame(gso, v6, tagged, options, len, size);
            let cut = Cut::new(&frame, &Ethernet::parse(&frame).unwrap(), &vnet).unwrap();
            let parts = segments(&frame, &vnet);
            prop_assert_eq!(parts.len(), len.div_ceil(size));
            parts.iter().for_each(|segment| check(segment));
            let payload: Vec<u8> = parts.iter().flat_map(|segment| &segment[cut.header_len()..]).copied().collect();
            prop_assert_eq!(&payload[..], &frame[cut.header_len()..]);
        }

        #[test]
        fn any_frame_is_cut_or_refused(frame in prop::collection::vec(any::<u8>(), 14..300), kind: bool, size: u16) {
            let gso = if kind { Gso::TcpV4 } else { Gso::Udp };
            let vnet = VnetHeader::unfinished(34, 16).segmented(gso, 54, size.into());
            let Some(ethernet) = Ethernet::parse(&frame) else { return Ok(()) };
            if let Ok(cut) = Cut::new(&frame, &ethernet, &vnet) {
                let mut header = vec![0; cut.header_len()];
                (0..cut.count()).for_each(|number| cut.write_header(&frame, number, &mut header));
            }
        }

        #[test]
        fn a_finished_checksum_is_right(len in 1usize..3000) {
            let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 3, len, 9000);
            let packet = Packet::parse(&frame, &Ethernet::parse(&frame).unwrap()).unwrap();
            let pseudo = packet.pseudo_sum(Transport::Tcp).folded();
            let at = packet.payload_offset + 16;
            frame[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
            finish_checksum(&mut frame, &vnet).unwrap();
            let packet = Packet::parse(&frame, &Ethernet::parse(&frame).unwrap()).unwrap();
            prop_assert_eq!(packet.pseudo_sum(Transport::Tcp).plus(packet.payload).folded(), 0xffff);
        }
    }

    #[test]
    fn sequence_flags_and_identification_go_on_from_segment_to_segment() {
        let (frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 250, 100);
        let parts = segments(&frame, &vnet);
        let sequence = |part: &[u8]| u32::from_be_bytes(part[38..42].try_into().unwrap());
        assert_eq!(
            parts.iter().map(|part| sequence(part)).collect::<Vec<_>>(),
            [0xffff_ff00, 0xffff_ff64, 0xffff_ffc8]
        );
        assert_eq!(
            parts.iter().map(|part| part[47]).collect::<Vec<_>>(),
            [0x90, 0x10, 0x19],
            "CWR first, FIN and PSH last"
        );
        assert_eq!(
            parts.iter().map(|part| &part[18..20]).collect::<Vec<_>>(),
            [[0xff, 0xfe], [0xff, 0xff], [0, 0]]
        );
    }

    #[test]
    fn a_stream_behind_extension_headers_is_cut() {
        let (mut frame, vnet) = super_frame(Gso::TcpV6, true, false, 0, 250, 100);
        // Destination options of 8 octets: TCP follows, and six octets of padding (RFC 8200 section 4.2).
        frame.splice(54..54, [6, 0, 1, 4, 0, 0, 0, 0]);
        frame[20] = 60;
        frame[19] += 8;
        let parts = segments(&frame, &vnet.moved_down(8));
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [182, 182, 132]);
        for part in parts {
            let len = usize::from(u16::from_be_bytes([part[18], part[19]]));
            assert_eq!(len, part.len() - 54);
            let sum = pseudo_sum(&part[22..54], Transport::Tcp, part.len() - 62).plus(&part[62..]);
            assert_eq!(sum.folded(), 0xffff);
        }
    }

    #[test]
    fn absurd_segments_are_refused() {
        let (frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 60_000, 7);
        assert_eq!(Cut::new(&frame, &Ethernet::parse(&frame).unwrap(), &vnet), Err(BadSuperFrame));
    }

    /// A super-frame of one segment whose checksum is 0 when it is finished, which the last two octets of payload see to.
    fn summing_to_nothing(gso: Gso, v6: bool) -> (Vec<u8>, VnetHeader) {
        let (mut frame, vnet) = super_frame(gso, v6, false, 0, 100, 1000);
        let (start, offset) = vnet.needs_checksum().unwrap();
        let end = frame.len();
        frame[end - 2..].fill(0);
        if gso != Gso::Udp {
            // The only segment is the first and the last, and keeps its flags.
            frame[start + 13] = 0x10;
        }
        let missing = Sum::default().plus(&frame[start..]).checksum();
        frame[end - 2..].copy_from_slice(&missing.to_be_bytes());
        assert_eq!(Sum::default().plus(&frame[start..]).checksum(), 0);
        assert_ne!(frame[start + offset..][..2], [0, 0], "a pseudo-header is never nothing");
        (frame, vnet)
    }

    #[test]
    fn a_checksum_of_0_becomes_all_ones_in_udp_and_in_nothing_else() {
        for (gso, v6, expected) in [
            (Gso::Udp, false, [0xff, 0xff]),
            (Gso::Udp, true, [0xff, 0xff]),
            (Gso::TcpV4, false, [0, 0]),
            (Gso::TcpV6, true, [0, 0]),
        ] {
            let (frame, vnet) = summing_to_nothing(gso, v6);
            let (start, offset) = vnet.needs_checksum().unwrap();
            let cut = segments(&frame, &vnet).remove(0);
            assert_eq!(cut[start + offset..][..2], expected, "{gso:?} cut");
            let mut finished = frame.clone();
            finish_checksum(&mut finished, &vnet).unwrap();
            assert_eq!(finished[start + offset..][..2], expected, "{gso:?} finished");
            check(&cut);
            check(&complete(finished));
        }
    }

    #[test]
    fn a_checksum_of_another_protocol_may_be_0() {
        // ICMPv6 (RFC 4443 section 2.3), whose checksum is at 2.
        let mut frame = [0; 60];
        frame[56..58].copy_from_slice(&[0xff, 0xff]);
        finish_checksum(&mut frame, &VnetHeader::unfinished(54, 2)).unwrap();
        assert_eq!(frame[56..58], [0, 0]);
    }

    /// The frame with the checksum of its IP header right, which only a cut writes.
    fn complete(mut frame: Vec<u8>) -> Vec<u8> {
        if frame[14] >> 4 == 4 {
            put(&mut frame, 24, 0);
            let checksum = Sum::default().plus(&frame[14..34]).checksum();
            put(&mut frame, 24, checksum);
        }
        frame
    }

    #[test]
    fn a_checksum_outside_its_frame_is_refused() {
        for (start, offset) in [(100, 0), (99, 0), (90, 9), (0, 99)] {
            let vnet = VnetHeader::unfinished(start, offset);
            assert_eq!(finish_checksum(&mut [0; 100], &vnet), Err(BadSuperFrame), "{start} {offset}");
        }
    }
}
