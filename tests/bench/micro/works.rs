use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use overlay_core::datapath::{
    FrameBuf, Outward, Overlay, OverlayCounters, OverlaySettings, Port, PortPolicy, PortSettings, Protection,
    Waiting,
};
use overlay_core::encap::ENCAPS;
use overlay_core::lookup::{About, Desk, Fate, Sources, TargetMode, TargetTable, Timing, Verdict};
use overlay_core::offload::{Cut, Member, Run, VNET_HEADER};
use overlay_core::types::{LinkId, MacAddr, Moment, OverlayMtu, VnetId};
use overlay_core::wire::{Ethernet, FlowHasher, Packet, Sum};
use overlay_tests::{VNETID, frame};

use super::frames::{self, HERE, SEGMENTS};
use crate::hits::Nowhere;
use crate::rigs::MTU;

/// A micro-benchmark.
pub(super) struct Work {
    pub(super) name: &'static str,
    /// What is done once.
    pub(super) title: &'static str,
    /// How often it is done in the shorter of two runs.
    pub(super) times: u64,
    /// Prepares it and does it so many times.
    pub(super) run: fn(u64),
}

/// The name by which the function that is counted is found.
pub(super) const COUNTED: &str = "*counted_steps*";

/// All of them.
pub(super) static WORKS: &[Work] = &[
    Work {
        name: "parse",
        title: "read a datagram's headers: VXLAN, Ethernet, IPv4 and TCP",
        times: 10_000,
        run: parse,
    },
    Work {
        name: "hit-1000",
        title: "find a known target among 1,000",
        times: 100_000,
        run: |times| hit(1000, times),
    },
    Work {
        name: "hit-1000000",
        title: "find a known target among 1,000,000",
        times: 100_000,
        run: |times| hit(1_000_000, times),
    },
    Work {
        name: "encapsulate",
        title: "take a VNIC's frame of 1,464 octets to its tunnel end: decide, hash, header",
        times: 10_000,
        run: |times| encapsulate(PortPolicy::default(), times),
    },
    Work {
        name: "encapsulate-protected",
        title: "the same of a VNIC with all four protections",
        times: 10_000,
        run: |times| encapsulate(protected(), times),
    },
    Work {
        name: "encapsulate-limited",
        title: "the same of a VNIC with maxbw",
        times: 10_000,
        run: |times| encapsulate(PortPolicy { maxbw: "5G".parse().ok(), ..PortPolicy::default() }, times),
    },
    Work {
        name: "split",
        title: "split a super-frame of 64 KiB: 46 headers, checksums included",
        times: 200,
        run: split,
    },
    Work {
        name: "merge",
        title: "merge these 46 segments into a run, checksums verified",
        times: 200,
        run: merge,
    },
    Work { name: "sum-1k", title: "sum 1 KiB", times: 10_000, run: |times| sum(1024, times) },
    Work { name: "sum-64k", title: "sum 64 KiB", times: 500, run: |times| sum(65_536, times) },
];

/// Does a step so many times: what is not called from here is not counted.
#[inline(never)]
fn counted_steps(times: u64, step: impl FnMut(u64)) {
    (0..times).for_each(step);
}

fn parse(times: u64) {
    let encap = ENCAPS[0];
    let datagram = frame::vxlan(VNETID, &frames::segments()[0]);
    counted_steps(times, |_| {
        let octets = black_box(&datagram[..]);
        let (vnetid, header_len) = encap.read(octets).expect("a header");
        let frame = &octets[header_len..];
        let ethernet = Ethernet::parse(frame).expect("a header");
        black_box((vnetid, Packet::parse(frame, &ethernet).expect("a packet")));
    });
}

fn hit(entries: u32, times: u64) {
    let mac = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr([2, 8, a, b, c, d])
    };
    let table = table::<()>(entries);
    let end = Verdict::Learned(vec![end()]);
    (0..entries).for_each(|number| table.learn(About::Mac(mac(number)), &end, Moment(0), &mut |_| ()));
    counted_steps(times, |number| {
        let place = (number as u32).wrapping_mul(2_654_435_761) % entries;
        assert!(matches!(black_box(table.look(mac(place), Moment(1))), Fate::Send(_)));
    });
}

