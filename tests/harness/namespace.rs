use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::command::bounded;
use crate::{Outcome, inner_v4, inner_v6};

/// A named network namespace, which ends with this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    variables: Vec<(String, PathBuf)>,
}

/// A number that no other device or namespace of this process has.
pub(crate) fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Namespace {
    /// A fresh one with its loopback up.
    ///
    /// # Panics
    /// The caller is not root, or the system refuses.
    pub fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the end-to-end tests make network namespaces: run them as root"
        );
        let name = format!("ov-{}-{}", std::process::id(), fresh());
        let namespace = Self { name, variables: Vec::new() };
        namespace.add();
        namespace
    }

    /// Makes it again under its name, after [`delete`](Self::delete).
    ///
    /// # Panics
    /// It is there, or the system refuses.
    #[track_caller]
    pub fn add(&self) {
        system(&["ip", "netns", "add", &self.name]);
        self.ip(&["link", "set", "lo", "up"]);
    }

    /// Takes its name away: it ends when nothing else keeps it.
    ///
    /// # Panics
    /// It is not there.
    #[track_caller]
    pub fn delete(&self) {
        system(&["ip", "netns", "delete", &self.name]);
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets an environment variable for every command that runs in it from now on.
    pub(crate) fn set(&mut self, variable: &str, value: &Path) {
        self.variables.push((variable.to_owned(), value.to_owned()));
    }

    /// Runs `ip` on it and returns what it printed.
    ///
    /// # Panics
    /// It failed.
    #[track_caller]
    pub fn ip(&self, words: &[&str]) -> String {
        system(&[&["ip", "-n", &self.name], words].concat())
    }

    /// The outcome of a command that runs in it.
    pub fn run(&self, words: &[&str]) -> Outcome {
        Outcome::of(self.command(words), &words.join(" "))
    }

    /// A command that will run in it, bounded in time.
    pub fn command(&self, words: &[&str]) -> Command {
        self.with_variables(bounded(&["ip", "netns", "exec", &self.name], words))
    }

    /// A command that will run in it for as long as it likes, under the process id of its own child.
    pub(crate) fn daemon_command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        self.with_variables(command)
    }

    fn with_variables(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Calls `body` on a thread inside it. A socket that it makes stays inside, whichever thread uses it later.
    ///
    /// # Panics
    /// `body` panics.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(&self.name);
        let enter = || {
            let file = File::open(&path).expect("the namespace is there");
            setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            body()
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Gives a device inside the overlay the addresses of number `end`, and sets it up.
    pub fn address(&self, device: &str, end: u8) {
        self.ip(&["link", "set", device, "up"]);
        self.ip(&["addr", "add", &format!("{}/24", inner_v4(end)), "dev", device]);
        self.ip(&["addr", "add", &format!("{}/64", inner_v6(end)), "dev", device, "nodad"]);
    }

    /// Whether an echo request with `size` octets comes back within a second; with `df` it must not be fragmented.
    pub fn ping(&self, to: impl ToString, size: usize, df: bool) -> bool {
        let (to, size) = (to.to_string(), size.to_string());
        let fragments = if df { "do" } else { "dont" };
        self.run(&["ping", "-n", "-q", "-c", "1", "-W", "1", "-M", fragments, "-s", &size, &to]).succeeded()
    }

    /// The devices in it, as the kernel's index and name, in order.
    pub fn devices(&self) -> Vec<(u64, String)> {
        let links = self.links();
        let device =
            |link: &serde_json::Value| (link["ifindex"].as_u64(), link["ifname"].as_str().map(str::to_owned));
        links.iter().map(device).map(|(index, name)| (index.unwrap_or(0), name.unwrap_or_default())).collect()
    }

    /// A device as `ip -j -s link` shows it.
    ///
    /// # Panics
    /// It is not there.
    #[track_caller]
    pub fn device(&self, name: &str) -> serde_json::Value {
        let found = self.links().into_iter().find(|link| link["ifname"] == name);
        found.unwrap_or_else(|| panic!("no device {name} in {}: {:?}", self.name, self.devices()))
    }

    fn links(&self) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.ip(&["-j", "-s", "link"])).expect("ip prints JSON")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What remains in it ends with it; a failure here has nowhere to go.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Runs a command of the system and returns what it printed.
///
/// # Panics
/// It failed.
#[track_caller]
pub(crate) fn system(words: &[&str]) -> String {
    Outcome::of(bounded(&[], words), &words.join(" ")).ok()
}
