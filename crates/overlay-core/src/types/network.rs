use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses with the same first bits: one, or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// One address alone.
    pub const fn single(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// Those whose first `prefix` bits are the address's, whose other bits are zero; none where they are not, or there
    /// are not so many.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let network = Self { address, prefix };
        (prefix <= Self::single(address).prefix && network.is_aligned()).then_some(network)
    }

    /// Whether they are IPv4 addresses.
    pub const fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                same_bits(first.to_bits().into(), other.to_bits().into(), 32 - u32::from(self.prefix))
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                same_bits(first.to_bits(), other.to_bits(), 128 - u32::from(self.prefix))
            }
            _ => false,
        }
    }

    fn is_aligned(&self) -> bool {
        let (bits, free) = match self.address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32 - u32::from(self.prefix)),
            IpAddr::V6(address) => (address.to_bits(), 128 - u32::from(self.prefix)),
        };
        same_bits(bits, bits.checked_shr(free).and_then(|bits| bits.checked_shl(free)).unwrap_or(0), 0)
    }
}

/// Whether two numbers are the same but for the last `free` bits.
const fn same_bits(one: u128, other: u128, free: u32) -> bool {
    free >= u128::BITS || (one ^ other) >> free == 0
}

impl FromStr for Network {
    type Err = String;

    /// An address, or one with `/` and the length of the prefix, whose other bits are zero (dladm(8)).
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "it is not an IP address, or one with a prefix length like 192.0.2.0/24".to_owned();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let whole = Self::single(address.parse().map_err(|_| shape())?);
        if whole.address.is_unspecified() {
            return Err("it is the unspecified address".to_owned());
        }
        let Some(prefix) = prefix else { return Ok(whole) };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| digits && (1..=whole.prefix).contains(prefix));
        let network = Self { prefix: prefix.ok_or_else(shape)?, ..whole };
        if network.is_aligned() { Ok(network) } else { Err("it has bits set behind its prefix".to_owned()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_of_its_prefix() {
        for (text, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("192.0.2.7/32", "192.0.2.7", "::ffff:192.0.2.7"),
        ] {
            assert!(network(text).contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network(text).contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn it_is_shown_with_its_prefix_length() {
        assert_eq!(network("192.0.2.7").to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::/32").to_string(), "2001:db8::/32");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "192.0.2",
            "0.0.0.0",
            "::",
            "192.0.2.1/24",
            "192.0.2.0/0",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "::1/129",
            "1.2.3.4/",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
