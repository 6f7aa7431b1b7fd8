use std::sync::atomic::Ordering;

use super::engine::{Device, UserspaceEngine, tap_spec};
use crate::device::TapError;
use crate::engine::{DeviceSpec, Engine, Existing};
use crate::types::LinkId;

impl UserspaceEngine {
    /// Moves a device to where it is to be. What DHCP has given is not the next one's there.
    pub(super) fn settle(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        let member = self.overlays.get_mut(&over);
        let Some(device) = member.and_then(|member| member.ports.get_mut(&spec.link)) else { return Ok(()) };
        let tap = device.port.what.device();
        let before = tap.place().ok();
        device.zone = self.kit.settle(tap, &tap_spec(spec))?;
        if !before.zip(tap.place().ok()).is_some_and(|(before, now)| before.is(&now)) {
            device.port.what.end_leases();
            device.stayed = false;
        }
        match tap.pins() {
            Some(pinned) if device.zone.as_ref() != Some(pinned) => self.reopen(over, spec),
            _ => Ok(()),
        }
    }

    /// Opens a device again where it is now, so that the zone that it was opened in can end.
    fn reopen(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        drop(self.let_go(over, spec.link));
        self.add_device(over, spec, Existing::Adopt)?;
        let device = self.overlays.get_mut(&over).and_then(|member| member.ports.get_mut(&spec.link));
        device.into_iter().for_each(|device| device.stayed = false);
        Ok(())
    }

    /// VNICs whose devices somebody has removed.
    pub(super) fn lost(&self) -> Vec<LinkId> {
        if !self.losses.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let gone = self.devices().filter(|(_, device)| device.port.what.device().is_gone());
        gone.map(|(link, _)| link).collect()
    }

    /// VNICs whose devices are in a zone that has lost its name.
    pub(super) fn stranded(&self) -> Vec<LinkId> {
        let stranded = |device: &Device| device.zone.as_ref().is_some_and(|zone| !zone.is_there());
        self.devices().filter(|(_, device)| stranded(device)).map(|(link, _)| link).collect()
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = (LinkId, &Device)> {
        self.overlays.values().flat_map(|member| &member.ports).map(|(link, device)| (*link, device))
    }
}
