use std::path::PathBuf;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::types::{MacAddr, Moment};
use proptest::prelude::*;

use crate::plugins::interface::{Action, Event, Finding, IoAction, IoEvent, News, Query, Ticket};
use crate::plugins::program::launch::{Guard, Launch};
use crate::plugins::program::machine::{Machine, START};
use crate::plugins::program::message::LINE_MAX;
use crate::plugins::program::questions::{PATIENCE, QUESTIONS_MAX};
use crate::plugins::program::runner::Runner;
use crate::plugins::program::{ProgramAction, ProgramEvent, answers_every_question};
use crate::plugins::{Lookup, Mode};

const MAC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
const READY: &str = r#"{"ready":{"sources":["10.0.0.2"]}}"#;

/// An instance, its clock, and what it wants in words.
struct Scene {
    machine: Machine,
    now: u64,
}

impl Scene {
    fn of(mode: Mode) -> Self {
        let runner = Runner::new("x", "x", Launch::new(PathBuf::from("/"), Guard::Open));
        Self { machine: Machine::new(runner, mode, b"START\n".to_vec()), now: 0 }
    }

    fn starting() -> Self {
        let mut scene = Self::of(Mode::Dynamic);
        scene.on(Event::Started);
        scene
    }

    fn running() -> Self {
        let mut scene = Self::starting();
        scene.says(READY);
        scene
    }

    /// One whose first run has just ended.
    fn resting() -> Self {
        let mut scene = Self::running();
        scene.ends("it ended");
        scene
    }

    fn on(&mut self, event: Event) -> Vec<String> {
        let mut actions = Vec::new();
        self.machine.on_event(event, Moment(self.now), &mut actions);
        actions.iter().map(word).collect()
    }

    fn says(&mut self, line: &str) -> Vec<String> {
        let octets = format!("{line}\n").into_bytes();
        self.on(Event::Io(IoEvent::Program(ProgramEvent::Output(octets))))
    }

    fn ends(&mut self, why: &str) -> Vec<String> {
        self.on(Event::Io(IoEvent::Program(ProgramEvent::Ended(why.to_owned()))))
    }

    fn ask(&mut self, ticket: u64) -> Vec<String> {
        self.on(Event::Ask(Ticket(ticket), Query::Target { mac: MAC, source: MAC, vid: None }))
    }

    fn resolve(&mut self, ticket: u64) -> Vec<String> {
        let ip = "10.8.0.1".parse().unwrap();
        self.on(Event::Ask(Ticket(ticket), Query::Resolve { ip, asker: MAC, vid: None }))
    }

    fn alarm_at(&mut self, now: u64) -> Vec<String> {
        self.now = now;
        self.on(Event::Alarm)
    }
}

fn word(action: &Action) -> String {
    match action {
        Action::Ready => "ready".into(),
        Action::Answer(ticket, finding) => format!("answer {} {finding:?}", ticket.0),
        Action::News(news) => format!("{news:?}"),
        Action::Announce { ip, mac, .. } => format!("announce {ip} {mac}"),
        Action::Degrade(text) => format!("degrade {text}"),
        Action::Restore => "restore".into(),
        Action::Alarm(moment) => format!("alarm {}", moment.0),
        Action::Io(IoAction::Program(action)) => match action {
            ProgramAction::Spawn => "spawn".into(),
            ProgramAction::Send(line) => format!("send {}", String::from_utf8_lossy(line).trim_end()),
            ProgramAction::More => "more".into(),
            ProgramAction::Kill => "kill".into(),
            ProgramAction::Log(line) => format!("log {line}"),
        },
        other => format!("{other:?}"),
    }
}

/// What an instance says that begins its program again after `seconds`.
fn degrade(why: &str, seconds: &str) -> String {
    format!("degrade search plugin x: {why}; started again in {seconds} s")
}

#[test]
fn stopped_started_starting() {
    let mut scene = Scene::of(Mode::Dynamic);
    assert_eq!(scene.on(Event::Started), ["spawn", "send START", "alarm 7000"]);
}

