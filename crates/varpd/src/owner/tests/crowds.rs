//! More than the driver takes, or before it takes anything.

use overlay_core::lookup::Sources;

use super::*;
use crate::owner::link::CROWD;
use crate::plugins::interface::{Action, Finding, News};
use crate::weight;

fn ends(count: usize) -> Vec<std::net::SocketAddr> {
    vec![([10, 0, 0, 7], 4789).into(); count]
}

fn all_doubtful() -> Told {
    told(1, About::All, Verdict::Doubtful)
}

/// With an associated instance of the twin, for link 1, which has told of more than the driver has read.
fn crowded() -> Bench {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    for _ in 0..2 * CROWD / weight::verdict(&Verdict::Found(ends(4_096))) {
        tell(&mut bench, [Action::News(News::Moved(mac(1), ends(4_096)))]);
    }
    bench
}

fn tell(bench: &mut Bench, actions: impl IntoIterator<Item = Action>) {
    bench.script.next(1, actions);
    bench.nudge(1, 1);
}

#[test]
fn news_for_ever_become_one_doubt_when_the_driver_does_not_read() {
    let mut bench = crowded();
    let answers = vec![all_doubtful()];
    let requests = bench.catch_up();
    let octets: usize = requests.iter().map(weight::call).sum();
    assert!(octets <= CROWD + overlay_core::protocol::LINE_MAX, "{octets}");
    assert_eq!(bench.requests(), [Request::Answers { answers }]);
    tell(&mut bench, [Action::News(News::Gone(mac(2)))]);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(2)), Verdict::Absent)]);
}

#[test]
fn questions_are_answered_though_the_driver_does_not_read() {
    let mut bench = crowded();
    bench.script.knows(Some(Finding::Absent));
    bench.look_up(vec![target(1, 1)]);
    let answers = vec![told(1, About::Mac(mac(1)), Verdict::Absent)];
    assert_eq!(bench.requests().last(), Some(&Request::Answers { answers }));
}

#[test]
fn trouble_that_changes_for_ever_is_told_as_it_is_when_the_driver_reads_again() {
    let mut bench = crowded();
    for number in 0..1_000 {
        tell(&mut bench, [Action::Degrade(number.to_string())]);
    }
    let degradations = |requests: &[Request]| {
        requests.iter().filter(|request| matches!(request, Request::Degrade { .. })).count()
    };
    assert_eq!(degradations(&bench.catch_up()), 0);
    assert_eq!(bench.requests()[0], Request::Degrade { link: link(1), message: "999".into() });
}

#[test]
fn announcements_beyond_what_the_driver_reads_are_lost() {
    let mut bench = crowded();
    bench.requests();
    tell(&mut bench, [Action::Announce { ip: "10.1.0.1".parse().unwrap(), mac: mac(1), vid: None }]);
    assert!(bench.requests().is_empty());
}

#[test]
fn a_plugin_that_is_ready_for_ever_is_associated_once_at_a_time() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    tell(&mut bench, (0..100).map(|_| Action::Ready));
    bench.accept();
    bench.accept();
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn an_activation_that_the_driver_refuses_leaves_nothing_there_though_the_plugin_is_ready_twice() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create_twin(1, "ready");
    let mut pending = bench.activate(1);
    tell(&mut bench, [Action::Ready]);
    let call = bench.call();
    bench.reply(call.id, Err(refusal()));
    assert_eq!(pending.try_recv().unwrap(), Err(refusal()));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Created)]);
}

#[test]
fn what_a_plugin_says_with_its_being_ready_is_told_after_the_doubt_of_everything() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create_twin(1, "wait");
    let mut pending = bench.activate(1);
    tell(&mut bench, [Action::Ready, Action::News(News::Learned(mac(1), ends(1)))]);
    let call = bench.call();
    assert!(bench.requests().is_empty(), "told before the driver has the instance");
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.answers(), [all_doubtful(), told(1, About::Mac(mac(1)), Verdict::Learned(ends(1)))]);
    bench.greets = false;
    tell(&mut bench, [Action::Ready, Action::News(News::Gone(mac(1)))]);
    assert_eq!(bench.accept().sources, Sources::known(["10.0.0.1".parse().unwrap()]));
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Absent)], "it has been greeted");
}
