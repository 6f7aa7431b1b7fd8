//! What is written down of instances: one JSON file each, named by the instance's number and its overlay's link, so
//! that whose it was is known even of a file that cannot be read any more.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use overlay_core::control::{BadRecord, Daemon, Loaded, Paths, RecordDir};
use overlay_core::property::Assignment;
use overlay_core::protocol::{ControlError, ErrorCode};
use overlay_core::types::{LinkId, VnetId};
use serde::{Deserialize, Serialize};

/// The highest number of an instance (illumos: the id space 1 to 2^31 - 1).
pub const ID_MAX: u32 = i32::MAX as u32;

/// What a message about a record that was set aside begins with.
const RECORD: &str = "the record of its search plugin's instance";

/// What is written down of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, with which the file's name begins.
    pub instance: u32,
    /// The overlay it is for.
    pub link: LinkId,
    /// The overlay's virtual network; old records do not have it.
    #[serde(default)]
    pub vnetid: Option<VnetId>,
    /// Its plugin.
    pub plugin: String,
    /// The properties as they were given, without defaults.
    pub properties: Vec<Assignment>,
    /// Whether the driver has ever accepted it.
    pub activated: bool,
}

/// The records of instances: those kept over boots, and those that end with the next one.
#[derive(Debug)]
pub struct Store {
    kept: RecordDir,
    temporary: RecordDir,
    paths: Paths,
}

/// A directory of records that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {error}", path.display())]
pub struct StoreError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Store {
    /// Opens both directories, making those that are missing.
    ///
    /// # Errors
    /// One cannot be made.
    pub fn open(paths: &Paths) -> Result<Self, StoreError> {
        let open = |temporary| {
            let path = paths.records(Daemon::Varpd, temporary);
            RecordDir::open(path.clone()).map_err(|error| StoreError { path, error })
        };
        Ok(Self { kept: open(false)?, temporary: open(true)?, paths: paths.clone() })
    }

    /// Tells the log when nothing can be stored: what is there works, and every change will fail.
    pub fn try_out(&self) {
        for temporary in [false, true] {
            if let Err(error) = self.dir(temporary).try_out() {
                let directory = self.paths.records(Daemon::Varpd, temporary);
                let stored = "what is stored works, and changes will fail";
                tracing::error!("nothing can be stored in {}: {error}; {stored}", directory.display());
            }
        }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// The system refuses; the old record, if any, is then still there.
    pub fn save(&self, record: &Record, temporary: bool) -> Result<(), ControlError> {
        let (id, dir) = (record.instance, self.dir(temporary));
        let saved = dir.save(&Name::of(id, record.link).to_string(), record);
        saved.map_err(|error| self.failed("write", id, temporary, &error))?;
        // Where it stays it is taken for what it is at the next start.
        let _ = dir.remove(&Name::old(id).to_string());
        Ok(())
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// The system refuses; the record then stays.
    pub fn remove(&self, id: u32, link: LinkId, temporary: bool) -> Result<(), ControlError> {
        let dir = self.dir(temporary);
        let removed = dir.remove(&Name::old(id).to_string());
        let removed = removed.and_then(|()| dir.remove(&Name::of(id, link).to_string()));
        removed.map_err(|error| self.failed("remove", id, temporary, &error))
    }

    /// Hands every record over, by number. What cannot be read, or is not accepted, is set aside with a log
    /// line.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn load(
        &self,
        mut accept: impl FnMut(Record, bool) -> Result<(), String>,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        for temporary in [false, true] {
            let path = self.paths.records(Daemon::Varpd, temporary);
            let loaded = self.load_from(temporary, &path, &mut accept, &mut found);
            loaded.map_err(|error| StoreError { path, error })?;
        }
        Ok(found)
    }

    fn load_from(
        &self,
        temporary: bool,
        path: &Path,
        accept: &mut impl FnMut(Record, bool) -> Result<(), String>,
        found: &mut Found,
    ) -> io::Result<()> {
        found.look_around(path)?;
        let dir = self.dir(temporary);
        let Loaded { mut good, bad } = dir.load::<Record>()?;
        bad.iter().for_each(|bad| found.set_aside(bad));
        good.sort_by_key(|(name, record)| (record.instance, *name == Name::old(record.instance).to_string()));
        let mut last = None;
        for (name, record) in good {
            let this = (record.instance, record.link);
            if last == Some(this) {
                // A crash came between writing it under its new name and removing it under the old one.
                let _ = dir.remove(&name);
            } else if let Err(reason) = named(&name, &record).and_then(|()| accept(record, temporary)) {
                found.set_aside(&dir.set_aside(name, reason));
            } else {
                last = Some(this);
            }
        }
        Ok(())
    }

    fn dir(&self, temporary: bool) -> &RecordDir {
        if temporary { &self.temporary } else { &self.kept }
    }

    fn failed(&self, verb: &str, id: u32, temporary: bool, error: &io::Error) -> ControlError {
        let directory = self.paths.records(Daemon::Varpd, temporary);
        let problem =
            format!("cannot {verb} the record of instance {id} in {}: {error}", directory.display());
        ControlError::new(ErrorCode::Failed, problem)
    }
}

/// What else there is beside the records that were handed over.
#[derive(Debug, Default)]
pub struct Found {
    /// The highest number that a file has, be it good or bad: none may be given out again while its file is there.
    pub highest: u32,
    /// Of each link whose record was set aside, now or earlier: where it is and what is wrong with it, for people.
    pub set_aside: HashMap<LinkId, String>,
}

impl Found {
    /// Takes in the names of all files, and what was set aside earlier.
    fn look_around(&mut self, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let Some(name) = path.file_stem().and_then(|stem| Name::parse(stem.to_str()?)) else {
                continue;
            };
            self.highest = self.highest.max(name.instance);
            if let (Some(link), true) = (name.link, path.extension().is_some_and(|suffix| suffix == "bad")) {
                let message = format!("{RECORD} was set aside earlier as {}", path.display());
                self.set_aside.insert(link, message);
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, bad: &BadRecord) {
        // The directory may not be writable; then it is where it was.
        let unmoved = || bad.set_aside.with_file_name(format!("{}.json", bad.name));
        let place = if bad.set_aside.exists() { bad.set_aside.clone() } else { unmoved() };
        let message = format!("{RECORD} is set aside as {}: {}", place.display(), bad.reason);
        tracing::error!("instance {}: {message}", bad.name);
        if let Some(link) = Name::parse(&bad.name).and_then(|name| name.link) {
            self.set_aside.insert(link, message);
        }
    }
}

/// What the file of a record is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    instance: u32,
    /// Old names do not have it.
    link: Option<LinkId>,
}

impl Name {
    const fn of(instance: u32, link: LinkId) -> Self {
        Self { instance, link: Some(link) }
    }

