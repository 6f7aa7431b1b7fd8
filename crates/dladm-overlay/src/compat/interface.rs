//! The steps, carried out on an interface over netlink.

use std::net::IpAddr;

use overlay_core::netlink::{Address, AddressSet, Device, Netlink, NetlinkError};

use crate::words::{Family, Step};

/// An interface and the way to it.
#[derive(Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) netlink: &'a mut Netlink,
    pub(crate) device: Device,
}

/// Why a step was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The driver does not take it.
    #[error("its MTU is from {least} to {most} octets, not {asked}")]
    Mtu {
        /// The smallest that it takes.
        least: u32,
        /// The largest.
        most: u32,
        /// The one that was asked for.
        asked: u32,
    },
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
}

impl Interface<'_> {
    /// Carries out the steps; none, when one of them cannot be for this interface.
    ///
    /// # Errors
    /// [`StepError::Mtu`] before anything is done; the kernel's, about the first step that fails.
    pub(crate) fn carry_out(&mut self, steps: &[Step]) -> Result<(), StepError> {
        steps.iter().try_for_each(|step| self.check(step))?;
        steps.iter().try_for_each(|&step| self.step(step))?;
        Ok(())
    }

    fn check(&self, step: &Step) -> Result<(), StepError> {
        let limits = &self.device.mtu_limits;
        match *step {
            Step::Mtu(asked) if !limits.contains(&asked) => {
                Err(StepError::Mtu { least: *limits.start(), most: *limits.end(), asked })
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), NetlinkError> {
        let index = self.device.index;
        match step {
            Step::Plumb => Ok(()),
            Step::Unplumb(family) => self.unplumb(family),
            Step::Switch(up) => self.netlink.set_up(index, up),
            Step::Address(address, prefix) => self.replace(address, prefix),
            Step::Mtu(mtu) => self.netlink.set_mtu(index, mtu),
        }
    }

    /// Takes the addresses of one family off, and switches off unless the other one is still in use. The
    /// link-local address stays as long as the interface is up: the kernel makes it only when it goes up.
    fn unplumb(&mut self, family: Option<Family>) -> Result<(), NetlinkError> {
        let index = self.device.index;
        let (mine, other): (&[_], _) = match family {
            None => (&[AddressSet::V4, AddressSet::V6], None),
            Some(Family::Inet) => (&[AddressSet::V4], Some(AddressSet::V6Routed)),
            Some(Family::Inet6) => (&[AddressSet::V6Routed], Some(AddressSet::V4)),
        };
        mine.iter().try_for_each(|&set| self.netlink.flush_addresses(index, set))?;
        let left = self.netlink.addresses(index)?;
        let in_use = other.is_some_and(|set| left.iter().any(|address| set.contains(address.address)));
        if in_use { Ok(()) } else { self.netlink.set_up(index, false) }
    }

    /// Puts an address in place of the earlier ones of its sort, which come back when it is refused.
    fn replace(&mut self, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        let index = self.device.index;
        let mut earlier = self.netlink.addresses(index)?;
        earlier.retain(|other| sort(other.address) == sort(address));
        // Removed first: beside them the new one might be secondary to one, and would go with it.
        earlier
            .iter()
            .filter(|other| !is(other, address, prefix))
            .try_for_each(|other| self.remove(other))?;
        match self.netlink.add_address(index, address, prefix) {
            Err(error) if error.is_exists() => Ok(()),
            Err(error) => {
                for other in earlier {
                    // What is told is why the new one failed.
                    let _ = self.netlink.add_address(index, other.address, other.prefix);
                }
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn remove(&mut self, address: &Address) -> Result<(), NetlinkError> {
        match self.netlink.remove_address(address) {
            // It went together with the one to which it was secondary.
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }
}

fn is(address: &Address, ip: IpAddr, prefix: u8) -> bool {
    (address.address, address.prefix) == (ip, prefix)
}

/// Addresses of one sort replace each other: IPv4, IPv6, and the link-local ones of IPv6, which IPv6 cannot do without
/// (RFC 4291, section 2.1).
const fn sort(address: IpAddr) -> (bool, bool) {
    (address.is_ipv6(), address.is_ipv6() && !AddressSet::V6Routed.contains(address))
}
