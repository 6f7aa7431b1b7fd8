use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::types::{MacAddr, VlanId};

/// Octets of an Ethernet header without a tag.
pub const ETHERNET_HEADER: usize = size_of::<Header>();
/// Octets of one 802.1Q tag.
pub const VLAN_TAG: usize = size_of::<Tag>();

/// The tag protocol identifier of 802.1Q.
const TPID_8021Q: u16 = 0x8100;
/// The bits of a tag that are the VLAN identifier; the others are priority and drop eligibility.
const VID_MASK: u16 = 0x0fff;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    destination: MacAddr,
    source: MacAddr,
    ethertype: U16,
}
const _: () = assert!(size_of::<Header>() == 14);

/// An 802.1Q tag as it stands between the addresses and the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Tag {
    tpid: U16,
    control: U16,
}
const _: () = assert!(size_of::<Tag>() == 4);

impl Tag {
    /// The tag of a VLAN, with priority 0.
    pub fn new(vid: VlanId) -> Self {
        Self { tpid: U16::new(TPID_8021Q), control: U16::new(vid.number()) }
    }
}

/// What an Ethernet header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ethernet {
    /// The receiver's address.
    pub destination: MacAddr,
    /// The sender's address.
    pub source: MacAddr,
    /// The type of the payload, behind the first tag where there is one.
    pub ethertype: u16,
    /// The VLAN of the first tag; none without a tag, or with one for priority alone (identifier 0).
    pub vid: Option<VlanId>,
    /// Octets before the payload: 14, or 18 with a tag.
    pub header_len: usize,
}

impl Ethernet {
    /// Reads the header of a frame; none when the frame is too short to have one.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(frame).ok()?;
        let plain = Self {
            destination: header.destination,
            source: header.source,
            ethertype: header.ethertype.get(),
            vid: None,
            header_len: ETHERNET_HEADER,
        };
        if plain.ethertype != TPID_8021Q {
            return Some(plain);
        }
        let (control, rest) = U16::ref_from_prefix(rest).ok()?;
        let (ethertype, _) = U16::ref_from_prefix(rest).ok()?;
        let vid = VlanId::new(control.get() & VID_MASK).ok();
        Some(Self { ethertype: ethertype.get(), vid, header_len: ETHERNET_HEADER + VLAN_TAG, ..plain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06];
    const TAGGED: [u8; 18] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0xa0, 7, 0x86, 0xdd];

    #[test]
    fn a_plain_header_is_read() {
        let ethernet = Ethernet::parse(&PLAIN).unwrap();
        assert_eq!(ethernet.destination, MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!((ethernet.ethertype, ethernet.vid, ethernet.header_len), (0x0806, None, 14));
    }

    #[test]
    fn a_tags_priority_is_not_its_vlan() {
        let ethernet = Ethernet::parse(&TAGGED).unwrap();
        assert_eq!(ethernet.vid, VlanId::new(7).ok());
        assert_eq!((ethernet.ethertype, ethernet.header_len), (0x86dd, 18));
        let mut priority = TAGGED;
        priority[15] = 0;
        assert_eq!(Ethernet::parse(&priority).unwrap().vid, None);
    }

    #[test]
    fn a_header_cut_at_any_length_is_refused() {
        for len in 0..PLAIN.len() {
            assert_eq!(Ethernet::parse(&PLAIN[..len]), None);
        }
        for len in 0..TAGGED.len() {
            assert_eq!(Ethernet::parse(&TAGGED[..len]), None);
        }
    }
}
