use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Device, MuxCounters, Overlay};
use crate::encap::Encap;
use crate::types::VnetId;

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

    /// Takes a datagram; `cut` says whether its end is missing.
    pub fn receive(&self, sender: IpAddr, datagram: &[u8], cut: bool) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        count(&self.counters.datagrams);
        match self.encap.read(datagram) {
            Ok((vnetid, header_len)) if !cut => match self.overlays.get(&vnetid) {
                Some(overlay) => overlay.receive(sender, &datagram[header_len..]),
                None => count(&self.counters.unknown_vnetid),
            },
            _ => count(&self.counters.bad_header),
        }
    }
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
        demux.receive(point().ip(), &octets, false);
        assert_eq!(overlay.counters().info().to_devices, 1);
        assert_eq!(counts(&counters), [1, 0, 0]);
    }

    #[test]
    fn datagrams_of_no_overlay_are_counted_by_their_socket() {
        let bench = Bench::new(&[None]);
        let mut octets = datagram(&bench);
        let (demux, overlay, counters) = demux(bench);
        for len in 0..8 {
            demux.receive(point().ip(), &octets[..len], false);
        }
        demux.receive(point().ip(), &octets, true);
        octets[6] = 24;
        demux.receive(point().ip(), &octets, false);
        octets[0] = 0;
        demux.receive(point().ip(), &octets, false);
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
            demux.receive(point().ip(), &octets, false);
            let [_, bad_header, unknown_vnetid] = counts(&counters);
            prop_assert_eq!(bad_header + unknown_vnetid + overlay.counters().info().from_wire, 1);
        }
    }
}
