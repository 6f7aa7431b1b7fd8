use std::path::Path;
use std::time::Duration;

use overlay_core::control::{Daemon, Paths};
use overlay_core::protocol::{
    ANSWER_MAX, Call, ControlError, Hello, LineBuffer, Request, Response, ServerLine, VERSION,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Long enough for anything here on a busy machine; only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// What a future comes to, which must be soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("it does not happen")
}

pub(crate) fn hello(program: &str) -> Hello {
    Hello { protocol: VERSION, program: program.to_owned() }
}

/// A stream of JSON lines.
pub(crate) struct Lines {
    pub(crate) stream: UnixStream,
    input: LineBuffer,
}

impl Lines {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, input: LineBuffer::new(ANSWER_MAX) }
    }

    pub(crate) async fn send(&mut self, line: &impl Serialize) {
        let mut octets = serde_json::to_vec(line).unwrap();
        octets.push(b'\n');
        soon(self.stream.write_all(&octets)).await.unwrap();
    }

    /// The next line; none once the other end has closed.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            if let Some(line) = self.input.next_line().unwrap() {
                return Some(serde_json::from_slice(line).unwrap());
            }
            let mut piece = [0; 4096];
            match soon(self.stream.read(&mut piece)).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.input.push(&piece[..count]),
            }
        }
    }
}

/// A client of varpd.
pub(crate) struct Client {
    pub(crate) lines: Lines,
}

impl Client {
    pub(crate) async fn connect(paths: &Paths) -> Self {
        let mut lines = Lines::new(open(&paths.socket(Daemon::Varpd)).await);
        lines.send(&hello("test")).await;
        assert_eq!(lines.next::<Hello>().await.unwrap().program, "varpd");
        Self { lines }
    }

    pub(crate) async fn call(&mut self, request: Request) -> Result<Response, ControlError> {
        self.lines.send(&Call { id: 1, request }).await;
        self.reply().await
    }

    pub(crate) async fn reply(&mut self) -> Result<Response, ControlError> {
        match self.lines.next().await {
            Some(ServerLine::Reply(reply)) => reply.result,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn open(socket: &Path) -> UnixStream {
    soon(UnixStream::connect(socket)).await.unwrap()
}
