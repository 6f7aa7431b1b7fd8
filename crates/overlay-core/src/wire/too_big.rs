//! What a router answers to a packet that is too big for the way on.

use super::inet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_HEADER_MIN, IPV6_HEADER};
use super::{Ethernet, Sum};

/// The least that every way takes of IPv4 (RFC 791 section 3.2).
pub const IPV4_MTU_MIN: usize = 68;
/// The least that every way takes of IPv6 (RFC 8200 section 5).
pub const IPV6_MTU_MIN: usize = 1280;

/// Octets of an ICMP error's whole packet (RFC 1812 section 4.3.2.3).
const ANSWER_V4_MAX: usize = 576;
/// Octets of ICMP's and ICMPv6's header.
const ICMP_HEADER: usize = 8;
/// Hops that an answer may go.
const TTL: u8 = 64;
/// Precedence 6, internetwork control (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Unreachable, quench, redirect, time exceeded, parameter problem (RFC 1122 section 3.2.2).
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// The first ICMPv6 message that is no error (RFC 4443 section 2.1), and redirect (RFC 4861 section 4.5), which counts as one.
const ICMPV6_INFORMATION: u8 = 128;
const ICMPV6_REDIRECT: u8 = 137;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;
/// Extension headers that are looked through for what is behind them.
const EXTENSIONS_MAX: usize = 8;

/// The frame that tells the sender of a frame that no packet above `mtu` octets gets on from here: from whom it was for, as
/// the kernel's tunnels do it (`iptunnel_pmtud_build_icmp` in net/ipv4/ip_tunnel_core.c). None where nobody may be told.
pub fn too_big(frame: &[u8], ethernet: &Ethernet, mtu: usize) -> Option<Vec<u8>> {
    let packet = frame.get(ethernet.header_len..)?;
    if ethernet.destination.is_multicast() || ethernet.source.is_multicast() {
        return None;
    }
    let answer = match ethernet.ethertype {
        ETHERTYPE_IPV4 => fragmentation_needed(packet, mtu)?,
        ETHERTYPE_IPV6 => packet_too_big(packet, mtu)?,
        _ => return None,
    };
    // Tags stay as they are.
    let tags_and_type = &frame[12..ethernet.header_len];
    Some([&ethernet.source.0, &ethernet.destination.0, tags_and_type, &answer].concat())
}

/// Destination unreachable, fragmentation needed and DF set (RFC 792, RFC 1191 section 4).
fn fragmentation_needed(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let header: &[u8; IPV4_HEADER_MIN] = packet.first_chunk()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let (source, destination) = (&header[12..16], &header[16..20]);
    let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    let whole = header[0] >> 4 == 4 && header_len >= IPV4_HEADER_MIN && !later;
    if !whole || !is_host(source) || !is_host(destination) || is_icmp_error(packet, header_len) {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([header[2], header[3]])).max(header_len);
    let quoted = packet.get(..len.min(ANSWER_V4_MAX - IPV4_HEADER_MIN - ICMP_HEADER)).unwrap_or(packet);
    let total = (IPV4_HEADER_MIN + ICMP_HEADER + quoted.len()) as u16;
    let [high, low] = total.to_be_bytes();
    let mut answer = vec![0x45, TOS, high, low, 0, 0, 0x40, 0, TTL, ICMP, 0, 0];
    answer.extend_from_slice(destination);
    answer.extend_from_slice(source);
    let checksum = Sum::default().plus(&answer).checksum();
    answer[10..12].copy_from_slice(&checksum.to_be_bytes());
    let [high, low] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
    answer.extend([3, 4, 0, 0, 0, 0, high, low]);
    answer.extend_from_slice(quoted);
    let checksum = Sum::default().plus(&answer[IPV4_HEADER_MIN..]).checksum();
    answer[IPV4_HEADER_MIN + 2..][..2].copy_from_slice(&checksum.to_be_bytes());
    Some(answer)
}

/// Whether a packet carries an ICMP error, or hides what it carries (RFC 1122 section 3.2.2).
fn is_icmp_error(packet: &[u8], header_len: usize) -> bool {
    packet[9] == ICMP && packet.get(header_len).is_none_or(|kind| ICMP_ERRORS.contains(kind))
}

/// One host's address: neither this network's, loopback's, a group's nor for all (RFC 1122 section 3.2.1.3).
fn is_host(address: &[u8]) -> bool {
    !matches!(address[0], 0 | 127 | 224..=255)
}

