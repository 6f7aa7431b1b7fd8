use std::cell::Cell;
use std::time::{Duration, Instant};

/// The sign of life of the server's loop: told after a turn of it, and after each step of a turn that can have thousands of
/// them, so that a loop that is stuck tells nothing and is started again.
pub(crate) struct Pulse {
    every: Option<Duration>,
    told: Cell<Instant>,
    tell: fn(),
}

impl Pulse {
    /// Calls `tell` at the end of a turn once `every` has passed since the last time; never without.
    pub(crate) fn new(every: Option<Duration>, now: Instant, tell: fn()) -> Self {
        Self { every, told: Cell::new(now), tell }
    }

    /// How long the loop may sleep.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        // A millisecond more: what sleeps in milliseconds would wake too early.
        let due = self.every? + Duration::from_millis(1);
        Some(due.saturating_sub(now.duration_since(self.told.get())))
    }

    /// A turn has come to its end, or a step of one that can be long.
    pub(super) fn beat(&self, now: Instant) {
        if self.every.is_some_and(|every| now.duration_since(self.told.get()) >= every) {
            self.told.set(now);
            (self.tell)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_turn_tells_once_it_is_time_and_sleep_ends_then() {
        static TOLD: AtomicU32 = AtomicU32::new(0);
        fn tell() {
            TOLD.fetch_add(1, Ordering::Relaxed);
        }
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let pulse = Pulse::new(Some(second), start, tell);
        let mut now = start;
        for count in 1..=3 {
            let pause = pulse.pause(now).expect("an end of the sleep");
            pulse.beat(now + pause / 2);
            assert_eq!(TOLD.load(Ordering::Relaxed), count - 1, "it is not yet time");
            now += pause;
            pulse.beat(now);
            assert_eq!(TOLD.load(Ordering::Relaxed), count);
        }
        assert_eq!(pulse.pause(now + 5 * second), Some(Duration::ZERO), "who is late does not sleep");
        assert_eq!(TOLD.load(Ordering::Relaxed), 3, "only a turn tells");
    }

    #[test]
    fn where_nobody_watches_nothing_is_told_and_sleep_has_no_end() {
        let start = Instant::now();
        let pulse = Pulse::new(None, start, || panic!("nobody asked"));
        assert_eq!(pulse.pause(start), None);
        pulse.beat(start + Duration::from_secs(1000));
    }
}
