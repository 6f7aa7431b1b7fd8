//! Another name for a link, while it runs.

use overlay_core::engine::Engine;
use overlay_core::protocol::{ControlError, ErrorCode};
use overlay_core::types::{LinkId, LinkName};

use super::vnic::device_failure;
use super::{Driver, Link, Overlay, Vnic};
use crate::records::{OverlayRecord, VnicRecord};

impl<E: Engine> Driver<E> {
    /// Gives a link another name. Whatever refers to it does so by its identifier, and is not touched.
    ///
    /// The record under the new name is written first and says what the old one was, so that a start after a crash finishes;
    /// then the device follows, and the record under the old name goes. What an earlier renaming could not clear away is
    /// cleared first: two records that each say that they were the other would be none.
    pub(super) fn rename_link(&mut self, name: &LinkName, to: LinkName) -> Result<(), ControlError> {
        let link = self.stored_or_here(name)?;
        if *name == to {
            return Err(ControlError::invalid(format!("{name} has that name already")));
        }
        self.check_free(&to)?;
        match link {
            Link::Overlay(id) => self.rename_overlay(id, to.clone())?,
            Link::Vnic(id) => {
                self.rename_vnic(id, to.clone().for_device().map_err(ControlError::invalid)?)?;
            }
        }
        tracing::info!("{name} is {to} from now on");
        Ok(())
    }

    fn stored_or_here(&self, name: &LinkName) -> Result<Link, ControlError> {
        let overlay = self.dormant.overlay_named(name).map(Link::Overlay);
        let stored = overlay.or_else(|| self.dormant.vnic_named(name).map(Link::Vnic));
        stored.map_or_else(|| self.link_named(name), Ok)
    }

    fn rename_overlay(&mut self, id: LinkId, to: LinkName) -> Result<(), ControlError> {
        let Some(mut record) = self.overlay_mut(id).map(|overlay| overlay.record.clone()) else {
            return Ok(());
        };
        if record.renamed_from.take().is_some() {
            self.records.save_overlay(&record)?;
        }
        let old = std::mem::replace(&mut record.name, to);
        record.renamed_from = Some(old.clone());
        self.records.save_overlay(&record)?;
        if self.forget_name(&old, record.temporary) {
            let settled = OverlayRecord { renamed_from: None, ..record.clone() };
            record = self.records.save_overlay(&settled).map_or(record, |()| settled);
        }
        if let Some(overlay) = self.overlay_mut(id) {
            overlay.record = record;
        }
        Ok(())
    }

    fn rename_vnic(&mut self, id: LinkId, to: LinkName) -> Result<(), ControlError> {
        self.check_device_name(id, &to)?;
        let Some(before) = self.vnic_mut(id).map(|vnic| vnic.record.clone()) else { return Ok(()) };
        let mut record = VnicRecord { renamed_from: None, ..before.clone() };
        if before.renamed_from.is_some() {
            self.records.save_vnic(&record)?;
        }
        let old = std::mem::replace(&mut record.name, to);
        record.renamed_from = Some(old.clone());
        self.records.save_vnic(&record)?;
        self.set_vnic_record(id, record.clone());
        if let Err(error) = self.rename_device(id) {
            self.set_vnic_record(id, before);
            self.forget_name(&record.name, record.temporary);
            return Err(error);
        }
        if self.forget_name(&old, record.temporary) {
            let settled = VnicRecord { renamed_from: None, ..record.clone() };
            record = self.records.save_vnic(&settled).map_or(record, |()| settled);
        }
        self.set_vnic_record(id, record);
        Ok(())
    }

    fn set_vnic_record(&mut self, id: LinkId, record: VnicRecord) {
        if let Some(vnic) = self.vnic_mut(id) {
            vnic.record = record;
        }
    }

    /// Shows the engine the name of a VNIC, where it has a device.
    fn rename_device(&mut self, id: LinkId) -> Result<(), ControlError> {
        let Some(vnic) = self.vnics.get(&id) else { return Ok(()) };
        let over = vnic.record.over;
        let Some(spec) = self.overlays.get(&over).map(|overlay| vnic.spec(overlay.mtu)) else {
            return Ok(());
        };
        let renamed = self.engine.change_device(over, &spec);
        renamed.map_err(|error| match device_failure(&error) {
            refusal if refusal.code == ErrorCode::Failed => {
                let hint = "Linux before 6.2 renames no device that is up: ip link set NAME down";
                refusal.with_hint(hint)
            }
            refusal => refusal,
        })
    }

    /// Removes the record under a name that its link has no more; whether it is gone. If not, the next start removes it.
    fn forget_name(&self, name: &LinkName, temporary: bool) -> bool {
        let removed = self.records.remove(name, temporary);
        removed.inspect_err(|error| tracing::warn!("{}", error.message)).is_ok()
    }

    fn overlay_mut(&mut self, id: LinkId) -> Option<&mut Overlay> {
        self.overlays.get_mut(&id).or_else(|| self.dormant.overlays.get_mut(&id))
    }

    fn vnic_mut(&mut self, id: LinkId) -> Option<&mut Vnic> {
        self.vnics.get_mut(&id).or_else(|| self.dormant.vnics.get_mut(&id))
    }
}
