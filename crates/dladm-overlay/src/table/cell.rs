use std::fmt::Display;

use serde_json::Value;

/// The value of a field in one row, as text and for programs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// As people and scripts see it; empty where there is no value.
    pub(super) text: String,
    /// As people alone see it, where that is another.
    pub(super) shown: Option<String>,
    /// Whether people are to notice it; what it says, it says in words.
    pub(super) alarm: bool,
    /// As JSON has it.
    pub(super) json: Value,
}

impl Cell {
    /// A text.
    pub(crate) fn text(text: impl Display) -> Self {
        let text = text.to_string();
        Self::new(Value::from(&*text), text)
    }

    /// A text, where there is one.
    pub(crate) fn maybe(text: Option<impl Display>) -> Self {
        text.map_or_else(Self::empty, Self::text)
    }

    /// A number.
    pub(crate) fn number(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self::new(number, number.to_string())
    }

    /// A value of a property as a user would type it: a number in JSON where it is one by its kind.
    pub(crate) fn typed(text: &str, numeric: bool) -> Self {
        let number = text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
        match number {
            Ok(json) if numeric => Self::new(json, text.to_owned()),
            _ => Self::text(text),
        }
    }

    /// A rate in Mbit/s, perhaps with decimals; people see it right-aligned, as in illumos (linkprop.c).
    pub(crate) fn rate(text: &str) -> Self {
        let json = text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from);
        Self::new(json, text.to_owned()).shown(format!("{text:>5}"))
    }

    /// `part` of `whole` in percent, with one decimal.
    pub(crate) fn percent(part: u64, whole: u64) -> Self {
        let percent = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
        let rounded = (percent * 10.0).round() / 10.0;
        Self::new(rounded, format!("{rounded:.1}"))
    }

    /// Whether something is so: `y` or `-`.
    pub(crate) fn flag(so: bool) -> Self {
        Self::new(so, if so { "y" } else { "-" }.to_owned())
    }

    /// No value.
    pub(crate) const fn empty() -> Self {
        Self { text: String::new(), shown: None, alarm: false, json: Value::Null }
    }

    /// No value, where people and scripts see `text` in its place.
    pub(crate) fn absent(text: &str) -> Self {
        Self::new(Value::Null, text.to_owned())
    }

    /// The same value, shown to people as `text`.
    #[must_use]
    pub(crate) fn shown(self, text: String) -> Self {
        Self { shown: Some(text), ..self }
    }

    /// The same, red for people where `so` and where there are colours.
    #[must_use]
    pub(crate) fn alarming(self, so: bool) -> Self {
        Self { alarm: so, ..self }
    }

    /// As scripts see it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The number that it is, if it is one.
    pub(crate) fn count(&self) -> Option<u64> {
        self.json.as_u64()
    }

    fn new(json: impl Into<Value>, text: String) -> Self {
        Self { text, shown: None, alarm: false, json: json.into() }
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
    fn a_rate_is_a_number_and_right_aligned_for_people() {
        let rate = Cell::rate("1.200");
        assert_eq!((&*rate.text, rate.json), ("1.200", 1.2.into()));
        assert_eq!(Cell::rate("100").shown.as_deref(), Some("  100"));
    }

    #[test]
    fn a_percentage_of_nothing_is_zero() {
        assert_eq!(Cell::percent(0, 0).text, "0.0");
        assert_eq!(Cell::percent(1, 3).text, "33.3");
    }
}
