use std::collections::BTreeMap;

use overlay_core::property::Assignment;
use serde::{Deserialize, Serialize};

/// What of a link is otherwise than stored until the next boot. It stands in the link's record, so that a change is one
/// write, under the mark of the boot that it holds for (docs/adr/0014).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UntilBoot {
    pub(crate) boot: u64,
    /// Whether the link is there.
    #[serde(default)]
    pub(crate) presence: Presence,
    /// Properties that have another value, or none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) properties: BTreeMap<String, Option<String>>,
}

/// Whether a link is there, which is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Presence {
    /// It is.
    #[default]
    Here,
    /// It is on its way out; the next start finishes that.
    Ending,
    /// It is not.
    Absent,
}

/// What becomes of a property: another value, or none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PropertyChange {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl UntilBoot {
    pub(crate) fn is_empty(&self) -> bool {
        self.is_here() && self.properties.is_empty()
    }

    /// Whether the link is there, and stays.
    pub(crate) fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    /// The properties as they are now, where these are stored.
    pub(crate) fn over(&self, stored: &[Assignment]) -> Vec<Assignment> {
        let kept = stored.iter().filter(|one| !self.properties.contains_key(&one.name)).cloned();
        let given =
            self.properties.iter().filter_map(|(name, value)| Some(Assignment::new(name, value.clone()?)));
        kept.chain(given).collect()
    }

    /// Changes properties, until the next boot or for good; for good ends what held until then.
    pub(crate) fn change(
        &mut self,
        stored: &mut Vec<Assignment>,
        changes: &[PropertyChange],
        temporary: bool,
    ) {
        for PropertyChange { name, value } in changes {
            self.properties.remove(name);
            let place = stored.iter().position(|one| one.name == *name);
            if temporary {
                if place.map(|place| &stored[place].value) != value.as_ref() {
                    self.properties.insert(name.clone(), value.clone());
                }
                continue;
            }
            match (place, value) {
                (Some(place), Some(value)) => stored[place].value.clone_from(value),
                (Some(place), None) => drop(stored.remove(place)),
                (None, Some(value)) => stored.push(Assignment::new(name, value)),
                (None, None) => {}
            }
        }
    }
}

impl PropertyChange {
    /// The changes that give properties these values.
    pub(crate) fn to(properties: Vec<Assignment>) -> Vec<Self> {
        properties.into_iter().map(|Assignment { name, value }| Self { name, value: Some(value) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, value: Option<&str>) -> PropertyChange {
        PropertyChange { name: name.to_owned(), value: value.map(str::to_owned) }
    }

    #[test]
    fn what_holds_until_the_next_boot_hides_what_is_stored() {
        let mut stored = vec![Assignment::new("a", "1"), Assignment::new("b", "2")];
        let mut until = UntilBoot::default();
        until.change(&mut stored, &[change("a", Some("3")), change("b", None), change("c", Some("4"))], true);
        assert_eq!(stored, [Assignment::new("a", "1"), Assignment::new("b", "2")]);
        assert_eq!(until.over(&stored), [Assignment::new("a", "3"), Assignment::new("c", "4")]);
        until.change(&mut stored, &[change("a", Some("1")), change("b", Some("2")), change("c", None)], true);
        assert!(until.is_empty(), "as stored is no difference: {until:?}");
    }

    #[test]
    fn a_change_for_good_ends_what_held_until_the_next_boot() {
        let mut stored = vec![Assignment::new("a", "1")];
        let mut until = UntilBoot::default();
        until.change(&mut stored, &[change("a", Some("3")), change("b", Some("4"))], true);
        until.change(&mut stored, &[change("a", Some("5")), change("b", None)], false);
        assert_eq!((stored, until.is_empty()), (vec![Assignment::new("a", "5")], true));
    }
}
