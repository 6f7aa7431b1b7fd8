use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::carry::{self, Carrier};
use super::clock::Clock;
use super::pace::{self, Roster};
use super::released::{Outbox, Outgoing};
use super::table::{Table, Token};
use crate::lookup::Desk;
use crate::wire::FlowHasher;

/// The token of a worker's own wake-up.
const WAKE: u64 = 0;
/// How many descriptors a worker serves between two looks at the table.
const EVENTS: usize = 32;
/// Workers beyond this number do not help before a device has several queues.
const WORKERS_MAX: usize = 8;

/// The worker threads and what they know.
pub(super) struct Workers {
    shared: Arc<Shared>,
    hands: Vec<Hand>,
}

/// The caller's hold on one worker.
struct Hand {
    epoll: Arc<Epoll>,
    wake: Arc<EventFd>,
    outbox: Arc<Outbox>,
    roster: Arc<Roster>,
    thread: Option<JoinHandle<()>>,
    load: usize,
}

struct Shared {
    table: Mutex<Arc<Table>>,
    generation: AtomicU64,
    seen: Mutex<Vec<u64>>,
    moved_on: Condvar,
    ending: AtomicBool,
}

/// How many workers a host has: one for every two processors (docs/adr/0007).
pub(super) fn usual_count() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (processors / 2).clamp(1, WORKERS_MAX)
}

impl Workers {
    pub(super) fn start(
        count: usize,
        clock: Clock,
        desk: &Arc<Desk>,
        attention: &Arc<EventFd>,
        losses: &Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            generation: AtomicU64::new(0),
            seen: Mutex::new(vec![0; count]),
            moved_on: Condvar::new(),
            ending: AtomicBool::new(false),
        });
        let hasher = FlowHasher::default();
        let start = |number| {
            let (hasher, desk, attention) = (hasher.clone(), Arc::clone(desk), Arc::clone(attention));
            let losses = Arc::clone(losses);
            let (outbox, roster) = Default::default();
            let with = carry::Shared { hasher, clock, desk, attention, losses, outbox, roster };
            Hand::start(number, &shared, with)
        };
        let hands = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { shared, hands })
    }

    /// Lets the least busy worker watch a descriptor; says which one.
    pub(super) fn watch(&mut self, descriptor: BorrowedFd<'_>, token: Token) -> io::Result<usize> {
        let least = (0..self.hands.len()).min_by_key(|number| self.hands[*number].load).unwrap_or(0);
        let hand = &mut self.hands[least];
        hand.epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, token.0))?;
        hand.load += 1;
        Ok(least)
    }

    /// Lets a worker watch a descriptor no longer.
    pub(super) fn forget(&mut self, worker: usize, descriptor: BorrowedFd<'_>) {
        let hand = &mut self.hands[worker];
        // The worker itself forgets a device that somebody has removed.
        let _ = hand.epoll.delete(descriptor);
        hand.load -= 1;
    }

    /// What calls a worker to a VNIC that it watches, when frames begin to wait for that.
    pub(super) fn alarm(&self, worker: usize, token: Token) -> Waker {
        let hand = &self.hands[worker];
        pace::alarm(token, &hand.roster, &hand.wake)
    }

    /// Gives every worker a new table; when this returns, none has an older one.
    pub(super) fn publish(&self, table: Table) {
        *lock(&self.shared.table) = Arc::new(table);
        let generation = self.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        let mut seen = lock(&self.shared.seen);
        while seen.iter().any(|seen| *seen < generation) {
            seen = self.shared.moved_on.wait(seen).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets a worker send a frame that has waited, once it is woken.
    pub(super) fn send(&self, worker: usize, outgoing: Outgoing) {
        self.hands[worker].outbox.put(outgoing);
    }

    /// Wakes the workers that have something to send.
    pub(super) fn wake_senders(&self) {
        self.hands.iter().filter(|hand| hand.outbox.any()).for_each(Hand::wake);
    }

    fn wake(&self) {
        self.hands.iter().for_each(Hand::wake);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        self.wake();
        for hand in &mut self.hands {
            let _ = hand.thread.take().map(JoinHandle::join);
        }
    }
}

impl Hand {
    fn start(number: usize, shared: &Arc<Shared>, with: carry::Shared) -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let wake =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (shared, outbox, roster) =
            (Arc::clone(shared), Arc::clone(&with.outbox), Arc::clone(&with.roster));
        let (its_epoll, its_wake) = (Arc::clone(&epoll), Arc::clone(&wake));
        let thread = thread::Builder::new().name(format!("carry-{number}")).spawn(move || {
            let _bomb = Bomb;
            let outcome = shared.work(number, &its_epoll, &its_wake, Carrier::new(with));
            if let Err(error) = outcome {
                tracing::error!("worker {number} cannot wait for frames: {error}");
                process::abort();
            }
        })?;
        Ok(Self { epoll, wake, outbox, roster, thread: Some(thread), load: 0 })
    }

    fn wake(&self) {
        // It fails only when 2^64 - 2 wake-ups are waiting.
        let _ = self.wake.write(1);
    }
}

