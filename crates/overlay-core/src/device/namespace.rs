use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// The calling thread's network namespace (proc_pid_ns(5)).
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, kept alive as long as this is.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<File>);

/// By what a namespace is told from every other one that there is: device and inode of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

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
        File::open(OWN).map(Self::from).map_err(NamespaceError::on("find"))
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

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        self.identity().is_ok_and(|own| other.identity().is_ok_and(|other| own == other))
    }

    pub(super) fn identity(&self) -> Result<Identity, NamespaceError> {
        Identity::of(self.0.metadata()).map_err(NamespaceError::on("tell"))
    }
}

impl Identity {
    pub(super) fn of(metadata: io::Result<std::fs::Metadata>) -> io::Result<Self> {
        metadata.map(|metadata| Self(metadata.dev(), metadata.ino()))
    }
}

impl From<File> for Namespace {
    fn from(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl From<OwnedFd> for Namespace {
    fn from(descriptor: OwnedFd) -> Self {
        File::from(descriptor).into()
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
