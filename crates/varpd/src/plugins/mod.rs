//! Search plugins: what answers "where is this MAC?" for an overlay.
//!
//! A plugin is one folder with its property table, its state machine and its I/O, and one line in [`PLUGINS`]; or it
//! comes from outside. What there is stands in the [`Registry`]. What an instance of a plugin does with its checked
//! properties is a [`Lookup`]: events in, actions out, the time as an argument ([`interface`]). What that needs of
//! files and processes is the business of its [`Io`], which the state machine speaks with through actions and events
//! too.

mod accept;
mod direct;
pub mod files;
pub mod interface;
pub mod program;
mod registry;
#[cfg(test)]
#[path = "../../tests/it/dynamic.rs"]
pub(crate) mod twin;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::property::{Properties, PropertySpec};
use overlay_core::protocol::ControlError;
use overlay_core::types::{Moment, VnetId};

use interface::{Action, Event, Io};
pub use registry::Registry;

/// Every search plugin that is part of varpd. Requests, help and the conformance tests read this list.
pub static PLUGINS: &[&dyn Plugin] = &[&direct::Direct, &files::Plug];

/// When a plugin is asked for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Once, for all frames.
    Point,
    /// For each destination.
    Dynamic,
}

/// A search plugin.
pub trait Plugin: Send + Sync {
    /// Its name, as `-s` takes it.
    fn name(&self) -> &str;

    /// When it is asked.
    fn mode(&self) -> Mode;

    /// Its properties; the name of each starts with the plugin's and `/`.
    fn properties(&self) -> &[PropertySpec];

    /// An instance for a virtual network with these properties, which have been checked against the table. It does
    /// nothing before [`Event::Started`]. The vnetid is missing where an old record does not have it.
    ///
    /// # Errors
    /// What the table alone cannot tell, such as two values that do not go together.
    fn instantiate(
        &self,
        properties: &Properties,
        vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError>;
}

/// An instance of a plugin, without its I/O.
pub trait Lookup: Send {
    /// How the overlay's destinations are found; asked only after [`Action::Ready`].
    fn target(&self) -> TargetMode;

    /// The tunnel ends that may send to the overlay; asked only after [`Action::Ready`].
    fn sources(&self) -> Sources;

    /// Takes an event, and adds to `actions` what is to be done.
    fn on_event(&mut self, event: Event, now: Moment, actions: &mut Vec<Action>);

    /// What carries out its I/O, where it has any; asked once, before [`Event::Started`].
    fn io(&self) -> Option<Box<dyn Io>> {
        None
    }
}

/// Why a plugin makes no instance of checked properties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("search plugin '{plugin}' cannot start: {reason}")]
pub struct PluginError {
    /// The plugin.
    pub plugin: String,
    /// What is wrong.
    pub reason: String,
}

impl From<PluginError> for ControlError {
    fn from(error: PluginError) -> Self {
        Self::invalid(error)
    }
}

/// A plugin that is part of varpd stands in the same list as one that was found at the start.
impl Plugin for &'static dyn Plugin {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn mode(&self) -> Mode {
        (**self).mode()
    }

    fn properties(&self) -> &[PropertySpec] {
        (**self).properties()
    }

    fn instantiate(
        &self,
        properties: &Properties,
        vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError> {
        (**self).instantiate(properties, vnetid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::property::{AddressRule, Assignment, Kind, Permission, Possible, PropertyError};
    use std::collections::BTreeSet;

    /// A legal value of a property.
    fn sample(spec: &PropertySpec) -> String {
        if let Some(default) = &spec.default {
            return default.to_string();
        }
        match (&spec.kind, &spec.possible) {
            (_, Possible::Words(words)) => words[0].to_string(),
            (_, Possible::Range(low, _)) => low.to_string(),
            (Kind::Ip, Possible::Address(AddressRule::HostOrAny)) => "::".to_owned(),
            (Kind::Ip, _) => "192.0.2.1".to_owned(),
            (Kind::Int | Kind::Uint, _) => "1".to_owned(),
            (Kind::String, _) => "/x".to_owned(),
            (kind, _) => panic!("no plugin here has a property of kind {kind:?}"),
        }
    }

    fn samples(plugin: &dyn Plugin) -> Vec<Assignment> {
        let writable = plugin.properties().iter().filter(|spec| spec.permission == Permission::ReadWrite);
        writable.map(|spec| Assignment::new(&*spec.name, sample(spec))).collect()
    }

    #[test]
    fn names_are_unique_and_words() {
        let mut seen = BTreeSet::new();
        for plugin in PLUGINS {
            let name = plugin.name();
            assert!(seen.insert(name), "{name} is there twice");
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
        }
    }

    #[test]
    fn property_names_are_unique_and_start_with_the_plugins() {
        for plugin in PLUGINS {
            let mut seen = BTreeSet::new();
            for spec in plugin.properties() {
                let own = spec.name.strip_prefix(plugin.name()).and_then(|rest| rest.strip_prefix('/'));
                assert!(own.is_some_and(|own| !own.is_empty()), "{}", spec.name);
                assert!(seen.insert(spec.name.clone()), "{} is there twice", spec.name);
            }
        }
    }

    #[test]
    fn properties_are_documented_in_one_line() {
        for spec in PLUGINS.iter().flat_map(|plugin| plugin.properties()) {
            assert!(!spec.doc.is_empty() && !spec.doc.contains('\n'), "{}", spec.name);
        }
    }

    #[test]
    fn defaults_are_legal_and_what_is_required_has_none() {
        for spec in PLUGINS.iter().flat_map(|plugin| plugin.properties()) {
            if let Some(default) = &spec.default {
                assert!(spec.parse(default).is_ok() && !spec.required, "{}", spec.name);
            }
        }
    }

    #[test]
    fn all_missing_properties_are_named() {
        for plugin in PLUGINS {
            let table = plugin.properties();
            let required: Vec<_> =
                table.iter().filter(|spec| spec.required).map(|spec| &*spec.name).collect();
            match Properties::check(table, &[]) {
                Ok(_) => assert!(required.is_empty(), "{}", plugin.name()),
                Err(error) => assert_eq!(error, PropertyError::Missing(required.join(", "))),
            }
        }
    }

    #[test]
    fn legal_properties_make_an_instance_that_the_mode_describes() {
        for plugin in PLUGINS {
            let properties = Properties::check(plugin.properties(), &samples(*plugin)).unwrap();
            let lookup = plugin.instantiate(&properties, None).unwrap();
            match (plugin.mode(), lookup.target()) {
                (Mode::Point, TargetMode::Point(end)) => {
                    assert!(end.port() != 0 && !end.ip().is_unspecified());
                    assert!(lookup.sources().allow(end.ip()), "{} drops its own destination", plugin.name());
                }
                (Mode::Dynamic, TargetMode::Dynamic) => {}
                (mode, target) => panic!("{}: {mode:?} and {target:?}", plugin.name()),
            }
        }
    }
}
