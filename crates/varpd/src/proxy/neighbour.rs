//! Neighbour discovery for IPv6 over Ethernet (RFC 4861, RFC 2464), with duplicate address detection (RFC 4862).
//!
//! Messages behind IPv6 extension headers are not read: they go to the group.

use std::net::Ipv6Addr;

use overlay_core::types::{MacAddr, VlanId};
use overlay_core::wire::{Ethernet, Packet, Sum};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::head::{self, Head};
use super::{Inquiry, Wish};

const ETHERTYPE: u16 = 0x86dd;
/// The number of ICMPv6 as a next header (RFC 4443 section 1).
const ICMPV6: u8 = 58;
/// What no router has lessened (RFC 4861 sections 6.1, 7.1 and 8.1).
const HOP_LIMIT: u8 = 255;
const VERSION: u32 = 6 << 28;

// Kinds of messages (RFC 4861 section 4).
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

// Options (RFC 4861 section 4.6.1).
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

// Flags of an advertisement (RFC 4861 section 4.4).

/// "The sender is a router." No plugin says which addresses are routers', and one of the two answers does harm:
/// whoever hears that a router is none takes its default route away (RFC 4861 section 7.2.5), while that a host is
/// one has no effect, for only a router advertisement makes a default route (section 6.3.4). So it is set.
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
/// What a cache has is replaced. A proxy as RFC 4861 section 7.2.4 means it leaves that clear, because it advertises an
/// address of its own in the owner's place; here it is the owner's, and the plugin is certain of it.
const OVERRIDE: u8 = 0x20;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// ff02::1:ff00:0/104, without the octets of the target (RFC 4291 section 2.7.1).
const SOLICITED_NODE: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];

/// The header (RFC 8200 section 3).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Ipv6 {
    version_class_flow: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}
const _: () = assert!(size_of::<Ipv6>() == 40);

/// A neighbour solicitation or advertisement (RFC 4861 sections 4.3 and 4.4); the former has no flags.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Message {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}
const _: () = assert!(size_of::<Message>() == 24);

/// A link-layer address option of Ethernet (RFC 2464 section 6); its length is in units of 8 octets.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LinkLayer {
    kind: u8,
    units: u8,
    mac: MacAddr,
}
const _: () = assert!(size_of::<LinkLayer>() == 8);

/// An advertisement with its one option.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Advertisement {
    ipv6: Ipv6,
    message: Message,
    option: LinkLayer,
}
const _: () = assert!(size_of::<Advertisement>() == 72);

/// A solicitation of the owner of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Solicitation {
    pub(super) target: Ipv6Addr,
    /// The asker's own address; none in duplicate address detection (RFC 4862 section 5.4.2).
    asker: Option<Ipv6Addr>,
}

/// What a neighbour discovery message asks for.
pub(super) fn read(frame: &[u8], ethernet: &Ethernet) -> Option<Wish> {
    let packet = Packet::parse(frame, ethernet).filter(|packet| packet.v6)?;
    let (header, _) = Ipv6::ref_from_prefix(frame.get(ethernet.header_len..)?).ok()?;
    if header.next_header != ICMPV6 {
        return None;
    }
    let kind = *packet.payload.first()?;
    let fixed = fixed_len(kind)?;
    let Some(options) = checked_options(header, packet.payload, fixed) else {
        return Some(Wish::Nobody);
    };
    match Message::ref_from_prefix(packet.payload) {
        Ok((message, _)) if kind == SOLICITATION => Some(solicited(header, message, &options, ethernet)),
        _ => Some(Wish::Group),
    }
}

/// An unsolicited advertisement to all nodes (RFC 4861 section 7.2.6).
pub(super) fn announcement(ip: Ipv6Addr, mac: MacAddr, vid: Option<VlanId>) -> Vec<u8> {
    let packet = Advertisement::new(ip, mac, ALL_NODES, ROUTER | OVERRIDE);
    head::frame([group_mac(ALL_NODES), mac], vid, ETHERTYPE, packet.as_bytes())
}

impl Solicitation {
    /// The advertisement of the owner: to the asker alone, or, in duplicate address detection, where the asker has no
    /// address yet, to all nodes and with the flag Solicited clear (RFC 4861 section 7.2.4).
    pub(super) fn answer(&self, head: &Head, owner: MacAddr) -> Vec<u8> {
        let (mac, ip, flags) = match self.asker {
            Some(asker) => (head.ethernet.source, asker, ROUTER | SOLICITED | OVERRIDE),
            None => (group_mac(ALL_NODES), ALL_NODES, ROUTER | OVERRIDE),
        };
        head.answer(mac, owner, Advertisement::new(self.target, owner, ip, flags).as_bytes())
    }
}

