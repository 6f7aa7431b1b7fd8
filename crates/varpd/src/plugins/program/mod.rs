//! Search plugins that are programs of their own, in any language: found in the plugin directories, spoken with in
//! JSON lines over their standard input and output. `docs/plugins.md` has the protocol.
//!
//! [`discover()`] finds them; a [`Program`] is a plugin like any other. An instance is a pure state machine
//! (`machine`), and its process the business of a `runner`.

mod chatter;
pub(crate) mod declaration;
pub(crate) mod discover;
mod fuzz;
pub(crate) mod launch;
pub(crate) mod legal;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod message;
pub(crate) mod outbox;
mod pause;
pub(crate) mod questions;
mod runner;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod trust;

use overlay_core::property::{Properties, PropertySpec};
use overlay_core::types::VnetId;

use super::{Lookup, Mode, Plugin, PluginError};
pub use discover::discover;
pub use fuzz::answers_every_question;
use launch::Launch;
use machine::Machine;
use message::Order;
use runner::Runner;

/// What the process of an instance tells its state machine.
#[derive(Debug)]
pub enum ProgramEvent {
    /// It wrote these octets. More are read after [`ProgramAction::More`].
    Output(Vec<u8>),
    /// It has ended, or could not be started, and why; the last of each run.
    Ended(String),
}

/// What the state machine of an instance wants of its process.
#[derive(Debug)]
pub enum ProgramAction {
    /// It is to be started.
    Spawn,
    /// It is to be told this line.
    Send(Vec<u8>),
    /// What was read has been dealt with.
    More,
    /// It is to end, now.
    Kill,
    /// A line for the log.
    Log(String),
}

/// A search plugin that is a program.
#[derive(Debug)]
pub struct Program {
    name: String,
    mode: Mode,
    properties: Vec<PropertySpec>,
    launch: Launch,
}

impl Program {
    pub(crate) const fn new(name: String, mode: Mode, properties: Vec<PropertySpec>, launch: Launch) -> Self {
        Self { name, mode, properties, launch }
    }
}

impl Plugin for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn properties(&self) -> &[PropertySpec] {
        &self.properties
    }

    fn instantiate(
        &self,
        properties: &Properties,
        vnetid: Option<VnetId>,
    ) -> Result<Box<dyn Lookup>, PluginError> {
        let start = Order::start(&self.properties, properties, vnetid).line();
        let label = match vnetid {
            Some(vnetid) => format!("search plugin {} of vnetid {vnetid}", self.name),
            None => format!("search plugin {}", self.name),
        };
        let runner = Runner::new(&self.name, &label, self.launch.clone());
        Ok(Box::new(Machine::new(runner, self.mode, start)))
    }
}
