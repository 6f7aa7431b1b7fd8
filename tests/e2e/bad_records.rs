//! Stored files that are not what a daemon wrote: the overlay concerned says so, the file is kept, and the overlay beside
//! it carries on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use overlay_core::protocol::{Request, Response};
use overlay_tests::{
    Daemon, Host, KernelPeer, LONG, Plan, Scene, Transfer, inner_v4, underlay_v4, wait_until,
};

/// What the overlay beside carries after each start.
const A_BIT: u64 = 100_000;

/// How many lengths a record is cut to; the tests of the record's own module do all of them.
const CUTS: usize = 6;

/// What is done to a stored file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Only so many octets are left.
    Cut(usize),
    /// Octets that are no text.
    Garbage,
    /// A directory in its place.
    Directory,
    /// A link to a file elsewhere with the very same content.
    Link,
    /// A version of tomorrow.
    Version,
    /// A legal record in which a number makes no sense.
    Nonsense,
}

impl Harm {
    fn all(length: usize) -> Vec<Self> {
        // The last two octets are the closing brace and the newline after it.
        let cuts = (0..CUTS).map(|cut| Self::Cut(cut * (length - 2) / (CUTS - 1)));
        cuts.chain([Self::Garbage, Self::Directory, Self::Link, Self::Version, Self::Nonsense]).collect()
    }

    fn apply(self, file: &Path, content: &str) {
        let write = |octets: &[u8]| fs::write(file, octets).expect("written");
        match self {
            Self::Cut(length) => write(&content.as_bytes()[..length]),
            Self::Garbage => write(&(0..=255).cycle().take(5000).collect::<Vec<u8>>()),
            Self::Version => write(content.replace("\"version\": 1", "\"version\": 99").as_bytes()),
            Self::Nonsense => {
                let nonsense = content.replace("\"id\": ", "\"id\": 99999999999");
                write(nonsense.replace("\"instance\": ", "\"instance\": 99").as_bytes());
            }
            Self::Directory => {
                fs::remove_file(file).expect("it was there");
                fs::create_dir(file).expect("made");
            }
            Self::Link => {
                let elsewhere = file.with_extension("elsewhere");
                fs::rename(file, &elsewhere).expect("moved");
                symlink(&elsewhere, file).expect("linked");
            }
        }
    }
}

/// A host with an overlay that carries a stream, and `other0` with the VNIC `bar0` beside it.
struct Stand {
    scene: Scene<KernelPeer>,
    transfer: Transfer,
}

impl Stand {
    fn new() -> Self {
        let scene = Scene::kernel(Plan::default());
        let host = &scene.host;
        host.create_overlay("other0", 24, underlay_v4(1), underlay_v4(2), &[]);
        host.create_vnic("bar0", "other0", &[]);
        let transfer = Transfer::start(&host.net, &scene.peer.net, inner_v4(2));
        Self { scene, transfer }
    }

    /// Stops a daemon, does something to its files, and starts it again.
    #[track_caller]
    fn meddle(&mut self, daemon: Daemon, change: impl FnOnce(&Path)) {
        let host = &mut self.scene.host;
        host.stop(daemon);
        change(&host.paths().records(daemon, false));
        host.start_one(daemon);
    }

    /// Waits until an overlay says what is wrong with it, in words that have all these in them; nothing else ails.
    #[track_caller]
    fn says(&self, case: &str, overlay: &str, words: &[&str]) {
        let host = &self.scene.host;
        wait_until(LONG, &format!("{case}: {overlay} says what is wrong"), || {
            let said = host.trouble(overlay).unwrap_or_default();
            if !said.is_empty() && words.iter().all(|word| said.contains(word)) { Ok(()) } else { Err(said) }
        });
        self.beside(case);
    }

    /// Waits until the overlay beside is well, and carries.
    #[track_caller]
    fn beside(&self, case: &str) {
        wait_until(LONG, &format!("{case}: the overlay beside is online"), || {
            online(&self.scene.host, "demo0")
        });
        self.transfer.wait_for_more(LONG, A_BIT);
    }

