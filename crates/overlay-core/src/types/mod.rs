//! Values that can only be legal: addresses, names, identifiers and sizes, each with its own type.

mod link;
mod mac;
mod moment;
mod mtu;
mod vid;
mod vnetid;

pub use link::{LinkId, LinkName, LinkNameError};
pub use mac::{MacAddr, MacError, MacPrefix};
pub use moment::Moment;
pub use mtu::{MTU_DEFAULT, MTU_MAX, MTU_MIN, OverlayMtu, UnderlayMtu};
pub use vid::{VlanId, VlanIdError};
pub use vnetid::{VnetId, VnetIdError};
