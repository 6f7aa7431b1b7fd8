use std::net::Ipv4Addr;

use super::dhcp::{is_allowed, is_own_duid};
use super::leases::{Answer, Asked, Said};
use crate::datapath::PortSettings;
use crate::types::{MacAddr, Moment, Network};

/// Octets before the options, and of the cookie that says that they are DHCP's (RFC 2131 section 3).
const FIXED: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Where the client's address stands that it has, and the one that it is given.
const CLIENTS: usize = 12;
const YOURS: usize = 16;
/// Ethernet, with addresses of 6 octets.
const ETHERNET: [u8; 2] = [1, 6];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

// Options (RFC 2132; RFC 4039 for the last).
const REQUESTED: u8 = 50;
const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const CLIENT_ID: u8 = 61;
const RAPID_COMMIT: u8 = 80;
const PAD: u8 = 0;
const END: u8 = 255;

/// A client identifier that is a DUID, behind four octets of its own (RFC 4361 section 6.1).
const IS_DUID: u8 = 255;
const IAID: usize = 4;

const DISCOVER: u8 = 1;
const ASK: u8 = 3;
const DECLINE: u8 = 4;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;

/// The number of the exchange that a message is of.
pub(super) fn number(octets: &[u8]) -> u32 {
    octets.get(4..).and_then(|octets| octets.first_chunk()).map_or(0, |number| u32::from_be_bytes(*number))
}

/// A BOOTP or DHCP message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn read(octets: &'a [u8]) -> Option<Self> {
        (octets.len() >= FIXED).then_some(Self(octets))
    }

    const fn operation(&self) -> u8 {
        self.0[0]
    }

    /// The client's hardware address.
    fn client(&self) -> Option<MacAddr> {
        let address = self.0[28..].first_chunk().filter(|_| self.0[1..3] == ETHERNET)?;
        Some(MacAddr(*address))
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::new(self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3])
    }

    /// Its options, also those in the fields of names where it says that there are some (RFC 2132 section 9.3); none in
    /// the place of one that is cut off.
    fn options(&self) -> impl Iterator<Item = Option<(u8, &'a [u8])>> {
        let octets = self.0;
        let main = octets[FIXED..].strip_prefix(&COOKIE).unwrap_or_default();
        let overload = Options(main).flatten().find(|(code, _)| *code == OVERLOAD);
        let overload = overload.and_then(|(_, value)| value.first().copied()).unwrap_or(0);
        let part = |bit: u8, part: &'a [u8]| Options(if overload & bit == 0 { &[] } else { part });
        Options(main).chain(part(1, &octets[108..FIXED])).chain(part(2, &octets[44..108]))
    }

    fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options().flatten().find(|(other, _)| *other == code).map(|(_, value)| value)
    }

    fn option_address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets = <[u8; 4]>::try_from(self.option(code)?).ok()?;
        Some(octets.into())
    }

    fn kind(&self) -> Option<u8> {
        self.option(MESSAGE_TYPE)?.first().copied()
    }

    /// The address that a client speaks of: the one that it has, or an option's.
    fn wish(&self) -> Option<Ipv4Addr> {
        let has = self.address(CLIENTS);
        if has.is_unspecified() { self.option_address(REQUESTED) } else { Some(has) }
    }

    /// The number of the exchange.
    fn number(&self) -> u32 {
        number(self.0)
    }
}

/// Options one behind the other.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|octet| *octet != PAD)?;
        let option = &self.0[start..];
        self.0 = &[];
        if option[0] == END {
            return None;
        }
        let len = option.get(1).map(|len| usize::from(*len));
        let Some((value, rest)) = len.and_then(|len| option[2..].split_at_checked(len)) else {
            return Some(None);
        };
        self.0 = rest;
        Some(Some((option[0], value)))
    }
}

/// Whether a message is of a client with one of the VNIC's addresses, under a name that it may have.
pub(super) fn is_own(octets: &[u8], settings: &PortSettings) -> bool {
    let Some(message) = Message::read(octets) else { return false };
    if message.operation() != REQUEST || !message.client().is_some_and(|client| settings.owns(client)) {
        return false;
    }
    let mut name = None;
    for option in message.options() {
        match option {
            // Of an option that is there twice, some take one and some both together (RFC 3396).
            Some((CLIENT_ID, value)) if name.is_none() => name = Some(value),
            Some((CLIENT_ID, _)) | None => return false,
            Some(_) => {}
        }
    }
    name.is_none_or(|name| is_own_name(name, settings))
}

fn is_own_name(name: &[u8], settings: &PortSettings) -> bool {
    let own = match *name {
        [1, a, b, c, d, e, f] => settings.owns(MacAddr([a, b, c, d, e, f])),
        [IS_DUID, ref rest @ ..] => rest.get(IAID..).is_some_and(|duid| is_own_duid(duid, settings)),
        _ => false,
    };
    own || is_allowed(name, settings)
}

/// What a message of one of the VNIC's clients asks for, or gives back.
pub(super) fn said(octets: &[u8], settings: &PortSettings, now: Moment) -> Option<Said> {
    let message = Message::read(octets).filter(|message| message.operation() == REQUEST)?;
    let client = message.client().filter(|client| settings.owns(*client))?;
    let ask = |address| {
        let client = [&client.0, message.option(CLIENT_ID).unwrap_or_default()].concat();
        Said::Asks(Asked { v6: false, number: message.number(), client, address, at: now })
    };
    match message.kind()? {
        DISCOVER => message.option(RAPID_COMMIT).map(|_| ask(None)),
        ASK => Some(ask(Some(message.wish()?))),
        RELEASE | DECLINE => Some(Said::Returns(vec![Network::single(message.wish()?.into())])),
        _ => None,
    }
}

/// What a server answers.
pub(super) fn answer(octets: &[u8]) -> Option<Answer> {
    let message = Message::read(octets).filter(|message| message.operation() == REPLY)?;
    let address = message.address(YOURS);
    let seconds = message.option(LEASE_TIME).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
    let granted = match message.kind()? {
        ACK => vec![(Network::single(address.into()), seconds?)],
        NAK => Vec::new(),
        _ => return None,
    };
    let is_host = !(address.is_multicast() || address.is_broadcast() || address.is_loopback());
    let answer =
        Answer { v6: false, number: message.number(), client: message.client()?.0.to_vec(), granted };
    is_host.then_some(answer)
}
