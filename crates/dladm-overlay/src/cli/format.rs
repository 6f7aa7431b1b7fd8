use clap::Args;

use crate::table::Style;

/// Whether statistics are shown, and how often.
#[derive(Debug, Default, Args)]
pub(crate) struct Statistics {
    /// Show what was carried
    #[arg(short, long)]
    pub(crate) statistics: bool,
    /// Repeat: first the totals, then every so many seconds what was added to them
    #[arg(short, long, value_name = "SECONDS", requires = "statistics", allow_negative_numbers = true)]
    pub(crate) interval: Option<String>,
}

/// How a table looks.
#[derive(Debug, Default, Args)]
pub(crate) struct Format {
    /// For scripts: the fields of -o between colons, without a header
    #[arg(short, long, alias = "parseable", conflicts_with = "json")]
    pub(crate) parsable: bool,
    /// Fields to show, or `all`
    #[arg(short = 'o', long = "output", value_name = "FIELD[,FIELD...]")]
    pub(crate) fields: Option<String>,
    /// As an array of JSON objects
    #[arg(long)]
    pub(crate) json: bool,
}

impl Format {
    /// The style asked for; `human` is that for people.
    pub(crate) const fn style(&self, human: Style) -> Style {
        style(self.json, self.parsable, human)
    }
}

/// The style of `--json`, of that for scripts, or else `human`.
pub(crate) const fn style(json: bool, parsable: bool, human: Style) -> Style {
    match (json, parsable) {
        (true, _) => Style::Json,
        (_, true) => Style::Parsable,
        _ => human,
    }
}
