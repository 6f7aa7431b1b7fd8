//! Properties: declared once in a table by their owner, and parsed, checked and shown from that table.
//!
//! A table is a slice of [`PropertySpec`]. What a user typed is a list of [`Assignment`]s; checked
//! against a table it becomes [`Properties`], in which every value is legal and every default stands.

mod address;
mod assignment;
mod error;
mod generic;
mod link;
mod set;
mod spec;
mod value;

pub use address::AddressRule;
pub use assignment::{Assignment, parse_assignments};
pub use error::PropertyError;
pub use generic::{OVERLAY_PROPERTIES, TARGET_AGEING, TARGET_MAXIMUM, TARGET_NEGATIVE, TARGET_TIMEOUT};
pub use link::{
    ALLOWED_DHCP_CIDS, ALLOWED_IPS, MAXBW, MTU, OVERLAY_LINK_PROPERTIES, PRIORITY, PROMISC_FILTERED,
    PROTECTION, SECONDARY_MACS, VNIC_LINK_PROPERTIES, ZONE,
};
pub use set::Properties;
pub use spec::{Kind, Permission, Possible, PropertySpec};
pub use value::Value;
