//! What a VNIC's `maxbw` does: the VNIC is read no faster than its rate, and what is for it waits in a queue until the
//! rate lets it be given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bucket::{Bucket, octets_in};
use super::parcel::{Parcel, Parcels, Piece};
use super::{Device, Direction, DropReason, FrameBuf, Inner, Load, Overlay, Port};
use crate::offload::{CUT_HEADER_MAX, Cut};
use crate::types::{Nanos, Rate};

/// How many nanoseconds of its rate a VNIC's queue holds: a sender hears of a loss, and has sent less for a while, before
/// it is empty.
const QUEUE: u64 = 50_000_000;
/// Octets at which it is full, at the least, which is two super-frames, and at the most; with its bookkeeping.
const QUEUE_MIN: u64 = 128 * 1024;
const QUEUE_MAX: u64 = 4 * 1024 * 1024;

/// A super-frame that is more than so many nanoseconds of the rate is given segment by segment, so that its receiver, and
/// who waits for that one's acknowledgements, see the rate and not bursts.
const SMOOTH: u64 = 5_000_000;

/// Octets that a VNIC is given at a time: what stays in a processor's cache.
const TURN: usize = 256 * 1024;

/// How far a VNIC's rate is used up each way, and what waits to be given to it.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    outward: Mutex<Bucket>,
    /// Whether what was sent last has used it up.
    spent: AtomicBool,
    inward: Mutex<Inward>,
    /// Whether anything waits or is being given.
    busy: AtomicBool,
}

/// A queue in two parts: frames are put into one without disturbing whoever gives away the other.
#[derive(Debug, Default)]
struct Inward {
    intake: Parcels,
    outlet: Outlet,
    /// Octets of both, with their bookkeeping; what is being given counts until that is done.
    size: usize,
}

/// What only the VNIC's worker uses: taken out to be given from, so that no lock is held meanwhile.
#[derive(Debug, Default)]
struct Outlet {
    bucket: Bucket,
    parcels: Parcels,
    /// How many segments of the first have been given.
    segment: usize,
}

impl Outlet {
    /// Takes out frames, one after the other: a turn of them, or as many as the rate lets pass at a moment. Octets that
    /// they took.
    fn each(&mut self, limit: Option<(Rate, Nanos)>, mut give: impl FnMut(&Piece<'_>)) -> usize {
        if let Some((rate, now)) = limit {
            self.bucket.fill(rate, now);
        }
        let (mut octets, mut gone) = (0, 0);
        while octets < TURN && (limit.is_none() || self.bucket.is_open()) {
            let Some((parcel, frame)) = self.parcels.first() else { break };
            let (mut room, mut wire) = ([0; CUT_HEADER_MAX], parcel.wire);
            let cut = self.cut(parcel, frame, limit.map(|(rate, _)| rate));
            let left = match cut {
                Some(cut) => {
                    let piece = parcel.segment(frame, &cut, self.segment, &mut room);
                    give(&piece);
                    wire = Load { frames: 1, bytes: piece.longest };
                    (self.segment + 1) % cut.count()
                }
                None => {
                    give(&parcel.whole(frame));
                    0
                }
            };
            let wire = wire.bytes - parcel.tag() * wire.frames;
            octets += wire;
            if limit.is_some() {
                self.bucket.take(wire);
            }
            self.segment = left;
            if left == 0 {
                gone += parcel.size();
                self.parcels.take_first();
            }
        }
        gone
    }

    /// How a super-frame is cut that is too long at a rate to be given at once, or of which a part has been given.
    fn cut(&self, parcel: &Parcel, frame: &[u8], rate: Option<Rate>) -> Option<Cut> {
        let most = rate.map_or(i64::MAX, |rate| octets_in(rate, SMOOTH));
        let long = i64::try_from(parcel.wire.bytes).is_ok_and(|octets| octets > most);
        let cut = self.segment > 0 || (long && parcel.wire.frames > 1);
        if cut { Cut::new(frame, &parcel.ethernet, &parcel.vnet).ok() } else { None }
    }
}

/// What became of a frame that was to wait.
enum Put {
    /// It waits where others do.
    Behind,
    /// It waits, and nothing did: the VNIC's worker has to be called.
    First,
    /// There is no room for it.
    Refused,
}

impl Shaper {
    fn charge(&self, octets: usize) {
        let mut bucket = lock(&self.outward);
        bucket.take(octets);
        self.spent.store(!bucket.is_open(), Ordering::Relaxed);
    }

    fn sends_from(&self, rate: Rate, now: Nanos) -> Option<Nanos> {
        let mut bucket = lock(&self.outward);
        bucket.fill(rate, now);
        self.spent.store(!bucket.is_open(), Ordering::Relaxed);
        (!bucket.is_open()).then(|| bucket.opens(rate))
    }

    /// Whether nothing waits and nothing is being given. Whoever has put frames here and sees that knows that they were
    /// given.
    fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    fn put(&self, parcel: Parcel, inner: &Inner<'_>, room: usize) -> Put {
        let mut inward = lock(&self.inward);
        // The last may go beyond it: a super-frame is taken whole.
        if inward.size >= room {
            return Put::Refused;
        }
        inward.size += parcel.size();
        inward.intake.push(parcel, inner);
        if self.busy.swap(true, Ordering::Release) { Put::Behind } else { Put::First }
    }

