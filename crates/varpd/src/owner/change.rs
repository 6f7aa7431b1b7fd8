//! Properties of instances that change while they run.

use overlay_core::property::Assignment;
use overlay_core::protocol::{ControlError, Response};
use overlay_core::types::LinkId;

use super::Owner;
use super::link::Asked;
use crate::instance::{Action, Change, ChangeEvent, Changed, Event, Instance, Phase, State, Step, on_change};
use crate::message::Answer;
use crate::search::{Held, Outcome, Search};

impl Owner {
    /// Begins to change properties of a link's instance; `answer` says what came of it.
    pub(super) fn change(&mut self, link: LinkId, new: &[Assignment], answer: Answer) {
        match self.begin_change(link, new) {
            Ok((id, changed)) if self.is_created(id) => answer.give(self.change_at_rest(id, changed)),
            Ok((id, changed)) => self.prepare(id, changed, answer),
            Err(error) => answer.give(Err(error)),
        }
    }

    fn begin_change(&mut self, link: LinkId, new: &[Assignment]) -> Result<(u32, Changed), ControlError> {
        let missing = || ControlError::not_found(format!("link {link} has no instance"));
        let instance = self.table.of_link(link).ok_or_else(missing)?;
        instance.change_refusal().map_or(Ok(()), Err)?;
        Ok((instance.id, instance.changed(new, &self.registry)?))
    }

    fn is_created(&self, id: u32) -> bool {
        self.table.instance(id).is_some_and(|instance| instance.state == State::Created)
    }

    /// Of an instance that is not active, the properties are all there is to change.
    fn change_at_rest(&mut self, id: u32, changed: Changed) -> Result<Response, ControlError> {
        let Some(instance) = self.table.instance_mut(id) else {
            return Err(ControlError::not_found(format!("there is no instance {id}")));
        };
        let record = instance.record_with(changed.settings.given.clone(), false);
        if let Err(error) = self.store.save(&record, instance.temporary) {
            // The file may have got its name before the failure.
            let _ = self.store.save(&instance.record(false), instance.temporary);
            return Err(error);
        }
        instance.assign(changed.settings);
        tracing::info!("instance {id} has other properties");
        Ok(Response::Done)
    }

    /// Starts a candidate beside what works.
    fn prepare(&mut self, id: u32, changed: Changed, waiting: Answer) {
        let Changed { settings, lookup } = changed;
        let candidate = self.search(id, lookup);
        let generation = candidate.generation;
        let (phase, held, overtaken) = (Phase::Preparing, Held::default(), false);
        if let Some(instance) = self.table.instance_mut(id) {
            instance.change = Some(Change { phase, candidate, settings, held, overtaken, waiting });
        }
        self.drive(id, generation, Search::start);
    }

    /// Takes what came of a candidate's work.
    pub(super) fn candidate(&mut self, id: u32, outcome: Outcome) {
        let asks = self.link.is_some();
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        let asks = asks && !instance.orphan;
        let Some(change) = &mut instance.change else {
            return;
        };
        match (change.phase, outcome) {
            (Phase::Preparing, Outcome::Ready) => self.step(id, ChangeEvent::Ready(asks)),
            (Phase::Preparing, Outcome::Degrade(reason)) => self.step(id, ChangeEvent::Degraded(reason)),
            (_, outcome) => change.held.push(outcome),
        }
    }

    /// The driver has answered whether it takes a candidate.
    pub(super) fn proposed(&mut self, id: u32, generation: u64, result: Result<(), ControlError>) {
        let change = self.table.instance(id).and_then(|instance| instance.change.as_ref());
        if change.is_some_and(|change| change.candidate.generation == generation) {
            self.step(id, result.map_or_else(ChangeEvent::Refused, |()| ChangeEvent::Accepted));
        }
    }

    /// The driver has gone; what it was asked is asked again when it is back, of what is there then.
    pub(super) fn driver_lost_change(&mut self, id: u32) {
        self.step(id, ChangeEvent::Unavailable);
    }

    fn step(&mut self, id: u32, event: ChangeEvent) {
        let change = self.table.instance_mut(id).and_then(|instance| instance.change.as_mut());
        let Some(change) = change else {
            return;
        };
        let accepted = event == ChangeEvent::Accepted;
        let (phase, step) = on_change(change.phase, event);
        change.phase = phase;
        match step {
            Step::Wait => {}
            Step::Propose => self.propose(id),
            Step::Keep => self.keep(id, accepted),
            Step::Drop(error) => self.drop_change(id, error),
        }
    }

    fn propose(&mut self, id: u32) {
        let instance = self.table.instance(id);
        let change = instance.and_then(|instance| Some((instance, instance.change.as_ref()?)));
        if let (Some((instance, change)), Some(link)) = (change, &mut self.link) {
            let asked = Asked::Candidate(id, change.candidate.generation);
            link.associate(instance.association(&change.candidate), asked);
        }
    }

    /// Writes the new properties down, and lets the candidate take its place; `accepted` by the driver already or not.
    fn keep(&mut self, id: u32, accepted: bool) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        let Some(change) = instance.change.take() else {
            return;
        };
        let record = instance.record_with(change.settings.given.clone(), true);
        if let Err(error) = self.store.save(&record, instance.temporary) {
            // The file may have got its name before the failure.
            let _ = self.store.save(&instance.record(true), instance.temporary);
            change.fail(error);
            return self.take_back(id, accepted);
        }
        let (generation, old) = replace(instance, change);
        let event = if accepted { Event::Accepted } else { Event::Ready };
        self.act(id, Action::Restore, &event);
        self.apply(id, &event);
        tracing::info!("instance {id} has other properties");
        self.greet(id);
        if let Some(old) = old {
            self.drive(id, generation, |search, now, outcomes| search.inherit(old, now, outcomes));
        }
    }

    /// All stays as it was.
    fn drop_change(&mut self, id: u32, error: ControlError) {
        let change = self.table.instance_mut(id).and_then(|instance| instance.change.take());
        let Some(change) = change else {
            return;
        };
        let overtaken = change.overtaken;
        change.fail(error);
        if overtaken {
            self.ready(id);
        }
    }

    /// Tells a driver that has taken a candidate what is to be in force after all.
    fn take_back(&mut self, id: u32, accepted: bool) {
        let waking = self.table.instance(id).is_some_and(|instance| instance.state == State::Waking);
        match (accepted, waking) {
            (false, _) => {}
            (true, true) => {
                self.act(id, Action::Disassociate, &Event::Restored);
                // The driver took the candidate for a fresh start.
                self.table.instance_mut(id).into_iter().for_each(|instance| instance.told = None);
                self.tell_health(id);
            }
            (true, false) => self.apply(id, &Event::Ready),
        }
    }
}

/// Puts a candidate in its place: its generation, and the search that was there.
fn replace(instance: &mut Instance, change: Change) -> (u64, Option<Search>) {
    let (candidate, settings, held) = change.succeed();
    let generation = candidate.generation;
    instance.assign(settings);
    (instance.trouble, instance.held) = (None, held);
    (generation, instance.search.replace(candidate))
}
