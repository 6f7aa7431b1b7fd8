use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::census::{Census, Class, share};
use super::entry::{Action, Event, Fate, Refusal, State, Timing, on_event};
use super::frames::Frames;
use super::room::Room;
use super::shard::Shard;
use super::shards::{Key, Shards};
use super::slow::{Seen, Slow};
use super::waiting::Asked;
use super::{About, Asker, Desk, Ends, Question, Released, Verdict};
use crate::protocol::{TargetDestination, TargetInfo, TargetOrigin, TargetPage, TargetState};
use crate::types::{LinkId, MacAddr, Moment};

/// Questions about addresses of one overlay that may be unanswered at once.
const ASKING_MAX: usize = 16_384;

/// Entries that a thread which carries frames looks at to make room for one.
const PATIENCE: usize = 32;

/// What one overlay knows of its destinations, with the frames (`T` each) that wait to be told.
///
/// Any number of threads may use it at once. What has waited comes out through a function that is called under the
/// lock of its entry: whatever looks the address up later finds that function's work done.
pub struct TargetTable<T> {
    link: LinkId,
    desk: Arc<Desk>,
    shards: Shards<T>,
    slow: Slow,
    census: Census,
    /// Questions about addresses that are not answered yet.
    unanswered: AtomicUsize,
    room: Room,
    frames: Frames<T>,
}

