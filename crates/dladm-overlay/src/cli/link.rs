use clap::Args;

use super::format::style;
use super::{Format, Root, Statistics};
use crate::table::Style;

/// `show-link`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  dladm show-link
  dladm show-link -p -o link,state foo0
  dladm show-link -P
  dladm show-link -s -i 1 foo0")]
pub(crate) struct ShowLink {
    /// Show what is stored, whether it is there or not
    #[arg(short = 'P', long, conflicts_with = "statistics")]
    pub(crate) persistent: bool,
    /// What they have carried, in place of what they are.
    #[command(flatten)]
    pub(crate) statistics: Statistics,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of an overlay or VNIC; all of them when not given
    pub(crate) link: Option<String>,
}

/// `rename-link`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dladm rename-link foo0 web0")]
pub(crate) struct RenameLink {
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of an overlay or VNIC
    #[arg(value_name = "OLD")]
    pub(crate) link: String,
    /// Its new name, and for a VNIC that of its network device
    #[arg(value_name = "NEW")]
    pub(crate) to: String,
}

/// `set-linkprop`.
#[derive(Debug, Args)]
#[command(override_usage = "dladm set-linkprop [-t] [-R ROOT] -p PROP=VALUE[,...] LINK")]
pub(crate) struct SetLinkprop {
    /// End with the next boot
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// Properties with their new values; several values of one have commas between them
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]", required = true)]
    pub(crate) properties: Vec<String>,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of an overlay or VNIC
    pub(crate) link: String,
}

/// `reset-linkprop`.
#[derive(Debug, Args)]
#[command(override_usage = "dladm reset-linkprop [-t] [-R ROOT] [-p PROP[,...]] LINK")]
#[command(after_help = "Examples:
  dladm reset-linkprop -p maxbw,protection foo0
  dladm reset-linkprop foo0")]
pub(crate) struct ResetLinkprop {
    /// Until the next boot: what is stored stays
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// Properties; every one that can be set when not given
    #[arg(short, long = "prop", value_name = "PROP[,...]")]
    pub(crate) properties: Vec<String>,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of an overlay or VNIC
    pub(crate) link: String,
}

/// `show-linkprop`.
#[derive(Debug, Args)]
#[command(override_usage = "dladm show-linkprop [-P] [-c | --json] [-o FIELD[,...]] [-p PROP[,...]] [LINK]")]
#[command(after_help = "Examples:
  dladm show-linkprop foo0
  dladm show-linkprop -p maxbw,priority
  dladm show-linkprop -c -o value -p mtu foo0
  dladm show-linkprop -P foo0")]
pub(crate) struct ShowLinkprop {
    /// The stored values, in place of those that are in force
    #[arg(short = 'P', long)]
    pub(crate) persistent: bool,
    /// For scripts: the fields of -o between colons, without a header
    #[arg(short = 'c', long, alias = "parseable", conflicts_with = "json")]
    pub(crate) parsable: bool,
    /// Fields to show, or `all`
    #[arg(short = 'o', long = "output", value_name = "FIELD[,FIELD...]")]
    pub(crate) fields: Option<String>,
    /// As an array of JSON objects
    #[arg(long)]
    pub(crate) json: bool,
    /// Properties to show; all of them when not given
    #[arg(short, long = "prop", value_name = "PROP[,...]")]
    pub(crate) properties: Vec<String>,
    /// Name of an overlay or VNIC; all of them when not given
    pub(crate) link: Option<String>,
}

impl ShowLinkprop {
    /// The style asked for.
    pub(crate) const fn style(&self) -> Style {
        style(self.json, self.parsable, Style::Wrapped)
    }
}
