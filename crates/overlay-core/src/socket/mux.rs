use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{options, ports};
use crate::offload::{Offload, OffloadSet};
use crate::sys;

/// How many source ports an underlay socket sends from, where the system lets it have as many.
pub const SOURCE_PORTS: usize = 256;

/// The dynamic range, which RFC 7348 section 5 names for source ports.
const PORT_LOW: u16 = 49152;
const PORT_COUNT: u16 = 65535 - PORT_LOW + 1;

/// The sockets of one listen address: datagrams come in on the listener and leave from the pool.
///
/// A UDP socket has one source port, and the checksum and segmentation of its datagrams are the kernel's work,
/// which a raw socket would give up; so each source port is a socket of its own (docs/adr/0003).
#[derive(Debug)]
pub struct MuxSockets {
    listener: UdpSocket,
    pool: Vec<UdpSocket>,
    offloads: OffloadSet,
    /// The same ports once more, for datagrams that may be divided on the way; not before the first of those (docs/adr/0012).
    loose: OnceLock<Vec<UdpSocket>>,
}

/// One of the sockets to send from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its number, which stands for its port.
    pub number: usize,
    /// Whether its datagrams may not be divided on the way.
    pub df: bool,
}

/// Why an underlay socket could not be opened, in words.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No interface has the address.
    #[error("address {} is not on this host", .0.ip())]
    NotLocal(SocketAddr),
    /// Another program has the port.
    #[error("UDP port {} of {} is held by another program", .0.port(), .0.ip())]
    Taken(SocketAddr),
    /// An overlay of this host has the port, to listen on or to send from.
    #[error("UDP port {} of {} is in use by the overlays that listen on {by}", address.port(), address.ip())]
    Ours {
        /// What was asked for.
        address: SocketAddr,
        /// Who has it.
        by: SocketAddr,
    },
    /// Ports below 1024 need a right.
    #[error("no right to use UDP port {} (it needs CAP_NET_BIND_SERVICE)", .0.port())]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot open UDP socket {address}: {error}")]
    System {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(address),
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::PermissionDenied => Self::Denied(address),
            _ => Self::System { address, error },
        }
    }
}

impl MuxSockets {
    /// Opens the listener and the pool of source ports. A `::` listener carries IPv4 as well.
    ///
    /// # Errors
    /// Why the address cannot be listened on, or not one source port be had.
    pub fn open(address: SocketAddr) -> Result<Self, BindError> {
        let failed = |error| BindError::new(address, error);
        let (listener, trains_in) = bound(address).and_then(options::for_listening).map_err(failed)?;
        let pool = source_ports(address).map_err(failed)?;
        let trains_out = pool.first().is_some_and(sys::can_send_trains);
        let found = [(trains_in, Offload::TrainsIn), (trains_out, Offload::TrainsOut)];
        let found = found.into_iter().filter(|(found, _)| *found);
        let offloads = found.fold(OffloadSet::default(), |set, (_, offload)| set.with(&[offload]));
        Ok(Self { listener: listener.into(), pool, offloads, loose: OnceLock::new() })
    }

    /// What the kernel can do for them.
    pub const fn offloads(&self) -> OffloadSet {
        self.offloads
    }

    /// The socket that datagrams arrive on.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Whether one of its sockets stands in the way of a listener on `address`.
    pub fn obstructs(&self, address: SocketAddr) -> bool {
        let own =
            [&self.listener].into_iter().chain(&self.pool).filter_map(|socket| socket.local_addr().ok());
        let overlaps = |own: SocketAddr| {
            own.ip() == address.ip() || own.ip().is_unspecified() || address.ip().is_unspecified()
        };
        own.into_iter().any(|own| own.port() == address.port() && overlaps(own))
    }

    /// Which of the sockets to send from a flow uses.
    pub const fn slot(&self, flow: u64) -> usize {
        (flow % self.pool.len() as u64) as usize
    }

    /// That socket. Where the system has no descriptors for one whose datagrams may be divided, the other of its port.
    pub fn sender(&self, slot: Slot) -> BorrowedFd<'_> {
        let loose = if slot.df { &[][..] } else { self.loose() };
        loose.get(slot.number).unwrap_or(&self.pool[slot.number]).as_fd()
    }

    /// The sockets whose datagrams may be divided on the way, opened when they are first asked for.
    pub fn loose(&self) -> &[UdpSocket] {
        self.loose.get_or_init(|| {
            let room = ports::affordable(SOURCE_PORTS);
            let opened = self.pool.iter().take(room).map(beside);
            // One that could not be had ends them: a place in the one pool is the same port's in the other.
            let opened: Vec<_> = opened.map_while(Result::ok).collect();
            if opened.len() < self.pool.len() {
                let (address, missing) = (self.listener.local_addr(), self.pool.len() - opened.len());
                tracing::warn!(
                    "{address:?}: no sockets for datagrams that may be fragmented on {missing} of its ports: there they may not"
                );
            }
            opened
        })
    }
}

