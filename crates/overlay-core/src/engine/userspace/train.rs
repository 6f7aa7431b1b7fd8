//! From frames that leave to messages for the system: datagrams, put together into trains.

use std::net::SocketAddr;
use std::ops::Range;

use crate::datapath::Departure;
use crate::datapath::{Device, FrameBuf, Load, Overlay};
use crate::encap::Stamp;
use crate::socket::Slot;

/// Datagrams in one train (UDP_MAX_SEGMENTS was 64 before Linux 6.7, linux/udp.h).
const TRAIN_DATAGRAMS: usize = 64;
/// Octets in one train: the largest UDP payload over IPv4.
const TRAIN_OCTETS: usize = 65_507;

/// A datagram on its way out.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    /// Which of the mux's sockets it leaves from.
    slot: usize,
    /// Its place among all of the batch.
    place: usize,
    destination: SocketAddr,
    /// What its outer IP header says.
    stamp: Stamp,
    /// Its headers among those written for cut frames; empty for a frame that goes as it is.
    headers: Range<usize>,
    /// Which frame of the batch it is of, and which octets of that.
    frame: usize,
    octets: Range<usize>,
    /// What it counts for.
    pub(super) load: Load,
}

impl Datagram {
    fn len(&self) -> usize {
        self.headers.len() + self.octets.len()
    }
}

/// The datagrams of one batch of frames.
#[derive(Default)]
pub(super) struct Yard {
    datagrams: Vec<Datagram>,
    headers: Vec<u8>,
}

impl Yard {
    /// Nothing yet.
    pub(super) fn clear(&mut self) {
        self.datagrams.clear();
        self.headers.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes a frame that leaves from the socket `slot`: `frame` is its content, number `number` of the batch.
    pub(super) fn add<D: Device>(
        &mut self,
        departure: &Departure,
        slot: usize,
        overlay: &Overlay<D>,
        (number, frame): (usize, &FrameBuf),
    ) {
        let [first, others @ ..] = departure.ends.all() else { return };
        let begin = self.datagrams.len();
        self.add_for(*first, departure, slot, overlay, (number, frame));
        let end = self.datagrams.len();
        for other in others {
            for place in begin..end {
                let (destination, place) = (*other, (self.datagrams.len(), self.datagrams[place].clone()));
                self.datagrams.push(Datagram { destination, place: place.0, ..place.1 });
            }
        }
    }

    /// Takes a frame for one tunnel end.
    fn add_for<D: Device>(
        &mut self,
        destination: SocketAddr,
        departure: &Departure,
        slot: usize,
        overlay: &Overlay<D>,
        (number, frame): (usize, &FrameBuf),
    ) {
        let target = (slot, destination, departure.stamp);
        let Some(cut) = departure.cut else {
            let octets = 0..frame.octets().len();
            return self.push(target, 0..0, (number, octets), departure.load.bytes);
        };
        let outer_len = overlay.settings().encap.header_len();
        for segment in 0..cut.count() {
            let (start, payload) = (self.headers.len(), cut.payload(segment));
            self.headers.resize(start + outer_len + cut.header_len(), 0);
            let (outer, inner) = self.headers[start..].split_at_mut(outer_len);
            overlay.write_header(outer);
            cut.write_header(frame.octets(), segment, inner);
            // Each octet of the super-frame counts once: the first segment bears its headers.
            let bytes = payload.len() + if segment == 0 { cut.header_len() } else { 0 };
            self.push(target, start..self.headers.len(), (number, payload), bytes);
        }
    }

    fn push(
        &mut self,
        (slot, destination, stamp): (usize, SocketAddr, Stamp),
        headers: Range<usize>,
        (frame, octets): (usize, Range<usize>),
        bytes: usize,
    ) {
        let place = self.datagrams.len();
        let load = Load { frames: 1, bytes };
        self.datagrams.push(Datagram { slot, place, destination, stamp, headers, frame, octets, load });
    }

    /// By socket; datagrams of one flow have one socket and stay in their order.
    pub(super) fn sort(&mut self) {
        self.datagrams.sort_unstable_by_key(|datagram| (datagram.slot, datagram.place));
    }

    /// The datagrams of each socket, with its number, and whether they may not be divided on the way: for each port there
    /// is a socket of either kind. What alternates between the two keeps its order.
    pub(super) fn by_socket(&self) -> impl Iterator<Item = (Slot, &[Datagram])> {
        let groups = self.datagrams.chunk_by(|one, other| one.socket() == other.socket());
        groups.map(|group| (group[0].socket(), group))
    }

    /// The two pieces of a datagram.
    pub(super) fn pieces<'a>(&'a self, datagram: &Datagram, frames: &'a [FrameBuf]) -> [&'a [u8]; 2] {
        let frame = &frames[datagram.frame].octets()[datagram.octets.clone()];
        [&self.headers[datagram.headers.clone()], frame]
    }
}

