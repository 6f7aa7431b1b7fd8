//! Link properties, names and stored links through the daemons that have them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use overlay_tests::{Host, VNETID};

/// Every property that can be set, with a value, how that is shown, and how it is without one.
const PROPERTIES: [(&str, &str, &str, &str); 8] = [
    ("mtu", "1300", "1300", "1400"),
    ("secondary-macs", "2:8:20:0:0:9,2:8:20:0:0:a", "2:8:20:0:0:9,2:8:20:0:0:a", ""),
    ("maxbw", "1200K", "1.200", ""),
    ("priority", "low", "low", "high"),
    ("protection", "mac-nospoof,ip-nospoof", "mac-nospoof,ip-nospoof", ""),
    ("promisc-filtered", "off", "off", "on"),
    ("allowed-ips", "10.0.0.5,2001:db8::/64", "10.0.0.5/32,2001:db8::/64", ""),
    ("allowed-dhcp-cids", "1.2:8:20:0:0:9", "1.2:8:20:0:0:9", ""),
];

/// A host with the overlay `demo0` and the VNIC `foo0`.
fn host() -> Host {
    let host = Host::started();
    host.create_overlay("demo0", VNETID, "127.0.0.1", "127.0.0.2", &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host
}

/// The value of a property of `foo0`, or with `-P` the stored one.
fn value(host: &Host, name: &str, more: &[&str]) -> String {
    let words = [&["show-linkprop", "-c", "-o", "value", "-p", name], more, &["foo0"]].concat();
    host.dladm_ok(&words).trim_end().to_owned()
}

/// What a command that could not do all of it has warned of.
#[track_caller]
fn not_all(host: &Host, words: &[&str]) -> String {
    let outcome = host.dladm(words);
    assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""), "{outcome:?}");
    outcome.stderr
}

#[test]
fn each_property_is_set_shown_and_taken_back() {
    let host = host();
    for (name, given, shown, without) in PROPERTIES {
        let now = |more: &[&str]| (value(&host, name, more), value(&host, name, &["-P"]));
        let assignment = format!("{name}={given}");
        host.dladm_ok(&["set-linkprop", "-t", "-p", &assignment, "foo0"]);
        assert_eq!(now(&[]), (shown.to_owned(), String::new()), "{name} with -t");
        host.dladm_ok(&["set-linkprop", "-p", &assignment, "foo0"]);
        assert_eq!(now(&[]), (shown.to_owned(), shown.to_owned()), "{name}");
        host.dladm_ok(&["reset-linkprop", "-t", "-p", name, "foo0"]);
        assert_eq!(now(&[]), (without.to_owned(), shown.to_owned()), "{name} taken back with -t");
        host.dladm_ok(&["reset-linkprop", "-p", name, "foo0"]);
        assert_eq!(now(&[]), (without.to_owned(), String::new()), "{name} taken back");
    }
    let refusal = not_all(&host, &["set-linkprop", "-p", "priority=urgent,maxbw=5,mtu=1401", "foo0"]);
    assert_eq!(refusal.matches("dladm: warning: cannot set ").count(), 2, "{refusal}");
    assert_eq!(value(&host, "maxbw", &[]), "5", "what was legal is set");
}

#[test]
fn what_create_vnic_is_given_is_stored() {
    let host = host();
    host.dladm_ok(&["delete-vnic", "foo0"]);
    let all: Vec<_> = PROPERTIES.iter().map(|(name, given, ..)| format!("{name}={given}")).collect();
    host.create_vnic("foo0", "demo0", &["-p", &all.join(",")]);
    for (name, _, shown, _) in PROPERTIES {
        assert_eq!(value(&host, name, &["-P"]), shown, "{name}");
    }
    assert_eq!(host.net.device("foo0")["mtu"], 1300);
}

#[test]
fn a_renamed_link_keeps_all_else() {
    let host = host();
    host.dladm_ok(&["set-linkprop", "-p", "maxbw=5", "foo0"]);
    let index = host.net.device("foo0")["ifindex"].clone();
    host.dladm_ok(&["rename-link", "foo0", "web0"]);
    host.dladm_ok(&["rename-link", "demo0", "blue0"]);
    assert_eq!(host.dladm_ok(&["show-vnic", "-p", "-o", "link,over"]), "web0:blue0\n");
    assert_eq!(host.dladm_ok(&["show-link", "-P", "-p", "-o", "link"]), "blue0\nweb0\n");
    assert_eq!(host.net.device("web0")["ifindex"], index);
    assert_eq!(host.dladm_ok(&["show-linkprop", "-c", "-o", "value", "-p", "maxbw", "web0"]), "5\n");
    host.create_vnic("foo0", "blue0", &[]);
    let refusal = host.dladm_refused(&["rename-link", "web0", "foo0"]);
    assert!(refusal.starts_with("dladm: cannot rename web0 to foo0: "), "{refusal}");
}

