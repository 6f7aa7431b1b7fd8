//! Many overlays on one host. How fast they are made and how little they take is for `overlay-bench scale`.

use std::collections::BTreeSet;
use std::fs;

use overlay_tests::{
    Daemon, Host, SHORT, Underlay, Zone, inner_v4, open_fds, resident_kib, tcp_copy, underlay_v4, wait_until,
};

/// Overlays, each with a VNIC.
const MANY: u32 = 200;
/// One of them.
const CHOSEN: u32 = 150;
/// What 200 overlays may leave behind in a daemon, in KiB: what an allocator does not give back, and half of what they took.
const LEFTOVER: u64 = 1024;

fn overlay(number: u32) -> String {
    format!("many{number}")
}

fn vnic(number: u32) -> String {
    format!("card{number}")
}

fn make(host: &Host, numbers: impl IntoIterator<Item = u32>, end: u8) {
    for number in numbers {
        host.create_overlay(&overlay(number), 1000 + number, underlay_v4(end), underlay_v4(3 - end), &[]);
        host.create_vnic(&vnic(number), &overlay(number), &[]);
    }
}

fn unmake(host: &Host) {
    for number in 0..MANY {
        host.dladm_ok(&["delete-vnic", &vnic(number)]);
        host.dladm_ok(&["delete-overlay", &overlay(number)]);
    }
}

/// What a host has that could be left behind: devices, descriptors of both daemons, stored files.
fn possessions(host: &Host) -> (BTreeSet<String>, [usize; 2], usize) {
    let devices = host.net.devices().into_iter().map(|(_, name)| name).collect();
    let descriptors = [Daemon::Overlayd, Daemon::Varpd].map(|daemon| open_fds(host.running(daemon).pid()));
    (devices, descriptors, files(&host.paths().state) + files(&host.paths().run))
}

fn files(directory: &std::path::Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// Waits until a host has just these again: varpd ends its instances and says so after the command has returned.
#[track_caller]
fn await_possessions(host: &Host, before: &(BTreeSet<String>, [usize; 2], usize)) {
    wait_until(SHORT, "nothing is left", || {
        let now = possessions(host);
        if now == *before { Ok(()) } else { Err(format!("{before:?} were there before, now {now:?}")) }
    });
}

fn memory(host: &Host) -> [u64; 2] {
    [Daemon::Overlayd, Daemon::Varpd].map(|daemon| resident_kib(host.running(daemon).pid()))
}

fn sockets(host: &Host) -> usize {
    host.net.run(&["ss", "-Huan"]).ok().lines().count()
}

#[test]
fn two_hundred_overlays_share_a_socket_carry_traffic_and_leave_nothing() {
    let (host, peer) = (Host::started(), Host::started());
    let _underlay = Underlay::join(&host.net, &peer.net, 1500);
    let before = possessions(&host);
    make(&host, [0], 1);
    let shared = sockets(&host);
    make(&host, 1..MANY, 1);
    assert_eq!(sockets(&host), shared, "one listener and one pool of sockets serve all");
    assert_eq!(host.overlays().len(), MANY as usize);

    make(&peer, [CHOSEN], 2);
    let (one, two) = (Zone::holding(&host, &vnic(CHOSEN), 1), Zone::holding(&peer, &vnic(CHOSEN), 2));
    wait_until(SHORT, "the pair reaches each other", || {
        if one.net.ping(inner_v4(2), 56, true) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
    tcp_copy(&one.net, &two.net, inner_v4(2), 20_000_000);
    tcp_copy(&two.net, &one.net, inner_v4(1), 20_000_000);
    assert!(host.counters(&overlay(CHOSEN)).of("to-wire") > 2 * 20_000_000 / 1400 / 2);
    assert_eq!(host.counters(&overlay(CHOSEN - 1)).of("from-wire"), 0, "it is the pair's alone");
    host.check_counters();

    unmake(&host);
    await_possessions(&host, &before);
    let memory_before = memory(&host);
    make(&host, 0..MANY, 1);
    unmake(&host);
    await_possessions(&host, &before);
    let memory = memory(&host);
    let grown = [0, 1].map(|daemon: usize| memory[daemon].saturating_sub(memory_before[daemon]));
    assert!(grown.iter().all(|grown| *grown < LEFTOVER), "KiB left of {MANY} overlays: {grown:?}");
}
