//! The I/O of an instance that a program answers for: one process at a time.
//!
//! The state machine says when to start and to kill, and each start is followed by one [`ProgramEvent::Ended`].
//! What the program writes is read a piece at a time, the next one when the state machine has dealt with the last: so
//! one that writes too fast waits. What it does not read is kept up to a limit.

use std::pin::Pin;
use std::sync::Arc;

use tokio::process::ChildStdout;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::launch::{GRACE, LAST_WORDS, Launch, Running, read_from};
use super::log::Log;
use super::outbox::Outbox;
use super::{ProgramAction, ProgramEvent};
use crate::plugins::interface::{Io, IoAction, IoEvent, IoEvents};

/// Octets taken at a time.
const PIECE: usize = 64 * 1024;

/// Runs a program for one instance.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    plugin: Arc<str>,
    label: Arc<str>,
    launch: Launch,
}

impl Runner {
    /// Of the plugin of this name; log lines begin with `label`.
    pub(super) fn new(plugin: &str, label: &str, launch: Launch) -> Self {
        Self { plugin: plugin.into(), label: label.into(), launch }
    }

    /// The plugin's name.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    async fn serve(self, mut actions: UnboundedReceiver<IoAction>, events: IoEvents) {
        while let Some(IoAction::Program(action)) = actions.recv().await {
            match action {
                ProgramAction::Log(line) => self.log(&line),
                ProgramAction::Spawn => {
                    let end = match self.launch.start() {
                        Ok(running) => self.attend(running, &mut actions, &events).await,
                        Err(error) => End::Over(error.to_string()),
                    };
                    let End::Over(reason) = end else { return };
                    if !events.report(IoEvent::Program(ProgramEvent::Ended(reason))) {
                        return;
                    }
                }
                // For a run that has ended meanwhile.
                ProgramAction::Send(_) | ProgramAction::Kill | ProgramAction::More => {}
            }
        }
    }

    /// Attends to one run.
    async fn attend(
        &self,
        mut running: Running,
        actions: &mut UnboundedReceiver<IoAction>,
        events: &IoEvents,
    ) -> End {
        let mut log = Log::new(running.stderr.take(), &self.label);
        let mut stdout = running.stdout.take();
        let mut outbox = Outbox::new(running.stdin.take());
        let mut output = vec![0; PIECE];
        let mut reading = true;
        let reason = loop {
            tokio::select! {
                action = actions.recv() => match self.act(action, actions, &mut outbox, &mut reading) {
                    Next::Go => {}
                    Next::Kill(reason) => break reason,
                    Next::Release => {
                        drop(outbox);
                        release(running, stdout, log).await;
                        return End::Released;
                    }
                },
                read = read_from(&mut stdout, &mut output), if reading => match read {
                    Ok(0) | Err(_) => break after(&mut running, "it closed its output").await,
                    Ok(count) => {
                        reading = false;
                        let piece = output[..count].to_vec();
                        events.report(IoEvent::Program(ProgramEvent::Output(piece)));
                    }
                },
                written = outbox.write(), if !outbox.is_empty() => {
                    if written.is_err() {
                        break after(&mut running, "it closed its input").await;
                    }
                }
                () = log.read() => {}
                reason = running.ended() => break reason,
            }
        };
        running.killed().await;
        End::Over(log.with_last_words(reason).await)
    }

    /// Takes an action, and those that wait behind it.
    fn act(
        &self,
        first: Option<IoAction>,
        actions: &mut UnboundedReceiver<IoAction>,
        outbox: &mut Outbox,
        reading: &mut bool,
    ) -> Next {
        let mut next = first;
        if next.is_none() {
            return Next::Release;
        }
        while let Some(IoAction::Program(action)) = next {
            match action {
                ProgramAction::Send(line) if outbox.add(&line) => {}
                ProgramAction::Send(_) => return Next::Kill("it does not read its input".to_owned()),
                ProgramAction::More => *reading = true,
                ProgramAction::Log(line) => self.log(&line),
                ProgramAction::Kill => return Next::Kill("it was killed".to_owned()),
                ProgramAction::Spawn => {}
            }
            next = actions.try_recv().ok();
        }
        Next::Go
    }

    fn log(&self, line: &str) {
        tracing::warn!("{}: {line}", self.label);
    }
}

impl Io for Runner {
    fn run(
        self: Box<Self>,
        actions: UnboundedReceiver<IoAction>,
        events: IoEvents,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.serve(actions, events))
    }
}

/// How a run came to its end.
enum End {
    /// For this reason.
    Over(String),
    /// Nobody needs the program any more.
    Released,
}

/// What follows from an action.
enum Next {
    Go,
    Kill(String),
    Release,
}

/// Lets a program end by itself, its input having ended, and sees to it that it does.
async fn release(mut running: Running, mut stdout: Option<ChildStdout>, mut log: Log) {
    let mut scrap = vec![0; PIECE];
    let ends = async {
        loop {
            tokio::select! {
                _ = running.ended() => return,
                // Whatever it still says is not to keep it from ending.
                read = read_from(&mut stdout, &mut scrap) => {
                    if !matches!(read, Ok(count) if count > 0) {
                        stdout = None;
                    }
                }
                () = log.read() => {}
            }
        }
    };
    if timeout(GRACE, ends).await.is_err() {
        running.killed().await;
    }
}

/// How a program has ended that has closed a pipe; this, when it goes on.
async fn after(running: &mut Running, otherwise: &str) -> String {
    timeout(LAST_WORDS, running.ended()).await.unwrap_or_else(|_| otherwise.to_owned())
}
