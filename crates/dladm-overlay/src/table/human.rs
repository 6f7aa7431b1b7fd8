use std::iter::repeat_n;

use super::Column;

/// What people see where there is no value.
const NOTHING: &str = "--";

/// The header line.
pub(super) fn header(columns: &[Column]) -> String {
    line(columns, &columns.iter().map(|column| column.name).collect::<Vec<_>>())
}

/// One row as lines; with `wrap`, values too long for their column go on in further lines, broken at commas.
pub(super) fn row(columns: &[Column], cells: &[&str], wrap: bool) -> String {
    let shown = cells.iter().map(|cell| if cell.is_empty() { NOTHING } else { cell });
    if !wrap {
        return line(columns, &shown.collect::<Vec<_>>());
    }
    let pieces: Vec<_> = shown.zip(columns).map(|(cell, column)| pieces(cell, column.width)).collect();
    let height = pieces.iter().map(Vec::len).max().unwrap_or(0);
    let part = |at| pieces.iter().map(|cell| cell.get(at).copied().unwrap_or("")).collect::<Vec<_>>();
    (0..height).map(|at| line(columns, &part(at))).collect()
}

/// Pads every value but the last to its column. A value too long is whole, and the next columns give up
/// padding until the line has caught up (libofmt, ofmt.c).
fn line(columns: &[Column], cells: &[&str]) -> String {
    let mut line = String::new();
    let mut overflow = 0;
    for (column, cell) in columns.iter().zip(cells) {
        let len = cell.chars().count();
        let width = if len + overflow >= column.width {
            overflow = overflow + len + 1 - column.width;
            len + 1
        } else {
            column.width - std::mem::take(&mut overflow)
        };
        line.push_str(cell);
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
