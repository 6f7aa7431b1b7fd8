//! The conformance suite of search plugins that are programs: any file is put through every check, as
//! `varpd --check-plugin` does. `docs/plugins.md` says what a program owes.

mod checks;
mod session;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use overlay_core::property::{Assignment, Properties, PropertySpec};
use overlay_core::types::VnetId;

use crate::plugins::Mode;
use crate::plugins::program::launch::{GRACE, Guard, Launch};
use crate::plugins::program::machine::START;
use crate::plugins::program::message::Order;
use crate::plugins::program::questions::PATIENCE;
use crate::plugins::program::{declaration, discover, trust};
use checks::CHECKS;

/// How long a program may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To declare itself.
    pub describe: Duration,
    /// To be ready.
    pub ready: Duration,
    /// To answer.
    pub answer: Duration,
    /// To end.
    pub end: Duration,
}

impl Default for Limits {
    /// As long as varpd waits.
    fn default() -> Self {
        Self {
            describe: discover::LIMIT,
            ready: Duration::from_millis(START),
            answer: Duration::from_millis(PATIENCE),
            end: GRACE,
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// It works here, and will not where the text says.
    Warned(String),
    /// It is not as it must be.
    Failed(String),
}

/// A check and its outcome, one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What a program that passes does.
    pub check: &'static str,
    /// Whether it did.
    pub outcome: Outcome,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(out, "ok       {}", self.check),
            Outcome::Warned(why) => write!(out, "warning  {}: {why}", self.check),
            Outcome::Failed(why) => write!(out, "FAILED   {}: {why}", self.check),
        }
    }
}

/// Puts a program through every check, with these properties of it (their names with the plugin's or without), and
/// gives each line to `report` when it is known; whether none failed.
pub async fn check(file: &Path, given: &[Assignment], limits: Limits, report: &mut dyn FnMut(&Line)) -> bool {
    let mut report = Report { report, failed: false };
    let Some(candidate) = Candidate::find(file, limits, &mut report) else { return false };
    let Some((mode, table)) = candidate.declares_itself(&mut report).await else { return false };
    let Some(subject) = candidate.with_properties(mode, &table, given, &mut report) else { return false };
    for (name, of, check) in CHECKS {
        if of.is_none_or(|of| of == mode) {
            report.result(name, check(&subject).await);
        }
    }
    !report.failed
}

/// What the checks are about: a program that has declared itself.
struct Subject {
    launch: Launch,
    label: Arc<str>,
    mode: Mode,
    start: Vec<u8>,
    limits: Limits,
}

/// A program of which nothing is known yet.
struct Candidate {
    name: String,
    launch: Launch,
    label: Arc<str>,
    limits: Limits,
}

impl Candidate {
    fn find(file: &Path, limits: Limits, report: &mut Report<'_>) -> Option<Self> {
        const HERE: &str = "is where varpd can find it, and only root can have put it there";
        let real = match std::fs::canonicalize(file) {
            Ok(real) => real,
            Err(error) => {
                report.result(HERE, Err(format!("{}: {error}", file.display())));
                return None;
            }
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let warning = match trust::check(file) {
            Err(distrust) => Some(distrust.to_string()),
            Ok(_) if !declaration::is_name(&name) => {
                Some("a plugin's name is a lower-case letter, then such letters, digits and '_'".to_owned())
            }
            Ok(_) => None,
        };
        report.line(HERE, warning.map_or(Outcome::Passed, Outcome::Warned));
        Some(Self::new(name, real, limits))
    }

    fn new(name: String, file: PathBuf, limits: Limits) -> Self {
        let name = if declaration::is_name(&name) { name } else { "plugin".to_owned() };
        let launch = Launch::new(file, Guard::Open);
        Self { name, launch, label: "it says".into(), limits }
    }

    async fn declares_itself(&self, report: &mut Report<'_>) -> Option<(Mode, Vec<PropertySpec>)> {
        let first = self.declaration().await;
        let known = first.as_ref().ok().cloned();
        report.result("declares itself", first.map(drop));
        let known = known?;
        let same = match self.declaration().await {
            Ok(again) if again == known => Ok(()),
            Ok(_) => Err("the second declaration is another one".to_owned()),
            Err(error) => Err(error),
        };
        report.result("declares itself in the same way again", same);
        Some(known)
    }

    async fn declaration(&self) -> Result<(Mode, Vec<PropertySpec>), String> {
        let declared = discover::describe(&self.launch, &self.label, self.limits.describe).await;
        declaration::check(declared.map_err(|error| error.to_string())?, &self.name)
    }

    fn with_properties(
        self,
        mode: Mode,
        table: &[PropertySpec],
        given: &[Assignment],
        report: &mut Report<'_>,
    ) -> Option<Subject> {
        let whole = |given: &Assignment| match given.name.contains('/') {
            true => given.clone(),
            false => Assignment::new(format!("{}/{}", self.name, given.name), &*given.value),
        };
        let given: Vec<_> = given.iter().map(whole).collect();
        let properties = Properties::check(table, &given);
        let start = properties
            .map(|set| Order::start(table, &set, VnetId::new(23).ok()).line())
            .map_err(|error| format!("{error} (give them with -p)"));
        let line = start.as_ref().ok().cloned();
        report.result("takes the properties", start.map(drop));
        let Self { launch, label, limits, .. } = self;
        line.map(|start| Subject { launch, label, mode, start, limits })
    }
}

/// Where the lines go.
struct Report<'a> {
    report: &'a mut dyn FnMut(&Line),
    failed: bool,
}

impl Report<'_> {
    fn result(&mut self, check: &'static str, result: Result<(), String>) {
        self.line(check, result.map_or_else(Outcome::Failed, |()| Outcome::Passed));
    }

    fn line(&mut self, check: &'static str, outcome: Outcome) {
        self.failed |= matches!(outcome, Outcome::Failed(_));
        (self.report)(&Line { check, outcome });
    }
}
