use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Logs to stderr: `RUST_LOG` says what, and systemd's journal adds the time itself.
pub(crate) fn start() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // A log that cannot be written (a full disk, a terminal that has gone) must end nothing.
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_target(false).log_internal_errors(false);
    let logs = logs.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if std::env::var_os("JOURNAL_STREAM").is_some() { logs.without_time().init() } else { logs.init() }
}

/// The one line of a daemon that cannot go on.
pub(crate) fn fatal(error: &anyhow::Error) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "overlayd: {error:#}");
}
