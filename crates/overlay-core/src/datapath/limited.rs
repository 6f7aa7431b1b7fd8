//! VNICs with a limit: what waits for them, in which order and for how long, and what they may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::shaper::room;
use super::twin::{ANY, Bench, Twin, frame_to, point};
use super::{Overlay, Port, PortPolicy, PortSettings};
use crate::offload::Gso;
use crate::offload::twin::{checked, segments, super_frame};
use crate::types::{MacAddr, Nanos, Rate, VlanId};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const AWAY: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);

fn rate(text: &str) -> Option<Rate> {
    Some(text.parse().unwrap())
}

/// A frame that tells its number.
fn numbered(to: MacAddr, number: usize, len: usize) -> Vec<u8> {
    let mut frame = frame_to(to, len);
    frame[14..18].copy_from_slice(&(number as u32).to_be_bytes());
    frame
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}

impl Bench {
    /// Gives a VNIC another limit, or none.
    fn limit(&mut self, port: usize, maxbw: Option<Rate>) {
        let mut ports = self.overlay.ports().to_vec();
        let settings = ports[port].settings().clone();
        let policy = PortPolicy { maxbw, ..settings.policy };
        ports[port] = Arc::new(ports[port].changed(PortSettings { policy, ..settings }));
        self.put(ports);
    }

    fn put(&mut self, ports: Vec<Arc<Port<Twin>>>) {
        let counters = Arc::clone(self.overlay.counters());
        self.overlay =
            Overlay::new(self.overlay.settings().clone(), counters, Arc::clone(&self.targets), ports);
    }

    fn drain(&self, port: usize, now: u64) -> Option<Nanos> {
        let again = self.overlay.drain(&self.overlay.ports()[port], Nanos(now));
        self.check_counters();
        again
    }

    /// Drains it at each moment at which that is due, `late` nanoseconds late; when nothing waits any more.
    fn drain_all(&self, port: usize, mut now: u64, late: u64) -> u64 {
        while let Some(again) = self.drain(port, now) {
            now = now.max(again.0) + late;
        }
        now
    }

    fn numbers(&self, port: usize) -> Vec<u32> {
        self.taken(port).iter().map(|frame| number(frame)).collect()
    }
}

#[test]
fn what_is_for_a_limited_vnic_waits_and_is_given_at_its_rate_in_order() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("10M"));
    for number in 0..100 {
        bench.transmit(0, &numbered(bench.mac(1), number, 1000));
    }
    assert_eq!((bench.taken(1).len(), bench.waiting()), (0, 100));
    bench.check_counters();
    let end = bench.drain_all(1, SECOND, 0) - SECOND;
    assert_eq!(bench.numbers(1), (0..100).collect::<Vec<_>>());
    // 800,000 bits, of which 20 ms at once.
    assert!((58_000_000..62_000_000).contains(&end), "{end}");
    assert_eq!(bench.drops(), []);
}

#[test]
fn the_queue_is_bounded_and_the_rest_has_a_reason_of_its_own() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("1200K"));
    for number in 0..1000 {
        let frame = numbered(bench.mac(1), number, 1000);
        match number % 2 {
            0 => drop(bench.transmit(0, &frame)),
            _ => bench.overlay.receive(point().ip(), &frame, None),
        }
    }
    let waiting = bench.waiting();
    assert!((100..132).contains(&waiting), "{waiting} frames of 1000 octets in 128 KiB");
    assert_eq!(bench.drops(), [("over-maxbw", 1000 - waiting)]);
    bench.check_counters();
    bench.drain_all(1, SECOND, 0);
    assert_eq!(bench.numbers(1), (0..waiting as u32).collect::<Vec<_>>(), "the first stay");
}

#[test]
fn super_frames_wait_whole_and_are_given_in_segments_where_the_rate_is_low() {
    let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 60_000, 1000);
    for (limit, late) in [("1200K", 0), ("1200K", 3_000_000), ("1G", 0)] {
        let mut bench = Bench::new(&[None, None]);
        bench.limit(1, rate(limit));
        frame[..6].copy_from_slice(&bench.mac(1).0);
        (0..4).for_each(|_| drop(bench.transmit_with(0, &frame, vnet)));
        // Two fill 128 KiB nearly, and the third is taken whole.
        let fits = if limit == "1G" { 4 } else { 3 };
        assert_eq!(bench.waiting(), 60 * fits, "{limit}");
        bench.drain_all(1, SECOND, late);
        let expected = match limit {
            "1G" => vec![frame.clone(); 4],
            _ => [(); 3].iter().flat_map(|()| segments(&frame, &vnet)).collect(),
        };
        assert!(bench.taken(1) == expected, "{limit}");
        assert_eq!(bench.overlay.counters().info().to_devices, 60 * fits);
    }
}

