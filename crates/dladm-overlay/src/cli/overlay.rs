use clap::Args;

use super::{Format, Root};

/// `create-overlay`.
#[derive(Debug, Args)]
#[command(
    override_usage = "dladm create-overlay [-t] [-R ROOT] -e ENCAP -s SEARCH -v VNETID [-p PROP=VALUE[,...]]... OVERLAY"
)]
pub(crate) struct CreateOverlay {
    /// End with the next boot
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// Encapsulation plugin, such as vxlan: how frames are put on the wire
    #[arg(short, long, overrides_with = "encap")]
    pub(crate) encap: String,
    /// Search plugin, such as direct: how destinations are found
    #[arg(short, long, overrides_with = "search")]
    pub(crate) search: String,
    /// Identifier of the virtual network
    #[arg(short, long, overrides_with = "vnetid", allow_negative_numbers = true)]
    pub(crate) vnetid: String,
    /// Properties of the overlay and its plugins
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]")]
    pub(crate) properties: Vec<String>,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of the overlay, such as demo0
    pub(crate) overlay: String,
}

/// `delete-overlay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dladm delete-overlay demo0\n  dladm delete-overlay -t demo0")]
pub(crate) struct DeleteOverlay {
    /// Until the next boot, or up-overlay: what is stored of it stays
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of the overlay
    pub(crate) overlay: String,
}

/// `modify-overlay`.
#[derive(Debug, Args)]
#[command(
    override_usage = "dladm modify-overlay [-R ROOT] {-d MAC | -f | -s MAC=DEST | -p PROP=VALUE[,...]} OVERLAY"
)]
#[command(after_help = "\
DEST is `drop`, or one or more tunnel ends: IP:PORT[,IP:PORT...], IPv6 addresses in brackets.

Examples:
  dladm modify-overlay -s 2:8:20:ab:cd:ef=192.0.2.20:4789 demo0
  dladm modify-overlay -s ff:ff:ff:ff:ff:ff=[2001:db8::1]:4789,[2001:db8::2]:4789 demo0
  dladm modify-overlay -s 2:8:20:0:0:1=drop demo0
  dladm modify-overlay -d 2:8:20:ab:cd:ef demo0
  dladm modify-overlay -p direct/dest_ip=192.0.2.21,target/ageing=60 demo0")]
pub(crate) struct ModifyOverlay {
    /// Remove the entry of an address from the target table
    #[arg(short, long, value_name = "MAC", group = "change")]
    pub(crate) delete_entry: Option<String>,
    /// Remove every entry from the target table, those set by hand too
    #[arg(short, long, group = "change")]
    pub(crate) flush_table: bool,
    /// Set the entry of an address by hand; no lookup replaces it
    #[arg(short, long, value_name = "MAC=DEST", group = "change")]
    pub(crate) set_entry: Option<String>,
    /// Change properties of the overlay and its plugins, as far as they can be changed now
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]", group = "change")]
    pub(crate) properties: Vec<String>,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of the overlay
    pub(crate) overlay: String,
}

/// `show-overlay`.
#[derive(Debug, Args)]
#[command(after_help = "\
With -t, -o takes also the fields state, age (seconds) and origin.

Examples:
  dladm show-overlay
  dladm show-overlay -f demo0 demo1
  dladm show-overlay -t -o all demo0
  dladm show-overlay -p -o property,value demo0
  dladm show-overlay -s -i 1 demo0
  dladm show-overlay -P
  dladm show-overlay -s --json")]
pub(crate) struct ShowOverlay {
    /// Show what is stored, whether it is there or not
    #[arg(short = 'P', long, conflicts_with_all = ["fma", "target", "statistics"])]
    pub(crate) persistent: bool,
    /// Show whether each overlay works, and why not
    #[arg(short, long, overrides_with_all = ["target", "statistics", "fma"])]
    pub(crate) fma: bool,
    /// Show where frames are sent
    #[arg(short, long, overrides_with_all = ["fma", "statistics", "target"])]
    pub(crate) target: bool,
    /// Show what was carried, and what was dropped for which reason
    #[arg(short, long, overrides_with_all = ["fma", "target", "statistics"])]
    pub(crate) statistics: bool,
    /// Repeat: first the totals, then every so many seconds what was added to them
    #[arg(short, long, value_name = "SECONDS", requires = "statistics", allow_negative_numbers = true)]
    pub(crate) interval: Option<String>,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Names of overlays; all of them when none is given
    #[arg(value_name = "OVERLAY")]
    pub(crate) overlays: Vec<String>,
}

/// `up-overlay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dladm up-overlay\n  dladm up-overlay demo0")]
pub(crate) struct UpOverlay {
    /// Name of a stored overlay; all of them when not given
    pub(crate) overlay: Option<String>,
}

/// `show-search`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-search
  dladm show-search direct
  dladm show-search -p -o property,req,default files")]
pub(crate) struct ShowSearch {
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of a search plugin; all of them when not given
    pub(crate) plugin: Option<String>,
}
