//! A run made up, for the tests of this folder.

use std::time::Duration;

use super::Report;
use crate::machine::Machine;
use crate::options::Extent;
use crate::rigs::{Cable, Kind};
use crate::rounds::Taken;
use crate::rows::ROWS;

/// One in which every row is at half of what is asked, but the round trips are at three quarters of what the kernel needs;
/// and Open vSwitch is missing.
pub(super) fn taken() -> Taken {
    let mut taken = Taken::default();
    for row in ROWS.iter().filter(|row| row.peer == Kind::Kernel) {
        let ours = if row.bar.relation() == "at most" { 0.75 } else { row.bar.limit() / 2.0 };
        taken.put(row.work, Kind::Ours, &[ours * 2e9, ours * 1e9, 0.0]);
        taken.put(row.work, Kind::Kernel, &[1e9, 1e9, 1e9]);
    }
    taken.left_out.push((Kind::Ovs, Cable::Plain, "a \"<reason>\"\nof two lines".to_owned()));
    taken
}

pub(super) fn with_report(check: impl Fn(&Report<'_>)) {
    let extent = Extent { rounds: 3, length: Duration::from_secs(2) };
    let machine = Machine {
        kernel: "6.18.1".to_owned(),
        architecture: "x86_64".to_owned(),
        processors: 2,
        processor: "A & B".to_owned(),
        ovs: None,
    };
    check(&Report::new(&taken(), machine, &extent));
}
