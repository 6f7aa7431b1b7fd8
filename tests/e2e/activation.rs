//! What a service manager does for the daemons, with the test in its place: it listens for them, hears that they are ready,
//! at work and ending, and starts varpd without any right of root's.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use overlay_core::control::Client;
use overlay_tests::{Daemon, Host, LONG, program, wait_until};

const BOTH: [Daemon; 2] = [Daemon::Overlayd, Daemon::Varpd];

/// The user that the tests call `netadm`.
const NETADM: u32 = 54322;

/// A daemon that a service manager has started.
struct Service {
    child: Child,
    told: UnixDatagram,
}

impl Service {
    /// Starts a daemon on a host, by `wrapper` if there is one, with `passed` as its descriptor 3 and `count` descriptors
    /// promised.
    fn start(host: &Host, daemon: Daemon, wrapper: &str, passed: OwnedFd, count: u32) -> Self {
        let (paths, notify) = (host.paths(), host.scratch().join("notify.sock"));
        let _ = fs::remove_file(&notify);
        let told = UnixDatagram::bind(&notify).expect("a socket");
        told.set_nonblocking(true).expect("a socket");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&notify, open).expect("it is there");
        let line = format!(
            "export LISTEN_PID=$$ WATCHDOG_PID=$$; exec {wrapper} {} --run-dir {} --state-dir {} 3<&0 </dev/null",
            program(daemon.program()).display(),
            paths.run.display(),
            paths.state.display()
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host.net.name(), "sh", "-c", &line]);
        command
            .env("LISTEN_FDS", count.to_string())
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "200000");
        let child = command.stdin(passed).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        Self { child: child.expect("ip can be run"), told }
    }

    /// Waits until it tells `state`; what it tells before that passes.
    #[track_caller]
    fn hear(&self, state: &str) {
        wait_until(LONG, &format!("it tells {state}"), || {
            let mut octets = [0; 256];
            let count = self.told.recv(&mut octets).map_err(|error| error.to_string())?;
            let told = String::from_utf8_lossy(&octets[..count]).into_owned();
            if told.lines().any(|line| line == state) { Ok(()) } else { Err(told) }
        });
    }

    /// Asks it to end, which it must tell and do; what it has logged.
    #[track_caller]
    fn stop(self) -> String {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("a child");
        self.hear("STOPPING=1");
        let (success, log) = self.end();
        assert!(success, "{log}");
        log
    }

    /// Whether it ends with success, and what it has logged.
    fn end(mut self) -> (bool, String) {
        let status = wait_until(LONG, "it ends", || {
            self.child.try_wait().ok().flatten().ok_or_else(|| "it runs".to_owned())
        });
        let mut log = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
        (status.success(), log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Listens for a daemon.
fn listen(host: &Host, daemon: Daemon) -> UnixListener {
    fs::create_dir_all(&host.paths().run).expect("a run directory");
    UnixListener::bind(host.paths().socket(daemon)).expect("a free path")
}

#[test]
fn a_daemon_serves_on_the_socket_that_it_is_passed_and_leaves_it() {
    for daemon in BOTH {
        let host = Host::new();
        let (listener, path) = (listen(&host, daemon), host.paths().socket(daemon));
        let inode = fs::metadata(&path).expect("a socket").ino();
        let mut early = UnixStream::connect(&path).expect("somebody listens");
        early.write_all(b"{\"protocol\":1,\"program\":\"early\"}\n").expect("it is taken");
        let service = Service::start(&host, daemon, "", listener.try_clone().expect("one more").into(), 1);
        service.hear("READY=1");
        let mut greeting = [0; 1];
        early.read_exact(&mut greeting).expect("who came before the daemon is greeted, too");
        Client::connect(host.paths(), daemon, "test").expect("it serves");
        service.stop();
        assert_eq!(fs::metadata(&path).expect("it is there").ino(), inode, "{}", daemon.program());
        UnixStream::connect(&path).expect("the test listens still");
        // The next one takes it again.
        Service::start(&host, daemon, "", listener.into(), 1).hear("READY=1");
    }
}

#[test]
fn a_daemon_gives_signs_of_life_as_long_as_it_works() {
    for daemon in BOTH {
        let host = Host::new();
        let service = Service::start(&host, daemon, "", listen(&host, daemon).into(), 1);
        service.hear("READY=1");
        (0..5).for_each(|_| service.hear("WATCHDOG=1"));
        service.stop();
    }
}

#[test]
fn anything_else_in_place_of_the_socket_ends_the_start_with_one_line() {
    for daemon in BOTH {
        let host = Host::new();
        let path = host.paths().socket(daemon);
        let refused = |passed: OwnedFd, count: u32, why: &str| {
            let (success, log) = Service::start(&host, daemon, "", passed, count).end();
            assert!(!success && log.lines().count() == 1, "{log}");
            let place = format!("cannot use the socket that was passed for {}: ", path.display());
            assert!(log.starts_with(&format!("{}: ", daemon.program())), "{log}");
            assert!(log.contains(&place) && log.contains(why) && log.contains("ListenStream="), "{log}");
        };
        let other = host.scratch().join("other.sock");
        refused(UnixListener::bind(&other).expect("a socket").into(), 1, "it is /");
        refused(File::open("/dev/null").expect("it is there").into(), 1, "it is no socket");
        refused(listen(&host, daemon).into(), 2, "LISTEN_FDS: Bad file descriptor");
        fs::remove_file(&path).expect("it is there");
        refused(UnixDatagram::bind(&path).expect("a socket").into(), 1, "it is no stream socket");
    }
}

#[test]
fn where_its_socket_and_directories_are_made_for_it_varpd_is_never_root() {
    let mut host = Host::new();
    host.add_user("netadm", NETADM);
    let listener = listen(&host, Daemon::Varpd);
    for temporary in [false, true] {
        let records = host.paths().records(Daemon::Varpd, temporary);
        fs::create_dir_all(&records).expect("a directory");
        chown(&records, Some(NETADM), Some(NETADM)).expect("root may");
    }
    let wrapper = format!("setpriv --reuid={NETADM} --regid={NETADM} --clear-groups --no-new-privs");
    host.start_overlayd();
    let service = Service::start(&host, Daemon::Varpd, &wrapper, listener.into(), 1);
    service.hear("READY=1");
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    host.await_online("demo0");
    host.create_overlay("passing0", 24, "127.0.0.1", "127.0.0.2", &["-t"]);
    host.await_online("passing0");
    let log = service.stop();
    assert!(!log.contains("WARN"), "{log}");
}
