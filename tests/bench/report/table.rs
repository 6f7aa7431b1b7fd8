use super::{Line, Report};
use crate::figures::Series;

/// The table, for a terminal.
pub(crate) fn show(report: &Report<'_>) -> String {
    let mut text = format!("medians of {} rounds; {}\n\n", report.extent.rounds, report.machine.show());
    text += &format!(
        "{:<48} {:>13} {:<13} {:>13} {:>7}  {:<13}\n",
        "work", "overlay", "peer", "peer's", "ratio", "asked"
    );
    report.lines.iter().for_each(|line| text += &row(line));
    for (kind, cable, why) in report.left_out {
        text += &format!("\nleft out: {} over {}: {why}\n", kind.title(), cable.title());
    }
    text + "\nDatagrams are counted where they arrive, by the same two threads of this process for every set-up.\n"
}

fn row(line: &Line<'_>) -> String {
    let measure = line.row.work.measure;
    let show =
        |series: Option<&Series>| series.map_or("-".to_owned(), |series| measure.show(series.median()));
    let reached = match line.is_reached() {
        None => "left out",
        Some(true) => "reached",
        Some(false) => "not reached",
    };
    format!(
        "{:<48} {:>13} {:<13} {:>13} {:>7}  {:<13} {reached}\n",
        line.row.work.title(),
        show(line.ours),
        line.row.peer.title(),
        show(line.theirs),
        line.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        line.row.bar.show(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::twin::with_report;
    use super::*;
    use crate::rows::ROWS;

    /// A line with one blank between its words.
    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_row_has_its_figures_its_bar_and_a_verdict() {
        with_report(|report| {
            let text = show(report);
            let row = |title: &str| text.lines().find(|line| line.starts_with(title)).unwrap().to_owned();
            assert_eq!(
                words(&row("one TCP stream")),
                "one TCP stream 0.30 Gbit/s kernel vxlan 1.00 Gbit/s 0.30 at least 0.60 not reached"
            );
            assert!(words(&row("ping")).ends_with("0.75 at most 4.00 reached"));
            assert_eq!(text.lines().filter(|line| line.ends_with("reached")).count(), ROWS.len() - 2);
        });
    }

    #[test]
    fn what_is_left_out_is_told_and_has_no_figure() {
        with_report(|report| {
            let text = show(report);
            let rows: Vec<_> = text.lines().filter(|line| line.ends_with("left out")).map(words).collect();
            assert_eq!(rows.len(), 2);
            assert!(rows.iter().all(|row| row.contains("Open vSwitch - - ")), "{text}");
            assert!(text.contains("left out: Open vSwitch over plain veth: a \"<reason>\""));
        });
    }
}
