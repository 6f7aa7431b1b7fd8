//! The one owner of all instances: it takes a message at a time, never waits, and needs no locks.
//!
//! What it does at once is on disk and in the table; what the driver is to do goes out as calls, and comes
//! back as messages. So does what the I/O of plugins does.

mod change;
mod clock;
mod life;
mod link;
mod outbox;
mod plugins;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use overlay_core::protocol::{ControlError, ErrorCode, Request, Response};
use overlay_core::types::{LinkId, Moment};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep_until;

use crate::instance::{Event, Instance, NewInstance};
use crate::message::{Answer, Message};
use crate::plugins::Registry;
use crate::search::Outcome;
use crate::store::{Record, Store, StoreError};
use clock::Clock;
use link::Link;
use table::Table;

/// Messages dealt with before the driver is told what came of them.
const BATCH: usize = 64;

/// The instances with their records, the plugins and the link to the driver.
pub struct Owner {
    table: Table,
    store: Store,
    registry: Registry,
    link: Option<Link>,
    hurry: Arc<Notify>,
    /// Whether an instance's plugin is missing.
    missing: watch::Sender<bool>,
    /// The plugins' I/O reports into it, and only the owner reads.
    io: (UnboundedSender<Message>, UnboundedReceiver<Message>),
    last_generation: u64,
    /// The time of the message that is being dealt with.
    now: Moment,
    /// No instance has anything to do before this moment.
    wake: Option<Moment>,
    /// What was set aside of the records of overlays, for people.
    set_aside: HashMap<LinkId, String>,
    /// Kept for its memory.
    outcomes: Vec<Outcome>,
}

impl Owner {
    /// With the instances whose records are there, none of them started. It notifies `hurry` when a client waits for
    /// the driver, and says in `missing` whether an instance's plugin is.
    ///
    /// # Errors
    /// The records' directory cannot be read.
    pub fn restore(
        store: Store,
        registry: Registry,
        hurry: Arc<Notify>,
        missing: watch::Sender<bool>,
    ) -> Result<Self, StoreError> {
        let mut table = Table::default();
        let found = store.load(|record, temporary| restore(&mut table, record, temporary, &registry))?;
        table.reserve(found.highest);
        tracing::info!("{} instances restored", table.ids().len());
        Ok(Self {
            table,
            store,
            registry,
            link: None,
            hurry,
            missing,
            io: unbounded_channel(),
            last_generation: 0,
            now: Moment::default(),
            wake: None,
            set_aside: found.set_aside,
            outcomes: Vec::new(),
        })
    }

