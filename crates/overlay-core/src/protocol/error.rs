use serde::{Deserialize, Serialize};

use crate::property::PropertyError;

/// What kind of failure it was, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request cannot be read, or a value in it is wrong.
    Invalid,
    /// Something it names does not exist.
    NotFound,
    /// Something it would make exists.
    Exists,
    /// It is in use.
    Busy,
    /// The caller has no right to it.
    Denied,
    /// A part that it needs is not there now; trying again later can help.
    Unavailable,
    /// The daemon does not do this.
    Unsupported,
    /// The system refused.
    Failed,
}

/// The one error of the protocol: what failed on what and why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one line, what and why.
    pub message: String,
    /// What to do about it, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ControlError {
    /// One without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A value in the request is wrong.
    pub fn invalid(message: impl ToString) -> Self {
        Self::new(ErrorCode::Invalid, message.to_string())
    }

    /// Something that the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }
}

impl From<PropertyError> for ControlError {
    fn from(error: PropertyError) -> Self {
        Self::invalid(error)
    }
}
