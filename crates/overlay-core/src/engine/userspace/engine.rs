use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::clock::Clock;
use super::leases;
use super::mux::Mux;
use super::table::{Source, Table, Token, Way};
use super::underlay;
use super::workers::{Workers, usual_count};
use crate::datapath::{Demux, Overlay, OverlayCounters, OverlaySettings, Port, PortSettings, Waiting};
use crate::device::{DeviceKit, Housed, NamespaceError, TapDevice, TapError, TapSpec, Zone};
use crate::engine::{DeviceSpec, Engine, Existing, LeaseInfo, OverlaySpec};
use crate::lookup::{Answer, Desk, Ends, Question, TargetTable};
use crate::protocol::{CounterInfo, LinkCounters, MuxInfo, OffloadInfo, TargetPage};
use crate::socket::{BindError, check_local};
use crate::types::{LinkId, LinkName, MacAddr, UnderlayMtu, ZoneName};

/// The engine in userspace.
pub struct UserspaceEngine {
    pub(super) kit: DeviceKit,
    pub(super) workers: Workers,
    pub(super) losses: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) desk: Arc<Desk>,
    /// Readable when there are questions on the desk.
    pub(super) attention: Arc<EventFd>,
    pub(super) overlays: BTreeMap<LinkId, Member>,
    muxes: BTreeMap<SocketAddr, Watched<Mux>>,
    last_token: u64,
}

/// An overlay and what belongs to it.
pub(super) struct Member {
    settings: OverlaySettings,
    pub(super) listen: SocketAddr,
    counters: Arc<OverlayCounters>,
    pub(super) targets: Arc<TargetTable<Waiting>>,
    /// As it was published last; none when it has changed since.
    pub(super) current: Option<Arc<Overlay<TapDevice>>>,
    pub(super) ports: BTreeMap<LinkId, Device>,
    /// What VNICs without a device have counted.
    pub(super) counted: BTreeMap<LinkId, LinkCounters>,
    started: bool,
}

pub(super) struct Device {
    /// What it was told to be; somebody may have given it another name or MTU since.
    pub(super) spec: TapSpec,
    pub(super) port: Watched<Port<TapDevice>>,
    /// The zone that it has been put into or found in; none on the host.
    pub(super) zone: Option<Zone>,
    /// Whether it has been in one place since an earlier run: who is there goes on.
    pub(super) stayed: bool,
}

/// Something with a descriptor that a worker watches.
pub(super) struct Watched<T> {
    pub(super) what: Arc<T>,
    token: Token,
    worker: usize,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its namespaces cannot be had.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Its threads cannot be started.
    #[error("cannot start worker threads: {0}")]
    Workers(#[from] io::Error),
}

impl UserspaceEngine {
    /// An engine for the network namespace this thread is in, with nothing to carry.
    ///
    /// # Errors
    /// What it needs from the system and does not get.
    pub fn start() -> Result<Self, StartError> {
        Self::with_workers(usual_count())
    }

