use std::net::{Ipv4Addr, Ipv6Addr};

use super::frames::*;
use super::*;
use crate::datapath::{PortPolicy, Protection};
use crate::offload::{Gso, VNET_HEADER, VnetHeader};
use crate::types::LinkId;
use proptest::prelude::*;
use zerocopy::IntoBytes;

mod addresses;
mod learning;
mod names;

/// A VNIC behind its guard.
struct Guarded {
    settings: PortSettings,
    guard: Guard,
    now: Moment,
}

/// With the protections named, a second MAC address, and an address of each version.
fn guarded(protections: &[&str]) -> Guarded {
    let has = |word| protections.contains(&word);
    let protection = Protection {
        mac_nospoof: has("mac"),
        restricted: has("restricted"),
        ip_nospoof: has("ip"),
        dhcp_nospoof: has("dhcp"),
    };
    let policy = PortPolicy {
        secondary_macs: vec![SECOND],
        protection,
        allowed_ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ..PortPolicy::default()
    };
    let settings = PortSettings { policy, ..PortSettings::plain(LinkId(1.try_into().unwrap()), OWN) };
    Guarded { settings, guard: Guard::default(), now: Moment(5000) }
}

fn everything() -> Guarded {
    guarded(&["mac", "restricted", "ip", "dhcp"])
}

fn room(frame: &[u8], vnet: VnetHeader) -> FrameBuf {
    let mut room = FrameBuf::default();
    room.space()[..VNET_HEADER].copy_from_slice(vnet.as_bytes());
    room.space()[VNET_HEADER..][..frame.len()].copy_from_slice(frame);
    room.fill(VNET_HEADER + frame.len());
    room
}

impl Guarded {
    fn sends(&self, frame: &[u8]) -> Result<(), DropReason> {
        self.sends_with(frame, VnetHeader::default())
    }

    fn sends_with(&self, frame: &[u8], vnet: VnetHeader) -> Result<(), DropReason> {
        self.guard.check(&self.settings, &room(frame, vnet), self.now)
    }

    fn is_given(&self, frame: &[u8]) {
        if let Ok(inner) = Inner::arrived(frame, None) {
            self.guard.hear(&self.settings, &inner);
        }
    }
}

/// A frame of each kind that a VNIC with all protections may send, and the octets of it that say who it is.
fn legal() -> Vec<(Vec<u8>, std::ops::Range<usize>)> {
    let discover = dhcp4(1, 7, OWN, [Ipv4Addr::UNSPECIFIED; 2], &[53, 1, 1, 61, 7, 1, 2, 8, 0x20, 0, 0, 1]);
    let solicitation = discovery(135, OTHER_V6, &link_layer(1, OWN));
    let advertisement = discovery(136, OWN_V6, &link_layer(2, OWN));
    vec![
        (ethernet(V4, &v4(OWN_V4, 6, &[0; 20])), 26..30),
        (ethernet(V4, &v4(Ipv4Addr::UNSPECIFIED, 2, &[0x22, 0, 0, 0])), 6..12),
        (ethernet(V6, &v6(OWN_V6, 6, &[0; 20])), 22..38),
        (ethernet(V6, &v6(OWN_LOCAL, 17, &udp([1, 2], &[]))), 22..38),
        (arp(false, (OWN, OWN_V4), OTHER_V4), 22..32),
        (arp(true, (OWN, OWN_V4), OTHER_V4), 22..32),
        (arp(false, (OWN, Ipv4Addr::UNSPECIFIED), OWN_V4), 38..42),
        (arp(false, (OWN, OWN_V4), OWN_V4), 22..32),
        (ethernet(V6, &v6(OWN_V6, ICMPV6, &solicitation)), 80..86),
        (ethernet(V6, &v6(OWN_V6, ICMPV6, &advertisement)), 62..78),
        (ethernet(V6, &v6(OWN_V6, ICMPV6, &advertisement)), 80..86),
        (ethernet(V6, &v6(Ipv6Addr::UNSPECIFIED, ICMPV6, &discovery(135, OWN_V6, &[]))), 62..78),
        (ethernet(V6, &v6(OWN_LOCAL, ICMPV6, &discovery(133, OWN_V6, &link_layer(1, OWN)))), 64..70),
        (from_client(&discover), 70..76),
        (from_client(&discover), 287..294),
        (from_client6(&dhcp6(1, 7, &duid(OWN))), 70..80),
    ]
}

