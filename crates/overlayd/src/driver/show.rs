use std::borrow::Cow;
use std::collections::BTreeMap;

use overlay_core::encap::ENCAPS;
use overlay_core::engine::Engine;
use overlay_core::property::{MTU, OVERLAY_PROPERTIES, Possible, PropertySpec};
use overlay_core::protocol::{
    CounterInfo, LinkClass, LinkInfo, LinkState, OverlayInfo, PluginInfo, PropertyValue, Status, VnicInfo,
};
use overlay_core::types::UnderlayMtu;

use super::{Driver, Overlay, Vnic};
use crate::lifecycle::Stage;

/// The encapsulation plugins.
pub(super) fn encaps() -> Vec<PluginInfo> {
    let info = |name: &str, properties: &[PropertySpec]| PluginInfo {
        name: name.to_owned(),
        properties: properties.to_vec(),
    };
    ENCAPS.iter().map(|encap| info(encap.name(), encap.properties())).collect()
}

impl<E: Engine> Driver<E> {
    pub(super) fn show_links(&self) -> Vec<LinkInfo> {
        let overlays = self.overlays.values().map(|overlay| self.overlay_link(overlay));
        let mut links: Vec<_> =
            overlays.chain(self.vnics.values().map(|vnic| self.vnic_link(vnic))).collect();
        links.sort_by(|one, other| one.name.cmp(&other.name));
        links
    }

    fn overlay_link(&self, overlay: &Overlay) -> LinkInfo {
        let record = &overlay.record;
        LinkInfo {
            id: record.id,
            name: record.name.clone(),
            class: LinkClass::Overlay,
            mtu: overlay.mtu.octets(),
            state: self.state(overlay),
            temporary: record.temporary,
            counters: self.engine.overlay_counters(record.id).1,
            vnic: None,
        }
    }

    fn vnic_link(&self, vnic: &Vnic) -> LinkInfo {
        let record = &vnic.record;
        let overlay = self.overlays.get(&record.over);
        let mtu = overlay.map(|overlay| vnic.mtu(overlay.mtu)).or(vnic.own_mtu()).unwrap_or_default();
        LinkInfo {
            id: record.id,
            name: record.name.clone(),
            class: LinkClass::Vnic,
            mtu: mtu.octets(),
            state: self.vnic_state(vnic),
            temporary: record.temporary,
            counters: self.engine.device_counters(record.over, record.id),
            vnic: Some(VnicInfo {
                over: overlay.map(|overlay| overlay.record.name.clone()),
                mac: record.mac,
                mac_type: record.mac_type,
                zone: vnic.zone(),
                fault: self.fault(vnic).map(str::to_owned),
                vid: record.vid,
                offloads: self.engine.device_offloads(record.over, record.id),
            }),
        }
    }

    pub(super) fn vnic_state(&self, vnic: &Vnic) -> LinkState {
        let record = &vnic.record;
        let present = self.engine.has_device(record.over, record.id);
        let overlay = self.overlays.get(&record.over).filter(|_| present);
        overlay.map_or(LinkState::Down, |overlay| self.state(overlay))
    }

    pub(super) fn state(&self, overlay: &Overlay) -> LinkState {
        match overlay.stage {
            Stage::Created | Stage::Associated => LinkState::Unknown,
            Stage::Active | Stage::Waiting if self.underlay_problem(overlay).is_some() => LinkState::Down,
            Stage::Active | Stage::Waiting => LinkState::Up,
        }
    }

    pub(super) fn show_overlays(&self) -> Vec<OverlayInfo> {
        // A thousand overlays have one address to listen on, and the system is asked for its MTU once.
        let mut known = BTreeMap::new();
        let whole = self.overlays.values().map(|overlay| {
            let ask = || self.engine.underlay_mtu(overlay.listen);
            self.overlay_info(overlay, *known.entry(overlay.listen.ip()).or_insert_with(ask))
        });
        let broken = self.broken.iter().map(|(name, broken)| OverlayInfo {
            id: broken.id,
            name: name.clone(),
            vnetid: None,
            instance: None,
            properties: Vec::new(),
            status: Status::Degraded(broken.reason.clone()),
            counters: CounterInfo::default(),
            warnings: Vec::new(),
        });
        let mut overlays: Vec<_> = whole.chain(broken).collect();
        overlays.sort_by(|one, other| one.name.cmp(&other.name));
        overlays
    }

