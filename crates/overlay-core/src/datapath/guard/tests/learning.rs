//! What DHCP clients are given.

use super::*;
use crate::datapath::twin::Bench;

const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const HOUR: [u8; 6] = [51, 4, 0, 0, 0x0e, 0x10];

/// A VNIC without addresses.
fn bare() -> Guarded {
    let mut guarded = guarded(&["ip"]);
    guarded.settings.policy.allowed_ips.clear();
    guarded
}

fn asks_for(address: Ipv4Addr) -> Vec<u8> {
    [&[53, 1, 3, 50, 4], &address.octets()[..]].concat()
}

fn request(number: u32, address: Ipv4Addr) -> Vec<u8> {
    from_client(&dhcp4(1, number, OWN, [NOWHERE; 2], &asks_for(address)))
}

fn ack(number: u32, address: Ipv4Addr) -> Vec<u8> {
    from_server(&dhcp4(2, number, OWN, [NOWHERE, address], &[&[53, 1, 5], &HOUR[..]].concat()))
}

impl Guarded {
    fn uses(&self, address: Ipv4Addr) -> bool {
        self.sends(&ethernet(V4, &v4(address, 6, &[0; 20]))).is_ok()
            && self.sends(&arp(true, (OWN, address), OTHER_V4)).is_ok()
    }

    fn uses_v6(&self, address: Ipv6Addr) -> bool {
        self.sends(&ethernet(V6, &v6(address, 59, &[]))).is_ok()
    }

    /// Has an address for an hour.
    fn leased(self) -> Self {
        assert_eq!(self.sends(&request(7, LEASED_V4)), Ok(()));
        self.is_given(&ack(7, LEASED_V4));
        assert!(self.uses(LEASED_V4));
        self
    }
}

#[test]
fn an_address_is_the_clients_from_the_servers_answer_to_the_end_of_the_lease() {
    let mut guarded = bare();
    guarded.sends(&from_client(&dhcp4(1, 6, OWN, [NOWHERE; 2], &[53, 1, 1]))).unwrap();
    guarded.is_given(&from_server(&dhcp4(
        2,
        6,
        OWN,
        [NOWHERE, LEASED_V4],
        &[&[53, 1, 2], &HOUR[..]].concat(),
    )));
    assert!(!guarded.uses(LEASED_V4), "it is offered");
    guarded.sends(&request(7, LEASED_V4)).unwrap();
    assert!(!guarded.uses(LEASED_V4), "it is asked for");
    guarded.is_given(&ack(7, LEASED_V4));
    assert!(guarded.uses(LEASED_V4) && !guarded.uses(OTHER_V4));
    let asked = guarded.now;
    guarded.now = asked.after(3_599_999);
    assert!(guarded.uses(LEASED_V4));
    guarded.now = asked.after(3_600_000);
    assert!(!guarded.uses(LEASED_V4), "it is over");
}

#[test]
fn a_renewal_makes_it_last_longer() {
    let mut guarded = bare().leased();
    guarded.now = guarded.now.after(1_800_000);
    let renewal = udp([68, 67], &dhcp4(1, 8, OWN, [LEASED_V4, NOWHERE], &[53, 1, 3]));
    guarded.sends(&ethernet(V4, &v4(LEASED_V4, UDP, &renewal))).unwrap();
    guarded.is_given(&ack(8, LEASED_V4));
    guarded.now = guarded.now.after(3_599_999);
    assert!(guarded.uses(LEASED_V4));
}

#[test]
fn a_client_has_one_address_and_each_of_several_clients_its_own() {
    let guarded = bare().leased();
    guarded.sends(&request(8, OTHER_V4)).unwrap();
    guarded.is_given(&ack(8, OTHER_V4));
    assert!(guarded.uses(OTHER_V4) && !guarded.uses(LEASED_V4));
    let options = [&asks_for(LEASED_V4)[..], &[61, 2, 0, 9]].concat();
    guarded.sends(&from_client(&dhcp4(1, 9, OWN, [NOWHERE; 2], &options))).unwrap();
    guarded.is_given(&ack(9, LEASED_V4));
    assert!(guarded.uses(OTHER_V4) && guarded.uses(LEASED_V4));
}

