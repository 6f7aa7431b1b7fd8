use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Desk;

/// Octets that may wait for lookups in one overlay: no guest takes the room of all others.
const OVERLAY_MAX: usize = 16 * 1024 * 1024;

/// What the bookkeeping of something that waits takes beside itself, in octets.
const OVERHEAD: usize = 64;

/// An overlay's share of the room for what waits.
#[derive(Debug)]
pub(super) struct Room {
    desk: Arc<Desk>,
    used: AtomicUsize,
}

impl Room {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk, used: AtomicUsize::new(0) }
    }

    /// What a frame of so many octets takes while it waits as a `T`.
    pub(super) const fn size<T>(octets: usize) -> usize {
        octets + size_of::<T>() + OVERHEAD
    }

    /// Makes room; whether there is any.
    pub(super) fn reserve(&self, size: usize) -> bool {
        let fits = |used: usize| (used + size <= OVERLAY_MAX).then_some(used + size);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let reserved = self.desk.reserve(size);
        if !reserved {
            self.used.fetch_sub(size, Ordering::Relaxed);
        }
        reserved
    }

    pub(super) fn give_back(&self, size: usize) {
        self.used.fetch_sub(size, Ordering::Relaxed);
        self.desk.give_back(size);
    }
}
