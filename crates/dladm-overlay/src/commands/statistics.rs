//! What links have carried.

use std::ops::ControlFlow;
use std::time::Duration;

use overlay_core::protocol::{LinkCounters, LinkInfo};
use overlay_core::types::LinkId;

use super::Outcome;
use super::rounds::{self, Rounds};
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
    let mut counted = Rounds::default();
    let shown = rounds::repeat(session, interval, |session| {
        let links = since(&mut counted, find(session)?);
        let text = printer.render(&rows(&links));
        session.show(&text)?;
        Ok(ControlFlow::Continue(Outcome::Whole))
    });
    shown.map(drop)
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

/// The links with what they have carried since the last round.
fn since(counted: &mut Rounds<(LinkId, usize)>, mut links: Vec<LinkInfo>) -> Vec<LinkInfo> {
    counted.advance();
    for link in &mut links {
        let LinkCounters { in_frames, in_bytes, in_drops, out_frames, out_bytes, out_drops } =
            &mut link.counters;
        let counters = [in_frames, in_bytes, in_drops, out_frames, out_bytes, out_drops];
        for (at, counter) in counters.into_iter().enumerate() {
            *counter = counted.since((link.id, at), *counter);
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::super::twin;
    use super::*;

    #[test]
    fn each_counter_of_each_link_is_held_against_its_own() {
        let mut counted = Rounds::default();
        let mut round = |in_frames, out_drops| {
            let mut link = twin::vnic();
            link.counters = LinkCounters { in_frames, out_drops, ..LinkCounters::default() };
            let counters = since(&mut counted, vec![link])[0].counters;
            (counters.in_frames, counters.out_drops)
        };
        assert_eq!([round(10, 7), round(15, 8)], [(10, 7), (5, 1)]);
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
