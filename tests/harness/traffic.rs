use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;

use crate::{LONG, Namespace, wait_until};

/// Octets of content made at a time.
const BLOCK: usize = 64 * 1024;

/// How long a stream may stand still.
const STALL: Duration = Duration::from_secs(40);

/// Pseudo-random octets that depend on a seed alone (xorshift64*, Vigna 2016).
#[derive(Debug)]
struct Content {
    state: u64,
    block: Vec<u8>,
    used: usize,
}

impl Content {
    fn new(seed: u64) -> Self {
        Self { state: seed | 1, block: vec![0; BLOCK], used: BLOCK }
    }

    /// The next octets: at least one.
    fn next(&mut self) -> &[u8] {
        if self.used == BLOCK {
            self.refill();
        }
        &self.block[self.used..]
    }

    /// The next `count` octets.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let octets = self.next();
            let part = octets.len().min(count - taken.len());
            taken.extend(&octets[..part]);
            self.used += part;
        }
        taken
    }

    fn refill(&mut self) {
        for word in self.block.as_chunks_mut::<8>().0 {
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            *word = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        }
        self.used = 0;
    }
}

/// A TCP stream of pseudo-random content that goes on until it is finished.
#[derive(Debug)]
pub struct Transfer {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Transfer {
    /// Starts one from a namespace to an address of another.
    #[track_caller]
    pub fn start(from: &Namespace, to: &Namespace, at: impl Into<IpAddr>) -> Self {
        Self::bounded(from, to, at.into(), u64::MAX)
    }

