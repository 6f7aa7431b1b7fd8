use super::inet::ETHERTYPE_IPV4;
use super::{Ethernet, IpHead, Sum};

/// What a packet says of congestion (RFC 3168 section 5): the two lowest bits of its type of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// Its transport does not understand marks.
    NotEct = 0,
    /// It does; the other codepoint of those.
    Ect1 = 1,
    /// It does.
    Ect0 = 2,
    /// Congestion was met.
    Ce = 3,
}

impl Ecn {
    /// Its bits in a type of service, or traffic class.
    pub const MASK: u8 = 3;

    /// That of a type of service, or traffic class.
    pub const fn of(tos: u8) -> Self {
        match tos & Self::MASK {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// What the inner packet says behind a tunnel whose datagram said `outer`; none when it is to be dropped (RFC 6040
    /// section 4.2, figure 4).
    pub const fn decapsulated(self, outer: Self) -> Option<Self> {
        match (self, outer) {
            // The sender would not understand that its packet met congestion: losing it tells.
            (Self::NotEct, Self::Ce) => None,
            (Self::NotEct, _) => Some(Self::NotEct),
            (_, Self::Ce) => Some(Self::Ce),
            (Self::Ect0, Self::Ect1) => Some(Self::Ect1),
            (inner, _) => Some(inner),
        }
    }

    /// Whether a datagram that says this can change, or cost, the frame in it.
    pub const fn tells(self) -> bool {
        matches!(self, Self::Ect1 | Self::Ce)
    }

    /// Makes the packet in a frame say what it does behind the tunnel. One that is to be dropped stays as it is, as does what
    /// is no IP.
    pub fn mark(self, frame: &mut [u8]) {
        let Some(ethernet) = Ethernet::parse(frame) else { return };
        let Some(head) = IpHead::read(frame, &ethernet) else { return };
        let inner = Self::of(head.tos);
        if let Some(new) = inner.decapsulated(self).filter(|new| *new != inner) {
            put(&mut frame[ethernet.header_len..], ethernet.ethertype == ETHERTYPE_IPV4, new);
        }
    }

    /// Whether a frame is to be dropped that came in a datagram that says this.
    pub fn refuses(self, frame: &[u8], ethernet: &Ethernet) -> bool {
        IpHead::read(frame, ethernet).is_some_and(|head| Self::of(head.tos).decapsulated(self).is_none())
    }
}

fn put(packet: &mut [u8], v4: bool, ecn: Ecn) {
    if !v4 {
        packet[1] = packet[1] & !0x30 | (ecn as u8) << 4;
        return;
    }
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] = packet[1] & !Ecn::MASK | ecn as u8;
    let after = u16::from_be_bytes([packet[0], packet[1]]);
    // The checksum follows the one word that has changed (RFC 1624 section 3, equation 3).
    let checksum = u16::from_be_bytes([packet[10], packet[11]]);
    let sum = Sum::default().plus_word(!checksum).plus_word(!before).plus_word(after);
    packet[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::Ecn::{Ce, Ect0, Ect1, NotEct};
    use super::*;
    use proptest::prelude::*;

    const ALL: [Ecn; 4] = [NotEct, Ect0, Ect1, Ce];

    #[test]
    fn every_cell_of_figure_4_is_the_rfcs() {
        // Rows: the packet inside. Columns: the datagram, Not-ECT, ECT(0), ECT(1), CE.
        let figure = [
            (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
            (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
            (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
            (Ce, [Some(Ce), Some(Ce), Some(Ce), Some(Ce)]),
        ];
        for (inner, row) in figure {
            for (outer, expected) in ALL.into_iter().zip(row) {
                assert_eq!(inner.decapsulated(outer), expected, "{inner:?} in {outer:?}");
                assert!(expected == Some(inner) || outer.tells(), "{inner:?} in {outer:?}");
            }
        }
    }

    fn v4(tos: u8) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, tos, 0, 20, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let checksum = Sum::default().plus(&frame[14..]).checksum();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    fn v6(tos: u8) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        frame.extend([0x60 | tos >> 4, tos << 4 | 0xa, 0xbc, 0xde]);
        frame.resize(14 + 40, 7);
        frame
    }

    #[test]
    fn a_mark_changes_two_bits_and_the_checksum() {
        for outer in ALL {
            for inner in ALL {
                let new = inner.decapsulated(outer).unwrap_or(inner) as u8;
                for make in [v4, v6] {
                    let mut frame = make(0xb8 | inner as u8);
                    outer.mark(&mut frame);
                    assert_eq!(frame, make(0xb8 | new), "{inner:?} in {outer:?}");
                    let ethernet = Ethernet::parse(&frame).unwrap();
                    assert_eq!(outer.refuses(&frame, &ethernet), inner.decapsulated(outer).is_none());
                }
            }
        }
    }

    #[test]
    fn frames_that_are_no_ip_pass_whatever_their_datagram_met() {
        let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0]].concat();
        let mut marked = arp.clone();
        Ce.mark(&mut marked);
        assert_eq!(marked, arp);
        assert!(!Ce.refuses(&arp, &Ethernet::parse(&arp).unwrap()));
    }

    proptest! {
        #[test]
        fn a_checksum_that_was_right_stays_right(tos: u8, outer in 0u8..4, octets in prop::collection::vec(any::<u8>(), 18)) {
            let mut frame = v4(tos);
            frame[16..24].copy_from_slice(&octets[..8]);
            frame[26..34].copy_from_slice(&octets[8..16]);
            frame[24..26].fill(0);
            let checksum = Sum::default().plus(&frame[14..]).checksum();
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
            Ecn::of(outer).mark(&mut frame);
            prop_assert_eq!(Sum::default().plus(&frame[14..]).folded(), 0xffff);
        }

        #[test]
        fn any_octets_are_marked_or_left(octets in prop::collection::vec(any::<u8>(), 0..80), outer in 0u8..4) {
            let mut frame = octets.clone();
            Ecn::of(outer).mark(&mut frame);
            prop_assert_eq!(frame.len(), octets.len());
        }
    }
}
