use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::types::{MacAddr, VlanId};

/// Octets of an Ethernet header without a tag.
pub const ETHERNET_HEADER: usize = size_of::<Header>();
/// Octets of one 802.1Q tag.
pub const VLAN_TAG: usize = size_of::<Tag>();

/// The tag protocol identifier of 802.1Q.
const TPID_8021Q: u16 = 0x8100;
/// The tag protocol identifier of 802.1ad, a provider's tag before a customer's.
const TPID_8021AD: u16 = 0x88a8;
/// Tags that are read; what stands behind so many is payload, whatever it looks like.
const TAGS_MAX: usize = 3;
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
    /// The type of the payload, behind all tags.
    pub ethertype: u16,
    /// The VLAN of the first tag when that is 802.1Q's; none with one for priority alone (identifier 0).
    pub vid: Option<VlanId>,
    /// Octets before the payload: 14, and 4 for each tag.
    pub header_len: usize,
}

impl Ethernet {
    /// Reads the header of a frame; none when the frame is too short to have one.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(frame).ok()?;
        let mut ethernet = Self {
            destination: header.destination,
            source: header.source,
            ethertype: header.ethertype.get(),
            vid: None,
            header_len: ETHERNET_HEADER,
        };
        let mut rest = rest;
        while matches!(ethernet.ethertype, TPID_8021Q | TPID_8021AD)
            && ethernet.header_len < ETHERNET_HEADER + TAGS_MAX * VLAN_TAG
        {
            let (control, behind) = U16::ref_from_prefix(rest).ok()?;
            let (ethertype, behind) = U16::ref_from_prefix(behind).ok()?;
            if ethernet.header_len == ETHERNET_HEADER && ethernet.ethertype == TPID_8021Q {
                ethernet.vid = VlanId::new(control.get() & VID_MASK).ok();
            }
            ethernet.ethertype = ethertype.get();
            ethernet.header_len += VLAN_TAG;
            rest = behind;
        }
        Some(ethernet)
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
    fn tags_behind_the_first_are_no_payload() {
        let mut double = TAGGED.to_vec();
        double.splice(12..12, [0x81, 0, 0, 9]);
        let ethernet = Ethernet::parse(&double).unwrap();
        assert_eq!(
            (ethernet.vid, ethernet.ethertype, ethernet.header_len),
            (VlanId::new(9).ok(), 0x86dd, 22)
        );
        double[12..14].copy_from_slice(&[0x88, 0xa8]);
        let ethernet = Ethernet::parse(&double).unwrap();
        assert_eq!((ethernet.vid, ethernet.header_len), (None, 22));
        assert_eq!(Ethernet::parse(&[0x81, 0].repeat(1000)).unwrap().header_len, 26);
        assert_eq!(Ethernet::parse(&[0x81, 0].repeat(12)), None);
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
