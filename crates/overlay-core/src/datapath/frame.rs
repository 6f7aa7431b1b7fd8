use crate::encap::HEADER_MAX;
use crate::offload::{VNET_HEADER, VnetHeader};
use crate::wire::VLAN_TAG;
use zerocopy::FromBytes;

/// Octets kept free before a frame: for its virtio header, or the encapsulation's header and a tag.
pub const HEADROOM: usize = 64;
const _: () = assert!(HEADROOM >= HEADER_MAX + VLAN_TAG && HEADROOM >= VNET_HEADER);

/// Octets that a device hands over at the most: a super-frame of 64 KiB with its headers.
pub const FRAME_MAX: usize = 65_536 + 256;

/// Room for one frame with headroom, used again and again.
#[derive(Debug)]
pub struct FrameBuf {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
    vnet: VnetHeader,
}

impl Default for FrameBuf {
    fn default() -> Self {
        let octets = vec![0; HEADROOM + FRAME_MAX].into_boxed_slice();
        Self { octets, start: HEADROOM, end: HEADROOM, vnet: VnetHeader::default() }
    }
}

impl FrameBuf {
    /// Where a device writes: the virtio header, and the frame right behind it.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.octets[HEADROOM - VNET_HEADER..]
    }

    /// Makes the first `len` octets of [`FrameBuf::space`] the content; the frame is what is behind the header.
    pub fn fill(&mut self, len: usize) {
        self.start = HEADROOM;
        self.end = HEADROOM + len.saturating_sub(VNET_HEADER);
        let header = &self.octets[HEADROOM - VNET_HEADER..HEADROOM];
        self.vnet = VnetHeader::read_from_bytes(header).unwrap_or_default();
    }

    /// Makes a frame with its virtio header the content.
    pub(super) fn put(&mut self, octets: &[u8], vnet: VnetHeader) {
        let len = octets.len().min(FRAME_MAX);
        self.start = HEADROOM;
        self.end = HEADROOM + len;
        self.octets[self.start..self.end].copy_from_slice(&octets[..len]);
        self.vnet = vnet;
    }

    /// The virtio header, as it fits the frame now.
    pub const fn vnet(&self) -> VnetHeader {
        self.vnet
    }

    /// The frame, to be changed in place.
    pub fn octets_mut(&mut self) -> &mut [u8] {
        &mut self.octets[self.start..self.end]
    }

    /// The frame, with whatever has been put before it.
    pub fn octets(&self) -> &[u8] {
        &self.octets[self.start..self.end]
    }

    /// Room for `len` more octets before the frame, which become part of it. They are dirty.
    ///
    /// # Panics
    /// When the headroom is used up: more than [`HEADROOM`] octets in all.
    pub fn prepend(&mut self, len: usize) -> &mut [u8] {
        let end = self.start;
        self.start = end.checked_sub(len).expect("headroom is large enough for every header");
        &mut self.octets[self.start..end]
    }

    /// Puts `octets` into the Ethernet header at `at`, moving what is before that into the headroom.
    pub fn insert(&mut self, at: usize, octets: &[u8]) {
        let before = self.start..self.start + at;
        self.prepend(octets.len());
        self.octets.copy_within(before, self.start);
        self.octets[self.start + at..][..octets.len()].copy_from_slice(octets);
        self.vnet = self.vnet.moved_down(octets.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stands_behind_its_virtio_header() {
        let mut frame = FrameBuf::default();
        frame.space()[..14].copy_from_slice(b"virtio-headrab");
        frame.fill(14);
        assert_eq!(frame.octets(), b"ab");
        frame.fill(3);
        assert_eq!(frame.octets(), b"");
    }

    #[test]
    fn octets_are_put_before_and_into_a_frame_without_moving_its_end() {
        let mut frame = FrameBuf::default();
        frame.space()[VNET_HEADER..][..6].copy_from_slice(b"abcdef");
        frame.fill(VNET_HEADER + 6);
        frame.insert(4, b"12");
        assert_eq!(frame.octets(), b"abcd12ef");
        frame.prepend(2).copy_from_slice(b"xy");
        assert_eq!(frame.octets(), b"xyabcd12ef");
    }
}
