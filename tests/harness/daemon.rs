use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use overlay_core::control::{Client, Daemon, Paths};

use crate::{LONG, Namespace, program, wait_until};

/// A daemon that runs; it ends with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    daemon: Daemon,
    log: PathBuf,
}

impl Running {
    /// Starts a daemon in a namespace with `more` arguments, and waits until it answers on its socket.
    ///
    /// # Panics
    /// It ends instead, or does not answer in time.
    #[track_caller]
    pub(crate) fn start(
        namespace: &Namespace,
        paths: &Paths,
        daemon: Daemon,
        more: &[String],
        log: &Path,
    ) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let mut command = namespace.daemon_command(&program(daemon.program()));
        command.arg("--run-dir").arg(&paths.run).arg("--state-dir").arg(&paths.state).args(more);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        let mut running = Self { child: child.expect("ip can be run"), daemon, log: log.to_owned() };
        running.wait_for_answer(paths);
        running
    }

    #[track_caller]
    fn wait_for_answer(&mut self, paths: &Paths) {
        let what = format!("{} answers on its socket", self.daemon.program());
        wait_until(LONG, &what, || {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                panic!("{} ended with {status}:\n{}", self.daemon.program(), self.log());
            }
            Client::connect(paths, self.daemon, "test").map_err(|error| error.to_string())
        });
    }

    /// Which one it is.
    pub fn daemon(&self) -> Daemon {
        self.daemon
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it is still alive.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Stops it where it is, until [`Self::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Kills it without a chance to tidy up.
    ///
    /// # Panics
    /// It had ended before.
    pub fn kill9(mut self) {
        self.signal(Signal::SIGKILL);
        let status = self.child.wait().expect("a child can be waited for");
        assert_eq!(status.signal(), Some(9), "{} had ended before it was killed", self.daemon.program());
    }

    /// Asks it to end, which it must do with exit status 0.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status: ExitStatus = wait_until(LONG, "a clean end after SIGTERM", || {
            let status = self.child.try_wait().expect("a child can be waited for");
            status.ok_or_else(|| format!("{} still runs", self.daemon.program()))
        });
        assert_eq!(status.code(), Some(0), "{} after SIGTERM:\n{}", self.daemon.program(), self.log());
    }

    /// Halts it, until it is told to go on.
    pub fn halt(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after it was halted.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks it to read everything again.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a process id is positive");
        kill(Pid::from_raw(pid), signal).expect("an unreaped child can be signalled");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
