/// One row for scripts: values between colons. `:` and `\` in a value get a backslash, but where only one
/// field was asked for there is nothing to tell apart (libofmt, ofmt.c).
pub(super) fn row(cells: &[&str]) -> String {
    let values: Vec<_> = match cells {
        [only] => vec![(*only).to_owned()],
        several => several.iter().map(|cell| escaped(cell)).collect(),
    };
    values.join(":") + "\n"
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace(':', r"\:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_values_are_escaped() {
        assert_eq!(row(&["blue0", "2001:db8::1", r"a\b"]), "blue0:2001\\:db8\\:\\:1:a\\\\b\n");
    }

    #[test]
    fn a_single_field_is_not_escaped() {
        assert_eq!(row(&[r"2:8\20"]), "2:8\\20\n");
    }

    #[test]
    fn an_empty_value_is_empty() {
        assert_eq!(row(&["a", "", "b"]), "a::b\n");
        assert_eq!(row(&[""]), "\n");
    }
}
