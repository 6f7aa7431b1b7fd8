use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::command::{bounded, program};
use crate::namespace::{fresh, system};
use crate::{LONG, Outcome, wait_until};

/// The project's own directory.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the project").to_owned()
}

/// A directory of a test's own, which ends with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty one.
    ///
    /// # Panics
    /// The system refuses.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ov-{}-{}", std::process::id(), fresh()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The package, of the programs beside this test.
#[derive(Debug)]
pub struct Package {
    scratch: Scratch,
}

impl Package {
    /// Builds it.
    ///
    /// # Panics
    /// It cannot be built.
    #[track_caller]
    pub fn build() -> Self {
        let scratch = Scratch::new();
        let programs = program("overlayd").parent().expect("a directory of programs").display().to_string();
        let script = project().join("contrib/debian/build").display().to_string();
        system(&[&script, &programs, &scratch.path().display().to_string()]);
        Self { scratch }
    }

    /// Its file.
    ///
    /// # Panics
    /// It is not there.
    pub fn file(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.scratch.path()).expect("its directory").flatten();
        entries.next().expect("a file").path()
    }
}

/// A copy of this machine's root with the package installed, which systemd has booted in namespaces of its own
/// (`tests/boot.sh`); it ends with this value.
#[derive(Debug)]
pub struct Machine {
    boot: Child,
    init: String,
    scratch: Scratch,
}

impl Machine {
    /// Boots one.
    ///
    /// # Panics
    /// The daemons do not come up in it.
    #[track_caller]
    pub fn boot() -> Self {
        Self::boot_after("")
    }

    /// Boots one after a command, which finds its root in `$root`.
    ///
    /// # Panics
    /// The command fails, or the daemons do not come up.
    #[track_caller]
    pub fn boot_after(command: &str) -> Self {
        static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
        let scratch = Scratch::new();
        let package = scratch.path().join("overlay.deb");
        let built = PACKAGE.get_or_init(|| fs::read(Package::build().file()).expect("the package"));
        fs::write(&package, built).expect("written");
        let mut boot = Command::new(project().join("tests/boot.sh"));
        let boot = boot
            .arg(scratch.path())
            .arg(&package)
            .arg(command)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut machine = Self { boot, init: String::new(), scratch };
        machine.init = wait_until(LONG, "systemd is started", || machine.started());
        machine.wait_for_active(&["overlay.service", "varpd.service"]);
        machine
    }

    fn started(&mut self) -> Result<String, String> {
        if let Ok(Some(status)) = self.boot.try_wait() {
            panic!("the boot ended with {status}");
        }
        let init = fs::read_to_string(self.scratch.path().join("init")).map_err(|error| error.to_string())?;
        if init.ends_with('\n') { Ok(init.trim().to_owned()) } else { Err(format!("'{init}'")) }
    }

    /// The outcome of a command that runs in it.
    pub fn run(&self, words: &[&str]) -> Outcome {
        let environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        let inside = ["nsenter", "-t", &self.init, "-m", "-p", "-n", "-u", "-i", "-C", "--"];
        Outcome::of(bounded(&[], &[&inside[..], &environment, words].concat()), &words.join(" "))
    }

    /// What a command that runs in it has printed.
    ///
    /// # Panics
    /// It failed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok()
    }

    /// Writes a file in it, readable for everybody.
    ///
    /// # Panics
    /// The system refuses.
    #[track_caller]
    pub fn write(&self, path: &str, mode: &str, text: &str) {
        let made = "mkdir -p \"$(dirname \"$0\")\" && printf %s \"$1\" >\"$0\" && chmod \"$2\" \"$0\"";
        self.ok(&["sh", "-c", made, path, text, mode]);
    }

    /// A property of a unit, as `systemctl show` has it.
    #[track_caller]
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.ok(&["systemctl", "show", "-P", property, unit]).trim().to_owned()
    }

    /// Waits until units are active.
    ///
    /// # Panics
    /// They are not in time.
    #[track_caller]
    pub fn wait_for_active(&self, units: &[&str]) {
        wait_until(LONG, &format!("{units:?} are active"), || {
            let states = self.run(&[&["systemctl", "is-active"], units].concat()).stdout;
            let all = states.lines().count() == units.len() && states.lines().all(|state| state == "active");
            if all { Ok(()) } else { Err(format!("{states}{}", self.journal())) }
        });
    }

    /// What it has logged of its daemons.
    pub fn journal(&self) -> String {
        let words = ["journalctl", "--no-pager", "-o", "cat", "-u", "overlay*", "-u", "varpd*"];
        let outcome = self.run(&words);
        format!("{}{}", outcome.stdout, outcome.stderr)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.boot.stdin.take());
        let _ = self.boot.wait();
    }
}
