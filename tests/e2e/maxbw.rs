//! `maxbw`: what a VNIC sends and is given comes out at the rate that was set, measured where it arrives; `priority`: who
//! gets how much of a busy worker.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use overlay_core::protocol::{Request, Response};
use overlay_tests::{
    Daemon, Flood, Host, KernelPeer, Plan, SHORT, Scene, Sink, Transfer, Underlay, Zone, inner_v4, pass,
    rate, underlay_v4, wait_until,
};

/// How far a measured rate may be from the one that was set.
const TOLERANCE: f64 = 0.03;

/// How often it is measured until it is right.
const MEASUREMENTS: usize = 3;

const UP_TO_1G: [(&str, f64); 4] = [("1200K", 1.2e6), ("10M", 1e7), ("100M", 1e8), ("1G", 1e9)];

/// Measurements take turns: two at once would measure the machine.
fn alone() -> impl Drop {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[track_caller]
fn comes_out_at(what: &str, set: f64, octets: impl Fn() -> f64) {
    // What was saved up or queued before goes first, and a stream finds its pace.
    pass(Duration::from_millis(1500));
    // The pieces of a stream are seconds apart at the lowest rate: there one long window says more than the median of some.
    let (window, count) = if set < 5e6 { (Duration::from_secs(15), 1) } else { (Duration::from_secs(1), 3) };
    // A machine that is busy with something else in one measurement is not in all.
    let mut rates = Vec::new();
    while rates.len() < MEASUREMENTS {
        let rate = rate(window, count, &octets);
        rates.push(rate);
        if (rate / set - 1.0).abs() <= TOLERANCE {
            return;
        }
    }
    panic!("{what}: {rates:.0?} bit/s, not {set:.0}");
}

#[test]
fn a_flood_leaves_at_the_rate_that_is_set() {
    let _alone = alone();
    let scene = Scene::kernel(Plan::default());
    let end = Sink::kernels(&scene.peer.net, "vx0");
    let _flood = Flood::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    for (text, bits) in UP_TO_1G {
        scene.host.set_link_property("foo0", "maxbw", text);
        comes_out_at("a flood out", bits, || end.flooded());
    }
}

#[test]
fn a_flood_arrives_at_the_rate_that_is_set() {
    let _alone = alone();
    let scene = Scene::kernel(Plan::default());
    let end = Sink::vnic(&scene.host.net, "foo0");
    let _flood = Flood::start(&scene.peer.net, &scene.host.net, inner_v4(1));
    for (text, bits) in UP_TO_1G {
        scene.host.set_link_property("foo0", "maxbw", text);
        comes_out_at("a flood in", bits, || end.flooded());
    }
    assert!(scene.host.counters("demo0").dropped("over-maxbw") > 0, "what is too much is counted");
}

#[test]
fn a_stream_leaves_at_the_rate_that_is_set() {
    let _alone = alone();
    let scene = Scene::kernel(Plan::default());
    for (text, bits) in UP_TO_1G {
        scene.host.set_link_property("foo0", "maxbw", text);
        let transfer = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
        comes_out_at("a stream out", bits, || transfer.streamed());
        scene.host.reset_link_property("foo0", "maxbw");
        transfer.finish();
    }
}

#[test]
fn a_stream_arrives_at_the_rate_that_is_set() {
    let _alone = alone();
    let scene = Scene::kernel(Plan::default());
    for (text, bits) in UP_TO_1G {
        scene.host.set_link_property("foo0", "maxbw", text);
        let transfer = Transfer::start(&scene.peer.net, &scene.host.net, inner_v4(1));
        comes_out_at("a stream in", bits, || transfer.streamed());
        scene.host.reset_link_property("foo0", "maxbw");
        transfer.finish();
    }
}

/// A host with two VNICs in zones of their own, and somebody at the other end.
struct Neighbours {
    a: Zone,
    b: Zone,
    host: Host,
    peer: KernelPeer,
    _underlay: Underlay,
}

impl Neighbours {
    fn new() -> Self {
        let (host, peer) = (Host::started(), KernelPeer::new());
        let underlay = Underlay::join(&host.net, &peer.net, 1500);
        host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
        let [a, b] = [("a0", 1), ("b0", 2)].map(|(vnic, end)| {
            host.create_vnic(vnic, "demo0", &[]);
            Zone::holding(&host, vnic, end)
        });
        assert!(a.net.ping(inner_v4(2), 56, false), "they know each other");
        Self { a, b, host, peer, _underlay: underlay }
    }
}

/// Rates from the highest that is promised, of which the machine may carry only the lower ones.
const FROM_5G: [(&str, f64); 3] = [("5G", 5e9), ("2G", 2e9), ("1G", 1e9)];

#[test]
fn neighbours_streams_come_out_at_the_highest_rate_that_the_machine_carries() {
    let _alone = alone();
    let both = Neighbours::new();
    let transfer = Transfer::start(&both.a.net, &both.b.net, inner_v4(2));
    pass(Duration::from_millis(500));
    let carried = rate(Duration::from_millis(500), 3, || transfer.streamed());
    let carries = |bits: f64| carried > 1.5 * bits;
    let Some((text, bits)) = FROM_5G.into_iter().find(|(_, bits)| carries(*bits)) else {
        panic!("only {carried:.0} bit/s without any limit")
    };
    for vnic in ["a0", "b0"] {
        both.host.set_link_property(vnic, "maxbw", text);
        comes_out_at(&format!("a stream through {vnic}"), bits, || transfer.streamed());
        both.host.reset_link_property(vnic, "maxbw");
    }
    transfer.finish();
}

#[test]
fn a_changed_rate_counts_at_once_though_the_vnic_waits() {
    let _alone = alone();
    let scene = Scene::kernel(Plan::default());
    let end = Sink::kernels(&scene.peer.net, "vx0");
    let _flood = Flood::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    let goes_on = |what: &str, megabytes: f64| {
        let before = end.flooded();
        wait_until(SHORT, what, || {
            let now = end.flooded() - before;
            if now > megabytes * 1e6 { Ok(()) } else { Err(format!("{now} octets")) }
        });
    };
    for _ in 0..20 {
        scene.host.set_link_property("foo0", "maxbw", "1200K");
        goes_on("the flood goes on, slowly", 0.01);
        scene.host.set_link_property("foo0", "maxbw", "100M");
        goes_on("the flood goes on at 100 Mbit/s", 1.0);
        scene.host.set_link_property("foo0", "maxbw", "1200K");
        scene.host.reset_link_property("foo0", "maxbw");
        goes_on("the flood goes on without a limit", 1.0);
    }
}

#[test]
fn at_rate_0_nothing_passes_and_all_is_counted() {
    let _alone = alone();
    let both = Neighbours::new();
    both.host.set_link_property("b0", "maxbw", "0");
    let lost = || both.host.counters("demo0").dropped("over-maxbw");
    let before = lost();
    assert!(!both.a.net.ping(inner_v4(2), 56, false) && !both.b.net.ping(inner_v4(1), 56, false));
    assert!(lost() >= before + 2, "one each way");
    both.host.reset_link_property("b0", "maxbw");
    assert!(both.a.net.ping(inner_v4(2), 56, false));
}

#[test]
fn a_vnic_that_waits_may_be_deleted_and_its_queue_is_accounted_for() {
    let _alone = alone();
    let both = Neighbours::new();
    ["a0", "b0"].iter().for_each(|vnic| both.host.set_link_property(vnic, "maxbw", "1200K"));
    let _there = Flood::start(&both.a.net, &both.b.net, inner_v4(2));
    let _back = Flood::start(&both.b.net, &both.a.net, inner_v4(1));
    pass(Duration::from_millis(300));
    both.host.dladm_ok(&["delete-vnic", "b0"]);
    both.host.check_counters();
    both.host.set_link_property("a0", "maxbw", "10M");
    wait_until(SHORT, "nothing waits any more", || {
        let waiting = both.host.counters("demo0").of("waiting");
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} frames")) }
    });
}

