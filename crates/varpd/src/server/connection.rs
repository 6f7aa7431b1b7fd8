use std::io;
use std::time::Duration;

use overlay_core::control::Peer;
use overlay_core::protocol::{ControlError, ErrorCode, Request, Response, Session};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Activity;
use crate::message::{Answer, Message};

/// Octets taken from a socket at a time.
const PIECE: usize = 64 * 1024;

/// How long a refused client may go on sending until it reads why: closing a Unix socket with unread octets
/// takes what the client has not read away from it (net/unix/af_unix.c).
const LINGER: Duration = Duration::from_secs(1);

/// One client.
pub(super) struct Connection {
    stream: UnixStream,
    peer: Peer,
    session: Session,
    owner: mpsc::Sender<Message>,
    activity: Activity,
}

impl Connection {
    pub(super) fn new(
        stream: UnixStream,
        owner: mpsc::Sender<Message>,
        activity: Activity,
    ) -> io::Result<Self> {
        let peer = Peer::of(&stream)?;
        Ok(Self { stream, peer, session: Session::new("varpd"), owner, activity })
    }

    /// Serves it until it leaves.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!("a client's connection ended: {error}");
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        let mut open = true;
        loop {
            self.answer_all().await;
            let writes = !self.session.output().is_empty();
            if !writes && self.session.finished() {
                return self.linger().await;
            }
            let reads = open && !self.session.stalled() && !self.session.finished();
            let Some(interest) = interest(reads, writes) else {
                return Ok(());
            };
            let ready = self.stream.ready(interest).await?;
            if reads && ready.is_readable() {
                open = self.read()?;
            }
            if writes && (ready.is_writable() || ready.is_write_closed()) {
                self.write()?;
            }
            self.activity.touch();
            // A socket that is always ready never makes its task wait; the other clients have their turn here.
            yield_now().await;
        }
    }

    async fn answer_all(&mut self) {
        while let Some(incoming) = self.session.next_request(|| self.peer.may_change()) {
            let result = ask(&self.owner, incoming.request).await;
            self.session.reply(incoming.id, result);
        }
    }

    /// Takes what has arrived; whether more can come.
    fn read(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        match self.stream.try_read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.session.receive(&piece[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        match self.stream.try_write(self.session.output()) {
            Ok(count) => {
                self.session.written(count);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let drained = async {
            loop {
                self.stream.readable().await?;
                if !self.read()? {
                    return Ok(());
                }
                yield_now().await;
            }
        };
        timeout(LINGER, drained).await.unwrap_or(Ok(()))
    }
}

fn interest(reads: bool, writes: bool) -> Option<Interest> {
    match (reads, writes) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

async fn ask(owner: &mpsc::Sender<Message>, request: Request) -> Result<Response, ControlError> {
    let (answer, result) = Answer::channel();
    let stopping = || ControlError::new(ErrorCode::Unavailable, "varpd is stopping");
    owner.send(Message::Request { request, answer }).await.map_err(|_| stopping())?;
    result.await.map_err(|_| stopping())?
}
