//! Many datagrams with one system call.

use std::io;
use std::marker::PhantomData;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_uint, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage};
use socket2::SockAddr;

use super::control::{Control, Shape, Told};

/// Octets in the largest datagram.
pub const DATAGRAM_MAX: usize = 65_536;

/// Room for datagrams to be received.
pub struct RecvBatch {
    octets: Vec<Box<[u8]>>,
    names: Vec<sockaddr_storage>,
    headers: Vec<mmsghdr>,
    vectors: Vec<iovec>,
    controls: Vec<[Control; CONTROLS]>,
}

/// Control messages beside one datagram: how long those are that it is of (UDP_GRO, linux/udp.h), and its type of service
/// as either version of IP has it.
const CONTROLS: usize = 3;

/// A datagram that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The sender's address; mapped IPv4 as IPv4.
    pub source: IpAddr,
    /// What it carries.
    pub octets: &'a [u8],
    /// Whether it was longer than there was room for.
    pub cut: bool,
    /// How long its datagrams are, when the system has put several together.
    pub train: Option<usize>,
    /// Its type of service, or traffic class; 0 where the system does not say.
    pub tos: u8,
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
            controls: vec![[Control::empty(); CONTROLS]; count],
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
            header.msg_hdr.msg_control = (&raw mut self.controls[place]).cast();
            header.msg_hdr.msg_controllen = size_of::<[Control; CONTROLS]>() as _;
            header.msg_hdr.msg_flags = 0;
        }
        let count = self.headers.len() as c_uint;
        // SAFETY: every header points to one vector, name and control message of `self`, each vector to its octets, and
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
        let told = self.told(place);
        Some(Received {
            source: address(&self.names[place])?,
            octets,
            cut,
            train: told.train(),
            tos: told.tos(),
        })
    }

    /// The octets of the datagram at `place`, to be changed in place, with its train and type of service.
    pub fn octets_mut(&mut self, place: usize) -> (&mut [u8], Option<usize>, u8) {
        let told = self.told(place);
        let (train, tos) = (told.train(), told.tos());
        let len = (self.headers[place].msg_len as usize).min(DATAGRAM_MAX);
        (&mut self.octets[place][..len], train, tos)
    }

    fn told(&self, place: usize) -> Told<'_> {
        let count = self.headers[place].msg_hdr.msg_controllen / size_of::<Control>();
        Told(&self.controls[place][..count.min(CONTROLS)])
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

/// Room for the headers of messages to be sent, used again and again.
#[derive(Default)]
pub struct SendRoom {
    addresses: Vec<SockAddr>,
    /// For each message, where its vectors and its control messages end.
    ends: Vec<(usize, usize)>,
    vectors: Vec<iovec>,
    controls: Vec<Control>,
    headers: Vec<mmsghdr>,
}

/// Messages that are to be sent together, which borrow their octets until then.
pub struct Messages<'a> {
    room: &'a mut SendRoom,
    octets: PhantomData<&'a [u8]>,
}

impl SendRoom {
    /// No messages yet, for octets that live as long as the room is borrowed.
    pub fn begin(&mut self) -> Messages<'_> {
        self.addresses.clear();
        self.ends.clear();
        self.vectors.clear();
        self.controls.clear();
        Messages { room: self, octets: PhantomData }
    }
}

impl<'a> Messages<'a> {
    /// Adds octets to the message that [`Messages::finish`] ends.
    pub fn add(&mut self, octets: &'a [u8]) {
        let vector = iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        self.room.vectors.push(vector);
    }

    /// Ends a message to `address`.
    pub fn finish(&mut self, address: SockAddr, shape: Shape) {
        self.room.controls.extend(Control::telling(shape, &address));
        self.room.addresses.push(address);
        self.room.ends.push((self.room.vectors.len(), self.room.controls.len()));
    }

