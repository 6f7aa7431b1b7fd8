use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

use super::clock::Clock;
use super::mux::{Mux, reason};
use super::oversize::{Room, is_too_big};
use super::pace::{Pace, Roster};
use super::released::{Outbox, Outgoing};
use super::table::{Source, Table, Token, Way};
use super::train::{Datagram, Yard, train};
use crate::datapath::{
    Arrival, Demux, Departure, Direction, DropReason, FrameBuf, Inbox, Outward, Overlay, Port,
};
use crate::device::TapDevice;
use crate::encap::Stamp;
use crate::lookup::Desk;
use crate::socket::Slot;
use crate::sys::{Received, RecvBatch, Shape};
use crate::types::LinkId;
use crate::wire::{Ecn, FlowHasher};

/// Frames or datagrams that are carried before the next descriptor has its turn.
const BATCH: usize = 64;
/// Octets of frames after which a batch is carried though more wait: what stays in a processor's cache.
const BATCH_OCTETS: usize = 256 * 1024;

/// Datagrams after which it is, when frames are cut into many.
const BATCH_DATAGRAMS: usize = 4096;

/// What a worker shares with the engine beside the published table.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) hasher: FlowHasher,
    pub(super) clock: Clock,
    pub(super) desk: Arc<Desk>,
    /// Wakes who takes the questions from the desk.
    pub(super) attention: Arc<EventFd>,
    /// Whether a device has been found removed.
    pub(super) losses: Arc<AtomicBool>,
    /// What this worker has to send first.
    pub(super) outbox: Arc<Outbox>,
    /// Who has called it.
    pub(super) roster: Arc<Roster>,
}

/// One worker's hands: the rooms for a batch each way, and for what has waited.
pub(super) struct Carrier {
    shared: Shared,
    batch: Batch,
    released: Batch,
    room: Room,
    receive: RecvBatch,
    pace: Pace,
    /// The VNICs that it has come back to in this turn.
    due: Vec<Token>,
}

/// Frames on their way out, and the datagrams they become.
#[derive(Default)]
struct Batch {
    frames: Vec<FrameBuf>,
    yard: Yard,
}

impl Batch {
    /// The room for one more frame.
    fn frame(&mut self, number: usize) -> &mut FrameBuf {
        if number == self.frames.len() {
            self.frames.push(FrameBuf::default());
        }
        &mut self.frames[number]
    }
}

/// Whose frames a batch is of: an overlay, and the VNIC that sent them where that is one.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) overlay: &'a Overlay<TapDevice>,
    pub(super) port: Option<&'a Port<TapDevice>>,
}

impl Sender<'_> {
    pub(super) fn lose(self, reason: DropReason, frames: usize) {
        self.overlay.counters().lose(Direction::Out, reason, frames);
        if let Some(port) = self.port {
            port.counters().lost(frames);
        }
    }
}

impl Carrier {
    pub(super) fn new(shared: Shared) -> Self {
        let mut batch = Batch::default();
        batch.frames.resize_with(BATCH, FrameBuf::default);
        let (released, room) = (Batch::default(), Room::new(shared.clock));
        let (pace, due) = (Pace::new(Arc::clone(&shared.roster)), Vec::new());
        Self { shared, batch, released, room, receive: RecvBatch::new(BATCH), pace, due }
    }

    /// Carries what waits at a source, which may just have been removed; `crowded` when others wait, too.
    pub(super) fn serve(&mut self, token: Token, crowded: bool, table: &Table, epoll: &Epoll) {
        match table.sources.get(&token) {
            Some(Source::Device { overlay, port, mux }) => {
                let extent = Extent::of(port, crowded);
                match self.read(overlay, port, mux.as_deref(), &extent) {
                    Ok(octets) => extent.note(port, octets),
                    Err(_) => self.abandon(port, epoll),
                }
                self.pause(token, port, epoll);
                // Between looking up and sending: what has waited for these answers goes first.
                self.send_released(table);
                if let Some(mux) = mux {
                    let sender = Sender { overlay, port: Some(port) };
                    self.batch.depart(mux, sender, &mut self.room);
                }
            }
            Some(Source::Socket { mux, demux }) => self.arrive(mux, demux),
            None => {}
        }
    }

    /// Serves a device no longer that somebody has removed, and says so.
    fn abandon(&self, port: &Port<TapDevice>, epoll: &Epoll) {
        port.device().note_gone();
        let _ = epoll.delete(port.device());
        self.shared.losses.store(true, Ordering::Release);
        let _ = self.shared.attention.write(1);
    }

    /// Wakes who takes the questions that have come in this turn, from frames or from what has waited.
    pub(super) fn announce(&self) {
        if self.shared.desk.take_raised() {
            // It fails only when 2^64 - 2 wake-ups are waiting.
            let _ = self.shared.attention.write(1);
        }
    }

