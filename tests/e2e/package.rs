//! What is installed: the package in a root of its own, and `make install`; where everything is, and that all of it goes
//! again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use overlay_tests::{Package, Scratch, program, project};

const UNITS: [&str; 5] = ["overlay.service", "overlay.socket", "varpd.service", "varpd.socket", FIRST_BOOT];

/// The one that runs what was left to the first boot.
const FIRST_BOOT: &str = "overlay-first-boot.service";

/// All that is installed below a prefix, with its mode.
const FILES: [(&str, u32); 22] = [
    ("lib/overlay/compat/ifconfig", 0o755),
    ("lib/overlay/compat/svcs", 0o755),
    ("lib/systemd/network/70-overlay-vnic.link", 0o644),
    ("lib/systemd/network/70-overlay-vnic.network", 0o644),
    ("lib/systemd/system/overlay-first-boot.service", 0o644),
    ("lib/systemd/system/overlay.service", 0o644),
    ("lib/systemd/system/overlay.socket", 0o644),
    ("lib/systemd/system/varpd.service", 0o644),
    ("lib/systemd/system/varpd.socket", 0o644),
    ("lib/sysusers.d/overlay.conf", 0o644),
    ("lib/udev/rules.d/70-overlay-vnic.rules", 0o644),
    ("sbin/dladm", 0o755),
    ("sbin/overlayd", 0o755),
    ("sbin/varpd", 0o755),
    ("share/bash-completion/completions/dladm", 0o644),
    ("share/fish/vendor_completions.d/dladm.fish", 0o644),
    ("share/man/man5/overlay_files.5", 0o644),
    ("share/man/man7/overlay.7", 0o644),
    ("share/man/man8/dladm.8", 0o644),
    ("share/man/man8/overlayd.8", 0o644),
    ("share/man/man8/varpd.8", 0o644),
    ("share/zsh/site-functions/_dladm", 0o644),
];

/// What a command of the system has written, when it has succeeded.
#[track_caller]
fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(project()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", words[0]));
    let text =
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
    assert!(output.status.success(), "{words:?}: {text}");
    text
}

/// The files below a directory, with their modes, in order.
fn files(root: &Path) -> Vec<(String, u32)> {
    let listed = run(&["find", &root.display().to_string(), "!", "-type", "d", "-printf", "%P %m\n"]);
    let file = |line: &str| {
        let (path, mode) = line.rsplit_once(' ').expect("a path and a mode");
        (path.to_owned(), u32::from_str_radix(mode, 8).expect("a mode"))
    };
    let mut found: Vec<_> = listed.lines().map(file).collect();
    found.sort();
    found
}

/// A root with nothing in it but lists of users, and an empty database of packages.
fn empty_root() -> Scratch {
    let scratch = Scratch::new();
    for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(scratch.path().join(directory)).expect("a directory");
    }
    for list in ["var/lib/dpkg/status", "etc/passwd", "etc/group"] {
        fs::write(scratch.path().join(list), "").expect("a file");
    }
    scratch
}

/// Runs dpkg on a root. What the package needs is not there, and its scripts run on this machine's tools.
fn dpkg(root: &Path, words: &[&str]) {
    let root = format!("--root={}", root.display());
    run(&[&["dpkg", &root, "--force-script-chrootless", "--force-depends"], words].concat());
}

