use super::*;
use overlay_core::protocol::{Change, LinkClass};

const WATCHER: ConnectionId = ConnectionId(7);

impl Bench {
    fn watched() -> Self {
        let mut bench = Self::new();
        bench.driver.call(WATCHER, Request::Watch).unwrap();
        bench
    }

    /// What has been told since this was last asked, in JSON.
    fn told(&mut self) -> Vec<Change> {
        self.driver.look_again();
        let events = self.driver.take_events().into_iter().filter(|(to, _)| *to == WATCHER);
        let changes = events.map(|(_, event)| match event {
            Event::Change(change) => change,
            other => panic!("{other:?}"),
        });
        changes.collect()
    }
}

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

#[test]
fn the_life_of_links_is_told() {
    let mut bench = Bench::watched();
    bench.overlay("demo0", 23);
    let told = bench.told();
    let added = |link, class, state| Change::LinkAdded { link: name(link), class, state };
    assert_eq!(told, [added("demo0", LinkClass::Overlay, LinkState::Up)], "once its creation is finished");
    bench.call(vnic("foo0", "demo0")).unwrap();
    assert_eq!(bench.told(), [added("foo0", LinkClass::Vnic, LinkState::Up)]);
    bench.call(Request::DeleteVnic { name: name("foo0"), keep_stored: false }).unwrap();
    assert_eq!(bench.told(), [Change::LinkRemoved { link: name("foo0"), class: LinkClass::Vnic }]);
}

#[test]
fn what_is_wrong_and_what_is_set_is_told_once() {
    let mut bench = Bench::watched();
    let link = bench.overlay("demo0", 23);
    bench.told();
    let degrade = || Request::Degrade { link, message: "no file".into() };
    bench.driver.call(VARPD, degrade()).unwrap();
    let degraded = Change::Degraded { link: name("demo0"), details: "no file".into() };
    assert_eq!(bench.told(), [degraded]);
    bench.driver.call(VARPD, degrade()).unwrap();
    bench.driver.look();
    assert!(bench.told().is_empty());
    bench.driver.call(VARPD, Request::Restore { link }).unwrap();
    assert_eq!(bench.told(), [Change::Restored { link: name("demo0") }]);
    let properties = vec![Assignment::new("vxlan/ttl", "9")];
    bench.call(Request::SetOverlayProperties { overlay: name("demo0"), properties }).unwrap();
    let property =
        Change::Property { link: name("demo0"), property: "vxlan/ttl".into(), value: Some("9".into()) };
    assert_eq!(bench.told(), [property]);
}

#[test]
fn what_changes_by_itself_is_told_at_the_next_look() {
    let mut bench = Bench::watched();
    bench.overlay("demo0", 23);
    bench.told();
    bench.driver.closed(VARPD);
    bench.driver.look();
    assert!(
        matches!(&bench.told()[..], [Change::Degraded { details, .. }] if details.contains("varpd is gone"))
    );
}

#[test]
fn who_has_gone_is_told_nothing() {
    let mut bench = Bench::watched();
    bench.driver.closed(WATCHER);
    assert!(!bench.driver.is_watched());
    bench.overlay("demo0", 23);
    assert!(bench.told().is_empty());
}

#[test]
fn who_only_reads_makes_nobody_look_and_an_address_is_checked_once() {
    let mut bench = Bench::watched();
    for vnetid in 1..10 {
        bench.overlay(&format!("demo{vnetid}"), vnetid);
        bench.call(vnic(&format!("foo{vnetid}"), &format!("demo{vnetid}"))).unwrap();
    }
    bench.told();
    bench.driver.engine.underlay_checked.set(0);
    bench.driver.watch.stale = true;
    bench.told();
    assert_eq!(bench.driver.engine.underlay_checked.get(), 1, "there is one address");
    bench.driver.engine.underlay_checked.set(0);
    bench.call(Request::StoredLinks).unwrap();
    bench.told();
    assert_eq!(bench.driver.engine.underlay_checked.get(), 0);
}