    #[track_caller]
    fn bounded(from: &Namespace, to: &Namespace, at: IpAddr, limit: u64) -> Self {
        let (here, there) = connect(from, to, at).expect("a connection through the overlay");
        let seed = u64::from(here.local_addr().expect("a connected socket").port());
        let (received, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (progress, asked) = (Arc::clone(&received), Arc::clone(&stop));
        let sender = thread::spawn(move || {
            let go_on = |sent| sent < limit && !asked.load(Ordering::Relaxed);
            send(&here, seed, limit, go_on).expect("a stream that takes all content")
        });
        let receiver = thread::spawn(move || {
            receive(&there, seed, &progress).expect("a stream that goes on to its end")
        });
        Self { received, stop, sender, receiver }
    }

    /// The octets that have arrived so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits until `octets` more have arrived.
    ///
    /// # Panics
    /// They do not within `limit`.
    #[track_caller]
    pub fn wait_for_more(&self, limit: Duration, octets: u64) {
        let goal = self.received() + octets;
        wait_until(limit, "the transfer goes on", || {
            let received = self.received();
            if received >= goal { Ok(()) } else { Err(format!("{received} of {goal} octets")) }
        });
    }

    /// Ends it and returns how many octets arrived, each of them the right one.
    ///
    /// # Panics
    /// Content was lost or changed, or the stream stood still.
    #[track_caller]
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    #[track_caller]
    fn join(self) -> u64 {
        let sent = self.sender.join().expect("the sender ends well");
        let received = self.receiver.join().expect("the receiver ends well");
        assert_eq!(sent, received, "octets sent and received");
        received
    }
}

/// Copies pseudo-random content by TCP and compares every octet that arrives.
///
/// # Panics
/// It does not arrive, or not as it was sent.
#[track_caller]
pub fn tcp_copy(from: &Namespace, to: &Namespace, at: impl Into<IpAddr>, octets: u64) {
    assert_eq!(Transfer::bounded(from, to, at.into(), octets).join(), octets);
}

fn connect(from: &Namespace, to: &Namespace, at: IpAddr) -> io::Result<(TcpStream, TcpStream)> {
    let listener = to.inside(|| TcpListener::bind((at, 0)))?;
    let address = listener.local_addr()?;
    let here = from.inside(|| TcpStream::connect_timeout(&address, LONG))?;
    let (there, _) = listener.accept()?;
    here.set_write_timeout(Some(STALL))?;
    there.set_read_timeout(Some(STALL))?;
    Ok((here, there))
}

fn send(mut stream: &TcpStream, seed: u64, limit: u64, go_on: impl Fn(u64) -> bool) -> io::Result<u64> {
    let mut content = Content::new(seed);
    let mut sent = 0;
    while go_on(sent) {
        let octets = content.next();
        let room = usize::try_from(limit - sent).unwrap_or(usize::MAX).min(octets.len());
        let count = stream.write(&octets[..room])?;
        content.used += count;
        sent += count as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(sent)
}

fn receive(mut stream: &TcpStream, seed: u64, progress: &AtomicU64) -> io::Result<u64> {
    let (mut content, mut buffer) = (Content::new(seed), vec![0; BLOCK]);
    loop {
        let expected = content.next();
        let count = stream.read(&mut buffer[..expected.len()])?;
        if count == 0 {
            return Ok(progress.load(Ordering::Relaxed));
        }
        let before = progress.fetch_add(count as u64, Ordering::Relaxed);
        assert!(buffer[..count] == expected[..count], "content changed after octet {before}");
        content.used += count;
    }
}

/// A pair of UDP sockets that send each other's datagrams back.
#[derive(Debug)]
pub struct Echo {
    client: UdpSocket,
    server: UdpSocket,
}

impl Echo {
    /// Between a namespace and an address of another.
    ///
    /// # Panics
    /// The sockets cannot be made.
    #[track_caller]
    pub fn new(from: &Namespace, to: &Namespace, at: impl Into<IpAddr>) -> Self {
        let at = at.into();
        let any = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let server = to.inside(|| UdpSocket::bind((at, 0))).expect("an address of that namespace");
        let client = from.inside(|| UdpSocket::bind(any)).expect("any address");
        client.connect(server.local_addr().expect("a bound socket")).expect("a route to it");
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
        }
        Self { client, server }
    }

    /// Sends a datagram with `size` octets there and back, and says what went wrong if something did.
    ///
    /// # Errors
    /// The datagram did not arrive, or not as it was sent.
    pub fn round(&self, size: usize) -> Result<(), String> {
        let mut content = Content::new(size as u64);
        let sent = &content.next()[..size];
        let mut buffer = vec![0; BLOCK];
        self.client.send(sent).map_err(|error| format!("{size} octets: sending: {error}"))?;
        let there = self.server.recv_from(&mut buffer);
        let (count, from) = there.map_err(|error| format!("{size} octets: on the way there: {error}"))?;
        let back = self.server.send_to(&buffer[..count], from);
        back.map_err(|error| format!("{size} octets: sending back: {error}"))?;
        let count = self
            .client
            .recv(&mut buffer)
            .map_err(|error| format!("{size} octets: on the way back: {error}"))?;
        if buffer[..count] == *sent {
            Ok(())
        } else {
            Err(format!("{size} octets: {count} others came back"))
        }
    }
}

/// Sends one datagram from an address of a namespace.
///
/// # Panics
/// The system refuses.
#[track_caller]
pub fn udp_send(from: &Namespace, source: impl Into<IpAddr>, to: SocketAddr, octets: &[u8]) {
    let source = source.into();
    let socket = from.inside(|| UdpSocket::bind((source, 0))).expect("an address of that namespace");
    socket.set_broadcast(true).expect("broadcasts allowed");
    assert_eq!(socket.send_to(octets, to).expect("a datagram is taken"), octets.len());
}

/// The next datagram that arrives within a second, if one does.
///
/// # Panics
/// The socket fails otherwise.
#[track_caller]
pub fn udp_receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    let mut buffer = vec![0; BLOCK];
    match socket.recv(&mut buffer) {
        Ok(count) => Some(buffer[..count].to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("cannot receive: {error}"),
    }
}

/// Datagrams that leave in bursts, each handed to the kernel as one super-frame (UDP_SEGMENT, udp(7)).
#[derive(Debug)]
pub struct Bursts {
    sender: UdpSocket,
    receiver: UdpSocket,
    size: usize,
    content: Content,
}

impl Bursts {
    /// From a namespace to an address of another, in datagrams of `size` octets.
    ///
    /// # Panics
    /// The sockets cannot be made.
    #[track_caller]
    pub fn new(from: &Namespace, to: &Namespace, at: impl Into<IpAddr>, size: u16) -> Self {
        let at = at.into();
        let any = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let receiver = to.inside(|| UdpSocket::bind((at, 0))).expect("an address of that namespace");
        let sender = from.inside(|| UdpSocket::bind(any)).expect("any address");
        sender.connect(receiver.local_addr().expect("a bound socket")).expect("a route to it");
        setsockopt(&sender, UdpGsoSegment, &size.into()).expect("a kernel that cuts datagrams");
        receiver.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
        Self { sender, receiver, size: size.into(), content: Content::new(u64::from(size)) }
    }

    /// Sends `count` datagrams and a shorter one as one burst.
    ///
    /// # Panics
    /// One of them does not arrive, or not in its turn, or not as it was sent.
    #[track_caller]
    pub fn send(&mut self, count: usize) {
        let burst = self.content.take(count * self.size + self.size / 2);
        assert_eq!(self.sender.send(&burst).expect("a burst is taken"), burst.len());
        let mut buffer = vec![0; BLOCK];
        for (number, datagram) in burst.chunks(self.size).enumerate() {
            let arrived = self.receiver.recv(&mut buffer);
            let arrived = arrived.unwrap_or_else(|error| panic!("datagram {number} of {count}: {error}"));
            assert!(buffer[..arrived] == *datagram, "datagram {number} of {count} is another");
        }
    }
}