#[test]
fn a_vnic_may_send_of_every_kind_what_is_its_own() {
    for (frame, _) in legal() {
        assert_eq!(everything().sends(&frame), Ok(()), "{frame:02x?}");
    }
}

#[test]
fn every_changed_bit_of_what_says_who_sends_is_found() {
    for (frame, who) in legal() {
        for (place, bit) in (6..12).chain(who).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut other = frame.clone();
            other[place] ^= 1 << bit;
            assert!(everything().sends(&other).is_err(), "bit {bit} of octet {place} of {frame:02x?}");
        }
    }
}

#[test]
fn what_is_cut_off_anywhere_goes_nowhere() {
    for (frame, _) in legal() {
        for len in 0..frame.len() {
            assert!(everything().sends(&frame[..len]).is_err(), "{len} octets of {frame:02x?}");
        }
    }
}

#[test]
fn padding_is_no_part_of_what_is_sent() {
    for (frame, _) in legal() {
        let padded = [&frame[..], &[0xff; 20]].concat();
        assert_eq!(everything().sends(&padded), Ok(()), "{frame:02x?}");
    }
}

#[test]
fn a_frame_has_the_vnics_own_mac_address_or_a_further_one() {
    let guarded = guarded(&["mac"]);
    assert_eq!(guarded.sends(&between(SECOND, OTHER, 0x88b5, &[])), Ok(()));
    for from in [OTHER, MacAddr::BROADCAST, MacAddr([0; 6])] {
        assert_eq!(guarded.sends(&between(from, OTHER, 0x88b5, &[])), Err(DropReason::SpoofedMac));
    }
}

#[test]
fn a_restricted_vnic_sends_ip_and_arp_alone() {
    let guarded = guarded(&["restricted"]);
    for kind in [V4, ARP, V6] {
        assert_eq!(guarded.sends(&between(OTHER, OWN, kind, &[])), Ok(()), "{kind:x}");
    }
    // Loop detection, RARP, PPPoE, LLDP, 802.1X, an 802.3 length, and what is nothing.
    for kind in [0x9000, 0x8035, 0x8864, 0x88cc, 0x888e, 46, 0, 0xffff] {
        assert_eq!(guarded.sends(&ethernet(kind, &[0; 46])), Err(DropReason::Restricted), "{kind:x}");
    }
}

#[test]
fn a_restricted_vnic_is_in_no_vlan_of_its_own_choice() {
    let guarded = guarded(&["restricted"]);
    let tagged = |tags: &[u8]| {
        let mut frame = ethernet(V4, &v4(OWN_V4, 6, &[0; 20]));
        frame.splice(12..12, tags.iter().copied());
        guarded.sends(&frame)
    };
    assert_eq!(tagged(&[0x81, 0, 0xe0, 0]), Ok(()), "a priority");
    for tags in [
        &[0x81, 0, 0, 7][..],
        &[0x81, 0, 0x0f, 0xff],
        &[0x88, 0xa8, 0, 0],
        &[0x81, 0, 0, 0, 0x81, 0, 0, 7],
        &[0x81, 0, 0, 0, 0x81, 0, 0, 0],
    ] {
        assert_eq!(tagged(tags), Err(DropReason::Restricted), "{tags:02x?}");
    }
}

#[test]
fn each_protection_finds_what_it_is_there_for_and_nothing_else() {
    let unlike = dhcp4(1, 7, OTHER, [Ipv4Addr::UNSPECIFIED; 2], &[53, 1, 1]);
    let spoofed = [
        ("mac", DropReason::SpoofedMac, between(OTHER, OTHER, V4, &v4(OWN_V4, 6, &[0; 20]))),
        ("restricted", DropReason::Restricted, ethernet(0x88cc, &[])),
        ("ip", DropReason::SpoofedIp, ethernet(V4, &v4(OTHER_V4, 6, &[0; 20]))),
        ("ip", DropReason::SpoofedIp, ethernet(V6, &v6(OTHER_V6, 6, &[0; 20]))),
        ("ip", DropReason::SpoofedArp, arp(true, (OWN, OTHER_V4), OTHER_V4)),
        ("ip", DropReason::SpoofedNdp, ethernet(V6, &v6(OWN_V6, ICMPV6, &discovery(136, OTHER_V6, &[])))),
        ("dhcp", DropReason::SpoofedDhcp, from_client(&unlike)),
        ("dhcp", DropReason::SpoofedDhcp, from_client6(&dhcp6(1, 7, &duid(OTHER)))),
    ];
    for (its, reason, frame) in spoofed {
        for protection in ["mac", "restricted", "ip", "dhcp"] {
            let expected = if protection == its { Err(reason) } else { Ok(()) };
            assert_eq!(guarded(&[protection]).sends(&frame), expected, "{protection}: {frame:02x?}");
        }
        assert_eq!(everything().sends(&frame), Err(reason));
    }
}

