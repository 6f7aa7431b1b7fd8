//! The table against a model of it that is simple enough to be believed.

use proptest::prelude::*;

use super::*;

/// The same table in the simplest way: what is known of an address stands side by side.
#[derive(Debug, Clone, Default)]
struct Simple {
    by_hand: Option<Option<u16>>,
    end: Option<u16>,
    learned: bool,
    due: u64,
    asked_until: Option<u64>,
    refused: Option<(Refusal, u64)>,
    waiting: Vec<u32>,
    used: u64,
}

impl Simple {
    fn class(&self) -> Class {
        match self {
            Self { by_hand: Some(_), .. } => Class::Fixed,
            Self { end: Some(_), .. } => Class::Serving,
            Self { refused: Some(_), .. } => Class::Refused,
            _ => Class::Asking,
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<MacAddr, Simple>,
    out: Vec<Released<u32>>,
    maximum: usize,
}

impl Model {
    fn frame(&mut self, to: MacAddr, number: u32, now: u64) -> Fate {
        let asking = self.entries.values().filter(|entry| entry.class() == Class::Asking).count();
        let full = asking >= (self.maximum / 4).max(1);
        if !self.entries.contains_key(&to) && full {
            return Fate::Lose(Refusal::Full);
        }
        let entry = self.entries.entry(to).or_default();
        entry.used = now;
        let to = |end: u16| Fate::Send(Ends::One(end_of(end)));
        if let Some(by_hand) = entry.by_hand {
            return by_hand.map_or(Fate::Lose(Refusal::Fixed), to);
        }
        if let Some((why, until)) = entry.refused {
            if now < until || full {
                return Fate::Lose(if now < until { why } else { Refusal::Full });
            }
            entry.refused = None;
        }
        if let Some(end) = entry.end {
            if entry.asked_until.is_none() && entry.due <= now {
                entry.asked_until = Some(now + TIMING.timeout);
            }
            return to(end);
        }
        entry.asked_until.get_or_insert(now + TIMING.timeout);
        entry.waiting.push(number);
        self.evict();
        Fate::Wait
    }

    fn evict(&mut self) {
        loop {
            let of = |class| self.entries.values().filter(|entry| entry.class() == class).count();
            let (serving, refused, asking) = (of(Class::Serving), of(Class::Refused), of(Class::Asking));
            if serving + refused + asking <= self.maximum {
                return;
            }
            let too_many_refused = refused > 0 && refused + asking > (self.maximum / 4).max(1);
            let class = if too_many_refused || serving == 0 { Class::Refused } else { Class::Serving };
            let of_class = self.entries.iter().filter(|(_, entry)| entry.class() == class);
            let Some((mac, _)) = of_class.min_by_key(|(_, entry)| entry.used) else { return };
            self.entries.remove(&{ *mac });
        }
    }

    fn lose(&mut self, waiting: Vec<u32>, why: Refusal) {
        self.out.extend(waiting.into_iter().map(|number| Released::Lose(number, why)));
    }

    fn learn(&mut self, mac: MacAddr, event: &Learn, now: u64) {
        if !self.entries.contains_key(&mac) && !matches!(event, Learn::Learned(_)) {
            return;
        }
        let entry = self.entries.entry(mac).or_insert_with(|| Simple { used: now, ..Simple::default() });
        if entry.by_hand.is_some() {
            return;
        }
        let (waits, serves) = (entry.asked_until.is_some() && entry.end.is_none(), entry.end.is_some());
        match *event {
            Learn::Found(end) | Learn::Learned(end) => {
                let learned = matches!(event, Learn::Learned(_)) || serves && entry.learned;
                let waiting = std::mem::take(&mut entry.waiting);
                let used = entry.used;
                *entry = Simple { end: Some(end), learned, due: now + 5000, used, ..Simple::default() };
                let to = || Ends::One(end_of(end));
                self.out.extend(waiting.into_iter().map(|number| Released::Go(number, to())));
            }
            Learn::Absent if waits || serves => self.refuse(mac, Refusal::Absent, now),
            Learn::Unknown if waits => self.refuse(mac, Refusal::Unknown, now),
            Learn::Unknown if serves && entry.asked_until.take().is_some() => entry.due = now + 1000,
            Learn::Doubtful if entry.asked_until.is_none() => {
                entry.due = now;
                entry.refused = entry.refused.map(|(why, _)| (why, now));
            }
            Learn::Absent | Learn::Unknown | Learn::Doubtful => {}
        }
        self.evict();
    }

    fn refuse(&mut self, mac: MacAddr, why: Refusal, now: u64) {
        let entry = self.entries.get_mut(&mac).unwrap();
        let (waiting, used) = (std::mem::take(&mut entry.waiting), entry.used);
        *entry = Simple { refused: Some((why, now + TIMING.negative)), used, ..Simple::default() };
        self.lose(waiting, why);
    }

    fn fix(&mut self, mac: MacAddr, end: Option<u16>, now: u64) {
        let entry = self.entries.entry(mac).or_default();
        let waiting = std::mem::take(&mut entry.waiting);
        *entry = Simple { by_hand: Some(end), used: entry.used.max(now), ..Simple::default() };
        match end {
            Some(end) => {
                let to = || Ends::One(end_of(end));
                self.out.extend(waiting.into_iter().map(|number| Released::Go(number, to())));
            }
            None => self.lose(waiting, Refusal::Fixed),
        }
        self.evict();
    }

    fn remove(&mut self, mac: MacAddr) {
        let waits =
            self.entries.get(&mac).is_some_and(|entry| entry.asked_until.is_some() && entry.end.is_none());
        if !waits {
            self.entries.remove(&mac);
        }
    }

    fn expire(&mut self, now: u64) {
        let over = |entry: &Simple| entry.asked_until.filter(|until| *until <= now);
        let mut expired: Vec<_> =
            self.entries.iter().filter_map(|(mac, entry)| Some((over(entry)?, *mac))).collect();
        expired.sort();
        for (_, mac) in expired {
            let entry = self.entries.get_mut(&mac).unwrap();
            if entry.end.is_some() {
                (entry.asked_until, entry.due) = (None, now + 1000);
            } else {
                self.refuse(mac, Refusal::Expired, now);
            }
        }
    }
}

fn end_of(number: u16) -> SocketAddr {
    end(number)
}

#[derive(Debug, Clone)]
enum Learn {
    Found(u16),
    Learned(u16),
    Absent,
    Unknown,
    Doubtful,
}

impl Learn {
    fn verdict(&self) -> Verdict {
        match *self {
            Self::Found(number) => found(number),
            Self::Learned(number) => Verdict::Learned(vec![end(number)]),
            Self::Absent => Verdict::Absent,
            Self::Unknown => Verdict::Unknown,
            Self::Doubtful => Verdict::Doubtful,
        }
    }
}

#[derive(Debug, Clone)]
enum Happening {
    Frame(u8),
    Learn(u8, Learn),
    LearnGroups(Learn),
    Fix(u8, Option<u16>),
    Remove(u8),
    Flush,
    Expire,
}

fn happening() -> impl Strategy<Value = Happening> {
    let address = 0u8..24;
    let learn = prop_oneof![
        4 => (1u16..9).prop_map(Learn::Found),
        1 => (1u16..9).prop_map(Learn::Learned),
        2 => Just(Learn::Absent),
        2 => Just(Learn::Unknown),
        2 => Just(Learn::Doubtful),
    ]
    .boxed();
    prop_oneof![
        12 => address.clone().prop_map(Happening::Frame),
        8 => (address.clone(), learn.clone()).prop_map(|(mac, learn)| Happening::Learn(mac, learn)),
        1 => learn.prop_map(Happening::LearnGroups),
        1 => (address.clone(), prop::option::of(1u16..9)).prop_map(|(mac, end)| Happening::Fix(mac, end)),
        2 => address.prop_map(Happening::Remove),
        1 => Just(Happening::Flush),
        4 => Just(Happening::Expire),
    ]
}

/// Addresses of which every second one is a group's.
fn address(number: u8) -> MacAddr {
    MacAddr([2 | number & 1, 0, 0, 0, 0, number])
}

fn go(bench: &mut Bench, model: &mut Model, happening: Happening, now: u64) {
    match happening {
        Happening::Frame(to) => {
            let fate = bench.frame_of(address(to), 1, now);
            assert_eq!(fate, model.frame(address(to), bench.frames, now));
        }
        Happening::Learn(mac, learn) => {
            bench.learn(About::Mac(address(mac)), &learn.verdict(), now);
            model.learn(address(mac), &learn, now);
        }
        Happening::LearnGroups(learn) => {
            bench.learn(About::Groups, &learn.verdict(), now);
            let groups: Vec<_> = model.entries.keys().copied().filter(|mac| mac.is_multicast()).collect();
            groups.into_iter().for_each(|mac| model.learn(mac, &learn, now));
        }
        Happening::Fix(mac, to) => {
            let out = &mut bench.out;
            let ends = to.map(|to| Ends::One(end(to)));
            bench.table.fix(address(mac), ends, Moment(now), &mut |released| out.push(released));
            model.fix(address(mac), to, now);
        }
        Happening::Remove(mac) => {
            bench.table.remove(address(mac), Moment(now), &mut |_| panic!("removed while it waits"));
            model.remove(address(mac));
        }
        Happening::Flush => {
            bench.table.flush(Moment(now), &mut |_| panic!("removed while it waits"));
            let all: Vec<_> = model.entries.keys().copied().collect();
            all.into_iter().for_each(|mac| model.remove(mac));
        }
        Happening::Expire => {
            bench.expire(now);
            model.expire(now);
        }
    }
}

fn agree(bench: &mut Bench, model: &mut Model) {
    let key = |released: &Released<u32>| match released {
        Released::Go(number, _) | Released::Lose(number, _) => *number,
    };
    // Addresses are independent of each other; of one, the order counts, and numbers rise.
    bench.out.sort_by_key(key);
    model.out.sort_by_key(key);
    assert_eq!(std::mem::take(&mut bench.out), std::mem::take(&mut model.out));
    let shown = bench.entries();
    assert_eq!(shown.keys().collect::<Vec<_>>(), model.entries.keys().collect::<Vec<_>>());
    for (mac, info) in shown {
        let simple = &model.entries[&mac];
        let (state, end) = match simple {
            Simple { by_hand: Some(end), .. } => (TargetState::Known, *end),
            Simple { end: Some(end), asked_until: Some(_), .. } => (TargetState::Checking, Some(*end)),
            Simple { end: Some(end), .. } => (TargetState::Known, Some(*end)),
            Simple { refused: Some(_), .. } => (TargetState::Refused, None),
            _ => (TargetState::Asking, None),
        };
        assert_eq!(info.state, state, "{mac} {simple:?}");
        if let Some(end) = end {
            assert_eq!(info.destination, TargetDestination::Ends(vec![end_of(end)]));
        }
    }
}

proptest! {
    #[test]
    fn the_table_does_what_a_simple_model_does(
        happenings in prop::collection::vec((happening(), 1u64..1500), 1..120),
        maximum in 1usize..30,
    ) {
        let (mut bench, mut model) = (Bench::new(maximum), Model { maximum, ..Model::default() });
        let mut now = 0;
        for (happening, pause) in happenings {
            now += pause;
            go(&mut bench, &mut model, happening, now);
            agree(&mut bench, &mut model);
        }
    }
}
