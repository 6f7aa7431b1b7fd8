//! The link to overlayd: connects, attaches, carries calls and news, and begins again whenever it breaks.

mod attachment;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use overlay_core::control::{Daemon, how_to_start};
use overlay_core::protocol::{Call, ControlError, ErrorCode};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::message::{Message, Notice};
use attachment::{Attachment, Heard};

/// How long the driver may take over an answer before its connection counts as broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Octets taken from the socket at a time.
const PIECE: usize = 64 * 1024;

/// The way to one driver, and to the owner of the instances.
#[derive(Debug)]
pub struct Driver {
    socket: PathBuf,
    owner: mpsc::Sender<Message>,
    hurry: Arc<Notify>,
    /// The kinds of trouble that were logged since an attempt last succeeded.
    troubles: Vec<ErrorCode>,
}

/// The owner has gone: there is nobody to work for.
struct OwnerGone;

/// Why a connection ended.
enum End {
    Owner(OwnerGone),
    Driver(ControlError),
}

impl Driver {
    /// To the driver at `socket`. Between attempts it waits, unless `hurry` is notified.
    pub const fn new(socket: PathBuf, owner: mpsc::Sender<Message>, hurry: Arc<Notify>) -> Self {
        Self { socket, owner, hurry, troubles: Vec::new() }
    }

    /// Keeps the link up until the owner has gone.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while let Err(End::Driver(error)) = self.connection(&mut backoff).await {
            self.log_trouble(&error);
            // Whatever it said of this varpd: to a client it is a driver that is not to be had now.
            let error = ControlError { code: ErrorCode::Unavailable, ..error };
            if self.tell(Notice::Unavailable(error)).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(backoff.pause()) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    /// One connection, from the attempt to its end.
    async fn connection(&mut self, backoff: &mut Backoff) -> Result<(), End> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| End::Driver(not_running(&self.socket, &error)))?;
        let mut attachment = Attachment::new();
        let (calls, mut to_send) = mpsc::unbounded_channel();
        let mut calls = Some(calls);
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            let waited = attachment.waits();
            tokio::select! {
                ready = stream.readable() => {
                    ready.and_then(|()| receive(&stream, &mut attachment)).map_err(lost)?;
                    if self.news(&mut attachment, &mut calls, backoff).await? {
                        deadline = Instant::now() + PATIENCE;
                    }
                }
                ready = stream.writable(), if !attachment.output().is_empty() => {
                    ready.and_then(|()| send(&stream, &mut attachment)).map_err(lost)?;
                }
                Some(call) = to_send.recv(), if attachment.has_room() => attachment.call(&call),
                () = sleep_until(deadline), if waited => return Err(silent()),
            }
            if !waited {
                deadline = Instant::now() + PATIENCE;
            }
        }
    }

    /// Tells the owner what the driver said; whether it has answered anything.
    async fn news(
        &mut self,
        attachment: &mut Attachment,
        calls: &mut Option<mpsc::UnboundedSender<Call>>,
        backoff: &mut Backoff,
    ) -> Result<bool, End> {
        let mut answered = false;
        while let Some(heard) = attachment.next().map_err(End::Driver)? {
            answered |= matches!(heard, Heard::Attached { .. } | Heard::Reply(_));
            let notice = match (heard, calls.take()) {
                (Heard::Attached { overlays, deleted }, Some(calls)) => {
                    backoff.reset();
                    self.log_attached();
                    Notice::Attached { overlays, deleted, calls }
                }
                (Heard::Attached { .. }, None) => continue,
                (Heard::Reply(reply), _) => Notice::Reply(reply),
                (Heard::OverlayDeleted(link), _) => Notice::OverlayDeleted(link),
                (Heard::Lookups(questions), _) => Notice::Lookups(questions),
            };
            self.tell(notice).await.map_err(End::Owner)?;
        }
        Ok(answered)
    }

    async fn tell(&self, notice: Notice) -> Result<(), OwnerGone> {
        self.owner.send(Message::Driver(notice)).await.map_err(|_| OwnerGone)
    }

    fn log_trouble(&mut self, error: &ControlError) {
        if !self.troubles.contains(&error.code) {
            tracing::warn!("{error}; trying on");
            self.troubles.push(error.code);
        }
    }

    fn log_attached(&mut self) {
        self.troubles.clear();
        tracing::info!("attached to overlayd at {}", self.socket.display());
    }
}

fn receive(stream: &UnixStream, attachment: &mut Attachment) -> io::Result<()> {
    let mut piece = [0; PIECE];
    match stream.try_read(&mut piece) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            attachment.receive(&piece[..count]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn send(stream: &UnixStream, attachment: &mut Attachment) -> io::Result<()> {
    match stream.try_write(attachment.output()) {
        Ok(count) => {
            attachment.written(count);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn not_running(socket: &Path, error: &io::Error) -> ControlError {
    let problem = format!("no overlayd is running ({}: {error})", socket.display());
    ControlError::new(ErrorCode::Unavailable, problem).with_hint(how_to_start(&[Daemon::Overlayd], socket))
}

fn lost(error: io::Error) -> End {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    };
    End::Driver(ControlError::new(ErrorCode::Unavailable, format!("overlayd is lost: {why}")))
}

fn silent() -> End {
    let problem = format!("overlayd has not answered for {} s", PATIENCE.as_secs());
    End::Driver(ControlError::new(ErrorCode::Unavailable, problem))
}
