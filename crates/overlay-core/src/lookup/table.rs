use std::collections::hash_map::Entry as Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::{Action, Event, Fate, Refusal, State, Timing, on_event};
use super::frames::Frames;
use super::shards::{Entry, Shard, Shards};
use super::slow::Slow;
use super::waiting::Asked;
use super::{About, Asker, Desk, Ends, Question, Released, Verdict};
use crate::protocol::{TargetDestination, TargetInfo, TargetOrigin, TargetPage, TargetState};
use crate::types::{LinkId, MacAddr, Moment};

/// Addresses that may be asked for at once, of one overlay.
const ASKING_MAX: usize = 16_384;

/// What one overlay knows of its destinations, with the frames (`T` each) that wait to be told.
///
/// Any number of threads may use it at once. What has waited comes out through a function that is called under the
/// lock of its entry: whatever looks the address up later finds that function's work done.
pub struct TargetTable<T> {
    link: LinkId,
    desk: Arc<Desk>,
    shards: Shards<T>,
    slow: Slow,
    entries: AtomicUsize,
    asking: AtomicUsize,
    frames: Frames<T>,
}

impl<T> TargetTable<T> {
    /// An empty one of the overlay `link`, for at most `maximum` entries.
    pub fn new(link: LinkId, desk: Arc<Desk>, timing: Timing, maximum: usize) -> Self {
        Self {
            link,
            desk,
            shards: Shards::default(),
            slow: Slow::new(timing, maximum),
            entries: AtomicUsize::new(0),
            asking: AtomicUsize::new(0),
            frames: Frames::default(),
        }
    }

    /// Changes how long things last, and how many entries there may be. What is known already ages by the new time where
    /// that is shorter; all else lasts for its new time from its next change on.
    pub fn tune(&self, timing: Timing, maximum: usize, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        let before = self.slow.tune(timing, maximum);
        if before.ageing != timing.ageing {
            self.apply_where(|_| true, &Event::Tuned, now, out);
        }
        self.make_room(out);
    }

    /// What becomes of a frame to `mac`; [`Fate::Wait`] says that [`Self::wait`] is to be called. Allocates nothing.
    pub fn look(&self, mac: MacAddr, now: Moment) -> Fate {
        let shard = self.shards.read(mac);
        let Some(entry) = shard.get(&mac) else { return Fate::Wait };
        entry.touch(now);
        entry.state.serve(now).unwrap_or(Fate::Wait)
    }

    /// Takes a frame of so many octets to `mac` for which [`Self::look`] has no answer. It waits where this says so, and
    /// only then is it made; the answer may have come meanwhile.
    pub fn wait(
        &self,
        mac: MacAddr,
        asker: Asker,
        now: Moment,
        frame: (usize, impl FnOnce() -> T),
        out: &mut dyn FnMut(Released<T>),
    ) -> Fate {
        let fate = self.wait_in(mac, asker, now, frame);
        self.make_room(out);
        fate
    }

    fn wait_in(
        &self,
        mac: MacAddr,
        asker: Asker,
        now: Moment,
        (octets, make): (usize, impl FnOnce() -> T),
    ) -> Fate {
        let mut shard = self.shards.write(mac);
        let state = shard.get(&mac).map(|entry| entry.state.clone());
        if let Some(fate) = state.as_ref().and_then(|state| state.serve(now)) {
            return fate;
        }
        let asks = state.as_ref().is_none_or(|state| state.awaited().is_none());
        if asks && self.asking.load(Ordering::Relaxed) >= ASKING_MAX {
            // What serves goes on serving without being confirmed.
            return match state.filter(|state| matches!(state, State::Known { .. })) {
                Some(known) => known.fate(),
                None => Fate::Lose(Refusal::Full),
            };
        }
        let (Some(next), action) = on_event(state, Event::Frame, now, &self.slow.timing()) else {
            return Fate::Lose(Refusal::Full);
        };
        let entry = match shard.entry(mac) {
            Place::Occupied(place) => place.into_mut(),
            Place::Vacant(place) => {
                self.entries.fetch_add(1, Ordering::Relaxed);
                self.slow.note_use(mac, now);
                place.insert(Entry::new(next.clone(), now))
            }
        };
        entry.state = next;
        entry.touch(now);
        if action == Some(Action::Ask) {
            entry.asked = Some(Box::new(Asked::new(asker)));
            self.ask(mac, asker, &entry.state);
        }
        match entry.state.fate() {
            Fate::Wait => {
                let asked = entry.asked.get_or_insert_with(|| Box::new(Asked::new(asker)));
                if asked.park(&self.desk, octets, make) { Fate::Wait } else { Fate::Lose(Refusal::Full) }
            }
            fate => fate,
        }
    }

