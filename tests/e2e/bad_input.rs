//! Bad input on the command line: one clear line, exit status 1 or 2, and nothing changes.

use std::net::UdpSocket;

use overlay_tests::{Daemon, Host, Underlay, underlay_v4};

const GOOD: &str = "vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789";
/// 32 characters, one more than a link's name can have.
const LONG_NAME: &str = "abcdefghijklmnopqrstuvwxyzabcde0";
/// 16 characters, one more than a device's name can have.
const LONG_DEVICE: &str = "abcdefghijklmno0";

/// A command and what its one line must contain.
struct Case {
    words: Vec<String>,
    says: Vec<&'static str>,
}

fn case(words: &[&str], says: &[&'static str]) -> Case {
    Case { words: words.iter().map(|word| (*word).to_owned()).collect(), says: says.to_vec() }
}

/// An overlay that is right but for what `change` puts in: `-v`, `-e` and so on replace, `-p` adds.
fn overlay(name: &str, change: &[(&str, &str)], properties: &str, says: &[&'static str]) -> Case {
    let mut words = vec!["create-overlay"];
    for (option, usual) in [("-e", "vxlan"), ("-s", "direct"), ("-v", "99")] {
        let changed = change.iter().find(|(changed, _)| *changed == option);
        words.extend([option, changed.map_or(usual, |(_, value)| value)]);
    }
    words.extend(["-p", properties, name]);
    case(&words, says)
}

fn named(name: &str, says: &[&'static str]) -> Case {
    overlay(name, &[], GOOD, says)
}

fn vnic(options: &[&str], name: &str, says: &[&'static str]) -> Case {
    case(&[&["create-vnic"], options, &[name]].concat(), says)
}

/// A host with the overlay `demo0` of vnetid 23 and the VNIC `foo0` with a fixed MAC on it.
fn furnished() -> (Host, Host, Underlay) {
    let (host, other) = (Host::started(), Host::new());
    let underlay = Underlay::join(&host.net, &other.net, 1500);
    host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &["-m", "2:8:20:1:2:3"]);
    (host, other, underlay)
}

/// Runs each command on a furnished host: refused in one line that says what it must, with nothing changed.
fn all_refused(cases: Vec<Case>) {
    let (host, _other, _underlay) = furnished();
    let before = host.snapshot();
    let mut problems = Vec::new();
    for Case { words, says } in cases {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // A problem with one case does not hide those of the others.
        let check = || {
            let line = host.dladm_refused(&words);
            let missing: Vec<_> = says.iter().filter(|text| !line.contains(**text)).collect();
            assert!(missing.is_empty(), "{words:?}: {missing:?} is not in: {line}");
            assert_eq!(host.snapshot(), before, "{words:?} changed something");
        };
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
            problems.push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    }
    assert!(problems.is_empty(), "{} refused badly:\n{}", problems.len(), problems.join("\n"));
    host.check_counters();
}

#[test]
fn names_of_overlays_that_cannot_be_are_refused() {
    all_refused(vec![
        named(LONG_NAME, &[LONG_NAME, "too long", "31"]),
        named("demo", &["demo", "not a link name"]),
        named("0demo0", &["0demo0", "not a link name"]),
        named("_demo0", &["_demo0", "not a link name"]),
        named("demo01", &["demo01", "not a link name"]),
        named("de mo0", &["de mo0", "not a link name"]),
        named("../demo0", &["../demo0", "not a link name"]),
        named("d\u{e9}mo0", &["d\u{e9}mo0", "not a link name"]),
        named("", &["not a link name"]),
        named("demo0", &["demo0", "exists"]),
        named("foo0", &["foo0", "exists"]),
    ]);
}

#[test]
fn names_of_vnics_that_cannot_be_are_refused() {
    let on = ["-l", "demo0"];
    all_refused(vec![
        vnic(&on, LONG_NAME, &[LONG_NAME, "too long"]),
        vnic(&on, LONG_DEVICE, &[LONG_DEVICE, "too long", "15"]),
        vnic(&on, "foo", &["foo", "not a link name"]),
        vnic(&on, "fo/o1", &["fo/o1", "not a link name"]),
        vnic(&on, "", &["not a link name"]),
        vnic(&on, "foo0", &["foo0", "exists"]),
        vnic(&on, "demo0", &["demo0", "exists"]),
    ]);
}

#[test]
fn a_vnic_does_not_take_the_name_of_a_foreign_device() {
    let (host, _other, _underlay) = furnished();
    host.net.ip(&["link", "add", "other0", "type", "bridge"]);
    let before = host.snapshot();
    let line = host.dladm_refused(&["create-vnic", "-l", "demo0", "other0"]);
    assert!(line.contains("other0") && line.contains("exists"), "{line}");
    assert_eq!(host.snapshot(), before);
}

#[test]
fn unknown_plugins_are_refused_with_the_known_ones() {
    all_refused(vec![
        overlay("new0", &[("-e", "carrier-pigeon")], GOOD, &["carrier-pigeon", "vxlan"]),
        overlay("new0", &[("-s", "oracle")], GOOD, &["oracle", "direct"]),
        overlay("new0", &[("-e", "")], GOOD, &["vxlan"]),
        overlay("new0", &[("-s", "")], GOOD, &["direct"]),
    ]);
}

#[test]
fn vnetids_that_cannot_be_are_refused() {
    let id = |value: &'static str| overlay("new0", &[("-v", value)], GOOD, &["vnetid", value, "16777215"]);
    let mut cases: Vec<_> =
        ["-1", "16777216", "abc", "", "0x17", "+5", "99999999999999999999", "1.5"].map(id).into();
    cases.push(case(&["create-overlay", "-e", "vxlan", "-s", "direct", "-p", GOOD, "new0"], &["vnetid"]));
    cases.push(overlay("new0", &[("-v", "23")], GOOD, &["23", "demo0"]));
    all_refused(cases);
}

#[test]
fn missing_arguments_are_named() {
    all_refused(vec![
        case(&["create-overlay", "-s", "direct", "-v", "99", "-p", GOOD, "new0"], &["encap"]),
        case(&["create-overlay", "-e", "vxlan", "-v", "99", "-p", GOOD, "new0"], &["search"]),
        case(&["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "-p", GOOD], &["overlay"]),
        case(&["create-vnic", "foo1"], &["link"]),
        case(&["create-vnic", "-l", "demo0"], &["vnic"]),
        case(&["delete-overlay"], &["overlay"]),
        case(&["delete-vnic"], &["vnic"]),
        case(&["show-overlay", "-p"], &["-o"]),
        case(&["explode"], &["explode"]),
        case(&["show-link", "--sideways"], &["--sideways"]),
        case(&["show-link", "-i", "1"], &["-s"]),
        case(&["show-overlay", "-p", "-o", "nothing"], &["nothing"]),
        case(&["show-overlay", "-p", "-o", "all"], &["-o"]),
    ]);
}

#[test]
fn all_missing_properties_are_named_at_once() {
    let three: &[&str] = &["vxlan/listen_ip", "direct/dest_ip", "direct/dest_port"];
    all_refused(vec![
        case(&["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "new0"], three),
        overlay("new0", &[], "mtu=1450", three),
        overlay("new0", &[], "vxlan/listen_ip=10.0.0.1", &three[1..]),
        overlay("new0", &[], "direct/dest_ip=10.0.0.2", &["vxlan/listen_ip", "direct/dest_port"]),
    ]);
}

/// The good properties with one more, or with one replaced.
fn with(name: &str, value: &str) -> String {
    let others = GOOD.split(',').filter(|piece| !piece.starts_with(&format!("{name}=")));
    others.chain([format!("{name}={value}").as_str()]).collect::<Vec<_>>().join(",")
}

/// A property that can't be given, whatever its value.
fn refused_name(name: &'static str, value: &str, says: &'static str) -> Case {
    overlay("new0", &[], &with(name, value), &[name, says])
}

fn property(name: &'static str, value: &'static str, says: &[&'static str]) -> Case {
    overlay("new0", &[], &with(name, value), &[&[name, value], says].concat())
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    all_refused(vec![
        property("mtu", "big", &["number"]),
        property("mtu", "575", &["576-8900"]),
        property("mtu", "8901", &["576-8900"]),
        property("vxlan/listen_port", "0", &["1-65535"]),
        property("vxlan/listen_port", "65536", &["1-65535"]),
        property("vxlan/listen_port", "http", &["number"]),
        property("vxlan/listen_port", "-1", &["number"]),
        property("direct/dest_port", "0", &["1-65535"]),
        property("direct/dest_port", "65536", &["1-65535"]),
        property("direct/dest_port", "4789x", &["number"]),
        property("direct/dest_port", "", &["number"]),
    ]);
}

#[test]
fn addresses_that_are_none_are_refused() {
    let mut cases = Vec::new();
    for name in ["vxlan/listen_ip", "direct/dest_ip"] {
        for value in ["10.0.0", "10.0.0.256", "10.0.0.1/24", "host", "", "2001:db8::1::2", "[2001:db8::1]"] {
            cases.push(property(name, value, &["IP address"]));
        }
        for value in ["224.0.0.1", "ff02::1", "::ffff:239.1.2.3"] {
            cases.push(property(name, value, &["multicast"]));
        }
        cases.push(property(name, "255.255.255.255", &["broadcast"]));
    }
    cases.push(property("direct/dest_ip", "0.0.0.0", &[]));
    cases.push(property("direct/dest_ip", "::", &[]));
    all_refused(cases);
}

#[test]
fn properties_that_are_none_are_refused() {
    all_refused(vec![
        refused_name("vxlan/colour", "red", "unknown"),
        refused_name("direct/colour", "red", "unknown"),
        refused_name("colour", "red", "unknown"),
        refused_name("files/config", "/x", "unknown"),
        refused_name("encap", "vxlan", "read-only"),
        refused_name("search", "direct", "read-only"),
        refused_name("varpd/id", "7", "read-only"),
        overlay("new0", &[], &format!("{GOOD},nonsense"), &[]),
        overlay("new0", &[], "nonsense", &["nonsense", "PROPERTY=VALUE"]),
        overlay("new0", &[], "", &["PROPERTY=VALUE"]),
    ]);
}

#[test]
fn a_property_given_twice_is_refused() {
    let twice = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "-p", GOOD, "-p"];
    let again = |property: &'static str| [&twice[..], &[property, "new0"]].concat();
    all_refused(vec![
        overlay(
            "new0",
            &[],
            &format!("{GOOD},direct/dest_port=4789"),
            &["direct/dest_port", "more than one"],
        ),
        case(&again("vxlan/listen_ip=10.0.0.1"), &["vxlan/listen_ip", "more than one"]),
        case(&again("mtu=1400,mtu=1400"), &["mtu", "more than one"]),
        overlay("new0", &[], "direct/dest_port=1,2", &["direct/dest_port", "more than one"]),
    ]);
}

#[test]
fn macs_and_vids_that_cannot_be_are_refused() {
    let mac = |value: &'static str, says: &'static str| vnic(&["-l", "demo0", "-m", value], "foo1", &[says]);
    let vid = |value: &'static str| vnic(&["-l", "demo0", "-v", value], "foo1", &[value, "4094"]);
    let mut cases = vec![
        mac("1:8:20:1:2:3", "multicast"),
        mac("ff:ff:ff:ff:ff:ff", "multicast"),
        mac("0:0:0:0:0:0", "zero"),
        mac("2:8:20:1:2:3", "2:8:20:1:2:3"),
        mac("2:8:20:1:2", "2:8:20:1:2"),
        mac("2:8:20:1:2:3:4", "2:8:20:1:2:3:4"),
        mac("2:8:20:1:2:g", "2:8:20:1:2:g"),
        mac("", "MAC"),
        vnic(&["-l", "demo0", "-m", "random", "-r", "1:2:3"], "foo1", &["multicast"]),
        vnic(&["-l", "demo0", "-m", "random", "-r", "2:8:20:1:2:3"], "foo1", &["2:8:20:1:2:3"]),
        vnic(&["-l", "demo0", "-p", "mtu=9000"], "foo1", &["mtu", "9000"]),
        vnic(&["-l", "demo0", "-p", "colour=red"], "foo1", &["colour", "unknown"]),
    ];
    cases.extend(["0", "4095", "-1", "65536", "seven", ""].map(vid));
    all_refused(cases);
}

#[test]
fn links_that_are_not_there_or_of_another_kind_are_refused() {
    all_refused(vec![
        vnic(&["-l", "nowhere0"], "foo1", &["nowhere0"]),
        vnic(&["-l", "foo0"], "foo1", &["foo0", "overlay"]),
        vnic(&["-l", "lo"], "foo1", &["lo"]),
        case(&["delete-overlay", "nowhere0"], &["nowhere0"]),
        case(&["delete-overlay", "foo0"], &["foo0", "overlay"]),
        case(&["delete-overlay", "demo0"], &["demo0", "foo0"]),
        case(&["delete-vnic", "nowhere0"], &["nowhere0"]),
        case(&["delete-vnic", "demo0"], &["demo0", "VNIC"]),
        case(&["show-overlay", "nowhere0"], &["nowhere0"]),
        case(&["show-overlay", "foo0"], &["foo0", "overlay"]),
        case(&["show-vnic", "nowhere0"], &["nowhere0"]),
        case(&["show-link", "nowhere0"], &["nowhere0"]),
    ]);
}

/// An overlay that may be made, but whose first VNIC opens a socket that cannot be: refused there, in words.
fn cannot_listen(host: &Host, properties: &str, says: &[&str]) {
    let words = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "-p", properties, "new0"];
    let created = host.dladm(&words);
    let before = host.snapshot();
    let line = if created.succeeded() {
        host.dladm_refused(&["create-vnic", "-l", "new0", "foo1"])
    } else {
        created.refusal()
    };
    assert!(says.iter().all(|text| line.contains(text)), "{says:?} is not in: {line}");
    assert_eq!(host.snapshot(), before, "nothing is left of the VNIC");
    host.check_counters();
}

#[test]
fn an_address_of_another_host_cannot_be_listened_on() {
    let (host, _other, _underlay) = furnished();
    let properties = with("vxlan/listen_ip", "10.9.9.9");
    cannot_listen(&host, &properties, &["10.9.9.9", "address"]);
    host.net.ip(&["addr", "add", "10.9.9.9/32", "dev", "lo"]);
    host.create_vnic("foo1", "new0", &[]);
}

#[test]
fn a_port_of_another_program_cannot_be_listened_on() {
    let (host, _other, _underlay) = furnished();
    let held = host.net.inside(|| UdpSocket::bind((underlay_v4(1), 4800))).expect("a free port");
    let properties = with("vxlan/listen_port", "4800");
    cannot_listen(&host, &properties, &["4800", "another program"]);
    drop(held);
    host.create_vnic("foo1", "new0", &[]);
}

#[test]
fn a_missing_daemon_is_named_with_how_to_start_it() {
    let mut host = Host::new();
    let good = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "-p", GOOD, "new0"];
    for words in [&good[..], &["show-link"], &["show-overlay"], &["delete-vnic", "foo0"]] {
        let line = host.dladm_refused(words);
        assert!(line.contains("overlayd") && line.contains("running") && line.contains("start"), "{line}");
    }
    host.start_overlayd();
    let line = host.dladm_refused(&good);
    assert!(line.contains("no varpd is running") && line.contains("start it"), "{line}");
    assert!(host.dladm(&["show-link", "-p", "-o", "link"]).stdout.is_empty(), "nothing was made");
    host.start_varpd();
    assert!(host.overlays().is_empty());
    host.stop(Daemon::Overlayd);
    let line = host.dladm_refused(&good);
    assert!(line.contains("no overlayd is running"), "{line}");
}

#[test]
fn a_daemon_that_cannot_start_says_why_in_one_line() {
    let host = Host::new();
    for daemon in ["overlayd", "varpd"] {
        for words in [[daemon, "--run-dir", "/proc/nowhere"], [daemon, "--state-dir", "/proc/nowhere"]] {
            let outcome = host.net.run(&words);
            assert!(matches!(outcome.code, Some(1..=2)), "{outcome:?}");
            assert!(
                outcome.stderr.lines().count() == 1 && outcome.stderr.contains("/proc/nowhere"),
                "{outcome:?}"
            );
        }
    }
}
