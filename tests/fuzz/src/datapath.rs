//! Frames on their way, between devices and tunnel ends that are made up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use overlay_core::datapath::{
    Arrival, Demux, Device, DeviceError, FrameBuf, Inbox, MuxCounters, Outward, Overlay, OverlaySettings,
    Port, PortPolicy, PortSettings,
};
use overlay_core::encap::ENCAPS;
use overlay_core::lookup::{Sources, TargetMode, TargetTable, Timing};
use overlay_core::offload::{Cut, Offload, OffloadSet, VNET_HEADER, VnetHeader};
use overlay_core::types::{LinkId, MacAddr, Moment, OverlayMtu, VlanId, VnetId};
use overlay_core::wire::{Ecn, Ethernet, FlowHasher, Packet, Transport};

use crate::stream::Streams;

const MTU: u16 = 1500;

/// A device that keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct Sink(Mutex<Vec<(VnetHeader, Vec<u8>)>>);

impl Device for Sink {
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError> {
        let frame = [pieces.concat(), more.concat()].concat();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((header, frame));
        Ok(())
    }

    fn offloads(&self) -> OffloadSet {
        OffloadSet::default().with(&Offload::ALL)
    }
}

/// The address of a VNIC of the stage.
pub(crate) const fn mac(vnic: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, vnic])
}

pub(crate) fn end() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4789))
}

/// An overlay with the vnetid 23, a VNIC without VLAN and one in VLAN 7, and the underlay socket before it.
pub(crate) struct Stage {
    pub(crate) overlay: Arc<Overlay<Sink>>,
    socket: Arc<MuxCounters>,
}

impl Stage {
    fn new() -> Self {
        Self::with(PortPolicy::default())
    }

    /// The same with a policy for the first VNIC.
    pub(crate) fn with(policy: PortPolicy) -> Self {
        let link = |number: u32| LinkId(number.try_into().expect("not 0"));
        let mtu = OverlayMtu::try_from(MTU).expect("a legal MTU");
        let settings = OverlaySettings {
            mtu,
            target: Some(TargetMode::Point(end())),
            sources: Some(Sources::known([end().ip()])),
            ..OverlaySettings::plain(VnetId::new(23).expect("a legal vnetid"), ENCAPS[0])
        };
        let port = |number: u8, vid, policy| {
            let plain = PortSettings::plain(link(number.into()), mac(number));
            let settings = PortSettings { vid, mtu, policy, ..plain };
            Arc::new(Port::new(settings, Sink::default()))
        };
        let ports = vec![port(1, None, policy), port(2, VlanId::new(7).ok(), PortPolicy::default())];
        let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
        let targets = TargetTable::new(link(9), Arc::default(), timing, 100);
        let overlay = Overlay::new(settings, Arc::default(), Arc::new(targets), ports);
        Self { overlay: Arc::new(overlay), socket: Arc::default() }
    }

    /// Receives all of it as one batch.
    pub(crate) fn receive<'a>(&self, arrivals: impl IntoIterator<Item = Arrival<'a>>) {
        let demux = Demux::new(ENCAPS[0], [Arc::clone(&self.overlay)], Arc::clone(&self.socket));
        let mut inbox = Inbox::default();
        let arrivals: Vec<_> = arrivals.into_iter().collect();
        arrivals.iter().for_each(|arrival| demux.receive(arrival, &mut inbox));
        inbox.finish();
    }

    fn taken(&self, vnic: usize) -> Vec<(VnetHeader, Vec<u8>)> {
        self.overlay.ports()[vnic].device().0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every frame that came is one that went or was dropped.
    pub(crate) fn check(&self) {
        let info = self.overlay.counters().info();
        let drops: u64 = info.drops.iter().map(|drop| drop.frames).sum();
        let come = info.from_devices + info.from_wire + info.injected + info.copies;
        assert_eq!(come, info.to_devices + info.to_wire + info.waiting + drops, "{info:?}");
        let [datagrams, bad, unknown] =
            [&self.socket.datagrams, &self.socket.bad_header, &self.socket.unknown_vnetid]
                .map(|counter| counter.load(Ordering::Relaxed));
        assert_eq!(datagrams, bad + unknown + info.from_wire, "{info:?}");
    }
}

/// The frames that a super-frame is cut into; itself when it is none.
fn frames(vnet: VnetHeader, frame: Vec<u8>) -> Vec<Vec<u8>> {
    if vnet.segmentation().is_none() {
        return vec![frame];
    }
    let ethernet = Ethernet::parse(&frame).expect("a frame that was given has a header");
    let cut = Cut::new(&frame, &ethernet, &vnet).expect("a super-frame that was given can be cut");
    (0..cut.count()).map(|segment| segment_of(&cut, &frame, segment)).collect()
}

pub(crate) fn segment_of(cut: &Cut, frame: &[u8], segment: usize) -> Vec<u8> {
    let mut octets = vec![0xee; cut.header_len()];
    cut.write_header(frame, segment, &mut octets);
    octets.extend(&frame[cut.payload(segment)]);
    octets
}

