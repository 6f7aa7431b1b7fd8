//! Devices in namespaces that the tests make, as root.

use std::fs;
use std::os::fd::AsFd;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::netlink::{self, Netlink};
use crate::types::{LinkId, MacAddr, OverlayMtu, ZoneName};

/// A zone of a test's own, which ends with it.
struct Own(ZoneName);

impl Own {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ov-device-{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        Self(name.parse().unwrap())
    }

    fn namespace(&self) -> Namespace {
        Zone::open(&self.0).unwrap().1
    }

    /// What devices are made with when this is the host.
    fn kit(&self) -> DeviceKit {
        self.namespace().within(DeviceKit::new).unwrap().unwrap()
    }

    fn device(&self, name: &str) -> Option<netlink::Device> {
        self.namespace().within(|| Netlink::open().unwrap().device(name)).unwrap().unwrap()
    }

    fn ip(&self, words: &str) {
        let words: Vec<_> = words.split(' ').collect();
        ip(&[&["-n", self.0.as_str()], words.as_slice()].concat());
    }

    fn delete(&self) {
        ip(&["netns", "delete", self.0.as_str()]);
    }

    /// Takes its name away. Whether it ends is seen by a pair of devices, of which the other one ends with its peer.
    fn ends_without_name(self) -> bool {
        let witness = Self::new();
        self.ip(&format!("link add w0 type veth peer name w1 netns {}", witness.0));
        self.delete();
        let start = Instant::now();
        while witness.device("w1").is_some() && start.elapsed() < Duration::from_secs(2) {
            thread::yield_now();
        }
        witness.device("w1").is_none()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", self.0.as_str()]).output();
    }
}

fn ip(words: &[&str]) {
    let outcome = Command::new("ip").args(words).output().unwrap();
    assert!(outcome.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&outcome.stderr));
}

const MAC: MacAddr = MacAddr([2, 8, 0x20, 1, 2, 3]);

/// A VNIC of a test's own: zones of other tests are looked into as well.
struct Vnic(LinkId);

impl Vnic {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(LinkId(((id() << 8) + NEXT.fetch_add(1, Ordering::Relaxed)).try_into().unwrap()))
    }

    fn to(&self, zone: Option<&Own>) -> TapSpec {
        let (name, mtu) = ("foo0".parse().unwrap(), OverlayMtu::new(1300).unwrap());
        TapSpec { link: self.0, name, mac: MAC, mtu, zone: zone.map(|zone| zone.0.clone()) }
    }
}

/// Whether a zone has the VNIC's device, whole.
fn has(place: &Own, name: &str) -> bool {
    let device = place.device(name);
    device.is_some_and(|device| is_vnic(&device) && device.mac == Some(MAC) && device.mtu == 1300)
}

#[test]
fn a_device_is_made_in_its_zone_and_moves_with_all_it_has() {
    let (host, one, two) = (Own::new(), Own::new(), Own::new());
    let (kit, vnic) = (host.kit(), Vnic::new());
    let housed = kit.create(&vnic.to(Some(&one))).unwrap();
    assert!(has(&one, "foo0") && host.device("foo0").is_none());
    assert_eq!(housed.zone.map(|zone| zone.name().clone()), Some(one.0.clone()));
    // It has its own name wherever it comes to.
    one.ip("link set foo0 name eth7");
    for (from, to, zone) in [(&one, &two, Some(&two)), (&two, &host, None), (&host, &one, Some(&one))] {
        let settled = kit.settle(&housed.tap, &vnic.to(zone)).unwrap();
        assert!(has(to, "foo0") && from.device("foo0").is_none() && from.device("eth7").is_none());
        assert_eq!(settled.map(|zone| zone.name().clone()), zone.map(|zone| zone.0.clone()));
    }
    assert!(one.ends_without_name(), "a device that was made out of sight keeps no zone");
}

#[test]
fn a_device_whose_name_is_taken_stays_where_it_is() {
    let (host, zone) = (Own::new(), Own::new());
    let (kit, vnic) = (host.kit(), Vnic::new());
    zone.ip("tuntap add foo0 mode tap");
    let error = kit.create(&vnic.to(Some(&zone))).unwrap_err().to_string();
    assert_eq!(error, format!("a network device named foo0 exists already in zone {}", zone.0));
    let housed = kit.create(&vnic.to(None)).unwrap();
    host.ip("link set foo0 up");
    host.ip("address add 192.0.2.1/24 dev foo0");
    let error = kit.settle(&housed.tap, &vnic.to(Some(&zone))).unwrap_err().to_string();
    assert_eq!(error, format!("a network device named foo0 exists already in zone {}", zone.0));
    assert!(has(&host, "foo0") && host.device("foo0").unwrap().up);
}

