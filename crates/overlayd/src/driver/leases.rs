use overlay_core::engine::{Engine, LeaseInfo};
use overlay_core::types::{LinkId, MacAddr};

use super::Driver;

/// A VNIC that may use no other IP addresses than its own, and what DHCP has given it of these.
pub(crate) struct Given {
    pub(crate) link: LinkId,
    pub(crate) mac: MacAddr,
    /// Another number when `leases` have changed.
    pub(crate) changes: u64,
    pub(crate) leases: Vec<LeaseInfo>,
}

impl<E: Engine> Driver<E> {
    /// What DHCP has given to VNICs that may use nothing else.
    pub(crate) fn given(&self) -> Vec<Given> {
        let given = self.vnics.values().filter_map(|vnic| {
            let record = &vnic.record;
            let (changes, leases) = self.engine.leases(record.over, record.id)?;
            Some(Given { link: record.id, mac: record.mac, changes, leases })
        });
        given.collect()
    }

    /// Tells a VNIC what DHCP had given it.
    pub(crate) fn give_back(&mut self, link: LinkId, leases: Vec<LeaseInfo>) {
        if let Some(vnic) = self.vnics.get(&link) {
            self.engine.restore_leases(vnic.record.over, link, leases);
        }
    }
}