    /// The same with so many workers, whatever processors there are: for tests of what happens between workers.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn with_workers(count: usize) -> Result<Self, StartError> {
        let (clock, desk) = (Clock::start(), Arc::<Desk>::default());
        let attention = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let attention = Arc::new(attention.map_err(io::Error::from)?);
        let losses = Arc::<AtomicBool>::default();
        let (kit, workers) = (DeviceKit::new()?, Workers::start(count, clock, &desk, &attention, &losses)?);
        let (overlays, muxes) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { kit, workers, losses, clock, desk, attention, overlays, muxes, last_token: 0 })
    }

    /// Gives the workers a new table, in which all but the overlay that has changed is as it was: a host may have thousands.
    fn publish(&mut self, changed: LinkId) {
        if let Some(member) = self.overlays.get_mut(&changed) {
            member.current = None;
        }
        let mut sources = HashMap::new();
        let mut overlays = HashMap::new();
        let mut sharing: BTreeMap<SocketAddr, Vec<_>> = BTreeMap::new();
        for (link, member) in &mut self.overlays {
            let mux = member.started.then(|| self.muxes.get(&member.listen)).flatten();
            let overlay = member.current.take().unwrap_or_else(|| Arc::new(member.overlay()));
            member.current = Some(Arc::clone(&overlay));
            let way = Way { overlay: Arc::clone(&overlay), mux: mux.map(|mux| Arc::clone(&mux.what)) };
            overlays.insert(*link, way);
            for Device { port, .. } in member.ports.values() {
                let (overlay, port_too) = (Arc::clone(&overlay), Arc::clone(&port.what));
                let mux = mux.map(|mux| Arc::clone(&mux.what));
                sources.insert(port.token, Source::Device { overlay, port: port_too, mux });
            }
            if let Some(mux) = mux {
                mux.what.prepare(&member.settings.outer);
                sharing.entry(member.listen).or_default().push(overlay);
            }
        }
        for (listen, mux) in &self.muxes {
            let overlays = sharing.remove(listen).unwrap_or_default();
            let demux = Demux::new(mux.what.encap, overlays, Arc::clone(&mux.what.counters));
            sources.insert(mux.token, Source::Socket { mux: Arc::clone(&mux.what), demux });
        }
        self.workers.publish(Table { overlays, sources });
    }

    /// Gives up an overlay's underlay socket, which ends once no worker has it any more.
    fn leave(&mut self, link: LinkId) {
        let Some(member) = self.overlays.get_mut(&link) else { return };
        member.started = false;
        member.show_carrier();
        let listen = member.listen;
        let shared = self.overlays.values().any(|member| member.started && member.listen == listen);
        let closed = if shared { None } else { self.muxes.remove(&listen) };
        if let Some(mux) = closed {
            self.workers.forget(mux.worker, mux.what.sockets.listener());
        }
    }

    /// Makes a device what it was before a change that failed.
    pub(super) fn take_back(&mut self, over: LinkId, before: TapSpec, port: &Port<TapDevice>) {
        if let Err(error) = self.kit.resize(port.device(), &before) {
            tracing::warn!("the MTU of {} is not what it was: {error}", before.name);
        }
        let member = self.overlays.get_mut(&over);
        if let Some(device) = member.and_then(|member| member.ports.get_mut(&before.link)) {
            // What has begun to wait by the settings that are taken back is still given.
            device.port.what = Arc::new(device.port.what.changed(port.settings().clone()));
            device.spec = before;
        }
        self.publish(over);
    }

    fn next_token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    fn open_mux(
        &mut self,
        listen: SocketAddr,
        encap: &'static dyn crate::encap::Encap,
    ) -> Result<(), BindError> {
        let ours = |error| match (error, self.muxes.values().find(|mux| mux.what.sockets.obstructs(listen))) {
            (BindError::Taken(address), Some(mux)) => BindError::Ours { address, by: mux.what.listen },
            (error, _) => error,
        };
        let mux = Mux::open(listen, encap).map_err(ours)?;
        let token = self.next_token();
        let worker = self
            .workers
            .watch(mux.sockets.listener(), token)
            .map_err(|error| BindError::System { address: listen, error })?;
        self.muxes.insert(listen, Watched { what: Arc::new(mux), token, worker });
        Ok(())
    }

    fn raise(&mut self, spec: &DeviceSpec, existing: Existing) -> Result<Device, TapError> {
        let tap_spec = tap_spec(spec);
        let Housed { tap, zone, stayed } = match existing {
            Existing::Refuse => self.kit.create(&tap_spec)?,
            Existing::Adopt => self.kit.adopt(&tap_spec)?,
            Existing::Again | Existing::Finish => {
                let housed = match existing {
                    Existing::Finish => self.kit.adopt(&tap_spec)?,
                    _ => self.kit.adopt_near(&tap_spec)?,
                };
                self.kit.rename(&housed.tap, &tap_spec)?;
                self.kit.resize(&housed.tap, &tap_spec)?;
                housed
            }
        };
        let token = self.next_token();
        let watched = self.workers.watch(tap.as_fd(), token);
        let worker = watched.map_err(|error| {
            // A device that is not served is not left behind.
            let _ = tap.give_up();
            TapError::System { step: "watch", name: spec.name.clone(), error }
        })?;
        let alarm = self.workers.alarm(worker, token);
        let port = Watched { what: Arc::new(Port::with_alarm(settings(spec), tap, alarm)), token, worker };
        Ok(Device { spec: tap_spec, port, zone, stayed })
    }

    /// Lets go of a VNIC's device, which stays, and keeps what it has counted. No frame of it is under way when this returns.
    pub(super) fn let_go(&mut self, over: LinkId, link: LinkId) -> Option<Device> {
        let device = self.overlays.get_mut(&over)?.ports.remove(&link)?;
        self.workers.forget(device.port.worker, device.port.what.device().as_fd());
        self.publish(over);
        let member = self.overlays.get_mut(&over)?;
        if let Some(overlay) = &member.current {
            overlay.abandon(&device.port.what);
        }
        member.counted.insert(link, device.port.what.counters().link());
        Some(device)
    }
}

/// What a device is to whoever makes it.
pub(super) fn tap_spec(spec: &DeviceSpec) -> TapSpec {
    let DeviceSpec { link, mac, mtu, .. } = *spec;
    TapSpec { link, name: spec.name.clone(), mac, mtu, zone: spec.zone.clone() }
}

/// What a device is to the data path.
fn settings(spec: &DeviceSpec) -> PortSettings {
    let DeviceSpec { link, mac, vid, mtu, .. } = *spec;
    PortSettings { link, mac, vid, mtu, policy: spec.policy.clone() }
}

