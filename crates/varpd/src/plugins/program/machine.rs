//! An instance that a program answers for, as a pure state machine.
//!
//! ```text
//!             Started              ready
//!   Stopped ----------> Starting ---------> Running
//!                        ^   |  \             /  |
//!                        |   |   \ late,     / late, wrong too often
//!         Alarm, Reload  |   |    \ wrong   /    |
//!                        |   |     v       v     |
//!                        |   |      Ending       | Ended
//!                        |   | Ended   | Ended   |
//!                        |   v         v         |
//!                       Resting <----------------+
//! ```
//!
//! While it is not Running every question is answered with "unknown" at once, and so are those under way
//! when it ceases to be.

use std::sync::Arc;
use std::time::Duration;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::protocol::LineBuffer;
use overlay_core::types::Moment;

use super::declaration::printable;
use super::legal::{self, Standing};
use super::message::{self, Answer, LINE_MAX, Order, Readiness, Said};
use super::questions::{PATIENCE, Questions};
use super::runner::Runner;
use super::{ProgramAction, ProgramEvent};
use crate::backoff::Backoff;
use crate::plugins::interface::{Action, Event, Finding, Io, IoAction, IoEvent, News, Query, Ticket};
use crate::plugins::{Lookup, Mode};
use crate::search::START_MAX;

/// How long a program that has failed rests before it is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Milliseconds that a program may take to be ready.
pub(crate) const START: u64 = 7_000;
const _: () = assert!(START < START_MAX, "its reason is to be heard");

/// Milliseconds after which a program counts as one that does well.
const STEADY: u64 = 60_000;

/// Wrong lines of one run that are passed over.
const FAULTS_MAX: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked for it yet.
    Stopped,
    /// It is to be ready by then.
    Starting { until: Moment },
    /// It answers, since then.
    Running { since: Moment },
    /// It was told to end; after that it rests so many milliseconds.
    Ending { pause: u64 },
    /// It is started again then.
    Resting { until: Moment },
}

impl Phase {
    const fn is_up(self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Running { .. })
    }
}

/// What the world is told of an instance's health, once for each change.
#[derive(Debug, Default)]
struct Health {
    /// Why the program does not run.
    down: Option<String>,
    /// What the program itself complains of.
    complaint: Option<String>,
    /// What was told last.
    told: Option<String>,
}

impl Health {
    fn tell(&mut self, actions: &mut Vec<Action>) {
        let now = self.down.as_ref().or(self.complaint.as_ref());
        if now != self.told.as_ref() {
            self.told = now.cloned();
            actions.push(self.told.clone().map_or(Action::Restore, Action::Degrade));
        }
    }
}

/// The state of one instance.
pub(super) struct Machine {
    runner: Runner,
    mode: Mode,
    start: Arc<[u8]>,
    phase: Phase,
    pause: Backoff,
    input: LineBuffer,
    faults: u32,
    questions: Questions,
    health: Health,
    standing: Option<Standing>,
    alarm: Option<Moment>,
}

impl Machine {
    /// Of a program that begins with the line `start`, and that `runner` runs.
    pub(super) fn new(runner: Runner, mode: Mode, start: Vec<u8>) -> Self {
        Self {
            runner,
            mode,
            start: start.into(),
            phase: Phase::Stopped,
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            input: LineBuffer::new(LINE_MAX),
            faults: 0,
            questions: Questions::default(),
            health: Health::default(),
            standing: None,
            alarm: None,
        }
    }

    fn spawn(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.phase = Phase::Starting { until: now.after(START) };
        self.input = LineBuffer::new(LINE_MAX);
        self.faults = 0;
        actions.push(io(ProgramAction::Spawn));
        actions.push(io(ProgramAction::Send(self.start.to_vec())));
    }

