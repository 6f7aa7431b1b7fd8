//! The ends of the control sockets that do I/O: where they are, who is at the other end, how a daemon
//! claims one and how a client calls.

mod claim;
mod client;
mod passed;
mod paths;
mod peer;
mod store;

pub use claim::{Claim, ClaimError};
pub use client::{Client, ClientError};
pub use paths::{Daemon, Paths, how_to_start};
pub use peer::Peer;
pub use store::{BadRecord, Loaded, RecordDir};
