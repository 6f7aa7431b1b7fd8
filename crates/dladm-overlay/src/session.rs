use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind as UsageKind;
use jiff::ZonedDateTime;

use crate::cli;
use crate::commands::{self, Outcome};
use crate::daemons::Daemons;
use crate::error::{Error, Failure};
use crate::help;
use crate::table::{Column, Printer, Style};
use crate::usage;

/// Everything outside that a command touches.
pub(crate) struct Session<'a> {
    /// Whom it asks.
    pub(crate) daemons: &'a mut dyn Daemons,
    /// What it shows.
    pub(crate) out: &'a mut dyn Write,
    /// What it complains of.
    pub(crate) err: &'a mut dyn Write,
    /// Lets time pass; says whether to go on after it.
    pub(crate) pause: &'a mut dyn FnMut(Duration) -> ControlFlow<()>,
    /// What time it is.
    pub(crate) now: fn() -> ZonedDateTime,
    /// Lines of the terminal.
    pub(crate) height: usize,
    /// Whether it shows colours.
    pub(crate) colour: bool,
    /// The directory of what is kept over boots.
    pub(crate) state: PathBuf,
}

impl Session<'_> {
    /// Runs a command line, program name included, and returns its exit status.
    pub(crate) fn run(&mut self, arguments: Vec<OsString>) -> u8 {
        let outcome = match cli::parse(&arguments) {
            Ok((cli, words)) => commands::run(cli.command, words, self),
            Err(error) => self.refuse(&error, &arguments),
        };
        match outcome {
            Ok(Outcome::Whole) => 0,
            Ok(Outcome::Partial) => 1,
            // Whoever read the output has seen enough.
            Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => 0,
            Err(error) => self.report(&error),
        }
    }

    /// A line about something that does not keep the command from going on.
    pub(crate) fn warn(&mut self, what: impl Display) {
        self.complain(&format!("dladm: warning: {what}"));
    }

    /// A line about something that was not done while the rest was, and one of what to do about it.
    pub(crate) fn warn_of(&mut self, failure: &Failure) {
        self.warn(failure);
        if let Some(hint) = failure.hint() {
            self.complain(hint);
        }
    }

    /// The same where what is complained of goes to `said`.
    pub(crate) fn hushed<'b>(&'b mut self, said: &'b mut Vec<u8>) -> Session<'b> {
        Session {
            daemons: self.daemons,
            out: self.out,
            err: said,
            pause: self.pause,
            now: self.now,
            height: self.height,
            colour: self.colour,
            state: self.state.clone(),
        }
    }

    /// Complains of what was said there.
    pub(crate) fn pass_on(&mut self, said: &str) {
        said.lines().for_each(|line| self.complain(line));
    }

    /// A printer for the fields that were asked for.
    pub(crate) fn printer(
        &mut self,
        command: &str,
        columns: &[Column],
        fields: Option<&str>,
        style: Style,
    ) -> Result<Printer, Failure> {
        let (printer, warning) = Printer::new(columns, fields, style, self.height)
            .map_err(|error| Failure::of_selection(command, &error))?;
        if let Some(warning) = warning {
            self.warn(warning);
        }
        Ok(printer.coloured(self.colour))
    }

    /// Shows a text.
    pub(crate) fn show(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Help was asked for, or the command line is none.
    fn refuse(&mut self, error: &clap::Error, arguments: &[OsString]) -> Result<Outcome, Error> {
        match error.kind() {
            UsageKind::DisplayHelp | UsageKind::DisplayVersion => {
                let more = help::properties(arguments, self.daemons);
                self.show(&format!("{}{more}", error.render()))?;
                Ok(Outcome::Whole)
            }
            _ => Err(usage::failure(error, usage::command(arguments)).into()),
        }
    }

    fn report(&mut self, error: &Error) -> u8 {
        self.complain(&format!("dladm: {error}"));
        let Error::Failed(failure) = error else { return 1 };
        if let Some(hint) = failure.hint() {
            self.complain(hint);
        }
        failure.status()
    }

    /// One line, whatever the text holds. That nobody can hear a complaint is no reason for another.
    fn complain(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", text.replace(char::is_control, " "));
    }
}
