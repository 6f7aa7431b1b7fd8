use std::collections::VecDeque;

use overlay_core::lookup::Question;
use overlay_core::protocol::{
    ANSWER_MAX, Call, ControlError, ErrorCode, Event, Hello, LineBuffer, Reply, Request, Response,
    ServerLine, VERSION,
};
use overlay_core::types::LinkId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backlog::Backlog;

/// The number of the one call that this end makes by itself; the owner's are numbered from 1.
const ATTACH: u64 = 0;

/// Octets that wait for the driver to read them before no more calls are taken.
const ROOM: usize = 1024 * 1024;

/// What the driver said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It took this varpd for its own.
    Attached { overlays: Vec<LinkId>, deleted: Vec<LinkId> },
    /// It answered a call.
    Reply(Reply),
    /// An overlay has ended.
    OverlayDeleted(LinkId),
    /// It wants to know of destinations.
    Lookups(Vec<Question>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Attaching,
    Attached,
}

/// One connection to the driver, without its I/O: octets in, news out; calls in, octets out.
#[derive(Debug)]
pub(super) struct Attachment {
    input: LineBuffer,
    output: Backlog,
    phase: Phase,
    unanswered: usize,
    /// What happened between the driver's taking of the request to attach and its answer.
    early: VecDeque<Event>,
}

impl Attachment {
    /// A fresh one, which has the greeting and the request to attach to write.
    pub(super) fn new() -> Self {
        let mut fresh = Self {
            input: LineBuffer::new(ANSWER_MAX),
            output: Backlog::default(),
            phase: Phase::Greeting,
            unanswered: 0,
            early: VecDeque::new(),
        };
        fresh.send(&Hello { protocol: VERSION, program: "varpd".to_owned() });
        fresh.call(&Call { id: ATTACH, request: Request::Attach });
        fresh
    }

    /// Sends a call.
    pub(super) fn call(&mut self, call: &Call) {
        self.unanswered += 1;
        self.send(call);
    }

    /// Whether the driver has yet to answer something.
    pub(super) const fn waits(&self) -> bool {
        self.unanswered > 0
    }

    /// What is to be written.
    pub(super) fn output(&self) -> &[u8] {
        self.output.unwritten()
    }

    /// Whether a further call is of use; until then it waits where it is bounded.
    pub(super) fn has_room(&self) -> bool {
        self.output().len() < ROOM
    }

    /// Forgets the first octets of the output, which have been written.
    pub(super) fn written(&mut self, count: usize) {
        self.output.written(count);
    }

    /// Takes what arrived.
    pub(super) fn receive(&mut self, octets: &[u8]) {
        self.input.push(octets);
    }

