//! The owner's side of the link to the driver: what it is told, and what comes back.

use std::collections::{HashMap, HashSet};

use overlay_core::protocol::{Call, ControlError, Reply, Request};
use overlay_core::types::LinkId;
use tokio::sync::mpsc;

use super::Owner;
use crate::instance::{Action, Event, State, on_event};
use crate::message::Notice;

/// One attached connection.
pub(super) struct Link {
    calls: mpsc::UnboundedSender<Call>,
    last_id: u64,
    /// Which instance an `Associate` was for, by the call's number.
    asked: HashMap<u64, u32>,
}

impl Link {
    fn new(calls: mpsc::UnboundedSender<Call>) -> Self {
        Self { calls, last_id: 0, asked: HashMap::new() }
    }

    /// Sends a call; on a connection that has just broken it vanishes, and the news of that is on its way.
    fn call(&mut self, request: Request) -> u64 {
        self.last_id += 1;
        drop(self.calls.send(Call { id: self.last_id, request }));
        self.last_id
    }
}

impl Owner {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Attached { overlays, deleted, calls } => {
                self.link = Some(Link::new(calls));
                self.forget(&deleted);
                self.associate_all(&overlays.into_iter().collect());
            }
            Notice::Reply(reply) => self.reply(reply),
            Notice::OverlayDeleted(link) => self.forget(&[link]),
            Notice::Lookups(_) => {}
            Notice::Unavailable(error) => {
                self.link = None;
                self.apply_to_all(&Event::Unavailable(error));
            }
        }
    }

    /// Ends the instances of deleted overlays. The driver is asked to forget those whose record is gone; it
    /// names the others again when this varpd, or the next one, attaches.
    fn forget(&mut self, deleted: &[LinkId]) {
        let links: Vec<_> = deleted.iter().copied().filter(|link| self.end_of_overlay(*link)).collect();
        if let (Some(link), false) = (&mut self.link, links.is_empty()) {
            link.call(Request::ForgetDeleted { links });
        }
    }

    fn end_of_overlay(&mut self, link: LinkId) -> bool {
        let Some(instance) = self.table.of_link(link) else {
            return true;
        };
        let id = instance.id;
        if let Err(error) = self.store.remove(id, instance.temporary) {
            tracing::error!("instance {id} stays though link {link} was deleted: {error}");
            return false;
        }
        self.apply(id, &Event::OverlayDeleted);
        tracing::info!("instance {id} ended with link {link}");
        true
    }

    fn associate_all(&mut self, overlays: &HashSet<LinkId>) {
        for id in self.table.ids() {
            if self.has_overlay(id, overlays) {
                self.apply(id, &Event::Attached);
            }
        }
    }

    /// Whether the driver has the overlay of an instance. An activation that waits is the driver's to judge.
    fn has_overlay(&mut self, id: u32, overlays: &HashSet<LinkId>) -> bool {
        let Some(instance) = self.table.instance_mut(id) else {
            return false;
        };
        let there = overlays.contains(&instance.link);
        if there || instance.state == State::Activating {
            instance.orphan = false;
            return true;
        }
        if instance.state == State::Active && !instance.orphan {
            tracing::warn!("instance {id} waits: overlayd has no overlay with link {}", instance.link);
            instance.orphan = true;
        }
        false
    }

    fn reply(&mut self, reply: Reply) {
        let asked = self.link.as_mut().and_then(|link| link.asked.remove(&reply.id));
        match (asked, reply.result) {
            (Some(id), Ok(_)) => self.accepted(id),
            (Some(id), Err(error)) => self.refused(id, error),
            (None, Err(error)) => tracing::debug!("overlayd refused call {}: {error}", reply.id),
            (None, Ok(_)) => {}
        }
    }

    fn accepted(&mut self, id: u32) {
        let event = match self.keep_activation(id) {
            Ok(()) => Event::Accepted,
            Err(error) => Event::NotKept(error),
        };
        self.apply(id, &event);
    }

    /// Writes down that an instance has become active, where that is new.
    fn keep_activation(&self, id: u32) -> Result<(), ControlError> {
        let Some(instance) = self.table.instance(id).filter(|one| one.state == State::Activating) else {
            return Ok(());
        };
        let kept = self.store.save(&instance.record(true), instance.temporary);
        if kept.is_err() {
            // The file may have got its name before the failure.
            let _ = self.store.save(&instance.record(false), instance.temporary);
        }
        kept
    }

    fn refused(&mut self, id: u32, error: ControlError) {
        if self.table.instance(id).is_some_and(|instance| instance.state == State::Active) {
            tracing::warn!("overlayd does not take instance {id}: {error}");
        }
        self.apply(id, &Event::Refused(error));
    }

    fn apply_to_all(&mut self, event: &Event) {
        for id in self.table.ids() {
            self.apply(id, event);
        }
    }

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

    fn act(&mut self, id: u32, action: Action, event: &Event) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        match (action, &mut self.link) {
            (Action::Associate, Some(link)) => {
                let call = link.call(Request::Associate(instance.association()));
                link.asked.insert(call, id);
            }
            (Action::Associate, None) => self.hurry.notify_one(),
            (Action::Disassociate, Some(link)) => {
                link.call(Request::Disassociate { link: instance.link });
            }
            (Action::Disassociate, None) => {}
            (Action::Confirm, _) => instance.answer(Ok(())),
            (Action::Fail, _) => instance.answer(Err(event.failure())),
        }
    }
}
