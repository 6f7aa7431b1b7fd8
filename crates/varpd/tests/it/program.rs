use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, User, geteuid};
use overlay_core::control::{Client, Daemon};
use overlay_core::protocol::{Request, Response};

use crate::host::create;
use crate::scratch::Scratch;

/// The program, killed with its test.
struct Program {
    child: Child,
}

impl Program {
    fn command(scratch: &Scratch) -> Command {
        let paths = scratch.paths();
        let mut command = Command::new(env!("CARGO_BIN_EXE_varpd"));
        command.arg("--run-dir").arg(paths.run).arg("--state-dir").arg(paths.state);
        command.stderr(Stdio::piped()).env_remove("RUST_LOG").env_remove("JOURNAL_STREAM");
        command
    }

    /// Started, and ready by its own word to the service manager.
    fn ready(scratch: &Scratch) -> Self {
        let socket = scratch.paths().run.join("notify");
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        // Whoever the program has become by then, it may write to it, as to systemd's.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let child = Self::command(scratch).env("NOTIFY_SOCKET", &socket).spawn().unwrap();
        let mut word = [0; 64];
        let len = manager.recv(&mut word).unwrap();
        assert_eq!(word[..len].trim_ascii_end(), b"READY=1");
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Its end, and what it has said.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_ends_cleanly_on_both_signals() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let scratch = Scratch::new();
        let program = Program::ready(&scratch);
        assert!(scratch.paths().socket(Daemon::Varpd).exists());
        program.signal(signal);
        let (status, log) = program.end();
        assert!(status.success() && !log.contains('\x1b'), "{status}: {log}");
        // A directory of root's keeps the socket that netadm may not remove; nobody is behind it.
        assert!(Client::connect(&scratch.paths(), Daemon::Varpd, "test").is_err());
    }
}

#[test]
fn a_hangup_does_not_end_it() {
    let scratch = Scratch::new();
    let program = Program::ready(&scratch);
    program.signal(Signal::SIGHUP);
    assert!(Client::connect(&scratch.paths(), Daemon::Varpd, "test").is_ok());
    program.signal(Signal::SIGTERM);
    let (status, log) = program.end();
    assert!(status.success() && log.contains("reading everything again on SIGHUP"), "{log}");
}

#[test]
fn root_gives_its_rights_up_or_is_told_how_to() {
    let scratch = Scratch::new();
    let program = Program::ready(&scratch);
    let status = fs::read_to_string(format!("/proc/{}/status", program.child.id())).unwrap();
    program.signal(Signal::SIGTERM);
    let (_, log) = program.end();
    let named = User::from_name("netadm").unwrap().is_some() && Group::from_name("netadm").unwrap().is_some();
    match (geteuid().is_root(), named) {
        (true, true) => {
            assert!(status.contains("CapEff:\t0000000000000000\n") && status.contains("NoNewPrivs:\t1\n"));
            assert!(!status.contains("Uid:\t0\t") && !status.contains("Gid:\t0\t"), "{status}");
        }
        (true, false) => assert!(log.contains("useradd --system --user-group netadm"), "{log}"),
        (false, _) => assert!(!log.contains("netadm"), "{log}"),
    }
}

#[test]
fn a_second_one_says_in_one_line_why_it_cannot_start() {
    let scratch = Scratch::new();
    let first = Program::ready(&scratch);
    let output = Program::command(&scratch).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("varpd: cannot start: another varpd (process {}) has ", first.child.id());
    assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let scratch = Scratch::new();
    fs::write(scratch.paths().state, "in the way").unwrap();
    let output = Program::command(&scratch).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("varpd: cannot start: cannot make ") && said.lines().count() == 1, "{said}");
    assert!(!scratch.paths().socket(Daemon::Varpd).exists());
}

#[test]
fn instances_survive_a_kill() {
    let scratch = Scratch::new();
    let program = Program::ready(&scratch);
    let mut client = Client::connect(&scratch.paths(), Daemon::Varpd, "test").unwrap();
    assert_eq!(client.call(create(7)).unwrap(), Response::Instance(1));
    program.signal(Signal::SIGKILL);
    drop(program);
    let _again = Program::ready(&scratch);
    let mut client = Client::connect(&scratch.paths(), Daemon::Varpd, "test").unwrap();
    let Response::Instances(instances) = client.call(Request::Instances).unwrap() else { panic!() };
    assert_eq!(instances.iter().map(|instance| instance.instance).collect::<Vec<_>>(), [1]);
}
