use std::net::IpAddr;

use super::{Device, Inner, Overlay};
use crate::offload::{Member, RUN_SEGMENTS, Run};
use crate::wire::Ethernet;

/// Flows of which a run can be in the making at once.
const FLOWS: usize = 8;

/// What arrives in one batch, in which runs of a flow's frames become one before they are carried on.
///
/// Frames of one flow keep their order: one that does not join its flow's run sends that on first.
pub struct Inbox<'a, D> {
    open: [Option<Open<'a, D>>; FLOWS],
    next: usize,
}

/// A run in the making.
struct Open<'a, D> {
    overlay: &'a Overlay<D>,
    sender: IpAddr,
    ethernet: Ethernet,
    first: &'a [u8],
    run: Run,
    payloads: [&'a [u8]; RUN_SEGMENTS],
}

impl<D> Default for Inbox<'_, D> {
    fn default() -> Self {
        Self { open: [const { None }; FLOWS], next: 0 }
    }
}

impl<'a, D: Device> Inbox<'a, D> {
    /// Takes a frame that the tunnel end `sender` sent to `overlay`, its header taken off.
    pub fn take(&mut self, overlay: &'a Overlay<D>, sender: IpAddr, frame: &'a [u8]) {
        let Some(ethernet) = Ethernet::parse(frame) else {
            return overlay.receive(sender, frame, None);
        };
        let member = Member::new(frame, &ethernet).filter(|member| member.is_intact(frame));
        for place in 0..FLOWS {
            let Some(open) = &mut self.open[place] else { continue };
            if !open.is_of(overlay, sender) || !open.run.is_of_flow(frame, &ethernet) {
                continue;
            }
            if member.is_some_and(|member| open.join(frame, member)) {
                return;
            }
            self.send_on(place);
        }
        match member {
            Some(member) => self.begin(overlay, sender, ethernet, frame, member),
            None => overlay.receive(sender, frame, None),
        }
    }

    /// Takes a super-frame of datagrams of `datagram_len` octets, which never was on a wire.
    pub fn take_super(
        &mut self,
        overlay: &'a Overlay<D>,
        sender: IpAddr,
        frame: &'a [u8],
        datagram_len: usize,
    ) {
        self.finish();
        overlay.receive(sender, frame, Some(datagram_len));
    }

    /// Carries on everything that is in the making.
    pub fn finish(&mut self) {
        (0..FLOWS).for_each(|place| self.send_on(place));
    }

    fn begin(
        &mut self,
        overlay: &'a Overlay<D>,
        sender: IpAddr,
        ethernet: Ethernet,
        first: &'a [u8],
        member: Member,
    ) {
        let free = self.open.iter().position(Option::is_none);
        let place = free.unwrap_or(self.next);
        self.send_on(place);
        self.next = (place + 1) % FLOWS;
        let mut payloads = [&first[..0]; RUN_SEGMENTS];
        payloads[0] = &first[member.payload()];
        let run = Run::new(first, member);
        self.open[place] = Some(Open { overlay, sender, ethernet, first, run, payloads });
    }

    fn send_on(&mut self, place: usize) {
        let Some(mut open) = self.open[place].take() else { return };
        let count = open.run.segments();
        let inner = match count {
            1 => Inner::intact(open.first, open.ethernet),
            count => Inner::run(&mut open.run, &open.payloads[..count], open.ethernet),
        };
        open.overlay.receive_inner(open.sender, &inner);
    }
}

impl<'a, D> Open<'a, D> {
    fn is_of(&self, overlay: &Overlay<D>, sender: IpAddr) -> bool {
        std::ptr::eq(self.overlay, overlay) && self.sender == sender
    }

    fn join(&mut self, frame: &'a [u8], member: Member) -> bool {
        let place = self.run.segments();
        let joined = self.run.join(frame, member);
        if joined {
            self.payloads[place] = &frame[member.payload()];
        }
        joined
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_device_that_refuses_super_frames_gets_the_frames() {
        for vid in [None, crate::types::VlanId::new(7).ok()] {
            let bench = Bench::new(&[vid]);
            bench.refuse_super_frames(0);
            let plain = stream(&bench, 1, false, 20_000);
            let mut tagged = plain.clone();
            if vid.is_some() {
                tagged.iter_mut().for_each(|frame| drop(frame.splice(12..12, [0x81, 0, 0, 7])));
            }
            let mut inbox = Inbox::default();
            tagged.iter().for_each(|frame| inbox.take(&bench.overlay, point().ip(), frame));
            inbox.finish();
            assert_eq!(bench.taken(0), plain);
            bench.check_counters();
        }
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
}
