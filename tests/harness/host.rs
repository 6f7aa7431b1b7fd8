use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use overlay_core::control::{Client, Daemon, Paths};
use overlay_core::protocol::{Request, Response};

use crate::wait::try_until;
use crate::{Accounts, Counters, Namespace, Outcome, Running, SHORT, wait_until};

/// A host: a network namespace with a run directory, a state directory and up to two daemons of its own.
#[derive(Debug)]
pub struct Host {
    overlayd: Option<Running>,
    varpd: Option<Running>,
    directory: PathBuf,
    paths: Paths,
    configuration: PathBuf,
    /// Whether something may have been deleted since the driver was started, and what it counted with it.
    forgetful: AtomicBool,
    /// Arguments for its lookup daemon beside the usual ones.
    pub varpd_arguments: Vec<String>,
    /// Its namespace.
    pub net: Namespace,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host on which no daemon runs.
    ///
    /// # Panics
    /// The system refuses.
    pub fn new() -> Self {
        let mut net = Namespace::new();
        let directory = std::env::temp_dir().join(net.name());
        let paths = Paths { run: directory.join("run"), state: directory.join("state") };
        fs::create_dir_all(&directory).expect("a temporary directory");
        net.set("OVERLAY_RUN_DIR", &paths.run);
        net.set("OVERLAY_STATE_DIR", &paths.state);
        let configuration = Path::new("/etc/netns").join(net.name());
        let (overlayd, varpd, varpd_arguments, forgetful) = (None, None, Vec::new(), AtomicBool::default());
        Self { overlayd, varpd, directory, paths, configuration, forgetful, varpd_arguments, net }
    }

    /// A host on which both daemons run.
    #[track_caller]
    pub fn started() -> Self {
        let mut host = Self::new();
        host.start();
        host
    }

