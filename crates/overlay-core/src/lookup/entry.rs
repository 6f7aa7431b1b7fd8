//! The life of an entry of the target table.
//!
//! ```text
//!             Frame (ask)              Found (release)
//!    (none) -------------> Asking -----------------------> Known <------------------+
//!      |                    |  ^                          ^ |  ^                    |
//!      | Learned            |  | Frame, once              | |  | Doubtful: due now  |
//!      +---> Known          |  | its time is              | |  +--+                 | Found, Unknown,
//!                           |  | over (ask)               | |                       | Expired
//!          Absent, Unknown, v  |                          | | Frame, when due (ask) |
//!          Expired (lose)  Refused ---- Found ------------+ +-------> Checking -----+
//!                           ^                                            |
//!                           +---- Absent, of Known and Checking ---------+
//!
//!    Remove: Known, Checking, Refused, Fixed --> (none); Asking stays until it has its answer
//!    Fix:    any --> Fixed (what waits is released, or lost)
//!    Learned is Found wherever there is an entry; Doubtful ends a refusal's time; Tuned makes Known due earlier
//! ```
//! Known and Checking serve. What a lookup cannot say changes nothing that serves, and no lookup changes what is Fixed.

use zerocopy::FromZeros;

use super::Ends;
use crate::types::Moment;

/// How long things last, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// After how long an entry in use is asked for again; none for never.
    pub ageing: Option<u64>,
    /// For how long a refusal is remembered.
    pub negative: u64,
    /// For how long an answer is waited for.
    pub timeout: u64,
}

/// Where an entry is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The lookup side is asked, since `since`; frames wait, until `until` at the most.
    Asking { since: Moment, until: Moment },
    /// It serves, as last confirmed; it is asked for again at its first use from `due` on.
    Known { ends: Ends, confirmed: Moment, due: Moment, learned: bool },
    /// It serves, and the lookup side is asked whether it still holds.
    Checking { ends: Ends, confirmed: Moment, until: Moment, learned: bool },
    /// Frames are dropped before `until`.
    Refused { why: Refusal, since: Moment, until: Moment },
    /// An administrator has said where frames go; nowhere without ends.
    Fixed { ends: Option<Ends>, since: Moment },
}

/// Why a frame is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros)]
#[repr(u8)]
pub enum Refusal {
    /// Nobody has its address.
    Absent,
    /// The lookup side could not say who has it.
    Unknown,
    /// The lookup side has not answered.
    Expired,
    /// Too many frames wait, or too much is asked.
    Full,
    /// An administrator wants it dropped.
    Fixed,
}

/// What happens to an entry, or where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A frame needs it.
    Frame,
    /// It is at these tunnel ends.
    Found(Ends),
    /// The same, before anybody has asked.
    Learned(Ends),
    /// Nobody has the address.
    Absent,
    /// The lookup side cannot say.
    Unknown,
    /// What it says may be wrong.
    Doubtful,
    /// A moment has come up to which an answer was waited for.
    Expired,
    /// Things last for another time than before: what would be due earlier by that is due then.
    Tuned,
    /// An administrator sets it.
    Fix(Option<Ends>),
    /// An administrator removes it.
    Remove,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The lookup side is asked.
    Ask,
    /// What waits goes where the entry says.
    Release,
    /// What waits is dropped.
    Lose(Refusal),
}

/// What becomes of a frame that meets an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes to each of these.
    Send(Ends),
    /// It is dropped.
    Lose(Refusal),
    /// It waits for an answer.
    Wait,
}

impl State {
    /// What becomes of a frame now, where that changes nothing; else [`Event::Frame`] is due.
    pub(super) fn serve(&self, now: Moment) -> Option<Fate> {
        match self {
            Self::Known { ends, due, .. } => (now < *due).then(|| Fate::Send(ends.clone())),
            Self::Checking { ends, .. } => Some(Fate::Send(ends.clone())),
            Self::Refused { why, until, .. } => (now < *until).then_some(Fate::Lose(*why)),
            Self::Fixed { ends, .. } => Some(ends.clone().map_or(Fate::Lose(Refusal::Fixed), Fate::Send)),
            Self::Asking { .. } => None,
        }
    }