impl Advertisement {
    fn new(target: Ipv6Addr, owner: MacAddr, destination: Ipv6Addr, flags: u8) -> Self {
        let mut advertisement = Self {
            ipv6: Ipv6 {
                version_class_flow: U32::new(VERSION),
                payload_len: U16::new((size_of::<Message>() + size_of::<LinkLayer>()) as u16),
                next_header: ICMPV6,
                hop_limit: HOP_LIMIT,
                source: target.octets(),
                destination: destination.octets(),
            },
            message: Message {
                kind: ADVERTISEMENT,
                code: 0,
                checksum: U16::ZERO,
                flags,
                reserved: [0; 3],
                target: target.octets(),
            },
            option: LinkLayer { kind: TARGET_LINK_LAYER, units: 1, mac: owner },
        };
        let (header, message) = advertisement.as_bytes().split_at(size_of::<Ipv6>());
        let checksum = sum(&header[8..], message).checksum();
        advertisement.message.checksum = U16::new(checksum);
        advertisement
    }
}

/// Octets of a message before its options; none of what is no neighbour discovery.
fn fixed_len(kind: u8) -> Option<usize> {
    match kind {
        ROUTER_SOLICITATION => Some(8),
        ROUTER_ADVERTISEMENT => Some(16),
        SOLICITATION | ADVERTISEMENT => Some(24),
        REDIRECT => Some(40),
        _ => None,
    }
}

/// The options of a message that passes what RFC 4861 has checked alike of every kind (sections 6.1.1, 6.1.2, 7.1.1,
/// 7.1.2 and 8.1): hop limit, checksum, code, length, and options of some length each. None of one that does not, which
/// its receivers must discard.
fn checked_options<'a>(header: &Ipv6, message: &'a [u8], fixed: usize) -> Option<Vec<(u8, &'a [u8])>> {
    let addresses = [header.source, header.destination].concat();
    let intact = sum(&addresses, message).folded() == 0xffff;
    let code = *message.get(1)?;
    if header.hop_limit != HOP_LIMIT || !intact || code != 0 {
        return None;
    }
    options(message.get(fixed..)?)
}

/// The options, each with its kind and all its octets (RFC 4861 section 4.6); none when one has no length or ends
/// behind the message.
fn options(mut rest: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut options = Vec::new();
    while let Some(kind) = rest.first() {
        let units = usize::from(*rest.get(1)?);
        let (option, behind) = rest.split_at_checked(units * 8).filter(|_| units > 0)?;
        options.push((*kind, option));
        rest = behind;
    }
    Some(options)
}

/// What a solicitation asks for.
fn solicited(header: &Ipv6, message: &Message, options: &[(u8, &[u8])], ethernet: &Ethernet) -> Wish {
    let [target, source, destination] =
        [message.target, header.source, header.destination].map(Ipv6Addr::from);
    let detection = source.is_unspecified();
    let senders: Vec<_> = options.iter().filter(|(kind, _)| *kind == SOURCE_LINK_LAYER).collect();
    // The rest of RFC 4861 section 7.1.1.
    if target.is_multicast() || detection && (!is_solicited_node(destination) || !senders.is_empty()) {
        return Wish::Nobody;
    }
    // A multicast solicitation names its sender (section 4.3). One that names another than the frame's leaves open
    // whom an answer would serve.
    let named = !senders.is_empty() && senders.iter().all(|(_, option)| names(option, ethernet.source));
    let legal = is_hosts(target) && (detection || is_hosts(source) && named);
    if !legal || !suits(destination, target) || ethernet.destination != group_mac(destination) {
        return Wish::Group;
    }
    Wish::Owner(Inquiry::Neighbour(Solicitation { target, asker: (!detection).then_some(source) }))
}

/// Whether a link-layer address option says `mac`.
fn names(option: &[u8], mac: MacAddr) -> bool {
    LinkLayer::ref_from_bytes(option).is_ok_and(|option| option.mac == mac)
}

/// Whether the owner of `target` hears what is sent to `group`: the target's own solicited-node group, or another of
/// the link that is no solicited-node group.
fn suits(group: Ipv6Addr, target: Ipv6Addr) -> bool {
    let link = group.octets().starts_with(&[0xff, 2]);
    group == solicited_node(target) || link && !is_solicited_node(group)
}

/// The solicited-node group of an address (RFC 4291 section 2.7.1).
fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let mut group = ip.octets();
    group[..SOLICITED_NODE.len()].copy_from_slice(&SOLICITED_NODE);
    group.into()
}

fn is_solicited_node(group: Ipv6Addr) -> bool {
    solicited_node(group) == group
}

/// Whether an address can be a node's on a link (RFC 4291 sections 2.5.2, 2.5.3, 2.5.5.2 and 2.7).
fn is_hosts(ip: Ipv6Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.to_ipv4_mapped().is_some())
}

