use std::io;

use nix::sys::epoll::Epoll;

use super::mux::{Mux, reason};
use super::table::Source;
use crate::datapath::{Demux, Departure, Direction, DropReason, FrameBuf, Overlay, OverlayCounters, Port};
use crate::device::TapDevice;
use crate::sys::{RecvBatch, SendBatch};
use crate::wire::FlowHasher;

/// Frames or datagrams that are carried before the next descriptor has its turn.
const BATCH: usize = 64;

/// One worker's hands: the rooms for a batch each way.
pub(super) struct Carrier {
    hasher: FlowHasher,
    frames: Vec<FrameBuf>,
    departures: Vec<Leaving>,
    send: SendBatch,
    receive: RecvBatch,
}

/// A datagram on its way out: which frame of the batch it is, and the socket it leaves from.
struct Leaving {
    frame: usize,
    slot: usize,
    departure: Departure,
}

impl Carrier {
    pub(super) fn new(hasher: FlowHasher) -> Self {
        Self {
            hasher,
            frames: (0..BATCH).map(|_| FrameBuf::default()).collect(),
            departures: Vec::with_capacity(BATCH),
            send: SendBatch::default(),
            receive: RecvBatch::new(BATCH),
        }
    }

    /// Carries what waits at a source; none when it has just been removed.
    pub(super) fn serve(&mut self, source: Option<&Source>, epoll: &Epoll) {
        match source {
            Some(Source::Device { overlay, port, mux }) => {
                if self.read(overlay, port, mux.as_deref()).is_err() {
                    // Only a device that somebody has removed cannot be read.
                    port.device().note_gone();
                    let _ = epoll.delete(port.device());
                }
                if let Some(mux) = mux {
                    self.depart(mux, overlay.counters());
                }
            }
            Some(Source::Socket { mux, demux }) => self.arrive(mux, demux),
            None => {}
        }
    }

    fn read(
        &mut self,
        overlay: &Overlay<TapDevice>,
        port: &Port<TapDevice>,
        mux: Option<&Mux>,
    ) -> io::Result<()> {
        self.departures.clear();
        for (place, frame) in self.frames.iter_mut().enumerate() {
            if !port.device().take(frame)? {
                break;
            }
            let Some(departure) = overlay.transmit(port, frame, &self.hasher) else { continue };
            match mux {
                Some(mux) => {
                    let slot = mux.sockets.slot(departure.flow);
                    self.departures.push(Leaving { frame: place, slot, departure });
                }
                None => overlay.counters().lose(Direction::Out, DropReason::SendRefused),
            }
        }
        // By socket; frames of one flow have one socket and stay in their order.
        self.departures.sort_unstable_by_key(|leaving| (leaving.slot, leaving.frame));
        Ok(())
    }

    fn depart(&mut self, mux: &Mux, counters: &OverlayCounters) {
        let (frames, send) = (&self.frames, &mut self.send);
        for train in self.departures.chunk_by(|one, other| one.slot == other.slot) {
            let socket = mux.sockets.sender(train[0].slot);
            let mut rest = train;
            while let Some((_, others)) = rest.split_first() {
                let datagrams = rest.iter().map(|leaving| {
                    (mux.address(leaving.departure.destination), frames[leaving.frame].octets())
                });
                match send.send(socket, datagrams) {
                    Ok(count) if count > 0 => {
                        rest[..count].iter().for_each(|leaving| counters.sent(leaving.departure.frame_len));
                        rest = &rest[count..];
                    }
                    outcome => {
                        let error = outcome.err().unwrap_or_else(|| io::ErrorKind::WouldBlock.into());
                        counters.lose(Direction::Out, reason(&error));
                        rest = others;
                    }
                }
            }
        }
        self.departures.clear();
    }

    fn arrive(&mut self, mux: &Mux, demux: &Demux<TapDevice>) {
        // An error waiting on the socket is told once by this call and is of no datagram.
        let count = self.receive.receive(mux.sockets.listener()).unwrap_or(0);
        for datagram in (0..count).filter_map(|place| self.receive.datagram(place)) {
            demux.receive(datagram.source, datagram.octets, datagram.cut);
        }
    }
}
