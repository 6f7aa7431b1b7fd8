//! Links that are stored and not there.

use std::rc::Rc;

use overlay_core::protocol::StoredLink;

use super::link_properties::{set, values};
use super::*;

pub(super) fn put_away(name: &str) -> [Request; 2] {
    let name: LinkName = name.parse().unwrap();
    [
        Request::DeleteOverlay { name: name.clone(), keep_stored: true },
        Request::DeleteVnic { name, keep_stored: true },
    ]
}

fn up(name: Option<&str>) -> Request {
    Request::UpOverlays { name: name.map(|name| name.parse().unwrap()) }
}

pub(super) fn stored(bench: &mut Bench) -> Vec<(String, bool)> {
    let Ok(Response::StoredLinks(links)) = bench.call(Request::StoredLinks) else { panic!("none") };
    links.into_iter().map(|StoredLink { name, active, .. }| (name.into(), active)).collect()
}

/// An overlay with a VNIC, both of them put away.
fn dormant() -> (Bench, LinkId) {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    let [overlay, _] = put_away("demo0");
    let [_, device] = put_away("foo0");
    assert_eq!(bench.refusal(overlay.clone()), "link busy: VNICs over demo0: foo0");
    bench.call(device).unwrap();
    bench.call(overlay).unwrap();
    (bench, link)
}

#[test]
fn what_is_put_away_is_gone_until_the_next_boot_and_stored() {
    let (mut bench, link) = dormant();
    for _ in 0..2 {
        assert!(bench.links().is_empty() && bench.driver.engine.devices.is_empty());
        assert!(!bench.driver.engine.overlays.contains_key(&link));
        assert_eq!(stored(&mut bench), [("demo0".to_owned(), false), ("foo0".to_owned(), false)]);
        assert_eq!(bench.files(), ["demo0.json", "foo0.json"]);
        assert!(bench.driver.take_events().is_empty(), "varpd keeps the instance");
        bench.restarted();
    }
    bench.booted();
    assert_eq!(bench.links().len(), 2);
    assert_eq!(stored(&mut bench), [("demo0".to_owned(), true), ("foo0".to_owned(), true)]);
}

#[test]
fn varpd_keeps_what_is_put_away_and_it_works_once_it_is_brought_up() {
    let (mut bench, link) = dormant();
    bench.restarted();
    let attached = bench.driver.call(VARPD, Request::Attach).unwrap();
    assert_eq!(attached, Response::Attached { overlays: vec![link], deleted: vec![] });
    bench.driver.call(VARPD, associate(link)).unwrap();
    assert_eq!(bench.call(up(Some("demo0"))), Ok(Response::Done));
    assert_eq!(bench.info().status, Status::Online);
    assert!(bench.driver.engine.is_started(link) && bench.device("foo0").name.as_str() == "foo0");
    assert_eq!(bench.call(up(None)), Ok(Response::Done), "what is there is fine");
    bench.restarted();
    assert_eq!(bench.links().len(), 2);
}

