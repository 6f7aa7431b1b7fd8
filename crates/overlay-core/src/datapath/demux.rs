use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Device, Inbox, MuxCounters, Overlay};
use crate::encap::Encap;
use crate::types::VnetId;
use crate::wire::{Ethernet, Packet};

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

    /// Takes what was received as one: a datagram, or a train of datagrams of `train` octets.
    pub fn receive<'a>(&'a self, arrival: &Arrival<'a>, inbox: &mut Inbox<'a, D>) {
        match arrival.train {
            Some(len) if len > 0 && !self.is_one(arrival.octets, len) => {
                arrival.octets.chunks(len).for_each(|octets| self.datagram(arrival, octets, None, inbox));
            }
            train => self.datagram(arrival, arrival.octets, train, inbox),
        }
    }

    /// Whether it is not a train but one super-frame of datagrams of `len` octets, as the kernel's vxlan sends between
    /// virtual devices: its first frame does not end where the first datagram of a train would.
    fn is_one(&self, octets: &[u8], len: usize) -> bool {
        let Ok((_, header_len)) = self.encap.read(octets) else { return false };
        let frame = &octets[header_len..];
        let packet = Ethernet::parse(frame).and_then(|ethernet| Packet::parse(frame, &ethernet));
        packet.is_some_and(|packet| header_len + packet.payload_offset + packet.payload.len() > len)
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
            (Some(overlay), None) => inbox.take(overlay, arrival.sender, &octets[header_len..]),
            (Some(overlay), Some(len)) => {
                inbox.take_super(overlay, arrival.sender, &octets[header_len..], len);
            }
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::super::twin::{Bench, Twin, frame_to, point};
    use super::*;
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
        demux.receive(&Arrival { sender: point().ip(), octets, cut, train: None }, &mut inbox);
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