#[test]
fn a_super_frame_that_came_as_one_frame_stays_one_in_the_accounts_when_it_is_cut() {
    let mut bench = Bench::new(&[None]);
    bench.limit(0, rate("1200K"));
    let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 10_000, 1000);
    frame[..6].copy_from_slice(&bench.mac(0).0);
    frame[47] = 0x10;
    checked(&mut frame);
    // The kernel's vxlan sends between virtual devices what never was on a wire.
    bench.overlay.receive(point().ip(), &frame, None);
    bench.drain_all(0, SECOND, 0);
    let payload: usize = bench.taken(0).iter().map(|segment| segment.len() - 54).sum();
    assert_eq!((bench.taken(0).len() > 1, payload), (true, 10_000), "{vnet:?}");
    let info = bench.overlay.counters().info();
    assert_eq!((info.from_wire, info.to_devices), (1, 1));
}

#[test]
fn a_run_from_the_wire_waits_as_one_and_is_given_as_it_would_have_been() {
    use super::Inbox;
    let mut bench = Bench::new(&[None]);
    let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 5000, 1000);
    frame[..6].copy_from_slice(&bench.mac(0).0);
    // Without the flags that end a run.
    frame[47] = 0x10;
    checked(&mut frame);
    let segments = segments(&frame, &vnet);
    for limit in [None, rate("10M")] {
        bench.limit(0, limit);
        let mut inbox = Inbox::default();
        segments.iter().for_each(|segment| inbox.take(&bench.overlay, point().ip(), segment));
        inbox.finish();
        bench.drain_all(0, SECOND, 0);
    }
    let taken = bench.taken_with_headers(0);
    assert!(taken.len() == 2 && taken[0] == taken[1], "{} frames", taken.len());
    // On a wire each segment has its headers, and so much of 25,000 octets is used up.
    (0..21).for_each(|_| bench.overlay.receive(point().ip(), &frame_to(bench.mac(0), 1000), None));
    let owed = 5 * 1054 + 20 * 1000 - 25_000;
    assert_eq!(bench.drain(0, SECOND), Some(Nanos(SECOND + (owed + 1250) * 800)), "and a portion of 1 ms");
}

#[test]
fn at_rate_0_nothing_passes_either_way_and_all_is_counted() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("10M"));
    bench.transmit(0, &frame_to(bench.mac(1), 100));
    bench.limit(1, rate("0"));
    assert_eq!(bench.drain(1, SECOND), None, "what has waited is dropped");
    bench.transmit(0, &frame_to(bench.mac(1), 100));
    bench.overlay.receive(point().ip(), &frame_to(bench.mac(1), 100), None);
    assert_eq!(bench.transmit(1, &frame_to(AWAY, 100)), None);
    bench.overlay.inject(&frame_to(bench.mac(1), 100));
    assert_eq!((bench.taken(1).len(), bench.drops()), (0, vec![("over-maxbw", 5)]));
    assert_eq!(bench.overlay.ports()[1].sends_from(Nanos(SECOND)), None, "it is read on, for nothing");
    bench.check_counters();
}

#[test]
fn a_limit_that_is_taken_off_lets_all_go_at_once_and_nothing_overtakes() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("1200K"));
    let send = |bench: &Bench, number| drop(bench.transmit(0, &numbered(bench.mac(1), number, 1000)));
    (0..50).for_each(|number| send(&bench, number));
    bench.drain(1, SECOND);
    bench.limit(1, None);
    send(&bench, 50);
    assert!(bench.taken(1).len() < 50, "the new one waits behind the others");
    assert_eq!(bench.drain_all(1, SECOND, 0), SECOND);
    send(&bench, 51);
    assert_eq!(bench.numbers(1), (0..52).collect::<Vec<_>>(), "the last without waiting");
    bench.check_counters();
}