    const fn old(instance: u32) -> Self {
        Self { instance, link: None }
    }

    /// From a name without its ending; what was set aside more than once has one more number, which is not looked at.
    fn parse(text: &str) -> Option<Self> {
        let mut pieces = text.split('.');
        let instance = pieces.next()?.parse().ok().filter(|id| (1..=ID_MAX).contains(id))?;
        let link = pieces.next().and_then(|piece| piece.parse().ok()).map(LinkId);
        Some(Self { instance, link })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link {
            Some(link) => write!(out, "{}.{link}", self.instance),
            None => write!(out, "{}", self.instance),
        }
    }
}

fn named(name: &str, record: &Record) -> Result<(), String> {
    let (id, link) = (record.instance, record.link);
    if !(1..=ID_MAX).contains(&id) {
        return Err(format!("{id} is no number of an instance"));
    }
    if [Name::old(id), Name::of(id, link)].iter().any(|one| one.to_string() == name) {
        return Ok(());
    }
    Err(format!("it is the record of instance {id} for link {link}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::num::NonZeroU32;
    use std::os::unix::fs::PermissionsExt;

    fn link(id: u32) -> LinkId {
        LinkId(NonZeroU32::new(id).unwrap())
    }

    /// Of instance `id` for a link with ten times that number.
    fn record(id: u32) -> Record {
        Record {
            instance: id,
            link: link(id * 10),
            vnetid: VnetId::new(23).ok(),
            plugin: "direct".into(),
            properties: vec![Assignment::new("direct/dest_port", "4789")],
            activated: true,
        }
    }

    fn store(scratch: &Scratch) -> Store {
        Store::open(&scratch.paths()).unwrap()
    }

    fn load(store: &Store) -> (Vec<(Record, bool)>, Found) {
        let mut records = Vec::new();
        let found = store.load(|record, temporary| {
            records.push((record, temporary));
            Ok(())
        });
        (records, found.unwrap())
    }

    #[test]
    fn records_come_back_by_number_from_where_they_were_written() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        for (id, temporary) in [(10, false), (9, false), (3, true)] {
            store.save(&record(id), temporary).unwrap();
        }
        let (records, found) = load(&store);
        assert_eq!(records, vec![(record(9), false), (record(10), false), (record(3), true)]);
        assert_eq!((found.highest, found.set_aside.len()), (10, 0));
        store.remove(10, link(100), false).unwrap();
        assert_eq!(load(&store).1.highest, 9);
    }

    #[test]
    fn a_record_truncated_at_any_length_is_set_aside_and_its_overlay_and_number_are_known() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        store.save(&record(7), false).unwrap();
        store.save(&record(1), false).unwrap();
        let file = scratch.record(7, 70, false);
        let whole = fs::read(&file).unwrap();
        // The last two octets are the closing brace and the newline after it.
        for len in 0..whole.len() - 1 {
            fs::write(&file, &whole[..len]).unwrap();
            let (records, found) = load(&store);
            assert_eq!((records, found.highest), (vec![(record(1), false)], 7), "at {len}");
            let said = &found.set_aside[&link(70)];
            assert!(said.contains("/varpd/7.70.") && said.contains(".bad: EOF while parsing"), "{said}");
            assert!(file.with_extension("bad").exists() && !file.exists());
        }
        let (_, found) = load(&store);
        assert_eq!(found.highest, 7);
        assert!(found.set_aside[&link(70)].contains("was set aside earlier as "));
    }

    #[test]
    fn a_record_under_its_old_name_is_read_and_renamed_when_it_is_saved() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        store.save(&record(7), false).unwrap();
        let (new, old) = (scratch.record(7, 70, false), scratch.old_record(7, false));
        fs::rename(&new, &old).unwrap();
        assert_eq!(load(&store).0, [(record(7), false)]);
        store.save(&record(7), false).unwrap();
        assert!(new.exists() && !old.exists());
        fs::rename(&new, &old).unwrap();
        store.remove(7, link(70), false).unwrap();
        assert!(!old.exists());
    }

