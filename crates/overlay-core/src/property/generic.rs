use super::{Kind, Possible, PropertySpec};
use crate::types::{MTU_MAX, MTU_MIN};

const MTU_RANGE: Possible = Possible::Range(MTU_MIN as u64, MTU_MAX as u64);

/// What every overlay has, whatever its encapsulation and search plugin. Only `mtu` is given with `-p`; the
/// others come from `-v`, `-e`, `-s` and varpd.
pub const OVERLAY_PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        "mtu",
        Kind::Uint,
        MTU_RANGE,
        Some("1400"),
        "largest packet inside the overlay, in octets",
    ),
    PropertySpec::new("vnetid", Kind::Uint, Possible::Any, None, "identifier of the virtual network"),
    PropertySpec::new("encap", Kind::String, Possible::Any, None, "encapsulation plugin").read_only(),
    PropertySpec::new("varpd/id", Kind::Uint, Possible::Any, None, "number of the overlay's varpd instance")
        .read_only(),
    PropertySpec::new("search", Kind::String, Possible::Any, None, "search plugin").read_only(),
];

/// What a VNIC can be given with `-p`.
pub const VNIC_PROPERTIES: &[PropertySpec] = &[PropertySpec::new(
    "mtu",
    Kind::Uint,
    MTU_RANGE,
    None,
    "largest packet, in octets; the overlay's when not given",
)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mtu_is_the_types_default() {
        let default = OVERLAY_PROPERTIES[0].default.as_deref();
        assert_eq!(default, Some(&*crate::types::MTU_DEFAULT.to_string()));
    }
}
