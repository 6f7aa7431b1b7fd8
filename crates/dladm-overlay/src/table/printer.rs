use super::human::{self, Shown};
use super::selection::{Selection, select};
use super::{Cell, Column, SelectionError, json, parsable};

/// How a table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A header and padded columns.
    Human,
    /// The same, with long lists broken at their commas.
    Wrapped,
    /// Values between colons, for scripts.
    Parsable,
    /// An array of objects.
    Json,
}

/// Turns rows into text, some or many at a time.
#[derive(Debug)]
pub(crate) struct Printer {
    columns: Vec<Column>,
    picked: Vec<usize>,
    style: Style,
    page: usize,
    /// Lines that are left of this page.
    left: usize,
    colour: bool,
}

impl Printer {
    /// One for the fields in `asked` out of `columns`, on a terminal of `height` lines; with it a warning,
    /// where some of the fields do not exist.
    ///
    /// # Errors
    /// [`SelectionError`].
    pub(crate) fn new(
        columns: &[Column],
        asked: Option<&str>,
        style: Style,
        height: usize,
    ) -> Result<(Self, Option<String>), SelectionError> {
        let Selection { picked, warning } = select(columns, asked, style)?;
        let columns = picked.iter().map(|at| columns[*at]).collect();
        // The header takes one line of each page.
        let page = height.saturating_sub(1).max(1);
        Ok((Self { columns, picked, style, page, left: 0, colour: false }, warning))
    }

    /// The same for a terminal with colours, or for anything else.
    pub(crate) fn coloured(self, colour: bool) -> Self {
        Self { colour, ..self }
    }

    /// The text of rows, each with a cell for every column that there is.
    pub(crate) fn render(&mut self, rows: &[Vec<Cell>]) -> String {
        let picked: Vec<Vec<&Cell>> =
            rows.iter().map(|cells| self.picked.iter().map(|at| &cells[*at]).collect()).collect();
        if self.style == Style::Json {
            return json::array(&self.columns, &picked);
        }
        picked.iter().map(|cells| self.row(cells)).collect()
    }

    fn row(&mut self, cells: &[&Cell]) -> String {
        if self.style == Style::Parsable {
            let texts: Vec<_> = cells.iter().map(|cell| one_line(&cell.text)).collect();
            return parsable::row(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let text = |cell: &&Cell| one_line(cell.shown.as_ref().unwrap_or(&cell.text));
        let texts: Vec<_> = cells.iter().map(text).collect();
        let alarm = |cell: &Cell| cell.alarm && self.colour;
        let shown = texts.iter().zip(cells).map(|(text, cell)| Shown { text, alarm: alarm(cell) });
        let row = human::row(&self.columns, &shown.collect::<Vec<_>>(), self.style == Style::Wrapped);
        self.on_page(row)
    }

    /// The row, after the header where a page begins.
    fn on_page(&mut self, row: String) -> String {
        let (lines, begins) = (row.lines().count(), self.left == 0);
        let left = if begins { self.page } else { self.left };
        self.left = left.saturating_sub(lines);
        if begins { human::header(&self.columns) + &row } else { row }
    }
}

/// A message may hold anything; a row is one line of a terminal.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::new("LINK", 6), Column::new("MTU", 4)];

    fn rows(count: u32) -> Vec<Vec<Cell>> {
        (0..count).map(|at| vec![Cell::text("a0"), Cell::number(at)]).collect()
    }

    fn printer(asked: Option<&str>, style: Style, height: usize) -> Printer {
        Printer::new(COLUMNS, asked, style, height).unwrap().0
    }

    #[test]
    fn the_header_comes_back_on_every_page() {
        let mut printer = printer(None, Style::Human, 3);
        assert_eq!(printer.render(&rows(3)), "LINK  MTU\na0    0\na0    1\nLINK  MTU\na0    2\n");
        assert_eq!(printer.render(&rows(2)), "a0    0\nLINK  MTU\na0    1\n");
    }

    #[test]
    fn a_page_is_full_of_lines_not_of_rows() {
        let mut printer = printer(None, Style::Wrapped, 4);
        let rows = vec![vec![Cell::text("a0"), Cell::text("up,down")]; 3];
        let row = "a0    up,\n      down\n";
        assert_eq!(printer.render(&rows), format!("LINK  MTU\n{row}{row}LINK  MTU\n{row}"));
    }

    #[test]
    fn colours_are_for_people_on_a_terminal() {
        let rows = [vec![Cell::text("a0").alarming(true), Cell::number(1u32).alarming(false)]];
        for (style, colour, expected) in [
            (Style::Human, true, "LINK  MTU\n\x1b[31ma0\x1b[0m    1\n"),
            (Style::Human, false, "LINK  MTU\na0    1\n"),
            (Style::Parsable, true, "a0:1\n"),
            (Style::Json, true, "[\n  {\"link\": \"a0\", \"mtu\": 1}\n]\n"),
        ] {
            assert_eq!(printer(Some("link,mtu"), style, 24).coloured(colour).render(&rows), expected);
        }
    }

    #[test]
    fn no_rows_have_no_header() {
        assert_eq!(printer(None, Style::Human, 24).render(&[]), "");
        assert_eq!(printer(None, Style::Json, 24).render(&[]), "[]\n");
    }

    #[test]
    fn fields_come_in_the_order_asked_for() {
        assert_eq!(printer(Some("mtu,link"), Style::Parsable, 24).render(&rows(1)), "0:a0\n");
        assert_eq!(printer(Some("mtu"), Style::Json, 24).render(&rows(1)), "[\n  {\"mtu\": 0}\n]\n");
    }

    #[test]
    fn what_people_are_shown_is_not_for_scripts_and_programs() {
        let rows = [vec![Cell::text("a0"), Cell::number(1450u32).shown("1450 (auto)".to_owned())]];
        assert_eq!(printer(None, Style::Human, 24).render(&rows), "LINK  MTU\na0    1450 (auto)\n");
        assert_eq!(printer(Some("mtu"), Style::Parsable, 24).render(&rows), "1450\n");
        assert_eq!(printer(Some("mtu"), Style::Json, 24).render(&rows), "[\n  {\"mtu\": 1450}\n]\n");
    }

    #[test]
    fn a_value_cannot_break_its_line() {
        let rows = [vec![Cell::text("a\n\x1b[31m0"), Cell::number(1u32)]];
        assert_eq!(printer(Some("link"), Style::Parsable, 24).render(&rows), "a  [31m0\n");
    }
}
