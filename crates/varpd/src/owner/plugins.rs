//! Plugins at work: their start, their I/O, their time, and what comes of it.

use std::sync::Arc;

use overlay_core::protocol::Request;
use overlay_core::types::{LinkId, Moment};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Owner;
use super::link::Link;
use crate::instance::{Instance, State};
use crate::message::Message;
use crate::plugins::interface::{Event, Io, IoAction, IoEvent, IoEvents};
use crate::plugins::{Lookup, Plugin, Registry};
use crate::search::{Outcome, Search};

/// Why an overlay is degraded whose plugin has lost what carries out its I/O.
const ENDED: &str = "its search plugin has ended for no known reason; restart varpd";

/// What a search is to its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It does the work.
    Main,
    /// It may take that place.
    Candidate,
}

impl Owner {
    /// Starts the plugins of the instances that are active by their records.
    pub(super) fn wake_all(&mut self) {
        for id in self.table.ids() {
            if self.table.instance(id).is_some_and(|one| one.state == State::Waking && one.search.is_none()) {
                self.start(id);
            }
        }
    }

    /// Starts the plugin of an instance.
    pub(super) fn start(&mut self, id: u32) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        match instance.lookup() {
            Ok(lookup) => {
                let search = self.search(id, lookup);
                let generation = search.generation;
                if let Some(instance) = self.table.instance_mut(id) {
                    instance.search = Some(search);
                }
                self.drive(id, generation, Search::start);
            }
            Err(error) => self.degraded(id, error.message),
        }
    }

    /// A lookup with its I/O, not yet started.
    pub(super) fn search(&mut self, id: u32, lookup: Box<dyn Lookup>) -> Search {
        self.last_generation += 1;
        let generation = self.last_generation;
        let io = lookup.io().map(|io| spawn(io, Reporter { id, generation, owner: self.io.0.clone() }));
        Search::new(generation, lookup, io)
    }

    /// Everything is to be read again; what was missing may be there.
    pub(super) fn reload(&mut self, outside: Vec<Arc<dyn Plugin>>) {
        for id in self.table.ids() {
            for generation in self.generations(id) {
                self.drive(id, generation, |search, now, outcomes| {
                    search.on_event(Event::Reload, now, outcomes);
                });
            }
        }
        self.registry = Registry::new(outside);
        self.find_plugins(|_| true);
    }

    /// These plugins from outside were found when one was missing. One that is not among them may have been too slow.
    pub(super) fn found(&mut self, outside: Vec<Arc<dyn Plugin>>) {
        self.registry.extend(outside);
        self.find_plugins(Instance::is_missing);
    }

    /// Gives instances the plugins there are now; those whose plugin was missing may begin.
    fn find_plugins(&mut self, wanted: impl Fn(&Instance) -> bool) {
        for id in self.table.ids() {
            if let Some(instance) = self.table.instance_mut(id).filter(|instance| wanted(instance)) {
                instance.find_plugin(&self.registry);
            }
        }
        self.say_what_is_missing();
        self.wake_all();
    }

    /// Says whether plugins are to be looked for.
    pub(super) fn say_what_is_missing(&self) {
        self.missing.send_replace(self.table.all().any(Instance::is_missing));
    }

    /// The I/O of a plugin has news; none when it has ended by itself.
    pub(super) fn io_event(&mut self, id: u32, generation: u64, event: Option<IoEvent>) {
        self.drive(id, generation, |search, now, outcomes| match event {
            Some(event) => search.on_event(Event::Io(event), now, outcomes),
            None => outcomes.push(Outcome::Degrade(ENDED.to_owned())),
        });
    }

    /// Does what is due in all instances.
    pub(super) fn on_time(&mut self) {
        self.wake = None;
        for id in self.table.ids() {
            for generation in self.generations(id) {
                self.drive(id, generation, Search::on_time);
            }
        }
    }

    /// Lets a search do something, and carries out what comes of it. One that is gone does nothing.
    pub(super) fn drive(
        &mut self,
        id: u32,
        generation: u64,
        work: impl FnOnce(&mut Search, Moment, &mut Vec<Outcome>),
    ) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let now = self.now;
        if let Some(search) = self.search_of(id, generation) {
            work(search, now, &mut outcomes);
            let deadline = search.deadline();
            self.wake = [self.wake, deadline].into_iter().flatten().min();
        }
        self.settle(id, generation, outcomes.drain(..));
        self.outcomes = outcomes;
    }

    /// Carries out what came of a search's work.
    pub(super) fn settle(&mut self, id: u32, generation: u64, outcomes: impl Iterator<Item = Outcome>) {
        for outcome in outcomes {
            let Some((link, role)) = self.role(id, generation) else {
                return;
            };
            match (role, outcome) {
                (Role::Candidate, outcome) => self.candidate(id, outcome),
                (Role::Main, Outcome::Ready) => self.ready(id),
                (Role::Main, Outcome::Degrade(reason)) => self.degraded(id, reason),
                (Role::Main, Outcome::Restore) => self.restored(id),
                (Role::Main, Outcome::Answer(about, verdict)) => self.answer(link, about, verdict),
                (Role::Main, outcome) => self.news(id, outcome),
            }
        }
    }

    /// Tells the driver what nobody has asked for. Before it has the instance that waits; where too much is on its way it
    /// is told in one word later, and announcements are lost, as any frame may be.
    fn news(&mut self, id: u32, outcome: Outcome) {
        let Some(instance) = self.table.instance_mut(id) else {
            return;
        };
        let link = instance.link;
        let is_crowded = self.link.as_ref().is_some_and(Link::is_crowded);
        match outcome {
            news @ Outcome::News(..) if !instance.greeted => instance.held.push(news),
            Outcome::News(..) if is_crowded => {
                self.link.iter_mut().for_each(|driver| driver.leave_behind(id));
            }
            Outcome::News(about, verdict) => self.answer(link, about, verdict),
            Outcome::Inject(frame) if !is_crowded => self.call(Request::Inject { link, frame }),
            _ => {}
        }
    }

    fn role(&self, id: u32, generation: u64) -> Option<(LinkId, Role)> {
        let instance = self.table.instance(id)?;
        if instance.search.as_ref().is_some_and(|search| search.generation == generation) {
            return Some((instance.link, Role::Main));
        }
        let change = instance.change.as_ref().filter(|change| change.candidate.generation == generation);
        change.map(|_| (instance.link, Role::Candidate))
    }

    fn search_of(&mut self, id: u32, generation: u64) -> Option<&mut Search> {
        let instance = self.table.instance_mut(id)?;
        let candidate = instance.change.as_mut().map(|change| &mut change.candidate);
        instance.search.as_mut().into_iter().chain(candidate).find(|search| search.generation == generation)
    }

    /// The searches of an instance: the one that works, and a candidate.
    fn generations(&self, id: u32) -> Vec<u64> {
        let instance = self.table.instance(id);
        let search = instance.and_then(|instance| instance.search.as_ref());
        let candidate =
            instance.and_then(|instance| instance.change.as_ref()).map(|change| &change.candidate);
        search.into_iter().chain(candidate).map(|search| search.generation).collect()
    }
}