#[test]
fn only_an_answer_to_what_was_asked_counts() {
    let lease = [&[53, 1, 5], &HOUR[..]].concat();
    let whole = |number, client, address| from_server(&dhcp4(2, number, client, [NOWHERE, address], &lease));
    let mut from_elsewhere = ack(7, LEASED_V4);
    from_elsewhere[35] = 66;
    let mut to_another = ack(7, LEASED_V4);
    to_another[..6].copy_from_slice(&OTHER.0);
    let mut part = ack(7, LEASED_V4);
    part[20] |= 0x20;
    let mut short = ack(7, LEASED_V4);
    short[39] = 9;
    for answer in [
        whole(8, OWN, LEASED_V4),
        whole(7, OTHER, LEASED_V4),
        whole(7, OWN, OTHER_V4),
        from_server(&dhcp4(1, 7, OWN, [NOWHERE, LEASED_V4], &lease)),
        from_server(&dhcp4(2, 7, OWN, [NOWHERE, LEASED_V4], &[53, 1, 5])),
        from_server(&dhcp4(2, 7, OWN, [NOWHERE, LEASED_V4], &[&[53, 1, 2], &HOUR[..]].concat())),
        from_elsewhere,
        to_another,
        part,
        short,
    ] {
        let guarded = bare();
        guarded.sends(&request(7, LEASED_V4)).unwrap();
        guarded.is_given(&answer);
        assert!(!guarded.uses(LEASED_V4) && !guarded.uses(OTHER_V4), "{answer:02x?}");
        guarded.is_given(&ack(7, LEASED_V4));
        assert!(guarded.uses(LEASED_V4), "the answer that it asked for still counts");
    }
    let guarded = bare();
    guarded.is_given(&ack(7, LEASED_V4));
    assert!(!guarded.uses(LEASED_V4), "nobody has asked");
    guarded.sends(&from_client(&dhcp4(1, 7, OTHER, [NOWHERE; 2], &asks_for(LEASED_V4)))).unwrap();
    guarded.is_given(&whole(7, OTHER, LEASED_V4));
    assert!(!guarded.uses(LEASED_V4), "somebody else has");
}

#[test]
fn an_answer_cut_off_anywhere_or_with_any_bit_changed_gives_no_other_address() {
    let answer = ack(7, LEASED_V4);
    let cut = (0..answer.len()).map(|len| answer[..len].to_vec());
    let changed = (0..answer.len() * 8).map(|bit| {
        let mut answer = answer.clone();
        answer[bit / 8] ^= 1 << (bit % 8);
        answer
    });
    for other in cut.chain(changed).filter(|answer| answer.len() >= 14) {
        let guarded = bare();
        guarded.sends(&request(7, LEASED_V4)).unwrap();
        guarded.is_given(&other);
        let leases = guarded.guard.leases.read().unwrap();
        assert!((0..=255).all(|last| last == 100 || !leases.hold([192, 0, 2, last].into(), guarded.now)));
    }
}

