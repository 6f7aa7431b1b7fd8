//! Changes of properties.

use overlay_core::lookup::{Sources, TargetMode};

use super::*;
use crate::plugins::interface::{Action, Finding, News};
use crate::search::START_MAX;

fn set(bench: &mut Bench, id: u32, name: &str, value: &str) -> Pending {
    let properties = vec![Assignment::new(name, value)];
    bench.ask(Request::SetInstanceProperties { link: link(id), properties })
}

fn value(bench: &mut Bench, name: &str) -> String {
    let instances = bench.instances();
    let property = instances[0].properties.iter().find(|property| property.spec.name == name);
    property.unwrap().value.clone().unwrap()
}

fn on_disk(bench: &Bench) -> String {
    std::fs::read_to_string(bench.scratch.record(1, 1, false)).unwrap()
}

/// With an associated instance of the twin, for link 1; its plugin's first.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench.script.heard();
    bench
}

fn all_doubtful() -> Told {
    told(1, About::All, Verdict::Doubtful)
}

fn source(number: u8) -> Sources {
    Sources::known([[10, 0, 0, number].into()])
}

#[test]
fn direct_goes_elsewhere_while_it_runs() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    let mut pending = set(&mut bench, 1, "direct/dest_ip", "10.0.0.3");
    let association = bench.accept();
    assert_eq!(association.mode, TargetMode::Point("10.0.0.3:4789".parse().unwrap()));
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert!(bench.requests().is_empty());
    let mut bench = bench.restarted();
    bench.attach(&[1], &[]);
    assert_eq!(bench.accept().mode, association.mode);
}

#[test]
fn what_the_driver_does_not_take_leaves_all_as_it_was() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    let before = on_disk(&bench);
    let mut pending = set(&mut bench, 1, "direct/dest_ip", "::1");
    let call = bench.call();
    let error = ControlError::invalid("one is IPv4, the other IPv6");
    bench.reply(call.id, Err(error.clone()));
    assert_eq!(pending.try_recv().unwrap(), Err(error));
    assert_eq!((value(&mut bench, "direct/dest_ip"), on_disk(&bench)), ("10.0.0.2".into(), before));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn wrong_properties_are_refused() {
    let mut bench = bench();
    for (id, name, value, code) in [
        (1, "twin/count", "x", ErrorCode::Invalid),
        (1, "direct/dest_ip", "::1", ErrorCode::Invalid),
        (2, "twin/count", "1", ErrorCode::NotFound),
    ] {
        assert_eq!(set(&mut bench, id, name, value).try_recv().unwrap().unwrap_err().code, code);
    }
    assert!(bench.script.heard().is_empty());
}

#[test]
fn an_instance_that_is_not_active_gets_its_properties_at_once() {
    let mut bench = Bench::new();
    bench.create_twin(1, "never");
    assert_eq!(set(&mut bench, 1, "twin/start", "ready").try_recv().unwrap(), Ok(Response::Done));
    assert!(bench.script.heard().is_empty());
    let mut bench = bench.restarted();
    bench.attach(&[1], &[]);
    bench.associate(1);
}

#[test]
fn a_candidate_takes_the_place_of_what_works_when_it_is_ready() {
    let mut bench = bench();
    let mut pending = set(&mut bench, 1, "twin/start", "wait");
    assert_eq!(bench.script.heard(), [(2, "Started".to_owned())]);
    bench.script.knows(Some(Finding::Absent));
    bench.look_up(vec![target(1, 1)]);
    assert_eq!(bench.answers().len(), 1, "what works goes on");
    assert!(!on_disk(&bench).contains("wait") && pending.try_recv().is_err());
    bench.script.next(2, [Action::Ready]);
    bench.nudge(1, 2);
    assert!(pending.try_recv().is_err(), "answered before the driver's answer");
    assert_eq!(bench.accept().sources, source(2));
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.answers(), [all_doubtful()]);
    assert_eq!(value(&mut bench, "twin/start"), "wait");
    assert!(on_disk(&bench).contains("wait"));
    bench.script.heard();
    bench.nudge(1, 1);
    assert!(bench.script.heard().is_empty(), "news of what was replaced is ignored");
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn a_candidate_that_cannot_work_leaves_all_as_it_was() {
    let mut bench = bench();
    let before = on_disk(&bench);
    let error = set(&mut bench, 1, "twin/start", "no such file").try_recv().unwrap().unwrap_err();
    assert_eq!((error.code, &*error.message), (ErrorCode::Failed, "no such file"));
    let mut pending = set(&mut bench, 1, "twin/start", "wait");
    bench.at(START_MAX);
    assert!(pending.try_recv().unwrap().unwrap_err().message.contains("has not become ready"));
    assert!(bench.requests().is_empty());
    assert_eq!((value(&mut bench, "twin/start"), on_disk(&bench)), ("ready".into(), before));
}

#[test]
fn one_change_is_under_way_at_a_time() {
    let mut bench = bench();
    let mut first = set(&mut bench, 1, "twin/start", "wait");
    let second = set(&mut bench, 1, "twin/count", "2").try_recv().unwrap().unwrap_err();
    assert_eq!(second.code, ErrorCode::Busy);
    bench.script.next(2, [Action::Ready]);
    bench.nudge(1, 2);
    bench.accept();
    assert_eq!(first.try_recv().unwrap(), Ok(Response::Done));
    let mut third = set(&mut bench, 1, "twin/count", "2");
    assert!(third.try_recv().is_err());
}