/// Brings the owner what the I/O of one search reports, and its end.
#[derive(Clone)]
struct Reporter {
    id: u32,
    generation: u64,
    owner: UnboundedSender<Message>,
}

impl Reporter {
    fn report(&self, event: Option<IoEvent>) -> bool {
        let (instance, generation) = (self.id, self.generation);
        self.owner.send(Message::Io { instance, generation, event }).is_ok()
    }
}

/// Reports the end of an I/O however it comes, by a panic too.
struct End(Reporter);

impl Drop for End {
    fn drop(&mut self) {
        self.0.report(None);
    }
}

/// Lets an I/O run beside the owner until its actions end.
fn spawn(io: Box<dyn Io>, reporter: Reporter) -> UnboundedSender<IoAction> {
    let (actions, to_do) = unbounded_channel();
    let end = End(reporter.clone());
    let events = IoEvents::new(move |event| reporter.report(Some(event)));
    tokio::spawn(async move {
        let _end = end;
        io.run(to_do, events).await;
    });
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::UnboundedReceiver;

    use crate::plugins::interface::IoEvent;

    /// Reports once for each action, until it is to panic.
    struct Echo {
        actions_left: usize,
    }

    impl Io for Echo {
        fn run(
            mut self: Box<Self>,
            mut actions: UnboundedReceiver<IoAction>,
            events: IoEvents,
        ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                while actions.recv().await.is_some() {
                    self.actions_left = self.actions_left.checked_sub(1).expect("it has had enough");
                    assert!(events.report(IoEvent::Twin));
                }
            })
        }
    }

    /// What the owner hears of two actions, as whether it is an event or the end.
    async fn heard(actions_left: usize) -> Vec<bool> {
        let (owner, mut messages) = unbounded_channel();
        let actions = spawn(Box::new(Echo { actions_left }), Reporter { id: 1, generation: 2, owner });
        for _ in 0..2 {
            actions.send(IoAction::Twin).unwrap();
        }
        drop(actions);
        let mut heard = Vec::new();
        while let Some(message) = messages.recv().await {
            let Message::Io { instance: 1, generation: 2, event } = message else { panic!() };
            heard.push(event.is_some());
        }
        heard
    }

    #[tokio::test]
    async fn an_io_reports_until_its_actions_end() {
        assert_eq!(heard(2).await, [true, true, false]);
    }

    #[tokio::test]
    async fn the_end_of_an_io_is_heard_though_it_panics() {
        assert_eq!(heard(1).await, [true, false]);
    }
}
