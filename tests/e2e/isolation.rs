//! What keeps apart: vnetids, VLAN ids and addresses; and what stays on the host.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use overlay_core::types::MacAddr;
use overlay_tests::frame::{self, STRANGER};
use overlay_tests::{
    Family, Host, KernelPeer, Namespace, Plan, SHORT, Scene, Underlay, VNETID, Zone, inner_v4, tcp_copy,
    udp_receive, underlay_v4, wait_until,
};

/// One host with the VNICs `a0` and `b0` on one overlay and `c0` on another, each in a zone, end 1, 2 and 3.
struct Tenants {
    host: Host,
    peer: KernelPeer,
    zones: [Zone; 3],
    _underlay: Underlay,
}

fn tenants() -> Tenants {
    let (host, peer) = (Host::started(), KernelPeer::new());
    let underlay = Underlay::join(&host.net, &peer.net, 1500);
    for (overlay, vnetid) in [("red0", 23), ("blue0", 24)] {
        host.create_overlay(overlay, vnetid, underlay_v4(1), underlay_v4(2), &[]);
    }
    let zones = [("a0", "red0", 1), ("b0", "red0", 2), ("c0", "blue0", 3)].map(|(vnic, overlay, end)| {
        host.create_vnic(vnic, overlay, &[]);
        Zone::holding(&host, vnic, end)
    });
    Tenants { host, peer, zones, _underlay: underlay }
}

fn ends() -> (IpAddr, IpAddr) {
    (Family::V4.underlay(2), Family::V4.underlay(1))
}

#[test]
fn vnics_on_two_overlays_of_one_host_are_isolated() {
    let Tenants { host, zones: [a, b, c], peer, _underlay } = tenants();
    assert!(
        a.net.ping(inner_v4(2), 56, false) && b.net.ping(inner_v4(1), 56, false),
        "one overlay is one network"
    );
    assert!(!a.net.ping(inner_v4(3), 56, false), "another vnetid is another network");
    assert!(!c.net.ping(inner_v4(1), 56, false) && !c.net.ping(inner_v4(2), 56, false));
    let (local, remote) = ends();
    peer.vxlan("blue", 24, local, remote, 1400);
    peer.net.address("blue", 4);
    assert!(c.net.ping(inner_v4(4), 56, false), "the other host is reached on the overlay it has");
    assert!(!a.net.ping(inner_v4(4), 56, false) && !peer.net.ping(inner_v4(1), 56, false), "and on no other");
    host.check_counters();
}

#[test]
fn what_is_broadcast_reaches_its_own_overlay_alone() {
    let Tenants { host, zones: [a, b, c], peer: _peer, _underlay } = tenants();
    let receivers =
        [&b, &c].map(|zone| zone.net.inside(|| UdpSocket::bind("0.0.0.0:9999")).expect("a free port"));
    overlay_tests::udp_send(&a.net, inner_v4(1), "192.168.23.255:9999".parse().expect("an address"), b"all");
    assert_eq!(udp_receive(&receivers[0]).as_deref(), Some(&b"all"[..]));
    assert_eq!(udp_receive(&receivers[1]), None);
    host.check_counters();
}

#[test]
fn frames_between_vnics_of_one_host_never_touch_the_wire() {
    let Tenants { host, zones: [a, b, _c], peer: _peer, _underlay } = tenants();
    assert!(a.net.ping(inner_v4(2), 56, false) && b.net.ping(inner_v4(1), 56, false));
    let before = host.counters("red0");
    tcp_copy(&a.net, &b.net, inner_v4(2), 20_000_000);
    let after = host.counters("red0");
    assert_eq!(after.of("to-wire"), before.of("to-wire"), "{after:?}");
    assert!(after.of("to-devices") > before.of("to-devices") + 1000 / 64, "{after:?}");
    host.check_counters();
}

#[test]
fn a_vnic_can_talk_to_its_host_and_to_the_wire_at_once() {
    let Tenants { host, zones: [a, _b, _c], peer, _underlay } = tenants();
    let (local, remote) = ends();
    peer.vxlan("red", 23, local, remote, 1400);
    peer.net.address("red", 4);
    for end in [2, 4] {
        assert!(a.net.ping(inner_v4(end), 1372, true), "end {end}");
    }
    host.check_counters();
}

/// A namespace that speaks VXLAN by hand, as end 2 of an underlay with a host that has a VNIC of VLAN 7.
struct ByHand {
    host: Host,
    socket: UdpSocket,
    vnic: MacAddr,
    _underlay: Underlay,
    _peer: Namespace,
}

