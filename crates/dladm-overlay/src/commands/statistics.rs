//! Counters that are shown once or, every so many seconds, by what was added to them.

use std::collections::HashMap;
use std::time::Duration;

use overlay_core::protocol::{LinkCounters, LinkInfo};
use overlay_core::types::LinkId;

use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column, Printer};

/// How long from one round to the next; none where there is one round.
pub(super) fn interval(command: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse::<u32>().ok().filter(|seconds| *seconds > 0 && !text.starts_with('+'));
    let bad = || Failure::new(command, format!("interval '{text}' is not a number of seconds from 1"));
    seconds.map(|seconds| Some(Duration::from_secs(seconds.into()))).ok_or_else(bad)
}

/// Shows rows of the links that `find` finds: once, or with an interval until it is interrupted.
pub(super) fn show(
    session: &mut Session<'_>,
    printer: &mut Printer,
    interval: Option<Duration>,
    find: impl Fn(&mut Session<'_>) -> Result<Vec<LinkInfo>, Error>,
    rows: impl Fn(&[LinkInfo]) -> Vec<Vec<Cell>>,
) -> Result<(), Error> {
    let mut rounds = Rounds::default();
    loop {
        let links = find(session)?;
        let text = printer.render(&rows(&rounds.advance(links)));
        session.show(&text)?;
        let Some(interval) = interval else { return Ok(()) };
        if (session.pause)(interval).is_break() {
            return Ok(());
        }
    }
}

/// The columns LINK to OERRORS, which every table of link counters has.
pub(super) const COLUMNS: [Column; 7] = [
    Column::new("LINK", 15),
    Column::new("IPACKETS", 10),
    Column::new("RBYTES", 8),
    Column::new("IERRORS", 10),
    Column::new("OPACKETS", 12),
    Column::new("OBYTES", 12),
    Column::new("OERRORS", 8),
];

/// One row under [`COLUMNS`].
pub(super) fn row(link: &LinkInfo) -> Vec<Cell> {
    let counters = &link.counters;
    vec![
        Cell::text(&link.name),
        Cell::number(counters.in_frames),
        Cell::number(counters.in_bytes),
        Cell::number(counters.in_drops),
        Cell::number(counters.out_frames),
        Cell::number(counters.out_bytes),
        Cell::number(counters.out_drops),
    ]
}

/// What each link had carried in the round before.
#[derive(Debug, Default)]
struct Rounds {
    before: HashMap<LinkId, LinkCounters>,
}

impl Rounds {
    /// The links with what they have carried since the last round; the total for those new in this one.
    fn advance(&mut self, links: Vec<LinkInfo>) -> Vec<LinkInfo> {
        let totals = links.iter().map(|link| (link.id, link.counters)).collect();
        let before = std::mem::replace(&mut self.before, totals);
        let since = |link: LinkInfo| match before.get(&link.id) {
            Some(before) => LinkInfo { counters: added(link.counters, before), ..link },
            None => link,
        };
        links.into_iter().map(since).collect()
    }
}

/// A counter that has gone back counts anew: the driver was started in between.
fn added(now: LinkCounters, before: &LinkCounters) -> LinkCounters {
    let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
    LinkCounters {
        in_frames: since(now.in_frames, before.in_frames),
        in_bytes: since(now.in_bytes, before.in_bytes),
        in_drops: since(now.in_drops, before.in_drops),
        out_frames: since(now.out_frames, before.out_frames),
        out_bytes: since(now.out_bytes, before.out_bytes),
        out_drops: since(now.out_drops, before.out_drops),
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin;
    use super::*;

    fn round(rounds: &mut Rounds, in_frames: u64) -> u64 {
        let mut link = twin::vnic();
        link.counters = LinkCounters { in_frames, ..LinkCounters::default() };
        rounds.advance(vec![link])[0].counters.in_frames
    }

    #[test]
    fn the_first_round_is_the_total_and_the_next_what_was_added() {
        let mut rounds = Rounds::default();
        assert_eq!([10, 15, 15].map(|total| round(&mut rounds, total)), [10, 5, 0]);
    }

    #[test]
    fn counters_that_begin_anew_are_shown_as_they_are() {
        let mut rounds = Rounds::default();
        assert_eq!([10, 3, 4].map(|total| round(&mut rounds, total)), [10, 3, 1]);
    }

    #[test]
    fn an_interval_is_a_number_of_seconds_from_1() {
        let parse = |text: &str| interval("show-link", Some(text));
        assert_eq!(parse("2"), Ok(Some(Duration::from_secs(2))));
        for text in ["0", "-1", "+1", "1.5", "", "s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
