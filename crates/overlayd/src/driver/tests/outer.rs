//! What the outer header says.

use overlay_core::encap::{Df, Outer};

use super::*;

fn set(name: &str, value: &str) -> Request {
    let properties = vec![Assignment::new(name, value)];
    Request::SetOverlayProperties { overlay: "demo0".parse().unwrap(), properties }
}

fn shown(bench: &mut Bench, name: &str) -> String {
    let shown = bench.info().properties.into_iter().find(|one| one.spec.name == name);
    shown.and_then(|one| one.value).unwrap()
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
