//! What happens on a host, as one who watches sees it.

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::net::UnixStream;

use overlay_core::control::Client;
use overlay_core::protocol::{Change, Event, Request, Response};
use overlay_tests::{Daemon, Family, Host, LONG, Spawned, Trio, inner_mac, program, wait_until};

/// A `dladm monitor` that runs.
#[track_caller]
fn monitor(host: &Host, more: &[&str]) -> Spawned {
    let dladm = program("dladm");
    let words = [&[dladm.to_str().expect("a path in UTF-8"), "monitor"], more].concat();
    Spawned::start(&host.net, &words)
}

#[test]
fn the_life_of_links_is_shown_as_it_happens() {
    let mut host = Host::started();
    host.net.ip(&["addr", "add", "10.0.0.1/32", "dev", "lo"]);
    let watching = monitor(&host, &[]);
    // It says nothing before something happens; its first row shows that it watches.
    let mut number = 0;
    wait_until(LONG, "the monitor watches", || {
        number += 1;
        let name = format!("try{number}");
        host.create_overlay(&name, 99, "10.0.0.1", "10.0.0.2", &[]);
        host.dladm_ok(&["delete-overlay", &name]);
        if watching.lines().is_empty() { Err("no row".to_owned()) } else { Ok(()) }
    });
    host.create_overlay("demo0", 23, "10.0.0.1", "10.0.0.2", &[]);
    watching.wait_for(LONG, "demo0           added          overlay, up");
    host.create_vnic("foo0", "demo0", &[]);
    watching.wait_for(LONG, "foo0            added          vnic, up");
    host.dladm_ok(&["modify-overlay", "-p", "vxlan/ttl=9", "demo0"]);
    watching.wait_for(LONG, "demo0           property       vxlan/ttl=9");
    // Nobody asks for this one.
    host.net.ip(&["addr", "del", "10.0.0.1/32", "dev", "lo"]);
    watching.wait_for(LONG, "demo0           degraded       address 10.0.0.1 is not on this host");
    host.net.ip(&["addr", "add", "10.0.0.1/32", "dev", "lo"]);
    host.kill9(Daemon::Overlayd);
    watching.wait_for(LONG, "driver-away");
    host.start_overlayd();
    watching.wait_for(LONG, "driver-back");
    host.dladm_ok(&["delete-vnic", "foo0"]);
    watching.wait_for(LONG, "foo0            removed        vnic");
}

#[test]
fn entries_of_target_tables_are_shown_where_they_are_asked_for() {
    let trio = Trio::new(Family::V4);
    let watching = monitor(&trio.one, &["-t", "--json", "demo0"]);
    let mac = inner_mac(3).to_string();
    wait_until(LONG, "an entry that changes is told", || {
        trio.one.dladm_ok(&["modify-overlay", "-s", &format!("{mac}=10.0.0.3:4789"), "demo0"]);
        trio.one.dladm_ok(&["modify-overlay", "-d", &mac, "demo0"]);
        let lines = watching.lines();
        let about = |line: &&String| line.contains("target") && line.contains(&mac);
        lines.iter().find(about).map(|_| ()).ok_or_else(|| lines.join("\n"))
    });
    let lines = watching.lines();
    let parsed = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"));
    let changes: HashSet<_> = parsed.map(|line| line["change"].as_str().unwrap_or("-").to_owned()).collect();
    assert!(changes.is_subset(&["target", "target-removed"].map(str::to_owned).into()), "{changes:?}");
}

/// One that asks to watch and then reads nothing must cost overlayd no memory, and learns that it has missed something.
#[test]
fn who_does_not_read_is_told_that_it_has_missed_something() {
    let host = Host::started();
    host.net.ip(&["addr", "add", "10.0.0.1/32", "dev", "lo"]);
    host.create_overlay("demo0", 23, "10.0.0.1", "10.0.0.2", &[]);
    let socket = host.paths().socket(Daemon::Overlayd);
    let mut deaf = UnixStream::connect(socket).expect("overlayd listens");
    deaf.write_all(b"{\"protocol\":1,\"program\":\"test\"}\n{\"id\":1,\"request\":\"watch\"}\n")
        .expect("written");
    let mut client = Client::connect(host.paths(), Daemon::Overlayd, "test").expect("overlayd runs");
    let link = match client.call(Request::Overlays).expect("an answer") {
        Response::Overlays(overlays) => overlays[0].id,
        other => panic!("{other:?}"),
    };
    // Each of these is some 300 octets to whoever watches; together several times what waits for one.
    for round in 0..8_000 {
        let message = format!("{round} {}", "x".repeat(200));
        client.call(Request::Degrade { link, message }).expect("granted");
    }
    deaf.set_read_timeout(Some(LONG)).expect("a limit");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(deaf));
    let missed = format!(r#""change":"{}""#, "missed");
    let mut read = 0;
    let mut told = lines.by_ref().map(|line| line.expect("a line")).inspect(|line| read += line.len());
    assert!(told.any(|line| line.contains(&missed)), "it was never told");
    assert!(read < 3_000_000, "{read} octets were kept for it");
    let event = Event::Change(Change::Missed);
    assert!(
        serde_json::to_string(&event).expect("JSON").contains(&missed),
        "the test looks for the protocol's word"
    );
}
