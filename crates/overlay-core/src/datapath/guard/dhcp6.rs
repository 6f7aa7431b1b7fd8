use std::net::{IpAddr, Ipv6Addr};

use super::dhcp::is_own_duid;
use super::leases::{Answer, Asked, Said};
use crate::datapath::PortSettings;
use crate::types::{Moment, Network};

/// Octets before the options: a type and the number of the exchange (RFC 8415 section 8).
const FIXED: usize = 4;
/// Bits of the shortest prefix that a client may be given. One of length 0 would be everybody's address.
const PREFIX_MIN: u8 = 32;

// Message types (RFC 8415 section 7.3).
const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const RECONFIGURE: u8 = 10;
const RELAY_FORW: u8 = 12;
const RELAY_REPL: u8 = 13;

// Options (RFC 8415 section 21).
const CLIENT_ID: u16 = 1;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_ADDRESS: u16 = 5;
const STATUS: u16 = 13;
const RAPID_COMMIT: u16 = 14;
const IA_PD: u16 = 25;
const IA_PREFIX: u16 = 26;

/// The number of the exchange that a message is of.
pub(super) fn number(octets: &[u8]) -> u32 {
    octets.first_chunk::<FIXED>().map_or(0, |[_, a, b, c]| u32::from_be_bytes([0, *a, *b, *c]))
}

/// Options one behind the other; none in the place of one that is cut off.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = match self.0.split_first_chunk::<4>() {
            Some(split) => split,
            None if self.0.is_empty() => return None,
            None => {
                self.0 = &[];
                return Some(None);
            }
        };
        self.0 = &[];
        let [code, len] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
        let Some((value, rest)) = rest.split_at_checked(len.into()) else { return Some(None) };
        self.0 = rest;
        Some(Some((code, value)))
    }
}

/// The type of a message, and its options.
fn read(octets: &[u8]) -> Option<(u8, Options<'_>)> {
    let (fixed, options) = octets.split_first_chunk::<FIXED>()?;
    Some((fixed[0], Options(options)))
}

fn option(octets: &[u8], code: u16) -> Option<&[u8]> {
    let (_, mut options) = read(octets)?;
    options.find_map(|option| option.filter(|(other, _)| *other == code)).map(|(_, value)| value)
}

/// Whether a message is of a client, under a name that it may have.
pub(super) fn is_own(octets: &[u8], settings: &PortSettings) -> bool {
    let Some((kind, mut options)) = read(octets) else { return false };
    // Servers' and relays'; in these others' messages would be hidden.
    let is_clients = !matches!(kind, ADVERTISE | REPLY | RECONFIGURE | RELAY_FORW | RELAY_REPL);
    let mut named = false;
    is_clients
        && options.all(|option| match option {
            Some((CLIENT_ID, duid)) => !std::mem::replace(&mut named, true) && is_own_duid(duid, settings),
            option => option.is_some(),
        })
}

/// What a client's message asks for, or gives back.
pub(super) fn said(octets: &[u8], now: Moment) -> Option<Said> {
    let client = option(octets, CLIENT_ID)?.to_vec();
    let asks = || Said::Asks(Asked { v6: true, number: number(octets), client, address: None, at: now });
    match octets[0] {
        SOLICIT => option(octets, RAPID_COMMIT).map(|_| asks()),
        REQUEST | RENEW | REBIND => Some(asks()),
        RELEASE | DECLINE => Some(Said::Returns(bindings(octets).map(|(network, _)| network).collect())),
        _ => None,
    }
}

/// What a server answers.
pub(super) fn answer(octets: &[u8]) -> Option<Answer> {
    let client = option(octets, CLIENT_ID)?.to_vec();
    let fails = option(octets, STATUS).is_some_and(|status| !status.starts_with(&[0, 0]));
    let granted = bindings(octets).collect();
    (octets[0] == REPLY && !fails).then(|| Answer { v6: true, number: number(octets), client, granted })
}

/// The addresses and prefixes in a message, with the seconds for which they are valid.
fn bindings(octets: &[u8]) -> impl Iterator<Item = (Network, u32)> {
    let options = read(octets).map_or(Options(&[]), |(_, options)| options);
    let inside = options.flatten().map(|(code, value)| {
        let fixed = match code {
            IA_NA | IA_PD => 12,
            IA_TA => 4,
            _ => value.len(),
        };
        Options(value.get(fixed..).unwrap_or_default())
    });
    inside.flatten().flatten().filter_map(|(code, value)| match code {
        IA_ADDRESS => {
            let seconds = u32::from_be_bytes(*value.get(20..)?.first_chunk()?);
            host(value).map(|network| (network, seconds))
        }
        IA_PREFIX => {
            let seconds = u32::from_be_bytes(*value.get(4..)?.first_chunk()?);
            prefix(value).map(|network| (network, seconds))
        }
        _ => None,
    })
}

fn host(value: &[u8]) -> Option<Network> {
    let address = Ipv6Addr::from(*value.first_chunk::<16>()?);
    let local = address.is_multicast() || address.is_loopback() || address.is_unspecified();
    (!local && !address.is_unicast_link_local()).then(|| Network::single(IpAddr::V6(address)))
}

fn prefix(value: &[u8]) -> Option<Network> {
    let len = *value.get(8)?;
    let address = Ipv6Addr::from(*value.get(9..)?.first_chunk::<16>()?);
    let local = address.is_multicast() || address.is_unicast_link_local();
    Network::new(address.into(), len).filter(|_| len >= PREFIX_MIN && !local)
}
