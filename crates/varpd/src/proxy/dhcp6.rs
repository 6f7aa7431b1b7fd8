//! DHCP for IPv6 (RFC 8415): what a client sends to all servers and relays goes to one alone.
//!
//! Only the frame's destination changes. Servers answer by unicast (sections 18.3.9 and 18.3.10): there is no way back
//! to treat.

use std::net::Ipv6Addr;

use overlay_core::wire::Ethernet;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Wish, neighbour, udp};

/// The ports of a client and of servers and relays (RFC 8415 section 7.2).
const PORTS: [u16; 2] = [546, 547];
/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// What clients send (RFC 8415 section 7.3): Solicit, Request, Confirm, Renew, Rebind, Release, Decline,
/// Information-request.
const CLIENTS: [u8; 8] = [1, 3, 4, 5, 6, 8, 9, 11];

/// A client's message up to its options (RFC 8415 section 8).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Message {
    kind: u8,
    transaction: [u8; 3],
}
const _: () = assert!(size_of::<Message>() == 4);

/// An option up to its value (RFC 8415 section 21.1).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct OptionHeader {
    code: U16,
    len: U16,
}
const _: () = assert!(size_of::<OptionHeader>() == 4);

/// Whom a client's message asks for.
pub(super) fn read(frame: &[u8], ethernet: &Ethernet) -> Option<Wish> {
    let datagram = udp::read(frame, ethernet)?;
    let source = Ipv6Addr::from(<[u8; 16]>::try_from(datagram.source).ok()?);
    let addressed = datagram.destination == SERVERS.octets()
        && ethernet.destination == neighbour::group_mac(SERVERS)
        && datagram.ports == PORTS;
    // Nobody could answer to such a source (RFC 4291 sections 2.5.2 and 2.7).
    if !addressed || source.is_unspecified() || source.is_multicast() {
        return None;
    }
    let (message, options) = Message::ref_from_prefix(datagram.payload).ok()?;
    (CLIENTS.contains(&message.kind) && are_whole(options)).then_some(Wish::Server { v6: true })
}

/// Whether options fill the message exactly.
fn are_whole(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Ok((header, value)) = OptionHeader::ref_from_prefix(rest) else {
            return false;
        };
        let Some(behind) = value.get(usize::from(header.len.get())..) else {
            return false;
        };
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::golden::{
        ASKER, DHCP6, IP, OWNER, UDP6, altered, extended, flooded, rewritten, solicit, tagged, verdict,
        verdict_of,
    };
    use super::*;
    use overlay_core::lookup::Verdict;

    /// The golden message with other options.
    fn with_options(options: &[u8]) -> Vec<u8> {
        extended(solicit()[..DHCP6 + 4].to_vec(), options)
    }

    #[test]
    fn a_clients_message_goes_to_the_server() {
        assert_eq!(verdict(solicit()), Verdict::Redirect(OWNER));
        assert_eq!(verdict(tagged(solicit(), &[0x81, 0, 0, 7])), Verdict::Redirect(OWNER));
        assert_eq!(verdict_of(solicit(), ASKER), flooded());
    }

    #[test]
    fn only_what_clients_send_is_treated() {
        for kind in 0..=255 {
            let clients = CLIENTS.contains(&kind);
            assert_eq!(verdict(rewritten(solicit(), DHCP6, &[kind])) != flooded(), clients, "{kind}");
        }
    }

    #[test]
    fn relays_and_servers_messages_go_to_the_group() {
        assert_eq!(verdict(rewritten(solicit(), UDP6, &[0x02, 0x23])), flooded());
        assert_eq!(verdict(rewritten(solicit(), UDP6, &[0x02, 0x23, 0x02, 0x22])), flooded());
    }

    #[test]
    fn other_groups_are_not_treated() {
        // All DHCP servers of a site (RFC 8415 section 7.1), and a frame whose group is another than its packet's.
        let site = [0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3];
        assert_eq!(verdict(rewritten(solicit(), IP + 24, &site)), flooded());
        assert_eq!(verdict(altered(solicit(), 0, &[0x33, 0x33, 0, 1, 0, 3])), flooded());
        assert_eq!(verdict(altered(solicit(), 0, &[0xff; 6])), flooded());
    }

    #[test]
    fn a_source_that_cannot_be_answered_gets_no_proxy() {
        assert_eq!(verdict(rewritten(solicit(), IP + 8, &[0; 16])), flooded());
        assert_eq!(verdict(rewritten(solicit(), IP + 8, &[0xff, 2])), flooded());
    }

    #[test]
    fn options_fill_the_message_exactly() {
        let legal: [&[u8]; 3] = [&[], &[0, 14, 0, 0], &[0, 8, 0, 2, 1, 2, 0, 14, 0, 0]];
        for options in legal {
            assert_eq!(verdict(with_options(options)), Verdict::Redirect(OWNER), "{options:?}");
        }
        let illegal: [&[u8]; 4] = [&[0], &[0, 8, 0], &[0, 8, 0, 2, 1], &[0, 14, 0, 0, 0, 14, 0xff, 0xff]];
        for options in illegal {
            assert_eq!(verdict(with_options(options)), flooded(), "{options:?}");
        }
    }

    #[test]
    fn options_may_fill_a_jumbo_frame() {
        let options = [&[0, 16, 0x22, 0x60][..], &[7; 0x2260]].concat();
        assert_eq!(verdict(with_options(&options)), Verdict::Redirect(OWNER));
    }
}
