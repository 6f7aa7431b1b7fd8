/// A point in time: milliseconds since a beginning that only the owner of the clock knows. Pure code is given one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment so many milliseconds later; the end of time at the latest.
    #[must_use]
    pub const fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from an earlier moment to this one; 0 when it is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A point in time for which a millisecond is too coarse: nanoseconds since the same beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The moment so many nanoseconds later; the end of time at the latest.
    #[must_use]
    pub const fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// Nanoseconds from an earlier moment to this one; 0 when it is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_overflows_nor_runs_backwards() {
        assert_eq!(Moment(u64::MAX).after(1), Moment(u64::MAX));
        assert_eq!((Moment(5).since(Moment(2)), Moment(2).since(Moment(5))), (3, 0));
        assert_eq!(Nanos(u64::MAX).after(1), Nanos(u64::MAX));
        assert_eq!((Nanos(5).since(Nanos(2)), Nanos(2).since(Nanos(5))), (3, 0));
    }
}
