#![doc = include_str!("../theory.md")]
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod daemons;
mod error;
mod session;
mod table;
mod usage;

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;

use overlay_core::control::Paths;
use overlay_core::sys;

use crate::daemons::Sockets;
use crate::session::Session;

/// Lines of a page where there is no terminal (libofmt, ofmt.c).
const PAGE: usize = 24;

fn main() -> ExitCode {
    let paths = Paths::resolve(None, None);
    let state = paths.state.clone();
    let mut daemons = Sockets::new(paths);
    let mut pause = |time| {
        thread::sleep(time);
        ControlFlow::Continue(())
    };
    let mut session = Session {
        daemons: &mut daemons,
        out: &mut io::stdout().lock(),
        err: &mut io::stderr().lock(),
        pause: &mut pause,
        height: sys::terminal_height(io::stdout().as_fd()).map_or(PAGE, usize::from),
        state,
    };
    session.run(std::env::args_os().collect()).into()
}
