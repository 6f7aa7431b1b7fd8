use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Seconds that a command may take before it is killed.
const PATIENCE: &str = "120";

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command, as it would be typed.
    pub command: String,
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end, which comes by `timeout` at the latest.
    ///
    /// # Panics
    /// It cannot be started.
    pub(crate) fn of(mut command: Command, typed: &str) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {typed}: {error}"));
        Self {
            command: typed.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output, when it exited with 0.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn ok(self) -> String {
        let Self { command, code, stdout, stderr } = self;
        assert_eq!(code, Some(0), "{command}\nstdout: {stdout}\nstderr: {stderr}");
        stdout
    }

    /// Whether it exited with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard error, when it failed as programs fail: one line that begins with the program's name, at
    /// most one more that says what to do, exit status 1 or 2, and nothing on standard output.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn refusal(self) -> String {
        let Self { command, code, stdout, stderr } = self;
        assert!(matches!(code, Some(1 | 2)), "{command} exited with {code:?}: {stdout}{stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        let errors = lines.iter().filter(|line| line.starts_with("dladm: ")).count();
        assert_eq!(errors, 1, "{command}: one line must begin with 'dladm: ':\n{stderr}");
        assert!(lines[0].starts_with("dladm: ") && lines.len() <= 2, "{command} said too much:\n{stderr}");
        assert_eq!(stdout, "", "{command} failed, and printed");
        stderr
    }
}

/// A command that `timeout` ends, run by `wrapper` if there is one.
pub(crate) fn bounded(wrapper: &[&str], words: &[&str]) -> Command {
    let line: Vec<&str> = [wrapper, &["timeout", "-k", "5", PATIENCE], words].concat();
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).env("PATH", path());
    command
}

/// The search path, with the directory of our programs first.
pub(crate) fn path() -> String {
    let system = env::var("PATH").unwrap_or_default();
    format!("{}:{system}:/usr/sbin:/sbin", directory().display())
}

/// The place of one of our programs.
///
/// # Panics
/// It has not been built.
pub fn program(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(path.exists(), "{} is missing: build it first (cargo build --workspace --bins)", path.display());
    path
}

/// Where the programs are built: beside the test's executable, or one directory above it.
fn directory() -> PathBuf {
    let executable = env::current_exe().expect("the path of the test");
    let parent = executable.parent().expect("a file is in a directory");
    let deps = parent.file_name().is_some_and(|name| name == "deps");
    if deps { parent.parent().expect("deps is in a directory").to_owned() } else { parent.to_owned() }
}
