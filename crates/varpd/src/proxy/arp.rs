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

#[cfg(test)]
mod tests {
    use super::super::golden::{
        ASKER, OWNER, altered, arp_probe, arp_reply, arp_request, flooded, tagged, verdict, verdict_of,
    };
    use super::*;
    use overlay_core::lookup::{Octets, Verdict};

    /// Places in an untagged frame.
    const PACKET: usize = 14;
    const OPERATION: usize = PACKET + 6;
    const SENDER_MAC: usize = PACKET + 8;
    const SENDER_IP: usize = PACKET + 14;
    const TARGET_IP: usize = PACKET + 24;

    #[test]
    fn a_request_is_answered_as_its_owner_would() {
        assert_eq!(verdict(arp_request()), Verdict::Reply(Octets(arp_reply())));
    }

    #[test]
    fn padding_of_any_length_is_no_part_of_a_request() {
        for padding in [0, 1, 18, 8_900] {
            let mut frame = arp_request();
            frame.resize(PACKET + 28 + padding, 0xee);
            assert_eq!(verdict(frame), Verdict::Reply(Octets(arp_reply())), "{padding}");
        }
    }

    #[test]
    fn tags_and_their_priorities_are_the_replys_too() {
        let single: &[u8] = &[0x81, 0, 0xa0, 7];
        let double: &[u8] = &[0x88, 0xa8, 0x20, 9, 0x81, 0, 0x00, 7];
        let priority: &[u8] = &[0x81, 0, 0xe0, 0];
        for tags in [single, double, priority] {
            let reply = Verdict::Reply(Octets(tagged(arp_reply(), tags)));
            assert_eq!(verdict(tagged(arp_request(), tags)), reply, "{tags:x?}");
        }
    }

    #[test]
    fn a_probe_for_anothers_address_is_answered() {
        let reply = altered(arp_reply(), TARGET_IP, &[0; 4]);
        assert_eq!(verdict(arp_probe()), Verdict::Reply(Octets(reply)));
    }

    #[test]
    fn a_probe_for_the_probers_own_address_goes_to_the_group() {
        assert_eq!(verdict_of(arp_probe(), ASKER), flooded());
        assert_eq!(verdict_of(arp_request(), ASKER), flooded());
    }

    #[test]
    fn an_announcement_is_never_answered_even_of_anothers_address() {
        let gratuitous = altered(arp_request(), SENDER_IP, &[192, 0, 2, 2]);
        assert_eq!(verdict(gratuitous), flooded());
        let Octets(announced) = super::super::announcement([192, 0, 2, 2].into(), ASKER, None);
        assert_eq!(verdict_of(announced, OWNER), flooded());
    }

    #[test]
    fn what_is_no_request_goes_to_the_group() {
        // Reply (RFC 826), reverse request and reply (RFC 903), and what no RFC knows.
        for operation in [0, 2, 3, 4, 0x0101] {
            let frame = altered(arp_request(), OPERATION, &u16::to_be_bytes(operation));
            assert_eq!(verdict(frame), flooded(), "{operation}");
        }
    }

    #[test]
    fn a_sender_that_is_not_the_frames_gets_no_answer() {
        assert_eq!(verdict(altered(arp_request(), SENDER_MAC, &OWNER.0)), flooded());
        assert_eq!(verdict(altered(arp_request(), 6, &[2, 8, 0x20, 0, 0, 9])), flooded());
    }

    #[test]
    fn each_field_of_the_head_is_checked() {
        for place in PACKET..OPERATION {
            let octet = arp_request()[place] ^ 1;
            assert_eq!(verdict(altered(arp_request(), place, &[octet])), flooded(), "{place}");
        }
    }

    #[test]
    fn addresses_that_are_no_hosts_are_not_asked_for() {
        for ip in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
            assert_eq!(verdict(altered(arp_request(), TARGET_IP, &ip)), flooded(), "{ip:?}");
            let probes = ip == [0; 4];
            assert_eq!(verdict(altered(arp_request(), SENDER_IP, &ip)) == flooded(), !probes, "{ip:?}");
        }
    }

    #[test]
    fn an_announcement_is_illumoss() {
        let golden = [
            &[0xff; 6][..],
            &OWNER.0,
            &[0x81, 0, 0, 7, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1],
            &OWNER.0,
            &[192, 0, 2, 2],
            &[0xff; 6],
            &[192, 0, 2, 2],
        ]
        .concat();
        assert_eq!(announcement([192, 0, 2, 2].into(), OWNER, VlanId::new(7).ok()), golden);
        let untagged = announcement([192, 0, 2, 2].into(), OWNER, None);
        assert_eq!(tagged(untagged, &[0x81, 0, 0, 7]), golden);
    }
}
