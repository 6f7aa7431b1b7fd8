use super::{Gso, VnetHeader};
use crate::types::OverlayMtu;
use crate::wire::{Ethernet, Packet, Transport};

/// The virtio header that a received frame needs; none when the frame is too big for `mtu`.
///
/// Between virtual devices a datagram may arrive whose inner frame never was on a wire: its transport checksum
/// holds the sum of the pseudo-header alone (CHECKSUM_PARTIAL, include/linux/skbuff.h), and a TCP segment may be
/// longer than any MTU. The kernel's vxlan device over veth sends both. Such a frame is passed on as what it is;
/// the receiver finishes the checksum or cuts the segment when it has to. A finished checksum that happens to
/// equal that sum stays right: finishing it again gives the same value. `datagram_len` is the length of the datagrams
/// that the system says a UDP super-frame is of.
pub fn header_for(
    frame: &[u8],
    ethernet: &Ethernet,
    mtu: OverlayMtu,
    datagram_len: Option<usize>,
) -> Option<VnetHeader> {
    let fits = frame.len() <= mtu.frame_limit(ethernet.header_len);
    let Some((packet, transport)) = unfinished(frame, ethernet) else {
        return fits.then(VnetHeader::default);
    };
    let header = VnetHeader::unfinished(packet.payload_offset, transport.checksum_offset());
    match (fits, transport) {
        (true, _) => Some(header),
        (false, Transport::Tcp) => stream(header, &packet, ethernet, mtu),
        (false, Transport::Udp) => datagrams(header, &packet, ethernet, mtu, datagram_len?),
    }
}

fn unfinished<'a>(frame: &'a [u8], ethernet: &Ethernet) -> Option<(Packet<'a>, Transport)> {
    let packet = Packet::parse(frame, ethernet)?;
    let transport = packet.transport?;
    let pseudo = packet.pseudo_sum(transport).folded();
    (packet.checksum() == Some(pseudo)).then_some((packet, transport))
}

fn stream(
    header: VnetHeader,
    packet: &Packet<'_>,
    ethernet: &Ethernet,
    mtu: OverlayMtu,
) -> Option<VnetHeader> {
    let header_len = packet.payload_offset + packet.tcp_header_len()?;
    let size = mtu.frame_limit(ethernet.header_len).checked_sub(header_len).filter(|size| *size > 0)?;
    let gso = if packet.v6 { Gso::TcpV6 } else { Gso::TcpV4 };
    Some(header.segmented(gso, header_len, size))
}

fn datagrams(
    header: VnetHeader,
    packet: &Packet<'_>,
    ethernet: &Ethernet,
    mtu: OverlayMtu,
    len: usize,
) -> Option<VnetHeader> {
    let header_len = packet.payload_offset + 8;
    let fits = len > 0 && header_len + len <= mtu.frame_limit(ethernet.header_len);
    fits.then(|| header.segmented(Gso::Udp, header_len, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A TCP segment over IPv4 with `len` octets of payload and the given checksum.
    fn frame(len: usize, checksum: impl Fn(&Packet<'_>) -> u16) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let [high, low] = (40 + len as u16).to_be_bytes();
        frame.extend([0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        frame.extend(std::iter::repeat_n(0x5a, len));
        let ethernet = Ethernet::parse(&frame).unwrap();
        let value = checksum(&Packet::parse(&frame, &ethernet).unwrap());
        frame[50..52].copy_from_slice(&value.to_be_bytes());
        frame
    }

    fn partial(packet: &Packet<'_>) -> u16 {
        packet.pseudo_sum(Transport::Tcp).folded()
    }

    fn finished(packet: &Packet<'_>) -> u16 {
        packet.pseudo_sum(Transport::Tcp).plus(packet.payload).checksum()
    }

    fn header(frame: &[u8]) -> Option<VnetHeader> {
        header_for(frame, &Ethernet::parse(frame).unwrap(), OverlayMtu::default(), None)
    }

    #[test]
    fn a_finished_frame_needs_nothing() {
        assert_eq!(header(&frame(100, finished)), Some(VnetHeader::default()));
    }

    #[test]
    fn an_unfinished_checksum_is_left_to_the_receiver() {
        assert_eq!(header(&frame(100, partial)), Some(VnetHeader::unfinished(34, 16)));
    }

    #[test]
    fn an_unfinished_segment_beyond_the_mtu_is_a_super_frame() {
        let expected = VnetHeader::unfinished(34, 16).segmented(Gso::TcpV4, 54, 1360);
        assert_eq!(header(&frame(60_000, partial)), Some(expected));
        assert_eq!(header(&frame(1360, partial)), Some(VnetHeader::unfinished(34, 16)));
        assert_eq!(header(&frame(1361, partial)), Some(expected));
    }

    #[test]
    fn a_finished_frame_beyond_the_mtu_is_too_big() {
        assert_eq!(header(&frame(1361, finished)), None);
    }

    proptest! {
        #[test]
        fn any_frame_is_judged(octets in prop::collection::vec(any::<u8>(), 14..2000)) {
            if let Some(ethernet) = Ethernet::parse(&octets) {
                let _ = header_for(&octets, &ethernet, OverlayMtu::default(), Some(100));
            }
        }
    }
}
