//! overlayd is killed before every system call by which a change becomes lasting: after the next start each link is
//! as it was before or as it is to be, nothing else is left, and devices and records agree.

use std::fs;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use overlay_core::control::ClientError;
use overlay_core::property::Assignment;
use overlay_core::protocol::{InstanceState, LinkClass, LinkInfo, MacChoice, Request, Response};
use overlay_core::types::{LinkName, MacAddr};
use overlay_tests::{Daemon, Host, LONG, Namespace, Underlay, program, underlay_v4, wait_until};

/// The calls that change files and devices, whichever of their kind the machine has (strace(1), "syscall_set").
const CALLS: [&str; 6] = ["write", "fsync", "/^rename", "/^unlink", "ioctl", "sendto"];

/// Those that each change of something stored makes, by [`CALLS`]' numbers: a file is written, synced and renamed.
const STORING: [usize; 3] = [0, 1, 2];

/// More calls of one kind than any request makes; a test that gets there is wrong.
const CALLS_MAX: usize = 100;

/// What must not be in any record that a start has gone over.
const UNFINISHED: [&str; 4] = ["renamed_from", "resizing", "\"deleting\": true", "\"ending\""];

/// Kills a process when one of its threads is about to make a call, the nth from now on.
struct Trap(Child);

impl Trap {
    fn set(pid: u32, call: &str, nth: usize) -> Self {
        let inject = format!("inject={call}:signal=KILL:when={nth}");
        let (pid_text, trace) = (pid.to_string(), format!("trace={call}"));
        let words = ["-f", "-qq", "-o", "/dev/null", "-p", &pid_text, "-e", &trace, "-e", &inject];
        let child = Command::new("strace").args(words).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let trap = Self(child.expect("strace is there (tests/needs.sh)"));
        wait_until(LONG, "strace watches every thread", || {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
            let watched = |status: &str| {
                status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            };
            let free = tasks.flatten().find(|task| {
                !fs::read_to_string(task.path().join("status")).is_ok_and(|status| watched(&status))
            });
            free.map_or(Ok(()), |task| Err(format!("{:?} is not watched", task.path())))
        });
        trap
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        // Whatever it watches is let go.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn name(text: &str) -> LinkName {
    text.parse().expect("a link name")
}

/// A host with `demo0` and `foo0`, and the empty overlay `spare0`.
struct Stand {
    host: Host,
    _peer: Namespace,
    _underlay: Underlay,
}

impl Stand {
    fn new() -> Self {
        assert!(program("overlayd").exists());
        let (host, peer) = (Host::started(), Namespace::new());
        let underlay = Underlay::join(&host.net, &peer, 1500);
        host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
        host.create_overlay("spare0", 24, underlay_v4(1), underlay_v4(2), &[]);
        host.create_vnic("foo0", "demo0", &["-m", "2:8:20:0:0:1"]);
        Self { host, _peer: peer, _underlay: underlay }
    }

    /// All that is there and stored, as text; an error where two of them do not agree.
    fn state(&self) -> Result<String, String> {
        let ask = |request| self.host.try_ask(Daemon::Overlayd, request).map_err(|error| error.to_string());
        let Response::Links(links) = ask(Request::Links)? else { return Err("no links".to_owned()) };
        let Response::StoredLinks(stored) = ask(Request::StoredLinks)? else {
            return Err("none stored".to_owned());
        };
        let Response::LinkProperties(properties) = ask(Request::LinkProperties)? else {
            return Err("no properties".to_owned());
        };
        self.devices_agree(&links)?;
        let mut files = Vec::new();
        for path in self
            .host
            .record_files()
            .into_iter()
            .filter(|path| path.components().any(|one| one.as_os_str() == "overlayd"))
        {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            if let Some(mark) = UNFINISHED.iter().find(|mark| text.contains(**mark)) {
                return Err(format!("{file} has {mark}: {text}"));
            }
            files.push(file);
        }
        let links: Vec<_> = links.iter().map(|one| (&one.name, one.class, one.mtu, one.state)).collect();
        let stored: Vec<_> = stored.iter().map(|one| (&one.name, one.active)).collect();
        let properties: Vec<_> =
            properties.iter().map(|one| (&one.link, &one.spec.name, &one.value, &one.stored)).collect();
        Ok(format!("{links:?}\n{stored:?}\n{properties:?}\n{files:?}"))
    }