    fn ask(&self, mac: MacAddr, asker: Asker, state: &State) {
        self.asking.fetch_add(1, Ordering::Relaxed);
        if let Some(until) = state.awaited() {
            self.slow.note_deadline(mac, until);
        }
        self.desk.ask(self.question(mac, asker));
    }

    const fn question(&self, mac: MacAddr, asker: Asker) -> Question {
        Question::Target { link: self.link, mac, source: asker.source, vid: asker.vid }
    }

    /// Takes what is known of addresses; a verdict about one frame is not for here.
    pub fn learn(&self, about: About, verdict: &Verdict, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        let event = match verdict {
            Verdict::Found(ends) => Event::Found(ends.clone().into()),
            Verdict::Learned(ends) => Event::Learned(ends.clone().into()),
            Verdict::Absent => Event::Absent,
            Verdict::Unknown => Event::Unknown,
            Verdict::Doubtful => Event::Doubtful,
            Verdict::Reply(_) | Verdict::Redirect(_) => return,
        };
        match about {
            About::Mac(mac) => self.apply(mac, event, now, out),
            About::Frame(_) => {}
            About::Groups => self.apply_where(MacAddr::is_multicast, &event, now, out),
            About::All => self.apply_where(|_| true, &event, now, out),
        }
        self.make_room(out);
    }

    /// Sets an entry by hand: to these tunnel ends, or to be dropped.
    pub fn fix(&self, mac: MacAddr, ends: Option<Ends>, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        self.apply(mac, Event::Fix(ends), now, out);
        self.make_room(out);
    }

    /// Removes an entry; whether there was one that could be.
    pub fn remove(&self, mac: MacAddr, now: Moment, out: &mut dyn FnMut(Released<T>)) -> bool {
        let there = self.shards.read(mac).contains_key(&mac);
        self.apply(mac, Event::Remove, now, out);
        there
    }

    /// Removes every entry but those whose frames wait.
    pub fn flush(&self, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        self.apply_where(|_| true, &Event::Remove, now, out);
    }

    /// Ends what has waited for an answer up to now.
    pub fn expire(&self, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        while let Some(mac) = self.slow.next_expired(now) {
            self.apply(mac, Event::Expired, now, out);
        }
        self.frames.expire(&self.desk, now, &mut |item| out(Released::Lose(item, Refusal::Expired)));
    }

    /// When [`Self::expire`] has something to do next.
    pub fn next_expiry(&self) -> Option<Moment> {
        self.slow.next_deadline().into_iter().chain(self.frames.next_deadline()).min()
    }

    /// Lets a frame wait that is a question of its own; `octets` is the frame as the lookup side is to see it.
    ///
    /// # Errors
    /// Too many wait.
    pub fn ask_frame(&self, octets: Vec<u8>, make: impl FnOnce() -> T, now: Moment) -> Result<(), Refusal> {
        let until = now.after(self.slow.timing().timeout);
        self.frames.ask(&self.desk, self.link, octets, make, until)
    }

    /// The frame that a question was about, where it still waits.
    pub fn answered_frame(&self, number: u64) -> Option<T> {
        self.frames.take(&self.desk, number)
    }

