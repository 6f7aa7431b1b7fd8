//! What is measured against what, and what the ratio has to be.

use crate::figures::Bar;
use crate::measure::Measure;
use crate::rigs::{Cable, Kind};

/// A measure on rigs whose hosts are joined in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) measure: Measure,
    pub(crate) cable: Cable,
}

impl Work {
    /// What it is, in words.
    pub(crate) fn title(self) -> String {
        match self.cable {
            Cable::Plain => self.measure.title().to_owned(),
            cable => format!("{}, {}", self.measure.title(), cable.title()),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) peer: Kind,
    pub(crate) bar: Bar,
}

const fn row(measure: Measure, cable: Cable, peer: Kind, bar: Bar) -> Row {
    Row { work: Work { measure, cable }, peer, bar }
}

/// All of them.
pub(crate) static ROWS: [Row; 9] = [
    row(Measure::OneStream, Cable::Plain, Kind::Kernel, Bar::AtLeast(0.6)),
    row(Measure::OneStream, Cable::Plain, Kind::Ovs, Bar::AtLeast(7.0)),
    row(Measure::OneStream, Cable::Cut { gro: true }, Kind::Kernel, Bar::AtLeast(0.8)),
    row(Measure::OneStream, Cable::Cut { gro: false }, Kind::Kernel, Bar::AtLeast(0.55)),
    row(Measure::FourStreams, Cable::Plain, Kind::Kernel, Bar::AtLeast(0.6)),
    row(Measure::SmallDatagrams, Cable::Plain, Kind::Kernel, Bar::AtLeast(1.0)),
    row(Measure::LargeDatagrams, Cable::Plain, Kind::Kernel, Bar::AtLeast(1.0)),
    row(Measure::RoundTrip, Cable::Plain, Kind::Kernel, Bar::AtMost(4.0)),
    row(Measure::RoundTrip, Cable::Plain, Kind::Ovs, Bar::Below(0.5)),
];

/// The works on one kind of cable, in the order of the table.
pub(crate) fn works(cable: Cable) -> Vec<Work> {
    let mut works: Vec<Work> = ROWS.iter().map(|row| row.work).filter(|work| work.cable == cable).collect();
    works.dedup();
    works
}

/// Whose figures a work needs: ours first.
pub(crate) fn kinds(work: Work) -> Vec<Kind> {
    let peers = ROWS.iter().filter(|row| row.work == work).map(|row| row.peer);
    [Kind::Ours].into_iter().chain(peers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_measured_once_on_its_own_cable() {
        let works: Vec<_> = Cable::ALL.into_iter().flat_map(works).collect();
        for row in &ROWS {
            assert_eq!(works.iter().filter(|work| **work == row.work).count(), 1, "{row:?}");
            assert!(kinds(row.work).contains(&row.peer));
        }
    }

    #[test]
    fn no_two_rows_read_alike() {
        let titles = ROWS.iter().map(|row| (row.work.title(), row.peer.title()));
        assert_eq!(titles.collect::<std::collections::BTreeSet<_>>().len(), ROWS.len());
    }
}
