//! Command lines with all that they print, in the files of `golden`. Each line of a file is one of these:
//!
//! | begins with | |
//! |---|---|
//! | `#` | a word to the reader |
//! | `@ host NAME` | the host for what follows, see [`host`] |
//! | `@ CHANGE ...` | a change of it, see [`change`] |
//! | `$ dladm ...` | a command line, each run on a host of its own; `{root}` is a directory with nothing but an `etc` |
//! | <code>&#124;</code>, `!`, `?` | what it prints on its standard output and error, and its exit status where that is not 0 |
//!
//! A new case is a line with `$`: `OVERLAY_GOLDEN=write cargo test -p dladm-overlay golden` writes what it prints, to be read
//! before it is committed.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use overlay_core::protocol::{ErrorCode, Status};

use crate::cli;
use crate::commands::twin::{self, Twin};

/// The host of a name.
fn host(name: &str) -> Twin {
    let plain = Twin::default();
    match name {
        // blue0 with the VNIC web0; stored blue0, and web4 that is not there.
        "plain" => plain,
        "empty" => Twin {
            overlays: Vec::new(),
            links: Vec::new(),
            instances: Vec::new(),
            link_properties: Vec::new(),
            stored: Vec::new(),
            ..plain
        },
        // red0 does not work, and has an entry of each kind in its target table.
        "two-overlays" => {
            let targets = [plain.targets.clone(), twin::entries_of_red()].concat();
            Twin { overlays: vec![twin::blue(), twin::red()], targets, ..plain }
        }
        // red0 is broken.
        "broken-overlay" => Twin { overlays: vec![twin::broken(), twin::blue()], ..plain },
        // web1 is in a VLAN, web2 in a zone that is not there.
        "three-vnics" => {
            let vnics = [twin::vnic(), twin::tagged_vnic(), twin::zoned_vnic()];
            Twin { links: [vec![twin::overlay_link()], vnics.into()].concat(), ..plain }
        }
        // Names as long as they can be.
        "long-names" => {
            let mut host = plain;
            let name = |length: usize| format!("{}0", "n".repeat(length - 1)).parse().unwrap();
            host.overlays[0].name = name(31);
            host.links[0].name = name(31);
            host.links[1].name = name(15);
            host.links[1].vnic.as_mut().unwrap().over = Some(name(31));
            host.targets[0].0 = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn0";
            host.link_properties.iter_mut().for_each(|info| info.link = name(15));
            host
        }
        // What works has something to tell.
        "warned-overlay" => {
            let mut host = plain;
            host.overlays[0].warnings = vec!["mtu 1500 is too large for the underlay".to_owned()];
            host
        }
        // The overlay's mtu is derived from the underlay.
        "derived-mtu" => {
            let mut host = plain;
            let mtu = host.overlays[0].properties.iter_mut().find(|one| one.spec.name == "mtu").unwrap();
            mtu.value = Some("1450".to_owned());
            mtu.given = Some("auto".to_owned());
            host
        }
        // Its message is one that could be taken for something else.
        "odd-message" => {
            let mut host = plain;
            host.overlays[0].status = Status::Degraded("a:b\\c\n\u{1b}[31md".to_owned());
            host
        }
        _ => panic!("there is no host {name}"),
    }
}

/// Changes a host.
fn change(host: &mut Twin, text: &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "host" => *host = Twin { state: host.state.clone(), ..self::host(rest) },
        "colours" => host.colour = true,
        // After so many rounds somebody interrupts.
        "rounds" => host.pauses = rest.parse::<usize>().unwrap() - 1,
        "down" => {
            host.overlayd_down |= rest.contains("overlayd");
            host.varpd_down |= rest.contains("varpd");
        }
        // A request fails: its name, the kind of failure, and why.
        "fail" => {
            let words: Vec<_> = rest.splitn(3, ' ').collect();
            let code: ErrorCode = serde_json::from_str(&format!("{:?}", words[1])).unwrap();
            host.fail_with(words[0].to_owned().leak(), code, words[2], None);
        }
        // Something happens while it is watched: a change in the protocol's words.
        "happens" => host.changes.push_back(serde_json::from_str(rest).unwrap()),
        // A request succeeds, and something may be wrong.
        "warn" => host.warnings.push(rest.to_owned()),
        // A line that was left to the first boot of the host.
        "left" => {
            let file = host.state.join("first-boot");
            let lines = fs::read_to_string(&file).unwrap_or_default();
            fs::write(file, format!("{lines}{rest}\n")).unwrap();
        }
        _ => panic!("there is no change {word}"),
    }
}

