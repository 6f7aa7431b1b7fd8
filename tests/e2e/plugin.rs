//! Search plugins that are programs of their own: the example in `contrib` between two hosts of ours.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use overlay_tests::{
    Daemon, Host, LONG, SHORT, Switch, VNETID, inner_link_local, inner_mac, inner_v4, inner_v6, underlay_v4,
    wait_until,
};

/// A directory that root alone can write to, as are those above it. It ends with this value.
struct PluginDirectory(PathBuf);

impl PluginDirectory {
    fn new(host: &Host) -> Self {
        let path = Path::new("/run").join(format!("overlay-plugins-{}", host.net.name()));
        fs::create_dir(&path).expect("a directory of the test's own");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    /// Puts the example there, under a name and with these permissions.
    fn install(&self, name: &str, mode: u32) -> PathBuf {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/overlay-plugin-example.py");
        let (path, fresh) = (self.0.join(name), self.0.join("fresh.part"));
        fs::copy(example, &fresh).expect("a copy of the example");
        fs::set_permissions(&fresh, Permissions::from_mode(mode)).expect("it is ours");
        fs::rename(&fresh, &path).expect("renamed");
        path
    }

    fn arguments(&self) -> Vec<String> {
        vec!["-i".to_owned(), self.0.display().to_string()]
    }
}

impl Drop for PluginDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The two ends with the example as their search plugin, and one table for both.
struct Pair {
    hosts: [Host; 2],
    plugins: PluginDirectory,
    table: PathBuf,
    _underlay: Switch,
}

/// The example's table of ends 1 and 2.
fn table() -> String {
    let line = |end| {
        let addresses = format!("{} {} {}", inner_v4(end), inner_v6(end), inner_link_local(end));
        format!("{} {}:4789 {addresses}\n", inner_mac(end), underlay_v4(end))
    };
    (1..=2).map(line).collect()
}

impl Pair {
    #[track_caller]
    fn new(prepare: impl Fn(&Host)) -> Self {
        let mut hosts = [Host::new(), Host::new()];
        let plugins = PluginDirectory::new(&hosts[0]);
        plugins.install("example", 0o755);
        let path = hosts[0].scratch().join("table");
        fs::write(&path, table()).expect("written");
        for host in &mut hosts {
            prepare(host);
            host.varpd_arguments = plugins.arguments();
            host.start();
        }
        let underlay = Switch::join(&[&hosts[0].net, &hosts[1].net], 1500);
        let pair = Self { hosts, plugins, table: path, _underlay: underlay };
        (1..).zip(&pair.hosts).for_each(|(end, host)| pair.furnish(host, end));
        pair
    }

    fn furnish(&self, host: &Host, end: u8) {
        let property = format!("example/table={}", self.table.display());
        host.create_searched("demo0", VNETID, underlay_v4(end), "example", &["-p", &property]);
        host.create_vnic("foo0", "demo0", &["-m", &inner_mac(end).to_string()]);
        host.net.address("foo0", end);
    }

    /// Waits until each has been asked for and found; on a busy machine the plugin's program takes its time to start.
    #[track_caller]
    fn await_contact(&self) {
        wait_until(LONG, "each host reaches the other", || match &self.silent()[..] {
            [] => Ok(()),
            silent => Err(format!("no answer from {silent:?}")),
        });
    }

    #[track_caller]
    fn each_reaches_the_other(&self) {
        assert_eq!(self.silent(), [] as [IpAddr; 0], "these do not answer");
    }

    /// Whom the other host's ping does not reach within a second.
    fn silent(&self) -> Vec<IpAddr> {
        let ends = |end| [IpAddr::from(inner_v4(end)), IpAddr::from(inner_v6(end))];
        let ways = self.hosts.iter().zip([2, 1]).flat_map(|(host, end)| ends(end).map(|at| (host, at)));
        ways.filter(|(host, at)| !host.net.ping(at, 56, false)).map(|(_, at)| at).collect()
    }

