use std::fmt::Display;

use serde_json::Value;

/// The value of a field in one row, as text and for programs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// As people and scripts see it; empty where there is no value.
    pub(super) text: String,
    /// As JSON has it.
    pub(super) json: Value,
}

impl Cell {
    /// A text.
    pub(crate) fn text(text: impl Display) -> Self {
        let text = text.to_string();
        Self { json: Value::from(&*text), text }
    }

    /// A number.
    pub(crate) fn number(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self { text: number.to_string(), json: number.into() }
    }

    /// A value of a property as a user would type it: a number in JSON where it is one by its kind.
    pub(crate) fn typed(text: &str, numeric: bool) -> Self {
        let number = text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
        match number {
            Ok(json) if numeric => Self { text: text.to_owned(), json },
            _ => Self::text(text),
        }
    }

    /// `part` of `whole` in percent, with one decimal.
    pub(crate) fn percent(part: u64, whole: u64) -> Self {
        let percent = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
        let rounded = (percent * 10.0).round() / 10.0;
        Self { text: format!("{rounded:.1}"), json: rounded.into() }
    }

    /// Whether something is so: `y` or `-`.
    pub(crate) fn flag(so: bool) -> Self {
        Self { text: if so { "y" } else { "-" }.to_owned(), json: so.into() }
    }

    /// No value.
    pub(crate) const fn empty() -> Self {
        Self { text: String::new(), json: Value::Null }
    }

    /// No value, where people and scripts see `text` in its place.
    pub(crate) fn absent(text: &str) -> Self {
        Self { text: text.to_owned(), json: Value::Null }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_numeric_by_its_kind_becomes_a_number() {
        assert_eq!(Cell::typed("23", true).json, 23);
        assert_eq!(Cell::typed("-1", true).json, -1);
        assert_eq!(Cell::typed("18446744073709551615", true).json, u64::MAX);
        assert_eq!(Cell::typed("23", false).json, "23");
        assert_eq!(Cell::typed("auto", true).json, "auto");
    }

    #[test]
    fn a_percentage_of_nothing_is_zero() {
        assert_eq!(Cell::percent(0, 0).text, "0.0");
        assert_eq!(Cell::percent(1, 3).text, "33.3");
    }
}
