//! What a crash has left of a command that it interrupted.

use overlay_core::control::ClientError;
use overlay_core::protocol::{ErrorCode, LinkClass, LinkState};

use super::super::delete_overlay;
use crate::cli::{Command, DeleteOverlay, Root};
use crate::error::{Error, Failure};
use crate::session::Session;

/// How it is known that a change was made before, when it fails now.
pub(super) enum Trace {
    /// What it makes is there.
    Made,
    /// What it takes away is not there.
    Gone,
    /// The overlay of this name has no such entry.
    EntryGone(String),
    /// A link has the second name, and none the first.
    Renamed(String, String),
    /// It is not: a change that can be made twice does not fail for having been made.
    None,
}

impl Trace {
    /// That of a command.
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::CreateOverlay(_) | Command::CreateVnic(_) => Self::Made,
            Command::DeleteOverlay(_) | Command::DeleteVnic(_) => Self::Gone,
            Command::ModifyOverlay(modify) if modify.delete_entry.is_some() => {
                Self::EntryGone(modify.overlay.clone())
            }
            Command::RenameLink(rename) => Self::Renamed(rename.link.clone(), rename.to.clone()),
            _ => Self::None,
        }
    }

    /// Whether the change was made before: it fails now as it then would.
    pub(super) fn is_there(&self, failure: &Failure, session: &mut Session<'_>) -> Result<bool, ClientError> {
        Ok(match (self, failure.code()) {
            (Self::Made, Some(ErrorCode::Exists)) | (Self::Gone, Some(ErrorCode::NotFound)) => true,
            (Self::EntryGone(overlay), Some(ErrorCode::NotFound)) => names(session)?.contains(overlay),
            (Self::Renamed(from, to), Some(ErrorCode::NotFound | ErrorCode::Exists)) => {
                let names = names(session)?;
                names.contains(to) && !names.contains(from)
            }
            _ => false,
        })
    }
}

/// Names of links that are there or stored.
fn names(session: &mut Session<'_>) -> Result<Vec<String>, ClientError> {
    let here = session.daemons.links()?.into_iter().map(|link| link.name.to_string());
    let stored = session.daemons.stored_links()?.into_iter().map(|link| link.name.to_string());
    Ok(here.chain(stored).collect())
}

/// Deletes the overlay that a command was interrupted in the middle of making, so that it can be made.
pub(super) fn clear(command: &Command, session: &mut Session<'_>) -> Result<(), Error> {
    let Command::CreateOverlay(create) = command else { return Ok(()) };
    let what = format!("cannot create overlay {}", create.overlay);
    let links = session.daemons.links().map_err(|error| Failure::of_daemon(what, &error))?;
    let unfinished = links.iter().any(|link| {
        link.name.as_str() == create.overlay
            && link.class == LinkClass::Overlay
            && link.state == LinkState::Unknown
    });
    if !unfinished {
        return Ok(());
    }
    session.warn(format!("overlay {} was not finished, and is made again", create.overlay));
    let (overlay, root) = (create.overlay.clone(), Root::default());
    delete_overlay::run(&DeleteOverlay { temporary: false, root, overlay }, session)
}
