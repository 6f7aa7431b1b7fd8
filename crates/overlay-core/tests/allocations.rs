//! A frame whose destination is known allocates nothing, on its way out or in: the decisions, with a device that only
//! counts. The whole engine is in `engine_allocations`.

mod counting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use overlay_core::datapath::{
    Arrival, Demux, Device, DeviceError, FrameBuf, Inbox, MuxCounters, Outward, Overlay, OverlaySettings,
    Port, PortPolicy, PortSettings, Protection,
};
use overlay_core::encap;
use overlay_core::lookup::{About, Desk, Sources, TargetMode, TargetTable, Timing, Verdict};
use overlay_core::offload::{Gso, Offload, OffloadSet, VNET_HEADER, VnetHeader};
use overlay_core::types::{LinkId, MacAddr, Moment, Nanos, VnetId};
use overlay_core::wire::{ETHERNET_HEADER, Ecn, Ethernet, FlowHasher, Packet};
use zerocopy::IntoBytes;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The source of every frame here, which is not the VNIC's first address.
const SENDER: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const AWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// A group with two tunnel ends.
const GROUP: MacAddr = MacAddr([3, 0, 0, 0, 0, 3]);
/// Octets in front of the payload of a TCP segment over IPv4.
const HEADERS: usize = ETHERNET_HEADER + 20 + 20;
const SEGMENT: usize = 1000;
const NOW: Moment = Moment(10);

/// Counts what it is given.
#[derive(Debug, Default)]
struct Sink {
    writes: AtomicUsize,
    octets: AtomicUsize,
}

