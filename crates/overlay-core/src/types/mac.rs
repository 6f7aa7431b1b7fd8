use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An Ethernet address: six octets, in wire order.
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[serde(try_from = "String", into = "String")]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

/// Why a text is not the address of a VNIC or a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Not six hexadecimal octets with colons between them.
    #[error("'{0}' is not a MAC address (six hexadecimal octets, like 2:8:20:ab:cd:ef)")]
    Malformed(String),
    /// Not one to five hexadecimal octets with colons between them, or of group addresses.
    #[error(
        "'{0}' is not a MAC prefix (one to five hexadecimal octets, none of multicast addresses, like 2:8:20)"
    )]
    Prefix(String),
    /// The group bit of the first octet is set (IEEE 802).
    #[error("{0} is a multicast address, not one card's own")]
    Multicast(MacAddr),
    /// Every octet is zero.
    #[error("the all-zero MAC address cannot be a card's own")]
    Zero,
}

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set; broadcast counts as multicast (IEEE 802, the bit first on the wire).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The address itself when one card may own it.
    ///
    /// # Errors
    /// [`MacError::Multicast`] or [`MacError::Zero`].
    pub fn unicast(self) -> Result<Self, MacError> {
        match self {
            Self([0, 0, 0, 0, 0, 0]) => Err(MacError::Zero),
            mac if mac.is_multicast() => Err(MacError::Multicast(mac)),
            mac => Ok(mac),
        }
    }

    /// A VNIC's random address: the given first octets (by custom 02:08:20), the rest from `seed`.
    pub fn random(prefix: MacPrefix, seed: u64) -> Self {
        let mut octets = [0; 6];
        octets.copy_from_slice(&seed.to_be_bytes()[2..]);
        octets[..prefix.len].copy_from_slice(&prefix.octets[..prefix.len]);
        Self(octets)
    }
}

/// Leading octets of a random address: one to five of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacPrefix {
    octets: [u8; 5],
    len: usize,
}

impl MacPrefix {
    /// 02:08:20, the prefix of illumos's VNICs (libdlvnic.c).
    pub const VNIC: Self = Self { octets: [0x02, 0x08, 0x20, 0, 0], len: 3 };
}

impl Default for MacPrefix {
    fn default() -> Self {
        Self::VNIC
    }
}

impl FromStr for MacPrefix {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let malformed = || MacError::Prefix(text.to_owned());
        let mut prefix = Self { octets: [0; 5], len: 0 };
        for part in text.split(':') {
            *prefix.octets.get_mut(prefix.len).ok_or_else(malformed)? = octet(part).ok_or_else(malformed)?;
            prefix.len += 1;
        }
        if prefix.octets[0] & 1 == 1 { Err(malformed()) } else { Ok(prefix) }
    }
}

impl fmt::Display for MacPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets: Vec<_> = self.octets[..self.len].iter().map(|octet| format!("{octet:x}")).collect();
        out.write_str(&octets.join(":"))
    }
}

impl TryFrom<String> for MacPrefix {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<MacPrefix> for String {
    fn from(prefix: MacPrefix) -> Self {
        prefix.to_string()
    }
}

fn octet(text: &str) -> Option<u8> {
    let hex = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { u8::from_str_radix(text, 16).ok() } else { None }
}

impl FromStr for MacAddr {
    type Err = MacError;

    /// Colon-separated hexadecimal octets, leading zeros optional (as `ether_aton` reads them).
    fn from_str(text: &str) -> Result<Self, MacError> {
        let malformed = || MacError::Malformed(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for slot in &mut octets {
            *slot = parts.next().and_then(octet).ok_or_else(malformed)?;
        }
        if parts.next().is_some() { Err(malformed()) } else { Ok(Self(octets)) }
    }
}

impl fmt::Display for MacAddr {
    /// Lower-case octets without leading zeros, as dladm shows them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl TryFrom<String> for MacAddr {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_undoes_display(octets: [u8; 6]) {
            prop_assert_eq!(MacAddr(octets).to_string().parse(), Ok(MacAddr(octets)));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,24}") {
            let _ = text.parse::<MacAddr>();
            let _ = text.parse::<MacPrefix>();
        }

        #[test]
        fn random_keeps_its_prefix_and_is_unicast(seed: u64) {
            let mac = MacAddr::random(MacPrefix::VNIC, seed);
            prop_assert_eq!(&mac.0[..3], &[2, 8, 0x20]);
            prop_assert_eq!(mac.unicast(), Ok(mac));
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in
            ["", "1:2:3:4:5", "1:2:3:4:5:6:7", "1:2:3:4:5:g", "001:2:3:4:5:6", "+1:2:3:4:5:6", ":::::"]
        {
            assert!(matches!(text.parse::<MacAddr>(), Err(MacError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn group_and_zero_addresses_are_nobodys_own() {
        assert!(MacAddr::BROADCAST.unicast().is_err());
        assert!(MacAddr([1, 0, 0x5e, 0, 0, 1]).unicast().is_err());
        assert_eq!(MacAddr::default().unicast(), Err(MacError::Zero));
    }

    #[test]
    fn a_prefix_has_one_to_five_octets() {
        assert_eq!("2:8:20".parse(), Ok(MacPrefix::VNIC));
        assert!("".parse::<MacPrefix>().is_err());
        assert!("2:8:20:1:2:3".parse::<MacPrefix>().is_err());
        assert!("1:8:20".parse::<MacPrefix>().is_err());
    }
}
