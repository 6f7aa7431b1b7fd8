use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::guard::{Guard, Lease};
use super::shaper::Shaper;
use super::turn::Ahead;
use super::{Allowance, DropReason, FrameBuf, Inner, Load, PortCounters, PortPolicy};
use crate::offload::{Cut, Offload, OffloadSet, Offloads, VnetHeader};
use crate::types::{LinkId, MacAddr, Moment, OverlayMtu, VlanId};
use crate::wire::{ETHERNET_HEADER, VLAN_TAG};

/// Where a VNIC's frames go: its TAP device, or a twin of it in a test.
pub trait Device: Send + Sync + fmt::Debug {
    /// Hands over one frame in pieces, whole or not at all: two, and those of `more` behind them, which are at most
    /// [`RUN_SEGMENTS`](crate::offload::RUN_SEGMENTS).
    ///
    /// # Errors
    /// Why the device did not take it.
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError>;

    /// What it can do, as far as that is known from the beginning.
    fn offloads(&self) -> OffloadSet;
}

/// Why a device did not take a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceError {
    /// It is not up.
    Down,
    /// It has no room or memory now.
    Full,
    /// It takes no frame of this form.
    Refused,
}

impl From<DeviceError> for DropReason {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Down => Self::DeviceDown,
            DeviceError::Full => Self::DeviceFull,
            DeviceError::Refused => Self::DeviceRefused,
        }
    }
}

/// What a VNIC is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSettings {
    /// The VNIC.
    pub link: LinkId,
    /// Its address.
    pub mac: MacAddr,
    /// The VLAN of its frames inside the tunnel.
    pub vid: Option<VlanId>,
    /// Its largest packet.
    pub mtu: OverlayMtu,
    /// What it may do.
    pub policy: PortPolicy,
}

impl PortSettings {
    /// Of a VNIC without VLAN that has what is the default for the rest.
    pub fn plain(link: LinkId, mac: MacAddr) -> Self {
        Self { link, mac, vid: None, mtu: OverlayMtu::default(), policy: PortPolicy::default() }
    }

    /// Its MAC addresses: its own, and the further ones.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> {
        std::iter::once(self.mac).chain(self.policy.secondary_macs.iter().copied())
    }

    /// Whether a MAC address is one of its.
    pub fn owns(&self, mac: MacAddr) -> bool {
        self.macs().any(|own| own == mac)
    }
}

/// A VNIC on an overlay at one moment: a change makes a new one with the same body.
#[derive(Debug)]
pub struct Port<D> {
    pub(super) settings: PortSettings,
    body: Arc<Body<D>>,
    /// There once it has had a limit.
    shaper: Option<Arc<Shaper>>,
}

/// What of a VNIC stays the same while its settings change.
#[derive(Debug)]
struct Body<D> {
    device: D,
    counters: PortCounters,
    offloads: Offloads,
    answers: Allowance,
    guard: Guard,
    ahead: Ahead,
    /// Calls its worker.
    alarm: Waker,
}

impl<D: Device> Port<D> {
    /// A VNIC that has carried nothing yet.
    pub fn new(settings: PortSettings, device: D) -> Self {
        Self::with_alarm(settings, device, Waker::noop().clone())
    }

    /// One whose worker is called by `alarm` when frames begin to wait for the VNIC: see [`Overlay::drain`].
    ///
    /// [`Overlay::drain`]: super::Overlay::drain
    pub fn with_alarm(settings: PortSettings, device: D, alarm: Waker) -> Self {
        let offloads = Offloads::new(device.offloads());
        let (counters, answers, guard, ahead) = Default::default();
        let shaper = settings.policy.maxbw.map(|_| Arc::default());
        let body = Body { device, counters, offloads, answers, guard, ahead, alarm };
        Self { settings, body: Arc::new(body), shaper }
    }

    /// The same VNIC with other settings.
    #[must_use]
    pub fn changed(&self, settings: PortSettings) -> Self {
        let shaper = self.shaper.clone().or_else(|| settings.policy.maxbw.map(|_| Arc::default()));
        Self { settings, body: Arc::clone(&self.body), shaper }
    }

    /// What it is.
    pub const fn settings(&self) -> &PortSettings {
        &self.settings
    }

    /// Its device.
    pub fn device(&self) -> &D {
        &self.body.device
    }

    /// What it has carried.
    pub fn counters(&self) -> &PortCounters {
        &self.body.counters
    }

    /// What its device does, and has refused.
    pub fn offloads(&self) -> &Offloads {
        &self.body.offloads
    }

    /// Its limit's state, if it has a limit or had one.
    pub(super) fn shaper(&self) -> Option<&Shaper> {
        self.shaper.as_deref()
    }

    /// Calls its worker.
    pub(super) fn call(&self) {
        self.body.alarm.wake_by_ref();
    }

    /// What is left of its share of a worker's turn, in octets, after turns in which it has had more.
    pub fn left_of(&self, share: usize) -> usize {
        self.body.ahead.left(share)
    }

    /// Notes what it had in a turn.
    pub fn note_turn(&self, share: usize, octets: usize) {
        self.body.ahead.note(share, octets);
    }

    /// How many answers to its frames it may still be given.
    pub fn answers(&self) -> &Allowance {
        &self.body.answers
    }