    /// Every question that is not answered yet, for a lookup side that has not heard them.
    pub fn outstanding(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for shard in self.shards.each() {
            let asked = shard.iter().filter_map(|(mac, entry)| Some((*mac, entry.asked.as_ref()?.asker)));
            questions.extend(asked.map(|(mac, asker)| self.question(mac, asker)));
        }
        questions.extend(self.frames.outstanding(self.link));
        questions
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A page of the entries; each that is there throughout is on exactly one.
    pub fn page(&self, number: u32, now: Moment) -> TargetPage {
        let shard = self.shards.nth(number as usize);
        let targets =
            shard.iter().flat_map(|shard| shard.iter()).map(|(mac, entry)| info(*mac, &entry.state, now));
        let next = self.shards.nth(number as usize + 1).map(|_| number + 1);
        TargetPage { targets: targets.collect(), next }
    }

    fn apply_where(
        &self,
        wanted: impl Fn(MacAddr) -> bool,
        event: &Event,
        now: Moment,
        out: &mut dyn FnMut(Released<T>),
    ) {
        let macs = self.shards.each().flat_map(|shard| shard.keys().copied().collect::<Vec<_>>());
        for mac in macs.filter(|mac| wanted(*mac)) {
            self.apply(mac, event.clone(), now, out);
        }
    }

    fn apply(&self, mac: MacAddr, event: Event, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        let mut shard = self.shards.write(mac);
        let state = shard.get(&mac).map(|entry| entry.state.clone());
        let was = state.is_some();
        let (next, action) = on_event(state, event, now, &self.slow.timing());
        let Some(next) = next else { return self.end(&mut shard, mac, out) };
        let entry = shard.entry(mac).or_insert_with(|| Entry::new(next.clone(), now));
        entry.state = next;
        if !was {
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.slow.note_use(mac, now);
        }
        if entry.state.awaited().is_none() {
            self.settle(entry, action, out);
        }
    }

    /// Ends a question: nobody waits for its answer any more, and what has waited comes out.
    fn settle(&self, entry: &mut Entry<T>, action: Option<Action>, out: &mut dyn FnMut(Released<T>)) {
        let Some(mut asked) = entry.asked.take() else { return };
        self.asking.fetch_sub(1, Ordering::Relaxed);
        self.desk.settle();
        for item in asked.leave(&self.desk) {
            match (action, entry.state.fate()) {
                (Some(Action::Release), Fate::Send(ends)) => out(Released::Go(item, ends)),
                (Some(Action::Lose(why)), _) => out(Released::Lose(item, why)),
                _ => out(Released::Lose(item, Refusal::Full)),
            }
        }
    }

    /// Evicts the least recently used entries while there are too many; those set by hand stay.
    fn make_room(&self, out: &mut dyn FnMut(Released<T>)) {
        let used = |mac: MacAddr| {
            let shard = self.shards.read(mac);
            let entry = shard.get(&mac).filter(|entry| !matches!(entry.state, State::Fixed { .. }));
            entry.map(Entry::used)
        };
        self.slow.tidy(self.len(), used);
        while self.len() > self.slow.maximum() {
            let Some(mac) = self.slow.least_used(used) else { return };
            let mut shard = self.shards.write(mac);
            if shard.get(&mac).is_some_and(|entry| !matches!(entry.state, State::Fixed { .. })) {
                self.end(&mut shard, mac, out);
            }
        }
    }

    /// Takes an entry out, with whatever waits there.
    fn end(&self, shard: &mut Shard<T>, mac: MacAddr, out: &mut dyn FnMut(Released<T>)) {
        let Some(mut entry) = shard.remove(&mac) else { return };
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.settle(&mut entry, Some(Action::Lose(Refusal::Full)), out);
    }
}

/// What waited gives back its room.
impl<T> Drop for TargetTable<T> {
    fn drop(&mut self) {
        for mut entry in self.shards.drain() {
            self.settle(&mut entry, None, &mut |_| ());
        }
        self.frames.expire(&self.desk, Moment(u64::MAX), &mut |_| ());
    }
}

fn info(mac: MacAddr, state: &State, now: Moment) -> TargetInfo {
    let origin = match state {
        State::Fixed { .. } => TargetOrigin::Manual,
        State::Known { learned: true, .. } | State::Checking { learned: true, .. } => TargetOrigin::Learned,
        _ => TargetOrigin::Lookup,
    };
    let (shown, ends, since) = match state {
        State::Asking { since, .. } => (TargetState::Asking, None, since),
        State::Known { ends, confirmed, .. } => (TargetState::Known, Some(ends), confirmed),
        State::Checking { ends, confirmed, .. } => (TargetState::Checking, Some(ends), confirmed),
        State::Refused { since, .. } => (TargetState::Refused, None, since),
        State::Fixed { ends, since } => (TargetState::Known, ends.as_ref(), since),
    };
    let destination = match (state, ends) {
        (_, Some(ends)) => TargetDestination::Ends(ends.all().to_vec()),
        (State::Fixed { .. }, None) => TargetDestination::Drop,
        (_, None) => TargetDestination::None,
    };
    TargetInfo { mac: Some(mac), state: shown, destination, origin, age: now.since(*since) / 1000 }
}

#[cfg(test)]
mod tests;
