//! Changing the properties of an overlay while it runs.

use overlay_core::engine::Engine;
use overlay_core::property::{
    Assignment, MTU, OVERLAY_PROPERTIES, Permission, PropertyError, TARGET_AGEING, TARGET_MAXIMUM,
    TARGET_NEGATIVE, TARGET_TIMEOUT,
};
use overlay_core::protocol::{ControlError, ErrorCode};
use overlay_core::types::{LinkId, LinkName, OverlayMtu};

use super::vnic::device_failure;
use super::{Driver, Overlay};
use crate::until_boot::PropertyChange;

/// Generic properties that can change while the overlay runs.
const LIVE: [&str; 5] = [MTU, TARGET_AGEING, TARGET_MAXIMUM, TARGET_NEGATIVE, TARGET_TIMEOUT];

impl Overlay {
    /// Whether a property can change while the overlay runs.
    fn is_live(&self, property: &str) -> bool {
        LIVE.contains(&property) || self.encap.is_live(property)
    }

    /// Why a property does not change while the overlay is there.
    fn why_fixed(&self, property: &str) -> ControlError {
        let table = OVERLAY_PROPERTIES.iter().chain(self.encap.properties());
        let Some(spec) = table.clone().find(|spec| spec.name == property) else {
            let known = table.map(|spec| &*spec.name).collect::<Vec<_>>().join(", ");
            return PropertyError::Unknown { name: property.to_owned(), known }.into();
        };
        let reason = match property {
            "vnetid" => "its tunnel ends and its search plugin know the overlay by it",
            "encap" => "the overlay's socket and its tunnel ends speak it",
            "search" => "the overlay's varpd instance is of that plugin",
            _ if spec.permission == Permission::ReadOnly => {
                return PropertyError::ReadOnly(property.to_owned()).into();
            }
            _ => "the overlay's socket is open with it, and frames on their way there would be lost",
        };
        let problem = format!("property '{property}' does not change while the overlay is there: {reason}");
        let hint = format!(
            "make another overlay with it beside {}, and move the VNICs there; or delete them and the overlay, and create it again",
            self.record.name
        );
        ControlError::new(ErrorCode::Unsupported, problem).with_hint(hint)
    }
}

impl<E: Engine> Driver<E> {
    pub(super) fn set_properties(
        &mut self,
        name: &LinkName,
        wanted: Vec<Assignment>,
    ) -> Result<(), ControlError> {
        let id = self.overlay_named(name)?;
        self.change_overlay(id, &PropertyChange::to(wanted), false)
    }

    /// Changes properties of an overlay, all of them or none.
    pub(super) fn change_overlay(
        &mut self,
        id: LinkId,
        changes: &[PropertyChange],
        temporary: bool,
    ) -> Result<(), ControlError> {
        let Some(overlay) = self.overlays.get(&id) else { return Ok(()) };
        if let Some(fixed) = changes.iter().find(|one| !overlay.is_live(&one.name)) {
            return Err(overlay.why_fixed(&fixed.name));
        }
        let mut after = overlay.clone();
        after.record = overlay.record.changed(changes, temporary);
        after.settle_properties(|listen| self.engine.underlay_mtu(listen))?;
        if after.mtu < overlay.mtu {
            self.check_vnics_mtu(id, after.mtu)?;
        }
        after.record.resizing |= after.mtu != overlay.mtu;
        self.records.save_overlay(&after.record)?;
        let Some(before) = self.overlays.insert(id, after) else { return Ok(()) };
        self.show_change(id, before.mtu).inspect_err(|_| {
            let now = self.overlays.insert(id, before.clone()).map_or(before.mtu, |after| after.mtu);
            let _ = self.show_change(id, now);
            // As far as that can be stored; else the next start tries what the system has refused now.
            let _ = self.records.save_overlay(&before.record);
        })?;
        self.settle_overlay(id);
        Ok(())
    }

    /// Shows the engine an overlay whose MTU was another before. Nobody may send what is not carried: devices grow last, and
    /// shrink first.
    fn show_change(&mut self, id: LinkId, before: OverlayMtu) -> Result<(), ControlError> {
        let Some(overlay) = self.overlays.get(&id) else { return Ok(()) };
        let (spec, mtu) = (overlay.spec(), overlay.mtu);
        if mtu >= before {
            self.engine.set_overlay(id, &spec);
        }
        let following = self.vnics_over(id).filter(|vnic| vnic.mtu(mtu) != vnic.mtu(before));
        let devices: Vec<_> = following.map(|vnic| vnic.spec(mtu)).collect();
        for device in devices {
            self.engine.change_device(id, &device).map_err(|error| device_failure(&error))?;
            (self.alive)();
        }
        if mtu < before {
            self.engine.set_overlay(id, &spec);
        }
        Ok(())
    }
}
