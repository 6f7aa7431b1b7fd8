//! Daemons that are killed at every step of what dladm does in steps: the overlay can be finished or deleted, nothing
//! is left of it, and an overlay beside it carries on.

use std::fs;
use std::path::PathBuf;

use overlay_core::control::ClientError;
use overlay_core::property::Assignment;
use overlay_core::protocol::{ErrorCode, FixedTarget, InstanceState, Request, TargetOrigin};
use overlay_tests::{
    Creation, Daemon, Host, KernelPeer, LONG, Plan, SHORT, Scene, Step, Transfer, inner_v4, underlay_v4,
    wait_until,
};

/// What is killed.
const VICTIMS: [&[Daemon]; 3] = [&[Daemon::Overlayd], &[Daemon::Varpd], &[Daemon::Varpd, Daemon::Overlayd]];

/// Whether the answer to the last step is waited for before the kill, or only the request sent.
const MANNERS: [bool; 2] = [true, false];

/// What becomes of the overlay after the crash.
#[derive(Debug, Clone, Copy)]
enum End {
    Finished,
    Deleted,
}

/// What the overlay beside carries after each crash.
const A_BIT: u64 = 100_000;

/// A host with an overlay that carries a stream, beside one that is made and killed.
struct Stand {
    scene: Scene<KernelPeer>,
    transfer: Transfer,
    config: PathBuf,
    before: Traces,
}

/// What an overlay could leave behind.
#[derive(Debug, PartialEq)]
struct Traces {
    records: Vec<PathBuf>,
    links: Vec<u32>,
    devices: Vec<(u64, String)>,
}

impl Traces {
    fn of(host: &Host) -> Self {
        let links = host.instances().iter().map(|one| one.link.0.get()).collect();
        Self { records: host.record_files(), links, devices: host.net.devices() }
    }
}

impl Stand {
    fn new() -> Self {
        let scene = Scene::kernel(Plan::default());
        let transfer = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
        let config = scene.host.paths().state.join("table.json");
        fs::write(&config, "{\"2:8:20:0:0:9\": {\"ip\": \"10.0.0.2\", \"port\": 4789}}").expect("written");
        let before = Traces::of(&scene.host);
        Self { scene, transfer, config, before }
    }

    fn creation(&self, plugin: &'static str) -> Creation {
        let search = match plugin {
            "direct" => {
                vec![
                    Assignment::new("direct/dest_ip", "10.0.0.2"),
                    Assignment::new("direct/dest_port", "4789"),
                ]
            }
            _ => vec![Assignment::new("files/config", self.config.display().to_string())],
        };
        let driver = vec![Assignment::new("vxlan/listen_ip", underlay_v4(1).to_string())];
        Creation { name: "new0", vnetid: 24, plugin, driver, search }
    }

    /// Kills daemons and starts them again.
    #[track_caller]
    fn crash(&mut self, victims: &[Daemon]) {
        victims.iter().for_each(|victim| self.scene.host.kill9(*victim));
        victims.iter().for_each(|victim| self.scene.host.start_one(*victim));
    }

    /// Checks that nothing is left of the overlay, and that the one beside works.
    #[track_caller]
    fn unharmed(&self, case: &str) {
        let host = &self.scene.host;
        wait_until(LONG, &format!("{case}: nothing is left"), || {
            let left = Traces::of(host);
            if left == self.before { Ok(()) } else { Err(format!("{left:?}")) }
        });
        wait_until(LONG, &format!("{case}: the overlay beside is online"), || online(host, "demo0"));
        self.transfer.wait_for_more(LONG, A_BIT);
    }

    #[track_caller]
    fn finish(self) {
        self.transfer.finish();
        self.scene.host.check_counters();
    }
}

fn online(host: &Host, name: &str) -> Result<(), String> {
    match host.trouble(name) {
        Some(why) if why.is_empty() => Ok(()),
        other => Err(format!("{name}: {other:?}")),
    }
}