impl Member {
    fn overlay(&self) -> Overlay<TapDevice> {
        let ports = self.ports.values().map(|device| Arc::clone(&device.port.what)).collect();
        Overlay::new(self.settings.clone(), Arc::clone(&self.counters), Arc::clone(&self.targets), ports)
    }

    /// Who sends the frames of a VNIC; of one that is gone, anybody.
    pub(super) fn worker_of(&self, port: LinkId) -> usize {
        self.ports.get(&port).map_or(0, |device| device.port.worker)
    }

    /// A VNIC's link is up when the overlay can carry its frames.
    fn show_carrier(&self) {
        let up = self.started && self.settings.active;
        for Device { spec, port, .. } in self.ports.values() {
            if let Err(error) = port.what.device().set_carrier(up) {
                tracing::debug!("cannot set the link of {}: {error}", spec.name);
            }
        }
    }
}

impl Engine for UserspaceEngine {
    fn set_overlay(&mut self, link: LinkId, spec: &OverlaySpec) {
        let table = || TargetTable::new(link, Arc::clone(&self.desk), spec.timing, spec.targets_max);
        let member = self.overlays.entry(link).or_insert_with(|| Member {
            settings: spec.settings.clone(),
            listen: spec.listen,
            counters: Arc::default(),
            targets: Arc::new(table()),
            current: None,
            ports: BTreeMap::new(),
            counted: BTreeMap::new(),
            started: false,
        });
        // What was sent under a larger MTU may be in a device's queue, or under way from a peer that has it still.
        let mtu = member.settings.mtu.max(spec.settings.mtu);
        member.settings = OverlaySettings { mtu, ..spec.settings.clone() };
        member.show_carrier();
        self.publish(link);
        self.tune(link, spec);
    }

    fn start(&mut self, link: LinkId) -> Result<(), BindError> {
        let Some(member) = self.overlays.get(&link) else { return Ok(()) };
        let (listen, encap) = (member.listen, member.settings.encap);
        if member.started {
            return Ok(());
        }
        match self.muxes.get(&listen) {
            Some(mux) if mux.what.encap.name() != encap.name() => {
                return Err(BindError::Ours { address: listen, by: listen });
            }
            Some(_) => {}
            None => self.open_mux(listen, encap)?,
        }
        if let Some(member) = self.overlays.get_mut(&link) {
            member.started = true;
            member.show_carrier();
        }
        self.publish(link);
        Ok(())
    }

    fn stop(&mut self, link: LinkId) {
        self.leave(link);
        self.publish(link);
    }

    fn is_started(&self, link: LinkId) -> bool {
        self.overlays.get(&link).is_some_and(|member| member.started)
    }

    fn check_underlay(&self, link: LinkId) -> Result<(), BindError> {
        self.overlays.get(&link).map_or(Ok(()), |member| check_local(member.listen))
    }

    fn underlay_mtu(&self, listen: SocketAddr) -> Option<UnderlayMtu> {
        underlay::mtu_of(listen.ip()).unwrap_or_else(|error| {
            tracing::warn!("the MTU of the underlay at {} is not known: {error}", listen.ip());
            None
        })
    }

    fn remove_overlay(&mut self, link: LinkId) {
        self.leave(link);
        let gone = self.overlays.remove(&link);
        self.publish(link);
        // Here and not in a worker: a large target table takes its time to end.
        drop(gone);
    }

    fn is_taken(&self, name: &LinkName, zone: Option<&ZoneName>) -> Result<bool, TapError> {
        self.kit.has(name, zone)
    }

    fn add_device(&mut self, over: LinkId, spec: &DeviceSpec, existing: Existing) -> Result<(), TapError> {
        let device = self.raise(spec, existing)?;
        if let Some(member) = self.overlays.get_mut(&over) {
            if let Some(before) = member.counted.remove(&spec.link) {
                device.port.what.counters().go_on_from(&before);
            }
            member.ports.insert(spec.link, device);
            member.show_carrier();
        }
        self.publish(over);
        Ok(())
    }

    fn change_device(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        let member = self.overlays.get_mut(&over);
        let Some(device) = member.and_then(|member| member.ports.get_mut(&spec.link)) else { return Ok(()) };
        let (before, wanted) = (device.spec.clone(), tap_spec(spec));
        let port = Arc::clone(&device.port.what);
        // As with the overlay's: what is under way is taken as it was sent.
        let mtu = port.settings().mtu.max(spec.mtu);
        device.port.what = Arc::new(port.changed(PortSettings { mtu, ..settings(spec) }));
        device.spec = wanted.clone();
        // The data path is ready for larger frames before the device sends them.
        self.publish(over);
        let mut outcome = Ok(());
        if wanted.mtu != before.mtu {
            outcome = self.kit.resize(port.device(), &wanted);
        }
        if outcome.is_ok() && wanted.name != before.name {
            outcome = self.kit.rename(port.device(), &wanted);
        }
        outcome.inspect_err(|_| self.take_back(over, before, &port))
    }