    /// Sends them on one UDP socket without blocking, in their order; says how many the system took.
    ///
    /// # Errors
    /// The system's, for the first message; for a later one the count ends before it.
    pub fn send(self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let SendRoom { addresses, ends, vectors, controls, headers } = self.room;
        headers.clear();
        let mut start = (0, 0);
        for (address, end) in addresses.iter().zip(ends.iter()) {
            let pieces = &mut vectors[start.0..end.0];
            headers.push(header(address, pieces, &mut controls[start.1..end.1]));
            start = *end;
        }
        let count = headers.len() as c_uint;
        // SAFETY: every header points to one address, some vectors and some control messages of the room,
        // which have stayed in place since it was made; each vector points to octets that are borrowed for as long
        // as `self` is there; and the kernel only reads all that.
        let outcome =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }
}

fn header(address: &SockAddr, vectors: &mut [iovec], controls: &mut [Control]) -> mmsghdr {
    // SAFETY: all-zero octets are a legal `mmsghdr`.
    let mut header: mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
    header.msg_hdr.msg_namelen = address.len();
    header.msg_hdr.msg_iov = vectors.as_mut_ptr();
    header.msg_hdr.msg_iovlen = vectors.len() as _;
    if !controls.is_empty() {
        header.msg_hdr.msg_control = controls.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = size_of_val(controls) as _;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::super::{SOCKET_TTL, hear_tos, stamp_datagrams};
    use super::*;
    use std::net::{SocketAddr, UdpSocket};
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
            let mut room = SendRoom::default();
            let mut messages = room.begin();
            messages.add(b"one");
            messages.finish(address.clone(), Shape::default());
            messages.add(&big[..1]);
            messages.add(&big[1..]);
            messages.finish(address, Shape::default());
            assert_eq!(messages.send(sender.as_fd()).unwrap(), 2);
            let mut batch = RecvBatch::new(4);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 2);
            let expected = Received { source: to.ip(), octets: b"one", cut: false, train: None, tos: 0 };
            assert_eq!(batch.datagram(0), Some(expected));
            assert_eq!(batch.datagram(1).unwrap().octets, big);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn one_message_becomes_a_train_of_datagrams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut room = SendRoom::default();
        let mut messages = room.begin();
        messages.add(b"abcde");
        messages.add(b"fgh");
        let shape = Shape { segment: Some(3), ..Shape::default() };
        messages.finish(receiver.local_addr().unwrap().into(), shape);
        assert_eq!(messages.send(sender.as_fd()).unwrap(), 1);
        let mut batch = RecvBatch::new(4);
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 3);
        let parts: Vec<_> = (0..3).map(|place| batch.datagram(place).unwrap().octets).collect();
        assert_eq!(parts, [&b"abc"[..], b"def", b"gh"]);
    }

    #[test]
    fn a_datagram_arrives_with_the_type_of_service_it_was_given() {
        for (bind, to) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "::1"),
            ("[::]:0", "::ffff:127.0.0.1"),
        ] {
            let receiver = UdpSocket::bind(bind).unwrap();
            let v6 = receiver.local_addr().unwrap().is_ipv6();
            hear_tos(&receiver, v6).unwrap();
            let to = SocketAddr::new(to.parse().unwrap(), receiver.local_addr().unwrap().port());
            let sender = UdpSocket::bind(if v6 { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
            stamp_datagrams(&sender, v6, true).unwrap();
            let mut room = SendRoom::default();
            let mut messages = room.begin();
            for (tos, ttl) in [(0, SOCKET_TTL), (0xb9, SOCKET_TTL), (0xff, 1), (0, 200)] {
                messages.add(b"x");
                messages.finish(to.into(), Shape { segment: None, ttl, tos });
            }
            assert_eq!(messages.send(sender.as_fd()).unwrap(), 4);
            let mut batch = RecvBatch::new(4);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 4);
            assert_eq!(
                [0, 1, 2, 3].map(|place| batch.datagram(place).unwrap().tos),
                [0, 0xb9, 0xff, 0],
                "{to}"
            );
        }
    }
}
