//! Frames of one kind around any octets. The first octet says how much of them is put right: a fuzzer does not guess
//! checksums.

const SENDER: [u8; 6] = [2, 8, 0x20, 0, 0, 1];
const ALL: [u8; 6] = [0xff; 6];
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// Priority 0, VLAN 42.
const TAG: [u8; 4] = [0x81, 0, 0, 42];

const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const IPV6_HEADER: usize = 40;

/// An ARP packet for Ethernet and IPv4 begins so (RFC 826).
const ARP_HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];

struct How {
    tagged: bool,
    mended: bool,
    other: bool,
}

fn split(octets: &[u8]) -> (How, &[u8]) {
    let (how, rest) = octets.split_first().unwrap_or((&0, &[]));
    (How { tagged: how & 1 != 0, mended: how & 2 != 0, other: how & 4 != 0 }, rest)
}

fn ethernet(to: [u8; 6], tagged: bool, kind: u16, payload: &[u8]) -> Vec<u8> {
    let tag = if tagged { &TAG[..] } else { &[] };
    [&to[..], &SENDER, tag, &kind.to_be_bytes(), payload].concat()
}

pub(crate) fn arp(octets: &[u8]) -> Vec<u8> {
    let (how, rest) = split(octets);
    let head = if how.mended { &ARP_HEAD[..] } else { &[] };
    let mut payload = [head, rest].concat();
    if how.other && payload.len() >= 14 {
        payload[8..14].copy_from_slice(&SENDER);
    }
    ethernet(ALL, how.tagged, 0x0806, &payload)
}

pub(crate) fn ndp(octets: &[u8]) -> Vec<u8> {
    let (how, rest) = split(octets);
    let mut packet = rest.to_vec();
    if how.mended {
        mend_ipv6(&mut packet, ICMPV6, 2);
    }
    if how.other && packet.len() > IPV6_HEADER {
        // A neighbour solicitation (RFC 4861 section 4.3).
        packet[IPV6_HEADER] = 135;
        mend_ipv6(&mut packet, ICMPV6, 2);
    }
    ethernet(group(&packet), how.tagged, 0x86dd, &packet)
}

/// A frame to one host, and how large packets may be: the second octet. With IPv4 or IPv6 in it, as its first octet says.
pub(crate) fn any_ip(octets: &[u8]) -> (usize, Vec<u8>) {
    let (how, rest) = split(octets);
    let (limit, rest) = rest.split_first().unwrap_or((&0, &[]));
    let mut packet = rest.to_vec();
    let (kind, version) = if how.other { (0x86dd, 0x60) } else { (0x0800, 0x40) };
    if let Some(first) = packet.first_mut().filter(|_| how.mended) {
        *first = version | *first & 0x0f;
    }
    // IPv6 has a least that no octet can say.
    let limit = usize::from(*limit) + if how.other { 1200 } else { 0 };
    (limit, ethernet([2, 8, 0x20, 0, 0, 2], how.tagged, kind, &packet))
}

/// The Ethernet address of the group that an IPv6 packet goes to (RFC 2464 section 7): the proxy looks whether it fits.
fn group(packet: &[u8]) -> [u8; 6] {
    match packet.get(36..IPV6_HEADER) {
        Some(&[a, b, c, d]) => [0x33, 0x33, a, b, c, d],
        _ => ALL_NODES,
    }
}

pub(crate) fn dhcp(octets: &[u8]) -> Vec<u8> {
    let (how, rest) = split(octets);
    let mut packet = rest.to_vec();
    if how.other {
        if how.mended && packet.len() >= IPV6_HEADER + 8 {
            packet[IPV6_HEADER + 2..IPV6_HEADER + 4].copy_from_slice(&547u16.to_be_bytes());
            let length = u16::try_from(packet.len() - IPV6_HEADER).unwrap_or(u16::MAX);
            packet[IPV6_HEADER + 4..IPV6_HEADER + 6].copy_from_slice(&length.to_be_bytes());
            mend_ipv6(&mut packet, UDP, 6);
        }
        return ethernet(group(&packet), how.tagged, 0x86dd, &packet);
    }
    if how.mended && packet.len() >= 28 {
        mend_ipv4(&mut packet);
    }
    ethernet(ALL, how.tagged, 0x0800, &packet)
}

/// Puts right the header of an IPv6 packet, and the checksum that is so far into what it carries.
fn mend_ipv6(packet: &mut [u8], next: u8, sum_at: usize) {
    let place = IPV6_HEADER + sum_at;
    if packet.len() < place + 2 {
        return;
    }
    packet[0] = 0x60;
    let length = u16::try_from(packet.len() - IPV6_HEADER).unwrap_or(u16::MAX);
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    (packet[6], packet[7]) = (next, 255);
    packet[place..place + 2].fill(0);
    let sum = ipv6_sum(packet);
    packet[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}

/// A header without options, the port of DHCP servers, and both checksums, of which UDP's may be left out (RFC 768).
fn mend_ipv4(packet: &mut [u8]) {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[6..8].fill(0);
    packet[9] = UDP;
    packet[22..24].copy_from_slice(&67u16.to_be_bytes());
    packet[24..26].copy_from_slice(&(length.saturating_sub(20)).to_be_bytes());
    packet[26..28].fill(0);
    packet[10..12].fill(0);
    let sum = fold(words(&packet[..20]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum of what an IPv6 packet carries, with the pseudo-header (RFC 8200 section 8.1); 0 of one that has it right.
fn ipv6_sum(packet: &[u8]) -> u16 {
    let length = packet.len() as u64 - IPV6_HEADER as u64;
    fold(words(&packet[8..IPV6_HEADER]) + length + u64::from(packet[6]) + words(&packet[IPV6_HEADER..]))
}

/// The same of an ICMPv6 frame, tagged or not; none of any other.
pub(crate) fn icmpv6_sum(frame: &[u8]) -> Option<u16> {
    let kind_at = if frame.get(12..14)? == [0x81, 0] { 16 } else { 12 };
    let packet = frame.get(kind_at + 2..).filter(|_| frame[kind_at..kind_at + 2] == [0x86, 0xdd])?;
    (packet.get(6) == Some(&ICMPV6) && packet.len() > IPV6_HEADER).then(|| ipv6_sum(packet))
}

fn words(octets: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    octets.chunks(2).map(word).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
