//! The driver's state, and what requests do to it.

mod dormant;
mod leases;
mod link_properties;
mod overlay;
mod properties;
mod rename;
mod restore;
mod show;
mod targets;
mod varpd;
mod vnic;
mod watch;
mod zone;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Instant;

use overlay_core::encap::Encap;
use overlay_core::engine::Engine;
use overlay_core::property::Properties;
use overlay_core::protocol::{Association, ControlError, ErrorCode, Event, Privilege, Request, Response};
use overlay_core::types::{LinkId, LinkName, OverlayMtu};

use self::dormant::Dormant;
pub(crate) use self::leases::Given;
pub(crate) use self::targets::Room;
use crate::lifecycle::Stage;
use crate::records::{OverlayRecord, Records, VnicRecord};

/// A connection to the control socket, as the driver knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Everything the daemon knows.
pub(crate) struct Driver<E> {
    engine: E,
    records: Records,
    overlays: BTreeMap<LinkId, Overlay>,
    vnics: BTreeMap<LinkId, Vnic>,
    /// Links that are stored and not there.
    dormant: Dormant,
    /// Links whose records make no sense, by name: why, and under what number they are shown.
    broken: BTreeMap<LinkName, Broken>,
    /// Deleted overlays whose instances varpd may still have.
    deleted: Vec<LinkId>,
    /// The connection of the one varpd.
    varpd: Option<ConnectionId>,
    /// When that came.
    attached: Option<Instant>,
    /// Overlays of which varpd has not been asked everything that waits.
    unasked: BTreeSet<LinkId>,
    /// Whether something waits to be mended; kept, because it is asked for all the time and takes a look at every link.
    ailing: bool,
    /// Whether a VNIC is or is to be in a zone.
    zoned: bool,
    events: Vec<(ConnectionId, Event)>,
    watch: watch::Watch,
    /// What is wrong with listen addresses, as found out while a request is carried out or all is looked at.
    checked: RefCell<BTreeMap<SocketAddr, Option<String>>>,
    /// What is told after each step of work of which there can be thousands.
    alive: Box<dyn Fn()>,
}

#[derive(Clone)]
struct Overlay {
    record: OverlayRecord,
    stage: Stage,
    encap: &'static dyn Encap,
    properties: Properties,
    listen: SocketAddr,
    mtu: OverlayMtu,
    association: Option<Association>,
    /// The connection that the association came over.
    claimed: Option<ConnectionId>,
    /// What varpd says is wrong with its lookups.
    degraded: Option<String>,
    /// Why its underlay socket is not open though it has VNICs.
    underlay: Option<String>,
}

#[derive(Clone)]
struct Vnic {
    record: VnicRecord,
    /// Its link properties now.
    properties: Properties,
    /// Why it has no device.
    fault: Option<String>,
    losses: zone::Losses,
    /// Whether an earlier run may have left its device, wherever that is: until it has been looked for.
    left: bool,
    /// Whether that is because its zone is not there.
    awaits_zone: bool,
}

/// A link that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Overlay(LinkId),
    Vnic(LinkId),
}

/// A link whose record has been set aside.
struct Broken {
    id: LinkId,
    reason: String,
}

impl<E: Engine> Driver<E> {
    /// Carries out a request of the client `caller`.
    pub(crate) fn call(&mut self, caller: ConnectionId, request: Request) -> Result<Response, ControlError> {
        let said = matches!(request, Request::Answers { .. } | Request::Inject { .. });
        let changes = request.privilege() != Privilege::Read && !said;
        self.checked.take();
        let outcome = self.carry_out(caller, request);
        if changes {
            self.examine();
            self.watch.stale = true;
        }
        outcome
    }

