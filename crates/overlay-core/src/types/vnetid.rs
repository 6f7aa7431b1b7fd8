use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A virtual network's identifier (VXLAN: the VNI): 24 bits, 0 is legal (RFC 7348 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VnetId(u32);

/// Why a number or text is not a vnetid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("vnetid '{0}' is not a number from 0 to {max}", max = VnetId::MAX)]
pub struct VnetIdError(String);

impl VnetId {
    /// The highest one.
    pub const MAX: u32 = (1 << 24) - 1;

    /// From a number that has 24 bits at the most.
    ///
    /// # Errors
    /// The number is larger.
    pub fn new(value: u32) -> Result<Self, VnetIdError> {
        if value <= Self::MAX { Ok(Self(value)) } else { Err(VnetIdError(value.to_string())) }
    }

    /// From the three octets of a header, in network order.
    pub const fn from_wire(octets: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, octets[0], octets[1], octets[2]]))
    }

    /// As three octets in network order.
    pub const fn to_wire(self) -> [u8; 3] {
        let [_, high, middle, low] = self.0.to_be_bytes();
        [high, middle, low]
    }

    /// As a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl FromStr for VnetId {
    type Err = VnetIdError;

    fn from_str(text: &str) -> Result<Self, VnetIdError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { text.parse::<u32>().ok() } else { None };
        value.and_then(|value| Self::new(value).ok()).ok_or_else(|| VnetIdError(text.to_owned()))
    }
}

impl TryFrom<u32> for VnetId {
    type Error = VnetIdError;

    fn try_from(value: u32) -> Result<Self, VnetIdError> {
        Self::new(value)
    }
}

impl From<VnetId> for u32 {
    fn from(vnetid: VnetId) -> Self {
        vnetid.0
    }
}

impl fmt::Display for VnetId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form_is_three_octets_in_network_order() {
        let vnetid = VnetId::new(0x12_3456).unwrap();
        assert_eq!(vnetid.to_wire(), [0x12, 0x34, 0x56]);
        assert_eq!(VnetId::from_wire([0x12, 0x34, 0x56]), vnetid);
    }

    #[test]
    fn only_24_bits_are_a_vnetid() {
        for text in ["0", "23", "16777215"] {
            assert!(text.parse::<VnetId>().is_ok(), "{text}");
        }
        for text in ["", "-1", "+1", "16777216", "4294967296", "0x17", "23 ", "a"] {
            assert!(text.parse::<VnetId>().is_err(), "{text}");
        }
    }
}
