//! What can follow an unfinished command line, for the shells' completion scripts (`contrib/completions`).
//!
//! A script sets [`VARIABLE`] and gives the words of the line, the last of which is the one to be completed, if only
//! an empty one. It gets a line for each candidate: the whole word, a tab, what it means. That is all they agree on, so that scripts
//! and program may be of different versions.

mod arguments;
mod property;
mod values;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine;

pub(crate) use self::values::Host;
use crate::cli;

/// Asks for candidates in place of a command's run.
const VARIABLE: &str = "DLADM_COMPLETE";

/// How long someone who has pressed a key waits for a daemon.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether candidates are asked for.
pub(crate) fn asked() -> bool {
    env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Shows what can follow these words, or nothing where a daemon takes too long.
pub(crate) fn run(words: Vec<OsString>, host: Host, out: &mut dyn Write) -> io::Result<()> {
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || answer.send(candidates(words, host)));
    let text = answered.recv_timeout(PATIENCE).unwrap_or_default();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A line for each candidate.
fn candidates(words: Vec<OsString>, host: Host) -> String {
    let Some(last) = words.len().checked_sub(1) else { return String::new() };
    let current = words[last].clone();
    let mut command = arguments::with_values(cli::command(), &words, &host);
    let found = engine::complete(&mut command, words, last, None).unwrap_or_default();
    wanted(found, &current).iter().filter(|one| is_tame(one.get_value())).map(line).collect()
}

/// Whether no shell takes a word for anything but itself. Names of files and of zones can be anybody's, and a shell that is
/// handed one has it on the command line that its user runs next.
fn is_tame(word: &OsStr) -> bool {
    let tame = |character: char| character.is_alphanumeric() || "_.,:=/+@%-".contains(character);
    word.to_str().is_some_and(|word| word.chars().all(tame))
}

/// Options are offered to those who have begun one, or where nothing else can follow.
fn wanted(mut found: Vec<CompletionCandidate>, current: &OsStr) -> Vec<CompletionCandidate> {
    let option = |candidate: &CompletionCandidate| begins_option(candidate.get_value());
    if !begins_option(current) && !found.iter().all(option) {
        found.retain(|candidate| !option(candidate));
    }
    found
}

fn begins_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

fn line(candidate: &CompletionCandidate) -> String {
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.lines().next().unwrap_or_default().replace(char::is_control, " ");
    format!("{}\t{help}\n", candidate.get_value().to_string_lossy())
}

#[cfg(test)]
mod tests;