    fn overlay_info(&self, overlay: &Overlay, underlay: Option<UnderlayMtu>) -> OverlayInfo {
        let record = &overlay.record;
        OverlayInfo {
            id: record.id,
            name: record.name.clone(),
            vnetid: Some(record.vnetid),
            instance: overlay.association.as_ref().map(|association| association.instance),
            properties: overlay.properties_shown(),
            status: self.status(overlay),
            counters: self.engine.overlay_counters(record.id).0,
            warnings: underlay.and_then(|underlay| overlay.misfit(underlay)).into_iter().collect(),
        }
    }

    /// Everything that keeps an overlay from working, in words.
    fn status(&self, overlay: &Overlay) -> Status {
        if !overlay.stage.is_activated() {
            let problem = "not activated: its creation was not finished; delete it and create it again";
            return Status::Degraded(problem.to_owned());
        }
        let faults = self.vnics_over(overlay.record.id).filter_map(|vnic| {
            let fault = self.fault(vnic)?;
            Some(format!("VNIC {} has no device: {fault}", vnic.record.name))
        });
        let problems = self.underlay_problem(overlay).into_iter().chain(faults);
        let problems = problems.chain(self.lookup_problem(overlay)).chain(overlay.degraded.clone());
        let problems: Vec<_> = problems.collect();
        if problems.is_empty() { Status::Online } else { Status::Degraded(problems.join("; ")) }
    }

    fn underlay_problem(&self, overlay: &Overlay) -> Option<String> {
        // Thousands of overlays have one address to listen on.
        let check = || self.engine.check_underlay(overlay.record.id).err().map(|error| error.to_string());
        let checked = || self.checked.borrow_mut().entry(overlay.listen).or_insert_with(check).clone();
        overlay.underlay.clone().or_else(checked)
    }

    fn lookup_problem(&self, overlay: &Overlay) -> Option<String> {
        let none = "varpd has no instance for it: see varpd's log, or delete it and create it again";
        let problem = match &overlay.association {
            None if self.varpd.is_none() || self.is_settling() => {
                "varpd has not said yet where its destinations are"
            }
            // varpd has said itself what is wrong.
            _ if self.varpd.is_some() && overlay.degraded.is_some() => return None,
            None => none,
            Some(_) if self.varpd.is_none() => "varpd is gone; destinations known now go on working",
            // One that has just come claims its overlays one after the other; what was said before serves meanwhile.
            Some(_) if self.is_settling() => return None,
            Some(_) if overlay.stage == Stage::Waiting || overlay.claimed != self.varpd => none,
            Some(_) => return None,
        };
        Some(problem.to_owned())
    }

    /// Why a VNIC has no device.
    fn fault<'a>(&self, vnic: &'a Vnic) -> Option<&'a str> {
        let record = &vnic.record;
        let lost = || !self.engine.has_device(record.over, record.id);
        vnic.fault.as_deref().or_else(|| lost().then_some("it was removed by somebody"))
    }
}

impl Overlay {
    fn properties_shown(&self) -> Vec<PropertyValue> {
        // `search` is varpd's to show.
        let generic = OVERLAY_PROPERTIES.iter().filter(|spec| spec.name != "search");
        generic.chain(self.encap.properties()).map(|spec| self.property(spec.clone())).collect()
    }

    fn property(&self, mut spec: PropertySpec) -> PropertyValue {
        // What `auto` has come to, and that it was asked for.
        let given = self.properties.text(MTU).filter(|_| spec.name == MTU).map(str::to_owned);
        let value = match &*spec.name {
            MTU => Some(self.mtu.to_string()),
            "vnetid" => Some(self.record.vnetid.to_string()),
            "encap" => {
                let names = ENCAPS.iter().map(|encap| Cow::Borrowed(encap.name()));
                spec.possible = Possible::Words(names.collect::<Vec<_>>().into());
                Some(self.record.encap.clone())
            }
            "varpd/id" => self.association.as_ref().map(|association| association.instance.to_string()),
            name => self.properties.value(name).map(ToString::to_string),
        };
        PropertyValue { spec, value, given }
    }
}
