//! What is to be created, checked as a whole before anything is made. Pure.

use overlay_core::encap::{ENCAPS, Encap};
use overlay_core::property::{
    Assignment, Kind, OVERLAY_PROPERTIES, Permission, Possible, Properties, PropertyError, PropertySpec,
    parse_assignments,
};
use overlay_core::protocol::PluginInfo;
use overlay_core::types::{LinkName, LinkNameError, VnetId, VnetIdError};

use crate::cli::CreateOverlay;

/// The generic property that `-v` gives.
const VNETID: &str = "vnetid";

/// Why an overlay cannot be created as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Name(#[from] LinkNameError),
    #[error(transparent)]
    VnetId(#[from] VnetIdError),
    #[error(transparent)]
    Property(#[from] PropertyError),
    #[error("unknown {kind} plugin '{name}' (known ones: {known})")]
    UnknownPlugin { kind: &'static str, name: String, known: String },
    #[error("property 'vnetid' is given with -v")]
    VnetIdProperty,
}

/// What a command line says by itself.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) name: LinkName,
    pub(super) vnetid: VnetId,
    given: Vec<Assignment>,
}

impl Wish {
    /// Reads the values of a command line.
    pub(super) fn read(arguments: &CreateOverlay) -> Result<Self, PlanError> {
        let given = parse_assignments(arguments.properties.iter().map(String::as_str))?;
        if given.iter().any(|assignment| assignment.name == VNETID) {
            return Err(PlanError::VnetIdProperty);
        }
        Ok(Self { name: arguments.overlay.parse()?, vnetid: arguments.vnetid.parse()?, given })
    }
}

/// Properties by the daemon that they belong to, all of them legal and none missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Generic ones and the encapsulation's.
    pub(super) driver: Vec<Assignment>,
    /// The search plugin's.
    pub(super) search: Vec<Assignment>,
}

impl Plan {
    /// Checks a wish against what the two plugins declare.
    pub(super) fn check(wish: &Wish, encap: &PluginInfo, search: &PluginInfo) -> Result<Self, PlanError> {
        let mut rest = wish.given.clone();
        let generic = take(&mut rest, OVERLAY_PROPERTIES);
        let of_encap = take(&mut rest, &encap.properties);
        let of_search = take(&mut rest, &search.properties);
        if let Some(stranger) = rest.first() {
            let all = OVERLAY_PROPERTIES.iter().chain(&encap.properties).chain(&search.properties);
            return Err(unknown(&stranger.name, all.filter(|spec| spec.name != VNETID)).into());
        }
        let owners: [(&[PropertySpec], &[Assignment]); 3] = [
            (OVERLAY_PROPERTIES, &generic),
            (&encap.properties, &of_encap),
            (&search.properties, &of_search),
        ];
        let mut missing = Vec::new();
        for (table, given) in owners {
            match Properties::check(table, given) {
                Err(PropertyError::Missing(names)) => missing.push(names),
                checked => drop(checked?),
            }
        }
        if !missing.is_empty() {
            return Err(PropertyError::Missing(missing.join(", ")).into());
        }
        Ok(Self { driver: [generic, of_encap].concat(), search: of_search })
    }

    /// Checks a wish where no daemon can be asked: the encapsulations are known here, and the search plugin may have what
    /// begins with its name.
    pub(super) fn check_alone(wish: &Wish, encap: &str, search: &str) -> Result<Self, PlanError> {
        let known = |one: &&dyn Encap| PluginInfo {
            name: one.name().to_owned(),
            properties: one.properties().to_vec(),
        };
        let encaps: Vec<_> = ENCAPS.iter().map(known).collect();
        Self::check(wish, plugin(&encaps, "encapsulation", encap)?, &stranger(search, &wish.given))
    }
}

/// A search plugin nobody can be asked about, with what it is given.
fn stranger(name: &str, given: &[Assignment]) -> PluginInfo {
    let own = |assignment: &&Assignment| {
        assignment.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    };
    let spec = |assignment: &Assignment| PropertySpec {
        name: assignment.name.clone().into(),
        ..PropertySpec::new("", Kind::String, Possible::Any, None, "")
    };
    PluginInfo { name: name.to_owned(), properties: given.iter().filter(own).map(spec).collect() }
}

/// The plugin of a name.
pub(super) fn plugin<'a>(
    plugins: &'a [PluginInfo],
    kind: &'static str,
    name: &str,
) -> Result<&'a PluginInfo, PlanError> {
    plugins.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let known = plugins.iter().map(|plugin| &*plugin.name).collect::<Vec<_>>().join(", ");
        PlanError::UnknownPlugin { kind, name: name.to_owned(), known }
    })
}

