//! The property that every plugin of varpd has: which tunnel ends may send to the overlay.

use std::borrow::Cow;

use overlay_core::property::{Kind, Possible, Properties, PropertySpec};

const KNOWN: &str = "known";
const ANY: &str = "any";
const WORDS: &[Cow<'static, str>] = &[Cow::Borrowed(KNOWN), Cow::Borrowed(ANY)];

/// Its row in a plugin's table.
pub(super) const fn spec(name: &'static str, doc: &'static str) -> PropertySpec {
    PropertySpec::new(name, Kind::String, Possible::Words(Cow::Borrowed(WORDS)), Some(KNOWN), doc)
}

/// Whether any may send, and not only those that the plugin knows.
pub(super) fn any(properties: &Properties, name: &str) -> bool {
    properties.text(name) == Some(ANY)
}