    #[track_caller]
    fn check_counters(&self) {
        self.hosts.iter().for_each(Host::check_counters);
    }
}

/// The one process that a host's varpd has started.
#[track_caller]
fn program_of(host: &Host) -> i32 {
    let varpd = host.running(Daemon::Varpd).pid();
    wait_until(LONG, "varpd has started a program", || {
        let children = fs::read_to_string(format!("/proc/{varpd}/task/{varpd}/children")).unwrap_or_default();
        children.trim().parse().map_err(|_| format!("children: {children}"))
    })
}

fn kill9(program: i32) {
    kill(Pid::from_raw(program), Signal::SIGKILL).expect("it runs");
}

#[test]
fn a_program_serves_as_search_plugin_and_is_shown_like_any_other() {
    let pair = Pair::new(|_| {});
    let host = &pair.hosts[0];
    let listed = host.dladm_ok(&["show-search", "-p", "-o", "plugin,property,req", "example"]);
    assert_eq!(listed.trim(), "example:example/table:y");
    let shown = host.dladm_ok(&["show-overlay", "-p", "-o", "property,value", "demo0"]);
    let value = format!("example/table:{}\n", pair.table.display());
    assert!(shown.contains("search:example\n") && shown.contains(&value), "{shown}");
    pair.await_contact();
    let row = host.target("demo0", inner_mac(2)).map(|(row, _)| row);
    assert_eq!(row.as_deref(), Some("10.0.0.2:4789 known lookup"));

    // What it complains of is shown; what it knew before serves on.
    fs::write(&pair.table, "2:8:20:0:0:2 nowhere\n").expect("written");
    host.running(Daemon::Varpd).hang_up();
    host.await_degraded("demo0", &pair.table.display().to_string());
    pair.each_reaches_the_other();
    fs::write(&pair.table, table()).expect("written");
    host.running(Daemon::Varpd).hang_up();
    host.await_online("demo0");
    pair.check_counters();
}

#[test]
fn a_program_that_is_killed_harms_no_cached_traffic_and_comes_back() {
    let pair = Pair::new(|_| {});
    let host = &pair.hosts[0];
    pair.await_contact();
    let first = program_of(host);
    kill9(first);
    wait_until(LONG, "another one runs", || {
        let second = program_of(host);
        if second == first { Err("the first".to_owned()) } else { Ok(second) }
    });
    host.await_online("demo0");
    let log = host.running(Daemon::Varpd).log();
    assert!(log.contains("search plugin example: it was ended by SIGKILL"), "{log}");

    // It cannot come back while its file is away.
    fs::remove_file(pair.plugins.0.join("example")).expect("it was there");
    kill9(program_of(host));
    let reason = host.await_degraded("demo0", "search plugin example: ");
    (0..3).for_each(|_| pair.each_reaches_the_other());
    host.await_degraded("demo0", "search plugin example: ");
    pair.plugins.install("example", 0o755);
    host.running(Daemon::Varpd).hang_up();
    wait_until(LONG, &format!("it is well again after '{reason}'"), || {
        let status = host.status("demo0");
        if status == "ONLINE:-" { Ok(()) } else { Err(status) }
    });
    host.dladm_ok(&["modify-overlay", "-f", "demo0"]);
    pair.each_reaches_the_other();
    pair.check_counters();
}

#[test]
fn a_program_that_others_can_write_to_is_refused() {
    let mut host = Host::new();
    let plugins = PluginDirectory::new(&host);
    let loose = plugins.install("loose", 0o757);
    plugins.install("example", 0o755);
    host.varpd_arguments = plugins.arguments();
    host.start();
    let shown = host.dladm_ok(&["show-search", "-p", "-o", "plugin,property"]);
    assert!(shown.contains("example:example/table\n") && !shown.contains("loose"), "{shown}");
    let log = host.running(Daemon::Varpd).log();
    let reason =
        "can be written to by others than root (keep plugins where only root can write, or 'chmod go-w' it)";
    let line = format!("{} is no search plugin: {} {reason}", loose.display(), loose.display());
    assert!(log.contains(&line), "{log}");
    let refusal = host.create_searched_refused("demo0", "127.0.0.1", "loose", &["-p", "loose/table=/t"]);
    assert!(refusal.contains("loose"), "{refusal}");
    assert!(host.overlays().is_empty());
}

/// The real, effective, saved and file system user of a process.
fn users(pid: u32) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that runs");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("users");
    line.split_whitespace().map(|user| user.parse().expect("a number")).collect()
}

#[test]
fn varpd_and_its_programs_are_not_root() {
    const NETADM: u32 = 61_016;
    let mut pair = Pair::new(|host| host.add_user("netadm", NETADM));
    pair.await_contact();
    let host = &mut pair.hosts[0];
    for pid in [host.running(Daemon::Varpd).pid(), program_of(host).unsigned_abs()] {
        assert_eq!(users(pid), [NETADM; 4]);
    }
    // What it has stored it can read again, and remove.
    host.kill9(Daemon::Varpd);
    host.start_varpd();
    host.await_online("demo0");
    pair.each_reaches_the_other();
    let host = &pair.hosts[0];
    host.dladm_ok(&["delete-vnic", "foo0"]);
    host.dladm_ok(&["delete-overlay", "demo0"]);
    wait_until(SHORT, "its program has ended", || {
        let varpd = host.running(Daemon::Varpd).pid();
        let children = fs::read_to_string(format!("/proc/{varpd}/task/{varpd}/children")).unwrap_or_default();
        if children.trim().is_empty() { Ok(()) } else { Err(children) }
    });
}