impl<T> TargetTable<T> {
    /// An empty one of the overlay `link`, for at most `maximum` entries.
    pub fn new(link: LinkId, desk: Arc<Desk>, timing: Timing, maximum: usize) -> Self {
        Self {
            link,
            room: Room::new(Arc::clone(&desk)),
            desk,
            shards: Shards::default(),
            slow: Slow::new(timing, maximum),
            census: Census::default(),
            unanswered: AtomicUsize::new(0),
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
        self.keep_house(out);
    }

    /// Has the memory fetched that [`Self::look`] needs for `mac`. What is done in between is done while it comes.
    pub fn foresee(&self, mac: MacAddr) {
        self.shards.foresee(self.shards.key(mac));
    }

    /// What becomes of a frame to `mac`; [`Fate::Wait`] says that [`Self::wait`] is to be called. Allocates nothing.
    pub fn look(&self, mac: MacAddr, now: Moment) -> Fate {
        let key = self.shards.key(mac);
        let shard = self.shards.read(key);
        let Some(entry) = shard.get(key) else { return Fate::Wait };
        entry.touch(now);
        entry.state().and_then(|state| state.serve(now)).unwrap_or(Fate::Wait)
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
        self.make_room(PATIENCE, out);
        fate
    }

    fn wait_in(
        &self,
        mac: MacAddr,
        asker: Asker,
        now: Moment,
        (octets, make): (usize, impl FnOnce() -> T),
    ) -> Fate {
        let key = self.shards.key(mac);
        let mut shard = self.shards.write(key);
        let state = shard.get(key).and_then(|entry| entry.state());
        if let Some(fate) = state.as_ref().and_then(|state| state.serve(now)) {
            return fate;
        }
        if !self.may_ask(state.as_ref()) {
            return self.go_without(&mut shard, key, now);
        }
        let (Some(next), action) = on_event(state, Event::Frame, now, &self.slow.timing()) else {
            return Fate::Lose(Refusal::Full);
        };
        let (fate, awaited) = (next.fate(), next.awaited());
        self.put(&mut shard, key, next, now);
        shard.touch(key, now);
        if action == Some(Action::Ask) {
            shard.asked(key, || Asked::new(asker));
            self.ask(mac, asker, awaited);
        }
        if fate != Fate::Wait {
            return fate;
        }
        let asked = shard.asked(key, || Asked::new(asker));
        if asked.park(&self.room, octets, make) { Fate::Wait } else { Fate::Lose(Refusal::Full) }
    }

    /// Whether an address in this state is being asked for, or may be.
    fn may_ask(&self, state: Option<&State>) -> bool {
        let awaited = state.is_some_and(|state| state.awaited().is_some());
        let serves = state.is_some_and(|state| state.class() == Class::Serving);
        let asking = self.census.of(Class::Asking) < share(self.slow.maximum());
        awaited || self.unanswered.load(Ordering::Relaxed) < ASKING_MAX && (serves || asking)
    }

    /// Too much is asked. What serves goes on serving, and is not looked at again at once.
    fn go_without(&self, shard: &mut Shard<T>, key: Key, now: Moment) -> Fate {
        match shard.get(key).and_then(|entry| entry.state()) {
            Some(mut state) if state.class() == Class::Serving => {
                state.put_off(now, &self.slow.timing());
                let fate = state.fate();
                shard.put(key, state, now);
                fate
            }
            _ => Fate::Lose(Refusal::Full),
        }
    }

    /// Gives an entry its state, or makes one.
    fn put(&self, shard: &mut Shard<T>, key: Key, state: State, now: Moment) {
        let class = state.class();
        let before = shard.put(key, state, now);
        if before != Some(class) {
            self.census.moved(before, Some(class));
            let used = shard.get(key).map_or(now, |entry| entry.used());
            self.slow.note_use(class, key.mac, used);
        }
    }

    fn ask(&self, mac: MacAddr, asker: Asker, until: Option<Moment>) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        if let Some(until) = until {
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
        self.keep_house(out);
    }

    /// Sets an entry by hand: to these tunnel ends, or to be dropped.
    pub fn fix(&self, mac: MacAddr, ends: Option<Ends>, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        self.apply(mac, Event::Fix(ends), now, out);
        self.keep_house(out);
    }

    /// Removes an entry; whether there was one that could be. One in which frames wait stays until it has its answer.
    pub fn remove(&self, mac: MacAddr, now: Moment, out: &mut dyn FnMut(Released<T>)) -> bool {
        let key = self.shards.key(mac);
        let there = || self.shards.read(key).get(key).is_some();
        let before = there();
        self.apply(mac, Event::Remove, now, out);
        self.keep_house(out);
        before && !there()
    }

    /// Removes every entry but those whose frames wait.
    pub fn flush(&self, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        self.apply_where(|_| true, &Event::Remove, now, out);
        self.keep_house(out);
    }

    /// Ends what has waited for an answer up to now.
    pub fn expire(&self, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        while let Some(mac) = self.slow.next_expired(now) {
            self.apply(mac, Event::Expired, now, out);
        }
        let lose = &mut |item| out(Released::Lose(item, Refusal::Expired));
        self.frames.expire((&self.desk, &self.room), now, lose);
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
        self.frames.ask((&self.desk, &self.room), self.link, octets, make, until)
    }

    /// The frame that a question was about, where it still waits.
    pub fn answered_frame(&self, number: u64) -> Option<T> {
        self.frames.take((&self.desk, &self.room), number)
    }

    /// Every question that is not answered yet, for a lookup side that has not heard them.
    pub fn outstanding(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for shard in self.shards.each() {
            questions.extend(shard.askers().map(|(mac, asked)| self.question(mac, asked.asker)));
        }
        questions.extend(self.frames.outstanding(self.link));
        questions
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.census.all()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A page of the entries; each that is there throughout is on exactly one.
    pub fn page(&self, number: u32, now: Moment) -> TargetPage {
        let Some((shard, belongs)) = self.shards.piece(number as usize) else {
            return TargetPage { targets: Vec::new(), next: None };
        };
        let entries = shard.iter().filter(|entry| belongs(entry.mac()));
        let targets = entries.filter_map(|entry| Some(info(entry.mac(), &entry.state()?, now))).collect();
        TargetPage { targets, next: Shards::<T>::piece_behind(number) }
    }

    fn apply_where(
        &self,
        wanted: impl Fn(MacAddr) -> bool,
        event: &Event,
        now: Moment,
        out: &mut dyn FnMut(Released<T>),
    ) {
        let macs =
            self.shards.each().flat_map(|shard| shard.iter().map(|entry| entry.mac()).collect::<Vec<_>>());
        for mac in macs.filter(|mac| wanted(*mac)) {
            self.apply(mac, event.clone(), now, out);
        }
    }

    fn apply(&self, mac: MacAddr, event: Event, now: Moment, out: &mut dyn FnMut(Released<T>)) {
        let key = self.shards.key(mac);
        let mut shard = self.shards.write(key);
        let state = shard.get(key).and_then(|entry| entry.state());
        let (next, action) = on_event(state, event, now, &self.slow.timing());
        let Some(next) = next else { return self.end(&mut shard, key, out) };
        let (fate, awaited) = (next.fate(), next.awaited());
        self.put(&mut shard, key, next, now);
        if awaited.is_none() {
            self.settle(shard.take_asked(key), (&fate, action), out);
        }
    }

    /// Ends a question: nobody waits for its answer any more, and what has waited comes out.
    fn settle(
        &self,
        asked: Option<Box<Asked<T>>>,
        (fate, action): (&Fate, Option<Action>),
        out: &mut dyn FnMut(Released<T>),
    ) {
        let Some(mut asked) = asked else { return };
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.desk.settle();
        for item in asked.leave(&self.room) {
            match (action, fate) {
                (Some(Action::Release), Fate::Send(ends)) => out(Released::Go(item, ends.clone())),
                (Some(Action::Lose(why)), _) => out(Released::Lose(item, why)),
                _ => out(Released::Lose(item, Refusal::Full)),
            }
        }
    }

    /// Makes room, and looks after the queues; not for the threads that carry frames.
    fn keep_house(&self, out: &mut dyn FnMut(Released<T>)) {
        let questions = self.unanswered.load(Ordering::Relaxed);
        self.slow.tidy(self.len(), questions, |mac| self.seen(mac));
        self.make_room(usize::MAX, out);
    }

    /// Evicts entries while there are too many, after at most `patience` looks at those that might go.
    fn make_room(&self, mut patience: usize, out: &mut dyn FnMut(Released<T>)) {
        while let Some(class) = self.census.surplus(self.slow.maximum()) {
            let Some(mac) = self.slow.least_used(class, &mut patience, |mac| self.seen(mac)) else { return };
            let key = self.shards.key(mac);
            let mut shard = self.shards.write(key);
            // It may have become another one since.
            match shard.get(key).map(|entry| (entry.class, entry.used())) {
                Some((found, _)) if found == class => self.end(&mut shard, key, out),
                Some((found, used)) => self.slow.note_use(found, mac, used),
                None => {}
            }
        }
    }

    fn seen(&self, mac: MacAddr) -> Option<Seen> {
        let key = self.shards.key(mac);
        let shard = self.shards.read(key);
        let entry = shard.get(key)?;
        Some(Seen { class: entry.class, used: entry.used(), awaited: entry.state()?.awaited() })
    }

    /// Takes an entry out, with whatever waits there.
    fn end(&self, shard: &mut Shard<T>, key: Key, out: &mut dyn FnMut(Released<T>)) {
        let Some((class, asked)) = shard.remove(key) else { return };
        self.census.moved(Some(class), None);
        self.settle(asked, (&Fate::Wait, Some(Action::Lose(Refusal::Full))), out);
    }
}

/// What waited gives back its room.
impl<T> Drop for TargetTable<T> {
    fn drop(&mut self) {
        let asked: Vec<_> = self.shards.each_mut().flat_map(|shard| shard.take_all_asked()).collect();
        for asked in asked {
            self.settle(Some(asked), (&Fate::Wait, None), &mut |_| ());
        }
        self.frames.expire((&self.desk, &self.room), Moment(u64::MAX), &mut |_| ());
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
