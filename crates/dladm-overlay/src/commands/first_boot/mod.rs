//! What is to be changed at the first boot of a system: with `-R` commands are left below its root, and `first-boot` runs
//! them there.

mod check;
mod interrupted;
mod queue;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use self::interrupted::Trace;
use self::queue::{Line, Queue};
use super::Outcome;
use crate::cli::{self, Command};
use crate::error::{Error, Failure};
use crate::session::Session;

/// Leaves a command, as it was given, to the first boot of the system that has its root there.
pub(super) fn leave(
    command: &Command,
    words: Vec<String>,
    root: &Path,
    session: &Session<'_>,
) -> Result<Outcome, Error> {
    check::arguments(command)?;
    let what = || format!("cannot leave it to the first boot of {}", root.display());
    let mut queue =
        Queue::below(root, &session.state).map_err(|error| Failure::new(what(), error).or_hint(HOW))?;
    queue.push(Line::new(words)).map_err(|error| Failure::new(what(), error))?;
    Ok(Outcome::Whole)
}

/// What to do about a root that is none.
const HOW: &str = "-R takes the directory that is / on the other system";

/// Runs what was left to the first boot, in order. A line is marked before it is run and taken away after it, so that one
/// that a crash has interrupted is run again, and none twice that was done.
pub(super) fn run(session: &mut Session<'_>) -> Result<Outcome, Error> {
    let what = format!("cannot run what was left to the first boot in {}", session.state.display());
    let failed = |error| Failure::new(&what, error);
    let Some(mut queue) = Queue::of_host(&session.state).map_err(failed)? else { return Ok(Outcome::Whole) };
    if queue.first().is_some() {
        // Who cannot be asked would make every line fail.
        session.daemons.links().map_err(|error| Failure::of_daemon(&what, &error))?;
        session.daemons.instances().map_err(|error| Failure::of_daemon(&what, &error))?;
    }
    let mut outcome = Outcome::Whole;
    while let Some(line) = queue.first().cloned() {
        queue.mark().map_err(failed)?;
        match attempt(&line, session) {
            Ok(()) => {}
            Err(Attempt::Stopped(error)) => return Err(error),
            Err(Attempt::Failed(why)) => {
                session.warn(format!("first-boot: {line}: {why}"));
                queue.keep_failed().map_err(failed)?;
                outcome = Outcome::Partial;
            }
        }
        queue.pop().map_err(failed)?;
    }
    if outcome == Outcome::Partial {
        session
            .warn(format!("first-boot: what failed is kept in {}", Queue::failed(&session.state).display()));
    }
    Ok(outcome)
}

/// What became of a line that was not done.
enum Attempt {
    /// It cannot be, and why.
    Failed(String),
    /// A daemon has gone; it is tried again.
    Stopped(Error),
}

fn attempt(line: &Line, session: &mut Session<'_>) -> Result<(), Attempt> {
    let words = line.words().map_err(Attempt::Failed)?;
    let command = command(words).map_err(Attempt::Failed)?;
    let trace = Trace::of(&command);
    let mut said = Vec::new();
    let outcome = run_again(command, line, &mut session.hushed(&mut said));
    let said = String::from_utf8_lossy(&said).into_owned();
    match outcome {
        Ok(Outcome::Whole) => {
            session.pass_on(&said);
            Ok(())
        }
        Ok(Outcome::Partial) => Err(Attempt::Failed(joined(&said))),
        Err(Error::Failed(failure)) if failure.is_unanswered() => {
            session.pass_on(&said);
            Err(Attempt::Stopped(failure.into()))
        }
        Err(Error::Failed(failure)) if line.is_marked() && is_done(&trace, &failure, line, session)? => {
            session.warn(format!("first-boot: {line}: it was interrupted, and counts as done: {failure}"));
            Ok(())
        }
        Err(error) => Err(Attempt::Failed(joined(&format!("{said}{error}")))),
    }
}

/// Runs a command, where it was begun before after what that has left half done is cleared away.
fn run_again(command: Command, line: &Line, session: &mut Session<'_>) -> Result<Outcome, Error> {
    if line.is_marked() {
        interrupted::clear(&command, session)?;
    }
    super::run(Some(command), Vec::new(), session)
}

fn is_done(
    trace: &Trace,
    failure: &Failure,
    line: &Line,
    session: &mut Session<'_>,
) -> Result<bool, Attempt> {
    let stopped = |error| Attempt::Stopped(Failure::of_daemon(format!("first-boot: {line}"), &error).into());
    trace.is_there(failure, session).map_err(stopped)
}

/// The command of a line: one that `-R` could have left.
fn command(words: &[String]) -> Result<Command, String> {
    let arguments: Vec<OsString> = words.iter().map(Into::into).collect();
    let cli = cli::parse(&arguments).map_err(|error| crate::usage::failure(&error, None).to_string())?;
    match cli.0.command {
        Some(command) if command.root().is_some_and(|root| root.root.is_none()) => Ok(command),
        _ => Err("it is no command for a first boot".to_owned()),
    }
}

/// What was complained of, in one line.
fn joined(said: &str) -> String {
    let plain = |line: &str| line.trim_start_matches("dladm: ").trim_start_matches("warning: ").to_owned();
    said.lines().map(plain).collect::<Vec<_>>().join("; ")
}
