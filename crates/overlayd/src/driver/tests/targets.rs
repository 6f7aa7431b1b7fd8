//! Target tables.

use overlay_core::lookup::{About, Octets, Verdict};
use overlay_core::protocol::FixedTarget;

use super::*;

const MAC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);

fn dynamic(link: LinkId) -> Request {
    Request::Associate(Association { link, instance: 1, mode: TargetMode::Dynamic, sources: Sources::Any })
}

fn set_target(target: FixedTarget) -> Request {
    Request::SetTarget { overlay: "demo0".parse().unwrap(), mac: MAC, target }
}

fn to(end: &str) -> FixedTarget {
    FixedTarget::Ends(vec![end.parse().unwrap()])
}

fn question(link: LinkId) -> Question {
    Question::Target { link, mac: MAC, source: MAC, vid: None }
}

impl Bench {
    /// An overlay whose destinations are asked for.
    fn dynamic_overlay(&mut self) -> LinkId {
        let link = self.overlay("demo0", 23);
        self.driver.call(VARPD, dynamic(link)).unwrap();
        self.driver.ask(Room::All);
        self.driver.take_events();
        link
    }

    fn lookups(&mut self) -> Vec<Question> {
        let events = self.driver.take_events().into_iter();
        events
            .flat_map(|(_, event)| match event {
                Event::Lookups(questions) => questions,
                Event::Change(_) => vec![],
                Event::OverlayDeleted(link) => panic!("{link} was deleted"),
            })
            .collect()
    }
}

#[test]
fn a_target_set_by_hand_outlives_a_restart_until_it_is_removed() {
    let mut bench = Bench::new();
    bench.dynamic_overlay();
    bench.call(set_target(to("10.0.0.7:4789"))).unwrap();
    bench.restarted();
    let ends = Ends::One("10.0.0.7:4789".parse().unwrap());
    assert_eq!(bench.driver.engine.fixed, BTreeMap::from([(MAC, Some(ends))]));
    bench.call(set_target(FixedTarget::Drop)).unwrap();
    bench.restarted();
    assert_eq!(bench.driver.engine.fixed, BTreeMap::from([(MAC, None)]));
    let remove = || Request::RemoveTarget { overlay: "demo0".parse().unwrap(), mac: MAC };
    bench.call(remove()).unwrap();
    assert_eq!(bench.refusal(remove()), "overlay demo0 has no target 2:8:20:0:0:1");
    bench.restarted();
    assert!(bench.driver.engine.fixed.is_empty());
}

#[test]
fn flushing_forgets_what_was_set_by_hand_too() {
    let mut bench = Bench::new();
    bench.dynamic_overlay();
    bench.call(set_target(FixedTarget::Drop)).unwrap();
    bench.call(Request::FlushTargets { overlay: "demo0".parse().unwrap() }).unwrap();
    assert!(bench.driver.engine.fixed.is_empty());
    bench.restarted();
    assert!(bench.driver.engine.fixed.is_empty());
}

#[test]
fn targets_that_cannot_be_are_refused() {
    let mut bench = Bench::new();
    bench.dynamic_overlay();
    for (target, why) in [
        (to("10.0.0.7:0"), "10.0.0.7:0 is no tunnel end"),
        (to("0.0.0.0:1"), "0.0.0.0:1 is no tunnel end"),
        (to("[2001:db8::1]:1"), "2001:db8::1 cannot be reached from 10.0.0.1: one is IPv4, the other IPv6"),
        (FixedTarget::Ends(vec![]), "a target goes to 1 to 64 tunnel ends, not 0"),
    ] {
        assert_eq!(bench.refusal(set_target(target)), why);
    }
    assert!(bench.driver.engine.fixed.is_empty());
}

#[test]
fn an_overlay_with_one_destination_has_no_targets_to_change() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    for request in [
        set_target(FixedTarget::Drop),
        Request::RemoveTarget { overlay: "demo0".parse().unwrap(), mac: MAC },
        Request::FlushTargets { overlay: "demo0".parse().unwrap() },
    ] {
        assert_eq!(
            bench.refusal(request),
            "operation not supported: all frames of demo0 go to 10.0.0.2:4789"
        );
    }
}

#[test]
fn properties_of_the_target_table_change_while_it_runs_and_stay() {
    let mut bench = Bench::new();
    bench.dynamic_overlay();
    let set = |name: &str, value: &str| Request::SetOverlayProperties {
        overlay: "demo0".parse().unwrap(),
        properties: vec![Assignment::new(name, value)],
    };
    bench.call(set("target/ageing", "7")).unwrap();
    bench.call(set("target/timeout", "2")).unwrap();
    let timing = Timing { ageing: Some(7000), negative: 1000, timeout: 2000 };
    assert_eq!(bench.driver.engine.timing, Some(timing));
    bench.restarted();
    assert_eq!(bench.driver.engine.timing, Some(timing));
    assert!(bench.refusal(set("target/ageing", "x")).contains("not a whole number"));
    for (name, reason) in [
        ("vxlan/listen_port", "while the overlay is there: the overlay's socket is open with it"),
        ("vnetid", "while the overlay is there: its tunnel ends"),
        ("encap", "while the overlay is there: the overlay's socket and its tunnel ends speak it"),
        ("varpd/id", "property 'varpd/id' is read-only"),
        ("colour", "unknown property 'colour' (known ones: mtu, "),
    ] {
        let refusal = bench.refusal(set(name, "1"));
        assert!(refusal.contains(reason), "{refusal}");
    }
}

