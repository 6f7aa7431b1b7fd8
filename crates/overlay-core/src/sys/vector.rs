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

/// With the instructions of AVX2: two times four lanes of 64 bits, which take the lower and the upper halves of 64-bit words
/// apart. Left to themselves, compilers gather single words from several blocks.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_words_avx2(blocks: &[[u8; BLOCK]]) -> u64 {
    use std::arch::x86_64::{
        _mm256_add_epi64, _mm256_and_si256, _mm256_extract_epi64, _mm256_loadu_si256, _mm256_set1_epi64x,
        _mm256_setzero_si256, _mm256_srli_epi64,
    };
    let half = _mm256_set1_epi64x(0xffff_ffff);
    let (mut low, mut high) = ([_mm256_setzero_si256(); 2], [_mm256_setzero_si256(); 2]);
    for block in blocks {
        for (part, octets) in block.as_chunks::<32>().0.iter().enumerate() {
            // SAFETY: the 32 octets are there to be read, and the load asks for no alignment.
            let words = unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) };
            low[part] = _mm256_add_epi64(low[part], _mm256_and_si256(words, half));
            high[part] = _mm256_add_epi64(high[part], _mm256_srli_epi64::<32>(words));
        }
    }
    let sum = _mm256_add_epi64(_mm256_add_epi64(low[0], low[1]), _mm256_add_epi64(high[0], high[1]));
    let lanes = [
        _mm256_extract_epi64::<0>(sum),
        _mm256_extract_epi64::<1>(sum),
        _mm256_extract_epi64::<2>(sum),
        _mm256_extract_epi64::<3>(sum),
    ];
    lanes.iter().map(|lane| lane.cast_unsigned()).sum()
}

/// Eight lanes, which compilers turn into vector instructions.
fn sum_words_portable(blocks: &[[u8; BLOCK]]) -> u64 {
    let mut lanes = [0u64; 8];
    for part in blocks.as_flattened().as_chunks::<32>().0 {
        for (lane, word) in lanes.iter_mut().zip(part.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    lanes.iter().sum()
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
