mod model;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::*;

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
    lost: Vec<Refusal>,
}

impl Bench {
    fn new(maximum: usize) -> Self {
        Self::with(Arc::default(), maximum)
    }

    /// Another one of the same engine.
    fn sharing(desk: Arc<Desk>) -> Self {
        Self::with(desk, 1000)
    }

    fn with(desk: Arc<Desk>, maximum: usize) -> Self {
        let table = TargetTable::new(LinkId(7.try_into().unwrap()), Arc::clone(&desk), TIMING, maximum);
        Self { table, desk, out: Vec::new(), frames: 0, lost: Vec::new() }
    }

    /// Frames that were lost at once for a reason.
    fn losses(&self, why: Refusal) -> u32 {
        self.lost.iter().filter(|lost| **lost == why).count() as u32
    }

    /// A frame of so many octets, as the data path handles it.
    fn frame_of(&mut self, to: MacAddr, octets: usize, now: u64) -> Fate {
        self.frames += 1;
        let number = self.frames;
        let fate = match self.table.look(to, Moment(now)) {
            Fate::Wait => {
                let out = &mut self.out;
                self.table
                    .wait(to, asker(), Moment(now), (octets, || number), &mut |released| out.push(released))
            }
            fate => fate,
        };
        if let Fate::Lose(why) = fate {
            self.lost.push(why);
        }
        fate
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
        let mut all = Vec::new();
        let mut next = Some(0);
        while let Some(number) = next {
            let page = self.table.page(number, Moment(0));
            all.extend(page.targets);
            next = page.next;
        }
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
    let mut bench = Bench::new(100);
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

/// Address number `number` of many.
fn many(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([6, 0, a, b, c, d])
}

#[test]
fn what_waits_of_one_overlay_is_bounded_and_room_comes_back() {
    let mut bench = Bench::new(100_000);
    let waiting = (0..).take_while(|number| bench.frame_of(many(*number), 65_536, 1) == Fate::Wait).count();
    assert_eq!(waiting, 255, "of 16 MiB, with what the bookkeeping takes");
    bench.learn(About::Mac(many(0)), &Verdict::Absent, 2);
    assert_eq!(bench.frame_of(many(5000), 65_536, 1), Fate::Wait);
}

#[test]
fn many_small_frames_count_for_what_they_take() {
    let mut bench = Bench::new(1_000_000);
    for number in 0..10_000 {
        (0..100).for_each(|_| drop(bench.frame_of(many(number), 14, 1)));
    }
    let waiting = bench.frames - bench.losses(Refusal::Full);
    assert!(waiting < 16 * 1024 * 1024 / 64, "{waiting} frames wait");
}

#[test]
fn one_overlay_leaves_room_for_the_others() {
    let mut bench = Bench::new(100_000);
    while bench.frame_of(many(bench.frames), 65_536, 1) == Fate::Wait {}
    let mut other = Bench::sharing(Arc::clone(&bench.desk));
    assert_eq!(other.frame(1, 1), Fate::Wait);
}

#[test]
fn questions_are_bounded_and_what_serves_goes_on_without_them() {
    let mut bench = Bench::new(100_000);
    bench.learn(About::Mac(mac(1)), &Verdict::Learned(vec![end(1)]), 0);
    for number in 0..ASKING_MAX as u32 {
        bench.frame_of(many(number), 1, 10_000);
    }
    assert_eq!(bench.frame(2, 10_000), Fate::Lose(Refusal::Full));
    assert_eq!(bench.frame(1, 10_000), Fate::Send(Ends::One(end(1))), "though it is due");
    assert!(bench.table.look(mac(1), Moment(10_500)) != Fate::Wait, "and is not looked at again at once");
    bench.expire(13_000);
    assert_eq!(bench.out.len(), ASKING_MAX);
    assert_eq!(bench.frame(2, 13_000), Fate::Wait);
}

#[test]
fn whoever_asks_for_what_is_not_there_takes_nobodys_place() {
    for answer in [None, Some(Verdict::Absent)] {
        let mut bench = Bench::new(1000);
        for number in 0..700 {
            let known = MacAddr([2, 0, 0, 0, (number >> 8) as u8, number as u8]);
            bench.learn(About::Mac(known), &Verdict::Learned(vec![end(1)]), 0);
        }
        for number in 0..100_000 {
            let now = u64::from(number / 10);
            bench.frame_of(many(number), 60, now);
            match &answer {
                Some(verdict) => bench.learn(About::Mac(many(number)), verdict, now),
                None if number % 1000 == 0 => bench.expire(now),
                None => {}
            }
        }
        let known =
            bench.entries().values().filter(|info| info.destination != TargetDestination::None).count();
        assert_eq!(known, 700, "{answer:?}");
        assert!(bench.table.len() <= 1000);
        assert!(bench.table.slow.places() < 5000, "{} places in queues", bench.table.slow.places());
        assert!(bench.desk.take().len() <= 100_000);
    }
}

#[test]
fn questions_on_their_way_are_bounded_by_those_that_are_not_answered() {
    let mut bench = Bench::new(1000);
    for number in 0..100_000 {
        bench.frame_of(many(number), 60, 1);
    }
    assert_eq!((bench.desk.take().len(), bench.table.len()), (250, 250));
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
    let mut bench = Bench::new(2);
    bench.table.fix(mac(9), None, Moment(0), &mut |_| ());
    for number in 1..=2 {
        bench.learn(About::Mac(mac(number)), &Verdict::Learned(vec![end(1)]), number.into());
    }
    bench.frame(1, 10);
    bench.learn(About::Mac(mac(3)), &Verdict::Learned(vec![end(1)]), 20);
    assert_eq!(bench.entries().into_keys().collect::<Vec<_>>(), [mac(1), mac(3), mac(9)]);
    bench.table.tune(TIMING, 1, Moment(20), &mut |_| ());
    assert_eq!(bench.entries().into_keys().collect::<Vec<_>>(), [mac(3), mac(9)]);
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
    assert!(bench.desk.reserve(64 * 1024 * 1024), "all room is there again");
}
