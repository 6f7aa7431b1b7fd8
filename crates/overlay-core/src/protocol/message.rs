use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    Change, ControlError, InstanceInfo, LinkInfo, LinkPropertyInfo, MuxInfo, OverlayInfo, PluginInfo,
    StoredLink, TargetPage,
};
use crate::lookup::{Answer, Octets, Question, Sources, TargetMode};
use crate::property::Assignment;
use crate::types::{LinkId, LinkName, MacAddr, MacPrefix, VlanId, VnetId};

/// The first line of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's version of the protocol.
    pub protocol: u32,
    /// The sender: `overlayd`, `varpd`, `dladm` or any other.
    pub program: String,
}

/// A request with the number that its reply will carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The client's choice.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// The answer to the call with the same number; to number 0 where the call's could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The call's number.
    pub id: u64,
    /// What came of it.
    pub result: Result<Response, ControlError>,
}

/// A line from a daemon after its [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerLine {
    /// An answer.
    Reply(Reply),
    /// Something that happened.
    Event(Event),
}

/// Everything that can be asked. What belongs to the other daemon is answered with `unsupported`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// overlayd: the encapsulation plugins and their properties.
    Encaps,
    /// overlayd: makes an overlay, which carries nothing before it is activated.
    CreateOverlay {
        /// Its name.
        name: LinkName,
        /// Its encapsulation plugin.
        encap: String,
        /// Its virtual network.
        vnetid: VnetId,
        /// Its search plugin, for show.
        search: String,
        /// Generic properties and the encapsulation's.
        properties: Vec<Assignment>,
        /// Whether it ends with the next boot.
        #[serde(default)]
        temporary: bool,
    },
    /// overlayd: freezes an overlay's properties and lets it carry frames.
    ActivateOverlay {
        /// The overlay.
        name: LinkName,
    },
    /// overlayd: ends an overlay that has no VNICs, at whatever step of its creation it is.
    DeleteOverlay {
        /// The overlay.
        name: LinkName,
        /// Whether what is stored of it stays, to be brought up again.
        #[serde(default)]
        keep_stored: bool,
    },
    /// overlayd: makes a VNIC on an overlay.
    CreateVnic {
        /// Its name, and its device's.
        name: LinkName,
        /// The overlay.
        over: LinkName,
        /// Its address.
        mac: MacChoice,
        /// The VLAN of its frames inside the tunnel.
        #[serde(default)]
        vid: Option<VlanId>,
        /// Its link properties.
        #[serde(default)]
        properties: Vec<Assignment>,
        /// Whether it ends with the next boot.
        #[serde(default)]
        temporary: bool,
    },
    /// overlayd: ends a VNIC and its device.
    DeleteVnic {
        /// The VNIC.
        name: LinkName,
        /// Whether what is stored of it stays, to be brought up again.
        #[serde(default)]
        keep_stored: bool,
    },
    /// overlayd: brings up stored overlays that are not there, and the stored VNICs on them.
    UpOverlays {
        /// The overlay; every one when not given.
        #[serde(default)]
        name: Option<LinkName>,
    },
    /// overlayd: gives a link, and a VNIC's device, another name; whatever refers to it goes along.
    RenameLink {
        /// The link.
        name: LinkName,
        /// Its new name.
        to: LinkName,
    },
    /// overlayd: sets link properties of a link while it runs, all of those given or none.
    SetLinkProperties {
        /// The link.
        name: LinkName,
        /// The properties with their new values.
        properties: Vec<Assignment>,
        /// Whether they end with the next boot.
        #[serde(default)]
        temporary: bool,
    },
    /// overlayd: gives link properties back their defaults.
    ResetLinkProperties {
        /// The link.
        name: LinkName,
        /// The properties; every one that can be set when none is given.
        properties: Vec<String>,
        /// Whether what is stored of them stays.
        #[serde(default)]
        temporary: bool,
    },
    /// overlayd: the link properties of every link.
    LinkProperties,
    /// overlayd: what is stored of every link, whether it is there or not.
    StoredLinks,
    /// overlayd: tells this connection of changes from here on, as [`Event::Change`].
    Watch,
    /// overlayd: every link with its counters.
    Links,
    /// overlayd: every overlay with properties, status, targets and counters.
    Overlays,
    /// overlayd: the underlay sockets and what they count.
    Muxes,
    /// overlayd: a page of an overlay's target table; the first is number 0.
    Targets {
        /// The overlay.
        overlay: LinkName,
        /// The page.
        page: u32,
    },
    /// overlayd: sets an entry of an overlay's target table by hand; it is kept as long as the overlay.
    SetTarget {
        /// The overlay.
        overlay: LinkName,
        /// The address.
        mac: MacAddr,
        /// Where its frames go.
        target: FixedTarget,
    },
    /// overlayd: removes an entry of an overlay's target table.
    RemoveTarget {
        /// The overlay.
        overlay: LinkName,
        /// The address.
        mac: MacAddr,
    },
    /// overlayd: removes every entry of an overlay's target table, those set by hand too.
    FlushTargets {
        /// The overlay.
        overlay: LinkName,
    },
    /// overlayd: changes properties of an overlay while it runs, as far as they can be.
    SetOverlayProperties {
        /// The overlay.
        overlay: LinkName,
        /// The properties with their new values.
        properties: Vec<Assignment>,
    },
    /// overlayd: makes this connection the one varpd; events flow to it from here on.
    Attach,
    /// overlayd: tells how an overlay's destinations are found. A newer one replaces an older one.
    Associate(Association),
    /// overlayd: the overlay's instance has gone; what it said before stays in force.
    Disassociate {
        /// The overlay.
        link: LinkId,
    },
    /// overlayd: lookups of an overlay do not work, and why.
    Degrade {
        /// The overlay.
        link: LinkId,
        /// Why, for people.
        message: String,
    },
    /// overlayd: lookups of an overlay work again.
    Restore {
        /// The overlay.
        link: LinkId,
    },
    /// overlayd: the attached varpd has ended the instances of these deleted overlays.
    ForgetDeleted {
        /// The overlays.
        links: Vec<LinkId>,
    },
    /// overlayd: what the attached varpd knows of destinations, asked for or not.
    Answers {
        /// In the order in which it came to be known.
        answers: Vec<Answer>,
    },
    /// overlayd: a frame of the lookup side for the VNICs here.
    Inject {
        /// The overlay.
        link: LinkId,
        /// The frame.
        frame: Octets,
    },
    /// varpd: the search plugins and their properties.
    Plugins,
    /// varpd: makes an instance for an overlay.
    CreateInstance {
        /// The overlay.
        link: LinkId,
        /// Its virtual network.
        vnetid: VnetId,
        /// The search plugin.
        plugin: String,
        /// Its properties.
        properties: Vec<Assignment>,
        /// Whether it ends with the next boot.
        #[serde(default)]
        temporary: bool,
    },
    /// varpd: starts an instance and associates it with the driver.
    ActivateInstance {
        /// The instance.
        instance: u32,
    },
    /// varpd: changes properties of an instance while it runs; what does not work leaves it as it was.
    SetInstanceProperties {
        /// The overlay.
        link: LinkId,
        /// The properties with their new values.
        properties: Vec<Assignment>,
    },
    /// varpd: ends the instance of an overlay, in whatever state it is.
    DestroyInstance {
        /// The overlay.
        link: LinkId,
    },
    /// varpd: every instance.
    Instances,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Any local user.
    Read,
    /// Root and members of the group `netadm`.
    Change,
}

