//! What is told of a run.

pub(crate) mod json;
pub(crate) mod svg;
pub(crate) mod table;
#[cfg(test)]
mod twin;

use crate::figures::Series;
use crate::machine::Machine;
use crate::options::Extent;
use crate::rigs::{Cable, Kind};
use crate::rounds::Taken;
use crate::rows::{ROWS, Row};

/// A run's results.
pub(crate) struct Report<'a> {
    pub(crate) lines: Vec<Line<'a>>,
    /// What could not be set up, and why.
    pub(crate) left_out: &'a [(Kind, Cable, String)],
    pub(crate) machine: Machine,
    pub(crate) extent: &'a Extent,
}

/// A row of the table with its figures, where there are some.
pub(crate) struct Line<'a> {
    pub(crate) row: &'static Row,
    pub(crate) ours: Option<&'a Series>,
    pub(crate) theirs: Option<&'a Series>,
}

impl<'a> Report<'a> {
    /// Of what was taken.
    pub(crate) fn new(taken: &'a Taken, machine: Machine, extent: &'a Extent) -> Self {
        let line = |row: &'static Row| Line {
            row,
            ours: taken.figures(row.work, Kind::Ours),
            theirs: taken.figures(row.work, row.peer),
        };
        Self { lines: ROWS.iter().map(line).collect(), left_out: &taken.left_out, machine, extent }
    }
}

impl Line<'_> {
    /// Our median to the peer's; none without both, or when the peer got nothing through.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.ours?.median(), self.theirs?.median());
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// Whether it reaches what is asked.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        self.ratio().map(|ratio| self.row.bar.is_reached(ratio))
    }
}
