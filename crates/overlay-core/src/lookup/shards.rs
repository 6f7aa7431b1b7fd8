//! Entries by address, in parts with a lock each, so that workers that look up do not meet.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::entry::State;
use super::waiting::Asked;
use crate::types::{MacAddr, Moment};

/// Parts of a table. Not a power of two: a million entries then fill maps of 8,192 places well.
pub(super) const SHARDS: usize = 160;

/// An entry of the table.
pub(super) struct Entry<T> {
    pub(super) state: State,
    /// Who has asked, and the frames that wait; only while the lookup side is asked.
    pub(super) asked: Option<Box<Asked<T>>>,
    /// When a frame last needed it, in milliseconds.
    used: AtomicU64,
}

impl<T> Entry<T> {
    pub(super) const fn new(state: State, now: Moment) -> Self {
        Self { state, asked: None, used: AtomicU64::new(now.0) }
    }

    /// A frame needs it. Written only when the time has moved: other workers read it too.
    pub(super) fn touch(&self, now: Moment) {
        if self.used.load(Ordering::Relaxed) < now.0 {
            self.used.store(now.0, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self) -> Moment {
        Moment(self.used.load(Ordering::Relaxed))
    }
}

pub(super) type Shard<T> = HashMap<MacAddr, Entry<T>, MacHash>;

/// The parts of one table.
pub(super) struct Shards<T> {
    parts: Box<[RwLock<Shard<T>>]>,
    hash: MacHash,
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        let hash = MacHash::default();
        let parts = (0..SHARDS).map(|_| RwLock::new(HashMap::with_hasher(hash.clone())));
        Self { parts: parts.collect(), hash }
    }
}

// A panic between two changes of an entry cannot happen: each change is one assignment.
impl<T> Shards<T> {
    pub(super) fn read(&self, mac: MacAddr) -> RwLockReadGuard<'_, Shard<T>> {
        self.parts[self.part(mac)].read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, mac: MacAddr) -> RwLockWriteGuard<'_, Shard<T>> {
        self.parts[self.part(mac)].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// One part after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = RwLockReadGuard<'_, Shard<T>>> {
        self.parts.iter().map(|part| part.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A part by its number.
    pub(super) fn nth(&self, number: usize) -> Option<RwLockReadGuard<'_, Shard<T>>> {
        self.parts.get(number).map(|part| part.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Entry<T>> {
        let parts = self.parts.iter_mut().map(|part| part.get_mut().unwrap_or_else(PoisonError::into_inner));
        parts.flat_map(|part| part.drain().map(|(_, entry)| entry)).collect()
    }

    fn part(&self, mac: MacAddr) -> usize {
        // The map takes the lowest bits and the highest seven; these are from between.
        (self.hash.hash_one(mac) >> 24) as u32 as usize % SHARDS
    }
}

/// A hash of addresses with a secret: guests choose addresses, and must not choose their places.
#[derive(Debug, Clone)]
pub(super) struct MacHash {
    secret: u64,
}

impl Default for MacHash {
    fn default() -> Self {
        Self { secret: RandomState::new().hash_one(0u8) }
    }
}

impl BuildHasher for MacHash {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { secret: self.secret, hash: 0 }
    }
}

/// Multiplies the octets with the secret and folds both halves of the product.
pub(super) struct Folded {
    secret: u64,
    hash: u64,
}

impl Hasher for Folded {
    fn write(&mut self, octets: &[u8]) {
        for piece in octets.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            let mixed = (self.hash ^ u64::from_le_bytes(word) ^ self.secret) | 1 << 63;
            let product = u128::from(mixed) * u128::from(self.secret | 1);
            self.hash = (product as u64) ^ (product >> 64) as u64;
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of an address is always the same.
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_a_row_are_spread_over_the_parts() {
        let shards = Shards::<()>::default();
        let mut counts = [0; SHARDS];
        for number in 0u32..160_000 {
            let [_, a, b, c] = number.to_be_bytes();
            counts[shards.part(MacAddr([2, 8, 0x20, a, b, c]))] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 700 && *most < 1300, "{least} to {most}");
    }
}
