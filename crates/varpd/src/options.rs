//! varpd's command line, where the manual finds it.

use std::path::PathBuf;

use clap::Parser;

/// Answers where the destinations of overlay networks are.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: varpd --run-dir /run/overlay --state-dir /var/lib/overlay")]
pub struct Options {
    /// Directory of the sockets and of what ends with the next boot [default: $OVERLAY_RUN_DIR or /run/overlay]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Directory of what is kept over boots [default: $OVERLAY_STATE_DIR or /var/lib/overlay]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Directory of programs that are search plugins; may be given more than once [default:
    /// /usr/local/lib/overlay/plugins and /usr/lib/overlay/plugins]
    #[arg(short = 'i', long, value_name = "DIR")]
    pub include: Vec<PathBuf>,
    /// Checks a search plugin that is a program, and does nothing else
    #[arg(long, value_name = "FILE")]
    pub check_plugin: Option<PathBuf>,
    /// Properties with which the plugin is checked
    #[arg(short = 'p', value_name = "NAME=VALUE[,...]", requires = "check_plugin")]
    pub properties: Vec<String>,
}
