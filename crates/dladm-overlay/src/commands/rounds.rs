//! Counters that are shown once or, every so many seconds, by what was added to them.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::Duration;

use super::Outcome;
use crate::error::Error;
use crate::session::Session;

/// Shows rounds: one, or with an interval until it is interrupted or a round ends it.
pub(super) fn repeat(
    session: &mut Session<'_>,
    interval: Option<Duration>,
    mut round: impl FnMut(&mut Session<'_>) -> Result<ControlFlow<Outcome, Outcome>, Error>,
) -> Result<Outcome, Error> {
    loop {
        let outcome = match round(session)? {
            ControlFlow::Continue(outcome) => outcome,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        let Some(interval) = interval else { return Ok(outcome) };
        if (session.pause)(interval).is_break() {
            return Ok(outcome);
        }
    }
}

/// What each counter said in the round before, and in this one.
#[derive(Debug)]
pub(super) struct Rounds<K> {
    before: HashMap<K, u64>,
    now: HashMap<K, u64>,
}

impl<K> Default for Rounds<K> {
    fn default() -> Self {
        Self { before: HashMap::new(), now: HashMap::new() }
    }
}

impl<K: Eq + Hash> Rounds<K> {
    /// Goes on to the next round.
    pub(super) fn advance(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// What was counted since the last round; the total where there was none. A counter that has gone back counts anew: the
    /// driver was started in between.
    pub(super) fn since(&mut self, counter: K, now: u64) -> u64 {
        let before = self.before.get(&counter).copied().unwrap_or(0);
        self.now.insert(counter, now);
        now.checked_sub(before).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rounds: &mut Rounds<&str>, total: u64) -> u64 {
        rounds.advance();
        rounds.since("it", total)
    }

    #[test]
    fn the_first_round_is_the_total_and_the_next_what_was_added() {
        let mut rounds = Rounds::default();
        assert_eq!([10, 15, 15].map(|total| round(&mut rounds, total)), [10, 5, 0]);
    }

    #[test]
    fn counters_that_begin_anew_are_shown_as_they_are() {
        let mut rounds = Rounds::default();
        assert_eq!([10, 3, 4].map(|total| round(&mut rounds, total)), [10, 3, 1]);
        rounds.advance();
        assert_eq!(round(&mut rounds, 9), 9, "it was away for a round");
    }
}
