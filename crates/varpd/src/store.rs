//! What is written down of instances: one JSON file each, named by the instance's number.

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

/// What is written down of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, which is also the file's name.
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

    /// Writes a record.
    ///
    /// # Errors
    /// The system refuses; the old record, if any, is then still there.
    pub fn save(&self, record: &Record, temporary: bool) -> Result<(), ControlError> {
        let saved = self.dir(temporary).save(&record.instance.to_string(), record);
        saved.map_err(|error| self.failed("write", record.instance, temporary, &error))
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// The system refuses; the record then stays.
    pub fn remove(&self, id: u32, temporary: bool) -> Result<(), ControlError> {
        let removed = self.dir(temporary).remove(&id.to_string());
        removed.map_err(|error| self.failed("remove", id, temporary, &error))
    }

    /// Hands every record over, by number. What cannot be read, or is not accepted, is set aside with a log
    /// line. Gives the highest number that a file has, be it good or bad: none may be given out again while
    /// its file is there.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn load(
        &self,
        mut accept: impl FnMut(Record, bool) -> Result<(), String>,
    ) -> Result<u32, StoreError> {
        let mut highest = 0;
        for temporary in [false, true] {
            let path = self.paths.records(Daemon::Varpd, temporary);
            let loaded = self.load_from(temporary, &path, &mut accept);
            highest = highest.max(loaded.map_err(|error| StoreError { path, error })?);
        }
        Ok(highest)
    }

    fn load_from(
        &self,
        temporary: bool,
        path: &Path,
        accept: &mut impl FnMut(Record, bool) -> Result<(), String>,
    ) -> io::Result<u32> {
        let highest = highest_number(path)?;
        let Loaded { mut good, bad } = self.dir(temporary).load::<Record>()?;
        bad.iter().for_each(report);
        good.sort_by_key(|(_, record)| record.instance);
        for (name, record) in good {
            if let Err(reason) = named(&name, &record).and_then(|()| accept(record, temporary)) {
                report(&self.dir(temporary).set_aside(name, reason));
            }
        }
        Ok(highest)
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

fn named(name: &str, record: &Record) -> Result<(), String> {
    let id = record.instance;
    if !(1..=ID_MAX).contains(&id) {
        return Err(format!("{id} is no number of an instance"));
    }
    if id.to_string() == name { Ok(()) } else { Err(format!("it is the record of instance {id}")) }
}

fn report(bad: &BadRecord) {
    tracing::error!(
        "the record of instance {} is set aside as {}: {}",
        bad.name,
        bad.set_aside.display(),
        bad.reason
    );
}

/// The highest number that a file of any kind is named by.
fn highest_number(path: &Path) -> io::Result<u32> {
    let mut highest = 0;
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        highest = highest.max(number.filter(|number| *number <= ID_MAX).unwrap_or(0));
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::num::NonZeroU32;

    fn record(id: u32) -> Record {
        Record {
            instance: id,
            link: LinkId(NonZeroU32::new(id).unwrap()),
            vnetid: VnetId::new(23).ok(),
            plugin: "direct".into(),
            properties: vec![Assignment::new("direct/dest_port", "4789")],
            activated: true,
        }
    }

    fn load(store: &Store) -> (Vec<(Record, bool)>, u32) {
        let mut records = Vec::new();
        let highest = store.load(|record, temporary| {
            records.push((record, temporary));
            Ok(())
        });
        (records, highest.unwrap())
    }

    #[test]
    fn records_come_back_by_number_from_where_they_were_written() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        for (id, temporary) in [(10, false), (9, false), (3, true)] {
            store.save(&record(id), temporary).unwrap();
        }
        let expected = vec![(record(9), false), (record(10), false), (record(3), true)];
        assert_eq!(load(&store), (expected, 10));
        store.remove(10, false).unwrap();
        assert_eq!(load(&store).1, 9);
    }

    #[test]
    fn a_record_truncated_at_any_length_is_set_aside_and_its_number_not_given_out() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        store.save(&record(7), false).unwrap();
        store.save(&record(1), false).unwrap();
        let file = scratch.record(7, false);
        let whole = fs::read(&file).unwrap();
        // The last two octets are the closing brace and the newline after it.
        for len in 0..whole.len() - 1 {
            fs::write(&file, &whole[..len]).unwrap();
            assert_eq!(load(&store), (vec![(record(1), false)], 7), "at {len}");
            assert!(file.with_extension("bad").exists() && !file.exists());
        }
        assert_eq!(load(&store).1, 7);
    }

    #[test]
    fn a_record_under_another_name_is_set_aside() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        store.save(&record(7), false).unwrap();
        fs::rename(scratch.record(7, false), scratch.record(8, false)).unwrap();
        assert_eq!(load(&store), (vec![], 8));
        assert!(scratch.record(8, false).with_extension("bad").exists());
    }

    #[test]
    fn numbers_outside_the_id_space_are_set_aside() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        store.save(&record(ID_MAX + 1), false).unwrap();
        assert_eq!(load(&store), (vec![], 0));
    }

    #[test]
    fn a_record_that_is_not_accepted_is_set_aside_alone() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        store.save(&record(1), false).unwrap();
        store.save(&record(2), true).unwrap();
        let refuse = |_, temporary| if temporary { Err("no".to_owned()) } else { Ok(()) };
        store.load(refuse).unwrap();
        assert_eq!(load(&store).0, vec![(record(1), false)]);
    }

    #[test]
    fn a_directory_that_is_gone_is_named_in_the_error() {
        let scratch = Scratch::new();
        let store = Store::open(&scratch.paths()).unwrap();
        fs::remove_dir_all(scratch.record(1, false).parent().unwrap()).unwrap();
        let error = store.save(&record(1), false).unwrap_err();
        assert!(error.message.contains("/state/varpd: "), "{error}");
    }
}
