use super::*;
use crate::plugins::twin::Twin;
use crate::plugins::{Lookup, Plugin};
use overlay_core::property::Properties;

fn lookup(twin: &Twin) -> Box<dyn Lookup> {
    let properties = Properties::check(twin.properties(), &[]).unwrap();
    twin.instantiate(&properties, None).unwrap()
}

#[test]
fn actions_for_the_io_reach_it_and_its_end_is_the_end_of_the_search() {
    let twin = Twin::named("twin");
    let (sender, mut actions) = tokio::sync::mpsc::unbounded_channel();
    let mut search = Search::new(1, lookup(&twin), Some(sender));
    twin.script().next(1, [Action::Io(IoAction::Twin)]);
    search.start(Moment(0), &mut Vec::new());
    assert!(matches!(actions.try_recv(), Ok(IoAction::Twin)));
    search.end(&mut Vec::new());
    assert!(matches!(actions.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Disconnected)));
}

#[test]
fn the_next_moment_is_the_earliest_of_start_alarm_and_questions() {
    let twin = Twin::named("twin");
    let mut search = Search::new(1, lookup(&twin), None);
    let mut outcomes = Vec::new();
    assert_eq!(search.deadline(), None);
    search.start(Moment(5), &mut outcomes);
    assert_eq!((search.deadline(), &outcomes[..]), (None, &[Outcome::Ready][..]));
    let mac = MacAddr([2; 6]);
    let link = overlay_core::types::LinkId(1.try_into().unwrap());
    search.ask(Question::Target { link, mac, source: mac, vid: None }, Moment(7), &mut outcomes);
    assert_eq!(search.deadline(), Some(Moment(7 + PATIENCE)));
    twin.script().next(1, [Action::Alarm(Moment(100))]);
    search.on_event(Event::Reload, Moment(8), &mut outcomes);
    assert_eq!(search.deadline(), Some(Moment(100)));
}

#[test]
fn a_reason_is_one_line_of_bounded_length() {
    assert_eq!(one_line(" a\nb\u{7}c "), "a b c");
    assert_eq!(one_line(&"é".repeat(1000)).chars().count(), REASON_MAX);
}
