use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::*;
use proptest::prelude::*;

const TIMING: Timing = Timing { ageing: Some(5000), negative: 1000, timeout: 3000 };

fn mac(number: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, number])
}

fn end(number: u16) -> SocketAddr {
    ([10, 0, 0, 2], number).into()
}

fn found(number: u16) -> Verdict {
    Verdict::Found(vec![end(number)])
}

fn asker() -> Asker {
    Asker { source: mac(0xfe), vid: None }
}

/// A table, what came out of it, and the number of the next frame.
struct Bench {
    table: TargetTable<u32>,
    desk: Arc<Desk>,
    out: Vec<Released<u32>>,
    frames: u32,
}

impl Bench {
    fn new(maximum: usize) -> Self {
        let desk = Arc::new(Desk::default());
        let table = TargetTable::new(LinkId(7.try_into().unwrap()), Arc::clone(&desk), TIMING, maximum);
        Self { table, desk, out: Vec::new(), frames: 0 }
    }

    /// A frame of so many octets, as the data path handles it.
    fn frame_of(&mut self, to: MacAddr, octets: usize, now: u64) -> Fate {
        self.frames += 1;
        let number = self.frames;
        match self.table.look(to, Moment(now)) {
            Fate::Wait => {
                let out = &mut self.out;
                self.table
                    .wait(to, asker(), Moment(now), (octets, || number), &mut |released| out.push(released))
            }
            fate => fate,
        }
    }

    fn frame(&mut self, to: u8, now: u64) -> Fate {
        self.frame_of(mac(to), 100, now)
    }

    fn learn(&mut self, about: About, verdict: &Verdict, now: u64) {
        let out = &mut self.out;
        self.table.learn(about, verdict, Moment(now), &mut |released| out.push(released));
    }

    fn expire(&mut self, now: u64) {
        let out = &mut self.out;
        self.table.expire(Moment(now), &mut |released| out.push(released));
    }

    fn asked(&self) -> Vec<MacAddr> {
        let questions = self.desk.take().into_iter();
        questions
            .map(|question| match question {
                Question::Target { mac, .. } => mac,
                Question::Frame { .. } => panic!("{question:?}"),
            })
            .collect()
    }

    fn entries(&self) -> BTreeMap<MacAddr, TargetInfo> {
        let pages =
            (0u32..).map_while(|number| self.table.shards.nth(number as usize).is_some().then_some(number));
        let all: Vec<_> = pages.flat_map(|number| self.table.page(number, Moment(0)).targets).collect();
        assert_eq!(all.len(), self.table.len());
        all.into_iter().map(|info| (info.mac.unwrap(), info)).collect()
    }
}

#[test]
fn frames_that_waited_leave_in_their_order() {
    let mut bench = Bench::new(10);
    for _ in 0..3 {
        assert_eq!(bench.frame(1, 10), Fate::Wait);
    }
    assert_eq!(bench.asked(), [mac(1)], "one question is under way for an address");
    bench.learn(About::Mac(mac(1)), &found(4789), 20);
    let to = || Ends::One(end(4789));
    assert_eq!(bench.out, [1, 2, 3].map(|number| Released::Go(number, to())));
    assert_eq!(bench.frame(1, 30), Fate::Send(to()));
}

#[test]
fn addresses_wait_for_nobody_but_themselves() {
    let mut bench = Bench::new(10);
    for number in 1..=3 {
        bench.frame(number, 10);
    }
    assert_eq!(bench.asked(), [1, 2, 3].map(mac));
    bench.learn(About::Mac(mac(2)), &found(2), 20);
    assert_eq!(bench.out, [Released::Go(2, Ends::One(end(2)))]);
}

#[test]
fn what_waits_for_one_address_is_bounded_but_for_the_first_frame() {
    let mut bench = Bench::new(10);
    assert_eq!(bench.frame_of(mac(1), 200_000, 1), Fate::Wait);
    assert_eq!(bench.frame_of(mac(1), 1, 1), Fate::Lose(Refusal::Full));
    for _ in 0..128 {
        assert_eq!(bench.frame_of(mac(2), 1024, 1), Fate::Wait);
    }
    assert_eq!(bench.frame_of(mac(2), 1, 1), Fate::Lose(Refusal::Full));
}

#[test]
fn what_waits_in_all_is_bounded_and_room_comes_back() {
    let mut bench = Bench::new(100_000);
    let mut waiting = 0;
    let fills = |bench: &mut Bench, number: u16| {
        let [high, low] = number.to_be_bytes();
        bench.frame_of(MacAddr([2, 0, 0, 0, high, low]), 65_536, 1)
    };
    while fills(&mut bench, waiting) == Fate::Wait {
        waiting += 1;
    }
    assert_eq!(waiting, 1024, "64 MiB");
    bench.learn(About::Mac(MacAddr([2, 0, 0, 0, 0, 0])), &Verdict::Absent, 2);
    assert_eq!(fills(&mut bench, 5000), Fate::Wait);
}

#[test]
fn questions_are_bounded_and_what_serves_goes_on_without_them() {
    let mut bench = Bench::new(100_000);
    bench.learn(About::Mac(mac(1)), &Verdict::Learned(vec![end(1)]), 0);
    for number in 0..ASKING_MAX as u16 {
        let [high, low] = number.to_be_bytes();
        bench.frame_of(MacAddr([6, 0, 0, 0, high, low]), 1, 10_000);
    }
    assert_eq!(bench.frame(2, 10_000), Fate::Lose(Refusal::Full));
    assert_eq!(bench.frame(1, 10_000), Fate::Send(Ends::One(end(1))), "though it is due");
    bench.expire(13_000);
    assert_eq!(bench.out.len(), ASKING_MAX);
    assert_eq!(bench.frame(2, 13_000), Fate::Wait);
}