#[test]
fn the_package_installs_all_in_its_place_and_purged_leaves_nothing() {
    let (scratch, package) = (empty_root(), Package::build());
    let root = scratch.path();
    dpkg(root, &["--install", &package.file().display().to_string()]);
    let name = |path: &str| match path {
        _ if path.starts_with("share/man") => format!("{path}.gz"),
        _ if path.starts_with("share/zsh") => "share/zsh/vendor-completions/_dladm".to_owned(),
        _ => path.to_owned(),
    };
    let mut expected: Vec<_> = FILES.iter().map(|(path, mode)| (name(path), *mode)).collect();
    expected.extend(["changelog.gz", "copyright"].map(|file| (format!("share/doc/overlay/{file}"), 0o644)));
    expected.sort();
    assert_eq!(files(&root.join("usr")), expected);
    assert!(root.join("usr/lib/overlay/plugins").is_dir());
    for list in ["passwd", "group"] {
        let text = fs::read_to_string(root.join("etc").join(list)).expect("a list");
        assert!(text.starts_with("netadm:"), "{list}: {text}");
    }
    for unit in UNITS.into_iter().filter(|unit| *unit != FIRST_BOOT) {
        let target = if unit.ends_with("socket") { "sockets" } else { "multi-user" };
        let link = root.join(format!("etc/systemd/system/{target}.target.wants/{unit}"));
        assert!(link.is_symlink(), "{unit} is enabled");
    }
    let wants = run(&["find", &root.join("etc/systemd").display().to_string(), "-name", FIRST_BOOT]);
    assert_eq!(wants, "", "the daemons pull it in, so that with them it is disabled, too");
    fs::create_dir_all(root.join("var/lib/overlay/overlayd")).expect("a directory");
    fs::write(root.join("var/lib/overlay/overlayd/demo0.json"), "{}").expect("a record");
    dpkg(root, &["--remove", "overlay"]);
    assert!(
        root.join("var/lib/overlay/overlayd/demo0.json").exists(),
        "what a user entered outlives a removal"
    );
    dpkg(root, &["--purge", "overlay"]);
    let left = files(root);
    let ours = |(path, _): &&(String, u32)| !path.starts_with("var/lib/dpkg/") && !path.starts_with("etc/");
    assert_eq!(left.iter().filter(ours).collect::<Vec<_>>(), Vec::<&(String, u32)>::new());
    let links = run(&[
        "find",
        &root.join("etc").display().to_string(),
        "-name",
        "*overlay*",
        "-o",
        "-name",
        "*varpd*",
    ]);
    assert_eq!(links, "", "units are no longer enabled");
}

/// Installs by `make` below a directory, and returns the prefix.
fn make(target: &str, root: &Path, prefix: &str) {
    let programs = program("overlayd").parent().expect("a directory").display().to_string();
    let (from, to) = (format!("FROM={programs}"), format!("DESTDIR={}", root.display()));
    run(&["make", "-s", target, &from, &to, &format!("PREFIX={prefix}")]);
}

#[test]
fn make_install_keeps_to_its_prefix_and_uninstall_takes_all_of_it_away() {
    let scratch = Scratch::new();
    let root = scratch.path();
    make("install-files", root, "/opt/overlay");
    let mut expected = FILES.map(|(path, mode)| (format!("opt/overlay/{path}"), mode));
    expected.sort();
    assert_eq!(files(root), expected);
    let units = root.join("opt/overlay/lib/systemd/system");
    let unit = fs::read_to_string(units.join("varpd.service")).expect("a unit");
    assert!(unit.contains("\nExecStart=/opt/overlay/sbin/varpd\n"), "{unit}");
    fs::write(root.join("opt/overlay/lib/overlay/plugins/own"), "").expect("a user's plugin");
    make("uninstall", root, "/opt/overlay");
    assert_eq!(
        files(root),
        [("opt/overlay/lib/overlay/plugins/own".to_owned(), 0o644)],
        "a user's plugin stays"
    );
}

#[test]
fn make_install_builds_before_it_installs_however_many_jobs_it_may_have() {
    let scratch = Scratch::new();
    let (root, programs) = (scratch.path().join("root"), scratch.path().join("programs"));
    let builder = scratch.path().join("builder");
    let script = format!(
        "#!/bin/sh\nmkdir -p {0} && cd {0} && touch overlayd varpd dladm ifconfig svcs\n",
        programs.display()
    );
    fs::write(&builder, script).expect("written");
    fs::set_permissions(&builder, fs::Permissions::from_mode(0o755)).expect("it is there");
    let given = [("CARGO", &builder), ("FROM", &programs), ("DESTDIR", &root)];
    let given = given.map(|(name, path)| format!("{name}={}", path.display()));
    run(&["make", "-s", "-j8", "install", &given[0], &given[1], &given[2], "PREFIX=/usr"]);
    assert_eq!(files(&root).len(), FILES.len());
}

