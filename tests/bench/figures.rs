/// The figures of a series of rounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Of the figures, in the order in which they were taken.
    ///
    /// # Panics
    /// There is none.
    pub(crate) fn new(rounds: Vec<f64>) -> Self {
        assert!(!rounds.is_empty(), "a series of rounds has figures");
        Self(rounds)
    }

    /// Each round's.
    pub(crate) fn rounds(&self) -> &[f64] {
        &self.0
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }
}

/// The middle one of some figures; of the two in the middle, their mean.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

/// What a ratio of ours to the peer's has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Bar {
    /// Whether a ratio reaches it.
    pub(crate) fn is_reached(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bar) => ratio >= bar,
            Self::AtMost(bar) => ratio <= bar,
            Self::Below(bar) => ratio < bar,
        }
    }

    /// How far a ratio is on the way to it: 1 there, more beyond it, whichever way is the better one.
    pub(crate) fn progress(self, ratio: f64) -> f64 {
        match self {
            Self::AtLeast(bar) => ratio / bar,
            Self::AtMost(bar) | Self::Below(bar) => bar / ratio,
        }
    }

    /// The bar itself.
    pub(crate) fn limit(self) -> f64 {
        match self {
            Self::AtLeast(bar) | Self::AtMost(bar) | Self::Below(bar) => bar,
        }
    }

    /// What is done to the limit, in words.
    pub(crate) fn relation(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "at least",
            Self::AtMost(_) => "at most",
            Self::Below(_) => "below",
        }
    }

    /// In words.
    pub(crate) fn show(self) -> String {
        format!("{} {:.2}", self.relation(), self.limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![9.0, 1.0, 5.0, 6.0]), 5.5);
        assert_eq!(median(vec![3.0]), 3.0);
    }

    #[test]
    fn a_series_keeps_the_order_of_its_rounds() {
        let series = Series::new(vec![3.0, 1.0, 2.0]);
        assert_eq!((series.median(), series.rounds()), (2.0, &[3.0, 1.0, 2.0][..]));
    }

    #[test]
    fn a_bar_is_reached_from_its_own_side() {
        assert!(Bar::AtLeast(0.6).is_reached(0.6) && !Bar::AtLeast(0.6).is_reached(0.59));
        assert!(Bar::AtMost(4.0).is_reached(4.0) && !Bar::AtMost(4.0).is_reached(4.01));
        assert!(Bar::Below(0.5).is_reached(0.49) && !Bar::Below(0.5).is_reached(0.5));
    }

    #[test]
    fn progress_passes_one_where_the_bar_is_reached() {
        for (bar, worse, better) in
            [(Bar::AtLeast(0.6), 0.3, 1.2), (Bar::AtMost(4.0), 8.0, 2.0), (Bar::Below(0.5), 1.0, 0.25)]
        {
            assert_eq!((bar.progress(worse), bar.progress(better)), (0.5, 2.0), "{bar:?}");
        }
    }
}
