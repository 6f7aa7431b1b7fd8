use std::collections::VecDeque;

use super::room::Room;
use super::{Ends, Refusal};
use crate::types::{MacAddr, VlanId};

/// Octets of frames that may wait for one address. The first frame always may.
pub(super) const ENTRY_MAX: usize = 128 * 1024;

/// What has waited.
#[derive(Debug, PartialEq, Eq)]
pub enum Released<T> {
    /// It goes to these tunnel ends.
    Go(T, Ends),
    /// It is dropped.
    Lose(T, Refusal),
}

/// Whose frame raised a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Its sender.
    pub source: MacAddr,
    /// Its VLAN inside the tunnel.
    pub vid: Option<VlanId>,
}

/// Who has asked for an address, and the frames that wait for the answer.
#[derive(Debug)]
pub(super) struct Asked<T> {
    pub(super) asker: Asker,
    frames: VecDeque<T>,
    /// Octets of the frames, and of all that they take.
    octets: usize,
    size: usize,
}

impl<T> Asked<T> {
    pub(super) const fn new(asker: Asker) -> Self {
        Self { asker, frames: VecDeque::new(), octets: 0, size: 0 }
    }

    /// Lets one more wait, behind the others; whether there is room.
    pub(super) fn park(&mut self, room: &Room, octets: usize, make: impl FnOnce() -> T) -> bool {
        let (fits, size) =
            (self.frames.is_empty() || self.octets + octets <= ENTRY_MAX, Room::size::<T>(octets));
        if !fits || !room.reserve(size) {
            return false;
        }
        self.frames.push_back(make());
        self.octets += octets;
        self.size += size;
        true
    }

    /// Everything that waits, in its order.
    pub(super) fn leave(&mut self, room: &Room) -> impl Iterator<Item = T> {
        room.give_back(std::mem::take(&mut self.size));
        std::mem::take(&mut self.frames).into_iter()
    }
}