    /// Starts the active instances, and deals with messages until nobody can send one any more.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let clock = Clock::new();
        self.say_what_is_missing();
        self.wake_all();
        let (mut asked, mut heard) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            let wake = self.wake.map(|moment| clock.instant(moment));
            tokio::select! {
                count = inbox.recv_many(&mut asked, BATCH) => if count == 0 { return },
                _ = self.io.1.recv_many(&mut heard, BATCH) => {}
                () = sleep_until(wake.unwrap_or_else(|| clock.instant(Moment(u64::MAX)))), if wake.is_some() => {}
            }
            self.at(clock.now());
            asked.drain(..).chain(heard.drain(..)).for_each(|message| self.handle(message));
            self.flush();
        }
    }

    /// It is this late, and what is due is done.
    fn at(&mut self, now: Moment) {
        self.now = self.now.max(now);
        if self.wake.is_some_and(|wake| wake <= self.now) {
            self.on_time();
        }
    }

    /// Deals with one message; what it leads to for the driver is complete after [`Self::flush`].
    fn handle(&mut self, message: Message) {
        match message {
            Message::Request { request, answer } => self.request(request, answer),
            Message::Driver(notice) => self.notice(notice),
            Message::Io { instance, generation, event } => self.io_event(instance, generation, event),
            // Whoever asked has left: the daemon ends.
            Message::Pulse { alive } => drop(alive.send(())),
            Message::Plugins { outside } => self.found(outside),
            Message::Reload { outside } => self.reload(outside),
        }
    }

    fn request(&mut self, request: Request, answer: Answer) {
        let result = match request {
            Request::Plugins => Ok(Response::Plugins(self.registry.describe())),
            Request::CreateInstance { link, vnetid, plugin, properties, temporary } => {
                let vnetid = Some(vnetid);
                let wanted = NewInstance { link, vnetid, plugin, properties, temporary };
                self.create(wanted).map(Response::Instance)
            }
            Request::ActivateInstance { instance } => return self.activate(instance, answer),
            Request::SetInstanceProperties { link, properties } => {
                return self.change(link, &properties, answer);
            }
            Request::DestroyInstance { link } => self.destroy(link).map(|()| Response::Done),
            Request::Instances => Ok(Response::Instances(self.table.all().map(Instance::info).collect())),
            Request::Encaps
            | Request::CreateOverlay { .. }
            | Request::ActivateOverlay { .. }
            | Request::DeleteOverlay { .. }
            | Request::CreateVnic { .. }
            | Request::DeleteVnic { .. }
            | Request::UpOverlays { .. }
            | Request::RenameLink { .. }
            | Request::SetLinkProperties { .. }
            | Request::ResetLinkProperties { .. }
            | Request::LinkProperties
            | Request::StoredLinks
            | Request::Watch
            | Request::Links
            | Request::Overlays
            | Request::Muxes
            | Request::Targets { .. }
            | Request::SetTarget { .. }
            | Request::RemoveTarget { .. }
            | Request::FlushTargets { .. }
            | Request::SetOverlayProperties { .. }
            | Request::Answers { .. }
            | Request::Inject { .. }
            | Request::Attach
            | Request::Associate(_)
            | Request::Disassociate { .. }
            | Request::Degrade { .. }
            | Request::Restore { .. }
            | Request::ForgetDeleted { .. } => Err(not_ours()),
        };
        answer.give(result);
    }

    fn create(&mut self, wanted: NewInstance) -> Result<u32, ControlError> {
        let id = self.table.free_id().ok_or_else(out_of_ids)?;
        let (link, temporary) = (wanted.link, wanted.temporary);
        let instance = Instance::new(id, wanted, &self.registry)?;
        if let Some(other) = self.table.of_link(link) {
            let problem = format!("link {link} has instance {} already", other.id);
            return Err(ControlError::new(ErrorCode::Exists, problem));
        }
        if let Err(error) = self.store.save(&instance.record(false), temporary) {
            // The file may have got its name before the failure; what cannot be removed either is destroyed
            // with its overlay after the next start.
            let _ = self.store.remove(id, link, temporary);
            return Err(error);
        }
        let label = instance.label();
        self.table.add(instance);
        self.set_aside.remove(&link);
        tracing::info!("{label} created");
        Ok(id)
    }

    fn activate(&mut self, id: u32, answer: Answer) {
        let refusal = match self.table.instance_mut(id) {
            None => Some(ControlError::not_found(format!("there is no instance {id}"))),
            Some(instance) => instance.activation_refusal(),
        };
        if let Some(error) = refusal {
            return answer.give(Err(error));
        }
        if let Some(instance) = self.table.instance_mut(id) {
            instance.waiting = Some(answer);
        }
        self.apply(id, &Event::Activate);
    }

    fn destroy(&mut self, link: LinkId) -> Result<(), ControlError> {
        let Some(instance) = self.table.of_link(link) else {
            return Err(ControlError::not_found(format!("link {link} has no instance")));
        };
        let id = instance.id;
        self.store.remove(id, link, instance.temporary)?;
        self.apply(id, &Event::Destroy);
        tracing::info!("instance {id} of link {link} destroyed");
        Ok(())
    }
}

fn restore(table: &mut Table, record: Record, temporary: bool, registry: &Registry) -> Result<(), String> {
    if table.instance(record.instance).is_some() {
        return Err("another record has its number".to_owned());
    }
    if let Some(other) = table.of_link(record.link) {
        return Err(format!("link {} has instance {} already", record.link, other.id));
    }
    table.add(Instance::from_record(record, temporary, registry));
    Ok(())
}

fn not_ours() -> ControlError {
    let problem = "varpd does not do this; overlayd does";
    ControlError::new(ErrorCode::Unsupported, problem).with_hint("send it to overlay.sock")
}

fn out_of_ids() -> ControlError {
    ControlError::new(ErrorCode::Failed, "all numbers of instances are in use")
}
