//! From moments of the data path's clock, which begins with the process, to what is left of a lease, and back.

use std::time::Duration;

use crate::datapath::Lease;
use crate::engine::LeaseInfo;
use crate::types::Moment;

/// The end of time: of a lease that does not end.
const NEVER: Moment = Moment(u64::MAX);

/// What is left of a lease.
pub(super) fn info(lease: Lease, now: Moment) -> LeaseInfo {
    let Lease { network, client, until } = lease;
    let left = (until != NEVER).then(|| Duration::from_millis(until.since(now)));
    LeaseInfo { network, client, left }
}

/// A lease of which that is left.
pub(super) fn lease(info: LeaseInfo, now: Moment) -> Lease {
    let LeaseInfo { network, client, left } = info;
    let until = left.map_or(NEVER, |left| now.after(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
    Lease { network, client, until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_left_on_another_clock() {
        for until in [Moment(5000), NEVER] {
            let network = "192.0.2.1".parse().unwrap();
            let before = Lease { network, client: vec![1], until };
            let after = lease(info(before, Moment(2000)), Moment(7));
            assert_eq!(after.until, if until == NEVER { NEVER } else { Moment(3007) });
        }
    }
}
