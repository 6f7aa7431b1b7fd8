use std::fmt::{self, Display};
use std::io;

use overlay_core::control::ClientError;
use overlay_core::protocol::ErrorCode;

use crate::table::SelectionError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It could not, and says why.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Its output has nowhere to go.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// What a command says of its failure: one line of what failed and why, and one of what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Failure {
    what: Option<String>,
    why: String,
    hint: Option<String>,
    usage: bool,
    answer: Answer,
}

/// What a daemon has answered, where one was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    NotAsked,
    Refused(ErrorCode),
    None,
}

impl Failure {
    /// `what` could not be done because of `why`.
    pub(crate) fn new(what: impl Display, why: impl Display) -> Self {
        let (what, why) = (Some(what.to_string()), why.to_string());
        Self { what, why, hint: None, usage: false, answer: Answer::NotAsked }
    }

    /// Options or operands that make no command; `command` is the one that they look like.
    pub(crate) fn usage(command: Option<&str>, why: impl Display) -> Self {
        let what = command.map(str::to_owned);
        let hint = format!("try: dladm help{}", command.map(|name| format!(" {name}")).unwrap_or_default());
        Self { what, why: why.to_string(), hint: Some(hint), usage: true, answer: Answer::NotAsked }
    }

    /// The same with what to do about it, unless something is said already.
    #[must_use]
    pub(crate) fn or_hint(mut self, hint: impl Display) -> Self {
        self.hint.get_or_insert_with(|| hint.to_string());
        self
    }

    /// `what` could not be done because of a daemon.
    pub(crate) fn of_daemon(what: impl Display, error: &ClientError) -> Self {
        let what = match error {
            // That no daemon runs concerns any command alike.
            ClientError::NotRunning { .. } => None,
            _ => Some(what.to_string()),
        };
        let answer = match error {
            ClientError::Refused(error) => Answer::Refused(error.code),
            _ => Answer::None,
        };
        Self { what, why: error.to_string(), hint: error.hint(), usage: false, answer }
    }

    /// The same where daemons were asked, and none has answered.
    #[must_use]
    pub(crate) const fn unanswered(mut self) -> Self {
        self.answer = Answer::None;
        self
    }

    /// The fields asked for cannot be shown by `command`.
    pub(crate) fn of_selection(command: &str, error: &SelectionError) -> Self {
        match error {
            SelectionError::FieldsNeeded => Self::usage(Some(command), error),
            SelectionError::Unknown { .. } => Self::new(command, error),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What kind of failure a daemon has called it.
    pub(crate) const fn code(&self) -> Option<ErrorCode> {
        match self.answer {
            Answer::Refused(code) => Some(code),
            _ => None,
        }
    }

    /// Whether a daemon was asked, and has not answered.
    pub(crate) const fn is_unanswered(&self) -> bool {
        matches!(self.answer, Answer::None)
    }

    /// The exit status: 2 for a usage error, else 1.
    pub(crate) const fn status(&self) -> u8 {
        if self.usage { 2 } else { 1 }
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Some(what) => write!(out, "{what}: {}", self.why),
            None => out.write_str(&self.why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_has_its_own_status_and_points_to_the_help() {
        let failure = Failure::usage(Some("show-link"), "no");
        assert_eq!((failure.status(), failure.hint()), (2, Some("try: dladm help show-link")));
        assert_eq!(failure.to_string(), "show-link: no");
        assert_eq!(Failure::usage(None, "no").hint(), Some("try: dladm help"));
        assert_eq!(Failure::new("it", "no").status(), 1);
    }

    #[test]
    fn the_first_hint_stays() {
        let failure = Failure::new("it", "no").or_hint("one").or_hint("other");
        assert_eq!(failure.hint(), Some("one"));
    }
}
