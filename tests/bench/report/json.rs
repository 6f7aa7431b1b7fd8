use serde_json::{Value, json};

use super::{Line, Report};
use crate::figures::Series;

/// The results with the figures of every round, as a JSON document.
pub(crate) fn show(report: &Report<'_>) -> String {
    let machine = &report.machine;
    let left_out = report
        .left_out
        .iter()
        .map(|(kind, cable, why)| json!({ "rig": kind.title(), "underlay": cable.title(), "why": why }));
    let document = json!({
        "machine": {
            "kernel": machine.kernel,
            "architecture": machine.architecture,
            "processors": machine.processors,
            "processor": machine.processor,
            "ovs": machine.ovs,
        },
        "rounds": report.extent.rounds,
        "seconds": report.extent.length.as_secs(),
        "mtu": crate::rigs::MTU,
        "rows": report.lines.iter().map(row).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn row(line: &Line<'_>) -> Value {
    let work = line.row.work;
    json!({
        "work": work.measure.title(),
        "underlay": work.cable.title(),
        "unit": work.measure.unit(),
        "overlay": line.ours.map(series),
        "peer": line.row.peer.title(),
        "theirs": line.theirs.map(series),
        "ratio": line.ratio(),
        "asked": { "relation": line.row.bar.relation(), "ratio": line.row.bar.limit() },
        "reached": line.is_reached(),
    })
}

fn series(series: &Series) -> Value {
    json!({ "median": series.median(), "rounds": series.rounds() })
}

#[cfg(test)]
mod tests {
    use super::super::twin::with_report;
    use super::*;

    fn document(report: &Report<'_>) -> Value {
        serde_json::from_str(&show(report)).unwrap()
    }

    #[test]
    fn every_rounds_figures_are_there_with_their_median_and_ratio() {
        with_report(|report| {
            let row = &document(report)["rows"][0];
            assert_eq!((&row["work"], &row["unit"]), (&json!("one TCP stream"), &json!("bit/s")));
            assert_eq!(row["overlay"], json!({ "median": 0.3e9, "rounds": [0.6e9, 0.3e9, 0.0] }));
            assert_eq!((&row["peer"], &row["theirs"]["median"]), (&json!("kernel vxlan"), &json!(1e9)));
            assert_eq!(row["asked"], json!({ "relation": "at least", "ratio": 0.6 }));
            assert_eq!((&row["ratio"], &row["reached"]), (&json!(0.3), &json!(false)));
        });
    }

    #[test]
    fn the_machine_is_named_and_what_is_left_out_has_no_figures() {
        with_report(|report| {
            let document = document(report);
            assert_eq!(
                (&document["machine"]["kernel"], &document["machine"]["processors"]),
                (&json!("6.18.1"), &json!(2))
            );
            let row = &document["rows"][1];
            assert_eq!(row["peer"], "Open vSwitch");
            assert!(row["theirs"].is_null() && row["ratio"].is_null() && row["reached"].is_null());
            assert_eq!(document["left_out"][0]["rig"], "Open vSwitch");
        });
    }
}
