use std::net::{IpAddr, Ipv6Addr};

use super::packet::{ICMPV6, IGMP, Packet, Part};
use super::{DropReason, Own, dhcp, ndp};
use crate::datapath::PortSettings;
use crate::types::MacAddr;

/// Multicast listener reports and "done" (RFC 2710, RFC 3810), which may come from nobody yet (RFC 3590).
const LISTENER: [u8; 3] = [131, 132, 143];

impl Own<'_> {
    pub(super) fn check_source(&self, packet: &Packet<'_>) -> Result<(), DropReason> {
        let own = match packet.source {
            source if source.is_unspecified() => may_be_from_nobody(packet),
            source => self.may_use(source),
        };
        if own { Ok(()) } else { Err(DropReason::SpoofedIp) }
    }
}

/// Whether who has no address yet may send a packet.
fn may_be_from_nobody(packet: &Packet<'_>) -> bool {
    match packet.source {
        _ if packet.part != Part::Whole => false,
        IpAddr::V4(_) => packet.protocol == IGMP || packet.ports() == Some(dhcp::CLIENT_TO_SERVER),
        IpAddr::V6(_) => {
            let kind = packet.payload.first();
            let known = |kind: &u8| ndp::MAY_BE_FROM_NOBODY.contains(kind) || LISTENER.contains(kind);
            packet.protocol == ICMPV6 && kind.is_some_and(known)
        }
    }
}

/// Whether an address is the link-local one that is made of one of a VNIC's MAC addresses (RFC 4291 appendix A).
pub(super) fn is_made_of(address: IpAddr, settings: &PortSettings) -> bool {
    let IpAddr::V6(address) = address else { return false };
    address.is_unicast_link_local() && settings.macs().any(|mac| address == link_local(mac))
}

fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
