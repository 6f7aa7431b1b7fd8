//! Zones: given, taken back, gone, back again, and devices that somebody has removed.

use std::time::{Duration, Instant};

use overlay_core::protocol::LinkInfo;

use super::link_properties::{reset, set, values};
use super::*;

impl Bench {
    /// What a machine with these zones has besides, after whatever has happened was noticed.
    pub(super) fn zones(&mut self, names: &[&str]) {
        self.driver.engine.zones = names.iter().map(|name| name.parse().unwrap()).collect();
        self.driver.notice(true);
    }

    fn link(&mut self, name: &str) -> LinkInfo {
        let Ok(Response::Links(links)) = self.call(Request::Links) else { panic!("no links") };
        links.into_iter().find(|link| link.name.as_str() == name).unwrap()
    }

    /// The zone that a VNIC is given to, why it has no device, and the zone that its device is in.
    fn place(&mut self, name: &str) -> [String; 3] {
        let link = self.link(name);
        let vnic = link.vnic.unwrap();
        let device = self.driver.engine.devices.get(&link.id);
        let at = device.map(|spec| spec.zone.clone().map_or("host".to_owned(), String::from));
        [vnic.zone.map(String::from), vnic.fault, at].map(Option::unwrap_or_default)
    }
}

/// A VNIC, and the zones blue and green.
fn with_zones() -> Bench {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.zones(&["blue", "green"]);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench
}

pub(super) fn in_zone(name: &str, zone: &str) -> Request {
    let Request::CreateVnic { name, over, mac, vid, temporary, .. } = vnic(name, "demo0") else { panic!() };
    let properties = vec![Assignment::new("zone", zone)];
    Request::CreateVnic { name, over, mac, vid, properties, temporary }
}

const ABSENT: &str = "zone blue is not there";

#[test]
fn a_vnic_is_given_to_a_zone_and_taken_back() {
    let mut bench = with_zones();
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
    for zone in ["blue", "green", "blue"] {
        bench.call(set("foo0", &[("zone", zone), ("maxbw", "100")], false)).unwrap();
        assert_eq!(bench.place("foo0"), [zone, "", zone]);
        assert_eq!(values(&mut bench, "foo0", "zone"), [zone, zone]);
    }
    bench.call(reset("foo0", &["zone"], false)).unwrap();
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
    bench.call(in_zone("foo1", "green")).unwrap();
    assert_eq!(bench.place("foo1"), ["green", "", "green"]);
}

#[test]
fn a_zone_that_is_not_there_is_refused_with_what_there_is_to_do() {
    let mut bench = with_zones();
    for request in [in_zone("foo1", "red"), set("foo0", &[("maxbw", "100"), ("zone", "red")], false)] {
        let refusal = bench.call(request).unwrap_err();
        assert_eq!(refusal.message, "zone red is not there");
        assert_eq!(refusal.hint.as_deref(), Some("make it: ip netns add red"));
    }
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
    assert_eq!(values(&mut bench, "foo0", "maxbw"), ["", ""]);
    assert_eq!(bench.files(), ["demo0.json", "foo0.json"]);
    assert!(bench.refusal(set("foo0", &[("zone", "a/b")], false)).contains("not the name of a network"));
}

#[test]
fn a_change_that_fails_leaves_the_device_where_it_was() {
    let mut bench = with_zones();
    bench.driver.engine.refuse_change = Some("foo0".parse().unwrap());
    bench.call(set("foo0", &[("zone", "blue")], false)).unwrap_err();
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
    bench.restarted();
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
}

#[test]
fn a_zone_that_goes_takes_the_device_and_one_that_comes_back_has_it_again() {
    let mut bench = with_zones();
    bench.call(set("foo0", &[("zone", "blue")], false)).unwrap();
    bench.zones(&["green"]);
    assert_eq!(bench.place("foo0"), ["blue", ABSENT, ""]);
    assert!(bench.degraded().contains("VNIC foo0 has no device: zone blue is not there"));
    assert!(!bench.driver.is_ailing() && bench.driver.minds_zones(), "it waits without trying");
    bench.call(set("foo0", &[("maxbw", "100")], false)).unwrap();
    assert_eq!(bench.place("foo0"), ["blue", ABSENT, ""]);
    bench.zones(&["green", "blue"]);
    assert_eq!(bench.place("foo0"), ["blue", "", "blue"]);
    assert_eq!(bench.info().status, Status::Online);
}