/// Takes a step; one that was taken before the crash already may be refused for that.
#[track_caller]
fn take(host: &Host, creation: &Creation, step: Step) {
    wait_until(LONG, &format!("{step:?} is taken"), || {
        let request = creation.request(host, step).ok_or("what it builds on is not there")?;
        match host.try_ask(step.daemon(), request) {
            Ok(_) => Ok(()),
            Err(ClientError::Refused(error)) if error.code == ErrorCode::Exists => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    });
}

/// Goes through the creation up to a step, which is not waited for unless `answered`.
fn go_to(host: &Host, creation: &Creation, last: usize, answered: bool) {
    for (number, step) in Step::ALL.into_iter().enumerate().take(last + 1) {
        if number < last || answered {
            take(host, creation, step);
        } else if let Some(request) = creation.request(host, step) {
            drop(host.launch(step.daemon(), request));
        }
    }
}

/// Whether the words that an overlay is shown with say what it is.
#[track_caller]
fn explained(host: &Host, case: &str) {
    let rows = host.dladm_ok(&["show-overlay", "-f", "-p", "-o", "link,status,details"]);
    let row = rows.lines().find(|row| row.starts_with("new0:")).unwrap_or("new0:ONLINE:");
    let known = ["new0:ONLINE:", "new0:DEGRADED:not activated", "new0:DEGRADED:varpd has"];
    assert!(known.iter().any(|begin| row.starts_with(begin)), "{case}: {row}");
}

#[track_caller]
fn end(stand: &Stand, creation: &Creation, end: End) {
    let host = &stand.scene.host;
    if matches!(end, End::Finished) {
        Step::ALL.into_iter().for_each(|step| take(host, creation, step));
        wait_until(LONG, "the finished overlay is online", || online(host, creation.name));
        host.create_vnic("bar0", creation.name, &[]);
        host.dladm_ok(&["delete-vnic", "bar0"]);
    }
    if host.overlay(creation.name).is_some() {
        host.dladm_ok(&["delete-overlay", creation.name]);
    }
}

/// `ends` are taken in turn; between the two plugins each case comes to both.
fn creation_is_killed_at_every_step(plugin: &'static str, ends: [End; 2]) {
    let mut stand = Stand::new();
    let creation = stand.creation(plugin);
    let mut fates = ends.into_iter().cycle();
    for last in 0..Step::ALL.len() {
        for (victims, answered) in cases() {
            let fate = fates.next().expect("they go round");
            let case = format!("{plugin}, {:?}, {victims:?}, answered {answered}, {fate:?}", Step::ALL[last]);
            go_to(&stand.scene.host, &creation, last, answered);
            stand.crash(victims);
            explained(&stand.scene.host, &case);
            end(&stand, &creation, fate);
            stand.unharmed(&case);
        }
    }
    stand.finish();
}

/// Each set of victims in each manner.
fn cases() -> impl Iterator<Item = (&'static [Daemon], bool)> {
    VICTIMS.into_iter().flat_map(|victims| MANNERS.map(|answered| (victims, answered)))
}

#[test]
fn a_creation_with_direct_that_is_killed_at_any_step_can_be_finished_or_deleted() {
    creation_is_killed_at_every_step("direct", [End::Finished, End::Deleted]);
}

#[test]
fn a_creation_with_files_that_is_killed_at_any_step_can_be_finished_or_deleted() {
    creation_is_killed_at_every_step("files", [End::Deleted, End::Finished]);
}

#[test]
fn a_deletion_that_is_killed_at_any_step_leaves_nothing() {
    let mut stand = Stand::new();
    let creation = stand.creation("direct");
    let name: overlay_core::types::LinkName = "new0".parse().expect("a name");
    for last in 0..2 {
        for (victims, answered) in VICTIMS.into_iter().flat_map(|one| MANNERS.map(|answered| (one, answered)))
        {
            let case = format!("deletion step {last}, {victims:?}, answered {answered}");
            go_to(&stand.scene.host, &creation, Step::ALL.len() - 1, true);
            let link = stand.scene.host.overlay("new0").expect("it is there").id;
            let steps = [
                (Daemon::Overlayd, Request::DeleteOverlay { name: name.clone(), keep_stored: false }),
                (Daemon::Varpd, Request::DestroyInstance { link }),
            ];
            for (number, (daemon, request)) in steps.into_iter().enumerate().take(last + 1) {
                if number < last || answered {
                    // varpd ends the instance by itself when it hears of the deletion first.
                    let _ = stand.scene.host.try_ask(daemon, request);
                } else {
                    drop(stand.scene.host.launch(daemon, request));
                }
            }
            stand.crash(victims);
            explained(&stand.scene.host, &case);
            if stand.scene.host.overlay("new0").is_some() {
                stand.scene.host.dladm_ok(&["delete-overlay", "new0"]);
            }
            stand.unharmed(&case);
        }
    }
    stand.finish();
}

#[test]
fn a_vnic_that_is_made_or_deleted_at_the_moment_of_a_crash_is_there_wholly_or_not_at_all() {
    let mut stand = Stand::new();
    let create = || Request::CreateVnic {
        name: "bar0".parse().expect("a name"),
        over: "demo0".parse().expect("a name"),
        mac: overlay_core::protocol::MacChoice::Random { prefix: None },
        vid: None,
        properties: Vec::new(),
        temporary: false,
    };
    let delete = || Request::DeleteVnic { name: "bar0".parse().expect("a name"), keep_stored: false };
    for round in 0..8 {
        let case = format!("round {round}");
        if round % 2 == 1 {
            stand.scene.host.create_vnic("bar0", "demo0", &[]);
        }
        let request = if round % 2 == 1 { delete() } else { create() };
        drop(stand.scene.host.launch(Daemon::Overlayd, request));
        stand.crash(&[Daemon::Overlayd]);
        let shown = stand.scene.host.dladm_ok(&["show-vnic", "-p", "-o", "link"]);
        let device = stand.scene.host.net.devices().iter().any(|(_, name)| name == "bar0");
        assert_eq!(shown.lines().any(|name| name == "bar0"), device, "{case}: {shown}");
        if device {
            stand.scene.host.dladm_ok(&["delete-vnic", "bar0"]);
        }
        stand.unharmed(&case);
    }
    stand.finish();
}

#[test]
fn a_property_that_was_set_is_there_after_a_crash() {
    let mut stand = Stand::new();
    let creation = stand.creation("direct");
    go_to(&stand.scene.host, &creation, Step::ALL.len() - 1, true);
    let link = stand.scene.host.overlay("new0").expect("it is there").id;
    let port = |host: &Host| {
        let instance = host.instance_of(link).expect("its instance");
        let property = instance.properties.into_iter().find(|one| one.spec.name == "direct/dest_port");
        property.and_then(|one| one.value).expect("a port")
    };
    for (round, victims) in VICTIMS.into_iter().cycle().take(12).enumerate() {
        let (old, new) = (port(&stand.scene.host), (5000 + round).to_string());
        let properties = vec![Assignment::new("direct/dest_port", new.clone())];
        let request = Request::SetInstanceProperties { link, properties };
        let answered = round % 2 == 0;
        if answered {
            stand.scene.host.ask(Daemon::Varpd, request);
        } else {
            drop(stand.scene.host.launch(Daemon::Varpd, request));
        }
        stand.crash(victims);
        let host = &stand.scene.host;
        wait_until(LONG, "varpd and overlayd say the same", || {
            let (found, shown) =
                (port(host), host.dladm_ok(&["show-overlay", "-t", "-p", "-o", "destination", "new0"]));
            let right = found == new || (!answered && found == old);
            let same = shown.trim().replace('\\', "").ends_with(&format!(":{found}"));
            let state = host.instance_of(link).map(|one| one.state);
            let there = right && same && state == Some(InstanceState::Associated);
            if there { Ok(()) } else { Err(format!("{old} -> {new}: {found}, {shown}, {state:?}")) }
        });
    }
    stand.scene.host.dladm_ok(&["delete-overlay", "new0"]);
    stand.unharmed("properties");
    stand.finish();
}

#[test]
fn a_target_that_was_set_by_hand_is_there_after_a_crash() {
    let mut stand = Stand::new();
    let creation = stand.creation("files");
    go_to(&stand.scene.host, &creation, Step::ALL.len() - 1, true);
    for round in 0..6u8 {
        let mac = overlay_core::types::MacAddr([2, 8, 0x20, 1, 0, round]);
        let target = FixedTarget::Ends(vec!["10.0.0.2:4789".parse().expect("an address")]);
        let request = Request::SetTarget { overlay: "new0".parse().expect("a name"), mac, target };
        let answered = round % 2 == 0;
        if answered {
            stand.scene.host.ask(Daemon::Overlayd, request);
        } else {
            drop(stand.scene.host.launch(Daemon::Overlayd, request));
        }
        stand.crash(VICTIMS[usize::from(round) % VICTIMS.len()]);
        let manual = targets(&stand.scene.host, "new0");
        assert!(manual.contains(&mac) || !answered, "{mac} is not among {manual:?}");
    }
    stand.scene.host.dladm_ok(&["delete-overlay", "new0"]);
    stand.unharmed("targets");
    stand.finish();
}

/// The addresses that were set by hand.
fn targets(host: &Host, overlay: &str) -> Vec<overlay_core::types::MacAddr> {
    let all = wait_until(SHORT, "the target table is shown", || {
        host.all_targets(overlay).map_err(|error| error.to_string())
    });
    all.into_iter().filter(|one| one.origin == TargetOrigin::Manual).filter_map(|one| one.mac).collect()
}
