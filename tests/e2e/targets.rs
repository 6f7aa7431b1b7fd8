//! The target table as an administrator sees it and changes it, and properties that change while an overlay runs.

use std::net::UdpSocket;

use overlay_tests::{
    Daemon, Family, Host, KernelPeer, LONG, SHORT, Switch, Table, Trio, VNETID, inner_mac, inner_v4,
    udp_receive, udp_send, underlay_v4, underlay_v6, wait_until,
};
use serde_json::json;

/// An entry of a host's only overlay, but for its age.
fn row(host: &Host, end: u8) -> String {
    host.target("demo0", inner_mac(end)).map(|(row, _)| row).unwrap_or_default()
}

#[track_caller]
fn modify(host: &Host, words: &[&str]) {
    assert_eq!(host.dladm_ok(&[&["modify-overlay"], words, &["demo0"]].concat()), "");
}

#[track_caller]
fn await_answer(host: &Host, end: u8) {
    wait_until(SHORT, "the other end answers", || {
        if host.net.ping(inner_v4(end), 56, false) { Ok(()) } else { Err("silence".to_owned()) }
    });
}

#[test]
fn an_entry_set_by_hand_serves_until_it_is_taken_back() {
    let mut trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    assert_eq!(row(&trio.one, 3), "10.0.0.3:4789 known lookup");
    let astray = || trio.two.counters("demo0").dropped("unknown-mac");
    let before = astray();
    modify(&trio.one, &["-s", "2:8:20:0:0:3=10.0.0.2:4789"]);
    assert_eq!(row(&trio.one, 3), "10.0.0.2:4789 known manual");
    assert!(!trio.one.net.ping(inner_v4(3), 56, false), "it goes to end 2");
    assert!(astray() > before);
    // Whatever lookups say, and whenever.
    trio.table.entry(inner_mac(3))["port"] = json!(4790);
    trio.table.entry(inner_mac(2))["port"] = json!(4790);
    trio.table.write();
    wait_until(SHORT, "the file is in force", || {
        let shown = row(&trio.one, 2);
        if shown == "10.0.0.2:4790 known lookup" { Ok(()) } else { Err(shown) }
    });
    assert_eq!(row(&trio.one, 3), "10.0.0.2:4789 known manual");
    modify(&trio.one, &["-d", "2:8:20:0:0:3"]);
    trio.one.net.ping(inner_v4(3), 56, false);
    assert_eq!(row(&trio.one, 3), "10.0.0.3:4790 known lookup");
    let refusal = trio.one.dladm_refused(&["modify-overlay", "-d", "2:8:20:0:0:77", "demo0"]);
    assert!(refusal.contains("2:8:20:0:0:77"), "{refusal}");
    trio.check_counters();
}

#[test]
fn frames_for_an_address_that_is_set_to_drop_are_dropped_and_counted() {
    let mut trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    modify(&trio.one, &["-s", "2:8:20:0:0:3=drop"]);
    assert_eq!(row(&trio.one, 3), "DROP known manual");
    let before = trio.one.counters("demo0").dropped("target-drop");
    for number in 1..=3 {
        udp_send(&trio.one.net, inner_v4(1), (inner_v4(3), 9999).into(), b"in vain");
        wait_until(SHORT, "it is counted", || {
            let dropped = trio.one.counters("demo0").dropped("target-drop") - before;
            if dropped >= number { Ok(()) } else { Err(format!("{dropped} dropped")) }
        });
    }
    assert!(trio.one.net.ping(inner_v4(2), 56, false), "others are not concerned");
    // It outlives a crash, and what was looked up does not.
    trio.one.kill9(Daemon::Overlayd);
    trio.one.start_overlayd();
    await_answer(&trio.one, 2);
    assert_eq!(row(&trio.one, 3), "DROP known manual");
    modify(&trio.one, &["-f"]);
    assert_eq!(row(&trio.one, 3), "");
    await_answer(&trio.one, 3);
    assert_eq!(row(&trio.one, 3), "10.0.0.3:4789 known lookup");
    trio.one.kill9(Daemon::Overlayd);
    trio.one.start_overlayd();
    await_answer(&trio.one, 3);
    trio.check_counters();
}

#[test]
fn one_entry_may_have_several_tunnel_ends_of_both_families() {
    let (host, peers) = (Host::started(), [KernelPeer::new(), KernelPeer::new()]);
    let _underlay = Switch::join(&[&host.net, &peers[0].net, &peers[1].net], 1500);
    let mut table = Table::new(host.scratch().join("table.json"));
    table.place(2, Family::V4);
    table.write();
    host.create_searched("demo0", VNETID, "::", "files", &["-p", &table.property()]);
    host.create_vnic("foo0", "demo0", &["-m", &inner_mac(1).to_string()]);
    host.net.address("foo0", 1);
    let families = [(2, Family::V4), (3, Family::V6)];
    let receivers = families.map(|(end, family)| {
        let peer = &peers[usize::from(end) - 2];
        peer.replicating("vx0", VNETID, family.underlay(end), &[family.underlay(1)], inner_mac(end));
        peer.net.address("vx0", end);
        peer.net.inside(|| UdpSocket::bind("0.0.0.0:9999")).expect("a free port")
    });
    let ends = format!("{}:4789,[{}]:4789", underlay_v4(2), underlay_v6(3));
    modify(&host, &["-s", &format!("ff:ff:ff:ff:ff:ff={ends}")]);
    let shown = host.target("demo0", "ff:ff:ff:ff:ff:ff").map(|(row, _)| row);
    assert_eq!(shown, Some(format!("{ends} known manual")));
    let to = "192.168.23.255:9999".parse().expect("an address");
    udp_send(&host.net, inner_v4(1), to, b"to both");
    for receiver in &receivers {
        assert_eq!(udp_receive(receiver).as_deref(), Some(&b"to both"[..]));
    }
    host.check_counters();
}

