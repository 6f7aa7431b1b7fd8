//! Hostile datagrams: dropped under the right reason, nothing delivered, and the daemon lives on.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use overlay_core::protocol::{MuxInfo, Request, Response};
use overlay_core::types::MacAddr;
use overlay_tests::frame::{self, STRANGER};
use overlay_tests::{
    Counters, Daemon, Host, Namespace, SHORT, Switch, VNETID, inner_v4, resident_kib, udp_receive,
    underlay_v4, wait_until,
};

const VNIC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);

/// A host with one VNIC, a known tunnel end that speaks VXLAN by hand, and an unknown one.
struct Target {
    host: Host,
    known: UdpSocket,
    unknown: UdpSocket,
    /// What a program on the host receives.
    inside: UdpSocket,
    _others: [Namespace; 2],
    _underlay: Switch,
}

fn target() -> Target {
    let (host, others) = (Host::started(), [Namespace::new(), Namespace::new()]);
    let underlay = Switch::join(&[&host.net, &others[0], &others[1]], 9000);
    host.create_overlay("demo0", VNETID, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &["-m", &VNIC.to_string()]);
    // Nothing but what the test sends: no discovery of the kernel's own.
    host.net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.foo0.disable_ipv6=1"]).ok();
    host.net.ip(&["link", "set", "foo0", "up"]);
    host.net.ip(&["addr", "add", "192.168.23.1/24", "dev", "foo0"]);
    let [known, unknown] = [(0, 2), (1, 3)].map(|(index, end): (usize, u8)| {
        others[index].inside(|| UdpSocket::bind((underlay_v4(end), 4789))).expect("the VXLAN port")
    });
    let inside = host.net.inside(|| UdpSocket::bind("0.0.0.0:9999")).expect("a free port");
    Target { host, known, unknown, inside, _others: others, _underlay: underlay }
}

/// A frame that a program on the host would receive.
fn frame_with(payload: &[u8]) -> Vec<u8> {
    let packet = frame::udp4((inner_v4(2), 1234), (inner_v4(1), 9999), payload);
    frame::ethernet(VNIC, STRANGER, 0x0800, &packet)
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    frame::vxlan(VNETID, &frame_with(payload))
}

impl Target {
    fn send(&self, octets: &[u8]) {
        send(&self.known, octets);
    }

    fn counters(&self) -> Counters {
        self.host.counters("demo0")
    }

    /// What the one listener of the host has counted: datagrams that belong to no overlay.
    #[track_caller]
    fn mux(&self) -> MuxInfo {
        match self.host.ask(Daemon::Overlayd, Request::Muxes) {
            Response::Muxes(mut muxes) if muxes.len() == 1 => muxes.remove(0),
            other => panic!("one listener, not {other:?}"),
        }
    }

    /// Checks that a good datagram is the next thing that is delivered: everything before it was dropped.
    #[track_caller]
    fn still_works(&self) {
        self.send(&datagram(b"after"));
        assert_eq!(udp_receive(&self.inside).as_deref(), Some(&b"after"[..]));
        self.host.check_counters();
    }

    /// Checks that the frames dropped for a reason become so many more than `before`, and no others do.
    #[track_caller]
    fn dropped(&self, before: &Counters, reason: &str, frames: u64) {
        wait_until(SHORT, "every frame is counted where it belongs", || {
            let now = self.counters();
            let grown = (now.dropped(reason) - before.dropped(reason), now.drops() - before.drops());
            if grown == (frames, frames) { Ok(()) } else { Err(format!("{grown:?} for {reason}: {now:?}")) }
        });
    }
}

fn send(socket: &UdpSocket, octets: &[u8]) {
    let to = (IpAddr::from(underlay_v4(1)), 4789);
    assert_eq!(socket.send_to(octets, to).expect("a datagram is taken"), octets.len());
}

#[test]
fn a_good_datagram_is_delivered() {
    target().still_works();
}

#[test]
fn a_datagram_cut_at_any_length_delivers_nothing() {
    let target = target();
    let (whole, before) = (datagram(b"cut"), target.counters());
    (0..whole.len()).for_each(|len| target.send(&whole[..len]));
    target.still_works();
    assert_eq!(target.mux().bad_header, 8, "the first eight are too short for a header");
    // From 8 octets on the header is whole; from 22 on the inner Ethernet header is, and the rest is the receiver's.
    target.dropped(&before, "runt", 14);
}

#[test]
fn a_header_without_the_i_flag_delivers_nothing() {
    let target = target();
    let before = target.counters();
    for flags in [0x00, 0xf7, 0x80, 0x01] {
        target.send(&frame::vxlan_with_flags(flags, VNETID, &frame_with(b"no flag")));
    }
    target.still_works();
    assert_eq!(target.mux().bad_header, 4);
    assert_eq!(target.counters().drops(), before.drops(), "such a datagram belongs to no overlay");
}

#[test]
fn reserved_bits_are_ignored_on_receipt() {
    let target = target();
    let mut octets = frame::vxlan_with_flags(0xff, VNETID, &frame_with(b"reserved"));
    (octets[1], octets[7]) = (0xff, 0xff);
    target.send(&octets);
    assert_eq!(udp_receive(&target.inside).as_deref(), Some(&b"reserved"[..]));
    target.host.check_counters();
}

#[test]
fn an_unknown_vnetid_delivers_nothing() {
    let target = target();
    let before = target.counters();
    for vnetid in [0, 22, 24, 23 << 8, 0xff_ffff] {
        target.send(&frame::vxlan(vnetid, &frame_with(b"elsewhere")));
    }
    target.still_works();
    assert_eq!(target.mux().unknown_vnetid, 5);
    assert_eq!(target.counters().drops(), before.drops(), "such a datagram belongs to no overlay");
}

