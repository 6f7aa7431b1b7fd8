//! Another name, while the link runs.

use super::dormant::{put_away, stored};
use super::link_properties::{set, values};
use super::*;

fn rename(name: &str, to: &str) -> Request {
    Request::RenameLink { name: name.parse().unwrap(), to: to.parse().unwrap() }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench
}

#[test]
fn a_link_takes_everything_along() {
    let mut bench = bench();
    bench.call(set("foo0", &[("priority", "low")], true)).unwrap();
    let before = bench.device("foo0");
    bench.call(rename("foo0", "bar0")).unwrap();
    bench.call(rename("demo0", "net0")).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.files(), ["bar0.json", "net0.json"]);
        let after = bench.device("bar0");
        assert_eq!((after.link, after.mac, &after.policy), (before.link, before.mac, &before.policy));
        assert_eq!(values(&mut bench, "bar0", "priority"), ["low", ""]);
        assert!(bench.refusal(delete_overlay("net0")).contains("bar0"), "the VNIC knows its overlay");
        bench.restarted();
    }
    bench.overlay("demo0", 24);
    bench.call(vnic("foo0", "demo0")).unwrap();
}

#[test]
fn names_that_cannot_be_are_refused_and_nothing_changes() {
    let mut bench = bench();
    for (name, to, part) in [
        ("foo0", "foo0", "foo0 has that name already"),
        ("foo0", "demo0", "a link named demo0 exists already"),
        ("demo0", "foo0", "a link named foo0 exists already"),
        ("foo0", "foreign0", "a network device named foreign0 exists already"),
        ("foo0", "a-device-name-of-more-than-15-octets0", ""),
        ("foo0", "adevicenameofmore0", "too long"),
        ("none0", "bar0", "there is no link none0"),
    ] {
        let Ok(to) = to.parse() else { continue };
        let refusal = bench.refusal(Request::RenameLink { name: name.parse().unwrap(), to });
        assert!(refusal.contains(part), "{refusal}");
    }
    bench.driver.engine.refuse_change = "bar0".parse().ok();
    assert!(bench.refusal(rename("foo0", "bar0")).contains("held by another program"));
    assert_eq!(bench.files(), ["demo0.json", "foo0.json"]);
    assert_eq!(bench.device("foo0").name.as_str(), "foo0");
}

#[test]
fn a_renaming_that_a_crash_cut_short_is_finished() {
    let mut bench = bench();
    let dir = bench.paths.records(Daemon::Overlayd, false);
    for (old, new) in [("foo0", "bar0"), ("demo0", "net0")] {
        let text = fs::read_to_string(dir.join(format!("{old}.json"))).unwrap();
        let (from, to) =
            (format!("\"name\": \"{old}\""), format!("\"name\": \"{new}\",\n  \"renamed_from\": \"{old}\""));
        fs::write(dir.join(format!("{new}.json")), text.replacen(&from, &to, 1)).unwrap();
    }
    bench.restarted();
    assert_eq!(bench.files(), ["bar0.json", "net0.json"]);
    assert_eq!(bench.driver.engine.finished, ["bar0"]);
    let left = ["bar0.json", "net0.json"].map(|name| fs::read_to_string(dir.join(name)).unwrap());
    assert!(left.iter().all(|text| !text.contains("renamed_from")), "{left:?}");
}

#[test]
fn two_records_that_each_say_they_were_the_other_are_not_both_lost() {
    let mut bench = bench();
    let dir = bench.paths.records(Daemon::Overlayd, false);
    let text = fs::read_to_string(dir.join("foo0.json")).unwrap();
    for (name, was) in [("foo0", "bar0"), ("bar0", "foo0")] {
        let to = format!("\"name\": \"{name}\",\n  \"renamed_from\": \"{was}\"");
        fs::write(dir.join(format!("{name}.json")), text.replacen("\"name\": \"foo0\"", &to, 1)).unwrap();
    }
    bench.restarted();
    assert_eq!(bench.links().len(), 2);
    assert_eq!(bench.files(), ["bar0.json", "demo0.json", "foo0.bad"]);
}

