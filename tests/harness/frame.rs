//! Ethernet frames and VXLAN datagrams by hand, for what no honest network stack would send.

use std::net::Ipv4Addr;

use overlay_core::types::MacAddr;

/// The address of a sender that is nobody's VNIC.
pub const STRANGER: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 0x02]);

/// A VXLAN datagram (RFC 7348 section 5) with these flags.
pub fn vxlan_with_flags(flags: u8, vnetid: u32, frame: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = vnetid.to_be_bytes();
    [&[flags, 0, 0, 0, high, middle, low, 0], frame].concat()
}

/// A VXLAN datagram as it should be.
pub fn vxlan(vnetid: u32, frame: &[u8]) -> Vec<u8> {
    vxlan_with_flags(0x08, vnetid, frame)
}

/// A frame with an EtherType.
pub fn ethernet(to: MacAddr, from: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0[..], &kind.to_be_bytes(), payload].concat()
}

/// The same frame with an 802.1Q tag after its addresses.
pub fn tagged(vid: u16, frame: &[u8]) -> Vec<u8> {
    let [high, low] = vid.to_be_bytes();
    [&frame[..12], &[0x81, 0x00, high, low], &frame[12..]].concat()
}

/// An ARP packet (RFC 826): operation 1 asks, 2 answers.
pub fn arp(operation: u8, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    [&head[..], &sender.0.0, &sender.1.octets(), &target.0.0, &target.1.octets()].concat()
}

/// An IPv4 packet with a UDP datagram, without a UDP checksum.
pub fn udp4(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length =
        |header: usize| u16::try_from(header + payload.len()).expect("a datagram that fits").to_be_bytes();
    let udp = [from.1.to_be_bytes(), to.1.to_be_bytes(), length(8), [0, 0]].concat();
    let [high, low] = length(28);
    let mut ip =
        [&[0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0], &from.0.octets()[..], &to.0.octets()].concat();
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    [&ip[..], &udp, payload].concat()
}

/// An ICMP echo request in an IPv4 packet (RFC 792).
pub fn echo_request(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0, 23, 0, 1], payload].concat();
    let sum = checksum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    let [high, low] = u16::try_from(20 + icmp.len()).expect("a packet that fits").to_be_bytes();
    let mut ip = [&[0x45, 0, high, low, 0, 0, 0, 0, 64, 1, 0, 0], &from.octets()[..], &to.octets()].concat();
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    [ip, icmp].concat()
}

/// The internet checksum (RFC 1071), the slow way.
pub fn checksum(octets: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = octets.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}
