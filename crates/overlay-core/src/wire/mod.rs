//! Frames as they are on a wire: views of any octets, and the checksums and flow keys read from them.

mod checksum;
mod ecn;
mod ethernet;
mod flow;
mod inet;
mod ip_head;
mod question;
mod too_big;

pub use checksum::Sum;
pub use ecn::Ecn;
pub use ethernet::{ETHERNET_HEADER, Ethernet, Tag, VLAN_TAG};
pub use flow::FlowHasher;
pub use inet::{IPV4_HEADER_MIN, IPV6_HEADER, Packet, Transport, pseudo_sum};
pub use ip_head::IpHead;
pub use question::is_question;
pub use too_big::{IPV4_MTU_MIN, IPV6_MTU_MIN, too_big};
