use std::time::Duration;

use overlay_core::types::Moment;
use tokio::time::Instant;

/// Where the owner takes the time from: milliseconds since its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When a moment is; in a year at the latest.
    pub(super) fn instant(self, moment: Moment) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let offset = Duration::from_millis(moment.0);
        self.0.checked_add(offset).unwrap_or_else(|| Instant::now() + YEAR)
    }
}