#[test]
fn a_vnic_whose_zone_has_gone_is_taken_back_or_deleted() {
    let mut bench = with_zones();
    for name in ["foo1", "foo2"] {
        bench.call(in_zone(name, "blue")).unwrap();
    }
    bench.zones(&[]);
    bench.call(reset("foo1", &["zone"], false)).unwrap();
    assert_eq!(bench.place("foo1"), ["", "", "host"]);
    bench.call(Request::DeleteVnic { name: "foo2".parse().unwrap(), keep_stored: false }).unwrap();
    assert_eq!(bench.files(), ["demo0.json", "foo0.json", "foo1.json"]);
    assert!(!bench.driver.minds_zones());
}

#[test]
fn a_stored_zone_that_is_not_there_is_waited_for_without_a_device() {
    let mut bench = with_zones();
    bench.call(set("foo0", &[("zone", "blue")], false)).unwrap();
    let link = bench.link("foo0").id;
    bench.booted();
    assert_eq!(bench.place("foo0"), ["blue", ABSENT, ""]);
    assert_eq!(bench.link("foo0").state, LinkState::Down);
    assert_eq!(bench.driver.engine.discarded, [link], "nothing of it is left elsewhere");
    bench.zones(&["blue"]);
    assert_eq!(bench.place("foo0"), ["blue", "", "blue"]);
}

#[test]
fn a_device_that_somebody_has_removed_is_made_again() {
    let mut bench = with_zones();
    let link = bench.link("foo0").id;
    bench.driver.engine.devices.clear();
    assert_eq!(bench.place("foo0"), ["", "it was removed by somebody", ""]);
    bench.driver.engine.lost.push(link);
    bench.driver.notice(false);
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
}

#[test]
fn a_vnic_without_a_device_is_deleted_with_what_an_earlier_run_has_left_of_it() {
    let mut bench = with_zones();
    let link = bench.device("foo0").link;
    bench.lose_for_good("foo0");
    bench.call(Request::DeleteVnic { name: "foo0".parse().unwrap(), keep_stored: false }).unwrap();
    assert_eq!(bench.driver.engine.discarded, [link]);
}

#[test]
fn a_lost_device_of_a_vnic_on_its_way_out_is_not_made_again() {
    let mut bench = with_zones();
    let link = bench.device("foo0").link;
    bench.driver.vnics.get_mut(&link).unwrap().record.deleting = true;
    bench.driver.engine.devices.clear();
    bench.driver.engine.lost.push(link);
    bench.driver.notice(false);
    assert!(bench.driver.engine.devices.is_empty());
}

#[test]
fn a_device_that_is_lost_in_a_change_that_fails_is_made_again() {
    let mut bench = with_zones();
    bench.driver.engine.devices.clear();
    bench.driver.engine.refuse_change = Some("foo0".parse().unwrap());
    bench.driver.engine.refuse_device = true;
    bench.call(set("foo0", &[("zone", "blue")], false)).unwrap_err();
    assert!(bench.driver.is_ailing());
    bench.driver.engine.refuse_device = false;
    bench.driver.mend();
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
}

#[test]
fn who_removes_a_device_again_and_again_does_not_get_another_each_time() {
    let mut bench = with_zones();
    let link = bench.link("foo0").id;
    let mut now = Instant::now();
    let mut made = 0;
    for _ in 0..3000 {
        now += Duration::from_millis(100);
        if bench.driver.engine.devices.remove(&link).is_some() {
            made += 1;
            bench.driver.engine.lost.push(link);
        }
        bench.driver.notice_at(now, false);
        bench.driver.mend_at(now);
    }
    assert!((4..15).contains(&made), "{made} devices in five minutes");
    assert!(bench.place("foo0")[1].contains("again") && bench.driver.is_ailing());
    now += Duration::from_secs(60);
    bench.driver.mend_at(now);
    assert_eq!(bench.place("foo0"), ["", "", "host"]);
}

#[test]
fn what_an_earlier_run_has_left_is_looked_for_everywhere_once() {
    let mut bench = with_zones();
    bench.restarted();
    assert_eq!(bench.driver.engine.wanted, [Existing::Adopt]);
    bench.lose_for_good("foo0");
    bench.driver.mend();
    assert_eq!(bench.driver.engine.wanted, [Existing::Adopt, Existing::Again, Existing::Again]);
}
