use super::super::{
    create_overlay, create_vnic, delete_overlay, delete_vnic, modify_overlay, rename_link, reset_linkprop,
    set_linkprop,
};
use crate::cli::Command;
use crate::error::Failure;

/// What can be said against a command without asking the system that it is for.
pub(super) fn arguments(command: &Command) -> Result<(), Failure> {
    match command {
        Command::CreateOverlay(arguments) => create_overlay::check(arguments),
        Command::DeleteOverlay(arguments) => delete_overlay::name(arguments).map(drop),
        Command::ModifyOverlay(arguments) => modify_overlay::check(arguments),
        Command::CreateVnic(arguments) => create_vnic::request(arguments).map(drop),
        Command::DeleteVnic(arguments) => delete_vnic::request(arguments).map(drop),
        Command::RenameLink(arguments) => rename_link::request(arguments).map(drop),
        Command::SetLinkprop(arguments) => set_linkprop::check(arguments),
        Command::ResetLinkprop(arguments) => reset_linkprop::check(arguments),
        _ => Ok(()),
    }
}
