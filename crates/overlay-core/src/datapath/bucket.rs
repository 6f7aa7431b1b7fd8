use crate::types::{Nanos, Rate};

/// Bits in a second's nanoseconds of an octet: what a rate times nanoseconds is divided by for octets.
const PER_OCTET: u128 = 8 * 1_000_000_000;

/// For how many nanoseconds a rate that is not used can be made up for: longer than a busy machine lets a worker wait.
const DEPTH: u64 = 20_000_000;

/// How many nanoseconds of its rate are saved up before who was in debt goes on: what a worker is woken for.
const PORTION: u64 = 1_000_000;

/// What may pass of a rate: octets that pass are taken out, time puts others in. As long as anything is in it a whole
/// frame may pass, however long; the bucket is in debt then, and nothing passes before that is paid.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Octets; below 0 when in debt.
    credit: i64,
    /// Up to when time has been put in, and what was too little for an octet then.
    since: Nanos,
    rest: u64,
}

impl Bucket {
    /// Puts in what time has brought up to `now`.
    pub(super) fn fill(&mut self, rate: Rate, now: Nanos) {
        let brought = u128::from(now.since(self.since)) * u128::from(rate.bits()) + u128::from(self.rest);
        let octets = i64::try_from(brought / PER_OCTET).unwrap_or(i64::MAX);
        self.rest = (brought % PER_OCTET) as u64;
        self.since = self.since.max(now);
        self.credit = self.credit.saturating_add(octets).min(octets_in(rate, DEPTH));
    }

    /// Whether something may pass.
    pub(super) const fn is_open(&self) -> bool {
        self.credit > 0
    }

    /// Takes out what has passed.
    pub(super) fn take(&mut self, octets: usize) {
        self.credit = self.credit.saturating_sub(i64::try_from(octets).unwrap_or(i64::MAX));
    }

    /// When a portion may pass, as of the last filling. Never at rate 0.
    pub(super) fn opens(&self, rate: Rate) -> Nanos {
        let missing = u128::from(octets_in(rate, PORTION).saturating_sub(self.credit).max(0).unsigned_abs());
        let bits = (missing * PER_OCTET).saturating_sub(u128::from(self.rest));
        match rate.bits() {
            0 => Nanos(u64::MAX),
            rate => self.since.after(u64::try_from(bits.div_ceil(u128::from(rate))).unwrap_or(u64::MAX)),
        }
    }
}

/// Octets of a rate in a time: one at the least.
pub(super) fn octets_in(rate: Rate, nanoseconds: u64) -> i64 {
    let octets = u128::from(nanoseconds) * u128::from(rate.bits()) / PER_OCTET;
    i64::try_from(octets).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn rates() -> impl Strategy<Value = Rate> {
        prop::sample::select(vec!["1200K", "1.234", "10M", "100M", "1G", "5G", "1000G"])
            .prop_map(|text: &str| text.parse().unwrap())
    }

    fn octets(rate: Rate, nanoseconds: u64) -> u128 {
        u128::from(nanoseconds) * u128::from(rate.bits()) / PER_OCTET
    }

    /// Sends frames at moments, of which each passes when the bucket is open; which did, with their lengths.
    fn passed(rate: Rate, frames: &[(u64, usize)]) -> Vec<(u64, usize)> {
        let (mut bucket, mut now) = (Bucket::default(), SECOND);
        let mut passed = Vec::new();
        for (gap, len) in frames {
            now += gap;
            bucket.fill(rate, Nanos(now));
            if bucket.is_open() {
                bucket.take(*len);
                passed.push((now, *len));
            }
        }
        passed
    }

    /// What a sender that always has frames of `len` octets gets through from the first `from` to `until`, when it is woken
    /// so late after each time that the bucket names.
    fn backlogged(rate: Rate, len: usize, late: &[u64], until: u64) -> u128 {
        let (mut bucket, mut now, mut sent) = (Bucket::default(), 0, 0);
        for late in late.iter().cycle() {
            bucket.fill(rate, Nanos(now));
            while bucket.is_open() {
                bucket.take(len);
                sent += len as u128;
            }
            now = bucket.opens(rate).0 + late;
            if now > until {
                break;
            }
        }
        sent
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_the_rate_the_depth_and_a_frame(
            rate in rates(),
            frames in prop::collection::vec((0u64..3_000_000, 60usize..70_000), 1..200),
        ) {
            let passed = passed(rate, &frames);
            for (first, (begin, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (end, len) in &passed[first..] {
                    let bound = octets(rate, end - begin) + octets(rate, DEPTH) + 1;
                    prop_assert!(sum <= bound, "{sum} of {bound} before the last frame");
                    sum += *len as u128;
                }
            }
        }

        #[test]
        fn whoever_always_has_something_gets_the_rate_within_3_percent_however_late_he_is_woken(
            rate in rates(),
            len in 60usize..70_000,
            late in prop::collection::vec(0u64..15_000_000, 1..20),
        ) {
            let until = 20 * SECOND;
            let (sent, due) = (backlogged(rate, len, &late, until), octets(rate, until));
            prop_assert!(sent * 100 >= due * 97, "{sent} of {due}");
            prop_assert!(sent <= due + octets(rate, DEPTH) + 1 + len as u128, "{sent} of {due}");
        }

        #[test]
        fn no_part_of_an_octet_is_lost(rate in rates(), steps in prop::collection::vec(1u64..1000, 1..100)) {
            let (mut often, mut once) = (Bucket::default(), Bucket::default());
            let mut now = Nanos(0);
            // From deep in debt: the depth cuts nothing off.
            [&mut often, &mut once].into_iter().for_each(|bucket| bucket.take(1 << 40));
            for step in steps {
                now = now.after(step);
                often.fill(rate, now);
            }
            once.fill(rate, now);
            prop_assert_eq!((often.credit, often.rest), (once.credit, once.rest));
        }
    }

    #[test]
    fn a_bucket_opens_when_it_says() {
        for text in ["1200K", "10M", "5G", "1000G"] {
            let rate: Rate = text.parse().unwrap();
            let mut bucket = Bucket::default();
            bucket.fill(rate, Nanos(SECOND));
            bucket.take(octets(rate, DEPTH) as usize + 1_000_000);
            bucket.fill(rate, Nanos(SECOND + 1));
            let opens = bucket.opens(rate);
            bucket.fill(rate, Nanos(opens.0 - 1));
            assert!(bucket.credit < octets_in(rate, PORTION), "{text}: not earlier");
            bucket.fill(rate, opens);
            assert!(bucket.credit >= octets_in(rate, PORTION), "{text}: not later");
        }
    }

    #[test]
    fn nothing_passes_at_rate_0_and_time_may_stand_still() {
        let rate: Rate = "0".parse().unwrap();
        let mut bucket = Bucket::default();
        bucket.fill(rate, Nanos(SECOND));
        assert_eq!((bucket.is_open(), bucket.opens(rate)), (false, Nanos(u64::MAX)));
        let rate: Rate = "10M".parse().unwrap();
        bucket.fill(rate, Nanos(SECOND));
        bucket.fill(rate, Nanos(5));
        assert!(!bucket.is_open(), "no time has passed");
    }
}
