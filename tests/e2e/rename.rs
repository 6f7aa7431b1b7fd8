//! Another name for a link that carries.

use overlay_core::protocol::Request;
use overlay_core::types::LinkName;
use overlay_tests::{
    Daemon, Host, LONG, Plan, Scene, Transfer, VNETID, Zone, await_ping, inner_v4, tcp_copy, underlay_v4,
};

const A_BIT: u64 = 2_000_000;

fn name(text: &str) -> LinkName {
    text.parse().expect("a link name")
}

#[track_caller]
fn rename(host: &Host, link: &str, to: &str) {
    host.ask(Daemon::Overlayd, Request::RenameLink { name: name(link), to: name(to) });
}

/// Addresses and routes of a device; of its own address, whether nobody else has it is found out beside the test.
fn configuration(host: &Host, device: &str) -> String {
    let addresses = host.net.ip(&["-o", "addr", "show", "dev", device]);
    let routes = host.net.ip(&["route", "show", "dev", device]);
    (addresses + &routes).replace(device, "DEVICE").replace(" linkdown", "").replace(" tentative", "")
}

#[test]
fn a_vnic_and_its_overlay_get_other_names_under_a_stream() {
    let mut scene = Scene::kernel(Plan::default());
    let there = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    let back = Transfer::start(&scene.peer.net, &scene.host.net, inner_v4(1));
    let before = configuration(&scene.host, "foo0");
    let index = scene.host.net.device("foo0")["ifindex"].clone();
    for (from, to) in [("foo0", "bar0"), ("bar0", "other.card7"), ("other.card7", "foo1")] {
        rename(&scene.host, from, to);
        assert_eq!(
            (&scene.host.net.device(to)["ifindex"], configuration(&scene.host, to)),
            (&index, before.clone())
        );
        there.wait_for_more(LONG, A_BIT);
        back.wait_for_more(LONG, A_BIT);
    }
    rename(&scene.host, "demo0", "net0");
    there.wait_for_more(LONG, A_BIT);
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    there.wait_for_more(LONG, A_BIT);
    there.finish();
    back.finish();
    assert_eq!(configuration(&scene.host, "foo1"), before);
    scene.host.await_online("net0");
    let records = scene.host.paths().records(Daemon::Overlayd, false);
    assert!(records.join("foo1.json").exists() && records.join("net0.json").exists());
    assert!(!records.join("foo0.json").exists() && !records.join("demo0.json").exists());
    scene.host.check_counters();
}

#[test]
fn a_vnic_that_was_moved_away_is_renamed_where_it_is() {
    let hosts = Scene::ours(Plan::default());
    hosts.host.create_overlay("far0", VNETID + 1, underlay_v4(1), underlay_v4(2), &[]);
    hosts.peer.create_overlay("far0", VNETID + 1, underlay_v4(2), underlay_v4(1), &[]);
    hosts.host.create_vnic("away0", "far0", &[]);
    hosts.peer.create_vnic("away0", "far0", &[]);
    let (one, two) = (Zone::holding(&hosts.host, "away0", 1), Zone::holding(&hosts.peer, "away0", 2));
    await_ping(&one.net);
    rename(&hosts.host, "away0", "back0");
    assert!(one.net.device("back0")["flags"].to_string().contains("UP"));
    tcp_copy(&one.net, &two.net, inner_v4(2), A_BIT);
}
