use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// The calling thread's network namespace (proc_pid_ns(5)).
const OWN: &str = "/proc/thread-self/ns/net";

/// Where `ip netns` keeps named ones (ip-netns(8)).
const ZONES: &str = "/run/netns";

/// A network namespace, kept alive as long as this is.
#[derive(Debug)]
pub struct Namespace(File);

/// Why a namespace could not be had or entered.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} a network namespace: {error}")]
pub struct NamespaceError {
    action: &'static str,
    error: io::Error,
}

impl NamespaceError {
    fn on(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self { action, error }
    }
}

impl Namespace {
    /// The one this thread is in.
    ///
    /// # Errors
    /// The system's, when `/proc` is not there.
    pub fn current() -> Result<Self, NamespaceError> {
        File::open(OWN).map(Self).map_err(NamespaceError::on("find"))
    }

    /// The zones of this machine: named ones, as `ip netns` makes them. What is no namespace is left out.
    pub fn zones() -> Vec<Self> {
        let entries = fs::read_dir(ZONES).into_iter().flatten().flatten();
        entries.filter_map(|entry| File::open(entry.path()).ok()).map(Self).collect()
    }

    /// A new one, with nothing in it.
    ///
    /// # Errors
    /// The system's: it needs CAP_SYS_ADMIN.
    pub fn fresh() -> Result<Self, NamespaceError> {
        on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from).map_err(NamespaceError::on("make"))?;
            Self::current()
        })
    }

    /// Does `work` inside it, on a thread of its own that ends with the work.
    ///
    /// # Errors
    /// The system's, when it cannot be entered: it needs CAP_SYS_ADMIN.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        on_thread(|| {
            setns(self.as_fd(), CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .map_err(NamespaceError::on("enter"))?;
            Ok(work())
        })
    }
}

impl From<OwnedFd> for Namespace {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A thread's namespace ends with the thread: nothing has to be put back.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, NamespaceError> + Send) -> Result<T, NamespaceError> {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, work) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(error) => Err(NamespaceError { action: "start a thread for", error }),
    })
}
