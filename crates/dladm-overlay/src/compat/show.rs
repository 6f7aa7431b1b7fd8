//! An interface in illumos's form.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use overlay_core::netlink::{Address, Device};

use crate::words::Family;

/// Linux's flag (linux/if.h), illumos's (uts/common/net/if.h) and its name there.
const FLAGS: [(u32, u64, &str); 9] = [
    (0x1, 0x1, "UP"),
    (0x2, BROADCAST, "BROADCAST"),
    (0x8, 0x8, "LOOPBACK"),
    (0x10, 0x10, "POINTOPOINT"),
    (0x40, 0x40, "RUNNING"),
    (0x80, 0x80, "NOARP"),
    (0x100, 0x100, "PROMISC"),
    (0x200, 0x200, "ALLMULTI"),
    (0x1000, 0x800, "MULTICAST"),
];
/// IFF_BROADCAST, which no IPv6 interface of illumos has.
const BROADCAST: u64 = 0x2;

impl Family {
    /// illumos's flag of an interface of this family.
    const fn flag(self) -> (u64, &'static str) {
        match self {
            Self::Inet => (0x0100_0000, "IPv4"),
            Self::Inet6 => (0x0200_0000, "IPv6"),
        }
    }

    const fn has(self, address: &Address) -> bool {
        matches!((self, address.address), (Self::Inet, IpAddr::V4(_)) | (Self::Inet6, IpAddr::V6(_)))
    }
}

/// A device with its addresses: of one family, or of IPv4 and then, where it has any, of IPv6.
/// Addresses after the first of a family have logical interfaces of their own (`foo0:1`), as in illumos.
pub(crate) fn render(device: &Device, addresses: &[Address], family: Option<Family>) -> String {
    let families = family.map_or_else(|| vec![Family::Inet, Family::Inet6], |family| vec![family]);
    let mut text = String::new();
    for shown in families {
        let own = addresses.iter().filter(|address| shown.has(address)).collect::<Vec<_>>();
        if own.is_empty() && (family.is_some() || shown == Family::Inet) {
            text += &entry(device, shown, 0, None);
        }
        for (number, address) in own.into_iter().enumerate() {
            text += &entry(device, shown, number, Some(address));
        }
    }
    text
}

/// One logical interface.
fn entry(device: &Device, family: Family, number: usize, address: Option<&Address>) -> String {
    let Device { name, mtu, index, .. } = device;
    let logical = if number == 0 { String::new() } else { format!(":{number}") };
    let mut text = format!("{name}{logical}: {} mtu {mtu} index {index}\n", flags(device, family));
    text += &match (family, address) {
        (Family::Inet, None) => "\tinet 0.0.0.0 netmask 0\n".to_owned(),
        (Family::Inet6, None) => "\tinet6 ::/0\n".to_owned(),
        (Family::Inet, Some(address)) => inet(address),
        (Family::Inet6, Some(address)) => format!("\tinet6 {address}\n"),
    };
    if let (0, Some(mac)) = (number, device.mac.filter(|mac| mac.unicast().is_ok())) {
        let _ = writeln!(text, "\tether {mac}");
    }
    text
}

fn inet(address: &Address) -> String {
    let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - u32::from(address.prefix)).unwrap_or(0);
    let mut text = format!("\tinet {} netmask {mask:x}", address.address);
    if let Some(broadcast) = address.broadcast {
        let _ = write!(text, " broadcast {broadcast}");
    }
    text + "\n"
}

fn flags(device: &Device, family: Family) -> String {
    let (bit, name) = family.flag();
    let (mut number, mut names) = (bit, Vec::new());
    for (linux, illumos, name) in FLAGS {
        let hidden = family == Family::Inet6 && illumos == BROADCAST;
        if device.flags & linux != 0 && !hidden {
            number |= illumos;
            names.push(name);
        }
    }
    names.push(name);
    format!("flags={number:x}<{}>", names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::types::MacAddr;

    fn device() -> Device {
        Device {
            index: 3,
            name: "foo0".into(),
            mac: Some(MacAddr([2, 8, 0x20, 1, 2, 3])),
            mtu: 1400,
            mtu_limits: 68..=65521,
            up: true,
            carrier: true,
            // UP, BROADCAST, RUNNING, MULTICAST, LOWER_UP.
            flags: 0x1_1043,
            alias: None,
            kind: Some("tun".into()),
        }
    }

    fn address(text: &str, prefix: u8, broadcast: Option<[u8; 4]>) -> Address {
        let broadcast = broadcast.map(Ipv4Addr::from);
        Address { index: 3, address: text.parse().unwrap(), prefix, broadcast }
    }

    #[test]
    fn an_interface_is_shown_as_illumos_shows_it() {
        let text = render(&device(), &[address("192.168.23.1", 24, Some([192, 168, 23, 255]))], None);
        assert_eq!(
            text,
            "foo0: flags=1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4> mtu 1400 index 3\n\
             \tinet 192.168.23.1 netmask ffffff00 broadcast 192.168.23.255\n\
             \tether 2:8:20:1:2:3\n"
        );
    }

    #[test]
    fn ipv6_follows_with_flags_of_its_own() {
        let addresses = [address("fe80::1", 64, None), address("10.0.0.1", 31, None)];
        let text = render(&device(), &addresses, None);
        assert!(text.contains("\tinet 10.0.0.1 netmask fffffffe\n"), "{text}");
        let v6 =
            "foo0: flags=2000841<UP,RUNNING,MULTICAST,IPv6> mtu 1400 index 3\n\tinet6 fe80::1/64\n\tether";
        assert!(text.contains(v6), "{text}");
        assert!(render(&device(), &addresses, Some(Family::Inet6)).starts_with(v6));
    }

    #[test]
    fn further_addresses_are_logical_interfaces() {
        let addresses = [address("10.0.0.1", 8, None), address("10.0.0.2", 8, None)];
        let text = render(&device(), &addresses, Some(Family::Inet));
        let names = text.lines().filter_map(|line| line.split_once(": flags")).map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["foo0", "foo0:1"]);
        assert_eq!(text.matches("ether").count(), 1);
    }

    #[test]
    fn an_interface_without_addresses_is_still_shown() {
        let down = Device { up: false, flags: 0x1002, ..device() };
        assert_eq!(
            render(&down, &[], None),
            "foo0: flags=1000802<BROADCAST,MULTICAST,IPv4> mtu 1400 index 3\n\
             \tinet 0.0.0.0 netmask 0\n\tether 2:8:20:1:2:3\n"
        );
        assert!(render(&down, &[], Some(Family::Inet6)).contains("\tinet6 ::/0\n"));
    }
}