/// Where systemd makes no users, `useradd` does; the group may be an administrator's.
#[test]
fn the_user_netadm_is_made_of_a_group_that_is_there() {
    let (scratch, tools) = (empty_root(), Scratch::new());
    let root = scratch.path();
    fs::write(root.join("etc/group"), "netadm:x:990:\n").expect("written");
    for tool in ["grep", "rm", "useradd"] {
        let place = run(&["sh", "-c", &format!("PATH=$PATH:/usr/sbin; command -v {tool}")]);
        symlink(place.trim(), tools.path().join(tool)).expect("made");
    }
    symlink("/bin/true", tools.path().join("deb-systemd-helper")).expect("made");
    let (path, prefix) = (tools.path().display().to_string(), root.display().to_string());
    let environment = [format!("PATH={path}"), format!("DPKG_ROOT={prefix}")];
    run(&["env", &environment[0], &environment[1], "/bin/sh", "contrib/debian/postinst", "configure", ""]);
    let users = fs::read_to_string(root.join("etc/passwd")).expect("a list");
    assert!(users.starts_with("netadm:") && users.contains(":990:"), "{users}");
}

/// The units, as they are where the programs are in the directory of this test.
fn units() -> Scratch {
    let (installed, scratch) = (Scratch::new(), Scratch::new());
    make("install-files", installed.path(), "/usr");
    for unit in UNITS {
        let text =
            fs::read_to_string(installed.path().join("usr/lib/systemd/system").join(unit)).expect("a unit");
        let programs = program("overlayd").parent().expect("a directory").display().to_string();
        fs::write(scratch.path().join(unit), text.replace("/usr/sbin", &programs)).expect("written");
        let readable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(scratch.path().join(unit), readable).expect("it is there");
    }
    scratch
}

#[test]
fn systemd_has_no_complaint_about_a_unit() {
    let units = units();
    let paths = UNITS.map(|unit| units.path().join(unit).display().to_string());
    // The manual pages are not on this machine.
    let verify = ["systemd-analyze", "verify", "--man=no"];
    assert_eq!(run(&[&verify[..], &paths.each_ref().map(String::as_str)].concat()), "");
}

/// A row of the table of `docs/install.md`: what `systemd-analyze security` says of a unit.
fn documented(unit: &str) -> String {
    let text = fs::read_to_string(project().join("docs/install.md")).expect("the page");
    let row = text.lines().find(|line| line.starts_with(&format!("| `{unit}` | "))).map(str::to_owned);
    row.expect("a row").split('|').nth(2).expect("a figure").trim().to_owned()
}

#[test]
fn the_exposure_of_each_unit_is_what_the_documentation_says() {
    let units = units();
    // It was measured with this version. Others look at more, or at less, which may make a point.
    let exact = run(&["systemd-analyze", "--version"]).starts_with("systemd 252 ");
    for unit in UNITS.into_iter().filter(|unit| unit.ends_with(".service")) {
        let (path, figure) = (units.path().join(unit).display().to_string(), documented(unit));
        let tenths: u32 = figure.replace('.', "").parse().expect("a figure");
        let threshold = format!("--threshold={}", if exact { tenths } else { tenths + 10 });
        let said = run(&["systemd-analyze", "security", "--no-pager", "--offline=true", &threshold, &path]);
        if exact {
            assert!(said.contains(&format!("exposure level for {unit}: {figure} ")), "{figure}: {said}");
        }
    }
}
