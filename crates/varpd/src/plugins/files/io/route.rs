//! The way to a file, over directories and symbolic links, with an eye on each step that can change it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::Why;

/// Symbolic links on one way (Linux: MAXSYMLINKS).
const LINKS_MAX: usize = 40;

/// Of a directory on the way.
const ITSELF: AddWatchFlags = AddWatchFlags::IN_MOVE_SELF.union(AddWatchFlags::IN_DELETE_SELF);

/// Of a directory with a name in it that may come to mean something else.
const NAMES: AddWatchFlags = ITSELF
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB);

/// Of the file, which may be written under another name of its.
const CONTENT: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE;

/// What is watched on the way to a file.
#[derive(Default)]
pub(super) struct Route {
    /// The names that matter in each directory.
    names: HashMap<WatchDescriptor, HashSet<OsString>>,
    /// Whether everything could be watched.
    pub(super) complete: bool,
}

impl Route {
    /// Goes the way and watches it; what was watched on an earlier way and is not on this one no longer is.
    pub(super) fn walk(path: &Path, inotify: Option<&Inotify>, earlier: &Self) -> Self {
        let mut walk = Walk { inotify, ..Walk::default() };
        walk.route.complete = inotify.is_some();
        walk.enqueue(path);
        while let Some(name) = walk.left.pop() {
            walk.step(name);
        }
        for left in earlier.names.keys().filter(|watch| !walk.route.names.contains_key(watch)) {
            // It is gone already where its directory is.
            let _ = inotify.map(|inotify| inotify.rm_watch(*left));
        }
        walk.route
    }

    /// What an event says of the file, if anything.
    pub(super) fn concerns(&self, event: &InotifyEvent) -> Option<Why> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Why::Written);
        }
        let names = self.names.get(&event.wd)?;
        let ours = event.name.as_ref().is_none_or(|name| names.contains(name));
        let finished = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
        let why = if event.mask.intersects(finished) { Why::Written } else { Why::Passing };
        ours.then_some(why)
    }
}

#[derive(Default)]
struct Walk<'a> {
    inotify: Option<&'a Inotify>,
    route: Route,
    /// Where it stands: a directory, by a path without symbolic links.
    here: PathBuf,
    /// The names that are left to go, the next one last.
    left: Vec<OsString>,
    links: usize,
    masks: HashMap<PathBuf, AddWatchFlags>,
}

impl Walk<'_> {
    fn enqueue(&mut self, path: &Path) {
        if path.is_absolute() {
            self.here = PathBuf::from("/");
        }
        let names = path
            .components()
            .rev()
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        self.left.extend(names.map(|part| part.as_os_str().to_owned()));
    }

    fn step(&mut self, name: OsString) {
        if name == ".." {
            self.here.pop();
            return;
        }
        let place = self.here.join(&name);
        let kind = fs::symlink_metadata(&place).map(|metadata| metadata.file_type());
        let last = self.left.is_empty();
        if kind.as_ref().is_ok_and(|kind| kind.is_dir()) && !last {
            self.watch(&place, ITSELF, None);
            self.here = place;
        } else if self.watch(&self.here.clone(), NAMES, Some(&name)) {
            // What was seen may have changed before it was watched.
            self.left.push(name);
        } else if kind.as_ref().is_ok_and(|kind| kind.is_symlink()) {
            self.follow(&place);
        } else if kind.is_ok() && last {
            self.watch(&place, CONTENT, None);
        } else {
            self.left.clear();
        }
    }

    fn follow(&mut self, link: &Path) {
        self.links += 1;
        match fs::read_link(link) {
            Ok(target) if self.links <= LINKS_MAX => self.enqueue(&target),
            _ => self.left.clear(),
        }
    }

    /// Watches a place, and a name in it where one is given; whether that name was not yet watched there.
    fn watch(&mut self, place: &Path, mask: AddWatchFlags, name: Option<&OsStr>) -> bool {
        let Some(inotify) = self.inotify else {
            return false;
        };
        let whole = self.masks.entry(place.to_owned()).or_insert_with(AddWatchFlags::empty);
        *whole |= mask;
        match inotify.add_watch(place, *whole) {
            Ok(watch) => {
                let names = self.route.names.entry(watch).or_default();
                name.is_some_and(|name| names.insert(name.to_owned()))
            }
            Err(error) => {
                tracing::debug!("cannot watch {}: {error}", place.display());
                self.route.complete = false;
                false
            }
        }
    }
}