#[test]
fn another_link_that_has_the_old_name_by_now_is_not_the_older_self() {
    let mut bench = bench();
    bench.call(rename("foo0", "bar0")).unwrap();
    bench.call(vnic("foo0", "demo0")).unwrap();
    let path = bench.paths.records(Daemon::Overlayd, false).join("bar0.json");
    let text = fs::read_to_string(&path).unwrap();
    let to = "\"name\": \"bar0\",\n  \"renamed_from\": \"foo0\"";
    fs::write(&path, text.replacen("\"name\": \"bar0\"", to, 1)).unwrap();
    bench.restarted();
    assert_eq!(bench.links().len(), 3);
}

#[test]
fn what_is_stored_and_not_there_is_renamed_too() {
    let mut bench = bench();
    let [_, away] = put_away("foo0");
    bench.call(away).unwrap();
    bench.call(rename("foo0", "bar0")).unwrap();
    assert_eq!(stored(&mut bench), [("bar0".to_owned(), false), ("demo0".to_owned(), true)]);
    bench.booted();
    assert_eq!(bench.device("bar0").name.as_str(), "bar0");
}

/// Puts a directory where a record was: it cannot be removed as a file.
fn obstruct(bench: &Bench, name: &str) -> PathBuf {
    let path = bench.paths.records(Daemon::Overlayd, false).join(format!("{name}.json"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn an_older_self_that_cannot_be_removed_is_remembered_until_it_is_gone() {
    let mut bench = bench();
    for (name, to) in [("foo0", "bar0"), ("demo0", "net0")] {
        let older =
            fs::read(bench.paths.records(Daemon::Overlayd, false).join(format!("{name}.json"))).unwrap();
        let path = obstruct(&bench, name);
        bench.call(rename(name, to)).unwrap();
        fs::remove_dir(&path).unwrap();
        fs::write(&path, older).unwrap();
    }
    let dir = bench.paths.records(Daemon::Overlayd, false);
    for name in ["bar0.json", "net0.json"] {
        assert!(fs::read_to_string(dir.join(name)).unwrap().contains("renamed_from"));
    }
    bench.restarted();
    assert_eq!(bench.files(), ["bar0.json", "net0.json"]);
}

#[test]
fn deletion_takes_an_older_self_along() {
    let mut bench = bench();
    let path = obstruct(&bench, "foo0");
    bench.call(rename("foo0", "bar0")).unwrap();
    let delete = || Request::DeleteVnic { name: "bar0".parse().unwrap(), keep_stored: false };
    assert!(bench.refusal(delete()).contains("cannot remove the stored foo0"));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    bench.call(delete()).unwrap();
    assert_eq!(bench.files(), ["demo0.json"]);
}

#[test]
fn a_renaming_that_the_device_has_not_followed_is_finished_once_it_is_there() {
    let mut bench = bench();
    bench.lose_for_good("foo0");
    bench.call(rename("foo0", "bar0")).unwrap();
    assert_eq!(bench.files(), ["bar0.json", "demo0.json"]);
    bench.driver.engine.refuse_device = false;
    bench.driver.mend();
    assert_eq!(bench.driver.engine.wanted.last(), Some(&Existing::Again), "which gives it its name");
    bench.restarted();
    assert!(bench.driver.engine.finished.is_empty());
}

#[test]
fn a_link_that_has_an_older_name_by_now_keeps_its_record() {
    let mut bench = bench();
    bench.lose_for_good("foo0");
    bench.call(rename("foo0", "bar0")).unwrap();
    bench.driver.engine.refuse_device = false;
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.driver.mend();
    assert_eq!(bench.files(), ["bar0.json", "demo0.json", "foo0.json"]);
}
