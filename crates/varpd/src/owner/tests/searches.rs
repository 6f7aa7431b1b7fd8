//! Plugins at work: start, trouble, time and I/O.

use overlay_core::lookup::Sources;

use super::*;
use crate::plugins::interface::{Action, News};
use crate::search::START_MAX;

fn heard(bench: &Bench) -> Vec<(u32, String)> {
    bench.script.heard()
}

#[test]
fn an_activation_waits_for_the_plugin_and_then_for_the_driver() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create_twin(1, "wait");
    assert!(heard(&bench).is_empty(), "nothing is started before it is activated");
    let mut pending = bench.activate(1);
    assert_eq!(heard(&bench), [(1, "Started".to_owned())]);
    assert!(bench.requests().is_empty() && pending.try_recv().is_err());
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    assert!(pending.try_recv().is_err());
    bench.accept();
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
}

#[test]
fn a_plugin_that_cannot_start_fails_the_activation_and_the_next_try_is_a_fresh_one() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create_twin(1, "no such file");
    for number in [1, 2] {
        let error = bench.activate(1).try_recv().unwrap().unwrap_err();
        assert_eq!((error.code, &*error.message), (ErrorCode::Failed, "no such file"));
        assert_eq!(heard(&bench), [(number, "Started".to_owned())]);
        assert_eq!(bench.states(), [(1, InstanceState::Created)]);
    }
    assert!(bench.requests().is_empty());
}

#[test]
fn a_plugin_that_says_nothing_fails_the_activation_in_time() {
    let mut bench = Bench::new();
    bench.create_twin(1, "wait");
    bench.at(100);
    let mut pending = bench.activate(1);
    bench.at(100 + START_MAX - 1);
    assert!(pending.try_recv().is_err());
    bench.at(100 + START_MAX);
    let error = pending.try_recv().unwrap().unwrap_err();
    assert_eq!(error.message, "its search plugin has not become ready for 8 s");
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    assert_eq!(bench.states(), [(1, InstanceState::Created)], "it is too late");
}

#[test]
fn a_starting_instance_that_is_destroyed_answers_its_client() {
    let mut bench = Bench::new();
    bench.create_twin(1, "wait");
    let mut pending = bench.activate(1);
    bench.destroy(1).unwrap();
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::NotFound);
}

/// A varpd that has started again, and its active instance of the twin, which is not ready.
fn waking(start: &str) -> Bench {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    let file = bench.scratch.record(1, 1, false);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace("\"ready\"", &format!("\"{start}\""))).unwrap();
    bench.restarted()
}

#[test]
fn a_restored_instance_is_associated_when_its_plugin_is_ready() {
    let mut bench = waking("wait");
    bench.attach(&[1], &[]);
    assert!(bench.requests().is_empty());
    bench.look_up(vec![target(1, 1)]);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Unknown)]);
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    bench.accept();
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn a_restored_instance_whose_plugin_does_not_work_is_degraded_until_it_does() {
    let mut bench = waking("no such file");
    for _ in 0..2 {
        bench.attach(&[1], &[]);
        assert_eq!(
            bench.requests(),
            [Request::Degrade { link: link(1), message: "no such file".into() }],
            "at every attachment"
        );
    }
    bench.look_up(vec![target(1, 1)]);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Unknown)]);
    assert_eq!(bench.states(), [(1, InstanceState::Active)]);
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    assert_eq!(bench.call().request, Request::Restore { link: link(1) });
    bench.accept();
    bench.attach(&[1], &[]);
    bench.accept();
    assert!(bench.requests().is_empty(), "the trouble is over");
}

#[test]
fn a_restored_instance_whose_plugin_says_nothing_is_degraded_in_time() {
    let mut bench = waking("wait");
    bench.attach(&[1], &[]);
    bench.at(START_MAX);
    assert!(matches!(&bench.requests()[..], [Request::Degrade { .. }]));
}

