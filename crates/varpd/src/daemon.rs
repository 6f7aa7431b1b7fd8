//! The daemon as a whole: takes its place, restores its instances, and runs its tasks until told to stop.

use std::io;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use overlay_core::control::{Claim, ClaimError, Daemon, Paths};
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};

use crate::driver::Driver;
use crate::owner::Owner;
use crate::server::{CONNECTIONS_MAX, Server};
use crate::store::{Store, StoreError};

/// Messages that wait for the owner before their senders do.
const INBOX: usize = 256;

/// Descriptors for everything but clients.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its place is taken, or cannot be made.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The records cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control socket cannot be waited on.
    #[error("cannot wait on the control socket: {0}")]
    Listen(#[from] io::Error),
}

/// Serves the host of `paths` until `stop` comes to its end; calls `ready` once the control socket serves.
///
/// # Errors
/// It cannot start.
pub async fn run(
    paths: &Paths,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    make_room();
    // Dropped last: whoever finds the socket gone finds nothing else of this process at work.
    let (_claim, listener) = Claim::take(paths, Daemon::Varpd)?;
    let listener = UnixListener::from_std(listener)?;
    let hurry = Arc::new(Notify::new());
    let owner = Owner::restore(Store::open(paths)?, Arc::clone(&hurry))?;
    let (messages, inbox) = mpsc::channel(INBOX);
    let driver = Driver::new(paths.socket(Daemon::Overlayd), messages.clone(), hurry);
    let server = Server::new(listener, messages);
    ready();
    tokio::select! {
        () = stop => {}
        () = owner.run(inbox) => {}
        () = driver.run() => {}
        () = server.run() => {}
    }
    Ok(())
}

/// Raises the limit of descriptors so that every client the server admits can have one. What the system
/// does not allow is missed only by clients beyond it.
fn make_room() {
    let wanted = CONNECTIONS_MAX as u64 + DESCRIPTORS_BESIDE;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}
