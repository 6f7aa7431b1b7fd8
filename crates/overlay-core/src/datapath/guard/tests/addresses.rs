//! `ip-nospoof`: packets, ARP, neighbour discovery.

use super::*;

fn sends(frame: &[u8]) -> Result<(), DropReason> {
    guarded(&["ip"]).sends(frame)
}

fn sends_v4(packet: &[u8]) -> Result<(), DropReason> {
    sends(&ethernet(V4, packet))
}

fn sends_v6(packet: &[u8]) -> Result<(), DropReason> {
    sends(&ethernet(V6, packet))
}

#[test]
fn a_network_that_is_allowed_is_allowed_whole() {
    let mut guarded = guarded(&["ip"]);
    guarded.settings.policy.allowed_ips =
        vec!["198.51.100.0/24".parse().unwrap(), "fe80::/10".parse().unwrap()];
    for (source, outcome) in [
        (Ipv4Addr::new(198, 51, 100, 255), Ok(())),
        (Ipv4Addr::new(198, 51, 101, 0), Err(DropReason::SpoofedIp)),
        (OWN_V4, Err(DropReason::SpoofedIp)),
    ] {
        assert_eq!(guarded.sends(&ethernet(V4, &v4(source, 6, &[]))), outcome, "{source}");
    }
    assert_eq!(guarded.sends(&ethernet(V6, &v6(OTHER_LOCAL, 59, &[]))), Ok(()));
}

#[test]
fn without_allowed_addresses_a_vnic_has_its_link_local_ones_alone() {
    let mut guarded = guarded(&["ip"]);
    guarded.settings.policy.allowed_ips.clear();
    for local in [OWN_LOCAL, SECOND_LOCAL] {
        assert_eq!(guarded.sends(&ethernet(V6, &v6(local, 59, &[]))), Ok(()));
    }
    for other in [OWN_V6, OTHER_LOCAL, Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED] {
        assert_eq!(guarded.sends(&ethernet(V6, &v6(other, 59, &[]))), Err(DropReason::SpoofedIp), "{other}");
    }
    assert_eq!(guarded.sends(&ethernet(V4, &v4(OWN_V4, 6, &[]))), Err(DropReason::SpoofedIp));
}

#[test]
fn who_has_no_ipv4_address_sends_dhcp_and_igmp_alone() {
    let nobody = |protocol, payload: &[u8]| sends_v4(&v4(Ipv4Addr::UNSPECIFIED, protocol, payload));
    assert_eq!(nobody(2, &[0x16, 0, 0, 0]), Ok(()));
    assert_eq!(nobody(UDP, &udp([68, 67], &[])), Ok(()));
    for (protocol, payload) in
        [(UDP, udp([68, 53], &[])), (UDP, udp([67, 68], &[])), (1, vec![8, 0, 0, 0]), (6, vec![0; 20])]
    {
        assert_eq!(nobody(protocol, &payload), Err(DropReason::SpoofedIp), "{protocol} {payload:?}");
    }
    let mut part = v4(Ipv4Addr::UNSPECIFIED, UDP, &udp([68, 67], &[]));
    part[6] = 0x20;
    assert_eq!(sends_v4(&part), Err(DropReason::SpoofedIp), "a part of it");
}

#[test]
fn who_has_no_ipv6_address_asks_for_neighbours_and_reports_groups_alone() {
    for kind in 0..=255 {
        let payload =
            if kind == 135 { discovery(135, OWN_V6, &[]) } else { [&[kind], &[0; 31][..]].concat() };
        let payload = if kind == 133 { discovery(133, OWN_V6, &[]) } else { payload };
        let expected = match kind {
            131 | 132 | 133 | 135 | 143 => Ok(()),
            _ => Err(DropReason::SpoofedIp),
        };
        assert_eq!(sends_v6(&v6(Ipv6Addr::UNSPECIFIED, ICMPV6, &payload)), expected, "{kind}");
    }
    // Reports come behind a router alert (RFC 2710 section 3).
    let report = [&[ICMPV6, 0, 5, 2, 0, 0, 1, 0], &[143, 0, 0, 0, 0, 0, 0, 0][..]].concat();
    assert_eq!(sends_v6(&v6(Ipv6Addr::UNSPECIFIED, 0, &report)), Ok(()));
}

