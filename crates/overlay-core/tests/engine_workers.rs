//! What happens between two workers, whatever processors there are. As root.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use overlay_core::datapath::{OverlaySettings, PortPolicy};
use overlay_core::device::Namespace;
use overlay_core::encap;
use overlay_core::engine::userspace::UserspaceEngine;
use overlay_core::engine::{DeviceSpec, Engine, Existing, OverlaySpec};
use overlay_core::lookup::{Sources, TargetMode, Timing};
use overlay_core::types::{LinkId, MacAddr, OverlayMtu, VnetId};

/// How often a VNIC gets its first limit.
const ROUNDS: usize = 30;

fn link(number: u32) -> LinkId {
    LinkId(number.try_into().expect("not 0"))
}

fn mac(vnic: u32) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, vnic as u8])
}

/// Runs a command of the system in this thread's namespace.
fn system(words: &str) {
    let mut words = words.split(' ');
    let status = Command::new(words.next().expect("a program")).args(words).status();
    assert!(status.expect("it can be run").success());
}

fn overlay() -> OverlaySpec {
    let settings = OverlaySettings {
        target: Some(TargetMode::Point(([127, 0, 0, 2], 4789).into())),
        sources: Some(Sources::Any),
        ..OverlaySettings::plain(
            VnetId::new(23).expect("legal"),
            encap::by_name("vxlan").expect("it is there"),
        )
    };
    let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
    OverlaySpec { settings, listen: ([127, 0, 0, 1], 4789).into(), timing, targets_max: 100 }
}

fn vnic(number: u32, maxbw: Option<&str>) -> DeviceSpec {
    DeviceSpec {
        link: link(number),
        name: format!("foo{number}").parse().expect("a name"),
        mac: mac(number),
        vid: None,
        mtu: OverlayMtu::default(),
        policy: PortPolicy {
            maxbw: maxbw.map(|rate| rate.parse().expect("a rate")),
            ..PortPolicy::default()
        },
        zone: None,
    }
}

/// VNICs 2 and 3, of which each sends to an address of the other.
fn furnish(engine: &mut UserspaceEngine) {
    system("ip link set lo up");
    engine.set_overlay(link(1), &overlay());
    engine.start(link(1)).expect("its address is free");
    (2..4).for_each(|number| {
        engine.add_device(link(1), &vnic(number, None), Existing::Refuse).expect("a device");
    });
    (2..4).for_each(settle_in);
}

fn settle_in(number: u32) {
    system(&format!("ip link set foo{number} up"));
    system(&format!("ip addr add 192.168.{number}.1/24 dev foo{number}"));
    let other = 5 - number;
    system(&format!(
        "ip neigh replace 192.168.{number}.2 lladdr {} dev foo{number} nud permanent",
        mac(other)
    ));
}

/// Sends from a VNIC as fast as it can.
fn flood(number: u8, end: &AtomicBool) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let to = SocketAddr::from(([192, 168, number, 2], 7000));
    while !end.load(Ordering::Relaxed) {
        // While its VNIC is made anew, nothing leaves.
        let _ = socket.send_to(&[0; 64], to);
    }
}

/// Ends the floods, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn queue_empties(engine: &UserspaceEngine) -> bool {
    let start = Instant::now();
    while engine.overlay_counters(link(1)).0.waiting > 0 {
        if start.elapsed() > Duration::from_secs(5) {
            return false;
        }
        thread::yield_now();
    }
    true
}

#[test]
fn a_first_limit_set_while_both_workers_are_busy_lets_frames_through() {
    let net = Namespace::fresh().expect("root may make one");
    let tested = net.within(|| {
        let mut engine = UserspaceEngine::with_workers(2).expect("an engine");
        furnish(&mut engine);
        let end = AtomicBool::new(false);
        let stuck = thread::scope(|scope| {
            let ended = End(&end);
            let flag = ended.0;
            for number in [2, 3] {
                scope.spawn(move || flood(number, flag));
            }
            (0..ROUNDS).find(|_| {
                engine.change_device(link(1), &vnic(3, Some("5G"))).expect("it takes a limit");
                let empties = queue_empties(&engine);
                engine.remove_device(link(1), link(3)).expect("it ends");
                engine.add_device(link(1), &vnic(3, None), Existing::Refuse).expect("a device");
                settle_in(3);
                !empties
            })
        });
        assert_eq!(stuck, None, "the round in which the VNIC has got nothing any more");
        (2..4).for_each(|number| engine.remove_device(link(1), link(number)).expect("it ends"));
    });
    tested.expect("it may be entered");
}
