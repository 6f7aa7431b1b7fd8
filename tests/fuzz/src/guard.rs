//! Frames of a VNIC that may send nothing but its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use overlay_core::datapath::{Arrival, FrameBuf, Outward, PortPolicy, Protection};
use overlay_core::offload::VNET_HEADER;
use overlay_core::types::{MacAddr, Moment, Network};
use overlay_core::wire::{Ecn, Ethernet, FlowHasher};

use crate::datapath::{Stage, end, mac, segment_of};
use crate::frame;

/// VXLAN's header, of the stage's overlay.
const HEADER: [u8; 8] = [8, 0, 0, 0, 0, 0, 23, 0];

fn networks() -> [Network; 2] {
    ["192.0.2.0/24", "2001:db8::/64"].map(|text| text.parse().expect("a network"))
}

fn policy() -> PortPolicy {
    let protection = Protection { mac_nospoof: true, restricted: true, ip_nospoof: true, dhcp_nospoof: true };
    PortPolicy { protection, allowed_ips: networks().into(), ..PortPolicy::default() }
}

/// What the owner of a protected VNIC hands over. The first octet says what is made of the others, whether they begin with a
/// virtio header, and whether the VNIC is given the same frame first.
pub fn guard(octets: &[u8]) {
    let (how, rest) = octets.split_first().unwrap_or((&0, &[]));
    let rest = &rest[..rest.len().min(60_000)];
    let (vnet, rest) = rest.split_at(if how & 0x80 == 0 { 0 } else { rest.len().min(VNET_HEADER) });
    let frame = match how & 3 {
        0 => rest.to_vec(),
        1 => frame::arp(rest),
        2 => frame::ndp(rest),
        _ => frame::dhcp(rest),
    };
    let (stage, hasher, mut room) = (Stage::with(policy()), FlowHasher::default(), FrameBuf::default());
    let is_first_given = how & 0x40 != 0;
    if is_first_given {
        let octets = [&HEADER[..], &frame].concat();
        let octets = &octets[..octets.len().min(65_507)];
        stage.receive([Arrival { sender: end().ip(), octets, cut: false, train: None, ecn: Ecn::NotEct }]);
    }
    room.space()[..VNET_HEADER].fill(0);
    room.space()[..vnet.len()].copy_from_slice(vnet);
    room.space()[VNET_HEADER..][..frame.len()].copy_from_slice(&frame);
    room.fill(VNET_HEADER + frame.len());
    let outward = Outward { hasher: &hasher, now: Moment(0) };
    if let Some(departure) = stage.overlay.transmit(&stage.overlay.ports()[0], &mut room, outward) {
        match departure.cut {
            None => is_own(&room.octets()[HEADER.len()..]),
            Some(cut) => (0..cut.count()).for_each(|place| is_own(&segment_of(&cut, room.octets(), place))),
        }
        stage.overlay.counters().sent(departure.load);
    }
    stage.check();
}

/// Reads what has left, checksum and all, at the places where everybody looks.
fn is_own(frame: &[u8]) {
    let ethernet = Ethernet::parse(frame).expect("a header");
    assert_eq!(ethernet.source, mac(1), "{frame:02x?}");
    let packet = &frame[ethernet.header_len..];
    let v4 = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let v6 = |at: usize| {
        let octets: [u8; 16] = packet[at..at + 16].try_into().expect("16 octets");
        IpAddr::V6(octets.into())
    };
    match ethernet.ethertype {
        0x0800 => assert!(v4(12).is_unspecified() || may_use(v4(12).into()), "{frame:02x?}"),
        0x86dd => {
            assert!(v6(8).is_unspecified() || may_use(v6(8)), "{frame:02x?}");
            if packet[6] == 58 && packet.get(40) == Some(&136) {
                assert!(may_use(v6(48)), "{frame:02x?}");
            }
        }
        0x0806 => {
            let sender: [u8; 6] = packet[8..14].try_into().expect("6 octets");
            assert_eq!(MacAddr(sender), mac(1), "{frame:02x?}");
            let about = if v4(14).is_unspecified() { v4(24) } else { v4(14) };
            assert!(may_use(about.into()), "{frame:02x?}");
        }
        other => panic!("{other:x}: {frame:02x?}"),
    }
}

fn may_use(address: IpAddr) -> bool {
    let own = "fe80::8:20ff:fe00:1".parse::<Ipv6Addr>().expect("an address");
    address == IpAddr::V6(own) || networks().iter().any(|network| network.contains(address))
}
