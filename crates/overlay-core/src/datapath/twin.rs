//! An overlay whose devices are lists, for the tests of this folder.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{
    Departure, Device, DeviceError, FrameBuf, Load, Outward, Overlay, OverlayCounters, OverlaySettings, Port,
    PortPolicy, PortSettings, Waiting,
};
use crate::encap;
use crate::lookup::{About, Desk, Released, Sources, TargetMode, TargetTable, Timing, Verdict};
use crate::offload::{Offload, OffloadSet, VNET_HEADER, VnetHeader};
use crate::types::{LinkId, MacAddr, Moment, VlanId, VnetId};
use crate::wire::FlowHasher;
use proptest::prelude::*;
use zerocopy::IntoBytes;

pub(super) const ANY: MacAddr = MacAddr::BROADCAST;

#[derive(Debug, Default)]
pub(super) struct Twin {
    down: AtomicBool,
    /// How it refuses super-frames, if it does.
    refusal: Mutex<Option<DeviceError>>,
    /// How many frames it still takes, if that is bounded.
    room: Mutex<Option<usize>>,
    taken: Mutex<Vec<(VnetHeader, Vec<u8>)>>,
}

impl Twin {
    /// The frames that it was given.
    pub(super) fn taken(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().iter().map(|(_, frame)| frame.clone()).collect()
    }

    /// The same, which it forgets.
    pub(super) fn take_away(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().drain(..).map(|(_, frame)| frame).collect()
    }
}

impl Device for Twin {
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(DeviceError::Down);
        }
        if let (Some(_), Some(refusal)) = (header.segmentation(), *self.refusal.lock().unwrap()) {
            return Err(refusal);
        }
        if let Some(room) = &mut *self.room.lock().unwrap() {
            *room = room.checked_sub(1).ok_or(DeviceError::Full)?;
        }
        self.taken.lock().unwrap().push((header, [pieces.concat(), more.concat()].concat()));
        Ok(())
    }

    fn offloads(&self) -> OffloadSet {
        OffloadSet::default().with(&Offload::ALL)
    }
}

pub(super) struct Bench {
    pub(super) overlay: Overlay<Twin>,
    pub(super) hasher: FlowHasher,
    pub(super) now: Moment,
    pub(super) desk: Arc<Desk>,
    pub(super) targets: Arc<TargetTable<Waiting>>,
}

pub(super) fn point() -> SocketAddr {
    "10.0.0.2:4789".parse().unwrap()
}

/// A frame of `len` octets to `destination`.
pub(super) fn frame_to(destination: MacAddr, len: usize) -> Vec<u8> {
    let mut frame = destination.0.to_vec();
    frame.extend([2, 0, 0, 0, 0, 0xfe, 0x88, 0xb5]);
    frame.resize(len, 0x5a);
    frame
}

impl Bench {
    /// An overlay at work, with a VNIC for each VLAN in `vids`.
    pub(super) fn new(vids: &[Option<VlanId>]) -> Self {
        Self::with(vids, |_| ())
    }

    pub(super) fn with(vids: &[Option<VlanId>], change: impl Fn(&mut OverlaySettings)) -> Self {
        let mut settings = OverlaySettings {
            target: Some(TargetMode::Point(point())),
            sources: Some(Sources::known([point().ip()])),
            ..OverlaySettings::plain(VnetId::new(23).unwrap(), encap::ENCAPS[0])
        };
        change(&mut settings);
        let ports = vids
            .iter()
            .zip(1..)
            .map(|(vid, number)| Arc::new(Port::new(vnic(number, *vid), Twin::default())));
        let desk = Arc::new(Desk::default());
        let timing = Timing { ageing: Some(5000), negative: 1000, timeout: 3000 };
        let targets = TargetTable::new(LinkId(99.try_into().unwrap()), Arc::clone(&desk), timing, 1000);
        let targets = Arc::new(targets);
        let counters = Arc::new(OverlayCounters::default());
        let overlay = Overlay::new(settings, counters, Arc::clone(&targets), ports.collect());
        Self { overlay, hasher: FlowHasher::default(), now: Moment(0), desk, targets }
    }

    /// Gives a VNIC another policy.
    pub(super) fn set_policy(&mut self, port: usize, policy: PortPolicy) {
        let mut ports = self.overlay.ports().to_vec();
        let settings = PortSettings { policy, ..ports[port].settings.clone() };
        ports[port] = Arc::new(ports[port].changed(settings));
        let (settings, counters) = (self.overlay.settings().clone(), Arc::clone(self.overlay.counters()));
        self.overlay = Overlay::new(settings, counters, Arc::clone(&self.targets), ports);
    }

    pub(super) fn transmit(&self, from: usize, octets: &[u8]) -> Option<(Departure, Vec<u8>)> {
        self.transmit_with(from, octets, VnetHeader::default())
    }

    /// Sends a frame with its virtio header; what departs, with the datagram or the super-frame.
    pub(super) fn transmit_with(
        &self,
        from: usize,
        octets: &[u8],
        vnet: VnetHeader,
    ) -> Option<(Departure, Vec<u8>)> {
        let mut frame = FrameBuf::default();
        frame.space()[..VNET_HEADER].copy_from_slice(vnet.as_bytes());
        frame.space()[VNET_HEADER..][..octets.len()].copy_from_slice(octets);
        frame.fill(VNET_HEADER + octets.len());
        let outward = Outward { hasher: &self.hasher, now: self.now };
        let departure = self.overlay.transmit(&self.overlay.ports()[from], &mut frame, outward)?;
        Some((departure, frame.octets().to_vec()))
    }

