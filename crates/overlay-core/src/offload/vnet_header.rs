use crate::wire::Transport;
use zerocopy::byteorder::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of a virtio header (linux/virtio_net.h, `virtio_net_hdr_v1`).
pub const VNET_HEADER: usize = size_of::<VnetHeader>();

/// The checksum is to be finished from `csum_start` on (VIRTIO_NET_HDR_F_NEEDS_CSUM).
const NEEDS_CSUM: u8 = 1;

/// The checksum has been found right (VIRTIO_NET_HDR_F_DATA_VALID).
const DATA_VALID: u8 = 2;

/// The kind of a super-frame (VIRTIO_NET_HDR_GSO_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// TCP over IPv4.
    TcpV4 = 1,
    /// TCP over IPv6.
    TcpV6 = 4,
    /// UDP over either: every segment is a datagram of its own.
    Udp = 5,
}

impl Gso {
    /// What it carries.
    pub const fn transport(self) -> Transport {
        match self {
            Self::TcpV4 | Self::TcpV6 => Transport::Tcp,
            Self::Udp => Transport::Udp,
        }
    }

    /// Whether a super-frame of this kind carries that.
    pub fn carries(self, transport: Transport, v6: bool) -> bool {
        match self {
            Self::TcpV4 => transport == Transport::Tcp && !v6,
            Self::TcpV6 => transport == Transport::Tcp && v6,
            Self::Udp => transport == Transport::Udp,
        }
    }
}

/// The segments may bear ECN's congestion marks (VIRTIO_NET_HDR_GSO_ECN, a flag beside the kind).
const GSO_ECN: u8 = 0x80;

/// The header before a frame on a TAP device: little endian, as the device is told (TUNSETVNETLE).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct VnetHeader {
    flags: u8,
    gso_type: u8,
    header_len: U16,
    gso_size: U16,
    csum_start: U16,
    csum_offset: U16,
    buffers: U16,
}
const _: () = assert!(size_of::<VnetHeader>() == 12);

impl VnetHeader {
    /// For a frame whose transport checksum need not be looked at again.
    pub fn intact() -> Self {
        Self { flags: DATA_VALID, ..Self::default() }
    }

    /// For a frame whose transport checksum the receiver is to finish: it starts at `start`, and stands
    /// `offset` octets behind that.
    pub fn unfinished(start: usize, offset: usize) -> Self {
        Self {
            flags: NEEDS_CSUM,
            csum_start: U16::new(start as u16),
            csum_offset: U16::new(offset as u16),
            ..Self::default()
        }
    }

    /// The same for a super-frame: segments of `size` octets behind `header_len` octets of headers.
    #[must_use]
    pub fn segmented(self, gso: Gso, header_len: usize, size: usize) -> Self {
        Self {
            gso_type: gso as u8,
            header_len: U16::new(header_len as u16),
            gso_size: U16::new(size as u16),
            ..self
        }
    }

    /// The same for the frame with `octets` taken out of its Ethernet header.
    #[must_use]
    pub fn moved_up(self, octets: usize) -> Self {
        let less = |field: U16| U16::new(field.get().saturating_sub(octets as u16));
        Self { header_len: less(self.header_len), csum_start: less(self.csum_start), ..self }
    }

    /// The same for the frame with `octets` put into its Ethernet header.
    #[must_use]
    pub fn moved_down(self, octets: usize) -> Self {
        let more = |field: U16| {
            if field.get() == 0 { field } else { U16::new(field.get().saturating_add(octets as u16)) }
        };
        Self { header_len: more(self.header_len), csum_start: more(self.csum_start), ..self }
    }

    /// Of a super-frame, its kind, where we know that, and the octets of payload in a segment.
    pub fn segmentation(&self) -> Option<(Option<Gso>, usize)> {
        let kind = match self.gso_type & !GSO_ECN {
            0 => return None,
            1 => Some(Gso::TcpV4),
            4 => Some(Gso::TcpV6),
            5 => Some(Gso::Udp),
            _ => None,
        };
        Some((kind, usize::from(self.gso_size.get())))
    }

    /// Octets of the headers that each segment of a super-frame repeats, as far as whoever wrote this knew.
    pub fn header_len(&self) -> usize {
        self.header_len.get().into()
    }

    /// Where the checksum that is to be finished starts, and where it stands behind that.
    pub fn needs_checksum(&self) -> Option<(usize, usize)> {
        let place = || (usize::from(self.csum_start.get()), usize::from(self.csum_offset.get()));
        (self.flags & NEEDS_CSUM != 0).then(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_virtios() {
        let header = VnetHeader::unfinished(0x0122, 16).segmented(Gso::TcpV6, 0x0136, 0x0578);
        assert_eq!(header.as_bytes(), [1, 4, 0x36, 1, 0x78, 5, 0x22, 1, 16, 0, 0, 0]);
        assert_eq!(VnetHeader::default().as_bytes(), [0; 12]);
    }

    #[test]
    fn taking_out_a_tag_moves_the_offsets() {
        let header = VnetHeader::unfinished(38, 16).segmented(Gso::TcpV4, 58, 1360).moved_up(4);
        assert_eq!(header, VnetHeader::unfinished(34, 16).segmented(Gso::TcpV4, 54, 1360));
        assert_eq!(VnetHeader::default().moved_up(4), VnetHeader::default());
    }
}
