//! A state directory that is full, or that nobody may write to: every change fails in one line and makes nothing, what
//! runs goes on, and all works again when there is room.

use std::fs;

use overlay_tests::{
    Daemon, Disk, Host, KernelPeer, LONG, Namespace, Outcome, Plan, Scene, Transfer, Underlay, inner_v4,
    underlay_v4, wait_until,
};

const A_BIT: u64 = 1_000_000;

/// How a disk fails.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Full,
    ReadOnly,
}

impl Failure {
    fn begin(self, disk: &Disk) {
        match self {
            Self::Full => disk.fill(),
            Self::ReadOnly => disk.protect(),
        }
    }

    fn end(self, disk: &Disk) {
        match self {
            Self::Full => disk.empty(),
            Self::ReadOnly => disk.release(),
        }
    }

    /// What the system says of it.
    const fn words(self) -> &'static str {
        match self {
            Self::Full => "No space left on device",
            Self::ReadOnly => "Read-only file system",
        }
    }
}

/// A host whose state is on a disk of its own: `demo0` carries a stream, `table0` has a target set by hand.
struct Stand {
    transfer: Transfer,
    // It ends before the host does.
    disk: Disk,
    scene: Scene<KernelPeer>,
}

impl Stand {
    fn new() -> Self {
        let (mut host, peer) = (Host::new(), KernelPeer::new());
        let disk = Disk::under(&host);
        host.start();
        // Started on a protected disk, the daemons have nothing open there for writing, which would keep it from being
        // protected under them.
        host.stop(Daemon::Varpd);
        host.stop(Daemon::Overlayd);
        disk.protect();
        host.start();
        disk.release();
        let plan = Plan::default();
        let underlay = Underlay::join(&host.net, &peer.net, plan.underlay_mtu);
        plan.furnish(&host, 1);
        peer.vxlan("vx0", overlay_tests::VNETID, underlay_v4(2).into(), underlay_v4(1).into(), plan.mtu);
        peer.net.address("vx0", 2);
        let config = disk.path().join("table.json");
        fs::write(&config, "{}").expect("written");
        let config = format!("files/config={}", config.display());
        host.create_searched("table0", 24, underlay_v4(1), "files", &["-p", &config]);
        host.dladm_ok(&["modify-overlay", "-s", "2:8:20:0:0:1=10.0.0.2:4789", "table0"]);
        host.create_overlay("other0", 25, underlay_v4(1), underlay_v4(2), &[]);
        let transfer = Transfer::start(&host.net, &peer.net, inner_v4(2));
        Self { transfer, disk, scene: Scene { host, peer, underlay } }
    }

    #[track_caller]
    fn carries(&self) {
        self.transfer.wait_for_more(LONG, A_BIT);
    }

    #[track_caller]
    fn online(&self) {
        wait_until(LONG, "every overlay is online", || {
            let rows = self.scene.host.dladm_ok(&["show-overlay", "-f", "-p", "-o", "link,status"]);
            if rows == "demo0:ONLINE\nother0:ONLINE\ntable0:ONLINE\n" { Ok(()) } else { Err(rows) }
        });
    }

    #[track_caller]
    fn finish(self) {
        self.transfer.finish();
        self.scene.host.check_counters();
    }
}

/// Every change that there is, as words of dladm.
fn changes() -> Vec<Vec<&'static str>> {
    let direct = "vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789";
    vec![
        vec!["create-overlay", "-e", "vxlan", "-s", "direct", "-v", "99", "-p", direct, "new0"],
        vec!["create-vnic", "-l", "demo0", "bar0"],
        vec!["delete-vnic", "foo0"],
        vec!["delete-overlay", "other0"],
        vec!["modify-overlay", "-p", "direct/dest_port=4790", "demo0"],
        vec!["modify-overlay", "-p", "target/ageing=99", "table0"],
        vec!["modify-overlay", "-s", "2:8:20:0:0:2=10.0.0.2:4789", "table0"],
        vec!["modify-overlay", "-s", "2:8:20:0:0:1=drop", "table0"],
        vec!["modify-overlay", "-d", "2:8:20:0:0:1", "table0"],
        vec!["modify-overlay", "-f", "table0"],
    ]
}

/// What is configured, but for what the data path makes of it by itself.
fn configured(host: &Host) -> String {
    let shown = [
        &["show-overlay"][..],
        &["show-vnic"],
        &["show-overlay", "-t", "-p", "-o", "link,target,destination"],
    ];
    let shown = shown.map(|words| host.dladm_ok(words));
    format!("{}\n{:?}\n{:?}\n{:?}", shown.concat(), host.net.devices(), host.record_files(), host.instances())
}

