//! The session of July 2014, typed on two hosts, and what its commands show.

use overlay_core::control::Daemon;
use overlay_core::protocol::{Request, Response};
use overlay_tests::{Host, Plan, Scene, Underlay, inner_v4, inner_v6};

/// What a user types to make the overlay of end 1.
const CREATE_OVERLAY: [&str; 14] = [
    "create-overlay",
    "-e",
    "vxlan",
    "-s",
    "direct",
    "-p",
    "vxlan/listen_ip=10.0.0.1",
    "-p",
    "direct/dest_ip=10.0.0.2",
    "-p",
    "direct/dest_port=4789",
    "-v",
    "23",
    "demo0",
];

/// The same on the other host.
const CREATE_OVERLAY_THERE: [&str; 14] = [
    "create-overlay",
    "-e",
    "vxlan",
    "-s",
    "direct",
    "-p",
    "vxlan/listen_ip=10.0.0.2",
    "-p",
    "direct/dest_ip=10.0.0.1",
    "-p",
    "direct/dest_port=4789",
    "-v",
    "23",
    "demo0",
];

/// Two hosts on one underlay, with the overlay typed on both.
fn typed() -> (Host, Host, Underlay) {
    let (one, two) = (Host::started(), Host::started());
    let underlay = Underlay::join(&one.net, &two.net, 1500);
    assert_eq!(one.dladm_ok(&CREATE_OVERLAY), "");
    assert_eq!(two.dladm_ok(&CREATE_OVERLAY_THERE), "");
    (one, two, underlay)
}

