//! When a worker comes back to VNICs that have used up their rate, or for which something waits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use nix::sys::epoll::EpollTimeout;
use nix::sys::eventfd::EventFd;

use super::table::Token;
use crate::types::Nanos;

/// The VNICs that a worker is called to, by whoever has made the first frame wait for them.
#[derive(Debug, Default)]
pub(super) struct Roster {
    called: Mutex<Vec<Token>>,
    any: AtomicBool,
}

impl Roster {
    fn call(&self, token: Token) {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).push(token);
        self.any.store(true, Ordering::Release);
    }

    fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Takes out all of them.
    fn take(&self, into: &mut Vec<Token>) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Release);
        into.append(&mut called);
    }
}

/// Calls a worker to one VNIC.
struct Alarm {
    token: Token,
    roster: Arc<Roster>,
    wake: Arc<EventFd>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.roster.call(self.token);
        // It fails only when 2^64 - 2 wake-ups are waiting.
        let _ = self.wake.write(1);
    }
}

/// What calls the worker with this roster and this wake-up to a VNIC.
pub(super) fn alarm(token: Token, roster: &Arc<Roster>, wake: &Arc<EventFd>) -> Waker {
    Arc::new(Alarm { token, roster: Arc::clone(roster), wake: Arc::clone(wake) }).into()
}

/// A worker's own list of when to come back to which VNIC. It is empty where no VNIC has a limit.
#[derive(Debug)]
pub(super) struct Pace {
    roster: Arc<Roster>,
    /// Room for what is taken from the roster.
    called: Vec<Token>,
    /// When, for each VNIC that the worker is to come back to; and all these moments in order, some of them outdated.
    due: HashMap<Token, Nanos>,
    order: BinaryHeap<Reverse<(Nanos, Token)>>,
    /// The VNICs that are not read before that.
    paused: HashSet<Token>,
}

impl Pace {
    pub(super) fn new(roster: Arc<Roster>) -> Self {
        let (called, due, order, paused) = Default::default();
        Self { roster, called, due, order, paused }
    }

    /// Comes back to a VNIC at this moment at the latest.
    pub(super) fn come_back(&mut self, token: Token, at: Nanos) {
        if self.due.get(&token).is_none_or(|due| at < *due) {
            self.due.insert(token, at);
            self.order.push(Reverse((at, token)));
        }
    }

    /// Comes back to all of them at once: they may be others now, with other rates.
    pub(super) fn hurry(&mut self) {
        for (token, due) in &mut self.due {
            *due = Nanos::default();
            self.order.push(Reverse((*due, *token)));
        }
    }

    /// Reads a VNIC no longer before the worker comes back to it; whether it was read.
    pub(super) fn pause(&mut self, token: Token, until: Nanos) -> bool {
        self.come_back(token, until);
        self.paused.insert(token)
    }

    /// Reads a VNIC again; whether it was not.
    pub(super) fn resume(&mut self, token: Token) -> bool {
        self.paused.remove(&token)
    }

    /// Whether there is nothing to come back to.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Comes back at once to whom it has been called to. Who called may have done so by a table that is newer than the
    /// one this worker has: the worker looks for a newer one after this, and before it comes back to anybody.
    pub(super) fn hear_calls(&mut self) {
        if self.roster.any() {
            let mut called = std::mem::take(&mut self.called);
            self.roster.take(&mut called);
            called.drain(..).for_each(|token| self.come_back(token, Nanos::default()));
            self.called = called;
        }
    }

    /// The VNICs to come back to at this moment, added to `into`.
    pub(super) fn take_due(&mut self, now: Nanos, into: &mut Vec<Token>) {
        while let Some((_, token)) = self.first().filter(|(at, _)| *at <= now) {
            self.order.pop();
            self.due.remove(&token);
            into.push(token);
        }
    }

    /// How long the worker may sleep.
    pub(super) fn timeout(&mut self, now: impl FnOnce() -> Nanos) -> EpollTimeout {
        let Some((at, _)) = self.first() else { return EpollTimeout::NONE };
        // It wakes a little late rather than too early.
        let milliseconds = at.since(now()).div_ceil(1_000_000);
        EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
    }

    /// What comes first, when what is outdated has been thrown away.
    fn first(&mut self) -> Option<(Nanos, Token)> {
        while let Some(Reverse((at, token))) = self.order.peek().copied() {
            if self.due.get(&token) == Some(&at) {
                return Some((at, token));
            }
            self.order.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pace: &mut Pace, now: u64) -> Vec<u64> {
        let mut tokens = Vec::new();
        pace.take_due(Nanos(now), &mut tokens);
        tokens.into_iter().map(|Token(number)| number).collect()
    }

    fn pace() -> Pace {
        Pace::new(Arc::default())
    }

    #[test]
    fn a_vnic_is_come_back_to_once_at_the_earliest_of_its_moments() {
        let mut pace = pace();
        for (token, at) in [(1, 50), (2, 30), (1, 10), (1, 40)] {
            pace.come_back(Token(token), Nanos(at));
        }
        assert_eq!(due(&mut pace, 9), [0; 0]);
        assert_eq!(due(&mut pace, 10), [1]);
        assert_eq!(due(&mut pace, 100), [2]);
        assert!(pace.is_idle());
        assert_eq!(pace.timeout(|| Nanos(0)), EpollTimeout::NONE);
    }

    #[test]
    fn the_sleep_ends_when_the_first_is_due_and_not_before() {
        let mut pace = pace();
        pace.come_back(Token(1), Nanos(2_000_001));
        assert_eq!(pace.timeout(|| Nanos(0)), EpollTimeout::from(3u8));
        assert_eq!(pace.timeout(|| Nanos(5_000_000)), EpollTimeout::ZERO);
        pace.come_back(Token(2), Nanos(u64::MAX));
        assert_eq!(due(&mut pace, 2_000_001), [1]);
        assert_eq!(pace.timeout(|| Nanos(0)), EpollTimeout::MAX);
    }

    #[test]
    fn who_is_called_comes_before_his_moment() {
        let mut pace = pace();
        pace.pause(Token(1), Nanos(50));
        (0..2).for_each(|_| pace.roster.call(Token(1)));
        assert_eq!(due(&mut pace, 0), [0; 0], "calls are not heard at any time");
        pace.hear_calls();
        assert_eq!(due(&mut pace, 0), [1]);
        assert_eq!(due(&mut pace, 50), [0; 0], "he has been come back to");
        assert!(pace.resume(Token(1)) && !pace.resume(Token(1)));
    }

    #[test]
    fn all_are_come_back_to_when_their_rates_may_be_others() {
        let mut pace = pace();
        pace.pause(Token(1), Nanos(u64::MAX));
        pace.come_back(Token(2), Nanos(7));
        pace.hurry();
        assert_eq!(due(&mut pace, 0).len(), 2);
        assert!(pace.is_idle());
    }
}
