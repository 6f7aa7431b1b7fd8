//! The life of an instance as a pure state machine.
//!
//! ```text
//! A client activates it:
//!              Activate              Ready (asked)           Accepted
//!   Created ------------> Starting ---------------> Activating ---------> Associated
//!    ^   ^                    |                       |  ^  |
//!    |   +----- Degraded -----+                       |  +--+ Attached, Ready (asked again)
//!    +------ Refused, NotKept, Unavailable -----------+
//!
//! It was active before, by its record:
//!             Ready (asked)          Accepted
//!   Waking ----------------> Active ----------> Associated
//!    |                       ^  ^ |               |    ^
//!    |                       |  +-+ Attached,     |    |
//!    |                       |      Ready (asked) |    |
//!    |                       +--------------------+    |
//!    |                         Unavailable, Attached   |
//!    |                         and Ready (asked)       |
//!    +------ Accepted, of other properties ------------+
//!
//! Any state -- Destroy, OverlayDeleted --> (ended)
//! ```
//!
//! What the driver refuses of an activated instance leaves it as it is, and so does a plugin that cannot work now:
//! nothing that a user entered is deleted by a failure. A plugin that is degraded after it was ready is a word to the
//! driver, not a state.

use overlay_core::protocol::{ControlError, ErrorCode, InstanceState};

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made, not yet activated; its plugin does nothing.
    Created,
    /// A client waits, and the plugin is not ready yet.
    Starting,
    /// A client waits for the driver to accept it for the first time.
    Activating,
    /// Activated before, and its plugin is not ready yet, or is not there.
    Waking,
    /// Activated; the driver does not know of it now.
    Active,
    /// Activated, and the driver knows of it.
    Associated,
}

impl State {
    /// As clients see it.
    pub const fn shown(self) -> InstanceState {
        match self {
            Self::Created | Self::Starting | Self::Activating => InstanceState::Created,
            Self::Waking | Self::Active => InstanceState::Active,
            Self::Associated => InstanceState::Associated,
        }
    }
}

/// What happens to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client activates it.
    Activate,
    /// Its plugin can tell how destinations are found, or tells it anew.
    Ready,
    /// Its plugin does not work, or not wholly, and why.
    Degraded(String),
    /// Its plugin works again.
    Restored,
    /// The driver is there, and has its overlay.
    Attached,
    /// The driver accepted it.
    Accepted,
    /// The driver did not.
    Refused(ControlError),
    /// The driver accepted it, and its activation could not be written down.
    NotKept(ControlError),
    /// The driver is gone, or not to be had.
    Unavailable(ControlError),
    /// A client destroys it.
    Destroy,
    /// Its overlay has ended.
    OverlayDeleted,
}

