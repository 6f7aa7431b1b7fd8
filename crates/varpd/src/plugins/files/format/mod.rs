//! The file: a JSON object with an entry for each MAC address (`docs/files.md`). Pure.
//!
//! It is read in one pass, without a tree of values, so that serde_json says where something is wrong.

mod document;
mod entry;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use overlay_core::types::MacAddr;
use serde::de::DeserializeSeed;

use super::table::{Shadowed, Table};
use document::Document;

/// Characters of a reason; what a file has there can be as long as the file.
const REASON_MAX: usize = 400;

/// Why a file is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct LoadError {
    /// Where, at the end of what is wrong.
    pub place: Place,
    /// What is wrong, in one line.
    pub reason: String,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The octet in it, from 1; 0 before the first.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// What a file is loaded in spite of, and its author may want to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Where something begins that stands after the closing bracket, and is ignored as in illumos.
    pub trailing: Option<Place>,
    /// An inner address of two MAC addresses, the first of those.
    pub shadowed: Option<Shadowed>,
    /// The first key of an entry that means nothing, as in illumos, and may be a slip of the hand.
    pub ignored: Option<(MacAddr, String)>,
}

/// Reads a file's content.
///
/// # Errors
/// It is no JSON object, or an entry of it is not right: the first place where that shows.
pub fn parse(bytes: &[u8]) -> Result<Table, LoadError> {
    parse_with_notes(bytes).map(|(table, _)| table)
}

/// The same, with what is strange about it.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_notes(bytes: &[u8]) -> Result<(Table, Notes), LoadError> {
    if bytes.trim_ascii().is_empty() {
        let place = Place { line: 1, column: 0 };
        return Err(LoadError { place, reason: "the file is empty".to_owned() });
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let mut draft = Document.deserialize(&mut input)?;
    let trailing = input.end().err().map(|error| Place::of(&error));
    let ignored = draft.ignored.take();
    let (table, shadowed) = draft.finish();
    Ok((table, Notes { trailing, shadowed, ignored }))
}

impl Place {
    fn of(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

impl From<serde_json::Error> for LoadError {
    fn from(error: serde_json::Error) -> Self {
        let place = Place::of(&error);
        let suffix = format!(" at line {} column {}", place.line, place.column);
        let mut reason = error.to_string();
        reason.truncate(reason.strip_suffix(&suffix).unwrap_or(&reason).len());
        if let Some((end, _)) = reason.char_indices().nth(REASON_MAX) {
            reason.truncate(end);
            reason.push('…');
        }
        Self { place, reason }
    }
}
