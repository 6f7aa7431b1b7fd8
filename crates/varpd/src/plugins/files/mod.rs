//! Plugin `files`: a file says where each MAC address is, whose each inner address is, and who serves DHCP to whom.
//!
//! ```text
//!  Started ──> watch            loaded ──> Ready, Restore, news
//!  Reload ───> read again       failed ──> Degrade; the table read before goes on answering
//!  Ask ──────> the answer of the table; unknown before there is one
//! ```
//!
//! The file is the authority: what it does not say is certain not to be. [`mod@format`] reads it, [`table`] holds it,
//! [`difference`] says what a new one changes, `lookup` is the state machine, and `io` keeps an eye on the disk.

pub mod difference;
pub mod format;
mod io;
mod lookup;
mod properties;
pub mod table;

use std::path::PathBuf;
use std::sync::Arc;

use overlay_core::property::{Properties, PropertySpec};
use overlay_core::types::VnetId;

use super::{Lookup, Mode, Plugin, PluginError, accept};
use difference::Difference;
use lookup::Files;
use table::Table;

pub(super) struct Plug;

/// What the state machine wants of the I/O.
#[derive(Debug)]
pub enum Order {
    /// The file is read, and again whenever it changes.
    Watch,
    /// It is read again, though nothing seems to have changed.
    Reload,
    /// A table is needed no more. A large one takes a while to take apart, where nobody waits for it.
    Drop(Arc<Table>),
}

/// What the I/O has found.
#[derive(Debug)]
pub enum Report {
    /// The file's table, and what it changes in the one reported before.
    Loaded(Arc<Table>, Difference),
    /// There is no good file now, and why, in one line.
    Failed(String),
}

impl Plugin for Plug {
    fn name(&self) -> &str {
        "files"
    }

    fn mode(&self) -> Mode {
        Mode::Dynamic
    }

    fn properties(&self) -> &[PropertySpec] {
        properties::TABLE
    }

    fn instantiate(
        &self,
        properties: &Properties,
        _vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError> {
        let path = PathBuf::from(properties.text(properties::CONFIG).unwrap_or_default());
        if !path.is_absolute() {
            let reason = format!("{} '{}' is not an absolute path", properties::CONFIG, path.display());
            return Err(PluginError { plugin: self.name().to_owned(), reason });
        }
        let accept_any = accept::any(properties, properties::ACCEPT);
        let preload = properties.text(properties::PRELOAD) == Some(properties::YES);
        Ok(Box::new(Files::new(path, accept_any, preload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::property::{Assignment, PropertyError};

    fn instantiate(given: &[(&str, &str)]) -> Result<Box<dyn Lookup>, PluginError> {
        let given: Vec<_> = given.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
        Plug.instantiate(&Properties::check(properties::TABLE, &given).unwrap(), None)
    }

    #[test]
    fn a_relative_path_is_refused() {
        let error = instantiate(&[("files/config", "net/red.json")]).err().unwrap();
        let expected =
            "search plugin 'files' cannot start: files/config 'net/red.json' is not an absolute path";
        assert_eq!(error.to_string(), expected);
        assert!(instantiate(&[("files/config", "/net/red.json")]).is_ok());
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for bad in [("files/accept", "some"), ("files/preload", "maybe")] {
            let given = [("files/config", "/x"), bad].map(|(name, value)| Assignment::new(name, value));
            let checked = Properties::check(properties::TABLE, &given);
            assert!(matches!(checked, Err(PropertyError::BadValue { .. })), "{bad:?}");
        }
    }
}
