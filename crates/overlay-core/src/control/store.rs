use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of the form of a record.
const VERSION: u32 = 1;
const SUFFIX: &str = "json";
const TEMPORARY: &str = "tmp";
const BAD: &str = "bad";
const RETIRED: &str = "deleted";
/// Octets in the file of one record; the largest of ours has a few thousand.
const RECORD_MAX: u64 = 1 << 20;

/// A directory of records, one readable JSON file each, written so that a crash leaves the old or the new one.
#[derive(Debug, Clone)]
pub struct RecordDir {
    path: PathBuf,
}

/// A record that could not be read; its file has been set aside under `set_aside`.
#[derive(Debug)]
pub struct BadRecord {
    /// Its name.
    pub name: String,
    /// Where its file is now.
    pub set_aside: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found in a directory of records.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What could be read, by name.
    pub good: Vec<(String, T)>,
    /// What could not.
    pub bad: Vec<BadRecord>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    record: T,
}

impl RecordDir {
    /// The directory, made when it is missing.
    ///
    /// # Errors
    /// The system's, when it cannot be made.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Whether a record could be written now: what is stored can be read on a disk that is full or read-only, and its
    /// user is to know of that before the first change fails.
    ///
    /// # Errors
    /// The system's, with which a record would fail.
    pub fn try_out(&self) -> io::Result<()> {
        // No record has such a name, and what a crash leaves of it is cleared.
        let path = self.path.join(format!("-try.{TEMPORARY}"));
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(b"\n")?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    /// Writes a record under a name: to a temporary file, synced and renamed.
    ///
    /// # Errors
    /// The system's; the old record is then still there.
    pub fn save(&self, name: &str, record: &impl Serialize) -> io::Result<()> {
        let temporary = self.path.join(format!("{name}.{TEMPORARY}"));
        let saved = write(&temporary, record).and_then(|()| fs::rename(&temporary, self.file(name)));
        if saved.is_err() {
            // On a full disk it would only be in the way.
            let _ = fs::remove_file(&temporary);
        }
        saved.and_then(|()| self.sync())
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// The system's, when it is there and stays.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync(),
        }
    }