/// The rows of a table, with the padding between their columns taken out.
fn rows(table: &str) -> Vec<String> {
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn check_and_undo(one: &Host, two: &Host) {
    for host in [one, two] {
        host.check_counters();
        assert_eq!(host.dladm_ok(&["delete-vnic", "foo0"]), "");
        assert_eq!(host.dladm_ok(&["delete-overlay", "demo0"]), "");
        assert!(host.overlays().is_empty());
        assert!(!host.net.devices().iter().any(|(_, name)| name == "foo0"), "{:?}", host.net.devices());
    }
}

#[test]
fn the_session_works_as_typed() {
    let (one, two, _underlay) = typed();
    for (host, end) in [(&one, 1), (&two, 2)] {
        assert_eq!(host.dladm_ok(&["create-vnic", "-l", "demo0", "foo0"]), "");
        host.net.address("foo0", end);
    }
    assert!(one.net.ping(inner_v4(2), 56, false) && two.net.ping(inner_v4(1), 56, false));
    assert!(one.net.ping(inner_v6(2), 56, false) && two.net.ping(inner_v6(1), 56, false));
    check_and_undo(&one, &two);
}

#[test]
fn ifconfig_plumb_up_is_another_way_to_say_ip_link_set_up() {
    let (one, two, _underlay) = typed();
    for (host, end) in [(&one, 1), (&two, 2)] {
        host.dladm_ok(&["create-vnic", "-l", "demo0", "foo0"]);
        host.net.run(&["ifconfig", "foo0", "plumb", "up"]).ok();
        host.net.run(&["ifconfig", "foo0", &format!("{}/24", inner_v4(end))]).ok();
        host.net.run(&["ifconfig", "foo0", "inet6", &format!("{}/64", inner_v6(end))]).ok();
    }
    assert!(one.net.ping(inner_v4(2), 56, false) && two.net.ping(inner_v4(1), 56, false));
    assert!(one.net.ip(&["-6", "addr", "show", "dev", "foo0"]).contains(&inner_v6(1).to_string()));
    one.net.run(&["ifconfig", "foo0", "mtu", "1300"]).ok();
    assert_eq!(one.net.device("foo0")["mtu"], 1300);
    one.net.run(&["ifconfig", "foo0", "down"]).ok();
    assert!(!one.net.device("foo0")["flags"].to_string().contains("\"UP\""));
    one.net.run(&["ifconfig", "foo0", "unplumb"]).ok();
    assert!(!one.net.ip(&["addr", "show", "dev", "foo0"]).contains(&inner_v4(1).to_string()));
    check_and_undo(&one, &two);
}

#[test]
fn svcs_says_whether_varpd_answers() {
    let mut host = Host::started();
    let online = rows(&host.net.run(&["svcs", "varpd"]).ok());
    assert_eq!(online[0], "STATE STIME FMRI");
    assert!(
        online[1].starts_with("online ") && online[1].ends_with("svc:/network/varpd:default"),
        "{online:?}"
    );
    host.stop(Daemon::Varpd);
    let gone = host.net.run(&["svcs", "varpd"]).stdout;
    assert!(!gone.contains("online") && gone.contains("svc:/network/varpd:default"), "{gone}");
}

#[test]
fn show_overlay_has_a_row_for_each_property() {
    let (one, _two, _underlay) = typed();
    let expected = [
        "LINK PROPERTY PERM REQ VALUE DEFAULT POSSIBLE",
        "demo0 mtu rw - 1400 1400 auto,576-8900",
        "demo0 vnetid rw - 23 -- 0-16777215",
        "demo0 encap r- - vxlan -- vxlan",
        "demo0 varpd/id r- - 1 -- --",
        "demo0 target/maximum rw - 65536 65536 1-4194304",
        "demo0 target/ageing rw - 300 300 0-86400",
        "demo0 target/negative rw - 1 1 0-3600",
        "demo0 target/timeout rw - 3 3 1-60",
        "demo0 vxlan/listen_ip rw y 10.0.0.1 -- --",
        "demo0 vxlan/listen_port rw y 4789 4789 1-65535",
        "demo0 vxlan/df rw - set set set,unset,inherit",
        "demo0 vxlan/ttl rw - 64 64 inherit,1-255",
        "demo0 vxlan/tos rw - 0 0 inherit,0-252",
        "demo0 search r- - direct -- direct",
        "demo0 direct/dest_ip rw y 10.0.0.2 -- --",
        "demo0 direct/dest_port rw y 4789 -- 1-65535",
    ];
    let shown = rows(&one.dladm_ok(&["show-overlay", "demo0"]));
    // What the reference leaves open is the range or list of values, so it is compared where there is one.
    for (row, expected) in shown.iter().zip(expected) {
        let columns = |row: &str| row.split(' ').take(6).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(columns(row), columns(expected), "{shown:#?}");
    }
    assert!(shown.len() >= expected.len(), "{shown:#?}");
    assert_eq!(rows(&one.dladm_ok(&["show-overlay"])), shown);
}

#[test]
fn show_overlay_shows_status_and_targets() {
    let (one, _two, _underlay) = typed();
    assert_eq!(
        rows(&one.dladm_ok(&["show-overlay", "-f", "demo0"])),
        ["LINK STATUS DETAILS", "demo0 ONLINE -"]
    );
    let targets = rows(&one.dladm_ok(&["show-overlay", "-t", "demo0"]));
    assert_eq!(targets, ["LINK TARGET DESTINATION", "demo0 *:*:*:*:*:* 10.0.0.2:4789"]);
}

#[test]
fn parsable_output_escapes_colons_where_there_are_several_fields() {
    let scene = Scene::ours(Plan { family: overlay_tests::Family::V6, ..Plan::default() });
    let all = scene.host.dladm_ok(&["show-overlay", "-p", "-o", "link,property,value", "demo0"]);
    assert!(all.lines().any(|line| line == "demo0:mtu:1400"), "{all}");
    assert!(all.lines().any(|line| line == "demo0:direct/dest_ip:2001\\:db8\\:\\:2"), "{all}");
    let one = scene.host.dladm_ok(&["show-overlay", "-p", "-o", "VALUE", "demo0"]);
    assert!(one.lines().any(|line| line == "2001:db8::2"), "{one}");
}

#[test]
fn show_vnic_and_show_link_agree_with_the_device() {
    let scene = Scene::ours(Plan::default());
    let host = &scene.host;
    let vnics = rows(&host.dladm_ok(&["show-vnic"]));
    assert_eq!(vnics[0], "LINK OVER SPEED MACADDRESS MACADDRTYPE VID ZONE");
    assert!(vnics[1].starts_with("foo0 demo0 ") && vnics[1].ends_with(" random 0 --"), "{vnics:?}");
    let links = rows(&host.dladm_ok(&["show-link"]));
    assert_eq!(links[0], "LINK CLASS MTU STATE BRIDGE OVER ZONE");
    assert!(links.contains(&"demo0 overlay 1400 up -- -- --".to_owned()), "{links:?}");
    assert!(links.contains(&"foo0 vnic 1400 up -- demo0 --".to_owned()), "{links:?}");
    assert_eq!(rows(&host.dladm_ok(&[])), links, "no arguments is show-link");
    assert_eq!(host.net.device("foo0")["mtu"], 1400);
    assert!(host.net.device("foo0")["flags"].to_string().contains("LOWER_UP"));
}

#[test]
fn show_link_counts_what_a_vnic_carried() {
    let scene = Scene::ours(Plan::default());
    let figures = || {
        let words = ["show-link", "-s", "-p", "-o", "ipackets,rbytes,opackets,obytes", "foo0"];
        let row = scene.host.dladm_ok(&words);
        row.trim().split(':').map(|figure| figure.parse::<u64>().expect("a number")).collect::<Vec<_>>()
    };
    let before = figures();
    assert!((0..10).all(|_| scene.host.net.ping(inner_v4(2), 1000, false)));
    let grown: Vec<_> = figures().iter().zip(&before).map(|(after, before)| after - before).collect();
    assert!(grown[0] >= 10 && grown[1] >= 10_420 && grown[2] >= 10 && grown[3] >= 10_420, "{grown:?}");
}

#[test]
fn every_show_command_prints_json() {
    let scene = Scene::ours(Plan::default());
    for command in ["show-overlay", "show-vnic", "show-link"] {
        let text = scene.host.dladm_ok(&[command, "--json"]);
        let value: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(value.to_string().contains("demo0"), "{text}");
    }
}

#[test]
fn output_into_a_closed_pipe_ends_quietly() {
    let (one, _two, _underlay) = typed();
    for command in ["show-overlay", "show-link", "--help"] {
        let script = format!("{{ dladm {command}; echo status $? >&2; }} | true");
        let outcome = one.net.run(&["sh", "-c", &script]);
        assert!(outcome.stderr.starts_with("status ") && outcome.stderr.lines().count() == 1, "{outcome:?}");
    }
}

#[test]
fn help_of_each_command_shows_an_example() {
    let host = Host::new();
    let commands =
        ["create-overlay", "delete-overlay", "show-overlay", "create-vnic", "delete-vnic", "show-vnic"];
    for command in commands.iter().chain(&["show-link"]) {
        let help = host.dladm_ok(&[command, "--help"]);
        assert!(help.matches(&format!("dladm {command}")).count() >= 2, "usage and example:\n{help}");
    }
}

#[test]
fn an_overlay_with_vnics_is_busy() {
    let (one, _two, _underlay) = typed();
    one.dladm_ok(&["create-vnic", "-l", "demo0", "foo0"]);
    assert!(one.dladm_refused(&["delete-overlay", "demo0"]).contains("foo0"), "the error names the VNIC");
    assert_eq!(one.overlays(), ["demo0"]);
}

#[test]
fn deleting_an_overlay_ends_its_instance() {
    let (one, _two, _underlay) = typed();
    let instances = || match one.ask(Daemon::Varpd, Request::Instances) {
        Response::Instances(instances) => instances,
        other => panic!("{other:?}"),
    };
    assert_eq!(instances().len(), 1);
    one.dladm_ok(&["delete-overlay", "demo0"]);
    assert_eq!(instances(), []);
}

#[test]
fn an_overlay_whose_creation_stopped_halfway_can_be_deleted() {
    let mut host = Host::started();
    let request = Request::CreateOverlay {
        name: "half0".parse().expect("a link name"),
        encap: "vxlan".to_owned(),
        vnetid: overlay_core::types::VnetId::new(23).expect("a vnetid"),
        search: "direct".to_owned(),
        properties: vec![overlay_core::property::Assignment::new("vxlan/listen_ip", "127.0.0.1")],
        temporary: false,
    };
    assert!(matches!(host.ask(Daemon::Overlayd, request), Response::Link(_)));
    assert_eq!(host.overlays(), ["half0"]);
    host.dladm_ok(&["delete-overlay", "half0"]);
    assert!(host.overlays().is_empty() && host.daemon(Daemon::Overlayd).alive());
}
