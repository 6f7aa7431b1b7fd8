//! What the underlay of a listen address takes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::device::is_vnic;
use crate::netlink::{Address, AddressSet, Device, Netlink, NetlinkError};
use crate::types::UnderlayMtu;

/// The flag of a device that leads to this host itself (IFF_LOOPBACK, linux/if.h).
const LOOPBACK: u32 = 0x8;

/// The largest packet of the device with a listen address; of the narrowest device with an address where that is unspecified.
/// None where no device has it.
pub(super) fn mtu_of(listen: IpAddr) -> Result<Option<UnderlayMtu>, NetlinkError> {
    let mut netlink = Netlink::open()?;
    let addresses = netlink.all_addresses()?;
    let serves = |address: &&Address| match listen.is_unspecified() {
        true => is_reachable(listen, address.address),
        false => address.address == listen,
    };
    let indices: BTreeSet<_> = addresses.iter().filter(serves).map(|address| address.index).collect();
    let mut least = None;
    for index in indices {
        let device =
            netlink.device_at(index)?.filter(|device| !listen.is_unspecified() || is_underlay(device));
        least = least.into_iter().chain(device.map(|device| UnderlayMtu(device.mtu))).min();
    }
    Ok(least)
}

/// Whether datagrams to a listener on all addresses can arrive on that one.
fn is_reachable(listen: IpAddr, address: IpAddr) -> bool {
    AddressSet::V6Routed.contains(address) && listen.is_ipv6() || AddressSet::V4.contains(address)
}

fn is_underlay(device: &Device) -> bool {
    device.up && device.flags & LOOPBACK == 0 && !is_vnic(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_of_an_address_is_its_devices() {
        let lo = Netlink::open().unwrap().device("lo").unwrap().unwrap();
        assert_eq!(mtu_of("127.0.0.1".parse().unwrap()).unwrap(), Some(UnderlayMtu(lo.mtu)));
        // For documentation (RFC 5737): no host has it.
        assert_eq!(mtu_of("192.0.2.1".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn a_listener_on_all_addresses_hears_routed_ones() {
        let hears =
            |listen: &str, address: &str| is_reachable(listen.parse().unwrap(), address.parse().unwrap());
        assert!(hears("0.0.0.0", "10.0.0.1") && hears("::", "10.0.0.1") && hears("::", "2001:db8::1"));
        assert!(!hears("0.0.0.0", "2001:db8::1") && !hears("::", "fe80::1"));
    }
}
