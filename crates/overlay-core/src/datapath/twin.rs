//! An overlay whose devices are lists, for the tests of this folder.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{
    Departure, Device, DeviceError, FrameBuf, Load, Overlay, OverlayCounters, OverlaySettings, Port,
    PortSettings,
};
use crate::encap;
use crate::lookup::{Sources, TargetMode};
use crate::offload::{VNET_HEADER, VnetHeader};
use crate::types::{LinkId, MacAddr, OverlayMtu, VlanId, VnetId};
use crate::wire::FlowHasher;
use proptest::prelude::*;

pub(super) const ANY: MacAddr = MacAddr::BROADCAST;

#[derive(Debug, Default)]
pub(super) struct Twin {
    down: AtomicBool,
    /// Whether it refuses super-frames.
    plain: AtomicBool,
    taken: Mutex<Vec<(VnetHeader, Vec<u8>)>>,
}

impl Device for Twin {
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(DeviceError::Down);
        }
        if header.segmentation().is_some() && self.plain.load(Ordering::Relaxed) {
            return Err(DeviceError::Full);
        }
        self.taken.lock().unwrap().push((header, [pieces.concat(), more.concat()].concat()));
        Ok(())
    }
}

pub(super) struct Bench {
    pub(super) overlay: Overlay<Twin>,
    hasher: FlowHasher,
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
            vnetid: VnetId::new(23).unwrap(),
            encap: encap::ENCAPS[0],
            mtu: OverlayMtu::default(),
            active: true,
            target: Some(TargetMode::Point(point())),
            sources: Some(Sources::known([point().ip()])),
        };
        change(&mut settings);
        let ports = vids
            .iter()
            .zip(1..)
            .map(|(vid, number)| Arc::new(Port::new(vnic(number, *vid), Twin::default())));
        let overlay = Overlay::new(settings, Arc::new(OverlayCounters::default()), ports.collect());
        Self { overlay, hasher: FlowHasher::default() }
    }

    pub(super) fn transmit(&self, from: usize, octets: &[u8]) -> Option<(Departure, Vec<u8>)> {
        let mut frame = FrameBuf::default();
        frame.space()[VNET_HEADER..][..octets.len()].copy_from_slice(octets);
        frame.fill(VNET_HEADER + octets.len());
        let departure = self.overlay.transmit(&self.overlay.ports()[from], &mut frame, &self.hasher)?;
        Some((departure, frame.octets().to_vec()))
    }

    pub(super) fn mac(&self, port: usize) -> MacAddr {
        self.overlay.ports()[port].settings.mac
    }

    pub(super) fn taken(&self, port: usize) -> Vec<Vec<u8>> {
        self.taken_with_headers(port).into_iter().map(|(_, frame)| frame).collect()
    }

    /// What a port was given, with its virtio headers.
    pub(super) fn taken_with_headers(&self, port: usize) -> Vec<(VnetHeader, Vec<u8>)> {
        self.overlay.ports()[port].device.taken.lock().unwrap().clone()
    }

    pub(super) fn set_down(&self, port: usize) {
        self.overlay.ports()[port].device.down.store(true, Ordering::Relaxed);
    }

    pub(super) fn refuse_super_frames(&self, port: usize) {
        self.overlay.ports()[port].device.plain.store(true, Ordering::Relaxed);
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
        let (come, gone) =
            (info.from_devices + info.from_wire + info.copies, info.to_devices + info.to_wire + drops);
        assert_eq!(come, gone, "{info:?}");
    }
}

fn vnic(number: u32, vid: Option<VlanId>) -> PortSettings {
    let link = LinkId(number.try_into().unwrap());
    PortSettings { link, mac: MacAddr([2, 8, 0x20, 0, 0, number as u8]), vid, mtu: OverlayMtu::default() }
}

proptest! {
    #[test]
    fn frames_in_are_frames_out_and_drops(
        frames in prop::collection::vec((0u8..6, any::<bool>(), 0usize..1600, prop::option::of(0u8..9)), 0..60),
        down in 0usize..3,
    ) {
        let bench = Bench::new(&[None, VlanId::new(7).ok(), VlanId::new(7).ok()]);
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
}
