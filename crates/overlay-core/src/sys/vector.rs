//! Arithmetic that takes the processor's widest registers, found out at run time. It does no I/O, so the pure modules
//! may use it.

/// Octets that are added at once.
pub const BLOCK: usize = 64;

/// The sum of the 32-bit words of some blocks, in the machine's own octet order.
///
/// It does not overflow: a datagram's blocks are some thousand, and 2^32 words of 32 bits fit.
pub fn sum_words(blocks: &[[u8; BLOCK]]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just said that it has AVX2, which is all that the function needs.
            return unsafe { sum_words_avx2(blocks) };
        }
    }
    sum_words_portable(blocks)
}

/// The same code with the instructions of AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_words_avx2(blocks: &[[u8; BLOCK]]) -> u64 {
    sum_words_portable(blocks)
}

/// What compilers turn into vector instructions, as wide as they may: the halves of eight lanes of 64 bits.
#[inline(always)]
fn sum_words_portable(blocks: &[[u8; BLOCK]]) -> u64 {
    let mut low = [0u64; BLOCK / 8];
    let mut high = [0u64; BLOCK / 8];
    for block in blocks {
        for (lane, octets) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_ne_bytes(*octets);
            low[lane] += word & 0xffff_ffff;
            high[lane] += word >> 32;
        }
    }
    low.iter().chain(&high).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(blocks: &[[u8; BLOCK]]) -> u64 {
        let words = blocks.iter().flat_map(|block| block.as_chunks::<4>().0);
        words.map(|word| u64::from(u32::from_ne_bytes(*word))).sum()
    }

    proptest! {
        #[test]
        fn every_implementation_is_the_slow_reference(octets in prop::collection::vec(any::<u8>(), 0..5000), full: bool) {
            let octets = if full { vec![0xff; octets.len()] } else { octets };
            let (blocks, _) = octets.as_chunks::<BLOCK>();
            prop_assert_eq!(sum_words_portable(blocks), slow(blocks));
            prop_assert_eq!(sum_words(blocks), slow(blocks));
        }
    }
}
