use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::property::{Assignment, PropertySpec};
use crate::types::{LinkId, LinkName, MacAddr, VlanId, VnetId, ZoneName};

/// An encapsulation or search plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Its name, as `-e` and `-s` take it.
    pub name: String,
    /// Its properties.
    pub properties: Vec<PropertySpec>,
}

/// A property with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyValue {
    /// What it is.
    pub spec: PropertySpec,
    /// Its value as a user would type it, where it has one.
    pub value: Option<String>,
    /// What was given, where the value has come of that: `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
}

/// The kind of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkClass {
    /// An overlay.
    Overlay,
    /// A VNIC over an overlay.
    Vnic,
}

/// Whether a link can carry frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It can.
    Up,
    /// It cannot now; an overlay's status says why.
    Down,
    /// It was never activated.
    Unknown,
}

/// Frames and octets of a link. For a VNIC `in` is what it was given and `out` what it sent; for an
/// overlay `in` came from the underlay and `out` went there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Frames in.
    pub in_frames: u64,
    /// Octets in, Ethernet headers included.
    pub in_bytes: u64,
    /// Frames dropped on their way in.
    pub in_drops: u64,
    /// Frames out.
    pub out_frames: u64,
    /// Octets out, Ethernet headers included.
    pub out_bytes: u64,
    /// Frames dropped on their way out.
    pub out_drops: u64,
}

/// How a VNIC came to its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacType {
    /// It was given.
    Fixed,
    /// It was drawn.
    Random,
}

/// What only a VNIC has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnicInfo {
    /// The overlay; none when that is broken.
    pub over: Option<LinkName>,
    /// Its address.
    pub mac: MacAddr,
    /// Where that is from.
    pub mac_type: MacType,
    /// The zone that it is given to, whether that is there or not.
    #[serde(default)]
    pub zone: Option<ZoneName>,
    /// Why it has no device, or not where it should be.
    #[serde(default)]
    pub fault: Option<String>,
    /// The VLAN of its frames inside the tunnel.
    pub vid: Option<VlanId>,
    /// What the kernel leaves to overlayd when the VNIC sends, and takes from it.
    #[serde(default)]
    pub offloads: OffloadInfo,
}

/// What the kernel does for a socket or a device, by names that `docs/counters.md` explains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffloadInfo {
    /// What is in use.
    pub on: Vec<String>,
    /// What was, until the kernel refused it.
    pub off: Vec<String>,
    /// How often the kernel refused something, which then went another way.
    pub refused: u64,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// Its identifier.
    pub id: LinkId,
    /// Its name.
    pub name: LinkName,
    /// Its kind.
    pub class: LinkClass,
    /// Its largest packet, in octets.
    pub mtu: u16,
    /// Whether it can carry frames.
    pub state: LinkState,
    /// Whether it ends with the next boot.
    pub temporary: bool,
    /// What it has carried.
    pub counters: LinkCounters,
    /// What only a VNIC has.
    pub vnic: Option<VnicInfo>,
}

/// A link property of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPropertyInfo {
    /// The link.
    pub link: LinkName,
    /// What it is, with what it can be on this link.
    pub spec: PropertySpec,
    /// Its value now, as a user would type it, where it has one.
    pub value: Option<String>,
    /// Its stored value, where one is stored.
    pub stored: Option<String>,
}

/// What is stored of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLink {
    /// Its identifier.
    pub id: LinkId,
    /// Its name.
    pub name: LinkName,
    /// Whether it is there.
    pub active: bool,
    /// What it is.
    pub what: StoredWhat,
}

/// What is stored of an overlay or of a VNIC; link properties are told by [`LinkPropertyInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredWhat {
    /// An overlay.
    Overlay {
        /// Its encapsulation plugin.
        encap: String,
        /// Its virtual network.
        vnetid: VnetId,
        /// Its search plugin, whose properties varpd stores.
        search: String,
        /// Generic properties and the encapsulation's, those that were given.
        properties: Vec<Assignment>,
    },
    /// A VNIC.
    Vnic {
        /// Its overlay; none when that is broken.
        over: Option<LinkName>,
        /// Its address.
        mac: MacAddr,
        /// Where that is from.
        mac_type: MacType,
        /// The VLAN of its frames inside the tunnel.
        vid: Option<VlanId>,
        /// The zone that it is given to.
        zone: Option<ZoneName>,
    },
}

