//! Super-frames made by hand, for tests.

use super::{Cut, Gso, VnetHeader};
use crate::wire::{Ethernet, Packet};

/// A super-frame with its virtio header: `options` words of TCP options, `len` octets of payload, a tag or none.
pub(crate) fn super_frame(
    gso: Gso,
    v6: bool,
    tagged: bool,
    options: usize,
    len: usize,
    size: usize,
) -> (Vec<u8>, VnetHeader) {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if tagged {
        frame.extend([0x81, 0, 0, 7]);
    }
    let transport = match gso {
        Gso::Udp => udp_header(len),
        Gso::TcpV4 | Gso::TcpV6 => tcp_header(options),
    };
    let protocol = if gso == Gso::Udp { 17 } else { 6 };
    frame.extend(if v6 {
        v6_header(protocol, transport.len() + len)
    } else {
        v4_header(protocol, transport.len() + len)
    });
    let start = frame.len();
    frame.extend(&transport);
    frame.extend((0..len).map(|place| (place * 7) as u8));
    let offset = if gso == Gso::Udp { 6 } else { 16 };
    finish_pseudo(&mut frame, start + offset);
    (frame, VnetHeader::unfinished(start, offset).segmented(gso, start + transport.len(), size))
}

fn v4_header(protocol: u8, len: usize) -> Vec<u8> {
    let [high, low] = (20 + len as u16).to_be_bytes();
    vec![8, 0, 0x45, 0, high, low, 0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
}

fn v6_header(protocol: u8, len: usize) -> Vec<u8> {
    let [high, low] = (len as u16).to_be_bytes();
    let mut header = vec![0x86, 0xdd, 0x60, 0, 0, 0, high, low, protocol, 64];
    header.extend((0..32).map(|place| place * 3));
    header
}

fn tcp_header(options: usize) -> Vec<u8> {
    let mut header =
        vec![0, 80, 0, 81, 0xff, 0xff, 0xff, 0, 0, 0, 0, 2, (5 + options as u8) << 4, 0x99, 1, 0, 0, 0, 0, 0];
    header.extend(std::iter::repeat_n(1, options * 4));
    header
}

fn udp_header(len: usize) -> Vec<u8> {
    let [high, low] = (8 + len as u16).to_be_bytes();
    vec![0, 80, 0, 81, high, low, 0, 0]
}

/// The frames that a super-frame is cut into.
pub(crate) fn segments(frame: &[u8], vnet: &VnetHeader) -> Vec<Vec<u8>> {
    let cut = Cut::new(frame, &Ethernet::parse(frame).unwrap(), vnet).unwrap();
    let segment = |number| {
        let mut segment = vec![0xee; cut.header_len()];
        cut.write_header(frame, number, &mut segment);
        segment.extend(&frame[cut.payload(number)]);
        segment
    };
    (0..cut.count()).map(segment).collect()
}

/// Puts the sum of the pseudo-header where the checksum is to be.
fn finish_pseudo(frame: &mut [u8], at: usize) {
    let packet = Packet::parse(frame, &Ethernet::parse(frame).unwrap()).unwrap();
    let sum = packet.pseudo_sum(packet.transport.unwrap()).folded();
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Puts the sum of the pseudo-header where the checksum of a changed super-frame is to be.
pub(crate) fn checked(frame: &mut [u8]) {
    let ethernet = Ethernet::parse(frame).unwrap();
    let packet = Packet::parse(frame, &ethernet).unwrap();
    let at = packet.payload_offset + packet.transport.unwrap().checksum_offset();
    finish_pseudo(frame, at);
}
