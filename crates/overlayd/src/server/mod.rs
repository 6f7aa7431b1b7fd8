//! The control server: one thread that waits for signals, clients and their octets.

mod connection;
mod pulse;
mod signals;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use overlay_core::device::ZoneWatch;
use overlay_core::engine::Engine;

use self::connection::Connection;
pub(crate) use self::pulse::Pulse;
pub(crate) use self::signals::Signals;
use crate::driver::{ConnectionId, Driver, Room};
use crate::leases::Leases;

/// Clients beyond this number cost the one that has been silent longest its connection.
const CONNECTIONS_MAX: usize = 2048;

/// How long until what ails is tried again.
const MENDING_PAUSE: Duration = Duration::from_millis(500);

/// How often what waits for varpd is looked at.
const WAITING_PAUSE: Duration = Duration::from_millis(100);

/// How often those who watch are told what changes by itself.
const LOOKING_PAUSE: Duration = Duration::from_secs(1);

/// How often what DHCP has given is looked at, which a crash can lose so much of.
const LEASES_PAUSE: Duration = Duration::from_millis(500);

/// How long until a client is accepted again when descriptors have run out.
const BREATH: Duration = Duration::from_millis(100);

struct Server<'a, E> {
    listener: UnixListener,
    driver: &'a mut Driver<E>,
    connections: BTreeMap<ConnectionId, Connection>,
    last_id: u64,
    clock: u64,
    out_of_breath: bool,
    leases: Leases,
    pulse: Rc<Pulse>,
    /// Whether a client has asked for something since the leases were looked at.
    changed: bool,
}

/// Serves until a signal asks for the end.
pub(crate) fn serve<E: Engine>(
    listener: UnixListener,
    signals: Signals,
    pulse: Pulse,
    driver: &mut Driver<E>,
    leases: Leases,
) -> io::Result<()> {
    let zones = ZoneWatch::open()?;
    let pulse = Rc::new(pulse);
    let beat = Rc::clone(&pulse);
    driver.show_life(move || beat.beat(Instant::now()));
    // Some may have come before they were watched.
    driver.notice(true);
    let connections = BTreeMap::new();
    let (last_id, clock, out_of_breath, changed) = (0, 0, false, true);
    let mut server =
        Server { listener, driver, connections, last_id, clock, out_of_breath, leases, pulse, changed };
    let [mut mended, mut expired, mut looked, mut leased] = [Instant::now(); 4];
    loop {
        let ready = server.wait(&signals, &zones, server.pulse.pause(Instant::now()))?;
        if ready.signal && signals.ask_for_end()? {
            server.look_at_leases();
            return Ok(());
        }
        if ready.client {
            server.accept();
        }
        server.changed |= !ready.connections.is_empty();
        ready.connections.into_iter().for_each(|id| server.attend(id));
        server.driver.notice(ready.zones);
        if server.driver.is_ailing() && mended.elapsed() >= MENDING_PAUSE {
            server.driver.mend();
            mended = Instant::now();
        }
        server.driver.look_again();
        server.tell();
        server.ask();
        if server.driver.is_asking() && expired.elapsed() >= WAITING_PAUSE {
            server.driver.expire();
            expired = Instant::now();
        }
        if server.driver.is_watched() && looked.elapsed() >= LOOKING_PAUSE {
            server.driver.look();
            server.tell();
            looked = Instant::now();
        }
        if server.watches_leases() && leased.elapsed() >= LEASES_PAUSE {
            server.look_at_leases();
            leased = Instant::now();
        }
        server.pulse.beat(Instant::now());
    }
}

/// What there is to do.
#[derive(Default)]
struct Ready {
    signal: bool,
    client: bool,
    zones: bool,
    connections: Vec<ConnectionId>,
}

