use super::super::DeviceError;
use super::super::twin::{Bench, frame_to, point};
use super::*;
use crate::offload::Gso;
use crate::offload::twin::{segments, super_frame};
use proptest::prelude::*;

/// The segments of a stream to the bench's first VNIC, from a port that tells its flow.
fn stream(bench: &Bench, flow: u8, v6: bool, len: usize) -> Vec<Vec<u8>> {
    let gso = if v6 { Gso::TcpV6 } else { Gso::TcpV4 };
    let (mut frame, vnet) = super_frame(gso, v6, false, 3, len, 1000);
    let transport = if v6 { 54 } else { 34 };
    frame[..6].copy_from_slice(&bench.mac(0).0);
    frame[transport + 1] = flow;
    frame[transport + 13] = 0x18;
    segments(&frame, &vnet)
}

/// What the VNIC was given, cut into frames again where it was given runs.
fn given(bench: &Bench) -> Vec<Vec<u8>> {
    let cut = |(vnet, frame): (crate::offload::VnetHeader, Vec<u8>)| match vnet.segmentation() {
        Some(_) => segments(&frame, &vnet),
        None => vec![frame],
    };
    bench.taken_with_headers(0).into_iter().flat_map(cut).collect()
}

proptest! {
    #[test]
    fn interleaved_flows_arrive_as_the_same_frames_in_the_same_order(
        flows in prop::collection::vec((any::<bool>(), 1usize..20_000), 1..12),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 300),
    ) {
        let bench = Bench::new(&[None]);
        let streams: Vec<_> = flows.iter().zip(1..).map(|((v6, len), flow)| stream(&bench, flow, *v6, *len)).collect();
        let mut left: Vec<_> = streams.iter().map(|stream| stream.iter()).collect();
        let mut inbox = Inbox::default();
        for turn in turns {
            if let Some(frame) = turn.get(&left).clone().next() {
                left[turn.index(streams.len())].next();
                inbox.take(&bench.overlay, point().ip(), frame);
            }
        }
        left.iter_mut().flatten().for_each(|frame| inbox.take(&bench.overlay, point().ip(), frame));
        inbox.finish();
        let given = given(&bench);
        for stream in &streams {
            let of_flow: Vec<_> = given.iter().filter(|frame| stream.contains(frame)).cloned().collect();
            prop_assert_eq!(&of_flow, stream);
        }
        bench.check_counters();
    }
}

#[test]
fn a_run_is_one_write_and_many_frames() {
    let bench = Bench::new(&[None]);
    let stream = stream(&bench, 1, false, 20_000);
    let mut inbox = Inbox::default();
    stream.iter().for_each(|frame| inbox.take(&bench.overlay, point().ip(), frame));
    inbox.finish();
    assert_eq!((bench.taken(0).len(), bench.overlay.counters().info().to_devices), (1, 20));
}

fn take_all(bench: &Bench, frames: &[Vec<u8>]) {
    let mut inbox = Inbox::default();
    frames.iter().for_each(|frame| inbox.take(&bench.overlay, point().ip(), frame));
    inbox.finish();
    bench.check_counters();
}

#[test]
fn a_device_that_refuses_super_frames_gets_the_frames() {
    for (vid, how) in [
        (None, DeviceError::Full),
        (None, DeviceError::Refused),
        (crate::types::VlanId::new(7).ok(), DeviceError::Refused),
    ] {
        let bench = Bench::new(&[vid]);
        bench.refuse_super_frames(0, how);
        let plain = stream(&bench, 1, false, 20_000);
        let mut tagged = plain.clone();
        if vid.is_some() {
            tagged.iter_mut().for_each(|frame| drop(frame.splice(12..12, [0x81, 0, 0, 7])));
        }
        take_all(&bench, &tagged);
        assert_eq!(bench.taken(0), plain);
        assert_eq!(bench.overlay.counters().info().to_devices, plain.len() as u64);
    }
}

#[test]
fn a_device_that_does_not_know_a_kind_of_super_frame_gets_none_of_it_any_more() {
    let bench = Bench::new(&[None]);
    bench.refuse_super_frames(0, DeviceError::Refused);
    take_all(&bench, &stream(&bench, 1, false, 20_000));
    bench.take_super_frames(0);
    take_all(&bench, &stream(&bench, 2, false, 20_000));
    assert_eq!(bench.taken(0).len(), 40, "it is not asked again");
    take_all(&bench, &stream(&bench, 3, true, 20_000));
    assert_eq!(bench.taken(0).len(), 41, "another kind goes whole");
    let info = bench.overlay.ports()[0].offloads().info();
    assert_eq!((info.off, info.refused), (vec!["runs-tcp4".to_owned()], 1));
}

#[test]
fn a_device_without_memory_is_given_super_frames_again() {
    let bench = Bench::new(&[None]);
    bench.refuse_super_frames(0, DeviceError::Full);
    take_all(&bench, &stream(&bench, 1, false, 20_000));
    bench.take_super_frames(0);
    take_all(&bench, &stream(&bench, 2, false, 20_000));
    assert_eq!(bench.taken(0).len(), 21);
    let info = bench.overlay.ports()[0].offloads().info();
    assert_eq!((info.off.len(), info.refused), (0, 1));
}

#[test]
fn frames_of_a_refused_super_frame_are_counted_each_by_its_own_fate() {
    let bench = Bench::new(&[None]);
    bench.refuse_super_frames(0, DeviceError::Refused);
    bench.bound(0, 7);
    take_all(&bench, &stream(&bench, 1, false, 20_000));
    let info = bench.overlay.counters().info();
    assert_eq!((info.to_devices, bench.drops()), (7, vec![("device-full", 13)]));
    let link = bench.overlay.ports()[0].counters().link();
    assert_eq!((link.in_frames, link.in_drops), (7, 13));
}

#[test]
fn frames_that_stand_alone_are_given_as_they_are() {
    let bench = Bench::new(&[None]);
    let frame = frame_to(bench.mac(0), 60);
    let mut inbox = Inbox::default();
    inbox.take(&bench.overlay, point().ip(), &frame);
    inbox.take(&bench.overlay, point().ip(), &frame[..13]);
    inbox.finish();
    assert_eq!((bench.taken(0), bench.drops()), (vec![frame], vec![("runt", 1)]));
}
