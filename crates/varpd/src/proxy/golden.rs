//! Frames written by hand, and the slow reference that their checksums are held against.

use std::net::SocketAddr;

use overlay_core::lookup::{Octets, Verdict};
use overlay_core::types::MacAddr;

use super::{Conversation, Step, rehearse};
use crate::plugins::interface::{Finding, Query};

/// Who asks.
pub(super) const ASKER: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
/// Whose the address in question is, and who serves DHCP.
pub(super) const OWNER: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 2]);

/// Places in untagged frames: of the IP header, and of what follows it where IPv6 has no extension headers.
pub(super) const IP: usize = 14;
pub(super) const ICMP6: usize = IP + 40;
pub(super) const TARGET: usize = ICMP6 + 8;
pub(super) const ND_OPTIONS: usize = ICMP6 + 24;
pub(super) const UDP4: usize = IP + 20;
pub(super) const DHCP4: usize = UDP4 + 8;
pub(super) const DHCP4_OPTIONS: usize = DHCP4 + 240;
pub(super) const UDP6: usize = IP + 40;
pub(super) const DHCP6: usize = UDP6 + 8;

const FROM_ASKER: [u8; 6] = ASKER.0;
const FROM_OWNER: [u8; 6] = OWNER.0;

/// RFC 826: who has 192.0.2.2, tell 192.0.2.1; padded to Ethernet's 60 octets.
pub(super) fn arp_request() -> Vec<u8> {
    [
        &[0xff; 6][..],
        &FROM_ASKER,
        &[0x08, 0x06],
        // Ethernet, IPv4, lengths 6 and 4, request.
        &[0, 1, 0x08, 0x00, 6, 4, 0, 1],
        &FROM_ASKER,
        &[192, 0, 2, 1],
        &[0; 6],
        &[192, 0, 2, 2],
        &[0; 18],
    ]
    .concat()
}

/// The owner's reply to it.
pub(super) fn arp_reply() -> Vec<u8> {
    [
        &FROM_ASKER[..],
        &FROM_OWNER,
        &[0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 2],
        &FROM_OWNER,
        &[192, 0, 2, 2],
        &FROM_ASKER,
        &[192, 0, 2, 1],
    ]
    .concat()
}

/// RFC 5227 section 2.1.1: may I have 192.0.2.2?
pub(super) fn arp_probe() -> Vec<u8> {
    altered(arp_request(), 28, &[0; 4])
}

/// RFC 4861 section 4.3: 2001:db8::1 asks for 2001:db8::2.
pub(super) fn solicitation() -> Vec<u8> {
    [
        &[0x33, 0x33, 0xff, 0, 0, 2][..],
        &FROM_ASKER,
        &[0x86, 0xdd],
        // Version 6, payload 32, ICMPv6, hop limit 255.
        &[0x60, 0, 0, 0, 0, 32, 58, 255],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2],
        &[135, 0, 0xfc, 0x1e, 0, 0, 0, 0],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        // Source link-layer address.
        &[1, 1],
        &FROM_ASKER,
    ]
    .concat()
}

/// The owner's advertisement to the asker: router, solicited, override.
pub(super) fn advertisement() -> Vec<u8> {
    [
        &FROM_ASKER[..],
        &FROM_OWNER,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[136, 0, 0xea, 0x68, 0xe0, 0, 0, 0],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        // Target link-layer address.
        &[2, 1],
        &FROM_OWNER,
    ]
    .concat()
}

/// RFC 4862 section 5.4.2: may I have 2001:db8::2?
pub(super) fn detection() -> Vec<u8> {
    [
        &[0x33, 0x33, 0xff, 0, 0, 2][..],
        &FROM_ASKER,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255],
        &[0; 16],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2],
        &[135, 0, 0x4c, 0xeb, 0, 0, 0, 0],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ]
    .concat()
}

/// The owner's advertisement to all nodes, which is also what announces its address: router, override.
pub(super) fn advertisement_to_all() -> Vec<u8> {
    [
        &[0x33, 0x33, 0, 0, 0, 1][..],
        &FROM_OWNER,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[136, 0, 0x59, 0x1f, 0xa0, 0, 0, 0],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        &[2, 1],
        &FROM_OWNER,
    ]
    .concat()
}

/// RFC 4861 section 4.1: fe80::1 looks for routers.
pub(super) fn router_solicitation() -> Vec<u8> {
    [
        &[0x33, 0x33, 0, 0, 0, 2][..],
        &FROM_ASKER,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 58, 255],
        &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        &[133, 0, 0x5a, 0x24, 0, 0, 0, 0, 1, 1],
        &FROM_ASKER,
    ]
    .concat()
}

/// RFC 2131 section 2: a client's DHCPDISCOVER.
pub(super) fn discover() -> Vec<u8> {
    [
        &[0xff; 6][..],
        &FROM_ASKER,
        &[0x08, 0x00],
        &[0x45, 0x10, 0x01, 0x15, 0, 0, 0, 0, 64, 17, 0x79, 0xc9, 0, 0, 0, 0, 255, 255, 255, 255],
        &[0, 68, 0, 67, 0x01, 0x01, 0xc9, 0xd7],
        // Request, Ethernet, 6 octets, no hops; transaction; seconds; the broadcast flag.
        &[1, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26, 0, 0, 0x80, 0],
        &[0; 16],
        &FROM_ASKER,
        &[0; 10 + 64 + 128],
        &[99, 130, 83, 99],
        // Message type, padding, host name, end.
        &[53, 1, 1, 0, 12, 2, 0x66, 0x6f, 255],
    ]
    .concat()
}