impl<E: Engine> Server<'_, E> {
    fn watches_leases(&self) -> bool {
        self.changed || self.leases.is_watching()
    }

    fn look_at_leases(&mut self) {
        self.leases.look(self.driver);
        self.changed = false;
    }

    /// Waits until there is something to do, or for `most`.
    fn wait(&mut self, signals: &Signals, zones: &ZoneWatch, most: Option<Duration>) -> io::Result<Ready> {
        let accepting = if self.out_of_breath { PollFlags::empty() } else { PollFlags::POLLIN };
        let fixed = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), accepting),
            PollFd::new(self.driver.attention(), PollFlags::POLLIN),
        ];
        let clients = self
            .connections
            .values()
            .map(|connection| PollFd::new(connection.as_fd(), connection.interest()));
        let zones = self.driver.minds_zones().then(|| PollFd::new(zones.as_fd(), PollFlags::POLLPRI));
        let clients_from = fixed.len();
        let zones_at = clients_from + self.connections.len();
        let mut watched: Vec<_> = fixed.into_iter().chain(clients).chain(zones).collect();
        let pauses = [
            (self.out_of_breath, BREATH),
            (self.driver.is_asking(), WAITING_PAUSE),
            (self.driver.is_ailing(), MENDING_PAUSE),
            (self.driver.is_watched(), LOOKING_PAUSE),
            (self.watches_leases(), LEASES_PAUSE),
        ];
        let pauses = pauses.into_iter().filter(|(wanted, _)| *wanted).map(|(_, pause)| pause);
        let pause = pauses.chain(most).min();
        let pause = pause.and_then(|pause| PollTimeout::try_from(pause).ok()).unwrap_or(PollTimeout::NONE);
        match poll(&mut watched, pause) {
            Err(Errno::EINTR) => return Ok(Ready::default()),
            outcome => outcome?,
        };
        let any: Vec<_> = watched.iter().map(|watched| watched.any().unwrap_or(false)).collect();
        self.out_of_breath = false;
        let connections =
            self.connections.keys().zip(&any[clients_from..]).filter(|(_, any)| **any).map(|(id, _)| *id);
        let connections = connections.collect();
        Ok(Ready { signal: any[0], client: any[1], zones: any.get(zones_at) == Some(&true), connections })
    }

    fn accept(&mut self) {
        self.make_room();
        match self.listener.accept().and_then(|(stream, _)| Connection::new(stream)) {
            Ok(connection) => {
                self.last_id += 1;
                self.connections.insert(ConnectionId(self.last_id), connection);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                // Descriptors have run out; the one who is silent longest pays with its own.
                tracing::debug!("cannot accept a client: {error}");
                self.out_of_breath = true;
                self.close_most_silent();
            }
        }
    }

    fn make_room(&mut self) {
        if self.connections.len() >= CONNECTIONS_MAX {
            self.close_most_silent();
        }
    }

    /// varpd may be silent for days.
    fn close_most_silent(&mut self) {
        let clients = self.connections.iter().filter(|(id, _)| !self.driver.is_varpd(**id));
        let silent = clients.min_by_key(|(id, connection)| (connection.last_heard, **id));
        if let Some(id) = silent.map(|(id, _)| *id) {
            self.close(id);
        }
    }

    /// Reads what a client says, carries it out, and writes what there is to say to it.
    fn attend(&mut self, id: ConnectionId) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        self.clock += 1;
        let mut alive = connection.read(self.clock).is_ok();
        loop {
            let stalled = connection.session.stalled();
            while let Some(incoming) = connection.next_request() {
                let result = self.driver.call(id, incoming.request);
                connection.session.reply(incoming.id, result);
                self.pulse.beat(Instant::now());
                if self.driver.is_varpd(id) {
                    connection.session.trust();
                }
            }
            let full = stalled || connection.session.stalled();
            alive &= connection.write().is_ok();
            // Requests may wait behind answers that have only now been taken.
            if !alive || !full || connection.session.stalled() {
                break;
            }
        }
        alive &= !connection.is_over();
        self.connections.insert(id, connection);
        self.tell();
        if !alive {
            self.close(id);
        }
    }

    /// Asks varpd what frames wait for, as far as it takes it.
    fn ask(&mut self) {
        let varpd = self.driver.varpd().and_then(|id| self.connections.get(&id));
        let room = match varpd.map(|connection| &connection.session) {
            Some(session) if session.output().is_empty() => Room::All,
            Some(session) if !session.stalled() => Room::Some,
            _ => Room::None,
        };
        self.driver.ask(room);
        self.tell();
    }

    fn tell(&mut self) {
        for (id, event) in self.driver.take_events() {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.tell(event);
            if connection.write().is_err() {
                self.close(id);
            }
        }
    }

    fn close(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
        self.driver.closed(id);
    }
}
