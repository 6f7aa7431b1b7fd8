use std::borrow::Cow;

use super::{Kind, Possible, PropertySpec};
use crate::types::{MTU_MAX, MTU_MIN};

pub(super) const MTU_RANGE: Possible = Possible::Range(MTU_MIN as u64, MTU_MAX as u64);
const MTU_OR_AUTO: Possible =
    Possible::WordOr { word: Cow::Borrowed("auto"), low: MTU_MIN as u64, high: MTU_MAX as u64, step: 1 };

/// What every overlay has, whatever its encapsulation and search plugin. Only `mtu` is given with `-p`; the
/// others come from `-v`, `-e`, `-s` and varpd.
pub const OVERLAY_PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        "mtu",
        Kind::Uint,
        MTU_OR_AUTO,
        Some("1400"),
        "largest packet inside the overlay, in octets; auto: what the underlay leaves when it is set and at each start",
    ),
    PropertySpec::new("vnetid", Kind::Uint, Possible::Any, None, "identifier of the virtual network"),
    PropertySpec::new("encap", Kind::String, Possible::Any, None, "encapsulation plugin").read_only(),
    PropertySpec::new("varpd/id", Kind::Uint, Possible::Any, None, "number of the overlay's varpd instance")
        .read_only(),
    PropertySpec::new("search", Kind::String, Possible::Any, None, "search plugin").read_only(),
    PropertySpec::new(
        TARGET_MAXIMUM,
        Kind::Uint,
        Possible::Range(1, 4_194_304),
        Some("65536"),
        "entries of the target table; the least recently used one goes first",
    ),
    PropertySpec::new(
        TARGET_AGEING,
        Kind::Uint,
        Possible::Range(0, 86_400),
        Some("300"),
        "seconds after which an entry in use is asked for again while it serves; 0 for never",
    ),
    PropertySpec::new(
        TARGET_NEGATIVE,
        Kind::Uint,
        Possible::Range(0, 3600),
        Some("1"),
        "seconds for which a refused lookup is remembered",
    ),
    PropertySpec::new(
        TARGET_TIMEOUT,
        Kind::Uint,
        Possible::Range(1, 60),
        Some("3"),
        "seconds for which frames wait for the answer to a lookup",
    ),
];

/// The most entries of an overlay's target table.
pub const TARGET_MAXIMUM: &str = "target/maximum";
/// When an entry of the target table is asked for again.
pub const TARGET_AGEING: &str = "target/ageing";
/// How long a refusal is remembered.
pub const TARGET_NEGATIVE: &str = "target/negative";
/// How long a lookup may take.
pub const TARGET_TIMEOUT: &str = "target/timeout";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mtu_is_the_types_default() {
        let default = OVERLAY_PROPERTIES[0].default.as_deref();
        assert_eq!(default, Some(&*crate::types::MTU_DEFAULT.to_string()));
    }
}
