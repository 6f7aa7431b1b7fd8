use super::{FrameBuf, Load};
use crate::offload::VnetHeader;
use crate::types::{LinkId, MacAddr};

/// A frame that waits for a lookup, as it is inside the tunnel.
#[derive(Debug)]
pub struct Waiting {
    /// The VNIC that sent it.
    pub port: LinkId,
    /// What it counts for.
    pub load: Load,
    octets: Box<[u8]>,
    vnet: VnetHeader,
}

impl Waiting {
    /// A copy of a frame.
    pub fn new(frame: &FrameBuf, port: LinkId, load: Load) -> Self {
        Self { port, load, octets: frame.octets().into(), vnet: frame.vnet() }
    }

    /// Puts it into a room again.
    pub fn restore(&self, frame: &mut FrameBuf) {
        frame.put(&self.octets, self.vnet);
    }

    /// Gives it another destination.
    pub fn redirect(&mut self, to: MacAddr) {
        // It was parsed before it came here, so it has an Ethernet header.
        if let Some(destination) = self.octets.first_chunk_mut() {
            *destination = to.0;
        }
    }
}
