use std::io;

use nix::sys::epoll::Epoll;

use super::mux::{Mux, reason};
use super::table::Source;
use super::train::{Datagram, Yard, train};
use crate::datapath::{Arrival, Demux, Direction, DropReason, FrameBuf, Inbox, Overlay, Port};
use crate::device::TapDevice;
use crate::sys::{Received, RecvBatch, SendRoom};
use crate::wire::FlowHasher;

/// Frames or datagrams that are carried before the next descriptor has its turn.
const BATCH: usize = 64;
/// Octets of frames after which a batch is carried though more wait: what stays in a processor's cache.
const BATCH_OCTETS: usize = 256 * 1024;

/// Datagrams after which it is, when frames are cut into many.
const BATCH_DATAGRAMS: usize = 4096;

/// One worker's hands: the rooms for a batch each way.
pub(super) struct Carrier {
    hasher: FlowHasher,
    frames: Vec<FrameBuf>,
    yard: Yard,
    room: SendRoom,
    receive: RecvBatch,
}

/// Whose frames a batch is of.
#[derive(Clone, Copy)]
struct Sender<'a> {
    overlay: &'a Overlay<TapDevice>,
    port: &'a Port<TapDevice>,
}

impl Sender<'_> {
    fn lose(self, reason: DropReason, frames: usize) {
        self.overlay.counters().lose(Direction::Out, reason, frames);
        self.port.counters().lost(frames);
    }
}

impl Carrier {
    pub(super) fn new(hasher: FlowHasher) -> Self {
        Self {
            hasher,
            frames: (0..BATCH).map(|_| FrameBuf::default()).collect(),
            yard: Yard::default(),
            room: SendRoom::default(),
            receive: RecvBatch::new(BATCH),
        }
    }

    /// Carries what waits at a source; none when it has just been removed.
    pub(super) fn serve(&mut self, source: Option<&Source>, epoll: &Epoll) {
        match source {
            Some(Source::Device { overlay, port, mux }) => {
                let sender = Sender { overlay, port };
                if self.read(sender, mux.as_deref()).is_err() {
                    abandon(port, epoll);
                }
                if let Some(mux) = mux {
                    self.depart(mux, sender);
                }
            }
            Some(Source::Socket { mux, demux }) => self.arrive(mux, demux),
            None => {}
        }
    }

    /// Takes in a batch; an error says that the device is gone.
    fn read(&mut self, sender: Sender<'_>, mux: Option<&Mux>) -> io::Result<()> {
        self.yard.clear();
        let mut octets = 0;
        for (number, frame) in self.frames.iter_mut().enumerate() {
            if octets >= BATCH_OCTETS || self.yard.len() >= BATCH_DATAGRAMS {
                break;
            }
            match sender.port.device().take(frame) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Err(error),
                Err(_) => {
                    // The system had a frame that it cannot describe to us, and has dropped it.
                    sender.overlay.unreadable(sender.port);
                    continue;
                }
            }
            octets += frame.octets().len();
            let Some(departure) = sender.overlay.transmit(sender.port, frame, &self.hasher) else { continue };
            match mux {
                Some(mux) => {
                    let slot = mux.sockets.slot(departure.flow);
                    self.yard.add(&departure, slot, sender.overlay, (number, frame));
                }
                None => sender.lose(DropReason::SendRefused, departure.load.frames),
            }
        }
        Ok(())
    }

    fn depart(&mut self, mux: &Mux, sender: Sender<'_>) {
        self.yard.sort();
        let shipment = Shipment { mux, yard: &self.yard, frames: &self.frames };
        for (slot, datagrams) in self.yard.by_socket() {
            let mut rest = datagrams;
            // How many of the rest go one by one, because the system has refused them as a train.
            let mut alone = 0;
            while !rest.is_empty() {
                let trains = alone == 0 && mux.takes_trains();
                let next = if alone > 0 { &rest[..alone] } else { rest };
                let first = if trains { train(rest) } else { 1 };
                let done = match shipment.send(slot, next, trains, &mut self.room) {
                    Ok(count) => {
                        next[..count]
                            .iter()
                            .for_each(|datagram| sender.overlay.counters().sent(datagram.load));
                        count
                    }
                    Err(error) if first > 1 && mux.refuses_train(&error) => {
                        alone = first;
                        continue;
                    }
                    Err(error) => {
                        sender.lose(reason(&error), first);
                        first
                    }
                };
                alone = alone.saturating_sub(done);
                rest = &rest[done..];
            }
        }
    }

    fn arrive(&mut self, mux: &Mux, demux: &Demux<TapDevice>) {
        // An error waiting on the socket is told once by this call and is of no datagram.
        let count = self.receive.receive(mux.sockets.listener()).unwrap_or(0);
        let mut inbox = Inbox::default();
        for received in (0..count).filter_map(|place| self.receive.datagram(place)) {
            let Received { source: sender, octets, cut, train } = received;
            demux.receive(&Arrival { sender, octets, cut, train }, &mut inbox);
        }
        inbox.finish();
    }
}

/// A batch on its way out.
struct Shipment<'a> {
    mux: &'a Mux,
    yard: &'a Yard,
    frames: &'a [FrameBuf],
}

impl Shipment<'_> {
    /// Sends datagrams of one socket with one system call, as trains or one by one; says how many went.
    fn send(
        &self,
        slot: usize,
        datagrams: &[Datagram],
        trains: bool,
        room: &mut SendRoom,
    ) -> io::Result<usize> {
        let mut messages = room.begin();
        let (mut rest, mut ends) = (datagrams, [0; BATCH]);
        let mut count = 0;
        while !rest.is_empty() && count < BATCH {
            let len = if trains { train(rest) } else { 1 };
            let pieces = rest[..len].iter().flat_map(|datagram| self.yard.pieces(datagram, self.frames));
            pieces.for_each(|piece| messages.add(piece));
            let segment = if len > 1 { rest[0].segment() } else { None };
            messages.finish(self.mux.address(rest[0].destination()), segment);
            rest = &rest[len..];
            ends[count] = datagrams.len() - rest.len();
            count += 1;
        }
        match messages.send(self.mux.sockets.sender(slot))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            sent => Ok(ends[sent - 1]),
        }
    }
}

/// Serves a device no longer that somebody has removed.
fn abandon(port: &Port<TapDevice>, epoll: &Epoll) {
    port.device().note_gone();
    tracing::warn!("the device with address {} was removed by somebody", port.settings().mac);
    let _ = epoll.delete(port.device());
}
