use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use overlay_core::protocol::{ErrorCode, LinkState};

use super::super::twin::Twin;

/// A directory of one test's own, which looks like the root of a system.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dladm-root-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("etc")).unwrap();
        Self(path)
    }

    fn root(&self) -> String {
        self.0.display().to_string()
    }

    /// The state directory of the system below it.
    fn state(&self) -> PathBuf {
        self.0.join("nowhere/state")
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.state().join(name)).ok()
    }

    /// A host that has come up from it, with what is left to its first boot.
    fn host(&self, lines: &str) -> Twin {
        fs::create_dir_all(self.state()).unwrap();
        fs::write(self.state().join("first-boot"), lines).unwrap();
        Twin { state: self.state(), ..Twin::default() }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CREATE: &str = r#"["dladm","create-vnic","--link=demo0","foo0"]"#;
const RENAME: &str = r#"["dladm","rename-link","web0","www0"]"#;

#[test]
fn with_r_a_command_is_left_to_the_first_boot_and_nothing_is_asked() {
    let scratch = Scratch::new();
    let root = scratch.root();
    let create = "create-overlay -e vxlan -s files -v 1 -p vxlan/listen_ip=10.0.0.1,files/config=/x";
    for command in [
        "create-vnic -l demo0 -R {} foo0",
        "rename-link --root-dir={} web0 www0",
        &format!("{create} -R {{}} demo0"),
        "delete-overlay -tR{} demo0",
        "modify-overlay -R {} -s 2:8:20:0:0:1=drop demo0",
        "modify-overlay -R {} -p mtu=1450,vxlan/ttl=9,files/config=/y demo0",
        "set-linkprop -R {} -p mtu=1300,maxbw=1G foo0",
        "reset-linkprop -R {} -p mtu foo0",
        "delete-vnic -R {} foo0",
    ] {
        let mut twin = Twin::default();
        let ran = twin.run(&command.replace("{}", &root));
        assert_eq!((ran.status, &*ran.out, &*ran.err, twin.asked.len()), (0, "", "", 0), "{command}");
    }
    let file = scratch.read("first-boot").unwrap();
    let lines: Vec<_> = file.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1]), (9, CREATE, RENAME));
    assert_eq!(lines[3], r#"["dladm","delete-overlay","--temporary","demo0"]"#);
    assert!(file.ends_with('\n') && !file.contains(&root));
}

#[test]
fn what_is_wrong_by_itself_is_told_before_it_is_left() {
    let scratch = Scratch::new();
    let create = "create-overlay -v 1 -s direct -p vxlan/listen_ip=10.0.0.1";
    for (command, why) in [
        ("create-vnic -l demo0 -v 0 foo0", "VLAN id '0' is not"),
        ("create-vnic -l demo0 -p pool=x foo0", "unknown property 'pool'"),
        (&format!("{create} -e gre demo0"), "unknown encapsulation plugin 'gre' (known ones: vxlan)"),
        (&format!("{create} -e vxlan -p files/config=/x demo0"), "unknown property 'files/config'"),
        (&format!("{create} -e vxlan -p vxlan/tos=1 demo0"), "property 'vxlan/tos' cannot be '1'"),
        ("create-overlay -v 1 -s direct -e vxlan demo0", "required properties are missing: vxlan/listen_ip"),
        ("delete-overlay demo", "'demo' is not a link name"),
        ("modify-overlay -d x demo0", "'x' is not a MAC address"),
        ("modify-overlay demo0", "one of -d, -f, -s and -p is needed"),
        ("modify-overlay -p direct/x=1,mtu=1 demo0", "property 'mtu' cannot be '1': it is not in 576-8900"),
        ("modify-overlay -p vxlan/ttl=x demo0", "property 'vxlan/ttl' cannot be 'x'"),
        (
            "modify-overlay -p vxlan/colour=1 demo0",
            "unknown property 'vxlan/colour' (known ones: mtu, vnetid, target/",
        ),
        ("modify-overlay -p colour=1 demo0", "unknown property 'colour'"),
        ("modify-overlay -p encap=vxlan demo0", "property 'encap' is read-only"),
        ("set-linkprop -p mtu=1 foo0", "property 'mtu' cannot be '1': it is not in 576-8900"),
        ("set-linkprop -p state=up foo0", "property 'state' is read-only"),
        ("set-linkprop -p pool=x foo0", "unknown property 'pool' (known ones: zone, mtu"),
        ("reset-linkprop -p pool foo0", "unknown property 'pool'"),
        ("delete-vnic foo", "'foo' is not a link name"),
        ("rename-link foo0 foo", "'foo' is not a link name"),
    ] {
        let ran = Twin::default().run(&format!("{command} -R {}", scratch.root()));
        assert!(ran.err.contains(why) && ran.status != 0, "{command}: {}", ran.err);
    }
    assert!(!scratch.state().exists());
}

