//! The engine: what carries frames. It is told of overlays, devices and targets, and asked for counters; it never
//! speaks of single frames, so that another one inside the kernel can stand beside the one in userspace.

pub mod userspace;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::datapath::{OverlaySettings, PortPolicy};
use crate::device::TapError;
use crate::lookup::{Answer, Ends, Question, Timing};
use crate::protocol::{CounterInfo, LinkCounters, MuxInfo, OffloadInfo, TargetPage};
use crate::socket::BindError;
use crate::types::{LinkId, LinkName, MacAddr, Network, OverlayMtu, UnderlayMtu, VlanId, ZoneName};

/// What an overlay is to the engine.
#[derive(Clone)]
pub struct OverlaySpec {
    /// What it is to the data path.
    pub settings: OverlaySettings,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long things last in its target table.
    pub timing: Timing,
    /// Entries of its target table at the most.
    pub targets_max: usize,
}

/// What DHCP has given a client of a VNIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// The address, or all with the prefix.
    pub network: Network,
    /// Who the client is, in octets of DHCP.
    pub client: Vec<u8>,
    /// How much longer it lasts; none when it does for ever.
    pub left: Option<Duration>,
}

/// What a VNIC is to the engine.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// The VNIC.
    pub link: LinkId,
    /// The name of its device.
    pub name: LinkName,
    /// Its address.
    pub mac: MacAddr,
    /// The VLAN of its frames inside the tunnel.
    pub vid: Option<VlanId>,
    /// Its largest packet.
    pub mtu: OverlayMtu,
    /// What it may do.
    pub policy: PortPolicy,
    /// The zone that its device is to be in; when there is none, on the host, or wherever somebody has moved it.
    pub zone: Option<ZoneName>,
}

/// Whether a device with the VNIC's name may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is somebody else's.
    Refuse,
    /// It was had before, or tried to be: one that is the VNIC's gets its name and MTU. It is looked for on the host and where
    /// it is to be.
    Again,
    /// It is the one that an earlier run has left, wherever; what somebody has made of its name and MTU stays, within its overlay's.
    Adopt,
    /// It is the one that an earlier run has left before it had finished a change: it gets its name and MTU.
    Finish,
}

/// What carries frames between devices and tunnel ends. The caller names only links that it has added.
pub trait Engine {
    /// Makes an overlay known, or changes it. Its listen address stays what it was. What it was made to carry by a larger
    /// MTU it goes on carrying.
    fn set_overlay(&mut self, link: LinkId, spec: &OverlaySpec);

    /// Opens the overlay's underlay socket, or shares one that is open; nothing if it has one.
    ///
    /// # Errors
    /// Why the socket cannot be had.
    fn start(&mut self, link: LinkId) -> Result<(), BindError>;

    /// Gives up the overlay's underlay socket, which is closed when no other overlay shares it.
    fn stop(&mut self, link: LinkId);

    /// Whether the overlay has its underlay socket.
    fn is_started(&self, link: LinkId) -> bool;

    /// Whether the overlay's listen address is still, or already, on this host.
    ///
    /// # Errors
    /// Why it could not be listened on.
    fn check_underlay(&self, link: LinkId) -> Result<(), BindError>;

    /// The largest packet of the underlay at a listen address now; none when the host does not have it, or nobody can say.
    fn underlay_mtu(&self, listen: SocketAddr) -> Option<UnderlayMtu>;

    /// Forgets an overlay, which has no devices.
    fn remove_overlay(&mut self, link: LinkId);

    /// Whether a zone, or the host when none is given, has a device of that name, somebody's or ours.
    ///
    /// # Errors
    /// The zone is not there, or the system does not say.
    fn is_taken(&self, name: &LinkName, zone: Option<&ZoneName>) -> Result<bool, TapError>;

    /// Makes a VNIC's device, or takes over the one that is there.
    ///
    /// # Errors
    /// Why there is none; nothing is left then.
    fn add_device(&mut self, over: LinkId, spec: &DeviceSpec, existing: Existing) -> Result<(), TapError>;