    fn carry_out(&mut self, caller: ConnectionId, request: Request) -> Result<Response, ControlError> {
        match request {
            Request::Encaps => Ok(Response::Plugins(show::encaps())),
            Request::CreateOverlay { name, encap, vnetid, search, properties, temporary } => {
                let request = overlay::NewOverlay { name, encap, vnetid, search, properties, temporary };
                self.create_overlay(request).map(Response::Link)
            }
            Request::ActivateOverlay { name } => self.activate_overlay(&name).map(done_or_warned),
            Request::DeleteOverlay { name, keep_stored } => {
                self.delete_overlay(&name, keep_stored).map(Response::Link)
            }
            Request::CreateVnic { name, over, mac, vid, properties, temporary } => {
                let request = vnic::NewVnic { name, over, mac, vid, properties, temporary };
                self.create_vnic(request).map(Response::Link)
            }
            Request::DeleteVnic { name, keep_stored } => {
                self.delete_vnic(&name, keep_stored).map(|()| Response::Done)
            }
            Request::UpOverlays { name } => self.up_overlays(name.as_ref()).map(done_or_warned),
            Request::RenameLink { name, to } => self.rename_link(&name, to).map(|()| Response::Done),
            Request::StoredLinks => Ok(Response::StoredLinks(self.stored_links())),
            Request::Links => Ok(Response::Links(self.show_links())),
            Request::Overlays => Ok(Response::Overlays(self.show_overlays())),
            Request::Muxes => Ok(Response::Muxes(self.engine.muxes())),
            Request::Attach => self.attach(caller),
            Request::Associate(association) => self.associate(caller, association).map(|()| Response::Done),
            Request::Disassociate { link } => self.disassociate(link).map(|()| Response::Done),
            Request::Degrade { link, message } => self.degrade(link, Some(message)).map(|()| Response::Done),
            Request::Restore { link } => self.degrade(link, None).map(|()| Response::Done),
            Request::ForgetDeleted { links } => self.forget_deleted(&links).map(|()| Response::Done),
            Request::Targets { overlay, page } => self.show_targets(&overlay, page).map(Response::Targets),
            Request::SetTarget { overlay, mac, target } => {
                self.set_target(&overlay, mac, target).map(|()| Response::Done)
            }
            Request::RemoveTarget { overlay, mac } => {
                self.remove_target(&overlay, mac).map(|()| Response::Done)
            }
            Request::FlushTargets { overlay } => self.flush_targets(&overlay).map(|()| Response::Done),
            Request::SetOverlayProperties { overlay, properties } => {
                self.set_properties(&overlay, properties).map(|()| Response::Done)
            }
            Request::Answers { answers } => self.learn(caller, answers).map(|()| Response::Done),
            Request::Inject { link, frame } => self.inject(caller, link, &frame.0).map(|()| Response::Done),
            Request::SetLinkProperties { name, properties, temporary } => {
                self.set_link_properties(&name, properties, temporary).map(|()| Response::Done)
            }
            Request::ResetLinkProperties { name, properties, temporary } => {
                self.reset_link_properties(&name, properties, temporary).map(|()| Response::Done)
            }
            Request::LinkProperties => Ok(Response::LinkProperties(self.link_properties())),
            Request::Watch => Ok(self.watch(caller)),
            Request::Plugins
            | Request::SetInstanceProperties { .. }
            | Request::CreateInstance { .. }
            | Request::ActivateInstance { .. }
            | Request::DestroyInstance { .. }
            | Request::Instances => {
                Err(ControlError::new(ErrorCode::Unsupported, "overlayd has no search plugins: ask varpd"))
            }
        }
    }

    /// Has `alive` called after each step of work of which there can be thousands.
    pub(crate) fn show_life(&mut self, alive: impl Fn() + 'static) {
        self.alive = Box::new(alive);
    }

    /// What clients are to be told, since this was last asked.
    pub(crate) fn take_events(&mut self) -> Vec<(ConnectionId, Event)> {
        std::mem::take(&mut self.events)
    }

    /// The connection of the one varpd.
    pub(crate) fn varpd(&self) -> Option<ConnectionId> {
        self.varpd
    }