#[test]
fn a_root_that_is_none_is_told_in_one_line() {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    fs::write(&file, "x").unwrap();
    let empty = scratch.0.join("empty");
    fs::create_dir(&empty).unwrap();
    for root in [scratch.0.join("missing"), file.clone(), empty.clone()] {
        let ran = Twin::default().run(&format!("delete-vnic -R {} foo0", root.display()));
        let expected = format!("dladm: cannot leave it to the first boot of {}: ", root.display());
        assert!(ran.err.starts_with(&expected), "{}", ran.err);
        assert_eq!((ran.status, ran.err.lines().count()), (1, 2), "{}", ran.err);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "x");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    let ran = Twin::default().run(&format!("delete-vnic -R {} foo0", empty.display()));
    assert!(ran.err.contains("empty: it has neither etc nor usr\n"), "{}", ran.err);
}

#[test]
fn a_link_of_the_other_system_leads_nowhere_outside_it() {
    let (scratch, elsewhere) = (Scratch::new(), Scratch::new());
    std::os::unix::fs::symlink(&elsewhere.0, scratch.0.join("nowhere")).unwrap();
    let run = || Twin::default().run(&format!("delete-vnic -R {} foo0", scratch.root()));
    assert_eq!(run().status, 1);
    assert_eq!(fs::read_dir(&elsewhere.0).unwrap().count(), 1, "but for its etc");
    // It leads inside where there is such a directory there.
    fs::create_dir_all(scratch.0.join(elsewhere.0.strip_prefix("/").unwrap())).unwrap();
    assert_eq!(run().status, 0);
    assert_eq!(fs::read_dir(&elsewhere.0).unwrap().count(), 1, "but for its etc");
}

#[test]
fn the_first_boot_runs_what_was_left_in_order() {
    let scratch = Scratch::new();
    let mut twin = scratch.host(&format!("{CREATE}\n{RENAME}\n"));
    let ran = twin.run("first-boot");
    assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
    assert_eq!(twin.asked, ["Links", "Instances", "CreateVnic", "RenameLink"]);
    assert_eq!(fs::read_dir(scratch.state()).unwrap().count(), 0, "nothing is left");
    let ran = twin.run("first-boot");
    assert_eq!((ran.status, &*ran.err, twin.asked.len()), (0, "", 4), "and nothing is done twice");
}

#[test]
fn a_host_to_which_nothing_was_left_has_nothing_to_do() {
    let mut twin = Twin { overlayd_down: true, ..Twin::default() };
    let ran = twin.run("first-boot");
    assert_eq!((ran.status, &*ran.err), (0, ""));
}

#[test]
fn what_fails_is_told_and_kept_and_keeps_nothing_else_from_being_done() {
    let scratch = Scratch::new();
    let lines = format!(
        "{CREATE}\nnonsense\n[\"dladm\",\"show-link\"]\n[\"dladm\",\"first-boot\"]\n[\"x\"]\n{RENAME}\n"
    );
    let mut twin = scratch.host(&lines);
    twin.fail_with("CreateVnic", ErrorCode::NotFound, "there is no overlay demo0", Some("make one"));
    let ran = twin.run("first-boot");
    let kept = scratch.state().join("first-boot.failed");
    let expected = format!(
        "\
dladm: warning: first-boot: dladm create-vnic --link=demo0 foo0: cannot create VNIC foo0: there is no overlay demo0
dladm: warning: first-boot: nonsense: the line is no list of words
dladm: warning: first-boot: dladm show-link: it is no command for a first boot
dladm: warning: first-boot: dladm first-boot: it is no command for a first boot
dladm: warning: first-boot: x: it is no command for a first boot
dladm: warning: first-boot: what failed is kept in {}
",
        kept.display()
    );
    assert_eq!((ran.status, &*ran.err), (1, &*expected));
    assert_eq!(twin.asked.last().map(String::as_str), Some("RenameLink"));
    assert_eq!(scratch.read("first-boot"), None);
    assert_eq!(scratch.read("first-boot.failed").unwrap() + RENAME + "\n", lines);
}

