//! The package on a machine that systemd has booted: the units, their sandbox and the rules for devices, at work.

use std::fs;

use overlay_tests::{LONG, Machine, project, wait_until};

const UNITS: [&str; 2] = ["overlay.service", "varpd.service"];

/// Makes an overlay between addresses of the machine's own.
fn create_overlay(machine: &Machine, name: &str, vnetid: &str, more: &[&str]) {
    let ends = "vxlan/listen_ip=127.0.0.1,direct/dest_ip=127.0.0.2,direct/dest_port=4789";
    let words = ["dladm", "create-overlay", "-e", "vxlan", "-s", "direct", "-v", vnetid, "-p", ends];
    machine.ok(&[&words, more, &[name]].concat());
}

/// Makes one with a search plugin that reads a table.
fn create_searched(machine: &Machine, name: &str, vnetid: &str, search: &str, table: &str) {
    let ends = format!("vxlan/listen_ip=127.0.0.1,{table}");
    machine.ok(&["dladm", "create-overlay", "-e", "vxlan", "-s", search, "-v", vnetid, "-p", &ends, name]);
}

#[track_caller]
fn all_online(machine: &Machine, count: usize) {
    wait_until(LONG, "all overlays are online", || {
        let outcome = machine.run(&["dladm", "show-overlay", "-f", "-p", "-o", "link,status"]);
        let online = outcome.stdout.lines().filter(|row| row.ends_with(":ONLINE")).count();
        if (online, outcome.stdout.lines().count()) == (count, count) {
            Ok(())
        } else {
            Err(format!("{outcome:?}\n{}", machine.journal()))
        }
    });
}

