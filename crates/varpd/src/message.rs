//! What reaches the one owner of all instances: requests of clients, and news of the driver.

use overlay_core::lookup::Question;
use overlay_core::protocol::{Call, ControlError, Reply, Request, Response};
use overlay_core::types::LinkId;
use tokio::sync::{mpsc, oneshot};

/// One thing for the owner to deal with.
#[derive(Debug)]
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
