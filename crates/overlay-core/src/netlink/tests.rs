//! The requests, each made to the kernel in a network namespace of its own.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::*;

/// A named network namespace, removed with its devices when it is dropped.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netlink-{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let namespace = Self { name };
        ip(&["netns", "add", &namespace.name]);
        namespace
    }

    fn open(&self) -> File {
        File::open(format!("/run/netns/{}", self.name)).unwrap()
    }

    /// Runs an `ip` command in it.
    fn ip(&self, words: &str) {
        let words = words.split(' ').collect::<Vec<_>>();
        ip(&[&["-n", self.name.as_str()], words.as_slice()].concat());
    }

    /// A connection in it: made by a thread that has entered it, and then of use to any.
    fn netlink(&self) -> Netlink {
        let namespace = self.open();
        let entered = thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            Netlink::open().unwrap()
        });
        entered.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().unwrap();
    assert!(status.success(), "ip {}", words.join(" "));
}

/// A namespace with a TAP device, a connection in it, and the device.
fn tap() -> (Namespace, Netlink, Device) {
    let namespace = Namespace::new();
    namespace.ip("tuntap add dev foo0 mode tap");
    let mut netlink = namespace.netlink();
    let device = netlink.device("foo0").unwrap().unwrap();
    (namespace, netlink, device)
}

fn addresses(netlink: &mut Netlink, index: u32) -> Vec<String> {
    netlink.addresses(index).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn a_device_is_found_by_its_name_and_in_the_list() {
    let (_namespace, mut netlink, device) = tap();
    assert_eq!((device.name.as_str(), device.kind.as_deref()), ("foo0", Some("tun")));
    assert!(!device.up && device.mac.is_some() && device.mtu == 1500);
    assert_eq!((*device.mtu_limits.start(), device.mtu_limits.contains(&8900)), (68, true));
    let list = netlink.devices().unwrap();
    assert!(list.contains(&device) && list.iter().any(|other| other.name == "lo"), "{list:?}");
}

#[test]
fn a_name_that_no_device_has_or_can_have_is_none() {
    let mut netlink = Namespace::new().netlink();
    for name in ["foo0", "", "a-name-of-sixteen", "a\0b"] {
        assert_eq!(netlink.device(name).unwrap(), None, "{name:?}");
    }
}

#[test]
fn many_devices_are_listed_over_several_datagrams() {
    let namespace = Namespace::new();
    for number in 0..40 {
        namespace.ip(&format!("link add a{number} type veth peer name b{number}"));
    }
    assert_eq!(namespace.netlink().devices().unwrap().len(), 81);
}

#[test]
fn mac_and_mtu_are_set_together() {
    let (_namespace, mut netlink, device) = tap();
    let mac = MacAddr([2, 8, 0x20, 1, 2, 3]);
    netlink.furnish(device.index, mac, 1400, "for people").unwrap();
    let device = netlink.device("foo0").unwrap().unwrap();
    assert_eq!((device.mac, device.mtu, device.alias.as_deref()), (Some(mac), 1400, Some("for people")));
    netlink.set_mtu(device.index, 1450).unwrap();
    assert_eq!(netlink.device("foo0").unwrap().unwrap().mtu, 1450);
}

#[test]
fn a_device_goes_up_and_down() {
    let (_namespace, mut netlink, device) = tap();
    for up in [true, true, false] {
        netlink.set_up(device.index, up).unwrap();
        assert_eq!(netlink.device("foo0").unwrap().unwrap().up, up);
    }
}

#[test]
fn a_device_is_renamed_while_it_is_up() {
    let (namespace, mut netlink, device) = tap();
    namespace.ip("tuntap add dev bar0 mode tap");
    netlink.set_up(device.index, true).unwrap();
    netlink.rename(device.index, "foo1").unwrap();
    assert_eq!(netlink.device_at(device.index).unwrap().unwrap().name, "foo1");
    assert!(netlink.rename(device.index, "bar0").unwrap_err().is_exists());
    assert_eq!(netlink.device("foo0").unwrap(), None);
}

#[test]
fn a_deleted_device_is_gone() {
    let (_namespace, mut netlink, device) = tap();
    netlink.delete(device.index).unwrap();
    assert_eq!(netlink.device("foo0").unwrap(), None);
    let error = netlink.delete(device.index).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_device_moves_to_another_namespace() {
    let (_namespace, mut netlink, device) = tap();
    let zone = Namespace::new();
    netlink.move_to(device.index, zone.open().as_fd(), "foo0").unwrap();
    assert_eq!(netlink.device("foo0").unwrap(), None);
    assert_eq!(zone.netlink().device("foo0").unwrap().unwrap().mac, device.mac);
}

#[test]
fn an_address_is_added_once_and_has_its_broadcast_address() {
    let (_namespace, mut netlink, device) = tap();
    let address = [192, 168, 23, 1].into();
    netlink.add_address(device.index, address, 24).unwrap();
    let error = netlink.add_address(device.index, address, 24).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let list = netlink.addresses(device.index).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].address, list[0].broadcast), (address, Some([192, 168, 23, 255].into())));
    netlink.remove_address(&list[0]).unwrap();
    assert!(netlink.remove_address(&list[0]).unwrap_err().is_not_found());
}

#[test]
fn flushing_one_family_leaves_the_other_alone() {
    let (_namespace, mut netlink, device) = tap();
    // The second one is secondary to the first, and goes with it.
    for (address, prefix) in [("10.1.0.1", 24), ("10.1.0.2", 24), ("10.2.0.1", 16), ("2001:db8::1", 64)] {
        netlink.add_address(device.index, address.parse().unwrap(), prefix).unwrap();
    }
    netlink.flush_addresses(device.index, AddressSet::V4).unwrap();
    assert_eq!(addresses(&mut netlink, device.index), ["2001:db8::1/64"]);
}

#[test]
fn link_local_addresses_survive_a_flush_of_the_routed_ones() {
    let (_namespace, mut netlink, device) = tap();
    for address in ["fe80::1", "2001:db8::1"] {
        netlink.add_address(device.index, address.parse().unwrap(), 64).unwrap();
    }
    netlink.flush_addresses(device.index, AddressSet::V6Routed).unwrap();
    assert_eq!(addresses(&mut netlink, device.index), ["fe80::1/64"]);
    netlink.flush_addresses(device.index, AddressSet::V6).unwrap();
    assert!(addresses(&mut netlink, device.index).is_empty());
}

#[test]
fn a_refusal_has_the_kernels_sentence() {
    let (_namespace, mut netlink, device) = tap();
    let error = netlink.set_mtu(device.index, 20).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot set the MTU of device {} to 20: Invalid argument (mtu less than device minimum)",
            device.index
        )
    );
    // The connection goes on after it.
    assert!(netlink.device("foo0").unwrap().is_some());
}