    /// Whether a connection is varpd's.
    pub(crate) fn is_varpd(&self, connection: ConnectionId) -> bool {
        self.varpd == Some(connection)
    }

    /// Takes note that a connection has ended.
    pub(crate) fn closed(&mut self, connection: ConnectionId) {
        self.watch_no_more(connection);
        if self.varpd == Some(connection) {
            self.varpd = None;
            tracing::warn!("varpd has gone; what it said last stays in force");
        }
    }

    fn overlay_named(&self, name: &LinkName) -> Result<LinkId, ControlError> {
        let found = self.overlays.values().find(|overlay| overlay.record.name == *name);
        match found {
            Some(overlay) => Ok(overlay.record.id),
            None if self.broken.contains_key(name) => Err(ControlError::new(
                ErrorCode::Unavailable,
                format!("{name} is broken: {}", self.broken[name].reason),
            )),
            None if self.vnic_named(name).is_some() => {
                Err(ControlError::invalid(format!("{name} is not an overlay")))
            }
            None if self.dormant.link_named(name).is_some() => Err(self.not_up(name)),
            None => Err(ControlError::not_found(format!("there is no overlay {name}"))),
        }
    }

    fn link_named(&self, name: &LinkName) -> Result<Link, ControlError> {
        if let Some(id) = self.vnic_named(name) {
            return Ok(Link::Vnic(id));
        }
        let found = self.overlay_named(name).map(Link::Overlay);
        found.map_err(|error| match error.code {
            ErrorCode::NotFound if self.dormant.link_named(name).is_none() => {
                ControlError::not_found(format!("there is no link {name}"))
            }
            _ => error,
        })
    }

    fn vnic_named(&self, name: &LinkName) -> Option<LinkId> {
        self.vnics.values().find(|vnic| vnic.record.name == *name).map(|vnic| vnic.record.id)
    }

    fn vnics_over(&self, overlay: LinkId) -> impl Iterator<Item = &Vnic> {
        self.vnics.values().filter(move |vnic| vnic.record.over == overlay)
    }

    fn check_free(&self, name: &LinkName) -> Result<(), ControlError> {
        if self.broken.contains_key(name) {
            let problem = format!("a broken link named {name} is there: {}", self.broken[name].reason);
            return Err(ControlError::new(ErrorCode::Exists, problem)
                .with_hint(format!("dladm delete-overlay {name}")));
        }
        if self.dormant.link_named(name).is_some() {
            let problem = format!("a link named {name} is stored, though it is not there now");
            let hint = self.not_up(name).hint.unwrap_or_default();
            return Err(ControlError::new(ErrorCode::Exists, problem).with_hint(hint));
        }
        if self.is_free(name) {
            return Ok(());
        }
        Err(ControlError::new(ErrorCode::Exists, format!("a link named {name} exists already")))
    }

    /// Whether no link has a name, not even a broken one.
    fn is_free(&self, name: &LinkName) -> bool {
        let elsewhere = self.broken.contains_key(name) || self.dormant.link_named(name).is_some();
        !elsewhere && self.overlay_named(name).is_err() && self.vnic_named(name).is_none()
    }

    /// An identifier that no link has, nor a deleted one that varpd still knows.
    fn fresh_id(&self) -> LinkId {
        let random = RandomState::new();
        let drawn = (0u64..).filter_map(|draw| NonZeroU32::new(random.hash_one(draw) as u32)).map(LinkId);
        let taken = |id: &LinkId| self.overlays.contains_key(id) || self.vnics.contains_key(id);
        let mut free = drawn.filter(|id| !taken(id) && !self.dormant.has(*id));
        free.find(|id| !self.deleted.contains(id)).expect("most of 2^32 identifiers are free")
    }
}

fn done_or_warned(warnings: Vec<String>) -> Response {
    if warnings.is_empty() { Response::Done } else { Response::Warned(warnings) }
}

#[cfg(test)]
mod tests;
