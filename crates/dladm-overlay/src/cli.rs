//! The command line: illumos's subcommands and options (dladm(8)), and `--json` beside `-p`.
//!
//! The values of options are texts here; each command reads its own, so that what is wrong with one is said
//! in the words of its type.

use clap::{Args, CommandFactory, Parser, Subcommand};
use overlay_core::encap::ENCAPS;
use overlay_core::property::{OVERLAY_PROPERTIES, Permission, PropertySpec};

use crate::table::Style;

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
}

/// `create-overlay`.
#[derive(Debug, Args)]
#[command(
    override_usage = "dladm create-overlay [-t] -e ENCAP -s SEARCH -v VNETID [-p PROP=VALUE[,...]]... OVERLAY"
)]
pub(crate) struct CreateOverlay {
    /// End with the next boot
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// Encapsulation plugin, such as vxlan: how frames are put on the wire
    #[arg(short, long, overrides_with = "encap")]
    pub(crate) encap: String,
    /// Search plugin, such as direct: how destinations are found
    #[arg(short, long, overrides_with = "search")]
    pub(crate) search: String,
    /// Identifier of the virtual network
    #[arg(short, long, overrides_with = "vnetid", allow_negative_numbers = true)]
    pub(crate) vnetid: String,
    /// Properties of the overlay and its plugins
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]")]
    pub(crate) properties: Vec<String>,
    /// Name of the overlay, such as demo0
    pub(crate) overlay: String,
}

/// `delete-overlay`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dladm delete-overlay demo0")]
pub(crate) struct DeleteOverlay {
    /// Name of the overlay
    pub(crate) overlay: String,
}

/// `modify-overlay`.
#[derive(Debug, Args)]
#[command(override_usage = "dladm modify-overlay {-d MAC | -f | -s MAC=DEST | -p PROP=VALUE[,...]} OVERLAY")]
#[command(after_help = "\
DEST is `drop`, or one or more tunnel ends: IP:PORT[,IP:PORT...], IPv6 addresses in brackets.

Examples:
  dladm modify-overlay -s 2:8:20:ab:cd:ef=192.0.2.20:4789 demo0
  dladm modify-overlay -s ff:ff:ff:ff:ff:ff=[2001:db8::1]:4789,[2001:db8::2]:4789 demo0
  dladm modify-overlay -s 2:8:20:0:0:1=drop demo0
  dladm modify-overlay -d 2:8:20:ab:cd:ef demo0
  dladm modify-overlay -p direct/dest_ip=192.0.2.21,target/ageing=60 demo0")]
pub(crate) struct ModifyOverlay {
    /// Remove the entry of an address from the target table
    #[arg(short, long, value_name = "MAC", group = "change")]
    pub(crate) delete_entry: Option<String>,
    /// Remove every entry from the target table, those set by hand too
    #[arg(short, long, group = "change")]
    pub(crate) flush_table: bool,
    /// Set the entry of an address by hand; no lookup replaces it
    #[arg(short, long, value_name = "MAC=DEST", group = "change")]
    pub(crate) set_entry: Option<String>,
    /// Change properties of the overlay and its plugins, as far as they can be changed now
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]", group = "change")]
    pub(crate) properties: Vec<String>,
    /// Name of the overlay
    pub(crate) overlay: String,
}

/// `show-search`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-search
  dladm show-search direct
  dladm show-search -p -o property,req,default files")]
pub(crate) struct ShowSearch {
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of a search plugin; all of them when not given
    pub(crate) plugin: Option<String>,
}

/// `show-overlay`.
#[derive(Debug, Args)]
#[command(after_help = "\
With -t, -o takes also the fields state, age (seconds) and origin.

Examples:
  dladm show-overlay
  dladm show-overlay -f demo0 demo1
  dladm show-overlay -t -o all demo0
  dladm show-overlay -p -o property,value demo0
  dladm show-overlay -s --json")]
pub(crate) struct ShowOverlay {
    /// Show whether each overlay works, and why not
    #[arg(short, long, overrides_with_all = ["target", "statistics", "fma"])]
    pub(crate) fma: bool,
    /// Show where frames are sent
    #[arg(short, long, overrides_with_all = ["fma", "statistics", "target"])]
    pub(crate) target: bool,
    /// Show what was carried, and what was dropped for which reason
    #[arg(short, long, overrides_with_all = ["fma", "target", "statistics"])]
    pub(crate) statistics: bool,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Names of overlays; all of them when none is given
    #[arg(value_name = "OVERLAY")]
    pub(crate) overlays: Vec<String>,
}

