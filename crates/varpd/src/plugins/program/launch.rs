//! A program as a process: how it is started, and how it ends.

use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::trust::{self, Distrust};

/// How long a program may take to end once its input has ended.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long it is waited for what a program says at its end.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long the system may take to end what was killed.
const KILL: Duration = Duration::from_secs(1);

/// What of varpd's environment a program gets.
const ENVIRONMENT: [&str; 4] = ["PATH", "LANG", "LC_ALL", "TZ"];

/// Which files are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Those that belong to root alone; looked at again at each start.
    RootOnly,
    /// Any: whoever starts it answers for it.
    Open,
}

/// A program that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    file: PathBuf,
    guard: Guard,
}

/// Why a program is not running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// It is not trusted.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The system does not start it.
    #[error("cannot start {}: {error}", file.display())]
    Start {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Launch {
    /// Of `file`.
    pub(crate) const fn new(file: PathBuf, guard: Guard) -> Self {
        Self { file, guard }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Starts it, with pipes for its input, its output and its standard error.
    ///
    /// # Errors
    /// It is not trusted, or the system does not start it.
    pub(crate) fn start(&self) -> Result<Running, LaunchError> {
        let real = match self.guard {
            Guard::RootOnly => trust::check(&self.file)?,
            Guard::Open => self.file.clone(),
        };
        let mut command = Command::new(real);
        command.current_dir("/").env_clear().process_group(0).kill_on_drop(true);
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| LaunchError::Start { file: self.file.clone(), error })?;
        Ok(Running::new(child))
    }
}

/// A running program. It ends with this value, and so does every process of its group.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Its process group, while it may have members.
    group: Option<Pid>,
    /// Where it reads, until taken.
    pub(crate) stdin: Option<ChildStdin>,
    /// Where it writes, until taken.
    pub(crate) stdout: Option<ChildStdout>,
    /// Where it complains, until taken.
    pub(crate) stderr: Option<ChildStderr>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let group = child.id().and_then(|id| id.try_into().ok()).map(Pid::from_raw);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Self { child, group, stdin, stdout, stderr }
    }

    /// Waits until it has ended, which is the end of its whole group, and says how. Can be given up and begun again.
    pub(crate) async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        // A group's number is not given out again while it has members, and one without members is gone in this
        // instant: numbers go round through all others first.
        self.kill();
        self.group = None;
        match status {
            Ok(status) => how(status),
            Err(error) => format!("it is lost: {error}"),
        }
    }

    /// Ends its group, now.
    pub(crate) fn kill(&self) {
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Ends its group, now, and says how the program ended; what the system cannot end is left to it.
    pub(crate) async fn killed(mut self) -> Option<String> {
        self.kill();
        timeout(KILL, self.ended()).await.ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads from what may be gone, which then never has anything. Can be given up and begun again.
pub(crate) async fn read_from(
    source: &mut Option<impl AsyncRead + Unpin>,
    piece: &mut [u8],
) -> io::Result<usize> {
    match source {
        Some(source) => source.read(piece).await,
        None => pending().await,
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("it was ended by {signal}"),
            Err(_) => format!("it was ended by signal {signal}"),
        },
        (None, None) => "it ended".to_owned(),
    }
}