/// Where the first train of these datagrams ends: one destination, one outer header, one length, and only the last may be
/// shorter.
pub(super) fn train(datagrams: &[Datagram]) -> usize {
    let Some(first) = datagrams.first() else { return 0 };
    let mut octets = first.len();
    for (place, datagram) in datagrams.iter().enumerate().skip(1) {
        octets += datagram.len();
        let fits = place < TRAIN_DATAGRAMS && octets <= TRAIN_OCTETS && datagram.len() <= first.len();
        if !fits || (datagram.destination, datagram.stamp) != (first.destination, first.stamp) {
            return place;
        }
        if datagram.len() < first.len() {
            return place + 1;
        }
    }
    datagrams.len()
}

impl Datagram {
    fn socket(&self) -> Slot {
        Slot { number: self.slot, df: self.stamp.df }
    }

    /// Whether it is of the same frame as another one, to the same tunnel end.
    pub(super) fn is_of_frame(&self, other: &Self) -> bool {
        (self.frame, self.destination) == (other.frame, other.destination)
    }

    /// What its outer IP header says.
    pub(super) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The tunnel end it goes to.
    pub(super) const fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// How long the datagrams of a train that it leads are.
    pub(super) fn segment(&self) -> Option<u16> {
        u16::try_from(self.len()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagrams(lens: &[usize], ports: &[u16]) -> Vec<Datagram> {
        let datagram = |(len, port): (&usize, &u16)| Datagram {
            slot: 0,
            place: 0,
            destination: SocketAddr::new([10, 0, 0, 2].into(), *port),
            stamp: Stamp::default(),
            headers: 0..0,
            frame: 0,
            octets: 0..*len,
            load: Load { frames: 1, bytes: *len },
        };
        lens.iter().zip(ports.iter().cycle()).map(datagram).collect()
    }

    #[test]
    fn a_train_has_one_length_and_only_its_last_is_shorter() {
        assert_eq!(train(&[]), 0);
        assert_eq!(train(&datagrams(&[100], &[1])), 1);
        assert_eq!(train(&datagrams(&[100, 100, 100], &[1])), 3);
        assert_eq!(train(&datagrams(&[100, 100, 50, 100], &[1])), 3);
        assert_eq!(train(&datagrams(&[100, 101], &[1])), 1);
        assert_eq!(train(&datagrams(&[100, 100], &[1, 2])), 1);
    }

    #[test]
    fn a_train_has_one_outer_header() {
        let mut run = datagrams(&[100, 100, 100], &[1]);
        run[2].stamp.tos = 3;
        assert_eq!(train(&run), 2);
        run[1].stamp.ttl = 1;
        assert_eq!(train(&run), 1);
    }

    #[test]
    fn a_train_stays_within_what_the_system_takes() {
        assert_eq!(train(&datagrams(&[60; 200], &[1])), TRAIN_DATAGRAMS);
        assert_eq!(train(&datagrams(&[1472; 60], &[1])), TRAIN_OCTETS / 1472);
    }
}
