use std::net::SocketAddr;

use overlay_core::datapath::OverlaySettings;
use overlay_core::encap::{self, Encap};
use overlay_core::engine::{Engine, OverlaySpec};
use overlay_core::lookup::{Sources, TargetMode, Timing};
use overlay_core::property::{
    Assignment, MTU, OVERLAY_PROPERTIES, Properties, PropertyError, TARGET_AGEING, TARGET_MAXIMUM,
    TARGET_NEGATIVE, TARGET_TIMEOUT,
};
use overlay_core::protocol::{ControlError, ErrorCode, Event, FixedTarget};
use overlay_core::types::{LinkId, LinkName, OverlayMtu, UnderlayMtu, VnetId};
use overlay_core::wire::ETHERNET_HEADER;

use super::{Driver, Overlay, Vnic};
use crate::lifecycle::{Refusal, Stage, Step};
use crate::records::OverlayRecord;
use crate::until_boot::UntilBoot;

/// What a client wants.
pub(super) struct NewOverlay {
    pub(super) name: LinkName,
    pub(super) encap: String,
    pub(super) vnetid: VnetId,
    pub(super) search: String,
    pub(super) properties: Vec<Assignment>,
    pub(super) temporary: bool,
}

impl Overlay {
    /// An overlay at its stored stage; `underlay` says what the underlay of a listen address takes.
    ///
    /// # Errors
    /// What of the record cannot stand.
    pub(super) fn new(
        record: OverlayRecord,
        underlay: impl FnOnce(SocketAddr) -> Option<UnderlayMtu>,
    ) -> Result<Self, ControlError> {
        let encap = encap::by_name(&record.encap).ok_or_else(|| unknown_encap(&record.encap))?;
        if record.properties.iter().any(|assignment| assignment.name == "vnetid") {
            return Err(PropertyError::Repeated("vnetid".to_owned()).into());
        }
        let properties = Self::check(&record, encap)?;
        let listen = encap.listen(&properties).ok_or_else(|| {
            ControlError::invalid(format!("encapsulation {} has no address to listen on", record.encap))
        })?;
        let stage = Stage::restored(record.activated);
        let mut overlay = Self {
            record,
            stage,
            encap,
            properties,
            listen,
            mtu: OverlayMtu::default(),
            association: None,
            claimed: None,
            degraded: None,
            underlay: None,
        };
        overlay.settle_properties(underlay)?;
        Ok(overlay)
    }

    /// Takes its properties from its record, and its MTU from them.
    ///
    /// # Errors
    /// Which one is not legal, now or after the next boot.
    pub(super) fn settle_properties(
        &mut self,
        underlay: impl FnOnce(SocketAddr) -> Option<UnderlayMtu>,
    ) -> Result<(), PropertyError> {
        self.properties = Self::check(&self.record, self.encap)?;
        self.mtu = match self.properties.uint(MTU) {
            Some(octets) => OverlayMtu::nearest(usize::try_from(octets).unwrap_or(usize::MAX)),
            // `auto`: now, or as it was last known, when the host does not have the address now.
            None => {
                let (listen, encap) = (self.listen, self.encap);
                let now =
                    underlay(listen).map(|mtu| OverlayMtu::nearest(inside(mtu, listen.is_ipv6(), encap)));
                self.record.derived_mtu = now.or(self.record.derived_mtu);
                self.record.derived_mtu.unwrap_or_default()
            }
        };
        Ok(())
    }

    /// What is wrong with its MTU on an underlay that takes such packets; nothing where they fit.
    pub(super) fn misfit(&self, underlay: UnderlayMtu) -> Option<String> {
        // A listener on all addresses of both families may have tunnel ends of IPv4 alone.
        let v6 = self.listen.is_ipv6() && !self.listen.ip().is_unspecified();
        let inside = inside(underlay, v6, self.encap);
        let (mtu, ip) = (usize::from(self.mtu.octets()), self.listen.ip());
        (mtu > inside).then(|| {
            format!(
                "mtu {mtu} is too large: the underlay at {ip} takes packets of {underlay} octets, which leaves {inside} inside"
            )
        })
    }

    /// The properties of a record now.
    ///
    /// # Errors
    /// Which one is not legal, now or after the next boot.
    fn check(record: &OverlayRecord, encap: &dyn Encap) -> Result<Properties, PropertyError> {
        let table: Vec<_> = OVERLAY_PROPERTIES.iter().chain(encap.properties()).cloned().collect();
        Properties::check(&table, &record.properties)?;
        Properties::check(&table, &record.properties_now())
    }

