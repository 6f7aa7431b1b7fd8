//! Datagrams that the system refuses because they are too big for their way, and may not be divided.

use std::io;
use std::ops::Range;

use super::carry::{Sender, Shipment};
use super::clock::Clock;
use super::mux::reason;
use super::train::Datagram;
use crate::datapath::{Allowance, DropReason, Load, Port, Remedy};
use crate::encap::Stamp;
use crate::offload::Division;
use crate::socket::Slot;
use crate::sys::{SendRoom, Shape};
use crate::wire::Ethernet;

/// What a worker sends from: room for headers of messages, and for what is to be sent otherwise than it was meant to.
pub(super) struct Room {
    pub(super) send: SendRoom,
    clock: Clock,
    /// One datagram in one piece.
    datagram: Vec<u8>,
    /// The headers of what it is divided into, and where those and the payloads stand.
    headers: Vec<u8>,
    pieces: Vec<(Range<usize>, Range<usize>)>,
    /// For what no VNIC here is known to have sent.
    answers: Allowance,
}

impl Room {
    pub(super) fn new(clock: Clock) -> Self {
        let (send, answers) = Default::default();
        Self { send, clock, datagram: Vec::new(), headers: Vec::new(), pieces: Vec::new(), answers }
    }
}

/// Whether the system has refused a datagram because of its size alone.
pub(super) fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

impl Shipment<'_> {
    /// Does what a router would do about the first of these datagrams, which is too big for its way; says how many of them are
    /// settled by that: a super-frame is answered once.
    pub(super) fn too_big(
        &self,
        slot: Slot,
        datagrams: &[Datagram],
        sender: Sender<'_>,
        room: &mut Room,
    ) -> usize {
        let first = &datagrams[0];
        let of_frame = datagrams.iter().take_while(|datagram| datagram.is_of_frame(first)).count();
        room.take(self.pieces(first));
        match self.remedy(first, sender, room) {
            Remedy::Answer(answer) => {
                let allowance = sender.port.map_or(&room.answers, Port::answers);
                if allowance.take(room.clock.now()) {
                    sender.overlay.answer(sender.port, &answer);
                }
                sender.lose(DropReason::UnderlayMtu, of_frame);
                of_frame
            }
            Remedy::Loosen => self.loosen(slot, &datagrams[..of_frame], sender, room),
            Remedy::Divide(limit) => {
                for datagram in &datagrams[..of_frame] {
                    room.take(self.pieces(datagram));
                    self.divide(slot, datagram, limit, sender, room);
                }
                of_frame
            }
            Remedy::Drop => {
                sender.lose(DropReason::UnderlayMtu, of_frame);
                of_frame
            }
        }
    }

    /// Sends datagrams so that they may be divided on the way; says how many are settled.
    fn loosen(&self, slot: Slot, datagrams: &[Datagram], sender: Sender<'_>, room: &mut Room) -> usize {
        match self.send(Slot { df: false, ..slot }, datagrams, false, room) {
            Ok(count) => {
                datagrams[..count].iter().for_each(|datagram| sender.overlay.counters().sent(datagram.load));
                count
            }
            Err(error) => {
                sender.lose(reason(&error), 1);
                1
            }
        }
    }

    fn remedy(&self, first: &Datagram, sender: Sender<'_>, room: &Room) -> Remedy {
        let header_len = sender.overlay.settings().encap.header_len();
        let Some(frame) = room.datagram.get(header_len..) else { return Remedy::Drop };
        let Some(ethernet) = Ethernet::parse(frame) else { return Remedy::Drop };
        let (end, len) = (first.destination(), frame.len() - ethernet.header_len);
        let now = room.clock.now();
        let limit = self.mux.limit_to(end, header_len + ethernet.header_len, len, now);
        limit.map_or(Remedy::Drop, |limit| Remedy::of(frame, limit))
    }

    /// Sends the frame in the room as several, each with a part of its packet; as one where it fits.
    fn divide(&self, slot: Slot, datagram: &Datagram, limit: usize, sender: Sender<'_>, room: &mut Room) {
        if room.divide(sender, limit).is_none() {
            return sender.lose(DropReason::UnderlayMtu, 1);
        }
        let Room { send, datagram: whole, headers, pieces, .. } = room;
        let outer_len = sender.overlay.settings().encap.header_len();
        let Stamp { ttl, tos, .. } = datagram.stamp();
        let mut messages = send.begin();
        for (header, payload) in &*pieces {
            messages.add(&headers[header.clone()]);
            messages.add(&whole[payload.clone()]);
            messages.finish(self.mux.address(datagram.destination()), Shape { segment: None, ttl, tos });
        }
        let outcome = messages.send(self.mux.sockets.sender(slot));
        let (count, why) = match &outcome {
            Ok(count) => (*count, DropReason::SendFull),
            Err(error) => (0, reason(error)),
        };
        let load = |(header, payload): &(Range<usize>, Range<usize>)| Load {
            frames: 1,
            bytes: header.len() - outer_len + payload.len(),
        };
        let sent: Vec<_> = pieces[..count].iter().map(load).collect();
        sender.overlay.divided(sender.port, &sent, pieces.len() - count, why);
    }
}

impl Room {
    /// Makes one datagram its content.
    fn take(&mut self, pieces: [&[u8]; 2]) {
        self.datagram.clear();
        pieces.iter().for_each(|piece| self.datagram.extend_from_slice(piece));
    }

    /// Writes the headers of what the datagram is divided into.
    fn divide(&mut self, sender: Sender<'_>, limit: usize) -> Option<()> {
        self.headers.clear();
        self.pieces.clear();
        let outer_len = sender.overlay.settings().encap.header_len();
        let frame = self.datagram.get(outer_len..)?;
        let division = Division::new(frame, &Ethernet::parse(frame)?, limit)?;
        for number in 0..division.count() {
            let start = self.headers.len();
            self.headers.resize(start + outer_len + division.header_len(), 0);
            let (outer, inner) = self.headers[start..].split_at_mut(outer_len);
            sender.overlay.write_header(outer);
            division.write_header(frame, number, inner);
            let payload = division.payload(number);
            let payload = outer_len + payload.start..outer_len + payload.end;
            self.pieces.push((start..self.headers.len(), payload));
        }
        Some(())
    }
}