/// The Ethernet address of a group (RFC 2464 section 7).
pub(super) fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// The sum over the pseudo-header (RFC 8200 section 8.1) and a message with addresses as in the header.
fn sum(addresses: &[u8], message: &[u8]) -> Sum {
    Sum::default().plus(addresses).plus_word(message.len() as u16).plus_word(u16::from(ICMPV6)).plus(message)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{
        ASKER, ICMP6, IP, ND_OPTIONS, OWNER, TARGET, advertisement, advertisement_to_all, altered, detection,
        extended, flooded, refreshed, rewritten, router_solicitation, solicitation, tagged, verdict,
        verdict_of,
    };
    use super::*;
    use overlay_core::lookup::{Octets, Verdict};

    const SOURCE: usize = IP + 8;
    const DESTINATION: usize = IP + 24;

    fn reply(frame: Vec<u8>) -> Verdict {
        Verdict::Reply(Octets(frame))
    }

    /// A solicitation for another address, to that address's group or to one that is given.
    fn for_target(target: Ipv6Addr, group: Ipv6Addr) -> Vec<u8> {
        let frame = altered(solicitation(), TARGET, &target.octets());
        rewritten(altered(frame, 0, &group_mac(group).0), DESTINATION, &group.octets())
    }

    #[test]
    fn a_solicitation_is_answered_as_its_owner_would() {
        assert_eq!(verdict(solicitation()), reply(advertisement()));
    }

    #[test]
    fn a_solicitation_of_the_askers_own_address_goes_to_the_group() {
        assert_eq!(verdict_of(solicitation(), ASKER), flooded());
        assert_eq!(verdict_of(detection(), ASKER), flooded());
    }

    #[test]
    fn detection_of_anothers_address_is_answered_to_all_nodes() {
        assert_eq!(verdict(detection()), reply(advertisement_to_all()));
    }

    #[test]
    fn a_nonce_is_no_link_layer_address() {
        // RFC 7527 section 4: enhanced duplicate address detection.
        let nonce = extended(detection(), &[14, 1, 1, 2, 3, 4, 5, 6]);
        assert_eq!(verdict(nonce), reply(advertisement_to_all()));
    }

    #[test]
    fn tags_and_their_priorities_are_the_advertisements_too() {
        let single: &[u8] = &[0x81, 0, 0xa0, 7];
        let double: &[u8] = &[0x88, 0xa8, 0x20, 9, 0x81, 0, 0x00, 7];
        for tags in [single, double] {
            assert_eq!(verdict(tagged(solicitation(), tags)), reply(tagged(advertisement(), tags)));
            assert_eq!(verdict(tagged(detection(), tags)), reply(tagged(advertisement_to_all(), tags)));
        }
    }

    #[test]
    fn padding_is_no_part_of_a_solicitation() {
        let mut frame = solicitation();
        frame.extend([0xee; 9]);
        assert_eq!(verdict(frame), reply(advertisement()));
    }

    #[test]
    fn a_jumbo_solicitation_is_answered_like_any_other() {
        let options = [14, 1, 1, 2, 3, 4, 5, 6].repeat(1_100);
        assert_eq!(verdict(extended(solicitation(), &options)), reply(advertisement()));
    }

    #[test]
    fn every_kind_is_checked_as_its_receivers_would() {
        for frame in [solicitation(), detection(), router_solicitation(), advertisement_to_all()] {
            assert_ne!(verdict(frame.clone()), Verdict::Absent);
            assert_eq!(verdict(altered(frame.clone(), IP + 7, &[254])), Verdict::Absent);
            assert_eq!(verdict(rewritten(frame.clone(), ICMP6 + 1, &[1])), Verdict::Absent);
            assert_eq!(verdict(altered(frame.clone(), ICMP6 + 2, &[0, 0])), Verdict::Absent);
            assert_eq!(verdict(extended(frame.clone(), &[9, 0, 0, 0, 0, 0, 0, 0])), Verdict::Absent);
            assert_eq!(verdict(extended(frame.clone(), &[9, 2, 0, 0, 0, 0, 0, 0])), Verdict::Absent);
            assert_eq!(verdict(extended(frame, &[9])), Verdict::Absent);
        }
    }

    #[test]
    fn a_message_is_as_long_as_its_kind_demands() {
        for (kind, len) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
            for (payload, whole) in [(len - 4, false), (len - 1, false), (len, true)] {
                let mut frame = detection()[..ICMP6].to_vec();
                frame.resize(ICMP6 + payload, 0x20);
                frame[ICMP6..ICMP6 + 4].copy_from_slice(&[kind, 0, 0, 0]);
                let verdict = verdict(extended(frame, &[]));
                assert_eq!(verdict != Verdict::Absent, whole, "{kind} with {payload} octets");
            }
        }
    }

    #[test]
    fn what_only_tells_goes_to_the_group() {
        assert_eq!(verdict(router_solicitation()), flooded());
        assert_eq!(verdict(advertisement_to_all()), flooded());
        // All of a solicitation but its kind.
        assert_eq!(verdict(rewritten(solicitation(), ICMP6, &[136])), flooded());
        // An echo request is no neighbour discovery, and nobody's checks are made.
        assert_eq!(verdict(altered(solicitation(), ICMP6, &[128])), flooded());
    }

    #[test]
    fn a_multicast_target_must_be_discarded() {
        let frame = for_target(ALL_NODES, solicited_node(ALL_NODES));
        assert_eq!(verdict(frame), Verdict::Absent);
    }

    #[test]
    fn detection_has_no_link_layer_address_and_a_solicited_node_group() {
        let named = extended(detection(), &[1, 1, 2, 8, 0x20, 0, 0, 1]);
        assert_eq!(verdict(named), Verdict::Absent);
        let mac = altered(detection(), 0, &group_mac(ALL_NODES).0);
        assert_eq!(verdict(rewritten(mac, DESTINATION, &ALL_NODES.octets())), Verdict::Absent);
    }

    #[test]
    fn a_target_that_is_no_nodes_is_not_asked_for() {
        for target in ["::", "::1", "::ffff:192.0.2.1"] {
            let target: Ipv6Addr = target.parse().unwrap();
            assert_eq!(verdict(for_target(target, solicited_node(target))), flooded(), "{target}");
        }
    }

    #[test]
    fn the_group_suits_the_target() {
        let target: Ipv6Addr = "2001:db8::2".parse().unwrap();
        for (group, answered) in [
            ("ff02::1:ff00:2", true),
            ("ff02::1", true),
            ("ff02::1:ff00:3", false),
            ("ff05::1", false),
            ("2001:db8::2", false),
        ] {
            let verdict = verdict(for_target(target, group.parse().unwrap()));
            assert_eq!(verdict == reply(advertisement()), answered, "{group}");
            assert_eq!(verdict == flooded(), !answered, "{group}");
        }
    }

    #[test]
    fn the_frames_group_is_the_packets() {
        for mac in [[0x33, 0x33, 0xff, 0, 0, 3], [0xff; 6], [1, 0, 0x5e, 0, 0, 2]] {
            assert_eq!(verdict(altered(solicitation(), 0, &mac)), flooded(), "{mac:x?}");
        }
    }

    #[test]
    fn a_sender_that_is_not_the_frames_gets_no_answer() {
        let anothers = rewritten(solicitation(), ND_OPTIONS + 2, &OWNER.0);
        assert_eq!(verdict(anothers), flooded());
        let two = extended(solicitation(), &[1, 1, 2, 8, 0x20, 0, 0, 2]);
        assert_eq!(verdict(two), flooded());
        let none = rewritten(solicitation(), ND_OPTIONS, &[14]);
        assert_eq!(verdict(none), flooded());
        // Of 16 octets, whose first are the right ones.
        let long = [&[1, 2][..], &ASKER.0, &[0; 8]].concat();
        let long = extended(solicitation()[..ND_OPTIONS].to_vec(), &long);
        assert_eq!(verdict(long), flooded());
    }

    #[test]
    fn a_source_that_is_no_nodes_gets_no_answer() {
        for source in ["::1", "ff02::1", "::ffff:192.0.2.1"] {
            let source: Ipv6Addr = source.parse().unwrap();
            assert_eq!(verdict(rewritten(solicitation(), SOURCE, &source.octets())), flooded(), "{source}");
        }
    }

    #[test]
    fn what_stands_behind_extension_headers_goes_to_the_group() {
        // Hop-by-hop options of 8 octets, then the solicitation (RFC 8200 section 4.3).
        let mut frame = solicitation();
        frame.splice(ICMP6..ICMP6, [58, 0, 1, 4, 0, 0, 0, 0]);
        frame[IP + 5] += 8;
        frame[IP + 6] = 0;
        assert_eq!(verdict(frame), flooded());
    }

    #[test]
    fn an_announcement_is_the_rfcs() {
        let ip = "2001:db8::2".parse().unwrap();
        assert_eq!(announcement(ip, OWNER, None), advertisement_to_all());
        let tagged = tagged(advertisement_to_all(), &[0x81, 0, 0, 7]);
        assert_eq!(announcement(ip, OWNER, VlanId::new(7).ok()), tagged);
        assert_eq!(refreshed(advertisement_to_all()), advertisement_to_all());
    }
}