    fn reload(&mut self, now: Moment, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => {
                actions.push(io(ProgramAction::Send(Order::Reload {}.line())));
            }
            Phase::Resting { .. } => {
                self.pause.reset();
                self.spawn(now, actions);
            }
            Phase::Stopped | Phase::Ending { .. } => {}
        }
    }

    fn ask(&mut self, ticket: Ticket, query: &Query, now: Moment, actions: &mut Vec<Action>) {
        let asked = match (self.phase, self.mode) {
            (Phase::Running { .. }, Mode::Dynamic) => self.questions.ask(ticket, query.into(), now),
            // The driver asks nothing of an overlay with one destination.
            _ => None,
        };
        actions.push(match asked {
            Some(id) => io(ProgramAction::Send(Order::Ask { id, asked: query.into() }.line())),
            None => Action::Answer(ticket, Finding::Unknown),
        });
    }

    fn alarm(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.alarm = None;
        match self.phase {
            Phase::Starting { until } if until <= now => {
                self.fall(format!("it was not ready after {} s", START / 1000), now, actions);
            }
            Phase::Resting { until } if until <= now => self.spawn(now, actions),
            Phase::Running { .. } if self.questions.due().is_some_and(|due| due <= now) => {
                self.fall(format!("it has not answered for {} s", PATIENCE / 1000), now, actions);
            }
            _ => {}
        }
    }

    /// Sets the alarm for what is due next. One that comes too early does no harm.
    fn arm(&mut self, actions: &mut Vec<Action>) {
        let next = match self.phase {
            Phase::Starting { until } | Phase::Resting { until } => Some(until),
            Phase::Running { .. } => self.questions.due(),
            Phase::Stopped | Phase::Ending { .. } => None,
        };
        if let Some(next) = next
            && self.alarm.is_none_or(|alarm| next < alarm)
        {
            self.alarm = Some(next);
            actions.push(Action::Alarm(next));
        }
    }

    /// Takes what the program wrote.
    fn hear(&mut self, octets: &[u8], now: Moment, actions: &mut Vec<Action>) {
        self.input.push(octets);
        while self.phase.is_up() {
            let said = match self.input.next_line() {
                Ok(Some(line)) => message::read(line),
                Ok(None) => return actions.push(io(ProgramAction::More)),
                Err(error) => return self.fall(error.to_string(), now, actions),
            };
            match said.map(|said| said.map_or(Ok(()), |said| self.take(said, now, actions))) {
                Ok(Ok(())) => {}
                Ok(Err(fault)) | Err(fault) => self.fault(&fault, now, actions),
            }
        }
    }

    /// Takes one thing that it said.
    ///
    /// # Errors
    /// It cannot be so, and is passed over.
    fn take(&mut self, said: Said, now: Moment, actions: &mut Vec<Action>) -> Result<(), String> {
        match (self.phase, said) {
            (_, Said::Ready(ready)) => self.ready(ready, now, actions),
            (_, Said::Degrade(complaint)) => {
                let message = printable(&complaint.message);
                self.health.complaint = Some(format!("search plugin {}: {message}", self.runner.plugin()));
                self.health.tell(actions);
            }
            (_, Said::Restore) => {
                self.health.complaint = None;
                self.health.tell(actions);
            }
            (Phase::Running { .. }, Said::Answer(answer)) => self.answer(answer, actions)?,
            (Phase::Running { .. }, said) if self.mode == Mode::Dynamic => actions.push(news(said)?),
            (Phase::Running { .. }, _) => {
                return Err("a point plugin has nothing to tell of addresses".into());
            }
            (_, _) => return Err("it speaks of destinations before it is ready".into()),
        }
        Ok(())
    }

    fn ready(&mut self, ready: Readiness, now: Moment, actions: &mut Vec<Action>) {
        let standing = match Standing::check(ready, self.mode) {
            Ok(standing) => standing,
            Err(reason) => return self.fall(format!("its 'ready' is wrong: {reason}"), now, actions),
        };
        let before = self.standing.replace(standing);
        if matches!(self.phase, Phase::Running { .. }) {
            if before != self.standing {
                actions.push(Action::Ready);
            }
            return;
        }
        self.phase = Phase::Running { since: now };
        self.health.down = None;
        self.health.tell(actions);
        actions.push(Action::Ready);
        // What an earlier run said may have changed while there was none.
        if before.is_some() && self.mode == Mode::Dynamic {
            actions.push(Action::News(News::AllDoubtful));
        }
    }

    fn answer(&mut self, answer: Answer, actions: &mut Vec<Action>) -> Result<(), String> {
        let id = answer.id;
        let open = self.questions.answered(id).ok_or_else(|| format!("no question {id} is open"))?;
        let finding = legal::finding(answer, open.wanted);
        let given = finding.as_ref().map_or(Finding::Unknown, Clone::clone);
        actions.push(Action::Answer(open.ticket, given));
        finding.map(drop).map_err(|reason| format!("question {id}: {reason}"))
    }

    /// Notes a wrong line: the first is logged, and too many end the run.
    fn fault(&mut self, fault: &str, now: Moment, actions: &mut Vec<Action>) {
        self.faults += 1;
        let fault = printable(fault);
        if self.faults == 1 {
            let line = format!("a line is passed over, as others like it will be: {fault}");
            actions.push(io(ProgramAction::Log(line)));
        }
        if self.faults > FAULTS_MAX {
            self.fall(
                format!("more than {FAULTS_MAX} of its lines are wrong, the last one: {fault}"),
                now,
                actions,
            );
        }
    }

    /// Ends the run.
    fn fall(&mut self, reason: String, now: Moment, actions: &mut Vec<Action>) {
        let pause = self.down(&reason, now, actions);
        self.phase = Phase::Ending { pause };
        actions.push(io(ProgramAction::Kill));
    }

    /// The run has ended.
    fn ended(&mut self, reason: &str, now: Moment, actions: &mut Vec<Action>) {
        let pause = match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => self.down(reason, now, actions),
            Phase::Ending { pause } => pause,
            Phase::Stopped | Phase::Resting { .. } => return,
        };
        self.phase = Phase::Resting { until: now.after(pause) };
    }

    /// The program is of no more use; how long it rests.
    fn down(&mut self, reason: &str, now: Moment, actions: &mut Vec<Action>) -> u64 {
        if matches!(self.phase, Phase::Running { since } if now.since(since) >= STEADY) {
            self.pause.reset();
        }
        let pause = u64::try_from(self.pause.pause().as_millis()).unwrap_or(u64::MAX);
        let unanswered = self.questions.give_up().map(|ticket| Action::Answer(ticket, Finding::Unknown));
        actions.extend(unanswered);
        self.health.complaint = None;
        self.health.down = Some(format!(
            "search plugin {}: {reason}; started again in {} s",
            self.runner.plugin(),
            pause as f64 / 1000.0
        ));
        self.health.tell(actions);
        pause
    }
}