    fn settle_device(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        self.settle(over, spec)
    }

    fn remove_device(&mut self, over: LinkId, link: LinkId) -> Result<(), TapError> {
        let outcome = self.lose_device(over, link);
        if let Some(member) = self.overlays.get_mut(&over) {
            member.counted.remove(&link);
        }
        outcome
    }

    fn lose_device(&mut self, over: LinkId, link: LinkId) -> Result<(), TapError> {
        let Some(Device { spec, port, .. }) = self.let_go(over, link) else { return Ok(()) };
        // The device ends with the last descriptor, which is dropped with `port` at the end.
        match port.what.device().give_up() {
            Err(error) if error.raw_os_error() != Some(libc::EBADFD) => {
                Err(TapError::System { step: "end", name: spec.name, error })
            }
            _ => Ok(()),
        }
    }

    fn discard_device(&mut self, spec: &DeviceSpec) -> Result<(), TapError> {
        self.kit.discard(&tap_spec(spec))
    }

    fn has_device(&self, over: LinkId, link: LinkId) -> bool {
        let device = self.overlays.get(&over).and_then(|member| member.ports.get(&link));
        device.is_some_and(|device| !device.port.what.device().is_gone())
    }

    fn lost_devices(&mut self) -> Vec<LinkId> {
        self.lost()
    }

    fn stranded_devices(&self) -> Vec<LinkId> {
        self.stranded()
    }

    fn uses_zones(&self) -> bool {
        self.devices().any(|(_, device)| device.zone.is_some())
    }

    fn overlay_counters(&self, link: LinkId) -> (CounterInfo, LinkCounters) {
        let member = self.overlays.get(&link);
        member.map(|member| (member.counters.info(), member.counters.link())).unwrap_or_default()
    }

    fn device_counters(&self, over: LinkId, link: LinkId) -> LinkCounters {
        let Some(member) = self.overlays.get(&over) else { return LinkCounters::default() };
        let now = member.ports.get(&link).map(|device| device.port.what.counters().link());
        now.or_else(|| member.counted.get(&link).copied()).unwrap_or_default()
    }

    fn leases(&self, over: LinkId, link: LinkId) -> Option<(u64, Vec<LeaseInfo>)> {
        let device = self.overlays.get(&over)?.ports.get(&link)?;
        let (changes, leases) = device.port.what.leases()?;
        let now = self.clock.now();
        Some((changes, leases.into_iter().map(|lease| leases::info(lease, now)).collect()))
    }

    fn restore_leases(&mut self, over: LinkId, link: LinkId, leases: Vec<LeaseInfo>) {
        let device = self.overlays.get(&over).and_then(|member| member.ports.get(&link));
        let now = self.clock.now();
        if let Some(device) = device.filter(|device| device.stayed) {
            let leases = leases.into_iter().map(|info| leases::lease(info, now)).collect();
            device.port.what.restore_leases(leases);
        }
    }

    fn device_offloads(&self, over: LinkId, link: LinkId) -> OffloadInfo {
        let device = self.overlays.get(&over).and_then(|member| member.ports.get(&link));
        device.map(|device| device.port.what.offloads().info()).unwrap_or_default()
    }

    fn muxes(&self) -> Vec<MuxInfo> {
        self.muxes.values().map(|mux| mux.what.info()).collect()
    }

    fn attention(&self) -> BorrowedFd<'_> {
        self.attention.as_fd()
    }

    fn questions(&mut self) -> Vec<Question> {
        self.take_questions()
    }

    fn outstanding(&self, link: LinkId) -> Vec<Question> {
        self.unanswered(link)
    }

    fn learn(&mut self, answers: Vec<Answer>) {
        self.take_answers(answers);
    }

    fn inject(&mut self, link: LinkId, frame: &[u8]) {
        if let Some(overlay) = self.overlays.get(&link).and_then(|member| member.current.as_ref()) {
            overlay.inject(frame);
        }
    }

    fn fix_target(&mut self, link: LinkId, mac: MacAddr, ends: Option<Ends>) {
        self.fix(link, mac, ends);
    }

    fn remove_target(&mut self, link: LinkId, mac: MacAddr) -> bool {
        self.unfix(link, mac)
    }

    fn flush_targets(&mut self, link: LinkId) {
        self.flush(link);
    }

    fn targets(&self, link: LinkId, page: u32) -> TargetPage {
        self.target_page(link, page)
    }

    fn expire(&mut self) {
        self.end_waiting();
    }

    fn is_asking(&self) -> bool {
        self.desk.is_asking()
    }
}
