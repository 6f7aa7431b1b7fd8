use std::collections::{BTreeMap, HashMap};

use overlay_core::types::{MacAddr, Moment};

use crate::plugins::interface::{Query, Ticket};
use crate::proxy::Conversation;

/// Questions of one instance under way at a time; each takes a few hundred octets, and its frame.
pub const PENDING_MAX: usize = 65_536;

/// Milliseconds that a plugin has for an answer.
pub const PATIENCE: u64 = 30_000;

/// What a question is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Where frames to an address go.
    Target(MacAddr),
    /// What becomes of a frame with the driver's number.
    Frame(u64, Box<Conversation>),
}

#[derive(Debug)]
pub(super) struct Question {
    pub(super) query: Query,
    pub(super) purpose: Purpose,
    asked: Moment,
}

/// The questions of one instance that its plugin has not answered yet.
///
/// Tickets rise with time, so that the first question is the oldest one, and one moment is enough for a timer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    questions: BTreeMap<Ticket, Question>,
    targets: HashMap<MacAddr, Ticket>,
    last: u64,
}

impl Pending {
    /// None yet, with tickets above those of `earlier`.
    pub(super) fn after(earlier: &Self) -> Self {
        Self { last: earlier.last, ..Self::default() }
    }

    /// Whether no further question is taken.
    pub(super) fn full(&self) -> bool {
        self.questions.len() >= PENDING_MAX
    }

    /// Whether it is being asked where frames to an address go.
    pub(super) fn asks(&self, mac: MacAddr) -> bool {
        self.targets.contains_key(&mac)
    }

    /// Takes a question; the ticket to ask it under.
    pub(super) fn add(&mut self, query: Query, purpose: Purpose, asked: Moment) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        if let Purpose::Target(mac) = purpose {
            self.targets.insert(mac, ticket);
        }
        self.questions.insert(ticket, Question { query, purpose, asked });
        ticket
    }

    /// Takes out the question of a ticket; none when it was answered before, or is forgotten.
    pub(super) fn answered(&mut self, ticket: Ticket) -> Option<Question> {
        let question = self.questions.remove(&ticket)?;
        self.forget_target(&question);
        Some(question)
    }

    /// When the oldest question is to be forgotten.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.questions.first_key_value().map(|(_, question)| question.asked.after(PATIENCE))
    }

    /// Takes out a question that has been under way for too long.
    pub(super) fn expired(&mut self, now: Moment) -> Option<Question> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        let (_, question) = self.questions.pop_first()?;
        self.forget_target(&question);
        Some(question)
    }

    /// Takes out every question, the oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Question> + use<> {
        self.targets.clear();
        std::mem::take(&mut self.questions).into_values()
    }

    /// Forgets what was asked of frames: their numbers are those of a connection that is gone.
    pub(super) fn forget_frames(&mut self) {
        self.questions.retain(|_, question| matches!(question.purpose, Purpose::Target(_)));
    }

    fn forget_target(&mut self, question: &Question) {
        if let Purpose::Target(mac) = question.purpose {
            self.targets.remove(&mac);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(pending: &mut Pending, last: u8, asked: u64) -> Ticket {
        let mac = MacAddr([2, 8, 0x20, 0, 0, last]);
        let query = Query::Target { mac, source: mac, vid: None };
        pending.add(query, Purpose::Target(mac), Moment(asked))
    }

    #[test]
    fn tickets_are_unique_over_successors() {
        let mut pending = Pending::default();
        let first = add(&mut pending, 1, 0);
        let second = add(&mut pending, 2, 0);
        let third = add(&mut Pending::after(&pending), 1, 0);
        assert!(first < second && second < third);
    }

    #[test]
    fn a_ticket_is_answered_once() {
        let mut pending = Pending::default();
        let ticket = add(&mut pending, 1, 0);
        assert!(pending.asks(MacAddr([2, 8, 0x20, 0, 0, 1])));
        assert!(pending.answered(ticket).is_some() && pending.answered(ticket).is_none());
        assert!(!pending.asks(MacAddr([2, 8, 0x20, 0, 0, 1])) && pending.deadline().is_none());
    }

    #[test]
    fn the_oldest_question_expires_first_and_when_its_time_has_come() {
        let mut pending = Pending::default();
        let first = add(&mut pending, 1, 0);
        add(&mut pending, 2, 10);
        add(&mut pending, 3, 20);
        assert_eq!(pending.deadline(), Some(Moment(PATIENCE)));
        pending.answered(first);
        assert_eq!(pending.deadline(), Some(Moment(PATIENCE + 10)));
        assert!(pending.expired(Moment(PATIENCE + 9)).is_none());
        assert!(pending.expired(Moment(PATIENCE + 10)).is_some());
        assert!(pending.expired(Moment(PATIENCE + 10)).is_none());
    }
}
