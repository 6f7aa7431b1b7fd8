//! Many datagrams with one system call.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_uint, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage};
use socket2::SockAddr;

/// Octets in the largest datagram.
pub const DATAGRAM_MAX: usize = 65_536;

/// Room for datagrams to be received.
pub struct RecvBatch {
    octets: Vec<Box<[u8]>>,
    names: Vec<sockaddr_storage>,
    headers: Vec<mmsghdr>,
    vectors: Vec<iovec>,
}

/// A datagram that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The sender's address; mapped IPv4 as IPv4.
    pub source: IpAddr,
    /// What it carries.
    pub octets: &'a [u8],
    /// Whether it was longer than there was room for.
    pub cut: bool,
}

impl RecvBatch {
    /// Room for `count` datagrams of any size.
    pub fn new(count: usize) -> Self {
        // SAFETY: all-zero octets are legal values of these types: numbers, octets and null pointers.
        let (name, header, vector) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            octets: (0..count).map(|_| vec![0; DATAGRAM_MAX].into_boxed_slice()).collect(),
            names: vec![name; count],
            headers: vec![header; count],
            vectors: vec![vector; count],
        }
    }

    /// Receives what is waiting on a UDP socket that does not block; says how many datagrams.
    ///
    /// # Errors
    /// The system's, `WouldBlock` when nothing is waiting.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for (place, header) in self.headers.iter_mut().enumerate() {
            let octets = &mut self.octets[place];
            self.vectors[place] = iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
            header.msg_hdr.msg_name = (&raw mut self.names[place]).cast();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as u32;
            header.msg_hdr.msg_iov = &raw mut self.vectors[place];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_flags = 0;
        }
        let count = self.headers.len() as c_uint;
        // SAFETY: every header points to one vector and one name of `self`, each vector to octets of `self`, and
        // all of them are exclusively borrowed and stay in place over the call.
        let outcome = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }

    /// The datagram at `place` of those last received; none when its sender's address is of no known family.
    pub fn datagram(&self, place: usize) -> Option<Received<'_>> {
        let header = &self.headers[place];
        let octets = &self.octets[place][..(header.msg_len as usize).min(DATAGRAM_MAX)];
        let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        Some(Received { source: address(&self.names[place])?, octets, cut })
    }
}

fn address(name: &sockaddr_storage) -> Option<IpAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: `sockaddr_storage` is as large as and no less aligned than `sockaddr_in`, and any octets
            // are a legal value of that.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<sockaddr_in>() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for `sockaddr_in6`.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<sockaddr_in6>() };
            Some(IpAddr::from(Ipv6Addr::from(v6.sin6_addr.s6_addr)).to_canonical())
        }
        _ => None,
    }
}

/// Room for the headers of datagrams to be sent, used again and again.
#[derive(Default)]
pub struct SendBatch {
    addresses: Vec<SockAddr>,
    headers: Vec<mmsghdr>,
    vectors: Vec<iovec>,
}

impl SendBatch {
    /// Sends datagrams on one UDP socket without blocking, in their order; says how many the system took.
    ///
    /// # Errors
    /// The system's, for the first datagram; for a later one the count ends before it.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (SockAddr, &'a [u8])>,
    ) -> io::Result<usize> {
        self.addresses.clear();
        self.vectors.clear();
        for (address, octets) in datagrams {
            self.addresses.push(address);
            self.vectors.push(iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() });
        }
        self.headers.clear();
        let messages = self.addresses.iter().zip(&mut self.vectors);
        self.headers.extend(messages.map(|(address, vector)| header(address, vector)));
        let count = self.headers.len() as c_uint;
        // SAFETY: every header points to one address and one vector of `self`, which have stayed in place since
        // it was made, each vector to octets that `'a` keeps over the call, and the kernel only reads all that.
        let outcome = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT)
        };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }
}

fn header(address: &SockAddr, vector: &mut iovec) -> mmsghdr {
    // SAFETY: all-zero octets are a legal `mmsghdr`.
    let mut header: mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
    header.msg_hdr.msg_namelen = address.len();
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn datagrams_arrive_in_order_with_their_sender() {
        for bind in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let receiver = UdpSocket::bind(bind).unwrap();
            let mut to = receiver.local_addr().unwrap();
            if to.ip().is_unspecified() {
                to.set_ip("::1".parse().unwrap());
            }
            let sender = UdpSocket::bind((to.ip(), 0)).unwrap();
            let address = SockAddr::from(to);
            let big = vec![7; 60_000];
            let datagrams = [(address.clone(), &b"one"[..]), (address, &big)];
            let sent = SendBatch::default().send(sender.as_fd(), datagrams.into_iter());
            assert_eq!(sent.unwrap(), 2);
            let mut batch = RecvBatch::new(4);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 2);
            let expected = Received { source: to.ip(), octets: b"one", cut: false };
            assert_eq!(batch.datagram(0), Some(expected));
            assert_eq!(batch.datagram(1).unwrap().octets, big);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
