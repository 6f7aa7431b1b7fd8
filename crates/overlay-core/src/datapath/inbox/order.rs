//! Whatever arrives, and however it is put together: what the VNIC is given is the same frames in the same order.

use super::super::twin::{Bench, Twin, point};
use super::super::{Arrival, Demux, MuxCounters};
use super::*;
use crate::offload::twin::{checked, segments, super_frame};
use crate::offload::{Gso, VnetHeader};
use crate::wire::{Ecn, Packet, Sum};
use proptest::prelude::*;
use std::sync::Arc;

/// What a flow's sender does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It sends so many octets, in segments.
    Send(usize),
    /// Its next frame is of another kind: see [`spoil`].
    Odd(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1usize..12_000).prop_map(Step::Send),
        2 => (0u8..10).prop_map(Step::Odd),
    ];
    prop::collection::vec(step, 1..6)
}

/// A flow: TCP or UDP over IPv4 or IPv6, with a tag or without, with TCP options, in segments of a length.
#[derive(Debug, Clone)]
struct Flow {
    kind: usize,
    tagged: bool,
    options: usize,
    size: usize,
    steps: Vec<Step>,
}

fn flow() -> impl Strategy<Value = Flow> {
    let parts = (0usize..4, any::<bool>(), 0usize..11, 200usize..1300, steps());
    parts.prop_map(|(kind, tagged, options, size, steps)| Flow { kind, tagged, options, size, steps })
}

impl Flow {
    fn gso(&self) -> (Gso, bool) {
        [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false), (Gso::Udp, true)][self.kind]
    }

    /// Where its IP header begins, and its transport's.
    fn offsets(&self) -> (usize, usize) {
        let ip = if self.tagged { 18 } else { 14 };
        (ip, ip + if self.gso().1 { 40 } else { 20 })
    }

    /// A super-frame of it to the bench's VNIC, from an address that tells it, with the sequence and identification that
    /// are next, and the last segment's flags.
    fn super_frame(
        &self,
        bench: &Bench,
        number: u8,
        len: usize,
        (sent, packets, flags): (usize, usize, u8),
    ) -> (Vec<u8>, VnetHeader) {
        let ((gso, v6), (ip, transport)) = (self.gso(), self.offsets());
        let (mut frame, vnet) = super_frame(gso, v6, self.tagged, self.options, len, self.size);
        frame[..6].copy_from_slice(&bench.mac(0).0);
        // The last octet of the source address.
        let address = ip + if v6 { 23 } else { 15 };
        frame[address] = number;
        if gso != Gso::Udp {
            frame[transport + 4..][..4].copy_from_slice(&(sent as u32).to_be_bytes());
            frame[transport + 13] = flags;
        }
        if !v6 {
            frame[ip + 4..][..2].copy_from_slice(&(packets as u16).to_be_bytes());
        }
        // The sum of the pseudo-header anew.
        checked(&mut frame);
        (frame, vnet)
    }

    /// All frames that it sends.
    fn frames(&self, bench: &Bench, number: u8) -> Vec<Vec<u8>> {
        let (mut all, mut sent) = (Vec::<Vec<u8>>::new(), 0xffff_f000);
        for step in &self.steps {
            let (len, flags) = match step {
                Step::Send(len) => (*len, 0x18),
                // FIN, SYN, or nothing in particular.
                Step::Odd(0) => (100, 0x11),
                Step::Odd(1) => (100, 0x12),
                Step::Odd(_) => (100, 0x10),
            };
            let (frame, vnet) = self.super_frame(bench, number, len, (sent, all.len(), flags));
            let mut parts = segments(&frame, &vnet);
            if let Step::Odd(how) = step {
                self.spoil(&mut parts[0], *how);
            }
            sent += len;
            all.extend(parts);
        }
        all
    }

    /// Makes a frame one that no run takes, or not this one.
    fn spoil(&self, frame: &mut Vec<u8>, how: u8) {
        let ((gso, v6), (ip, transport)) = (self.gso(), self.offsets());
        let last = frame.len() - 1;
        match how {
            // Its flags, or nothing.
            0..3 => {}
            // A wrong checksum.
            3 => frame[last] ^= 1,
            // Cut off.
            4 => frame.truncate(last),
            // What looks like a fragment.
            5 if v6 => frame[ip + 6] = 44,
            5 => frame[ip + 6] = 0x20,
            // Ethernet padding, which belongs to the frame.
            6 => frame.extend([0x77; 6]),
            // Another version of IP; a header that is longer than the packet.
            7 => frame[ip] ^= 0xf0,
            8 if gso != Gso::Udp => frame[transport + 12] = 0xf0,
            // No checksum at all.
            _ => frame[transport + if gso == Gso::Udp { 6 } else { 16 }..][..2].fill(0),
        }
    }
}

/// What the VNIC was given, cut into frames again where it was given runs.
fn given(bench: &Bench) -> Vec<Vec<u8>> {
    let cut = |(vnet, frame): (VnetHeader, Vec<u8>)| match vnet.segmentation() {
        Some(_) => segments(&frame, &vnet),
        None => vec![frame],
    };
    bench.taken_with_headers(0).into_iter().flat_map(cut).collect()
}

/// The frames of all flows, in an order that keeps each flow's own.
fn interleaved(flows: &[Vec<Vec<u8>>], turns: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut left: Vec<_> = flows.iter().map(|frames| frames.iter().cloned()).collect();
    let mut all: Vec<_> = turns.iter().filter_map(|turn| left[turn.index(flows.len())].next()).collect();
    all.extend(left.into_iter().flatten());
    all
}