impl Device for Sink {
    fn give(&self, _: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError> {
        let octets: usize = pieces.iter().chain(more).map(|piece| piece.len()).sum();
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn offloads(&self) -> OffloadSet {
        OffloadSet::default().with(&Offload::ALL)
    }
}

fn end(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 4789).into()
}

/// A VNIC that is protected in every way, and allowed to send what the frames here say.
fn protected() -> PortPolicy {
    let protection = Protection { mac_nospoof: true, restricted: true, ip_nospoof: true, dhcp_nospoof: true };
    let allowed_ips = vec!["10.8.0.0/24".parse().expect("a network")];
    PortPolicy { secondary_macs: vec![SENDER], protection, allowed_ips, ..PortPolicy::default() }
}

/// An overlay with one VNIC, and a target table in which a thousand addresses are known.
fn overlay(policy: PortPolicy) -> Arc<Overlay<Sink>> {
    let link = LinkId(7.try_into().expect("not 0"));
    let timing = Timing { ageing: Some(5000), negative: 1000, timeout: 1000 };
    let targets = TargetTable::new(link, Arc::<Desk>::default(), timing, 65_536);
    let others = (0..1000u16).map(|number| MacAddr([6, 0, 0, 0, number.to_be_bytes()[0], number as u8]));
    for mac in others.chain([AWAY]) {
        targets.learn(About::Mac(mac), &Verdict::Learned(vec![end(2)]), NOW, &mut |_| ());
    }
    targets.learn(About::Mac(GROUP), &Verdict::Learned(vec![end(2), end(3)]), NOW, &mut |_| ());
    let settings = OverlaySettings {
        target: Some(TargetMode::Dynamic),
        sources: Some(Sources::known([end(2).ip()])),
        ..OverlaySettings::plain(
            VnetId::new(23).expect("legal"),
            encap::by_name("vxlan").expect("it is there"),
        )
    };
    let port = PortSettings { policy, ..PortSettings::plain(link, HERE) };
    let ports = vec![Arc::new(Port::new(port, Sink::default()))];
    Arc::new(Overlay::new(settings, Arc::default(), Arc::new(targets), ports))
}

/// A TCP super-frame over IPv4 of so many octets of payload, whose checksums are left to whoever cuts it.
fn super_frame(to: MacAddr, payload: usize) -> (Vec<u8>, VnetHeader) {
    let mut frame = [&to.0[..], &SENDER.0, &[8, 0]].concat();
    let [high, low] = (40 + payload as u16).to_be_bytes();
    frame.extend([0x45, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 8, 0, 1, 10, 8, 0, 2]);
    frame.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    frame.extend((0..payload).map(|place| place as u8));
    let packet = Packet::parse(&frame, &Ethernet::parse(&frame).expect("Ethernet")).expect("IPv4");
    let sum = packet.pseudo_sum(packet.transport.expect("TCP")).folded().to_be_bytes();
    frame[HEADERS - 4..HEADERS - 2].copy_from_slice(&sum);
    (frame, VnetHeader::unfinished(HEADERS - 20, 16).segmented(Gso::TcpV4, HEADERS, SEGMENT))
}

fn fill(room: &mut FrameBuf, frame: &[u8], vnet: VnetHeader) {
    room.space()[..VNET_HEADER].copy_from_slice(vnet.as_bytes());
    room.space()[VNET_HEADER..][..frame.len()].copy_from_slice(frame);
    room.fill(VNET_HEADER + frame.len());
}

/// The datagrams that a super-frame to a VNIC arrives as, one behind the other, and how long each is.
fn train(overlay: &Overlay<Sink>) -> (Vec<u8>, usize) {
    let (frame, vnet) = super_frame(HERE, 20 * SEGMENT);
    let mut room = FrameBuf::default();
    fill(&mut room, &frame, vnet);
    let cut = overlay_core::offload::Cut::new(&frame, &Ethernet::parse(&frame).expect("Ethernet"), &vnet);
    let cut = cut.expect("it can be cut");
    let mut octets = Vec::new();
    for segment in 0..cut.count() {
        let start = octets.len();
        octets.resize(start + 8 + cut.header_len(), 0);
        overlay.write_header(&mut octets[start..start + 8]);
        cut.write_header(&frame, segment, &mut octets[start + 8..]);
        octets.extend(&frame[cut.payload(segment)]);
    }
    (octets, 8 + HEADERS + SEGMENT)
}

/// Sends a frame and makes the headers of what it is cut into; how many datagrams leave.
fn send(overlay: &Overlay<Sink>, room: &mut FrameBuf, hasher: &FlowHasher) -> usize {
    let departure = overlay.transmit(&overlay.ports()[0], room, Outward { hasher, now: NOW });
    let departure = departure.expect("its destination is known");
    let mut header = [0; 512];
    for segment in 0..departure.cut.map_or(0, |cut| cut.count()) {
        let cut = departure.cut.expect("it is cut");
        overlay.write_header(&mut header[..8]);
        cut.write_header(room.octets(), segment, &mut header[8..][..cut.header_len()]);
    }
    departure.cut.map_or(1, |cut| cut.count()) * departure.ends.all().len()
}

/// What a body of work allocates.
fn allocated(mut work: impl FnMut()) -> u64 {
    let before = counting::given_here();
    work();
    counting::given_here() - before
}

#[test]
fn a_frame_whose_destination_is_known_allocates_nothing() {
    assert!(allocated(|| drop(std::hint::black_box(Box::new(1)))) > 0, "what is allocated is counted");
    check(PortPolicy::default());
}

#[test]
fn a_frame_that_is_looked_at_for_protection_allocates_nothing() {
    check(protected());
    let promiscuous = PortPolicy { promisc_filtered: false, ..protected() };
    check(promiscuous);
}

fn check(policy: PortPolicy) {
    let (overlay, hasher, mut room) = (overlay(policy), FlowHasher::default(), FrameBuf::default());

    let (plain, _) = super_frame(AWAY, 100);
    let count = allocated(|| {
        for _ in 0..1000 {
            fill(&mut room, &plain, VnetHeader::unfinished(HEADERS - 20, 16));
            assert_eq!(send(&overlay, &mut room, &hasher), 1);
        }
    });
    assert_eq!(count, 0, "frames");

    for (to, datagrams) in [(AWAY, 60), (GROUP, 120)] {
        let (large, vnet) = super_frame(to, 60 * SEGMENT);
        let count = allocated(|| {
            for _ in 0..100 {
                fill(&mut room, &large, vnet);
                assert_eq!(send(&overlay, &mut room, &hasher), datagrams);
            }
        });
        assert_eq!(count, 0, "super-frames to {to}");
    }

    let (octets, len) = train(&overlay);
    let demux =
        Demux::new(overlay.settings().encap, [Arc::clone(&overlay)], Arc::new(MuxCounters::default()));
    let count = allocated(|| {
        for train in [Some(len), None] {
            let mut inbox = Inbox::default();
            let pieces = if train.is_some() { octets.len() } else { len };
            for octets in octets.chunks(pieces) {
                demux.receive(
                    &Arrival { sender: end(2).ip(), octets, cut: false, train, ecn: Ecn::NotEct },
                    &mut inbox,
                );
            }
            inbox.finish();
        }
    });
    let sink = overlay.ports()[0].device();
    let given = (sink.writes.load(Ordering::Relaxed), sink.octets.load(Ordering::Relaxed));
    assert_eq!(given, (2, 2 * (HEADERS + 20 * SEGMENT)), "two runs, each given at once");
    assert_eq!(count, 0, "datagrams of a run");
}

#[test]
fn a_vnic_with_a_limit_allocates_nothing_once_its_queue_has_been_full() {
    let overlay = overlay(PortPolicy { maxbw: "1G".parse().ok(), ..PortPolicy::default() });
    let (hasher, mut room, mut now) = (FlowHasher::default(), FrameBuf::default(), Nanos(0));
    let (large, vnet) = super_frame(AWAY, 60 * SEGMENT);
    let (arrived, _) = super_frame(HERE, 1000);
    let mut round = || {
        for _ in 0..200 {
            fill(&mut room, &large, vnet);
            assert_eq!(send(&overlay, &mut room, &hasher), 60);
            overlay.receive(end(2).ip(), &arrived, None);
        }
        now = overlay.ports()[0].sends_from(now).expect("it has used up its rate");
        while let Some(again) = overlay.drain(&overlay.ports()[0], now) {
            now = now.max(again);
        }
    };
    // The queue has two rooms, which grow in turn.
    (0..4).for_each(|_| round());
    assert_eq!(allocated(|| (0..4).for_each(|_| round())), 0);
}
