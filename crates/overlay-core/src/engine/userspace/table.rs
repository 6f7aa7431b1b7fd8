use std::collections::HashMap;
use std::sync::Arc;

use super::mux::Mux;
use crate::datapath::{Demux, Overlay, Port};
use crate::device::TapDevice;
use crate::types::LinkId;

/// What a worker knows a descriptor by; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token(pub(super) u64);

/// Where frames come from.
pub(super) enum Source {
    /// A VNIC's device.
    Device {
        overlay: Arc<Overlay<TapDevice>>,
        port: Arc<Port<TapDevice>>,
        /// None while the overlay has no underlay socket.
        mux: Option<Arc<Mux>>,
    },
    /// An underlay socket.
    Socket { mux: Arc<Mux>, demux: Demux<TapDevice> },
}

/// An overlay, for frames of it that have waited.
pub(super) struct Way {
    pub(super) overlay: Arc<Overlay<TapDevice>>,
    /// None while it has no underlay socket.
    pub(super) mux: Option<Arc<Mux>>,
}

/// Everything the workers know, at one moment.
#[derive(Default)]
pub(super) struct Table {
    pub(super) overlays: HashMap<LinkId, Way>,
    pub(super) sources: HashMap<Token, Source>,
}
