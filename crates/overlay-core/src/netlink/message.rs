use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NlasIterator, parse_string, parse_u32};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeader, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkHeader, LinkMessage};

use super::error::Fault;
use crate::types::MacAddr;

/// The kind within IFLA_LINKINFO (linux/if_link.h).
const IFLA_INFO_KIND: u16 = 1;
/// Octets of a `struct ifaddrmsg` (linux/if_addr.h).
const ADDRESS_HEADER_LEN: usize = 8;
/// Octets of a `struct ifinfomsg` (linux/rtnetlink.h).
const LINK_HEADER_LEN: usize = 16;

/// A network device, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number within its network namespace; never 0.
    pub index: u32,
    /// Its name, at most 15 octets.
    pub name: String,
    /// Its address, where it is an Ethernet address.
    pub mac: Option<MacAddr>,
    /// Octets of payload in a frame.
    pub mtu: u32,
    /// The MTUs that its driver takes.
    pub mtu_limits: RangeInclusive<u32>,
    /// Whether it has been switched on (IFF_UP).
    pub up: bool,
    /// Whether something is at its other end (IFF_LOWER_UP).
    pub carrier: bool,
    /// All its `IFF_` flags (linux/if.h).
    pub flags: u32,
    /// The sort of virtual device: `tun` for TAP and TUN, `veth`, `vxlan`; none for hardware.
    pub kind: Option<String>,
    /// The words that somebody has put on it for people (IFLA_IFALIAS).
    pub alias: Option<String>,
}

/// An address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The number of its device.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Bits of its network.
    pub prefix: u8,
    /// The broadcast address, where an IPv4 address has one.
    pub broadcast: Option<Ipv4Addr>,
}

/// Some of the addresses of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSet {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// IPv6 without the link-local ones (RFC 4291, section 2.5.6), which the kernel makes when a device goes up.
    V6Routed,
}

impl AddressSet {
    /// Whether an address is one of them.
    pub const fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4, IpAddr::V4(_)) | (Self::V6, IpAddr::V6(_)) => true,
            (Self::V6Routed, IpAddr::V6(address)) => !address.is_unicast_link_local(),
            _ => false,
        }
    }
}

impl Device {
    /// From the body of an RTM_NEWLINK message. Only what is wanted is read, so that a device with
    /// attributes that nobody here knows is no obstacle.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let header = LinkHeader::parse(body)?;
        let has = |flag| header.flags.contains(flag);
        let mut device = Self {
            index: header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            mtu_limits: 0..=u32::MAX,
            up: has(LinkFlags::Up),
            carrier: has(LinkFlags::LowerUp),
            flags: header.flags.bits(),
            kind: None,
            alias: None,
        };
        for attribute in NlasIterator::new(&body[LINK_HEADER_LEN..]) {
            let attribute = attribute?;
            device.take(attribute.kind(), attribute.value())?;
        }
        Ok(device)
    }

    fn take(&mut self, kind: u16, value: &[u8]) -> Result<(), Fault> {
        let limits = (*self.mtu_limits.start(), *self.mtu_limits.end());
        match kind {
            libc::IFLA_IFNAME => self.name = parse_string(value)?,
            libc::IFLA_ADDRESS => self.mac = value.try_into().ok().map(MacAddr),
            libc::IFLA_MTU => self.mtu = parse_u32(value)?,
            libc::IFLA_MIN_MTU => self.mtu_limits = parse_u32(value)?..=limits.1,
            // Zero is a driver without a limit (netif_set_mtu_ext, net/core/dev.c).
            libc::IFLA_MAX_MTU => match parse_u32(value)? {
                0 => {}
                max => self.mtu_limits = limits.0..=max,
            },
            libc::IFLA_LINKINFO => self.kind = info_kind(value)?,
            libc::IFLA_IFALIAS => self.alias = Some(parse_string(value)?),
            _ => {}
        }
        Ok(())
    }
}

