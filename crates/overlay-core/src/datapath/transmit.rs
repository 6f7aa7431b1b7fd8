use super::{Departure, Device, Direction, DropReason, FrameBuf, Inner, Load, Outward, Overlay, Port};
use crate::lookup::TargetMode;
use crate::types::{MacAddr, Moment};
use crate::wire::{ETHERNET_HEADER, Tag};
use zerocopy::IntoBytes;

impl<D: Device> Overlay<D> {
    /// Takes a frame that `sender` sent. A departure without a cut finds its datagram in `frame`; with one, the
    /// super-frame.
    pub fn transmit(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        outward: Outward<'_>,
    ) -> Option<Departure> {
        self.foresee(frame);
        let seen = Inner::sent(frame).map(|inner| (inner.load, inner.fits(self.settings.mtu)));
        let load = seen.map_or(Load { frames: 1, bytes: frame.octets().len() }, |(load, _)| load);
        sender.counters().sent.add(load);
        self.counters.from_devices.add(load);
        let admitted = self.admit(sender, frame, seen.map(|(_, fits)| fits), outward.now);
        match admitted.and_then(|()| self.direct(sender, frame, outward)) {
            Ok(departure) => departure,
            Err(reason) => {
                sender.counters().lost(load.frames);
                self.counters.lose(Direction::Out, reason, load.frames);
                None
            }
        }
    }

    /// Has the frame's entry of the target table fetched. It is needed at the end, and would be waited for there.
    fn foresee(&self, frame: &FrameBuf) {
        if let (Some(TargetMode::Dynamic), Some(mac)) = (&self.settings.target, frame.octets().first_chunk())
        {
            self.targets.foresee(MacAddr(*mac));
        }
    }

    /// Counts a frame that `sender` sent and the system could not hand over.
    pub fn unreadable(&self, sender: &Port<D>) {
        let load = Load { frames: 1, bytes: 0 };
        sender.counters().sent.add(load);
        self.counters.from_devices.add(load);
        sender.counters().lost(1);
        self.counters.lose(Direction::Out, DropReason::BadSuperFrame, 1);
    }

    /// Lets a VNIC's frame into the tunnel, with the tag of the VNIC's VLAN.
    fn admit(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        fits: Result<bool, DropReason>,
        now: Moment,
    ) -> Result<(), DropReason> {
        if !self.settings.active {
            return Err(DropReason::NotActive);
        }
        if !fits? {
            return Err(DropReason::TooBig);
        }
        sender.check(frame, now)?;
        if let Some(shaper) = sender.shaper() {
            sender.meter(shaper, frame)?;
        }
        if let Some(vid) = sender.settings.vid {
            frame.insert(ETHERNET_HEADER - size_of::<u16>(), Tag::new(vid).as_bytes());
        }
        Ok(())
    }

