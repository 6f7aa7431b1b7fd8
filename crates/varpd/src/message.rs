//! What reaches the one owner of all instances: requests of clients, news of the driver and of plugins' I/O.

use std::sync::Arc;

use overlay_core::lookup::Question;
use overlay_core::protocol::{Call, ControlError, Reply, Request, Response};
use overlay_core::types::LinkId;
use tokio::sync::{mpsc, oneshot};

use crate::plugins::Plugin;
use crate::plugins::interface::IoEvent;

/// One thing for the owner to deal with.
pub enum Message {
    /// A client asks.
    Request {
        /// What.
        request: Request,
        /// Where the answer goes.
        answer: Answer,
    },
    /// The driver, or the link to it, has news.
    Driver(Notice),
    /// The I/O of a plugin has news.
    Io {
        /// The instance.
        instance: u32,
        /// Which of the plugin's lookups that the instance has had.
        generation: u64,
        /// What; none when the I/O has ended.
        event: Option<IoEvent>,
    },
    /// Plugins have been looked for, because one was missing.
    Plugins {
        /// The search plugins from outside that there are now.
        outside: Vec<Arc<dyn Plugin>>,
    },
    /// Whether the owner is at work is asked.
    Pulse {
        /// Takes the answer.
        alive: oneshot::Sender<()>,
    },
    /// Everything is to be read again.
    Reload {
        /// The search plugins from outside that there are now.
        outside: Vec<Arc<dyn Plugin>>,
    },
}

/// News of the driver, in the order in which they happened.
#[derive(Debug)]
pub enum Notice {
    /// A connection has been attached.
    Attached {
        /// The overlays that exist.
        overlays: Vec<LinkId>,
        /// Those deleted whose instances may still exist.
        deleted: Vec<LinkId>,
        /// Takes calls for this connection; none of them reaches a later one.
        calls: mpsc::UnboundedSender<Call>,
    },
    /// A call was answered.
    Reply(Reply),
    /// An overlay has ended.
    OverlayDeleted(LinkId),
    /// Destinations are asked for.
    Lookups(Vec<Question>),
    /// The connection broke, or an attempt to make one failed, and why.
    Unavailable(ControlError),
}

/// Takes the answer to one request.
#[derive(Debug)]
pub struct Answer(oneshot::Sender<Result<Response, ControlError>>);

impl Answer {
    /// One, and where the answer comes out.
    pub fn channel() -> (Self, oneshot::Receiver<Result<Response, ControlError>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Gives the answer; a client that has left meanwhile misses nothing.
    pub fn give(self, result: Result<Response, ControlError>) {
        drop(self.0.send(result));
    }
}