#[test]
fn an_activation_under_way_is_not_disturbed() {
    let mut bench = Bench::new();
    bench.create_twin(1, "wait");
    let _pending = bench.activate(1);
    assert_eq!(set(&mut bench, 1, "twin/count", "2").try_recv().unwrap().unwrap_err().code, ErrorCode::Busy);
}

#[test]
fn without_a_driver_a_ready_candidate_is_taken_at_once() {
    let mut bench = bench();
    bench.lose();
    assert_eq!(set(&mut bench, 1, "twin/count", "2").try_recv().unwrap(), Ok(Response::Done));
    bench.attach(&[1], &[]);
    assert_eq!(bench.accept().sources, source(2));
}

#[test]
fn a_driver_that_is_lost_while_it_is_asked_is_told_when_it_is_back() {
    let mut bench = bench();
    let mut pending = set(&mut bench, 1, "twin/count", "2");
    assert!(pending.try_recv().is_err());
    bench.lose();
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.states(), [(1, InstanceState::Active)]);
    bench.attach(&[1], &[]);
    assert_eq!(bench.accept().sources, source(2));
}

#[test]
fn a_record_that_cannot_be_written_leaves_what_was_there() {
    let mut bench = bench();
    let mut pending = set(&mut bench, 1, "twin/count", "2");
    bench.break_disk();
    assert_eq!(bench.accept().sources, source(2));
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::Failed);
    assert_eq!(bench.accept().sources, source(1), "the driver is told that it stays");
    assert_eq!(value(&mut bench, "twin/count"), "1");
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn what_a_candidate_says_is_heard_once_it_has_its_place() {
    let mut bench = bench();
    let _pending = set(&mut bench, 1, "twin/start", "wait");
    let end = vec!["10.0.0.7:4789".parse().unwrap()];
    let learned = Action::News(News::Learned(mac(1), end.clone()));
    bench.script.next(2, [Action::Ready, learned, Action::Degrade("half of it".into())]);
    bench.nudge(1, 2);
    bench.accept();
    let requests = bench.requests();
    let answers = vec![all_doubtful(), told(1, About::Mac(mac(1)), Verdict::Learned(end))];
    let degrade = Request::Degrade { link: link(1), message: "half of it".into() };
    assert_eq!(requests, [Request::Answers { answers }, degrade]);
}

#[test]
fn questions_under_way_are_asked_of_what_takes_the_place() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1)]);
    let early = bench.script.asked();
    let _pending = set(&mut bench, 1, "twin/count", "2");
    bench.script.knows(Some(Finding::Absent));
    bench.accept();
    let late = bench.script.asked();
    assert!(late[0].0 > early[0].0 && late[0].1 == early[0].1);
    assert_eq!(bench.answers(), [all_doubtful(), told(1, About::Mac(mac(1)), Verdict::Absent)]);
}

#[test]
fn trouble_of_what_was_replaced_is_over() {
    let mut bench = bench();
    bench.script.next(1, [Action::Degrade("old".into())]);
    bench.nudge(1, 1);
    bench.requests();
    let _pending = set(&mut bench, 1, "twin/count", "2");
    bench.accept();
    assert_eq!(bench.requests()[0], Request::Restore { link: link(1) });
    bench.attach(&[1], &[]);
    bench.accept();
    assert!(bench.requests().is_empty());
}

#[test]
fn other_properties_wake_an_instance_whose_plugin_does_not_work() {
    let bench = bench();
    let text = on_disk(&bench).replace("\"ready\"", "\"no such file\"");
    std::fs::write(bench.scratch.record(1, 1, false), text).unwrap();
    let mut bench = bench.restarted();
    bench.attach(&[1], &[]);
    assert!(matches!(bench.call().request, Request::Degrade { .. }));
    let mut pending = set(&mut bench, 1, "twin/start", "ready");
    bench.accept();
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn trouble_is_told_again_when_what_was_to_end_it_is_not_kept() {
    let bench = bench();
    let text = on_disk(&bench).replace("\"ready\"", "\"no such file\"");
    std::fs::write(bench.scratch.record(1, 1, false), text).unwrap();
    let mut bench = bench.restarted();
    bench.attach(&[1], &[]);
    let degrade = bench.call().request;
    let mut pending = set(&mut bench, 1, "twin/start", "ready");
    let call = bench.call();
    bench.break_disk();
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::Failed);
    assert_eq!(bench.requests(), [Request::Disassociate { link: link(1) }, degrade]);
}

#[test]
fn what_is_ready_anew_while_the_driver_is_asked_for_another_waits_for_its_answer() {
    let mut bench = bench();
    let mut pending = set(&mut bench, 1, "twin/count", "2");
    let call = bench.call();
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    assert!(bench.requests().is_empty());
    bench.reply(call.id, Err(refusal()));
    assert!(pending.try_recv().unwrap().is_err());
    assert_eq!(bench.accept().sources, source(1));
}

#[test]
fn an_instance_that_is_destroyed_answers_the_client_that_changes_it() {
    let mut bench = bench();
    let mut pending = set(&mut bench, 1, "twin/start", "wait");
    bench.destroy(1).unwrap();
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::NotFound);
}
