use std::hash::{BuildHasher, RandomState};

use overlay_core::device::{TapError, ZoneError};
use overlay_core::engine::{Engine, Existing};
use overlay_core::property::Assignment;
use overlay_core::protocol::{ControlError, ErrorCode, MacChoice, MacType};
use overlay_core::socket::BindError;
use overlay_core::types::{LinkId, LinkName, MacAddr, VlanId};

use super::{Driver, Vnic};
use crate::records::VnicRecord;
use crate::until_boot::{Presence, UntilBoot};

/// What a client wants.
pub(super) struct NewVnic {
    pub(super) name: LinkName,
    pub(super) over: LinkName,
    pub(super) mac: MacChoice,
    pub(super) vid: Option<VlanId>,
    pub(super) properties: Vec<Assignment>,
    pub(super) temporary: bool,
}

impl<E: Engine> Driver<E> {
    pub(super) fn create_vnic(&mut self, wanted: NewVnic) -> Result<LinkId, ControlError> {
        let vnic = self.plan(wanted)?;
        let record = &vnic.record;
        let (id, over) = (record.id, record.over);
        self.records.save_vnic(record)?;
        if let Err(error) = self.raise(&vnic) {
            self.settle(over);
            // The device is what counts; a record without one is made good at the next start.
            let _ = self.records.remove(&record.name, record.temporary);
            return Err(error);
        }
        tracing::info!("VNIC {} is made, address {}", record.name, record.mac);
        self.vnics.insert(id, vnic);
        Ok(id)
    }

    /// Checks everything before anything is made.
    fn plan(&self, wanted: NewVnic) -> Result<Vnic, ControlError> {
        let name = wanted.name.for_device().map_err(ControlError::invalid)?;
        self.check_free(&name)?;
        let over = self.overlay_named(&wanted.over)?;
        let overlay = &self.overlays[&over];
        if !overlay.stage.is_activated() {
            let problem = format!("overlay {} is not activated: its creation was not finished", wanted.over);
            let hint = format!("dladm delete-overlay {}, and create it again", wanted.over);
            return Err(ControlError::new(ErrorCode::Unavailable, problem).with_hint(hint));
        }
        if overlay.record.temporary && !wanted.temporary {
            let problem = format!("overlay {} is temporary, and {name} is not", wanted.over);
            return Err(
                ControlError::invalid(problem).with_hint("make the VNIC temporary too: create-vnic -t")
            );
        }
        let (mac, mac_type) = self.choose_mac(over, wanted.mac)?;
        let vnic = Vnic::new(VnicRecord {
            id: self.fresh_id(),
            name,
            over,
            mac,
            mac_type,
            vid: wanted.vid,
            properties: wanted.properties,
            until_boot: UntilBoot::default(),
            mtu: None,
            resizing: false,
            renamed_from: None,
            deleting: false,
            temporary: wanted.temporary,
        })?;
        self.check_properties(&vnic)?;
        self.check_place(&vnic)?;
        Ok(vnic)
    }

    fn choose_mac(&self, over: LinkId, choice: MacChoice) -> Result<(MacAddr, MacType), ControlError> {
        let owner = |mac| self.address_owner(over, mac, None);
        match choice {
            MacChoice::Fixed(mac) => {
                let mac = mac.unicast().map_err(ControlError::invalid)?;
                let Some(owner) = owner(mac) else { return Ok((mac, MacType::Fixed)) };
                let problem = format!("MAC address {mac} is used by VNIC {owner} on this overlay");
                Err(ControlError::new(ErrorCode::Exists, problem))
            }
            MacChoice::Random { prefix } => {
                let (prefix, random) = (prefix.unwrap_or_default(), RandomState::new());
                // A prefix of five octets leaves 256 addresses; these draws meet nearly all of them.
                let mut drawn = (0u32..4096).map(|draw| MacAddr::random(prefix, random.hash_one(draw)));
                let free = drawn.find(|mac| mac.unicast().is_ok() && owner(*mac).is_none());
                let full = || {
                    ControlError::new(ErrorCode::Exists, format!("no free MAC address with prefix {prefix}"))
                };
                free.map(|mac| (mac, MacType::Random)).ok_or_else(full)
            }
        }
    }

    /// Opens the underlay, with the first VNIC, and makes the device.
    fn raise(&mut self, vnic: &Vnic) -> Result<(), ControlError> {
        let over = vnic.record.over;
        let Some(overlay) = self.overlays.get_mut(&over) else { return Ok(()) };
        self.engine.start(over).map_err(|error| bind_failure(&error))?;
        let spec = vnic.spec(overlay.mtu);
        self.engine.add_device(over, &spec, Existing::Refuse).map_err(|error| device_failure(&error))?;
        overlay.underlay = None;
        Ok(())
    }

