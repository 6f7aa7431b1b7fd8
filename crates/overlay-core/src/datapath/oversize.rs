//! What becomes of a frame that is too big for the way to its tunnel end.

use super::{Device, Direction, DropReason, Inner, Load, Overlay, Port};
use crate::wire::{Ethernet, IPV4_MTU_MIN, IPV6_MTU_MIN, IpHead, Packet, too_big};

/// What a router would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Tell its sender, with this frame, how large packets may be.
    Answer(Vec<u8>),
    /// Divide the packet inside into packets of at most so many octets.
    Divide(usize),
    /// Send it all the same, in a datagram that may be divided on the way: its sender need not make packets smaller, or
    /// cannot be told to.
    Loosen,
    /// Drop it.
    Drop,
}

impl Remedy {
    /// For a frame as it is inside the tunnel, its checksums finished, where no packet above `limit` octets gets on.
    pub fn of(frame: &[u8], limit: usize) -> Self {
        let Some(ethernet) = Ethernet::parse(frame) else { return Self::Drop };
        let (Some(head), Some(packet)) = (IpHead::read(frame, &ethernet), Packet::parse(frame, &ethernet))
        else {
            return Self::Drop;
        };
        let len = packet.payload_offset + packet.payload.len() - ethernet.header_len;
        let least = if head.v6 { IPV6_MTU_MIN } else { IPV4_MTU_MIN };
        if len <= limit || len <= least {
            // By what the system says, it fits: the datagram's way is another than that number's. Or every link has to carry
            // it somehow (RFC 8200 section 5, RFC 2473 section 7.1).
            Self::Loosen
        } else if head.undivided {
            too_big(frame, &ethernet, limit.max(least)).map_or(Self::Loosen, Self::Answer)
        } else if limit < least {
            Self::Loosen
        } else {
            Self::Divide(limit)
        }
    }
}

impl<D: Device> Overlay<D> {
    /// Gives the answer of [`Remedy::Answer`] to the VNIC that the frame came from; where that is not known, to the one with
    /// the address.
    pub fn answer(&self, port: Option<&Port<D>>, answer: &[u8]) {
        let (Some(port), Ok(inner)) = (port, Inner::arrived(answer, None)) else {
            return self.inject(answer);
        };
        self.counters.inject(Load { frames: 1, bytes: answer.len() });
        self.hand(port, &inner, Direction::In);
    }

    /// Counts datagrams into which a frame was divided, as far as they were `sent`; the others are lost with a reason.
    pub fn divided(&self, port: Option<&Port<D>>, sent: &[Load], others: usize, reason: DropReason) {
        self.counters.became(sent.len() + others, 1);
        sent.iter().for_each(|load| self.counters.sent(*load));
        if others > 0 {
            self.counters.lose(Direction::Out, reason, others);
            port.into_iter().for_each(|port| port.counters().lost(others));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Bench;
    use super::*;
    use crate::types::VlanId;
    use proptest::prelude::*;

    /// A frame from the bench's first VNIC to elsewhere, with a packet of `len` octets.
    fn frame(bench: &Bench, v6: bool, df: bool, len: usize) -> Vec<u8> {
        let mut frame = [&[2, 9, 9, 9, 9, 9][..], &bench.mac(0).0].concat();
        if v6 {
            let [high, low] = (len as u16 - 40).to_be_bytes();
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, high, low, 17, 64]);
            frame.extend([0xfd, 0x23].repeat(16));
        } else {
            let [high, low] = (len as u16).to_be_bytes();
            let flags = if df { 0x40 } else { 0 };
            frame.extend([8, 0, 0x45, 0, high, low, 0, 0, flags, 0, 64, 17, 0, 0, 10, 8, 0, 1, 10, 8, 0, 2]);
        }
        frame.resize(14 + len, 7);
        frame
    }

    fn remedy(v6: bool, df: bool, len: usize, limit: usize) -> Remedy {
        Remedy::of(&frame(&Bench::new(&[None]), v6, df, len), limit)
    }

    fn mtu(remedy: &Remedy) -> u16 {
        let Remedy::Answer(answer) = remedy else { panic!("{remedy:?}") };
        let at = if answer[12] == 8 { 40 } else { 60 };
        u16::from_be_bytes([answer[at], answer[at + 1]])
    }