/// A socket on the port of another one, whose datagrams may be divided on the way. Nobody else can join them: both let others
/// in only while this one is bound.
fn beside(first: &UdpSocket) -> io::Result<UdpSocket> {
    let first = SockRef::from(first);
    let address = first.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = unbound(address)?;
    socket.set_reuse_port(true)?;
    first.set_reuse_port(true)?;
    let outcome = socket.bind(&address.into());
    first.set_reuse_port(false)?;
    socket.set_reuse_port(false)?;
    outcome?;
    Ok(options::for_sending(socket, false)?.into())
}

/// Whether the host has the address now, whatever of its ports are taken.
///
/// # Errors
/// [`BindError::NotLocal`], or what else the system says.
pub fn check_local(address: SocketAddr) -> Result<(), BindError> {
    let any_port = SocketAddr::new(address.ip(), 0);
    bound(any_port).map(drop).map_err(|error| BindError::new(address, error))
}

pub(super) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = unbound(address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Takes source ports from a random place on, over those that others have; fewer when descriptors run out.
fn source_ports(listen: SocketAddr) -> io::Result<Vec<UdpSocket>> {
    let start = RandomState::new().hash_one(listen) as u16;
    let mut pool = Vec::with_capacity(SOURCE_PORTS);
    let mut refusal = io::ErrorKind::AddrInUse.into();
    // An odd step visits every port of the range once, and spreads what one host takes.
    let (reserved, room) = (ports::reserved(), ports::affordable(SOURCE_PORTS));
    let ports =
        (0..PORT_COUNT).map(|count| PORT_LOW + start.wrapping_add(count.wrapping_mul(61)) % PORT_COUNT);
    for port in ports.filter(|port| !reserved.contains(*port)) {
        match bound(SocketAddr::new(listen.ip(), port)).and_then(|socket| options::for_sending(socket, true))
        {
            Ok(socket) => pool.push(socket.into()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => {
                refusal = error;
                break;
            }
        }
        if pool.len() == room {
            break;
        }
    }
    if pool.is_empty() { Err(refusal) } else { Ok(pool) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::os::fd::AsRawFd;

    fn local() -> SocketAddr {
        // A port of the system's choice, free again at once: nobody else asks for it by number.
        UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn source_ports_are_many_and_in_the_dynamic_range() {
        let sockets = MuxSockets::open(local()).unwrap();
        let ports: HashSet<_> =
            sockets.pool.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), SOURCE_PORTS);
        assert!(ports.iter().all(|port| *port >= PORT_LOW));
        assert_eq!(sockets.slot(7), sockets.slot(7 + SOURCE_PORTS as u64));
    }

    #[test]
    fn a_port_has_a_socket_of_either_kind_and_lets_nobody_else_in() {
        for listen in [local(), "[::1]:0".parse().unwrap(), "[::]:0".parse().unwrap()] {
            let sockets = MuxSockets::open(listen).unwrap();
            let port = |fd: BorrowedFd<'_>| SockRef::from(&fd).local_addr().unwrap().as_socket().unwrap();
            for number in [0, 7, sockets.pool.len() - 1] {
                let [set, unset] = [true, false].map(|df| sockets.sender(Slot { number, df }));
                assert_eq!(port(set), port(unset));
                assert_ne!(set.as_raw_fd(), unset.as_raw_fd());
            }
            let taken = port(sockets.sender(Slot { number: 7, df: true }));
            let stranger = unbound(taken).unwrap();
            stranger.set_reuse_port(true).unwrap();
            assert_eq!(stranger.bind(&taken.into()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn a_flow_keeps_its_port_where_a_socket_is_missing() {
        let sockets = MuxSockets::open(local()).unwrap();
        let three = sockets.pool.iter().take(3).map(|first| beside(first).unwrap()).collect();
        sockets.loose.set(three).unwrap();
        for number in 0..5 {
            let ports = [true, false].map(|df| {
                let socket = sockets.sender(Slot { number, df });
                SockRef::from(&socket).local_addr().unwrap().as_socket().unwrap().port()
            });
            assert_eq!(ports[0], ports[1], "{number}");
        }
    }

    #[test]
    fn its_own_ports_are_known() {
        let address = local();
        let sockets = MuxSockets::open(address).unwrap();
        assert!(sockets.obstructs(address));
        assert!(sockets.obstructs(sockets.pool[7].local_addr().unwrap()));
        assert!(sockets.obstructs(SocketAddr::new([0, 0, 0, 0].into(), address.port())));
        assert!(!sockets.obstructs("127.0.0.2:4789".parse().unwrap()));
    }

    #[test]
    fn a_refused_address_is_told_in_words() {
        let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = MuxSockets::open(holder.local_addr().unwrap()).unwrap_err();
        assert!(matches!(taken, BindError::Taken(_)), "{taken}");
        // 192.0.2.0/24 is for documentation (RFC 5737): no host has an address of it.
        let foreign = MuxSockets::open("192.0.2.1:4789".parse().unwrap()).unwrap_err();
        assert_eq!(foreign.to_string(), "address 192.0.2.1 is not on this host");
        assert!(check_local("192.0.2.1:4789".parse().unwrap()).is_err());
        assert!(check_local(holder.local_addr().unwrap()).is_ok());
    }
}