/// What a VNIC's owner hands over: the first octet says to whom and from which VNIC, then come virtio header and frame.
pub fn transmit(octets: &[u8]) {
    let (how, rest) = octets.split_first().unwrap_or((&0, &[]));
    let rest = &rest[..rest.len().min(VNET_HEADER + 65_536)];
    let (stage, hasher, mut room) = (Stage::new(), FlowHasher::default(), FrameBuf::default());
    room.space()[..rest.len()].copy_from_slice(rest);
    let to = [mac(how % 2 + 1), MacAddr([2, 9, 9, 9, 9, 9]), MacAddr::BROADCAST][usize::from(how / 2 % 3)];
    if rest.len() >= VNET_HEADER + 6 && how & 0x80 == 0 {
        room.space()[VNET_HEADER..][..6].copy_from_slice(&to.0);
    }
    room.fill(rest.len());
    let outward = Outward { hasher: &hasher, now: Moment(0) };
    let sender = &stage.overlay.ports()[usize::from(how >> 6 & 1)];
    if let Some(departure) = stage.overlay.transmit(sender, &mut room, outward) {
        for segment in 0..departure.cut.map_or(0, |cut| cut.count()) {
            let cut = departure.cut.expect("it has segments");
            whole(&segment_of(&cut, room.octets(), segment));
        }
        stage.overlay.counters().sent(departure.load);
    }
    stage.check();
}

/// A segment is a packet that ends where its frame does.
fn whole(segment: &[u8]) {
    let ethernet = Ethernet::parse(segment).expect("a header");
    let packet = Packet::parse(segment, &ethernet).expect("a packet that is all there");
    assert_eq!(packet.payload_offset + packet.payload.len(), segment.len());
    assert!(segment.len() <= ethernet.header_len + usize::from(MTU));
}

/// What arrives on the underlay socket: pieces of a head of five octets (how, two of a train's length, a count and a
/// length) and so many octets, as often as the count says.
pub fn receive(octets: &[u8]) {
    let (stage, mut arrivals, mut rest) = (Stage::new(), Vec::new(), octets);
    while let [how, high, low, count, len, behind @ ..] = rest {
        let (piece, behind) = behind.split_at(behind.len().min(usize::from(*len) * 8));
        rest = behind;
        let one = datagram(*how, piece);
        let train = match how >> 4 & 3 {
            0 => None,
            1 => Some(one.len()),
            _ => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        };
        let all = one.repeat(usize::from(count % 64) + 1);
        arrivals.push((all[..all.len().min(65_536)].to_vec(), how & 8 != 0, train));
    }
    let arrival = |(octets, cut, train)| Arrival { sender: end().ip(), octets, cut, train, ecn: Ecn::NotEct };
    stage.receive(arrivals.iter().map(|(octets, cut, train)| arrival((&octets[..], *cut, *train))));
    stage.check();
    for vnic in 0..2 {
        stage.taken(vnic).into_iter().for_each(|(vnet, frame)| drop(frames(vnet, frame)));
    }
}

/// A datagram with a header, and to a VNIC, unless it is to have none.
fn datagram(how: u8, piece: &[u8]) -> Vec<u8> {
    let vnetid = if how & 1 == 0 { 23 } else { 24 };
    let header: &[u8] = if how & 2 == 0 { &[8, 0, 0, 0, 0, 0, vnetid, 0] } else { &[] };
    let mut datagram = [header, piece].concat();
    if how & 4 == 0 && datagram.len() >= 14 {
        datagram[8..14].copy_from_slice(&mac((how >> 7) + 1).0);
    }
    datagram
}

/// Flows as `Streams` makes them: what the VNIC is given is the same frames, those of each flow in their order.
pub fn merge(octets: &[u8]) {
    let sent = Streams::default().frames(octets);
    let datagrams: Vec<_> =
        sent.iter().map(|frame| [&[8, 0, 0, 0, 0, 0, 23, 0], &frame[..]].concat()).collect();
    let stage = Stage::new();
    let arrival = |octets| Arrival { sender: end().ip(), octets, cut: false, train: None, ecn: Ecn::NotEct };
    stage.receive(datagrams.iter().map(|octets| arrival(octets)));
    stage.check();
    let given: Vec<_> = stage.taken(0).into_iter().flat_map(|(vnet, frame)| frames(vnet, frame)).collect();
    assert_eq!(by_flow(given), by_flow(sent));
}

type Flow = Option<(Vec<u8>, Option<Transport>, Option<[u8; 4]>)>;

fn by_flow(frames: Vec<Vec<u8>>) -> HashMap<Flow, Vec<Vec<u8>>> {
    let mut flows: HashMap<Flow, Vec<Vec<u8>>> = HashMap::new();
    for mut frame in frames {
        let ethernet = Ethernet::parse(&frame).expect("a header");
        let packet = Packet::parse(&frame, &ethernet);
        let flow = packet.map(|packet| (packet.addresses.to_vec(), packet.transport, packet.ports()));
        let datagram = packet.is_some_and(|packet| packet.transport == Some(Transport::Udp) && !packet.v6);
        let ip = ethernet.header_len;
        if datagram && frame[ip + 6] & 0x40 != 0 {
            // The identification of a datagram that may not be fragmented means nothing (RFC 6864 section 4.1).
            frame[ip + 4..ip + 6].fill(0);
            frame[ip + 10..ip + 12].fill(0);
        }
        flows.entry(flow).or_default().push(frame);
    }
    flows
}
