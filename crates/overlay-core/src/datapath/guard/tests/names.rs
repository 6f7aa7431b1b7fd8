//! `dhcp-nospoof`: what DHCP clients call themselves.

use super::*;

const NOWHERE: [Ipv4Addr; 2] = [Ipv4Addr::UNSPECIFIED; 2];

/// A VNIC with some more names.
fn named() -> Guarded {
    let mut guarded = guarded(&["dhcp"]);
    guarded.settings.policy.allowed_dhcp_cids = vec!["printer".parse().unwrap(), "2.9.0aff".parse().unwrap()];
    guarded
}

fn is_let(outcome: Result<(), DropReason>) -> bool {
    assert!(matches!(outcome, Ok(()) | Err(DropReason::SpoofedDhcp)), "{outcome:?}");
    outcome.is_ok()
}

/// Whether a client may have that client identifier.
fn may_be(id: &[u8]) -> bool {
    let options = [&[53, 1, 1, 61, id.len() as u8], id].concat();
    is_let(named().sends(&from_client(&dhcp4(1, 7, OWN, NOWHERE, &options))))
}

#[test]
fn a_client_is_called_after_its_mac_address_or_as_it_is_allowed() {
    assert!(may_be(&[1, 2, 8, 0x20, 0, 0, 1]) && may_be(&[1, 2, 8, 0x20, 0, 0, 0x16]));
    assert!(may_be(b"printer") && may_be(&[0, 2, 0, 0, 0, 9, 0x0a, 0xff]));
    let with_duid = |duid: &[u8]| may_be(&[&[255, 1, 2, 3, 4], duid].concat());
    assert!(with_duid(&[0, 3, 0, 1, 2, 8, 0x20, 0, 0, 1]) && with_duid(&[0, 2, 0, 0, 0, 9, 0x0a, 0xff]));
    for id in [&[1, 2, 8, 0x20, 0, 0, 2][..], &[2, 2, 8, 0x20, 0, 0, 1], b"printers", b"printe", &[], &[255]]
    {
        assert!(!may_be(id), "{id:?}");
    }
    assert!(!with_duid(&[0, 3, 0, 1, 2, 8, 0x20, 0, 0, 2]));
    assert!(is_let(named().sends(&from_client(&dhcp4(1, 7, OWN, NOWHERE, &[53, 1, 1])))), "no name");
}

#[test]
fn a_clients_hardware_is_the_vnics() {
    let sends = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = dhcp4(1, 7, SECOND, NOWHERE, &[53, 1, 1]);
        change(&mut message);
        is_let(named().sends(&from_client(&message)))
    };
    assert!(sends(&|_| ()));
    assert!(!sends(&|message| message[33] = 2), "another's");
    assert!(!sends(&|message| message[1] = 6), "of another kind");
    assert!(!sends(&|message| message[2] = 0), "of another length");
    assert!(!sends(&|message| message[0] = 2), "a server's message");
    assert!(!sends(&|message| message.truncate(235)), "half a message");
    assert!(sends(&|message| message.truncate(236)), "BOOTP");
}

#[test]
fn no_second_name_is_hidden() {
    let own = [61, 7, 1, 2, 8, 0x20, 0, 0, 1];
    let other = [61, 7, 1, 2, 8, 0x20, 0, 0, 2];
    let sends = |message: Vec<u8>| is_let(named().sends(&from_client(&message)));
    assert!(!sends(dhcp4(1, 7, OWN, NOWHERE, &[own, other].concat())), "one behind the other");
    assert!(!sends(dhcp4(1, 7, OWN, NOWHERE, &[own, own].concat())), "some join them (RFC 3396)");
    assert!(!sends(dhcp4(1, 7, OWN, NOWHERE, &[61])), "an option without an end");
    assert!(!sends(dhcp4(1, 7, OWN, NOWHERE, &[53, 200, 1])), "an option that is too long");
    assert!(
        sends(dhcp4(1, 7, OWN, NOWHERE, &[&[0, 0][..], &own, &[255], &other].concat())),
        "behind the end"
    );
    for (overload, place) in [(1, 108), (2, 44), (3, 108), (3, 44)] {
        let mut message = dhcp4(1, 7, OWN, NOWHERE, &[52, 1, overload]);
        message[place..place + 9].copy_from_slice(&other);
        assert!(!sends(message.clone()), "in the place of a name (RFC 2132 section 9.3)");
        message[place + 8] = 1;
        assert!(sends(message));
    }
}

#[test]
fn dhcp_is_in_no_fragment() {
    let mut packet = v4(Ipv4Addr::UNSPECIFIED, UDP, &udp([68, 67], &dhcp4(1, 7, OWN, NOWHERE, &[53, 1, 1])));
    packet[6] = 0x20;
    assert!(!is_let(named().sends(&ethernet(V4, &packet))));
    packet[7] = 1;
    assert!(is_let(named().sends(&ethernet(V4, &packet))), "another: nothing says what it is of");
    let datagram = udp([546, 547], &dhcp6(1, 7, &duid(OWN)));
    let packet = v6(OWN_LOCAL, 44, &[&[UDP, 0, 0, 0, 0, 0, 0, 1], &datagram[..]].concat());
    assert!(!is_let(named().sends(&ethernet(V6, &packet))));
}

#[test]
fn a_vnic_whose_clients_are_watched_is_no_server_and_no_relay() {
    let ports = |from, to| udp([from, to], &dhcp4(1, 7, OTHER, NOWHERE, &[53, 1, 5]));
    for (from, to) in [(67, 68), (67, 67), (68, 68), (5000, 67), (67, 5000), (5000, 68), (68, 5000)] {
        let packet = v4(OWN_V4, UDP, &ports(from, to));
        assert!(!is_let(named().sends(&ethernet(V4, &packet))), "{from} to {to}");
    }
    for kind in [2, 7, 10, 12, 13] {
        assert!(!is_let(named().sends(&from_client6(&dhcp6(kind, 7, &duid(OWN))))), "{kind}");
    }
}

#[test]
fn a_duid_is_made_of_the_mac_address_or_allowed() {
    let sends = |options: &[u8]| is_let(named().sends(&from_client6(&dhcp6(3, 7, options))));
    let with_time = |mac: MacAddr| option(1, &[&[0, 1, 0, 1, 9, 9, 9, 9], &mac.0[..]].concat());
    assert!(sends(&duid(OWN)) && sends(&duid(SECOND)) && sends(&with_time(OWN)));
    assert!(sends(&option(1, &[0, 2, 0, 0, 0, 9, 0x0a, 0xff])) && sends(&option(6, &[0, 23])));
    assert!(!sends(&duid(OTHER)) && !sends(&with_time(OTHER)));
    assert!(!sends(&option(1, &[0, 3, 0, 6, 2, 8, 0x20, 0, 0, 1])), "another kind of hardware");
    assert!(
        !sends(&option(1, &[]))
            && !sends(&option(1, &[0, 3]))
            && !sends(&[0, 1, 0])
            && !sends(&[0, 1, 0, 9, 1])
    );
    assert!(!sends(&[duid(OWN), duid(OTHER)].concat()) && !sends(&[duid(OWN), duid(OWN)].concat()));
    assert!(!sends(&[option(8, &[0, 0]), duid(OTHER)].concat()));
    assert!(!is_let(named().sends(&from_client6(&[3, 0, 0]))), "half a message");
}