/// Each change is refused in one line with what the system says, and nothing has changed.
fn all_refused(stand: &Stand, failure: Failure) {
    let host = &stand.scene.host;
    let before = configured(host);
    let mut problems = Vec::new();
    for words in changes() {
        let outcome = host.dladm(&words);
        if outcome.succeeded() || !outcome.stderr.contains(failure.words()) {
            problems.push(format!("{outcome:?}"));
            continue;
        }
        outcome.refusal();
        let after = configured(host);
        if after != before {
            problems.push(format!("{words:?} changed something:\n{before}\n{after}"));
        }
    }
    assert!(problems.is_empty(), "{failure:?}:\n{}", problems.join("\n"));
}

/// All changes work, and nothing is left of them.
fn all_work(host: &Host) {
    for words in changes() {
        host.dladm_ok(&words);
    }
    assert_eq!(host.overlays(), ["demo0", "new0", "table0"]);
}

fn changes_fail_and_work_again(failure: Failure) {
    let stand = Stand::new();
    stand.carries();
    failure.begin(&stand.disk);
    all_refused(&stand, failure);
    stand.carries();
    stand.online();
    failure.end(&stand.disk);
    let Stand { transfer, disk, scene } = stand;
    transfer.finish();
    all_work(&scene.host);
    scene.host.check_counters();
    drop(disk);
}

#[test]
fn on_a_full_disk_every_change_fails_in_one_line_and_makes_nothing() {
    changes_fail_and_work_again(Failure::Full);
}

#[test]
fn in_a_read_only_directory_every_change_fails_in_one_line_and_makes_nothing() {
    changes_fail_and_work_again(Failure::ReadOnly);
}

#[test]
fn nothing_is_lost_by_a_crash_on_a_disk_that_takes_no_more() {
    for failure in [Failure::Full, Failure::ReadOnly] {
        let mut stand = Stand::new();
        failure.begin(&stand.disk);
        let before = configured(&stand.scene.host);
        stand.scene.host.kill9(Daemon::Varpd);
        stand.scene.host.kill9(Daemon::Overlayd);
        stand.scene.host.start();
        stand.online();
        stand.carries();
        assert_eq!(configured(&stand.scene.host), before, "{failure:?}");
        all_refused(&stand, failure);
        for daemon in [Daemon::Overlayd, Daemon::Varpd] {
            let log = stand.scene.host.daemon(daemon).log();
            let told = log.lines().any(|line| line.contains(failure.words()) && line.contains("state"));
            assert!(told, "{daemon:?} says at its start that it can store nothing:\n{log}");
        }
        failure.end(&stand.disk);
        stand.scene.host.dladm_ok(&["delete-overlay", "other0"]);
        stand.finish();
    }
}

#[test]
fn a_bad_record_that_cannot_be_set_aside_harms_nobody() {
    let mut stand = Stand::new();
    let host = &mut stand.scene.host;
    host.stop(Daemon::Overlayd);
    let file = host.paths().records(Daemon::Overlayd, false).join("other0.json");
    let content = fs::read(&file).expect("a record");
    fs::write(&file, "{").expect("written");
    stand.disk.protect();
    host.start_overlayd();
    let why = host.trouble("other0").expect("it is shown");
    assert!(why.contains("EOF while parsing") && why.contains("cannot be set aside: Read-only"), "{why}");
    assert!(host.dladm_refused(&["delete-overlay", "other0"]).contains("Read-only file system"));
    stand.carries();
    stand.disk.release();
    stand.scene.host.stop(Daemon::Overlayd);
    fs::write(&file, content).expect("written");
    stand.scene.host.start_overlayd();
    stand.online();
    stand.finish();
}

#[track_caller]
fn refused_start(net: &Namespace, daemon: Daemon) -> String {
    let Outcome { code, stderr, .. } = net.run(&[daemon.program()]);
    let last = stderr.lines().last().unwrap_or_default().to_owned();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(last.starts_with(daemon.program()), "{stderr}");
    last
}

#[test]
fn a_daemon_that_cannot_make_its_directory_says_so() {
    let host = Host::new();
    let disk = Disk::under(&host);
    disk.protect();
    for daemon in [Daemon::Overlayd, Daemon::Varpd] {
        let line = refused_start(&host.net, daemon);
        let directory = host.paths().records(daemon, false).display().to_string();
        assert!(line.contains(&directory) && line.contains("Read-only file system"), "{line}");
    }
    drop(disk);
}