    /// How its destinations are found, once varpd has said so.
    pub(super) fn mode(&self) -> Option<&TargetMode> {
        self.association.as_ref().map(|association| &association.mode)
    }

    /// What it is to the engine now.
    pub(super) fn spec(&self) -> OverlaySpec {
        let settings = OverlaySettings {
            vnetid: self.record.vnetid,
            encap: self.encap,
            outer: self.encap.outer(&self.properties),
            mtu: self.mtu,
            active: self.stage.is_activated(),
            target: self.association.as_ref().map(|association| association.mode.clone()),
            sources: self.sources(),
        };
        let (timing, targets_max) = self.table_limits();
        OverlaySpec { settings, listen: self.listen, timing, targets_max }
    }

    /// Who may send to it: whom varpd knows, and whom an administrator sends to.
    fn sources(&self) -> Option<Sources> {
        let known = self.association.as_ref().map(|association| association.sources.clone())?;
        let by_hand = self.record.targets.iter().flat_map(|entry| match &entry.target {
            FixedTarget::Ends(ends) => ends.iter().map(|end| end.ip()).collect(),
            FixedTarget::Drop => Vec::new(),
        });
        let by_hand: Vec<_> = by_hand.collect();
        match known {
            Sources::Known(ends) if !by_hand.is_empty() => {
                Some(Sources::known(ends.iter().copied().chain(by_hand)))
            }
            known => Some(known),
        }
    }

    /// What its properties say of its target table; they have defaults, so there is a value for each.
    fn table_limits(&self) -> (Timing, usize) {
        let number = |name| self.properties.uint(name).unwrap_or_default();
        let milliseconds = |name| number(name) * 1000;
        let timing = Timing {
            ageing: Some(milliseconds(TARGET_AGEING)).filter(|ageing| *ageing > 0),
            negative: milliseconds(TARGET_NEGATIVE),
            timeout: milliseconds(TARGET_TIMEOUT),
        };
        (timing, usize::try_from(number(TARGET_MAXIMUM)).unwrap_or(usize::MAX))
    }

    /// Takes a step of its life.
    pub(super) fn step(&mut self, step: Step) -> Result<(), ControlError> {
        let name = &self.record.name;
        self.stage = self.stage.step(step).map_err(|refusal| match refusal {
            Refusal::NotAssociated => {
                let problem = format!("no varpd instance is associated with overlay {name}");
                ControlError::new(ErrorCode::Unavailable, problem)
                    .with_hint("see that varpd runs: svcs varpd")
            }
            Refusal::AlreadyActive => {
                ControlError::new(ErrorCode::Exists, format!("overlay {name} is active already"))
            }
        })?;
        Ok(())
    }
}

impl<E: Engine> Driver<E> {
    pub(super) fn create_overlay(&mut self, wanted: NewOverlay) -> Result<LinkId, ControlError> {
        let NewOverlay { name, encap, vnetid, search, properties, temporary } = wanted;
        self.check_free(&name)?;
        let id = self.fresh_id();
        let record = OverlayRecord {
            id,
            name,
            encap,
            vnetid,
            search,
            properties,
            targets: vec![],
            derived_mtu: None,
            until_boot: UntilBoot::default(),
            resizing: false,
            renamed_from: None,
            activated: false,
            temporary,
        };
        let overlay = Overlay::new(record, |listen| self.engine.underlay_mtu(listen))?;
        self.check_vnetid(&overlay.record)?;
        self.records.save_overlay(&overlay.record)?;
        self.engine.set_overlay(id, &overlay.spec());
        self.overlays.insert(id, overlay);
        Ok(id)
    }

    /// (vnetid, encapsulation) is unique on a host, whatever the listen address (illumos overlay.c).
    pub(super) fn check_vnetid(&self, record: &OverlayRecord) -> Result<(), ControlError> {
        let same =
            |other: &&Overlay| other.record.vnetid == record.vnetid && other.record.encap == record.encap;
        let name = |overlay: &Overlay| overlay.record.name.clone();
        let taken = format!("vnetid {} of {} is used by", record.vnetid, record.encap);
        if let Some(other) = self.overlays.values().find(same).map(name) {
            return Err(ControlError::new(ErrorCode::Exists, format!("{taken} overlay {other}")));
        }
        let Some(other) = self.dormant.overlays.values().find(same).map(name) else { return Ok(()) };
        let problem = format!("{taken} overlay {other}, which is stored and not there now");
        Err(ControlError::new(ErrorCode::Exists, problem).with_hint(format!("dladm up-overlay {other}")))
    }

