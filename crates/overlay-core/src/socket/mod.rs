//! The underlay's sockets: one to listen on, and many to send from, whose ports tell flows apart.

mod mux;
mod options;
mod path;
mod ports;

pub use mux::{BindError, MuxSockets, SOURCE_PORTS, Slot, check_local};
pub use path::path_mtu;
