//! What is shown of an overlay in each form of `show-overlay`. Pure.

use std::fmt::Display;

use overlay_core::property::{Kind, OVERLAY_PROPERTIES, PropertySpec};
use overlay_core::protocol::{
    DropCount, InstanceInfo, LinkInfo, MuxInfo, OffloadInfo, OverlayInfo, PropertyValue, Status, StoredLink,
    StoredWhat, TargetDestination, TargetInfo, TargetOrigin, TargetState,
};
use overlay_core::types::LinkName;

use crate::table::{Cell, Column};

/// The property that names the search plugin: varpd's to tell.
const SEARCH: &str = "search";
/// The target of an overlay with one destination for all.
pub(super) const EVERY_ADDRESS: &str = "*:*:*:*:*:*";

/// The counter that tells how many frames there are, not how many there were.
pub(super) const WAITING: &str = "waiting";

/// Columns of [`properties`].
pub(super) const PROPERTIES: [Column; 7] = [
    Column::new("LINK", 19),
    Column::new("PROPERTY", 19),
    Column::new("PERM", 5),
    Column::new("REQ", 4),
    Column::new("VALUE", 11),
    Column::new("DEFAULT", 10),
    Column::new("POSSIBLE", 20),
];

/// Where the value stands in it.
const VALUE: usize = 4;

/// Columns of [`status`].
pub(super) const STATUS: [Column; 3] =
    [Column::new("LINK", 20), Column::new("STATUS", 8), Column::new("DETAILS", 52)];

/// Columns of [`targets`].
pub(super) const TARGETS: [Column; 6] = [
    Column::new("LINK", 20),
    Column::new("TARGET", 18),
    Column::new("DESTINATION", 42),
    Column::new("STATE", 9).on_request(),
    Column::new("AGE", 8).on_request(),
    Column::new("ORIGIN", 8).on_request(),
];

/// Columns of [`statistics`].
pub(super) const STATISTICS: [Column; 3] =
    [Column::new("LINK", 20), Column::new("COUNTER", 24), Column::new("VALUE", 20)];

/// A row for each property: the generic ones, the encapsulation's, the search plugin's.
pub(super) fn properties(overlay: &OverlayInfo, instance: Option<&InstanceInfo>) -> Vec<Vec<Cell>> {
    let mut of_driver: Vec<_> = overlay.properties.iter().filter(|one| one.spec.name != SEARCH).collect();
    of_driver.sort_by_key(|one| rank(&one.spec));
    let of_driver = of_driver.into_iter().map(|one| valued(&overlay.name, one));
    let of_varpd = instance.into_iter().flat_map(|instance| searched(&overlay.name, instance));
    of_driver.chain(of_varpd).collect()
}

/// What is stored of an overlay: overlayd's part, with what its encapsulation declares, then varpd's.
pub(super) fn stored(
    link: &StoredLink,
    encap: &[PropertySpec],
    instance: Option<&InstanceInfo>,
) -> Vec<Vec<Cell>> {
    let StoredWhat::Overlay { encap: plugin, vnetid, search, properties } = &link.what else {
        return Vec::new();
    };
    let value = |spec: &PropertySpec| match &*spec.name {
        "vnetid" => Some(vnetid.to_string()),
        "encap" => Some(plugin.clone()),
        "varpd/id" => instance.map(|instance| instance.instance.to_string()),
        SEARCH => Some(search.clone()),
        name => properties.iter().find(|given| given.name == name).map(|given| given.value.clone()),
    };
    let row = |spec: &PropertySpec| property(&link.name, spec, value(spec).as_deref());
    let (search, generic): (Vec<_>, Vec<_>) = OVERLAY_PROPERTIES.iter().partition(|spec| spec.name == SEARCH);
    let declared = generic.into_iter().chain(encap).chain(search).map(row);
    let of_varpd = instance.map_or(&[][..], |instance| &instance.properties);
    declared.chain(of_varpd.iter().map(|one| valued(&link.name, one))).collect()
}

/// Where a generic property stands; every plugin's stand after them.
fn rank(spec: &PropertySpec) -> usize {
    let place = OVERLAY_PROPERTIES.iter().position(|generic| generic.name == spec.name);
    place.unwrap_or(OVERLAY_PROPERTIES.len())
}

fn searched(overlay: &LinkName, instance: &InstanceInfo) -> Vec<Vec<Cell>> {
    let spec = OVERLAY_PROPERTIES.iter().find(|spec| spec.name == SEARCH);
    let name = spec.map(|spec| property(overlay, spec, Some(&instance.plugin)));
    name.into_iter().chain(instance.properties.iter().map(|one| valued(overlay, one))).collect()
}

/// A row of a property; people are told what its value has come of.
fn valued(overlay: &LinkName, one: &PropertyValue) -> Vec<Cell> {
    let mut row = property(overlay, &one.spec, one.value.as_deref());
    if let (Some(value), Some(given)) = (&one.value, &one.given) {
        row[VALUE] = typed(&one.spec, Some(value)).shown(format!("{value} ({given})"));
    }
    row
}

