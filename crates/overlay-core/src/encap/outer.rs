//! What the outer IP header takes from an overlay's properties and what from the frame inside.

use crate::wire::{Ecn, IpHead};

/// Hops that a datagram may go when nothing says how many: what Linux gives a socket (IPDEFTTL, linux/ip.h).
pub const TTL_DEFAULT: u8 = 64;

/// Whether routers of the underlay may divide datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Df {
    /// They may not.
    #[default]
    Set,
    /// They may.
    Unset,
    /// As the packet inside says; other frames may be divided.
    Inherit,
}

/// What an overlay's properties say of the outer IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// Whether datagrams may be divided.
    pub df: Df,
    /// Hops that datagrams may go; none for as many as the packet inside.
    pub ttl: Option<u8>,
    /// DSCP, in the place where the type of service has it; none for that of the packet inside.
    pub tos: Option<u8>,
}

impl Default for Outer {
    fn default() -> Self {
        Self { df: Df::Set, ttl: Some(TTL_DEFAULT), tos: Some(0) }
    }
}

/// What the outer IP header of one frame's datagrams says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Whether they may not be divided on the way.
    pub df: bool,
    /// Hops that they may go; never 0.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
}

impl Default for Stamp {
    /// As a socket stamps by itself.
    fn default() -> Self {
        Self { df: true, ttl: TTL_DEFAULT, tos: 0 }
    }
}

impl Outer {
    /// The stamp for a frame with that packet inside, or with none. ECN is always the packet's own (RFC 6040 section 4.1,
    /// normal mode).
    pub fn stamp(&self, inner: Option<IpHead>) -> Stamp {
        let df = match self.df {
            Df::Set => true,
            Df::Unset => false,
            Df::Inherit => inner.is_some_and(|inner| inner.undivided),
        };
        let inherited = |inner: &IpHead| Some(inner.ttl).filter(|ttl| *ttl > 0);
        let ttl = self.ttl.or_else(|| inner.as_ref().and_then(inherited)).unwrap_or(TTL_DEFAULT);
        let inner_tos = inner.map_or(0, |inner| inner.tos);
        Stamp { df, ttl, tos: self.tos.unwrap_or(inner_tos) & !Ecn::MASK | inner_tos & Ecn::MASK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: IpHead = IpHead { v6: false, tos: 0xb8, ttl: 9, undivided: true };

    #[test]
    fn by_default_a_datagram_is_stamped_as_its_socket_does() {
        assert_eq!(Outer::default().stamp(None), Stamp::default());
        assert_eq!(Outer::default().stamp(Some(INNER)), Stamp::default());
    }

    #[test]
    fn what_is_inherited_is_the_packets_own() {
        let outer = Outer { df: Df::Inherit, ttl: None, tos: None };
        assert_eq!(outer.stamp(Some(INNER)), Stamp { df: true, ttl: 9, tos: 0xb8 });
        let loose = IpHead { undivided: false, ttl: 0, ..INNER };
        assert_eq!(outer.stamp(Some(loose)), Stamp { df: false, ttl: 64, tos: 0xb8 }, "no hop is no stamp");
        assert_eq!(outer.stamp(None), Stamp { df: false, ttl: 64, tos: 0 });
    }

    #[test]
    fn values_hold_for_every_frame() {
        let outer = Outer { df: Df::Unset, ttl: Some(1), tos: Some(0x20) };
        for inner in [None, Some(INNER)] {
            assert_eq!(outer.stamp(inner), Stamp { df: false, ttl: 1, tos: 0x20 });
        }
    }

    #[test]
    fn encapsulation_copies_the_ecn_field_in_normal_mode() {
        for ecn in 0..4 {
            for tos in [None, Some(0), Some(0xb8)] {
                let outer = Outer { tos, ..Outer::default() };
                assert_eq!(outer.stamp(Some(IpHead { tos: 0xb8 | ecn, ..INNER })).tos & Ecn::MASK, ecn);
            }
        }
    }
}
