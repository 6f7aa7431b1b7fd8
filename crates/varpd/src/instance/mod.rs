//! An instance of a search plugin: what it is made of, and how far it has come.

pub mod change;
pub mod life;

use std::sync::Arc;

use overlay_core::property::{Assignment, Kind, Possible, Properties, PropertySpec};
use overlay_core::protocol::{Association, ControlError, ErrorCode, InstanceInfo, PropertyValue, Response};
use overlay_core::types::{LinkId, VnetId};

use crate::message::Answer;
use crate::plugins::{Lookup, Plugin, Registry};
use crate::search::{Held, Search};
use crate::store::Record;

pub use change::{Change, Event as ChangeEvent, Phase, Step, merged, on_event as on_change};
pub use life::{Action, Event, State, on_event};

/// What an instance is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// The overlay it is for.
    pub link: LinkId,
    /// The overlay's virtual network; old records do not have it.
    pub vnetid: Option<VnetId>,
    /// The plugin.
    pub plugin: String,
    /// Its properties as they were given.
    pub properties: Vec<Assignment>,
    /// Whether it ends with the next boot.
    pub temporary: bool,
}

/// An instance of a search plugin.
pub struct Instance {
    /// Its number: 1 to 2^31 - 1 (illumos's id space), the same over restarts.
    pub id: u32,
    /// The overlay it is for.
    pub link: LinkId,
    /// The overlay's virtual network; old records do not have it.
    pub vnetid: Option<VnetId>,
    /// Whether it ends with the next boot.
    pub temporary: bool,
    /// Where it is in its life.
    pub state: State,
    /// The client that waits for its activation.
    pub waiting: Option<Answer>,
    /// Whether the driver does not have its overlay.
    pub orphan: bool,
    /// Whether its plugin has been told of the association that is in force.
    pub greeted: bool,
    /// Whether the driver is being asked to take it.
    pub asking: bool,
    /// Whether its plugin was ready anew after the driver was asked.
    pub overtaken: bool,
    /// What its plugin has said that is to be told once the driver has taken it.
    pub held: Held,
    /// Its plugin at work, from its start on.
    pub search: Option<Search>,
    /// Why its lookups do not work, or not wholly.
    pub trouble: Option<String>,
    /// The trouble that the driver has been told of since it last took an association.
    pub told: Option<String>,
    /// A change of its properties that is under way.
    pub change: Option<Change>,
    plugin: Known,
    given: Vec<Assignment>,
}

/// What is known of the plugin of an instance.
enum Known {
    /// It is there and takes the properties. The lookup is the one that was made to see that, until it is started.
    There(Arc<dyn Plugin>, Properties, Option<Box<dyn Lookup>>),
    /// The one of this name is not there, or does not take the properties, and why.
    Missing(String, String),
}

impl Known {
    fn of(
        name: &str,
        given: &[Assignment],
        vnetid: Option<VnetId>,
        registry: &Registry,
    ) -> Result<Self, ControlError> {
        let plugin = registry.find(name)?;
        let properties = Properties::check(plugin.properties(), given)?;
        let lookup = plugin.instantiate(&properties, vnetid)?;
        Ok(Self::There(plugin, properties, Some(lookup)))
    }

    fn missing(name: String, why: &ControlError) -> Self {
        let reason = match why.code {
            ErrorCode::NotFound => {
                format!(
                    "search plugin '{name}' is not there; once its program is installed, send varpd SIGHUP"
                )
            }
            _ => format!("search plugin '{name}' does not take the properties: {why}"),
        };
        Self::Missing(name, reason)
    }
}

impl Instance {
    /// A fresh one; nothing knows of it yet.
    ///
    /// # Errors
    /// There is no such plugin, or it does not take the properties.
    pub fn new(id: u32, wanted: NewInstance, registry: &Registry) -> Result<Self, ControlError> {
        let known = Known::of(&wanted.plugin, &wanted.properties, wanted.vnetid, registry)?;
        Ok(Self::made(id, wanted, known))
    }

    /// The one of a record. A plugin that is not there, or that does not take the properties, may do so later.
    pub fn from_record(record: Record, temporary: bool, registry: &Registry) -> Self {
        let Record { instance, link, vnetid, plugin, properties, activated } = record;
        let known = Known::of(&plugin, &properties, vnetid, registry)
            .unwrap_or_else(|error| Known::missing(plugin.clone(), &error));
        let state = if activated { State::Waking } else { State::Created };
        let wanted = NewInstance { link, vnetid, plugin, properties, temporary };
        Self { state, ..Self::made(instance, wanted, known) }
    }

    fn made(id: u32, wanted: NewInstance, plugin: Known) -> Self {
        let NewInstance { link, vnetid, plugin: _, properties: given, temporary } = wanted;
        Self {
            id,
            link,
            vnetid,
            temporary,
            state: State::Created,
            waiting: None,
            orphan: false,
            greeted: false,
            asking: false,
            overtaken: false,
            held: Held::default(),
            search: None,
            trouble: None,
            told: None,
            change: None,
            plugin,
            given,
        }
    }

    /// Looks again for its plugin, for the next start. One that is there stays when there is none in its place, or one that
    /// does not take the properties.
    pub fn find_plugin(&mut self, registry: &Registry) {
        let name = self.plugin_name().to_owned();
        match Known::of(&name, &self.given, self.vnetid, registry) {
            Ok(known) => self.plugin = known,
            Err(error) if self.is_missing() => self.plugin = Known::missing(name, &error),
            Err(error) => {
                tracing::warn!(
                    "instance {} goes on with the search plugin it has: {}",
                    self.id,
                    error.message
                );
            }
        }
    }

