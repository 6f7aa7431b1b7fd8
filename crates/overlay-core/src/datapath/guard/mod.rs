//! What a VNIC may send: its link property `protection`, as illumos's `mac_protect.c` means it, and stricter where that
//! lets something by (ADR 16). Whether a frame is let out depends on the frame, the VNIC's settings, and what its DHCP
//! clients have been given.

mod arp;
mod dhcp;
mod dhcp4;
mod dhcp6;
mod ip;
mod leases;
mod ndp;
mod packet;
mod sent;

#[cfg(test)]
mod frames;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use super::{DropReason, FrameBuf, Inner, PortSettings};
use crate::types::{MacAddr, Moment};
pub use leases::Lease;
use leases::Leases;
use packet::Packet;
use sent::Sent;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
/// RFC 903.
const ETHERTYPE_RARP: u16 = 0x8035;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Stands before what a VNIC sends, and remembers what its DHCP clients have been given.
#[derive(Debug, Default)]
pub(super) struct Guard {
    leases: RwLock<Leases>,
}

/// Whose frames are looked at, and when.
struct Own<'a> {
    settings: &'a PortSettings,
    leases: &'a RwLock<Leases>,
    now: Moment,
}

impl Guard {
    /// Whether a VNIC that is protected in some way may send a frame; a DHCP message that may go is remembered.
    pub(super) fn check(
        &self,
        settings: &PortSettings,
        frame: &FrameBuf,
        now: Moment,
    ) -> Result<(), DropReason> {
        let sent = Sent::read(frame).ok_or(DropReason::Runt)?;
        let protection = settings.policy.protection;
        if protection.mac_nospoof && (!settings.owns(sent.ethernet.source) || sent.writes_into_header()) {
            return Err(DropReason::SpoofedMac);
        }
        if protection.restricted && !sent.is_plain() {
            return Err(DropReason::Restricted);
        }
        if protection.ip_nospoof || protection.dhcp_nospoof {
            let own = Own { settings, leases: &self.leases, now };
            return own.check(&sent);
        }
        Ok(())
    }

    /// How often what DHCP has given the VNIC has changed, and all of it.
    pub(super) fn leases(&self) -> (u64, Vec<Lease>) {
        let leases = self.leases.read().unwrap_or_else(PoisonError::into_inner);
        (leases.state(), leases.all())
    }

    /// Takes over what DHCP gave the VNIC before.
    pub(super) fn restore(&self, leases: Vec<Lease>) {
        self.leases.write().unwrap_or_else(PoisonError::into_inner).restore(leases);
    }

    /// Forgets what DHCP has given, and what it has been asked for.
    pub(super) fn end_leases(&self) {
        *self.leases.write().unwrap_or_else(PoisonError::into_inner) = Leases::default();
    }

    /// Notes what a frame that a protected VNIC is given says to its DHCP clients.
    pub(super) fn hear(&self, settings: &PortSettings, inner: &Inner<'_>) {
        let destination = inner.ethernet.destination;
        if destination.is_multicast() || settings.owns(destination) {
            dhcp::hear(&self.leases, inner);
        }
    }
}

impl Own<'_> {
    fn check(&self, sent: &Sent<'_>) -> Result<(), DropReason> {
        let protection = self.settings.policy.protection;
        let packet = match sent.ethernet.ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Packet::read(sent.octets, &sent.ethernet),
            _ if protection.ip_nospoof => return self.check_others(sent),
            _ => return Ok(()),
        };
        // What cannot be read hides something, or is taken by nobody.
        let whose = if protection.ip_nospoof { DropReason::SpoofedIp } else { DropReason::SpoofedDhcp };
        let packet = packet.filter(|packet| !sent.writes_before(packet.fixed())).ok_or(whose)?;
        if protection.ip_nospoof {
            self.check_source(&packet)?;
            self.check_discovery(&packet, sent)?;
        }
        if packet.is_dhcp() {
            if protection.dhcp_nospoof {
                dhcp::check(self.settings, &packet, sent)?;
            }
            if protection.ip_nospoof && !sent.is_super_frame {
                dhcp::watch(self, &packet);
            }
        }
        Ok(())
    }

    /// What is no IP packet.
    fn check_others(&self, sent: &Sent<'_>) -> Result<(), DropReason> {
        match sent.ethernet.ethertype {
            ETHERTYPE_ARP if self.may_send_arp(sent) => Ok(()),
            ETHERTYPE_ARP | ETHERTYPE_RARP => Err(DropReason::SpoofedArp),
            // What is behind so many tags that nobody has read it.
            _ if sent.is_tag() => Err(DropReason::SpoofedIp),
            _ => Ok(()),
        }
    }

    fn owns(&self, mac: MacAddr) -> bool {
        self.settings.owns(mac)
    }

    /// Whether an IP address is the VNIC's own: given by hand, made of its MAC address, or by DHCP.
    fn may_use(&self, address: IpAddr) -> bool {
        let policy = &self.settings.policy;
        policy.allowed_ips.iter().any(|network| network.contains(address))
            || ip::is_made_of(address, self.settings)
            || self.leases.read().unwrap_or_else(PoisonError::into_inner).hold(address, self.now)
    }
}