#[test]
fn direct_takes_a_running_overlay_to_another_end() {
    let (host, peers) = (Host::started(), [KernelPeer::new(), KernelPeer::new()]);
    let _underlay = Switch::join(&[&host.net, &peers[0].net, &peers[1].net], 1500);
    host.create_overlay("demo0", VNETID, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host.net.address("foo0", 1);
    for (end, peer) in (2..).zip(&peers) {
        peer.vxlan("vx0", VNETID, underlay_v4(end).into(), underlay_v4(1).into(), 1400);
        peer.net.address("vx0", end);
    }
    await_answer(&host, 2);
    assert!(!host.net.ping(inner_v4(3), 56, false), "the other one is not an end of it");
    modify(&host, &["-p", "direct/dest_ip=10.0.0.3"]);
    await_answer(&host, 3);
    assert!(!host.net.ping(inner_v4(2), 56, false), "the first one is an end no more");
    let shown = host.dladm_ok(&["show-overlay", "-t", "-p", "-o", "destination", "demo0"]);
    assert_eq!(shown.trim().replace('\\', ""), "10.0.0.3:4789");
    host.check_counters();
}

#[test]
fn a_running_overlay_takes_another_file() {
    let trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    let mut other = Table::new(trio.one.scratch().join("other.json"));
    (1..=2).for_each(|end| other.place(end, Family::V4));
    other.write();
    modify(&trio.one, &["-p", &other.property()]);
    wait_until(SHORT, "what the new file does not have is dropped", || {
        if trio.one.net.ping(inner_v4(3), 56, false) { Err("an answer".to_owned()) } else { Ok(()) }
    });
    assert!(trio.one.net.ping(inner_v4(2), 56, false));
    let value = trio.one.dladm_ok(&["show-overlay", "-p", "-o", "property,value", "demo0"]);
    assert!(value.contains(&other.path().display().to_string()), "{value}");
    other.place(3, Family::V4);
    other.write();
    await_answer(&trio.one, 3);
    let refusal = trio.one.dladm_refused(&["modify-overlay", "-p", "files/config=/nowhere/it.json", "demo0"]);
    assert!(refusal.contains("/nowhere/it.json"), "{refusal}");
    await_answer(&trio.one, 3);
    trio.one.await_online("demo0");
    trio.check_counters();
}

#[test]
fn an_entry_in_use_is_confirmed_when_it_is_old_and_serves_meanwhile() {
    let mut trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    modify(&trio.one, &["-p", "target/ageing=1"]);
    let ageing = trio.one.dladm_ok(&["show-overlay", "-p", "-o", "property,value", "demo0"]);
    assert!(ageing.contains("target/ageing:1\n"), "{ageing}");
    trio.one.kill9(Daemon::Varpd);
    let mut lost = 0;
    wait_until(LONG, "nobody confirms it", || {
        lost += u32::from(!trio.one.net.ping(inner_v4(2), 56, false));
        match trio.one.target("demo0", inner_mac(2)) {
            Some((row, age)) if row == "10.0.0.2:4789 checking lookup" && age >= 2 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(lost, 0, "it serves all the time");
    trio.one.start_varpd();
    wait_until(LONG, "it is confirmed", || {
        lost += u32::from(!trio.one.net.ping(inner_v4(2), 56, false));
        match trio.one.target("demo0", inner_mac(2)) {
            Some((row, 0..=1)) if row == "10.0.0.2:4789 known lookup" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(lost, 0, "it serves all the time");
    trio.check_counters();
}

#[test]
fn while_varpd_is_silent_new_destinations_are_refused_in_time_and_come_when_it_is_back() {
    let trio = Trio::new(Family::V4);
    assert!(trio.one.net.ping(inner_v4(2), 56, false));
    modify(&trio.one, &["-p", "target/timeout=1"]);
    let mac = inner_mac(3).to_string();
    let address = inner_v4(3).to_string();
    trio.one.net.ip(&["neigh", "replace", &address, "lladdr", &mac, "nud", "permanent", "dev", "foo0"]);
    let varpd = trio.one.running(Daemon::Varpd);
    varpd.halt();
    udp_send(&trio.one.net, inner_v4(1), (inner_v4(3), 9999).into(), b"in vain");
    assert_eq!(row(&trio.one, 3), "- asking lookup");
    wait_until(SHORT, "it is refused", || {
        let counters = trio.one.counters("demo0");
        if counters.dropped("lookup-timeout") >= 1 { Ok(()) } else { Err(format!("{counters:?}")) }
    });
    assert!(trio.one.net.ping(inner_v4(2), 56, false), "what is known serves");
    varpd.go_on();
    await_answer(&trio.one, 3);
    assert_eq!(row(&trio.one, 3), "10.0.0.3:4789 known lookup");
    trio.check_counters();
}
