use crate::sys::vector::sum_words;

/// A ones' complement sum of 16-bit words in the making (RFC 1071).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum with `octets` added, which start at an even place; an odd last octet is padded with zero.
    ///
    /// Words are added in the machine's own octet order, in blocks by whatever the processor has for that; the sum's
    /// octets are swapped once at the end (RFC 1071 section 2 B).
    #[must_use]
    pub fn plus(self, octets: &[u8]) -> Self {
        let (blocks, rest) = octets.as_chunks();
        let sum = if blocks.is_empty() { 0 } else { sum_words(blocks) };
        let (longs, rest) = rest.as_chunks::<4>();
        let (words, last) = rest.as_chunks::<2>();
        let longs: u64 = longs.iter().map(|long| u64::from(u32::from_ne_bytes(*long))).sum();
        let words: u64 = words.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum();
        let odd = last.first().map_or(0, |octet| u64::from(u16::from_ne_bytes([*octet, 0])));
        let native = Self(sum + longs + words + odd).folded();
        Self(self.0 + u64::from(u16::from_be(native)))
    }

    /// The sum with one word added.
    #[must_use]
    pub const fn plus_word(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// The sum in 16 bits, not complemented.
    pub const fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The checksum that goes into a header.
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 1, word by word.
    fn slow(octets: &[u8]) -> u16 {
        let mut sum = 0u32;
        for (place, octet) in octets.iter().enumerate() {
            sum += u32::from(*octet) << if place % 2 == 0 { 8 } else { 0 };
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum & 0xffff) as u16
    }

    proptest! {
        #[test]
        fn the_sum_is_the_slow_references(octets in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(Sum::default().plus(&octets).folded(), slow(&octets));
        }

        #[test]
        fn a_sum_may_be_made_in_even_pieces(octets in prop::collection::vec(any::<u8>(), 2..300), cut in 0usize..150) {
            let cut = (cut * 2).min(octets.len() & !1);
            let (one, other) = octets.split_at(cut);
            prop_assert_eq!(Sum::default().plus(one).plus(other).folded(), Sum::default().plus(&octets).folded());
        }
    }

    #[test]
    fn a_checked_header_sums_to_all_ones() {
        // The IPv4 header of RFC 1071's time, as in many textbooks: checksum b861.
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(Sum::default().plus(&header).folded(), 0xffff);
    }
}
