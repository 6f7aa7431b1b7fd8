use overlay_core::property::{AddressRule, Kind, Possible, PropertySpec};

use super::super::accept;

pub(super) const IP: &str = "direct/dest_ip";
pub(super) const PORT: &str = "direct/dest_port";
pub(super) const ACCEPT: &str = "direct/accept";

pub(super) const TABLE: &[PropertySpec] = &[
    PropertySpec::new(
        IP,
        Kind::Ip,
        Possible::Address(AddressRule::Host),
        None,
        "address of the tunnel end that gets every frame",
    )
    .required(),
    PropertySpec::new(PORT, Kind::Uint, Possible::Range(1, 65535), None, "UDP port of that tunnel end")
        .required(),
    accept::spec(ACCEPT, "which tunnel ends may send to the overlay: the known one, or any"),
];
