use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::sys::inotify::Inotify;
use overlay_core::lookup::Sources;
use overlay_core::protocol::TRUSTED_LINE_MAX;

use super::super::difference::Difference;
use super::super::format::{self, Notes};
use super::super::table::{Shadowed, Table};
use super::route::Route;

/// Octets of a file.
const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// The most tunnel ends that may send: the driver takes them in one line, of up to 42 octets each.
const SOURCES_MAX: usize = 1_000_000;
const _: () = assert!(SOURCES_MAX * 48 < TRUSTED_LINE_MAX);

/// The file and its surroundings, used by one thread at a time; it may block.
pub(super) struct Disk {
    path: PathBuf,
    accept_any: bool,
    inotify: Option<Arc<Inotify>>,
    route: Route,
    /// The file that was read last.
    seen: Option<Identity>,
    /// The table that was given out last.
    table: Option<Arc<Table>>,
    /// The log says that changes may go unnoticed.
    warned: bool,
}

/// What a look at the file has shown.
pub(super) enum Look {
    /// It is the one read last.
    Same,
    /// Its table, and what that changes in the one before.
    Loaded(Arc<Table>, Difference),
    /// Why it cannot be used.
    Failed {
        /// In one line, with the path.
        reason: String,
        /// Whether there is a file that could be opened.
        there: bool,
    },
}

/// By what a file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Disk {
    pub(super) fn new(path: PathBuf, accept_any: bool, inotify: Option<Arc<Inotify>>) -> Self {
        Self { path, accept_any, inotify, route: Route::default(), seen: None, table: None, warned: false }
    }

    /// Where the last look led.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Whether no change can go unnoticed.
    pub(super) fn is_watched(&self) -> bool {
        self.route.complete
    }

    /// Looks at the file, and reads it if it is another than before or `forced`.
    pub(super) fn look(mut self, forced: bool) -> (Self, Look) {
        // Watched before it is looked at, so that no change falls in between.
        self.route = Route::walk(&self.path, self.inotify.as_deref(), &self.route);
        if !self.is_watched() && !self.warned {
            tracing::warn!("{} cannot be watched, and is looked at each second", self.path.display());
        }
        self.warned = !self.is_watched();
        let look = self.read(forced);
        (self, look)
    }

    fn read(&mut self, forced: bool) -> Look {
        let (file, identity) = match open(&self.path) {
            Ok(opened) => opened,
            Err(reason) => {
                self.seen = None;
                return self.failed(&reason, false);
            }
        };
        if self.seen.replace(identity) == Some(identity) && !forced {
            return Look::Same;
        }
        match content(file, identity.size).and_then(|bytes| self.table(&bytes)) {
            Ok(table) => self.loaded(table),
            Err(reason) => self.failed(&reason, true),
        }
    }

    fn table(&self, bytes: &[u8]) -> Result<Table, String> {
        let (table, notes) = format::parse_with_notes(bytes).map_err(|error| error.to_string())?;
        self.log(&notes);
        if !self.accept_any {
            check_sources(table.sources())?;
        }
        Ok(table)
    }

    fn loaded(&mut self, table: Table) -> Look {
        let table = Arc::new(table);
        let old = self.table.replace(table.clone());
        let difference = old.map(|old| Difference::between(&old, &table)).unwrap_or_default();
        tracing::info!("{}: {} entries loaded", self.path.display(), table.len());
        Look::Loaded(table, difference)
    }

    fn failed(&self, reason: &str, there: bool) -> Look {
        Look::Failed { reason: format!("{}: {reason}", self.path.display()), there }
    }

    fn log(&self, notes: &Notes) {
        let path = self.path.display();
        if let Some(place) = notes.trailing {
            tracing::warn!("{path}: {place}: what follows the closing bracket is ignored");
        }
        if let Some(Shadowed { ip, mac }) = notes.shadowed {
            tracing::warn!("{path}: entry {mac}: {ip} stands in an earlier entry too, and is that one's");
        }
        if let Some((mac, key)) = &notes.ignored {
            tracing::warn!("{path}: entry {mac}: key {key:?} means nothing here and is passed over");
        }
    }
}

/// Opens a regular file, without waiting for whoever is at the other end of anything else.
fn open(path: &PathBuf) -> Result<(File, Identity), String> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = opened.map_err(|error| format!("cannot be opened: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("cannot be examined: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
    Ok((file, Identity { device, inode, modified, size }))
}

fn content(file: File, size: u64) -> Result<Vec<u8>, String> {
    let too_large = || format!("has more than {SIZE_MAX} octets");
    let expected = usize::try_from(size).ok().filter(|_| size <= SIZE_MAX).ok_or_else(too_large)?;
    // It may grow meanwhile.
    let mut bytes = Vec::with_capacity(expected + 1);
    let read: io::Result<usize> = file.take(SIZE_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > SIZE_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn check_sources(sources: &Sources) -> Result<(), String> {
    match sources {
        Sources::Known(ends) if ends.len() > SOURCES_MAX => Err(format!(
            "there are {} tunnel ends, more than the {SOURCES_MAX} that can be told apart from others; \
             files/accept=any takes them",
            ends.len()
        )),
        Sources::Known(_) | Sources::Any => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn more_tunnel_ends_than_the_driver_takes_are_refused() {
        let known =
            |count: usize| Sources::known((0..count as u32).map(|number| Ipv4Addr::from(number).into()));
        assert_eq!(check_sources(&known(SOURCES_MAX)), Ok(()));
        let reason = "there are 1000001 tunnel ends, more than the 1000000 that can be told apart from others; \
                      files/accept=any takes them";
        assert_eq!(check_sources(&known(SOURCES_MAX + 1)), Err(reason.to_owned()));
        assert_eq!(check_sources(&Sources::Any), Ok(()));
    }
}
