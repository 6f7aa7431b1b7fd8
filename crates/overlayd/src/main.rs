//! The driver daemon of overlay networks.
#![doc = include_str!("../theory.md")]
#![forbid(unsafe_code)]

mod driver;
mod leases;
mod lifecycle;
mod log;
mod records;
mod server;
mod until_boot;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use overlay_core::control::{Claim, Daemon, Paths};
use overlay_core::engine::userspace::UserspaceEngine;
use overlayd_options::Options;

use crate::driver::Driver;
use crate::leases::Leases;
use crate::records::Records;

fn main() -> ExitCode {
    let options = Options::parse();
    log::start();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::fatal(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> anyhow::Result<()> {
    let paths = Paths::resolve(options.run_dir, options.state_dir);
    let (_claim, listener) = Claim::take(&paths, Daemon::Overlayd)?;
    let signals = server::Signals::take().context("cannot wait for signals")?;
    raise_descriptor_limit();
    let records = Records::open(&paths)?;
    let engine = UserspaceEngine::start()
        .context("cannot start carrying frames (overlayd needs CAP_NET_ADMIN and CAP_SYS_ADMIN, so root)")?;
    let mut driver = Driver::restore(engine, records);
    let mut leases = Leases::open(&paths);
    leases.look(&mut driver);
    tracing::info!("ready in {}", paths.run.display());
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    server::serve(listener, signals, pulse(), &mut driver, leases)
        .context("the control server has failed")?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("ended; VNIC devices stay for the next start");
    Ok(())
}

/// A sign of life twice in the time after which a service manager takes overlayd for stuck (sd_watchdog_enabled(3)).
fn pulse() -> server::Pulse {
    let every = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()).map(|limit| limit / 2);
    server::Pulse::new(every, Instant::now(), || drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog])))
}

/// Each underlay socket sends from some hundred descriptors; what the system allows is taken.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
