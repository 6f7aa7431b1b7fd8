//! Links that are stored and not there: deleted until the next boot, or until they are brought up.

use std::collections::BTreeMap;

use overlay_core::engine::Engine;
use overlay_core::property::{Assignment, ZONE};
use overlay_core::protocol::{ControlError, StoredLink, StoredWhat};
use overlay_core::types::{LinkId, LinkName};

use super::{Driver, Overlay, Vnic};
use crate::records::{OverlayRecord, VnicRecord};
use crate::until_boot::Presence;

/// Links that are stored and not there. Their names, addresses and virtual networks stay theirs, and so do the overlays'
/// varpd instances.
#[derive(Default)]
pub(super) struct Dormant {
    pub(super) overlays: BTreeMap<LinkId, Overlay>,
    pub(super) vnics: BTreeMap<LinkId, Vnic>,
}

impl Dormant {
    pub(super) fn has(&self, id: LinkId) -> bool {
        self.overlays.contains_key(&id) || self.vnics.contains_key(&id)
    }

    pub(super) fn overlay_named(&self, name: &LinkName) -> Option<LinkId> {
        self.overlays.values().map(|overlay| &overlay.record).find(|one| one.name == *name).map(|one| one.id)
    }

    pub(super) fn vnic_named(&self, name: &LinkName) -> Option<LinkId> {
        self.vnics.values().map(|vnic| &vnic.record).find(|one| one.name == *name).map(|one| one.id)
    }

    pub(super) fn link_named(&self, name: &LinkName) -> Option<LinkId> {
        self.overlay_named(name).or_else(|| self.vnic_named(name))
    }

    pub(super) fn vnics_over(&self, overlay: LinkId) -> impl Iterator<Item = &Vnic> {
        self.vnics.values().filter(move |vnic| vnic.record.over == overlay)
    }
}

impl<E> Driver<E> {
    /// An overlay, whether it is there or only stored.
    fn overlay_anywhere(&self, id: LinkId) -> Option<&Overlay> {
        self.overlays.get(&id).or_else(|| self.dormant.overlays.get(&id))
    }

    /// The VNICs over an overlay, whether they are there or only stored.
    pub(super) fn stored_over(&self, overlay: LinkId) -> impl Iterator<Item = &Vnic> {
        let here = self.vnics.values().filter(move |vnic| vnic.record.over == overlay);
        here.chain(self.dormant.vnics_over(overlay))
    }

    /// Refuses what needs a link that is stored and not there.
    pub(super) fn not_up(&self, name: &LinkName) -> ControlError {
        let vnic = self.dormant.vnic_named(name).and_then(|id| self.dormant.vnics.get(&id));
        let over = vnic.and_then(|vnic| self.overlay_anywhere(vnic.record.over));
        let overlay = over.map_or(name, |overlay| &overlay.record.name);
        ControlError::not_found(format!("{name} is stored, and not there now"))
            .with_hint(format!("bring it up: dladm up-overlay {overlay}"))
    }

    /// What is stored of every link.
    pub(super) fn stored_links(&self) -> Vec<StoredLink> {
        let here = self.overlays.values().map(|overlay| (true, &overlay.record));
        let overlays = here.chain(self.dormant.overlays.values().map(|overlay| (false, &overlay.record)));
        let overlays = overlays.filter(|(_, record)| !record.temporary);
        let overlays = overlays.map(|(active, record)| stored_overlay(active, record));
        let here = self.vnics.values().map(|vnic| (true, &vnic.record));
        let vnics = here.chain(self.dormant.vnics.values().map(|vnic| (false, &vnic.record)));
        let vnics = vnics.filter(|(_, record)| !record.temporary);
        let vnics = vnics.map(|(active, record)| self.stored_vnic(active, record));
        let mut links: Vec<_> = overlays.chain(vnics).collect();
        links.sort_by(|one, other| one.name.cmp(&other.name));
        links
    }

    fn stored_vnic(&self, active: bool, record: &VnicRecord) -> StoredLink {
        let &VnicRecord { id, over, mac, mac_type, vid, .. } = record;
        let over = self.overlay_anywhere(over).map(|overlay| overlay.record.name.clone());
        let zone = record.properties.iter().find(|one| one.name == ZONE);
        let zone = zone.and_then(|Assignment { value, .. }| value.parse().ok());
        let what = StoredWhat::Vnic { over, mac, mac_type, vid, zone };
        StoredLink { id, name: record.name.clone(), active, what }
    }
}

fn stored_overlay(active: bool, record: &OverlayRecord) -> StoredLink {
    let what = StoredWhat::Overlay {
        encap: record.encap.clone(),
        vnetid: record.vnetid,
        search: record.search.clone(),
        properties: record.properties.clone(),
    };
    StoredLink { id: record.id, name: record.name.clone(), active, what }
}

