//! Which properties of an overlay are to change, checked as a whole before any does. Pure.

use overlay_core::encap::ENCAPS;
use overlay_core::property::{Assignment, OVERLAY_PROPERTIES, PropertyError, PropertySpec};
use overlay_core::protocol::{InstanceInfo, OverlayInfo, PropertyValue};

use super::overlay_plan::{take, unknown};

/// Changes by the daemon that they belong to, all of them of values that the property can have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes {
    /// Of generic properties and the encapsulation's.
    pub(super) driver: Vec<Assignment>,
    /// Of the search plugin's.
    pub(super) search: Vec<Assignment>,
}

impl Changes {
    /// Checks changes against what the two daemons declare. Whether a property can change now they decide.
    pub(super) fn check(
        mut given: Vec<Assignment>,
        driver: &[PropertySpec],
        search: &[PropertySpec],
    ) -> Result<Self, PropertyError> {
        let of_driver = take(&mut given, driver);
        let of_search = take(&mut given, search);
        if let Some(stranger) = given.first() {
            return Err(unknown(&stranger.name, driver.iter().chain(search)));
        }
        for (assignments, table) in [(&of_driver, driver), (&of_search, search)] {
            check(assignments, table)?;
        }
        Ok(Self { driver: of_driver, search: of_search })
    }
}

fn check(assignments: &[Assignment], table: &[PropertySpec]) -> Result<(), PropertyError> {
    let spec = |name: &str| table.iter().find(|spec| spec.name == name);
    for assignment in assignments {
        spec(&assignment.name).map(|spec| spec.parse(&assignment.value)).transpose()?;
    }
    Ok(())
}

/// Checks changes where no daemon can be asked: the generic properties and the encapsulations' are known here, and what begins
/// with another name may be a search plugin's.
pub(super) fn check_alone(given: &[Assignment]) -> Result<(), PropertyError> {
    let of_encaps = ENCAPS.iter().flat_map(|encap| encap.properties());
    let table: Vec<_> = OVERLAY_PROPERTIES.iter().chain(of_encaps).cloned().collect();
    let known = |name: &str| table.iter().any(|spec| spec.name == name);
    let of_search = |name: &str| {
        let owner = name.split_once('/').map(|(owner, _)| owner);
        let is_owned = |spec: &PropertySpec| spec.name.split_once('/').map(|(one, _)| one) == owner;
        owner.is_some() && !table.iter().any(is_owned)
    };
    if let Some(stranger) = given.iter().find(|one| !known(&one.name) && !of_search(&one.name)) {
        return Err(unknown(&stranger.name, table.iter()));
    }
    check(given, &table)
}

/// The properties that overlayd has of an overlay: those it shows, and the generic ones that varpd shows.
pub(super) fn of_driver(overlay: &OverlayInfo) -> Vec<PropertySpec> {
    let mut table = specs(&overlay.properties);
    let shown = |spec: &PropertySpec| overlay.properties.iter().any(|one| one.spec.name == spec.name);
    table.extend(OVERLAY_PROPERTIES.iter().filter(|spec| !shown(spec)).cloned());
    table
}

/// The properties that varpd has of an overlay.
pub(super) fn of_search(instance: &InstanceInfo) -> Vec<PropertySpec> {
    specs(&instance.properties)
}

fn specs(properties: &[PropertyValue]) -> Vec<PropertySpec> {
    properties.iter().map(|property| property.spec.clone()).collect()
}

#[cfg(test)]
mod tests {
    use overlay_core::property::parse_assignments;

    use super::super::twin;
    use super::*;

    fn changes(list: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let given = parse_assignments([list]).unwrap();
        let changes = Changes::check(given, &of_driver(&twin::blue()), &of_search(&twin::instance()));
        let names = |list: Vec<Assignment>| list.into_iter().map(|one| one.name).collect();
        changes
            .map(|changes| (names(changes.driver), names(changes.search)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn changes_go_to_their_owner() {
        let (driver, search) =
            changes("direct/dest_ip=10.0.0.3,mtu=1450,vxlan/listen_port=4790,target/ageing=0").unwrap();
        assert_eq!(driver, ["mtu", "vxlan/listen_port", "target/ageing"]);
        assert_eq!(search, ["direct/dest_ip"]);
    }

    #[test]
    fn what_is_not_required_to_change_may_stay() {
        assert_eq!(changes("mtu=1450").unwrap(), (vec!["mtu".to_owned()], Vec::new()));
    }

    #[test]
    fn names_values_and_rights_are_checked() {
        for (list, why) in [
            ("encap=vxlan", "property 'encap' is read-only"),
            ("varpd/id=2", "property 'varpd/id' is read-only"),
            ("search=files", "property 'search' is read-only"),
            ("mtu=1", "property 'mtu' cannot be '1': it is not in 576-8900"),
            (
                "direct/dest_ip=::",
                "property 'direct/dest_ip' cannot be '::': the unspecified address is no host",
            ),
            ("target/ageing=x", "property 'target/ageing' cannot be 'x': it is not a whole number"),
            ("direct/dest_port=", "property 'direct/dest_port' cannot be '': it is not a whole number"),
        ] {
            assert_eq!(changes(list), Err(why.to_owned()));
        }
    }

    #[test]
    fn an_unknown_property_is_told_with_those_of_both_daemons() {
        for name in ["colour", "direct/colour", "files/config", "vxlan"] {
            let expected = format!(
                "unknown property '{name}' (known ones: vxlan/listen_ip, vxlan/listen_port, vnetid, mtu, \
                 target/maximum, target/ageing, target/negative, target/timeout, direct/dest_ip, direct/dest_port)"
            );
            assert_eq!(changes(&format!("mtu=1450,{name}=1")), Err(expected));
        }
    }
}
