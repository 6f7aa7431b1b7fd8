//! Rows under columns: which fields are shown, and how they look to people, to scripts and as JSON. Pure.

mod cell;
mod human;
mod json;
mod parsable;
mod printer;
mod selection;

pub(crate) use cell::Cell;
pub(crate) use printer::{Printer, Style};
pub(crate) use selection::SelectionError;

/// A field that a `show` command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its header; `-o` takes it in any case, JSON has it in lower case.
    pub(crate) name: &'static str,
    /// Characters it takes in a line, the blank after it included.
    pub(crate) width: usize,
    /// Whether it is shown only where it, or all, is asked for.
    pub(crate) on_request: bool,
}

impl Column {
    /// One of `name` and `width`.
    pub(crate) const fn new(name: &'static str, width: usize) -> Self {
        Self { name, width, on_request: false }
    }

    /// The same, shown only on request.
    pub(crate) const fn on_request(self) -> Self {
        Self { on_request: true, ..self }
    }
}
