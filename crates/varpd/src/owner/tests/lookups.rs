//! Questions of the driver, and their answers.

use overlay_core::lookup::Octets;

use super::*;
use crate::plugins::interface::{Action, Finding, Query, Ticket};
use crate::search::{PATIENCE, PENDING_MAX};

fn ends(last: u8) -> Vec<std::net::SocketAddr> {
    vec![([10, 0, 0, last], 4789).into()]
}

fn found(last: u8, end: u8) -> Told {
    told(1, About::Mac(mac(last)), Verdict::Found(ends(end)))
}

fn frame(id: u64) -> Question {
    let mut octets = vec![0xff; 60];
    octets[6..12].copy_from_slice(&mac(0xee).0);
    Question::Frame { link: link(1), id, frame: Octets(octets) }
}

/// With an associated instance of the twin, for link 1.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated_twin(1);
    bench
}

/// What was asked, answered in this order.
fn answer(bench: &mut Bench, findings: impl IntoIterator<Item = (Ticket, Finding)>) {
    let actions = findings.into_iter().map(|(ticket, finding)| Action::Answer(ticket, finding));
    bench.script.next(1, actions);
    bench.nudge(1, 1);
}

#[test]
fn questions_that_can_be_answered_at_once_are_answered_in_one_call() {
    let mut bench = bench();
    bench.script.knows(Some(Finding::Ends(ends(7))));
    bench.look_up((1..=3).map(|last| target(1, last)).collect());
    assert_eq!(bench.answers(), [found(1, 7), found(2, 7), found(3, 7)]);
}

#[test]
fn questions_do_not_wait_for_each_other() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1), target(1, 2), frame(9)]);
    let asked = bench.script.asked();
    assert!(matches!(asked[0].1, Query::Target { vid: None, .. }));
    assert!(bench.requests().is_empty());
    let tickets: Vec<_> = asked.iter().map(|(ticket, _)| *ticket).collect();
    answer(&mut bench, [(tickets[2], Finding::Ends(ends(3))), (tickets[1], Finding::Absent)]);
    let group = told(1, About::Frame(9), Verdict::Found(ends(3)));
    assert_eq!(bench.answers(), [group, told(1, About::Mac(mac(2)), Verdict::Absent)]);
    answer(&mut bench, [(tickets[0], Finding::Unknown)]);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Unknown)]);
}

#[test]
fn a_question_is_answered_once_whatever_the_plugin_says() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1)]);
    let (ticket, _) = bench.script.asked()[0];
    answer(
        &mut bench,
        [(ticket, Finding::Mac(mac(3))), (ticket, Finding::Absent), (Ticket(99), Finding::Absent)],
    );
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(1)), Verdict::Unknown)]);
}

#[test]
fn a_question_under_way_is_not_asked_again() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1), target(1, 1)]);
    bench.lose();
    bench.attach(&[1], &[]);
    bench.accept();
    bench.look_up(vec![target(1, 1)]);
    let asked = bench.script.asked();
    assert_eq!(asked.len(), 1);
    answer(&mut bench, [(asked[0].0, Finding::Ends(ends(2)))]);
    assert_eq!(bench.answers(), [found(1, 2)]);
    bench.look_up(vec![target(1, 1)]);
    assert_eq!(bench.script.asked().len(), 1, "what was answered is asked anew");
}

#[test]
fn frames_of_a_lost_connection_are_forgotten_and_those_of_the_next_asked() {
    let mut bench = bench();
    bench.look_up(vec![frame(1), frame(1)]);
    let early = bench.script.asked();
    assert_eq!(early.len(), 2, "each frame is a question of its own");
    bench.lose();
    bench.attach(&[1], &[]);
    bench.accept();
    bench.look_up(vec![frame(1)]);
    answer(&mut bench, [(early[0].0, Finding::Absent)]);
    assert!(bench.requests().is_empty());
    let (ticket, _) = bench.script.asked()[0];
    answer(&mut bench, [(ticket, Finding::Ends(ends(2)))]);
    assert_eq!(bench.answers(), [told(1, About::Frame(1), Verdict::Found(ends(2)))]);
}

#[test]
fn a_question_without_an_answer_is_given_up_once() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1), frame(5)]);
    let (ticket, _) = bench.script.asked()[0];
    bench.at(10);
    bench.look_up(vec![target(1, 2)]);
    bench.at(PATIENCE - 1);
    assert!(bench.requests().is_empty());
    bench.at(PATIENCE);
    let unknown = |about| told(1, about, Verdict::Unknown);
    assert_eq!(bench.answers(), [unknown(About::Mac(mac(1))), unknown(About::Frame(5))]);
    answer(&mut bench, [(ticket, Finding::Absent)]);
    assert!(bench.requests().is_empty());
    bench.at(PATIENCE + 10);
    assert_eq!(bench.answers(), [unknown(About::Mac(mac(2)))]);
}

#[test]
fn questions_beyond_the_limit_are_not_asked() {
    let mut bench = bench();
    let mac = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr([2, 8, a, b, c, d])
    };
    let question = |number| Question::Target { link: link(1), mac: mac(number), source: mac(0), vid: None };
    bench.look_up((0..PENDING_MAX as u32 + 1).map(question).collect());
    assert_eq!(bench.script.asked().len(), PENDING_MAX);
    assert_eq!(bench.answers(), [told(1, About::Mac(mac(PENDING_MAX as u32)), Verdict::Unknown)]);
}

#[test]
fn an_overlay_without_a_started_instance_is_answered_that_nothing_is_known() {
    let mut bench = bench();
    bench.create_twin(2, "ready");
    bench.look_up(vec![target(2, 1), target(7, 2)]);
    let unknown = |id, last| told(id, About::Mac(mac(last)), Verdict::Unknown);
    assert_eq!(bench.answers(), [unknown(2, 1), unknown(7, 2)]);
    assert!(bench.script.asked().is_empty());
}

#[test]
fn an_instance_that_ends_owes_no_answer() {
    let mut bench = bench();
    bench.look_up(vec![target(1, 1)]);
    bench.destroy(1).unwrap();
    let requests = bench.requests();
    assert_eq!(requests[0], Request::Disassociate { link: link(1) });
    let answers = vec![told(1, About::Mac(mac(1)), Verdict::Unknown)];
    assert_eq!(requests[1], Request::Answers { answers });
}

#[test]
fn many_answers_leave_in_several_calls() {
    let mut bench = bench();
    bench.script.knows(Some(Finding::Absent));
    let mac = |number: u16| MacAddr([2, 8, 0, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
    let question = |number| Question::Target { link: link(1), mac: mac(number), source: mac(0), vid: None };
    bench.look_up((0..2_500).map(question).collect());
    let counts = bench.requests().into_iter().map(|request| match request {
        Request::Answers { answers } => answers.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [1_000, 1_000, 500]);
}