    /// Closes the underlay behind the last VNIC.
    fn settle(&mut self, over: LinkId) {
        if self.vnics_over(over).next().is_some() {
            return;
        }
        if !self.overlays.contains_key(&over) {
            return;
        }
        self.engine.stop(over);
        if let Some(overlay) = self.overlays.get_mut(&over) {
            overlay.underlay = None;
        }
    }

    /// Ends a VNIC; what is stored of it too, unless that is to stay.
    pub(super) fn delete_vnic(&mut self, name: &LinkName, keep_stored: bool) -> Result<(), ControlError> {
        let Some(id) = self.vnic_named(name) else { return self.delete_absent_vnic(name, keep_stored) };
        let Some(vnic) = self.vnics.get_mut(&id) else { return Ok(()) };
        let VnicRecord { over, temporary, ref renamed_from, .. } = vnic.record;
        let renamed_from = renamed_from.clone();
        let keep = keep_stored && !temporary;
        // From here on the VNIC is on its way out: a start after a crash finishes what is left.
        let mut leaving = vnic.record.clone();
        match keep {
            true => leaving.until_boot.presence = Presence::Ending,
            false => leaving.deleting = true,
        }
        self.records.save_vnic(&leaving)?;
        vnic.record = leaving.clone();
        if !self.engine.has_device(over, id) {
            // An earlier run may have left one that could not be had.
            self.discard(&leaving).map_err(not_ended)?;
        }
        self.engine.remove_device(over, id).map_err(|error| device_failure(&error))?;
        if let Some(vnic) = self.vnics.get_mut(&id) {
            vnic.fault = Some("it is being deleted".to_owned());
        }
        match keep {
            true => self.put_away_vnic(id),
            false => self.forget_record(name, renamed_from.as_ref(), temporary)?,
        }
        self.vnics.remove(&id);
        self.settle(over);
        tracing::info!("VNIC {name} is deleted");
        Ok(())
    }

    /// Removes what is stored of a VNIC that is not there.
    fn delete_absent_vnic(&mut self, name: &LinkName, keep_stored: bool) -> Result<(), ControlError> {
        if self.forget_broken(name)?.is_some() {
            return Ok(());
        }
        match self.dormant.vnic_named(name) {
            Some(id) if !keep_stored => {
                let record = self.dormant.vnics.get(&id).map(|vnic| vnic.record.clone());
                if let Some(record) = record {
                    self.discard(&record).map_err(not_ended)?;
                    self.forget_record(name, record.renamed_from.as_ref(), false)?;
                }
                self.dormant.vnics.remove(&id);
                tracing::info!("the stored VNIC {name} is deleted");
                Ok(())
            }
            Some(_) => Err(self.not_up(name)),
            None if self.overlay_named(name).is_ok() || self.dormant.link_named(name).is_some() => {
                Err(ControlError::invalid(format!("{name} is not a VNIC")))
            }
            None => Err(ControlError::not_found(format!("there is no VNIC {name}"))),
        }
    }
}

fn not_ended(problem: String) -> ControlError {
    ControlError::new(ErrorCode::Failed, format!("its device cannot be ended: {problem}"))
}

pub(super) fn bind_failure(error: &BindError) -> ControlError {
    let failure = ControlError::new(
        ErrorCode::Failed,
        format!("its overlay's underlay socket cannot be opened: {error}"),
    );
    match error {
        BindError::NotLocal(_) => failure.with_hint("see this host's addresses: ip address"),
        BindError::Taken(address) => {
            failure.with_hint(format!("see who has it: ss -uanp 'sport = :{}'", address.port()))
        }
        BindError::Ours { .. } => {
            failure.with_hint("listen on another port, or on the same address as they do")
        }
        BindError::Denied(_) | BindError::System { .. } => failure,
    }
}

pub(super) fn device_failure(error: &TapError) -> ControlError {
    let code = match error {
        TapError::NameTaken { .. } => ErrorCode::Exists,
        TapError::Held(_) => ErrorCode::Busy,
        TapError::Zone(ZoneError::Absent(_) | ZoneError::Other(_)) => ErrorCode::NotFound,
        TapError::Zone(_) | TapError::System { .. } | TapError::Netlink(_) | TapError::Namespace(_) => {
            ErrorCode::Failed
        }
    };
    let refusal = ControlError::new(code, error.to_string());
    match error {
        TapError::NameTaken { name, zone } => {
            let within = zone.as_ref().map(|zone| format!("-n {zone} ")).unwrap_or_default();
            let hint = format!("take another name, or if nobody needs it: ip {within}link del {name}");
            refusal.with_hint(hint)
        }
        TapError::Zone(ZoneError::Absent(zone)) => refusal.with_hint(format!("make it: ip netns add {zone}")),
        TapError::Zone(ZoneError::Other(zone)) => {
            refusal.with_hint(format!("make it anew: ip netns del {zone}; ip netns add {zone}"))
        }
        _ => refusal,
    }
}