#[test]
fn fragments_and_options_hide_no_source() {
    for field in [0x20, 0x00, 0x20] {
        let mut part = v4(OTHER_V4, UDP, &udp([1, 2], &[0; 8]));
        (part[6], part[7]) = (field, 9);
        assert_eq!(sends_v4(&part), Err(DropReason::SpoofedIp));
        part[12..16].copy_from_slice(&OWN_V4.octets());
        assert_eq!(sends_v4(&part), Ok(()));
    }
    let mut options = v4(OWN_V4, 6, &[0x94, 4, 0, 0]);
    options[0] = 0x46;
    assert_eq!(sends_v4(&options), Ok(()));
    options[12..16].copy_from_slice(&OTHER_V4.octets());
    assert_eq!(sends_v4(&options), Err(DropReason::SpoofedIp));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for (place, value) in [(0, 0x44), (0, 0x65), (0, 0x4f), (2, 0xff), (3, 19)] {
        let mut packet = v4(OWN_V4, 6, &[0; 20]);
        packet[place] = value;
        assert_eq!(sends_v4(&packet), Err(DropReason::SpoofedIp), "{value} at {place}");
    }
    for (place, value) in [(0, 0x45), (4, 1), (5, 21)] {
        let mut packet = v6(OWN_V6, 6, &[0; 20]);
        packet[place] = value;
        assert_eq!(sends_v6(&packet), Err(DropReason::SpoofedIp), "{value} at {place}");
    }
    assert_eq!(sends_v4(&v4(OWN_V4, UDP, &[0; 7])), Err(DropReason::SpoofedIp), "half a header");
}