    /// Whether its plugin is not there, or does not take the properties.
    pub const fn is_missing(&self) -> bool {
        matches!(self.plugin, Known::Missing(..))
    }

    /// A lookup to start, of the plugin with the properties it has now.
    ///
    /// # Errors
    /// The plugin is not there, or makes none.
    pub fn lookup(&mut self) -> Result<Box<dyn Lookup>, ControlError> {
        match &mut self.plugin {
            Known::There(plugin, properties, unused) => match unused.take() {
                Some(lookup) => Ok(lookup),
                None => Ok(plugin.instantiate(properties, self.vnetid)?),
            },
            Known::Missing(_, reason) => Err(ControlError::new(ErrorCode::Unavailable, reason.clone())),
        }
    }

    /// All properties as given and checked, and a lookup of them, with new values in the place of old ones. A plugin that
    /// did not take the old ones is taken from the registry.
    ///
    /// # Errors
    /// The plugin is not there, or does not take the properties.
    pub fn changed(&self, new: &[Assignment], registry: &Registry) -> Result<Changed, ControlError> {
        let plugin = match &self.plugin {
            Known::There(plugin, ..) => Arc::clone(plugin),
            Known::Missing(name, reason) => {
                registry.find(name).map_err(|_| ControlError::new(ErrorCode::Unavailable, reason.clone()))?
            }
        };
        let given = merged(&self.given, new);
        let properties = Properties::check(plugin.properties(), &given)?;
        let lookup = plugin.instantiate(&properties, self.vnetid)?;
        Ok(Changed { settings: Settings { given, plugin, properties }, lookup })
    }

    /// Gives it other properties; what was made of the old ones and has not been started is forgotten.
    pub fn assign(&mut self, settings: Settings) {
        self.given = settings.given;
        self.plugin = Known::There(settings.plugin, settings.properties, None);
    }

    /// What is written down of it.
    pub fn record(&self, activated: bool) -> Record {
        self.record_with(self.given.clone(), activated)
    }

    /// What would be written down of it with other properties.
    pub fn record_with(&self, properties: Vec<Assignment>, activated: bool) -> Record {
        Record {
            instance: self.id,
            link: self.link,
            vnetid: self.vnetid,
            plugin: self.plugin_name().to_owned(),
            properties,
            activated,
        }
    }

    /// What the driver is told of its plugin at work, or of one that may take that place.
    pub fn association(&self, search: &Search) -> Association {
        let (mode, sources) = (search.target(), search.sources());
        Association { link: self.link, instance: self.id, mode, sources }
    }

    /// How the log speaks of it: the number is the overlay's property `varpd/id`.
    pub fn label(&self) -> String {
        let network = self.vnetid.map(|vnetid| format!(", vnetid {vnetid}")).unwrap_or_default();
        format!("instance {} ({}{network})", self.id, self.plugin_name())
    }

    /// As clients see it.
    pub fn info(&self) -> InstanceInfo {
        InstanceInfo {
            instance: self.id,
            link: self.link,
            plugin: self.plugin_name().to_owned(),
            state: self.state.shown(),
            properties: self.properties(),
        }
    }

    /// Answers the client that waits for its activation.
    pub fn answer(&mut self, result: Result<(), ControlError>) {
        if let Some(answer) = self.waiting.take() {
            answer.give(result.map(|()| Response::Done));
        }
    }

    /// Why it cannot be activated, where it cannot.
    pub fn activation_refusal(&self) -> Option<ControlError> {
        let what = match self.state {
            State::Created => return None,
            State::Starting | State::Activating => "being activated",
            State::Waking | State::Active | State::Associated => "active",
        };
        Some(ControlError::new(ErrorCode::Exists, format!("instance {} is already {what}", self.id)))
    }

    /// Why its properties cannot be changed now, where they cannot.
    pub fn change_refusal(&self) -> Option<ControlError> {
        let busy = matches!(self.state, State::Starting | State::Activating);
        let what = match (busy, &self.change) {
            (true, _) => "is being activated",
            (false, Some(_)) => "is having its properties changed already",
            (false, None) => return None,
        };
        Some(ControlError::new(ErrorCode::Busy, format!("instance {} {what}", self.id)))
    }

    fn plugin_name(&self) -> &str {
        match &self.plugin {
            Known::There(plugin, ..) => plugin.name(),
            Known::Missing(name, _) => name,
        }
    }

    /// Of a plugin that is not there, what was given is all there is to show.
    fn properties(&self) -> Vec<PropertyValue> {
        match &self.plugin {
            Known::There(plugin, properties, _) => {
                let value = |name: &str| properties.value(name).map(ToString::to_string);
                let shown = |spec: &PropertySpec| PropertyValue {
                    value: value(&spec.name),
                    spec: spec.clone(),
                    given: None,
                };
                plugin.properties().iter().map(shown).collect()
            }
            Known::Missing(..) => self.given.iter().map(shown_alone).collect(),
        }
    }
}

/// Properties that an instance may get, and what the plugin has made of them.
pub struct Changed {
    /// The properties.
    pub settings: Settings,
    /// Not yet started.
    pub lookup: Box<dyn Lookup>,
}

/// Properties with the plugin that takes them.
pub struct Settings {
    /// As they were given.
    pub given: Vec<Assignment>,
    /// The plugin.
    pub plugin: Arc<dyn Plugin>,
    /// The same, checked by its table.
    pub properties: Properties,
}

fn shown_alone(given: &Assignment) -> PropertyValue {
    let spec = PropertySpec {
        name: given.name.clone().into(),
        ..PropertySpec::new("", Kind::String, Possible::Any, None, "")
    };
    PropertyValue { spec, value: Some(given.value.clone()), given: None }
}
