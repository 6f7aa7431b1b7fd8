//! Another name for a link, while it runs.

use overlay_core::engine::Engine;
use overlay_core::protocol::{ControlError, ErrorCode};
use overlay_core::types::{LinkId, LinkName};

use super::vnic::device_failure;
use super::{Driver, Link, Overlay, Vnic};
use crate::records::VnicRecord;

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
        if let Some(older) = record.renamed_from.take() {
            self.forget_name(&older, record.temporary)?;
            self.records.save_overlay(&record)?;
        }
        let old = std::mem::replace(&mut record.name, to);
        record.renamed_from = Some(old);
        self.records.save_overlay(&record)?;
        if let Some(overlay) = self.overlay_mut(id) {
            overlay.record = record;
        }
        self.settle_overlay(id);
        Ok(())
    }

    fn rename_vnic(&mut self, id: LinkId, to: LinkName) -> Result<(), ControlError> {
        self.check_device_name(id, &to)?;
        let Some(before) = self.vnic_mut(id).map(|vnic| vnic.record.clone()) else { return Ok(()) };
        let mut record = VnicRecord { renamed_from: None, ..before.clone() };
        if let Some(older) = &before.renamed_from {
            self.forget_name(older, record.temporary)?;
            self.records.save_vnic(&record)?;
        }
        let old = std::mem::replace(&mut record.name, to);
        record.renamed_from = Some(old);
        self.records.save_vnic(&record)?;
        self.set_vnic_record(id, record.clone());
        if let Err(error) = self.rename_device(id) {
            self.set_vnic_record(id, before);
            let _ = self.forget_name(&record.name, record.temporary);
            return Err(error);
        }
        self.settle_changes(id);
        Ok(())
    }

    pub(super) fn set_vnic_record(&mut self, id: LinkId, record: VnicRecord) {
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

    /// Removes all that is stored of a link: under a name that it had first, or the next start would find only that.
    pub(super) fn forget_record(
        &self,
        name: &LinkName,
        renamed_from: Option<&LinkName>,
        temporary: bool,
    ) -> Result<(), ControlError> {
        if let Some(older) = renamed_from {
            self.forget_name(older, temporary)?;
        }
        self.records.remove(name, temporary)
    }

    /// Removes the record under a name that a link had, if it had another; whether it is gone. If not, the link's record goes
    /// on saying so, and the next start removes it.
    pub(super) fn is_older_self_gone(&self, renamed_from: Option<&LinkName>, temporary: bool) -> bool {
        let gone = renamed_from.map_or(Ok(()), |older| self.forget_name(older, temporary));
        gone.inspect_err(|error| tracing::warn!("{}", error.message)).is_ok()
    }

    /// Removes the record under a name that its link has no more, unless that is another link's by now.
    fn forget_name(&self, name: &LinkName, temporary: bool) -> Result<(), ControlError> {
        let overlays = self.overlays.values().chain(self.dormant.overlays.values());
        let overlays = overlays.map(|overlay| (&overlay.record.name, overlay.record.temporary));
        let vnics = self.vnics.values().chain(self.dormant.vnics.values());
        let mut all = overlays.chain(vnics.map(|vnic| (&vnic.record.name, vnic.record.temporary)));
        if all.any(|other| other == (name, temporary)) {
            return Ok(());
        }
        self.records.remove(name, temporary)
    }

    pub(super) fn overlay_mut(&mut self, id: LinkId) -> Option<&mut Overlay> {
        self.overlays.get_mut(&id).or_else(|| self.dormant.overlays.get_mut(&id))
    }

    pub(super) fn vnic_mut(&mut self, id: LinkId) -> Option<&mut Vnic> {
        self.vnics.get_mut(&id).or_else(|| self.dormant.vnics.get_mut(&id))
    }
}
