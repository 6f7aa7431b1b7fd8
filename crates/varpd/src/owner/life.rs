//! What happens to instances, carried out.

use overlay_core::protocol::{ControlError, Request};

use super::Owner;
use super::link::Asked;
use crate::instance::{Action, Event, State, on_event};
use crate::search::{Held, Outcome};

impl Owner {
    /// Takes an instance to its next state and does what that asks for.
    pub(super) fn apply(&mut self, id: u32, event: &Event) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        let (next, actions) = on_event(instance.state, event);
        instance.state = next.unwrap_or(instance.state);
        for action in actions {
            self.act(id, *action, event);
        }
        if next.is_none() {
            self.table.remove(id);
        }
    }

    pub(super) fn act(&mut self, id: u32, action: Action, event: &Event) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        let link = instance.link;
        match action {
            Action::Start => self.start(id),
            Action::Stop => self.stop(id),
            Action::Associate => self.associate(id),
            Action::Disassociate => self.call(Request::Disassociate { link }),
            Action::Degrade | Action::Restore => self.tell_health(id),
            Action::Confirm => instance.answer(Ok(())),
            Action::Fail => instance.answer(Err(event.failure())),
        }
    }

    /// The driver clears an overlay's trouble when it is associated; what is still true is said again.
    fn associate(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id).filter(|instance| !instance.orphan) else {
            return;
        };
        let (Some(link), Some(search)) = (&mut self.link, &instance.search) else {
            if instance.waiting.is_some() {
                self.hurry.notify_one();
            }
            return;
        };
        if std::mem::replace(&mut instance.asking, true) {
            instance.overtaken = true;
            return;
        }
        link.associate(instance.association(search), Asked::Instance(id));
        instance.told = None;
        self.tell_health(id);
    }

    /// Tells the driver of an instance's trouble, or that there is none any more, where that is new to it.
    pub(super) fn tell_health(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id).filter(|instance| !instance.orphan) else {
            return;
        };
        let Some(link) = self.link.as_mut().filter(|_| instance.told != instance.trouble) else {
            return;
        };
        if link.is_crowded() {
            return link.leave_behind(id);
        }
        instance.told.clone_from(&instance.trouble);
        let overlay = instance.link;
        link.call(match instance.told.clone() {
            Some(message) => Request::Degrade { link: overlay, message },
            None => Request::Restore { link: overlay },
        });
    }

    /// The plugin of an instance is ready, for the first time or anew.
    pub(super) fn ready(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        if let Some(change) = instance.change.as_mut().filter(|change| change.is_proposed()) {
            // The driver would take it for newer than what it has just been asked to take.
            change.overtaken = true;
            return;
        }
        if instance.state == State::Waking && instance.trouble.take().is_some() {
            tracing::info!("{} works", instance.label());
        }
        self.apply(id, &Event::Ready);
    }

    /// Lookups of an instance do not work, or not wholly.
    pub(super) fn degraded(&mut self, id: u32, reason: String) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        if instance.state != State::Starting {
            if instance.trouble.as_ref() == Some(&reason) {
                return;
            }
            tracing::warn!("{} is degraded: {reason}", instance.label());
            instance.trouble = Some(reason.clone());
        }
        self.apply(id, &Event::Degraded(reason));
    }

    /// They work again.
    pub(super) fn restored(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        if instance.trouble.take().is_some() {
            tracing::info!("{} works again", instance.label());
        }
        self.apply(id, &Event::Restored);
    }

    /// Ends the plugin of an instance, and the change that is under way.
    fn stop(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        (instance.trouble, instance.told, instance.greeted) = (None, None, false);
        (instance.asking, instance.overtaken) = (false, false);
        instance.held = Held::default();
        let (link, search, change) = (instance.link, instance.search.take(), instance.change.take());
        if let Some(change) = change {
            let problem = "the instance was destroyed before its properties were changed";
            change.fail(ControlError::not_found(problem));
        }
        let mut outcomes = Vec::new();
        search.into_iter().for_each(|search| search.end(&mut outcomes));
        for outcome in outcomes {
            if let Outcome::Answer(about, verdict) = outcome {
                self.answer(link, about, verdict);
            }
        }
    }
}
