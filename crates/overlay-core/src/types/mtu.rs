use std::fmt;

use serde::{Deserialize, Serialize};

/// The smallest MTU of an overlay, in octets (illumos overlay.c).
pub const MTU_MIN: u16 = 576;
/// The largest one, in octets (illumos overlay.c).
pub const MTU_MAX: u16 = 8900;
/// The MTU of an overlay that was given none, in octets (illumos overlay.c).
pub const MTU_DEFAULT: u16 = 1400;

/// The largest packet inside an overlay, in octets, without its Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct OverlayMtu(u16);

impl OverlayMtu {
    /// From a number of octets.
    ///
    /// # Errors
    /// The number is outside [`MTU_MIN`] to [`MTU_MAX`].
    pub fn new(octets: u16) -> Result<Self, String> {
        if (MTU_MIN..=MTU_MAX).contains(&octets) {
            Ok(Self(octets))
        } else {
            Err(format!("mtu {octets} is not between {MTU_MIN} and {MTU_MAX}"))
        }
    }

    /// The nearest to a number of octets.
    pub fn nearest(octets: usize) -> Self {
        Self(u16::try_from(octets).unwrap_or(MTU_MAX).clamp(MTU_MIN, MTU_MAX))
    }

    /// In octets.
    pub const fn octets(self) -> u16 {
        self.0
    }

    /// Octets of the largest frame whose Ethernet header, tags included, has `header_len`.
    pub const fn frame_limit(self, header_len: usize) -> usize {
        header_len + self.0 as usize
    }
}

impl Default for OverlayMtu {
    fn default() -> Self {
        Self(MTU_DEFAULT)
    }
}

impl TryFrom<u16> for OverlayMtu {
    type Error = String;

    fn try_from(octets: u16) -> Result<Self, String> {
        Self::new(octets)
    }
}

impl From<OverlayMtu> for u16 {
    fn from(mtu: OverlayMtu) -> Self {
        mtu.0
    }
}

impl fmt::Display for OverlayMtu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// Octets of an IP header of either version, without options or extensions, and of UDP's.
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const UDP_HEADER: u32 = 8;

/// The largest IP packet that the underlay takes, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnderlayMtu(pub u32);

impl UnderlayMtu {
    /// Octets of the largest packet inside a tunnel, where `headers` octets stand between UDP's header and it: the
    /// encapsulation's and Ethernet's.
    pub const fn inside(self, v6: bool, headers: usize) -> usize {
        let outer = UDP_HEADER + if v6 { IPV6_HEADER } else { IPV4_HEADER };
        (self.0.saturating_sub(outer) as usize).saturating_sub(headers)
    }
}

impl fmt::Display for UnderlayMtu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_inclusive() {
        assert!(OverlayMtu::new(MTU_MIN).is_ok() && OverlayMtu::new(MTU_MAX).is_ok());
        assert!(OverlayMtu::new(MTU_MIN - 1).is_err() && OverlayMtu::new(MTU_MAX + 1).is_err());
    }

    #[test]
    fn a_tunnels_packet_is_the_underlays_less_fifty_octets_or_seventy() {
        assert_eq!(UnderlayMtu(1500).inside(false, 8 + 14), 1450);
        assert_eq!(UnderlayMtu(1500).inside(true, 8 + 14), 1430);
        assert_eq!(UnderlayMtu(1500).inside(true, 8 + 18), 1426);
        assert_eq!(UnderlayMtu(60).inside(false, 8 + 60), 0);
    }
}
