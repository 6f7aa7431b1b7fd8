use std::collections::VecDeque;

use super::{Desk, Ends, Refusal};
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
    octets: usize,
}

impl<T> Asked<T> {
    pub(super) const fn new(asker: Asker) -> Self {
        Self { asker, frames: VecDeque::new(), octets: 0 }
    }

    /// Lets one more wait, behind the others; whether there is room.
    pub(super) fn park(&mut self, desk: &Desk, octets: usize, make: impl FnOnce() -> T) -> bool {
        let fits = self.frames.is_empty() || self.octets + octets <= ENTRY_MAX;
        if !fits || !desk.reserve(octets) {
            return false;
        }
        self.frames.push_back(make());
        self.octets += octets;
        true
    }

    /// Everything that waits, in its order.
    pub(super) fn leave(&mut self, desk: &Desk) -> impl Iterator<Item = T> {
        desk.give_back(std::mem::take(&mut self.octets));
        std::mem::take(&mut self.frames).into_iter()
    }
}
