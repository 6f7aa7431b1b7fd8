use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Daemon, Paths, how_to_start};
use crate::protocol::{
    ANSWER_MAX, Call, ControlError, Event, Hello, LineBuffer, Request, Response, ServerLine, VERSION,
};

/// How long a daemon may take over an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a daemon on which each call waits for its answer.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    input: LineBuffer,
    daemon: Daemon,
    last_id: u64,
    /// What the daemon has told while an answer was waited for.
    events: VecDeque<Event>,
}

/// Why a call has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon does not run.
    #[error("{} ({}: {error})", absence(*daemon, error), socket.display())]
    NotRunning {
        /// Which one.
        daemon: Daemon,
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke, or the daemon took too long.
    #[error("{} does not answer: {error}", daemon.program())]
    Lost {
        /// Which one.
        daemon: Daemon,
        /// What happened.
        error: io::Error,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
}

/// What a failure to connect says of a daemon.
fn absence(daemon: Daemon, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{} may not be asked by you", daemon.program()),
        _ => format!("no {} is running", daemon.program()),
    }
}

impl ClientError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                Some("the directory is closed to you: ask as one who may enter it, such as root".to_owned())
            }
            Self::NotRunning { daemon, socket, .. } => Some(how_to_start(&[*daemon], socket)),
            Self::Lost { .. } => None,
            Self::Refused(error) => error.hint.clone(),
        }
    }
}

impl Client {
    /// Connects to a daemon and exchanges greetings; `program` is the caller's own name.
    ///
    /// # Errors
    /// The daemon does not run, does not answer, or speaks another version.
    pub fn connect(paths: &Paths, daemon: Daemon, program: &str) -> Result<Self, ClientError> {
        let socket = paths.socket(daemon);
        let stream = open(&socket).map_err(|error| ClientError::NotRunning { daemon, socket, error })?;
        let mut client =
            Self { stream, input: LineBuffer::new(ANSWER_MAX), daemon, last_id: 0, events: VecDeque::new() };
        let hello = Hello { protocol: VERSION, program: program.to_owned() };
        client.greet(&hello).map_err(|error| client.lost(error))?;
        Ok(client)
    }

    /// Makes a request and waits for its answer.
    ///
    /// # Errors
    /// The daemon's own, or [`ClientError::Lost`].
    pub fn call(&mut self, request: Request) -> Result<Response, ClientError> {
        self.last_id += 1;
        let id = self.last_id;
        let reply = self.exchange(&Call { id, request }).map_err(|error| self.lost(error))?;
        Ok(reply?)
    }

    /// Waits for something that the daemon tells unasked; none when nothing comes in this time.
    ///
    /// # Errors
    /// [`ClientError::Lost`].
    pub fn next_event(&mut self, patience: Duration) -> Result<Option<Event>, ClientError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        self.within(patience, Self::read).map_err(|error| self.lost(error)).map(|line| match line {
            Some(ServerLine::Event(event)) => Some(event),
            Some(ServerLine::Reply(_)) | None => None,
        })
    }

    /// Reads with another patience; none when it is at its end.
    fn within<T>(
        &mut self,
        patience: Duration,
        read: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        // No time at all would be for ever.
        self.stream.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let outcome = match read(self) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            outcome => outcome.map(Some),
        };
        self.stream.set_read_timeout(Some(PATIENCE))?;
        outcome
    }

    fn greet(&mut self, hello: &Hello) -> io::Result<()> {
        self.write(&serde_json::to_vec(hello)?)?;
        let theirs: Hello = self.read()?;
        if theirs.protocol == VERSION {
            return Ok(());
        }
        let problem = format!("it speaks protocol {}, and this program {VERSION}", theirs.protocol);
        Err(io::Error::other(problem))
    }

    fn exchange(&mut self, call: &Call) -> io::Result<Result<Response, ControlError>> {
        self.write(&serde_json::to_vec(call)?)?;
        loop {
            match self.read()? {
                ServerLine::Reply(reply) if reply.id == call.id || reply.id == 0 => return Ok(reply.result),
                ServerLine::Reply(_) => {}
                ServerLine::Event(event) => self.events.push_back(event),
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line)?;
        self.stream.write_all(b"\n")
    }

    fn read<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut piece = [0; 64 * 1024];
        loop {
            if let Some(line) = self.input.next_line().map_err(io::Error::other)? {
                return Ok(serde_json::from_slice(line)?);
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(io::Error::other("it closed the connection")),
                count => self.input.push(&piece[..count]),
            }
        }
    }

    fn lost(&self, error: io::Error) -> ClientError {
        let error = match error.kind() {
            io::ErrorKind::WouldBlock => {
                io::Error::other(format!("nothing came for {} s", PATIENCE.as_secs()))
            }
            _ => error,
        };
        ClientError::Lost { daemon: self.daemon, error }
    }
}

fn open(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
