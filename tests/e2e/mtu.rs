//! Overlays of MTU 1450 and 1400 over an underlay of 1500.

use overlay_tests::{Host, Plan, Scene, inner_v4, tcp_copy};

fn fragments(host: &Host) -> u64 {
    let text = host.net.run(&["cat", "/proc/net/snmp"]).ok();
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (rows.next().expect("names"), rows.next().expect("values"));
    let row = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "FragCreates");
    row.and_then(|(_, value)| value.parse().ok()).expect("a count of fragments")
}

fn full_packets_cross_whole(mtu: u16) {
    let scene = Scene::ours(Plan { mtu, ..Plan::default() });
    let edge = usize::from(mtu) - 28;
    for (from, end) in [(&scene.host, 2), (&scene.peer, 1)] {
        assert_eq!(from.net.device("foo0")["mtu"], mtu);
        assert!(from.net.ping(inner_v4(end), edge, true), "a full packet crosses whole");
        assert!(!from.net.ping(inner_v4(end), edge + 1, true), "one octet more does not");
    }
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), 10_000_000);
    tcp_copy(&scene.peer.net, &scene.host.net, inner_v4(1), 10_000_000);
    assert_eq!((fragments(&scene.host), fragments(&scene.peer)), (0, 0), "no outer packet is fragmented");
    assert!(scene.host.net.ping(inner_v4(2), 3 * edge, false), "a packet in pieces crosses too");
    for host in [&scene.host, &scene.peer] {
        host.check_counters();
        assert_eq!(host.counters("demo0").dropped("too-big"), 0);
        assert_eq!(host.counters("demo0").dropped("underlay-mtu"), 0);
    }
}

#[test]
fn an_overlay_of_1450_fills_an_underlay_of_1500() {
    full_packets_cross_whole(1450);
}

#[test]
fn the_default_overlay_of_1400_fits_an_underlay_of_1500() {
    full_packets_cross_whole(1400);
}

#[test]
fn an_overlay_larger_than_its_underlay_crosses_in_fragments() {
    let scene = Scene::ours(Plan { mtu: 1500, ..Plan::default() });
    assert!(scene.host.net.ping(inner_v4(2), 1472, true), "a full packet crosses");
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), 10_000_000);
    assert!(fragments(&scene.host) > 0, "outer packets are fragmented");
    for host in [&scene.host, &scene.peer] {
        host.check_counters();
        assert_eq!(host.counters("demo0").dropped("underlay-mtu"), 0);
    }
}

#[test]
fn a_vnic_has_the_mtu_of_its_overlay_or_a_smaller_one() {
    let scene = Scene::ours(Plan { mtu: 1450, ..Plan::default() });
    scene.host.create_vnic("small0", "demo0", &["-p", "mtu=1300"]);
    assert_eq!(scene.host.net.device("small0")["mtu"], 1300);
    let refusal = scene.host.dladm_refused(&["create-vnic", "-l", "demo0", "-p", "mtu=1451", "big0"]);
    assert!(refusal.contains("1450"), "{refusal}");
}
