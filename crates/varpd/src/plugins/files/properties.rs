use std::borrow::Cow;

use overlay_core::property::{Kind, Possible, PropertySpec};

use super::super::accept;

pub(super) const CONFIG: &str = "files/config";
pub(super) const ACCEPT: &str = "files/accept";
pub(super) const PRELOAD: &str = "files/preload";

pub(super) const NO: &str = "no";
pub(super) const YES: &str = "yes";

const PRELOAD_WORDS: &[Cow<'static, str>] = &[Cow::Borrowed(NO), Cow::Borrowed(YES)];

pub(super) const TABLE: &[PropertySpec] = &[
    PropertySpec::new(
        CONFIG,
        Kind::String,
        Possible::Any,
        None,
        "absolute path of the file that says where each MAC address is",
    )
    .required(),
    accept::spec(ACCEPT, "which tunnel ends may send to the overlay: those in the file, or any"),
    PropertySpec::new(
        PRELOAD,
        Kind::String,
        Possible::Words(Cow::Borrowed(PRELOAD_WORDS)),
        Some(NO),
        "whether the driver gets the destinations at the start, before anything asks for them",
    ),
];
