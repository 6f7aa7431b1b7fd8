//! Whatever a VNIC's owner or a tunnel end makes up: nothing panics, and every frame is counted once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::twin::{ANY, Bench, Twin, point};
use super::{Arrival, Demux, Departure, Inbox, MuxCounters, Overlay};
use crate::offload::twin::super_frame;
use crate::offload::{Gso, VNET_HEADER, VnetHeader};
use crate::types::{MacAddr, VlanId};
use crate::wire::Ecn;
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

/// A super-frame of any kind with its virtio header, of which some octets are changed.
fn lies() -> impl Strategy<Value = (Vec<u8>, VnetHeader)> {
    let frame = (0usize..4, any::<bool>(), 0usize..11, 1usize..9000, 0usize..3000);
    let places = prop::collection::vec((0usize..100, any::<u8>()), 0..6);
    let header = prop::collection::vec((0usize..VNET_HEADER, any::<u8>()), 0..6);
    (frame, places, header, prop::option::of(0usize..200)).prop_map(|(frame, places, header, cut)| {
        let (kind, tagged, options, len, size) = frame;
        let (gso, v6) = [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false), (Gso::Udp, true)][kind];
        let (mut frame, vnet) = super_frame(gso, v6, tagged, options, len, size);
        let mut vnet = vnet.as_bytes().to_vec();
        for (place, octet) in header {
            vnet[place] = octet;
        }
        for (place, octet) in places.into_iter().filter(|(place, _)| *place >= 12) {
            frame.get_mut(place).into_iter().for_each(|one| *one = octet);
        }
        frame.truncate(cut.unwrap_or(frame.len()));
        (frame, VnetHeader::read_from_bytes(&vnet).unwrap())
    })
}

/// Sends a frame as the worker does, all datagrams written.
fn transmit(bench: &Bench, from: usize, octets: &[u8], vnet: VnetHeader) {
    if let Some((departure, octets)) = bench.transmit_with(from, octets, vnet) {
        depart(bench, &departure, &octets);
    }
}

fn depart(bench: &Bench, departure: &Departure, frame: &[u8]) {
    let mtu = bench.overlay.settings().mtu;
    for segment in departure.cut.iter().flat_map(|cut| (0..cut.count()).map(move |segment| (cut, segment))) {
        let (cut, segment) = segment;
        let mut header = vec![0; cut.header_len()];
        cut.write_header(frame, segment, &mut header);
        assert!(header.len() + cut.payload(segment).len() <= mtu.frame_limit(26), "{departure:?}");
    }
    bench.overlay.counters().sent(departure.load);
}

fn counted(counters: &MuxCounters, overlay: &Overlay<Twin>) -> (u64, u64) {
    let [datagrams, bad_header, unknown] =
        [&counters.datagrams, &counters.bad_header, &counters.unknown_vnetid]
            .map(|counter| counter.load(Ordering::Relaxed));
    (datagrams, bad_header + unknown + overlay.counters().info().from_wire)
}

/// What claims to be several datagrams received as one.
#[derive(Debug, Clone)]
struct Claim {
    octets: Vec<u8>,
    cut: bool,
    train: Option<usize>,
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let shape = (0usize..5, any::<bool>(), 0usize..70_000, 0usize..4);
    let claim = (lies(), shape, 1usize..50).prop_map(|((frame, _), (to, cut, train, how), count)| {
        let header = [8, 0, 0, 0, 0, 0, if to == 4 { 24 } else { 23 }, 0];
        let one =
            [&header[..], &MacAddr([2, 8, 0x20, 0, 0, to as u8]).0, &frame[6.min(frame.len())..]].concat();
        let count = count.min(65_536 / one.len());
        let mut octets = one.repeat(count.max(1));
        octets.truncate(65_536);
        let train = match how {
            0 => None,
            1 => Some(one.len()),
            2 => Some(train % 3),
            _ => Some(train),
        };
        Claim { octets, cut, train }
    });
    prop::collection::vec(claim, 1..6)
}

proptest! {
    #[test]
    fn a_virtio_header_may_lie_about_anything((frame, vnet) in lies(), to in 0usize..4, from in 0usize..3) {
        let bench = Bench::new(&[None, None, VlanId::new(7).ok()]);
        let mut frame = frame;
        let destination = if to == 3 { ANY } else { MacAddr([2, 8, 0x20, 0, 0, to as u8 + 1]) };
        frame.iter_mut().zip(destination.0).for_each(|(octet, new)| *octet = new);
        transmit(&bench, from, &frame, vnet);
        bench.check_counters();
        let info = bench.overlay.counters().info();
        prop_assert!(info.from_devices >= 1);
        prop_assert_eq!(info.from_devices, bench.overlay.ports()[from].counters().link().out_frames);
    }

    #[test]
    fn a_train_may_claim_anything_of_its_datagrams(claims in claims()) {
        let bench = Bench::new(&[None, VlanId::new(7).ok(), None]);
        let counters = Arc::new(MuxCounters::default());
        let overlay = Arc::new(bench.overlay);
        let demux = Demux::new(overlay.settings().encap, [Arc::clone(&overlay)], Arc::clone(&counters));
        let mut inbox = Inbox::default();
        for Claim { octets, cut, train } in &claims {
            demux.receive(&Arrival { sender: point().ip(), octets, cut: *cut, train: *train, ecn: Ecn::NotEct }, &mut inbox);
        }
        inbox.finish();
        let (datagrams, counted) = counted(&counters, &overlay);
        prop_assert!(datagrams >= claims.len() as u64);
        prop_assert_eq!(datagrams, counted);
        let info = overlay.counters().info();
        let drops: u64 = info.drops.iter().map(|drop| drop.frames).sum();
        prop_assert_eq!(info.from_wire + info.copies, info.to_devices + drops);
    }
}

fn info(frame: &[u8], vnet: VnetHeader) -> (u64, u64, Vec<(&'static str, u64)>) {
    let bench = Bench::new(&[None]);
    transmit(&bench, 0, frame, vnet);
    bench.check_counters();
    let info = bench.overlay.counters().info();
    (info.from_devices, info.to_wire, bench.drops())
}

#[test]
fn segments_of_no_octets_are_refused_and_of_one_are_sent() {
    for gso in [Gso::TcpV4, Gso::Udp] {
        let (frame, vnet) = super_frame(gso, false, false, 0, 300, 0);
        assert_eq!(info(&frame, vnet), (1, 0, vec![("bad-super-frame", 1)]));
        let (frame, vnet) = super_frame(gso, false, false, 0, 300, 1);
        assert_eq!(info(&frame, vnet), (300, 300, vec![]));
    }
}

#[test]
fn a_stream_whose_header_passes_the_end_is_refused() {
    let (whole, vnet) = super_frame(Gso::TcpV4, false, false, 0, 20, 8);
    for words in 0..16 {
        let mut frame = whole.clone();
        frame[46] = words << 4;
        // Twenty octets of header and twenty of payload: up to nine words leave some.
        let expected = if (5..10).contains(&words) { 0 } else { 1 };
        let refused = info(&frame, vnet).2;
        assert_eq!(refused.iter().map(|(_, count)| count).sum::<u64>(), expected, "{words}: {refused:?}");
    }
}
