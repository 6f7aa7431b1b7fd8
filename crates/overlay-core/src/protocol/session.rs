use serde::Serialize;
use serde_json::Value;

use super::{
    Call, ControlError, ErrorCode, Event, Hello, LINE_MAX, LineBuffer, Privilege, Reply, Request, Response,
    ServerLine, TRUSTED_LINE_MAX, VERSION,
};

/// Octets waiting for a client that does not read, beyond the answer to its last call.
const OUTPUT_MAX: usize = 1024 * 1024;

/// A request that a client may make, to be answered with [`Session::reply`].
#[derive(Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The number to answer with.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// A daemon's end of one connection, without its I/O: octets in, requests out; replies in, octets out.
///
/// What cannot be read, or may not be asked, it answers itself.
#[derive(Debug)]
pub struct Session {
    program: &'static str,
    input: LineBuffer,
    output: Vec<u8>,
    greeted: bool,
    finished: bool,
}

impl Session {
    /// A fresh one of the daemon `program`.
    pub const fn new(program: &'static str) -> Self {
        Self {
            program,
            input: LineBuffer::new(LINE_MAX),
            output: Vec::new(),
            greeted: false,
            finished: false,
        }
    }

    /// Lets the client say more in one line from now on.
    pub const fn trust(&mut self) {
        self.input.allow(TRUSTED_LINE_MAX);
    }

    /// Takes what arrived from the client.
    pub fn receive(&mut self, octets: &[u8]) {
        if !self.finished {
            self.input.push(octets);
        }
    }

    /// The next request that is to be carried out; `may_change` says whether the client may change anything.
    pub fn next_request(&mut self, may_change: impl Fn() -> bool) -> Option<Incoming> {
        while !self.finished && self.output.len() <= OUTPUT_MAX {
            let line = match self.input.next_line() {
                Ok(Some(line)) => line.to_vec(),
                Ok(None) => return None,
                Err(error) => {
                    self.refuse(0, ControlError::invalid(error));
                    self.finished = true;
                    return None;
                }
            };
            if !self.greeted {
                self.greet(&line);
                continue;
            }
            match decode(&line, &may_change) {
                Ok(incoming) => return Some(incoming),
                Err((id, error)) => self.refuse(id, error),
            }
        }
        None
    }

    /// Answers a request.
    pub fn reply(&mut self, id: u64, result: Result<Response, ControlError>) {
        self.send(&ServerLine::Reply(Reply { id, result }));
    }

    /// Tells the client that something happened.
    pub fn event(&mut self, event: Event) {
        self.send(&ServerLine::Event(event));
    }

    /// What is to be written to the client.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Forgets the first octets of the output, which have been written.
    pub fn written(&mut self, count: usize) {
        self.output.drain(..count);
    }

    /// Whether the connection is to be closed once the output has been written.
    pub const fn finished(&self) -> bool {
        self.finished
    }

    /// Whether the client has let so much output wait that nothing more is read from it.
    pub fn stalled(&self) -> bool {
        self.output.len() > OUTPUT_MAX
    }

    fn greet(&mut self, line: &[u8]) {
        self.greeted = true;
        self.send(&Hello { protocol: VERSION, program: self.program.to_owned() });
        let problem = match serde_json::from_slice::<Hello>(line) {
            Ok(hello) if hello.protocol == VERSION => return,
            Ok(hello) => format!("{} speaks protocol {VERSION}, not {}", self.program, hello.protocol),
            Err(_) => format!("the first line must be {{\"protocol\":{VERSION},\"program\":\"NAME\"}}"),
        };
        self.refuse(0, ControlError::invalid(problem));
        self.finished = true;
    }

    fn refuse(&mut self, id: u64, error: ControlError) {
        self.reply(id, Err(error));
    }

    fn send(&mut self, line: &impl Serialize) {
        // Writing these types to memory cannot fail: no map keys but strings, no failing Serialize.
        if serde_json::to_writer(&mut self.output, line).is_ok() {
            self.output.push(b'\n');
        }
    }
}

fn decode(line: &[u8], may_change: impl Fn() -> bool) -> Result<Incoming, (u64, ControlError)> {
    let call = match serde_json::from_slice::<Call>(line) {
        Ok(call) => call,
        Err(error) => {
            return Err((id_of(line), ControlError::invalid(format!("cannot read the request: {error}"))));
        }
    };
    if call.request.privilege() == Privilege::Change && !may_change() {
        let denied = ControlError::new(ErrorCode::Denied, "permission denied");
        return Err((call.id, denied.with_hint("run it as root or as a member of the group netadm")));
    }
    Ok(Incoming { id: call.id, request: call.request })
}

fn id_of(line: &[u8]) -> u64 {
    let value: Option<Value> = serde_json::from_slice(line).ok();
    value.and_then(|value| value.get("id")?.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &[u8] = b"{\"protocol\":1,\"program\":\"test\"}\n";

    fn answers(session: &Session) -> Vec<String> {
        String::from_utf8(session.output().to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn calls_may_be_pipelined_behind_the_greeting() {
        let mut session = Session::new("overlayd");
        session.receive(HELLO);
        session.receive(b"{\"id\":1,\"request\":\"links\"}\n{\"id\":2,\"request\":\"overlays\"}\n");
        assert_eq!(session.next_request(|| false), Some(Incoming { id: 1, request: Request::Links }));
        assert_eq!(session.next_request(|| false), Some(Incoming { id: 2, request: Request::Overlays }));
        assert_eq!(session.next_request(|| false), None);
        assert_eq!(answers(&session), ["{\"protocol\":1,\"program\":\"overlayd\"}"]);
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut session = Session::new("overlayd");
        session.receive(b"{\"protocol\":2,\"program\":\"test\"}\n{\"id\":1,\"request\":\"links\"}\n");
        assert_eq!(session.next_request(|| true), None);
        assert!(session.finished() && answers(&session)[1].contains("protocol 1, not 2"));
    }

    #[test]
    fn changing_needs_the_right_to_it_on_every_request() {
        let mut session = Session::new("overlayd");
        session.receive(HELLO);
        session.receive(b"{\"id\":7,\"request\":{\"delete-vnic\":{\"name\":\"foo0\"}}}\n");
        assert_eq!(session.next_request(|| false), None);
        assert!(answers(&session)[1].contains("\"denied\"") && answers(&session)[1].contains("\"id\":7"));
        session.receive(b"{\"id\":8,\"request\":{\"delete-vnic\":{\"name\":\"foo0\"}}}\n");
        assert!(session.next_request(|| true).is_some());
    }

    #[test]
    fn an_unreadable_request_is_answered_under_its_number() {
        let mut session = Session::new("overlayd");
        session.receive(HELLO);
        session.receive(b"{\"id\":9,\"request\":{\"explode\":{}}}\nnonsense\n");
        assert_eq!(session.next_request(|| true), None);
        assert!(answers(&session)[1].contains("\"id\":9") && answers(&session)[2].contains("\"id\":0"));
        assert!(!session.finished());
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut session = Session::new("overlayd");
        session.receive(HELLO);
        session.receive(&vec![b'x'; LINE_MAX + 1]);
        assert_eq!(session.next_request(|| true), None);
        assert!(session.finished());
        session.receive(&vec![b'x'; LINE_MAX]);
        assert!(session.input.next_line().is_err());
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..400), greet: bool) {
            let mut session = Session::new("overlayd");
            if greet { session.receive(HELLO); }
            session.receive(&octets);
            session.receive(b"\n");
            while session.next_request(|| true).is_some() {}
        }
    }
}
