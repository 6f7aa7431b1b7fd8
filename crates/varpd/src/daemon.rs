//! The daemon as a whole: takes its place, gives up root's rights, restores its instances, and runs its tasks until
//! told to stop.

use std::future::pending;
use std::io;
use std::os::unix;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use overlay_core::control::{Claim, ClaimError, Daemon, Paths};
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::driver::Driver;
use crate::message::Message;
use crate::owner::Owner;
use crate::plugins::program::discover;
use crate::plugins::{Plugin, Registry};
use crate::privileges::{PrivilegeError, drop_root};
use crate::server::{CONNECTIONS_MAX, Server};
use crate::store::{Store, StoreError};

/// Messages that wait for the owner before their senders do.
const INBOX: usize = 256;

/// Descriptors for everything but clients.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Where plugins are looked for when it is not said: those of `make install`, and those of packages.
const PLUGIN_DIRS: [&str; 2] = ["/usr/local/lib/overlay/plugins", "/usr/lib/overlay/plugins"];

/// Pauses between looks for a plugin that is missing.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LATEST_LOOK: Duration = Duration::from_secs(60);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its place is taken, or cannot be made.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The records cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Root's rights cannot be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The control socket cannot be waited on.
    #[error("cannot wait on the control socket: {0}")]
    Listen(#[from] io::Error),
}

/// The place of a daemon on its host, which nobody else can have.
#[derive(Debug)]
pub struct Place {
    paths: Paths,
    listener: unix::net::UnixListener,
    store: Store,
    // Dropped last: whoever finds the socket gone finds nothing else of this process at work.
    _claim: Claim,
}

impl Place {
    /// Takes it: after this, no right of root's is needed any more.
    ///
    /// # Errors
    /// It is taken, or cannot be made.
    pub fn take(paths: &Paths) -> Result<Self, StartError> {
        make_room();
        let (claim, listener) = Claim::take(paths, Daemon::Varpd)?;
        Ok(Self { paths: paths.clone(), listener, store: Store::open(paths)?, _claim: claim })
    }

    /// Goes on as the user `netadm`, who gets the records; see [`crate::privileges`].
    ///
    /// # Errors
    /// Root's rights cannot be given up.
    pub fn drop_root(&self) -> Result<(), StartError> {
        let records = [false, true].map(|temporary| self.paths.records(Daemon::Varpd, temporary));
        Ok(drop_root(&records)?)
    }
}

/// Where search plugins come from, beside those that are part of varpd.
#[derive(Default)]
pub struct Plugins {
    /// Directories of programs that are plugins.
    pub dirs: Vec<PathBuf>,
    /// Plugins that are there from the start.
    pub given: Vec<Arc<dyn Plugin>>,
}

impl Plugins {
    /// From the given directories; from the usual ones that are there when none is given.
    pub fn of_dirs(given: Vec<PathBuf>) -> Self {
        let usual = || PLUGIN_DIRS.iter().map(PathBuf::from).filter(|dir| dir.is_dir()).collect();
        Self { dirs: if given.is_empty() { usual() } else { given }, given: Vec::new() }
    }

    /// All there are now.
    async fn find(&self) -> Vec<Arc<dyn Plugin>> {
        let mut all = self.given.clone();
        all.extend(discover(&self.dirs).await);
        all
    }
}

/// The daemon's sign of life, for whoever watches over it.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// How often it is given.
    pub every: Duration,
    /// Gives it.
    pub tell: fn(),
}

/// Serves the host of `place` until `stop` comes to its end; calls `ready` once the control socket serves, and gives signs
/// of life as long as the owner of the instances is at work. Whenever `reload` is notified, everything that plugins read
/// is read again.
///
/// # Errors
/// It cannot start.
pub async fn run(
    place: Place,
    plugins: Plugins,
    ready: impl FnOnce(),
    pulse: Option<Pulse>,
    reload: Arc<Notify>,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let Place { paths, listener, store, _claim } = place;
    let listener = UnixListener::from_std(listener)?;
    store.try_out();
    let hurry = Arc::new(Notify::new());
    let registry = Registry::new(plugins.find().await);
    let (missing, is_missing) = watch::channel(false);
    let owner = Owner::restore(store, registry, Arc::clone(&hurry), missing)?;
    let (messages, inbox) = mpsc::channel(INBOX);
    let driver = Driver::new(paths.socket(Daemon::Overlayd), messages.clone(), hurry);
    let server = Server::new(listener, messages.clone());
    ready();
    tokio::select! {
        () = stop => {}
        () = owner.run(inbox) => {}
        () = driver.run() => {}
        () = server.run() => {}
        () = give_signs(pulse, messages.clone()) => {}
        () = look_for_plugins(&plugins, &reload, is_missing, messages) => {}
    }
    Ok(())
}