/// Takes those that an owner declares. Who declares a name first has it, whatever a plugin is called.
pub(super) fn take(given: &mut Vec<Assignment>, table: &[PropertySpec]) -> Vec<Assignment> {
    given.extract_if(.., |assignment| table.iter().any(|spec| spec.name == assignment.name)).collect()
}

/// An unknown property is told with those of all owners that can be given: the user knows only one set.
pub(super) fn unknown<'a>(name: &str, all: impl Iterator<Item = &'a PropertySpec>) -> PropertyError {
    let given = all.filter(|spec| spec.permission == Permission::ReadWrite);
    let known = given.map(|spec| &*spec.name).collect::<Vec<_>>().join(", ");
    PropertyError::Unknown { name: name.to_owned(), known }
}

#[cfg(test)]
mod tests {
    use super::super::twin;
    use super::*;

    fn plan(properties: &[&str]) -> Result<Plan, String> {
        let arguments = CreateOverlay {
            root: Default::default(),
            temporary: false,
            encap: "vxlan".into(),
            search: "direct".into(),
            vnetid: "23".into(),
            properties: properties.iter().map(|&list| list.to_owned()).collect(),
            overlay: "demo0".into(),
        };
        let wish = Wish::read(&arguments).map_err(|error| error.to_string())?;
        Plan::check(&wish, &twin::vxlan(), &twin::direct()).map_err(|error| error.to_string())
    }

    const ALL: &str = "vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789";

    #[test]
    fn properties_go_to_their_owner() {
        let plan = plan(&[ALL, "mtu=1450"]).unwrap();
        let names = |list: &[Assignment]| list.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&plan.driver), ["mtu", "vxlan/listen_ip"]);
        assert_eq!(names(&plan.search), ["direct/dest_ip", "direct/dest_port"]);
    }

    #[test]
    fn a_plugin_gets_no_property_that_another_owner_has() {
        let mut search = twin::direct();
        search.name = "target".into();
        search.properties[0].name = "target/ageing".into();
        let mut given =
            vec![Assignment::new("target/ageing", "60"), Assignment::new("direct/dest_port", "1")];
        assert_eq!(take(&mut given, OVERLAY_PROPERTIES).len(), 1);
        let of_search = take(&mut given, &search.properties);
        assert_eq!((&*of_search[0].name, of_search.len(), given.len()), ("direct/dest_port", 1, 0));
    }

    #[test]
    fn all_missing_properties_of_all_owners_are_named_at_once() {
        let expected = "required properties are missing: vxlan/listen_ip, direct/dest_ip, direct/dest_port";
        assert_eq!(plan(&[]), Err(expected.to_owned()));
        let expected = "required properties are missing: vxlan/listen_ip, direct/dest_port";
        assert_eq!(plan(&["direct/dest_ip=10.0.0.2"]), Err(expected.to_owned()));
    }

    #[test]
    fn a_bad_value_is_told_before_missing_ones() {
        let error = plan(&["direct/dest_port=65536"]).unwrap_err();
        assert!(error.starts_with("property 'direct/dest_port' cannot be '65536'"), "{error}");
    }

    #[test]
    fn an_unknown_property_is_told_with_those_of_all_owners() {
        for name in ["colour", "vxlan/colour", "direct/colour", "files/config", "directx/dest_ip", "vxlan"] {
            let known = "mtu, target/maximum, target/ageing, target/negative, target/timeout, vxlan/listen_ip, \
                         vxlan/listen_port, direct/dest_ip, direct/dest_port";
            let expected = format!("unknown property '{name}' (known ones: {known})");
            assert_eq!(plan(&[ALL, &format!("{name}=1")]), Err(expected));
        }
    }

    #[test]
    fn what_cannot_be_given_with_p_is_refused() {
        for (list, expected) in [
            ("vnetid=1", "property 'vnetid' is given with -v"),
            ("encap=vxlan", "property 'encap' is read-only"),
            ("varpd/id=1", "property 'varpd/id' is read-only"),
            ("mtu=1400,mtu=1400", "property 'mtu' was given more than one value"),
            ("mtu", "'mtu' is not of the form PROPERTY=VALUE"),
        ] {
            assert_eq!(plan(&[list]), Err(expected.to_owned()));
        }
    }

    #[test]
    fn an_unknown_plugin_is_told_with_the_known_ones() {
        let error = plugin(&[twin::vxlan()], "encapsulation", "gre").unwrap_err().to_string();
        assert_eq!(error, "unknown encapsulation plugin 'gre' (known ones: vxlan)");
    }
}