fn encapsulate(policy: PortPolicy, times: u64) {
    let (overlay, hasher) = (overlay(policy), FlowHasher::default());
    let octets = &frames::segments()[0];
    let mut frame = FrameBuf::default();
    frame.space()[VNET_HEADER..][..octets.len()].copy_from_slice(octets);
    counted_steps(times, |_| {
        // The frame stays where it is; the header before it has taken the virtio header's place.
        frame.space()[..VNET_HEADER].fill(0);
        frame.fill(VNET_HEADER + octets.len());
        let outward = Outward { hasher: &hasher, now: Moment(1) };
        let departure = overlay.transmit(&overlay.ports()[0], black_box(&mut frame), outward);
        black_box(departure.expect("it is for elsewhere"));
    });
}

fn split(times: u64) {
    let (frame, vnet) = frames::super_frame();
    let mut header = [0; 128];
    counted_steps(times, |_| {
        let frame = black_box(&frame[..]);
        let ethernet = Ethernet::parse(frame).expect("a header");
        let cut = Cut::new(frame, &ethernet, &vnet).expect("a super-frame");
        assert_eq!(cut.count(), SEGMENTS);
        for segment in 0..cut.count() {
            let header = &mut header[..cut.header_len()];
            cut.write_header(frame, segment, header);
            black_box((header, cut.payload(segment)));
        }
    });
}

fn merge(times: u64) {
    let segments = frames::segments();
    let member = |frame: &[u8]| {
        let member = Ethernet::parse(frame).and_then(|ethernet| Member::new(frame, &ethernet));
        member.filter(|member| member.is_intact(frame)).expect("a whole segment")
    };
    counted_steps(times, |_| {
        let (first, others) = black_box(&segments).split_first().expect("segments");
        let mut run = Run::new(first, member(first));
        others.iter().for_each(|frame| assert!(run.join(frame, member(frame))));
        black_box(run.finish());
    });
}

fn sum(len: usize, times: u64) {
    let octets: Vec<u8> = (0..len).map(|place| (place * 7) as u8).collect();
    counted_steps(times, |_| {
        black_box(Sum::default().plus(black_box(&octets)).folded());
    });
}

fn link(number: u32) -> LinkId {
    LinkId(number.try_into().expect("not 0"))
}

fn end() -> SocketAddr {
    ([10, 0, 0, 2], 4789).into()
}

fn table<T>(entries: u32) -> TargetTable<T> {
    let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
    TargetTable::new(link(7), Arc::<Desk>::default(), timing, entries as usize)
}

/// Of a VNIC that is protected in every way, and has the address that its frames are from.
fn protected() -> PortPolicy {
    let protection = Protection { mac_nospoof: true, restricted: true, ip_nospoof: true, dhcp_nospoof: true };
    PortPolicy {
        protection,
        allowed_ips: vec!["192.168.23.1".parse().expect("one")],
        ..PortPolicy::default()
    }
}

/// An overlay with one VNIC and one tunnel end.
fn overlay(policy: PortPolicy) -> Overlay<Nowhere> {
    let mtu = OverlayMtu::new(MTU).expect("legal");
    let settings = OverlaySettings {
        mtu,
        target: Some(TargetMode::Point(end())),
        sources: Some(Sources::known([end().ip()])),
        ..OverlaySettings::plain(VnetId::new(VNETID).expect("legal"), ENCAPS[0])
    };
    let port = Port::new(PortSettings { mtu, policy, ..PortSettings::plain(link(1), HERE) }, Nowhere);
    let targets = Arc::new(table::<Waiting>(1));
    Overlay::new(settings, Arc::new(OverlayCounters::default()), targets, vec![Arc::new(port)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_does_what_it_says() {
        // Each checks its own outcome.
        WORKS.iter().filter(|work| work.name != "hit-1000000").for_each(|work| (work.run)(3));
    }
}