fn property(overlay: &LinkName, spec: &PropertySpec, value: Option<&str>) -> Vec<Cell> {
    vec![
        Cell::text(overlay),
        Cell::text(&spec.name),
        Cell::text(spec.permission.flags()),
        Cell::flag(spec.required),
        typed(spec, value),
        typed(spec, spec.default.as_deref()),
        possible(spec),
    ]
}

/// A value of a property, or none.
pub(super) fn typed(spec: &PropertySpec, value: Option<&str>) -> Cell {
    let numeric = matches!(spec.kind, Kind::Int | Kind::Uint);
    value.map_or_else(Cell::empty, |text| Cell::typed(text, numeric))
}

/// Which values a property can have, where that can be listed.
pub(super) fn possible(spec: &PropertySpec) -> Cell {
    let possible = spec.possible.to_string();
    if possible.is_empty() { Cell::empty() } else { Cell::text(possible) }
}

/// A row with the overlay's status.
pub(super) fn status(overlay: &OverlayInfo) -> Vec<Cell> {
    let (status, details) = match &overlay.status {
        Status::Online if !overlay.warnings.is_empty() => ("ONLINE", Cell::text(overlay.warnings.join("; "))),
        Status::Online => ("ONLINE", Cell::absent("-")),
        Status::Degraded(message) => ("DEGRADED", Cell::text(message)),
    };
    let degraded = matches!(overlay.status, Status::Degraded(_));
    vec![Cell::text(&overlay.name), Cell::text(status).alarming(degraded), details]
}

/// A row for each entry of the target table.
pub(super) fn targets(overlay: &OverlayInfo, targets: &[TargetInfo]) -> Vec<Vec<Cell>> {
    let rows = targets.iter().map(|target| {
        let mac = target.mac.map_or_else(|| Cell::text(EVERY_ADDRESS), Cell::text);
        vec![
            Cell::text(&overlay.name),
            mac,
            destination(&target.destination),
            Cell::text(state(target.state)),
            Cell::number(target.age),
            Cell::text(origin(target.origin)),
        ]
    });
    rows.collect()
}

pub(super) fn destination(destination: &TargetDestination) -> Cell {
    match destination {
        TargetDestination::None => Cell::empty(),
        TargetDestination::Drop => Cell::text("DROP"),
        TargetDestination::Ends(ends) => {
            Cell::text(ends.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
    }
}

pub(super) const fn state(state: TargetState) -> &'static str {
    match state {
        TargetState::Asking => "asking",
        TargetState::Known => "known",
        TargetState::Checking => "checking",
        TargetState::Refused => "refused",
    }
}

const fn origin(origin: TargetOrigin) -> &'static str {
    match origin {
        TargetOrigin::Point => "point",
        TargetOrigin::Lookup => "lookup",
        TargetOrigin::Learned => "learned",
        TargetOrigin::Manual => "manual",
    }
}

/// A row for each counter, and for each reason that a frame was dropped for.
pub(super) fn statistics(overlay: &OverlayInfo) -> Vec<Vec<Cell>> {
    let counters = &overlay.counters;
    let ways = [
        ("from-devices", counters.from_devices),
        ("from-wire", counters.from_wire),
        ("injected", counters.injected),
        ("copies", counters.copies),
        ("to-devices", counters.to_devices),
        ("to-wire", counters.to_wire),
        (WAITING, counters.waiting),
    ];
    let ways = ways.map(|(name, frames)| counter(&overlay.name, name, frames)).into_iter();
    let drop = |drop: &DropCount| counter(&overlay.name, format!("drop-{}", drop.reason), drop.frames);
    ways.chain(counters.drops.iter().map(drop)).collect()
}

/// What the kernel does for a VNIC, and what it has refused.
pub(super) fn vnic(link: &LinkInfo) -> Vec<Vec<Cell>> {
    link.vnic.iter().flat_map(|vnic| offloads(&link.name, &vnic.offloads)).collect()
}

/// A row for each counter of an underlay socket, in the place of a link's name its address; they count
/// datagrams that belong to no overlay. Then what the kernel does for it.
pub(super) fn mux(mux: &MuxInfo) -> Vec<Vec<Cell>> {
    let counters = [
        ("datagrams", mux.datagrams),
        ("drop-bad-header", mux.bad_header),
        ("drop-unknown-vnetid", mux.unknown_vnetid),
        ("drop-queue-full", mux.queue_full),
    ];
    let counters = counters.into_iter().map(|(name, datagrams)| counter(mux.listen, name, datagrams));
    counters.chain(offloads(mux.listen, &mux.offloads)).collect()
}

/// What is in use; what has been refused where something has.
fn offloads(of: impl Display, offloads: &OffloadInfo) -> Vec<Vec<Cell>> {
    let list = |name: &str, those: &[String]| {
        let value = if those.is_empty() { Cell::empty() } else { Cell::text(those.join(",")) };
        vec![Cell::text(&of), Cell::text(name), value]
    };
    let mut rows = vec![list("offloads", &offloads.on)];
    if !offloads.off.is_empty() {
        rows.push(list("offloads-off", &offloads.off));
    }
    if offloads.refused > 0 {
        rows.push(counter(&of, "offloads-refused", offloads.refused));
    }
    rows
}

fn counter(of: impl Display, name: impl Display, count: u64) -> Vec<Cell> {
    vec![Cell::text(of), Cell::text(name), Cell::number(count)]
}
