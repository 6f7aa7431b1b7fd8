//! The command line: illumos's subcommands and options (dladm(8)), and `--json` beside `-p`.
//!
//! The values of options are texts here; each command reads its own, so that what is wrong with one is said
//! in the words of its type.

mod format;
mod help;
mod link;
mod monitor;
mod overlay;
mod root;
mod vnic;

use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use format::{Format, Statistics};
pub(crate) use help::property_help;
pub(crate) use link::{RenameLink, ResetLinkprop, SetLinkprop, ShowLink, ShowLinkprop};
pub(crate) use monitor::Monitor;
pub(crate) use overlay::{CreateOverlay, DeleteOverlay, ModifyOverlay, ShowOverlay, ShowSearch, UpOverlay};
pub(crate) use root::Root;
pub(crate) use vnic::{CreateVnic, DeleteVnic, ShowVnic};

/// Manage overlay networks and the VNICs on them.
#[derive(Debug, Parser)]
#[command(name = "dladm", version, after_help = "Without a command, the links are shown (show-link).")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an overlay
    CreateOverlay(CreateOverlay),
    /// Delete an overlay that has no VNICs
    DeleteOverlay(DeleteOverlay),
    /// Change an overlay's target table or its properties while it runs
    ModifyOverlay(ModifyOverlay),
    /// Bring up stored overlays that are not there
    UpOverlay(UpOverlay),
    /// Show overlays: properties, status, targets or statistics
    ShowOverlay(ShowOverlay),
    /// Show search plugins and their properties
    ShowSearch(ShowSearch),
    /// Create a VNIC on an overlay
    CreateVnic(CreateVnic),
    /// Delete a VNIC
    DeleteVnic(DeleteVnic),
    /// Show VNICs
    ShowVnic(ShowVnic),
    /// Show overlays and VNICs as links
    ShowLink(ShowLink),
    /// Show what happens, as it happens
    Monitor(Monitor),
    /// Give a link another name
    RenameLink(RenameLink),
    /// Set properties of a link while it runs
    SetLinkprop(SetLinkprop),
    /// Give properties of a link back their defaults
    ResetLinkprop(ResetLinkprop),
    /// Show the properties of links
    ShowLinkprop(ShowLinkprop),
    /// Make the changes that were left to the first boot of this system with -R
    FirstBoot(FirstBoot),
}

/// `first-boot`.
#[derive(Debug, Args)]
#[command(after_help = "\
A change that fails is kept in the file first-boot.failed of the state directory.

Example:
  dladm first-boot      # as overlay-first-boot.service does")]
pub(crate) struct FirstBoot {}

impl Command {
    /// Where it takes `-R`.
    pub(crate) const fn root(&self) -> Option<&Root> {
        match self {
            Self::CreateOverlay(arguments) => Some(&arguments.root),
            Self::DeleteOverlay(arguments) => Some(&arguments.root),
            Self::ModifyOverlay(arguments) => Some(&arguments.root),
            Self::CreateVnic(arguments) => Some(&arguments.root),
            Self::DeleteVnic(arguments) => Some(&arguments.root),
            Self::RenameLink(arguments) => Some(&arguments.root),
            Self::SetLinkprop(arguments) => Some(&arguments.root),
            Self::ResetLinkprop(arguments) => Some(&arguments.root),
            _ => None,
        }
    }
}

/// Reads a command line, program name included; with it its words without `-R`.
pub(crate) fn parse(arguments: &[OsString]) -> Result<(Cli, Vec<String>), clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Ok((Cli::from_arg_matches(&matches)?, root::words(&matches)))
}

/// The whole command line, with help on every property that is known without asking varpd.
pub(crate) fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("create-overlay", |create| create.after_help(help::create_overlay()))
        .mut_subcommand("create-vnic", |create| create.after_help(help::create_vnic()))
        .mut_subcommand("set-linkprop", |set| set.after_help(help::set_linkprop()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for subcommand in command().get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            let help = subcommand.clone().render_help().to_string();
            assert!(help.contains(&format!("dladm {} ", subcommand.get_name())), "{help}");
            assert!(help.contains("Example"), "{help}");
        }
    }

    #[test]
    fn the_help_lists_the_properties() {
        let help = help::create_overlay();
        assert!(help.contains("mtu ") && help.contains("vxlan/listen_ip "), "{help}");
        assert!(help.contains("[default: 4789]") && !help.contains("varpd/id"), "{help}");
        for help in [help::create_vnic(), help::set_linkprop()] {
            assert!(help.contains("secondary-macs ") && help.contains("off,on [default: on]"), "{help}");
            assert!(!help.contains("  state "), "{help}");
        }
    }

    #[test]
    fn the_last_form_of_show_overlay_wins() {
        let cli = |text: &str| Cli::try_parse_from(text.split(' ')).unwrap().command;
        let Some(Command::ShowOverlay(show)) = cli("dladm show-overlay -f -t") else { panic!() };
        assert!(show.target && !show.fma);
        let Some(Command::CreateOverlay(create)) = cli("dladm create-overlay -e a -e b -s c -v 1 -v -2 d0")
        else {
            panic!()
        };
        assert_eq!((&*create.encap, &*create.vnetid), ("b", "-2"));
    }
}