#[test]
fn what_is_given_back_declined_or_refused_is_nobodys() {
    let back = |kind, addresses, options: &[u8]| {
        udp([68, 67], &dhcp4(1, 8, OWN, addresses, &[&[53, 1, kind], options].concat()))
    };
    let guarded = bare().leased();
    let release = back(7, [LEASED_V4, NOWHERE], &[]);
    guarded.sends(&ethernet(V4, &v4(LEASED_V4, UDP, &release))).unwrap();
    assert!(!guarded.uses(LEASED_V4), "given back");
    let guarded = bare().leased();
    let decline = back(4, [NOWHERE; 2], &[&[50, 4], &LEASED_V4.octets()[..]].concat());
    guarded.sends(&ethernet(V4, &v4(NOWHERE, UDP, &decline))).unwrap();
    assert!(!guarded.uses(LEASED_V4), "declined");
    let guarded = bare().leased();
    guarded.sends(&request(8, LEASED_V4)).unwrap();
    guarded.is_given(&from_server(&dhcp4(2, 9, OWN, [NOWHERE; 2], &[53, 1, 6])));
    assert!(guarded.uses(LEASED_V4), "somebody else's refusal");
    guarded.is_given(&from_server(&dhcp4(2, 8, OWN, [NOWHERE; 2], &[53, 1, 6])));
    assert!(!guarded.uses(LEASED_V4), "refused");
}

#[test]
fn a_server_may_answer_at_once_where_the_client_says_so() {
    for (options, learned) in [(&[53, 1, 1, 80, 0][..], true), (&[53, 1, 1], false)] {
        let guarded = bare();
        guarded.sends(&from_client(&dhcp4(1, 7, OWN, [NOWHERE; 2], options))).unwrap();
        guarded.is_given(&ack(7, LEASED_V4));
        assert_eq!(guarded.uses(LEASED_V4), learned, "RFC 4039");
    }
}

#[test]
fn a_lease_for_ever_lasts() {
    let mut guarded = bare();
    guarded.sends(&request(7, LEASED_V4)).unwrap();
    let options = [53, 1, 5, 51, 4, 255, 255, 255, 255];
    guarded.is_given(&from_server(&dhcp4(2, 7, OWN, [NOWHERE, LEASED_V4], &options)));
    guarded.now = Moment(u64::MAX - 1);
    assert!(guarded.uses(LEASED_V4));
}

#[test]
fn no_client_fills_the_memory() {
    let guarded = bare();
    for number in 0..1000u16 {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, 0, high, low);
        let options = [&asks_for(address)[..], &[61, 3, 0, high, low]].concat();
        for repeated in 0..2 {
            let number = u32::from(number) + repeated * 5000;
            guarded.sends(&from_client(&dhcp4(1, number, OWN, [NOWHERE; 2], &options))).unwrap();
        }
        guarded.is_given(&ack(number.into(), address));
    }
    let leases = guarded.guard.leases.read().unwrap();
    let held = (0..1000u16).filter(|number| {
        let [high, low] = number.to_be_bytes();
        leases.hold([10, 0, high, low].into(), guarded.now)
    });
    assert_eq!(held.count(), 64);
    assert_eq!(
        (0..6000).filter(|number| leases.await_answer(false, *number)).count(),
        15,
        "the last is answered"
    );
}

/// An identity association for addresses with one of them.
fn binding(address: Ipv6Addr, seconds: u32) -> Vec<u8> {
    let address = [&address.octets()[..], &[0; 4], &seconds.to_be_bytes()].concat();
    option(3, &[&[0; 12], &option(5, &address)[..]].concat())
}

fn request6(kind: u8, more: &[u8]) -> Vec<u8> {
    from_client6(&dhcp6(kind, 7, &[&duid(OWN), more].concat()))
}

fn reply6(number: u32, client: MacAddr, more: &[u8]) -> Vec<u8> {
    from_server6(&dhcp6(7, number, &[&option(2, &[9]), &duid(client), more].concat()))
}

#[test]
fn ipv6_addresses_and_prefixes_are_learned_too() {
    let prefix =
        [&[0; 4][..], &3600u32.to_be_bytes(), &[56], &"2001:db8:5::".parse::<Ipv6Addr>().unwrap().octets()];
    let delegation = option(25, &[&[0; 12], &option(26, &prefix.concat())[..]].concat());
    for kind in [3, 5, 6] {
        let mut guarded = bare();
        guarded.sends(&request6(kind, &[])).unwrap();
        assert!(!guarded.uses_v6(LEASED_V6));
        guarded.is_given(&reply6(7, OWN, &[&delegation[..], &binding(LEASED_V6, 3600)].concat()));
        assert!(guarded.uses_v6(LEASED_V6) && guarded.uses_v6("2001:db8:5:ff::1".parse().unwrap()));
        assert!(!guarded.uses_v6(OTHER_V6) && !guarded.uses_v6("2001:db8:5:100::1".parse().unwrap()));
        guarded.now = guarded.now.after(3_600_000);
        assert!(!guarded.uses_v6(LEASED_V6));
    }
}

