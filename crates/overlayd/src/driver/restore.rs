use overlay_core::engine::{Engine, Existing};
use overlay_core::types::LinkId;

use super::{Driver, Overlay, Vnic};
use crate::records::{OverlayRecord, Records, VnicRecord};

impl<E: Engine> Driver<E> {
    /// A driver with all that is stored. What fails is logged and shown, and does not stop the rest.
    pub(crate) fn restore(engine: E, records: Records) -> Self {
        let stored = records.load();
        let (overlays, vnics) = Default::default();
        let deleted = stored.deleted;
        let mut driver = Self { engine, records, overlays, vnics, deleted, varpd: None, events: Vec::new() };
        stored.overlays.into_iter().for_each(|record| driver.restore_overlay(record));
        stored.vnics.into_iter().for_each(|record| driver.restore_vnic(record));
        driver.deleted.retain(|id| !driver.overlays.contains_key(id));
        driver.mend();
        driver
    }

    fn restore_overlay(&mut self, record: OverlayRecord) {
        let name = record.name.clone();
        let checked = self.check_vnetid(&record).and_then(|()| Overlay::new(record));
        match checked {
            Ok(overlay) => {
                self.engine.set_overlay(overlay.record.id, &overlay.spec());
                self.overlays.insert(overlay.record.id, overlay);
            }
            Err(error) => tracing::error!("overlay {name} cannot be restored: {error}"),
        }
    }

    fn restore_vnic(&mut self, record: VnicRecord) {
        if !self.overlays.contains_key(&record.over) {
            tracing::error!("VNIC {} cannot be restored: its overlay is not there", record.name);
            return;
        }
        let outcome = self.engine.add_device(record.over, &record.spec(), Existing::Adopt);
        let fault = outcome.err().map(|error| error.to_string());
        if let Some(fault) = &fault {
            tracing::error!("VNIC {} has no device: {fault}", record.name);
        }
        self.vnics.insert(record.id, Vnic { record, fault });
    }

    /// Whether something waits to be mended: an underlay socket that could not be opened.
    pub(crate) fn is_ailing(&self) -> bool {
        self.unopened().next().is_some()
    }

    /// Tries again what failed for a reason that may have passed.
    pub(crate) fn mend(&mut self) {
        let unopened: Vec<_> = self.unopened().collect();
        for id in unopened {
            let outcome = self.engine.start(id).map_err(|error| error.to_string());
            let Some(overlay) = self.overlays.get_mut(&id) else { continue };
            let name = &overlay.record.name;
            match &outcome {
                Ok(()) => tracing::info!("overlay {name} has its underlay socket"),
                Err(reason) if overlay.underlay.as_ref() != Some(reason) => {
                    tracing::warn!("overlay {name}: {reason}");
                }
                Err(_) => {}
            }
            overlay.underlay = outcome.err();
        }
    }

    fn unopened(&self) -> impl Iterator<Item = LinkId> {
        let used = self.overlays.keys().filter(|id| self.vnics_over(**id).next().is_some());
        used.filter(|id| !self.engine.is_started(**id)).copied()
    }
}
