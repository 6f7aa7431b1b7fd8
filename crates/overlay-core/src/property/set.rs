use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Assignment, Permission, PropertyError, PropertySpec, Value};

/// Values of one owner's properties, all of them checked, with the defaults of those not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    values: BTreeMap<String, Value>,
}

impl Properties {
    /// Checks what was given against the owner's table.
    ///
    /// # Errors
    /// The first thing wrong with what was given; else all required properties that are missing.
    pub fn check(table: &[PropertySpec], given: &[Assignment]) -> Result<Self, PropertyError> {
        let mut set = Self::default();
        for assignment in given {
            let spec = find(table, &assignment.name)?;
            if set.values.insert(spec.name.to_string(), spec.parse(&assignment.value)?).is_some() {
                return Err(PropertyError::Repeated(assignment.name.clone()));
            }
        }
        let writable = table.iter().filter(|spec| spec.permission == Permission::ReadWrite);
        let absent: Vec<_> = writable.filter(|spec| !set.values.contains_key(&*spec.name)).collect();
        let mut missing = Vec::new();
        for spec in absent {
            match &spec.default {
                Some(default) => drop(set.values.insert(spec.name.to_string(), spec.parse(default)?)),
                None if spec.required => missing.push(&*spec.name),
                None => {}
            }
        }
        if missing.is_empty() { Ok(set) } else { Err(PropertyError::Missing(missing.join(", "))) }
    }

    /// The value of a property, where it has one.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The value of an unsigned property.
    pub fn uint(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Uint(number)) => Some(*number),
            _ => None,
        }
    }

    /// The value of an address property.
    pub fn ip(&self, name: &str) -> Option<IpAddr> {
        match self.value(name) {
            Some(Value::Ip(address)) => Some(*address),
            _ => None,
        }
    }

    /// The value of a UDP port property.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.uint(name).and_then(|port| port.try_into().ok())
    }

    /// The value of a text property.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn find<'a>(table: &'a [PropertySpec], name: &str) -> Result<&'a PropertySpec, PropertyError> {
    table
        .iter()
        .find(|spec| spec.name == name)
        .ok_or_else(|| PropertyError::Unknown { name: name.to_owned(), known: settable(table) })
}

/// The names that it would have been worth while to give.
fn settable(table: &[PropertySpec]) -> String {
    let settable = table.iter().filter(|spec| spec.permission == Permission::ReadWrite);
    settable.map(|spec| &*spec.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Possible};
    use super::*;

    const TABLE: &[PropertySpec] = &[
        PropertySpec::new("x/ip", Kind::Ip, Possible::Any, None, "").required(),
        PropertySpec::new("x/port", Kind::Uint, Possible::Any, None, "").required(),
        PropertySpec::new("x/count", Kind::Uint, Possible::Any, Some("7"), ""),
        PropertySpec::new("x/id", Kind::Uint, Possible::Any, None, "").read_only(),
    ];

    fn check(given: &[(&str, &str)]) -> Result<Properties, PropertyError> {
        let given: Vec<_> = given.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
        Properties::check(TABLE, &given)
    }

    #[test]
    fn defaults_stand_where_nothing_was_given() {
        let set = check(&[("x/ip", "::1"), ("x/port", "1")]).unwrap();
        assert_eq!((set.port("x/port"), set.uint("x/count")), (Some(1), Some(7)));
    }

    #[test]
    fn all_missing_properties_are_named_at_once() {
        assert_eq!(check(&[]), Err(PropertyError::Missing("x/ip, x/port".into())));
    }

    #[test]
    fn unknown_repeated_and_read_only_ones_are_refused() {
        let known = "x/ip, x/port, x/count".to_owned();
        assert_eq!(check(&[("y", "1")]), Err(PropertyError::Unknown { name: "y".into(), known }));
        assert!(matches!(check(&[("x/port", "1"), ("x/port", "1")]), Err(PropertyError::Repeated(_))));
        assert!(matches!(check(&[("x/id", "1")]), Err(PropertyError::ReadOnly(_))));
    }
}
