use std::borrow::Cow;

use super::generic::MTU_RANGE;
use super::{Kind, Possible, PropertySpec};

/// The zone that a VNIC is in.
pub const ZONE: &str = "zone";
/// The largest packet of a link.
pub const MTU: &str = "mtu";
/// Further addresses of a VNIC.
pub const SECONDARY_MACS: &str = "secondary-macs";
/// How much a VNIC may carry each way.
pub const MAXBW: &str = "maxbw";
/// How much of a busy worker a VNIC gets.
pub const PRIORITY: &str = "priority";
/// What a VNIC may not send.
pub const PROTECTION: &str = "protection";
/// Whether a VNIC is spared the frames that are not for it.
pub const PROMISC_FILTERED: &str = "promisc-filtered";
/// What a VNIC may send from.
pub const ALLOWED_IPS: &str = "allowed-ips";
/// What a VNIC's DHCP client may call itself.
pub const ALLOWED_DHCP_CIDS: &str = "allowed-dhcp-cids";

const STATES: Possible = Possible::Words(Cow::Borrowed(&[Cow::Borrowed("up"), Cow::Borrowed("down")]));
const SWITCH: Possible = Possible::Words(Cow::Borrowed(&[Cow::Borrowed("off"), Cow::Borrowed("on")]));
const PRIORITIES: Possible =
    Possible::Words(Cow::Borrowed(&[Cow::Borrowed("low"), Cow::Borrowed("medium"), Cow::Borrowed("high")]));
const PROTECTIONS: Possible = Possible::Words(Cow::Borrowed(&[
    Cow::Borrowed("mac-nospoof"),
    Cow::Borrowed("restricted"),
    Cow::Borrowed("ip-nospoof"),
    Cow::Borrowed("dhcp-nospoof"),
]));

const STATE_ROW: PropertySpec =
    PropertySpec::new("state", Kind::String, STATES, None, "whether the link can carry frames").read_only();
const MTU_ROW: PropertySpec = PropertySpec::new(
    MTU,
    Kind::Uint,
    MTU_RANGE,
    None,
    "largest packet, in octets; a VNIC follows its overlay when not set",
);

/// The link properties of an overlay.
pub const OVERLAY_LINK_PROPERTIES: &[PropertySpec] = &[STATE_ROW, MTU_ROW];

/// The link properties of a VNIC, in illumos's order (dladm(8)).
pub const VNIC_LINK_PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(ZONE, Kind::Zone, Possible::Any, None, "network namespace that the VNIC is in, as ip netns names it"),
    STATE_ROW,
    MTU_ROW,
    PropertySpec::new(SECONDARY_MACS, Kind::Mac, Possible::Any, None, "further addresses of the VNIC").several(),
    PropertySpec::new(
        MAXBW,
        Kind::Rate,
        Possible::Any,
        None,
        "most that the VNIC carries each way, a number with K, M (when not given) or G bits per second; 0 for nothing",
    ),
    PropertySpec::new(
        PRIORITY,
        Kind::String,
        PRIORITIES,
        Some("high"),
        "how much of overlayd the VNIC gets when there is more to do than it can",
    ),
    PropertySpec::new(PROTECTION, Kind::String, PROTECTIONS, None, "what the VNIC may not send").several(),
    PropertySpec::new(
        PROMISC_FILTERED,
        Kind::String,
        SWITCH,
        Some("on"),
        "whether the VNIC gets only frames that are for it, or (off) every frame on its overlay here",
    ),
    PropertySpec::new(
        ALLOWED_IPS,
        Kind::Network,
        Possible::Any,
        None,
        "addresses and networks that the VNIC may send from under ip-nospoof, besides those that DHCP gives it",
    )
    .several(),
    PropertySpec::new(
        ALLOWED_DHCP_CIDS,
        Kind::ClientId,
        Possible::Any,
        None,
        "client identifiers that the VNIC may use under dhcp-nospoof, besides its own address",
    )
    .several(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::{Assignment, Properties};

    #[test]
    fn a_vnic_that_is_given_nothing_has_the_defaults() {
        let set = Properties::check(VNIC_LINK_PROPERTIES, &[]).unwrap();
        assert_eq!((set.text(PRIORITY), set.text(PROMISC_FILTERED)), (Some("high"), Some("on")));
        assert_eq!((set.value(ZONE), set.value(MAXBW), set.value(PROTECTION)), (None, None, None));
    }

    #[test]
    fn state_is_only_shown() {
        let given = [Assignment::new("state", "up")];
        for table in [OVERLAY_LINK_PROPERTIES, VNIC_LINK_PROPERTIES] {
            assert!(Properties::check(table, &given).is_err());
        }
    }
}
