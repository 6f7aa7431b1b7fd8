//! What waits for a program to read it, up to a limit.

use std::future::pending;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use crate::backlog::Backlog;

/// Octets that wait for the program to read them.
const ROOM: usize = 8 * 1024 * 1024;

/// What waits for the program to read it.
pub(crate) struct Outbox {
    stdin: Option<ChildStdin>,
    backlog: Backlog,
}

impl Outbox {
    /// Empty, for a program that reads from `stdin`.
    pub(crate) fn new(stdin: Option<ChildStdin>) -> Self {
        Self { stdin, backlog: Backlog::default() }
    }

    /// Whether everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.backlog.unwritten().is_empty()
    }

    /// Adds a line; whether there was room.
    pub(crate) fn add(&mut self, line: &[u8]) -> bool {
        if self.backlog.unwritten().len() + line.len() > ROOM {
            return false;
        }
        self.backlog.end().extend_from_slice(line);
        true
    }

    /// Writes what the pipe takes. Can be given up and begun again.
    pub(crate) async fn write(&mut self) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else { return pending().await };
        match stdin.write(self.backlog.unwritten()).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => {
                self.backlog.written(count);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_does_not_read_is_kept_up_to_a_limit() {
        let mut outbox = Outbox::new(None);
        let line = vec![b'a'; 1024 * 1024];
        assert_eq!((0..100).filter(|_| outbox.add(&line)).count(), ROOM / line.len());
        outbox.backlog.written(ROOM);
        assert!(outbox.is_empty() && outbox.add(&line));
    }
}
