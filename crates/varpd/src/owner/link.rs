//! The owner's side of the link to the driver: what it is told, and what comes back.

use std::collections::{BTreeSet, HashMap, HashSet};

use overlay_core::lookup::{About, Answer, Question, TargetMode, Verdict};
use overlay_core::protocol::{Association, Call, ControlError, Reply, Request};
use overlay_core::types::LinkId;
use tokio::sync::mpsc;

use super::Owner;
use super::outbox::Outbox;
use crate::instance::{Event, Instance, State};
use crate::message::Notice;
use crate::plugins::interface::Event as PluginEvent;
use crate::search::{Outcome, unanswered};
use crate::weight;

/// Octets of calls that the driver has not answered, beyond which plugins' news are no longer passed on one by one; room
/// for some warm starts of the largest kind at a time.
pub(super) const CROWD: usize = 64 * 1024 * 1024;

/// One attached connection.
pub(super) struct Link {
    calls: mpsc::UnboundedSender<Call>,
    last_id: u64,
    /// Calls that the driver has not answered, by their numbers.
    open: HashMap<u64, Open>,
    /// The sum of those in octets.
    octets: usize,
    /// Instances of which the driver has not been told all.
    behind: BTreeSet<u32>,
    outbox: Outbox,
}

/// A call that the driver has not answered.
struct Open {
    octets: usize,
    asked: Option<Asked>,
}

/// What the driver is asked to associate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// An instance as it is.
    Instance(u32),
    /// An instance with the candidate of a change, by its generation.
    Candidate(u32, u64),
}

impl Link {
    fn new(calls: mpsc::UnboundedSender<Call>) -> Self {
        let (open, behind, outbox) = (HashMap::new(), BTreeSet::new(), Outbox::default());
        Self { calls, last_id: 0, open, octets: 0, behind, outbox }
    }

    /// Sends a call, and the answers before it; on a connection that has just broken they vanish, and the news of
    /// that is on its way.
    pub(super) fn call(&mut self, request: Request) {
        self.flush();
        self.send(request, None);
    }

    pub(super) fn associate(&mut self, association: Association, asked: Asked) {
        self.flush();
        self.send(Request::Associate(association), Some(asked));
    }

    /// Whether so much is on its way to the driver that nothing is to be added that can be told later in one word.
    pub(super) const fn is_crowded(&self) -> bool {
        self.octets > CROWD
    }

    /// The driver is to be told later how an instance does.
    pub(super) fn leave_behind(&mut self, id: u32) {
        self.behind.insert(id);
    }

    /// The driver has answered a call; what it was asked to associate, where it was.
    fn answered(&mut self, call: u64) -> Option<Asked> {
        let open = self.open.remove(&call)?;
        self.octets -= open.octets;
        open.asked
    }

    /// The instances of which the driver can be told now.
    fn caught_up(&mut self) -> BTreeSet<u32> {
        if self.is_crowded() { BTreeSet::new() } else { std::mem::take(&mut self.behind) }
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(answers) = self.outbox.push(answer) {
            self.send(Request::Answers { answers }, None);
        }
    }

    fn flush(&mut self) {
        if let Some(answers) = self.outbox.take() {
            self.send(Request::Answers { answers }, None);
        }
    }

    fn send(&mut self, request: Request, asked: Option<Asked>) {
        self.last_id += 1;
        let octets = weight::call(&request);
        self.octets += octets;
        self.open.insert(self.last_id, Open { octets, asked });
        drop(self.calls.send(Call { id: self.last_id, request }));
    }
}

