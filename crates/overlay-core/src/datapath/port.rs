use std::fmt;
use std::sync::atomic::Ordering;

use super::{DropReason, Inner, PortCounters};
use crate::offload::{Cut, VnetHeader};
use crate::types::{LinkId, MacAddr, OverlayMtu, VlanId};
use crate::wire::{ETHERNET_HEADER, VLAN_TAG};

/// Where a VNIC's frames go: its TAP device, or a twin of it in a test.
pub trait Device: Send + Sync + fmt::Debug {
    /// Hands over one frame in pieces, whole or not at all: two, and those of `more` behind them, which are at most
    /// [`RUN_SEGMENTS`](crate::offload::RUN_SEGMENTS).
    ///
    /// # Errors
    /// Why the device did not take it.
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError>;
}

/// Why a device did not take a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceError {
    /// It is not up.
    Down,
    /// It has no room or memory, or refused the frame.
    Full,
}

impl From<DeviceError> for DropReason {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Down => Self::DeviceDown,
            DeviceError::Full => Self::DeviceFull,
        }
    }
}

/// What a VNIC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSettings {
    /// The VNIC.
    pub link: LinkId,
    /// Its address.
    pub mac: MacAddr,
    /// The VLAN of its frames inside the tunnel.
    pub vid: Option<VlanId>,
    /// Its largest packet.
    pub mtu: OverlayMtu,
}

/// A VNIC on an overlay.
#[derive(Debug)]
pub struct Port<D> {
    pub(super) settings: PortSettings,
    pub(super) device: D,
    pub(super) counters: PortCounters,
}

impl<D: Device> Port<D> {
    /// A VNIC that has carried nothing yet.
    pub fn new(settings: PortSettings, device: D) -> Self {
        Self { settings, device, counters: PortCounters::default() }
    }

    /// What it is.
    pub const fn settings(&self) -> &PortSettings {
        &self.settings
    }

    /// Its device.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// What it has carried.
    pub const fn counters(&self) -> &PortCounters {
        &self.counters
    }

    /// Whether a frame of the tunnel in VLAN `vid` is for this VNIC's VLAN: one with a VLAN gets only that, one
    /// without gets all frames, with their tags.
    pub(super) fn hears(&self, vid: Option<VlanId>) -> bool {
        self.settings.vid.is_none() || self.settings.vid == vid
    }

    /// Gives it a frame of the tunnel, with the tag of its own VLAN taken out, and counts what came of it.
    pub(super) fn give(&self, inner: &Inner<'_>) -> Result<(), DropReason> {
        let outcome = self.try_give(inner);
        match outcome {
            Ok(()) => self.counters.given.add(inner.load),
            Err(_) => drop(self.counters.in_drops.fetch_add(inner.load.frames as u64, Ordering::Relaxed)),
        }
        outcome
    }

    fn try_give(&self, inner: &Inner<'_>) -> Result<(), DropReason> {
        let vnet = inner.vnet_for(self.settings.mtu).ok_or(DropReason::TooBig)?;
        let outcome = match self.settings.vid {
            None => self.device.give(vnet, [inner.frame, &[]], inner.more),
            Some(_) => {
                let (addresses, rest) = inner.frame.split_at(ETHERNET_HEADER - size_of::<u16>());
                self.device.give(vnet.moved_up(VLAN_TAG), [addresses, &rest[VLAN_TAG..]], inner.more)
            }
        };
        match outcome {
            Err(DeviceError::Full) if vnet.segmentation().is_some() => self.give_in_frames(inner, &vnet),
            outcome => Ok(outcome?),
        }
    }

    /// Gives it a super-frame that its device has refused, frame by frame. Rare: it may copy.
    fn give_in_frames(&self, inner: &Inner<'_>, vnet: &VnetHeader) -> Result<(), DropReason> {
        let whole = [inner.frame, &inner.more.concat()].concat();
        let cut = Cut::new(&whole, &inner.ethernet, vnet).map_err(|_| DropReason::DeviceFull)?;
        let mut header = vec![0; cut.header_len()];
        for segment in 0..cut.count() {
            cut.write_header(&whole, segment, &mut header);
            let kept = if self.settings.vid.is_some() { VLAN_TAG } else { 0 };
            let (addresses, rest) = header.split_at(ETHERNET_HEADER - size_of::<u16>());
            let pieces = [addresses, &rest[kept..]];
            self.device.give(VnetHeader::intact(), pieces, &[&whole[cut.payload(segment)]])?;
        }
        Ok(())
    }
}
