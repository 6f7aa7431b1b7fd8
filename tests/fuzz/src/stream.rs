//! Flows of TCP and UDP, right in every octet unless the fuzzer wants it otherwise.

use overlay_core::wire::{Ethernet, Packet, Sum};

use crate::datapath::mac;

/// Octets that say what one frame is to be: which flow and how, its length, and an octet that is changed.
const ORDER: usize = 4;

/// Flows of each of four kinds.
const FLOWS: usize = 2;

/// Where each flow is: TCP and UDP over IPv4 and IPv6, two of each.
#[derive(Default)]
pub(crate) struct Streams([Place; 4 * FLOWS]);

#[derive(Default, Clone, Copy)]
struct Place {
    sequence: u32,
    packets: u16,
}

impl Streams {
    /// The frames that some octets order.
    pub(crate) fn frames(mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        octets.as_chunks::<ORDER>().0.iter().map(|order| self.frame(*order)).collect()
    }

    fn frame(&mut self, [how, len, at, value]: [u8; ORDER]) -> Vec<u8> {
        let flow = usize::from(how & 7);
        let (tcp, v6, len) = (how & 1 == 0, how & 2 != 0, usize::from(len) * 5);
        let place = &mut self.0[flow];
        let mut frame = [&mac(1).0[..], &mac(5).0].concat();
        let transport = transport(tcp, how, place.sequence, len);
        frame.extend(ip(tcp, v6, flow as u8, place.packets, transport.len() + len));
        frame.extend(transport);
        frame.extend((0..len).map(|octet| octet as u8 ^ how));
        seal(&mut frame);
        place.sequence = place.sequence.wrapping_add(len as u32);
        place.packets = place.packets.wrapping_add(1);
        let target = 12 + usize::from(at);
        if how & 0x20 != 0 && target < frame.len() {
            frame[target] = value;
            if how & 0x40 != 0 {
                seal(&mut frame);
            }
        }
        if how & 0x80 != 0 {
            frame.extend([value; 3]);
        }
        frame
    }
}

fn transport(tcp: bool, how: u8, sequence: u32, len: usize) -> Vec<u8> {
    if !tcp {
        let len = (8 + len as u16).to_be_bytes();
        return [&[0, 80, 4, 0][..], &len, &[0, 0]].concat();
    }
    let push = if how & 0x10 == 0 { 0 } else { 8 };
    let rest = [0, 0, 0, 9, 0x80, 0x10 | push, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    [&[0, 80, 4, 0][..], &sequence.to_be_bytes(), &rest].concat()
}

fn ip(tcp: bool, v6: bool, flow: u8, number: u16, len: usize) -> Vec<u8> {
    let protocol = if tcp { 6 } else { 17 };
    if v6 {
        let [high, low] = (len as u16).to_be_bytes();
        let head = [0x86, 0xdd, 0x60, 0, 0, 0, high, low, protocol, 64];
        let (mut from, to) = ([0xfd; 16], [0xfc; 16]);
        from[15] = flow;
        return [&head[..], &from, &to].concat();
    }
    let ([high, low], [first, second]) = ((20 + len as u16).to_be_bytes(), number.to_be_bytes());
    let head =
        [8, 0, 0x45, 0, high, low, first, second, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, flow, 10, 0, 0, 9];
    head.to_vec()
}

/// Makes the checksums right, where there is a packet with some.
fn seal(frame: &mut [u8]) {
    let Some(ethernet) = Ethernet::parse(frame) else { return };
    let Some(packet) = Packet::parse(frame, &ethernet) else { return };
    let (v6, at, end) = (packet.v6, packet.payload_offset, packet.payload_offset + packet.payload.len());
    let transport = packet.transport.map(|transport| (transport, packet.pseudo_sum(transport)));
    if !v6 {
        let ip = ethernet.header_len;
        frame[ip + 10..ip + 12].fill(0);
        let checksum = Sum::default().plus(&frame[ip..at]).checksum();
        frame[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
    }
    if let Some((transport, pseudo)) = transport {
        let field = at + transport.checksum_offset();
        frame[field..field + 2].fill(0);
        let checksum = transport.checksum(pseudo.plus(&frame[at..end]));
        frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}
