use std::iter::repeat_n;

use super::Column;

/// What people see where there is no value.
const NOTHING: &str = "--";

/// What is before a value that people are to notice, and what is after it (ECMA-48: red, and as before).
const ALARM: (&str, &str) = ("\x1b[31m", "\x1b[0m");

/// A value as people see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// In words.
    pub(super) text: &'a str,
    /// Whether they are red.
    pub(super) alarm: bool,
}

impl<'a> Shown<'a> {
    const fn plain(text: &'a str) -> Self {
        Self { text, alarm: false }
    }
}

/// The header line.
pub(super) fn header(columns: &[Column]) -> String {
    line(columns, &columns.iter().map(|column| Shown::plain(column.name)).collect::<Vec<_>>())
}

/// One row as lines; with `wrap`, values too long for their column go on in further lines, broken at commas.
pub(super) fn row(columns: &[Column], cells: &[Shown<'_>], wrap: bool) -> String {
    let shown = cells.iter().map(|cell| if cell.text.is_empty() { Shown::plain(NOTHING) } else { *cell });
    if !wrap {
        return line(columns, &shown.collect::<Vec<_>>());
    }
    let pieces: Vec<_> =
        shown.zip(columns).map(|(cell, column)| (pieces(cell.text, column.width), cell.alarm)).collect();
    let height = pieces.iter().map(|(pieces, _)| pieces.len()).max().unwrap_or(0);
    let part = |at: usize| {
        let piece = |(pieces, alarm): &(Vec<_>, bool)| match pieces.get(at) {
            Some(&text) => Shown { text, alarm: *alarm },
            None => Shown::plain(""),
        };
        pieces.iter().map(piece).collect::<Vec<_>>()
    };
    (0..height).map(|at| line(columns, &part(at))).collect()
}

/// Pads every value but the last to its column. A value too long is whole, and the next columns give up
/// padding until the line has caught up (libofmt, ofmt.c).
fn line(columns: &[Column], cells: &[Shown<'_>]) -> String {
    let mut line = String::new();
    let mut overflow = 0;
    for (column, cell) in columns.iter().zip(cells) {
        let len = cell.text.chars().count();
        let width = if len + overflow >= column.width {
            overflow = overflow + len + 1 - column.width;
            len + 1
        } else {
            column.width - std::mem::take(&mut overflow)
        };
        let (before, after) = if cell.alarm { ALARM } else { ("", "") };
        line.extend([before, cell.text, after]);
        line.extend(repeat_n(' ', width - len));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// The value in pieces that each fit in `width` with a blank after them, as far as commas allow.
fn pieces(value: &str, width: usize) -> Vec<&str> {
    let (mut pieces, mut start, mut end) = (Vec::new(), 0, 0);
    for part in value.split_inclusive(',') {
        if end > start && end + part.len() - start >= width {
            pieces.push(&value[start..end]);
            start = end;
        }
        end += part.len();
    }
    pieces.push(&value[start..end]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: &[Column] = &[Column::new("A", 4), Column::new("B", 6), Column::new("C", 5)];

    fn row(columns: &[Column], texts: &[&str], wrap: bool) -> String {
        let cells: Vec<_> = texts.iter().map(|text| Shown::plain(text)).collect();
        super::row(columns, &cells, wrap)
    }

    #[test]
    fn what_is_red_takes_no_more_room() {
        let cells = ["1", "2,3,4,5", "6"].map(|text| Shown { text, alarm: text != "1" });
        let red = |text: &str| format!("\x1b[31m{text}\x1b[0m");
        let expected = format!("1   {} {}\n    {}\n", red("2,3,") + " ", red("6"), red("4,5"));
        assert_eq!(super::row(COLUMNS, &cells, true), expected);
        assert_eq!(
            expected.replace("\x1b[31m", "").replace("\x1b[0m", ""),
            row(COLUMNS, &["1", "2,3,4,5", "6"], true)
        );
    }

    #[test]
    fn columns_are_padded_and_the_last_is_not() {
        assert_eq!(header(COLUMNS), "A   B     C\n");
        assert_eq!(row(COLUMNS, &["1", "2", "3"], false), "1   2     3\n");
    }

    #[test]
    fn an_empty_value_is_two_dashes() {
        assert_eq!(row(COLUMNS, &["", "2", ""], false), "--  2     --\n");
    }

    #[test]
    fn the_columns_after_a_long_value_catch_up() {
        assert_eq!(row(COLUMNS, &["12345", "2", "3"], false), "12345 2   3\n");
        assert_eq!(row(COLUMNS, &["1234567", "234", "3"], false), "1234567 234 3\n");
        assert_eq!(row(COLUMNS, &["1234", "2", "3"], false), "1234 2    3\n");
    }

    #[test]
    fn a_long_value_goes_on_in_lines_with_blank_columns() {
        let wrapped = row(COLUMNS, &["1", "one,two,six,a", "x"], true);
        assert_eq!(wrapped, "1   one,  x\n    two,\n    six,a\n");
        assert_eq!(row(COLUMNS, &["1", "2", "up,down"], true), "1   2     up,\n          down\n");
    }

    #[test]
    fn a_piece_leaves_room_for_the_blank_after_it() {
        assert_eq!(pieces("ab,cd,", 6), ["ab,", "cd,"]);
        assert_eq!(pieces("ab,cd,", 7), ["ab,cd,"]);
    }

    #[test]
    fn a_long_value_without_commas_stays_whole() {
        assert_eq!(row(COLUMNS, &["1", "123456789", "x"], true), "1   123456789 x\n");
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing(value in "[a-z,é]{0,40}", width in 1usize..20) {
            prop_assert_eq!(pieces(&value, width).concat(), value);
        }
    }
}
