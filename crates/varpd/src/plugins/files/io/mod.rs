//! The file on the disk: watched, and read when it has changed.
//!
//! Whatever may block runs on a thread for that. A file that was closed after writing, or has got its name, is read at
//! once and judged. While an editor is half way through (the file is away, new, or written in place) a failure
//! counts only when it lasts.

mod disk;
mod route;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{InitFlags, Inotify, InotifyEvent};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::super::interface::{Io, IoAction, IoEvent, IoEvents};
use super::{Order, Report};
use disk::{Disk, Look};
use route::Route;

/// When a file is looked at again that could not be read or watched, or whose failure may pass.
const AGAIN: Duration = Duration::from_secs(1);

/// The I/O of an instance.
pub(super) struct Keeper {
    path: PathBuf,
    accept_any: bool,
}

impl Keeper {
    pub(super) fn new(path: PathBuf, accept_any: bool) -> Self {
        Self { path, accept_any }
    }
}

impl Io for Keeper {
    fn run(
        self: Box<Self>,
        mut actions: mpsc::UnboundedReceiver<IoAction>,
        events: IoEvents,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            // Nothing happens before the order to watch.
            if actions.recv().await.is_some() {
                watch(*self, actions, events).await;
            }
        })
    }
}

/// Why the file is looked at, the more certain reason the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Time has passed.
    Time,
    /// Something on the way to it has changed, and may go on changing.
    Passing,
    /// Somebody has finished writing it, or put it in place.
    Written,
    /// Somebody wants it.
    Told,
}

async fn watch(keeper: Keeper, mut actions: mpsc::UnboundedReceiver<IoAction>, events: IoEvents) {
    let inotify = open_inotify();
    let mut disk =
        Disk::new(keeper.path, keeper.accept_any, inotify.as_ref().map(|open| open.get_ref().0.clone()));
    let mut pace = Pace::default();
    let mut why = Why::Told;
    loop {
        let forced = pace.forces(why);
        // Only the end of the runtime, or a defect, takes the thread away.
        let Ok((back, look)) = spawn_blocking(move || disk.look(forced)).await else {
            return;
        };
        disk = back;
        let report = pace.judge(why, look, disk.is_watched(), Instant::now());
        if report.is_some_and(|report| !events.report(IoEvent::Files(report))) {
            return;
        }
        why = tokio::select! {
            told = told(&mut actions) => match told {
                Some(why) => why,
                None => return drop(spawn_blocking(move || drop(disk))),
            },
            why = changes(inotify.as_ref(), disk.route()) => why,
            () = until(pace.next) => Why::Time,
        };
    }
}

/// Waits for the order to look; none once nobody gives orders any more.
async fn told(actions: &mut mpsc::UnboundedReceiver<IoAction>) -> Option<Why> {
    loop {
        match actions.recv().await? {
            IoAction::Files(Order::Drop(table)) => drop(spawn_blocking(move || drop(table))),
            _ => return Some(Why::Told),
        }
    }
}

/// What becomes of a look, and when the next one is due.
#[derive(Default)]
struct Pace {
    /// A failure is held back, as it may pass.
    held: bool,
    /// The failure that was reported last, while nothing good has come after it.
    told: Option<String>,
    next: Option<Instant>,
}

impl Pace {
    /// Whether the file is read though it looks the same.
    fn forces(&self, why: Why) -> bool {
        self.held || why >= Why::Written
    }

    fn judge(&mut self, why: Why, look: Look, watched: bool, now: Instant) -> Option<Report> {
        let settled = why >= Why::Written || (why == Why::Time && self.held);
        let mut again = !watched;
        let report = match look {
            Look::Same => None,
            Look::Loaded(table, difference) => {
                (self.held, self.told) = (false, None);
                Some(Report::Loaded(table, difference))
            }
            Look::Failed { reason, there } => {
                self.held = !settled;
                again |= self.held || !there;
                let new = settled && self.told.as_ref() != Some(&reason);
                new.then(|| Report::Failed(self.told.insert(reason).clone()))
            }
        };
        let pending = self.next.filter(|at| *at > now);
        self.next = again.then(|| pending.unwrap_or(now + AGAIN));
        report
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// A descriptor that two threads share.
struct Shared(Arc<Inotify>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Where there is none to be had, the file is looked at again and again.
#[expect(deprecated, reason = "its successor is unsafe; the descriptor is open for as long as it is shared")]
fn open_inotify() -> Option<AsyncFd<Shared>> {
    let opened = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
    let registered = opened
        .map_err(std::io::Error::from)
        .and_then(|inotify| AsyncFd::with_interest(Shared(Arc::new(inotify)), Interest::READABLE));
    registered.inspect_err(|error| tracing::warn!("cannot watch files: {error}")).ok()
}

/// Waits until something happens that concerns the file, and takes all that has happened by then.
async fn changes(inotify: Option<&AsyncFd<Shared>>, route: &Route) -> Why {
    let Some(inotify) = inotify else {
        return std::future::pending().await;
    };
    loop {
        let Ok(mut ready) = inotify.readable().await else {
            return std::future::pending().await;
        };
        let mut why = None;
        while let Ok(Ok(events)) = ready.try_io(|open| read(&open.get_ref().0)) {
            why = why.max(events.iter().filter_map(|event| route.concerns(event)).max());
        }
        if let Some(why) = why {
            return why;
        }
    }
}

fn read(inotify: &Inotify) -> std::io::Result<Vec<InotifyEvent>> {
    loop {
        match inotify.read_events() {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}