    /// What becomes of the frame that has just been the event.
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Asking { .. } => Fate::Wait,
            Self::Known { ends, .. } | Self::Checking { ends, .. } => Fate::Send(ends.clone()),
            Self::Refused { why, .. } => Fate::Lose(*why),
            Self::Fixed { ends, .. } => ends.clone().map_or(Fate::Lose(Refusal::Fixed), Fate::Send),
        }
    }

    /// It cannot be asked for now: what is due serves on, and is due again later.
    pub(super) fn put_off(&mut self, now: Moment, timing: &Timing) {
        if let Self::Known { due, .. } = self {
            *due = (*due).max(now.after(pause(timing)));
        }
    }

    /// The moment up to which an answer is waited for, while one is.
    pub(super) const fn awaited(&self) -> Option<Moment> {
        match self {
            Self::Asking { until, .. } | Self::Checking { until, .. } => Some(*until),
            Self::Known { .. } | Self::Refused { .. } | Self::Fixed { .. } => None,
        }
    }
}

/// The next state, none when the entry ends, and what is to be done.
#[expect(clippy::too_many_lines, reason = "one flat match: an arm for each arrow")]
pub(super) fn on_event(
    state: Option<State>,
    event: Event,
    now: Moment,
    timing: &Timing,
) -> (Option<State>, Option<Action>) {
    use Event::{Absent, Doubtful, Expired, Fix, Found, Frame, Learned, Remove, Tuned, Unknown};
    let due = |confirmed: Moment| timing.ageing.map_or(Moment(u64::MAX), |ageing| confirmed.after(ageing));
    let known = |ends, learned| Some(State::Known { ends, confirmed: now, due: due(now), learned });
    let refused = |why| Some(State::Refused { why, since: now, until: now.after(timing.negative) });
    let until = now.after(timing.timeout);
    let asking = || (Some(State::Asking { since: now, until }), Some(Action::Ask));
    match (state, event) {
        (state, Fix(ends)) => {
            let action = if ends.is_some() { Action::Release } else { Action::Lose(Refusal::Fixed) };
            let waits = matches!(state, Some(State::Asking { .. }));
            (Some(State::Fixed { ends, since: now }), waits.then_some(action))
        }
        (Some(fixed @ State::Fixed { .. }), event) => ((event != Remove).then_some(fixed), None),

        (None, Frame) => asking(),
        (None, Learned(ends)) => (known(ends, true), None),
        (None, _) => (None, None),

        (Some(State::Asking { .. }), Found(ends)) => (known(ends, false), Some(Action::Release)),
        (Some(State::Asking { .. }), Learned(ends)) => (known(ends, true), Some(Action::Release)),
        (Some(State::Asking { .. }), Absent) => {
            (refused(Refusal::Absent), Some(Action::Lose(Refusal::Absent)))
        }
        (Some(State::Asking { .. }), Unknown) => {
            (refused(Refusal::Unknown), Some(Action::Lose(Refusal::Unknown)))
        }
        (Some(State::Asking { until, .. }), Expired) if until <= now => {
            (refused(Refusal::Expired), Some(Action::Lose(Refusal::Expired)))
        }
        // The frames that wait are not the entry's that an administrator removes; their question stays.
        (asking @ Some(State::Asking { .. }), Frame | Expired | Doubtful | Tuned | Remove) => (asking, None),

        (Some(State::Known { ends, confirmed, due, learned }), Frame) if due <= now => {
            (Some(State::Checking { ends, confirmed, until, learned }), Some(Action::Ask))
        }
        (Some(State::Known { ends, confirmed, learned, .. }), Doubtful) => {
            (Some(State::Known { ends, confirmed, due: now, learned }), None)
        }
        (Some(State::Known { ends, confirmed, due: before, learned }), Tuned) => {
            (Some(State::Known { ends, confirmed, due: before.min(due(confirmed)), learned }), None)
        }
        (known @ Some(State::Known { .. }), Frame | Unknown | Expired) => (known, None),

        (Some(State::Checking { ends, confirmed, learned, .. }), Unknown) => {
            (Some(State::Known { ends, confirmed, due: now.after(pause(timing)), learned }), None)
        }
        (Some(State::Checking { ends, confirmed, until, learned }), Expired) if until <= now => {
            (Some(State::Known { ends, confirmed, due: now.after(pause(timing)), learned }), None)
        }
        // The answer under way is newer than the doubt: the lookup side speaks in the order in which it learns.
        (checking @ Some(State::Checking { .. }), Frame | Expired | Doubtful | Tuned) => (checking, None),

        (Some(State::Refused { until, .. }), Frame) if until <= now => asking(),
        (refused @ Some(State::Refused { .. }), Frame | Absent | Unknown | Expired | Tuned) => {
            (refused, None)
        }
        (Some(State::Refused { why, since, .. }), Doubtful) => {
            (Some(State::Refused { why, since, until: now }), None)
        }

        (Some(State::Known { learned, .. } | State::Checking { learned, .. }), Found(ends)) => {
            (known(ends, learned), None)
        }
        (Some(State::Refused { .. }), Found(ends)) => (known(ends, false), None),
        (Some(State::Known { .. } | State::Checking { .. } | State::Refused { .. }), Learned(ends)) => {
            (known(ends, true), None)
        }
        (Some(State::Known { .. } | State::Checking { .. }), Absent) => (refused(Refusal::Absent), None),
        (Some(State::Known { .. } | State::Checking { .. } | State::Refused { .. }), Remove) => (None, None),
    }
}

