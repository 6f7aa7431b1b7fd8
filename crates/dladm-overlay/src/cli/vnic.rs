use clap::Args;

use super::{Format, Root, Statistics};

/// `create-vnic`.
#[derive(Debug, Args)]
#[command(
    override_usage = "dladm create-vnic [-t] [-R ROOT] -l LINK [-m ADDRESS|auto|{random [-r PREFIX]}] [-v VID [-f]] [-p PROP=VALUE[,...]] VNIC"
)]
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
    /// Slot of a factory address, which an overlay does not have
    #[arg(short = 'n', long, hide = true)]
    pub(crate) slot: Option<String>,
    /// Identifier of a virtual router, which has an address of its own
    #[arg(short = 'V', long, hide = true)]
    pub(crate) vrid: Option<String>,
    /// Address family of a virtual router
    #[arg(short = 'A', long, hide = true)]
    pub(crate) address_family: Option<String>,
    /// VLAN of the VNIC's frames inside the tunnel, 1-4094
    #[arg(short, long, allow_negative_numbers = true)]
    pub(crate) vid: Option<String>,
    /// Do without room for a VLAN tag on the card; an overlay has it in any case
    #[arg(short, long, requires = "vid")]
    pub(crate) force: bool,
    /// Link properties
    #[arg(short, long = "prop", value_name = "PROP=VALUE[,...]")]
    pub(crate) properties: Vec<String>,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of the VNIC and its network device, such as foo0
    pub(crate) vnic: String,
}

/// `delete-vnic`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dladm delete-vnic foo0\n  dladm delete-vnic -t foo0")]
pub(crate) struct DeleteVnic {
    /// Until the next boot, or up-overlay: what is stored of it stays
    #[arg(short, long)]
    pub(crate) temporary: bool,
    /// For another system.
    #[command(flatten)]
    pub(crate) root: Root,
    /// Name of the VNIC
    pub(crate) vnic: String,
}

/// `show-vnic`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dladm show-vnic
  dladm show-vnic -l demo0 -p -o link,macaddress
  dladm show-vnic -P
  dladm show-vnic -s -i 1 foo0")]
pub(crate) struct ShowVnic {
    /// Show what is stored, whether it is there or not
    #[arg(short = 'P', long, conflicts_with = "statistics")]
    pub(crate) persistent: bool,
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
