use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::{Device, Direction, DropReason, FrameBuf, Overlay, Port};
use crate::lookup::TargetMode;
use crate::types::VlanId;
use crate::wire::{ETHERNET_HEADER, Ethernet, FlowHasher, Tag};
use zerocopy::IntoBytes;

/// A frame that has become a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// The tunnel end it goes to.
    pub destination: SocketAddr,
    /// The hash of its flow, for its source port.
    pub flow: u64,
    /// Octets of the frame, without the encapsulation's.
    pub frame_len: usize,
}

impl<D: Device> Overlay<D> {
    /// Takes a frame that `sender` sent. When a datagram comes of it, its octets are what `frame` then holds.
    pub fn transmit(&self, sender: &Port<D>, frame: &mut FrameBuf, hasher: &FlowHasher) -> Option<Departure> {
        sender.counters.sent.add(frame.octets().len());
        self.counters.from_devices.add(frame.octets().len());
        match self.try_transmit(sender, frame, hasher) {
            Ok(departure) => departure,
            Err(reason) => {
                sender.counters.out_drops.fetch_add(1, Ordering::Relaxed);
                self.counters.lose(Direction::Out, reason);
                None
            }
        }
    }

    fn try_transmit(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        hasher: &FlowHasher,
    ) -> Result<Option<Departure>, DropReason> {
        if !self.settings.active {
            return Err(DropReason::NotActive);
        }
        let ethernet = self.inside_tunnel(sender.settings.vid, frame)?;
        if ethernet.destination.is_multicast() {
            return self.to_all(sender, frame, &ethernet, hasher);
        }
        if ethernet.destination == sender.settings.mac {
            return Err(DropReason::ToItself);
        }
        if let Some(owner) = self.owner(&ethernet) {
            self.hand(owner, frame.octets(), &ethernet, Direction::Out);
            return Ok(None);
        }
        self.depart(frame, &ethernet, hasher).map(Some)
    }

    /// Checks a VNIC's frame and gives it the tag of the VNIC's VLAN.
    fn inside_tunnel(&self, vid: Option<VlanId>, frame: &mut FrameBuf) -> Result<Ethernet, DropReason> {
        let ethernet = Ethernet::parse(frame.octets()).ok_or(DropReason::Runt)?;
        self.fits(frame.octets(), &ethernet)?;
        let Some(vid) = vid else { return Ok(ethernet) };
        frame.insert(ETHERNET_HEADER - size_of::<u16>(), Tag::new(vid).as_bytes());
        Ethernet::parse(frame.octets()).ok_or(DropReason::Runt)
    }

    fn to_all(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        ethernet: &Ethernet,
        hasher: &FlowHasher,
    ) -> Result<Option<Departure>, DropReason> {
        let receivers = self.flood(frame.octets(), ethernet, Direction::Out, Some(sender.settings.mac));
        let departure = self.depart(frame, ethernet, hasher);
        match departure {
            Err(_) if receivers > 0 => {
                self.counters.became(receivers);
                Ok(None)
            }
            _ => {
                self.counters.became(receivers + 1);
                departure.map(Some)
            }
        }
    }

    fn depart(
        &self,
        frame: &mut FrameBuf,
        ethernet: &Ethernet,
        hasher: &FlowHasher,
    ) -> Result<Departure, DropReason> {
        let Some(TargetMode::Point(destination)) = self.settings.target else {
            return Err(DropReason::NoTarget);
        };
        let flow = hasher.hash(frame.octets(), ethernet);
        let frame_len = frame.octets().len();
        let encap = self.settings.encap;
        encap.write(self.settings.vnetid, frame.prepend(encap.header_len()));
        Ok(Departure { destination, flow, frame_len })
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to, point};
    use super::*;
    use crate::types::MacAddr;

    #[test]
    fn a_frame_for_elsewhere_departs_behind_a_header() {
        let bench = Bench::new(&[None, None]);
        let frame = frame_to(MacAddr([2, 9, 9, 9, 9, 9]), 100);
        let (departure, datagram) = bench.transmit(0, &frame).unwrap();
        assert_eq!((departure.destination, departure.frame_len), (point(), 100));
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
        assert_eq!(lost.drops(), [("no-target", 1)]);
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
}
