//! overlayd's command line, apart from the program, where the manual finds it.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::Parser;

/// The driver of overlay networks: devices, sockets and encapsulation.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  overlayd --run-dir /run/overlay --state-dir /var/lib/overlay")]
pub struct Options {
    /// Directory of the control sockets [default: $OVERLAY_RUN_DIR, else /run/overlay]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Directory of the stored configuration [default: $OVERLAY_STATE_DIR, else /var/lib/overlay]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}
