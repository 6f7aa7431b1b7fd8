use std::collections::BTreeSet;

use overlay_core::control::BadRecord;
use overlay_core::engine::{Engine, Existing};
use overlay_core::property::{Assignment, MTU};
use overlay_core::protocol::ControlError;
use overlay_core::types::{LinkId, LinkName};

use super::{Broken, Driver, Overlay, Vnic};
use crate::records::{OverlayRecord, Records, VnicRecord};

impl<E: Engine> Driver<E> {
    /// A driver with all that is stored. What fails is logged and shown, and does not stop the rest.
    pub(crate) fn restore(engine: E, mut records: Records) -> Self {
        let stored = records.load();
        let (overlays, vnics, broken) = Default::default();
        let deleted = stored.deleted;
        let mut driver = Self {
            engine,
            records,
            overlays,
            vnics,
            broken,
            deleted,
            varpd: None,
            unasked: BTreeSet::new(),
            ailing: false,
            events: Vec::new(),
        };
        stored.bad.into_iter().for_each(|bad| driver.note_broken(bad));
        stored.overlays.into_iter().for_each(|record| driver.restore_overlay(record));
        stored.vnics.into_iter().for_each(|record| driver.restore_vnic(record));
        for bad in stored.bad_earlier {
            if bad.name.parse().is_ok_and(|name| driver.is_free(&name)) {
                driver.note_broken(bad);
            }
        }
        driver.deleted.retain(|id| !driver.overlays.contains_key(id));
        driver.mend();
        driver
    }

    fn restore_overlay(&mut self, record: OverlayRecord) {
        let (name, temporary, derived_mtu) = (record.name.clone(), record.temporary, record.derived_mtu);
        let single = self.check_single(record.id, &name).and_then(|()| self.check_vnetid(&record));
        let underlay = |listen| self.engine.underlay_mtu(listen);
        match single.and_then(|()| Overlay::new(record, underlay)) {
            Ok(overlay) => {
                let id = overlay.record.id;
                if overlay.record.derived_mtu != derived_mtu
                    && let Err(error) = self.records.save_overlay(&overlay.record)
                {
                    tracing::warn!("{name}: its MTU is not kept for a start without the underlay: {error}");
                }
                self.engine.set_overlay(id, &overlay.spec());
                self.overlays.insert(id, overlay);
                self.restore_targets(id);
            }
            Err(error) => {
                let bad = self.records.set_aside(&name, temporary, error.message);
                self.note_broken(bad);
            }
        }
    }

    /// No two links have one identifier or one name, whoever has copied their records.
    fn check_single(&self, id: LinkId, name: &LinkName) -> Result<(), ControlError> {
        let overlay = self.overlays.get(&id).map(|overlay| &overlay.record.name);
        if let Some(other) = overlay.or_else(|| self.vnics.get(&id).map(|vnic| &vnic.record.name)) {
            return Err(ControlError::invalid(format!("its identifier {id} is that of {other}")));
        }
        self.check_free(name)
    }

    /// A VNIC whose overlay is broken stays as it is, without anybody at its device, until that is mended or it is
    /// deleted.
    fn restore_vnic(&mut self, mut record: VnicRecord) {
        let id = record.id;
        if let Err(error) = self.check_single(id, &record.name) {
            let bad = self.records.set_aside(&record.name, record.temporary, error.message);
            return self.note_broken(bad);
        }
        if record.deleting {
            return self.finish_deletion(record);
        }
        self.take_over_mtu(&mut record);
        let (name, temporary) = (record.name.clone(), record.temporary);
        match Vnic::new(record) {
            Ok(vnic) => {
                self.vnics.insert(id, vnic);
                self.try_device(id);
            }
            Err(error) => {
                let bad = self.records.set_aside(&name, temporary, error.to_string());
                self.note_broken(bad);
            }
        }
    }

