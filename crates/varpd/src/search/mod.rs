//! An instance of a search plugin at work: its state machine, what carries out its I/O, and the questions it owes an
//! answer to. Pure, but for the channel that its I/O listens to.

mod held;
mod pending;

use overlay_core::lookup::{About, Octets, Question, Sources, TargetMode, Verdict};
use overlay_core::types::{MacAddr, Moment};
use tokio::sync::mpsc::UnboundedSender;

use crate::plugins::Lookup;
use crate::plugins::interface::{Action, Event, Finding, IoAction, News, Query, Ticket};
use crate::proxy::{self, Conversation, Step};
pub use held::{HELD_MAX, Held};
pub use pending::{PATIENCE, PENDING_MAX};
use pending::{Pending, Purpose};

/// Milliseconds within which an instance is to become ready, or says why not. A client of ours waits 10 s.
pub const START_MAX: u64 = 8_000;

/// Octets of the reason of a degradation; the driver keeps no more (illumos: 256 with the terminator).
const REASON_MAX: usize = 255;

/// What comes of an event for others than the plugin and its I/O.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The driver is to be told how destinations are found.
    Ready,
    /// What is known of a destination or a frame that was asked for.
    Answer(About, Verdict),
    /// What is known now of a destination, asked for or not.
    News(About, Verdict),
    /// A frame for the VNICs here.
    Inject(Octets),
    /// Lookups do not work, or not wholly, and why.
    Degrade(String),
    /// They work again.
    Restore,
}

/// One instance of a plugin from its start on.
pub struct Search {
    /// By which news of its I/O are told from those of another.
    pub generation: u64,
    lookup: Box<dyn Lookup>,
    io: Option<UnboundedSender<IoAction>>,
    pending: Pending,
    alarm: Option<Moment>,
    /// When it is to have become ready, until it is or has said why not.
    ready_by: Option<Moment>,
    ready: bool,
    /// Kept for its memory.
    actions: Vec<Action>,
}

impl Search {
    /// Of `lookup`, which has not been started yet; its I/O takes actions from `io`.
    pub fn new(generation: u64, lookup: Box<dyn Lookup>, io: Option<UnboundedSender<IoAction>>) -> Self {
        let (pending, actions) = (Pending::default(), Vec::new());
        Self { generation, lookup, io, pending, alarm: None, ready_by: None, ready: false, actions }
    }

    /// How the overlay's destinations are found; of meaning once it is ready.
    pub fn target(&self) -> TargetMode {
        self.lookup.target()
    }

    /// The tunnel ends that may send; of meaning once it is ready.
    pub fn sources(&self) -> Sources {
        self.lookup.sources()
    }

    /// Begins to work.
    pub fn start(&mut self, now: Moment, outcomes: &mut Vec<Outcome>) {
        self.ready_by = Some(now.after(START_MAX));
        self.on_event(Event::Started, now, outcomes);
    }

    /// Takes an event that is no question.
    pub fn on_event(&mut self, event: Event, now: Moment, outcomes: &mut Vec<Outcome>) {
        self.tell(event, now);
        self.act_all(now, outcomes);
    }

    /// Takes a question of the driver's; the answer comes now or later. One that is under way is not asked again.
    pub fn ask(&mut self, question: Question, now: Moment, outcomes: &mut Vec<Outcome>) {
        if !self.ready || self.pending.full() {
            return outcomes.push(unanswered(&question));
        }
        match question {
            Question::Target { mac, .. } if self.pending.asks(mac) => return,
            Question::Target { mac, source, vid, .. } => {
                self.enquire(Query::Target { mac, source, vid }, Purpose::Target(mac), now);
            }
            Question::Frame { id, frame, .. } => {
                let (conversation, step) = Conversation::begin(frame);
                self.converse(id, Box::new(conversation), step, now, outcomes);
            }
        }
        self.act_all(now, outcomes);
    }

    /// The next moment at which something is to happen.
    pub fn deadline(&self) -> Option<Moment> {
        [self.alarm, self.ready_by, self.pending.deadline()].into_iter().flatten().min()
    }

    /// Does what is due: sounds the alarm, and gives up what has taken too long.
    pub fn on_time(&mut self, now: Moment, outcomes: &mut Vec<Outcome>) {
        while let Some(question) = self.pending.expired(now) {
            outcomes.push(answer(&question.purpose, Verdict::Unknown));
        }
        if self.ready_by.is_some_and(|moment| moment <= now) {
            self.ready_by = None;
            let reason = format!("its search plugin has not become ready for {} s", START_MAX / 1000);
            outcomes.push(Outcome::Degrade(reason));
        }
        if self.alarm.is_some_and(|moment| moment <= now) {
            self.alarm = None;
            self.on_event(Event::Alarm, now, outcomes);
        }
    }

    /// The connection to the driver is gone, and with it the meaning of its numbers of frames.
    pub fn forget_frames(&mut self) {
        self.pending.forget_frames();
    }

