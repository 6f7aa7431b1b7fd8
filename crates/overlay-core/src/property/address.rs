use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Which addresses an IP property takes. Mapped IPv4 counts as IPv4; multicast, IPv4 broadcast,
/// v4-compatible and 6to4 addresses never stand for one host (illumos vxlan.c), and link-local IPv6
/// ones not without an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressRule {
    /// One host's address.
    Host,
    /// One host's address, or the unspecified one for all of this host's.
    HostOrAny,
}

impl AddressRule {
    /// The address in its plain form.
    ///
    /// # Errors
    /// Why the address cannot stand here.
    pub fn check(self, address: IpAddr) -> Result<IpAddr, &'static str> {
        let address = address.to_canonical();
        if address.is_unspecified() {
            return match self {
                Self::Host => Err("the unspecified address is no host"),
                Self::HostOrAny => Ok(address),
            };
        }
        if address.is_multicast() {
            return Err("it is a multicast address");
        }
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() => Err("it is the broadcast address"),
            IpAddr::V4(v4) if v4.octets()[0] == 0 => Err("it is in 0.0.0.0/8, which no host has (RFC 1122)"),
            IpAddr::V6(v6) => Self::check_v6(v6).map(|()| address),
            IpAddr::V4(_) => Ok(address),
        }
    }

    fn check_v6(address: Ipv6Addr) -> Result<(), &'static str> {
        let [first, second, ..] = address.segments();
        let compatible = address.segments()[..6] == [0; 6] && address != Ipv6Addr::LOCALHOST;
        match (first, second) {
            (0x2002, _) => Err("it is a 6to4 address"),
            (0, 0) if compatible => Err("it is a v4-compatible address"),
            (first, _) if first & 0xffc0 == 0xfe80 => Err("link-local addresses need an interface"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: AddressRule, text: &str) -> Result<IpAddr, &'static str> {
        rule.check(text.parse().unwrap())
    }

    #[test]
    fn hosts_are_accepted_and_mapped_ones_become_ipv4() {
        for text in ["10.0.0.1", "127.0.0.1", "2001:db8::1", "::1", "fd00::1"] {
            assert_eq!(check(AddressRule::Host, text), Ok(text.parse().unwrap()));
        }
        assert_eq!(check(AddressRule::Host, "::ffff:10.0.0.1"), Ok("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn addresses_of_no_single_host_are_refused() {
        for text in [
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::10.0.0.1",
            "2002:a00::1",
            "fe80::1",
            "0.0.0.9",
            "::ffff:224.0.0.1",
        ] {
            assert!(check(AddressRule::HostOrAny, text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_listener_may_take_the_unspecified_address() {
        for text in ["::", "0.0.0.0", "::ffff:0.0.0.0"] {
            assert!(check(AddressRule::Host, text).is_err(), "{text}");
            assert!(check(AddressRule::HostOrAny, text).is_ok(), "{text}");
        }
    }
}