/// Packet too big (RFC 4443 section 3.2).
fn packet_too_big(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let header: &[u8; IPV6_HEADER] = packet.first_chunk()?;
    let (source, destination) = (&header[8..24], &header[24..40]);
    if header[0] >> 4 != 6 || !is_node(source) || !is_node(destination) || is_icmpv6_error(packet) {
        return None;
    }
    let len = IPV6_HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let quoted = packet.get(..len.min(IPV6_MTU_MIN - IPV6_HEADER - ICMP_HEADER)).unwrap_or(packet);
    let behind = (ICMP_HEADER + quoted.len()) as u16;
    let [high, low] = behind.to_be_bytes();
    let mut answer = vec![0x60, 0, 0, 0, high, low, ICMPV6, TTL];
    answer.extend_from_slice(destination);
    answer.extend_from_slice(source);
    answer.extend([2, 0, 0, 0]);
    answer.extend(u32::try_from(mtu).unwrap_or(u32::MAX).to_be_bytes());
    answer.extend_from_slice(quoted);
    let pseudo = Sum::default().plus(&answer[8..40]).plus_word(behind).plus_word(ICMPV6.into());
    let checksum = pseudo.plus(&answer[IPV6_HEADER..]).checksum();
    answer[IPV6_HEADER + 2..][..2].copy_from_slice(&checksum.to_be_bytes());
    Some(answer)
}

/// The address of one node: neither none nor a group's, nor loopback's.
fn is_node(address: &[u8]) -> bool {
    let small = address[..15].iter().all(|octet| *octet == 0) && address[15] <= 1;
    address[0] != 0xff && !small
}