    #[test]
    fn who_forbids_fragments_is_told_what_fits() {
        assert_eq!(mtu(&remedy(false, true, 1450, 1350)), 1350);
        assert_eq!(mtu(&remedy(true, false, 1450, 1350)), 1350);
    }

    #[test]
    fn nobody_is_told_less_than_his_protocols_least() {
        assert_eq!(mtu(&remedy(false, true, 1450, 20)), 68);
        assert_eq!(mtu(&remedy(true, false, 1450, 1000)), 1280);
    }

    #[test]
    fn packets_that_every_link_has_to_carry_are_sent_in_pieces_outside() {
        assert_eq!(remedy(true, false, 1280, 1000), Remedy::Loosen);
        assert_eq!(remedy(false, true, 68, 50), Remedy::Loosen);
        assert_eq!(remedy(false, false, 600, 50), Remedy::Loosen);
    }

    #[test]
    fn ipv4_that_may_be_divided_is() {
        assert_eq!(remedy(false, false, 1450, 1350), Remedy::Divide(1350));
    }

    #[test]
    fn what_fits_by_what_is_known_is_no_black_hole() {
        assert_eq!(remedy(false, true, 1350, 1350), Remedy::Loosen);
        assert_eq!(remedy(true, false, 1350, 1350), Remedy::Loosen);
    }

    #[test]
    fn who_cannot_be_told_is_no_black_hole() {
        let mut multicast = frame(&Bench::new(&[None]), true, false, 1450);
        multicast[0] |= 1;
        assert_eq!(Remedy::of(&multicast, 1350), Remedy::Loosen);
    }

    #[test]
    fn what_is_no_ip_is_dropped() {
        let mut arp = frame(&Bench::new(&[None]), false, true, 1450);
        arp[13] = 6;
        assert_eq!(Remedy::of(&arp, 1350), Remedy::Drop);
    }

    #[test]
    fn an_answer_goes_to_the_sender_without_the_tag_of_its_vlan() {
        let bench = Bench::new(&[VlanId::new(7).ok(), None]);
        let plain = frame(&bench, false, true, 1450);
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0, 0, 7]);
        let Remedy::Answer(answer) = Remedy::of(&tagged, 1350) else { panic!() };
        bench.overlay.answer(Some(&bench.overlay.ports()[0]), &answer);
        let [given] = &bench.taken(0)[..] else { panic!() };
        assert_eq!((&given[..6], &given[12..14]), (&bench.mac(0).0[..], &[8, 0][..]));
        assert_eq!(bench.taken(1).len(), 0);
        // Without the VNIC, its address finds it.
        bench.overlay.answer(None, &answer);
        assert_eq!(bench.taken(0).len(), 2);
        bench.check_counters();
        assert_eq!(bench.overlay.counters().info().injected, 2);
    }

    #[test]
    fn the_pieces_of_a_frame_are_accounted_for() {
        for (sent, lost) in [(3, 0), (1, 2), (0, 3)] {
            let bench = Bench::new(&[None]);
            bench.transmit(0, &frame(&bench, false, false, 1000)).unwrap();
            let pieces = vec![Load { frames: 1, bytes: 300 }; sent];
            bench.overlay.divided(Some(&bench.overlay.ports()[0]), &pieces, lost, DropReason::SendFull);
            bench.check_counters();
            assert_eq!(bench.overlay.counters().info().to_wire, sent as u64);
        }
    }

    proptest! {
        #[test]
        fn any_frame_has_a_remedy(octets in prop::collection::vec(any::<u8>(), 0..1600), kind: bool, limit in 0usize..2000) {
            let mut frame = octets;
            if frame.len() > 14 {
                let (ethertype, version) = if kind { ([8, 0], 0x45) } else { ([0x86, 0xdd], 0x60) };
                frame[12..14].copy_from_slice(&ethertype);
                frame[14] = version;
            }
            if let Remedy::Divide(most) = Remedy::of(&frame, limit) {
                prop_assert!((68..=limit).contains(&most));
            }
        }
    }
}
