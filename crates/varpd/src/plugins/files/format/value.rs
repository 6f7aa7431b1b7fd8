use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use overlay_core::property::AddressRule;
use overlay_core::protocol::LINE_MAX;
use overlay_core::types::MacAddr;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};

/// The most tunnel ends of one destination: an answer with them, of up to 50 octets each, is one line to the driver.
pub(super) const ENDS_MAX: usize = LINE_MAX / 64;

/// The most inner addresses of one family in one entry.
pub(super) const INNER_MAX: usize = 65_536;

/// A string, or a list of strings; none is the same as an empty list.
pub(super) struct Strings<T> {
    pub(super) key: &'static str,
    pub(super) most: usize,
    pub(super) read: fn(&str) -> Result<T, String>,
}

impl<'de, T> DeserializeSeed<'de> for Strings<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Vec<T>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, T> Visitor<'de> for Strings<T> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a string or a list of strings for '{}'", self.key)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        Text { key: self.key, read: self.read }.visit_str(text).map(|value| vec![value])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let Self { key, most, read } = self;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Text { key, read })? {
            if values.len() == most {
                return Err(A::Error::custom(format_args!("{key} has more than {most} addresses")));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// One string.
pub(super) struct Text<T> {
    pub(super) key: &'static str,
    pub(super) read: fn(&str) -> Result<T, String>,
}

impl<'de, T> DeserializeSeed<'de> for Text<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<T, D::Error> {
        input.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a string for '{}'", self.key)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(|reason| E::custom(format_args!("{} {reason}", self.key)))
    }
}

/// A whole number in a range, both ends included.
pub(super) struct Number {
    pub(super) key: &'static str,
    pub(super) range: (u16, u16),
}

impl Number {
    fn refuse<T, E: Error>(&self, what: impl fmt::Display) -> Result<T, E> {
        let (low, high) = self.range;
        Err(E::custom(format_args!("{} {what} in {low}-{high}", self.key)))
    }
}

impl<'de> DeserializeSeed<'de> for Number {
    type Value = u16;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<u16, D::Error> {
        input.deserialize_u16(self)
    }
}

impl Visitor<'_> for Number {
    type Value = u16;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a number for '{}'", self.key)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u16, E> {
        let (low, high) = self.range;
        let inside = u16::try_from(number).ok().filter(|number| (low..=high).contains(number));
        inside.map_or_else(|| self.refuse(format_args!("{number} is not")), Ok)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u16, E> {
        self.refuse(format_args!("{number} is not"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u16, E> {
        self.refuse(format_args!("{number:?} is not a whole number"))
    }
}

/// The address of a tunnel end.
pub(super) fn host(text: &str) -> Result<IpAddr, String> {
    let address = text.parse().map_err(|_| format!("{} is not an IP address", Quoted(text)))?;
    AddressRule::Host.check(address).map_err(|reason| format!("{address} is no tunnel end: {reason}"))
}

/// A tunnel end as `ip:port`.
pub(super) fn tunnel_end(text: &str) -> Result<SocketAddr, String> {
    // A scope means nothing without an interface.
    let end = text.parse::<SocketAddr>().ok().filter(|end| end.port() != 0 && !text.contains('%'));
    let malformed = || format!("{} is no tunnel end like 192.0.2.1:4789 or [2001:db8::1]:4789", Quoted(text));
    let end = end.ok_or_else(malformed)?;
    let checked = AddressRule::Host.check(end.ip());
    let ip = checked.map_err(|reason| format!("{} is no tunnel end: {reason}", end.ip()))?;
    Ok(SocketAddr::new(ip, end.port()))
}

/// An IPv4 address that one machine of the overlay has.
pub(super) fn inner_v4(text: &str) -> Result<IpAddr, String> {
    let ip: Ipv4Addr = text.parse().map_err(|_| format!("{} is not an IPv4 address", Quoted(text)))?;
    let nobodys = ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0 || ip.is_loopback();
    if nobodys { Err(nobody(ip)) } else { Ok(ip.into()) }
}

/// An IPv6 address that one machine of the overlay has, link-local ones among them.
pub(super) fn inner_v6(text: &str) -> Result<IpAddr, String> {
    let ip: Ipv6Addr = text.parse().map_err(|_| format!("{} is not an IPv6 address", Quoted(text)))?;
    let mapped = ip.to_ipv4_mapped().is_some();
    let nobodys = ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() || mapped;
    if nobodys { Err(nobody(ip)) } else { Ok(ip.into()) }
}

fn nobody(ip: impl fmt::Display) -> String {
    format!("{ip} is an address that no machine of the overlay has")
}

pub(super) fn mac(text: &str) -> Result<MacAddr, String> {
    text.parse().map_err(|_| format!("{} is not a MAC address", Quoted(text)))
}

/// The beginning of a text, in one line and in quotation marks.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 50;
        let end = self.0.char_indices().nth(MOST).map(|(end, _)| end);
        let shown = &self.0[..end.unwrap_or(self.0.len())];
        write!(out, "'{}{}'", shown.escape_debug(), if end.is_some() { "…" } else { "" })
    }
}
