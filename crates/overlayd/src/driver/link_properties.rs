//! Link properties: what `set-linkprop` changes, while the link runs.

use overlay_core::datapath::PortPolicy;
use overlay_core::engine::{DeviceSpec, Engine};
use overlay_core::property::{
    Assignment, MTU, OVERLAY_LINK_PROPERTIES, OVERLAY_PROPERTIES, Permission, Possible, Properties,
    PropertyError, PropertySpec, SECONDARY_MACS, VNIC_LINK_PROPERTIES,
};
use overlay_core::protocol::{ControlError, ErrorCode, LinkPropertyInfo, LinkState};
use overlay_core::types::{LinkId, LinkName, MTU_MIN, MacAddr, OverlayMtu};

use super::vnic::device_failure;
use super::zone::Losses;
use super::{Driver, Link, Overlay, Vnic};
use crate::records::VnicRecord;
use crate::until_boot::PropertyChange;

/// The one link property that no table of ours has a value of.
pub(super) const STATE: &str = "state";

impl Vnic {
    /// A VNIC without a device.
    ///
    /// # Errors
    /// Which of its properties is not legal, now or after the next boot.
    pub(super) fn new(record: VnicRecord) -> Result<Self, PropertyError> {
        Properties::check(VNIC_LINK_PROPERTIES, &record.properties)?;
        let properties = Properties::check(VNIC_LINK_PROPERTIES, &record.properties_now())?;
        let losses = Losses::default();
        Ok(Self { record, properties, fault: None, losses, left: false, awaits_zone: false })
    }

    /// The MTU that it was given; else it follows its overlay.
    pub(super) fn own_mtu(&self) -> Option<OverlayMtu> {
        own_mtu(&self.properties)
    }

    /// Its MTU on an overlay with that one. One that is derived may have become smaller than the VNIC's own.
    pub(super) fn mtu(&self, overlay: OverlayMtu) -> OverlayMtu {
        self.own_mtu().map_or(overlay, |own| own.min(overlay))
    }

    /// The largest MTU that it was given, until the next boot or for good.
    fn largest_mtu(&self) -> Option<OverlayMtu> {
        self.own_mtu().max(own_mtu(&self.stored()))
    }

    /// What is stored of its properties, with the defaults.
    fn stored(&self) -> Properties {
        Properties::check(VNIC_LINK_PROPERTIES, &self.record.properties).unwrap_or_default()
    }

    /// Its addresses, and those that it will have after the next boot.
    fn addresses(&self) -> Vec<MacAddr> {
        let further = [&self.properties, &self.stored()].map(|set| PortPolicy::of(set).secondary_macs);
        [self.record.mac].into_iter().chain(further.concat()).collect()
    }

    /// What it is to the engine, on an overlay with that MTU.
    pub(super) fn spec(&self, overlay: OverlayMtu) -> DeviceSpec {
        let record = &self.record;
        DeviceSpec {
            link: record.id,
            name: record.name.clone(),
            mac: record.mac,
            vid: record.vid,
            mtu: self.mtu(overlay),
            policy: PortPolicy::of(&self.properties),
            zone: self.zone(),
        }
    }
}

fn own_mtu(properties: &Properties) -> Option<OverlayMtu> {
    properties.uint(MTU).map(|octets| OverlayMtu::nearest(usize::try_from(octets).unwrap_or(usize::MAX)))
}

impl<E: Engine> Driver<E> {
    pub(super) fn set_link_properties(
        &mut self,
        name: &LinkName,
        wanted: Vec<Assignment>,
        temporary: bool,
    ) -> Result<(), ControlError> {
        let link = self.link_named(name)?;
        Properties::check(&table(link), &wanted)?;
        self.change_link(link, &PropertyChange::to(wanted), temporary)
    }

    pub(super) fn reset_link_properties(
        &mut self,
        name: &LinkName,
        names: Vec<String>,
        temporary: bool,
    ) -> Result<(), ControlError> {
        let link = self.link_named(name)?;
        let table = table(link);
        let settable = table.iter().filter(|spec| spec.permission == Permission::ReadWrite);
        let names = match names.is_empty() {
            true => settable.map(|spec| spec.name.to_string()).collect(),
            false => names,
        };
        let resets = names.into_iter().map(|name| reset(&table, name)).collect::<Result<Vec<_>, _>>()?;
        self.change_link(link, &resets, temporary)
    }

    fn change_link(
        &mut self,
        link: Link,
        changes: &[PropertyChange],
        temporary: bool,
    ) -> Result<(), ControlError> {
        match link {
            Link::Overlay(id) => self.change_overlay(id, changes, temporary),
            Link::Vnic(id) => self.change_vnic(id, changes, temporary),
        }
    }

