use std::net::{IpAddr, Ipv4Addr};

use super::{Own, Sent};
use crate::types::MacAddr;

/// Ethernet and IPv4 (RFC 826).
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

impl Own<'_> {
    /// Whether an ARP packet speaks of nobody but its sender.
    pub(super) fn may_send_arp(&self, sent: &Sent<'_>) -> bool {
        let Some(arp) = sent.payload().first_chunk::<28>() else { return false };
        let (operation, address) = (u16::from_be_bytes([arp[6], arp[7]]), |at: usize| {
            Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3])
        });
        let sender = MacAddr([arp[8], arp[9], arp[10], arp[11], arp[12], arp[13]]);
        let (from, about) = (address(14), address(24));
        let own = match operation {
            // A probe (RFC 5227 section 2.1.1): who asks for another's address so makes its owner give it up.
            REQUEST if from.is_unspecified() => self.may_use(IpAddr::V4(about)),
            REQUEST | REPLY => self.may_use(IpAddr::V4(from)),
            _ => false,
        };
        arp[..6] == KIND && own && self.owns(sender) && !sent.writes_beside(None)
    }
}
