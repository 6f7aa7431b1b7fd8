use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A VLAN identifier that a VNIC can have: 1 to 4094 (IEEE 802.1Q keeps 0 and 4095).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(NonZeroU16);

/// Why a number or text is not a VLAN identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("VLAN id '{0}' is not a number from 1 to 4094")]
pub struct VlanIdError(String);

impl VlanId {
    /// From its number.
    ///
    /// # Errors
    /// The number is 0 or over 4094.
    pub fn new(value: u16) -> Result<Self, VlanIdError> {
        NonZeroU16::new(value).filter(|vid| vid.get() < 4095).map(Self).ok_or(VlanIdError(value.to_string()))
    }

    /// As a number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl FromStr for VlanId {
    type Err = VlanIdError;

    fn from_str(text: &str) -> Result<Self, VlanIdError> {
        let value = text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
        value.and_then(|value| Self::new(value).ok()).ok_or_else(|| VlanIdError(text.to_owned()))
    }
}

impl TryFrom<u16> for VlanId {
    type Error = VlanIdError;

    fn try_from(value: u16) -> Result<Self, VlanIdError> {
        Self::new(value)
    }
}

impl From<VlanId> for u16 {
    fn from(vid: VlanId) -> Self {
        vid.number()
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_vids_are_refused() {
        for text in ["0", "4095", "65536", "-1", "+1", ""] {
            assert!(text.parse::<VlanId>().is_err(), "{text}");
        }
        assert_eq!("4094".parse::<VlanId>().map(VlanId::number), Ok(4094));
    }
}