    /// Takes in a batch, and says of how many octets it is; an error says that the device is gone.
    fn read(
        &mut self,
        overlay: &Overlay<TapDevice>,
        port: &Port<TapDevice>,
        mux: Option<&Mux>,
        extent: &Extent,
    ) -> io::Result<usize> {
        let sender = Sender { overlay, port: Some(port) };
        let outward = Outward { hasher: &self.shared.hasher, now: self.shared.clock.now() };
        let Batch { frames, yard } = &mut self.batch;
        yard.clear();
        let mut octets = 0;
        for (number, frame) in frames[..extent.frames].iter_mut().enumerate() {
            // A VNIC that has used up its rate is not read, but by a frame where the system says that it is gone.
            let over = octets >= extent.octets || yard.len() >= BATCH_DATAGRAMS;
            if over || (number > 0 && port.is_spent()) {
                break;
            }
            match port.device().take(frame) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Err(error),
                Err(_) => {
                    // The system had a frame that it cannot describe to us, and has dropped it.
                    overlay.unreadable(port);
                    continue;
                }
            }
            octets += frame.octets().len();
            let Some(departure) = overlay.transmit(port, frame, outward) else { continue };
            yard.take_in(&departure, mux, sender, (number, frame));
        }
        Ok(octets)
    }

    /// Reads a VNIC no longer that has used up its rate, until it may send again.
    fn pause(&mut self, token: Token, port: &Port<TapDevice>, epoll: &Epoll) {
        if !port.is_spent() {
            return;
        }
        if let Some(until) = port.sends_from(self.shared.clock.fine())
            && self.pace.pause(token, until)
        {
            listen(port, token, EpollFlags::empty(), epoll);
        }
    }

    /// Comes back to the VNICs that may send again, and to those that may be given what waits for them.
    pub(super) fn come_back(&mut self, table: &Table, epoll: &Epoll) {
        if self.pace.is_idle() {
            return;
        }
        let now = self.shared.clock.fine();
        let mut due = std::mem::take(&mut self.due);
        self.pace.take_due(now, &mut due);
        for token in due.drain(..) {
            let was_paused = self.pace.resume(token);
            let Some(Source::Device { overlay, port, .. }) = table.sources.get(&token) else { continue };
            if let Some(again) = overlay.drain(port, now) {
                self.pace.come_back(token, again);
            }
            match port.sends_from(now).filter(|_| was_paused) {
                Some(until) => drop(self.pace.pause(token, until)),
                None if was_paused => listen(port, token, EpollFlags::EPOLLIN, epoll),
                None => {}
            }
        }
        self.due = due;
    }

    /// Takes note of who has called it: before it looks for a newer table than it has.
    pub(super) fn hear_calls(&mut self) {
        self.pace.hear_calls();
    }

    /// How long it may sleep.
    pub(super) fn sleep(&mut self) -> EpollTimeout {
        let clock = self.shared.clock;
        self.pace.timeout(|| clock.fine())
    }

    /// Has a new table, in which rates may be others.
    pub(super) fn hurry(&mut self) {
        self.pace.hurry();
    }

    /// Sends what has waited for lookups, in its order.
    pub(super) fn send_released(&mut self, table: &Table) {
        let mut outgoing = self.shared.outbox.take();
        while let Some(first) = outgoing.front() {
            match table.overlays.get(&first.overlay) {
                Some(way) => self.send_batch(first.overlay, &mut outgoing, way),
                // The overlay has gone, and what it counted with it.
                None => drop(outgoing.pop_front()),
            }
        }
    }

    /// Sends what is of one overlay in front of the others, up to a batch.
    fn send_batch(&mut self, link: LinkId, outgoing: &mut VecDeque<Outgoing>, way: &Way) {
        let (overlay, mux) = (&*way.overlay, way.mux.as_deref());
        let sender = Sender { overlay, port: None };
        let outward = Outward { hasher: &self.shared.hasher, now: self.shared.clock.now() };
        self.released.yard.clear();
        let (mut number, mut octets) = (0, 0);
        while number < BATCH && octets < BATCH_OCTETS && self.released.yard.len() < BATCH_DATAGRAMS {
            if outgoing.front().is_none_or(|one| one.overlay != link) {
                break;
            }
            let Some(one) = outgoing.pop_front() else { break };
            let frame = self.released.frame(number);
            one.frame.restore(frame);
            octets += frame.octets().len();
            let departure = match one.ends {
                Some(ends) => overlay.release(&one.frame, ends, frame, outward.hasher),
                None => overlay.resend(&one.frame, frame, outward),
            };
            if let Some(departure) = departure {
                let Batch { frames, yard } = &mut self.released;
                yard.take_in(&departure, mux, sender, (number, &frames[number]));
            }
            number += 1;
        }
        if let Some(mux) = mux {
            self.released.depart(mux, sender, &mut self.room);
        }
    }

    fn arrive(&mut self, mux: &Mux, demux: &Demux<TapDevice>) {
        // An error waiting on the socket is told once by this call and is of no datagram.
        let count = self.receive.receive(mux.sockets.listener()).unwrap_or(0);
        for place in 0..count {
            let (octets, train, tos) = self.receive.octets_mut(place);
            demux.mark(octets, train, Ecn::of(tos));
        }
        let mut inbox = Inbox::default();
        for received in (0..count).filter_map(|place| self.receive.datagram(place)) {
            let Received { source: sender, octets, cut, train, tos } = received;
            demux.receive(&Arrival { sender, octets, cut, train, ecn: Ecn::of(tos) }, &mut inbox);
        }
        inbox.finish();
    }
}

