use std::borrow::Cow;

use overlay_core::property::{AddressRule, Kind, Possible, PropertySpec};

pub(super) const IP: &str = "direct/dest_ip";
pub(super) const PORT: &str = "direct/dest_port";
pub(super) const ACCEPT: &str = "direct/accept";

pub(super) const KNOWN: &str = "known";
pub(super) const ANY: &str = "any";

const ACCEPT_WORDS: &[Cow<'static, str>] = &[Cow::Borrowed(KNOWN), Cow::Borrowed(ANY)];

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
    PropertySpec::new(
        ACCEPT,
        Kind::String,
        Possible::Words(Cow::Borrowed(ACCEPT_WORDS)),
        Some(KNOWN),
        "which tunnel ends may send to the overlay: the known one, or any",
    ),
];