impl Owner {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Attached { overlays, deleted, calls } => {
                self.forget_driver();
                self.link = Some(Link::new(calls));
                self.forget(&deleted);
                self.associate_all(&overlays.iter().copied().collect());
                self.degrade_all(&overlays);
            }
            Notice::Reply(reply) => self.reply(reply),
            Notice::OverlayDeleted(link) => self.forget(&[link]),
            Notice::Lookups(questions) => questions.into_iter().for_each(|question| self.look_up(question)),
            Notice::Unavailable(error) => {
                self.forget_driver();
                self.apply_to_all(&Event::Unavailable(error));
            }
        }
    }

    /// Sends what is known by now to the driver.
    pub(super) fn flush(&mut self) {
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    /// Makes a call to the driver where there is one.
    pub(super) fn call(&mut self, request: Request) {
        if let Some(link) = &mut self.link {
            link.call(request);
        }
    }

    /// Tells the driver what is known of a destination or frame.
    pub(super) fn answer(&mut self, overlay: LinkId, about: About, verdict: Verdict) {
        if let Some(link) = &mut self.link {
            link.answer(Answer { link: overlay, about, verdict });
        }
    }

    /// What was said to the driver, or asked by it, was said on a connection that is gone.
    fn forget_driver(&mut self) {
        self.link = None;
        for id in self.table.ids() {
            if let Some(instance) = self.table.instance_mut(id) {
                (instance.told, instance.asking, instance.overtaken) = (None, false, false);
                instance.search.iter_mut().for_each(|search| search.forget_frames());
            }
            self.driver_lost_change(id);
        }
    }

    fn look_up(&mut self, question: Question) {
        let (Question::Target { link, .. } | Question::Frame { link, .. }) = question;
        let search = |id: u32| Some((id, self.table.instance(id)?.search.as_ref()?.generation));
        match self.table.id_of_link(link).and_then(search) {
            Some((id, generation)) => {
                self.drive(id, generation, |search, now, outcomes| search.ask(question, now, outcomes));
            }
            None => {
                if let Outcome::Answer(about, verdict) = unanswered(&question) {
                    self.answer(link, about, verdict);
                }
            }
        }
    }

    /// Ends the instances of deleted overlays. The driver is asked to forget those whose record is gone; it
    /// names the others again when this varpd, or the next one, attaches.
    fn forget(&mut self, deleted: &[LinkId]) {
        for link in deleted {
            self.set_aside.remove(link);
        }
        let links: Vec<_> = deleted.iter().copied().filter(|link| self.end_of_overlay(*link)).collect();
        if !links.is_empty() {
            self.call(Request::ForgetDeleted { links });
        }
    }

    fn end_of_overlay(&mut self, link: LinkId) -> bool {
        let Some(instance) = self.table.of_link(link) else {
            return true;
        };
        let id = instance.id;
        if let Err(error) = self.store.remove(id, link, instance.temporary) {
            tracing::error!("instance {id} stays though link {link} was deleted: {error}");
            return false;
        }
        self.apply(id, &Event::OverlayDeleted);
        tracing::info!("instance {id} ended with link {link}");
        true
    }

    fn associate_all(&mut self, overlays: &HashSet<LinkId>) {
        for id in self.table.ids() {
            if let Some(instance) = self.table.instance_mut(id) {
                instance.greeted = false;
            }
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
        let lacks = matches!(instance.state, State::Waking | State::Active | State::Associated)
            && !overlays.contains(&instance.link);
        if lacks && !instance.orphan {
            tracing::warn!("instance {id} waits: overlayd has no overlay with link {}", instance.link);
        }
        instance.orphan = lacks;
        !lacks
    }

    /// Says of the overlays whose records were set aside where those are.
    fn degrade_all(&mut self, overlays: &[LinkId]) {
        for link in
            overlays.iter().copied().filter(|link| self.table.of_link(*link).is_none()).collect::<Vec<_>>()
        {
            if let Some(message) = self.set_aside.get(&link).cloned() {
                self.call(Request::Degrade { link, message });
            }
        }
    }

    fn reply(&mut self, reply: Reply) {
        let asked = self.link.as_mut().and_then(|link| link.answered(reply.id));
        match (asked, reply.result) {
            (Some(Asked::Instance(id)), result) => self.associated(id, result.map(drop)),
            (Some(Asked::Candidate(id, generation)), result) => {
                self.proposed(id, generation, result.map(drop));
            }
            (None, Err(error)) => tracing::debug!("overlayd refused call {}: {error}", reply.id),
            (None, Ok(_)) => {}
        }
        let behind = self.link.as_mut().map(Link::caught_up).unwrap_or_default();
        behind.into_iter().for_each(|id| self.catch_up(id));
    }

    /// Tells the driver in a few words what it has not been told one by one.
    fn catch_up(&mut self, id: u32) {
        self.tell_health(id);
        let Some(instance) = self.table.instance(id).filter(|instance| instance.greeted) else {
            return;
        };
        if instance.search.as_ref().is_some_and(|search| search.target() == TargetMode::Dynamic) {
            self.answer(instance.link, About::All, Verdict::Doubtful);
        }
    }

    /// The driver has said whether it takes an instance. It is asked one thing at a time, so that its answer is always about
    /// what it was told last.
    fn associated(&mut self, id: u32, result: Result<(), ControlError>) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        instance.asking = false;
        let overtaken = std::mem::take(&mut instance.overtaken);
        match result {
            Ok(()) => self.accepted(id),
            Err(error) => self.refused(id, error),
        }
        if overtaken {
            self.ready(id);
        }
    }

    fn accepted(&mut self, id: u32) {
        let event = match self.keep_activation(id) {
            Ok(()) => Event::Accepted,
            Err(error) => Event::NotKept(error),
        };
        self.apply(id, &event);
        let associated = |instance: &Instance| instance.state == State::Associated && !instance.greeted;
        if self.table.instance(id).is_some_and(associated) {
            self.greet(id);
        }
    }

    /// The driver has an instance anew. What it knows of an earlier time may be wrong, and the plugin may give it a warm
    /// start.
    pub(super) fn greet(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        instance.greeted = true;
        let held = std::mem::take(&mut instance.held);
        let Some(search) = &instance.search else {
            return;
        };
        let (link, generation) = (instance.link, search.generation);
        let is_dynamic = search.target() == TargetMode::Dynamic;
        if is_dynamic {
            self.answer(link, About::All, Verdict::Doubtful);
        }
        self.settle(id, generation, held.release());
        if is_dynamic {
            self.drive(id, generation, |search, now, outcomes| {
                search.on_event(PluginEvent::Associated, now, outcomes);
            });
        }
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
}
