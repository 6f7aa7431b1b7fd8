//! Entries by address, in parts with a lock each, so that workers that look up do not meet.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::shard::{Shard, home};
use super::slot::Slot;
use crate::memory::prefetch;
use crate::types::MacAddr;

/// Parts of a table: as many as let a million entries fill parts of one large page each well.
const SHARDS: usize = 48;

/// Pieces in which a part is shown.
const PIECES: usize = 4;

/// An address, and where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) mac: MacAddr,
    pub(super) hash: u64,
    pub(super) secret: Secret,
}

/// What places depend on beside addresses: guests choose addresses, and must not choose their places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret(u64);

impl Secret {
    /// Multiplies the octets with the secret and folds both halves of the product.
    pub(super) fn key(self, mac: MacAddr) -> Key {
        let [a, b, c, d, e, f] = mac.0;
        let mixed = (u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) ^ self.0) | 1 << 63;
        let product = u128::from(mixed) * u128::from(self.0 | 1);
        Key { mac, hash: (product as u64) ^ (product >> 64) as u64, secret: self }
    }
}

impl Key {
    /// Its part; the place in it is taken from the lowest bits.
    const fn part(&self) -> usize {
        (((self.hash >> 32) * SHARDS as u64) >> 32) as usize
    }

    const fn piece(&self) -> usize {
        (self.hash >> 24) as usize % PIECES
    }
}

/// The parts of one table.
pub(super) struct Shards<T> {
    parts: Box<[Part<T>]>,
    secret: Secret,
}

/// A part in a line of the cache of its own: the locks of two parts are nothing to each other.
#[repr(C, align(64))]
struct Part<T> {
    /// Where its places began when the last writer left, and their mask: only for whoever wants one fetched.
    start: AtomicPtr<Slot>,
    mask: AtomicUsize,
    shard: RwLock<Shard<T>>,
}
const _: () = assert!(size_of::<Part<()>>() == 128);

/// A part that is being written.
pub(super) struct Writing<'a, T> {
    part: &'a Part<T>,
    shard: RwLockWriteGuard<'a, Shard<T>>,
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        let parts = (0..SHARDS).map(|_| Part::default());
        Self { parts: parts.collect(), secret: Secret(RandomState::new().hash_one(0u8)) }
    }
}

// A panic between two changes of an entry cannot happen: nothing that is called under a lock of these panics.
impl<T> Shards<T> {
    pub(super) fn key(&self, mac: MacAddr) -> Key {
        self.secret.key(mac)
    }

    pub(super) fn read(&self, key: Key) -> RwLockReadGuard<'_, Shard<T>> {
        self.parts[key.part()].read()
    }

    pub(super) fn write(&self, key: Key) -> Writing<'_, T> {
        let part = &self.parts[key.part()];
        Writing { part, shard: part.shard.write().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Has the place fetched that an address belongs to, without a lock: it will be looked for soon.
    pub(super) fn foresee(&self, key: Key) {
        let part = &self.parts[key.part()];
        let start = part.start.load(Ordering::Relaxed);
        if !start.is_null() {
            // Between two changes of a part this may be a place that is no more: then it is fetched in vain.
            prefetch(start.wrapping_add(home(key, part.mask.load(Ordering::Relaxed))));
        }
    }

    /// One part after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = RwLockReadGuard<'_, Shard<T>>> {
        self.parts.iter().map(Part::read)
    }

    /// The part in which piece `number` is, and whether an address belongs to that piece; none when there are not so many.
    pub(super) fn piece(
        &self,
        number: usize,
    ) -> Option<(RwLockReadGuard<'_, Shard<T>>, impl Fn(MacAddr) -> bool + use<T>)> {
        let secret = self.secret;
        let belongs = move |mac| secret.key(mac).piece() == number % PIECES;
        self.parts.get(number / PIECES).map(|part| (part.read(), belongs))
    }

    /// The piece behind another, where there is one.
    pub(super) fn piece_behind(number: u32) -> Option<u32> {
        number.checked_add(1).filter(|next| (*next as usize) < SHARDS * PIECES)
    }

    /// Takes the parts out, for the end.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Shard<T>> {
        self.parts.iter_mut().map(|part| part.shard.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        let (start, mask) = (AtomicPtr::new(ptr::null_mut()), AtomicUsize::new(0));
        Self { start, mask, shard: RwLock::new(Shard::default()) }
    }
}

impl<T> Part<T> {
    fn read(&self) -> RwLockReadGuard<'_, Shard<T>> {
        self.shard.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Writing<'_, T> {
    type Target = Shard<T>;

    fn deref(&self) -> &Shard<T> {
        &self.shard
    }
}

impl<T> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut Shard<T> {
        &mut self.shard
    }
}

/// Leaves word of where the places are, when they have moved.
impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        let (start, mask) = self.shard.span().unwrap_or((ptr::null(), 0));
        let Part { start: before, mask: mask_before, .. } = self.part;
        // Others read these all the time: they are written only when they change.
        if !ptr::eq(before.load(Ordering::Relaxed), start) || mask_before.load(Ordering::Relaxed) != mask {
            before.store(start.cast_mut(), Ordering::Relaxed);
            mask_before.store(mask, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::State;
    use super::*;
    use crate::types::Moment;

    #[test]
    fn addresses_in_a_row_are_spread_over_the_parts() {
        let shards = Shards::<()>::default();
        let mut counts = [[0; PIECES]; SHARDS];
        for number in 0u32..192_000 {
            let [_, a, b, c] = number.to_be_bytes();
            let key = shards.key(MacAddr([2, 8, 0x20, a, b, c]));
            counts[key.part()][key.piece()] += 1;
        }
        let counts = counts.as_flattened();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 700 && *most < 1300, "{least} to {most}");
    }

    #[test]
    fn a_writer_leaves_word_of_where_the_places_are() {
        let shards = Shards::<()>::default();
        for number in 0..2000u16 {
            let [a, b] = number.to_be_bytes();
            let key = shards.key(MacAddr([2, 0, 0, 0, a, b]));
            let state = State::Asking { since: Moment(0), until: Moment(0) };
            shards.write(key).put(key, state, Moment(0));
            shards.foresee(key);
        }
        for part in &shards.parts {
            let left = (part.start.load(Ordering::Relaxed).cast_const(), part.mask.load(Ordering::Relaxed));
            // By the secret of the hash one part in some runs has nothing.
            assert_eq!(part.read().span().unwrap_or((ptr::null(), 0)), left);
        }
    }
}