    fn change_vnic(
        &mut self,
        id: LinkId,
        changes: &[PropertyChange],
        temporary: bool,
    ) -> Result<(), ControlError> {
        let Some(before) = self.vnics.get(&id).cloned() else { return Ok(()) };
        let record = before.record.changed(changes, temporary);
        let mut changed = Vnic { record, ..before.clone() };
        changed.properties = Vnic::new(changed.record.clone())?.properties;
        self.check_properties(&changed)?;
        let moves = changed.moves(&before, changes);
        if moves {
            self.check_place(&changed)?;
        }
        changed.record.resizing |= changed.own_mtu() != before.own_mtu();
        if let Err(error) = self.store_and_apply(&changed, moves) {
            self.take_back(&before, moves);
            return Err(error);
        }
        if self.engine.has_device(changed.record.over, id) {
            (changed.fault, changed.awaits_zone, changed.left) = (None, false, false);
        }
        self.vnics.insert(id, changed);
        self.settle_changes(id);
        Ok(())
    }

    /// In an order in which a start after a crash between the two makes it good: it fetches a device to the zone that is
    /// stored, and leaves one where it is when none is.
    fn store_and_apply(&mut self, vnic: &Vnic, moves: bool) -> Result<(), ControlError> {
        if moves && vnic.zone().is_none() {
            self.apply(vnic, moves)?;
            return self.records.save_vnic(&vnic.record);
        }
        self.records.save_vnic(&vnic.record)?;
        self.apply(vnic, moves)
    }

    /// Makes a VNIC's device what it has become.
    fn apply(&mut self, vnic: &Vnic, moves: bool) -> Result<(), ControlError> {
        if moves {
            self.settle_device(vnic)?;
        }
        let over = vnic.record.over;
        let Some(overlay) = self.overlays.get(&over) else { return Ok(()) };
        self.engine.change_device(over, &vnic.spec(overlay.mtu)).map_err(|error| device_failure(&error))
    }

    /// Makes a VNIC what it was before a change that has failed, as far as that can be; a start tries the rest.
    fn take_back(&mut self, before: &Vnic, moves: bool) {
        let VnicRecord { id, over, .. } = before.record;
        let outcome = match before.fault {
            None => self.apply(before, moves),
            // What it has counted stays.
            Some(_) => self.engine.lose_device(over, id).map_err(|error| device_failure(&error)),
        };
        if let Some(vnic) = self.vnics.get_mut(&id)
            && vnic.fault.is_none()
            && !self.engine.has_device(over, id)
        {
            vnic.fault = Some("it was lost in a change that has failed".to_owned());
        }
        let stored = self.records.save_vnic(&before.record);
        if let Err(error) = outcome.and(stored) {
            tracing::error!("VNIC {} is not what it was: {}", before.record.name, error.message);
        }
    }

    /// What a VNIC's own table of properties cannot see.
    ///
    /// # Errors
    /// What does not go together with its overlay or the other VNICs there.
    pub(super) fn check_properties(&self, vnic: &Vnic) -> Result<(), ControlError> {
        let (record, overlay) = (&vnic.record, self.overlays.get(&vnic.record.over));
        if let (Some(own), Some(overlay)) = (vnic.own_mtu(), overlay)
            && own > overlay.mtu
        {
            let problem = format!("mtu {own} is above the overlay's, {}", overlay.mtu);
            return Err(ControlError::invalid(problem));
        }
        for mac in PortPolicy::of(&vnic.properties).secondary_macs {
            if mac == record.mac {
                return Err(bad_address(mac, "it is the VNIC's own"));
            }
            if let Some(owner) = self.address_owner(record.over, mac, Some(record.id)) {
                return Err(bad_address(mac, &format!("VNIC {owner} on this overlay has it")));
            }
        }
        Ok(())
    }

    /// The VNIC, but one, that has an address on an overlay.
    pub(super) fn address_owner(&self, over: LinkId, mac: MacAddr, but: Option<LinkId>) -> Option<&LinkName> {
        let others = self.stored_over(over).filter(|vnic| Some(vnic.record.id) != but);
        others.filter(|vnic| vnic.addresses().contains(&mac)).map(|vnic| &vnic.record.name).next()
    }

    /// Whether VNICs of an overlay leave it an MTU.
    ///
    /// # Errors
    /// Those that were given a larger one.
    pub(super) fn check_vnics_mtu(&self, over: LinkId, mtu: OverlayMtu) -> Result<(), ControlError> {
        let larger = self.stored_over(over).filter(|vnic| vnic.largest_mtu() > Some(mtu));
        let larger: Vec<_> = larger.map(|vnic| vnic.record.name.as_str()).collect();
        if larger.is_empty() {
            return Ok(());
        }
        let problem = format!("link busy: mtu {mtu} is below that of VNICs: {}", larger.join(", "));
        Err(ControlError::new(ErrorCode::Busy, problem)
            .with_hint("let them follow the overlay: dladm reset-linkprop -p mtu NAME"))
    }