#[test]
fn names_networks_and_addresses_of_what_is_put_away_are_taken() {
    let (mut bench, _) = dormant();
    for (request, problem) in [
        (create("demo0", 24), "a link named demo0 is stored, though it is not there now"),
        (create("foo0", 24), "a link named foo0 is stored, though it is not there now"),
        (
            create("demo1", 23),
            "vnetid 23 of vxlan is used by overlay demo0, which is stored and not there now",
        ),
        (vnic("foo1", "demo0"), "demo0 is stored, and not there now"),
        (set("foo0", &[("priority", "low")], false), "foo0 is stored, and not there now"),
    ] {
        let refusal = bench.call(request).unwrap_err();
        assert_eq!(refusal.message, problem);
        assert!(
            refusal.hint.as_ref().is_some_and(|hint| hint.contains("dladm up-overlay demo0")),
            "{refusal:?}"
        );
    }
    let [_, again] = put_away("foo0");
    assert_eq!(bench.call(again).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(
        bench.refusal(Request::DeleteVnic { name: "demo0".parse().unwrap(), keep_stored: false }),
        "demo0 is not a VNIC"
    );
}

#[test]
fn what_is_put_away_can_be_deleted_for_good() {
    let (mut bench, link) = dormant();
    assert_eq!(bench.refusal(delete_overlay("demo0")), "link busy: stored VNICs over demo0: foo0");
    bench.call(Request::DeleteVnic { name: "foo0".parse().unwrap(), keep_stored: false }).unwrap();
    bench.call(delete_overlay("demo0")).unwrap();
    assert_eq!(bench.driver.take_events(), [(VARPD, Event::OverlayDeleted(link))]);
    assert!(stored(&mut bench).is_empty());
    assert_eq!(bench.files(), ["-deleted.json"]);
}

#[test]
fn what_is_temporary_is_gone_wholly() {
    let mut bench = Bench::new();
    bench.driver.call(VARPD, Request::Attach).unwrap();
    let Request::CreateOverlay { name, encap, vnetid, search, properties, .. } = create("demo0", 23) else {
        unreachable!()
    };
    let request = Request::CreateOverlay { name, encap, vnetid, search, properties, temporary: true };
    let Ok(Response::Link(link)) = bench.call(request) else { panic!("no overlay") };
    bench.driver.call(VARPD, associate(link)).unwrap();
    bench.call(Request::ActivateOverlay { name: "demo0".parse().unwrap() }).unwrap();
    let [overlay, _] = put_away("demo0");
    bench.call(overlay).unwrap();
    assert_eq!(bench.driver.take_events(), [(VARPD, Event::OverlayDeleted(link))]);
    assert!(bench.links().is_empty() && stored(&mut bench).is_empty());
}

#[test]
fn bringing_up_tells_what_fails_and_goes_on() {
    let (mut bench, _) = dormant();
    bench.overlay("demo1", 24);
    bench.driver.engine.refuse_device = true;
    let said = bench.call(up(None)).unwrap();
    let Response::Warned(warnings) = said else { panic!("{said:?}") };
    assert_eq!(warnings, ["VNIC foo0 cannot be brought up: a network device named foo0 exists already"]);
    assert_eq!(bench.links().len(), 3);
    bench.driver.engine.refuse_device = false;
    bench.driver.mend();
    assert!(bench.driver.engine.devices.len() == 1, "it is tried again");
    assert_eq!(bench.call(up(Some("none0"))).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(bench.refusal(up(Some("foo0"))), "foo0 is not an overlay");
}

#[test]
fn a_putting_away_that_a_crash_cut_short_is_finished_and_a_boot_brings_all_back() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    let path = bench.paths.records(Daemon::Overlayd, false).join("foo0.json");
    bench.call(set("foo0", &[("priority", "low")], true)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let ending = text.replace("\"presence\": \"here\"", "\"presence\": \"ending\"");
    assert_ne!(text, ending);
    fs::write(&path, &ending).unwrap();
    bench.restarted();
    assert_eq!(stored(&mut bench)[1], ("foo0".to_owned(), false));
    assert!(fs::read_to_string(&path).unwrap().contains("\"absent\""));
    fs::write(&path, &ending).unwrap();
    bench.booted();
    assert_eq!(stored(&mut bench)[1], ("foo0".to_owned(), true));
    assert_eq!(values(&mut bench, "foo0", "priority"), ["high", ""]);
}

#[test]
fn a_deletion_that_a_crash_cut_short_before_the_record_was_gone_is_forgotten() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    let path = bench.paths.records(Daemon::Overlayd, false).join("-deleted.json");
    fs::write(&path, format!("{{\"version\": 1, \"class\": \"deleted\", \"links\": [{link}]}}")).unwrap();
    bench.restarted();
    assert_eq!(bench.links().len(), 1);
    assert_eq!(bench.files(), ["demo0.json"]);
}

#[test]
fn a_sign_of_life_is_given_after_each_device_that_is_brought_up() {
    let (mut bench, _) = dormant();
    bench.overlay("demo1", 24);
    for number in 1..20 {
        bench.call(vnic(&format!("foo{number}"), "demo1")).unwrap();
        let [_, away] = put_away(&format!("foo{number}"));
        bench.call(away).unwrap();
    }
    let beats = Rc::new(Cell::new(0));
    let count = Rc::clone(&beats);
    bench.driver.show_life(move || count.set(count.get() + 1));
    bench.call(up(None)).unwrap();
    assert!(beats.get() >= 20, "{}", beats.get());
}
