//! What the underlay takes, and what the outer header says.

use overlay_core::encap::{Df, Outer};

use super::zones::in_zone;
use super::*;

fn set(name: &str, value: &str) -> Request {
    let properties = vec![Assignment::new(name, value)];
    Request::SetOverlayProperties { overlay: "demo0".parse().unwrap(), properties }
}

/// Makes `demo0` listen on an address, with an MTU, on an underlay; what was said at its activation.
fn overlay(bench: &mut Bench, listen: &str, mtu: &str, underlay: Option<u32>) -> Response {
    bench.driver.engine.underlay = underlay;
    bench.driver.call(VARPD, Request::Attach).unwrap();
    let Ok(Response::Link(link)) = bench.call(with(&[("vxlan/listen_ip", listen), ("mtu", mtu)])) else {
        panic!("no overlay")
    };
    let point = if listen.contains(':') { "[2001:db8::2]:4789" } else { "10.0.0.2:4789" };
    bench.driver.call(VARPD, associate_to(link, point)).unwrap();
    bench.call(Request::ActivateOverlay { name: "demo0".parse().unwrap() }).unwrap()
}

fn shown(bench: &mut Bench, name: &str) -> String {
    let shown = bench.info().properties.into_iter().find(|one| one.spec.name == name);
    let shown = shown.unwrap();
    match shown.given {
        Some(given) => format!("{} by {given}", shown.value.unwrap()),
        None => shown.value.unwrap(),
    }
}

#[test]
fn the_outer_header_changes_while_it_runs_and_stays() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    assert_eq!(bench.driver.engine.outer, Some(Outer::default()));
    for (name, value) in [("vxlan/df", "inherit"), ("vxlan/ttl", "7"), ("vxlan/tos", "inherit")] {
        bench.call(set(name, value)).unwrap();
        assert_eq!(shown(&mut bench, name), value);
    }
    let outer = Outer { df: Df::Inherit, ttl: Some(7), tos: None };
    assert_eq!(bench.driver.engine.outer, Some(outer));
    bench.restarted();
    assert_eq!(bench.driver.engine.outer, Some(outer));
    assert!(bench.refusal(set("vxlan/tos", "3")).contains("not a multiple of 4"));
    assert!(bench.refusal(set("vxlan/listen_port", "1")).contains("does not change"));
}

#[test]
fn an_mtu_is_derived_from_the_underlay_within_its_bounds() {
    for (listen, underlay, expected) in [
        ("10.0.0.1", 1500, 1450),
        ("2001:db8::1", 1500, 1430),
        ("::", 9000, 8900),
        ("10.0.0.1", 65536, 8900),
        ("10.0.0.1", 500, 576),
    ] {
        let mut bench = Bench::new();
        overlay(&mut bench, listen, "auto", Some(underlay));
        assert_eq!(shown(&mut bench, "mtu"), format!("{expected} by auto"));
        bench.call(vnic("foo0", "demo0")).unwrap();
        assert_eq!(bench.device("foo0").mtu.octets(), expected);
    }
}

#[test]
fn a_derived_mtu_is_what_it_was_while_the_underlay_is_not_known() {
    let mut bench = Bench::new();
    overlay(&mut bench, "10.0.0.1", "auto", Some(1480));
    bench.restarted();
    assert_eq!(shown(&mut bench, "mtu"), "1430 by auto");
    bench.restarted_on(Some(1400));
    assert_eq!(shown(&mut bench, "mtu"), "1350 by auto");
    bench.restarted_on(None);
    assert_eq!(shown(&mut bench, "mtu"), "1350 by auto", "the last that was known");
    let mut bench = Bench::new();
    overlay(&mut bench, "10.0.0.1", "auto", None);
    assert_eq!(shown(&mut bench, "mtu"), "1400 by auto");
}

#[test]
fn an_mtu_that_does_not_fit_is_told_at_activation_and_later() {
    for (listen, mtu, underlay, fits) in [
        ("10.0.0.1", "1450", Some(1500), true),
        ("10.0.0.1", "1451", Some(1500), false),
        ("2001:db8::1", "1430", Some(1500), true),
        ("2001:db8::1", "1431", Some(1500), false),
        ("::", "1450", Some(1500), true),
        ("::", "1451", Some(1500), false),
        ("10.0.0.1", "8900", None, true),
    ] {
        let mut bench = Bench::new();
        let said = overlay(&mut bench, listen, mtu, underlay);
        assert_eq!(said == Response::Done, fits, "{listen} {mtu}: {said:?}");
        let later = bench.info();
        assert_eq!((later.status, later.warnings.len()), (Status::Online, usize::from(!fits)));
        if let Response::Warned(warnings) = said {
            assert!(warnings[0].contains("which leaves 14"), "{warnings:?}");
            assert_eq!(warnings, later.warnings);
        }
    }
}

#[test]
fn the_underlay_of_many_overlays_on_one_address_is_asked_for_once() {
    let mut bench = Bench::new();
    for vnetid in 1..10 {
        bench.overlay(&format!("demo{vnetid}"), vnetid);
    }
    bench.driver.engine.underlay_asked.set(0);
    assert_eq!(bench.driver.show_overlays().len(), 9);
    assert_eq!(bench.driver.engine.underlay_asked.get(), 1);
}

#[test]
fn a_change_that_devices_have_not_followed_yet_is_remembered_over_another() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.lose_for_good("foo0");
    for (name, value) in [("mtu", "1300"), ("vxlan/ttl", "7")] {
        bench.call(set(name, value)).unwrap();
    }
    bench.restarted();
    assert_eq!(bench.driver.engine.finished, ["foo0"]);
}

#[test]
fn a_vnic_that_waits_for_its_zone_keeps_no_change_unfinished() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.zones(&["blue"]);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.call(in_zone("foo1", "blue")).unwrap();
    bench.zones(&[]);
    bench.call(set("mtu", "1300")).unwrap();
    for _ in 0..2 {
        bench.restarted();
        assert!(bench.driver.engine.finished.is_empty(), "an MTU that somebody has set by hand stays");
    }
    bench.zones(&["blue"]);
    assert_eq!(bench.device("foo1").mtu.octets(), 1300);
}

#[test]
fn a_change_is_finished_once_the_last_device_has_followed() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    for name in ["foo0", "foo1", "foo2"] {
        bench.call(vnic(name, "demo0")).unwrap();
    }
    bench.lose_for_good("foo1");
    bench.call(set("mtu", "1300")).unwrap();
    bench.restarted();
    assert_eq!(bench.driver.engine.finished.len(), 3);
    bench.restarted();
    assert!(bench.driver.engine.finished.is_empty());
    bench.lose_for_good("foo1");
    bench.call(set("mtu", "1200")).unwrap();
    bench.driver.engine.refuse_device = false;
    bench.driver.mend();
    bench.restarted();
    assert!(bench.driver.engine.finished.is_empty());
}
