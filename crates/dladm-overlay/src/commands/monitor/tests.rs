use overlay_core::protocol::{LinkClass, LinkState, TargetInfo, TargetState};

use super::super::twin::{Twin, target};
use super::*;

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn every_change() -> Vec<Change> {
    vec![
        Change::LinkAdded { link: name("web0"), class: LinkClass::Vnic, state: LinkState::Up },
        Change::LinkRenamed { link: name("web1"), from: name("web0") },
        Change::Property { link: name("web1"), property: "mtu".into(), value: Some("1300".into()) },
        Change::LinkState { link: name("blue0"), state: LinkState::Down },
        Change::Degraded { link: name("blue0"), details: "no route".into() },
        Change::Restored { link: name("blue0") },
        Change::LinkRemoved { link: name("web1"), class: LinkClass::Vnic },
        Change::Missed,
    ]
}

#[test]
fn each_change_is_a_line_that_people_can_read() {
    let mut twin = Twin { changes: every_change().into(), ..Twin::default() };
    let ran = twin.run("monitor");
    let expected = "\
TIME         LINK            CHANGE         DETAILS
03:04:05.600 web0            added          vnic, up
03:04:05.600 web1            renamed        it was web0
03:04:05.600 web1            property       mtu=1300
03:04:05.600 blue0           state          down
03:04:05.600 blue0           degraded       no route
03:04:05.600 blue0           restored       --
03:04:05.600 web1            removed        vnic
03:04:05.600 --              missed         more has happened than was read in time: dladm show-link
03:04:05.600 --              driver-away    overlayd does not run, or does not answer; waiting for it
";
    assert_eq!((ran.status, &*ran.out, &*ran.err), (0, expected, ""));
}

#[test]
fn each_change_is_an_object_that_programs_can_read() {
    let mut twin = Twin { changes: every_change().into(), ..Twin::default() };
    let ran = twin.run("monitor --json");
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes: Vec<_> = lines.iter().map(|line| line["change"].as_str().unwrap()).collect();
    let expected = ["added", "renamed", "property", "state", "degraded", "restored", "removed"];
    assert_eq!(changes[..7], expected);
    assert_eq!(changes[7..], ["missed", "driver-away"]);
    assert!(lines.iter().all(|line| line["time"] == "2026-01-02T03:04:05.6Z"), "{}", ran.out);
    assert_eq!((&lines[2]["property"], &lines[2]["value"]), (&"mtu".into(), &"1300".into()));
}

#[test]
fn a_row_and_an_object_have_the_same_word_for_a_change() {
    let (mut text, mut json) = (Vec::new(), Vec::new());
    let target = target(Some("2:8:20:0:0:1"), "192.0.2.20:4789");
    let of_targets =
        || [Happening::target(&name("blue0"), &target), Happening::target_removed(&name("blue0"), None)];
    let all = || every_change().into_iter().map(Happening::from).chain(of_targets());
    for (one, same) in all().zip(all()) {
        text.push(one.row(&crate::commands::twin::moment())[2].as_str().to_owned());
        let object: serde_json::Value =
            serde_json::from_str(&same.json(&crate::commands::twin::moment())).unwrap();
        json.push(object["change"].as_str().unwrap().to_owned());
    }
    assert_eq!(text, json);
    assert_eq!(text[8..], ["target", "target-removed"]);
}

#[test]
fn a_link_is_followed_under_its_next_name() {
    let mut twin = Twin { changes: every_change().into(), ..Twin::default() };
    let ran = twin.run("monitor web0");
    let links: Vec<_> = ran.out.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(links, ["web0", "web1", "web1", "web1", "--", "--"]);
}

#[test]
fn what_is_no_link_name_is_refused() {
    let ran = Twin::default().run("monitor web");
    assert!(ran.err.starts_with("dladm: monitor: 'web' is not a link name"), "{}", ran.err);
    assert_eq!(ran.status, 1);
}

#[test]
fn without_overlayd_there_is_nothing_to_watch() {
    let mut twin = Twin { overlayd_down: true, ..Twin::default() };
    let ran = twin.run("monitor");
    assert!(ran.err.starts_with("dladm: no overlayd is running"), "{}", ran.err);
    assert_eq!(ran.status, 1);
}

#[test]
fn entries_of_target_tables_come_change_and_go() {
    let (mut tables, mut twin) = (Tables::default(), Twin::default());
    let look = |tables: &mut Tables, twin: &mut Twin| {
        let happened = tables.look(twin, |_| true).unwrap();
        let row =
            |happening: Happening| happening.row(&crate::commands::twin::moment())[3].as_str().to_owned();
        happened.into_iter().map(row).collect::<Vec<_>>()
    };
    let known = target(Some("2:8:20:0:0:1"), "192.0.2.20:4789");
    twin.targets = vec![("blue0", known.clone())];
    assert!(look(&mut tables, &mut twin).is_empty(), "what there is at the beginning is no change");
    let moved = target(Some("2:8:20:0:0:1"), "192.0.2.21:4789");
    let asked =
        TargetInfo { state: TargetState::Checking, ..target(Some("2:8:20:0:0:2"), "192.0.2.22:4789") };
    twin.targets = vec![("blue0", moved.clone()), ("blue0", asked)];
    let expected = ["2:8:20:0:0:1 192.0.2.21:4789 known", "2:8:20:0:0:2 192.0.2.22:4789 checking"];
    assert_eq!(look(&mut tables, &mut twin), expected);
    twin.targets = vec![("blue0", TargetInfo { age: 7, ..moved })];
    assert_eq!(look(&mut tables, &mut twin), ["2:8:20:0:0:2"]);
    assert!(look(&mut tables, &mut twin).is_empty());
}

#[test]
fn looking_at_large_tables_takes_a_share_of_the_time() {
    let (mut tables, begun) = (Tables::default(), Instant::now());
    let pause = tables.looked(begun, begun + Duration::from_secs(2));
    assert_eq!(pause, Duration::from_secs(8));
    assert_eq!(tables.time_left(begun + Duration::from_secs(9)), Some(Duration::from_secs(1)));
    assert_eq!(tables.time_left(begun + Duration::from_secs(10)), None);
}