    /// Every record, by name. One that cannot be read is set aside, and nothing else suffers.
    ///
    /// # Errors
    /// The system's, when the directory cannot be read.
    pub fn load<T: DeserializeOwned>(&self) -> io::Result<Loaded<T>> {
        let mut loaded = Loaded { good: Vec::new(), bad: Vec::new() };
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == TEMPORARY) {
                // A crash came between writing and renaming.
                let _ = fs::remove_file(&path);
            }
            let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let (Some(name), true) = (name, path.extension().is_some_and(|suffix| suffix == SUFFIX)) else {
                continue;
            };
            match read(&path) {
                Ok(record) => loaded.good.push((name, record)),
                Err(reason) => loaded.bad.push(self.set_aside(name, reason)),
            }
        }
        loaded.good.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(loaded)
    }

    /// Sets aside a record that was read but makes no sense.
    pub fn set_aside(&self, name: String, reason: String) -> BadRecord {
        let set_aside = self.free_name(&name, BAD);
        let reason = match fs::rename(self.file(&name), &set_aside) {
            Ok(()) => reason,
            Err(error) => format!("{reason} (and it cannot be set aside: {error})"),
        };
        BadRecord { name, set_aside, reason }
    }

    /// What earlier loads have set aside, by name, with what is wrong with it as a `T`; of several files of one name, the
    /// first.
    ///
    /// # Errors
    /// The system's, when the directory cannot be read.
    pub fn set_aside_earlier<T: DeserializeOwned>(&self) -> io::Result<Vec<BadRecord>> {
        let mut stems = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            stems.extend(stem.filter(|_| path.extension().is_some_and(|end| end == BAD)).map(str::to_owned));
        }
        stems.sort();
        let firsts =
            stems.iter().filter(|stem| stem_of_first(stem).is_none_or(|first| !stems.contains(&first)));
        let bad = |name: &String| {
            let set_aside = self.path.join(format!("{name}.{BAD}"));
            let reason = read::<T>(&set_aside).err().unwrap_or_else(|| "it made no sense".to_owned());
            BadRecord { name: name.clone(), set_aside, reason }
        };
        Ok(firsts.map(bad).collect())
    }

    /// Puts a bad record out of sight, with all that was set aside under its name. It is kept under names that no load
    /// looks at.
    ///
    /// # Errors
    /// The system's; some of it is then still in sight.
    pub fn retire(&self, name: &str) -> io::Result<()> {
        // What could not be set aside is where it was.
        self.retire_file(name, &self.file(name))?;
        for path in self.numbered(name, BAD) {
            if !self.retire_file(name, &path)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether there is such a file.
    fn retire_file(&self, name: &str, path: &Path) -> io::Result<bool> {
        match fs::rename(path, self.free_name(name, RETIRED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            renamed => renamed.map(|()| true),
        }
    }

    /// A name that no earlier file has: what a user entered is not lost to the next accident.
    fn free_name(&self, name: &str, suffix: &str) -> PathBuf {
        let taken = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
        let free = self.numbered(name, suffix).find(|path| !taken(path));
        free.unwrap_or_else(|| self.path.join(format!("{name}.{suffix}")))
    }

    /// The names that files of one name get, one after the other.
    fn numbered(&self, name: &str, suffix: &str) -> impl Iterator<Item = PathBuf> {
        let rest = (2..1000).map(move |number| self.path.join(format!("{name}.{number}.{suffix}")));
        [self.path.join(format!("{name}.{suffix}"))].into_iter().chain(rest)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.{SUFFIX}"))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// The name of the first of several files, when this one has a number.
fn stem_of_first(stem: &str) -> Option<String> {
    let (first, number) = stem.rsplit_once('.')?;
    number.parse::<u32>().is_ok_and(|number| number >= 2).then(|| first.to_owned())
}

fn write(path: &Path, record: &impl Serialize) -> io::Result<()> {
    // In one piece: each token alone would be a system call.
    let mut octets = serde_json::to_vec_pretty(&Versioned { version: VERSION, record })?;
    octets.push(b'\n');
    let mut file = File::create(path)?;
    file.write_all(&octets)?;
    file.sync_all()
}

/// Reads a record; only a plain file of a record's size is opened, so that nothing else can hold up a start.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() || found.len() > RECORD_MAX {
        return Err(format!("it is no plain file of at most {RECORD_MAX} octets"));
    }
    let octets = fs::read(path).map_err(|error| error.to_string())?;
    let whole: Versioned<T> = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
    if whole.version == VERSION {
        Ok(whole.record)
    } else {
        Err(format!("it has version {}, and {VERSION} is known", whole.version))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of a test's own, removed with it.
    pub(in crate::control) struct Scratch {
        pub(in crate::control) path: PathBuf,
    }

    impl Scratch {
        pub(in crate::control) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name =
                format!("overlay-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self { path }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        word: String,
        number: u32,
    }

    fn sample() -> Sample {
        Sample { word: "a".into(), number: 1 }
    }

    #[test]
    fn a_record_comes_back_until_it_is_removed() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.join("r")).unwrap();
        dir.save("one", &sample()).unwrap();
        let Loaded { good, bad } = dir.load::<Sample>().unwrap();
        assert_eq!((good, bad.len()), (vec![("one".to_owned(), sample())], 0));
        dir.remove("one").unwrap();
        dir.remove("one").unwrap();
        assert!(dir.load::<Sample>().unwrap().good.is_empty());
    }

    #[test]
    fn a_record_truncated_at_any_length_is_set_aside_alone() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        dir.save("good", &sample()).unwrap();
        let whole = fs::read(dir.file("good")).unwrap();
        // The last two octets are the closing brace and the newline after it.
        for len in 0..whole.len() - 1 {
            fs::write(dir.file("cut"), &whole[..len]).unwrap();
            let Loaded { good, bad } = dir.load::<Sample>().unwrap();
            assert_eq!((good.len(), bad.len()), (1, 1), "at {len}");
            assert!(bad[0].set_aside.exists() && !dir.file("cut").exists());
        }
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_no_file() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        fs::create_dir(dir.file("one")).unwrap();
        assert!(dir.save("one", &sample()).is_err());
        assert_eq!(fs::read_dir(&scratch.path).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_leaves_half_written_is_cleared_and_bad_records_pile_up() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        fs::write(scratch.path.join("one.tmp"), "{").unwrap();
        for _ in 0..3 {
            fs::write(dir.file("one"), "{").unwrap();
            assert_eq!(dir.load::<Sample>().unwrap().bad.len(), 1);
        }
        let names: Vec<_> =
            fs::read_dir(&scratch.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| name.to_str().unwrap().ends_with(".bad")), "{names:?}");
    }

    #[test]
    fn trying_out_leaves_nothing_and_fails_where_nothing_can_be_written() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.join("r")).unwrap();
        dir.try_out().unwrap();
        assert_eq!(fs::read_dir(&dir.path).unwrap().count(), 0);
        fs::remove_dir(&dir.path).unwrap();
        assert_eq!(dir.try_out().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_set_aside_stays_in_sight_until_it_is_retired() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        for name in ["one", "one", "two.2"] {
            fs::write(dir.file(name), "{").unwrap();
            dir.load::<Sample>().unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", scratch.path.join("three.bad")).unwrap();
        let earlier = || dir.set_aside_earlier::<Sample>().unwrap();
        let names = || earlier().into_iter().map(|bad| bad.name).collect::<Vec<_>>();
        assert_eq!(names(), ["one", "three", "two.2"]);
        assert!(earlier()[0].reason.contains("EOF") && earlier()[0].set_aside.ends_with("one.bad"));
        dir.retire("one").unwrap();
        dir.retire("two.2").unwrap();
        dir.retire("none").unwrap();
        assert_eq!(names(), ["three"]);
        assert!(scratch.path.join("one.2.deleted").exists() && scratch.path.join("two.2.deleted").exists());
    }

    #[test]
    fn only_plain_files_are_read() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.file("zero")).unwrap();
        fs::create_dir(dir.file("dir")).unwrap();
        File::create(dir.file("large")).unwrap().set_len(RECORD_MAX + 1).unwrap();
        assert_eq!(dir.load::<Sample>().unwrap().bad.len(), 3);
    }

    #[test]
    fn another_version_is_set_aside() {
        let scratch = Scratch::new();
        let dir = RecordDir::open(scratch.path.clone()).unwrap();
        fs::write(dir.file("new"), "{\"version\":2,\"word\":\"a\",\"number\":1}").unwrap();
        let Loaded { bad, .. } = dir.load::<Sample>().unwrap();
        assert!(bad[0].reason.contains("version 2"), "{}", bad[0].reason);
    }
}
