//! Network devices and their addresses, over rtnetlink (rtnetlink(7), RFC 3549).
//!
//! Requests are made one at a time; each returns when the kernel has carried it out or refused it, and none waits
//! for more than a few seconds. The socket belongs to the network namespace in which it was opened,
//! whichever namespace the thread is in later.

mod error;
mod exchange;
mod message;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use nix::errno::Errno;

use crate::types::{LinkName, MacAddr};
use exchange::Exchange;

pub use error::NetlinkError;
pub use message::{Address, AddressSet, Device};

/// A connection to the kernel's devices and addresses.
#[derive(Debug)]
pub struct Netlink {
    exchange: Exchange,
}

impl Netlink {
    /// A connection in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The system's, when there is no descriptor or memory left.
    pub fn open() -> Result<Self, NetlinkError> {
        let exchange =
            Exchange::open().map_err(|error| error::Fault::from(error).of("open a netlink socket"))?;
        Ok(Self { exchange })
    }

    /// The device of a name; none when there is none.
    ///
    /// # Errors
    /// The kernel's, for any other reason.
    pub fn device(&mut self, name: &str) -> Result<Option<Device>, NetlinkError> {
        if !may_be_a_device(name) {
            return Ok(None);
        }
        let message = message::link(0, vec![LinkAttribute::IfName(name.to_owned())]);
        match self.exchange.ask(RouteNetlinkMessage::GetLink(message), 0, Device::read) {
            Err(fault) if fault.is_any(&[Errno::ENODEV]) => Ok(None),
            Err(fault) => Err(fault.of(format!("read device {name}"))),
            Ok(devices) => Ok(devices.into_iter().next()),
        }
    }

    /// The device of a number; none when there is none.
    ///
    /// # Errors
    /// The kernel's, for any other reason.
    pub fn device_at(&mut self, index: u32) -> Result<Option<Device>, NetlinkError> {
        let message = message::link(index, Vec::new());
        match self.exchange.ask(RouteNetlinkMessage::GetLink(message), 0, Device::read) {
            Err(fault) if fault.is_any(&[Errno::ENODEV]) => Ok(None),
            Err(fault) => Err(fault.of(format!("read device {index}"))),
            Ok(devices) => Ok(devices.into_iter().next()),
        }
    }

