//! Zones that VNICs are given to, and devices that are lost with them or otherwise: noticed, shown, and made again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use overlay_core::device::TapError;
use overlay_core::engine::Engine;
use overlay_core::property::ZONE;
use overlay_core::protocol::ControlError;
use overlay_core::types::{LinkId, LinkName, ZoneName};

use super::vnic::device_failure;
use super::{Driver, Vnic};
use crate::until_boot::PropertyChange;

/// How long a VNIC that loses one device after another waits for the next: first, and at the most. Who owns a zone can remove
/// devices without end.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// When a VNIC has lost its device.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    last: Option<Instant>,
    /// How long it waits for another since then.
    pause: Duration,
}

impl Losses {
    /// Takes note of one. The first is made good at once, and each that soon follows another after twice the time.
    fn note(&mut self, now: Instant) {
        let soon = (2 * self.pause).max(10 * REST);
        let again = self.last.is_some_and(|last| now.saturating_duration_since(last) < soon);
        self.pause = if again { (2 * self.pause).clamp(REST, REST_MAX) } else { Duration::ZERO };
        self.last = Some(now);
    }

    /// Whether it still waits.
    pub(super) fn rest(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < self.pause)
    }
}

impl Vnic {
    /// The zone that it is given to.
    pub(super) fn zone(&self) -> Option<ZoneName> {
        self.properties.text(ZONE).and_then(|name| name.parse().ok())
    }

    /// Whether changes that make this VNIC of an earlier one move its device. To be given back is to come to the host
    /// from wherever somebody has moved it, but only when that is all that is asked.
    pub(super) fn moves(&self, before: &Self, changes: &[PropertyChange]) -> bool {
        let named = changes.iter().any(|one| one.name == ZONE);
        let given = self.zone().is_some() || before.zone().is_some();
        named && (given || changes.len() == 1)
    }
}

impl<E: Engine> Driver<E> {
    /// Whether zones that come and go mean something here.
    pub(crate) fn minds_zones(&self) -> bool {
        self.zoned
    }

    pub(super) fn uses_zones(&self) -> bool {
        self.engine.uses_zones() || self.vnics.values().any(|vnic| vnic.properties.value(ZONE).is_some())
    }

    /// Makes again what devices have been lost, as far as that can be. Zones are looked at when they may have come or gone.
    pub(crate) fn notice(&mut self, zones: bool) {
        self.notice_at(Instant::now(), zones);
    }

    pub(super) fn notice_at(&mut self, now: Instant, zones: bool) {
        let mut lost: BTreeSet<_> = self.engine.lost_devices().into_iter().collect();
        if zones {
            lost.extend(self.engine.stranded_devices());
        }
        lost.iter().for_each(|id| self.end_lost(*id, now));
        let wants = |vnic: &&Vnic| lost.contains(&vnic.record.id) || (zones && vnic.awaits_zone);
        let deviceless = self.vnics.values().filter(wants).filter(|vnic| !vnic.record.is_leaving());
        let deviceless = deviceless.filter(|vnic| !vnic.losses.rest(now));
        let deviceless: Vec<_> = deviceless.map(|vnic| vnic.record.id).collect();
        if lost.is_empty() && deviceless.is_empty() {
            return;
        }
        self.watch.stale = true;
        deviceless.into_iter().for_each(|id| self.try_device(id));
        self.examine();
    }

    /// What is left of a lost device ends: open, it would keep its zone from ending.
    fn end_lost(&mut self, id: LinkId, now: Instant) {
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        vnic.losses.note(now);
        let again = if vnic.losses.rest(now) { " again, and waits for another" } else { "" };
        tracing::warn!("VNIC {} has lost its device{again}", vnic.record.name);
        vnic.fault = Some(format!("it was removed by somebody{again}"));
        if let Err(error) = self.engine.lose_device(vnic.record.over, id) {
            tracing::error!("VNIC {}: {error}", vnic.record.name);
        }
    }

    /// Whether a VNIC's zone is there, and has room for its device where that is still to be made.
    ///
    /// # Errors
    /// The zone is not there, or has a device of that name.
    pub(super) fn check_place(&self, vnic: &Vnic) -> Result<(), ControlError> {
        let (record, zone) = (&vnic.record, vnic.zone());
        let taken =
            self.engine.is_taken(&record.name, zone.as_ref()).map_err(|error| device_failure(&error))?;
        if taken && !self.engine.has_device(record.over, record.id) {
            return Err(device_failure(&TapError::NameTaken { name: record.name.clone(), zone }));
        }
        Ok(())
    }

    /// Whether a VNIC's device can have another name where it is. While its zone is not there, nobody knows.
    ///
    /// # Errors
    /// There is a device of that name.
    pub(super) fn check_device_name(&self, id: LinkId, name: &LinkName) -> Result<(), ControlError> {
        let vnic = self.vnics.get(&id);
        if vnic.is_some_and(|vnic| vnic.awaits_zone) {
            return Ok(());
        }
        let zone = vnic.and_then(Vnic::zone);
        match self.engine.is_taken(name, zone.as_ref()).map_err(|error| device_failure(&error))? {
            true => Err(device_failure(&TapError::NameTaken { name: name.clone(), zone })),
            false => Ok(()),
        }
    }

    /// Moves the device of a VNIC to where that says, or makes it there when it has none.
    pub(super) fn settle_device(&mut self, vnic: &Vnic) -> Result<(), ControlError> {
        let (id, over) = (vnic.record.id, vnic.record.over);
        let Some(spec) = self.overlays.get(&over).map(|overlay| vnic.spec(overlay.mtu)) else {
            return Ok(());
        };
        let settled = match self.engine.has_device(over, id) {
            true => self.engine.settle_device(over, &spec),
            false => self.engine.add_device(over, &spec, self.existing(vnic)),
        };
        settled.map_err(|error| device_failure(&error))
    }
}
