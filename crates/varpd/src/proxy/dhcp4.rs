//! DHCP for IPv4 (RFC 2131): a client's broadcast goes to the server alone, and the server's to the client alone.
//!
//! Only the frame's destination changes; the message is the server's business, and is read no further than to be
//! sure that it is one.

use overlay_core::types::MacAddr;
use overlay_core::wire::Ethernet;
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Wish, udp};

/// The ports (RFC 2131 section 4.1).
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// The limited broadcast address. A unicast address in a broadcast frame is for nobody (RFC 1122 section 3.3.6), and
/// must not become acceptable by a new destination of the frame.
const BROADCAST: [u8; 4] = [255; 4];

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Ethernet's number among kinds of hardware (RFC 1700), and the length of its addresses.
const ETHERNET: (u8, u8) = (1, 6);
/// Options follow (RFC 2131 section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];

// Options (RFC 2132 sections 3.1, 3.2 and 9.6).
const PAD: u8 = 0;
const END: u8 = 255;
const MESSAGE_TYPE: u8 = 53;

/// A message up to its options (RFC 2131 section 2).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Message {
    operation: u8,
    hardware: u8,
    hardware_len: u8,
    hops: u8,
    transaction: U32,
    seconds: U16,
    flags: U16,
    client_ip: [u8; 4],
    your_ip: [u8; 4],
    server_ip: [u8; 4],
    relay_ip: [u8; 4],
    client: MacAddr,
    client_padding: [u8; 10],
    server_name: [u8; 64],
    file: [u8; 128],
    cookie: [u8; 4],
}
const _: () = assert!(size_of::<Message>() == 240);

/// Whom a DHCP broadcast asks for.
pub(super) fn read(frame: &[u8], ethernet: &Ethernet) -> Option<Wish> {
    let datagram = udp::read(frame, ethernet)?;
    if ethernet.destination != MacAddr::BROADCAST || datagram.destination != BROADCAST {
        return None;
    }
    let (message, options) = Message::ref_from_prefix(datagram.payload).ok()?;
    if !message.is_ethernets() || !is_dhcp(options) {
        return None;
    }
    match (datagram.ports, message.operation) {
        ([CLIENT_PORT, SERVER_PORT], REQUEST) => message.server(ethernet.source),
        ([SERVER_PORT, CLIENT_PORT], REPLY) => Some(Wish::Machine(message.client)),
        _ => None,
    }
}

impl Message {
    fn is_ethernets(&self) -> bool {
        (self.hardware, self.hardware_len) == ETHERNET && self.cookie == COOKIE
    }

    /// What a client that sends for itself wants. What a relay has had is for the server that the relay knows
    /// (RFC 2131 section 4.1, `giaddr`).
    fn server(&self, source: MacAddr) -> Option<Wish> {
        let own = self.client == source && self.relay_ip == [0; 4];
        own.then_some(Wish::Server { v6: false })
    }
}

/// Whether options are well formed up to their end, and those of DHCP and not of BOOTP alone: with a message type
/// (RFC 2131 section 3).
fn is_dhcp(mut rest: &[u8]) -> bool {
    let mut typed = false;
    while let Some((kind, behind)) = rest.split_first() {
        rest = match *kind {
            END => return typed,
            PAD => behind,
            kind => match option(behind) {
                Some((value, behind)) => {
                    typed |= kind == MESSAGE_TYPE && value.len() == 1;
                    behind
                }
                None => return false,
            },
        };
    }
    false
}

/// The value of an option, behind its kind, and what follows it.
fn option(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(*len))
}