impl Address {
    /// From the body of an RTM_NEWADDR message.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, Fault> {
        let header = AddressHeader::parse(body)?;
        let (mut local, mut other, mut broadcast) = (None, None, None);
        for attribute in NlasIterator::new(&body[ADDRESS_HEADER_LEN..]) {
            let attribute = attribute?;
            match attribute.kind() {
                libc::IFA_LOCAL => local = ip(attribute.value()),
                libc::IFA_ADDRESS => other = ip(attribute.value()),
                libc::IFA_BROADCAST => broadcast = ip(attribute.value()),
                _ => {}
            }
        }
        let broadcast = broadcast.and_then(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        // The device's own one is IFA_LOCAL; the other is the peer's, on a point-to-point device (linux/if_addr.h).
        let of = |address| Self { index: header.index, address, prefix: header.prefix_len, broadcast };
        Ok(local.or(other).map(of))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

fn info_kind(value: &[u8]) -> Result<Option<String>, Fault> {
    for attribute in NlasIterator::new(value) {
        let attribute = attribute?;
        if attribute.kind() == IFLA_INFO_KIND {
            return Ok(Some(parse_string(attribute.value())?));
        }
    }
    Ok(None)
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

/// A message about one device.
pub(super) fn link(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

/// A message that switches a device on or off.
pub(super) fn switch(index: u32, up: bool) -> LinkMessage {
    let mut message = link(index, Vec::new());
    message.header.change_mask = LinkFlags::Up;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message
}

/// The attribute that names a network namespace.
pub(super) fn into_namespace(namespace: BorrowedFd<'_>) -> LinkAttribute {
    LinkAttribute::NetNsFd(namespace.as_raw_fd())
}

/// A message about an address, as a new one is described.
pub(super) fn address(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = own_address(index, address, prefix);
    message.attributes.push(AddressAttribute::Address(address));
    message.attributes.extend(broadcast(address, prefix).map(AddressAttribute::Broadcast));
    message
}

/// A message about an address, as far as the kernel needs it to find the one that is there.
pub(super) fn own_address(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address)];
    message
}

/// The last address of an IPv4 network; none where two or fewer addresses share it (RFC 3021).
fn broadcast(address: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if prefix < 31 => Some(address | Ipv4Addr::from(u32::MAX >> prefix)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::Emitable;
    use netlink_packet_route::link::{InfoKind, LinkInfo};
    use proptest::prelude::*;

    fn emitted(message: &impl Emitable) -> Vec<u8> {
        let mut octets = vec![0xa5; message.buffer_len()];
        message.emit(&mut octets);
        octets
    }

    fn tap() -> Vec<u8> {
        let attributes = vec![
            LinkAttribute::IfName("foo0".into()),
            LinkAttribute::Address(vec![2, 8, 0x20, 1, 2, 3]),
            LinkAttribute::Mtu(1400),
            LinkAttribute::MinMtu(68),
            LinkAttribute::MaxMtu(65521),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Tun)]),
        ];
        let mut message = link(3, attributes);
        message.header.flags = LinkFlags::Up | LinkFlags::Broadcast;
        emitted(&message)
    }

    #[test]
    fn a_device_is_read_from_its_message() {
        let device = Device::read(&tap()).unwrap();
        assert_eq!((device.index, device.name.as_str(), device.mtu), (3, "foo0", 1400));
        assert_eq!(device.mac, Some(MacAddr([2, 8, 0x20, 1, 2, 3])));
        assert_eq!((device.mtu_limits, device.kind.as_deref()), (68..=65521, Some("tun")));
        assert_eq!((device.up, device.carrier, device.flags), (true, false, 3));
    }

    #[test]
    fn a_message_truncated_at_any_length_is_read_or_refused() {
        let whole = tap();
        for len in 0..whole.len() {
            let _ = Device::read(&whole[..len]);
        }
        let whole = emitted(&address(3, [192, 168, 23, 1].into(), 24));
        for len in 0..whole.len() {
            let _ = Address::read(&whole[..len]);
        }
    }

    #[test]
    fn a_long_hardware_address_is_not_a_mac() {
        let message = emitted(&link(1, vec![LinkAttribute::Address(vec![0; 20])]));
        assert_eq!(Device::read(&message).unwrap().mac, None);
    }

    #[test]
    fn switching_off_changes_that_flag_alone() {
        let message = switch(3, false);
        assert_eq!((message.header.flags, message.header.change_mask), (LinkFlags::empty(), LinkFlags::Up));
        assert_eq!(switch(3, true).header.flags, LinkFlags::Up);
    }

    #[test]
    fn an_address_comes_back_with_its_network_and_broadcast() {
        let read = |text: &str, prefix| {
            let address = address(3, text.parse().unwrap(), prefix);
            Address::read(&emitted(&address)).unwrap().unwrap()
        };
        let v4 = read("192.168.23.1", 20);
        assert_eq!((v4.index, v4.to_string().as_str()), (3, "192.168.23.1/20"));
        assert_eq!(v4.broadcast, Some([192, 168, 31, 255].into()));
        assert_eq!(read("10.0.0.1", 0).broadcast, Some(Ipv4Addr::BROADCAST));
        assert_eq!(read("10.0.0.1", 31).broadcast, None);
        let v6 = read("2001:db8::1", 64);
        assert_eq!((v6.to_string().as_str(), v6.broadcast), ("2001:db8::1/64", None));
    }

    #[test]
    fn link_local_addresses_are_not_routed() {
        let [local, routed] = ["fe80::1", "2001:db8::1"].map(|text| text.parse().unwrap());
        assert!(AddressSet::V6.contains(local) && AddressSet::V6.contains(routed));
        assert!(!AddressSet::V6Routed.contains(local) && AddressSet::V6Routed.contains(routed));
        assert!(!AddressSet::V4.contains(local) && AddressSet::V4.contains([10, 0, 0, 1].into()));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(body: Vec<u8>) {
            let _ = (Device::read(&body), Address::read(&body));
        }
    }
}
