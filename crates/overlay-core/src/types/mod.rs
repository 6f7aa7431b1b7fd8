//! Values that can only be legal: addresses, names, identifiers and sizes, each with its own type.

mod client_id;
mod link;
mod mac;
mod moment;
mod mtu;
mod network;
mod rate;
mod vid;
mod vnetid;
mod zone;

pub use client_id::ClientId;
pub use link::{LinkId, LinkName, LinkNameError};
pub use mac::{MacAddr, MacError, MacPrefix};
pub use moment::{Moment, Nanos};
pub use mtu::{MTU_DEFAULT, MTU_MAX, MTU_MIN, OverlayMtu, UnderlayMtu};
pub use network::Network;
pub use rate::Rate;
pub use vid::{VlanId, VlanIdError};
pub use vnetid::{VnetId, VnetIdError};
pub use zone::ZoneName;
