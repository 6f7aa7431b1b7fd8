//! The examples of the manual and of the commands' help, run as they are typed on a host where what they name is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use overlay_core::control::{Client, Daemon};
use overlay_manual::{Example, Page};
use overlay_tests::{Host, LONG, Namespace, Outcome, wait_until};

/// A host with the addresses that the examples give it, and the places they name moved to its own.
struct Stage {
    host: Host,
    /// The other host, for what is typed there.
    other: Namespace,
    /// What is written for what.
    places: Vec<(String, String)>,
}

impl Stage {
    fn new(host: Host) -> Self {
        let other = Namespace::new();
        let pair = ["link", "add", "under0", "type", "veth", "peer", "name", "under0", "netns", other.name()];
        host.net.ip(&pair);
        let (here, there) =
            (["10.0.0.1", "192.0.2.10", "2001:db8::1"], ["10.0.0.2", "192.0.2.20", "2001:db8::2"]);
        for (net, addresses) in [(&host.net, here), (&other, there)] {
            net.ip(&["link", "set", "under0", "up"]);
            for address in addresses {
                let length = if address.contains(':') { 64 } else { 24 };
                net.ip(&["addr", "add", &format!("{address}/{length}"), "dev", "under0"]);
            }
        }
        let scratch = host.scratch().display();
        let moved = |(from, to): (&str, &str)| (from.to_owned(), format!("{scratch}/{to}"));
        let mut places: Vec<_> = [
            ("/etc/overlay/", ""),
            ("/etc/overlay-table", "table"),
            ("/usr/local/lib/overlay/plugins/", ""),
            ("/run/overlay-test", "run"),
            ("/var/lib/overlay-test", "state"),
        ]
        .into_iter()
        .map(moved)
        .collect();
        places.push(("zone-a".to_owned(), format!("{}-zone-a", host.net.name())));
        fs::write(host.scratch().join("any.json"), "{}").expect("a file of the host's own");
        Self { host, other, places }
    }

    fn moved(&self, typed: &str) -> String {
        self.places.iter().fold(typed.to_owned(), |typed, (from, to)| typed.replace(from, to))
    }

    /// Runs an example, which must succeed without a complaint.
    #[track_caller]
    fn run(&self, example: &Example) -> String {
        let outcome = self.outcome(&self.moved(&example.typed));
        let Outcome { code, stdout, stderr, .. } = outcome;
        assert_eq!((code, &*stderr), (Some(0), ""), "{}: {}\n{stdout}", example.of, example.typed);
        stdout
    }

    fn outcome(&self, typed: &str) -> Outcome {
        if typed.contains(" delete-") {
            self.host.forget();
        }
        let words: Vec<_> = typed.split_whitespace().collect();
        match words[..] {
            // The other end is the kernel's own, on the other host: here the port is overlayd's.
            ["ip", "link", _, "vx0", ..] => self.other.run(&["sh", "-c", typed]),
            // What `ip netns exec` mounts is not seen by others, so zones are made outside.
            ["ip", "netns", ..] => outside(&words),
            // It repeats until its reader has seen enough, which is no failure.
            _ if words.contains(&"-i") => {
                self.host.net.run(&["bash", "-c", &format!("set -o pipefail; {typed} | head -n 3 | cat")])
            }
            // It says what happens until it is ended.
            ["dladm", "monitor", ..] => {
                self.host.net.run(&["sh", "-c", &format!("timeout 1 {typed}; test $? = 124")])
            }
            _ => self.host.net.run(&["sh", "-c", typed]),
        }
    }

    /// Has just what a command needs: the overlays and VNICs that it names, but for the one that it makes.
    #[track_caller]
    fn prepare(&self, typed: &str) {
        let words: Vec<_> = typed.split_whitespace().collect();
        let makes =
            words.get(1).filter(|command| command.starts_with("create-") || **command == "rename-link");
        let made = makes.and(words.last());
        let named = |prefix: &str| -> Vec<&str> {
            let those = words.iter().filter(|word| word.starts_with(prefix) && Some(*word) != made);
            those.copied().collect()
        };
        let vnics = named("foo");
        let mut overlays = named("demo");
        if overlays.is_empty() && !vnics.is_empty() {
            overlays.push("demo0");
        }
        overlays.iter().for_each(|name| self.overlay(name, typed.contains("direct/")));
        vnics.iter().for_each(|name| self.host.create_vnic(name, overlays[0], &[]));
        if let ["dladm", "modify-overlay", "-d", mac, ..] = words[..] {
            self.host.dladm_ok(&["modify-overlay", "-s", &format!("{mac}=drop"), overlays[0]]);
        }
    }