/// How long until an entry that could not be confirmed is asked for again, in milliseconds.
fn pause(timing: &Timing) -> u64 {
    timing.negative.max(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(100_000);
    const TIMING: Timing = Timing { ageing: Some(5000), negative: 1000, timeout: 3000 };

    fn ends(number: u16) -> Ends {
        Ends::One(([10, 0, 0, 2], number).into())
    }

    fn asking() -> State {
        State::Asking { since: Moment(99_000), until: Moment(102_000) }
    }

    fn known(due: u64) -> State {
        State::Known { ends: ends(1), confirmed: Moment(99_000), due: Moment(due), learned: false }
    }

    fn checking() -> State {
        State::Checking { ends: ends(1), confirmed: Moment(99_000), until: Moment(102_000), learned: false }
    }

    fn refused(until: u64) -> State {
        State::Refused { why: Refusal::Absent, since: Moment(99_500), until: Moment(until) }
    }

    fn fixed() -> State {
        State::Fixed { ends: Some(ends(9)), since: Moment(1) }
    }

    fn arrow_at(now: Moment, from: Option<State>, event: Event, to: Option<State>, action: Option<Action>) {
        let about = format!("{from:?} {event:?}");
        assert_eq!(on_event(from, event, now, &TIMING), (to, action), "{about}");
    }

    fn arrow(
        from: impl Into<Option<State>>,
        event: Event,
        to: impl Into<Option<State>>,
        action: Option<Action>,
    ) {
        arrow_at(NOW, from.into(), event, to.into(), action);
    }

    fn fresh(number: u16, learned: bool) -> State {
        State::Known { ends: ends(number), confirmed: NOW, due: NOW.after(5000), learned }
    }

    fn newly_refused(why: Refusal) -> State {
        State::Refused { why, since: NOW, until: NOW.after(1000) }
    }

    #[test]
    fn the_first_frame_asks_and_waits() {
        let asking = State::Asking { since: NOW, until: NOW.after(3000) };
        arrow(None, Event::Frame, asking.clone(), Some(Action::Ask));
        assert_eq!(asking.fate(), Fate::Wait);
    }

    #[test]
    fn news_of_an_address_that_nobody_needs_is_forgotten_unless_it_is_a_warm_start() {
        for event in [
            Event::Found(ends(1)),
            Event::Absent,
            Event::Unknown,
            Event::Doubtful,
            Event::Expired,
            Event::Tuned,
            Event::Remove,
        ] {
            arrow(None, event, None, None);
        }
        arrow(None, Event::Learned(ends(2)), fresh(2, true), None);
    }

    #[test]
    fn an_answer_releases_what_waits() {
        arrow(asking(), Event::Found(ends(2)), fresh(2, false), Some(Action::Release));
        arrow(asking(), Event::Learned(ends(2)), fresh(2, true), Some(Action::Release));
    }

    #[test]
    fn a_refusal_drops_what_waits_and_is_remembered() {
        for (event, why) in [(Event::Absent, Refusal::Absent), (Event::Unknown, Refusal::Unknown)] {
            arrow(asking(), event, newly_refused(why), Some(Action::Lose(why)));
        }
    }

    #[test]
    fn a_question_ends_with_its_time() {
        arrow(asking(), Event::Expired, asking(), None);
        let late = Moment(102_000);
        let refused = State::Refused { why: Refusal::Expired, since: late, until: late.after(1000) };
        arrow_at(late, Some(asking()), Event::Expired, Some(refused), Some(Action::Lose(Refusal::Expired)));
    }

    #[test]
    fn a_question_is_asked_once_and_outlives_its_removal() {
        for event in [Event::Frame, Event::Doubtful, Event::Tuned, Event::Remove] {
            arrow(asking(), event, asking(), None);
        }
    }

    #[test]
    fn what_is_known_serves_until_it_is_due() {
        arrow(known(100_001), Event::Frame, known(100_001), None);
        assert_eq!(known(100_001).serve(NOW), Some(Fate::Send(ends(1))));
        assert_eq!(known(100_000).serve(NOW), None);
    }

    #[test]
    fn what_is_due_is_asked_for_while_it_serves() {
        let checking = State::Checking {
            ends: ends(1),
            confirmed: Moment(99_000),
            until: NOW.after(3000),
            learned: false,
        };
        arrow(known(100_000), Event::Frame, checking.clone(), Some(Action::Ask));
        assert_eq!(checking.fate(), Fate::Send(ends(1)));
    }

    #[test]
    fn what_is_known_follows_the_news() {
        arrow(known(200_000), Event::Found(ends(2)), fresh(2, false), None);
        arrow(known(200_000), Event::Learned(ends(2)), fresh(2, true), None);
        arrow(known(200_000), Event::Absent, newly_refused(Refusal::Absent), None);
        arrow(known(200_000), Event::Doubtful, known(100_000), None);
        arrow(known(200_000), Event::Remove, None, None);
    }

    #[test]
    fn a_shorter_ageing_counts_for_what_is_known_already_and_a_longer_one_takes_no_doubt_away() {
        // Confirmed at 99,000, and 5,000 is how long that holds now.
        arrow(known(400_000), Event::Tuned, known(104_000), None);
        arrow(known(100_000), Event::Tuned, known(100_000), None);
        let never = Timing { ageing: None, ..TIMING };
        let tuned = on_event(Some(known(101_000)), Event::Tuned, NOW, &never);
        assert_eq!(tuned, (Some(known(101_000)), None));
    }

    #[test]
    fn what_cannot_be_said_changes_nothing_that_serves() {
        for event in [Event::Unknown, Event::Expired] {
            arrow(known(200_000), event, known(200_000), None);
        }
        arrow(checking(), Event::Unknown, known(101_000), None);
        arrow(checking(), Event::Expired, checking(), None);
        arrow_at(Moment(102_000), Some(checking()), Event::Expired, Some(known(103_000)), None);
    }

    #[test]
    fn a_check_confirms_or_corrects() {
        arrow(checking(), Event::Found(ends(1)), fresh(1, false), None);
        arrow(checking(), Event::Learned(ends(2)), fresh(2, true), None);
        arrow(checking(), Event::Absent, newly_refused(Refusal::Absent), None);
        arrow(checking(), Event::Remove, None, None);
        for event in [Event::Frame, Event::Doubtful, Event::Tuned] {
            arrow(checking(), event, checking(), None);
        }
    }

    #[test]
    fn a_refusal_holds_for_its_time_and_then_asks_again() {
        assert_eq!(refused(100_001).serve(NOW), Some(Fate::Lose(Refusal::Absent)));
        for event in [Event::Frame, Event::Absent, Event::Unknown, Event::Expired, Event::Tuned] {
            arrow(refused(100_001), event, refused(100_001), None);
        }
        let asking = State::Asking { since: NOW, until: NOW.after(3000) };
        arrow(refused(100_000), Event::Frame, asking, Some(Action::Ask));
    }

    #[test]
    fn news_lifts_a_refusal() {
        arrow(refused(200_000), Event::Found(ends(2)), fresh(2, false), None);
        arrow(refused(200_000), Event::Learned(ends(2)), fresh(2, true), None);
        arrow(refused(200_000), Event::Doubtful, refused(100_000), None);
        arrow(refused(200_000), Event::Remove, None, None);
    }

    #[test]
    fn no_lookup_changes_what_was_set_by_hand() {
        let found = [Event::Found(ends(1)), Event::Learned(ends(1))];
        let others =
            [Event::Frame, Event::Absent, Event::Unknown, Event::Doubtful, Event::Expired, Event::Tuned];
        for event in found.into_iter().chain(others) {
            arrow(fixed(), event, fixed(), None);
        }
        arrow(fixed(), Event::Remove, None, None);
    }

    #[test]
    fn setting_by_hand_decides_what_waits() {
        let drop = State::Fixed { ends: None, since: NOW };
        let to = State::Fixed { ends: Some(ends(3)), since: NOW };
        arrow(asking(), Event::Fix(None), drop.clone(), Some(Action::Lose(Refusal::Fixed)));
        arrow(asking(), Event::Fix(Some(ends(3))), to.clone(), Some(Action::Release));
        for state in [None, Some(known(200_000)), Some(checking()), Some(refused(200_000)), Some(fixed())] {
            arrow(state.clone(), Event::Fix(None), drop.clone(), None);
            arrow(state, Event::Fix(Some(ends(3))), to.clone(), None);
        }
        assert_eq!((drop.fate(), to.fate()), (Fate::Lose(Refusal::Fixed), Fate::Send(ends(3))));
    }
}