#[test]
fn starting_ready_running() {
    let mut scene = Scene::starting();
    assert_eq!(scene.says(READY), ["ready", "more"]);
    assert_eq!(scene.machine.target(), TargetMode::Dynamic);
    assert_eq!(scene.machine.sources(), Sources::known(["10.0.0.2".parse().unwrap()]));
}

#[test]
fn starting_late_ending() {
    let mut scene = Scene::starting();
    assert_eq!(scene.alarm_at(START), [&degrade("it was not ready after 7 s", "0.25"), "kill"]);
    assert_eq!(scene.says(READY), [""; 0]);
}

#[test]
fn starting_ended_resting() {
    let mut scene = Scene::starting();
    let why = "it ended with exit status 1 (no such file)";
    assert_eq!(scene.ends(why), [&degrade(why, "0.25"), "alarm 250"]);
}

#[test]
fn starting_wrong_ready_ending() {
    for wrong in [r#""any","point":"10.0.0.2:1""#, r#"["224.0.0.1"]"#] {
        let said = Scene::starting().says(&format!("{{\"ready\":{{\"sources\":{wrong}}}}}"));
        assert!(said[0].starts_with("degrade search plugin x: its 'ready' is wrong: "), "{said:?}");
        assert_eq!(said[1..], ["kill"]);
    }
}

#[test]
fn running_ended_resting() {
    let mut scene = Scene::running();
    scene.ask(7);
    assert_eq!(scene.ends("it ended"), ["answer 7 Unknown", &degrade("it ended", "0.25"), "alarm 250"]);
}

