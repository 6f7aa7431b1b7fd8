use clap::Args;

use super::{Format, Statistics};

/// `show-link`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-link
  dladm show-link -p -o link,state foo0
  dladm show-link -s -i 1 foo0")]
pub(crate) struct ShowLink {
    /// What they have carried, in place of what they are.
    #[command(flatten)]
    pub(crate) statistics: Statistics,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of an overlay or VNIC; all of them when not given
    pub(crate) link: Option<String>,
}
