use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::types::{Moment, UnderlayMtu};

/// Milliseconds for which an answer of the system serves: the system's own knowledge changes with every router's word.
const FRESH: u64 = 1000;
/// Tunnel ends of which it is kept.
const ENDS_MAX: usize = 1024;

/// How large packets to tunnel ends may be, for a short while: asked for only once one was too big.
#[derive(Debug, Default)]
pub(super) struct Paths(Mutex<HashMap<IpAddr, (UnderlayMtu, Moment)>>);

impl Paths {
    /// The largest packet on the way to a tunnel end that has just refused one; `ask` is called where what is known is old, or
    /// would have let that one pass. None when the system does not say.
    pub(super) fn to(
        &self,
        end: SocketAddr,
        now: Moment,
        refuses: impl Fn(UnderlayMtu) -> bool,
        ask: impl Fn() -> Option<UnderlayMtu>,
    ) -> Option<UnderlayMtu> {
        let known = self.known().get(&end.ip()).copied();
        if let Some((mtu, since)) = known
            && now.since(since) < FRESH
            && refuses(mtu)
        {
            return Some(mtu);
        }
        // Not under the lock: other workers have refusals of their own.
        let mtu = ask()?;
        let mut known = self.known();
        if known.len() >= ENDS_MAX {
            known.clear();
        }
        known.insert(end.ip(), (mtu, now));
        Some(mtu)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, (UnderlayMtu, Moment)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_system_is_asked_again_when_the_answer_is_old_or_cannot_be_right() {
        let (paths, asked) = (Paths::default(), Cell::new(0));
        let to = |now, most: u32| {
            let ask = || Some(UnderlayMtu(1300 + asked.replace(asked.get() + 1)));
            paths.to(([10, 0, 0, 2], 4789).into(), Moment(now), |mtu| mtu.0 < most, ask).map(|mtu| mtu.0)
        };
        assert_eq!(to(0, 1500), Some(1300));
        assert_eq!(to(FRESH - 1, 1500), Some(1300), "still fresh");
        assert_eq!(to(FRESH, 1500), Some(1301), "old");
        assert_eq!(to(FRESH, 1301), Some(1302), "it would have let the packet pass");
    }

    #[test]
    fn what_is_known_is_bounded() {
        let paths = Paths::default();
        for number in 0..5000u32 {
            let end = SocketAddr::new(IpAddr::from(number.to_be_bytes()), 4789);
            paths.to(end, Moment(0), |_| true, || Some(UnderlayMtu(1300)));
        }
        assert!(paths.0.lock().unwrap().len() <= ENDS_MAX);
    }
}
