//! An entry for fuzzing: any octets as the output of a program.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use overlay_core::types::{MacAddr, Moment};

use super::ProgramEvent;
use super::launch::{Guard, Launch};
use super::machine::Machine;
use super::runner::Runner;
use crate::plugins::interface::{Action, Event, IoEvent, Query, Ticket};
use crate::plugins::{Lookup, Mode};

const QUESTIONS: u64 = 16;

/// Whether each question is answered once when a program is ready and then writes these octets, in pieces, and
/// ends. It holds for any octets.
pub fn answers_every_question(octets: &[u8]) -> bool {
    let runner = Runner::new("fuzz", "fuzz", Launch::new(PathBuf::from("/"), Guard::Open));
    let mut machine = Machine::new(runner, Mode::Dynamic, Vec::new());
    let output = |octets: &[u8]| Event::Io(IoEvent::Program(ProgramEvent::Output(octets.to_vec())));
    let mut events = vec![Event::Started, output(b"{\"ready\":{\"sources\":\"any\"}}\n")];
    events.extend((0..QUESTIONS).map(|number| Event::Ask(Ticket(number), query(number))));
    events.extend(octets.chunks(1000).map(output));
    events.push(Event::Io(IoEvent::Program(ProgramEvent::Ended("it ended".to_owned()))));
    let mut actions = Vec::new();
    for (time, event) in events.into_iter().enumerate() {
        machine.on_event(event, Moment(time as u64), &mut actions);
    }
    let mut answered = BTreeSet::new();
    let once = actions.iter().all(|action| match action {
        Action::Answer(ticket, _) => answered.insert(*ticket),
        _ => true,
    });
    once && answered.len() as u64 == QUESTIONS
}

fn query(number: u64) -> Query {
    let mac = MacAddr([2, 8, 0x20, 0, 0, 1]);
    match number % 3 {
        0 => Query::Target { mac, source: mac, vid: None },
        1 => Query::Resolve { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), asker: mac, vid: None },
        _ => Query::Dhcp { client: mac, v6: false, vid: None },
    }
}
