//! The questions that a program has been asked and has not answered.

use std::collections::BTreeMap;

use overlay_core::types::Moment;

use super::legal::Wanted;
use crate::plugins::interface::Ticket;

/// Questions under way at a time.
pub(crate) const QUESTIONS_MAX: usize = 10_000;

/// Milliseconds that an answer may take.
pub(crate) const PATIENCE: u64 = 5000;

/// A question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// Whose it is.
    pub(super) ticket: Ticket,
    /// What it wants to hear.
    pub(super) wanted: Wanted,
    due: Moment,
}

/// Open questions, by the number under which the program knows them. Numbers count up, over all runs of a program.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    open: BTreeMap<u64, Open>,
}

impl Questions {
    /// Adds one that is asked now, and gives its number; none when there are too many.
    pub(super) fn ask(&mut self, ticket: Ticket, wanted: Wanted, now: Moment) -> Option<u64> {
        if self.open.len() >= QUESTIONS_MAX {
            return None;
        }
        self.last += 1;
        self.open.insert(self.last, Open { ticket, wanted, due: now.after(PATIENCE) });
        Some(self.last)
    }

    /// Takes out the one of a number, which has been answered.
    pub(super) fn answered(&mut self, number: u64) -> Option<Open> {
        self.open.remove(&number)
    }

    /// When the oldest should have been answered.
    pub(super) fn due(&self) -> Option<Moment> {
        self.open.first_key_value().map(|(_, open)| open.due)
    }

    /// Takes out all.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        std::mem::take(&mut self.open).into_values().map(|open| open.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_and_the_oldest_is_due_first() {
        let mut questions = Questions::default();
        for number in 0..QUESTIONS_MAX as u64 {
            assert_eq!(questions.ask(Ticket(number), Wanted::Ends, Moment(number)), Some(number + 1));
        }
        assert_eq!(questions.ask(Ticket(u64::MAX), Wanted::Ends, Moment(0)), None);
        assert_eq!(questions.due(), Some(Moment(PATIENCE)));
        assert_eq!(questions.answered(1).map(|open| open.ticket), Some(Ticket(0)));
        assert_eq!(questions.answered(1), None);
        assert_eq!(questions.due(), Some(Moment(PATIENCE + 1)));
        assert_eq!(questions.give_up().count(), QUESTIONS_MAX - 1);
        assert_eq!(questions.due(), None);
    }

    #[test]
    fn numbers_are_not_used_again() {
        let mut questions = Questions::default();
        questions.ask(Ticket(5), Wanted::Mac, Moment(0));
        questions.give_up().for_each(drop);
        assert_eq!(questions.ask(Ticket(6), Wanted::Mac, Moment(0)), Some(2));
    }
}