    /// Records had the MTU by itself once, whether somebody had given it or not: one that is not the overlay's was given.
    fn take_over_mtu(&self, record: &mut VnicRecord) {
        let Some(overlay) = self.overlays.get(&record.over) else { return };
        let Some(mtu) = record.mtu.take() else { return };
        if mtu != overlay.mtu && !record.properties.iter().any(|one| one.name == MTU) {
            record.properties.push(Assignment::new(MTU, mtu.to_string()));
        }
        if let Err(error) = self.records.save_vnic(record) {
            tracing::warn!("{}: its MTU is not stored as a link property: {error}", record.name);
        }
    }

    /// Takes over or makes the device of a VNIC, and notes why it cannot.
    pub(super) fn try_device(&mut self, id: LinkId) {
        let Some(vnic) = self.vnics.get(&id) else { return };
        let (name, over) = (vnic.record.name.clone(), vnic.record.over);
        let outcome = match self.overlays.get(&over).map(|overlay| vnic.spec(overlay.mtu)) {
            Some(spec) => {
                self.engine.add_device(over, &spec, Existing::Adopt).map_err(|error| error.to_string())
            }
            None => Err("its overlay is not there".to_owned()),
        };
        let fault = outcome.err();
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        if let Some(fault) = fault.as_ref().filter(|fault| vnic.fault.as_ref() != Some(fault)) {
            tracing::error!("VNIC {name} has no device: {fault}");
        }
        vnic.fault = fault;
    }

    fn finish_deletion(&mut self, record: VnicRecord) {
        let (id, over, name, temporary) = (record.id, record.over, record.name.clone(), record.temporary);
        tracing::info!("VNIC {name} was being deleted");
        if let (Some(overlay), Ok(vnic)) = (self.overlays.get(&over), Vnic::new(record.bare())) {
            // Taken over, so that it can be ended.
            let ended = self.engine.add_device(over, &vnic.spec(overlay.mtu), Existing::Adopt);
            let ended = ended.and_then(|()| self.engine.remove_device(over, id));
            if let Err(error) = ended {
                tracing::error!("VNIC {name} cannot be deleted: {error}");
            }
        }
        if let Err(error) = self.records.remove(&name, temporary) {
            tracing::error!("{error}");
        }
    }

    fn note_broken(&mut self, bad: BadRecord) {
        let reason =
            format!("its record cannot be used: {}; set aside as {}", bad.reason, bad.set_aside.display());
        tracing::error!("link {}: {reason}", bad.name);
        let id = self.fresh_id();
        if let Ok(name) = bad.name.parse() {
            self.broken.insert(name, Broken { id, reason });
        }
    }

    /// Whether something waits to be mended: a device or an underlay socket that could not be had.
    pub(crate) fn is_ailing(&self) -> bool {
        self.ailing
    }

    /// Sees whether something waits to be mended.
    pub(super) fn examine(&mut self) {
        self.ailing = self.unopened().next().is_some() || self.deviceless().next().is_some();
    }

    /// Tries again what failed for a reason that may have passed.
    pub(crate) fn mend(&mut self) {
        let deviceless: Vec<_> = self.deviceless().collect();
        deviceless.into_iter().for_each(|id| self.try_device(id));
        let unopened: BTreeSet<_> = self.unopened().collect();
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
        self.examine();
    }

    /// VNICs that could not have their device, over overlays that are there.
    fn deviceless(&self) -> impl Iterator<Item = LinkId> {
        let faulty = self.vnics.values().filter(|vnic| vnic.fault.is_some() && !vnic.record.deleting);
        faulty.filter(|vnic| self.overlays.contains_key(&vnic.record.over)).map(|vnic| vnic.record.id)
    }

    /// Overlays with VNICs and without an underlay socket, once for each VNIC.
    fn unopened(&self) -> impl Iterator<Item = LinkId> {
        let used = self.vnics.values().map(|vnic| vnic.record.over);
        used.filter(|id| self.overlays.contains_key(id) && !self.engine.is_started(*id))
    }
}