impl Yard {
    /// Takes a frame that leaves through `mux`; without one, it is lost.
    fn take_in(
        &mut self,
        departure: &Departure,
        mux: Option<&Mux>,
        sender: Sender<'_>,
        frame: (usize, &FrameBuf),
    ) {
        match mux {
            Some(mux) => self.add(departure, mux.sockets.slot(departure.flow), sender.overlay, frame),
            None => {
                let frames = departure.load.frames * departure.ends.all().len();
                sender.lose(DropReason::SendRefused, frames);
            }
        }
    }
}

impl Batch {
    fn depart(&mut self, mux: &Mux, sender: Sender<'_>, room: &mut Room) {
        self.yard.sort();
        let shipment = Shipment { mux, yard: &self.yard, frames: &self.frames };
        for (slot, datagrams) in self.yard.by_socket() {
            shipment.send_all(slot, datagrams, sender, room);
        }
    }
}

/// A batch on its way out.
pub(super) struct Shipment<'a> {
    pub(super) mux: &'a Mux,
    yard: &'a Yard,
    frames: &'a [FrameBuf],
}

impl Shipment<'_> {
    /// Sends all datagrams of one socket, or counts why one was not sent.
    fn send_all(&self, slot: Slot, datagrams: &[Datagram], sender: Sender<'_>, room: &mut Room) {
        let mut rest = datagrams;
        // How many of the rest go one by one, because the system has refused them as a train.
        let mut alone = 0;
        while !rest.is_empty() {
            let trains = alone == 0 && self.mux.takes_trains();
            let next = if alone > 0 { &rest[..alone] } else { rest };
            let first = if trains { train(rest) } else { 1 };
            let done = match self.send(slot, next, trains, room) {
                Ok(count) => {
                    next[..count].iter().for_each(|datagram| sender.overlay.counters().sent(datagram.load));
                    count
                }
                // What may be divided is refused as a train alone, and then goes without.
                Err(error) if is_too_big(&error) && (rest[0].stamp().df || first == 1) => {
                    self.too_big(slot, rest, sender, room)
                }
                Err(error) if first > 1 && self.mux.refuses_train(&error) => {
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

    /// The octets of a datagram.
    pub(super) fn pieces(&self, datagram: &Datagram) -> [&[u8]; 2] {
        self.yard.pieces(datagram, self.frames)
    }

    /// Sends datagrams of one socket with one system call, as trains or one by one; says how many went.
    pub(super) fn send(
        &self,
        slot: Slot,
        datagrams: &[Datagram],
        trains: bool,
        room: &mut Room,
    ) -> io::Result<usize> {
        let mut messages = room.send.begin();
        let (mut rest, mut ends) = (datagrams, [0; BATCH]);
        let mut count = 0;
        while !rest.is_empty() && count < BATCH {
            let len = if trains { train(rest) } else { 1 };
            let pieces = rest[..len].iter().flat_map(|datagram| self.pieces(datagram));
            pieces.for_each(|piece| messages.add(piece));
            let segment = if len > 1 { rest[0].segment() } else { None };
            let Stamp { ttl, tos, .. } = rest[0].stamp();
            messages.finish(self.mux.address(rest[0].destination()), Shape { segment, ttl, tos });
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

/// How much of one device's a worker carries in one turn.
struct Extent {
    frames: usize,
    octets: usize,
    /// Its share, in octets, where that counts.
    share: Option<usize>,
}

impl Extent {
    /// All of a batch; where others wait, too, what the VNIC's priority gives it.
    fn of(port: &Port<TapDevice>, crowded: bool) -> Self {
        if !crowded {
            return Self { frames: BATCH, octets: BATCH_OCTETS, share: None };
        }
        let priority = port.settings().policy.priority;
        let share = priority.share(BATCH_OCTETS);
        Self { frames: priority.share(BATCH), octets: port.left_of(share), share: Some(share) }
    }

    fn note(&self, port: &Port<TapDevice>, octets: usize) {
        if let Some(share) = self.share {
            port.note_turn(share, octets);
        }
    }
}

/// Whether a device is to be read; it is served in any case when it is gone. What has just been removed is not watched.
fn listen(port: &Port<TapDevice>, token: Token, what: EpollFlags, epoll: &Epoll) {
    let _ = epoll.modify(port.device(), &mut EpollEvent::new(what, token.0));
}