/// Whether an overlay works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It does.
    Online,
    /// It does not, or not wholly, and why.
    Degraded(String),
}

/// An entry of an overlay's target table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// The address it is for; none where one entry serves all.
    pub mac: Option<MacAddr>,
    /// Where it is in its life.
    pub state: TargetState,
    /// Where frames go.
    pub destination: TargetDestination,
    /// Where the entry is from.
    pub origin: TargetOrigin,
    /// Seconds since it was last confirmed, or since it came to its state where there is nothing to confirm.
    pub age: u64,
}

/// Where an entry of the target table is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetState {
    /// The lookup side is asked; frames wait.
    Asking,
    /// It serves.
    Known,
    /// It serves, and the lookup side is asked whether it still holds.
    Checking,
    /// Frames are dropped for a short while, as nobody has the address or nobody could say.
    Refused,
}

/// Where the frames of an entry go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetDestination {
    /// Nowhere: it is not known.
    None,
    /// To each of these tunnel ends.
    Ends(Vec<SocketAddr>),
    /// Nowhere: an administrator has said so.
    Drop,
}

/// Where an entry of the target table is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetOrigin {
    /// It is the one destination of the search plugin.
    Point,
    /// A frame asked for it.
    Lookup,
    /// The search plugin gave it before a frame asked.
    Learned,
    /// An administrator set it by hand; no lookup replaces it.
    Manual,
}

/// A part of an overlay's target table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPage {
    /// Its entries.
    pub targets: Vec<TargetInfo>,
    /// The number of the next page; none after the last.
    pub next: Option<u32>,
}

/// The frames dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason's name.
    pub reason: String,
    /// Frames.
    pub frames: u64,
}

/// All that an overlay counts: `from_devices + from_wire + injected + copies` is the sum of `to_devices`, `to_wire`,
/// the drops, and the frames that are waiting for a lookup now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterInfo {
    /// Frames its VNICs sent.
    pub from_devices: u64,
    /// Frames that arrived from tunnel ends.
    pub from_wire: u64,
    /// Frames that the lookup side made: its answers in the place of others.
    #[serde(default)]
    pub injected: u64,
    /// Further frames made by sending one to several destinations.
    pub copies: u64,
    /// Frames its VNICs were given.
    pub to_devices: u64,
    /// Frames sent to tunnel ends.
    pub to_wire: u64,
    /// Frames that wait for a lookup now.
    #[serde(default)]
    pub waiting: u64,
    /// Frames dropped, by reason; reasons never met are left out.
    pub drops: Vec<DropCount>,
}

/// An underlay socket and what it counts of datagrams that belong to no overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuxInfo {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its encapsulation.
    pub encap: String,
    /// Datagrams that arrived, whatever became of them.
    pub datagrams: u64,
    /// Those without a header of the encapsulation.
    pub bad_header: u64,
    /// Those for a vnetid that no overlay here has.
    pub unknown_vnetid: u64,
    /// Those dropped by the system because too many waited already; they are not among the datagrams.
    pub queue_full: u64,
    /// What the kernel does for it.
    #[serde(default)]
    pub offloads: OffloadInfo,
}

/// An overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayInfo {
    /// Its identifier.
    pub id: LinkId,
    /// Its name.
    pub name: LinkName,
    /// Its virtual network; none when its record cannot be used.
    pub vnetid: Option<VnetId>,
    /// The number of its varpd instance, once associated.
    pub instance: Option<u32>,
    /// The generic properties and the encapsulation's.
    pub properties: Vec<PropertyValue>,
    /// Whether it works.
    pub status: Status,
    /// What it has carried.
    pub counters: CounterInfo,
    /// What may be wrong with it though it works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Made, not yet activated.
    Created,
    /// Activated; the driver does not know of it now.
    Active,
    /// Activated, and the driver knows of it.
    Associated,
}

/// An instance of a search plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// Its number.
    pub instance: u32,
    /// The overlay it is for.
    pub link: LinkId,
    /// Its plugin.
    pub plugin: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Its plugin's properties.
    pub properties: Vec<PropertyValue>,
}