impl<E: Engine> Driver<E> {
    /// Ends an overlay without VNICs, whose record stays.
    pub(super) fn put_away_overlay(&mut self, mut record: OverlayRecord) -> Result<(), ControlError> {
        let id = record.id;
        record.until_boot.presence = Presence::Absent;
        self.records.save_overlay(&record)?;
        self.engine.remove_overlay(id);
        if let Some(overlay) = self.overlays.remove(&id) {
            self.dormant.overlays.insert(id, Overlay { record, ..overlay });
        }
        Ok(())
    }

    /// Notes that a VNIC has no device any more, and its record stays.
    pub(super) fn put_away_vnic(&mut self, id: LinkId) {
        if let Some(vnic) = self.vnics.remove(&id) {
            self.keep_away(vnic);
        }
    }

    fn keep_away(&mut self, mut vnic: Vnic) {
        (vnic.fault, vnic.left) = (None, false);
        vnic.record.until_boot.presence = Presence::Absent;
        if let Err(error) = self.records.save_vnic(&vnic.record) {
            // As it is stored, the next start looks for its device once more.
            tracing::warn!("{}", error.message);
        }
        self.dormant.vnics.insert(vnic.record.id, vnic);
    }

    /// A VNIC that is stored and not there, or that was on its way out when a crash came.
    pub(super) fn restore_dormant_vnic(&mut self, vnic: Vnic) {
        if vnic.record.until_boot.presence != Presence::Ending {
            self.dormant.vnics.insert(vnic.record.id, vnic);
            return;
        }
        let name = &vnic.record.name;
        tracing::info!("VNIC {name} was being deleted until the next boot");
        match self.discard(&vnic.record) {
            Ok(()) => self.keep_away(vnic),
            Err(problem) => {
                tracing::error!("VNIC {name} cannot be deleted: {problem}");
                self.dormant.vnics.insert(vnic.record.id, Vnic { left: true, ..vnic });
            }
        }
    }

    /// Brings up stored overlays that are not there, and the stored VNICs on them; says what could not be.
    pub(super) fn up_overlays(&mut self, name: Option<&LinkName>) -> Result<Vec<String>, ControlError> {
        let ids: Vec<_> = match name {
            Some(name) => {
                vec![self.dormant.overlay_named(name).map_or_else(|| self.overlay_named(name), Ok)?]
            }
            None => self.dormant.overlays.keys().chain(self.overlays.keys()).copied().collect(),
        };
        let mut problems = Vec::new();
        for id in ids {
            match self.up_overlay(id) {
                Ok(()) => problems.extend(self.up_vnics(id)),
                Err(problem) => problems.push(problem),
            }
        }
        self.mend();
        Ok(problems)
    }

    fn up_overlay(&mut self, id: LinkId) -> Result<(), String> {
        let Some(overlay) = self.dormant.overlays.get(&id) else { return Ok(()) };
        let mut overlay = overlay.clone();
        let failed = |name: &LinkName, error: &str| format!("overlay {name} cannot be brought up: {error}");
        // The underlay may have changed.
        let settled = overlay.settle_properties(|listen| self.engine.underlay_mtu(listen));
        settled.map_err(|error| failed(&overlay.record.name, &error.to_string()))?;
        overlay.record.until_boot.presence = Presence::Here;
        let saved = self.records.save_overlay(&overlay.record);
        saved.map_err(|error| failed(&overlay.record.name, &error.message))?;
        self.dormant.overlays.remove(&id);
        self.engine.set_overlay(id, &overlay.spec());
        tracing::info!("overlay {} is brought up", overlay.record.name);
        self.overlays.insert(id, overlay);
        self.restore_targets(id);
        Ok(())
    }

    /// Brings up the stored VNICs over an overlay that is there; says what could not be.
    fn up_vnics(&mut self, over: LinkId) -> Vec<String> {
        let ids: Vec<_> = self.dormant.vnics_over(over).map(|vnic| vnic.record.id).collect();
        ids.into_iter().filter_map(|id| self.up_vnic(id).err()).collect()
    }

    fn up_vnic(&mut self, id: LinkId) -> Result<(), String> {
        let Some(vnic) = self.dormant.vnics.get(&id) else { return Ok(()) };
        let mut record = vnic.record.clone();
        record.until_boot.presence = Presence::Here;
        let failed = |name: &LinkName, error: &str| format!("VNIC {name} cannot be brought up: {error}");
        self.records.save_vnic(&record).map_err(|error| failed(&record.name, &error.message))?;
        let name = record.name.clone();
        if let Some(vnic) = self.dormant.vnics.remove(&id) {
            self.vnics.insert(id, Vnic { record, ..vnic });
        }
        self.try_device(id);
        let fault = self.vnics.get(&id).and_then(|vnic| vnic.fault.clone());
        fault.map_or(Ok(()), |fault| Err(failed(&name, &fault)))
    }
}
