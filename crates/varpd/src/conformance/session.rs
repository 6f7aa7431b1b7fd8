//! A run of a program under examination: every line that it writes must be legal, and every answer asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use overlay_core::protocol::LineBuffer;
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep_until, timeout};

use super::Subject;
use crate::plugins::Mode;
use crate::plugins::interface::{Finding, Query};
use crate::plugins::program::declaration::printable;
use crate::plugins::program::launch::{Running, read_from};
use crate::plugins::program::legal::{self, Standing, Wanted};
use crate::plugins::program::log::Log;
use crate::plugins::program::machine;
use crate::plugins::program::message::{self, Answer, LINE_MAX, Order, Said};
use crate::plugins::program::outbox::Outbox;

/// Octets taken at a time.
const PIECE: usize = 64 * 1024;

pub(super) struct Session {
    mode: Mode,
    running: Running,
    outbox: Outbox,
    stdout: Option<ChildStdout>,
    input: LineBuffer,
    log: Log,
    standing: Option<Standing>,
    last: u64,
    /// What each question wants, and what was answered.
    asked: BTreeMap<u64, (Wanted, Option<Finding>)>,
}

impl Session {
    /// A run that is ready.
    pub(super) async fn ready(subject: &Subject) -> Result<Self, String> {
        let mut session = Self::started(subject)?;
        let patience = subject.limits.ready;
        session.until("it was not ready", patience, |session| session.standing.is_some()).await?;
        Ok(session)
    }

    fn started(subject: &Subject) -> Result<Self, String> {
        let mut running = subject.launch.start().map_err(|error| error.to_string())?;
        let mut session = Self {
            mode: subject.mode,
            outbox: Outbox::new(running.stdin.take()),
            stdout: running.stdout.take(),
            input: LineBuffer::new(LINE_MAX),
            log: Log::new(running.stderr.take(), &subject.label),
            running,
            standing: None,
            last: 0,
            asked: BTreeMap::new(),
        };
        session.send(&subject.start);
        Ok(session)
    }

    /// Sends a line, when the program reads it.
    pub(super) fn send(&mut self, line: &[u8]) {
        self.outbox.add(line);
    }

    /// Asks; the question's number.
    pub(super) fn ask(&mut self, query: &Query) -> u64 {
        let id = self.number(query.into());
        self.send(&Order::Ask { id, asked: query.into() }.line());
        id
    }

    /// A number for a question that is written by hand.
    pub(super) fn number(&mut self, wanted: Wanted) -> u64 {
        self.last += 1;
        self.asked.insert(self.last, (wanted, None));
        self.last
    }

    /// What was answered.
    pub(super) fn answer(&self, id: u64) -> Option<&Finding> {
        self.asked.get(&id).and_then(|(_, finding)| finding.as_ref())
    }

    /// Waits until every question has its answer.
    pub(super) async fn all_answered(&mut self, limit: Duration) -> Result<(), String> {
        let answered = |session: &Self| session.asked.values().all(|(_, finding)| finding.is_some());
        self.until("a question was not answered", limit, answered).await
    }

    /// Ends its input and hears what it still says; whether it ended, and all that it had started with it.
    pub(super) async fn farewell(mut self, limit: Duration) -> Result<bool, String> {
        self.outbox = Outbox::new(None);
        let end = Instant::now() + limit;
        let mut piece = vec![0; PIECE];
        let mut ended = false;
        while !ended || self.stdout.is_some() {
            tokio::select! {
                read = read_from(&mut self.stdout, &mut piece) => match read {
                    Ok(count) if count > 0 => self.hear(&piece[..count])?,
                    _ => self.stdout = None,
                },
                () = self.log.read() => {}
                _ = self.running.ended(), if !ended => ended = true,
                () = sleep_until(end) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Closes its output and says something that it should answer; it must end.
    pub(super) async fn output_closes(mut self, query: &Query, limit: Duration) -> bool {
        self.stdout = None;
        self.ask(query);
        let end = async {
            loop {
                tokio::select! {
                    _ = self.running.ended() => return,
                    written = self.outbox.write(), if !self.outbox.is_empty() => {
                        if written.is_err() {
                            self.outbox = Outbox::new(None);
                        }
                    }
                    () = self.log.read() => {}
                }
            }
        };
        timeout(limit, end).await.is_ok()
    }

    /// Exchanges lines until something is the case.
    async fn until(
        &mut self,
        otherwise: &str,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + limit;
        let mut piece = vec![0; PIECE];
        while !done(self) {
            tokio::select! {
                read = read_from(&mut self.stdout, &mut piece) => match read {
                    Ok(count) if count > 0 => self.hear(&piece[..count])?,
                    _ => return Err(format!("{otherwise}: {}", self.how_it_ended().await)),
                },
                written = self.outbox.write(), if !self.outbox.is_empty() => {
                    if written.is_err() {
                        return Err(format!("{otherwise}: {}", self.how_it_ended().await));
                    }
                }
                () = self.log.read() => {}
                how = self.running.ended() => return Err(format!("{otherwise}: {how}")),
                () = sleep_until(end) => return Err(late(otherwise, limit)),
            }
        }
        Ok(())
    }

    async fn how_it_ended(&mut self) -> String {
        let how = timeout(Duration::from_millis(200), self.running.ended()).await;
        how.unwrap_or_else(|_| "it closed a pipe".to_owned())
    }

    fn hear(&mut self, octets: &[u8]) -> Result<(), String> {
        self.input.push(octets);
        while let Some(line) = self.input.next_line().map_err(|error| error.to_string())? {
            let text = printable(&String::from_utf8_lossy(line));
            let said = message::read(line);
            let taken = said.and_then(|said| said.map_or(Ok(()), |said| self.take(said)));
            taken.map_err(|reason| format!("it wrote {text}: {reason}"))?;
        }
        Ok(())
    }

    fn take(&mut self, said: Said) -> Result<(), String> {
        match said {
            Said::Ready(ready) => {
                self.standing = Some(Standing::check(ready, self.mode)?);
                Ok(())
            }
            Said::Degrade(_) | Said::Restore => Ok(()),
            _ if self.standing.is_none() => Err("it is not ready yet".to_owned()),
            Said::Answer(answer) => self.answered(answer),
            _ if self.mode == Mode::Point => {
                Err("a point plugin has nothing to tell of addresses".to_owned())
            }
            said => machine::news(said).map(drop),
        }
    }

    fn answered(&mut self, answer: Answer) -> Result<(), String> {
        let id = answer.id;
        match self.asked.get_mut(&id) {
            None => Err(format!("there was no question {id}")),
            Some((_, Some(_))) => Err(format!("question {id} has been answered before")),
            Some((wanted, finding)) => {
                *finding = Some(legal::finding(answer, *wanted)?);
                Ok(())
            }
        }
    }
}

/// That something did not happen in time.
pub(super) fn late(what: &str, limit: Duration) -> String {
    format!("{what} within {} s", limit.as_secs_f64())
}
