use std::num::NonZeroU32;

use overlay_core::control::{Daemon, Paths};
use overlay_core::protocol::{
    Association, Call, ControlError, Event, Hello, Reply, Request, Response, ServerLine,
};
use overlay_core::types::LinkId;
use tokio::net::UnixListener;

use crate::lines::{Lines, hello, soon};

pub(crate) fn link(id: u32) -> LinkId {
    LinkId(NonZeroU32::new(id).unwrap())
}

pub(crate) fn links(ids: &[u32]) -> Vec<LinkId> {
    ids.iter().copied().map(link).collect()
}

/// An overlayd that does what a test says.
pub(crate) struct Twin {
    listener: UnixListener,
}

impl Twin {
    /// Listens in place of an earlier one.
    pub(crate) fn start(paths: &Paths) -> Self {
        let socket = paths.socket(Daemon::Overlayd);
        let _ = std::fs::remove_file(&socket);
        Self { listener: UnixListener::bind(socket).unwrap() }
    }

    /// Takes a connection and nothing more.
    pub(crate) async fn accept(&self) -> Link {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        Link { lines: Lines::new(stream) }
    }

    /// Takes a connection as far as varpd's request to attach, to be answered under the number.
    pub(crate) async fn greet(&self) -> (Link, u64) {
        let mut link = self.accept().await;
        assert_eq!(link.lines.next::<Hello>().await.unwrap().program, "varpd");
        link.lines.send(&hello("overlayd")).await;
        let call = link.call().await;
        assert_eq!(call.request, Request::Attach);
        (link, call.id)
    }

    /// Takes a connection and lets varpd attach.
    pub(crate) async fn attach(&self, overlays: &[u32], deleted: &[u32]) -> Link {
        let (mut link, id) = self.greet().await;
        let attached = Response::Attached { overlays: links(overlays), deleted: links(deleted) };
        link.reply(id, Ok(attached)).await;
        link
    }
}

/// One connection of varpd's.
pub(crate) struct Link {
    pub(crate) lines: Lines,
}

impl Link {
    pub(crate) async fn call(&mut self) -> Call {
        self.lines.next().await.expect("varpd has closed the connection")
    }

    pub(crate) async fn reply(&mut self, id: u64, result: Result<Response, ControlError>) {
        self.lines.send(&ServerLine::Reply(Reply { id, result })).await;
    }

    pub(crate) async fn event(&mut self, event: Event) {
        self.lines.send(&ServerLine::Event(event)).await;
    }

    /// Takes an association.
    pub(crate) async fn associated(&mut self) -> Association {
        let call = self.call().await;
        self.reply(call.id, Ok(Response::Done)).await;
        match call.request {
            Request::Associate(association) => association,
            other => panic!("{other:?}"),
        }
    }
}