    /// Tells the table of a destination, and sends what it lets go.
    pub(super) fn answer(&self, mac: MacAddr, verdict: &Verdict) {
        self.targets.learn(About::Mac(mac), verdict, self.now, &mut |released| match released {
            Released::Go(waited, ends) => {
                let mut frame = FrameBuf::default();
                waited.restore(&mut frame);
                let departure = self.overlay.release(&waited, ends, &mut frame, &self.hasher);
                let count = departure.map_or(0, |departure| departure.ends.all().len());
                (0..count).for_each(|_| self.overlay.counters().sent(waited.load));
            }
            Released::Lose(waited, why) => self.overlay.refuse(&waited, why.into()),
        });
    }

    pub(super) fn mac(&self, port: usize) -> MacAddr {
        self.overlay.ports()[port].settings.mac
    }

    pub(super) fn taken(&self, port: usize) -> Vec<Vec<u8>> {
        self.taken_with_headers(port).into_iter().map(|(_, frame)| frame).collect()
    }

    /// What a port was given, with its virtio headers.
    pub(super) fn taken_with_headers(&self, port: usize) -> Vec<(VnetHeader, Vec<u8>)> {
        self.overlay.ports()[port].device().taken.lock().unwrap().clone()
    }

    pub(super) fn set_down(&self, port: usize) {
        self.overlay.ports()[port].device().down.store(true, Ordering::Relaxed);
    }

    pub(super) fn refuse_super_frames(&self, port: usize, how: DeviceError) {
        *self.overlay.ports()[port].device().refusal.lock().unwrap() = Some(how);
    }

    pub(super) fn take_super_frames(&self, port: usize) {
        *self.overlay.ports()[port].device().refusal.lock().unwrap() = None;
    }

    pub(super) fn bound(&self, port: usize, room: usize) {
        *self.overlay.ports()[port].device().room.lock().unwrap() = Some(room);
    }

    pub(super) fn sent(&self, len: usize) {
        self.overlay.counters().sent(Load { frames: 1, bytes: len });
    }

    pub(super) fn drops(&self) -> Vec<(&'static str, u64)> {
        let info = self.overlay.counters().info();
        info.drops.into_iter().map(|count| (&*count.reason.leak(), count.frames)).collect()
    }

    pub(super) fn check_counters(&self) {
        let info = self.overlay.counters().info();
        let drops: u64 = info.drops.iter().map(|count| count.frames).sum();
        let come = info.from_devices + info.from_wire + info.injected + info.copies;
        let gone = info.to_devices + info.to_wire + drops + info.waiting;
        assert_eq!(come, gone, "{info:?}");
    }
}

fn vnic(number: u32, vid: Option<VlanId>) -> PortSettings {
    let link = LinkId(number.try_into().unwrap());
    PortSettings { vid, ..PortSettings::plain(link, MacAddr([2, 8, 0x20, 0, 0, number as u8])) }
}

proptest! {
    #[test]
    fn frames_in_are_frames_out_and_drops(
        frames in prop::collection::vec((0u8..6, any::<bool>(), 0usize..1600, prop::option::of(0u8..9)), 0..60),
        down in 0usize..3, watches in any::<[bool; 3]>(),
    ) {
        let mut bench = Bench::new(&[None, VlanId::new(7).ok(), VlanId::new(7).ok()]);
        for (port, watches) in watches.into_iter().enumerate() {
            bench.set_policy(port, PortPolicy { promisc_filtered: !watches, ..PortPolicy::default() });
        }
        bench.set_down(down);
        for (to, from_wire, len, tag) in frames {
            let destination = match to { 0..3 => bench.mac(usize::from(to)), 3 => ANY, _ => MacAddr([2, 9, 9, 9, 9, to]) };
            let mut frame = frame_to(destination, len.max(14));
            if let Some(vid) = tag { frame.splice(12..12, [0x81, 0, 0, vid]); }
            frame.truncate(len);
            if from_wire {
                bench.overlay.receive(point().ip(), &frame, None);
            } else if let Some((departure, _)) = bench.transmit(len % 3, &frame) {
                bench.sent(departure.load.bytes);
            }
        }
        bench.check_counters();
    }

    #[test]
    fn frames_in_are_frames_out_drops_and_waiting_ones_while_destinations_are_asked_for(
        frames in prop::collection::vec((0u8..8, 0u8..6, 14usize..400), 0..80), watches: bool,
    ) {
        let mut bench = Bench::with(&[None, VlanId::new(7).ok(), None], |settings| settings.target = Some(TargetMode::Dynamic));
        bench.set_policy(2, PortPolicy { promisc_filtered: !watches, ..PortPolicy::default() });
        for (to, answer, len) in frames {
            let destination = match to { 0..3 => bench.mac(usize::from(to)), 3 => ANY, _ => MacAddr([2, 9, 9, 9, 9, to]) };
            if let Some((departure, _)) = bench.transmit(len % 3, &frame_to(destination, len)) {
                departure.ends.all().iter().for_each(|_| bench.sent(departure.load.bytes));
            }
            let verdict = match answer {
                0 => Verdict::Absent,
                1 => Verdict::Unknown,
                2 => Verdict::Found(vec![]),
                3 => Verdict::Found(vec![point()]),
                4 => Verdict::Found(vec![point(), "10.0.0.3:4789".parse().unwrap()]),
                _ => continue,
            };
            bench.answer(destination, &verdict);
            bench.check_counters();
        }
    }
}
