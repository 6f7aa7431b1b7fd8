//! Ethernet headers of answers.

use overlay_core::types::{MacAddr, VlanId};
use overlay_core::wire::{ETHERNET_HEADER, Ethernet, Tag, VLAN_TAG};
use zerocopy::IntoBytes;

/// The Ethernet header of a frame with all its tags: all that its answer needs of it beside the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) ethernet: Ethernet,
    /// What stands between the addresses and the payload: tags and type.
    behind: Vec<u8>,
}

impl Head {
    /// Of a frame; none when it is too short to have one.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let ethernet = Ethernet::parse(frame)?;
        let behind = frame.get(size_of::<[MacAddr; 2]>()..ethernet.header_len)?.to_vec();
        Some(Self { ethernet, behind })
    }

    /// Whether `mac` can be a card's own, and another's than the sender's.
    pub(super) fn is_others(&self, mac: MacAddr) -> bool {
        mac != self.ethernet.source && mac.unicast().is_ok()
    }

    /// A frame with the same tags, priorities too, and the same type.
    pub(super) fn answer(&self, destination: MacAddr, source: MacAddr, payload: &[u8]) -> Vec<u8> {
        [destination.as_bytes(), source.as_bytes(), &self.behind, payload].concat()
    }
}

/// A frame that answers no other.
pub(super) fn frame(addresses: [MacAddr; 2], vid: Option<VlanId>, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_HEADER + VLAN_TAG + payload.len());
    frame.extend(addresses.as_bytes());
    frame.extend(vid.map(Tag::new).as_ref().map_or(&[][..], IntoBytes::as_bytes));
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}