    #[test]
    fn of_a_record_under_both_names_the_newer_one_counts() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        store.save(&record(7), false).unwrap();
        let (new, old) = (scratch.record(7, 70, false), scratch.old_record(7, false));
        fs::rename(&new, &old).unwrap();
        let newer = Record { activated: false, ..record(7) };
        store.save(&newer, false).unwrap();
        fs::write(&old, fs::read_to_string(&new).unwrap().replace("false", "true")).unwrap();
        assert_eq!(load(&store).0, [(newer, false)]);
        assert!(new.exists() && !old.exists());
    }

    #[test]
    fn a_record_under_another_name_is_set_aside() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        for (id, other, at) in [(8, 70, 70), (7, 71, 71)] {
            store.save(&record(7), false).unwrap();
            let name = scratch.record(id, other, false);
            fs::rename(scratch.record(7, 70, false), &name).unwrap();
            let (records, found) = load(&store);
            assert!(records.is_empty() && name.with_extension("bad").exists());
            assert!(found.set_aside[&link(at)].ends_with("it is the record of instance 7 for link 70"));
        }
    }

    #[test]
    fn numbers_outside_the_id_space_are_set_aside() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        for instance in [0, ID_MAX + 1] {
            store.save(&Record { instance, ..record(1) }, false).unwrap();
        }
        let (records, found) = load(&store);
        assert_eq!((records, found.highest), (vec![], 0));
    }

    #[test]
    fn a_record_that_is_not_accepted_is_set_aside_alone() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        store.save(&record(1), false).unwrap();
        store.save(&record(2), true).unwrap();
        let found = store.load(|_, temporary| if temporary { Err("no".to_owned()) } else { Ok(()) }).unwrap();
        assert!(found.set_aside[&link(20)].ends_with("/run/varpd/2.20.bad: no"), "{found:?}");
        assert_eq!(load(&store).0, vec![(record(1), false)]);
    }

    #[test]
    fn a_directory_that_is_gone_is_named_in_the_error() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        fs::remove_dir_all(scratch.record(1, 1, false).parent().unwrap()).unwrap();
        let error = store.save(&record(1), false).unwrap_err();
        assert!(error.message.contains("/state/varpd: "), "{error}");
    }

    #[test]
    fn a_bad_record_in_a_directory_that_cannot_be_written_stays_where_it_is() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let file = scratch.record(7, 70, false);
        let directory = file.parent().unwrap();
        fs::write(&file, "{").unwrap();
        let allow = |mode| fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o500);
        let (_, found) = load(&store);
        allow(0o700);
        // Root writes anywhere.
        if file.exists() {
            assert!(found.set_aside[&link(70)].contains("/7.70.json: "), "{found:?}");
        }
    }
}
