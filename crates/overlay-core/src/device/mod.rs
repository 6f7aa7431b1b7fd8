//! A VNIC's device: a persistent TAP, made whole out of sight and then moved into the host's network namespace or into
//! a zone.

mod kit;
mod namespace;
mod tap;
#[cfg(test)]
mod tests;
mod zone;

pub use kit::{DeviceKit, Housed, TapError, TapSpec, is_vnic};
pub use namespace::{Namespace, NamespaceError};
pub use tap::TapDevice;
pub use zone::{Zone, ZoneError, ZoneWatch};
