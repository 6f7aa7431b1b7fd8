//! varpd without root's rights: it becomes the user netadm where there is one, and does all its work as that.

use std::fs;
use std::os::unix::fs::MetadataExt;

use overlay_tests::{Daemon, Disk, Host, LONG, Running, SHORT, wait_until};

/// The number of the user and group that the tests call `netadm`.
const NETADM: u32 = 54322;

/// What proc_pid_status(5) says of a process under a name.
fn status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that runs");
    let field = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    field.expect("a field of every process").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn is_netadm(varpd: &Running) {
    let (pid, four) = (varpd.pid(), [NETADM; 4].map(|id| id.to_string()).join(" "));
    assert_eq!(
        (status(pid, "Uid"), status(pid, "Gid"), status(pid, "Groups")),
        (four.clone(), four, String::new())
    );
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert!(status(pid, set).bytes().all(|digit| digit == b'0'), "{set} of varpd: {}", status(pid, set));
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1");
}

fn warnings(varpd: &Running) -> Vec<String> {
    varpd
        .log()
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .map(str::to_owned)
        .collect()
}

/// Makes an overlay with `files` whose file is `text`, readable for everybody.
fn create_files_overlay(host: &Host, name: &str, text: &str) {
    let config = host.paths().run.join(format!("{name}.table"));
    fs::write(&config, text).expect("written");
    let properties = format!("vxlan/listen_ip={},files/config={}", "127.0.0.1", config.display());
    host.dladm_ok(&["create-overlay", "-e", "vxlan", "-s", "files", "-v", "77", "-p", &properties, name]);
}

#[track_caller]
fn says(host: &Host, overlay: &str, word: &str) {
    wait_until(LONG, &format!("{overlay} says '{word}'"), || match host.trouble(overlay) {
        Some(why) if why.contains(word) && (!word.is_empty() || why.is_empty()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[track_caller]
fn belongs_to(host: &Host, user: u32) {
    for path in
        host.record_files().into_iter().filter(|path| path.parent().is_some_and(|dir| dir.ends_with("varpd")))
    {
        let found = fs::metadata(&path).expect("a record");
        assert_eq!((found.uid(), found.gid()), (user, user), "{}", path.display());
    }
}

#[test]
fn as_the_user_netadm_varpd_has_no_capability_and_does_all_its_work() {
    let mut host = Host::new();
    host.add_user("netadm", NETADM);
    host.start();
    is_netadm(host.daemon(Daemon::Varpd));
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    create_files_overlay(&host, "table0", "{}");
    host.dladm_ok(&["modify-overlay", "-p", "direct/dest_port=4790", "demo0"]);
    host.create_overlay("fleeting0", 24, "127.0.0.1", "127.0.0.2", &["-t"]);
    belongs_to(&host, NETADM);
    // A file is read again when it changes.
    fs::write(host.paths().run.join("table0.table"), "{]").expect("written");
    says(&host, "table0", "line 1");
    fs::write(host.paths().run.join("table0.table"), "{}").expect("written");
    says(&host, "table0", "");
    host.kill9(Daemon::Varpd);
    host.start_varpd();
    is_netadm(host.daemon(Daemon::Varpd));
    ["demo0", "table0", "fleeting0"].iter().for_each(|name| says(&host, name, ""));
    let shown = host.dladm_ok(&["show-overlay", "-t", "-p", "-o", "destination", "demo0"]);
    assert!(shown.contains("4790"), "{shown}");
    assert!(warnings(host.daemon(Daemon::Varpd)).iter().all(|line| line.contains("is degraded")));
    ["demo0", "table0", "fleeting0"].iter().for_each(|name| drop(host.dladm_ok(&["delete-overlay", name])));
    assert!(host.instances().is_empty());
}

#[test]
fn a_file_that_netadm_may_not_read_degrades_its_overlay_until_it_may() {
    let mut host = Host::new();
    host.add_user("netadm", NETADM);
    host.start();
    create_files_overlay(&host, "table0", "{}");
    let config = host.paths().run.join("table0.table");
    let allow = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&config, permissions).expect("root may");
    };
    allow(0o600);
    host.stop(Daemon::Varpd);
    host.start_varpd();
    says(&host, "table0", "Permission denied");
    allow(0o644);
    says(&host, "table0", "");
}

#[test]
fn without_the_user_varpd_warns_once_and_works_as_root() {
    let mut host = Host::started();
    let pid = host.daemon(Daemon::Varpd).pid();
    assert_eq!(status(pid, "Uid"), "0 0 0 0");
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    let warned = warnings(host.daemon(Daemon::Varpd));
    assert!(warned.len() == 1 && warned[0].contains("no user and group netadm"), "{warned:?}");
    host.dladm_ok(&["delete-overlay", "demo0"]);
}

#[test]
fn what_varpd_wrote_as_root_it_takes_over_as_netadm_and_back() {
    let mut host = Host::started();
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    belongs_to(&host, 0);
    host.stop(Daemon::Varpd);
    host.add_user("netadm", NETADM);
    // overlayd knows who may change things by the lists that it was started with.
    host.stop(Daemon::Overlayd);
    host.start();
    is_netadm(host.daemon(Daemon::Varpd));
    says(&host, "demo0", "");
    belongs_to(&host, NETADM);
    host.dladm_ok(&["modify-overlay", "-p", "direct/dest_port=4791", "demo0"]);
    host.stop(Daemon::Varpd);
    let directory = std::path::Path::new("/etc/netns").join(host.net.name());
    fs::remove_file(directory.join("passwd")).expect("it was there");
    host.start_varpd();
    assert_eq!(status(host.daemon(Daemon::Varpd).pid(), "Uid"), "0 0 0 0");
    says(&host, "demo0", "");
    host.dladm_ok(&["modify-overlay", "-p", "direct/dest_port=4792", "demo0"]);
    host.dladm_ok(&["delete-overlay", "demo0"]);
}

#[test]
fn netadm_starts_on_a_read_only_disk_with_what_is_stored() {
    let mut host = Host::new();
    let disk = Disk::under(&host);
    host.add_user("netadm", NETADM);
    host.start();
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    host.stop(Daemon::Varpd);
    host.stop(Daemon::Overlayd);
    disk.protect();
    host.start();
    is_netadm(host.daemon(Daemon::Varpd));
    says(&host, "demo0", "");
    let log = host.daemon(Daemon::Varpd).log();
    assert!(log.contains("nothing can be stored") && log.contains("Read-only file system"), "{log}");
    drop(disk);
}

#[test]
fn netadm_is_never_let_near_what_is_not_a_record() {
    let mut host = Host::started();
    let directory = host.paths().records(Daemon::Varpd, false);
    host.stop(Daemon::Varpd);
    host.add_user("netadm", NETADM);
    let secret = host.paths().run.join("secret");
    fs::write(&secret, "root's").expect("written");
    std::os::unix::fs::symlink(&secret, directory.join("7.70.json")).expect("linked");
    fs::hard_link(&secret, directory.join("8.80.json")).expect("linked");
    host.start_varpd();
    is_netadm(host.daemon(Daemon::Varpd));
    wait_until(SHORT, "varpd serves", || {
        if host.instances().is_empty() { Ok(()) } else { Err("an instance".to_owned()) }
    });
    assert_eq!(fs::metadata(&secret).expect("it is there").uid(), 0);
    assert_eq!(fs::read_to_string(&secret).expect("it is there"), "root's");
}
