use super::parcel::{Parcel, Piece};
use super::{Direction, DropReason, FrameBuf, Load, PortSettings};
use crate::offload::{Cut, Run, VnetHeader, header_for};
use crate::types::OverlayMtu;
use crate::wire::Ethernet;

/// A frame as it is inside the tunnel, with what has been found out about it.
pub(super) struct Inner<'a> {
    /// Its octets, or the first of them.
    pub(super) frame: &'a [u8],
    /// The others, of a run of frames: the payload of each.
    pub(super) more: &'a [&'a [u8]],
    pub(super) ethernet: Ethernet,
    pub(super) load: Load,
    origin: Origin,
}

/// Where it is from, which tells what is known of its checksum and length.
enum Origin {
    /// A device here: its virtio header says all.
    Device { vnet: VnetHeader, cut: Option<Cut> },
    /// A tunnel end: only the frame itself says; `datagram_len` when the system has said that it is a super-frame.
    Wire { datagram_len: Option<usize> },
    /// A tunnel end, and its checksum has been found right; several frames of at most `longest` octets where the virtio
    /// header says so.
    Checked { vnet: VnetHeader, longest: usize },
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
        Ok(Self { frame: octets, more: &[], ethernet, load, origin: Origin::Device { vnet, cut } })
    }

    /// A frame that a tunnel end sent.
    pub(super) fn arrived(frame: &'a [u8], datagram_len: Option<usize>) -> Result<Self, DropReason> {
        let ethernet = Ethernet::parse(frame).ok_or(DropReason::Runt)?;
        let load = Load { frames: 1, bytes: frame.len() };
        Ok(Self { frame, more: &[], ethernet, load, origin: Origin::Wire { datagram_len } })
    }

    /// An intact frame that a tunnel end sent.
    pub(super) fn intact(frame: &'a [u8], ethernet: Ethernet) -> Self {
        let load = Load { frames: 1, bytes: frame.len() };
        let origin = Origin::Checked { vnet: VnetHeader::intact(), longest: frame.len() };
        Self { frame, more: &[], ethernet, load, origin }
    }

    /// A run of intact frames that a tunnel end sent: the headers of all, and the payload of each.
    pub(super) fn run(run: &'a mut Run, payloads: &'a [&'a [u8]], ethernet: Ethernet) -> Self {
        let (frames, longest) = (run.segments(), run.segment_len());
        let (vnet, headers) = run.finish();
        let bytes = headers.len() + payloads.iter().map(|payload| payload.len()).sum::<usize>();
        let origin = Origin::Checked { vnet, longest };
        Self { frame: headers, more: payloads, ethernet, load: Load { frames, bytes }, origin }
    }

    /// One that has waited; `more` is the rest of it.
    pub(super) fn waited(piece: &Piece<'a>, more: &'a [&'a [u8]]) -> Self {
        let Piece { parcel, first, vnet, longest, load, .. } = *piece;
        let origin = Origin::Checked { vnet, longest };
        Self { frame: first, more, ethernet: parcel.ethernet, load, origin }
    }

    /// What has to be known of it while it waits for a VNIC; none when it does not fit.
    pub(super) fn parcel(&self, receiver: &PortSettings, from: Direction) -> Option<Parcel> {
        let vnet = self.vnet_for(receiver.mtu)?;
        let untagged = receiver.vid.is_some();
        let (wire, longest) = match (&self.origin, vnet.segmentation()) {
            (Origin::Wire { .. }, Some((_, size))) => self.as_cut(vnet.header_len(), size),
            _ => (self.on_wire(), self.longest()),
        };
        let (len, first) = (self.load.bytes, self.frame.len());
        let (ethernet, load) = (self.ethernet, self.load);
        Some(Parcel { vnet, ethernet, longest, load, wire, untagged, from, len, first })
    }

    /// What it is on a wire.
    pub(super) fn on_wire(&self) -> Load {
        let headers = match self.origin {
            Origin::Device { cut: Some(cut), .. } => cut.header_len(),
            Origin::Checked { .. } if self.is_run() => self.frame.len(),
            _ => 0,
        };
        let Load { frames, bytes } = self.load;
        Load { frames, bytes: bytes + (frames - 1) * headers }
    }

    /// What a super-frame that came as one frame is on a wire behind its receiver, and the longest frame of it.
    fn as_cut(&self, headers: usize, size: usize) -> (Load, usize) {
        let (bytes, payload) = (self.load.bytes, self.load.bytes.saturating_sub(headers));
        let frames = payload.div_ceil(size.max(1)).max(1);
        (Load { frames, bytes: bytes + (frames - 1) * headers }, bytes.min(headers + size))
    }

    /// Whether it is a run of frames, whose headers we have written.
    pub(super) const fn is_run(&self) -> bool {
        !self.more.is_empty()
    }

    /// How it is cut, when it is a super-frame of a device.
    pub(super) const fn cut(&self) -> Option<Cut> {
        match self.origin {
            Origin::Device { cut, .. } => cut,
            Origin::Wire { .. } | Origin::Checked { .. } => None,
        }
    }

    /// Whether it, or each frame it is cut into, fits an MTU.
    pub(super) fn fits(&self, mtu: OverlayMtu) -> bool {
        self.longest() <= mtu.frame_limit(self.ethernet.header_len)
    }

    /// Octets of the longest frame that it is cut into.
    fn longest(&self) -> usize {
        match self.origin {
            Origin::Device { cut: Some(cut), .. } => cut.segment_len(),
            Origin::Checked { longest, .. } => longest,
            Origin::Device { cut: None, .. } | Origin::Wire { .. } => self.frame.len(),
        }
    }

    /// The virtio header for a receiver with that MTU; none when it does not fit.
    pub(super) fn vnet_for(&self, mtu: OverlayMtu) -> Option<VnetHeader> {
        match self.origin {
            Origin::Device { vnet, .. } | Origin::Checked { vnet, .. } => self.fits(mtu).then_some(vnet),
            Origin::Wire { datagram_len } => header_for(self.frame, &self.ethernet, mtu, datagram_len),
        }
    }
}
