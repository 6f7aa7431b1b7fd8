use std::net::SocketAddr;

use super::{Device, Direction, DropReason, FrameBuf, Inner, Load, Overlay, Port};
use crate::lookup::TargetMode;
use crate::offload::{Cut, finish_checksum};
use crate::wire::{ETHERNET_HEADER, FlowHasher, Tag};
use zerocopy::IntoBytes;

/// A frame that is to go to a tunnel end, as one datagram or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// The tunnel end.
    pub destination: SocketAddr,
    /// The hash of its flow, for its source port.
    pub flow: u64,
    /// How it is cut; none when it goes as it is, with the encapsulation's header before it already.
    pub cut: Option<Cut>,
    /// What it counts for.
    pub load: Load,
}

impl<D: Device> Overlay<D> {
    /// Takes a frame that `sender` sent. A departure without a cut finds its datagram in `frame`; with one, the
    /// super-frame.
    pub fn transmit(&self, sender: &Port<D>, frame: &mut FrameBuf, hasher: &FlowHasher) -> Option<Departure> {
        let seen = Inner::sent(frame).map(|inner| (inner.load, inner.fits(self.settings.mtu)));
        let load = seen.map_or(Load { frames: 1, bytes: frame.octets().len() }, |(load, _)| load);
        sender.counters.sent.add(load);
        self.counters.from_devices.add(load);
        let admitted = self.admit(sender, frame, seen.map(|(_, fits)| fits));
        match admitted.and_then(|()| self.direct(sender, frame, hasher)) {
            Ok(departure) => departure,
            Err(reason) => {
                sender.counters.lost(load.frames);
                self.counters.lose(Direction::Out, reason, load.frames);
                None
            }
        }
    }

    /// Counts a frame that `sender` sent and the system could not hand over.
    pub fn unreadable(&self, sender: &Port<D>) {
        let load = Load { frames: 1, bytes: 0 };
        sender.counters.sent.add(load);
        self.counters.from_devices.add(load);
        sender.counters.lost(1);
        self.counters.lose(Direction::Out, DropReason::BadSuperFrame, 1);
    }

    /// Lets a VNIC's frame into the tunnel, with the tag of the VNIC's VLAN.
    fn admit(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        fits: Result<bool, DropReason>,
    ) -> Result<(), DropReason> {
        if !self.settings.active {
            return Err(DropReason::NotActive);
        }
        if !fits? {
            return Err(DropReason::TooBig);
        }
        if let Some(vid) = sender.settings.vid {
            frame.insert(ETHERNET_HEADER - size_of::<u16>(), Tag::new(vid).as_bytes());
        }
        Ok(())
    }

    /// Gives a frame to the VNICs here that it is for; what is for elsewhere departs.
    fn direct(
        &self,
        sender: &Port<D>,
        frame: &mut FrameBuf,
        hasher: &FlowHasher,
    ) -> Result<Option<Departure>, DropReason> {
        let inner = Inner::sent(frame)?;
        if inner.ethernet.destination == sender.settings.mac {
            return Err(DropReason::ToItself);
        }
        if inner.ethernet.destination.is_multicast() {
            let receivers = self.flood(&inner, Direction::Out, Some(sender.settings.mac));
            // The tunnel end is one of its places, even when nothing says where that is: the copy for it is dropped then.
            self.counters.became(receivers + 1, inner.load.frames);
        } else if let Some(owner) = self.owner(&inner.ethernet) {
            self.hand(owner, &inner, Direction::Out);
            return Ok(None);
        }
        let departure = self.aim(&inner, hasher)?;
        if departure.cut.is_none() {
            self.pack(frame)?;
        }
        Ok(Some(departure))
    }

    /// Where a frame goes, and as what.
    fn aim(&self, inner: &Inner<'_>, hasher: &FlowHasher) -> Result<Departure, DropReason> {
        let Some(TargetMode::Point(destination)) = self.settings.target else {
            return Err(DropReason::NoTarget);
        };
        let flow = hasher.hash(inner.frame, &inner.ethernet);
        Ok(Departure { destination, flow, cut: inner.cut(), load: inner.load })
    }

    /// Makes a datagram of a frame that goes as it is.
    fn pack(&self, frame: &mut FrameBuf) -> Result<(), DropReason> {
        let vnet = frame.vnet();
        finish_checksum(frame.octets_mut(), &vnet).map_err(|_| DropReason::BadSuperFrame)?;
        self.write_header(frame.prepend(self.settings.encap.header_len()));
        Ok(())
    }

    /// Writes the header that each of the overlay's datagrams begins with.
    pub fn write_header(&self, header: &mut [u8]) {
        self.settings.encap.write(self.settings.vnetid, header);
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to, point};
    use crate::types::{MacAddr, VlanId};

    #[test]
    fn a_frame_for_elsewhere_departs_behind_a_header() {
        let bench = Bench::new(&[None, None]);
        let frame = frame_to(MacAddr([2, 9, 9, 9, 9, 9]), 100);
        let (departure, datagram) = bench.transmit(0, &frame).unwrap();
        assert_eq!((departure.destination, departure.load.bytes), (point(), 100));
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
}