    /// Takes over the questions of the one that it replaces.
    pub fn inherit(&mut self, mut earlier: Self, now: Moment, outcomes: &mut Vec<Outcome>) {
        self.pending = Pending::after(&earlier.pending);
        for question in earlier.pending.drain() {
            self.enquire(question.query, question.purpose, now);
        }
        self.act_all(now, outcomes);
    }

    /// Ends it; what it owes is answered with "don't know".
    pub fn end(mut self, outcomes: &mut Vec<Outcome>) {
        outcomes.extend(self.pending.drain().map(|question| answer(&question.purpose, Verdict::Unknown)));
    }

    fn tell(&mut self, event: Event, now: Moment) {
        self.lookup.on_event(event, now, &mut self.actions);
    }

    fn enquire(&mut self, query: Query, purpose: Purpose, now: Moment) {
        let ticket = self.pending.add(query.clone(), purpose, now);
        self.tell(Event::Ask(ticket, query), now);
    }

    fn converse(
        &mut self,
        id: u64,
        conversation: Box<Conversation>,
        step: Step,
        now: Moment,
        outcomes: &mut Vec<Outcome>,
    ) {
        match step {
            Step::Ask(query) => self.enquire(query, Purpose::Frame(id, conversation), now),
            Step::Done(verdict) => outcomes.push(Outcome::Answer(About::Frame(id), verdict)),
        }
    }

    /// Does what the plugin wants done, and what it wants done because of that.
    fn act_all(&mut self, now: Moment, outcomes: &mut Vec<Outcome>) {
        while !self.actions.is_empty() {
            let mut actions = std::mem::take(&mut self.actions);
            actions.drain(..).for_each(|action| self.act(action, now, outcomes));
            if self.actions.is_empty() {
                self.actions = actions;
            }
        }
    }

    fn act(&mut self, action: Action, now: Moment, outcomes: &mut Vec<Outcome>) {
        match action {
            Action::Ready => {
                (self.ready, self.ready_by) = (true, None);
                outcomes.push(Outcome::Ready);
            }
            Action::Answer(ticket, finding) => self.found(ticket, finding, now, outcomes),
            Action::News(news) => outcomes.push(told(news)),
            Action::Announce { ip, mac, vid } => {
                outcomes.push(Outcome::Inject(proxy::announcement(ip, mac, vid)));
            }
            Action::Degrade(reason) => {
                self.ready_by = None;
                outcomes.push(Outcome::Degrade(one_line(&reason)));
            }
            Action::Restore => outcomes.push(Outcome::Restore),
            Action::Alarm(moment) => self.alarm = Some(moment),
            Action::Io(action) => drop(self.io.as_ref().map(|io| io.send(action))),
        }
    }

    fn found(&mut self, ticket: Ticket, finding: Finding, now: Moment, outcomes: &mut Vec<Outcome>) {
        match self.pending.answered(ticket).map(|question| question.purpose) {
            Some(Purpose::Target(mac)) => {
                outcomes.push(Outcome::Answer(About::Mac(mac), target(finding)));
            }
            Some(Purpose::Frame(id, mut conversation)) => {
                let step = conversation.next(finding);
                self.converse(id, conversation, step, now, outcomes);
            }
            None => {}
        }
    }
}

/// "Don't know", to a question that nobody can be asked.
pub fn unanswered(question: &Question) -> Outcome {
    let about = match question {
        Question::Target { mac, .. } => About::Mac(*mac),
        Question::Frame { id, .. } => About::Frame(*id),
    };
    Outcome::Answer(about, Verdict::Unknown)
}

fn answer(purpose: &Purpose, verdict: Verdict) -> Outcome {
    let about = match purpose {
        Purpose::Target(mac) => About::Mac(*mac),
        Purpose::Frame(id, _) => About::Frame(*id),
    };
    Outcome::Answer(about, verdict)
}

fn target(finding: Finding) -> Verdict {
    match finding {
        Finding::Ends(ends) => Verdict::Found(ends),
        Finding::Absent => Verdict::Absent,
        // An address is no tunnel end: the plugin speaks of something else.
        Finding::Mac(_) | Finding::Unknown => Verdict::Unknown,
    }
}

fn told(news: News) -> Outcome {
    let of = |mac: MacAddr, verdict| Outcome::News(About::Mac(mac), verdict);
    match news {
        News::Moved(mac, ends) => of(mac, Verdict::Found(ends)),
        News::Learned(mac, ends) => of(mac, Verdict::Learned(ends)),
        News::Gone(mac) => of(mac, Verdict::Absent),
        News::Doubtful(mac) => of(mac, Verdict::Doubtful),
        News::GroupsDoubtful => Outcome::News(About::Groups, Verdict::Doubtful),
        News::AllDoubtful => Outcome::News(About::All, Verdict::Doubtful),
    }
}

/// A reason as people are shown it: a plugin may come from anywhere.
fn one_line(reason: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    reason.trim().chars().map(printable).take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests;
