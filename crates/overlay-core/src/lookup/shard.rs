//! One part of a table: places side by side, each with an entry or free. An entry is in the first free place at or behind
//! the one that its address belongs to, so that whoever finds a free place need not look on.

use std::collections::BTreeMap;
use std::mem;

use zerocopy::FromZeros;

use super::census::Class;
use super::entry::State;
use super::shards::{Key, Secret};
use super::slot::{ManyEnds, Slot};
use super::waiting::Asked;
use crate::memory::ZeroedSlice;
use crate::types::{MacAddr, Moment};

/// Places of a part that has any.
const PLACES_MIN: usize = 8;

/// The entries of one part.
pub(super) struct Shard<T> {
    /// None, or a power of two.
    places: ZeroedSlice<Slot>,
    count: usize,
    /// What few entries have and what has no room in a place.
    beside: BTreeMap<MacAddr, Beside<T>>,
}

/// What is kept beside of an entry.
struct Beside<T> {
    /// Its tunnel ends, when they are not one.
    ends: Option<ManyEnds>,
    /// Who has asked, and the frames that wait; only while the lookup side is asked.
    asked: Option<Box<Asked<T>>>,
}

/// An entry of a part.
pub(super) struct Entry<'a, T> {
    slot: &'a Slot,
    shard: &'a Shard<T>,
    pub(super) class: Class,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { places: ZeroedSlice::new(0), count: 0, beside: BTreeMap::new() }
    }
}

impl<T> Shard<T> {
    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<Entry<'_, T>> {
        self.find(key).and_then(|place| self.entry(&self.places[place]))
    }

    /// The entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_, T>> {
        self.places.iter().filter_map(move |slot| self.entry(slot))
    }

    /// Who has asked, by address.
    pub(super) fn askers(&self) -> impl Iterator<Item = (MacAddr, &Asked<T>)> {
        self.beside.iter().filter_map(|(mac, beside)| Some((*mac, &**beside.asked.as_ref()?)))
    }

    /// Gives an entry its state, or makes one that was last used now; the class it had before.
    pub(super) fn put(&mut self, key: Key, state: State, now: Moment) -> Option<Class> {
        let place = self.find(key).unwrap_or_else(|| self.make(key, now));
        let slot = &mut self.places[place];
        let before = slot.class();
        let ends = slot.set(state);
        if ends.is_some() || self.beside.contains_key(&key.mac) {
            self.beside(key.mac).ends = ends;
            self.tidy(key.mac);
        }
        before
    }

    /// A frame needs an entry.
    pub(super) fn touch(&self, key: Key, now: Moment) {
        if let Some(entry) = self.get(key) {
            entry.touch(now);
        }
    }

    /// What waits at an entry, made by `make` where nothing does.
    pub(super) fn asked(&mut self, key: Key, make: impl FnOnce() -> Asked<T>) -> &mut Asked<T> {
        self.beside(key.mac).asked.get_or_insert_with(|| Box::new(make()))
    }

    /// Takes out what waits at an entry.
    pub(super) fn take_asked(&mut self, key: Key) -> Option<Box<Asked<T>>> {
        let asked = self.beside.get_mut(&key.mac)?.asked.take();
        self.tidy(key.mac);
        asked
    }

    /// Takes an entry out; its class, and what waits there.
    pub(super) fn remove(&mut self, key: Key) -> Option<(Class, Option<Box<Asked<T>>>)> {
        let place = self.find(key)?;
        let class = self.places[place].class()?;
        let asked = self.beside.remove(&key.mac).and_then(|beside| beside.asked);
        self.free(place, key.secret);
        Some((class, asked))
    }

    /// Takes out everything that waits.
    pub(super) fn take_all_asked(&mut self) -> impl Iterator<Item = Box<Asked<T>>> {
        mem::take(&mut self.beside).into_values().filter_map(|beside| beside.asked)
    }

    #[inline]
    fn entry<'a>(&'a self, slot: &'a Slot) -> Option<Entry<'a, T>> {
        slot.class().map(|class| Entry { slot, shard: self, class })
    }

    /// Where its places begin, and the mask of their numbers; nowhere while there are none.
    pub(super) fn span(&self) -> Option<(*const Slot, usize)> {
        Some((self.places.as_ptr(), self.places.len().checked_sub(1)?))
    }

    /// The place of an address.
    #[inline]
    fn find(&self, key: Key) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = home(key, mask);
        loop {
            let slot = &self.places[place];
            if slot.is_free() {
                return None;
            }
            if slot.mac() == key.mac {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
    }

    /// Finds a place for an address that has none, and begins an entry there.
    fn make(&mut self, key: Key, now: Moment) -> usize {
        // At most four places of five are taken: the way to a free one stays short.
        if (self.count + 1) * 5 > self.places.len() * 4 {
            self.resize((self.places.len() * 2).max(PLACES_MIN), key.secret);
        }
        let place = self.free_place(key);
        self.places[place].begin(key.mac, now);
        self.count += 1;
        place
    }

    fn free_place(&self, key: Key) -> usize {
        let mask = self.places.len() - 1;
        let mut place = home(key, mask);
        while !self.places[place].is_free() {
            place = (place + 1) & mask;
        }
        place
    }

    fn resize(&mut self, places: usize, secret: Secret) {
        let mut before = mem::replace(&mut self.places, ZeroedSlice::new(places));
        for slot in before.iter_mut().filter(|slot| !slot.is_free()) {
            let place = self.free_place(secret.key(slot.mac()));
            mem::swap(&mut self.places[place], slot);
        }
    }

    /// Frees a place; entries behind it that it kept from an earlier place move up, so that no gap hides them.
    fn free(&mut self, mut place: usize, secret: Secret) {
        let mask = self.places.len() - 1;
        let mut next = (place + 1) & mask;
        while !self.places[next].is_free() {
            let home = home(secret.key(self.places[next].mac()), mask);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(place) & mask {
                self.places.swap(place, next);
                place = next;
            }
            next = (next + 1) & mask;
        }
        self.places[place] = Slot::new_zeroed();
        self.count -= 1;
        // A table that was emptied takes no memory.
        if self.count == 0 {
            self.places = ZeroedSlice::new(0);
        }
    }

    fn beside(&mut self, mac: MacAddr) -> &mut Beside<T> {
        self.beside.entry(mac).or_insert(Beside { ends: None, asked: None })
    }

    fn tidy(&mut self, mac: MacAddr) {
        if self.beside.get(&mac).is_some_and(|beside| beside.ends.is_none() && beside.asked.is_none()) {
            self.beside.remove(&mac);
        }
    }
}

