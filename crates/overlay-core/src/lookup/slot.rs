//! An entry of the target table as it is kept: in one line of a processor's cache, so that a look-up waits for memory once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zerocopy::FromZeros;

use super::Ends;
use super::census::Class;
use super::entry::{Refusal, State};
use crate::types::{MacAddr, Moment};

/// A place of a part: an entry, or nothing when all of its octets are 0.
#[derive(Debug, FromZeros)]
#[repr(C, align(64))]
pub(super) struct Slot {
    /// When a frame last needed it, in milliseconds.
    used: AtomicU64,
    /// The first moment that its state has.
    since: u64,
    /// The second.
    until: u64,
    end: End,
    mac: [u8; 6],
    kind: Kind,
    learned: bool,
    why: Refusal,
}
const _: () = assert!(size_of::<Slot>() == 64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros)]
#[repr(u8)]
enum Kind {
    Free = 0,
    Asking,
    Known,
    Checking,
    Refused,
    Fixed,
}

/// Where its frames go, in 28 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros)]
#[repr(C)]
struct End {
    flow: u32,
    scope: u32,
    ip: [u8; 16],
    port: u16,
    sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros)]
#[repr(u8)]
enum Sort {
    None = 0,
    V4,
    V6,
    /// Several, or none, which are kept beside.
    Many,
}

/// Tunnel ends that have no room in a place.
pub(super) type ManyEnds = Arc<[SocketAddr]>;

impl Slot {
    pub(super) fn is_free(&self) -> bool {
        self.kind == Kind::Free
    }

    pub(super) const fn mac(&self) -> MacAddr {
        MacAddr(self.mac)
    }

    /// A frame needs it. Written only when the time has moved: other workers read it too.
    pub(super) fn touch(&self, now: Moment) {
        if self.used.load(Ordering::Relaxed) < now.0 {
            self.used.store(now.0, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self) -> Moment {
        Moment(self.used.load(Ordering::Relaxed))
    }

    /// Its class; none when it is free.
    pub(super) const fn class(&self) -> Option<Class> {
        match self.kind {
            Kind::Free => None,
            Kind::Known | Kind::Checking => Some(Class::Serving),
            Kind::Refused => Some(Class::Refused),
            Kind::Asking => Some(Class::Asking),
            Kind::Fixed => Some(Class::Fixed),
        }
    }

    /// Becomes an entry of that address, last used then.
    pub(super) fn begin(&mut self, mac: MacAddr, now: Moment) {
        (self.mac, self.used) = (mac.0, AtomicU64::new(now.0));
    }

    /// Its state, with the ends that are kept beside where they are needed; none when it is free.
    #[inline]
    pub(super) fn state(&self, beside: impl Fn() -> Option<ManyEnds>) -> Option<State> {
        let (since, until, learned) = (Moment(self.since), Moment(self.until), self.learned);
        Some(match self.kind {
            Kind::Free => return None,
            Kind::Asking => State::Asking { since, until },
            Kind::Known => {
                State::Known { ends: self.end.ends(beside)?, confirmed: since, due: until, learned }
            }
            Kind::Checking => {
                State::Checking { ends: self.end.ends(beside)?, confirmed: since, until, learned }
            }
            Kind::Refused => State::Refused { why: self.why, since, until },
            Kind::Fixed => State::Fixed { ends: self.end.ends(beside), since },
        })
    }

    /// Takes a state, and gives back the ends that are to be kept beside.
    pub(super) fn set(&mut self, state: State) -> Option<ManyEnds> {
        let (kind, since, until, ends) = match state {
            State::Asking { since, until } => (Kind::Asking, since, until, None),
            State::Known { ends, confirmed, due, learned } => {
                self.learned = learned;
                (Kind::Known, confirmed, due, Some(ends))
            }
            State::Checking { ends, confirmed, until, learned } => {
                self.learned = learned;
                (Kind::Checking, confirmed, until, Some(ends))
            }
            State::Refused { why, since, until } => {
                self.why = why;
                (Kind::Refused, since, until, None)
            }
            State::Fixed { ends, since } => (Kind::Fixed, since, Moment(0), ends),
        };
        (self.kind, self.since, self.until) = (kind, since.0, until.0);
        let (end, beside) = End::of(ends);
        self.end = end;
        beside
    }
}

impl End {
    const NONE: Self = Self { flow: 0, scope: 0, ip: [0; 16], port: 0, sort: Sort::None };

    fn of(ends: Option<Ends>) -> (Self, Option<ManyEnds>) {
        match ends {
            None => (Self::NONE, None),
            Some(Ends::Many(ends)) => (Self { sort: Sort::Many, ..Self::NONE }, Some(ends)),
            Some(Ends::One(SocketAddr::V4(end))) => {
                let ip = end.ip().to_ipv6_mapped().octets();
                (Self { ip, port: end.port(), sort: Sort::V4, ..Self::NONE }, None)
            }
            Some(Ends::One(SocketAddr::V6(end))) => {
                let (flow, scope, ip, port) = (end.flowinfo(), end.scope_id(), end.ip().octets(), end.port());
                (Self { flow, scope, ip, port, sort: Sort::V6 }, None)
            }
        }
    }

    #[inline]
    fn ends(&self, beside: impl Fn() -> Option<ManyEnds>) -> Option<Ends> {
        match self.sort {
            Sort::None => None,
            Sort::V4 => {
                let [.., a, b, c, d] = self.ip;
                Some(Ends::One(SocketAddr::new(IpAddr::from([a, b, c, d]), self.port)))
            }
            Sort::V6 => {
                let ip = Ipv6Addr::from(self.ip);
                Some(Ends::One(SocketAddrV6::new(ip, self.port, self.flow, self.scope).into()))
            }
            Sort::Many => beside().map(Ends::Many),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(state: &State) -> Option<State> {
        let mut slot = Slot::new_zeroed();
        let beside = slot.set(state.clone());
        slot.state(|| beside.clone())
    }

    #[test]
    fn every_state_comes_back_as_it_was() {
        let v6 = SocketAddrV6::new("fe80::1".parse().unwrap(), 4789, 7, 2);
        let ends = [
            Ends::One(([10, 0, 0, 2], 4789).into()),
            Ends::One(v6.into()),
            // An IPv4 address that was written as one of IPv6 stays one.
            Ends::One("[::ffff:10.0.0.2]:1".parse().unwrap()),
            Vec::new().into(),
            vec![([10, 0, 0, 2], 1).into(), v6.into()].into(),
        ];
        let (since, until) = (Moment(3), Moment(u64::MAX));
        let mut states = vec![State::Asking { since, until }, State::Fixed { ends: None, since }];
        for why in [Refusal::Absent, Refusal::Unknown, Refusal::Expired, Refusal::Full, Refusal::Fixed] {
            states.push(State::Refused { why, since, until });
        }
        for (ends, learned) in ends.into_iter().flat_map(|ends| [(ends.clone(), true), (ends, false)]) {
            states.push(State::Known { ends: ends.clone(), confirmed: since, due: until, learned });
            states.push(State::Checking { ends: ends.clone(), confirmed: since, until, learned });
            states.push(State::Fixed { ends: Some(ends), since });
        }
        for state in states {
            assert_eq!(kept(&state).as_ref(), Some(&state));
        }
    }

    #[test]
    fn octets_of_zero_are_a_free_place() {
        let slot = Slot::new_zeroed();
        assert_eq!((slot.is_free(), slot.class(), slot.state(|| None)), (true, None, None));
    }
}
