use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use socket2::SockAddr;

use super::paths::Paths;
use crate::datapath::{DropReason, MuxCounters};
use crate::encap::{Df, Encap, Outer, TTL_DEFAULT};
use crate::offload::{Offload, Offloads};
use crate::protocol::MuxInfo;
use crate::socket::{BindError, MuxSockets, path_mtu};
use crate::sys::SOCKET_TTL;
use crate::types::{Moment, UnderlayMtu};

// A stamp that says nothing of its own is what a socket does by itself.
const _: () = assert!(SOCKET_TTL == TTL_DEFAULT);

/// An underlay socket, shared by every overlay with its listen address.
pub(super) struct Mux {
    pub(super) listen: SocketAddr,
    pub(super) encap: &'static dyn Encap,
    pub(super) sockets: MuxSockets,
    pub(super) counters: Arc<MuxCounters>,
    offloads: Offloads,
    paths: Paths,
}

impl Mux {
    pub(super) fn open(listen: SocketAddr, encap: &'static dyn Encap) -> Result<Self, BindError> {
        let sockets = MuxSockets::open(listen)?;
        let offloads = Offloads::new(sockets.offloads());
        let (counters, paths) = Default::default();
        Ok(Self { listen, encap, sockets, counters, offloads, paths })
    }

    /// Opens what datagrams with such an outer header need, so that no worker has to.
    pub(super) fn prepare(&self, outer: &Outer) {
        if outer.df != Df::Set {
            self.sockets.loose();
        }
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

    /// The largest packet that gets to a tunnel end inside a frame, with so many octets of headers between UDP's and it; one of
    /// `refused` octets was too big. None when the system does not say.
    pub(super) fn limit_to(
        &self,
        end: SocketAddr,
        headers: usize,
        refused: usize,
        now: Moment,
    ) -> Option<usize> {
        let inside = |mtu: UnderlayMtu| mtu.inside(end.is_ipv6(), headers);
        let ask = || path_mtu(self.listen.ip(), end).ok();
        self.paths.to(end, now, |mtu| inside(mtu) < refused, ask).map(inside)
    }

    /// Whether several datagrams may go as one message.
    pub(super) fn takes_trains(&self) -> bool {
        self.offloads.uses(Offload::TrainsOut)
    }

    /// Whether an error is about a train and not its datagrams, which then go one by one. Each such refusal counts;
    /// where it says that trains cannot be (`docs/counters.md` has all errors), none is tried again.
    pub(super) fn refuses_train(&self, error: &io::Error) -> bool {
        let Some(lasting) = refusal(error) else { return false };
        self.offloads.count_refusal();
        if lasting && self.offloads.switch_off(Offload::TrainsOut) {
            tracing::warn!("{}: no trains of datagrams any more ({error}): they go one by one", self.listen);
        }
        true
    }

    pub(super) fn info(&self) -> MuxInfo {
        MuxInfo {
            listen: self.listen,
            encap: self.encap.name().to_owned(),
            datagrams: self.counters.datagrams.load(Ordering::Relaxed),
            bad_header: self.counters.bad_header.load(Ordering::Relaxed),
            unknown_vnetid: self.counters.unknown_vnetid.load(Ordering::Relaxed),
            queue_full: crate::sys::dropped_in_queue(self.sockets.listener()).unwrap_or(0).into(),
            offloads: self.offloads.info(),
        }
    }
}

/// Whether the refusal of a train holds for all of them; none where it is not about trains (udp_send_skb and
/// __ip_append_data, net/ipv4).
fn refusal(error: &io::Error) -> Option<bool> {
    match error.raw_os_error()? {
        // Its device or its route cannot do trains: no checksums there (before Linux 6.11), or IPsec.
        libc::EIO | libc::EOPNOTSUPP => Some(true),
        // Its datagrams are longer than the path takes in one piece: alone they are fragmented, or refused as too big
        // themselves. Another train may fit.
        libc::EINVAL | libc::EMSGSIZE => Some(false),
        // No memory for so much at once: less is to be had, and more later.
        libc::ENOBUFS | libc::ENOMEM => Some(false),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encap::ENCAPS;

    fn mux() -> Mux {
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Mux::open(port, ENCAPS[0]).unwrap()
    }

    fn refuses(mux: &Mux, error: i32) -> bool {
        mux.refuses_train(&io::Error::from_raw_os_error(error))
    }

    #[test]
    fn a_path_that_cannot_do_trains_gets_none_any_more() {
        for error in [libc::EIO, libc::EOPNOTSUPP] {
            let mux = mux();
            assert!(mux.takes_trains());
            assert!(refuses(&mux, error) && refuses(&mux, error));
            assert!(!mux.takes_trains());
            let info = mux.info().offloads;
            assert_eq!((info.off, info.refused), (vec!["trains-out".to_owned()], 2));
            assert!(!info.on.contains(&"trains-out".to_owned()));
        }
    }

    #[test]
    fn a_train_that_is_too_long_or_finds_no_memory_says_nothing_of_the_next() {
        for error in [libc::EINVAL, libc::EMSGSIZE, libc::ENOBUFS, libc::ENOMEM] {
            let mux = mux();
            assert!(refuses(&mux, error));
            assert!(mux.takes_trains());
            assert_eq!((mux.info().offloads.off.len(), mux.info().offloads.refused), (0, 1));
        }
    }

    #[test]
    fn what_is_not_about_trains_is_no_refusal_of_one() {
        let mux = mux();
        for error in [libc::EAGAIN, libc::ENETUNREACH, libc::EPERM, libc::ECONNREFUSED] {
            assert!(!refuses(&mux, error));
        }
        assert_eq!(mux.info().offloads.refused, 0);
    }
}
