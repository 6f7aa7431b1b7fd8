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

#[cfg(test)]
mod tests {
    use super::super::golden::{
        ASKER, DHCP4, DHCP4_OPTIONS, IP, OWNER, UDP4, altered, discover, extended, flooded, offer, rewritten,
        tagged, verdict, verdict_of,
    };
    use overlay_core::lookup::Verdict;

    /// The golden message with other options.
    fn with_options(options: &[u8]) -> Vec<u8> {
        extended(discover()[..DHCP4_OPTIONS].to_vec(), options)
    }

    #[test]
    fn a_clients_broadcast_goes_to_the_server() {
        assert_eq!(verdict(discover()), Verdict::Redirect(OWNER));
        assert_eq!(verdict(tagged(discover(), &[0x81, 0, 0, 7])), Verdict::Redirect(OWNER));
        assert_eq!(verdict(altered(discover(), UDP4 + 6, &[0, 0])), Verdict::Redirect(OWNER));
    }

    #[test]
    fn a_client_that_serves_itself_asks_the_group() {
        assert_eq!(verdict_of(discover(), ASKER), flooded());
    }

    #[test]
    fn a_servers_broadcast_goes_to_the_client_unasked() {
        assert_eq!(verdict(offer()), Verdict::Redirect(OWNER));
    }

    #[test]
    fn a_servers_broadcast_to_itself_or_to_no_card_goes_to_the_group() {
        for client in [ASKER.0, [0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
            assert_eq!(verdict(rewritten(offer(), DHCP4 + 28, &client)), flooded(), "{client:x?}");
        }
    }

    #[test]
    fn a_relays_message_goes_to_the_group() {
        let relayed = rewritten(discover(), DHCP4 + 24, &[192, 0, 2, 9]);
        assert_eq!(verdict(relayed), flooded());
        let anothers = rewritten(discover(), DHCP4 + 28, &OWNER.0);
        assert_eq!(verdict(anothers), flooded());
        // From server to server.
        assert_eq!(verdict(rewritten(discover(), UDP4, &[0, 67])), flooded());
    }

    #[test]
    fn a_relays_answer_to_the_client_is_a_servers() {
        let relayed = rewritten(offer(), DHCP4 + 24, &[192, 0, 2, 9]);
        assert_eq!(verdict(relayed), Verdict::Redirect(OWNER));
    }

    #[test]
    fn ports_and_operation_belong_together() {
        assert_eq!(verdict(rewritten(discover(), DHCP4, &[2])), flooded());
        assert_eq!(verdict(rewritten(offer(), DHCP4, &[1])), flooded());
        assert_eq!(verdict(rewritten(discover(), UDP4, &[0, 67, 0, 68])), flooded());
    }

    #[test]
    fn other_hardware_and_cookies_are_not_treated() {
        for (place, octet) in [(1, 6), (2, 16), (2, 0), (236, 98), (239, 0)] {
            assert_eq!(verdict(rewritten(discover(), DHCP4 + place, &[octet])), flooded(), "{place}");
            assert_eq!(verdict(rewritten(offer(), DHCP4 + place, &[octet])), flooded(), "{place}");
        }
    }

    #[test]
    fn what_is_not_broadcast_in_both_headers_is_not_treated() {
        // Unicast and a subnet's broadcast in a broadcast frame, and broadcast in a multicast frame.
        for ip in [[192, 0, 2, 1], [192, 0, 2, 255]] {
            assert_eq!(verdict(rewritten(discover(), IP + 16, &ip)), flooded(), "{ip:?}");
        }
        assert_eq!(verdict(altered(discover(), 0, &[1, 0, 0x5e, 0, 0, 1])), flooded());
    }

    #[test]
    fn options_have_an_end_and_a_message_type() {
        let legal: [&[u8]; 3] = [&[53, 1, 1, 255], &[0, 0, 53, 1, 3, 0, 255, 9, 9], &[61, 0, 53, 1, 8, 255]];
        for options in legal {
            assert_eq!(verdict(with_options(options)), Verdict::Redirect(OWNER), "{options:?}");
        }
        let illegal: [&[u8]; 8] = [
            &[],
            &[255],
            &[53],
            &[53, 1],
            &[53, 1, 1],
            &[53, 2, 1, 1, 255],
            &[53, 1, 1, 12, 200, 255],
            &[12, 255, 255, 53, 1, 1, 255],
        ];
        for options in illegal {
            assert_eq!(verdict(with_options(options)), flooded(), "{options:?}");
        }
    }

    #[test]
    fn options_may_fill_a_jumbo_frame() {
        let mut options: Vec<u8> = [&[61, 254][..], &[7; 254]].concat().repeat(34);
        options.extend([53, 1, 1, 255]);
        assert_eq!(verdict(with_options(&options)), Verdict::Redirect(OWNER));
        options.pop();
        assert_eq!(verdict(with_options(&options)), flooded());
    }
}
