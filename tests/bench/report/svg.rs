//! The ratios against what is asked, drawn: one bar for each row, longer is better, and a line at what is asked.

use super::{Line, Report};

const WIDTH: usize = 780;
const MARGIN: usize = 20;
const HEAD: usize = 64;
const PITCH: usize = 46;
const FOOT: usize = 34;
/// How many times what is asked fits into the picture.
const SCALE: f64 = 2.0;

/// The picture brings its own background, so that it can be read wherever it stands; it follows the reader's scheme.
const STYLE: &str = "\
text{font:14px system-ui,sans-serif;fill:#1f2328}.title{font-size:16px;font-weight:600}.small{font-size:12px;fill:#59636e}\
.page{fill:#fff}.lane{fill:#eaeef2}.reached{fill:#1a7f64}.short{fill:#bc4c00}.asked{stroke:#1f2328;stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}.page{fill:#0d1117}.lane{fill:#21262d}\
.reached{fill:#2ea98a}.short{fill:#e0823d}.asked{stroke:#e6edf3}}";

/// The drawing, as an SVG document.
pub(crate) fn draw(report: &Report<'_>) -> String {
    let height = HEAD + report.lines.len() * PITCH + FOOT;
    let title = "overlay against its peers, as a part of what is asked";
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    svg += &text("title", MARGIN, 28, "start", title);
    svg += &text("small", MARGIN, 48, "start", &report.machine.show());
    for (place, line) in report.lines.iter().enumerate() {
        svg += &row(line, HEAD + place * PITCH);
    }
    let note =
        "The line is what is asked: a bar that ends behind it has reached it. Longer is better in every row.";
    svg += &text("small", MARGIN, height - 14, "start", note);
    svg + "</svg>\n"
}

fn row(line: &Line<'_>, top: usize) -> String {
    let (lane, right, bottom) = (WIDTH - 2 * MARGIN, WIDTH - MARGIN, top + 34);
    let label = format!("{}, against {}", line.row.work.title(), line.row.peer.title());
    let told = match line.ratio() {
        Some(ratio) => format!("{ratio:.2} (asked: {})", line.row.bar.show()),
        None => format!("left out (asked: {})", line.row.bar.show()),
    };
    let mut svg = text("label", MARGIN, top + 14, "start", &label);
    svg += &text("figure", right, top + 14, "end", &told);
    svg += &rect("lane", top, lane as f64);
    if let (Some(ratio), Some(reached)) = (line.ratio(), line.is_reached()) {
        let part = (line.row.bar.progress(ratio) / SCALE).min(1.0);
        svg += &rect(if reached { "reached" } else { "short" }, top, part * lane as f64);
    }
    let asked = MARGIN as f64 + lane as f64 / SCALE;
    svg + &format!(
        "<line class=\"asked\" x1=\"{asked:.1}\" x2=\"{asked:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\n",
        top + 18
    )
}

fn rect(class: &str, top: usize, width: f64) -> String {
    let y = top + 20;
    format!(
        "<rect class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\" width=\"{width:.1}\" height=\"12\" rx=\"2\"/>\n"
    )
}

fn text(class: &str, x: usize, y: usize, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::super::twin::with_report;
    use super::*;
    use crate::rows::ROWS;

    #[test]
    fn every_row_with_figures_has_one_bar_and_each_row_its_line() {
        with_report(|report| {
            let svg = draw(report);
            let count = |part: &str| svg.matches(part).count();
            assert_eq!((count("class=\"short\""), count("class=\"reached\"")), (ROWS.len() - 3, 1));
            assert_eq!((count("class=\"asked\""), count("class=\"lane\"")), (ROWS.len(), ROWS.len()));
            assert_eq!(count("left out"), 2);
        });
    }

    #[test]
    fn a_bar_at_half_of_what_is_asked_ends_half_way_to_the_line() {
        with_report(|report| {
            let svg = draw(report);
            assert!(svg.contains("class=\"short\" x=\"20\" y=\"84\" width=\"185.0\""), "{svg}");
            assert!(svg.contains("class=\"asked\" x1=\"390.0\""));
            assert!(
                svg.contains("class=\"reached\" x=\"20\" y=\"406\" width=\"740.0\""),
                "no further than the lane: {svg}"
            );
        });
    }

    #[test]
    fn labels_are_text_that_cannot_break_the_document() {
        with_report(|report| {
            let svg = draw(report);
            assert!(svg.contains("A &amp; B</text>"));
            assert!(svg.contains(">one TCP stream, against kernel vxlan</text>"));
            let open = svg.matches('<').count();
            assert_eq!(open, svg.matches('>').count());
        });
    }
}
