//! DHCP and DHCPv6: what clients may call themselves, and what they are given.

use std::sync::{PoisonError, RwLock};

use super::leases::Leases;
use super::packet::{Packet, UDP, UDP_HEADER};
use super::{DropReason, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Inner, Own, Sent, dhcp4, dhcp6};
use crate::datapath::PortSettings;
use crate::types::MacAddr;
use crate::wire::{IPV4_HEADER_MIN, IPV6_HEADER};

/// The ports of DHCP's client and server (RFC 2131 section 4.1).
pub(super) const CLIENT_TO_SERVER: [u16; 2] = [68, 67];
/// Those of DHCPv6 (RFC 8415 section 7.2).
const CLIENT_TO_SERVER_V6: [u16; 2] = [546, 547];

/// DUIDs that are made of a link-layer address, with a time and without (RFC 8415 sections 11.2 and 11.4), for Ethernet.
const DUID_LLT: [u8; 4] = [0, 1, 0, 1];
const DUID_LL: [u8; 4] = [0, 3, 0, 1];
const DUID_TIME: usize = 4;

impl Packet<'_> {
    /// Whether it is from or to a port of DHCP's.
    pub(super) fn is_dhcp(&self) -> bool {
        let known = if self.source.is_ipv6() { CLIENT_TO_SERVER_V6 } else { CLIENT_TO_SERVER };
        self.ports().is_some_and(|ports| ports.iter().any(|port| known.contains(port)))
    }
}

/// Whether a DHCP message is a client's, and says who that is: of one whose frames are cut, only the first would be seen.
pub(super) fn check(settings: &PortSettings, packet: &Packet<'_>, sent: &Sent<'_>) -> Result<(), DropReason> {
    let message =
        packet.datagram().filter(|_| !sent.is_super_frame && !sent.writes_beside(packet.checksum()));
    let is_own = if packet.source.is_ipv6() { dhcp6::is_own } else { dhcp4::is_own };
    match message {
        Some(message) if is_own(message, settings) => Ok(()),
        _ => Err(DropReason::SpoofedDhcp),
    }
}

/// Remembers what a client asks for, and forgets what it gives back.
pub(super) fn watch(own: &Own<'_>, packet: &Packet<'_>) {
    let (ports, Some(message)) = (packet.ports(), packet.datagram()) else { return };
    let said = match ports {
        Some(CLIENT_TO_SERVER) if packet.source.is_ipv4() => dhcp4::said(message, own.settings, own.now),
        Some([_, to]) if packet.source.is_ipv6() && to == CLIENT_TO_SERVER_V6[1] => {
            dhcp6::said(message, own.now)
        }
        _ => None,
    };
    if let Some(said) = said {
        own.leases.write().unwrap_or_else(PoisonError::into_inner).note(said);
    }
}

/// Takes note of servers' answers in a frame, or in the datagrams of a run.
pub(super) fn hear(leases: &RwLock<Leases>, inner: &Inner<'_>) {
    let Some((v6, place)) = reply(inner) else { return };
    if inner.is_run() {
        return inner.more.iter().for_each(|message| hear_message(leases, v6, message));
    }
    let udp = &inner.frame[place..];
    let len = udp.get(4..).and_then(|octets| octets.first_chunk()).map(|len| u16::from_be_bytes(*len).into());
    if let Some(message) = len.and_then(|len: usize| udp.get(UDP_HEADER..len)) {
        hear_message(leases, v6, message);
    }
}

fn hear_message(leases: &RwLock<Leases>, v6: bool, message: &[u8]) {
    let number = if v6 { dhcp6::number(message) } else { dhcp4::number(message) };
    // Who answers what nobody has asked keeps no frame from being looked at.
    if !leases.read().unwrap_or_else(PoisonError::into_inner).await_answer(v6, number) {
        return;
    }
    if let Some(answer) = if v6 { dhcp6::answer(message) } else { dhcp4::answer(message) } {
        leases.write().unwrap_or_else(PoisonError::into_inner).take(&answer);
    }
}

/// Where the UDP header is of a frame from a server to a client, and whether that is DHCPv6. Servers have no use for
/// fragments and extension headers.
fn reply(inner: &Inner<'_>) -> Option<(bool, usize)> {
    let start = inner.ethernet.header_len;
    let ip = inner.frame.get(start..)?;
    let (v6, protocol, header_len) = match inner.ethernet.ethertype {
        ETHERTYPE_IPV4 => {
            let header = ip.first_chunk::<IPV4_HEADER_MIN>()?;
            let is_part = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
            let protocol = if is_part { 0 } else { header[9] };
            (false, protocol, usize::from(header[0] & 0x0f) * 4)
        }
        ETHERTYPE_IPV6 => (true, *ip.get(6)?, IPV6_HEADER),
        _ => return None,
    };
    if protocol != UDP {
        return None;
    }
    let [a, b, c, d] = *ip.get(header_len..)?.first_chunk()?;
    let [client, server] = if v6 { CLIENT_TO_SERVER_V6 } else { CLIENT_TO_SERVER };
    let ports = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    // A DHCPv6 server may send from any port (RFC 8415 section 7.2).
    let answers = ports[1] == client && (v6 || ports[0] == server);
    answers.then_some((v6, start + header_len))
}

/// Whether a DUID is made of one of the VNIC's addresses, or allowed.
pub(super) fn is_own_duid(duid: &[u8], settings: &PortSettings) -> bool {
    let address = match duid.split_first_chunk() {
        Some((&DUID_LLT, rest)) => rest.get(DUID_TIME..),
        Some((&DUID_LL, rest)) => Some(rest),
        _ => None,
    };
    let address = address.and_then(|address| <[u8; 6]>::try_from(address).ok());
    address.is_some_and(|octets| settings.owns(MacAddr(octets))) || is_allowed(duid, settings)
}

/// Whether an administrator has allowed an identifier.
pub(super) fn is_allowed(id: &[u8], settings: &PortSettings) -> bool {
    settings.policy.allowed_dhcp_cids.iter().any(|allowed| allowed.octets() == id)
}