    /// Takes out what is to be given first; none when nothing waits.
    fn begin(&self) -> Option<Outlet> {
        let mut inward = lock(&self.inward);
        let Inward { intake, outlet, size } = &mut *inward;
        outlet.parcels.refill(intake);
        (*size > 0).then(|| std::mem::take(outlet))
    }

    /// Puts back what is left of it, less `gone` octets; whether anything waits.
    fn end(&self, outlet: Outlet, gone: usize) -> bool {
        let mut inward = lock(&self.inward);
        inward.outlet = outlet;
        inward.size -= gone;
        let left = inward.size > 0;
        self.busy.store(left, Ordering::Release);
        left
    }

    /// Gives back the room of a queue in which nothing waits.
    fn forget(&self) {
        let mut inward = lock(&self.inward);
        if inward.size == 0 {
            *inward = Inward::default();
        }
    }
}

impl<D: Device> Port<D> {
    /// Counts a frame that the VNIC has sent towards its rate.
    pub(super) fn meter(&self, shaper: &Shaper, frame: &FrameBuf) -> Result<(), DropReason> {
        match self.settings.policy.maxbw.map(Rate::bits) {
            None => {}
            Some(0) => return Err(DropReason::OverMaxbw),
            Some(_) => shaper.charge(Inner::sent(frame)?.on_wire().bytes),
        }
        Ok(())
    }

    /// Whether the frame that it has sent last has used up its rate.
    pub fn is_spent(&self) -> bool {
        self.rate().is_some_and(|(shaper, _)| shaper.spent.load(Ordering::Relaxed))
    }

    /// From when on it may send; none when that is now. At rate 0 it may, for nothing.
    pub fn sends_from(&self, now: Nanos) -> Option<Nanos> {
        let (shaper, rate) = self.rate()?;
        shaper.sends_from(rate, now)
    }

    fn rate(&self) -> Option<(&Shaper, Rate)> {
        Some((self.shaper()?, self.settings.policy.maxbw.filter(|rate| rate.bits() > 0)?))
    }
}

impl<D: Device> Overlay<D> {
    /// Lets a frame wait for a VNIC that has a limit, or had one and has not been given all that waited then.
    pub(super) fn queue(&self, port: &Port<D>, shaper: &Shaper, inner: &Inner<'_>, from: Direction) {
        let limit = port.settings.policy.maxbw;
        let free = limit.is_none() && shaper.is_idle();
        let Some(parcel) = inner.parcel(&port.settings, from).filter(|_| !free) else {
            // Or it does not fit, which is counted there.
            return self.give(port, inner, from);
        };
        self.counters.wait(parcel.load.frames);
        match shaper.put(parcel, inner, room(limit)) {
            Put::Behind => {}
            Put::First => port.call(),
            Put::Refused => self.lose_waiting(port, from, parcel.load, DropReason::OverMaxbw),
        }
    }

    /// Gives a VNIC what waits for it, as far as its rate lets it, and no more than a turn of its worker. When to come
    /// again, which may be at once; none when nothing waits.
    pub fn drain(&self, port: &Port<D>, now: Nanos) -> Option<Nanos> {
        let (shaper, limit) = (port.shaper()?, port.settings.policy.maxbw);
        let mut outlet = shaper.begin()?;
        let rate = limit.filter(|limit| limit.bits() > 0);
        let shut = limit.is_some() && rate.is_none();
        let gone = outlet.each(rate.map(|rate| (rate, now)), |piece| match shut {
            true => self.lose_waiting(port, piece.parcel.from, piece.load, DropReason::OverMaxbw),
            false => self.give_waiting(port, piece),
        });
        let again = rate.filter(|_| !outlet.bucket.is_open()).map(|rate| outlet.bucket.opens(rate));
        let left = shaper.end(outlet, gone);
        if !left && limit.is_none() {
            shaper.forget();
        }
        left.then_some(again.unwrap_or_default())
    }

    /// Drops what waits for a VNIC that has been taken away, so that nobody else gives it anything.
    pub fn abandon(&self, port: &Port<D>) {
        let Some(shaper) = port.shaper() else { return };
        while let Some(mut outlet) = shaper.begin() {
            let gone = outlet.each(None, |piece| {
                self.lose_waiting(port, piece.parcel.from, piece.load, DropReason::DeviceDown);
            });
            shaper.end(outlet, gone);
        }
    }

    fn give_waiting(&self, port: &Port<D>, piece: &Piece<'_>) {
        self.counters.waited(piece.load.frames);
        let more = [piece.rest];
        let more = if piece.rest.is_empty() { &[][..] } else { &more[..] };
        self.give(port, &Inner::waited(piece, more), piece.parcel.from);
    }

    fn lose_waiting(&self, port: &Port<D>, from: Direction, load: Load, reason: DropReason) {
        self.counters.waited(load.frames);
        self.counters.lose(from, reason, load.frames);
        port.counters().not_given(load.frames);
    }
}

/// Octets of a queue.
pub(super) fn room(limit: Option<Rate>) -> usize {
    let octets = |rate: Rate| match rate.bits() {
        0 => 0,
        bits => {
            (u128::from(bits) * u128::from(QUEUE) / 8_000_000_000).clamp(QUEUE_MIN.into(), QUEUE_MAX.into())
        }
    };
    limit.map_or(QUEUE_MAX as usize, |rate| octets(rate) as usize)
}

/// Nothing is left half changed by a panic under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
