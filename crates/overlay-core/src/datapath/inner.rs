use super::{DropReason, FrameBuf, Load};
use crate::offload::{Cut, VnetHeader, header_for};
use crate::types::OverlayMtu;
use crate::wire::Ethernet;

/// A frame as it is inside the tunnel, with what has been found out about it.
pub(super) struct Inner<'a> {
    pub(super) frame: &'a [u8],
    pub(super) ethernet: Ethernet,
    pub(super) load: Load,
    origin: Origin,
}

/// Where it is from, which tells what is known of its checksum and length.
enum Origin {
    /// A device here: its virtio header says all.
    Device { vnet: VnetHeader, cut: Option<Cut> },
    /// A tunnel end: only the frame itself says.
    Wire,
}

impl<'a> Inner<'a> {
    /// A frame that a VNIC sent.
    pub(super) fn sent(frame: &'a FrameBuf) -> Result<Self, DropReason> {
        let (octets, vnet) = (frame.octets(), frame.vnet());
        let ethernet = Ethernet::parse(octets).ok_or(DropReason::Runt)?;
        let cut = match vnet.segmentation() {
            Some(_) => Some(Cut::new(octets, &ethernet, &vnet).map_err(|_| DropReason::BadSuperFrame)?),
            None => None,
        };
        let load = Load { frames: cut.map_or(1, |cut| cut.count()), bytes: octets.len() };
        Ok(Self { frame: octets, ethernet, load, origin: Origin::Device { vnet, cut } })
    }

    /// A frame that a tunnel end sent.
    pub(super) fn arrived(frame: &'a [u8]) -> Result<Self, DropReason> {
        let ethernet = Ethernet::parse(frame).ok_or(DropReason::Runt)?;
        let load = Load { frames: 1, bytes: frame.len() };
        Ok(Self { frame, ethernet, load, origin: Origin::Wire })
    }

    /// How it is cut, when it is a super-frame of a device.
    pub(super) const fn cut(&self) -> Option<Cut> {
        match self.origin {
            Origin::Device { cut, .. } => cut,
            Origin::Wire => None,
        }
    }

    /// Whether it, or each frame it is cut into, fits an MTU.
    pub(super) fn fits(&self, mtu: OverlayMtu) -> bool {
        let longest = self.cut().map_or(self.frame.len(), |cut| cut.segment_len());
        longest <= mtu.frame_limit(self.ethernet.header_len)
    }

    /// The virtio header for a receiver with that MTU; none when it does not fit.
    pub(super) fn vnet_for(&self, mtu: OverlayMtu) -> Option<VnetHeader> {
        match self.origin {
            Origin::Device { vnet, .. } => self.fits(mtu).then_some(vnet),
            Origin::Wire => header_for(self.frame, &self.ethernet, mtu),
        }
    }
}
