use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Device, Inbox, MuxCounters, Overlay};
use crate::encap::{Encap, HEADER_MAX};
use crate::types::VnetId;
use crate::wire::{Ecn, Ethernet, Packet, Transport};

/// The overlays that share one underlay socket, by vnetid.
pub struct Demux<D> {
    encap: &'static dyn Encap,
    overlays: HashMap<VnetId, Arc<Overlay<D>>>,
    counters: Arc<MuxCounters>,
}

impl<D: Device> Demux<D> {
    /// For the overlays of one encapsulation, whose vnetids are different.
    pub fn new(
        encap: &'static dyn Encap,
        overlays: impl IntoIterator<Item = Arc<Overlay<D>>>,
        counters: Arc<MuxCounters>,
    ) -> Self {
        let by_vnetid = overlays.into_iter().map(|overlay| (overlay.settings().vnetid, overlay));
        Self { encap, overlays: by_vnetid.collect(), counters }
    }

    /// Makes the packets in what was received as one say what its datagrams say of congestion, before anything is joined: what
    /// is received then, as the same kind of thing.
    pub fn mark(&self, octets: &mut [u8], train: Option<usize>, ecn: Ecn) {
        if !ecn.tells() {
            return;
        }
        let train = train.filter(|len| (1..octets.len()).contains(len));
        let each = match train.map(|len| (len, self.kind(octets, len))) {
            Some((len, Kind::Train)) => len,
            Some((_, Kind::Doubtful)) => return,
            Some((_, Kind::SuperFrame)) | None => octets.len().max(1),
        };
        for datagram in octets.chunks_mut(each) {
            if let Ok((_, header_len)) = self.encap.read(datagram) {
                ecn.mark(&mut datagram[header_len..]);
            }
        }
    }

    /// Takes what was received as one: a datagram, or a train of datagrams of one length.
    pub fn receive<'a>(&'a self, arrival: &Arrival<'a>, inbox: &mut Inbox<'a, D>) {
        let Some(len) = arrival.train.filter(|len| (1..arrival.octets.len()).contains(len)) else {
            return self.datagram(arrival, arrival.octets, None, inbox);
        };
        match self.kind(arrival.octets, len) {
            Kind::Train => {
                let (last, whole) = arrival.last_and_whole(len);
                let before = Arrival { cut: false, ..*arrival };
                whole.chunks(len).for_each(|octets| self.datagram(&before, octets, None, inbox));
                self.datagram(arrival, last, None, inbox);
            }
            Kind::SuperFrame => self.datagram(arrival, arrival.octets, Some(len), inbox),
            Kind::Doubtful => {
                let datagrams = arrival.octets.len().div_ceil(len) as u64;
                self.counters.datagrams.fetch_add(datagrams, Ordering::Relaxed);
                self.counters.bad_header.fetch_add(datagrams, Ordering::Relaxed);
            }
        }
    }

    /// What the system has put together: datagrams of one outer flow, which may be of several overlays; or one datagram
    /// with a UDP super-frame, as the kernel's vxlan sends between virtual devices. It does not say which, and whoever
    /// mistakes one for the other gives octets of one overlay to another. A train's first frame ends where its first
    /// datagram does; a super-frame's only at the end of all, its checksum is unfinished, and what stands where a
    /// second datagram would begin is no header as tunnel ends write it. All else is doubtful.
    fn kind(&self, octets: &[u8], len: usize) -> Kind {
        let Ok((_, header_len)) = self.encap.read(octets) else { return Kind::Train };
        let frame = &octets[header_len..];
        let parsed = Ethernet::parse(frame).and_then(|ethernet| Packet::parse(frame, &ethernet));
        let Some(packet) = parsed else { return Kind::Train };
        let end = header_len + packet.payload_offset + packet.payload.len();
        let unfinished = packet.checksum() == Some(packet.pseudo_sum(Transport::Udp).folded());
        let datagrams = packet.transport == Some(Transport::Udp) && unfinished && end == octets.len();
        match end <= len {
            true => Kind::Train,
            false if datagrams && !self.begins_as_written(&octets[len..]) => Kind::SuperFrame,
            false => Kind::Doubtful,
        }
    }

    fn begins_as_written(&self, octets: &[u8]) -> bool {
        let Ok((vnetid, header_len)) = self.encap.read(octets) else { return false };
        let mut written = [0; HEADER_MAX];
        let written = &mut written[..self.encap.header_len()];
        self.encap.write(vnetid, written);
        octets[..header_len] == *written
    }

    fn datagram<'a>(
        &'a self,
        arrival: &Arrival<'a>,
        octets: &'a [u8],
        datagram_len: Option<usize>,
        inbox: &mut Inbox<'a, D>,
    ) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        count(&self.counters.datagrams);
        let (overlay, header_len) = match self.encap.read(octets) {
            Ok((vnetid, header_len)) if !arrival.cut => (self.overlays.get(&vnetid), header_len),
            _ => return count(&self.counters.bad_header),
        };
        match (overlay, datagram_len) {
            (None, _) => count(&self.counters.unknown_vnetid),
            (Some(overlay), _) if arrival.refuses(&octets[header_len..]) => {
                overlay.refuse_congested(arrival.sender, &octets[header_len..]);
            }
            (Some(overlay), None) => inbox.take(overlay, arrival.sender, &octets[header_len..]),
            (Some(overlay), Some(len)) => {
                inbox.take_super(overlay, arrival.sender, &octets[header_len..], len);
            }
        }
    }
}

