use std::net::{IpAddr, Ipv6Addr};

use super::packet::{ICMPV6, Packet, Part};
use super::{DropReason, Own, Sent};
use crate::types::MacAddr;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// What may be asked without an address (RFC 4861 sections 4.1 and 4.3).
pub(super) const MAY_BE_FROM_NOBODY: [u8; 2] = [ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION];

/// The options with a link-layer address: the source's and the target's (RFC 4861 section 4.6.1).
const LINK_LAYER: [u8; 2] = [1, 2];

impl Own<'_> {
    /// Whether neighbour discovery speaks of nobody but its sender.
    pub(super) fn check_discovery(&self, packet: &Packet<'_>, sent: &Sent<'_>) -> Result<(), DropReason> {
        let Some(kind) =
            packet.payload.first().filter(|_| packet.protocol == ICMPV6 && packet.source.is_ipv6())
        else {
            return Ok(());
        };
        let header_len = match *kind {
            ROUTER_SOLICITATION => 8,
            ROUTER_ADVERTISEMENT => 16,
            NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => 24,
            REDIRECT => 40,
            _ => return Ok(()),
        };
        // It is in one packet (RFC 6980).
        let whole = packet.part == Part::Whole && !sent.writes_beside(packet.checksum());
        let own = whole && self.may_discover(*kind, packet, header_len);
        if own { Ok(()) } else { Err(DropReason::SpoofedNdp) }
    }

    fn may_discover(&self, kind: u8, packet: &Packet<'_>, header_len: usize) -> bool {
        let Some((header, options)) = packet.payload.split_at_checked(header_len) else { return false };
        let nobody = packet.source.is_unspecified();
        let target = header
            .get(8..24)
            .and_then(|octets| octets.first_chunk::<16>())
            .map(|octets| Ipv6Addr::from(*octets));
        // Duplicate address detection (RFC 4862): who asks for another's address so makes its owner give it up.
        let claims = kind == NEIGHBOUR_ADVERTISEMENT || kind == NEIGHBOUR_SOLICITATION && nobody;
        // A router tells of another's (RFC 4861 section 8.2); that it is one, its source has to show.
        let foreign = kind == REDIRECT;
        (!claims || target.is_some_and(|target| self.may_use(IpAddr::V6(target))))
            && self.are_own(options, nobody, foreign)
    }

    /// Whether options are whole, and the link-layer addresses in them the sender's: who has no address says none.
    fn are_own(&self, mut options: &[u8], nobody: bool, foreign: bool) -> bool {
        while !options.is_empty() {
            let len = options.get(1).map_or(0, |units| usize::from(*units) * 8);
            let Some((option, rest)) = options.split_at_checked(len).filter(|_| len > 0) else {
                return false;
            };
            if LINK_LAYER.contains(&option[0]) && !foreign {
                let address = option[2..].first_chunk().filter(|_| len == 8 && !nobody);
                if !address.is_some_and(|octets| self.owns(MacAddr(*octets))) {
                    return false;
                }
            }
            options = rest;
        }
        true
    }
}
