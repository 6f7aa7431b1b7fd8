use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::Timing;
use crate::types::{MacAddr, Moment};

/// A place in a queue that no longer stands for anything is found out when its turn comes; with so many more places
/// than entries, all are looked through.
const SLACK: usize = 1024;

/// What a table needs only beside the path of a hit: in what order entries were used, and how long answers are waited for.
pub(super) struct Slow(Mutex<Inside>);

struct Inside {
    timing: Timing,
    maximum: usize,
    /// Each entry with a time at which it was used, the earliest first; it may have been used later since.
    uses: BinaryHeap<Reverse<(Moment, MacAddr)>>,
    deadlines: BinaryHeap<Reverse<(Moment, MacAddr)>>,
}

impl Slow {
    pub(super) const fn new(timing: Timing, maximum: usize) -> Self {
        Self(Mutex::new(Inside { timing, maximum, uses: BinaryHeap::new(), deadlines: BinaryHeap::new() }))
    }

    /// Takes new limits, and returns how long things have lasted before.
    pub(super) fn tune(&self, timing: Timing, maximum: usize) -> Timing {
        let mut inside = self.lock();
        inside.maximum = maximum;
        std::mem::replace(&mut inside.timing, timing)
    }

    pub(super) fn timing(&self) -> Timing {
        self.lock().timing
    }

    pub(super) fn maximum(&self) -> usize {
        self.lock().maximum
    }

    /// A new entry was used.
    pub(super) fn note_use(&self, mac: MacAddr, now: Moment) {
        self.lock().uses.push(Reverse((now, mac)));
    }

    /// An answer is waited for.
    pub(super) fn note_deadline(&self, mac: MacAddr, until: Moment) {
        self.lock().deadlines.push(Reverse((until, mac)));
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.lock().deadlines.peek().map(|Reverse((until, _))| *until)
    }

    /// An address whose answer was waited for up to now, or had come before.
    pub(super) fn next_expired(&self, now: Moment) -> Option<MacAddr> {
        let mut inside = self.lock();
        let due = inside.deadlines.peek().is_some_and(|Reverse((until, _))| *until <= now);
        due.then(|| inside.deadlines.pop()).flatten().map(|Reverse((_, mac))| mac)
    }

    /// Takes out the entry that was used least recently; `used` says when one was, none where it is not to go.
    ///
    /// The entry in front was noted with the earliest time of all. When it has not been used since, no other can have
    /// been used earlier; else it goes back with its real time.
    pub(super) fn least_used(&self, used: impl Fn(MacAddr) -> Option<Moment>) -> Option<MacAddr> {
        loop {
            let Reverse((noted, mac)) = self.lock().uses.pop()?;
            match used(mac) {
                Some(used) if used > noted => self.note_use(mac, used),
                Some(_) => return Some(mac),
                None => {}
            }
        }
    }

    /// Forgets places of entries that are gone, when there are too many of them.
    pub(super) fn tidy(&self, entries: usize, used: impl Fn(MacAddr) -> Option<Moment>) {
        if self.lock().uses.len() <= 2 * entries + SLACK {
            return;
        }
        let uses = std::mem::take(&mut self.lock().uses);
        let mut macs: Vec<_> = uses.into_iter().map(|Reverse((_, mac))| mac).collect();
        macs.sort_unstable();
        macs.dedup();
        let places = macs.into_iter().filter_map(|mac| Some(Reverse((used(mac)?, mac))));
        let mut kept: BinaryHeap<_> = places.collect();
        self.lock().uses.append(&mut kept);
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.lock().uses.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
