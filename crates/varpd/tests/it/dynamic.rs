//! A search plugin that does what a test says.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::property::{Kind, Possible, Properties, PropertySpec};
use overlay_core::types::{Moment, VnetId};

use crate::plugins::interface::{Action, Event, Finding, Query, Ticket};
use crate::plugins::{Lookup, Mode, Plugin, PluginError};

/// The plugin, whose instances are numbered from 1 in the order in which they are made.
pub(crate) struct Twin {
    name: String,
    pub(crate) table: Vec<PropertySpec>,
    script: Script,
}

impl Twin {
    pub(crate) fn named(name: &str) -> Self {
        let start = PropertySpec {
            name: Cow::Owned(format!("{name}/start")),
            ..PropertySpec::new("", Kind::String, Possible::Any, Some("ready"), "what it does at its start")
        };
        let count = PropertySpec {
            name: Cow::Owned(format!("{name}/count")),
            ..PropertySpec::new("", Kind::Uint, Possible::Any, Some("1"), "a number")
        };
        Self { name: name.to_owned(), table: vec![start, count], script: Script::default() }
    }

    pub(crate) fn script(&self) -> Script {
        self.script.clone()
    }
}

impl Plugin for Twin {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        Mode::Dynamic
    }

    fn properties(&self) -> &[PropertySpec] {
        &self.table
    }

    fn instantiate(
        &self,
        properties: &Properties,
        _vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError> {
        let start = properties.text(&self.table[0].name).unwrap().to_owned();
        let mut inner = self.script.inner();
        inner.made += 1;
        Ok(Box::new(Instance { number: inner.made, start, script: self.script.clone() }))
    }
}

/// What instances are to do, and what they have heard.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    made: u32,
    due: HashMap<u32, Vec<Action>>,
    heard: Vec<(u32, String)>,
    asked: Vec<(Ticket, Query)>,
    known: Option<Finding>,
}

impl Script {
    /// What an instance does at its next event.
    pub(crate) fn next(&self, number: u32, actions: impl IntoIterator<Item = Action>) {
        self.inner().due.entry(number).or_default().extend(actions);
    }

    /// What every question is answered with at once from here on; nothing when there is none.
    pub(crate) fn knows(&self, finding: Option<Finding>) {
        self.inner().known = finding;
    }

    /// The questions asked since this was last called.
    pub(crate) fn asked(&self) -> Vec<(Ticket, Query)> {
        std::mem::take(&mut self.inner().asked)
    }

    /// The events since this was last called, but for questions, with the instances' numbers.
    pub(crate) fn heard(&self) -> Vec<(u32, String)> {
        std::mem::take(&mut self.inner().heard)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

struct Instance {
    number: u32,
    start: String,
    script: Script,
}

impl Instance {
    fn beginning(&self) -> Option<Action> {
        match &*self.start {
            "ready" => Some(Action::Ready),
            "wait" => None,
            reason => Some(Action::Degrade(reason.to_owned())),
        }
    }
}

impl Lookup for Instance {
    fn target(&self) -> TargetMode {
        TargetMode::Dynamic
    }

    /// Tells the instance's number: 10.0.0.NUMBER.
    fn sources(&self) -> Sources {
        Sources::known([IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.number as u8))])
    }

    fn on_event(&mut self, event: Event, _now: Moment, actions: &mut Vec<Action>) {
        let mut inner = self.script.inner();
        match event {
            Event::Ask(ticket, query) => {
                actions.extend(inner.known.clone().map(|finding| Action::Answer(ticket, finding)));
                inner.asked.push((ticket, query));
            }
            event => {
                inner.heard.push((self.number, format!("{event:?}")));
                if matches!(event, Event::Started) {
                    actions.extend(self.beginning());
                }
            }
        }
        actions.extend(inner.due.remove(&self.number).into_iter().flatten());
    }
}
