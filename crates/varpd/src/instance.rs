//! An instance of a search plugin, and its life as a pure state machine.
//!
//! ```text
//!              Activate                     Accepted
//!   Created ---------------> Activating ----------------> Associated <---+
//!      ^                      |  ^   |                        |          |
//!      |  Refused, NotKept,   |  +---+ Attached               | Lost     | Accepted
//!      +---- Unavailable -----+        (asked again)          v          |
//!                                                          Active -------+
//!   any state -- Destroy, OverlayDeleted --> (ended)        |  ^
//!                                                           +--+ Attached (asked), Refused
//! ```
//!
//! What the driver refuses of an activated instance leaves it as it is: nothing that a user entered is
//! deleted by a failure.

use overlay_core::property::{Assignment, Properties};
use overlay_core::protocol::{
    Association, ControlError, ErrorCode, InstanceInfo, InstanceState, PropertyValue, Response,
};
use overlay_core::types::{LinkId, VnetId};

use crate::message::Answer;
use crate::plugins::{self, Lookup, Plugin};
use crate::store::Record;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made, not yet activated.
    Created,
    /// A client waits for the driver to accept it for the first time.
    Activating,
    /// Activated; the driver does not know of it now.
    Active,
    /// Activated, and the driver knows of it.
    Associated,
}

impl State {
    /// As clients see it.
    pub const fn shown(self) -> InstanceState {
        match self {
            Self::Created | Self::Activating => InstanceState::Created,
            Self::Active => InstanceState::Active,
            Self::Associated => InstanceState::Associated,
        }
    }
}

/// What happens to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client activates it.
    Activate,
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
            _ => ControlError::not_found("the instance was destroyed before it was active"),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Tell the driver how the overlay's destinations are found.
    Associate,
    /// Tell the driver that the instance has gone.
    Disassociate,
    /// Tell the waiting client that the instance is active.
    Confirm,
    /// Tell the waiting client why it is not.
    Fail,
}

/// The next state, none at the end of the life, and what is to be done in this order.
pub const fn on_event(state: State, event: &Event) -> (Option<State>, &'static [Action]) {
    use Action::{Associate, Confirm, Disassociate, Fail};
    use State::{Activating, Active, Associated, Created};
    let (next, actions): (State, &[Action]) = match (state, event) {
        (Created, Event::Destroy | Event::OverlayDeleted) => return (None, &[]),
        (Activating, Event::Destroy) => return (None, &[Disassociate, Fail]),
        (Activating, Event::OverlayDeleted) => return (None, &[Fail]),
        (Active | Associated, Event::Destroy) => return (None, &[Disassociate]),
        (Active | Associated, Event::OverlayDeleted) => return (None, &[]),
        (Created, Event::Activate) => (Activating, &[Associate]),
        (Activating, Event::Attached) => (Activating, &[Associate]),
        (Activating, Event::Accepted) => (Associated, &[Confirm]),
        (Activating, Event::Refused(_) | Event::Unavailable(_)) => (Created, &[Fail]),
        (Activating, Event::NotKept(_)) => (Created, &[Disassociate, Fail]),
        (Active | Associated, Event::Attached) => (Active, &[Associate]),
        (Active, Event::Accepted) => (Associated, &[]),
        (Associated, Event::Unavailable(_)) => (Active, &[]),
        (state, _) => (state, &[]),
    };
    (Some(next), actions)
}

/// What an instance is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// The overlay it is for.
    pub link: LinkId,
    /// The overlay's virtual network; old records do not have it.
    pub vnetid: Option<VnetId>,
    /// The plugin.
    pub plugin: String,
    /// Its properties as they were given.
    pub properties: Vec<Assignment>,
    /// Whether it ends with the next boot.
    pub temporary: bool,
}

/// An instance of a search plugin.
pub struct Instance {
    /// Its number: 1 to 2^31 - 1 (illumos's id space), the same over restarts.
    pub id: u32,
    /// The overlay it is for.
    pub link: LinkId,
    /// The overlay's virtual network; old records do not have it.
    pub vnetid: Option<VnetId>,
    /// Whether it ends with the next boot.
    pub temporary: bool,
    /// Where it is in its life.
    pub state: State,
    /// The client that waits for its activation.
    pub waiting: Option<Answer>,
    /// Whether it has been said that the driver does not have its overlay.
    pub orphan: bool,
    plugin: &'static dyn Plugin,
    given: Vec<Assignment>,
    properties: Properties,
    lookup: Box<dyn Lookup>,
}

