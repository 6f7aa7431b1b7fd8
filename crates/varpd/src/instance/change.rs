//! A change of an instance's properties while it runs, as a pure state machine.
//!
//! ```text
//!              Ready (the driver has the overlay)                 Accepted, Unavailable
//!   Preparing ------------------------------------> Proposed -----------------------------> (kept)
//!     |    |                                           |                                       ^
//!     |    +---- Ready (no driver to ask) -------------|---------------------------------------+
//!     |  Degraded                                      |  Refused
//!     +------------------------------------------------+-----------------------------------> (dropped)
//! ```
//!
//! A *candidate* of the plugin with the new properties is made and started beside the one that works, which is not
//! touched until the candidate is ready and the driver takes it.

use overlay_core::property::Assignment;
use overlay_core::protocol::{ControlError, ErrorCode, Response};

use super::Settings;
use crate::message::Answer;
use crate::search::{Held, Search};

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The candidate is not ready yet.
    Preparing,
    /// The driver has been told how the candidate finds destinations.
    Proposed,
}

/// What happens to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The candidate is ready; whether there is a driver with the overlay.
    Ready(bool),
    /// The candidate cannot work, and why.
    Degraded(String),
    /// The driver takes it.
    Accepted,
    /// The driver does not.
    Refused(ControlError),
    /// The driver has gone.
    Unavailable,
}

/// What becomes of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing now.
    Wait,
    /// The driver is asked.
    Propose,
    /// It is written down and takes the place of what was.
    Keep,
    /// All stays as it was.
    Drop(ControlError),
}

/// The next phase, and what becomes of the change.
pub fn on_event(phase: Phase, event: Event) -> (Phase, Step) {
    match (phase, event) {
        (Phase::Preparing, Event::Ready(true)) => (Phase::Proposed, Step::Propose),
        (Phase::Preparing, Event::Ready(false)) => (phase, Step::Keep),
        (Phase::Preparing, Event::Degraded(reason)) => {
            (phase, Step::Drop(ControlError::new(ErrorCode::Failed, reason)))
        }
        (Phase::Proposed, Event::Accepted | Event::Unavailable) => (phase, Step::Keep),
        (Phase::Proposed, Event::Refused(error)) => (phase, Step::Drop(error)),
        (phase, _) => (phase, Step::Wait),
    }
}

/// A change that is under way.
pub struct Change {
    /// How far it has come.
    pub phase: Phase,
    /// The plugin with the new properties.
    pub candidate: Search,
    /// All properties as they will be.
    pub settings: Settings,
    /// What the candidate has said beyond that it is ready, for when it has its place.
    pub held: Held,
    /// Whether what it is to replace wanted to be associated anew after the driver was asked.
    pub overtaken: bool,
    /// The client that waits.
    pub waiting: Answer,
}

impl Change {
    /// Whether the driver is being asked.
    pub fn is_proposed(&self) -> bool {
        self.phase == Phase::Proposed
    }

    /// Tells the client what came of it, and ends the candidate.
    pub fn fail(self, error: ControlError) {
        self.waiting.give(Err(error));
    }

    /// Tells the client that it is done, and gives what takes the place of what was.
    pub fn succeed(self) -> (Search, Settings, Held) {
        self.waiting.give(Ok(Response::Done));
        (self.candidate, self.settings, self.held)
    }
}

/// The properties as given, with new values in the place of old ones.
pub fn merged(given: &[Assignment], new: &[Assignment]) -> Vec<Assignment> {
    let stays = |old: &&Assignment| new.iter().all(|new| new.name != old.name);
    given.iter().filter(stays).chain(new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Preparing, Proposed};

    fn why() -> ControlError {
        ControlError::new(ErrorCode::Failed, "why")
    }

    fn arrow(from: Phase, event: Event, to: Phase, step: Step) {
        assert_eq!(on_event(from, event.clone()), (to, step), "{from:?} {event:?}");
    }

    #[test]
    fn a_ready_candidate_is_proposed_to_the_driver() {
        arrow(Preparing, Event::Ready(true), Proposed, Step::Propose);
    }

    #[test]
    fn a_ready_candidate_is_kept_when_there_is_no_driver_to_ask() {
        arrow(Preparing, Event::Ready(false), Preparing, Step::Keep);
    }

    #[test]
    fn a_candidate_that_cannot_work_is_dropped() {
        arrow(Preparing, Event::Degraded("why".into()), Preparing, Step::Drop(why()));
    }

    #[test]
    fn what_the_driver_takes_is_kept() {
        arrow(Proposed, Event::Accepted, Proposed, Step::Keep);
    }

    #[test]
    fn what_the_driver_does_not_take_is_dropped() {
        arrow(Proposed, Event::Refused(why()), Proposed, Step::Drop(why()));
    }

    #[test]
    fn a_driver_that_has_gone_is_asked_again_when_it_is_back() {
        arrow(Proposed, Event::Unavailable, Proposed, Step::Keep);
    }

    #[test]
    fn all_else_changes_nothing() {
        for event in [Event::Accepted, Event::Refused(why()), Event::Unavailable] {
            arrow(Preparing, event, Preparing, Step::Wait);
        }
        for event in [Event::Ready(true), Event::Ready(false), Event::Degraded("why".into())] {
            arrow(Proposed, event, Proposed, Step::Wait);
        }
    }

    #[test]
    fn new_values_stand_in_the_place_of_old_ones() {
        let given = [Assignment::new("a", "1"), Assignment::new("b", "2")];
        let new = [Assignment::new("a", "3"), Assignment::new("c", "4")];
        let expected = [Assignment::new("b", "2"), Assignment::new("a", "3"), Assignment::new("c", "4")];
        assert_eq!(merged(&given, &new), expected);
    }
}
