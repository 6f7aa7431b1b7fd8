//! Frames as they are on a wire: views of any octets, and the checksums and flow keys read from them.

mod checksum;
mod ethernet;
mod flow;
mod inet;
mod question;

pub use checksum::Sum;
pub use ethernet::{ETHERNET_HEADER, Ethernet, Tag, VLAN_TAG};
pub use flow::FlowHasher;
pub use inet::{Packet, Transport, pseudo_sum};
pub use question::is_question;