#[test]
fn a_device_that_was_left_is_found_wherever_it_is() {
    let (host, one, two) = (Own::new(), Own::new(), Own::new());
    let (kit, vnic) = (host.kit(), Vnic::new());
    drop(kit.create(&vnic.to(None)).unwrap());
    host.ip(&format!("link set foo0 netns {}", one.0));
    let housed = kit.adopt(&vnic.to(None)).unwrap();
    assert!(
        has(&one, "foo0") && housed.tap.pins() == housed.zone.as_ref(),
        "it stays where somebody has put it"
    );
    let settled = kit.settle(&housed.tap, &vnic.to(None)).unwrap();
    assert!(has(&host, "foo0") && settled.is_none() && housed.tap.pins().is_some());
    drop(housed);
    host.ip(&format!("link set foo0 netns {}", two.0));
    let housed = kit.adopt(&vnic.to(Some(&one))).unwrap();
    assert!(has(&one, "foo0") && two.device("foo0").is_none(), "it is fetched to where it is to be");
    assert_eq!(housed.tap.pins(), housed.zone.as_ref());
    drop(housed);
    assert!(two.ends_without_name(), "the zone that it was fetched from is not kept");
    let housed = kit.adopt_near(&vnic.to(None)).unwrap();
    assert!(has(&host, "foo0") && has(&one, "foo0"), "one that was lost is not looked for in zones");
    housed.tap.give_up().unwrap();
    drop(housed);
    kit.discard(&vnic.to(None)).unwrap();
    assert!(one.device("foo0").is_none());
    kit.discard(&vnic.to(None)).unwrap();
}

#[test]
fn a_zone_without_its_name_lives_until_an_adopted_device_is_ended() {
    let (host, zone) = (Own::new(), Own::new());
    let (kit, vnic) = (host.kit(), Vnic::new());
    drop(kit.create(&vnic.to(Some(&zone))).unwrap());
    let housed = kit.adopt(&vnic.to(Some(&zone))).unwrap();
    let (found, name) = (housed.zone.clone().unwrap(), zone.0.clone());
    assert!(found.is_there());
    let witness = Own::new();
    zone.ip(&format!("link add w0 type veth peer name w1 netns {}", witness.0));
    zone.delete();
    assert!(!found.is_there() && housed.tap.place().is_ok(), "its device works on");
    ip(&["netns", "add", name.as_str()]);
    assert!(!found.is_there(), "another zone has its name");
    assert!(witness.device("w1").is_some());
    housed.tap.give_up().unwrap();
    drop(housed);
    let start = Instant::now();
    while witness.device("w1").is_some() {
        assert!(start.elapsed() < Duration::from_secs(5), "the zone is still there");
    }
}

#[test]
fn what_is_no_network_namespace_is_no_zone() {
    let (kit, vnic) = (Own::new().kit(), Vnic::new());
    let zone = |name: &str| TapSpec { zone: Some(name.parse().unwrap()), ..vnic.to(None) };
    let name = format!("ov-device-{}-none", id());
    let error = kit.create(&zone(&name)).unwrap_err().to_string();
    assert_eq!(error, format!("zone {name} is not there"));
    let path = format!("/run/netns/{name}");
    for target in ["/dev/null", "/proc/self/ns/mnt"] {
        std::os::unix::fs::symlink(target, &path).unwrap();
        let outcome = kit.create(&zone(&name)).map(|_| ());
        fs::remove_file(&path).unwrap();
        let error = outcome.unwrap_err().to_string();
        assert_eq!(error, format!("zone {name} is not there: /run/netns/{name} is no network namespace"));
    }
}

#[test]
fn a_watch_tells_of_a_zone_that_comes_and_one_that_goes() {
    let told = |watch: &ZoneWatch, wait: u16| {
        let mut watched = [PollFd::new(watch.as_fd(), PollFlags::POLLPRI)];
        poll(&mut watched, PollTimeout::from(wait)).unwrap() > 0
    };
    let watch = ZoneWatch::open().unwrap();
    let zone = Own::new();
    assert!(told(&watch, 5000), "a zone has come");
    while told(&watch, 0) {}
    drop(zone);
    assert!(told(&watch, 5000), "a zone has gone");
}
