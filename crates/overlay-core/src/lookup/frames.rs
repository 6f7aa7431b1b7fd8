use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::room::Room;
use super::{Desk, Octets, Question, Refusal};
use crate::types::{LinkId, Moment};

/// Frames of one overlay that may be questions of their own at once.
const FRAMES_MAX: usize = 4096;

/// Frames that are questions of their own, by number. A later one has a higher number.
pub(super) struct Frames<T>(Mutex<BTreeMap<u64, Asking<T>>>);

struct Asking<T> {
    octets: Octets,
    item: T,
    until: Moment,
}

impl<T> Default for Frames<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Frames<T> {
    pub(super) fn ask(
        &self,
        (desk, room): (&Desk, &Room),
        link: LinkId,
        octets: Vec<u8>,
        make: impl FnOnce() -> T,
        until: Moment,
    ) -> Result<(), Refusal> {
        let mut frames = self.lock();
        if frames.len() >= FRAMES_MAX || !room.reserve(size::<T>(&octets)) {
            return Err(Refusal::Full);
        }
        let (id, octets) = (desk.number(), Octets(octets));
        desk.ask(Question::Frame { link, id, frame: octets.clone() });
        frames.insert(id, Asking { octets, item: make(), until });
        Ok(())
    }

    pub(super) fn take(&self, (desk, room): (&Desk, &Room), number: u64) -> Option<T> {
        let asking = self.lock().remove(&number)?;
        room.give_back(size::<T>(&asking.octets.0));
        desk.settle();
        Some(asking.item)
    }

    pub(super) fn expire(&self, with: (&Desk, &Room), now: Moment, out: &mut dyn FnMut(T)) {
        let over = |asking: &Asking<T>| asking.until <= now;
        let expired: Vec<_> =
            self.lock().iter().filter(|(_, asking)| over(asking)).map(|(number, _)| *number).collect();
        expired.into_iter().filter_map(|number| self.take(with, number)).for_each(out);
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.lock().values().map(|asking| asking.until).min()
    }

    pub(super) fn outstanding(&self, link: LinkId) -> Vec<Question> {
        let frames = self.lock();
        let question = |(id, asking): (&u64, &Asking<T>)| Question::Frame {
            link,
            id: *id,
            frame: asking.octets.clone(),
        };
        frames.iter().map(question).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Asking<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame is kept three times: as what waits, as the question on its way, and as the one that can be asked again.
fn size<T>(octets: &[u8]) -> usize {
    Room::size::<T>(3 * octets.len())
}