    /// The next thing that the driver said.
    ///
    /// # Errors
    /// It refused this varpd, or says what cannot be understood; the connection is of no more use.
    pub(super) fn next(&mut self) -> Result<Option<Heard>, ControlError> {
        loop {
            if self.phase == Phase::Attached
                && let Some(event) = self.early.pop_front()
            {
                return Ok(Some(match event {
                    Event::OverlayDeleted(link) => Heard::OverlayDeleted(link),
                    Event::Lookups(questions) => Heard::Lookups(questions),
                    // Those are for who has asked for them.
                    Event::Change(_) => continue,
                }));
            }
            let Some(line) = self.input.next_line().map_err(garbled)? else {
                return Ok(None);
            };
            if self.phase == Phase::Greeting {
                check_greeting(&parse(line)?)?;
                self.phase = Phase::Attaching;
                continue;
            }
            match parse(line)? {
                ServerLine::Reply(reply) => return self.reply(reply).map(Some),
                ServerLine::Event(event) => self.early.push_back(event),
            }
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<Heard, ControlError> {
        self.unanswered = self.unanswered.saturating_sub(1);
        match (self.phase, reply) {
            (Phase::Attached, reply) => Ok(Heard::Reply(reply)),
            (_, Reply { id: ATTACH, result: Ok(Response::Attached { overlays, deleted }) }) => {
                self.phase = Phase::Attached;
                Ok(Heard::Attached { overlays, deleted })
            }
            (_, Reply { result: Err(error), .. }) => Err(error),
            (_, Reply { result: Ok(_), .. }) => Err(garbled("an answer to nothing")),
        }
    }

    fn send(&mut self, line: &impl Serialize) {
        // Writing these types to memory cannot fail: no map keys but strings, no failing Serialize.
        let output = self.output.end();
        if serde_json::to_writer(&mut *output, line).is_ok() {
            output.push(b'\n');
        }
    }
}

fn check_greeting(hello: &Hello) -> Result<(), ControlError> {
    if hello.protocol == VERSION {
        return Ok(());
    }
    let problem = format!("overlayd speaks protocol {}, and varpd {VERSION}", hello.protocol);
    Err(ControlError::new(ErrorCode::Unsupported, problem).with_hint("install both from one version"))
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(line).map_err(garbled)
}

fn garbled(what: impl ToString) -> ControlError {
    let problem = format!("cannot understand overlayd: {}", what.to_string());
    ControlError::new(ErrorCode::Failed, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    const HELLO: &[u8] = b"{\"protocol\":1,\"program\":\"overlayd\"}\n";
    const ATTACHED: &[u8] =
        b"{\"reply\":{\"id\":0,\"result\":{\"Ok\":{\"attached\":{\"overlays\":[1],\"deleted\":[2]}}}}}\n";
    const DELETED: &[u8] = b"{\"event\":{\"overlay-deleted\":3}}\n";

    fn link(id: u32) -> LinkId {
        LinkId(NonZeroU32::new(id).unwrap())
    }

    fn attached() -> Heard {
        Heard::Attached { overlays: vec![link(1)], deleted: vec![link(2)] }
    }

    fn after(octets: &[&[u8]]) -> Attachment {
        let mut attachment = Attachment::new();
        octets.iter().for_each(|piece| attachment.receive(piece));
        attachment
    }

    #[test]
    fn it_opens_with_the_greeting_and_the_request_to_attach() {
        let fresh = Attachment::new();
        let lines: Vec<_> = fresh.output().split_inclusive(|octet| *octet == b'\n').collect();
        assert_eq!(serde_json::from_slice::<Hello>(lines[0]).unwrap().program, "varpd");
        assert_eq!(serde_json::from_slice::<Call>(lines[1]).unwrap().request, Request::Attach);
        assert!(lines.len() == 2 && fresh.waits());
    }

    #[test]
    fn it_is_attached_once_the_driver_says_so() {
        let mut attachment = after(&[HELLO, ATTACHED]);
        assert_eq!(attachment.next(), Ok(Some(attached())));
        assert_eq!(attachment.next(), Ok(None));
        assert!(!attachment.waits());
    }

    #[test]
    fn an_event_before_the_answer_is_told_after_it() {
        let mut attachment = after(&[HELLO, DELETED, ATTACHED]);
        assert_eq!(attachment.next(), Ok(Some(attached())));
        assert_eq!(attachment.next(), Ok(Some(Heard::OverlayDeleted(link(3)))));
    }

    #[test]
    fn another_protocol_is_refused_in_words() {
        let error = after(&[b"{\"protocol\":9,\"program\":\"overlayd\"}\n"]).next().unwrap_err();
        assert_eq!(error.message, "overlayd speaks protocol 9, and varpd 1");
    }

    #[test]
    fn the_drivers_refusal_is_passed_on() {
        let refusal =
            b"{\"reply\":{\"id\":0,\"result\":{\"Err\":{\"code\":\"exists\",\"message\":\"taken\"}}}}\n";
        let error = after(&[HELLO, refusal]).next().unwrap_err();
        assert_eq!((error.code, &*error.message), (ErrorCode::Exists, "taken"));
    }

    #[test]
    fn only_what_is_unanswered_is_waited_for() {
        let mut attachment = after(&[HELLO, ATTACHED]);
        attachment.next().unwrap();
        attachment.call(&Call { id: 1, request: Request::Links });
        assert!(attachment.waits());
        attachment.receive(b"{\"reply\":{\"id\":1,\"result\":{\"Ok\":\"done\"}}}\n");
        assert!(matches!(attachment.next(), Ok(Some(Heard::Reply(Reply { id: 1, .. })))));
        assert!(!attachment.waits());
    }

    #[test]
    fn calls_are_taken_while_there_is_room_and_again_once_the_driver_has_read() {
        let mut attachment = Attachment::new();
        while attachment.has_room() {
            attachment.call(&Call { id: 1, request: Request::Links });
        }
        let len = attachment.output().len();
        assert!((ROOM..ROOM + 1_000).contains(&len), "{len}");
        attachment.written(1_000);
        assert!(attachment.has_room());
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..300), greet: bool, attach: bool) {
            let mut attachment = Attachment::new();
            if greet { attachment.receive(HELLO); }
            if greet && attach { attachment.receive(ATTACHED); }
            attachment.receive(&octets);
            attachment.receive(b"\n");
            while let Ok(Some(_)) = attachment.next() {}
        }
    }
}
