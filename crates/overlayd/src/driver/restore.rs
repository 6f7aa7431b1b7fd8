use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Instant;

use overlay_core::control::BadRecord;
use overlay_core::device::{TapError, ZoneError};
use overlay_core::engine::{Engine, Existing};
use overlay_core::property::{Assignment, MTU};
use overlay_core::protocol::ControlError;
use overlay_core::types::{LinkId, LinkName, OverlayMtu};

use super::dormant::Dormant;
use super::watch::Watch;
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
            dormant: Dormant::default(),
            broken,
            deleted,
            varpd: None,
            attached: None,
            unasked: BTreeSet::new(),
            ailing: false,
            zoned: false,
            events: Vec::new(),
            watch: Watch::default(),
            checked: RefCell::default(),
            alive: Box::new(|| ()),
        };
        stored.bad.into_iter().for_each(|bad| driver.note_broken(bad));
        stored.overlays.into_iter().for_each(|record| driver.restore_overlay(record));
        stored.vnics.into_iter().for_each(|record| driver.restore_vnic(record));
        // All of them are known by now: a change that has come to its end for one of them has perhaps not for another.
        driver.restore_devices();
        for bad in stored.bad_earlier {
            if bad.name.parse().is_ok_and(|name| driver.is_free(&name)) {
                driver.note_broken(bad);
            }
        }
        driver.take_back_deletions();
        driver.settle_overlays();
        driver.mend();
        driver
    }

    /// Forgets deletions that a crash has cut short before the overlay's record was gone.
    fn take_back_deletions(&mut self) {
        let noted = self.deleted.len();
        self.deleted.retain(|id| !self.overlays.contains_key(id) && !self.dormant.has(*id));
        if self.deleted.len() < noted
            && let Err(error) = self.records.save_deleted(&self.deleted)
        {
            tracing::warn!("{}", error.message);
        }
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
                if !overlay.record.until_boot.is_here() {
                    self.dormant.overlays.insert(id, overlay);
                    return;
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
        let overlays = self.overlays.get(&id).or_else(|| self.dormant.overlays.get(&id));
        let vnics = self.vnics.get(&id).or_else(|| self.dormant.vnics.get(&id));
        let overlay = overlays.map(|overlay| &overlay.record.name);
        if let Some(other) = overlay.or_else(|| vnics.map(|vnic| &vnic.record.name)) {
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
            Ok(vnic) if !vnic.record.until_boot.is_here() || self.dormant.has(vnic.record.over) => {
                self.restore_dormant_vnic(vnic);
            }
            Ok(vnic) => {
                self.vnics.insert(id, Vnic { left: true, ..vnic });
            }
            Err(error) => {
                let bad = self.records.set_aside(&name, temporary, error.to_string());
                self.note_broken(bad);
            }
        }
    }

    fn restore_devices(&mut self) {
        let ids: Vec<_> = self.vnics.keys().copied().collect();
        for id in ids {
            self.try_device(id);
            self.discard_stray(id);
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
        let (name, over, mut left) = (vnic.record.name.clone(), vnic.record.over, vnic.left);
        let (overlay, existing) = (self.overlays.get(&over), self.existing(vnic));
        let (fault, awaits_zone) = match overlay.map(|overlay| vnic.spec(overlay.mtu)) {
            Some(spec) => match self.engine.add_device(over, &spec, existing) {
                Ok(()) => {
                    left = false;
                    (None, false)
                }
                Err(error) => {
                    left &= !is_nowhere(&error);
                    (Some(error.to_string()), is_absence(&error))
                }
            },
            None => (Some("its overlay is not there".to_owned()), false),
        };
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        match &fault {
            Some(fault) if vnic.fault.as_ref() != Some(fault) => {
                tracing::error!("VNIC {name} has no device: {fault}");
            }
            None if vnic.fault.is_some() => tracing::info!("VNIC {name} has its device again"),
            _ => {}
        }
        (vnic.fault, vnic.awaits_zone, vnic.left) = (fault, awaits_zone, left);
        self.settle_changes(id);
        (self.alive)();
    }

    /// What may be there of a VNIC's device. Every zone is looked into for what an earlier run has left, and for nothing else.
    pub(super) fn existing(&self, vnic: &Vnic) -> Existing {
        let record = &vnic.record;
        let overlay = self.overlays.get(&record.over);
        let unfinished = record.resizing || record.renamed_from.is_some();
        match unfinished || overlay.is_some_and(|overlay| overlay.record.resizing) {
            _ if !vnic.left => Existing::Again,
            true => Existing::Finish,
            false => Existing::Adopt,
        }
    }

    /// A VNIC whose zone is not there has no device, wherever an earlier run has left one.
    fn discard_stray(&mut self, id: LinkId) {
        let Some(record) =
            self.vnics.get(&id).filter(|vnic| vnic.awaits_zone).map(|vnic| vnic.record.clone())
        else {
            return;
        };
        if let Err(problem) = self.discard(&record) {
            tracing::error!("VNIC {} still has a device that is not in its zone: {problem}", record.name);
        }
    }

    /// Notes that a VNIC's device is what its record says, where it has one.
    pub(super) fn settle_changes(&mut self, id: LinkId) {
        let Some(vnic) = self.vnic_mut(id) else { return };
        let (mut record, whole) = (vnic.record.clone(), vnic.fault.is_none());
        let unfinished = record.resizing || record.renamed_from.is_some();
        if unfinished && self.is_older_self_gone(record.renamed_from.as_ref(), record.temporary) && whole {
            (record.resizing, record.renamed_from) = (false, None);
            if let Err(error) = self.records.save_vnic(&record) {
                // The next start goes over it again.
                tracing::warn!("{}", error.message);
            }
            self.set_vnic_record(id, record.clone());
        }
        self.settle_overlay(record.over);
    }

    /// Notes that an overlay's VNICs have followed it. One that waits for its zone gets a device that is new.
    pub(super) fn settle_overlay(&mut self, id: LinkId) {
        let unfinished = |record: &OverlayRecord| record.resizing || record.renamed_from.is_some();
        let overlay = self.overlay_mut(id).filter(|overlay| unfinished(&overlay.record));
        // Its record is copied only now: it can be long, and each of its VNICs asks at a start.
        let Some(mut record) = overlay.map(|overlay| overlay.record.clone()) else { return };
        let follows = |vnic: &Vnic| vnic.awaits_zone || self.engine.has_device(id, vnic.record.id);
        record.resizing &= !self.vnics_over(id).all(follows);
        if self.is_older_self_gone(record.renamed_from.as_ref(), record.temporary) {
            record.renamed_from = None;
        }
        let Some(overlay) = self.overlay_mut(id).filter(|overlay| overlay.record != record) else { return };
        overlay.record = record.clone();
        if let Err(error) = self.records.save_overlay(&record) {
            tracing::warn!("{}", error.message);
        }
    }

    fn settle_overlays(&mut self) {
        let ids: Vec<_> = self.overlays.keys().copied().collect();
        ids.into_iter().for_each(|id| self.settle_overlay(id));
    }

    fn finish_deletion(&mut self, record: VnicRecord) {
        let (name, temporary) = (record.name.clone(), record.temporary);
        tracing::info!("VNIC {name} was being deleted");
        let ended = self.discard(&record);
        let removed = || self.forget_record(&name, record.renamed_from.as_ref(), temporary);
        let ended = ended.and_then(|()| removed().map_err(|error| error.message));
        if let Err(problem) = ended {
            tracing::error!("VNIC {name} cannot be deleted: {problem}");
        }
    }

    /// Ends the device that an earlier run has left of a VNIC.
    pub(super) fn discard(&mut self, record: &VnicRecord) -> Result<(), String> {
        let vnic = Vnic::new(record.bare()).map_err(|error| error.to_string())?;
        self.engine.discard_device(&vnic.spec(OverlayMtu::default())).map_err(|error| error.to_string())
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
        self.zoned = self.uses_zones();
        self.ailing = self.unopened().next().is_some() || self.deviceless().next().is_some();
    }

    /// Tries again what failed for a reason that may have passed.
    pub(crate) fn mend(&mut self) {
        self.mend_at(Instant::now());
    }

    pub(super) fn mend_at(&mut self, now: Instant) {
        let deviceless: Vec<_> = self.deviceless().collect();
        let rests = |id: &LinkId| self.vnics.get(id).is_some_and(|vnic| vnic.losses.rest(now));
        let deviceless: Vec<_> = deviceless.into_iter().filter(|id| !rests(id)).collect();
        self.watch.stale |= !deviceless.is_empty();
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
            (self.alive)();
        }
        self.examine();
    }

    /// VNICs that could not have their device, over overlays that are there. Of zones that come, the system tells.
    fn deviceless(&self) -> impl Iterator<Item = LinkId> {
        let faulty = self.vnics.values().filter(|vnic| vnic.fault.is_some() && !vnic.record.is_leaving());
        let faulty = faulty.filter(|vnic| !vnic.awaits_zone);
        faulty.filter(|vnic| self.overlays.contains_key(&vnic.record.over)).map(|vnic| vnic.record.id)
    }

    /// Overlays with VNICs and without an underlay socket, once for each VNIC.
    fn unopened(&self) -> impl Iterator<Item = LinkId> {
        let used = self.vnics.values().map(|vnic| vnic.record.over);
        used.filter(|id| self.overlays.contains_key(id) && !self.engine.is_started(*id))
    }
}

/// Whether a device cannot be had though nothing of it is there: where one is found, the host's names do not matter.
const fn is_nowhere(error: &TapError) -> bool {
    is_absence(error) || matches!(error, TapError::NameTaken { zone: None, .. })
}

/// Whether a device cannot be had because its zone is not there.
const fn is_absence(error: &TapError) -> bool {
    matches!(error, TapError::Zone(ZoneError::Absent(_) | ZoneError::Other(_)))
}