    /// Every device of the namespace.
    ///
    /// # Errors
    /// The kernel's, or that the list never stood still.
    pub fn devices(&mut self) -> Result<Vec<Device>, NetlinkError> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.exchange.list(&message, Device::read).map_err(|fault| fault.of("list the devices"))
    }

    /// Gives a device an address of its own, an MTU in octets and an alias, in one request.
    ///
    /// # Errors
    /// The kernel's: no such device, an MTU or address that its driver refuses, no right.
    pub fn furnish(&mut self, index: u32, mac: MacAddr, mtu: u32, alias: &str) -> Result<(), NetlinkError> {
        let (mac_octets, alias) = (mac.0.to_vec(), alias.to_owned());
        let attributes =
            vec![LinkAttribute::Address(mac_octets), LinkAttribute::Mtu(mtu), LinkAttribute::IfAlias(alias)];
        self.set(message::link(index, attributes), || {
            format!("set the MAC address of device {index} to {mac} and its MTU to {mtu}")
        })
    }

    /// Gives a device an MTU, in octets.
    ///
    /// # Errors
    /// The kernel's: no such device, an MTU outside [`Device::mtu_limits`], no right.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> Result<(), NetlinkError> {
        let message = message::link(index, vec![LinkAttribute::Mtu(mtu)]);
        self.set(message, || format!("set the MTU of device {index} to {mtu}"))
    }

    /// Gives a device another name. One that is up can be renamed since Linux 6.2.
    ///
    /// # Errors
    /// The kernel's: no such device, the name is another's or none, no right.
    pub fn rename(&mut self, index: u32, name: &str) -> Result<(), NetlinkError> {
        let message = message::link(index, vec![LinkAttribute::IfName(name.to_owned())]);
        self.set(message, || format!("rename device {index} to {name}"))
    }

    /// Switches a device on or off.
    ///
    /// # Errors
    /// The kernel's: no such device, a driver that cannot start, no right.
    pub fn set_up(&mut self, index: u32, up: bool) -> Result<(), NetlinkError> {
        let way = if up { "up" } else { "down" };
        self.set(message::switch(index, up), || format!("set device {index} {way}"))
    }

    /// Moves a device to another network namespace and gives it a name there, where it is down, without addresses, and
    /// may have another index.
    ///
    /// # Errors
    /// The kernel's: no such device, the name is taken there, not a namespace, no right. The device is as it was then,
    /// unless it had another name before, and has it in the new place.
    pub fn move_to(&mut self, index: u32, namespace: BorrowedFd<'_>, name: &str) -> Result<(), NetlinkError> {
        let attributes = vec![message::into_namespace(namespace), LinkAttribute::IfName(name.to_owned())];
        self.set(message::link(index, attributes), || {
            format!("move device {index} to another network namespace as {name}")
        })
    }

    /// Deletes a device.
    ///
    /// # Errors
    /// The kernel's: no such device, one that cannot be deleted, no right.
    pub fn delete(&mut self, index: u32) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelLink(message::link(index, Vec::new()));
        self.order(message, 0, || format!("delete device {index}"))
    }

    /// The addresses of a device, in the kernel's order.
    ///
    /// # Errors
    /// The kernel's, or that the list never stood still.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<Address>, NetlinkError> {
        let list = self
            .list_addresses()
            .map_err(|fault| fault.of(format!("list the addresses of device {index}")))?;
        Ok(list.into_iter().filter(|address| address.index == index).collect())
    }

    /// The addresses of every device.
    ///
    /// # Errors
    /// The kernel's, or that the list never stood still.
    pub fn all_addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        self.list_addresses().map_err(|fault| fault.of("list the addresses"))
    }

    fn list_addresses(&mut self) -> Result<Vec<Address>, error::Fault> {
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        Ok(self.exchange.list(&message, Address::read)?.into_iter().flatten().collect())
    }

    /// Adds an address with its network to a device; an IPv4 one with its broadcast address.
    ///
    /// # Errors
    /// The kernel's: the address is there already, is no host's, IPv6 is switched off, no such device, no right.
    pub fn add_address(&mut self, index: u32, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewAddress(message::address(index, address, prefix));
        self.order(message, NLM_F_CREATE | NLM_F_EXCL, || {
            format!("add address {address}/{prefix} to device {index}")
        })
    }

    /// Removes an address of a device.
    ///
    /// # Errors
    /// The kernel's: no such address, no right.
    pub fn remove_address(&mut self, address: &Address) -> Result<(), NetlinkError> {
        let &Address { index, address: ip, prefix, .. } = address;
        let message = RouteNetlinkMessage::DelAddress(message::own_address(index, ip, prefix));
        self.order(message, 0, || format!("remove address {address} of device {index}"))
    }

    /// Removes the addresses of a device that are in a set.
    ///
    /// # Errors
    /// The kernel's, about the first one that stays.
    pub fn flush_addresses(&mut self, index: u32, set: AddressSet) -> Result<(), NetlinkError> {
        let mut addresses = self.addresses(index)?;
        addresses.retain(|address| set.contains(address.address));
        for address in addresses {
            match self.remove_address(&address) {
                // A secondary address goes together with its primary one (inet_del_ifa, devinet.c).
                Err(error) if error.is_not_found() => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn set(&mut self, message: LinkMessage, asked: impl Fn() -> String) -> Result<(), NetlinkError> {
        self.order(RouteNetlinkMessage::SetLink(message), 0, asked)
    }

    fn order(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        asked: impl Fn() -> String,
    ) -> Result<(), NetlinkError> {
        self.exchange.ask(message, flags, |_| Ok(())).map_err(|fault| fault.of(asked()))?;
        Ok(())
    }
}

/// Whether the kernel takes it as a name at all (IFLA_IFNAME has room for IFNAMSIZ octets).
fn may_be_a_device(name: &str) -> bool {
    (1..=LinkName::DEVICE_MAX).contains(&name.len()) && !name.contains('\0')
}