#[test]
fn neighbour_discovery_is_found_behind_extension_headers() {
    let lie = discovery(136, OTHER_V6, &[]);
    for next in [0, 43, 60, 135, 139, 140] {
        let packet = [&[ICMPV6, 0, 1, 4, 0, 0, 0, 0], &lie[..]].concat();
        assert_eq!(sends_v6(&v6(OWN_V6, next, &packet)), Err(DropReason::SpoofedNdp), "{next}");
    }
    let packet = [&[ICMPV6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &lie[..]].concat();
    assert_eq!(sends_v6(&v6(OWN_V6, 51, &packet)), Err(DropReason::SpoofedNdp), "authentication");
    let many = |count: usize| {
        let header = |next| [next, 0, 1, 4, 0, 0, 0, 0];
        let last = [&header(ICMPV6)[..], &[128, 0, 0, 0]].concat();
        [header(60).repeat(count - 1), last].concat()
    };
    assert_eq!(sends_v6(&v6(OWN_V6, 60, &many(7))), Ok(()), "an echo request");
    assert_eq!(sends_v6(&v6(OWN_V6, 60, &many(8))), Err(DropReason::SpoofedIp), "too many");
    assert_eq!(sends_v6(&v6(OWN_V6, 0, &[ICMPV6, 9])), Err(DropReason::SpoofedIp), "one that is cut off");
}

#[test]
fn neighbour_discovery_is_in_no_fragment() {
    let fragment = |field: [u8; 2], payload: &[u8]| {
        sends_v6(&v6(OWN_V6, 44, &[&[ICMPV6, 0, field[0], field[1], 0, 0, 0, 1], payload].concat()))
    };
    let truth = discovery(136, OWN_V6, &[]);
    assert_eq!(fragment([0, 0], &truth), Err(DropReason::SpoofedNdp), "the only one (RFC 6980)");
    assert_eq!(fragment([0, 1], &truth), Err(DropReason::SpoofedNdp), "the first");
    assert_eq!(fragment([0, 1], &[136, 0]), Err(DropReason::SpoofedIp), "no whole header (RFC 7112)");
    assert_eq!(fragment([0, 1], &[128, 0, 0, 0, 0, 0, 0, 0]), Ok(()), "an echo request's");
    assert_eq!(fragment([0, 0x18], &truth), Ok(()), "another: nobody takes it for a first one");
}

#[test]
fn arp_speaks_of_its_sender_alone() {
    for (frame, ok) in [
        (arp(false, (SECOND, OWN_V4), OTHER_V4), true),
        (arp(false, (OTHER, OWN_V4), OTHER_V4), false),
        (arp(true, (OWN, OTHER_V4), OWN_V4), false),
        (arp(false, (OWN, OTHER_V4), OTHER_V4), false),
        (arp(false, (OWN, Ipv4Addr::UNSPECIFIED), OTHER_V4), false),
        (arp(true, (OWN, Ipv4Addr::UNSPECIFIED), OWN_V4), false),
    ] {
        assert_eq!(sends(&frame), if ok { Ok(()) } else { Err(DropReason::SpoofedArp) }, "{frame:02x?}");
    }
    // Other hardware, protocols and lengths; operations of RARP and others.
    for (place, value) in
        [(15, 6), (16, 0x86), (18, 0), (18, 8), (19, 16), (21, 0), (21, 3), (21, 4), (20, 1)]
    {
        let mut frame = arp(false, (OWN, OWN_V4), OTHER_V4);
        frame[place] = value;
        assert_eq!(sends(&frame), Err(DropReason::SpoofedArp), "{value} at {place}");
    }
    let mut reverse = arp(false, (OWN, OWN_V4), OTHER_V4);
    reverse[12..14].copy_from_slice(&[0x80, 0x35]);
    assert_eq!(sends(&reverse), Err(DropReason::SpoofedArp));
}

#[test]
fn neighbour_discovery_speaks_of_its_sender_alone() {
    let (own, other) = ([1, 2].map(|kind| link_layer(kind, OWN)), [1, 2].map(|kind| link_layer(kind, OTHER)));
    let nobody = Ipv6Addr::UNSPECIFIED;
    for (source, kind, target, options, ok) in [
        (OWN_V6, 135, OTHER_V6, &own[0], true),
        (OWN_V6, 135, OTHER_V6, &other[0], false),
        (OWN_V6, 135, OTHER_V6, &other[1], false),
        (nobody, 135, OTHER_V6, &vec![], false),
        (nobody, 135, OWN_LOCAL, &vec![], true),
        (nobody, 135, OWN_V6, &own[0], false),
        (OWN_V6, 136, OWN_LOCAL, &own[1], true),
        (OWN_V6, 136, OWN_V6, &link_layer(2, SECOND), true),
        (OWN_V6, 136, OWN_V6, &other[1], false),
        (OWN_V6, 136, OTHER_V6, &own[1], false),
        (OWN_LOCAL, 133, OTHER_V6, &other[0], false),
        (OWN_LOCAL, 134, OTHER_V6, &own[0], true),
        (OWN_LOCAL, 134, OTHER_V6, &other[0], false),
        (OWN_LOCAL, 137, OTHER_V6, &other[1], true),
        // No option has no octets, and none is longer than the packet; addresses have six octets here.
        (OWN_V6, 135, OTHER_V6, &vec![1, 0, 0, 0, 0, 0, 0, 0], false),
        (OWN_V6, 135, OTHER_V6, &vec![14, 2, 0, 0, 0, 0, 0, 0], false),
        (OWN_V6, 135, OTHER_V6, &vec![14], false),
        (OWN_V6, 135, OTHER_V6, &[&[1, 2], &OWN.0[..], &[0; 8]].concat(), false),
        (OWN_V6, 135, OTHER_V6, &[&[14, 1, 0, 0, 0, 0, 0, 0], &own[0][..]].concat(), true),
        (OWN_V6, 135, OTHER_V6, &[&own[0][..], &other[0]].concat(), false),
    ] {
        let expected = if ok { Ok(()) } else { Err(DropReason::SpoofedNdp) };
        let outcome = sends_v6(&v6(source, ICMPV6, &discovery(kind, target, options)));
        assert_eq!(outcome, expected, "{kind} from {source} of {target} with {options:02x?}");
    }
    assert_eq!(sends_v6(&v6(OTHER_LOCAL, ICMPV6, &discovery(137, OWN_V6, &[]))), Err(DropReason::SpoofedIp));
}

#[test]
fn tags_hide_nothing() {
    for count in 1..6 {
        for packet in [(V4, v4(OTHER_V4, 6, &[0; 20])), (V6, v6(OTHER_V6, 59, &[]))] {
            let mut frame = ethernet(packet.0, &packet.1);
            frame.splice(12..12, [0x81, 0, 0, 7].repeat(count));
            assert_eq!(sends(&frame), Err(DropReason::SpoofedIp), "{count} tags");
        }
    }
}
