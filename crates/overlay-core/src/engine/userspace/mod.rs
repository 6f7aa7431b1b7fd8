//! The engine in userspace: TAP devices, UDP sockets, and a few threads between them.
//!
//! The caller's thread changes; worker threads carry. A change makes a new table and publishes it; a worker
//! takes the newest before each batch, and publishing returns when every worker has let go of the
//! older ones. So a worker holds no lock while it carries, and a removed device has no frame under way.

mod carry;
mod clock;
mod engine;
mod leases;
mod mux;
mod oversize;
mod pace;
mod paths;
mod released;
mod table;
mod targets;
mod train;
mod underlay;
mod workers;
mod zones;

#[cfg(test)]
mod tests;

pub use engine::{StartError, UserspaceEngine};