    #[track_caller]
    fn finish(self) {
        for overlay in ["demo0", "other0"] {
            wait_until(LONG, "all is well again", || online(&self.scene.host, overlay));
        }
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

fn endings(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of records").flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|one| one == ending))
        .collect()
}

/// The file of varpd's record of an overlay.
fn instance_file(host: &Host, overlay: &str) -> PathBuf {
    let link = host.overlay(overlay).expect("it is there").id;
    let ending = format!(".{link}");
    let files = endings(&host.paths().records(Daemon::Varpd, false), "json");
    let of_link = |path: &PathBuf| path.with_extension("").display().to_string().ends_with(&ending);
    files.into_iter().find(of_link).expect("a record of it")
}

/// Undoes a harm: what was set aside goes, and what was there is there again.
fn mend(directory: &Path, file: &Path, content: &str) {
    for path in endings(directory, "bad").into_iter().chain(endings(directory, "elsewhere")) {
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir(&path).expect("removed");
        } else {
            fs::remove_file(&path).expect("removed");
        }
    }
    fs::write(file, content).expect("written");
}

/// Harms a file in all ways, one after the other; `overlay` must say so each time.
fn harm_in_all_ways(daemon: Daemon, file: impl Fn(&Host) -> PathBuf, overlay: &str) {
    let mut stand = Stand::new();
    let file = file(&stand.scene.host);
    let content = fs::read_to_string(&file).expect("a record");
    let directory = stand.scene.host.paths().records(daemon, false);
    for harm in Harm::all(content.len()) {
        let case = format!("{harm:?} of {}", file.display());
        stand.meddle(daemon, |_| harm.apply(&file, &content));
        stand.says(&case, overlay, &["record", ".bad"]);
        let kept = endings(&directory, "bad");
        assert_eq!(kept.len(), 1, "{case}: what was there is kept: {kept:?}");
        assert!(!file.exists(), "{case}");
        // It goes on saying so after the next start.
        stand.meddle(daemon, |_| ());
        stand.says(&case, overlay, &["record", ".bad"]);
        assert_eq!(endings(&directory, "bad"), kept, "{case}");
        stand.meddle(daemon, |directory| mend(directory, &file, &content));
        stand.beside(&case);
    }
    stand.finish();
}

#[test]
fn an_instance_whose_record_is_bad_says_so_and_the_file_is_kept() {
    harm_in_all_ways(Daemon::Varpd, |host| instance_file(host, "other0"), "other0");
}

#[test]
fn an_instance_whose_properties_its_plugin_does_not_take_keeps_them_until_it_gets_others() {
    let mut stand = Stand::new();
    let file = instance_file(&stand.scene.host, "other0");
    let content = fs::read_to_string(&file).expect("a record");
    let wrong = content.replace("\"4789\"", "\"65536\"");
    stand.meddle(Daemon::Varpd, |_| fs::write(&file, &wrong).expect("written"));
    stand.says("a port that is none", "other0", &["does not take the properties", "'65536'"]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), wrong);
    stand.scene.host.dladm_ok(&["modify-overlay", "-p", "direct/dest_port=4789", "other0"]);
    stand.finish();
}

#[test]
fn an_overlay_whose_record_is_bad_says_so_and_the_file_is_kept() {
    let file = |host: &Host| host.paths().records(Daemon::Overlayd, false).join("other0.json");
    harm_in_all_ways(Daemon::Overlayd, file, "other0");
}

#[test]
fn a_vnic_whose_record_is_bad_says_so_and_the_file_is_kept() {
    let file = |host: &Host| host.paths().records(Daemon::Overlayd, false).join("bar0.json");
    harm_in_all_ways(Daemon::Overlayd, file, "bar0");
}

/// A record of `from` under the name of nobody, with changes.
fn copy(directory: &Path, from: &str, to: &str, changes: &[(&str, &str)]) {
    let content = fs::read_to_string(directory.join(format!("{from}.json"))).expect("a record");
    let changed = changes.iter().fold(content, |content, (old, new)| content.replace(old, new));
    fs::write(directory.join(format!("{to}.json")), changed).expect("written");
}

#[test]
fn a_copied_record_of_an_overlay_harms_neither_that_nor_another() {
    let mut stand = Stand::new();
    let renamed = ("\"demo0\"", "\"zcopy0\"");
    let moved = ("\"vnetid\": 23", "\"vnetid\": 77");
    for (name, changes) in [
        ("acopy0", &[][..]),
        ("acopy0", &[moved]),
        ("zcopy0", &[]),
        ("zcopy0", &[renamed]),
        ("zcopy0", &[renamed, moved]),
    ] {
        let case = format!("{changes:?} as {name}");
        stand.meddle(Daemon::Overlayd, |directory| copy(directory, "demo0", name, changes));
        stand.says(&case, name, &["record", ".bad"]);
        stand.scene.host.dladm_ok(&["delete-overlay", name]);
        let directory = stand.scene.host.paths().records(Daemon::Overlayd, false);
        assert!(endings(&directory, "bad").is_empty() && directory.join("demo0.json").exists(), "{case}");
    }
    stand.finish();
}

#[test]
fn a_copied_record_of_a_vnic_harms_neither_that_nor_another() {
    let mut stand = Stand::new();
    for changes in [&[][..], &[("\"foo0\"", "\"zcopy0\"")]] {
        let case = format!("{changes:?}");
        let before = stand.scene.host.net.devices();
        stand.meddle(Daemon::Overlayd, |directory| copy(directory, "foo0", "zcopy0", changes));
        stand.says(&case, "zcopy0", &["record", ".bad"]);
        assert_eq!(stand.scene.host.net.devices(), before, "{case}");
        stand.scene.host.dladm_ok(&["delete-overlay", "zcopy0"]);
    }
    stand.finish();
}

#[test]
fn a_second_instance_of_an_overlay_is_set_aside_and_the_first_works() {
    let mut stand = Stand::new();
    let file = instance_file(&stand.scene.host, "demo0");
    let (number, link) = {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let (number, link) = name.split_once('.').expect("two numbers");
        (number.to_owned(), link.to_owned())
    };
    let content = fs::read_to_string(&file).expect("a record");
    let old = format!("\"instance\": {number}");
    let second = file.with_file_name(format!("77.{link}.json"));
    stand.meddle(Daemon::Varpd, |_| {
        fs::write(&second, content.replace(&old, "\"instance\": 77")).expect("written");
    });
    stand.beside("a second instance");
    assert!(second.with_extension("bad").exists() && file.exists());
    match stand.scene.host.ask(Daemon::Varpd, Request::Instances) {
        Response::Instances(all) => assert_eq!(all.len(), 2, "{all:?}"),
        other => panic!("{other:?}"),
    }
    stand.finish();
}