/// A worker that has died carries nothing more: the process ends, and a new one adopts the devices.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

impl Shared {
    fn work(&self, number: usize, epoll: &Epoll, wake: &EventFd, mut carrier: Carrier) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut table = Arc::new(Table::default());
        let mut generation = 0;
        while !self.ending.load(Ordering::Acquire) {
            let count = match epoll.wait(&mut events, carrier.sleep()) {
                Err(nix::errno::Errno::EINTR) => 0,
                outcome => outcome?,
            };
            if events[..count].iter().any(|event| event.data() == WAKE) {
                // Before the generation is looked at: a wake-up that comes after that look must stay.
                let _ = wake.read();
            }
            // Before it too: who has called may have a newer table than this worker had.
            carrier.hear_calls();
            let newest = self.generation.load(Ordering::Acquire);
            if newest != generation {
                generation = newest;
                table = Arc::clone(&lock(&self.table));
                self.move_on(number, generation);
                carrier.hurry();
            }
            carrier.send_released(&table);
            let ready = || events[..count].iter().map(EpollEvent::data).filter(|token| *token != WAKE);
            let crowded = ready().nth(1).is_some();
            for token in ready().map(Token) {
                carrier.serve(token, crowded, &table, epoll);
            }
            carrier.come_back(&table, epoll);
            carrier.announce();
        }
        Ok(())
    }

    fn move_on(&self, number: usize, generation: u64) {
        lock(&self.seen)[number] = generation;
        self.moved_on.notify_all();
    }
}

/// Nothing is left half changed by a panic under these locks: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::table::Way;
    use super::*;
    use crate::datapath::{FrameBuf, Load, Overlay, OverlaySettings, Waiting};
    use crate::device::TapDevice;
    use crate::lookup::{TargetMode, TargetTable, Timing};
    use crate::offload::VNET_HEADER;
    use crate::types::{LinkId, VnetId};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn every_publication_returns_however_close_the_next_one_is() {
        let (done, finished) = mpsc::channel();
        thread::spawn(move || {
            let attention = Arc::new(EventFd::new().unwrap());
            let workers =
                Workers::start(2, Clock::start(), &Arc::default(), &attention, &Arc::default()).unwrap();
            (0..20_000).for_each(|_| workers.publish(Table::default()));
            done.send(()).unwrap();
        });
        assert_eq!(finished.recv_timeout(Duration::from_secs(60)), Ok(()), "a worker has missed its wake-up");
    }

    /// An overlay whose destinations are asked for, without any VNIC or socket.
    fn dynamic(desk: &Arc<Desk>) -> Arc<Overlay<TapDevice>> {
        let settings = OverlaySettings {
            target: Some(TargetMode::Dynamic),
            ..OverlaySettings::plain(VnetId::new(23).unwrap(), crate::encap::ENCAPS[0])
        };
        let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
        let table = Arc::new(TargetTable::new(link(), Arc::clone(desk), timing, 100));
        Arc::new(Overlay::new(settings, Arc::default(), table, vec![]))
    }

    fn link() -> LinkId {
        LinkId(7.try_into().unwrap())
    }

    #[test]
    fn a_question_of_a_frame_that_has_waited_wakes_who_takes_it() {
        let (desk, attention) = (Arc::<Desk>::default(), Arc::new(EventFd::new().unwrap()));
        let workers = Workers::start(2, Clock::start(), &desk, &attention, &Arc::default()).unwrap();
        let way = Way { overlay: dynamic(&desk), mux: None };
        workers.publish(Table { overlays: [(link(), way)].into(), ..Table::default() });
        let mut frame = FrameBuf::default();
        frame.space()[VNET_HEADER..][..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
        frame.fill(VNET_HEADER + 14);
        let waited = Waiting::new(&frame, link(), Load { frames: 1, bytes: 14 });
        workers.send(0, Outgoing { overlay: link(), frame: waited, ends: None });
        workers.wake_senders();
        let mut woken = [PollFd::new(attention.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut woken, PollTimeout::from(30_000u16)), Ok(1), "nobody was woken");
        assert_eq!(desk.take().len(), 1);
    }
}