#[test]
fn an_hour_without_the_lookup_side_harms_nothing_that_is_known() {
    let mut bench = Bench::new(1000);
    bench.learn(About::Mac(mac(1)), &Verdict::Learned(vec![end(1)]), 0);
    let mut refused = 0;
    for now in (0..3_600_000).step_by(250) {
        bench.expire(now);
        assert_eq!(bench.frame(1, now), Fate::Send(Ends::One(end(1))));
        match bench.frame(2, now) {
            Fate::Wait => {}
            Fate::Lose(Refusal::Expired) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 1000, "{refused}");
    assert!(bench.out.iter().all(|released| matches!(released, Released::Lose(_, Refusal::Expired))));
    let outstanding = bench.table.outstanding().len();
    assert!((1..=2).contains(&outstanding), "{outstanding} questions for a lookup side that is back");
    bench.learn(About::Mac(mac(2)), &found(2), 3_600_000);
    assert_eq!(bench.frame(2, 3_600_001), Fate::Send(Ends::One(end(2))));
}

#[test]
fn a_frame_that_is_a_question_of_its_own_waits_for_no_other() {
    let mut bench = Bench::new(10);
    for number in [70, 71] {
        bench.table.ask_frame(vec![0; 60], || number, Moment(5)).unwrap();
    }
    let questions = bench.desk.take();
    let ids: Vec<_> = questions
        .iter()
        .map(|question| match question {
            Question::Frame { id, frame, .. } => {
                assert_eq!(frame.0.len(), 60);
                *id
            }
            Question::Target { .. } => panic!("{question:?}"),
        })
        .collect();
    assert_eq!(bench.table.outstanding(), questions);
    assert_eq!((bench.table.answered_frame(ids[1]), bench.table.answered_frame(ids[1])), (Some(71), None));
    assert_eq!(bench.table.next_expiry(), Some(Moment(3005)));
    bench.expire(3005);
    assert_eq!(bench.out, [Released::Lose(70, Refusal::Expired)]);
    assert_eq!((bench.table.outstanding(), bench.table.next_expiry()), (vec![], None));
}

#[test]
fn the_least_recently_used_entry_goes_first_and_one_set_by_hand_never() {
    let mut bench = Bench::new(3);
    bench.table.fix(mac(9), None, Moment(0), &mut |_| ());
    for number in 1..=2 {
        bench.learn(About::Mac(mac(number)), &Verdict::Learned(vec![end(1)]), number.into());
    }
    bench.frame(1, 10);
    bench.learn(About::Mac(mac(3)), &Verdict::Learned(vec![end(1)]), 20);
    assert_eq!(bench.entries().into_keys().collect::<Vec<_>>(), [mac(1), mac(3), mac(9)]);
    bench.table.tune(TIMING, 1, Moment(20), &mut |_| ());
    assert_eq!(bench.entries().into_keys().collect::<Vec<_>>(), [mac(9)]);
}

#[test]
fn entries_that_come_and_go_leave_no_memory_behind() {
    let mut bench = Bench::new(10);
    for now in 0..100_000 {
        bench.learn(About::Mac(mac(1)), &Verdict::Learned(vec![end(1)]), now);
        bench.table.remove(mac(1), Moment(now), &mut |_| ());
    }
    assert!(bench.table.slow.places() < 3000, "{}", bench.table.slow.places());
}

#[test]
fn a_table_that_ends_gives_back_what_waited() {
    let mut bench = Bench::new(10);
    bench.frame(1, 1);
    bench.table.ask_frame(vec![0; 60], || 2, Moment(1)).unwrap();
    assert!(bench.desk.is_asking());
    drop(bench.table);
    assert!(!bench.desk.is_asking());
    assert!(bench.desk.reserve(64 * 1024 * 1024));
}

#[test]
fn an_entry_of_a_large_table_has_its_bounds() {
    assert!(size_of::<(MacAddr, Entry<u32>)>() <= 88, "{}", size_of::<(MacAddr, Entry<u32>)>());
}

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

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<MacAddr, Simple>,
    out: Vec<Released<u32>>,
    maximum: usize,
}

impl Model {
    fn frame(&mut self, to: MacAddr, number: u32, now: u64) -> Fate {
        let entry = self.entries.entry(to).or_default();
        entry.used = now;
        let to = |end: u16| Fate::Send(Ends::One(end_of(end)));
        if let Some(by_hand) = entry.by_hand {
            return by_hand.map_or(Fate::Lose(Refusal::Fixed), to);
        }
        if let Some((why, until)) = entry.refused {
            if now < until {
                return Fate::Lose(why);
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
        while self.entries.len() > self.maximum {
            let by_use = self.entries.iter().filter(|(_, entry)| entry.by_hand.is_none());
            let Some((mac, _)) = by_use.min_by_key(|(_, entry)| entry.used) else { return };
            let gone = self.entries.remove(&{ *mac }).unwrap();
            self.lose(gone.waiting, Refusal::Full);
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
    let address = 0u8..8;
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
        maximum in 1usize..8,
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
