//! What a socket is set to, once, when it is made.

use std::io;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};
use socket2::{SockFilter, Socket};

use crate::sys;

/// Octets of datagrams that may wait on a socket: some milliseconds at 10 Gbit/s.
const BUFFER: usize = 4 << 20;

/// A socket that datagrams arrive on. Those with checksum 0 are taken over IPv6 too (RFC 7348 section 5,
/// RFC 6935 section 5): a tunnel end may send them. Comes with whether they may arrive in trains.
pub(super) fn for_listening(socket: Socket) -> io::Result<(Socket, bool)> {
    let wide = setsockopt(&socket, RcvBufForce, &BUFFER).is_ok();
    if !wide {
        socket.set_recv_buffer_size(BUFFER)?;
    }
    let v6 = socket.local_addr()?.is_ipv6();
    if v6 {
        sys::accept_zero_checksum(&socket)?;
    }
    sys::hear_tos(&socket, v6)?;
    // Kernels without it hand over each datagram alone.
    let trains = sys::accept_trains(&socket).is_ok();
    Ok((socket, trains))
}

/// A socket that datagrams only leave from: what is sent to it is refused by a filter of one instruction,
/// "return 0" (linux/bpf_common.h), and does not wait in memory for a reader. Its datagrams say that they may not be divided
/// on the way, or the system divides those that do not fit.
pub(super) fn for_sending(socket: Socket, df: bool) -> io::Result<Socket> {
    const BPF_RET_K: u16 = 0x06;
    socket.attach_filter(&[SockFilter::new(BPF_RET_K, 0, 0, 0)])?;
    let wide = setsockopt(&socket, SndBufForce, &BUFFER).is_ok();
    if !wide {
        socket.set_send_buffer_size(BUFFER)?;
    }
    sys::stamp_datagrams(&socket, socket.local_addr()?.is_ipv6(), df)?;
    Ok(socket)
}