/// The datagrams with these frames, as the system hands them over: some in trains of one length, of which only the last
/// is shorter. What cannot be read begins no train: nobody could say where its datagram ends.
fn arrivals(frames: &[Vec<u8>], together: &[bool]) -> Vec<(Vec<u8>, Option<usize>)> {
    let mut all: Vec<(Vec<u8>, Option<usize>, bool)> = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let datagram = [&[8, 0, 0, 0, 0, 0, 23, 0][..], frame].concat();
        let joins = together.get(number % together.len().max(1)).copied().unwrap_or(false);
        if let Some((octets, Some(len), open)) = all.last_mut()
            && joins
            && *open
            && datagram.len() <= *len
            && octets.len() + datagram.len() < 65_507
        {
            *open = datagram.len() == *len;
            octets.extend(datagram);
            continue;
        }
        let readable = Ethernet::parse(frame).and_then(|ethernet| Packet::parse(frame, &ethernet)).is_some();
        all.push((datagram.clone(), Some(datagram.len()), readable));
    }
    all.into_iter().map(|(octets, len, _)| (octets, len)).collect()
}

fn receive_all(demux: &Demux<Twin>, arrivals: &[(Vec<u8>, Option<usize>)]) {
    let mut inbox = Inbox::default();
    for (octets, train) in arrivals {
        demux.receive(
            &Arrival { sender: point().ip(), octets, cut: false, train: *train, ecn: Ecn::NotEct },
            &mut inbox,
        );
    }
    inbox.finish();
}

/// Receives all of it as one batch; says how many datagrams the socket counts.
fn receive(bench: Bench, arrivals: &[(Vec<u8>, Option<usize>)]) -> (u64, Bench) {
    let counters = Arc::new(MuxCounters::default());
    let Bench { overlay, hasher, now, desk, targets } = bench;
    let overlay = Arc::new(overlay);
    let demux = Demux::new(overlay.settings().encap, [Arc::clone(&overlay)], Arc::clone(&counters));
    receive_all(&demux, arrivals);
    drop(demux);
    let overlay = Arc::into_inner(overlay).expect("nobody else has it");
    let datagrams = counters.datagrams.load(std::sync::atomic::Ordering::Relaxed);
    (datagrams, Bench { overlay, hasher, now, desk, targets })
}

proptest! {
    #[test]
    fn what_is_merged_and_split_again_is_the_same_frames_in_the_same_order(
        flows in prop::collection::vec(flow(), 1..12),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 200),
        together in prop::collection::vec(any::<bool>(), 1..64),
    ) {
        let bench = Bench::new(&[None]);
        let sent: Vec<_> = flows.iter().zip(1..).map(|(flow, number)| flow.frames(&bench, number)).collect();
        let frames = interleaved(&sent, &turns);
        let (datagrams, bench) = receive(bench, &arrivals(&frames, &together));
        prop_assert_eq!(datagrams, frames.len() as u64);
        bench.check_counters();
        let given = given(&bench);
        prop_assert_eq!(given.len(), frames.len(), "{:?}", bench.drops());
        for (number, (flow, frames)) in flows.iter().zip(&sent).enumerate() {
            let (ip, v6) = (flow.offsets().0, flow.gso().1);
            let address = ip + if v6 { 23 } else { 15 };
            let is_of = |frame: &&Vec<u8>| {
                frame[..ip] == frames[0][..ip] && frame[address] == number as u8 + 1
            };
            let of_flow: Vec<_> = given.iter().filter(is_of).collect();
            prop_assert_eq!(of_flow, frames.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_split_and_merged_again_is_the_same_super_frame(
        flow in flow(), len in 2000usize..60_000, alone: bool,
    ) {
        let bench = Bench::new(&[None]);
        let (frame, vnet) = flow.super_frame(&bench, 1, len, (0xffff_f000, 0xffff, 0x18));
        let parts = segments(&frame, &vnet);
        let (_, bench) = receive(bench, &arrivals(&parts, &[!alone]));
        let taken = bench.taken_with_headers(0);
        if parts.len() <= RUN_SEGMENTS {
            prop_assert_eq!(taken, vec![(vnet, complete(frame))]);
        } else {
            prop_assert_eq!(taken.len(), parts.len().div_ceil(RUN_SEGMENTS));
        }
    }
}

/// The frame with the checksum of its IP header right, which a device may leave as it is.
fn complete(mut frame: Vec<u8>) -> Vec<u8> {
    let ethernet = Ethernet::parse(&frame).unwrap();
    if frame[ethernet.header_len] >> 4 == 4 {
        let ip = ethernet.header_len..ethernet.header_len + 20;
        frame[ip.start + 10..][..2].fill(0);
        let checksum = Sum::default().plus(&frame[ip.clone()]).checksum();
        frame[ip.start + 10..][..2].copy_from_slice(&checksum.to_be_bytes());
    }
    frame
}

#[test]
fn segments_that_arrive_as_datagrams_of_their_own_become_one() {
    let bench = Bench::new(&[None]);
    let flow = Flow { kind: 0, tagged: false, options: 3, size: 1000, steps: vec![Step::Send(20_000)] };
    let frames = flow.frames(&bench, 1);
    let (_, bench) = receive(bench, &arrivals(&frames, &[false]));
    assert_eq!((bench.taken(0).len(), bench.overlay.counters().info().to_devices), (1, 20));
}