/// A field of proc_pid_status(5) of a unit's main process.
#[track_caller]
fn status(machine: &Machine, unit: &str, field: &str) -> String {
    let text = machine.ok(&["cat", &format!("/proc/{}/status", machine.show(unit, "MainPID"))]);
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn in_their_sandbox_both_daemons_do_all_their_work() {
    let machine = Machine::boot();
    machine.ok(&["ip", "link", "set", "lo", "up"]);
    create_overlay(&machine, "demo0", "23", &[]);
    create_overlay(&machine, "passing0", "24", &["-t"]);
    machine.write("/root/red.json", "644", r#"{ "2:8:20:0:0:1": { "ip": "127.0.0.2", "port": 4789 } }"#);
    machine.ok(&["chmod", "755", "/root"]);
    create_searched(&machine, "table0", "25", "files", "files/config=/root/red.json");
    let example = fs::read_to_string(project().join("contrib/overlay-plugin-example.py")).expect("a script");
    machine.write("/usr/lib/overlay/plugins/example", "755", &example);
    machine.write("/etc/overlay/table", "644", "2:8:20:0:0:1 127.0.0.2:4789 192.168.23.1\n");
    machine.ok(&["systemctl", "reload", "varpd.service"]);
    wait_until(LONG, "the program is a plugin", || {
        let shown = machine.ok(&["dladm", "show-search"]);
        if shown.contains("example") { Ok(()) } else { Err(format!("{shown}\n{}", machine.journal())) }
    });
    create_searched(&machine, "python0", "26", "example", "example/table=/etc/overlay/table");
    all_online(&machine, 4);
    machine.ok(&["dladm", "create-vnic", "-l", "demo0", "foo0"]);
    // A zone that is made while overlayd runs is where it finds the VNIC again.
    machine.ok(&["ip", "netns", "add", "zone1"]);
    machine.ok(&["ip", "link", "set", "foo0", "netns", "zone1"]);
    machine.ok(&["systemctl", "restart", "overlay.service"]);
    all_online(&machine, 4);
    let anew = machine.run(&["ip", "link", "show", "foo0"]);
    assert!(!anew.succeeded(), "the VNIC is made once more, on the host: {anew:?}");
    machine.ok(&["ip", "-n", "zone1", "link", "set", "foo0", "up"]);
    machine.ok(&["systemctl", "stop", "overlay.service", "varpd.service"]);
    machine.ok(&["systemctl", "start", "overlay.service", "varpd.service"]);
    all_online(&machine, 4);
    let link = machine.ok(&["ip", "-n", "zone1", "-br", "link", "show", "foo0"]);
    assert!(link.contains("LOWER_UP"), "somebody is at the device: {link}");
    let journal = machine.journal();
    let complaints: Vec<_> =
        journal.lines().filter(|line| line.contains("ERROR") || line.contains("cannot")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn in_their_sandbox_link_properties_and_zones_that_come_and_go_work() {
    let machine = Machine::boot();
    create_overlay(&machine, "demo0", "23", &[]);
    machine.ok(&["ip", "netns", "add", "zone1"]);
    let limits = "zone=zone1,maxbw=100M,protection=mac-nospoof";
    machine.ok(&["dladm", "create-vnic", "-l", "demo0", "-p", limits, "foo0"]);
    let in_zone = || machine.run(&["ip", "-n", "zone1", "link", "show", "foo0"]).succeeded();
    assert!(in_zone(), "it is made there");
    machine.ok(&["dladm", "reset-linkprop", "-p", "zone,maxbw,protection", "foo0"]);
    machine.ok(&["ip", "link", "show", "foo0"]);
    machine.ok(&["dladm", "set-linkprop", "-p", limits, "foo0"]);
    machine.ok(&["ip", "netns", "del", "zone1"]);
    let gone = "the VNIC has no device";
    wait_until(LONG, gone, || {
        let shown = machine.ok(&["dladm", "show-overlay", "-f", "demo0"]);
        if shown.contains("DEGRADED") { Ok(()) } else { Err(shown) }
    });
    machine.ok(&["ip", "netns", "add", "zone1"]);
    wait_until(LONG, "the VNIC is in the zone that is there again", || {
        if in_zone() { Ok(()) } else { Err(machine.journal()) }
    });
    all_online(&machine, 1);
    // A container's namespace has a name by a mount; a symbolic link into /proc is not enough for overlayd's rights.
    machine.ok(&["systemd-run", "--unit=container", "-p", "PrivateNetwork=yes", "sleep", "infinity"]);
    let pid = machine.show("container.service", "MainPID");
    machine.ok(&["ln", "-s", &format!("/proc/{pid}/ns/net"), "/run/netns/linked"]);
    let refused = machine.run(&["dladm", "set-linkprop", "-p", "zone=linked", "foo0"]).refusal();
    assert!(refused.contains("zone linked: Permission denied"), "{refused}");
    machine.ok(&["ip", "netns", "attach", "web", &pid]);
    machine.ok(&["dladm", "set-linkprop", "-p", "zone=web", "foo0"]);
    machine.ok(&["nsenter", "-t", &pid, "-n", "ip", "link", "show", "foo0"]);
}

#[test]
fn what_was_left_to_the_first_boot_is_done_at_it_and_once() {
    let machine = Machine::boot_after(
        "\"$root/usr/sbin/dladm\" create-overlay -R \"$root\" -e vxlan -s direct -v 23 \
            -p vxlan/listen_ip=127.0.0.1,direct/dest_ip=127.0.0.2,direct/dest_port=4789 demo0
         \"$root/usr/sbin/dladm\" create-vnic -R \"$root\" -l demo0 foo0
         \"$root/usr/sbin/dladm\" create-vnic -R \"$root\" -l nothing0 foo1",
    );
    let unit = "overlay-first-boot.service";
    wait_until(LONG, "the first boot's work is done", || {
        let state = machine.show(unit, "ActiveState");
        if state == "failed" { Ok(()) } else { Err(format!("{state}\n{}", machine.journal())) }
    });
    assert_eq!(machine.ok(&["dladm", "show-vnic", "-p", "-o", "link"]), "foo0\n", "{}", machine.journal());
    // What cannot be done is kept beside it, and makes the unit fail.
    assert_eq!(
        machine.run(&["sh", "-c", "ls /var/lib/overlay"]).stdout,
        "first-boot.failed\noverlayd\nvarpd\n"
    );
    // In no order (org.freedesktop.systemd1(5)).
    let wanted_by = machine.show(unit, "WantedBy");
    let mut wanted_by: Vec<_> = wanted_by.split_whitespace().collect();
    wanted_by.sort_unstable();
    assert_eq!(wanted_by, ["overlay.service", "varpd.service"]);
    assert_eq!(machine.show(unit, "Requires").replace("sysinit.target", "").trim(), "system.slice");
    machine.ok(&["systemctl", "restart", "overlay.service"]);
    assert_eq!(machine.show(unit, "ConditionResult"), "no");
}

#[test]
fn the_daemons_have_the_rights_that_their_units_name_and_no_others() {
    let machine = Machine::boot();
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_SYS_ADMIN are 10, 12 and 21 (linux/capability.h).
    let of_overlayd = format!("{:016x}", 1 << 10 | 1 << 12 | 1 << 21);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(&machine, "overlay.service", set), of_overlayd, "{set}");
        assert_eq!(status(&machine, "varpd.service", set), "0000000000000000", "{set}");
    }
    let user = machine.ok(&["id", "-u", "netadm"]);
    assert_eq!(status(&machine, "varpd.service", "Uid"), [user.trim(); 4].join(" "));
    for unit in UNITS {
        assert_eq!(status(&machine, unit, "NoNewPrivs"), "1");
        assert_eq!(status(&machine, unit, "Seccomp"), "2", "a filter");
    }
    assert_eq!(
        machine.ok(&["stat", "-c", "%U %a", "/run/overlay", "/run/overlay/varpd"]),
        "root 755\nnetadm 755\n"
    );
    let anybody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dladm"];
    machine.ok(&[&anybody[..], &["show-overlay"]].concat());
    let refused = machine.run(&[&anybody[..], &["delete-overlay", "demo0"]].concat()).refusal();
    assert!(refused.contains("netadm"), "{refused}");
}

#[test]
fn what_is_stopped_stays_so_and_what_is_stuck_or_killed_is_started_again() {
    let machine = Machine::boot();
    machine.ok(&["systemctl", "stop", "overlay.service"]);
    let missing = machine.run(&["dladm", "show-overlay"]).refusal();
    assert!(missing.ends_with("start it as root: systemctl start overlay.service\n"), "{missing}");
    // varpd goes on looking for it, and does not start it with that.
    assert_eq!(machine.run(&["systemctl", "is-active", "overlay.service"]).stdout, "inactive\n");
    // A client that comes before the daemon waits for it.
    machine.ok(&["systemctl", "start", "overlay.socket"]);
    machine.ok(&["dladm", "show-link"]);
    machine.wait_for_active(&UNITS);
    for unit in UNITS {
        machine.write(
            &format!("/run/systemd/system/{unit}.d/soon.conf"),
            "644",
            "[Service]\nWatchdogSec=1\n",
        );
    }
    machine.ok(&["systemctl", "daemon-reload"]);
    machine.ok(&["systemctl", "restart", UNITS[0], UNITS[1]]);
    let pids = UNITS.map(|unit| machine.show(unit, "MainPID"));
    // As long as both are at work, nothing happens to them in several times the limit.
    for unit in UNITS {
        let first = machine.show(unit, "WatchdogTimestampMonotonic").parse::<u64>().expect("a time");
        wait_until(LONG, "signs of life for three times the limit", || {
            let last = machine.show(unit, "WatchdogTimestampMonotonic").parse::<u64>().expect("a time");
            if last >= first + 3_000_000 { Ok(()) } else { Err(format!("{last} after {first}")) }
        });
    }
    assert_eq!(UNITS.map(|unit| machine.show(unit, "MainPID")), pids);
    machine.ok(&["systemctl", "kill", "-s", "STOP", UNITS[0], UNITS[1]]);
    for (unit, pid) in UNITS.iter().zip(&pids) {
        wait_until(LONG, &format!("{unit} is started again"), || {
            let now = (machine.show(unit, "MainPID"), machine.show(unit, "ActiveState"));
            if now.0 != *pid && now.1 == "active" {
                Ok(())
            } else {
                Err(format!("{now:?}\n{}", machine.journal()))
            }
        });
    }
    let journal = machine.ok(&["journalctl", "--no-pager", "-o", "cat"]);
    for unit in UNITS {
        assert!(journal.contains(&format!("{unit}: Watchdog timeout")), "{journal}");
    }
}

#[test]
fn udev_renames_and_readdresses_no_vnic_and_treats_other_taps_as_before() {
    let machine = Machine::boot();
    create_overlay(&machine, "demo0", "23", &[]);
    machine.ok(&["dladm", "create-vnic", "-l", "demo0", "-m", "2:8:20:0:0:1", "foo0"]);
    machine.ok(&["ip", "tuntap", "add", "mode", "tap", "name", "other0"]);
    machine.ok(&["udevadm", "settle"]);
    let of = |device: &str| {
        machine.ok(&["udevadm", "info", "-q", "property", &format!("/sys/class/net/{device}")])
    };
    let (vnic, other) = (of("foo0"), of("other0"));
    for property in ["OVERLAY_VNIC=1", "NM_UNMANAGED=1", "ID_NET_NAME=foo0"] {
        assert!(vnic.lines().any(|line| line == property), "{property}: {vnic}");
    }
    assert!(vnic.contains("/70-overlay-vnic.link\n"), "{vnic}");
    assert!(!other.contains("OVERLAY") && !other.contains("UNMANAGED"), "{other}");
    assert!(other.contains("ID_NET_LINK_FILE=") && !other.contains("overlay-vnic"), "{other}");
    let link = machine.ok(&["ip", "-br", "link", "show", "foo0"]);
    assert!(link.contains("02:08:20:00:00:01"), "{link}");
}

#[test]
fn a_package_that_was_removed_runs_again_once_it_is_installed_and_a_newer_one_starts_nothing() {
    let machine = Machine::boot();
    create_overlay(&machine, "demo0", "23", &[]);
    machine.ok(&["dpkg", "--remove", "overlay"]);
    machine.ok(&["dpkg", "--force-depends", "--install", "/root/overlay.deb"]);
    machine.wait_for_active(&UNITS);
    all_online(&machine, 1);
    // What an administrator has stopped, no other version starts.
    machine.ok(&["systemctl", "stop", "varpd.service"]);
    machine.ok(&["dpkg", "--force-depends", "--install", "/root/overlay.deb"]);
    assert_eq!(machine.run(&["systemctl", "is-active", UNITS[0], UNITS[1]]).stdout, "active\ninactive\n");
}

#[test]
fn removing_the_package_stops_the_daemons_and_purging_it_leaves_nothing() {
    let machine = Machine::boot();
    create_overlay(&machine, "demo0", "23", &[]);
    machine.ok(&["dpkg", "--remove", "overlay"]);
    assert_eq!(machine.run(&["systemctl", "is-active", UNITS[0], UNITS[1]]).stdout, "inactive\ninactive\n");
    machine.ok(&["sh", "-c", "ls /var/lib/overlay/overlayd/*.json"]);
    machine.ok(&["dpkg", "--purge", "overlay"]);
    let left = "find /etc /usr /var /run -xdev -name '*overlay*' -newer /root/overlay.deb; ls -d /var/lib/overlay /run/overlay";
    assert_eq!(machine.run(&["sh", "-c", left]).stdout, "");
}
