//! A VNIC's device: a persistent TAP, made whole out of sight and then moved into the host's network namespace.

mod namespace;
mod tap;

pub use namespace::{Namespace, NamespaceError};
pub use tap::{DeviceKit, TapDevice, TapError, TapSpec, is_vnic};