#[test]
fn varpd_is_asked_for_the_overlays_that_it_answers_for() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    bench.driver.engine.fresh = vec![question(link), question(LinkId(77.try_into().unwrap()))];
    bench.driver.ask(Room::All);
    assert_eq!(bench.lookups(), [question(link)]);
    bench.driver.closed(VARPD);
    bench.driver.engine.fresh = vec![question(link)];
    bench.driver.ask(Room::All);
    assert!(bench.lookups().is_empty());
}

#[test]
fn what_waits_is_asked_again_when_varpd_is_back() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    bench.driver.closed(VARPD);
    bench.driver.engine.asked = vec![question(link)];
    let again = ConnectionId(3);
    bench.driver.call(again, Request::Attach).unwrap();
    bench.driver.ask(Room::All);
    assert!(bench.lookups().is_empty(), "nothing before it has claimed the overlay");
    bench.driver.call(again, dynamic(link)).unwrap();
    bench.driver.ask(Room::All);
    assert_eq!(bench.lookups(), [question(link)]);
}

#[test]
fn a_varpd_that_takes_no_more_is_asked_later_what_still_waits_then() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    bench.driver.engine.fresh = vec![question(link); 3];
    bench.driver.ask(Room::None);
    assert!(bench.lookups().is_empty());
    bench.driver.engine.asked = vec![question(link)];
    bench.driver.ask(Room::All);
    assert_eq!(bench.lookups(), [question(link)]);
    bench.driver.ask(Room::All);
    assert!(bench.lookups().is_empty(), "once");
}

#[test]
fn a_varpd_that_reads_slowly_is_not_asked_the_same_again_and_again() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    bench.driver.engine.asked = vec![question(link); 3];
    bench.driver.engine.fresh = vec![question(link)];
    bench.driver.ask(Room::None);
    bench.driver.engine.fresh = vec![question(link)];
    bench.driver.ask(Room::Some);
    assert_eq!(bench.lookups().len(), 1, "what is new");
    bench.driver.ask(Room::All);
    assert_eq!(bench.lookups().len(), 3, "and all that waits, once it has taken the rest");
    bench.driver.call(VARPD, dynamic(link)).unwrap();
    bench.driver.ask(Room::All);
    assert!(bench.lookups().is_empty(), "new tunnel ends are no reason to ask again");
}

#[test]
fn whom_an_administrator_sends_to_may_answer() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    let known = Sources::known(["10.0.0.2".parse().unwrap()]);
    let association = Association { link, instance: 1, mode: TargetMode::Dynamic, sources: known.clone() };
    bench.driver.call(VARPD, Request::Associate(association)).unwrap();
    bench.call(set_target(to("10.0.0.7:4789"))).unwrap();
    let both = Sources::known(["10.0.0.2".parse().unwrap(), "10.0.0.7".parse().unwrap()]);
    assert_eq!(bench.driver.engine.sources, Some(both));
    bench.call(Request::FlushTargets { overlay: "demo0".parse().unwrap() }).unwrap();
    assert_eq!(bench.driver.engine.sources, Some(known));
}

#[test]
fn only_the_attached_varpd_answers() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    let answer = Answer { link, about: About::Mac(MAC), verdict: Verdict::Absent };
    let answers = || Request::Answers { answers: vec![answer.clone()] };
    assert!(bench.call(answers()).is_err());
    let inject = |link| Request::Inject { link, frame: Octets(vec![1]) };
    assert!(bench.call(inject(link)).is_err());
    assert!(bench.driver.call(VARPD, inject(LinkId(77.try_into().unwrap()))).is_err());
    bench.driver.call(VARPD, inject(link)).unwrap();
    assert_eq!(bench.driver.engine.injected, [vec![1]]);
    bench.driver.call(VARPD, answers()).unwrap();
    assert_eq!(bench.driver.engine.learned.pop(), Some(answer));
}

#[test]
fn what_an_earlier_varpd_said_is_in_doubt_once_the_next_one_is_there() {
    let mut bench = Bench::new();
    let link = bench.dynamic_overlay();
    bench.driver.engine.learned.clear();
    // The same one speaks again when its tunnel ends change.
    bench.driver.call(VARPD, dynamic(link)).unwrap();
    assert!(bench.driver.engine.learned.is_empty());
    bench.driver.closed(VARPD);
    let next = ConnectionId(3);
    bench.driver.call(next, Request::Attach).unwrap();
    bench.driver.call(next, dynamic(link)).unwrap();
    let doubt = Answer { link, about: About::All, verdict: Verdict::Doubtful };
    assert_eq!(bench.driver.engine.learned, [doubt]);
}
