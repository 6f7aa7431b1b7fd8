use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::census::Class;
use super::entry::Timing;
use crate::types::{MacAddr, Moment};

/// A place in a queue that no longer stands for anything is found out when its turn comes; with so many more places
/// than entries, all are looked through.
const SLACK: usize = 1024;

type Queue = BinaryHeap<Reverse<(Moment, MacAddr)>>;

/// What a table needs only beside the path of a hit: in what order entries were used, and how long answers are waited for.
pub(super) struct Slow(Mutex<Inside>);

struct Inside {
    timing: Timing,
    maximum: usize,
    /// Each entry that can go with a time at which it was used, the earliest first; it may have been used later since.
    serving: Queue,
    refused: Queue,
    deadlines: Queue,
}

/// What is known of an entry that a place in a queue stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) class: Class,
    /// When it was used last.
    pub(super) used: Moment,
    /// Up to when an answer is waited for, while one is.
    pub(super) awaited: Option<Moment>,
}

impl Slow {
    pub(super) fn new(timing: Timing, maximum: usize) -> Self {
        let (serving, refused, deadlines) = (Queue::new(), Queue::new(), Queue::new());
        Self(Mutex::new(Inside { timing, maximum, serving, refused, deadlines }))
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

    /// An entry has become one of this class, last used then.
    pub(super) fn note_use(&self, class: Class, mac: MacAddr, used: Moment) {
        if let Some(queue) = self.lock().queue(class) {
            queue.push(Reverse((used, mac)));
        }
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

    /// Takes out the entry of a class that was used least recently, after at most `patience` looks at the queue.
    ///
    /// The entry in front was noted with the earliest time of all. When it has not been used since, no other can have
    /// been used earlier; else it goes back with its real time.
    pub(super) fn least_used(
        &self,
        class: Class,
        patience: &mut usize,
        seen: impl Fn(MacAddr) -> Option<Seen>,
    ) -> Option<MacAddr> {
        while *patience > 0 {
            *patience -= 1;
            let Reverse((noted, mac)) = self.lock().queue(class)?.pop()?;
            match seen(mac).filter(|seen| seen.class == class) {
                Some(Seen { used, .. }) if used > noted => self.note_use(class, mac, used),
                Some(_) => return Some(mac),
                None => {}
            }
        }
        None
    }

    /// Forgets places that stand for nothing any more, when there are too many of them.
    pub(super) fn tidy(&self, entries: usize, questions: usize, seen: impl Fn(MacAddr) -> Option<Seen>) {
        let limit = 2 * entries + SLACK;
        for class in [Class::Serving, Class::Refused] {
            let of_class = |mac| seen(mac).filter(|seen| seen.class == class).map(|seen| seen.used);
            self.thin(limit, |inside| inside.queue(class), |_, mac| of_class(mac));
        }
        let awaited = |until, mac| seen(mac)?.awaited.filter(|awaited| *awaited == until);
        self.thin(2 * questions + SLACK, |inside| Some(&mut inside.deadlines), awaited);
    }

    /// Keeps of a queue that is longer than `limit` the addresses that `keep` gives a time for.
    fn thin(
        &self,
        limit: usize,
        of: impl Fn(&mut Inside) -> Option<&mut Queue>,
        keep: impl Fn(Moment, MacAddr) -> Option<Moment>,
    ) {
        let taken = match of(&mut self.lock()) {
            Some(queue) if queue.len() > limit => std::mem::take(queue),
            _ => return,
        };
        let kept = taken.into_iter().filter_map(|Reverse((time, mac))| Some((mac, keep(time, mac)?)));
        let mut kept: Vec<_> = kept.collect();
        kept.sort_unstable();
        kept.dedup();
        let places = kept.into_iter().map(|(mac, time)| Reverse((time, mac)));
        if let Some(queue) = of(&mut self.lock()) {
            queue.extend(places);
        }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        let inside = self.lock();
        inside.serving.len() + inside.refused.len() + inside.deadlines.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The queue of a class whose entries can go.
    const fn queue(&mut self, class: Class) -> Option<&mut Queue> {
        match class {
            Class::Serving => Some(&mut self.serving),
            Class::Refused => Some(&mut self.refused),
            Class::Asking | Class::Fixed => None,
        }
    }
}