fn vlan_by_hand() -> ByHand {
    let (host, peer) = (Host::started(), Namespace::new());
    let underlay = Underlay::join(&host.net, &peer, 1500);
    host.create_overlay("demo0", VNETID, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("seven0", "demo0", &["-v", "7", "-m", "2:8:20:0:0:7"]);
    let _ = host.net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.seven0.disable_ipv6=1"]).ok();
    host.net.ip(&["link", "set", "seven0", "up"]);
    host.net.ip(&["addr", "add", "192.168.23.1/24", "dev", "seven0"]);
    let socket = peer.inside(|| UdpSocket::bind((underlay_v4(2), 4789))).expect("the VXLAN port");
    ByHand { host, socket, vnic: MacAddr([2, 8, 0x20, 0, 0, 7]), _underlay: underlay, _peer: peer }
}

impl ByHand {
    fn ask_for_the_vnic(&self, vid: Option<u16>) {
        let nobody = MacAddr::default();
        let question = frame::arp(1, (STRANGER, inner_v4(2)), (nobody, inner_v4(1)));
        let plain = frame::ethernet(MacAddr::BROADCAST, STRANGER, 0x0806, &question);
        let frame = vid.map_or(plain.clone(), |vid| frame::tagged(vid, &plain));
        self.socket.send_to(&frame::vxlan(VNETID, &frame), (underlay_v4(1), 4789)).expect("sent");
    }

    /// The next inner frame of an EtherType behind a tag that arrives, if one does within a second.
    fn answer(&self, kind: [u8; 2]) -> Option<Vec<u8>> {
        (0..10).find_map(|_| {
            let frame = udp_receive(&self.socket)?.split_off(8);
            (frame[16..18] == kind).then_some(frame)
        })
    }
}

#[test]
fn a_vnic_with_a_vid_tags_its_frames_and_takes_only_those() {
    let peer = vlan_by_hand();
    for vid in [None, Some(8)] {
        peer.ask_for_the_vnic(vid);
        assert_eq!(peer.answer([8, 6]), None, "the VNIC of VLAN 7 is not in {vid:?}");
    }
    peer.ask_for_the_vnic(Some(7));
    let answer = peer.answer([8, 6]).expect("an answer to ARP");
    let expected = frame::arp(2, (peer.vnic, inner_v4(1)), (STRANGER, inner_v4(2)));
    assert_eq!(answer[..12], [STRANGER.0, peer.vnic.0].concat());
    assert_eq!(answer[12..18], [0x81, 0, 0, 7, 8, 6], "tag 7, then ARP");
    assert_eq!(answer[18..46], expected);
    peer.host.check_counters();
}

#[test]
fn a_full_packet_of_a_vnic_with_a_vid_crosses_the_tunnel() {
    let peer = vlan_by_hand();
    peer.ask_for_the_vnic(Some(7));
    peer.answer([8, 6]).expect("an answer to ARP");
    let packet = frame::echo_request(inner_v4(2), inner_v4(1), &[0x5a; 1372]);
    let frame = frame::tagged(7, &frame::ethernet(peer.vnic, STRANGER, 0x0800, &packet));
    peer.socket.send_to(&frame::vxlan(VNETID, &frame), (underlay_v4(1), 4789)).expect("sent");
    let answer = peer.answer([8, 0]).expect("an echo");
    assert_eq!((answer.len(), answer[18 + 20]), (18 + 1400, 0), "an echo reply of the whole MTU");
    peer.host.check_counters();
}

#[test]
fn vnics_of_one_vid_reach_each_other_and_no_others() {
    let scene = Scene::ours(Plan::default());
    for (host, end) in [(&scene.host, 11), (&scene.peer, 12)] {
        host.create_vnic("seven0", "demo0", &["-v", "7"]);
        let row = host.dladm_ok(&["show-vnic", "-p", "-o", "link,vid", "seven0"]);
        assert_eq!(row.trim(), "seven0:7");
        host.net.ip(&["link", "set", "foo0", "down"]);
        host.net.address("seven0", end);
    }
    assert!(scene.host.net.ping(inner_v4(12), 1372, true) && scene.peer.net.ping(inner_v4(11), 1372, true));
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(12), 10_000_000);
    scene.peer.net.ip(&["link", "set", "seven0", "down"]);
    scene.peer.net.address("foo0", 13);
    scene.peer.net.ip(&["neigh", "flush", "dev", "foo0"]);
    assert!(!scene.peer.net.ping(inner_v4(11), 56, false), "without the tag there is no way in");
    scene.host.check_counters();
}