/// Whether a packet carries an ICMPv6 error or redirect, or hides what it carries (RFC 4443 section 2.4 e).
fn is_icmpv6_error(packet: &[u8]) -> bool {
    let (mut next, mut at) = (packet[6], IPV6_HEADER);
    for _ in 0..EXTENSIONS_MAX {
        let Some(header) = packet.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let len = match next {
            FRAGMENT if u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 => return true,
            FRAGMENT => 8,
            HOP_BY_HOP | ROUTING | OPTIONS => (usize::from(header[1]) + 1) * 8,
            _ => break,
        };
        (next, at) = (header[0], at + len);
    }
    match next {
        ICMPV6 => packet.get(at).is_none_or(|kind| *kind < ICMPV6_INFORMATION || *kind == ICMPV6_REDIRECT),
        HOP_BY_HOP | ROUTING | FRAGMENT | OPTIONS => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Packet;
    use super::*;
    use proptest::prelude::*;

    const MACS: [u8; 12] = [2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa];

    /// A packet in a frame from 2:0:0:0:0:a to 2:0:0:0:0:b.
    fn frame(ethertype: u16, packet: &[u8]) -> Vec<u8> {
        [&MACS[..], &ethertype.to_be_bytes(), packet].concat()
    }

    fn v4(protocol: u8, flags: [u8; 2], payload: &[u8]) -> Vec<u8> {
        let [high, low] = (20 + payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0x12, 0x34, flags[0], flags[1], 63, protocol, 0, 0];
        packet.extend([192, 168, 23, 1, 192, 168, 23, 2]);
        let checksum = Sum::default().plus(&packet).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        [&packet, payload].concat()
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = (payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, high, low, next, 63];
        for end in [1, 2] {
            packet.extend([0xfd, 0x23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        [&packet, payload].concat()
    }

    fn answer(frame: &[u8], mtu: usize) -> Option<Vec<u8>> {
        too_big(frame, &Ethernet::parse(frame).unwrap(), mtu)
    }

    fn answer_v4(change: impl Fn(&mut Vec<u8>)) -> bool {
        let mut packet = v4(17, [0x40, 0], &[7; 1400]);
        change(&mut packet);
        answer(&frame(0x0800, &packet), 1350).is_some()
    }

    fn answer_v6(next: u8, payload: &[u8]) -> bool {
        answer(&frame(0x86dd, &v6(next, payload)), 1350).is_some()
    }

    #[test]
    fn ipv4_is_told_that_fragmentation_is_needed() {
        let packet = v4(17, [0x40, 0], &[0x5a; 8]);
        let mut golden = vec![2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xb, 8, 0];
        golden
            .extend([0x45, 0xc0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0x8a, 0xb1, 192, 168, 23, 2, 192, 168, 23, 1]);
        golden.extend([3, 4, 0x8e, 0x4c, 0, 0, 0x05, 0x46]);
        golden.extend(&packet);
        assert_eq!(answer(&frame(0x0800, &packet), 1350), Some(golden));
    }

    #[test]
    fn ipv6_is_told_that_its_packet_is_too_big() {
        let packet = v6(17, &[0x5a; 8]);
        let answer = answer(&frame(0x86dd, &packet), 1350).unwrap();
        let mut golden = vec![2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xb, 0x86, 0xdd];
        golden.extend([0x60, 0, 0, 0, 0, 56, 58, 64]);
        golden.extend(&packet[24..40]);
        golden.extend(&packet[8..24]);
        golden.extend([2, 0, answer[56], answer[57], 0, 0, 0x05, 0x46]);
        golden.extend(&packet);
        assert_eq!(answer, golden);
        let sum = Sum::default().plus(&answer[22..54]).plus_word(56).plus_word(58).plus(&answer[54..]);
        assert_eq!(sum.folded(), 0xffff);
    }

    #[test]
    fn as_much_is_quoted_as_fits_the_smallest_way() {
        let long = answer(&frame(0x0800, &v4(6, [0x40, 0], &[1; 1430])), 1350).unwrap();
        assert_eq!(long.len(), 14 + 576);
        let long = answer(&frame(0x86dd, &v6(6, &[1; 1430])), 1350).unwrap();
        assert_eq!(long.len(), 14 + 1280);
    }

    #[test]
    fn padding_is_not_quoted() {
        let mut padded = frame(0x0800, &v4(17, [0x40, 0], &[1; 8]));
        padded.extend([0; 18]);
        assert_eq!(answer(&padded, 68).unwrap().len(), 14 + 28 + 28);
    }

    #[test]
    fn a_tag_stays_as_it_is() {
        let mut tagged = frame(0x0800, &v4(17, [0x40, 0], &[1; 8]));
        tagged.splice(12..12, [0x81, 0, 0xa0, 7]);
        let answer = answer(&tagged, 68).unwrap();
        assert_eq!(answer[12..18], [0x81, 0, 0xa0, 7, 8, 0]);
    }

    #[test]
    fn who_is_no_single_host_is_not_answered() {
        assert!(answer_v4(|_| ()));
        for (at, octet) in [(12, 224), (12, 0), (12, 127), (12, 255), (16, 239), (16, 255), (16, 127)] {
            assert!(!answer_v4(|packet| packet[at] = octet), "{at} {octet}");
        }
        let mut many = frame(0x0800, &v4(17, [0x40, 0], &[1; 8]));
        many[0] = 1;
        assert_eq!(answer(&many, 68), None, "to many on the link");
        for (at, group) in [(8, true), (24, true), (8, false)] {
            let mut packet = v6(17, &[1; 1400]);
            packet[at..at + 16].fill(0);
            packet[at] = if group { 0xff } else { 0 };
            assert_eq!(answer(&frame(0x86dd, &packet), 1350), None, "{at} {group}");
        }
    }

    #[test]
    fn of_fragments_the_first_alone_is_answered() {
        assert!(answer_v4(|packet| packet[6] = 0x20));
        assert!(!answer_v4(|packet| packet[7] = 1));
        assert!(answer_v6(44, &[17, 0, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1]));
        assert!(!answer_v6(44, &[17, 0, 0, 9, 0, 0, 0, 9, 1, 1, 1, 1]));
    }

    #[test]
    fn errors_are_not_answered_with_errors() {
        for kind in [0, 8, 13] {
            assert!(answer_v4(|packet| (packet[9], packet[20]) = (1, kind)), "{kind}");
        }
        for kind in [3, 4, 5, 11, 12] {
            assert!(!answer_v4(|packet| (packet[9], packet[20]) = (1, kind)), "{kind}");
        }
        for kind in [128, 129, 135, 255] {
            assert!(answer_v6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]), "{kind}");
        }
        for kind in [0, 1, 2, 3, 4, 127, 137] {
            assert!(!answer_v6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]), "{kind}");
            assert!(
                !answer_v6(60, &[58, 0, 1, 4, 0, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0]),
                "{kind} behind options"
            );
        }
        assert!(!answer_v6(60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(9)), "what it carries is hidden");
    }

    proptest! {
        #[test]
        fn any_frame_is_answered_soundly_or_not_at_all(
            octets in prop::collection::vec(any::<u8>(), 0..1500),
            kind in 0u8..4,
            mtu in 0usize..70_000,
        ) {
            let mut octets = octets;
            if let Some(first) = octets.first_mut() {
                *first = if kind % 2 == 0 { 0x40 | *first & 0xf } else { 0x60 };
            }
            let frame = frame([0x0800, 0x86dd, 0x0800, 0x0806][usize::from(kind)], &octets);
            if let Some(answer) = answer(&frame, mtu) {
                let ethernet = Ethernet::parse(&answer).unwrap();
                let packet = Packet::parse(&answer, &ethernet).expect("a whole packet");
                prop_assert_eq!(packet.payload_offset + packet.payload.len(), answer.len());
                let most = if packet.v6 { 1280 } else { 576 };
                prop_assert!(answer.len() <= 14 + most);
            }
        }
    }
}
