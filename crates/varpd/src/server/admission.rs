use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When a connection last did something, as the count of such events of all connections.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    clock: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Activity {
    /// The connection does something now.
    pub(super) fn touch(&self) {
        self.last.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The connections that are served, by a key, each with what ends it.
#[derive(Debug)]
pub(super) struct Admission<K, H> {
    served: HashMap<K, (Activity, H)>,
    clock: Arc<AtomicU64>,
    limit: usize,
}

impl<K: Copy + Eq + Hash, H> Admission<K, H> {
    /// With room for `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        Self { served: HashMap::new(), clock: Arc::default(), limit }
    }

    /// The activity of a connection that begins now.
    pub(super) fn activity(&self) -> Activity {
        let fresh = Activity { clock: Arc::clone(&self.clock), last: Arc::default() };
        fresh.touch();
        fresh
    }

    pub(super) fn admit(&mut self, key: K, activity: Activity, handle: H) {
        self.served.insert(key, (activity, handle));
    }

    /// A connection has ended.
    pub(super) fn ended(&mut self, key: K) {
        self.served.remove(&key);
    }

    /// Whether one must go before another can come.
    pub(super) fn full(&self) -> bool {
        self.served.len() >= self.limit
    }

    /// Takes out the one that has been idle longest.
    pub(super) fn take_idlest(&mut self) -> Option<H> {
        let idlest =
            self.served.iter().min_by_key(|(_, (activity, _))| activity.last.load(Ordering::Relaxed));
        let key = *idlest?.0;
        self.served.remove(&key).map(|(_, handle)| handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(admission: &mut Admission<u32, u32>, key: u32) -> Activity {
        let activity = admission.activity();
        admission.admit(key, activity.clone(), key * 10);
        activity
    }

    #[test]
    fn the_one_idle_longest_goes_first() {
        let mut admission = Admission::new(3);
        let first = admit(&mut admission, 1);
        admit(&mut admission, 2);
        assert!(!admission.full());
        admit(&mut admission, 3);
        assert!(admission.full());
        first.touch();
        assert_eq!(admission.take_idlest(), Some(20));
        assert_eq!(admission.take_idlest(), Some(30));
        assert_eq!(admission.take_idlest(), Some(10));
        assert_eq!(admission.take_idlest(), None);
    }

    #[test]
    fn an_ended_connection_makes_room() {
        let mut admission = Admission::new(1);
        admit(&mut admission, 1);
        assert!(admission.full());
        admission.ended(1);
        assert!(!admission.full());
    }
}