#[test]
fn running_silent_ending() {
    let mut scene = Scene::running();
    scene.ask(7);
    scene.now = 1000;
    scene.ask(8);
    let expected = ["answer 8 Unknown", &degrade("it has not answered for 5 s", "0.25"), "kill"];
    scene.says(r#"{"answer":{"id":1,"unknown":true}}"#);
    assert_eq!(scene.alarm_at(PATIENCE), ["alarm 6000"]);
    assert_eq!(scene.alarm_at(6000), expected);
}

#[test]
fn running_endless_line_ending() {
    let mut scene = Scene::running();
    let said = scene.says(&"a".repeat(LINE_MAX + 1));
    assert_eq!(said, [&degrade("a line is longer than 1048576 octets", "0.25"), "kill"]);
}

#[test]
fn running_wrong_too_often_ending() {
    let mut scene = Scene::running();
    let first = scene.says("garbage");
    assert!(first[0].starts_with("log a line is passed over") && first[1] == "more", "{first:?}");
    (0..99).for_each(|_| assert_eq!(scene.says("garbage"), ["more"]));
    let last = scene.says("garbage");
    assert!(last[0].contains("more than 100 of its lines are wrong") && last[1] == "kill", "{last:?}");
}

#[test]
fn ending_ended_resting() {
    let mut scene = Scene::starting();
    scene.alarm_at(START);
    assert_eq!(scene.ends("it was killed"), ["alarm 7250"]);
}

#[test]
fn resting_alarm_starting() {
    let mut scene = Scene::resting();
    assert_eq!(scene.alarm_at(249), ["alarm 250"]);
    assert_eq!(scene.alarm_at(250), ["spawn", "send START", "alarm 7250"]);
}

#[test]
fn resting_reload_starting() {
    let mut scene = Scene::resting();
    assert_eq!(scene.on(Event::Reload), ["spawn", "send START"]);
    assert_eq!(scene.ends("it died"), [degrade("it died", "0.25")], "the rest is a first one again");
}

#[test]
fn running_hears_that_it_is_associated_and_nobody_else() {
    assert_eq!(Scene::running().on(Event::Associated), ["send {\"associated\":{}}"]);
    assert_eq!(Scene::starting().on(Event::Associated), [""; 0]);
    assert_eq!(Scene::resting().on(Event::Associated), [""; 0]);
}

#[test]
fn starting_and_running_reload_tells_the_program() {
    assert_eq!(Scene::starting().on(Event::Reload), ["send {\"reload\":{}}"]);
    assert_eq!(Scene::running().on(Event::Reload), ["send {\"reload\":{}}"]);
}

#[test]
fn a_program_that_is_back_restores_and_puts_in_doubt_what_it_said() {
    let mut scene = Scene::resting();
    scene.alarm_at(250);
    assert_eq!(scene.says(READY), ["restore", "ready", "AllDoubtful", "more"]);
}

#[test]
fn questions_while_it_is_down_are_answered_at_once() {
    for mut scene in [Scene::of(Mode::Dynamic), Scene::starting(), Scene::resting()] {
        assert_eq!(scene.ask(7), ["answer 7 Unknown"]);
    }
}

#[test]
fn rests_grow_until_it_has_run_well_for_a_minute() {
    let mut scene = Scene::starting();
    for seconds in ["0.25", "0.5", "1", "2"] {
        scene.says(READY);
        assert!(scene.ends("it ended").contains(&degrade("it ended", seconds)), "{seconds}");
        let later = scene.now + 10_000;
        scene.alarm_at(later);
    }
    scene.says(READY);
    scene.now += 60_000;
    assert!(scene.ends("it ended").contains(&degrade("it ended", "0.25")));
}

#[test]
fn questions_and_answers_go_by_number() {
    let mut scene = Scene::running();
    let asked = scene.ask(70);
    let target = r#"{"mac":"2:8:20:0:0:1","source":"2:8:20:0:0:1"}"#;
    assert_eq!(asked, [format!("send {{\"ask\":{{\"id\":1,\"target\":{target}}}}}"), "alarm 5000".into()]);
    assert_eq!(scene.resolve(71).len(), 1, "one alarm for all");
    let said = scene.says(r#"{"answer":{"id":2,"mac":"2:8:20:0:0:1"}}"#);
    assert_eq!(said[0], format!("answer 71 {:?}", Finding::Mac(MAC)));
    let said = scene.says(r#"{"answer":{"id":1,"ends":["10.0.0.2:4789"]}}"#);
    assert_eq!(said[0], "answer 70 Ends([10.0.0.2:4789])");
}

#[test]
fn an_answer_to_nothing_and_a_second_one_are_passed_over() {
    let mut scene = Scene::running();
    scene.ask(7);
    scene.says(r#"{"answer":{"id":1,"absent":true}}"#);
    let again = scene.says(r#"{"answer":{"id":1,"absent":true}}"#);
    assert!(again[0].ends_with("no question 1 is open") && again[1..] == ["more"], "{again:?}");
    assert_eq!(scene.says(r#"{"answer":{"id":99,"absent":true}}"#), ["more"]);
}

#[test]
fn an_illegal_answer_is_none() {
    let mut scene = Scene::running();
    scene.ask(7);
    let said = scene.says(r#"{"answer":{"id":1,"ends":["10.0.0.2:0"]}}"#);
    assert_eq!(said[0], "answer 7 Unknown");
    assert!(said[1].contains("question 1: 10.0.0.2:0 has no port"), "{said:?}");
}

#[test]
fn more_questions_than_there_is_room_for_are_answered_at_once() {
    let mut scene = Scene::running();
    (0..QUESTIONS_MAX as u64).for_each(|ticket| assert!(scene.ask(ticket)[0].starts_with("send ")));
    assert_eq!(scene.ask(1_000_000), ["answer 1000000 Unknown"]);
}

#[test]
fn news_pass_on_once_it_is_ready() {
    let moved = r#"{"moved":{"mac":"2:8:20:0:0:1","ends":["10.0.0.2:4789"]}}"#;
    assert!(Scene::starting().says(moved)[0].contains("before it is ready"));
    let ends = vec!["10.0.0.2:4789".parse().unwrap()];
    for (line, news) in [
        (moved, News::Moved(MAC, ends.clone())),
        (&moved.replace("moved", "learned"), News::Learned(MAC, ends)),
        (r#"{"gone":{"mac":"2:8:20:0:0:1"}}"#, News::Gone(MAC)),
        (r#"{"doubtful":{"mac":"2:8:20:0:0:1"}}"#, News::Doubtful(MAC)),
        (r#"{"doubtful":{"groups":true}}"#, News::GroupsDoubtful),
        (r#"{"doubtful":{"all":true}}"#, News::AllDoubtful),
    ] {
        assert_eq!(Scene::running().says(line), [format!("{news:?}"), "more".into()]);
    }
    let announce = r#"{"announce":{"ip":"10.8.0.1","mac":"2:8:20:0:0:1"}}"#;
    assert_eq!(Scene::running().says(announce), ["announce 10.8.0.1 2:8:20:0:0:1", "more"]);
}

#[test]
fn what_it_complains_of_is_told_until_it_does_not() {
    let mut scene = Scene::starting();
    let complaint = r#"{"degrade":{"message":"no\u001b table"}}"#;
    assert_eq!(scene.says(complaint), [r"degrade search plugin x: no\u{1b} table", "more"]);
    assert_eq!(scene.says(complaint), ["more"]);
    assert_eq!(scene.says(READY), ["ready", "more"], "being ready is not being well");
    assert_eq!(scene.says(r#"{"restore":{}}"#), ["restore", "more"]);
}

#[test]
fn a_change_of_who_may_send_is_told_and_a_repetition_is_not() {
    let mut scene = Scene::running();
    assert_eq!(scene.says(READY), ["more"]);
    assert_eq!(scene.says(r#"{"ready":{"sources":"any"}}"#), ["ready", "more"]);
    assert_eq!(scene.machine.sources(), Sources::Any);
}

#[test]
fn a_point_program_names_one_destination_and_is_asked_nothing() {
    let mut scene = Scene::of(Mode::Point);
    scene.on(Event::Started);
    let ready = r#"{"ready":{"sources":"any","point":"10.0.0.2:4789"}}"#;
    assert_eq!(scene.says(ready), ["ready", "more"]);
    assert_eq!(scene.machine.target(), TargetMode::Point("10.0.0.2:4789".parse().unwrap()));
    assert_eq!(scene.ask(7), ["answer 7 Unknown"]);
    assert!(scene.says(r#"{"doubtful":{"all":true}}"#)[0].starts_with("log "));
    scene.ends("it ended");
    scene.alarm_at(250);
    assert_eq!(scene.says(ready), ["restore", "ready", "more"]);
}

/// Something that can happen.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    Reload,
    Associated,
    Alarm,
    Says(Vec<u8>),
    Ends,
    Waits(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let line = prop_oneof![
        Just(READY.to_owned()),
        (0..30u64).prop_map(|id| format!(r#"{{"answer":{{"id":{id},"absent":true}}}}"#)),
        (0..30u64).prop_map(|id| format!(r#"{{"answer":{{"id":{id},"ends":["10.0.0.2:1"]}}}}"#)),
        "\\PC{0,40}",
    ];
    prop_oneof![
        4 => Just(Step::Ask),
        1 => Just(Step::Reload),
        1 => Just(Step::Associated),
        2 => Just(Step::Alarm),
        6 => line.prop_map(|line| Step::Says(format!("{line}\n").into_bytes())),
        2 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Step::Says),
        1 => Just(Step::Ends),
        2 => (0..12_000u64).prop_map(Step::Waits),
    ]
}

proptest! {
    #[test]
    fn every_question_is_answered_once_whatever_happens(steps in prop::collection::vec(step(), 0..120)) {
        let mut scene = Scene::starting();
        let mut asked = 0;
        let mut said = Vec::new();
        for step in steps {
            said.extend(match step {
                Step::Ask => {
                    asked += 1;
                    scene.ask(asked)
                }
                Step::Reload => scene.on(Event::Reload),
                Step::Associated => scene.on(Event::Associated),
                Step::Alarm => scene.on(Event::Alarm),
                Step::Says(octets) => scene.on(Event::Io(IoEvent::Program(ProgramEvent::Output(octets)))),
                Step::Ends => scene.ends("it ended"),
                Step::Waits(time) => {
                    scene.now += time;
                    vec![]
                }
            });
        }
        said.extend(scene.ends("it ended"));
        let answers = said.iter().filter_map(|action| action.strip_prefix("answer "));
        let mut tickets: Vec<u64> =
            answers.map(|answer| answer.split(' ').next().unwrap().parse().unwrap()).collect();
        tickets.sort_unstable();
        prop_assert_eq!(tickets, (1..=asked).collect::<Vec<_>>());
    }

    #[test]
    fn any_output_is_survived(octets in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(answers_every_question(&octets));
    }
}
