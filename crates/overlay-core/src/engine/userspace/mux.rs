use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockAddr;

use crate::datapath::{DropReason, MuxCounters};
use crate::encap::Encap;
use crate::protocol::MuxInfo;
use crate::socket::{BindError, MuxSockets};

/// An underlay socket, shared by every overlay with its listen address.
pub(super) struct Mux {
    pub(super) listen: SocketAddr,
    pub(super) encap: &'static dyn Encap,
    pub(super) sockets: MuxSockets,
    pub(super) counters: Arc<MuxCounters>,
    no_trains: AtomicBool,
}

impl Mux {
    pub(super) fn open(listen: SocketAddr, encap: &'static dyn Encap) -> Result<Self, BindError> {
        let sockets = MuxSockets::open(listen)?;
        Ok(Self { listen, encap, sockets, counters: Arc::default(), no_trains: AtomicBool::new(false) })
    }

    /// A tunnel end as its sockets take it: on an IPv6 socket, IPv4 is mapped.
    pub(super) fn address(&self, destination: SocketAddr) -> SockAddr {
        match (self.listen, destination.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(v4)) => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), destination.port()).into()
            }
            _ => destination.into(),
        }
    }

    /// Whether several datagrams may go as one message.
    pub(super) fn takes_trains(&self) -> bool {
        !self.no_trains.load(Ordering::Relaxed)
    }

    /// Whether an error is about a train and not its datagrams, which then go one by one: this once where a datagram
    /// is longer than the way allows and has to be fragmented, and from now on where the device cannot do trains.
    pub(super) fn refuses_train(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::EINVAL | libc::EMSGSIZE) => true,
            Some(libc::EIO | libc::EOPNOTSUPP) => {
                if !self.no_trains.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{}: no trains of datagrams any more ({error}): they go one by one",
                        self.listen
                    );
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn info(&self) -> MuxInfo {
        MuxInfo {
            listen: self.listen,
            encap: self.encap.name().to_owned(),
            datagrams: self.counters.datagrams.load(Ordering::Relaxed),
            bad_header: self.counters.bad_header.load(Ordering::Relaxed),
            unknown_vnetid: self.counters.unknown_vnetid.load(Ordering::Relaxed),
            queue_full: crate::sys::dropped_in_queue(self.sockets.listener()).unwrap_or(0).into(),
            trains: self.takes_trains(),
        }
    }
}

/// Why a datagram was not sent.
pub(super) fn reason(error: &io::Error) -> DropReason {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EAFNOSUPPORT) => {
            DropReason::NoRoute
        }
        Some(libc::EMSGSIZE) => DropReason::UnderlayMtu,
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => DropReason::SendFull,
        _ => DropReason::SendRefused,
    }
}
