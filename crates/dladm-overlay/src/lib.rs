#![doc = include_str!("../theory.md")]
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod complete;
mod daemons;
mod error;
#[cfg(test)]
mod golden;
mod help;
mod session;
mod table;
mod usage;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;

use jiff::ZonedDateTime;
use overlay_core::control::Paths;
use overlay_core::sys;

pub use crate::commands::columns::{Field, Shown, tables};

use crate::complete::Host;
use crate::daemons::Sockets;
use crate::session::Session;

/// Lines of a page where there is no terminal (libofmt, ofmt.c).
const PAGE: usize = 24;

/// The command line, for the manual.
pub fn command() -> clap::Command {
    cli::command()
}

/// All of the program `dladm`.
pub fn main() -> ExitCode {
    let paths = Paths::resolve(None, None);
    let state = paths.state.clone();
    let mut daemons = Sockets::new(paths);
    let words = std::env::args_os().collect();
    if complete::asked() {
        // What cannot be said is no candidate: the user is in the middle of a line.
        let _ = complete::run(words, Host::new(daemons), &mut io::stdout());
        return ExitCode::SUCCESS;
    }
    let mut pause = |time| {
        thread::sleep(time);
        ControlFlow::Continue(())
    };
    let mut session = Session {
        daemons: &mut daemons,
        out: &mut io::stdout().lock(),
        err: &mut io::stderr().lock(),
        pause: &mut pause,
        now: ZonedDateTime::now,
        height: sys::terminal_height(io::stdout().as_fd()).map_or(PAGE, usize::from),
        colour: has_colours(io::stdout().is_terminal(), &|name| std::env::var_os(name)),
        state,
    };
    session.run(words).into()
}

/// Whether colours are shown, and wanted (no-color.org).
fn has_colours(terminal: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let able = variable("TERM").is_some_and(|value| !value.is_empty() && value != "dumb");
    terminal && able && !unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_shown_on_a_terminal_that_has_them_and_where_they_are_wanted() {
        for (terminal, term, no_color, expected) in [
            (true, Some("xterm"), None, true),
            (true, Some("xterm"), Some(""), true),
            (true, Some("xterm"), Some("1"), false),
            (true, Some("dumb"), None, false),
            (true, None, None, false),
            (false, Some("xterm"), None, false),
        ] {
            let variable = |name: &str| {
                let value = if name == "TERM" { term } else { no_color };
                value.map(OsString::from)
            };
            assert_eq!(has_colours(terminal, &variable), expected, "{term:?} {no_color:?}");
        }
    }
}
