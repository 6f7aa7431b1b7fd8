//! Overlays of MTU 1450 and 1400 over an underlay of 1500.

use overlay_tests::{
    Host, Plan, Scene, Underlay, await_ping, inner_v4, inner_v6, tcp_copy, underlay_v4, underlay_v6,
};

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

/// An end of an overlay that is larger than its underlay.
fn furnish_too_large(host: &Host, end: u8, df: &str) {
    let ends = format!(
        "vxlan/listen_ip={},direct/dest_ip={},direct/dest_port=4789,mtu=1500,vxlan/df={df}",
        underlay_v4(end),
        underlay_v4(3 - end)
    );
    let words = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "23", "-p", &ends, "demo0"];
    let made = host.dladm(&words);
    assert_eq!(made.code, Some(0), "{made:?}");
    let why = "mtu 1500 is too large: the underlay at 10.0.0.1 takes packets of 1500 octets, which leaves 1450 inside";
    if end == 1 {
        assert_eq!(made.stderr, format!("dladm: warning: overlay demo0: {why}\n"));
        assert_eq!(host.status("demo0"), format!("ONLINE:{why}"));
    }
    host.create_vnic("foo0", "demo0", &[]);
    host.net.address("foo0", end);
}

fn too_large(df: &str) -> (Host, Host, Underlay) {
    let (one, two) = (Host::started(), Host::started());
    let underlay = Underlay::join(&one.net, &two.net, 1500);
    furnish_too_large(&one, 1, df);
    furnish_too_large(&two, 2, df);
    await_ping(&one.net);
    (one, two, underlay)
}

#[test]
fn an_overlay_larger_than_its_underlay_crosses_in_fragments_where_they_are_allowed() {
    let (one, two, _underlay) = too_large("unset");
    assert!(one.net.ping(inner_v4(2), 1472, true), "a full packet crosses");
    tcp_copy(&one.net, &two.net, inner_v4(2), 10_000_000);
    assert!(fragments(&one) > 0, "outer packets are fragmented");
    for host in [&one, &two] {
        host.check_counters();
        assert_eq!(host.counters("demo0").dropped("underlay-mtu"), 0);
    }
}

#[test]
fn an_overlay_larger_than_its_underlay_tells_its_senders_what_fits() {
    let (one, two, _underlay) = too_large("set");
    let ping =
        |size: &str, to: &str| one.net.run(&["ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", size, to]);
    let told = ping("1472", "192.168.23.2");
    assert!(told.stdout.contains("Frag needed and DF set (mtu = 1450)"), "{told:?}");
    let known = ping("1472", "192.168.23.2");
    assert!(known.stderr.contains("message too long, mtu=1450"), "{known:?}");
    assert!(ping("1422", "192.168.23.2").succeeded(), "what fits crosses");
    let told = ping("1452", "fd23::2");
    assert!(told.stdout.contains("Packet too big: mtu=1450"), "{told:?}");
    assert!(ping("1402", "fd23::2").succeeded(), "what fits crosses");
    tcp_copy(&one.net, &two.net, inner_v4(2), 10_000_000);
    tcp_copy(&two.net, &one.net, inner_v6(1), 10_000_000);
    assert_eq!((fragments(&one), fragments(&two)), (0, 0), "no outer packet is fragmented");
    one.check_counters();
    assert!(one.counters("demo0").of("injected") >= 2);
}

#[test]
fn each_segment_of_a_stream_that_may_be_divided_is() {
    let (one, two, _underlay) = too_large("set");
    one.net.run(&["sysctl", "-q", "-w", "net.ipv4.ip_no_pmtu_disc=1"]).ok();
    let before = one.counters("demo0");
    tcp_copy(&one.net, &two.net, inner_v4(2), 10_000_000);
    one.check_counters();
    let after = one.counters("demo0");
    assert!(after.of("copies") > before.of("copies") + 1000, "{after:?}");
    assert_eq!(after.of("injected"), before.of("injected"), "nobody was told");
    assert_eq!(after.dropped("underlay-mtu"), before.dropped("underlay-mtu"));
}

#[test]
fn what_may_be_divided_is_divided_inside() {
    let (one, two, _underlay) = too_large("set");
    let before = one.counters("demo0");
    assert!(one.net.ping(inner_v4(2), 1472, false), "a packet that may be divided arrives whole");
    let after = one.counters("demo0");
    assert_eq!(after.of("copies"), before.of("copies") + 1, "as two");
    assert_eq!(after.dropped("underlay-mtu"), before.dropped("underlay-mtu"));
    assert_eq!(fragments(&two), 0, "outside, nothing is");
    one.check_counters();
}

#[test]
fn a_derived_mtu_fills_the_underlay() {
    let (one, two) = (Host::started(), Host::started());
    let _underlay = Underlay::join(&one.net, &two.net, 1380);
    one.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &["-p", "mtu=auto"]);
    one.create_overlay("demo1", 24, underlay_v6(1), underlay_v6(2), &["-p", "mtu=auto"]);
    one.create_overlay("demo2", 25, "::", underlay_v6(2), &["-p", "mtu=auto,vxlan/listen_port=4790"]);
    for (overlay, mtu) in [("demo0", 1330), ("demo1", 1310), ("demo2", 1310)] {
        let shown = one.dladm_ok(&["show-overlay", "-p", "-o", "property,value", overlay]);
        assert!(shown.lines().any(|row| row == format!("mtu:{mtu}")), "{shown}");
        let vnic = overlay.replace("demo", "foo");
        one.create_vnic(&vnic, overlay, &[]);
        assert_eq!(one.net.device(&vnic)["mtu"], mtu);
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