#[test]
fn only_an_answer_to_what_was_asked_counts_in_ipv6() {
    let lease = binding(LEASED_V6, 3600);
    let everything = [&[0; 4][..], &3600u32.to_be_bytes(), &[0], &[0; 16]].concat();
    let everything = option(25, &[&[0; 12], &option(26, &everything)[..]].concat());
    let mut advertisement = reply6(7, OWN, &lease);
    advertisement[62] = 2;
    for answer in [
        reply6(8, OWN, &lease),
        reply6(7, OTHER, &lease),
        reply6(7, OWN, &[&option(13, &[0, 2]), &lease[..]].concat()),
        reply6(7, OWN, &everything),
        reply6(7, OWN, &binding("ff02::1".parse().unwrap(), 3600)),
        from_server6(&dhcp6(7, 7, &lease)),
        advertisement,
    ] {
        let guarded = bare();
        guarded.sends(&request6(3, &[])).unwrap();
        guarded.is_given(&answer);
        assert!(!guarded.uses_v6(LEASED_V6) && !guarded.uses_v6(OTHER_V6), "{answer:02x?}");
    }
    let guarded = bare();
    guarded.sends(&request6(11, &[])).unwrap();
    guarded.is_given(&reply6(7, OWN, &lease));
    assert!(!guarded.uses_v6(LEASED_V6), "it has asked for something else");
}

#[test]
fn ipv6_addresses_are_given_back() {
    for kind in [8, 9] {
        let guarded = bare();
        guarded.sends(&request6(3, &[])).unwrap();
        guarded.is_given(&reply6(7, OWN, &[binding(LEASED_V6, 9), binding(OTHER_V6, 9)].concat()));
        guarded.sends(&request6(kind, &binding(LEASED_V6, 0))).unwrap();
        assert!(!guarded.uses_v6(LEASED_V6) && guarded.uses_v6(OTHER_V6));
        guarded.sends(&request6(6, &[])).unwrap();
        guarded.is_given(&reply6(7, OWN, &binding(OTHER_V6, 0)));
        assert!(!guarded.uses_v6(OTHER_V6), "valid for no time");
    }
}

/// Two VNICs, of which the first has no address yet.
fn bench() -> Bench {
    let mut bench = Bench::new(&[None, None]);
    let policy = PortPolicy {
        protection: Protection { ip_nospoof: true, ..Protection::default() },
        ..PortPolicy::default()
    };
    bench.set_policy(0, policy);
    bench
}

#[test]
fn servers_here_and_on_the_wire_are_heard() {
    for here in [true, false] {
        let bench = bench();
        bench.transmit(0, &request(7, LEASED_V4));
        let answer = ack(7, LEASED_V4);
        if here {
            bench.transmit(1, &answer);
        } else {
            bench.overlay.receive(crate::datapath::twin::point().ip(), &answer, None);
        }
        assert_eq!(bench.taken(0), [answer]);
        bench.transmit(0, &ethernet(V4, &v4(LEASED_V4, 6, &[0; 20])));
        bench.transmit(0, &ethernet(V4, &v4(OTHER_V4, 6, &[0; 20])));
        assert_eq!(bench.drops(), [("spoofed-ip", 1)]);
    }
}