impl Event {
    /// Why an activation comes to nothing by this event.
    pub fn failure(&self) -> ControlError {
        match self {
            Self::Refused(error) | Self::NotKept(error) | Self::Unavailable(error) => error.clone(),
            Self::Degraded(reason) => ControlError::new(ErrorCode::Failed, reason.clone()),
            _ => ControlError::not_found("the instance was destroyed before it was active"),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the plugin begin.
    Start,
    /// End the plugin; a later start is of a fresh one.
    Stop,
    /// Tell the driver how the overlay's destinations are found, and then of the plugin's trouble, if it has any.
    Associate,
    /// Tell the driver that the instance has gone.
    Disassociate,
    /// Tell the driver of the plugin's trouble, if it has any.
    Degrade,
    /// Tell the driver that the trouble has ended.
    Restore,
    /// Tell the waiting client that the instance is active.
    Confirm,
    /// Tell the waiting client why it is not.
    Fail,
}

/// The next state, none at the end of the life, and what is to be done in this order.
pub const fn on_event(state: State, event: &Event) -> (Option<State>, &'static [Action]) {
    use Action::{Associate, Confirm, Degrade, Disassociate, Fail, Restore, Start, Stop};
    use State::{Activating, Active, Associated, Created, Starting, Waking};
    let (next, actions): (State, &[Action]) = match (state, event) {
        (Created, Event::Destroy | Event::OverlayDeleted) => return (None, &[]),
        (Starting, Event::Destroy | Event::OverlayDeleted) => return (None, &[Stop, Fail]),
        (Activating, Event::Destroy) => return (None, &[Disassociate, Stop, Fail]),
        (Activating, Event::OverlayDeleted) => return (None, &[Stop, Fail]),
        (Waking | Active | Associated, Event::Destroy) => return (None, &[Disassociate, Stop]),
        (Waking | Active | Associated, Event::OverlayDeleted) => return (None, &[Stop]),
        (Created, Event::Activate) => (Starting, &[Start]),
        (Starting, Event::Ready) => (Activating, &[Associate]),
        (Starting, Event::Degraded(_)) => (Created, &[Stop, Fail]),
        (Activating, Event::Attached | Event::Ready) => (Activating, &[Associate]),
        (Activating, Event::Accepted) => (Associated, &[Confirm]),
        (Activating, Event::Refused(_) | Event::Unavailable(_)) => (Created, &[Stop, Fail]),
        (Activating, Event::NotKept(_)) => (Created, &[Disassociate, Stop, Fail]),
        (Waking, Event::Ready) => (Active, &[Restore, Associate]),
        (Waking, Event::Attached) => (Waking, &[Degrade]),
        (Waking, Event::Accepted) => (Associated, &[]),
        (Active | Associated, Event::Attached | Event::Ready) => (Active, &[Associate]),
        (Active, Event::Accepted) => (Associated, &[]),
        (Associated, Event::Unavailable(_)) => (Active, &[]),
        (Activating | Waking | Active | Associated, Event::Degraded(_)) => (state, &[Degrade]),
        (Activating | Waking | Active | Associated, Event::Restored) => (state, &[Restore]),
        (state, _) => (state, &[]),
    };
    (Some(next), actions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Associate, Confirm, Degrade, Disassociate, Fail, Restore, Start, Stop};
    use State::{Activating, Active, Associated, Created, Starting, Waking};

    fn why() -> ControlError {
        ControlError::new(ErrorCode::Failed, "why")
    }

    fn degraded() -> Event {
        Event::Degraded("why".to_owned())
    }

    fn arrow(from: State, event: Event, to: impl Into<Option<State>>, actions: &[Action]) {
        assert_eq!(on_event(from, &event), (to.into(), actions), "{from:?} {event:?}");
    }

    #[test]
    fn activation_starts_the_plugin_and_asks_the_driver_when_that_is_ready() {
        arrow(Created, Event::Activate, Starting, &[Start]);
        arrow(Starting, Event::Ready, Activating, &[Associate]);
    }

    #[test]
    fn a_plugin_that_cannot_start_leaves_the_instance_created() {
        arrow(Starting, degraded(), Created, &[Stop, Fail]);
        assert_eq!(degraded().failure(), why());
    }

    #[test]
    fn a_starting_plugin_does_not_care_for_the_driver() {
        for event in [Event::Attached, Event::Accepted, Event::Refused(why()), Event::Unavailable(why())] {
            arrow(Starting, event, Starting, &[]);
        }
    }

    #[test]
    fn an_activation_that_waits_for_the_driver_is_asked_when_it_is_there() {
        arrow(Activating, Event::Attached, Activating, &[Associate]);
    }

    #[test]
    fn an_accepted_activation_is_confirmed() {
        arrow(Activating, Event::Accepted, Associated, &[Confirm]);
    }

    #[test]
    fn a_refused_activation_leaves_the_instance_created() {
        arrow(Activating, Event::Refused(why()), Created, &[Stop, Fail]);
    }

    #[test]
    fn an_activation_without_a_driver_leaves_the_instance_created() {
        arrow(Activating, Event::Unavailable(why()), Created, &[Stop, Fail]);
    }

    #[test]
    fn an_activation_that_cannot_be_written_down_is_taken_back() {
        arrow(Activating, Event::NotKept(why()), Created, &[Disassociate, Stop, Fail]);
    }

    #[test]
    fn a_restored_instance_is_associated_when_its_plugin_is_ready() {
        arrow(Waking, Event::Attached, Waking, &[Degrade]);
        arrow(Waking, Event::Unavailable(why()), Waking, &[]);
        arrow(Waking, Event::Ready, Active, &[Restore, Associate]);
    }

    #[test]
    fn a_restored_instance_whose_plugin_does_not_work_waits_and_says_why() {
        arrow(Waking, degraded(), Waking, &[Degrade]);
        arrow(Waking, Event::Restored, Waking, &[Restore]);
    }

    #[test]
    fn a_restored_instance_that_other_properties_made_ready_is_associated_with_them() {
        arrow(Waking, Event::Accepted, Associated, &[]);
    }

    #[test]
    fn a_plugin_that_is_ready_anew_is_associated_anew() {
        arrow(Activating, Event::Ready, Activating, &[Associate]);
        arrow(Active, Event::Ready, Active, &[Associate]);
        arrow(Associated, Event::Ready, Active, &[Associate]);
    }

    #[test]
    fn trouble_of_the_plugin_and_its_end_are_told() {
        for state in [Activating, Active, Associated] {
            arrow(state, degraded(), state, &[Degrade]);
            arrow(state, Event::Restored, state, &[Restore]);
        }
    }

    #[test]
    fn a_lost_driver_leaves_the_instance_active() {
        arrow(Associated, Event::Unavailable(why()), Active, &[]);
        arrow(Active, Event::Unavailable(why()), Active, &[]);
    }

    #[test]
    fn a_driver_that_is_back_is_told_again() {
        arrow(Active, Event::Attached, Active, &[Associate]);
        arrow(Associated, Event::Attached, Active, &[Associate]);
        arrow(Active, Event::Accepted, Associated, &[]);
    }

    #[test]
    fn a_refusal_does_not_end_an_activated_instance() {
        arrow(Active, Event::Refused(why()), Active, &[]);
    }

    #[test]
    fn destroying_tells_the_driver_what_it_may_know() {
        arrow(Created, Event::Destroy, None, &[]);
        arrow(Starting, Event::Destroy, None, &[Stop, Fail]);
        arrow(Activating, Event::Destroy, None, &[Disassociate, Stop, Fail]);
        for state in [Waking, Active, Associated] {
            arrow(state, Event::Destroy, None, &[Disassociate, Stop]);
        }
    }

    #[test]
    fn the_end_of_the_overlay_ends_the_instance_in_every_state() {
        arrow(Created, Event::OverlayDeleted, None, &[]);
        for state in [Starting, Activating] {
            arrow(state, Event::OverlayDeleted, None, &[Stop, Fail]);
        }
        for state in [Waking, Active, Associated] {
            arrow(state, Event::OverlayDeleted, None, &[Stop]);
        }
    }

    #[test]
    fn an_instance_that_is_not_activated_does_not_care_for_driver_and_plugin() {
        for event in [
            Event::Attached,
            Event::Accepted,
            Event::Refused(why()),
            Event::Unavailable(why()),
            Event::Ready,
            degraded(),
            Event::Restored,
        ] {
            arrow(Created, event, Created, &[]);
        }
    }

    #[test]
    fn activating_twice_changes_nothing() {
        for state in [Starting, Activating, Waking, Active, Associated] {
            arrow(state, Event::Activate, state, &[]);
        }
    }
}
