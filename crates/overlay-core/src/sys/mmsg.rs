//! Many datagrams with one system call.

use std::io;
use std::marker::PhantomData;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, cmsghdr, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage};
use socket2::SockAddr;

/// Octets in the largest datagram.
pub const DATAGRAM_MAX: usize = 65_536;

/// Room for datagrams to be received.
pub struct RecvBatch {
    octets: Vec<Box<[u8]>>,
    names: Vec<sockaddr_storage>,
    headers: Vec<mmsghdr>,
    vectors: Vec<iovec>,
    controls: Vec<Control>,
}

/// Room for the one control message that is asked for, a number (UDP_GRO, linux/udp.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    header: cmsghdr,
    number: c_int,
    padding: [u8; 12],
}
// SAFETY: CMSG_SPACE only computes.
const _: () = assert!(size_of::<Control>() >= unsafe { libc::CMSG_SPACE(4) } as usize);

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
}

impl RecvBatch {
    /// Room for `count` datagrams of any size.
    pub fn new(count: usize) -> Self {
        // SAFETY: all-zero octets are legal values of these types: numbers, octets and null pointers.
        let (name, header, vector, control) = unsafe { (zeroed(), zeroed(), zeroed(), zeroed()) };
        Self {
            octets: (0..count).map(|_| vec![0; DATAGRAM_MAX].into_boxed_slice()).collect(),
            names: vec![name; count],
            headers: vec![header; count],
            vectors: vec![vector; count],
            controls: vec![control; count],
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
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
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
        Some(Received { source: address(&self.names[place])?, octets, cut, train: self.train(place) })
    }
}

impl RecvBatch {
    fn train(&self, place: usize) -> Option<usize> {
        let (message, control) = (&self.headers[place].msg_hdr, &self.controls[place]);
        let whole = message.msg_controllen >= size_of::<cmsghdr>() + size_of::<c_int>();
        let asked = control.header.cmsg_level == libc::SOL_UDP && control.header.cmsg_type == libc::UDP_GRO;
        if whole && asked { usize::try_from(control.number).ok() } else { None }
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
    /// For each message, where its vectors end and how long its segments are.
    shapes: Vec<(usize, Option<u16>)>,
    vectors: Vec<iovec>,
    controls: Vec<SegmentControl>,
    headers: Vec<mmsghdr>,
}

/// The control message that has the system cut one message into datagrams (UDP_SEGMENT, linux/udp.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct SegmentControl {
    header: cmsghdr,
    size: u16,
    padding: [u8; 6],
}
// SAFETY: CMSG_SPACE only computes.
const _: () = assert!(size_of::<SegmentControl>() == unsafe { libc::CMSG_SPACE(2) } as usize);

/// Messages that are to be sent together, which borrow their octets until then.
pub struct Messages<'a> {
    room: &'a mut SendRoom,
    octets: PhantomData<&'a [u8]>,
}

impl SendRoom {
    /// No messages yet, for octets that live as long as the room is borrowed.
    pub fn begin(&mut self) -> Messages<'_> {
        self.addresses.clear();
        self.shapes.clear();
        self.vectors.clear();
        Messages { room: self, octets: PhantomData }
    }
}

impl<'a> Messages<'a> {
    /// Adds octets to the message that [`Messages::finish`] ends.
    pub fn add(&mut self, octets: &'a [u8]) {
        let vector = iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        self.room.vectors.push(vector);
    }

    /// Ends a message to `address`, which the system cuts into datagrams of `segment` octets where that is given.
    pub fn finish(&mut self, address: SockAddr, segment: Option<u16>) {
        self.room.addresses.push(address);
        self.room.shapes.push((self.room.vectors.len(), segment));
    }

    /// Sends them on one UDP socket without blocking, in their order; says how many the system took.
    ///
    /// # Errors
    /// The system's, for the first message; for a later one the count ends before it.
    pub fn send(self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let SendRoom { addresses, shapes, vectors, controls, headers } = self.room;
        controls.clear();
        controls.extend(shapes.iter().map(|(_, segment)| SegmentControl::new(segment.unwrap_or(0))));
        headers.clear();
        let mut start = 0;
        for ((address, (end, segment)), control) in
            addresses.iter().zip(shapes.iter()).zip(controls.iter_mut())
        {
            headers.push(header(address, &mut vectors[start..*end], segment.is_some().then_some(control)));
            start = *end;
        }
        let count = headers.len() as c_uint;
        // SAFETY: every header points to one address, some vectors and at most one control message of the room,
        // which have stayed in place since it was made; each vector points to octets that are borrowed for as long
        // as `self` is there; and the kernel only reads all that.
        let outcome =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(outcome).map_err(|_| io::Error::last_os_error())
    }
}

impl SegmentControl {
    fn new(size: u16) -> Self {
        // SAFETY: all-zero octets are a legal `cmsghdr`, and CMSG_LEN only computes.
        let (mut header, len): (cmsghdr, _) = unsafe { (zeroed(), libc::CMSG_LEN(2)) };
        header.cmsg_len = len as _;
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self { header, size, padding: [0; 6] }
    }
}

fn header(address: &SockAddr, vectors: &mut [iovec], control: Option<&mut SegmentControl>) -> mmsghdr {
    // SAFETY: all-zero octets are a legal `mmsghdr`.
    let mut header: mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
    header.msg_hdr.msg_namelen = address.len();
    header.msg_hdr.msg_iov = vectors.as_mut_ptr();
    header.msg_hdr.msg_iovlen = vectors.len() as _;
    if let Some(control) = control {
        header.msg_hdr.msg_control = (&raw mut *control).cast();
        header.msg_hdr.msg_controllen = size_of::<SegmentControl>() as _;
    }
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
            let mut room = SendRoom::default();
            let mut messages = room.begin();
            messages.add(b"one");
            messages.finish(address.clone(), None);
            messages.add(&big[..1]);
            messages.add(&big[1..]);
            messages.finish(address, None);
            assert_eq!(messages.send(sender.as_fd()).unwrap(), 2);
            let mut batch = RecvBatch::new(4);
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 2);
            let expected = Received { source: to.ip(), octets: b"one", cut: false, train: None };
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
        messages.finish(receiver.local_addr().unwrap().into(), Some(3));
        assert_eq!(messages.send(sender.as_fd()).unwrap(), 1);
        let mut batch = RecvBatch::new(4);
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 3);
        let parts: Vec<_> = (0..3).map(|place| batch.datagram(place).unwrap().octets).collect();
        assert_eq!(parts, [&b"abc"[..], b"def", b"gh"]);
    }
}