    fn overlay(&self, name: &str, direct: bool) {
        let number: u32 = name.trim_start_matches("demo").parse().expect("an overlay's number");
        if direct {
            self.host.create_overlay(name, 23 + number, "192.0.2.10", "192.0.2.20", &[]);
        } else {
            let config = format!("files/config={}/any.json", self.host.scratch().display());
            // For entries of both kinds.
            self.host.create_searched(name, 23 + number, "::", "files", &["-p", &config]);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The zone that an example makes, if it has.
        let zone = self.moved("zone-a");
        if Path::new("/run/netns").join(&zone).exists() {
            let _ = Command::new("ip").args(["netns", "del", &zone]).output();
        }
    }
}

fn outside(words: &[&str]) -> Outcome {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("ip can be run");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Outcome { command: words.join(" "), code: output.status.code(), stdout, stderr }
}

fn page(name: &str) -> Page {
    overlay_manual::pages().into_iter().find(|page| page.name == name).expect("a page of the manual")
}

#[test]
fn the_examples_of_each_commands_help_work() {
    for example in overlay_manual::of_commands() {
        let stage = Stage::new(Host::started());
        stage.prepare(&example.typed);
        stage.run(&example);
    }
}

#[test]
fn the_examples_of_dladm_8_and_overlay_7_work_in_their_order() {
    for name in ["dladm", "overlay"] {
        let stage = Stage::new(Host::started());
        let examples = overlay_manual::of_page(&page(name));
        assert!(examples.len() > 5, "{name} has examples");
        examples.iter().for_each(|example| drop(stage.run(example)));
    }
}

#[test]
fn the_examples_of_overlay_files_5_work_with_the_files_shown() {
    let stage = Stage::new(Host::started());
    let page = page("overlay_files");
    let (examples, files) = (overlay_manual::of_page(&page), overlay_manual::files(&page));
    let [first, second] = &files[..] else { panic!("{files:?}") };
    let put = |text: &str| {
        let (path, fresh) = (stage.host.scratch().join("red.json"), stage.host.scratch().join("fresh"));
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path)).expect("a file of the host's own");
    };
    put(first);
    let (last, before) = examples.split_last().expect("examples");
    before.iter().for_each(|example| drop(stage.run(example)));
    put(second);
    assert!(stage.run(last).contains("ONLINE"));
    stage.host.await_online("red0");
}

#[test]
fn the_examples_of_overlayd_8_and_varpd_8_start_daemons_and_check_a_plugin() {
    for daemon in [Daemon::Overlayd, Daemon::Varpd] {
        let stage = Stage::new(Host::new());
        install_plugin(stage.host.scratch());
        for example in overlay_manual::of_page(&page(daemon.program())) {
            if example.typed.contains("--check-plugin") {
                // What the plugin itself writes when its output is closed is logged.
                let checks = stage.outcome(&stage.moved(&example.typed)).ok();
                assert!(checks.contains("ok  ") && !checks.contains("FAILED"), "{checks}");
            } else {
                answers_and_ends(&stage, daemon, &example);
            }
        }
    }
}

fn install_plugin(directory: &Path) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/overlay-plugin-example.py");
    let path = directory.join("example");
    fs::copy(example, &path).expect("a copy of the example");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(directory.join("table"), "2:8:20:0:0:1 192.0.2.20:4789 192.168.23.1\n").expect("a table");
}

/// Starts a daemon as it is typed, and ends it when it answers.
fn answers_and_ends(stage: &Stage, daemon: Daemon, example: &Example) {
    let typed = format!("exec {}", stage.moved(&example.typed));
    let mut command = stage.host.net.command(&["sh", "-c", &typed]);
    let mut child = Started(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell"));
    wait_until(LONG, &format!("{} answers", example.typed), || {
        Client::connect(stage.host.paths(), daemon, "test").map_err(|error| error.to_string())
    });
    // `timeout`, which runs it, passes the signal on and has its status.
    kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM).expect("it runs");
    let status = wait_until(LONG, "an end after SIGTERM", || {
        child.0.try_wait().expect("a child").ok_or_else(|| "it runs".to_owned())
    });
    assert_eq!(status.code(), Some(0), "{}", example.typed);
}

/// A daemon that ends with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
            let _ = self.0.wait();
        }
    }
}
