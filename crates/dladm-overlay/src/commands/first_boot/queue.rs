//! The file of commands that wait for a first boot: one JSON array of words on each line. It is only ever replaced as a
//! whole, under a lock on its directory, so that a crash leaves whole lines and nobody's line is lost.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde_json::{Value, json};

const WAITING: &str = "first-boot";
const FAILED: &str = "first-boot.failed";
const NEW: &str = "first-boot.new";
/// The directories one of which every system has below its root.
const SIGNS: [&str; 2] = ["etc", "usr"];
/// The member of a line that has been begun.
const BEGUN: &str = "begun";
/// Octets of a file: far more than anybody types.
const FILE_MAX: u64 = 1 << 20;

/// A command on its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    words: Result<Vec<String>, String>,
    marked: bool,
}

impl Line {
    /// That of a command's words.
    pub(super) const fn new(words: Vec<String>) -> Self {
        Self { words: Ok(words), marked: false }
    }

    /// The words, or why they cannot be read.
    pub(super) fn words(&self) -> Result<&[String], String> {
        self.words.as_deref().map_err(|_| "the line is no list of words".to_owned())
    }

    /// Whether it has been begun.
    pub(super) const fn is_marked(&self) -> bool {
        self.marked
    }

    fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let (list, marked) = value.get(BEGUN).map_or((&value, false), |list| (list, true));
        let words = list
            .as_array()
            .and_then(|list| list.iter().map(|word| Some(word.as_str()?.to_owned())).collect());
        let words: Option<Vec<String>> = words;
        match words {
            Some(words) => Self { words: Ok(words), marked },
            None => Self { words: Err(text.to_owned()), marked: false },
        }
    }

    fn written(&self) -> String {
        match &self.words {
            Ok(words) if self.marked => json!({ BEGUN: words }).to_string(),
            Ok(words) => json!(words).to_string(),
            Err(text) => text.clone(),
        }
    }

    fn plain(&self) -> Self {
        Self { words: self.words.clone(), marked: false }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Ok(words) => out.write_str(&words.join(" ")),
            Err(text) => out.write_str(text),
        }
    }
}

/// The commands that wait, which nobody else changes while this is there.
#[derive(Debug)]
pub(super) struct Queue {
    directory: File,
    lines: Vec<Line>,
}

impl Queue {
    /// Those in the state directory of this host; none when it has no such directory.
    pub(super) fn of_host(state: &Path) -> io::Result<Option<Self>> {
        match File::open(state) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            directory => Self::locked(directory?).map(Some),
        }
    }

    /// Those of the system below `root`, in a state directory that is made where it is missing. The other system's links
    /// lead nowhere outside it.
    pub(super) fn below(root: &Path, state: &Path) -> io::Result<Self> {
        let root = File::open(root)?;
        if SIGNS.iter().all(|sign| inside(&root, Path::new(sign)).is_err()) {
            return Err(io::Error::other(format!("it has neither {}", SIGNS.join(" nor "))));
        }
        let (mut directory, mut path) = (root.try_clone()?, PathBuf::new());
        for part in state.components() {
            let Component::Normal(part) = part else { continue };
            path.push(part);
            directory = match inside(&root, &path) {
                Err(Errno::ENOENT) => {
                    mkdirat(&directory, part, Mode::from_bits_truncate(0o755))?;
                    let made = inside(&root, &path)?;
                    // Whatever the umask of whoever calls.
                    made.set_permissions(Permissions::from_mode(0o755))?;
                    made
                }
                found => found?,
            };
        }
        Self::locked(directory)
    }

    fn locked(directory: File) -> io::Result<Self> {
        directory.lock()?;
        let mut queue = Self { directory, lines: Vec::new() };
        queue.lines = queue.read(WAITING)?;
        Ok(queue)
    }

    /// The line that is next.
    pub(super) fn first(&self) -> Option<&Line> {
        self.lines.first()
    }

    /// Adds a line behind all others.
    pub(super) fn push(&mut self, line: Line) -> io::Result<()> {
        self.lines.push(line);
        self.write(WAITING, &self.lines)
    }

    /// Marks the next line as begun.
    pub(super) fn mark(&mut self) -> io::Result<()> {
        match self.lines.first_mut() {
            Some(line) if !line.marked && line.words.is_ok() => line.marked = true,
            _ => return Ok(()),
        }
        self.write(WAITING, &self.lines)
    }

    /// Takes the next line away.
    pub(super) fn pop(&mut self) -> io::Result<()> {
        self.lines.remove(0);
        self.write(WAITING, &self.lines)
    }

    /// Keeps the next line among those that failed; once, when a crash comes before it is taken away.
    pub(super) fn keep_failed(&self) -> io::Result<()> {
        let mut failed = self.read(FAILED)?;
        let line = self.lines[0].plain();
        if failed.last() != Some(&line) {
            failed.push(line);
        }
        self.write(FAILED, &failed)
    }

    /// Where those are.
    pub(super) fn failed(state: &Path) -> PathBuf {
        state.join(FAILED)
    }

    fn read(&self, name: &str) -> io::Result<Vec<Line>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            file => File::from(file?),
        };
        let mut octets = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > FILE_MAX {
            return Err(io::Error::other(format!("{name} has more than {FILE_MAX} octets")));
        }
        Ok(octets
            .split(|octet| *octet == b'\n')
            .map(text)
            .filter(|line| !line.trim().is_empty())
            .map(|line| Line::read(&line))
            .collect())
    }

    /// Replaces a file; no lines are no file.
    fn write(&self, name: &str, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir)?;
            return self.directory.sync_all();
        }
        // What a crash has left of an earlier one.
        let _ = unlinkat(&self.directory, NEW, UnlinkatFlags::NoRemoveDir);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.directory, NEW, flags, Mode::from_bits_truncate(0o644))?);
        let text: String = lines.iter().map(|line| line.written() + "\n").collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        renameat(&self.directory, NEW, &self.directory, name)?;
        self.directory.sync_all()
    }
}

/// A line as text. One that is no UTF-8 is no command, whatever its other octets say, and costs its neighbours nothing.
fn text(line: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(format!("not UTF-8: {}", String::from_utf8_lossy(line))),
    }
}

/// A directory of another system, whose root is `root` for every link on the way.
fn inside(root: &impl AsFd, path: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root, path, how).map(File::from)
}