#[test]
fn no_checksum_is_written_over_what_has_been_looked_at() {
    let datagram = ethernet(V4, &v4(OWN_V4, UDP, &udp([1000, 1000], &[0; 30])));
    for (protection, reason, before) in [
        ("mac", DropReason::SpoofedMac, 14),
        ("restricted", DropReason::Restricted, 14),
        ("ip", DropReason::SpoofedIp, 34 + 6),
        ("dhcp", DropReason::SpoofedDhcp, 34 + 6),
    ] {
        for place in 0..datagram.len() - 1 {
            let expected = if place < before { Err(reason) } else { Ok(()) };
            for start in [0, place] {
                let vnet = VnetHeader::unfinished(start, place - start);
                let outcome = guarded(&[protection]).sends_with(&datagram, vnet);
                assert_eq!(outcome, expected, "{protection}: {place}");
            }
        }
    }
    // What is looked at as a whole has its checksum where it belongs, or none to be written.
    for (frame, _) in legal() {
        let own_place = match (frame[12..14] == [0x86, 0xdd], frame.get(20).copied(), frame.get(23).copied())
        {
            (true, Some(ICMPV6), _) => Some(14 + 40 + 2),
            (true, Some(UDP), _) => Some(14 + 40 + 6),
            (false, _, Some(UDP)) => Some(14 + 20 + 6),
            _ => continue,
        };
        for place in 0..frame.len() - 1 {
            let plain = frame[12] == 0x86 && frame[20] == UDP && frame[54..56] == [0, 1];
            let free = plain && place >= 60;
            let outcome = everything().sends_with(&frame, VnetHeader::unfinished(place, 0));
            assert_eq!(outcome.is_ok(), Some(place) == own_place || free, "{place} of {frame:02x?}");
        }
    }
    let request = arp(false, (OWN, OWN_V4), OTHER_V4);
    let outcome = guarded(&["ip"]).sends_with(&request, VnetHeader::unfinished(34, 0));
    assert_eq!(outcome, Err(DropReason::SpoofedArp));
}

#[test]
fn a_super_frame_of_dhcp_is_none() {
    let discover = dhcp4(1, 7, OWN, [Ipv4Addr::UNSPECIFIED; 2], &[53, 1, 1]);
    let vnet = VnetHeader::unfinished(34, 6).segmented(Gso::Udp, 42, 241);
    assert_eq!(guarded(&["dhcp"]).sends_with(&from_client(&discover), vnet), Err(DropReason::SpoofedDhcp));
}

proptest! {
    #[test]
    fn any_octets_are_let_out_or_not(
        octets in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..4, start in 0usize..80, offset in 0usize..80,
    ) {
        let mut frame = [&OTHER.0[..], &OWN.0].concat();
        frame.extend([&[8, 0, 0x45][..], &[0x86, 0xdd, 0x60], &[8, 6], &[0x81, 0]][kind]);
        frame.extend(octets);
        for protection in [&["mac"][..], &["restricted"], &["ip"], &["dhcp"], &["mac", "restricted", "ip", "dhcp"]] {
            let _ = guarded(protection).sends_with(&frame, VnetHeader::unfinished(start, offset));
            guarded(protection).is_given(&frame);
        }
    }

    #[test]
    fn legal_frames_with_any_change_are_let_out_or_not(
        which in any::<prop::sample::Index>(), places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let all = legal();
        let mut frame = which.get(&all).0.clone();
        for (place, octet) in places {
            let place = place.index(frame.len());
            frame[place] = octet;
        }
        let guarded = everything();
        if guarded.sends(&frame).is_ok() {
            prop_assert!([OWN.0, SECOND.0].contains(&frame[6..12].try_into().unwrap()));
        }
        guarded.is_given(&frame);
    }
}
