use overlay_core::offload::{Cut, Gso, VnetHeader};
use overlay_core::types::MacAddr;
use overlay_core::wire::{Ethernet, Packet};
use overlay_tests::frame;

/// Where the frames are for: nobody here.
const AWAY: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 2]);
/// Whom they are from.
pub(super) const HERE: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);

/// Octets of payload in a segment over an MTU of 1450, with TCP's time stamps (RFC 7323).
pub(super) const SEGMENT: usize = 1398;
/// Segments of the longest super-frame that IPv4 can tell.
pub(super) const SEGMENTS: usize = 46;

const ETHERTYPE_IPV4: u16 = 0x0800;
const TRANSPORT: usize = 34;
const TCP_HEADER: usize = 32;
const CHECKSUM: usize = 16;

/// A TCP super-frame of [`SEGMENTS`] segments, as a device hands it over, and its virtio header.
pub(super) fn super_frame() -> (Vec<u8>, VnetHeader) {
    let payload: Vec<u8> = (0..SEGMENT * SEGMENTS).map(|place| (place * 7) as u8).collect();
    let len = (20 + TCP_HEADER + payload.len()) as u16;
    let [high, low] = len.to_be_bytes();
    let ip = [0x45, 0, high, low, 0, 7, 0x40, 0, 64, 6, 0, 0, 192, 168, 23, 1, 192, 168, 23, 2];
    // Ports, sequence, acknowledgement, length, ACK, window; no operation twice, and the time stamps.
    let tcp = [0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10];
    let packet = [&ip[..], &tcp, &[7; 8], &payload].concat();
    let mut octets = frame::ethernet(AWAY, HERE, ETHERTYPE_IPV4, &packet);
    let parsed = Ethernet::parse(&octets).and_then(|ethernet| Packet::parse(&octets, &ethernet));
    let pseudo = parsed.and_then(|packet| Some(packet.pseudo_sum(packet.transport?).folded()));
    let pseudo = pseudo.expect("a whole packet").to_be_bytes();
    octets[TRANSPORT + CHECKSUM..][..2].copy_from_slice(&pseudo);
    let vnet = VnetHeader::unfinished(TRANSPORT, CHECKSUM);
    (octets, vnet.segmented(Gso::TcpV4, TRANSPORT + TCP_HEADER, SEGMENT))
}

/// The segments of [`super_frame`], as they are inside the tunnel.
pub(super) fn segments() -> Vec<Vec<u8>> {
    let (frame, vnet) = super_frame();
    let ethernet = Ethernet::parse(&frame).expect("a header");
    let cut = Cut::new(&frame, &ethernet, &vnet).expect("a super-frame");
    let segment = |number| {
        let mut segment = vec![0; cut.header_len()];
        cut.write_header(&frame, number, &mut segment);
        segment.extend(&frame[cut.payload(number)]);
        segment
    };
    (0..cut.count()).map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::offload::{Member, Run};

    #[test]
    fn the_segments_are_intact_and_make_one_run() {
        let segments = segments();
        assert_eq!((segments.len(), segments[0].len()), (SEGMENTS, 14 + 1450));
        let member = |frame: &[u8]| {
            let member = Member::new(frame, &Ethernet::parse(frame).unwrap()).unwrap();
            assert!(member.is_intact(frame));
            member
        };
        let mut run = Run::new(&segments[0], member(&segments[0]));
        assert!(segments[1..].iter().all(|frame| run.join(frame, member(frame))));
    }
}