#[test]
fn each_property_that_fails_is_in_the_line() {
    let scratch = Scratch::new();
    let mut twin = scratch.host("[\"dladm\",\"set-linkprop\",\"--prop=mtu=1300,maxbw=5\",\"web0\"]\n");
    twin.fail_with("SetLinkProperties", ErrorCode::Invalid, "no", None);
    let ran = twin.run("first-boot");
    let why = "--prop=mtu=1300,maxbw=5 web0: cannot set mtu of web0: no; cannot set maxbw of web0: no\n";
    assert!(ran.err.contains(why), "{}", ran.err);
    assert_eq!(ran.status, 1);
}

#[test]
fn what_a_crash_interrupted_is_run_again_and_counts_as_done_where_it_was() {
    for (request, code, status) in [
        ("CreateVnic", ErrorCode::Exists, 0),
        ("CreateVnic", ErrorCode::Failed, 1),
        ("nothing", ErrorCode::Failed, 0),
    ] {
        let scratch = Scratch::new();
        let mut twin = scratch.host(&format!("{{\"begun\":{CREATE}}}\n{RENAME}\n"));
        twin.fail_with(request, code, "no", None);
        let ran = twin.run("first-boot");
        assert_eq!(ran.status, status, "{}", ran.err);
        assert_eq!(twin.asked[2..], ["CreateVnic", "RenameLink"]);
        assert_eq!(ran.err.contains("it was interrupted, and counts as done"), code == ErrorCode::Exists);
        assert_eq!(scratch.read("first-boot.failed").is_some(), status == 1);
    }
    let scratch = Scratch::new();
    let mut twin = scratch.host(&format!("{CREATE}\n"));
    twin.fail_with("CreateVnic", ErrorCode::Exists, "no", None);
    assert_eq!(twin.run("first-boot").status, 1, "a line that was not begun before has failed");
}