#[test]
fn what_was_learned_outlives_a_change_of_settings() {
    let mut bench = bench();
    bench.transmit(0, &request(7, LEASED_V4));
    bench.transmit(1, &ack(7, LEASED_V4));
    let mut policy = bench.overlay.ports()[0].settings().policy.clone();
    policy.allowed_ips = vec!["10.0.0.1".parse().unwrap()];
    bench.set_policy(0, policy);
    bench.transmit(0, &ethernet(V4, &v4(LEASED_V4, 6, &[0; 20])));
    assert!(bench.drops().is_empty());
}

#[test]
fn what_was_given_before_a_restart_is_still_the_clients() {
    let before = bench();
    before.transmit(0, &request(7, LEASED_V4));
    let (asked, leases) = before.overlay.ports()[0].leases().unwrap();
    assert_eq!(leases, [], "it is only asked for");
    before.transmit(1, &ack(7, LEASED_V4));
    let (changes, leases) = before.overlay.ports()[0].leases().unwrap();
    assert!(changes != asked && leases.len() == 1);
    let after = bench();
    let (fresh, _) = after.overlay.ports()[0].leases().unwrap();
    assert!(![0, asked, changes].contains(&fresh), "another VNIC's has a number that it had");
    after.overlay.ports()[0].restore_leases(leases);
    after.transmit(0, &ethernet(V4, &v4(LEASED_V4, 6, &[0; 20])));
    assert!(after.drops().is_empty());
    assert_eq!(after.overlay.ports()[1].leases(), None, "whoever may use any address has none to keep");
}

#[test]
fn in_another_place_nothing_is_left_of_what_was_given_or_asked_for() {
    let bench = bench();
    bench.transmit(0, &request(7, LEASED_V4));
    bench.transmit(1, &ack(7, LEASED_V4));
    bench.transmit(0, &request(8, OTHER_V4));
    let port = &bench.overlay.ports()[0];
    let (before, _) = port.leases().unwrap();
    port.end_leases();
    bench.transmit(1, &ack(8, OTHER_V4));
    let (after, leases) = port.leases().unwrap();
    assert!(after != before && leases.is_empty());
    bench.transmit(0, &ethernet(V4, &v4(LEASED_V4, 6, &[0; 20])));
    assert_eq!(bench.drops(), [("spoofed-ip", 1)]);
}

#[test]
fn every_answer_of_a_run_that_waits_is_heard() {
    use crate::datapath::twin::point;
    use crate::offload::{Member, Run};
    let mut bench = bench();
    let policy = bench.overlay.ports()[0].settings().policy.clone();
    bench.set_policy(0, PortPolicy { maxbw: "10M".parse().ok(), ..policy });
    let named = [&asks_for(OTHER_V4)[..], &[61, 2, 0, 9]].concat();
    bench.transmit(0, &request(7, LEASED_V4));
    bench.transmit(0, &from_client(&dhcp4(1, 8, OWN, [NOWHERE; 2], &named)));
    let answers = [ack(7, LEASED_V4), ack(8, OTHER_V4)].map(|mut answer| {
        // Without a checksum a datagram stays alone.
        answer[40] = 1;
        answer
    });
    let ethernet = crate::wire::Ethernet::parse(&answers[0]).unwrap();
    let [first, next] = [0, 1].map(|place| Member::new(&answers[place], &ethernet).unwrap());
    let payloads = [&answers[0][first.payload()], &answers[1][next.payload()]];
    let mut run = Run::new(&answers[0], first);
    assert!(run.join(&answers[1], next));
    bench.overlay.receive_inner(point().ip(), &Inner::run(&mut run, &payloads, ethernet));
    assert_eq!(bench.overlay.counters().info().waiting, 2);
    bench.overlay.drain(&bench.overlay.ports()[0], crate::types::Nanos(1_000_000_000));
    let (_, leases) = bench.overlay.ports()[0].leases().unwrap();
    let held: Vec<_> = leases.iter().map(|lease| lease.network.to_string()).collect();
    assert_eq!(held, [LEASED_V4, OTHER_V4].map(|address| format!("{address}/32")));
}
