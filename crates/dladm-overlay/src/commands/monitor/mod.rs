//! `monitor`: what happens on this host, as it happens.

mod happening;
mod tables;

use std::time::{Duration, Instant};

use overlay_core::control::{ClientError, Daemon};
use overlay_core::protocol::{Change, Request};
use overlay_core::types::LinkName;

use self::happening::Happening;
use self::tables::Tables;
use crate::cli::Monitor;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Printer, Style};

const COMMAND: &str = "monitor";

/// How long from one attempt to the next while overlayd is away.
const AWAY: Duration = Duration::from_secs(1);

/// How long a wait for the next change is, where nothing else is to be done in between.
const IDLE: Duration = Duration::from_secs(60);

/// Shows what happens until it is interrupted, or nobody reads it any more.
pub(super) fn run(arguments: &Monitor, session: &mut Session<'_>) -> Result<(), Error> {
    let links = arguments.links.iter().map(|name| name.parse());
    let links: Vec<LinkName> =
        links.collect::<Result<_, _>>().map_err(|error| Failure::new(COMMAND, error))?;
    let style = if arguments.json { Style::Json } else { Style::Human };
    let printer = session.printer(COMMAND, &happening::COLUMNS, None, style)?;
    let tables = arguments.target.then(Tables::default);
    Watcher { links, printer, json: arguments.json, tables }.watch(session)
}

/// One that watches, and what it shows.
struct Watcher {
    /// The links that it is about; all when there are none.
    links: Vec<LinkName>,
    printer: Printer,
    json: bool,
    /// The target tables as they were last seen.
    tables: Option<Tables>,
}

/// Why it is watched no more.
enum End {
    /// overlayd has gone.
    Away,
    Failed(Error),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Lost { .. } | ClientError::NotRunning { .. } => Self::Away,
            error => Self::Failed(Failure::of_daemon("cannot watch", &error).into()),
        }
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Watcher {
    fn watch(mut self, session: &mut Session<'_>) -> Result<(), Error> {
        begin(session).map_err(|error| Failure::of_daemon("cannot watch", &error))?;
        loop {
            match self.follow(session) {
                End::Failed(error) => return Err(error),
                End::Away => self.show(Happening::driver_away(), session)?,
            }
            while begin(session).is_err() {
                if (session.pause)(AWAY).is_break() {
                    return Ok(());
                }
            }
            self.show(Happening::driver_back(), session)?;
        }
    }

    /// Shows what happens for as long as overlayd is there.
    fn follow(&mut self, session: &mut Session<'_>) -> End {
        loop {
            if let Err(end) = self.turn(session) {
                return end;
            }
        }
    }

    fn turn(&mut self, session: &mut Session<'_>) -> Result<(), End> {
        let patience = self.look_at_tables(session)?;
        if let Some(change) = session.daemons.next_change(patience)? {
            self.follow_name(&change);
            self.show(Happening::from(change), session)?;
        }
        Ok(())
    }

    /// Shows what has changed in target tables, when it is time to look at them; says how long it is not.
    fn look_at_tables(&mut self, session: &mut Session<'_>) -> Result<Duration, End> {
        let Some(tables) = &mut self.tables else { return Ok(IDLE) };
        let now = Instant::now();
        if let Some(left) = tables.time_left(now) {
            return Ok(left);
        }
        let happened = tables.look(session.daemons, |link| is_about(&self.links, link))?;
        let pause = tables.looked(now, Instant::now());
        for happening in happened {
            self.show(happening, session)?;
        }
        Ok(pause)
    }

    /// A link that is watched by its name is watched under its next one too.
    fn follow_name(&mut self, change: &Change) {
        if let Change::LinkRenamed { link, from } = change
            && self.links.contains(from)
        {
            self.links.push(link.clone());
        }
    }

    fn show(&mut self, happening: Happening, session: &mut Session<'_>) -> Result<(), std::io::Error> {
        if !happening.link.as_ref().is_none_or(|link| is_about(&self.links, link)) {
            return Ok(());
        }
        let now = (session.now)();
        let text = if self.json { happening.json(&now) } else { self.printer.render(&[happening.row(&now)]) };
        session.show(&text)
    }
}

fn begin(session: &mut Session<'_>) -> Result<(), ClientError> {
    session.daemons.change(Daemon::Overlayd, Request::Watch)
}

fn is_about(links: &[LinkName], link: &LinkName) -> bool {
    links.is_empty() || links.contains(link)
}

#[cfg(test)]
mod tests;