#[test]
fn only_what_a_command_does_itself_counts_as_done() {
    let blue = r#"["dladm","rename-link","web0","blue0"]"#;
    let new = r#"["dladm","rename-link","old0","web0"]"#;
    let entry = |name| format!(r#"["dladm","modify-overlay","--delete-entry=2:8:20:0:0:1","{name}"]"#);
    let (entry, entry_of_none) = (entry("blue0"), entry("x0"));
    for (line, request, code, done) in [
        // Its overlay is not there.
        (CREATE, "CreateVnic", ErrorCode::NotFound, false),
        (r#"["dladm","delete-vnic","foo0"]"#, "DeleteVnic", ErrorCode::NotFound, true),
        (r#"["dladm","delete-overlay","demo0"]"#, "DeleteOverlay", ErrorCode::NotFound, true),
        (r#"["dladm","delete-vnic","foo0"]"#, "DeleteVnic", ErrorCode::Busy, false),
        (
            r#"["dladm","set-linkprop","--prop=mtu=1300","web0"]"#,
            "SetLinkProperties",
            ErrorCode::NotFound,
            false,
        ),
        (&entry, "RemoveTarget", ErrorCode::NotFound, true),
        (&entry_of_none, "RemoveTarget", ErrorCode::NotFound, false),
        // Both names are taken, neither is there, the new one alone is.
        (blue, "RenameLink", ErrorCode::Exists, false),
        (RENAME, "RenameLink", ErrorCode::NotFound, false),
        (new, "RenameLink", ErrorCode::NotFound, true),
    ] {
        let scratch = Scratch::new();
        let mut twin = scratch.host(&format!("{{\"begun\":{line}}}\n"));
        twin.fail_with(request, code, "no", None);
        let ran = twin.run("first-boot");
        assert_eq!(ran.status == 0, done, "{line}: {}", ran.err);
        assert_eq!(scratch.read("first-boot.failed").is_some(), !done, "{line}");
    }
}

const OVERLAY: &str = r#"["dladm","create-overlay","--encap=vxlan","--search=direct","--vnetid=23","--prop=vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789","blue0"]"#;

#[test]
fn an_overlay_that_a_crash_left_unfinished_is_made_again() {
    let scratch = Scratch::new();
    let mut twin = scratch.host(&format!("{{\"begun\":{OVERLAY}}}\n"));
    twin.links[0].state = LinkState::Unknown;
    let ran = twin.run("first-boot");
    assert_eq!(ran.err, "dladm: warning: overlay blue0 was not finished, and is made again\n");
    let steps = [
        "DeleteOverlay",
        "DestroyInstance",
        "Encaps",
        "Plugins",
        "CreateOverlay",
        "CreateInstance",
        "ActivateInstance",
        "ActivateOverlay",
    ];
    assert_eq!((ran.status, &twin.asked[3..]), (0, &steps.map(str::to_owned)[..]));
    // One that is not this command's doing is left alone.
    for (line, state) in [
        (format!("{{\"begun\":{OVERLAY}}}\n"), LinkState::Down),
        (format!("{OVERLAY}\n"), LinkState::Unknown),
    ] {
        let scratch = Scratch::new();
        let mut twin = scratch.host(&line);
        twin.links[0].state = state;
        twin.run("first-boot");
        assert!(!twin.asked.contains(&"DeleteOverlay".to_owned()), "{line}");
    }
}

#[test]
fn a_line_stays_when_both_daemons_go() {
    let scratch = Scratch::new();
    let mut twin = scratch.host(&format!("{OVERLAY}\n"));
    twin.down_after = Some("Instances");
    let ran = twin.run("first-boot");
    assert!(ran.err.contains("neither overlayd nor varpd is running"), "{}", ran.err);
    assert_eq!((ran.status, scratch.read("first-boot.failed")), (1, None));
    assert_eq!(scratch.read("first-boot"), Some(format!("{{\"begun\":{OVERLAY}}}\n")));
}

#[test]
fn while_a_daemon_is_away_everything_is_left_as_it_is() {
    for (overlayd_down, varpd_down) in [(true, false), (false, true)] {
        let scratch = Scratch::new();
        let lines = format!("{CREATE}\n{RENAME}\n");
        let mut twin = scratch.host(&lines);
        (twin.overlayd_down, twin.varpd_down) = (overlayd_down, varpd_down);
        let ran = twin.run("first-boot");
        assert!(ran.err.contains("is running (/run/x: "), "{}", ran.err);
        assert_eq!((ran.status, scratch.read("first-boot")), (1, Some(lines)));
    }
}

#[test]
fn what_is_not_answered_stays_as_begun_with_all_behind_it() {
    let scratch = Scratch::new();
    let mut twin = scratch.host(&format!("{CREATE}\n{RENAME}\n"));
    twin.lost = Some("CreateVnic");
    let ran = twin.run("first-boot");
    let expected = "dladm: cannot create VNIC foo0: overlayd does not answer: it closed the connection\n";
    assert_eq!((ran.status, &*ran.err), (1, expected));
    assert_eq!(scratch.read("first-boot"), Some(format!("{{\"begun\":{CREATE}}}\n{RENAME}\n")));
    twin.lost = None;
    twin.fail_with("CreateVnic", ErrorCode::Exists, "there is one", None);
    let ran = twin.run("first-boot");
    assert!(ran.err.contains("foo0: it was interrupted, and counts as done: "), "{}", ran.err);
    assert_eq!((ran.status, scratch.read("first-boot")), (0, None));
}

#[test]
fn a_file_that_is_no_file_of_ours_is_left_alone() {
    let scratch = Scratch::new();
    let mut twin = scratch.host("");
    let path = scratch.state().join("first-boot");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(twin.run("first-boot").status, 1);
    assert_eq!(fs::read_link(path).unwrap(), Path::new("/etc/passwd"));
}

#[test]
fn a_line_that_is_no_text_costs_its_neighbours_nothing() {
    let scratch = Scratch::new();
    let mut twin = scratch.host("");
    let lines =
        [CREATE.as_bytes(), b"\n[\"dladm\",\"delete-vnic\",\"foo\xff0\"]\n", RENAME.as_bytes(), b"\n"];
    fs::write(scratch.state().join("first-boot"), lines.concat()).unwrap();
    let ran = twin.run("first-boot");
    assert_eq!((ran.status, ran.err.lines().count() > 0), (1, true), "{}", ran.err);
    assert!(twin.asked.contains(&"CreateVnic".to_owned()) && twin.asked.contains(&"RenameLink".to_owned()));
    assert!(!twin.asked.contains(&"DeleteVnic".to_owned()), "{:?}", twin.asked);
    assert!(scratch.read("first-boot.failed").unwrap().contains("not UTF-8"));
}