    /// Lets an overlay carry; says what may be wrong with it all the same.
    pub(super) fn activate_overlay(&mut self, name: &LinkName) -> Result<Vec<String>, ControlError> {
        let id = self.overlay_named(name)?;
        let Some(overlay) = self.overlays.get_mut(&id) else { return Ok(Vec::new()) };
        let before = overlay.stage;
        overlay.step(Step::Activate)?;
        overlay.record.activated = true;
        if let Err(error) = self.records.save_overlay(&overlay.record) {
            (overlay.stage, overlay.record.activated) = (before, false);
            return Err(error);
        }
        self.engine.set_overlay(id, &overlay.spec());
        tracing::info!("overlay {name} is active");
        // It may be made before its underlay is; a wrong address is mostly a mistake.
        let unheard = self.engine.check_underlay(id).err().map(|error| error.to_string());
        let misfit = |overlay: &Overlay| overlay.misfit(self.engine.underlay_mtu(overlay.listen)?);
        Ok(unheard.into_iter().chain(self.overlays.get(&id).and_then(misfit)).collect())
    }

    /// Forgets a link whose record makes no sense; none when there is no such one.
    pub(super) fn forget_broken(&mut self, name: &LinkName) -> Result<Option<LinkId>, ControlError> {
        let Some(id) = self.broken.get(name).map(|broken| broken.id) else { return Ok(None) };
        self.records.retire(name)?;
        self.broken.remove(name);
        Ok(Some(id))
    }

    /// Ends an overlay; what is stored of it too, unless that is to stay.
    pub(super) fn delete_overlay(
        &mut self,
        name: &LinkName,
        keep_stored: bool,
    ) -> Result<LinkId, ControlError> {
        if let Some(id) = self.forget_broken(name)? {
            return Ok(id);
        }
        let id = match self.dormant.overlay_named(name) {
            Some(id) if !keep_stored => id,
            _ => self.overlay_named(name)?,
        };
        self.check_unused(id, name, keep_stored)?;
        let overlay = self.overlays.get(&id);
        let kept = overlay.filter(|one| keep_stored && !one.record.temporary && one.stage.is_activated());
        match kept.map(|overlay| overlay.record.clone()) {
            Some(record) => self.put_away_overlay(record)?,
            None => self.end_overlay(id, name)?,
        }
        tracing::info!("overlay {name} is deleted");
        Ok(id)
    }

    fn check_unused(&self, id: LinkId, name: &LinkName, keep_stored: bool) -> Result<(), ControlError> {
        let users = |vnics: &mut dyn Iterator<Item = &Vnic>| {
            vnics.map(|vnic| vnic.record.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (here, stored) = (users(&mut self.vnics_over(id)), users(&mut self.dormant.vnics_over(id)));
        let problem = match (&*here, &*stored) {
            ("", "") => return Ok(()),
            ("", _) if keep_stored => return Ok(()),
            ("", stored) => format!("link busy: stored VNICs over {name}: {stored}"),
            (here, _) => format!("link busy: VNICs over {name}: {here}"),
        };
        Err(ControlError::new(ErrorCode::Busy, problem)
            .with_hint("delete them first: dladm delete-vnic NAME"))
    }

    /// Ends an overlay and what is stored of it.
    fn end_overlay(&mut self, id: LinkId, name: &LinkName) -> Result<(), ControlError> {
        let Some(OverlayRecord { temporary, renamed_from, .. }) =
            self.overlay_mut(id).map(|overlay| overlay.record.clone())
        else {
            return Ok(());
        };
        self.deleted.push(id);
        let stored = self
            .records
            .save_deleted(&self.deleted)
            .and_then(|()| self.forget_record(name, renamed_from.as_ref(), temporary));
        if let Err(error) = stored {
            self.deleted.retain(|deleted| *deleted != id);
            return Err(error);
        }
        if self.overlays.remove(&id).is_some() {
            self.engine.remove_overlay(id);
        }
        self.dormant.overlays.remove(&id);
        self.events.extend(self.varpd.map(|varpd| (varpd, Event::OverlayDeleted(id))));
        Ok(())
    }
}

/// What an underlay leaves for the packets inside frames without tags.
fn inside(underlay: UnderlayMtu, v6: bool, encap: &dyn Encap) -> usize {
    underlay.inside(v6, encap.header_len() + ETHERNET_HEADER)
}

fn unknown_encap(name: &str) -> ControlError {
    ControlError::not_found(format!("unknown encapsulation '{name}' (known ones: {})", encap::names()))
}
