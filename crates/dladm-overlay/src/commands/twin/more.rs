//! More things that a host has: stored links, link properties, entries of a target table.

use overlay_core::property::{Assignment, OVERLAY_LINK_PROPERTIES, PropertySpec, VNIC_LINK_PROPERTIES};
use overlay_core::protocol::{
    LinkPropertyInfo, MacType, StoredLink, StoredWhat, TargetDestination, TargetInfo, TargetOrigin,
    TargetState,
};
use overlay_core::types::{MacAddr, VlanId, VnetId};

use super::id;

/// What is stored of the overlay.
pub(crate) fn stored_overlay() -> StoredLink {
    let properties = vec![Assignment::new("vxlan/listen_ip", "192.0.2.10")];
    let (encap, search, vnetid) = ("vxlan".to_owned(), "direct".to_owned(), VnetId::new(23).unwrap());
    let what = StoredWhat::Overlay { encap, vnetid, search, properties };
    StoredLink { id: id(7), name: "blue0".parse().unwrap(), active: true, what }
}

/// What is stored of a VNIC that is not there.
pub(crate) fn stored_vnic() -> StoredLink {
    let what = StoredWhat::Vnic {
        over: "blue0".parse().ok(),
        mac: MacAddr([2, 8, 0x20, 0, 0, 4]),
        mac_type: MacType::Fixed,
        vid: VlanId::new(7).ok(),
        zone: "db".parse().ok(),
    };
    StoredLink { id: id(12), name: "web4".parse().unwrap(), active: false, what }
}

/// What [`link_properties`] have, and what is stored of it.
const LINK_PROPERTY_VALUES: [(&str, &str, Option<&str>); 6] = [
    ("state", "up", None),
    ("mtu", "1400", None),
    ("maxbw", "12.500", Some("100")),
    ("priority", "high", None),
    ("promisc-filtered", "on", None),
    ("allowed-ips", "192.0.2.30/32,2001:db8::/64", Some("192.0.2.30/32,2001:db8::/64")),
];

/// The link properties of the overlay, the VNIC, and the one that is not there.
pub(super) fn link_properties() -> Vec<LinkPropertyInfo> {
    let tables =
        [("blue0", OVERLAY_LINK_PROPERTIES), ("web0", VNIC_LINK_PROPERTIES), ("web4", VNIC_LINK_PROPERTIES)];
    let rows = tables.iter().flat_map(|(link, table)| table.iter().map(|spec| (*link, spec.clone())));
    let info = |(link, spec): (&str, PropertySpec)| {
        let row = LINK_PROPERTY_VALUES.iter().find(|(name, ..)| *name == spec.name);
        LinkPropertyInfo {
            link: link.parse().unwrap(),
            value: row.filter(|_| link != "web4").map(|(_, value, _)| (*value).to_owned()),
            stored: row.and_then(|(.., stored)| *stored).map(str::to_owned),
            spec,
        }
    };
    rows.map(info).collect()
}

/// An entry of each kind in the target table of `red0`, in no order.
pub(crate) fn entries_of_red() -> Vec<(&'static str, TargetInfo)> {
    let ends = ["192.0.2.20:4789", "192.0.2.21:4789", "192.0.2.22:4789"].map(|end| end.parse().unwrap());
    let ends = TargetDestination::Ends(ends.into());
    let entry = |mac: &str, destination, state, age, origin| {
        ("red0", TargetInfo { mac: mac.parse().ok(), state, destination, origin, age })
    };
    vec![
        entry("2:8:20:0:0:3", TargetDestination::None, TargetState::Refused, 86400, TargetOrigin::Lookup),
        entry("ff:ff:ff:ff:ff:ff", ends, TargetState::Checking, 301, TargetOrigin::Learned),
        entry("2:8:20:0:0:1", TargetDestination::Drop, TargetState::Known, 7, TargetOrigin::Manual),
        entry("2:8:20:0:0:2", TargetDestination::None, TargetState::Asking, 0, TargetOrigin::Lookup),
    ]
}
