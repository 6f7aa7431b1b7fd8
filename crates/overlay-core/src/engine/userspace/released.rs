use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::datapath::Waiting;
use crate::lookup::Ends;
use crate::types::LinkId;

/// A frame that has waited and is to be sent by the worker that reads its VNIC.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) overlay: LinkId,
    pub(super) frame: Waiting,
    /// Where it goes; none where its new destination is to be looked up.
    pub(super) ends: Option<Ends>,
}

/// What one worker has to send before anything that it looks up from now on.
///
/// Frames are put here under the lock of the target entry whose answer they waited for. Whoever finds that answer in the
/// table therefore finds them here: a worker that empties this between its look-ups and its sending keeps every flow in
/// order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: Mutex<VecDeque<Outgoing>>,
    any: AtomicBool,
}

impl Outbox {
    pub(super) fn put(&self, outgoing: Outgoing) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).push_back(outgoing);
        self.any.store(true, Ordering::Release);
    }

    /// Whether there is anything.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Takes out everything; nothing is allocated where there is nothing.
    pub(super) fn take(&self) -> VecDeque<Outgoing> {
        if !self.any() {
            return VecDeque::new();
        }
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *frames)
    }
}
