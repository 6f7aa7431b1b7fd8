//! How long a program that has failed rests before it is started again.

/// Milliseconds of the first rest.
const FIRST: u64 = 250;

/// Milliseconds of the longest.
const LONGEST: u64 = 30_000;

/// Rests, in milliseconds: each twice as long as the one before, up to a limit.
#[derive(Debug)]
pub(super) struct Pause {
    next: u64,
}

impl Pause {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The rest that is due now.
    pub(super) fn next(&mut self) -> u64 {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }

    /// The program has done well.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_limit_and_begin_again() {
        let mut pause = Pause::new();
        let rests: Vec<_> = (0..9).map(|_| pause.next()).collect();
        assert_eq!(rests, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        pause.reset();
        assert_eq!(pause.next(), FIRST);
    }
}