#[test]
fn a_changed_rate_counts_at_once() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("1200K"));
    (0..100).for_each(|number| drop(bench.transmit(0, &numbered(bench.mac(1), number, 1000))));
    assert!(bench.drain(1, SECOND).is_some());
    bench.limit(1, rate("1G"));
    let end = bench.drain_all(1, SECOND + 1_000_000, 0) - SECOND;
    assert!(end < 5_000_000, "{end}");
    assert_eq!(bench.taken(1).len(), 100);
}

#[test]
fn what_waits_for_a_vnic_that_is_taken_away_is_counted() {
    let mut bench = Bench::new(&[None, None]);
    bench.limit(1, rate("10M"));
    (0..10).for_each(|number| drop(bench.transmit(0, &numbered(bench.mac(1), number, 1000))));
    let gone = Arc::clone(&bench.overlay.ports()[1]);
    bench.put(vec![Arc::clone(&bench.overlay.ports()[0])]);
    bench.overlay.abandon(&gone);
    assert_eq!((bench.waiting(), bench.drops()), (0, vec![("device-down", 10)]));
    bench.check_counters();
}

#[test]
fn a_frame_for_all_waits_for_whom_it_has_to() {
    let mut bench = Bench::new(&[None, None, None]);
    bench.limit(1, rate("10M"));
    bench.overlay.receive(point().ip(), &frame_to(ANY, 100), None);
    assert_eq!([0, 1, 2].map(|port| bench.taken(port).len()), [1, 0, 1]);
    bench.drain(1, SECOND);
    assert_eq!(bench.taken(1).len(), 1);
    bench.check_counters();
}