    /// Gives a VNIC's device the name, the MTU and the policy that `spec` says, wherever the device is, while it carries;
    /// what else `spec` says is what it was. No frame under way is judged by the old policy when this returns. Frames
    /// of the old MTU that are under way are carried all the same, and so are those that peers go on sending (theory.md).
    ///
    /// # Errors
    /// What the system refuses; the device is as it was then.
    fn change_device(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError>;

    /// Moves a VNIC's device to the zone that `spec` says, or to the host when it says none, with its address, MTU and
    /// counters; nothing when it is there. It arrives down and without addresses, and what DHCP has given there has ended. Other devices carry on meanwhile.
    ///
    /// # Errors
    /// Why it cannot be moved; it is where it was then.
    fn settle_device(&mut self, over: LinkId, spec: &DeviceSpec) -> Result<(), TapError>;

    /// Ends the device that an earlier run has left of a VNIC, whose overlay need not be known; nothing if it has not.
    ///
    /// # Errors
    /// Why the system keeps it.
    fn discard_device(&mut self, spec: &DeviceSpec) -> Result<(), TapError>;

    /// Ends a VNIC's device. No frame of it is under way when this returns.
    ///
    /// # Errors
    /// Why the system keeps it.
    fn remove_device(&mut self, over: LinkId, link: LinkId) -> Result<(), TapError>;

    /// Ends what is left of a VNIC's device that somebody has removed or that is in a zone without its name: open, it would
    /// keep that zone. What the VNIC has counted stays.
    ///
    /// # Errors
    /// Why the system keeps it.
    fn lose_device(&mut self, over: LinkId, link: LinkId) -> Result<(), TapError>;

    /// Whether the device is there: somebody may have removed it.
    fn has_device(&self, over: LinkId, link: LinkId) -> bool;

    /// VNICs whose devices somebody has removed; without work when none has been since this was last asked.
    /// [`attention`](Self::attention) is readable when one has been.
    fn lost_devices(&mut self) -> Vec<LinkId>;

    /// VNICs whose devices are in a zone that has lost its name, perhaps to another one.
    fn stranded_devices(&self) -> Vec<LinkId>;

    /// Whether any device is in a zone.
    fn uses_zones(&self) -> bool;

    /// What an overlay has carried, as a whole and as a link.
    fn overlay_counters(&self, link: LinkId) -> (CounterInfo, LinkCounters);

    /// What a VNIC has carried.
    fn device_counters(&self, over: LinkId, link: LinkId) -> LinkCounters;

    /// What the kernel does for a VNIC's device.
    fn device_offloads(&self, over: LinkId, link: LinkId) -> OffloadInfo;

    /// What DHCP has given the clients of a VNIC that may use no other addresses, with a number that is another when that
    /// has changed, and on every other device, and never 0.
    fn leases(&self, over: LinkId, link: LinkId) -> Option<(u64, Vec<LeaseInfo>)>;

    /// Tells a VNIC what DHCP had given before this start. Nothing when its device has been made anew or moved since: there
    /// are other clients.
    fn restore_leases(&mut self, over: LinkId, link: LinkId, leases: Vec<LeaseInfo>);

    /// The underlay sockets and what they count.
    fn muxes(&self) -> Vec<MuxInfo>;

    /// Readable when the lookup side is to be asked something, or a device has been lost.
    fn attention(&self) -> BorrowedFd<'_>;

    /// What the lookup side is to be asked that it has not been asked before.
    fn questions(&mut self) -> Vec<Question>;

    /// Everything that it has been asked of an overlay and has not answered, in time.
    fn outstanding(&self, link: LinkId) -> Vec<Question>;

    /// Takes what the lookup side knows, and lets go what has waited for it.
    fn learn(&mut self, answers: Vec<Answer>);

    /// Gives an overlay's VNICs a frame that the lookup side has made.
    fn inject(&mut self, link: LinkId, frame: &[u8]);

    /// Sets an entry of a target table by hand; to be dropped without tunnel ends.
    fn fix_target(&mut self, link: LinkId, mac: MacAddr, ends: Option<Ends>);

    /// Removes an entry of a target table; whether there was one.
    fn remove_target(&mut self, link: LinkId, mac: MacAddr) -> bool;

    /// Empties a target table.
    fn flush_targets(&mut self, link: LinkId);

    /// A page of a target table.
    fn targets(&self, link: LinkId, page: u32) -> TargetPage;

    /// Ends what has waited too long for an answer.
    fn expire(&mut self);

    /// Whether anything waits, so that [`expire`](Self::expire) is to be called now and then.
    fn is_asking(&self) -> bool;
}
