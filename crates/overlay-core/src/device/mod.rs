//! A VNIC's device: a persistent TAP, made whole out of sight and then moved into the host's network namespace.

mod kit;
mod namespace;
mod tap;

pub use kit::{DeviceKit, TapError, TapSpec, is_vnic};
pub use namespace::{Namespace, NamespaceError};
pub use tap::TapDevice;