/// The place that an address belongs to: the first of a pair, which processors fetch together.
pub(super) const fn home(key: Key, mask: usize) -> usize {
    key.hash as usize & mask & !1
}

impl<T> Entry<'_, T> {
    pub(super) const fn mac(&self) -> MacAddr {
        self.slot.mac()
    }

    #[inline]
    pub(super) fn state(&self) -> Option<State> {
        self.slot.state(|| self.shard.beside.get(&self.mac())?.ends.clone())
    }

    pub(super) fn touch(&self, now: Moment) {
        self.slot.touch(now);
    }

    pub(super) fn used(&self) -> Moment {
        self.slot.used()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::shards::Shards;
    use super::*;

    fn mac(number: u16) -> MacAddr {
        let [a, b] = number.to_be_bytes();
        MacAddr([2, 0, 0, 0, a, b])
    }

    fn state(number: u16) -> State {
        State::Asking { since: Moment(number.into()), until: Moment(0) }
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_each_entry_that_is_left_is_found(
            steps in prop::collection::vec((0u16..200, any::<bool>()), 0..1000),
        ) {
            let secret = Shards::<()>::default().key(mac(0)).secret;
            let (mut shard, mut model) = (Shard::<()>::default(), BTreeSet::new());
            for (number, comes) in steps {
                let key = secret.key(mac(number));
                if comes {
                    let before = shard.put(key, state(number), Moment(1));
                    prop_assert_eq!(before.is_none(), model.insert(number));
                } else {
                    prop_assert_eq!(shard.remove(key).is_some(), model.remove(&number));
                }
                let found = (0..200).filter(|number| {
                    let entry = shard.get(secret.key(mac(*number)));
                    entry.is_some_and(|entry| entry.state() == Some(state(*number)))
                });
                prop_assert_eq!(found.collect::<BTreeSet<_>>(), model.clone());
                prop_assert_eq!(shard.iter().count(), model.len());
            }
        }
    }

    #[test]
    fn an_emptied_part_takes_no_memory() {
        let secret = Shards::<()>::default().key(mac(0)).secret;
        let mut shard = Shard::<()>::default();
        for number in 0..5000 {
            assert_eq!(shard.put(secret.key(mac(number)), state(number), Moment(1)), None);
        }
        assert_eq!(shard.places.len(), 8192);
        (0..5000).for_each(|number| assert!(shard.remove(secret.key(mac(number))).is_some()));
        assert_eq!((shard.places.len(), shard.beside.len()), (0, 0));
    }
}
