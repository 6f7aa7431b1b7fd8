//! The way of a program's standard error into varpd's log.

use std::convert::Infallible;
use std::sync::Arc;

use overlay_core::types::Moment;
use tokio::process::ChildStderr;
use tokio::time::{Instant, timeout};

use super::chatter::Chatter;
use super::launch::{LAST_WORDS, read_from};

/// Octets taken at a time.
const PIECE: usize = 4096;

/// The standard error of one run.
pub(crate) struct Log {
    stderr: Option<ChildStderr>,
    piece: Vec<u8>,
    chatter: Chatter,
    begun: Instant,
    label: Arc<str>,
}

impl Log {
    /// Of `stderr`; each line begins with `label`.
    pub(crate) fn new(stderr: Option<ChildStderr>, label: &Arc<str>) -> Self {
        let label = Arc::clone(label);
        Self { stderr, piece: vec![0; PIECE], chatter: Chatter::default(), begun: Instant::now(), label }
    }

    /// Takes the next piece; never comes back once there is none. Can be given up and begun again.
    pub(crate) async fn read(&mut self) {
        match read_from(&mut self.stderr, &mut self.piece).await {
            Ok(count) if count > 0 => {
                let now = since(self.begun);
                self.chatter.take(&self.piece[..count], now, &mut |line| say(&self.label, line));
            }
            _ => self.stderr = None,
        }
    }

    /// Takes all there is, for ever.
    pub(crate) async fn keep(&mut self) -> Infallible {
        loop {
            self.read().await;
        }
    }

    /// Why a program has ended: this, and the last line that it wrote.
    pub(crate) async fn with_last_words(mut self, reason: String) -> String {
        let rest = async {
            while self.stderr.is_some() {
                self.read().await;
            }
        };
        // Whatever has left the program's group may hold the pipe open for ever.
        let _ = timeout(LAST_WORDS, rest).await;
        match self.chatter.end(since(self.begun), &mut |line| say(&self.label, line)) {
            Some(last) => format!("{reason} ({last})"),
            None => reason,
        }
    }
}

fn since(begun: Instant) -> Moment {
    Moment(begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
}

fn say(label: &str, line: &str) {
    tracing::info!("{label}: {line}");
}