/// What several octets received as one are.
enum Kind {
    /// Datagrams.
    Train,
    /// One datagram, whose frame stands for several.
    SuperFrame,
    /// It cannot be said.
    Doubtful,
}

/// What was received as one.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The tunnel end that sent it.
    pub sender: IpAddr,
    /// Its octets.
    pub octets: &'a [u8],
    /// Whether its end is missing.
    pub cut: bool,
    /// How long its datagrams are, when it is several.
    pub train: Option<usize>,
    /// What its datagrams say of congestion.
    pub ecn: Ecn,
}

impl Arrival<'_> {
    /// Whether a frame in it is to be dropped because its datagram met congestion.
    fn refuses(&self, frame: &[u8]) -> bool {
        self.ecn.tells() && Ethernet::parse(frame).is_some_and(|ethernet| self.ecn.refuses(frame, &ethernet))
    }
}

impl<'a> Arrival<'a> {
    /// Of a train of datagrams of `len` octets, the last, whose end is missing where the train's is, and those before it.
    fn last_and_whole(&self, len: usize) -> (&'a [u8], &'a [u8]) {
        let start = self.octets.len().saturating_sub(1) / len * len;
        let (whole, last) = self.octets.split_at(start);
        (last, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{Bench, Twin, frame_to, point};
    use super::*;
    use crate::offload::Gso;
    use crate::offload::twin::super_frame;
    use proptest::prelude::*;

    fn demux(bench: Bench) -> (Demux<Twin>, Arc<Overlay<Twin>>, Arc<MuxCounters>) {
        let counters = Arc::new(MuxCounters::default());
        let overlay = Arc::new(bench.overlay);
        (
            Demux::new(overlay.settings().encap, [Arc::clone(&overlay)], Arc::clone(&counters)),
            overlay,
            counters,
        )
    }

    fn receive(demux: &Demux<Twin>, octets: &[u8], cut: bool) {
        let mut inbox = Inbox::default();
        demux.receive(
            &Arrival { sender: point().ip(), octets, cut, train: None, ecn: Ecn::NotEct },
            &mut inbox,
        );
        inbox.finish();
    }

    fn datagram(bench: &Bench) -> Vec<u8> {
        let mut datagram = vec![8, 0, 0, 0, 0, 0, 23, 0];
        datagram.extend(frame_to(bench.mac(0), 60));
        datagram
    }

    fn counts(counters: &MuxCounters) -> [u64; 3] {
        [&counters.datagrams, &counters.bad_header, &counters.unknown_vnetid]
            .map(|counter| counter.load(Ordering::Relaxed))
    }

    #[test]
    fn a_datagram_reaches_the_overlay_of_its_vnetid() {
        let bench = Bench::new(&[None]);
        let octets = datagram(&bench);
        let (demux, overlay, counters) = demux(bench);
        receive(&demux, &octets, false);
        assert_eq!(overlay.counters().info().to_devices, 1);
        assert_eq!(counts(&counters), [1, 0, 0]);
    }

    #[test]
    fn datagrams_of_no_overlay_are_counted_by_their_socket() {
        let bench = Bench::new(&[None]);
        let mut octets = datagram(&bench);
        let (demux, overlay, counters) = demux(bench);
        for len in 0..8 {
            receive(&demux, &octets[..len], false);
        }
        receive(&demux, &octets, true);
        octets[6] = 24;
        receive(&demux, &octets, false);
        octets[0] = 0;
        receive(&demux, &octets, false);
        assert_eq!(counts(&counters), [11, 10, 1]);
        assert_eq!(overlay.counters().info().from_wire, 0);
    }

    fn arrive(demux: &Demux<Twin>, octets: &[u8], train: usize) {
        let mut inbox = Inbox::default();
        demux.receive(
            &Arrival { sender: point().ip(), octets, cut: false, train: Some(train), ecn: Ecn::NotEct },
            &mut inbox,
        );
        inbox.finish();
    }

    /// A datagram with a UDP super-frame to the bench's VNIC, whose checksum is unfinished.
    fn super_datagram(bench: &Bench, len: usize) -> Vec<u8> {
        let (mut frame, _) = super_frame(Gso::Udp, false, false, 0, len, 1000);
        frame[..6].copy_from_slice(&bench.mac(0).0);
        [&[8, 0, 0, 0, 0, 0, 23, 0][..], &frame].concat()
    }

    /// TCP segments for the bench's VNIC, each in a datagram, whose packets say `ecn`.
    fn segments_saying(bench: &Bench, ecn: u8) -> Vec<Vec<u8>> {
        let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 3000, 1000);
        frame[..6].copy_from_slice(&bench.mac(0).0);
        (frame[15], frame[47]) = (ecn, 0x18);
        let datagram = |frame: Vec<u8>| [&[8, 0, 0, 0, 0, 0, 23, 0][..], &frame].concat();
        crate::offload::twin::segments(&frame, &vnet).into_iter().map(datagram).collect()
    }

    fn congested(demux: &Demux<Twin>, octets: &[u8], train: Option<usize>, inbox_of: Ecn) {
        let mut octets = octets.to_vec();
        demux.mark(&mut octets, train, inbox_of);
        let mut inbox = Inbox::default();
        let arrival = Arrival { sender: point().ip(), octets: &octets, cut: false, train, ecn: inbox_of };
        demux.receive(&arrival, &mut inbox);
        inbox.finish();
    }

    #[test]
    fn each_packet_of_a_train_that_met_congestion_says_so_and_they_still_join() {
        let bench = Bench::new(&[None]);
        let segments = segments_saying(&bench, 2);
        let (demux, overlay, _) = demux(bench);
        congested(&demux, &segments.concat(), Some(segments[0].len()), Ecn::Ce);
        let taken = overlay.ports()[0].device().taken();
        assert_eq!((taken.len(), taken[0][15]), (1, 3), "one super-frame, marked");
        assert_eq!(overlay.counters().info().to_devices, 3);
    }

    #[test]
    fn packets_of_different_marks_do_not_join() {
        let bench = Bench::new(&[None]);
        let segments = segments_saying(&bench, 2);
        let (demux, overlay, _) = demux(bench);
        let mut marked = segments[1].clone();
        demux.mark(&mut marked, None, Ecn::Ce);
        let mut inbox = Inbox::default();
        for (octets, ecn) in [(&segments[0], Ecn::Ect0), (&marked, Ecn::Ce), (&segments[2], Ecn::Ect0)] {
            let arrival = Arrival { sender: point().ip(), octets, cut: false, train: None, ecn };
            demux.receive(&arrival, &mut inbox);
        }
        inbox.finish();
        let marks: Vec<_> = overlay.ports()[0].device().taken().iter().map(|frame| frame[15]).collect();
        assert_eq!(marks, [2, 3, 2]);
    }

    #[test]
    fn a_packet_that_cannot_say_that_it_met_congestion_is_dropped() {
        let bench = Bench::new(&[None]);
        let segments = segments_saying(&bench, 0);
        let (demux, overlay, _) = demux(bench);
        congested(&demux, &segments.concat(), Some(segments[0].len()), Ecn::Ce);
        congested(&demux, &segments[0], None, Ecn::Ect1);
        let info = overlay.counters().info();
        assert_eq!((info.from_wire, info.to_devices, info.drops[0].frames), (4, 1, 3));
        assert_eq!(info.drops[0].reason, "bad-ecn");
    }

    #[test]
    fn a_super_frame_is_marked_once_in_its_header() {
        let bench = Bench::new(&[None]);
        let mut octets = super_datagram(&bench, 3000);
        octets[8 + 15] = 1;
        let (demux, overlay, _) = demux(bench);
        congested(&demux, &octets, Some(1000), Ecn::Ce);
        let taken = overlay.ports()[0].device().taken();
        octets[8 + 15] = 3;
        assert_eq!((taken[0][15], &taken[0][34..]), (3, &octets[42..]));
    }

    #[test]
    fn a_train_is_taken_apart() {
        let bench = Bench::new(&[None]);
        let octets = datagram(&bench).repeat(3);
        let (demux, overlay, counters) = demux(bench);
        arrive(&demux, &octets, octets.len() / 3);
        assert_eq!((counts(&counters), overlay.counters().info().to_devices), ([3, 0, 0], 3));
    }

    #[test]
    fn a_train_that_is_longer_than_its_room_loses_its_last_datagram_alone() {
        let bench = Bench::new(&[None]);
        let one = datagram(&bench);
        let (demux, overlay, counters) = demux(bench);
        for octets in [&one.repeat(3)[..], &one.repeat(3)[..3 * one.len() - 1]] {
            let mut inbox = Inbox::default();
            let train = Some(one.len());
            demux.receive(
                &Arrival { sender: point().ip(), octets, cut: true, train, ecn: Ecn::NotEct },
                &mut inbox,
            );
            inbox.finish();
        }
        assert_eq!((counts(&counters), overlay.counters().info().to_devices), ([6, 2, 0], 4));
    }

    #[test]
    fn a_super_frame_of_the_kernels_goes_up_as_one() {
        let bench = Bench::new(&[None]);
        let octets = super_datagram(&bench, 3000);
        let (demux, overlay, counters) = demux(bench);
        arrive(&demux, &octets, 1000);
        assert_eq!((counts(&counters), overlay.counters().info().to_devices), ([1, 0, 0], 1));
    }

    #[test]
    fn a_frame_that_claims_its_neighbours_octets_gets_none_of_them() {
        let bench = Bench::new(&[None]);
        let mut octets = super_datagram(&bench, 3000);
        let len = 1008;
        for start in [len, 2 * len] {
            octets[start..start + 8].copy_from_slice(&[8, 0, 0, 0, 0, 0, 24, 0]);
        }
        let (demux, overlay, counters) = demux(bench);
        arrive(&demux, &octets, len);
        assert_eq!((counts(&counters), overlay.counters().info().from_wire), ([4, 4, 0], 0));
        octets.push(0);
        arrive(&demux, &octets, 1100);
        assert_eq!(overlay.counters().info().from_wire, 0);
    }

    proptest! {
        #[test]
        fn any_datagram_is_counted_once(mut octets in prop::collection::vec(any::<u8>(), 0..2000), ours: bool) {
            if let (true, Some(header)) = (ours, octets.get_mut(..8)) {
                header.copy_from_slice(&[8, 0, 0, 0, 0, 0, 23, 0]);
            }
            let (demux, overlay, counters) = demux(Bench::new(&[None, None]));
            receive(&demux, &octets, false);
            let [_, bad_header, unknown_vnetid] = counts(&counters);
            prop_assert_eq!(bad_header + unknown_vnetid + overlay.counters().info().from_wire, 1);
        }
    }
}
