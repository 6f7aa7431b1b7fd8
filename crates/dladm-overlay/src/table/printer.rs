use super::selection::{Selection, select};
use super::{Cell, Column, SelectionError, human, json, parsable};

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
    printed: usize,
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
        Ok((Self { columns, picked, style, page, printed: 0 }, warning))
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
        let for_scripts = self.style == Style::Parsable;
        let text = |cell: &&Cell| match &cell.shown {
            Some(shown) if !for_scripts => one_line(shown),
            _ => one_line(&cell.text),
        };
        let texts: Vec<_> = cells.iter().map(text).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        if for_scripts {
            return parsable::row(&texts);
        }
        let row = human::row(&self.columns, &texts, self.style == Style::Wrapped);
        let first = self.printed.is_multiple_of(self.page);
        self.printed += 1;
        if first { human::header(&self.columns) + &row } else { row }
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