#[test]
fn trouble_is_told_and_told_again_after_every_association() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    let degrade = Request::Degrade { link: link(1), message: "line 3 of it".into() };
    bench.script.next(1, [Action::Degrade("line 3\nof it".into())]);
    bench.nudge(1, 1);
    assert_eq!(bench.call().request, degrade);
    bench.script.next(1, [Action::Degrade("line 3 of it".into())]);
    bench.nudge(1, 1);
    assert!(bench.requests().is_empty(), "the same trouble is told once");
    bench.lose();
    bench.attach(&[1], &[]);
    bench.accept();
    assert_eq!(bench.call().request, degrade);
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    bench.accept();
    assert_eq!(bench.requests(), [degrade]);
    bench.script.next(1, [Action::Restore]);
    bench.nudge(1, 1);
    assert_eq!(bench.requests(), [Request::Restore { link: link(1) }]);
}

#[test]
fn trouble_that_ends_while_the_driver_is_away_is_not_told() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench.script.next(1, [Action::Degrade("x".into())]);
    bench.nudge(1, 1);
    bench.lose();
    bench.script.next(1, [Action::Restore]);
    bench.nudge(1, 1);
    bench.attach(&[1], &[]);
    bench.accept();
    assert!(bench.requests().is_empty());
}

#[test]
fn a_plugin_that_is_ready_anew_is_associated_with_what_it_knows_then() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench.script.next(1, [Action::Ready]);
    bench.nudge(1, 1);
    assert_eq!(bench.accept().sources, Sources::known(["10.0.0.1".parse().unwrap()]));
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn news_and_announcements_reach_the_driver_in_order() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    let end = "10.0.0.7:4789".parse().unwrap();
    let announce = Action::Announce { ip: "10.1.0.1".parse().unwrap(), mac: mac(1), vid: None };
    let news = [News::Moved(mac(1), vec![end]), News::Learned(mac(2), vec![end]), News::Gone(mac(3))];
    let doubts = [News::Doubtful(mac(4)), News::GroupsDoubtful, News::AllDoubtful];
    let all = news.into_iter().map(Action::News).chain([announce]);
    bench.script.next(1, all.chain(doubts.into_iter().map(Action::News)));
    bench.nudge(1, 1);
    let about = |last| About::Mac(mac(last));
    let requests = bench.requests();
    let answers = |index: usize| match &requests[index] {
        Request::Answers { answers } => answers.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        answers(0),
        [
            told(1, about(1), Verdict::Found(vec![end])),
            told(1, about(2), Verdict::Learned(vec![end])),
            told(1, about(3), Verdict::Absent),
        ]
    );
    assert!(matches!(requests[1], Request::Inject { link: of, .. } if of == link(1)));
    assert_eq!(
        answers(2),
        [
            told(1, about(4), Verdict::Doubtful),
            told(1, About::Groups, Verdict::Doubtful),
            told(1, About::All, Verdict::Doubtful),
        ]
    );
    assert_eq!(requests.len(), 3);
}

#[test]
fn alarms_sound_once_and_the_last_one_counts() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench.script.next(1, [Action::Alarm(Moment(500)), Action::Alarm(Moment(700))]);
    bench.nudge(1, 1);
    heard(&bench);
    bench.at(699);
    assert!(heard(&bench).is_empty());
    bench.at(700);
    bench.at(900);
    assert_eq!(heard(&bench), [(1, "Alarm".to_owned())]);
}

#[test]
fn news_of_what_has_been_replaced_or_ended_is_ignored() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    heard(&bench);
    bench.nudge(1, 7);
    bench.nudge(2, 1);
    bench.destroy(1).unwrap();
    bench.nudge(1, 1);
    assert!(heard(&bench).is_empty());
}

#[test]
fn everything_is_read_again_on_a_hangup() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    heard(&bench);
    bench.take(Message::Reload { outside: vec![] });
    assert_eq!(heard(&bench), [(1, "Reload".to_owned())]);
    assert_eq!(bench.states(), [(1, InstanceState::Associated)], "its plugin goes on without its program");
}

#[test]
fn an_io_that_ends_by_itself_degrades_its_overlay() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench.take(Message::Io { instance: 1, generation: 1, event: None });
    assert!(matches!(&bench.requests()[..], [Request::Degrade { .. }]));
}