/// A server's DHCPOFFER to another client, the owner, broadcast as that wishes.
pub(super) fn offer() -> Vec<u8> {
    [
        &[0xff; 6][..],
        &FROM_ASKER,
        &[0x08, 0x00],
        &[0x45, 0x10, 0x01, 0x16, 0, 0, 0, 0, 64, 17, 0xb7, 0xc6, 192, 0, 2, 1, 255, 255, 255, 255],
        &[0, 67, 0, 68, 0x01, 0x02, 0xae, 0x43],
        &[2, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26, 0, 0, 0x80, 0],
        &[0, 0, 0, 0, 192, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0],
        &FROM_OWNER,
        &[0; 10 + 64 + 128],
        &[99, 130, 83, 99],
        // Message type, server identifier, end.
        &[53, 1, 2, 54, 4, 192, 0, 2, 1, 255],
    ]
    .concat()
}

/// RFC 8415 section 8: a client's Solicit.
pub(super) fn solicit() -> Vec<u8> {
    [
        &[0x33, 0x33, 0, 1, 0, 2][..],
        &FROM_ASKER,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 17, 1],
        &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2],
        &[0x02, 0x22, 0x02, 0x23, 0, 32, 0xd2, 0x3b],
        &[1, 0x10, 0x08, 0x74],
        // Client identifier: a DUID of the link-layer address.
        &[0, 1, 0, 10, 0, 3, 0, 1],
        &FROM_ASKER,
        // Elapsed time.
        &[0, 8, 0, 2, 0, 0],
    ]
    .concat()
}

/// Every frame above that a VNIC may send to many, with its name.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ARP request", arp_request()),
        ("ARP probe", arp_probe()),
        ("solicitation", solicitation()),
        ("duplicate address detection", detection()),
        ("advertisement to all", advertisement_to_all()),
        ("router solicitation", router_solicitation()),
        ("DHCPDISCOVER", discover()),
        ("DHCPOFFER", offer()),
        ("Solicit", solicit()),
    ]
}

/// The frame with other octets at a place, its checksums as they were.
pub(super) fn altered(mut frame: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    frame[at..at + octets.len()].copy_from_slice(octets);
    frame
}

/// The same with the checksums made right again.
pub(super) fn rewritten(frame: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    refreshed(altered(frame, at, octets))
}

/// The untagged frame with more octets at the end of its datagram or message, its lengths and checksums right.
pub(super) fn extended(mut frame: Vec<u8>, octets: &[u8]) -> Vec<u8> {
    frame.extend(octets);
    let payload = frame.len() - IP;
    if frame[12..14] == [0x08, 0x00] {
        frame[IP + 2..IP + 4].copy_from_slice(&(payload as u16).to_be_bytes());
        frame[UDP4 + 4..UDP4 + 6].copy_from_slice(&(payload as u16 - 20).to_be_bytes());
    } else {
        frame[IP + 4..IP + 6].copy_from_slice(&(payload as u16 - 40).to_be_bytes());
        if frame[IP + 6] == 17 {
            frame[UDP6 + 4..UDP6 + 6].copy_from_slice(&(payload as u16 - 40).to_be_bytes());
        }
    }
    refreshed(frame)
}

/// The untagged frame with its checksums right.
pub(super) fn refreshed(mut frame: Vec<u8>) -> Vec<u8> {
    let place = if frame[12..14] == [0x08, 0x00] {
        frame[IP + 10..IP + 12].fill(0);
        let header = !slow(&frame[IP..UDP4]);
        frame[IP + 10..IP + 12].copy_from_slice(&header.to_be_bytes());
        UDP4 + 6
    } else {
        ICMP6 + if frame[IP + 6] == 17 { 6 } else { 2 }
    };
    frame[place..place + 2].fill(0);
    let checksum = !transport_sum(&frame);
    frame[place..place + 2].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// The sum of an untagged frame's transport with its pseudo-header (RFC 768, RFC 8200 section 8.1), all ones where
/// the checksum is right.
pub(super) fn transport_sum(frame: &[u8]) -> u16 {
    let (addresses, protocol, payload) = if frame[12..14] == [0x08, 0x00] {
        (&frame[IP + 12..UDP4], frame[IP + 9], &frame[UDP4..])
    } else {
        (&frame[IP + 8..ICMP6], frame[IP + 6], &frame[ICMP6..])
    };
    slow(&[addresses, &(payload.len() as u32).to_be_bytes(), &[0, 0, 0, protocol], payload].concat())
}

/// RFC 1071 section 1, word by word.
pub(super) fn slow(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|word| u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]));
    words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// The frame with tags behind its addresses.
pub(super) fn tagged(mut frame: Vec<u8>, tags: &[u8]) -> Vec<u8> {
    frame.splice(12..12, tags.iter().copied());
    frame
}

/// Where the group is.
pub(super) fn ends() -> Vec<SocketAddr> {
    vec!["10.0.0.2:4789".parse().unwrap(), "[2001:db8::ff]:4789".parse().unwrap()]
}

/// What becomes of a frame where the plugin knows everything: addresses and servers are the owner's.
pub(super) fn verdict(frame: Vec<u8>) -> Verdict {
    verdict_of(frame, OWNER)
}

/// The same where they are `mac`'s.
pub(super) fn verdict_of(frame: Vec<u8>, mac: MacAddr) -> Verdict {
    let (_, first) = Conversation::begin(Octets(frame.clone()));
    let group = [Finding::Ends(ends())];
    match first {
        Step::Ask(Query::Target { .. }) => rehearse(Octets(frame), group),
        _ => rehearse(Octets(frame), [Finding::Mac(mac)].into_iter().chain(group)),
    }
}

/// To the group.
pub(super) fn flooded() -> Verdict {
    Verdict::Found(ends())
}
