use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::PollFlags;
use overlay_core::control::Peer;
use overlay_core::protocol::{Change, Event, Incoming, Session};

/// Octets that are read of one client before the next has its turn.
const MOUTHFUL: usize = 64 * 1024;

/// A client.
pub(super) struct Connection {
    stream: UnixStream,
    peer: Peer,
    ended: bool,
    /// Whether it was not told of changes because it does not take what it is told.
    missed: bool,
    pub(super) session: Session,
    /// When it last said something, by the server's count.
    pub(super) last_heard: u64,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let peer = Peer::of(&stream)?;
        Ok(Self {
            stream,
            peer,
            ended: false,
            missed: false,
            session: Session::new("overlayd"),
            last_heard: 0,
        })
    }

    /// What it can be waited for: its octets while it takes the answers, and room for those.
    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::POLLIN, !self.session.stalled() && !self.ended);
        interest.set(PollFlags::POLLOUT, !self.session.output().is_empty());
        interest
    }

    pub(super) fn read(&mut self, now: u64) -> io::Result<()> {
        if self.session.stalled() || self.ended {
            return Ok(());
        }
        let mut octets = vec![0; MOUTHFUL];
        match self.stream.read(&mut octets) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.session.receive(&octets[..count]);
                self.last_heard = now;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn next_request(&mut self) -> Option<Incoming> {
        self.session.next_request(|| self.peer.may_change())
    }

    /// Tells it what has happened; of changes, as long as it takes what it is told.
    pub(super) fn tell(&mut self, event: Event) {
        let change = matches!(event, Event::Change(_));
        if change && (self.missed || self.session.stalled()) {
            self.missed = true;
        } else {
            self.session.event(event);
        }
    }

    /// Writes what the client takes now; the end of a refused client's answers is shown to it.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.session.output().is_empty() {
            match self.stream.write(self.session.output()) {
                Ok(count) => self.session.written(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.missed && self.session.output().is_empty() {
                self.missed = false;
                self.session.event(Event::Change(Change::Missed));
            }
        }
        if self.session.finished() && !self.ended {
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// Whether there is nothing more to hear or to say. A refused client is heard to its end, unread: closing a Unix
    /// socket with octets waiting takes from it what it has not read yet (net/unix/af_unix.c).
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.session.output().is_empty()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
