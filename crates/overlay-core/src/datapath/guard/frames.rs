//! Frames made by hand, of the VNIC of the tests and of others.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::types::MacAddr;

/// The VNIC's address, another of its own, and somebody else's.
pub(super) const OWN: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
pub(super) const SECOND: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 0x16]);
pub(super) const OTHER: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 2]);

/// An address that the VNIC may use, one that it may be leased, and somebody else's.
pub(super) const OWN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const LEASED_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
pub(super) const OTHER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const OWN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(super) const LEASED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);
pub(super) const OTHER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The link-local addresses made of `OWN`, `SECOND` and `OTHER`.
pub(super) const OWN_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 8, 0x20ff, 0xfe00, 1);
pub(super) const SECOND_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 8, 0x20ff, 0xfe00, 0x16);
pub(super) const OTHER_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 8, 0x20ff, 0xfe00, 2);

pub(super) const V4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const V6: u16 = 0x86dd;
pub(super) const ICMPV6: u8 = 58;
pub(super) const UDP: u8 = 17;

/// A frame of the VNIC's to somebody else.
pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    between(OWN, OTHER, kind, payload)
}

pub(super) fn between(from: MacAddr, to: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &kind.to_be_bytes(), payload].concat()
}

pub(super) fn v4(source: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let head = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    [&head[..], &source.octets(), &OTHER_V4.octets(), payload].concat()
}

pub(super) fn v6(source: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let head = [0x60, 0, 0, 0, high, low, next, 255];
    [&head[..], &source.octets(), &OTHER_V6.octets(), payload].concat()
}

pub(super) fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let [from, to] = ports.map(u16::to_be_bytes);
    let len = (8 + payload.len() as u16).to_be_bytes();
    [&from[..], &to, &len, &[0, 0], payload].concat()
}

/// ARP between Ethernet and IPv4: whether it answers, who sends it, and whose address it asks for or is sent to.
pub(super) fn arp(reply: bool, sender: (MacAddr, Ipv4Addr), about: Ipv4Addr) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, if reply { 2 } else { 1 }];
    let packet = [&head[..], &sender.0.0, &sender.1.octets(), &[0; 6], &about.octets()].concat();
    ethernet(ARP, &packet)
}

/// A neighbour solicitation (135) or advertisement (136), a router's (133, 134), a redirect (137).
pub(super) fn discovery(kind: u8, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let fixed: &[u8] = match kind {
        133 => &[0; 4],
        134 => &[0; 12],
        137 => &[&[0; 4], &target.octets()[..], &OTHER_V6.octets()].concat(),
        _ => &[&[0; 4], &target.octets()[..]].concat(),
    };
    [&[kind, 0, 0, 0], fixed, options].concat()
}

/// The option with a link-layer address: the source's (1) or the target's (2).
pub(super) fn link_layer(kind: u8, mac: MacAddr) -> Vec<u8> {
    [&[kind, 1], &mac.0[..]].concat()
}

/// A BOOTP message with DHCP's cookie: client's (1) or server's (2), whose exchange, the client's and the given address.
pub(super) fn dhcp4(
    operation: u8,
    number: u32,
    client: MacAddr,
    addresses: [Ipv4Addr; 2],
    options: &[u8],
) -> Vec<u8> {
    let mut message = vec![operation, 1, 6, 0];
    message.extend(number.to_be_bytes());
    message.extend([0; 4]);
    message.extend(addresses.iter().flat_map(Ipv4Addr::octets));
    message.extend([0; 8]);
    message.extend(client.0);
    message.resize(236, 0);
    [&message[..], &[99, 130, 83, 99], options, &[255]].concat()
}

pub(super) fn dhcp6(kind: u8, number: u32, options: &[u8]) -> Vec<u8> {
    [&[kind], &number.to_be_bytes()[1..], options].concat()
}

/// An option of DHCPv6.
pub(super) fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// The option with a client's DUID, which is made of a MAC address.
pub(super) fn duid(mac: MacAddr) -> Vec<u8> {
    option(1, &[&[0, 3, 0, 1], &mac.0[..]].concat())
}

/// A client's DHCP message in a frame.
pub(super) fn from_client(message: &[u8]) -> Vec<u8> {
    ethernet(V4, &v4(Ipv4Addr::UNSPECIFIED, UDP, &udp([68, 67], message)))
}

pub(super) fn from_client6(message: &[u8]) -> Vec<u8> {
    ethernet(V6, &v6(OWN_LOCAL, UDP, &udp([546, 547], message)))
}

/// A server's DHCP message in a frame.
pub(super) fn from_server(message: &[u8]) -> Vec<u8> {
    between(OTHER, OWN, V4, &v4(OTHER_V4, UDP, &udp([67, 68], message)))
}

pub(super) fn from_server6(message: &[u8]) -> Vec<u8> {
    between(OTHER, OWN, V6, &v6(OTHER_LOCAL, UDP, &udp([547, 546], message)))
}
