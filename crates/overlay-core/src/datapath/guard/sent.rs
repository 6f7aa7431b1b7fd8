use super::FrameBuf;
use crate::wire::{ETHERNET_HEADER, Ethernet, VLAN_TAG};

const TPID_8021Q: u16 = 0x8100;
const TPID_8021AD: u16 = 0x88a8;
/// The bits of a tag that are the VLAN identifier.
const VID_MASK: u16 = 0x0fff;

/// A frame as its VNIC sent it, and what is still to be done to it.
pub(super) struct Sent<'a> {
    pub(super) octets: &'a [u8],
    pub(super) ethernet: Ethernet,
    pub(super) is_super_frame: bool,
    /// Where a checksum is to be written, in the words of whoever sent it: they may point anywhere.
    checksum: Option<usize>,
}

impl<'a> Sent<'a> {
    pub(super) fn read(frame: &'a FrameBuf) -> Option<Self> {
        let (octets, vnet) = (frame.octets(), frame.vnet());
        Some(Self {
            octets,
            ethernet: Ethernet::parse(octets)?,
            is_super_frame: vnet.segmentation().is_some(),
            checksum: vnet.needs_checksum().map(|(start, offset)| start + offset),
        })
    }

    /// Whether a checksum will be written over the Ethernet header.
    pub(super) fn writes_into_header(&self) -> bool {
        self.writes_before(self.ethernet.header_len)
    }

    /// Whether a checksum will be written over what stands before `place`, which then is not what it seems to be.
    pub(super) fn writes_before(&self, place: usize) -> bool {
        self.checksum.is_some_and(|checksum| checksum < place)
    }

    /// Whether a checksum will be written anywhere but to `place`.
    pub(super) fn writes_beside(&self, place: Option<usize>) -> bool {
        self.checksum.is_some() && self.checksum != place
    }

    /// Whether it is IPv4, IPv6 or ARP, and in no VLAN of the sender's own: at most, it has a tag for a priority.
    pub(super) fn is_plain(&self) -> bool {
        let ethernet = &self.ethernet;
        let is_untagged = match ethernet.header_len.saturating_sub(ETHERNET_HEADER) {
            0 => true,
            VLAN_TAG => {
                self.word(12) == Some(TPID_8021Q) && self.word(14).is_some_and(|tag| tag & VID_MASK == 0)
            }
            _ => false,
        };
        let kinds = [super::ETHERTYPE_IPV4, super::ETHERTYPE_IPV6, super::ETHERTYPE_ARP];
        is_untagged && kinds.contains(&ethernet.ethertype) && !self.writes_into_header()
    }

    /// Whether there is one more tag where the payload should be.
    pub(super) const fn is_tag(&self) -> bool {
        matches!(self.ethernet.ethertype, TPID_8021Q | TPID_8021AD)
    }

    /// What is behind the Ethernet header.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.octets.get(self.ethernet.header_len..).unwrap_or_default()
    }

    fn word(&self, at: usize) -> Option<u16> {
        self.octets.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
    }
}