/// Asks the owner again and again whether it is at work, and passes on that it is: a stuck owner, or a stuck runtime,
/// gives no sign.
async fn give_signs(pulse: Option<Pulse>, owner: mpsc::Sender<Message>) {
    let Some(Pulse { every, tell }) = pulse else { return pending().await };
    loop {
        sleep(every).await;
        let (alive, answer) = oneshot::channel();
        if owner.send(Message::Pulse { alive }).await.is_err() || answer.await.is_err() {
            return;
        }
        tell();
    }
}

/// Tells the owner of the plugins that there are, to read everything again with them whenever that is asked for, and
/// again and again while one is missing.
async fn look_for_plugins(
    plugins: &Plugins,
    reload: &Notify,
    mut missing: watch::Receiver<bool>,
    owner: mpsc::Sender<Message>,
) {
    let mut backoff = Backoff::new(FIRST_LOOK, LATEST_LOOK);
    loop {
        let told = tokio::select! {
            () = reload.notified() => true,
            () = another_look(&mut missing, &mut backoff) => false,
        };
        let outside = plugins.find().await;
        let message = if told { Message::Reload { outside } } else { Message::Plugins { outside } };
        if owner.send(message).await.is_err() {
            return;
        }
    }
}

/// Waits until it is time to look for what is missing.
async fn another_look(missing: &mut watch::Receiver<bool>, backoff: &mut Backoff) {
    if !*missing.borrow() {
        backoff.reset();
    }
    // An error is the end of the owner, and of everything.
    let _ = missing.wait_for(|missing| *missing).await;
    sleep(backoff.pause()).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::twin::Twin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_follows_each_answer_of_the_owner_and_nothing_else() {
        static SIGNS: AtomicU32 = AtomicU32::new(0);
        fn tell() {
            SIGNS.fetch_add(1, Ordering::Relaxed);
        }
        let every = Duration::from_secs(5);
        let (messages, mut owner) = mpsc::channel(1);
        let signs = tokio::spawn(give_signs(Some(Pulse { every, tell }), messages));
        let begin = Instant::now();
        for count in 1..=3 {
            let Some(Message::Pulse { alive }) = owner.recv().await else { panic!("another message") };
            assert_eq!((SIGNS.load(Ordering::Relaxed), begin.elapsed()), (count - 1, every * count));
            alive.send(()).unwrap();
        }
        // The owner takes the fourth question and is stuck.
        let Some(Message::Pulse { alive }) = owner.recv().await else { panic!("another message") };
        sleep(every * 10).await;
        assert_eq!(SIGNS.load(Ordering::Relaxed), 3);
        assert!(owner.is_empty() && !signs.is_finished(), "it waits for the answer");
        drop((alive, owner));
        signs.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_is_missing_is_looked_for_again_and_again_until_it_is_there() {
        let plugins = Plugins { dirs: Vec::new(), given: vec![Arc::new(Twin::named("x"))] };
        let (missing, is_missing) = watch::channel(true);
        let (owner, mut inbox) = mpsc::channel(1);
        let reload = Notify::new();
        let begin = Instant::now();
        let look = look_for_plugins(&plugins, &reload, is_missing, owner);
        let hear = async {
            for second in [1, 3, 7, 15, 31, 63, 123, 183] {
                let message = inbox.recv().await;
                assert!(matches!(message, Some(Message::Plugins { outside }) if outside.len() == 1));
                assert_eq!(begin.elapsed().as_secs(), second);
            }
            missing.send_replace(false);
            sleep(LATEST_LOOK * 2).await;
            let _ = inbox.try_recv();
            sleep(LATEST_LOOK * 2).await;
            assert!(inbox.is_empty(), "nothing is missing any more");
            reload.notify_one();
            assert!(matches!(inbox.recv().await, Some(Message::Reload { .. })));
        };
        tokio::select! {
            () = look => panic!("it has ended"),
            () = hear => {}
        }
    }
}
