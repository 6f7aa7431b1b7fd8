use std::thread;
use std::time::{Duration, Instant};

/// Enough for whatever happens at once on an idle machine, and on a busy one.
pub const SHORT: Duration = Duration::from_secs(5);
/// Enough for what includes retransmissions and restarts.
pub const LONG: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(10);

/// Polls until `condition` holds, and returns what it found; its error is what was seen instead.
///
/// # Panics
/// It did not hold within `limit`; the message says what was waited for and what was seen last.
#[track_caller]
pub fn wait_until<T>(limit: Duration, what: &str, condition: impl FnMut() -> Result<T, String>) -> T {
    try_until(limit, condition)
        .unwrap_or_else(|seen| panic!("not within {limit:?}: {what}; seen instead: {seen}"))
}

/// The same where not to hold is no panic.
///
/// # Errors
/// What was seen last.
pub(crate) fn try_until<T>(
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match condition() {
            Err(_) if start.elapsed() < limit => thread::sleep(POLL),
            outcome => return outcome,
        }
    }
}
