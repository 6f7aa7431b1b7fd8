//! The one owner of all instances: it takes a message at a time, never waits, and needs no locks.
//!
//! What it does at once is on disk and in the table; what the driver is to do goes out as calls, and comes
//! back as messages.

mod link;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use overlay_core::protocol::{ControlError, ErrorCode, Request, Response};
use overlay_core::types::LinkId;
use tokio::sync::{Notify, mpsc};

use crate::instance::{Event, Instance, NewInstance};
use crate::message::{Answer, Message};
use crate::plugins;
use crate::store::{Record, Store, StoreError};
use link::Link;
use table::Table;

/// The instances with their records and the link to the driver.
pub struct Owner {
    table: Table,
    store: Store,
    link: Option<Link>,
    hurry: Arc<Notify>,
}

impl Owner {
    /// With the instances whose records are there. It notifies `hurry` when a client waits for the driver.
    ///
    /// # Errors
    /// The records' directory cannot be read.
    pub fn restore(store: Store, hurry: Arc<Notify>) -> Result<Self, StoreError> {
        let mut table = Table::default();
        let highest = store.load(|record, temporary| restore(&mut table, record, temporary))?;
        table.reserve(highest);
        tracing::info!("{} instances restored", table.ids().len());
        Ok(Self { table, store, link: None, hurry })
    }

    /// Deals with messages until nobody can send one any more.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.recv().await {
            self.handle(message);
        }
    }

    /// Deals with one message.
    pub fn handle(&mut self, message: Message) {
        match message {
            Message::Request { request, answer } => self.request(request, answer),
            Message::Driver(notice) => self.notice(notice),
        }
    }

    fn request(&mut self, request: Request, answer: Answer) {
        let result = match request {
            Request::Plugins => Ok(Response::Plugins(plugins::describe())),
            Request::CreateInstance { link, vnetid, plugin, properties, temporary } => {
                let vnetid = Some(vnetid);
                let wanted = NewInstance { link, vnetid, plugin, properties, temporary };
                self.create(wanted).map(Response::Instance)
            }
            Request::ActivateInstance { instance } => return self.activate(instance, answer),
            Request::DestroyInstance { link } => self.destroy(link).map(|()| Response::Done),
            Request::Instances => Ok(Response::Instances(self.table.all().map(Instance::info).collect())),
            Request::SetInstanceProperties { .. } => {
                Err(ControlError::new(ErrorCode::Unsupported, "not there yet"))
            }
            Request::Encaps
            | Request::CreateOverlay { .. }
            | Request::ActivateOverlay { .. }
            | Request::DeleteOverlay { .. }
            | Request::CreateVnic { .. }
            | Request::DeleteVnic { .. }
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
        let (link, plugin, temporary) = (wanted.link, wanted.plugin.clone(), wanted.temporary);
        let instance = Instance::new(id, wanted)?;
        if let Some(other) = self.table.of_link(link) {
            let problem = format!("link {link} has instance {} already", other.id);
            return Err(ControlError::new(ErrorCode::Exists, problem));
        }
        if let Err(error) = self.store.save(&instance.record(false), temporary) {
            // The file may have got its name before the failure; what cannot be removed either is destroyed
            // with its overlay after the next start.
            let _ = self.store.remove(id, temporary);
            return Err(error);
        }
        self.table.add(instance);
        tracing::info!("instance {id} of {plugin} created for link {link}");
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
        self.store.remove(id, instance.temporary)?;
        self.apply(id, &Event::Destroy);
        tracing::info!("instance {id} of link {link} destroyed");
        Ok(())
    }
}

fn restore(table: &mut Table, record: Record, temporary: bool) -> Result<(), String> {
    if table.instance(record.instance).is_some() {
        return Err("another record has its number".to_owned());
    }
    if let Some(other) = table.of_link(record.link) {
        return Err(format!("link {} has instance {} already", record.link, other.id));
    }
    let instance = Instance::from_record(record, temporary).map_err(|error| error.message)?;
    table.add(instance);
    Ok(())
}

fn not_ours() -> ControlError {
    let problem = "varpd does not do this; overlayd does";
    ControlError::new(ErrorCode::Unsupported, problem).with_hint("send it to overlay.sock")
}

fn out_of_ids() -> ControlError {
    ControlError::new(ErrorCode::Failed, "all numbers of instances are in use")
}