#[test]
fn a_limit_is_there_again_when_overlayd_was_killed_while_the_vnic_waited() {
    let _alone = alone();
    let mut scene = Scene::kernel(Plan::default());
    scene.host.set_link_property("foo0", "maxbw", "10M");
    let end = Sink::kernels(&scene.peer.net, "vx0");
    let _flood = Flood::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    pass(Duration::from_millis(300));
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    scene.host.await_online("demo0");
    comes_out_at("a flood out", 1e7, || end.flooded());
}

/// This thread, and all that it starts, has two processors at most, so that an overlayd has one worker (ADR 7).
fn with_one_worker() {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).expect("this thread's processors");
    let mut two = CpuSet::new();
    let usable = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false));
    usable.take(2).for_each(|cpu| two.set(cpu).expect("a processor"));
    sched_setaffinity(this, &two).expect("fewer processors are granted");
}

/// The frames that a VNIC has sent, as its worker has seen them.
#[track_caller]
fn sent(host: &Host, vnic: &str) -> f64 {
    let Response::Links(links) = host.ask(Daemon::Overlayd, Request::Links) else { panic!("no links") };
    let link = links.iter().find(|link| link.name.as_str() == vnic).expect("a VNIC");
    link.counters.out_frames as f64
}

#[test]
fn two_that_flood_one_worker_share_it_as_their_priorities_say() {
    let _alone = alone();
    with_one_worker();
    let both = Neighbours::new();
    both.peer.vxlan("vx0", 23, underlay_v4(2).into(), underlay_v4(1).into(), 1400);
    both.peer.net.address("vx0", 3);
    for (zone, vnic) in [(&both.a, "a0"), (&both.b, "b0")] {
        assert!(zone.net.ping(inner_v4(3), 56, false), "the other end is known");
        // Enough for the time in which the worker has a processor and whoever floods has none.
        zone.net.ip(&["link", "set", vnic, "txqueuelen", "8000"]);
    }
    // More programs than the worker can keep up with, as each gets as much of the processors as it does.
    let flood = |_| [&both.a, &both.b].map(|zone| Flood::start(&zone.net, &both.peer.net, inner_v4(3)));
    let _floods = [(); 4].map(flood);
    for (word, times) in [("high", 1.0), ("medium", 2.0), ("low", 4.0)] {
        both.host.set_link_property("b0", "priority", word);
        let look = || ["a0", "b0"].map(|vnic| sent(&both.host, vnic));
        let before = look();
        pass(Duration::from_secs(1));
        let now = look();
        let share = (now[0] - before[0]) / (now[1] - before[1]);
        assert!((share / times - 1.0).abs() < 0.25, "high to {word}: {share:.2} and not {times}");
    }
}
