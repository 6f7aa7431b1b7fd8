use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Question;

/// Octets of frames that may wait for lookups, over all overlays.
const WAITING_MAX: usize = 64 * 1024 * 1024;

/// What all target tables of an engine share: the questions on their way to the lookup side, and the room for frames
/// that wait.
#[derive(Debug, Default)]
pub struct Desk {
    questions: Mutex<Vec<Question>>,
    raised: AtomicBool,
    waiting: AtomicUsize,
    unanswered: AtomicUsize,
    last_number: AtomicU64,
}

impl Desk {
    /// Whether a question has come since this was last asked: whoever hears it first wakes the one who takes them.
    pub fn take_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed) && self.raised.swap(false, Ordering::AcqRel)
    }

    /// The questions that have come, in their order.
    pub fn take(&self) -> Vec<Question> {
        mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether any question has no answer yet.
    pub fn is_asking(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// A question has its answer, or is given up.
    pub(super) fn settle(&self) {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn ask(&self, question: Question) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push(question);
        self.raised.store(true, Ordering::Release);
    }

    /// A number that no question about a frame has had.
    pub(super) fn number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Makes room for a frame of so many octets; whether there is any.
    pub(super) fn reserve(&self, octets: usize) -> bool {
        let fits = |waiting: usize| (waiting + octets <= WAITING_MAX).then_some(waiting + octets);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, octets: usize) {
        self.waiting.fetch_sub(octets, Ordering::Relaxed);
    }
}