    /// Whether a frame of the tunnel in VLAN `vid` is for this VNIC's VLAN: one with a VLAN gets only that, one
    /// without gets all frames, with their tags.
    pub(super) fn hears(&self, vid: Option<VlanId>) -> bool {
        self.settings.vid.is_none() || self.settings.vid == vid
    }

    /// What DHCP has given its clients, with a number that is another after each change and on every other VNIC; none where
    /// it may use any address.
    pub fn leases(&self) -> Option<(u64, Vec<Lease>)> {
        self.settings.policy.protection.ip_nospoof.then(|| self.body.guard.leases())
    }

    /// Takes over what DHCP gave its clients before.
    pub fn restore_leases(&self, leases: Vec<Lease>) {
        self.body.guard.restore(leases);
    }

    /// Ends what DHCP has given: it is in another place, with other clients.
    pub fn end_leases(&self) {
        self.body.guard.end_leases();
    }

    /// Whether it may send a frame.
    pub(super) fn check(&self, frame: &FrameBuf, now: Moment) -> Result<(), DropReason> {
        if self.settings.policy.protection.is_none() {
            return Ok(());
        }
        self.body.guard.check(&self.settings, frame, now)
    }

    /// Notes what a frame that is for it says to its DHCP clients: once, and before it waits, while a run has its messages
    /// apart.
    pub(super) fn hear(&self, inner: &Inner<'_>) {
        if self.settings.policy.protection.ip_nospoof {
            self.body.guard.hear(&self.settings, inner);
        }
    }

    /// Gives it a frame of the tunnel, with the tag of its own VLAN taken out; `count` is told what came of it, once or,
    /// of a super-frame that had to go in frames, for each of them.
    pub(super) fn give(&self, inner: &Inner<'_>, count: &mut impl FnMut(Result<(), DropReason>, Load)) {
        let count = &mut |outcome: Result<(), DropReason>, load: Load| {
            match outcome {
                Ok(()) => self.body.counters.given.add(load),
                Err(_) => self.body.counters.not_given(load.frames),
            }
            count(outcome, load);
        };
        let Some(vnet) = inner.vnet_for(self.settings.mtu) else {
            return count(Err(DropReason::TooBig), inner.load);
        };
        let kind = vnet.segmentation().and_then(|(kind, _)| kind).map(Offload::given);
        match kind {
            None => count(self.hand(inner, vnet).map_err(DropReason::from), inner.load),
            Some(kind) if !self.body.offloads.uses(kind) => self.give_in_frames(inner, &vnet, count),
            Some(kind) => match self.hand(inner, vnet) {
                Err(error @ (DeviceError::Full | DeviceError::Refused)) => {
                    self.note_refusal(error, kind, inner);
                    self.give_in_frames(inner, &vnet, count);
                }
                outcome => count(outcome.map_err(DropReason::from), inner.load),
            },
        }
    }

    fn hand(&self, inner: &Inner<'_>, vnet: VnetHeader) -> Result<(), DeviceError> {
        match self.settings.vid {
            None => self.body.device.give(vnet, [inner.frame, &[]], inner.more),
            Some(_) => {
                let (addresses, rest) = inner.frame.split_at(ETHERNET_HEADER - size_of::<u16>());
                self.body.device.give(vnet.moved_up(VLAN_TAG), [addresses, &rest[VLAN_TAG..]], inner.more)
            }
        }
    }

    /// The headers of a run are our own: who refuses its form takes no run of that kind. Where another has written
    /// them, or memory is short, the next may be taken.
    fn note_refusal(&self, error: DeviceError, kind: Offload, inner: &Inner<'_>) {
        self.body.offloads.count_refusal();
        if error == DeviceError::Refused && inner.is_run() {
            self.body.offloads.switch_off(kind);
        }
    }

    /// Gives it a super-frame frame by frame, because its device does not take it whole. Rare: it may copy.
    fn give_in_frames(
        &self,
        inner: &Inner<'_>,
        vnet: &VnetHeader,
        count: &mut impl FnMut(Result<(), DropReason>, Load),
    ) {
        let whole = [inner.frame, &inner.more.concat()].concat();
        let Ok(cut) = Cut::new(&whole, &inner.ethernet, vnet) else {
            return count(Err(DropReason::BadSuperFrame), inner.load);
        };
        let mut header = vec![0; cut.header_len()];
        let mut give = |segment| {
            cut.write_header(&whole, segment, &mut header);
            let kept = if self.settings.vid.is_some() { VLAN_TAG } else { 0 };
            let (addresses, rest) = header.split_at(ETHERNET_HEADER - size_of::<u16>());
            let pieces = [addresses, &rest[kept..]];
            let given = self.body.device.give(VnetHeader::intact(), pieces, &[&whole[cut.payload(segment)]]);
            given.map_err(DropReason::from)
        };
        if inner.load.frames != cut.count() {
            // It came as one frame, and is given or lost as one.
            let mut outcome = Ok(());
            for segment in 0..cut.count() {
                outcome = outcome.and(give(segment));
            }
            return count(outcome, inner.load);
        }
        for segment in 0..cut.count() {
            // Each octet counts once: the first bears the headers.
            let bytes = cut.payload(segment).len() + if segment == 0 { cut.header_len() } else { 0 };
            count(give(segment), Load { frames: 1, bytes });
        }
    }
}