#[test]
fn a_runt_delivers_nothing_and_is_counted() {
    let target = target();
    let before = target.counters();
    let tag_alone = frame::ethernet(VNIC, STRANGER, 0x8100, &[0, 7]);
    let runts = [&[][..], &[0xff], &frame_with(b"")[..13], &tag_alone];
    runts.iter().for_each(|runt| target.send(&frame::vxlan(VNETID, runt)));
    target.dropped(&before, "runt", 4);
    target.still_works();
}

#[test]
fn a_frame_larger_than_the_mtu_delivers_nothing_and_is_counted() {
    let target = target();
    let before = target.counters();
    // The MTU is 1400: 28 octets of headers and 1372 of content are the edge.
    target.send(&datagram(&[1; 1372]));
    assert_eq!(udp_receive(&target.inside).map(|content| content.len()), Some(1372));
    for size in [1373, 1374, 4000, 8900] {
        target.send(&datagram(&vec![2; size]));
    }
    target.dropped(&before, "too-big", 4);
    target.still_works();
}

#[test]
fn an_unknown_tunnel_end_delivers_nothing_and_is_counted() {
    let target = target();
    let before = target.counters();
    (0..5).for_each(|_| send(&target.unknown, &datagram(b"let me in")));
    target.dropped(&before, "unknown-vtep", 5);
    target.still_works();
}

#[test]
fn a_frame_for_nobody_is_dropped_and_never_sent_back() {
    let target = target();
    let before = target.counters();
    let packet = frame::udp4((inner_v4(2), 1), (inner_v4(9), 9999), b"whose?");
    let stray = frame::ethernet(MacAddr([2, 0xbb, 0, 0, 0, 1]), STRANGER, 0x0800, &packet);
    (0..3).for_each(|_| target.send(&frame::vxlan(VNETID, &stray)));
    wait_until(SHORT, "three drops", || {
        let now = target.counters();
        if now.drops() == before.drops() + 3 { Ok(()) } else { Err(format!("{now:?}")) }
    });
    let hairpin = udp_receive(&target.known);
    assert_eq!(hairpin.map(|octets| octets[8..].to_vec()), None, "split horizon");
    target.still_works();
}

#[test]
fn frames_that_come_with_a_vnics_own_address_do_no_harm() {
    let target = target();
    let packet = frame::udp4((inner_v4(1), 9999), (inner_v4(1), 9999), b"myself");
    for to in [VNIC, MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr::default()] {
        target.send(&frame::vxlan(VNETID, &frame::ethernet(to, VNIC, 0x0800, &packet)));
    }
    target.host.check_counters();
    while udp_receive(&target.inside).is_some() {}
    target.still_works();
}

/// Pseudo-random octets (xorshift, Marsaglia 2003), the same in each run.
fn noise(seed: &mut u32, len: usize) -> Vec<u8> {
    let mut octet = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 17;
        *seed ^= *seed << 5;
        seed.to_le_bytes()[0]
    };
    (0..len).map(|_| octet()).collect()
}

#[test]
fn ten_thousand_datagrams_of_noise_deliver_nothing() {
    let mut target = target();
    let pid = target.host.daemon(Daemon::Overlayd).pid();
    let (mut seed, memory) = (23, resident_kib(pid));
    for round in 0..10_000_usize {
        let len = round % 200;
        let octets = noise(&mut seed, len);
        match round % 4 {
            0 => target.send(&octets),
            1 => target.send(&frame::vxlan(VNETID, &octets)),
            2 => target.send(&frame::vxlan(VNETID, &frame::ethernet(VNIC, STRANGER, 0x0800, &octets))),
            _ => target.send(&frame::vxlan(VNETID, &frame::tagged(7, &frame_with(&octets)))),
        }
    }
    wait_until(SHORT, "a good datagram is delivered again", || {
        target.send(&datagram(b"after"));
        let content = udp_receive(&target.inside);
        if content.as_deref() == Some(b"after") { Ok(()) } else { Err(format!("{content:?}")) }
    });
    assert!(target.host.daemon(Daemon::Overlayd).alive());
    let now = resident_kib(pid);
    assert!(now <= memory + 2048, "{now} KiB after {memory} KiB");
    target.host.check_counters();
}

#[test]
fn one_bad_datagram_costs_its_neighbours_nothing() {
    let target = target();
    let bad = [
        frame::vxlan(VNETID, &[0; 3]),
        vec![1, 2, 3],
        frame::vxlan(99, &frame_with(b"x")),
        datagram(&[9; 2000]),
    ];
    for number in 0..200_u16 {
        target.send(&bad[usize::from(number) % bad.len()]);
        target.send(&datagram(&number.to_be_bytes()));
        // A sender that waits now and then keeps the receive buffer from overflowing.
        assert_eq!(udp_receive(&target.inside).as_deref(), Some(&number.to_be_bytes()[..]));
    }
    target.host.check_counters();
}

#[test]
fn an_overlay_without_an_answer_about_its_targets_counts_what_it_cannot_send() {
    let host = Host::started();
    host.create_overlay("demo0", VNETID, Ipv4Addr::LOCALHOST, "127.0.0.9", &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host.net.address("foo0", 1);
    (0..3).for_each(|_| assert!(!host.net.ping(inner_v4(2), 56, false)));
    host.check_counters();
}