impl Instance {
    /// A fresh one; nothing knows of it yet.
    ///
    /// # Errors
    /// There is no such plugin, or it does not take the properties.
    pub fn new(id: u32, wanted: NewInstance) -> Result<Self, ControlError> {
        let NewInstance { link, vnetid, plugin, properties: given, temporary } = wanted;
        let plugin = plugins::find(&plugin)?;
        let properties = Properties::check(plugin.properties(), &given)?;
        let lookup = plugin.instantiate(&properties, vnetid)?;
        let (state, waiting, orphan) = (State::Created, None, false);
        Ok(Self { id, link, vnetid, temporary, state, waiting, orphan, plugin, given, properties, lookup })
    }

    /// The one of a record.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_record(record: Record, temporary: bool) -> Result<Self, ControlError> {
        let Record { instance, link, vnetid, plugin, properties, activated } = record;
        let state = if activated { State::Active } else { State::Created };
        let wanted = NewInstance { link, vnetid, plugin, properties, temporary };
        Ok(Self { state, ..Self::new(instance, wanted)? })
    }

    /// What is written down of it.
    pub fn record(&self, activated: bool) -> Record {
        Record {
            instance: self.id,
            link: self.link,
            vnetid: self.vnetid,
            plugin: self.plugin.name().to_owned(),
            properties: self.given.clone(),
            activated,
        }
    }

    /// What the driver is told.
    pub fn association(&self) -> Association {
        let (mode, sources) = (self.lookup.target(), self.lookup.sources());
        Association { link: self.link, instance: self.id, mode, sources }
    }

    /// As clients see it.
    pub fn info(&self) -> InstanceInfo {
        let value = |name: &str| self.properties.value(name).map(ToString::to_string);
        let table = self.plugin.properties().iter();
        InstanceInfo {
            instance: self.id,
            link: self.link,
            plugin: self.plugin.name().to_owned(),
            state: self.state.shown(),
            properties: table
                .map(|spec| PropertyValue { spec: spec.clone(), value: value(&spec.name) })
                .collect(),
        }
    }

    /// Answers the client that waits for its activation.
    pub fn answer(&mut self, result: Result<(), ControlError>) {
        if let Some(answer) = self.waiting.take() {
            answer.give(result.map(|()| Response::Done));
        }
    }

    /// Why it cannot be activated, where it cannot.
    pub fn activation_refusal(&self) -> Option<ControlError> {
        let what = match self.state {
            State::Created => return None,
            State::Activating => "being activated",
            State::Active | State::Associated => "active",
        };
        Some(ControlError::new(ErrorCode::Exists, format!("instance {} is already {what}", self.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Associate, Confirm, Disassociate, Fail};
    use State::{Activating, Active, Associated, Created};

    fn why() -> ControlError {
        ControlError::new(ErrorCode::Failed, "why")
    }

    fn arrow(from: State, event: Event, to: impl Into<Option<State>>, actions: &[Action]) {
        assert_eq!(on_event(from, &event), (to.into(), actions), "{from:?} {event:?}");
    }

    #[test]
    fn activation_asks_the_driver() {
        arrow(Created, Event::Activate, Activating, &[Associate]);
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
        arrow(Activating, Event::Refused(why()), Created, &[Fail]);
    }

    #[test]
    fn an_activation_without_a_driver_leaves_the_instance_created() {
        arrow(Activating, Event::Unavailable(why()), Created, &[Fail]);
    }

    #[test]
    fn an_activation_that_cannot_be_written_down_is_taken_back() {
        arrow(Activating, Event::NotKept(why()), Created, &[Disassociate, Fail]);
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
        arrow(Activating, Event::Destroy, None, &[Disassociate, Fail]);
        arrow(Active, Event::Destroy, None, &[Disassociate]);
        arrow(Associated, Event::Destroy, None, &[Disassociate]);
    }

    #[test]
    fn the_end_of_the_overlay_ends_the_instance_in_every_state() {
        arrow(Created, Event::OverlayDeleted, None, &[]);
        arrow(Activating, Event::OverlayDeleted, None, &[Fail]);
        arrow(Active, Event::OverlayDeleted, None, &[]);
        arrow(Associated, Event::OverlayDeleted, None, &[]);
    }

    #[test]
    fn an_instance_that_is_not_activated_does_not_care_for_the_driver() {
        for event in [Event::Attached, Event::Accepted, Event::Refused(why()), Event::Unavailable(why())] {
            arrow(Created, event, Created, &[]);
        }
    }

    #[test]
    fn activating_twice_changes_nothing() {
        for state in [Activating, Active, Associated] {
            arrow(state, Event::Activate, state, &[]);
        }
    }
}
