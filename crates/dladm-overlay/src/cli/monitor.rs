use clap::Args;

/// `monitor`.
#[derive(Debug, Args)]
#[command(after_help = "\
It runs until it is interrupted, and waits for overlayd when that goes away. Target tables are looked at
once a second; an entry that comes and goes in between is not shown. Properties of search plugins, which
varpd has, are not told.

Examples:
  dladm monitor
  dladm monitor -t demo0
  dladm monitor --json")]
pub(crate) struct Monitor {
    /// Also changes of target tables
    #[arg(short, long)]
    pub(crate) target: bool,
    /// One JSON object on each line
    #[arg(long)]
    pub(crate) json: bool,
    /// Names of overlays and VNICs; all of them when none is given
    #[arg(value_name = "LINK")]
    pub(crate) links: Vec<String>,
}
