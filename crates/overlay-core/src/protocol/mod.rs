//! The control protocol: JSON lines between `dladm`, `varpd` and `overlayd`, as values and as a session
//! without I/O. `docs/protocol.md` shows it from outside.
//!
//! A client opens with [`Hello`] and gets the server's; then each line it sends is a [`Call`] and each it
//! gets is a [`Reply`] to one of them, in any order, or an [`Event`]. A line ends with `\n` and has at most
//! [`LINE_MAX`] octets towards a daemon; from the attached varpd [`TRUSTED_LINE_MAX`].

mod change;
mod error;
mod info;
mod line;
mod message;
mod session;

pub use change::Change;
pub use error::{ControlError, ErrorCode};
pub use info::{
    CounterInfo, DropCount, InstanceInfo, InstanceState, LinkClass, LinkCounters, LinkInfo, LinkPropertyInfo,
    LinkState, MacType, MuxInfo, OffloadInfo, OverlayInfo, PluginInfo, PropertyValue, Status, StoredLink,
    StoredWhat, TargetDestination, TargetInfo, TargetOrigin, TargetPage, TargetState, VnicInfo,
};
pub use line::{LineBuffer, LineTooLong};
pub use message::{
    Association, Call, Event, FixedTarget, Hello, MacChoice, Privilege, Reply, Request, Response, ServerLine,
};
pub use session::{Incoming, Session};

/// The version of the protocol, the same on both ends of a connection.
pub const VERSION: u32 = 1;

/// Octets in one line towards a daemon. The largest request of ours has a few thousand.
pub const LINE_MAX: usize = 256 * 1024;

/// Octets in one line towards overlayd from the attached varpd: room for a million known tunnel ends.
pub const TRUSTED_LINE_MAX: usize = 64 * 1024 * 1024;

/// Octets in one line from a daemon: room for 100,000 links.
pub const ANSWER_MAX: usize = 256 * 1024 * 1024;
