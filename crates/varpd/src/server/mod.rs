//! The control server: accepts clients and carries their requests to the owner, one task each.

mod admission;
mod connection;

use std::io;
use std::time::Duration;

use nix::libc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::sleep;

use crate::message::Message;
use admission::{Activity, Admission};
use connection::Connection;

/// Clients served at a time; one more and the one idle longest is closed.
pub const CONNECTIONS_MAX: usize = 2048;

/// How long no client is accepted after the system would not let one in: what it lacks does not come back
/// by asking again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The clients of one listening socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    owner: mpsc::Sender<Message>,
    admission: Admission<Id, AbortHandle>,
    tasks: JoinSet<()>,
    trouble: bool,
}

impl Server {
    /// For the clients of `listener`, whose requests go to `owner`.
    pub fn new(listener: UnixListener, owner: mpsc::Sender<Message>) -> Self {
        let (admission, tasks) = (Admission::new(CONNECTIONS_MAX), JoinSet::new());
        Self { listener, owner, admission, tasks, trouble: false }
    }

    /// Serves for ever; when dropped, every connection is closed.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream),
                    Err(error) => self.refused(&error).await,
                },
                Some(ended) = self.tasks.join_next_with_id() => {
                    let key = ended.map_or_else(|error| error.id(), |(key, ())| key);
                    self.admission.ended(key);
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        self.trouble = false;
        if self.admission.full() {
            self.close_idlest();
        }
        let activity = self.admission.activity();
        match Connection::new(stream, self.owner.clone(), activity.clone()) {
            Ok(connection) => self.serve(connection, activity),
            Err(error) => tracing::debug!("a client cannot be told from others: {error}"),
        }
    }

    fn serve(&mut self, connection: Connection, activity: Activity) {
        let handle = self.tasks.spawn(connection.run());
        self.admission.admit(handle.id(), activity, handle);
    }

    async fn refused(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.trouble, true) {
            tracing::warn!("cannot accept clients now: {error}");
        }
        if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
            self.close_idlest();
        }
        sleep(PAUSE).await;
    }

    fn close_idlest(&mut self) {
        if let Some(connection) = self.admission.take_idlest() {
            connection.abort();
        }
    }
}
