use std::sync::atomic::{AtomicUsize, Ordering};

use super::Priority;

/// How far a VNIC has gone beyond its share of a worker's turn: the share ends within a frame, which goes whole.
#[derive(Debug, Default)]
pub(super) struct Ahead(AtomicUsize);

impl Ahead {
    /// What of a share of so many octets is left for this turn.
    pub(super) fn left(&self, share: usize) -> usize {
        share.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    /// Notes how many octets a turn with a share was of. A VNIC has one worker, so nobody else notes any.
    pub(super) fn note(&self, share: usize, octets: usize) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store((before + octets).saturating_sub(share), Ordering::Relaxed);
    }
}

impl Priority {
    /// Its part of what is whole for the highest.
    pub const fn share(self, whole: usize) -> usize {
        match self {
            Self::Low => whole / 4,
            Self::Medium => whole / 2,
            Self::High => whole,
        }
    }
}