#[test]
fn what_is_deleted_until_the_next_boot_is_brought_up() {
    let host = host();
    host.dladm_ok(&["set-linkprop", "-p", "maxbw=5", "foo0"]);
    host.dladm_ok(&["delete-vnic", "-t", "foo0"]);
    host.dladm_ok(&["delete-overlay", "-t", "demo0"]);
    assert_eq!(host.dladm_ok(&["show-link", "-p", "-o", "link"]), "");
    assert_eq!(host.dladm_ok(&["show-link", "-P", "-p", "-o", "link,class"]), "demo0:overlay\nfoo0:vnic\n");
    let stored = host.dladm_ok(&["show-overlay", "-P", "-p", "-o", "property,value", "demo0"]);
    for row in ["vxlan/listen_ip:127.0.0.1", "search:direct", "direct/dest_ip:127.0.0.2"] {
        assert!(stored.lines().any(|line| line == row), "{row} is not in {stored}");
    }
    let refusal = host.dladm_refused(&["show-vnic", "foo0"]);
    assert!(refusal.contains("it is stored, and not there now\nbring it up: dladm up-overlay"), "{refusal}");
    host.dladm_ok(&["up-overlay", "demo0"]);
    host.await_online("demo0");
    assert_eq!(host.dladm_ok(&["show-vnic", "-p", "-o", "link,over"]), "foo0:demo0\n");
    assert_eq!(value(&host, "maxbw", &[]), "5");
    host.dladm_ok(&["up-overlay"]);
    host.dladm_refused(&["up-overlay", "demo1"]);
}

#[test]
fn directories_made_for_another_system_can_be_read_whatever_the_umask() {
    let host = Host::new();
    let root = host.scratch().join("image");
    fs::create_dir_all(root.join("etc")).expect("a directory of the host's own");
    let command = format!("umask 077; exec dladm delete-vnic -R {} foo0", root.display());
    host.net.run(&["sh", "-c", &command]).ok();
    let state = host.paths().state.strip_prefix("/").expect("an absolute path");
    for path in state.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        let mode = fs::metadata(root.join(path)).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{}", path.display());
    }
}

#[test]
fn another_system_makes_what_was_left_to_its_first_boot() {
    let mut host = Host::new();
    // The state directory is a link's way inside the root: the root of this host is `/`.
    let ends = "vxlan/listen_ip=127.0.0.1,direct/dest_ip=127.0.0.2,direct/dest_port=4789";
    for words in [
        &["create-overlay", "-R", "/", "-e", "vxlan", "-s", "direct", "-v", "23", "-p", ends, "demo0"][..],
        &["create-vnic", "-R", "/", "-l", "demo0", "foo0"],
        &["create-vnic", "-R", "/", "-l", "nowhere0", "bar0"],
        &["set-linkprop", "-R", "/", "-p", "maxbw=5", "foo0"],
        &["rename-link", "-R", "/", "foo0", "web0"],
    ] {
        host.dladm_ok(words);
    }
    let waiting = host.paths().state.join("first-boot");
    assert_eq!(fs::read_to_string(&waiting).expect("a file of lines").lines().count(), 5);
    assert!(host.dladm_refused(&["first-boot"]).contains("no overlayd is running"));
    assert!(waiting.exists(), "it waits for the daemons");
    host.start();
    let refusal = not_all(&host, &["first-boot"]);
    assert!(refusal.contains("bar0: cannot create VNIC bar0: "), "{refusal}");
    assert_eq!(host.dladm_ok(&["show-vnic", "-p", "-o", "link,over"]), "web0:demo0\n");
    assert_eq!(host.dladm_ok(&["show-linkprop", "-c", "-o", "value", "-p", "maxbw", "web0"]), "5\n");
    let failed = fs::read_to_string(host.paths().state.join("first-boot.failed")).expect("what failed");
    assert!(failed.lines().count() == 1 && failed.contains("bar0"), "{failed}");
    assert!(!waiting.exists());
    assert_eq!(host.dladm_ok(&["first-boot"]), "");
}