    /// Gives a frame to the VNICs here that it is for; what is for elsewhere departs or waits.
    fn direct(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        outward: Outward<'_>,
    ) -> Result<Option<Departure>, DropReason> {
        let inner = Inner::sent(frame)?;
        if sender.settings.owns(inner.ethernet.destination) {
            return Err(DropReason::ToItself);
        }
        let is_sender = |port: &Port<D>| port.settings.link == sender.settings.link;
        let receivers = if inner.ethernet.destination.is_multicast() {
            self.flood(&inner, Direction::Out, is_sender)
        } else {
            let (is_here, receivers) = self.give_owner(&inner, Direction::Out, is_sender);
            if is_here {
                self.counters.became(receivers, inner.load.frames);
                return Ok(None);
            }
            receivers
        };
        let way = self.way(&inner, outward.now);
        let places = receivers + way.places();
        // Where it goes elsewhere is one of its places even when nothing says where that is: that copy is dropped then.
        self.counters.became(places, inner.load.frames);
        if places == 0 {
            Err(DropReason::NoReceiver)
        } else {
            self.go(way, sender.settings.link, frame, outward)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to, point};
    use crate::offload::twin::{segments, super_frame};
    use crate::offload::{Gso, VnetHeader};
    use crate::types::{MacAddr, VlanId};

    #[test]
    fn a_frame_for_elsewhere_departs_behind_a_header() {
        let bench = Bench::new(&[None, None]);
        let frame = frame_to(MacAddr([2, 9, 9, 9, 9, 9]), 100);
        let (departure, datagram) = bench.transmit(0, &frame).unwrap();
        assert_eq!((departure.ends.all(), departure.load.bytes), (&[point()][..], 100));
        assert_eq!(&datagram[..8], [8, 0, 0, 0, 0, 0, 23, 0]);
        assert_eq!(&datagram[8..], frame);
        assert!(bench.taken(1).is_empty());
    }

    #[test]
    fn a_frame_for_a_neighbour_never_reaches_the_wire() {
        let bench = Bench::new(&[None, None]);
        let frame = frame_to(bench.mac(1), 100);
        assert_eq!(bench.transmit(0, &frame), None);
        assert_eq!(bench.taken(1), [frame]);
        bench.check_counters();
    }

    #[test]
    fn a_frame_for_all_goes_to_every_neighbour_and_the_wire() {
        let bench = Bench::new(&[None, None, None]);
        let frame = frame_to(ANY, 60);
        assert!(bench.transmit(0, &frame).is_some());
        assert_eq!((bench.taken(0).len(), bench.taken(1).len(), bench.taken(2).len()), (0, 1, 1));
        bench.sent(60);
        bench.check_counters();
    }

    #[test]
    fn a_vlans_frames_are_tagged_inside_the_tunnel_and_plain_outside() {
        let seven = VlanId::new(7).ok();
        let bench = Bench::new(&[seven, seven, None, VlanId::new(8).ok()]);
        let frame = frame_to(ANY, 60);
        let (_, datagram) = bench.transmit(0, &frame).unwrap();
        assert_eq!(&datagram[8..20], &frame[..12]);
        assert_eq!(&datagram[20..24], [0x81, 0, 0, 7]);
        assert_eq!(&datagram[24..], &frame[12..]);
        assert_eq!(bench.taken(1), [frame]);
        assert_eq!(bench.taken(2), [datagram[8..].to_vec()]);
        assert!(bench.taken(3).is_empty());
    }

    #[test]
    fn every_refused_frame_has_its_reason() {
        let bench = Bench::new(&[None]);
        bench.transmit(0, &[0; 13]);
        bench.transmit(0, &frame_to(bench.mac(0), 60));
        bench.transmit(0, &frame_to(ANY, 1415));
        assert_eq!(bench.drops(), [("runt", 1), ("too-big", 1), ("to-itself", 1)]);
        let idle = Bench::with(&[None], |settings| settings.active = false);
        idle.transmit(0, &frame_to(ANY, 60));
        assert_eq!(idle.drops(), [("not-active", 1)]);
        let lost = Bench::with(&[None, None], |settings| settings.target = None);
        lost.transmit(0, &frame_to(MacAddr([2, 9, 9, 9, 9, 9]), 60));
        lost.transmit(0, &frame_to(ANY, 60));
        assert_eq!((lost.drops(), lost.taken(1).len()), (vec![("no-target", 2)], 1));
        lost.check_counters();
    }

    #[test]
    fn a_neighbour_that_is_down_costs_the_others_nothing() {
        let bench = Bench::new(&[None, None, None]);
        bench.set_down(1);
        bench.transmit(0, &frame_to(ANY, 60));
        bench.sent(60);
        assert_eq!((bench.taken(2).len(), bench.drops()), (1, vec![("device-down", 1)]));
        bench.check_counters();
    }

    /// A datagram whose checksum is unfinished, to somebody.
    fn unfinished(to: MacAddr) -> (Vec<u8>, VnetHeader) {
        let (mut frame, _) = super_frame(Gso::Udp, false, false, 0, 300, 1000);
        frame[..6].copy_from_slice(&to.0);
        (frame, VnetHeader::unfinished(34, 6))
    }

    #[test]
    fn an_unfinished_checksum_is_finished_for_the_wire() {
        let bench = Bench::new(&[None]);
        let (frame, vnet) = unfinished(MacAddr([2, 9, 9, 9, 9, 9]));
        let (_, datagram) = bench.transmit_with(0, &frame, vnet).unwrap();
        let finished = &segments(&frame, &vnet.segmented(Gso::Udp, 42, 1000))[0];
        assert_eq!(datagram[8..][34..], finished[34..]);
        assert_ne!(datagram[8..][34..], frame[34..]);
    }

    #[test]
    fn an_unfinished_checksum_is_left_to_a_neighbour() {
        let bench = Bench::new(&[None, None]);
        let (frame, vnet) = unfinished(bench.mac(1));
        assert_eq!(bench.transmit_with(0, &frame, vnet), None);
        assert_eq!(bench.taken_with_headers(1), [(vnet, frame)]);
    }

    #[test]
    fn an_unfinished_checksum_for_all_is_finished_for_the_wire_and_left_to_neighbours() {
        let bench = Bench::new(&[None, None]);
        let (frame, vnet) = unfinished(ANY);
        let (_, datagram) = bench.transmit_with(0, &frame, vnet).unwrap();
        assert_eq!(bench.taken_with_headers(1), [(vnet, frame.clone())]);
        assert_ne!(datagram[8..], frame);
    }

    #[test]
    fn a_super_frame_for_a_neighbour_is_handed_across_whole() {
        for (gso, v6) in [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false)] {
            let bench = Bench::new(&[None, None]);
            let (mut frame, vnet) = super_frame(gso, v6, false, 0, 50_000, 1000);
            frame[..6].copy_from_slice(&bench.mac(1).0);
            assert_eq!(bench.transmit_with(0, &frame, vnet), None);
            assert_eq!(bench.taken_with_headers(1), [(vnet, frame)]);
            assert_eq!(bench.overlay.counters().info().to_devices, 50, "as the frames that it is of");
            bench.check_counters();
        }
    }
}
