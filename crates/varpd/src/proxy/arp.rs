//! ARP for IPv4 over Ethernet (RFC 826), with probes and announcements (RFC 5227).

use std::net::Ipv4Addr;

use overlay_core::types::{MacAddr, VlanId};
use overlay_core::wire::Ethernet;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::head::{self, Head};
use super::{Inquiry, Wish};

const ETHERTYPE: u16 = 0x0806;
/// Ethernet's number among kinds of hardware, and IPv4's among protocols (RFC 826).
const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// A packet (RFC 826, "Packet format") with the address lengths of Ethernet and IPv4.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Packet {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: MacAddr,
    sender_ip: [u8; 4],
    target_mac: MacAddr,
    target_ip: [u8; 4],
}
const _: () = assert!(size_of::<Packet>() == 28);

/// A request for the owner of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: Ipv4Addr,
    /// The asker's own address; 0.0.0.0 of a probe (RFC 5227 section 2.1.1).
    sender: Ipv4Addr,
}

/// What an ARP frame asks for, when it is a request that may be answered.
pub(super) fn read(frame: &[u8], ethernet: &Ethernet) -> Option<Wish> {
    if ethernet.ethertype != ETHERTYPE {
        return None;
    }
    let (packet, _padding) = Packet::ref_from_prefix(frame.get(ethernet.header_len..)?).ok()?;
    packet.request(ethernet.source).map(|request| Wish::Owner(Inquiry::Arp(request)))
}

/// A gratuitous request: an ARP Announcement (RFC 5227 section 2.3) with illumos's target hardware address, which is
/// ignored on receipt.
pub(super) fn announcement(ip: Ipv4Addr, mac: MacAddr, vid: Option<VlanId>) -> Vec<u8> {
    let packet = Packet::new(REQUEST, (mac, ip), (MacAddr::BROADCAST, ip));
    head::frame([MacAddr::BROADCAST, mac], vid, ETHERTYPE, packet.as_bytes())
}

impl Request {
    /// The reply from the owner (RFC 826, "Packet reception"): the fields swapped, to the asker alone. The request's
    /// padding is no part of it.
    pub(super) fn answer(&self, head: &Head, owner: MacAddr) -> Vec<u8> {
        let asker = head.ethernet.source;
        let packet = Packet::new(REPLY, (owner, self.target), (asker, self.sender));
        head.answer(asker, owner, packet.as_bytes())
    }
}

impl Packet {
    fn new(operation: u16, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Self {
        Self {
            hardware: U16::new(ETHERNET),
            protocol: U16::new(IPV4),
            hardware_len: size_of::<MacAddr>() as u8,
            protocol_len: size_of::<Ipv4Addr>() as u8,
            operation: U16::new(operation),
            sender_mac: sender.0,
            sender_ip: sender.1.octets(),
            target_mac: target.0,
            target_ip: target.1.octets(),
        }
    }

    /// A request that may be answered, of the sender of its frame.
    fn request(&self, source: MacAddr) -> Option<Request> {
        let (sender, target) = (Ipv4Addr::from(self.sender_ip), Ipv4Addr::from(self.target_ip));
        let ethernet = self.hardware.get() == ETHERNET && usize::from(self.hardware_len) == 6;
        let ipv4 = self.protocol.get() == IPV4 && usize::from(self.protocol_len) == 4;
        if !ethernet || !ipv4 || self.operation.get() != REQUEST {
            return None;
        }
        // Somebody speaks for another: whom an answer would serve cannot be said.
        if self.sender_mac != source {
            return None;
        }
        // A gratuitous request tells (RFC 5227 section 2.3). It asks nothing.
        if sender == target {
            return None;
        }
        let probe = sender.is_unspecified();
        ((probe || is_hosts(sender)) && is_hosts(target)).then_some(Request { target, sender })
    }
}

/// Whether an address can be a host's on a link (RFC 1122 section 3.2.1.3).
fn is_hosts(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast())
}