    /// Each VNIC has its device, with its MTU, and there is no other.
    fn devices_agree(&self, links: &[LinkInfo]) -> Result<(), String> {
        let vnics = links.iter().filter(|one| one.class == LinkClass::Vnic);
        let mut vnics: Vec<_> = vnics.map(|one| (one.name.to_string(), u64::from(one.mtu))).collect();
        let text = self.host.net.ip(&["-j", "link", "show"]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let ours = all
            .iter()
            .filter(|one| one["ifalias"].as_str().is_some_and(|alias| alias.starts_with("overlay vnic")));
        let mut devices: Vec<_> = ours
            .map(|one| {
                (one["ifname"].as_str().unwrap_or_default().to_owned(), one["mtu"].as_u64().unwrap_or(0))
            })
            .collect();
        vnics.sort();
        devices.sort();
        let stray = all
            .iter()
            .filter(|one| {
                one["ifname"].as_str().is_some_and(|name| name.contains("bar") || name.contains("foo"))
            })
            .count();
        if vnics == devices && stray == devices.len() {
            Ok(())
        } else {
            Err(format!("VNICs {vnics:?}, devices {devices:?}, {stray} in all"))
        }
    }

    #[track_caller]
    fn settled(&self) -> String {
        wait_until(LONG, "the host comes to rest", || {
            let state = self.state()?;
            if state.contains("-deleted") { Err(state) } else { Ok(state) }
        })
    }

    /// Waits until varpd has said all that it says to a new overlayd: the trap is for what is asked here.
    #[track_caller]
    fn await_quiet(&self) {
        wait_until(LONG, "varpd has associated its instances", || {
            let instances = self.host.instances();
            let quiet = instances.iter().all(|one| one.state == InstanceState::Associated);
            if quiet { Ok(()) } else { Err(format!("{instances:?}")) }
        });
    }

    /// Kills overlayd before each call of `forward`, until that is answered; `back` undoes it where it is done all the same.
    #[track_caller]
    fn kill_at_every_write(&mut self, case: &str, forward: &Request, back: &Request) -> usize {
        let before = self.settled();
        self.host.ask(Daemon::Overlayd, forward.clone());
        let after = self.settled();
        assert_ne!(before, after, "{case}");
        self.host.ask(Daemon::Overlayd, back.clone());
        assert_eq!(self.settled(), before, "{case}: it is undone");
        let kills = CALLS.map(|call| self.kill_at_every(case, call, [forward, back], [&before, &after]));
        self.host.ask(Daemon::Overlayd, forward.clone());
        assert_eq!(self.settled(), after, "{case}");
        for number in STORING {
            assert!(kills[number] > 0, "{case}: it was never killed before {}", CALLS[number]);
        }
        kills.into_iter().sum()
    }

    /// The same for one kind of call; says how often it was killed.
    #[track_caller]
    fn kill_at_every(&mut self, case: &str, call: &str, ways: [&Request; 2], states: [&String; 2]) -> usize {
        let ([forward, back], [before, after]) = (ways, states);
        for nth in 1..CALLS_MAX {
            let case = format!("{case}, killed before {call} {nth}");
            self.await_quiet();
            let trap = Trap::set(self.host.running(Daemon::Overlayd).pid(), call, nth);
            let answer = self.host.try_ask(Daemon::Overlayd, forward.clone());
            if let Err(ClientError::Refused(error)) = &answer {
                panic!("{case}: {error:?}");
            }
            drop(trap);
            // It may be killed in what it tells varpd once it has answered.
            let alive = answer.is_ok() && self.host.try_ask(Daemon::Overlayd, Request::Links).is_ok();
            if !alive {
                self.host.kill9(Daemon::Overlayd);
                self.host.start_overlayd();
            }
            let now = wait_until(LONG, &format!("{case}: all or nothing is left"), || {
                let state = self.state()?;
                let whole = state == *before || state == *after;
                if whole { Ok(state) } else { Err(format!("{state}\nbefore: {before}\nafter: {after}")) }
            });
            if now == *after {
                self.host.ask(Daemon::Overlayd, back.clone());
                assert_eq!(self.settled(), *before, "{case}");
            }
            if alive {
                return nth - 1;
            }
        }
        panic!("{case}: it makes more than {CALLS_MAX} calls of {call}");
    }

    /// Both ways.
    #[track_caller]
    fn there_and_back(&mut self, case: &str, forward: &Request, back: &Request) {
        let there = self.kill_at_every_write(case, forward, back);
        let back = self.kill_at_every_write(&format!("{case}, back"), back, forward);
        let said = writeln!(io::stderr(), "{case}: killed {there} times, and {back} times on the way back");
        said.expect("a standard error");
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.host.forget();
    }
}

fn create_vnic() -> Request {
    Request::CreateVnic {
        name: name("bar0"),
        over: name("demo0"),
        mac: MacChoice::Fixed(MacAddr([2, 8, 0x20, 0, 0, 2])),
        vid: None,
        properties: vec![Assignment::new("priority", "low")],
        temporary: false,
    }
}

fn create_overlay() -> Request {
    Request::CreateOverlay {
        name: name("new0"),
        encap: "vxlan".to_owned(),
        vnetid: 25.try_into().expect("a vnetid"),
        search: "direct".to_owned(),
        properties: vec![Assignment::new("vxlan/listen_ip", "10.0.0.1")],
        temporary: false,
    }
}

fn delete_vnic(link: &str, keep_stored: bool) -> Request {
    Request::DeleteVnic { name: name(link), keep_stored }
}

fn delete_overlay(link: &str, keep_stored: bool) -> Request {
    Request::DeleteOverlay { name: name(link), keep_stored }
}

fn up(link: &str) -> Request {
    Request::UpOverlays { name: Some(name(link)) }
}

fn rename(link: &str, to: &str) -> Request {
    Request::RenameLink { name: name(link), to: name(to) }
}

fn set(link: &str, given: &[(&str, &str)], temporary: bool) -> Request {
    let properties = given.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
    Request::SetLinkProperties { name: name(link), properties, temporary }
}

fn reset(link: &str, names: &[&str], temporary: bool) -> Request {
    let properties = names.iter().map(|name| (*name).to_owned()).collect();
    Request::ResetLinkProperties { name: name(link), properties, temporary }
}

fn modify(mtu: &str) -> Request {
    let properties = vec![Assignment::new("mtu", mtu), Assignment::new("target/ageing", mtu)];
    Request::SetOverlayProperties { overlay: name("demo0"), properties }
}

#[test]
fn a_vnic_is_made_and_deleted_wholly_or_not_at_all() {
    let mut stand = Stand::new();
    stand.there_and_back("create-vnic", &create_vnic(), &delete_vnic("bar0", false));
}

#[test]
fn an_overlay_is_made_and_deleted_wholly_or_not_at_all() {
    let mut stand = Stand::new();
    stand.there_and_back("create-overlay", &create_overlay(), &delete_overlay("new0", false));
}

#[test]
fn links_are_put_away_and_brought_up_wholly_or_not_at_all() {
    let mut stand = Stand::new();
    stand.there_and_back("delete-vnic -t", &delete_vnic("foo0", true), &up("demo0"));
    stand.there_and_back("delete-overlay -t", &delete_overlay("spare0", true), &up("spare0"));
}

#[test]
fn link_properties_are_set_and_reset_all_of_them_or_none() {
    let mut stand = Stand::new();
    let given = [("priority", "low"), ("mtu", "1300")];
    for temporary in [false, true] {
        let case = format!("set-linkprop, temporary {temporary}");
        let back = reset("foo0", &["priority", "mtu"], temporary);
        stand.there_and_back(&case, &set("foo0", &given, temporary), &back);
    }
}

#[test]
fn an_overlays_mtu_changes_with_its_vnics_or_not_at_all() {
    let mut stand = Stand::new();
    stand.host.ask(Daemon::Overlayd, modify("1400"));
    stand.there_and_back("modify-overlay -p mtu", &modify("1300"), &modify("1400"));
}

#[test]
fn a_link_has_one_name_or_the_other() {
    let mut stand = Stand::new();
    stand.there_and_back("rename-link of a VNIC", &rename("foo0", "bar0"), &rename("bar0", "foo0"));
    stand.there_and_back("rename-link of an overlay", &rename("demo0", "net0"), &rename("net0", "demo0"));
}
