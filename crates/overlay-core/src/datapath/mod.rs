//! What becomes of a frame: the decisions between devices and sockets, without either.
//!
//! [`Overlay::transmit`] takes a frame that a VNIC sent, [`Inbox::take`] one that a tunnel end sent. Both hand
//! it to VNICs through [`Device`]; what is to go to a tunnel end comes back as a [`Departure`].

mod allowance;
mod bucket;
mod counters;
mod demux;
mod depart;
mod frame;
mod guard;
mod inbox;
mod inner;
mod overlay;
mod oversize;
mod parcel;
mod policy;
mod port;
mod reasons;
mod receive;
mod shaper;
mod transmit;
mod turn;
mod waiting;

pub use allowance::Allowance;
pub use counters::{Direction, DropReason, Load, MuxCounters, OverlayCounters, PortCounters};
pub use demux::{Arrival, Demux};
pub use depart::{Departure, Outward};
pub use frame::{FRAME_MAX, FrameBuf, HEADROOM};
pub use guard::Lease;
pub use inbox::Inbox;
pub use overlay::{Overlay, OverlaySettings};
pub use oversize::Remedy;
pub use policy::{PortPolicy, Priority, Protection};
pub use port::{Device, DeviceError, Port, PortSettings};
pub use waiting::Waiting;

use inner::Inner;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limited;
#[cfg(test)]
mod twin;
