//! DHCP for IPv6 (RFC 8415): what a client sends to all servers and relays goes to one alone.
//!
//! Only the frame's destination changes. Servers answer by unicast, so that there is no way back to treat.

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
