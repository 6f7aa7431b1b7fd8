//! Daemons that are killed, started again, and started in any order.

use std::fs;
use std::path::PathBuf;

use overlay_core::protocol::{Request, Response};
use overlay_tests::{
    Daemon, Host, LONG, Plan, SHORT, Scene, Transfer, VNETID, Zone, inner_v4, tcp_copy, underlay_v4,
    wait_until,
};

/// How many crashes leave nothing behind.
const ROUNDS: usize = 20;

/// What a running transfer carries between two events.
const A_WHILE: u64 = 5_000_000;

#[track_caller]
fn await_answer(host: &Host, end: u8) {
    wait_until(LONG, "the other end answers", || {
        if host.net.ping(inner_v4(end), 56, false) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
}

/// Addresses and routes of a VNIC, without what the carrier's state adds to them.
fn configuration(host: &Host) -> String {
    let addresses = host.net.ip(&["-o", "addr", "show", "dev", "foo0"]);
    let routes = host.net.ip(&["route", "show", "dev", "foo0"])
        + &host.net.ip(&["-6", "route", "show", "dev", "foo0"]);
    let mut lines: Vec<_> = addresses.lines().chain(routes.lines()).map(str::trim).collect();
    lines.retain(|line| !line.contains("fe80"));
    lines.join("\n").replace(" linkdown", "")
}

#[test]
fn nothing_stalls_while_varpd_is_gone() {
    let mut scene = Scene::kernel(Plan::default());
    let transfer = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    transfer.wait_for_more(SHORT, A_WHILE);
    scene.host.kill9(Daemon::Varpd);
    for _ in 0..10 {
        transfer.wait_for_more(SHORT, A_WHILE);
    }
    tcp_copy(&scene.peer.net, &scene.host.net, inner_v4(1), A_WHILE);
    scene.host.start_varpd();
    transfer.wait_for_more(SHORT, A_WHILE);
    transfer.finish();
    scene.host.check_counters();
}

#[test]
fn a_transfer_outlives_overlayd_each_way() {
    let mut scene = Scene::kernel(Plan::default());
    scene.host.net.ip(&["route", "add", "172.23.0.0/16", "via", "192.168.23.2"]);
    let (before, device) = (configuration(&scene.host), scene.host.net.device("foo0"));
    let there = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    let back = Transfer::start(&scene.peer.net, &scene.host.net, inner_v4(1));
    there.wait_for_more(SHORT, A_WHILE);
    scene.host.kill9(Daemon::Overlayd);
    assert_eq!(configuration(&scene.host), before, "addresses and routes outlive overlayd");
    scene.host.start_overlayd();
    there.wait_for_more(LONG, A_WHILE);
    back.wait_for_more(LONG, A_WHILE);
    there.finish();
    back.finish();
    assert_eq!(configuration(&scene.host), before);
    let adopted = scene.host.net.device("foo0");
    assert_eq!((&adopted["ifindex"], &adopted["address"]), (&device["ifindex"], &device["address"]));
    scene.host.check_counters();
}

#[test]
fn a_transfer_outlives_twenty_crashes_without_leftovers() {
    let mut scene = Scene::ours(Plan::default());
    let (devices, before) = (scene.host.net.devices(), configuration(&scene.host));
    let transfer = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    for round in 0..ROUNDS {
        let daemon = if round % 4 == 3 { Daemon::Varpd } else { Daemon::Overlayd };
        scene.host.kill9(daemon);
        match daemon {
            Daemon::Overlayd => scene.host.start_overlayd(),
            Daemon::Varpd => scene.host.start_varpd(),
        }
        transfer.wait_for_more(LONG, A_WHILE / 10);
        assert_eq!(scene.host.net.devices(), devices, "after crash {round}");
    }
    transfer.finish();
    assert_eq!(configuration(&scene.host), before);
    assert_eq!(scene.host.overlays(), ["demo0"]);
    scene.host.check_counters();
    scene.peer.check_counters();
}

#[test]
fn both_daemons_may_crash_at_once() {
    let mut scene = Scene::kernel(Plan::default());
    scene.host.kill9(Daemon::Varpd);
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start();
    await_answer(&scene.host, 2);
    scene.host.check_counters();
}

#[test]
fn the_daemons_start_in_either_order() {
    let mut scene = Scene::kernel(Plan::default());
    for order in [[Daemon::Overlayd, Daemon::Varpd], [Daemon::Varpd, Daemon::Overlayd]] {
        scene.host.stop(order[0]);
        scene.host.stop(order[1]);
        for daemon in order {
            match daemon {
                Daemon::Overlayd => scene.host.start_overlayd(),
                Daemon::Varpd => scene.host.start_varpd(),
            }
        }
        await_answer(&scene.host, 2);
        wait_until(SHORT, "the overlay is online", || {
            let shown = scene.host.dladm_ok(&["show-overlay", "-f", "demo0"]);
            if shown.contains("ONLINE") { Ok(()) } else { Err(shown) }
        });
    }
    scene.host.check_counters();
}

#[test]
fn a_reboot_brings_everything_back_but_what_was_temporary() {
    let mut scene = Scene::kernel(Plan::default());
    let mac = |host: &Host| host.dladm_ok(&["show-vnic", "-p", "-o", "macaddress,macaddrtype", "foo0"]);
    let (before, properties) = (mac(&scene.host), scene.host.dladm_ok(&["show-overlay", "demo0"]));
    scene.host.create_overlay("fleeting0", 24, underlay_v4(1), underlay_v4(2), &["-t"]);
    scene.host.create_vnic("passing0", "demo0", &["-t"]);
    scene.host.stop(Daemon::Varpd);
    scene.host.stop(Daemon::Overlayd);
    scene.host.reboot(&["foo0", "passing0"]);
    scene.host.start();
    wait_until(SHORT, "the VNIC is back", || {
        let names: Vec<_> = scene.host.net.devices().into_iter().map(|(_, name)| name).collect();
        if names.iter().any(|name| name == "foo0") { Ok(()) } else { Err(names.join(" ")) }
    });
    assert_eq!(scene.host.overlays(), ["demo0"]);
    assert!(!scene.host.net.devices().iter().any(|(_, name)| name == "passing0"));
    assert_eq!(mac(&scene.host), before, "a random address is kept");
    scene.host.net.address("foo0", 1);
    await_answer(&scene.host, 2);
    assert_eq!(scene.host.dladm_ok(&["show-overlay", "demo0"]), properties);
    scene.host.check_counters();
}

#[test]
fn temporary_links_outlive_a_crash() {
    let mut host = Host::started();
    host.create_overlay("fleeting0", VNETID, "127.0.0.1", "127.0.0.2", &["-t"]);
    host.create_vnic("passing0", "fleeting0", &["-t"]);
    host.kill9(Daemon::Overlayd);
    host.kill9(Daemon::Varpd);
    host.start();
    assert_eq!(host.overlays(), ["fleeting0"]);
    assert_eq!(host.dladm_ok(&["show-vnic", "-p", "-o", "link"]).trim(), "passing0");
    host.dladm_ok(&["delete-vnic", "passing0"]);
    host.dladm_ok(&["delete-overlay", "fleeting0"]);
}

#[test]
fn a_second_daemon_is_refused_by_name_of_the_first() {
    let mut host = Host::started();
    for daemon in [Daemon::Overlayd, Daemon::Varpd] {
        let first = host.daemon(daemon).pid().to_string();
        let outcome = host.net.run(&[daemon.program()]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.lines().count() == 1 && outcome.stderr.contains(&first), "{outcome:?}");
    }
}

/// The identifier of an overlay, as records have it.
fn link_of(host: &Host, overlay: &str) -> String {
    match host.ask(Daemon::Overlayd, Request::Overlays) {
        Response::Overlays(all) => {
            all.iter().find(|one| one.name.as_str() == overlay).expect("it is there").id.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// The files of a daemon's kept records whose names end so.
fn records(host: &Host, daemon: Daemon, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.paths().records(daemon, false)).expect("a directory of records");
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|found| found == suffix)).collect()
}

#[test]
fn configuration_that_cannot_be_read_is_set_aside_and_nothing_else_suffers() {
    let mut scene = Scene::kernel(Plan::default());
    scene.host.create_overlay("other0", 24, underlay_v4(1), underlay_v4(2), &[]);
    let link = link_of(&scene.host, "other0");
    scene.host.stop(Daemon::Varpd);
    let of_other = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains(&link));
    let record = records(&scene.host, Daemon::Varpd, "json").into_iter().find(of_other);
    fs::write(record.expect("a record of it"), "{").expect("written");
    scene.host.start_varpd();
    assert_eq!(records(&scene.host, Daemon::Varpd, "bad").len(), 1, "what was entered is kept");
    await_answer(&scene.host, 2);
    wait_until(SHORT, "the overlay says what is wrong with it", || {
        let shown = scene.host.dladm_ok(&["show-overlay", "-f", "-p", "-o", "link,status"]);
        if shown == "demo0:ONLINE\nother0:DEGRADED\n" { Ok(()) } else { Err(shown) }
    });
    scene.host.check_counters();
}

#[test]
fn a_vnic_in_a_zone_outlives_a_crash_of_overlayd() {
    let mut scene = Scene::kernel(Plan::default());
    let zone = Zone::holding(&scene.host, "foo0", 1);
    wait_until(LONG, "the zone reaches the other end", || {
        if zone.net.ping(inner_v4(2), 56, false) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
    let device = zone.net.device("foo0");
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    wait_until(LONG, "the zone reaches the other end again", || {
        if zone.net.ping(inner_v4(2), 56, false) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
    assert_eq!(zone.net.device("foo0")["ifindex"], device["ifindex"], "it is the same device");
    let doubled = scene.host.net.devices().into_iter().any(|(_, name)| name == "foo0");
    assert!(!doubled, "the host has none of that name");
    scene.host.check_counters();
}