impl Lookup for Machine {
    fn target(&self) -> TargetMode {
        self.standing.as_ref().map_or(TargetMode::Dynamic, |standing| standing.target.clone())
    }

    fn sources(&self) -> Sources {
        self.standing.as_ref().map_or_else(|| Sources::known([]), |standing| standing.sources.clone())
    }

    fn on_event(&mut self, event: Event, now: Moment, actions: &mut Vec<Action>) {
        match event {
            Event::Started if self.phase == Phase::Stopped => self.spawn(now, actions),
            Event::Associated if matches!(self.phase, Phase::Running { .. }) => {
                actions.push(io(ProgramAction::Send(Order::Associated {}.line())));
            }
            Event::Reload => self.reload(now, actions),
            Event::Ask(ticket, query) => self.ask(ticket, &query, now, actions),
            Event::Alarm => self.alarm(now, actions),
            Event::Io(IoEvent::Program(ProgramEvent::Output(octets))) => self.hear(&octets, now, actions),
            Event::Io(IoEvent::Program(ProgramEvent::Ended(reason))) => {
                self.ended(&printable(&reason), now, actions);
            }
            _ => {}
        }
        self.arm(actions);
    }

    fn io(&self) -> Option<Box<dyn Io>> {
        Some(Box::new(self.runner.clone()))
    }
}

/// What a program tells of destinations.
///
/// # Errors
/// It cannot be so.
pub(crate) fn news(said: Said) -> Result<Action, String> {
    Ok(Action::News(match said {
        Said::Moved(place) => legal::place(place).map(|(mac, ends)| News::Moved(mac, ends))?,
        Said::Learned(place) => legal::place(place).map(|(mac, ends)| News::Learned(mac, ends))?,
        Said::Gone(address) => legal::gone(&address)?,
        Said::Doubtful(doubt) => legal::doubt(&doubt)?,
        Said::Announce(announcement) => return legal::announcement(&announcement),
        Said::Plugin(_) | Said::Ready(_) | Said::Answer(_) | Said::Degrade(_) | Said::Restore => {
            return Err("it was not asked for this".to_owned());
        }
    }))
}

const fn io(action: ProgramAction) -> Action {
    Action::Io(IoAction::Program(action))
}
