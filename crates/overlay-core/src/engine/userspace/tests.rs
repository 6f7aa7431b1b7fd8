//! The engine's devices and queues, in namespaces that the tests make, as root.

use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::eventfd::EventFd;

use super::UserspaceEngine;
use super::carry::{Carrier, Shared};
use super::clock::Clock;
use super::pace::{self, Roster};
use super::table::{Source, Table, Token};
use crate::datapath::{
    Overlay, OverlayCounters, OverlaySettings, Port, PortPolicy, PortSettings, Protection,
};
use crate::device::{DeviceKit, Namespace, TapDevice, TapSpec};
use crate::engine::{DeviceSpec, Engine, Existing, LeaseInfo, OverlaySpec};
use crate::lookup::{TargetTable, Timing};
use crate::types::{LinkId, MacAddr, OverlayMtu, VnetId, ZoneName};

const OWN: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
const TOKEN: Token = Token(7);
const TIMING: Timing = Timing { ageing: None, negative: 1000, timeout: 1000 };

/// Does something in a namespace of its own.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    Namespace::fresh().unwrap().within(work).unwrap()
}

fn link(number: u32) -> LinkId {
    LinkId(number.try_into().unwrap())
}

fn limited() -> PortPolicy {
    PortPolicy { maxbw: "1200K".parse().ok(), ..PortPolicy::default() }
}

fn frame() -> Vec<u8> {
    [&OWN.0[..], &[2, 8, 0x20, 0, 0, 2, 0x88, 0xb5], &[0; 100]].concat()
}

fn settings() -> OverlaySettings {
    OverlaySettings::plain(VnetId::new(23).unwrap(), crate::encap::ENCAPS[0])
}

fn overlay_spec() -> OverlaySpec {
    let listen = "127.0.0.1:4789".parse().unwrap();
    OverlaySpec { settings: settings(), listen, timing: TIMING, targets_max: 100 }
}

fn device(policy: PortPolicy) -> DeviceSpec {
    let (name, mtu) = ("foo0".parse().unwrap(), OverlayMtu::default());
    DeviceSpec { link: link(2), name, mac: OWN, vid: None, mtu, policy, zone: None }
}

/// An overlay with one VNIC, and the table of these.
fn table(counters: &Arc<OverlayCounters>, port: &Arc<Port<TapDevice>>) -> (Arc<Overlay<TapDevice>>, Table) {
    let targets = Arc::new(TargetTable::new(link(1), Arc::default(), TIMING, 100));
    let overlay = Arc::new(Overlay::new(settings(), Arc::clone(counters), targets, vec![Arc::clone(port)]));
    let source = Source::Device { overlay: Arc::clone(&overlay), port: Arc::clone(port), mux: None };
    (overlay, Table { sources: [(TOKEN, source)].into(), ..Table::default() })
}

#[test]
fn a_call_by_a_newer_table_than_the_workers_is_answered_when_it_has_that() {
    apart(|| {
        let (roster, wake) = (Arc::<Roster>::default(), Arc::new(EventFd::new().unwrap()));
        let (name, mtu) = ("foo0".parse().unwrap(), OverlayMtu::default());
        let spec = TapSpec { link: link(2), name, mac: OWN, mtu, zone: None };
        let tap = DeviceKit::new().unwrap().create(&spec).unwrap().tap;
        let alarm = pace::alarm(TOKEN, &roster, &wake);
        let plain = Arc::new(Port::with_alarm(PortSettings::plain(link(2), OWN), tap, alarm));
        let policy = limited();
        let limited = Arc::new(plain.changed(PortSettings { policy, ..plain.settings().clone() }));
        let counters = Arc::default();
        let ((_, old), (overlay, newer)) = (table(&counters, &plain), table(&counters, &limited));
        let shared = Shared {
            hasher: crate::wire::FlowHasher::default(),
            clock: Clock::start(),
            desk: Arc::default(),
            attention: Arc::new(EventFd::new().unwrap()),
            losses: Arc::default(),
            outbox: Arc::default(),
            roster,
        };
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        for unknowing in [old, Table::default()] {
            let mut carrier = Carrier::new(shared.clone());
            carrier.hear_calls();
            // Another worker has the newer table.
            overlay.inject(&frame());
            carrier.come_back(&unknowing, &epoll);
            assert_eq!(counters.info().waiting, 1);
            carrier.hear_calls();
            carrier.hurry();
            carrier.come_back(&newer, &epoll);
            assert_eq!(counters.info().waiting, 0, "the call is lost");
        }
    });
}

#[test]
fn what_has_begun_to_wait_when_a_change_is_taken_back_is_still_given() {
    apart(|| {
        let mut engine = UserspaceEngine::with_workers(2).unwrap();
        engine.set_overlay(link(1), &overlay_spec());
        engine.add_device(link(1), &device(PortPolicy::default()), Existing::Refuse).unwrap();
        let before = &engine.overlays[&link(1)].ports[&link(2)];
        let (spec, port) = (before.spec.clone(), Arc::clone(&before.port.what));
        engine.change_device(link(1), &device(limited())).unwrap();
        // More than passes at once.
        (0..100).for_each(|_| engine.inject(link(1), &frame()));
        engine.take_back(link(1), spec, &port);
        let waiting = || engine.overlay_counters(link(1)).0.waiting;
        let start = Instant::now();
        while waiting() > 0 && start.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        assert_eq!(waiting(), 0, "frames wait for ever");
        engine.remove_device(link(1), link(2)).unwrap();
    });
}

/// A zone that ends with the test.
struct Own(ZoneName);

impl Own {
    fn new() -> Self {
        let name = format!("ov-engine-{}", std::process::id());
        ip("add", &name);
        Self(name.parse().unwrap())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        ip("delete", self.0.as_str());
    }
}

fn ip(what: &str, zone: &str) {
    assert!(Command::new("ip").args(["netns", what, zone]).status().unwrap().success());
}

#[test]
fn what_dhcp_has_given_stays_with_a_device_that_stays_and_ends_with_every_move() {
    let zone = Own::new();
    apart(|| {
        let protection = Protection { ip_nospoof: true, ..Protection::default() };
        let spec = device(PortPolicy { protection, ..PortPolicy::default() });
        let lease = LeaseInfo { network: "192.0.2.1".parse().unwrap(), client: vec![1], left: None };
        let held = |engine: &UserspaceEngine| engine.leases(link(1), link(2)).unwrap().1.len();
        let start = |existing| {
            let mut engine = UserspaceEngine::with_workers(2).unwrap();
            engine.set_overlay(link(1), &overlay_spec());
            engine.add_device(link(1), &spec, existing).unwrap();
            engine.restore_leases(link(1), link(2), vec![lease.clone()]);
            engine
        };
        let made = start(Existing::Adopt);
        assert_eq!(held(&made), 0, "it is made anew");
        drop(made);
        let mut engine = start(Existing::Adopt);
        assert_eq!(held(&engine), 1, "it has stayed");
        engine.settle_device(link(1), &spec).unwrap();
        assert_eq!(held(&engine), 1, "it is where it is to be");
        let there = DeviceSpec { zone: Some(zone.0.clone()), ..spec.clone() };
        engine.settle_device(link(1), &there).unwrap();
        engine.restore_leases(link(1), link(2), vec![lease.clone()]);
        assert_eq!(held(&engine), 0, "it has been moved");
        engine.remove_device(link(1), link(2)).unwrap();
    });
}
