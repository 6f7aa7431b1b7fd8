//! One file for each command: what it asks of the daemons, and what it shows of their answers.

pub(crate) mod columns;
mod create_overlay;
mod create_vnic;
mod delete_overlay;
mod delete_vnic;
mod first_boot;
mod link_faults;
mod link_properties;
mod modify_overlay;
mod monitor;
mod overlay_changes;
mod overlay_plan;
mod overlay_rows;
mod overlay_statistics;
mod rename_link;
mod reset_linkprop;
mod rounds;
mod set_linkprop;
mod show_link;
mod show_linkprop;
mod show_overlay;
mod show_search;
mod show_vnic;
mod statistics;
mod stored;
mod stored_overlays;
mod target_entry;
#[cfg(test)]
pub(crate) mod twin;
mod up_overlay;

use crate::cli::{Command, ShowLink};
use crate::error::Error;
use crate::session::Session;

/// How much was done of what was asked; what was not has been complained of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it.
    Whole,
    /// Not all of it.
    Partial,
}

impl Outcome {
    /// What was done of two things.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Whole { other } else { self }
    }
}

/// Runs a command; none at all is `show-link`, as in illumos.
/// `words` are those that it was given with, without `-R`.
pub(crate) fn run(
    command: Option<Command>,
    words: Vec<String>,
    session: &mut Session<'_>,
) -> Result<Outcome, Error> {
    if let Some(command) = &command
        && let Some(root) = command.root().and_then(|root| root.root.as_deref())
    {
        return first_boot::leave(command, words, root, session);
    }
    match command.unwrap_or_else(|| Command::ShowLink(ShowLink::default())) {
        Command::CreateOverlay(arguments) => create_overlay::run(&arguments, session)?,
        Command::DeleteOverlay(arguments) => delete_overlay::run(&arguments, session)?,
        Command::ModifyOverlay(arguments) => modify_overlay::run(&arguments, session)?,
        Command::ShowOverlay(arguments) => return show_overlay::run(&arguments, session),
        Command::UpOverlay(arguments) => return up_overlay::run(&arguments, session),
        Command::ShowSearch(arguments) => show_search::run(&arguments, session)?,
        Command::CreateVnic(arguments) => create_vnic::run(&arguments, session)?,
        Command::DeleteVnic(arguments) => delete_vnic::run(&arguments, session)?,
        Command::Monitor(arguments) => monitor::run(&arguments, session)?,
        Command::ShowVnic(arguments) => show_vnic::run(&arguments, session)?,
        Command::ShowLink(arguments) => show_link::run(&arguments, session)?,
        Command::RenameLink(arguments) => rename_link::run(&arguments, session)?,
        Command::FirstBoot(_) => return first_boot::run(session),
        Command::SetLinkprop(arguments) => return set_linkprop::run(&arguments, session),
        Command::ResetLinkprop(arguments) => return reset_linkprop::run(&arguments, session),
        Command::ShowLinkprop(arguments) => return show_linkprop::run(&arguments, session),
    }
    Ok(Outcome::Whole)
}