    /// Starts both daemons.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_overlayd();
        self.start_varpd();
    }

    /// Starts the driver, and waits until it answers.
    #[track_caller]
    pub fn start_overlayd(&mut self) {
        let log = self.directory.join("overlayd.log");
        self.forgetful = AtomicBool::default();
        self.overlayd = Some(Running::start(&self.net, &self.paths, Daemon::Overlayd, &[], &log));
    }

    /// Starts the lookup daemon, and waits until it answers.
    #[track_caller]
    pub fn start_varpd(&mut self) {
        let log = self.directory.join("varpd.log");
        let more = &self.varpd_arguments;
        self.varpd = Some(Running::start(&self.net, &self.paths, Daemon::Varpd, more, &log));
    }

    /// Kills a daemon as a crash would.
    #[track_caller]
    pub fn kill9(&mut self, daemon: Daemon) {
        self.take(daemon).kill9();
    }

    /// Ends a daemon in good order.
    #[track_caller]
    pub fn stop(&mut self, daemon: Daemon) {
        self.take(daemon).stop();
    }

    /// One of its daemons.
    ///
    /// # Panics
    /// It was not started.
    #[track_caller]
    pub fn daemon(&mut self, daemon: Daemon) -> &mut Running {
        let running = match daemon {
            Daemon::Overlayd => &mut self.overlayd,
            Daemon::Varpd => &mut self.varpd,
        };
        running.as_mut().expect("it was started")
    }

    /// The same, to be sent signals.
    ///
    /// # Panics
    /// It was not started.
    #[track_caller]
    pub fn running(&self, daemon: Daemon) -> &Running {
        let running = match daemon {
            Daemon::Overlayd => &self.overlayd,
            Daemon::Varpd => &self.varpd,
        };
        running.as_ref().expect("it was started")
    }

    fn take(&mut self, daemon: Daemon) -> Running {
        let running = match daemon {
            Daemon::Overlayd => self.overlayd.take(),
            Daemon::Varpd => self.varpd.take(),
        };
        running.expect("it was started")
    }

    /// A directory of its own, which ends with it.
    pub fn scratch(&self) -> &Path {
        &self.directory
    }

    /// The directories of its daemons.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The outcome of a `dladm` command.
    pub fn dladm(&self, words: &[&str]) -> Outcome {
        if words.first().is_some_and(|word| word.starts_with("delete-")) {
            self.forget();
        }
        self.net.run(&[&["dladm"], words].concat())
    }

    /// Notes that something may be deleted: what the driver counts of it goes with it.
    pub fn forget(&self) {
        self.forgetful.store(true, Ordering::Relaxed);
    }

    /// What a `dladm` command printed.
    ///
    /// # Panics
    /// It failed, or wrote to its standard error.
    #[track_caller]
    pub fn dladm_ok(&self, words: &[&str]) -> String {
        let outcome = self.dladm(words);
        assert!(!outcome.succeeded() || outcome.stderr.is_empty(), "{outcome:?}");
        outcome.ok()
    }

    /// What a `dladm` command that must fail wrote to its standard error.
    #[track_caller]
    pub fn dladm_refused(&self, words: &[&str]) -> String {
        self.dladm(words).refusal()
    }

    /// Makes an overlay of encapsulation `vxlan` and search plugin `direct` on the standard port.
    #[track_caller]
    pub fn create_overlay(
        &self,
        name: &str,
        vnetid: u32,
        listen: impl ToString,
        dest: impl ToString,
        more: &[&str],
    ) {
        let (vnetid, listen, dest) = (vnetid.to_string(), listen.to_string(), dest.to_string());
        let ends = format!("vxlan/listen_ip={listen},direct/dest_ip={dest},direct/dest_port=4789");
        let words = ["create-overlay", "-e", "vxlan", "-s", "direct", "-v", &vnetid, "-p", &ends];
        self.dladm_ok(&[&words, more, &[name]].concat());
    }

    /// Makes an overlay of encapsulation `vxlan` on the standard port with any search plugin; `more` are its properties
    /// and options.
    #[track_caller]
    pub fn create_searched(
        &self,
        name: &str,
        vnetid: u32,
        listen: impl ToString,
        search: &str,
        more: &[&str],
    ) {
        let words = creation(vnetid, listen, search, more, name);
        self.dladm_ok(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// What such a creation wrote to its standard error, when it must fail.
    #[track_caller]
    pub fn create_searched_refused(
        &self,
        name: &str,
        listen: impl ToString,
        search: &str,
        more: &[&str],
    ) -> String {
        let words = creation(crate::VNETID, listen, search, more, name);
        self.dladm_refused(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Makes a VNIC on an overlay.
    #[track_caller]
    pub fn create_vnic(&self, name: &str, over: &str, more: &[&str]) {
        self.dladm_ok(&[&["create-vnic", "-l", over], more, &[name]].concat());
    }

    /// The names of its overlays.
    #[track_caller]
    pub fn overlays(&self) -> Vec<String> {
        let rows = self.dladm_ok(&["show-overlay", "-f", "-p", "-o", "link"]);
        rows.lines().map(str::to_owned).collect()
    }

    /// Waits until an overlay works.
    ///
    /// # Panics
    /// It does not in time.
    #[track_caller]
    pub fn await_online(&self, overlay: &str) {
        wait_until(SHORT, "the overlay is online", || {
            let status = self.status(overlay);
            if status == "ONLINE:-" { Ok(()) } else { Err(status) }
        });
    }

    /// Waits until an overlay is degraded for a reason that contains `text`, and returns the reason.
    ///
    /// # Panics
    /// It is not in time.
    #[track_caller]
    pub fn await_degraded(&self, overlay: &str, text: &str) -> String {
        wait_until(SHORT, &format!("the overlay is degraded with '{text}'"), || {
            let status = self.status(overlay);
            let details = status.strip_prefix("DEGRADED:").filter(|details| details.contains(text));
            details.map(str::to_owned).ok_or(status)
        })
    }

    /// Status and details of an overlay, with a colon between them.
    #[track_caller]
    pub fn status(&self, overlay: &str) -> String {
        let row = self.dladm_ok(&["show-overlay", "-f", "-p", "-o", "status,details", overlay]);
        row.trim_end().replace("\\:", ":")
    }

    /// An overlay's entry for an address in its target table: destination, state and origin with blanks between them, and
    /// the age in seconds.
    #[track_caller]
    pub fn target(&self, overlay: &str, mac: impl ToString) -> Option<(String, u64)> {
        let fields = "target,destination,state,origin,age";
        let shown = self.dladm_ok(&["show-overlay", "-t", "--json", "-o", fields, overlay]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("an array of rows");
        let row = rows.into_iter().find(|row| row["target"] == mac.to_string())?;
        let text = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
        let age = row["age"].as_u64().expect("an age in seconds");
        Some((format!("{} {} {}", text("destination"), text("state"), text("origin")), age))
    }

    /// The answer of a daemon to one request.
    ///
    /// # Panics
    /// There is none, or it refuses.
    #[track_caller]
    pub fn ask(&self, daemon: Daemon, request: Request) -> Response {
        let mut client = Client::connect(&self.paths, daemon, "test").expect("a daemon that runs");
        client.call(request).expect("a request that is granted")
    }

    /// What an overlay has counted.
    #[track_caller]
    pub fn counters(&self, overlay: &str) -> Counters {
        let shown = self.dladm_ok(&["show-overlay", "-s", "-p", "-o", "link,counter,value", overlay]);
        // The rows of its underlay socket have an address in the place of a name.
        let own = format!("{overlay}:");
        let rows: Vec<_> = shown.lines().filter_map(|row| row.strip_prefix(&own)).collect();
        Counters::parse(&rows.join("\n"))
    }

    /// Checks that its driver accounts for every frame.
    ///
    /// # Panics
    /// It does not, even after frames have had time to arrive.
    #[track_caller]
    pub fn check_counters(&self) {
        self.accounts().unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// What its driver does not account for, even after frames have had time to arrive.
    fn accounts(&self) -> Result<(), String> {
        try_until(SHORT, || {
            let client = Client::connect(&self.paths, Daemon::Overlayd, "test");
            let accounts = client
                .and_then(|mut client| Accounts::ask(&mut client, self.forgetful.load(Ordering::Relaxed)));
            let accounts = accounts.map_err(|error| format!("the driver does not answer: {error}"))?;
            accounts.check().map_err(|problem| format!("{problem}; {accounts:?}"))
        })
    }

    /// Everything that a command could change, as text.
    #[track_caller]
    pub fn snapshot(&self) -> String {
        let shown = ["show-overlay", "show-vnic", "show-link"].map(|command| self.dladm_ok(&[command]));
        let (devices, sockets) = (self.net.ip(&["-o", "link"]), self.net.run(&["ss", "-Huan"]).ok());
        format!("{}\n{devices}\n{sockets}\n{:?}", shown.join("\n"), files(&self.paths.state))
    }

    /// Adds a group to those that every command and daemon of this host knows from now on.
    ///
    /// # Panics
    /// The system refuses.
    pub fn add_group(&self, name: &str, number: u32) {
        // `ip netns exec` binds what stands here over /etc, in a mount namespace of the command's own.
        let groups = fs::read_to_string("/etc/group").expect("a list of groups");
        fs::create_dir_all(&self.configuration).expect("a directory for the namespace");
        let list = format!("{groups}\n{name}:x:{number}:\n");
        fs::write(self.configuration.join("group"), list).expect("a file of the namespace");
    }

    /// Adds a user, with a group of the same name and number, to those that every command and daemon of this host knows
    /// from now on.
    ///
    /// # Panics
    /// The system refuses.
    pub fn add_user(&self, name: &str, number: u32) {
        self.add_group(name, number);
        let users = fs::read_to_string("/etc/passwd").expect("a list of users");
        let list = format!("{users}\n{name}:x:{number}:{number}::/:/bin/false\n");
        fs::write(self.configuration.join("passwd"), list).expect("a file of the namespace");
    }

    /// Forgets what a boot forgets: the run directory and the devices named. No daemon may run.
    ///
    /// # Panics
    /// A daemon runs, or the system refuses.
    #[track_caller]
    pub fn reboot(&mut self, devices: &[&str]) {
        assert!(self.overlayd.is_none() && self.varpd.is_none(), "daemons end before a boot");
        fs::remove_dir_all(&self.paths.run).expect("the run directory is there");
        for device in devices {
            self.net.ip(&["link", "del", device]);
        }
    }

    fn show_logs(&self) {
        for name in ["overlayd", "varpd"] {
            let text = fs::read_to_string(self.directory.join(format!("{name}.log"))).unwrap_or_default();
            let _ = writeln!(io::stderr(), "--- {name} of {}:\n{text}", self.net.name());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test that has ended its driver by `kill9` or `stop` has nothing to check.
        let checked = !thread::panicking() && self.overlayd.is_some();
        let outcome = if checked { self.accounts() } else { Ok(()) };
        if thread::panicking() || outcome.is_err() {
            self.show_logs();
        }
        drop((self.varpd.take(), self.overlayd.take()));
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_dir_all(&self.configuration);
        if let Err(problem) = outcome {
            panic!("{}: {problem}", self.net.name());
        }
    }
}

/// The words of a `create-overlay`.
fn creation(vnetid: u32, listen: impl ToString, search: &str, more: &[&str], name: &str) -> Vec<String> {
    let (vnetid, listen) = (vnetid.to_string(), format!("vxlan/listen_ip={}", listen.to_string()));
    let words = ["create-overlay", "-e", "vxlan", "-s", search, "-v", &vnetid, "-p", &listen];
    [&words, more, &[name]].concat().into_iter().map(str::to_owned).collect()
}

/// The files below a directory with their contents, in order.
fn files(directory: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths
        .flat_map(|path| {
            if path.is_dir() {
                return files(&path);
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            vec![(path, text)]
        })
        .collect();
    found.sort();
    found
}