    /// The link properties of every link. One that is stored and not there has no values now.
    pub(super) fn link_properties(&self) -> Vec<LinkPropertyInfo> {
        let overlays = self.overlays.values().flat_map(|overlay| self.overlay_link_properties(overlay));
        let vnics = self.vnics.values().flat_map(|vnic| self.vnic_link_properties(vnic));
        let mut all: Vec<_> = overlays.chain(vnics).chain(self.dormant_link_properties()).collect();
        // Stable: those of a link stay in the order of its table.
        all.sort_by(|one, other| one.link.cmp(&other.link));
        all
    }

    fn overlay_link_properties(&self, overlay: &Overlay) -> Vec<LinkPropertyInfo> {
        let record = &overlay.record;
        let value = |spec: &PropertySpec| match &*spec.name {
            STATE => Some(state_word(self.state(overlay))),
            _ => Some(overlay.mtu.to_string()),
        };
        let stored = (!record.temporary).then_some(&record.properties[..]);
        described(&record.name, table(Link::Overlay(record.id)), value, stored)
    }

    fn vnic_link_properties(&self, vnic: &Vnic) -> Vec<LinkPropertyInfo> {
        let record = &vnic.record;
        let overlay = self.overlays.get(&record.over);
        let mut table = table(Link::Vnic(record.id));
        if let (Some(row), Some(overlay)) = (table.iter_mut().find(|row| row.name == MTU), overlay) {
            row.possible = Possible::Range(MTU_MIN.into(), overlay.mtu.octets().into());
            row.default = Some(overlay.mtu.to_string().into());
        }
        let value = |spec: &PropertySpec| match &*spec.name {
            STATE => Some(state_word(self.vnic_state(vnic))),
            MTU => overlay.map(|overlay| vnic.mtu(overlay.mtu).to_string()),
            name => vnic.properties.value(name).map(ToString::to_string),
        };
        let stored = (!record.temporary).then_some(&record.properties[..]);
        described(&record.name, table, value, stored)
    }
}

impl<E> Driver<E> {
    fn dormant_link_properties(&self) -> impl Iterator<Item = LinkPropertyInfo> {
        let overlays = self.dormant.overlays.values().map(|overlay| {
            (&overlay.record.name, Link::Overlay(overlay.record.id), &overlay.record.properties)
        });
        let vnics = self.dormant.vnics.values();
        let vnics =
            vnics.map(|vnic| (&vnic.record.name, Link::Vnic(vnic.record.id), &vnic.record.properties));
        let all = overlays.chain(vnics);
        all.flat_map(|(name, link, stored)| described(name, table(link), |_| None, Some(stored)))
    }
}

/// The table of a link. An overlay's MTU is the one that it was made with, which can be `auto`.
fn table(link: Link) -> Vec<PropertySpec> {
    match link {
        Link::Vnic(_) => VNIC_LINK_PROPERTIES.to_vec(),
        Link::Overlay(_) => {
            let generic = |row: &PropertySpec| OVERLAY_PROPERTIES.iter().find(|one| one.name == row.name);
            OVERLAY_LINK_PROPERTIES.iter().map(|row| generic(row).unwrap_or(row).clone()).collect()
        }
    }
}

fn described(
    link: &LinkName,
    table: Vec<PropertySpec>,
    value: impl Fn(&PropertySpec) -> Option<String>,
    stored: Option<&[Assignment]>,
) -> Vec<LinkPropertyInfo> {
    let given = |spec: &PropertySpec| stored?.iter().find(|one| one.name == spec.name);
    let info = |spec: PropertySpec| {
        // As the active value is written, so that the two can be compared.
        let plain = |text: &str| spec.parse(text).map_or_else(|_| text.to_owned(), |value| value.to_string());
        let stored = given(&spec).map(|one| plain(&one.value));
        LinkPropertyInfo { link: link.clone(), value: value(&spec), stored, spec }
    };
    table.into_iter().map(info).collect()
}

fn reset(table: &[PropertySpec], name: String) -> Result<PropertyChange, PropertyError> {
    match table.iter().find(|spec| spec.name == name).map(|spec| spec.permission) {
        Some(Permission::ReadWrite) => Ok(PropertyChange { name, value: None }),
        Some(Permission::ReadOnly) => Err(PropertyError::ReadOnly(name)),
        None => {
            let known = table.iter().map(|spec| &*spec.name).collect::<Vec<_>>().join(", ");
            Err(PropertyError::Unknown { name, known })
        }
    }
}

fn bad_address(mac: MacAddr, reason: &str) -> ControlError {
    let (name, value, reason) = (SECONDARY_MACS.to_owned(), mac.to_string(), reason.to_owned());
    PropertyError::BadValue { name, value, reason }.into()
}

fn state_word(state: LinkState) -> String {
    let word = match state {
        LinkState::Up => "up",
        LinkState::Down => "down",
        LinkState::Unknown => "unknown",
    };
    word.to_owned()
}