/// `create-vnic`.
#[derive(Debug, Args)]
#[command(
    override_usage = "dladm create-vnic [-t] -l LINK [-m ADDRESS|auto|{random [-r PREFIX]}] [-v VID] [-p PROP=VALUE[,...]] VNIC"
)]
#[command(after_help = "Examples:
  dladm create-vnic -l demo0 foo0
  dladm create-vnic -l demo0 -m 2:8:20:ab:cd:ef -v 7 foo1")]
pub(crate) struct CreateVnic {
    /// End with the next boot
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// Overlay that the VNIC is on
    #[arg(short, long)]
    pub(crate) link: String,
    /// MAC address, or `auto` or `random` for one that is drawn
    #[arg(short, long, value_name = "MAC")]
    pub(crate) mac_address: Option<String>,
    /// First octets of a random MAC address, 2:8:20 when not given
    #[arg(short = 'r', long, value_name = "PREFIX")]
    pub(crate) mac_prefix: Option<String>,
    /// VLAN of the VNIC's frames inside the tunnel, 1-4094
    #[arg(short, long, allow_negative_numbers = true)]
    pub(crate) vid: Option<String>,
    /// Link properties: mtu
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]")]
    pub(crate) properties: Vec<String>,
    /// Name of the VNIC and its network device, such as foo0
    pub(crate) vnic: String,
}

/// `delete-vnic`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dladm delete-vnic foo0")]
pub(crate) struct DeleteVnic {
    /// Name of the VNIC
    pub(crate) vnic: String,
}

/// `show-vnic`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-vnic
  dladm show-vnic -l demo0 -p -o link,macaddress
  dladm show-vnic -s -i 1 foo0")]
pub(crate) struct ShowVnic {
    /// Only the VNICs on this overlay
    #[arg(short, long, value_name = "OVERLAY")]
    pub(crate) link: Option<String>,
    /// What they have carried, in place of what they are.
    #[command(flatten)]
    pub(crate) statistics: Statistics,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of a VNIC; all of them when not given
    pub(crate) vnic: Option<String>,
}

/// `show-link`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-link
  dladm show-link -p -o link,state foo0
  dladm show-link -s -i 1 foo0")]
pub(crate) struct ShowLink {
    /// What they have carried, in place of what they are.
    #[command(flatten)]
    pub(crate) statistics: Statistics,
    /// How it looks.
    #[command(flatten)]
    pub(crate) format: Format,
    /// Name of an overlay or VNIC; all of them when not given
    pub(crate) link: Option<String>,
}

/// Whether statistics are shown, and how often.
#[derive(Debug, Default, Args)]
pub(crate) struct Statistics {
    /// Show what was carried
    #[arg(short, long)]
    pub(crate) statistics: bool,
    /// Repeat: first the totals, then every so many seconds what was added to them
    #[arg(short, long, value_name = "SECONDS", requires = "statistics", allow_negative_numbers = true)]
    pub(crate) interval: Option<String>,
}

/// How a table looks.
#[derive(Debug, Default, Args)]
pub(crate) struct Format {
    /// For scripts: the fields of -o between colons, without a header
    #[arg(short, long, alias = "parseable", conflicts_with = "json")]
    pub(crate) parsable: bool,
    /// Fields to show, or `all`
    #[arg(short = 'o', long = "output", value_name = "FIELD[,FIELD...]")]
    pub(crate) fields: Option<String>,
    /// As an array of JSON objects
    #[arg(long)]
    pub(crate) json: bool,
}

impl Format {
    /// The style asked for; `human` is that for people.
    pub(crate) const fn style(&self, human: Style) -> Style {
        match (self.json, self.parsable) {
            (true, _) => Style::Json,
            (_, true) => Style::Parsable,
            _ => human,
        }
    }
}

/// The whole command line, with help on every property that is known without asking varpd.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("create-overlay", |create| create.after_help(create_overlay_help()))
}

fn create_overlay_help() -> String {
    let encaps = ENCAPS.iter().flat_map(|encap| encap.properties());
    let given = |spec: &&PropertySpec| spec.permission == Permission::ReadWrite && spec.name != "vnetid";
    let rows: String = OVERLAY_PROPERTIES.iter().chain(encaps).filter(given).map(property_help).collect();
    format!(
        "Properties (those of the search plugins: dladm show-search):\n{rows}\nExample:\n  \
         dladm create-overlay -e vxlan -s direct -v 23 \\\n      \
         -p vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789 demo0"
    )
}

fn property_help(spec: &PropertySpec) -> String {
    let note = match &spec.default {
        Some(default) => format!(" [default: {default}]"),
        None if spec.required => " [required]".to_owned(),
        None => String::new(),
    };
    format!("  {:<18} {}{note}\n", spec.name, spec.doc)
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
        let help = create_overlay_help();
        assert!(help.contains("mtu ") && help.contains("vxlan/listen_ip "), "{help}");
        assert!(help.contains("[default: 4789]") && !help.contains("varpd/id"), "{help}");
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