#[test]
#[ignore = "needs a kernel with CONFIG_VLAN_8021Q"]
fn a_vnic_with_a_vid_reaches_the_kernels_vlan_device() {
    let scene = Scene::kernel(Plan { mtu: 1450, ..Plan::default() });
    scene.host.create_vnic("seven0", "demo0", &["-v", "7"]);
    scene.host.net.ip(&["link", "set", "foo0", "down"]);
    scene.host.net.address("seven0", 11);
    scene.peer.net.ip(&["link", "add", "link", "vx0", "name", "v7", "type", "vlan", "id", "7"]);
    scene.peer.net.ip(&["addr", "flush", "dev", "vx0"]);
    scene.peer.net.address("v7", 12);
    assert!(scene.host.net.ping(inner_v4(12), 56, false) && scene.peer.net.ping(inner_v4(11), 56, false));
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(12), 10_000_000);
    scene.host.check_counters();
}

/// A host with an overlay that nobody else is on.
fn alone() -> Host {
    let host = Host::started();
    host.create_overlay("demo0", VNETID, Ipv4Addr::LOCALHOST, underlay_v4(2), &[]);
    host
}

fn shown_mac(host: &Host, vnic: &str) -> MacAddr {
    let text = host.dladm_ok(&["show-vnic", "-p", "-o", "macaddress", vnic]);
    text.trim().parse().unwrap_or_else(|error| panic!("{error}"))
}

fn kernels_mac(host: &Host, vnic: &str) -> MacAddr {
    host.net.device(vnic)["address"].as_str().expect("an address").parse().expect("a MAC address")
}

#[test]
fn a_given_mac_is_the_devices_and_stays() {
    let host = alone();
    host.create_vnic("foo0", "demo0", &["-m", "2:8:20:ab:cd:ef"]);
    let mac = MacAddr([2, 8, 0x20, 0xab, 0xcd, 0xef]);
    assert_eq!((shown_mac(&host, "foo0"), kernels_mac(&host, "foo0")), (mac, mac));
    let kind = host.dladm_ok(&["show-vnic", "-p", "-o", "macaddrtype", "foo0"]);
    assert_eq!(kind.trim(), "fixed");
    host.net.ip(&["link", "set", "foo0", "up"]);
    host.net.ip(&["link", "set", "foo0", "down"]);
    assert_eq!(kernels_mac(&host, "foo0"), mac);
}

#[test]
fn random_macs_have_the_prefix_of_illumos_and_are_unique() {
    let host = alone();
    let names: Vec<_> = (0..20).map(|number| format!("foo{number}")).collect();
    names.iter().for_each(|name| host.create_vnic(name, "demo0", &[]));
    let macs: BTreeSet<_> = names.iter().map(|name| shown_mac(&host, name)).collect();
    assert_eq!(macs.len(), names.len(), "all different");
    assert!(macs.iter().all(|mac| mac.0[..3] == [2, 8, 0x20]), "{macs:?}");
    assert!(names.iter().all(|name| shown_mac(&host, name) == kernels_mac(&host, name)));
}

#[test]
fn a_random_mac_takes_the_prefix_it_is_given() {
    let host = alone();
    host.create_vnic("foo0", "demo0", &["-m", "random", "-r", "2:8:21"]);
    assert_eq!(shown_mac(&host, "foo0").0[..3], [2, 8, 0x21]);
    host.create_vnic("foo1", "demo0", &["-m", "auto"]);
    assert_eq!(shown_mac(&host, "foo1").0[..3], [2, 8, 0x20]);
}

#[test]
fn one_mac_may_be_on_two_overlays_but_not_twice_on_one() {
    let host = alone();
    host.create_overlay("demo1", 24, Ipv4Addr::LOCALHOST, underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &["-m", "2:8:20:1:2:3"]);
    let refusal = host.dladm_refused(&["create-vnic", "-l", "demo0", "-m", "2:8:20:1:2:3", "foo1"]);
    assert!(refusal.contains("2:8:20:1:2:3"), "{refusal}");
    host.create_vnic("foo1", "demo1", &["-m", "2:8:20:1:2:3"]);
}

#[test]
fn a_deleted_vnic_is_no_longer_reached() {
    let scene = Scene::kernel(Plan::default());
    scene.host.dladm_ok(&["delete-vnic", "foo0"]);
    assert!(!scene.peer.net.ping(inner_v4(1), 56, false));
    scene.host.create_vnic("foo1", "demo0", &[]);
    scene.host.net.address("foo1", 1);
    scene.peer.net.ip(&["neigh", "flush", "dev", "vx0"]);
    wait_until(SHORT, "its successor answers", || {
        if scene.peer.net.ping(inner_v4(1), 56, false) { Ok(()) } else { Err("no answer".to_owned()) }
    });
    scene.host.check_counters();
}
