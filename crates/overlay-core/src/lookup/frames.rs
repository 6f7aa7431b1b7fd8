use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        desk: &Desk,
        link: LinkId,
        octets: Vec<u8>,
        make: impl FnOnce() -> T,
        until: Moment,
    ) -> Result<(), Refusal> {
        let mut frames = self.lock();
        if frames.len() >= FRAMES_MAX || !desk.reserve(octets.len()) {
            return Err(Refusal::Full);
        }
        let (id, octets) = (desk.number(), Octets(octets));
        desk.ask(Question::Frame { link, id, frame: octets.clone() });
        frames.insert(id, Asking { octets, item: make(), until });
        Ok(())
    }

    pub(super) fn take(&self, desk: &Desk, number: u64) -> Option<T> {
        let asking = self.lock().remove(&number)?;
        desk.give_back(asking.octets.0.len());
        desk.settle();
        Some(asking.item)
    }

    pub(super) fn expire(&self, desk: &Desk, now: Moment, out: &mut dyn FnMut(T)) {
        let over = |asking: &Asking<T>| asking.until <= now;
        let expired: Vec<_> =
            self.lock().iter().filter(|(_, asking)| over(asking)).map(|(number, _)| *number).collect();
        expired.into_iter().filter_map(|number| self.take(desk, number)).for_each(out);
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.lock().values().next().map(|asking| asking.until)
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