impl Request {
    /// Who may ask this.
    pub const fn privilege(&self) -> Privilege {
        match self {
            Self::Encaps
            | Self::Links
            | Self::Overlays
            | Self::Muxes
            | Self::Targets { .. }
            | Self::LinkProperties
            | Self::StoredLinks
            | Self::Watch
            | Self::Plugins
            | Self::Instances => Privilege::Read,
            Self::CreateOverlay { .. }
            | Self::ActivateOverlay { .. }
            | Self::DeleteOverlay { .. }
            | Self::CreateVnic { .. }
            | Self::DeleteVnic { .. }
            | Self::UpOverlays { .. }
            | Self::RenameLink { .. }
            | Self::SetLinkProperties { .. }
            | Self::ResetLinkProperties { .. }
            | Self::SetTarget { .. }
            | Self::RemoveTarget { .. }
            | Self::FlushTargets { .. }
            | Self::SetOverlayProperties { .. }
            | Self::Attach
            | Self::Associate(_)
            | Self::Disassociate { .. }
            | Self::Degrade { .. }
            | Self::Restore { .. }
            | Self::ForgetDeleted { .. }
            | Self::Answers { .. }
            | Self::Inject { .. }
            | Self::CreateInstance { .. }
            | Self::ActivateInstance { .. }
            | Self::SetInstanceProperties { .. }
            | Self::DestroyInstance { .. } => Privilege::Change,
        }
    }
}

/// The address that a new VNIC gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacChoice {
    /// This one.
    Fixed(MacAddr),
    /// A random one with these first octets; 02:08:20 where there is none.
    Random {
        /// One to five octets, as text with colons.
        prefix: Option<MacPrefix>,
    },
}

/// Where the frames of an entry go that an administrator sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FixedTarget {
    /// Nowhere.
    Drop,
    /// To each of these tunnel ends, at least one.
    Ends(Vec<SocketAddr>),
}

/// What an instance tells the driver of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// The overlay.
    pub link: LinkId,
    /// The instance's number.
    pub instance: u32,
    /// How destinations are found.
    pub mode: TargetMode,
    /// Which tunnel ends may send to the overlay.
    pub sources: Sources,
}

/// What can be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// [`Request::ActivateOverlay`] and [`Request::UpOverlays`]: it is done, and these things may be wrong with them.
    Warned(Vec<String>),
    /// [`Request::Encaps`] and [`Request::Plugins`].
    Plugins(Vec<PluginInfo>),
    /// [`Request::CreateOverlay`], [`Request::DeleteOverlay`] and [`Request::CreateVnic`]: the link.
    Link(LinkId),
    /// [`Request::Links`].
    Links(Vec<LinkInfo>),
    /// [`Request::Overlays`].
    Overlays(Vec<OverlayInfo>),
    /// [`Request::Muxes`].
    Muxes(Vec<MuxInfo>),
    /// [`Request::Targets`].
    Targets(TargetPage),
    /// [`Request::LinkProperties`].
    LinkProperties(Vec<LinkPropertyInfo>),
    /// [`Request::StoredLinks`].
    StoredLinks(Vec<StoredLink>),
    /// [`Request::Attach`].
    Attached {
        /// The overlays that exist.
        overlays: Vec<LinkId>,
        /// Those deleted whose instances may still exist.
        deleted: Vec<LinkId>,
    },
    /// [`Request::CreateInstance`]: its number.
    Instance(u32),
    /// [`Request::Instances`].
    Instances(Vec<InstanceInfo>),
}

/// What overlayd tells the attached varpd, and who watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// An overlay has ended; its instance is to end too, answered by [`Request::ForgetDeleted`].
    OverlayDeleted(LinkId),
    /// Destinations are asked for; [`Request::Answers`] answers, in any order. A question that was asked of an earlier
    /// connection is asked again.
    Lookups(Vec<Question>),
    /// Something has happened; to connections that have asked to [`Request::Watch`].
    Change(Change),
}
