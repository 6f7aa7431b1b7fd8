use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::Moment;

/// Answers in a second at the most (RFC 4443 section 2.4 f, RFC 1812 section 4.3.2.8).
const IN_A_SECOND: u64 = 1000;

/// How many answers one sender may still have in this second: one that floods takes nobody else's.
#[derive(Debug, Default)]
pub struct Allowance {
    second: AtomicU64,
    given: AtomicU64,
}

impl Allowance {
    /// Whether one more may be given. A VNIC has one worker, so nobody asks at the same time; if somebody did, a few more
    /// would be given.
    pub fn take(&self, now: Moment) -> bool {
        let second = now.0 / 1000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.given.store(0, Ordering::Relaxed);
        }
        let allowed = self.given.load(Ordering::Relaxed) < IN_A_SECOND;
        if allowed {
            self.given.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_in_each_second() {
        let allowance = Allowance::default();
        let given = |now| (0..5000).filter(|_| allowance.take(Moment(now))).count();
        assert_eq!(given(5), 1000);
        assert_eq!(given(999), 0);
        assert_eq!(given(1000), 1000);
    }
}
