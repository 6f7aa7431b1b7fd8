use std::ops::Range;

use super::put;
use crate::wire::{Ethernet, IPV4_HEADER_MIN, Packet, Sum};

/// The flag "more fragments", and the place of a fragment in units of eight octets (RFC 791 section 3.1).
const MORE: u16 = 0x2000;
const PLACE: u16 = 0x1fff;
/// Options that every fragment repeats have this bit (RFC 791 section 3.1); the two that are one octet long do not matter.
const COPIED: u8 = 0x80;
const END: u8 = 0;
const NOTHING: u8 = 1;

/// How an IPv4 packet becomes fragments of at most so many octets: what a router does with one that may be divided
/// (RFC 791 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    ip: usize,
    payload: Range<usize>,
    /// Octets of payload in each but the last.
    size: usize,
}

impl Division {
    /// The division of the packet in a frame into packets of at most `limit` octets; none when it is no whole IPv4 packet or
    /// nothing of it would fit.
    pub fn new(frame: &[u8], ethernet: &Ethernet, limit: usize) -> Option<Self> {
        let packet = Packet::parse(frame, ethernet).filter(|packet| !packet.v6)?;
        let (ip, at) = (ethernet.header_len, packet.payload_offset);
        let size = limit.checked_sub(at - ip)? & !7;
        (size > 0).then_some(Self { ip, payload: at..at + packet.payload.len(), size })
    }

    /// How many fragments there are: one at the least.
    pub fn count(&self) -> usize {
        self.payload.len().div_ceil(self.size).max(1)
    }

    /// Where the payload of a fragment stands in the frame.
    pub fn payload(&self, fragment: usize) -> Range<usize> {
        let start = self.payload.start + fragment * self.size;
        start..(start + self.size).min(self.payload.end)
    }

    /// Octets of the headers before the payload of each.
    pub const fn header_len(&self) -> usize {
        self.payload.start
    }

    /// Writes the headers of a fragment into exactly [`Division::header_len`] octets.
    pub fn write_header(&self, frame: &[u8], fragment: usize, header: &mut [u8]) {
        header.copy_from_slice(&frame[..self.payload.start]);
        let ip = &mut header[self.ip..];
        if fragment > 0 {
            blank_options(&mut ip[IPV4_HEADER_MIN..]);
        }
        let whole = u16::from_be_bytes([ip[6], ip[7]]);
        let place = (whole & PLACE).wrapping_add((fragment * self.size / 8) as u16) & PLACE;
        let more = if fragment + 1 < self.count() { MORE } else { whole & MORE };
        let total = (ip.len() + self.payload(fragment).len()) as u16;
        put(ip, 2, total);
        put(ip, 6, whole & !(MORE | PLACE) | more | place);
        put(ip, 10, 0);
        let checksum = Sum::default().plus(ip).checksum();
        put(ip, 10, checksum);
    }
}

/// Overwrites the options that only the first fragment has.
fn blank_options(options: &mut [u8]) {
    let mut at = 0;
    while let Some(kind) = options.get(at).copied().filter(|kind| *kind != END) {
        let len = match options.get(at + 1) {
            _ if kind == NOTHING => 1,
            Some(len) if usize::from(*len) >= 2 && at + usize::from(*len) <= options.len() => {
                usize::from(*len)
            }
            // No list of options; whoever reads it will say so.
            _ => return,
        };
        if kind & COPIED == 0 {
            options[at..at + len].fill(NOTHING);
        }
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(options: &[u8], flags: u16, len: usize) -> Vec<u8> {
        let header_len = 20 + options.len();
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x40 | (header_len / 4) as u8, 7];
        frame.extend((header_len as u16 + len as u16).to_be_bytes());
        frame.extend([0xab, 0xcd]);
        frame.extend(flags.to_be_bytes());
        frame.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(options);
        frame.extend((0..len).map(|place| (place * 7) as u8));
        frame
    }

    fn divided(frame: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
        let division = Division::new(frame, &Ethernet::parse(frame).unwrap(), limit)?;
        let fragment = |number| {
            let mut fragment = vec![0xee; division.header_len()];
            division.write_header(frame, number, &mut fragment);
            fragment.extend(&frame[division.payload(number)]);
            fragment
        };
        Some((0..division.count()).map(fragment).collect())
    }

    fn flags(fragment: &[u8]) -> u16 {
        u16::from_be_bytes([fragment[20], fragment[21]])
    }

    #[test]
    fn fragments_are_where_the_header_says() {
        let fragments = divided(&frame(&[], 0, 100), 68).unwrap();
        assert_eq!(fragments.iter().map(Vec::len).collect::<Vec<_>>(), [82, 82, 38]);
        assert_eq!(fragments.iter().map(|one| flags(one)).collect::<Vec<_>>(), [0x2000, 0x2006, 12]);
        assert!(fragments.iter().all(|one| one[18..20] == [0xab, 0xcd] && one[15] == 7));
    }

    #[test]
    fn a_fragment_is_divided_again() {
        let fragments = divided(&frame(&[], 0x2000 | 100, 64), 68).unwrap();
        assert_eq!(fragments.iter().map(|one| flags(one)).collect::<Vec<_>>(), [0x2064, 0x206a]);
    }

    #[test]
    fn options_that_are_not_to_be_copied_are_in_the_first_alone() {
        // Record route (7), no operation, router alert (148).
        let options = [7, 3, 4, 1, 148, 4, 0, 0];
        let fragments = divided(&frame(&options, 0, 100), 76).unwrap();
        assert_eq!(fragments[0][34..42], options);
        assert_eq!(fragments[1][34..42], [1, 1, 1, 1, 148, 4, 0, 0]);
    }

    #[test]
    fn what_is_no_ipv4_or_has_no_room_is_not_divided() {
        assert_eq!(divided(&frame(&[], 0, 100), 27), None);
        let mut other = frame(&[], 0, 100);
        other[13] = 6;
        assert_eq!(divided(&other, 68), None);
    }

    proptest! {
        #[test]
        fn fragments_put_together_are_the_packet(
            len in 0usize..3000,
            limit in 28usize..1500,
            options in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let options = &options.repeat(4)[..options.len() * 4];
            let frame = frame(options, 0, len);
            let Some(fragments) = divided(&frame, limit) else { return Ok(()) };
            let header_len = 34 + options.len();
            let mut payload: Vec<u8> = vec![];
            for fragment in &fragments {
                prop_assert!(fragment.len() - 14 <= limit);
                prop_assert_eq!(usize::from(flags(fragment) & PLACE) * 8, payload.len());
                prop_assert_eq!(Sum::default().plus(&fragment[14..header_len]).folded(), 0xffff);
                payload.extend(&fragment[header_len..]);
            }
            prop_assert_eq!(&payload, &frame[header_len..]);
            prop_assert_eq!(flags(fragments.last().unwrap()) & MORE, 0);
        }
    }
}
