//! The daemon `varpd`: options, logging and signals around [`varpd::daemon`].
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use overlay_core::control::Paths;
use overlay_core::property::parse_assignments;
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use varpd::conformance::{self, Limits};
use varpd::daemon::{self, Place, Plugins, Pulse};
use varpd::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    log_to_stderr();
    let done = match &options.check_plugin {
        Some(file) => check_plugin(file, &options.properties),
        None => start(options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "varpd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: Options) -> anyhow::Result<()> {
    let paths = Paths::resolve(options.run_dir, options.state_dir);
    let place = Place::take(&paths).context("cannot start")?;
    // Before the runtime: there is one thread yet.
    place.drop_root().context("cannot start")?;
    runtime()?.block_on(async {
        let signals = Signals::new().context("cannot wait for signals")?;
        let reload = Arc::new(Notify::new());
        let stop = signals.stop(Arc::clone(&reload));
        let plugins = Plugins::of_dirs(options.include);
        daemon::run(place, plugins, tell_ready, pulse(), reload, stop).await.context("cannot start")
    })
}

/// Whether a program passes every check.
fn check_plugin(file: &Path, properties: &[String]) -> anyhow::Result<bool> {
    let given = parse_assignments(properties.iter().map(String::as_str))?;
    let mut report = |line: &conformance::Line| drop(writeln!(io::stdout(), "{line}"));
    let checks = conformance::check(file, &given, Limits::default(), &mut report);
    Ok(runtime()?.block_on(checks))
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // A log that cannot be written (a full disk, a terminal that has gone) must end nothing.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // The journal has its own clock (systemd.exec(5), JOURNAL_STREAM).
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => format.without_time().init(),
        None => format.init(),
    }
}

fn tell_ready() {
    tracing::info!("ready");
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!("cannot tell systemd that varpd is ready: {error}");
    }
}

fn tell_end(signal: &str) {
    tracing::info!("ending on {signal}");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// A sign of life twice in the time after which a service manager takes varpd for stuck (sd_watchdog_enabled(3)).
fn pulse() -> Option<Pulse> {
    let tell = || drop(sd_notify::notify(&[NotifyState::Watchdog]));
    sd_notify::watchdog_enabled()
        .filter(|limit| !limit.is_zero())
        .map(|limit| Pulse { every: limit / 2, tell })
}

/// The signals that mean something to a daemon, caught from here on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the daemon; those that ask for reading everything again are passed on.
    async fn stop(mut self, reload: Arc<Notify>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break tell_end("SIGTERM"),
                _ = self.interrupt.recv() => break tell_end("SIGINT"),
                _ = self.hangup.recv() => {
                    tracing::info!("reading everything again on SIGHUP");
                    reload.notify_one();
                }
            }
        }
    }
}