#[test]
fn the_tag_of_its_own_vlan_is_taken_out_of_what_has_waited() {
    let mut bench = Bench::new(&[VlanId::new(7).ok()]);
    bench.limit(0, rate("10M"));
    let plain = frame_to(bench.mac(0), 100);
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    bench.overlay.receive(point().ip(), &tagged, None);
    bench.drain(0, SECOND);
    assert_eq!(bench.taken(0), [plain]);
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_worker_is_called_by_the_first_frame_that_waits_and_by_no_other() {
    let mut bench = Bench::new(&[None]);
    let calls = Arc::<Calls>::default();
    let settings = bench.overlay.ports()[0].settings().clone();
    let policy = PortPolicy { maxbw: rate("10M"), ..settings.policy };
    let settings = PortSettings { policy, ..settings };
    bench.put(vec![Arc::new(Port::with_alarm(settings, Twin::default(), Arc::clone(&calls).into()))]);
    let receive = || bench.overlay.receive(point().ip(), &frame_to(bench.mac(0), 1000), None);
    (0..30).for_each(|_| receive());
    assert!(bench.drain(0, SECOND).is_some());
    receive();
    assert_eq!(calls.0.load(Ordering::Relaxed), 1);
    bench.drain_all(0, SECOND, 0);
    receive();
    assert_eq!(calls.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_sender_has_to_wait_until_what_it_sent_is_paid_for() {
    let mut bench = Bench::new(&[None]);
    bench.limit(0, rate("10M"));
    let port = |bench: &Bench| Arc::clone(&bench.overlay.ports()[0]);
    assert_eq!(port(&bench).sends_from(Nanos(SECOND)), None);
    let mut sent = 0;
    while !port(&bench).is_spent() {
        bench.transmit(0, &frame_to(AWAY, 1000)).unwrap();
        bench.sent(1000);
        sent += 1;
    }
    assert_eq!(sent, 25, "20 ms");
    let until = port(&bench).sends_from(Nanos(SECOND)).unwrap();
    assert_eq!(until, Nanos(SECOND + 1_000_000), "a portion of 1 ms");
    assert_eq!(port(&bench).sends_from(until), None);
    assert!(!port(&bench).is_spent());
    // A super-frame goes whole, and is paid for with the headers of each segment.
    let (frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 60_000, 1000);
    bench.transmit_with(0, &frame, vnet).unwrap();
    (0..60).for_each(|_| bench.overlay.counters().sent(super::Load { frames: 1, bytes: 1000 }));
    let owed = (60 * 1054 - 1250) * 800;
    assert_eq!(port(&bench).sends_from(until), Some(Nanos(until.0 + owed + 1_000_000)));
    bench.limit(0, None);
    assert_eq!((port(&bench).is_spent(), port(&bench).sends_from(until)), (false, None));
    bench.check_counters();
}

/// What happens next to a limited VNIC.
#[derive(Debug, Clone)]
enum Step {
    /// A frame from a neighbour or the wire: so many octets, or a super-frame of as many segments.
    Frame {
        neighbour: bool,
        len: usize,
    },
    Super {
        segments: usize,
    },
    /// Time passes, and its worker comes.
    Drain {
        after: u64,
    },
    /// It gets another limit.
    Limit(Option<&'static str>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let limits = prop::option::of(prop::sample::select(vec!["1200K", "10M", "1G", "5G"]));
    let step = prop_oneof![
        6 => (any::<bool>(), 60usize..1400).prop_map(|(neighbour, len)| Step::Frame { neighbour, len }),
        2 => (2usize..50).prop_map(|segments| Step::Super { segments }),
        3 => (0u64..50_000_000).prop_map(|after| Step::Drain { after }),
        1 => limits.prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 0..150)
}

impl Bench {
    /// Does a step at `now`; super-frames bear their number in the IPv4 identification, and their segments those behind it.
    fn step(&mut self, step: &Step, number: &mut u32, now: &mut u64) {
        *number += 100;
        match step {
            Step::Frame { neighbour, len } => {
                let frame = numbered(self.mac(1), *number as usize, *len);
                match neighbour {
                    true => drop(self.transmit(0, &frame)),
                    false => self.overlay.receive(point().ip(), &frame, None),
                }
            }
            Step::Super { segments } => {
                let (mut frame, vnet) = super_frame(Gso::TcpV4, false, false, 0, 1000 * segments, 1000);
                frame[..6].copy_from_slice(&self.mac(1).0);
                frame[18..20].copy_from_slice(&(*number as u16).to_be_bytes());
                self.transmit_with(0, &frame, vnet);
            }
            Step::Drain { after } => {
                *now += after;
                self.drain(1, *now);
            }
            Step::Limit(text) => self.limit(1, text.and_then(rate)),
        }
        self.check_counters();
    }
}

fn told(frame: &[u8]) -> u32 {
    match &frame[12..14] {
        [8, 0] => u16::from_be_bytes([frame[18], frame[19]]).into(),
        _ => number(frame),
    }
}

proptest! {
    #[test]
    fn frames_keep_their_order_and_the_accounts_hold_whatever_happens(steps in steps()) {
        let mut bench = Bench::new(&[None, None]);
        bench.limit(1, rate("10M"));
        let (mut number, mut now) = (0, SECOND);
        steps.iter().for_each(|step| bench.step(step, &mut number, &mut now));
        bench.drain_all(1, now, 0);
        prop_assert_eq!(bench.waiting(), 0);
        let given: Vec<_> = bench.taken(1).iter().map(|frame| told(frame)).collect();
        prop_assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
    }

    #[test]
    fn a_queue_that_never_runs_empty_is_given_away_at_its_rate_within_3_percent(
        text in prop::sample::select(vec!["10M", "100M", "1G"]), len in 200usize..1400,
        late in 0u64..10_000_000,
    ) {
        let mut bench = Bench::new(&[None, None]);
        bench.limit(1, rate(text));
        let bits = rate(text).unwrap().bits();
        let (mut now, mut octets) = (SECOND, 0);
        let until = SECOND + SECOND * 20_000_000 / bits.max(20_000_000);
        while now < until {
            while bench.waiting() as usize * (len + 200) < room(rate(text)).min(600_000) {
                bench.transmit(0, &frame_to(bench.mac(1), len));
            }
            let again = bench.drain(1, now).unwrap();
            octets += bench.take_away(1);
            now = if again.0 > now { again.0 + late } else { now };
        }
        let due = (now - SECOND) as u128 * u128::from(bits) / 8_000_000_000;
        let depth = u128::from(bits) * 20 / 8000;
        prop_assert!(octets as u128 * 100 >= due * 97, "{octets} of {due}");
        prop_assert!(octets as u128 <= due + depth + len as u128 + 1, "{octets} of {due}");
    }
}

impl Bench {
    /// Octets of what a VNIC was given, which it forgets.
    fn take_away(&self, port: usize) -> usize {
        self.overlay.ports()[port].device().take_away().iter().map(Vec::len).sum()
    }
}
