use std::net::IpAddr;

use super::{Device, Direction, DropReason, Inner, Load, Overlay, Port};
use crate::lookup::Sources;
use crate::types::MacAddr;

impl<D: Device> Overlay<D> {
    /// Takes a frame that the tunnel end `sender` sent, its header taken off; `datagram_len` when the system has said
    /// that it is a super-frame of datagrams.
    pub fn receive(&self, sender: IpAddr, frame: &[u8], datagram_len: Option<usize>) {
        match Inner::arrived(frame, datagram_len) {
            Ok(inner) => self.receive_inner(sender, &inner),
            Err(reason) => {
                self.counters.from_wire.add(Load { frames: 1, bytes: frame.len() });
                self.counters.lose(Direction::In, reason, 1);
            }
        }
    }

    /// Takes a frame, or a run of frames, whose header has been read.
    pub(super) fn receive_inner(&self, sender: IpAddr, inner: &Inner<'_>) {
        self.counters.from_wire.add(inner.load);
        if let Err(reason) = self.try_receive(sender, inner) {
            self.counters.lose(Direction::In, reason, inner.load.frames);
        }
    }

    /// Counts a frame whose datagram met congestion, which the packet in it cannot say (RFC 6040 section 4.2).
    pub(super) fn refuse_congested(&self, sender: IpAddr, frame: &[u8]) {
        self.counters.from_wire.add(Load { frames: 1, bytes: frame.len() });
        let reason = self.admit_sender(sender).err().unwrap_or(DropReason::BadEcn);
        self.counters.lose(Direction::In, reason, 1);
    }

    fn try_receive(&self, sender: IpAddr, inner: &Inner<'_>) -> Result<(), DropReason> {
        self.admit_sender(sender)?;
        self.deliver(inner, None)
    }

    fn admit_sender(&self, sender: IpAddr) -> Result<(), DropReason> {
        if !self.settings.active {
            return Err(DropReason::NotActive);
        }
        if !self.settings.sources.as_ref().is_some_and(|sources: &Sources| sources.allow(sender)) {
            return Err(DropReason::UnknownVtep);
        }
        Ok(())
    }

    /// Gives a frame that comes from elsewhere to the VNICs that it is for, but not to the one with the address `but`.
    pub(super) fn deliver(&self, inner: &Inner<'_>, but: Option<MacAddr>) -> Result<(), DropReason> {
        let (receivers, nobody) = if inner.ethernet.destination.is_multicast() {
            let skip = |port: &Port<D>| but.is_some_and(|mac| port.settings.owns(mac));
            (self.flood(inner, Direction::In, skip), DropReason::NoReceiver)
        } else {
            (self.give_owner(inner, Direction::In, |_| false).1, DropReason::UnknownMac)
        };
        if receivers == 0 {
            return Err(nobody);
        }
        self.counters.became(receivers, inner.load.frames);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to};
    use crate::types::{MacAddr, VlanId};

    const KNOWN: &str = "10.0.0.2";

    fn receive(bench: &Bench, sender: &str, frame: &[u8]) {
        bench.overlay.receive(sender.parse().unwrap(), frame, None);
    }

    #[test]
    fn a_frame_goes_to_the_owner_of_its_address() {
        let bench = Bench::new(&[None, None]);
        let frame = frame_to(bench.mac(1), 60);
        receive(&bench, KNOWN, &frame);
        assert_eq!((bench.taken(0).len(), bench.taken(1)), (0, vec![frame]));
        bench.check_counters();
    }

    #[test]
    fn a_frame_for_all_goes_to_all() {
        let bench = Bench::new(&[None, None, VlanId::new(7).ok()]);
        receive(&bench, KNOWN, &frame_to(ANY, 60));
        assert_eq!((bench.taken(0).len(), bench.taken(1).len(), bench.taken(2).len()), (1, 1, 0));
        bench.check_counters();
    }

    #[test]
    fn a_tagged_frame_reaches_its_vlan_without_the_tag() {
        let bench = Bench::new(&[VlanId::new(7).ok()]);
        let mut frame = frame_to(bench.mac(0), 60);
        receive(&bench, KNOWN, &frame);
        assert_eq!(bench.drops(), [("unknown-mac", 1)]);
        let plain = frame.clone();
        frame.splice(12..12, [0x81, 0, 0, 7]);
        receive(&bench, KNOWN, &frame);
        assert_eq!(bench.taken(0), [plain]);
    }

    #[test]
    fn every_refused_frame_has_its_reason() {
        let bench = Bench::new(&[VlanId::new(7).ok()]);
        receive(&bench, "10.0.0.3", &frame_to(ANY, 60));
        receive(&bench, KNOWN, &frame_to(MacAddr([2, 9, 9, 9, 9, 9]), 60));
        receive(&bench, KNOWN, &frame_to(ANY, 60));
        for len in 0..14 {
            receive(&bench, KNOWN, &frame_to(ANY, 14)[..len]);
        }
        let expected = [("runt", 14), ("unknown-vtep", 1), ("unknown-mac", 1), ("no-receiver", 1)];
        assert_eq!(bench.drops(), expected);
        let plain = Bench::new(&[None]);
        receive(&plain, KNOWN, &frame_to(plain.mac(0), 1415));
        receive(&plain, KNOWN, &frame_to(plain.mac(0), 1414));
        assert_eq!((plain.drops(), plain.taken(0).len()), (vec![("too-big", 1)], 1));
        plain.check_counters();
    }

    #[test]
    fn nobody_may_send_before_varpd_has_said_who() {
        let bench = Bench::with(&[None], |settings| settings.sources = None);
        receive(&bench, KNOWN, &frame_to(bench.mac(0), 60));
        assert_eq!(bench.drops(), [("unknown-vtep", 1)]);
    }
}
