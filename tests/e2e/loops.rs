//! What is made and removed again and again, what the daemons cost when nothing happens, and what they outlive.

use std::fs::OpenOptions;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use overlay_tests::{
    Daemon, Host, LONG, Plan, Scene, Underlay, VNETID, cpu_ticks, inner_v4, open_fds, resident_kib,
    underlay_v4, wait_until,
};

const DAEMONS: [Daemon; 2] = [Daemon::Overlayd, Daemon::Varpd];

/// Rounds after which the daemons have all the memory that they will need.
const WARM_UP: usize = 10;
/// Rounds that must not add to it.
const ROUNDS: usize = 60;
/// What an allocator may keep, in KiB.
const SLACK: u64 = 1024;

fn round(host: &Host) {
    host.create_overlay("demo0", VNETID, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host.create_vnic("foo1", "demo0", &["-v", "7"]);
    host.net.ip(&["link", "set", "foo0", "up"]);
    for (command, name) in [("delete-vnic", "foo0"), ("delete-vnic", "foo1"), ("delete-overlay", "demo0")] {
        host.dladm_ok(&[command, name]);
    }
}

#[test]
fn making_and_deleting_in_a_loop_leaves_nothing() {
    let (mut host, peer) = (Host::started(), Host::new());
    let _underlay = Underlay::join(&host.net, &peer.net, 1500);
    (0..WARM_UP).for_each(|_| round(&host));
    let pids = DAEMONS.map(|daemon| host.daemon(daemon).pid());
    let before = pids.map(|pid| (open_fds(pid), resident_kib(pid)));
    let (devices, snapshot) = (host.net.devices(), host.snapshot());
    (0..ROUNDS).for_each(|_| round(&host));
    assert_eq!((host.net.devices(), host.snapshot()), (devices, snapshot));
    for (pid, (fds, memory)) in pids.into_iter().zip(before) {
        wait_until(LONG, "no descriptor more than before", || {
            let now = open_fds(pid);
            if now <= fds { Ok(()) } else { Err(format!("{now} instead of {fds}")) }
        });
        let now = resident_kib(pid);
        assert!(now <= memory + SLACK, "{now} KiB after {memory} KiB");
    }
}

#[test]
fn creations_that_fail_leave_nothing_either() {
    let (mut host, peer) = (Host::started(), Host::new());
    let _underlay = Underlay::join(&host.net, &peer.net, 1500);
    let pid = host.daemon(Daemon::Overlayd).pid();
    let fail = |host: &Host| {
        let properties = "vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=0";
        let words = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "5", "-p", properties, "bad0"];
        host.dladm_refused(&words);
    };
    (0..WARM_UP).for_each(|_| fail(&host));
    let (fds, snapshot) = (open_fds(pid), host.snapshot());
    (0..ROUNDS).for_each(|_| fail(&host));
    assert_eq!((open_fds(pid), host.snapshot()), (fds, snapshot));
}

#[test]
fn idle_daemons_use_no_processor() {
    let mut scene = Scene::ours(Plan::default());
    let pids = DAEMONS.map(|daemon| scene.host.daemon(daemon).pid());
    // What the kernel sends of its own accord on a fresh device (neighbour and multicast discovery) comes first.
    wait_until(LONG, "three seconds with at most one tick of 10 ms", || {
        let (start, before) = (Instant::now(), pids.map(cpu_ticks));
        wait_until(LONG, "three seconds", || {
            if start.elapsed() >= Duration::from_secs(3) { Ok(()) } else { Err(String::new()) }
        });
        let used: Vec<_> = pids.iter().zip(before).map(|(pid, before)| cpu_ticks(*pid) - before).collect();
        if used.iter().all(|ticks| *ticks <= 1) { Ok(()) } else { Err(format!("{used:?} ticks")) }
    });
}

#[test]
fn the_first_ping_after_create_vnic_answers_within_a_second() {
    let scene = Scene::ours(Plan::default());
    for round in 0..3 {
        scene.host.dladm_ok(&["delete-vnic", "foo0"]);
        let start = Instant::now();
        scene.host.create_vnic("foo0", "demo0", &[]);
        scene.host.net.address("foo0", 1);
        assert!(scene.host.net.ping(inner_v4(2), 56, false), "round {round}: the first ping is answered");
        assert!(start.elapsed() < Duration::from_secs(1), "round {round}: {:?}", start.elapsed());
    }
    scene.host.check_counters();
}

/// Starts a daemon of a host whose log goes to a device that is always full.
fn with_a_full_log(host: &Host, daemon: Daemon) -> Child {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut command = host.net.command(&[daemon.program()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).spawn().expect("it starts")
}

#[test]
fn daemons_go_on_whose_log_cannot_be_written_and_whose_terminal_has_gone() {
    let host = Host::new();
    let mut children = [Daemon::Overlayd, Daemon::Varpd].map(|daemon| with_a_full_log(&host, daemon));
    let shown = || {
        let outcome = host.dladm(&["show-search", "-p", "-o", "plugin"]);
        if outcome.succeeded() && host.dladm(&["show-link"]).succeeded() {
            Ok(())
        } else {
            Err(outcome.stderr)
        }
    };
    wait_until(LONG, "both answer", shown);
    for child in &children {
        // It is `timeout` that was started, which passes signals on.
        kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).expect("a child that was not reaped");
    }
    host.create_overlay("demo0", VNETID, "127.0.0.1", "127.0.0.2", &[]);
    host.dladm_ok(&["delete-overlay", "demo0"]);
    wait_until(LONG, "both answer after SIGHUP", shown);
    for child in &mut children {
        assert!(child.try_wait().expect("a child can be waited for").is_none(), "a daemon has ended");
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("a child that was not reaped");
        child.wait().expect("it ends");
    }
}
