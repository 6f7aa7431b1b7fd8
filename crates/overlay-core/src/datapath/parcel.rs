use std::collections::VecDeque;

use super::{Direction, Inner, Load};
use crate::offload::{CUT_HEADER_MAX, Cut, VnetHeader};
use crate::wire::{Ethernet, VLAN_TAG};

/// What is known of a frame that waits to be given to a VNIC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel {
    pub(super) vnet: VnetHeader,
    pub(super) ethernet: Ethernet,
    /// Octets of its longest segment.
    pub(super) longest: usize,
    pub(super) load: Load,
    /// What it is on a wire, where each segment has its headers.
    pub(super) wire: Load,
    /// Whether a tag is taken out of it.
    pub(super) untagged: bool,
    pub(super) from: Direction,
    /// Octets in all, and of the first piece: of a run, its headers.
    pub(super) len: usize,
    pub(super) first: usize,
}

impl Parcel {
    /// Octets that it takes while it waits.
    pub(super) const fn size(&self) -> usize {
        self.len + size_of::<Self>()
    }

    /// Octets that are taken out of each frame.
    pub(super) const fn tag(&self) -> usize {
        if self.untagged { VLAN_TAG } else { 0 }
    }

    /// Itself, in the pieces it came in.
    pub(super) fn whole<'a>(&'a self, octets: &'a [u8]) -> Piece<'a> {
        let (first, rest) = octets.split_at(self.first);
        let (vnet, longest) = (self.vnet, self.longest);
        Piece { parcel: self, first, rest, vnet, longest, load: self.load }
    }

    /// A segment of a super-frame, whose headers are written into `room`.
    pub(super) fn segment<'a>(
        &'a self,
        octets: &'a [u8],
        cut: &Cut,
        number: usize,
        room: &'a mut [u8; CUT_HEADER_MAX],
    ) -> Piece<'a> {
        let header = &mut room[..cut.header_len()];
        cut.write_header(octets, number, header);
        let rest = &octets[cut.payload(number)];
        // What came as one frame is one as its last segment.
        let counts = self.load.frames == cut.count() || number + 1 == cut.count();
        let bytes = rest.len() + if number == 0 { header.len() } else { 0 };
        let (vnet, longest) = (VnetHeader::intact(), header.len() + rest.len());
        Piece {
            parcel: self,
            first: header,
            rest,
            vnet,
            longest,
            load: Load { frames: counts.into(), bytes },
        }
    }
}

/// What a VNIC is given at once: a frame that has waited, or a part of it.
pub(super) struct Piece<'a> {
    pub(super) parcel: &'a Parcel,
    pub(super) first: &'a [u8],
    pub(super) rest: &'a [u8],
    pub(super) vnet: VnetHeader,
    pub(super) longest: usize,
    pub(super) load: Load,
}

/// Parcels in their order, in rooms that are used again and again.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    list: VecDeque<Parcel>,
    octets: Vec<u8>,
    /// Where the octets of the first parcel begin.
    start: usize,
}

impl Parcels {
    /// Takes all of `other` when there is nothing left of its own.
    pub(super) fn refill(&mut self, other: &mut Self) {
        if self.list.is_empty() {
            self.octets.clear();
            self.start = 0;
            std::mem::swap(self, other);
        }
    }

    /// Adds one behind the others.
    pub(super) fn push(&mut self, parcel: Parcel, inner: &Inner<'_>) {
        self.octets.extend_from_slice(inner.frame);
        inner.more.iter().for_each(|piece| self.octets.extend_from_slice(piece));
        self.list.push_back(parcel);
    }

    /// The first, with its octets.
    pub(super) fn first(&self) -> Option<(&Parcel, &[u8])> {
        let parcel = self.list.front()?;
        Some((parcel, &self.octets[self.start..][..parcel.len]))
    }

    /// Takes out the first.
    pub(super) fn take_first(&mut self) {
        if let Some(parcel) = self.list.pop_front() {
            self.start += parcel.len;
        }
    }
}