/// What a file says when everything in it is as it is now.
fn transcript(text: &str) -> String {
    let (mut written, mut changes) = (String::new(), Vec::new());
    for line in text.lines() {
        match line.split_at_checked(1) {
            Some(("@", rest)) => {
                if rest.starts_with(" host ") {
                    changes.clear();
                }
                changes.push(rest.trim());
            }
            Some(("$", _)) | None => {}
            Some(("#", _)) => {}
            _ => continue,
        }
        written.push_str(&format!("{line}\n"));
        if let Some(words) = line.strip_prefix("$ dladm") {
            written.push_str(&outcome(&changes, words));
        }
    }
    written
}

fn outcome(changes: &[&str], words: &str) -> String {
    let scratch = Scratch::new();
    let root = scratch.0.display().to_string();
    let mut host = Twin { state: scratch.0.join("state"), ..Twin::default() };
    fs::create_dir(&host.state).unwrap();
    fs::create_dir(scratch.0.join("etc")).unwrap();
    changes.iter().for_each(|text| change(&mut host, text));
    let ran = host.run(&words.replace("{root}", &root));
    let visible = |line: &str| line.replace('\x1b', "ESC").replace(&root, "{root}");
    let lines = |sign: &str, text: &str| {
        text.lines()
            .map(|line| format!("{sign} {}", visible(line)).trim_end().to_owned() + "\n")
            .collect::<String>()
    };
    let status = if ran.status == 0 { String::new() } else { format!("? {}\n", ran.status) };
    lines("|", &ran.out) + &lines("!", &ran.err) + &status
}

fn files() -> Vec<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The words of every command line in them.
fn command_lines() -> Vec<Vec<String>> {
    let text: String = files().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect();
    text.lines().filter_map(|line| line.strip_prefix("$ dladm")).map(words).collect()
}

#[test]
fn every_command_line_prints_what_its_file_says() {
    let write = std::env::var_os("OVERLAY_GOLDEN").is_some_and(|value| value == "write");
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let now = transcript(&text);
        if write {
            fs::write(&file, now).unwrap();
            continue;
        }
        let differs = text.lines().zip(now.lines()).enumerate().find(|(_, (line, now))| line != now);
        if let Some((at, (line, now))) = differs {
            panic!("{}:{}:\nit says  {line}\nit is    {now}", file.display(), at + 1);
        }
        assert_eq!(text, now, "{} ends early", file.display());
    }
}

#[test]
fn every_command_and_option_has_a_case() {
    let lines = command_lines();
    let mut missing = Vec::new();
    for command in cli::command().get_subcommands() {
        let of_command: Vec<_> = lines
            .iter()
            .filter(|words| words.first().is_some_and(|word| word == command.get_name()))
            .collect();
        if of_command.is_empty() {
            missing.push(command.get_name().to_owned());
        }
        for option in command.get_arguments().filter(|argument| !argument.is_positional()) {
            if !of_command.iter().any(|words| words.iter().any(|word| is(word, option, command))) {
                missing.push(format!("{} {}", command.get_name(), option.get_id()));
            }
        }
    }
    assert!(missing.is_empty(), "no file has a case of {}", missing.join(", "));
}

/// Whether a word gives an option of a command.
fn is(word: &str, option: &clap::Arg, command: &clap::Command) -> bool {
    let long = option
        .get_long()
        .is_some_and(|long| word.strip_prefix("--").is_some_and(|word| word.split('=').next() == Some(long)));
    let short = option.get_short().is_some_and(|short| shorts(word, command).contains(&short));
    long || short
}

/// The short options that a word gives: those without a value, and at most one that takes the rest for its own.
fn shorts(word: &str, command: &clap::Command) -> Vec<char> {
    let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return Vec::new();
    };
    let takes_rest = |letter: &char| {
        let option = command.get_arguments().find(|argument| argument.get_short() == Some(*letter));
        option.is_none_or(|option| option.get_action().takes_values())
    };
    let flags = letters.chars().take_while(|letter| !takes_rest(letter)).count();
    letters.chars().take(flags + 1).collect()
}

#[test]
fn a_short_option_is_given_where_it_stands_and_not_in_values() {
    let tree = cli::command();
    let command = tree.find_subcommand("create-vnic").unwrap();
    for (word, expected) in [
        ("-l", "l"),
        ("-tl", "tl"),
        ("-ldemo0", "l"),
        ("-tR{root}", "tR"),
        ("--link", ""),
        ("-1", "1"),
        ("x", ""),
    ] {
        assert_eq!(String::from_iter(shorts(word, command)), expected, "{word}");
    }
}

/// A directory of one case's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dladm-golden-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
