use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};

use crate::Namespace;

/// A packet socket on a device: whole frames, past the network stack (packet(7)).
#[derive(Debug)]
pub struct RawLink {
    socket: OwnedFd,
    device: LinkAddr,
}

impl RawLink {
    /// On a device of a namespace.
    ///
    /// # Panics
    /// It is not there, or the system refuses.
    #[track_caller]
    pub fn open(namespace: &Namespace, device: &str) -> Self {
        namespace.inside(|| {
            let kind = (AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK);
            let socket = socket(kind.0, kind.1, kind.2, SockProtocol::EthAll).expect("root may");
            let mut all = getifaddrs()
                .expect("the devices of the namespace")
                .filter(|one| one.interface_name == device);
            let found = all.find_map(|one| one.address?.as_link_addr().copied());
            let device = found.unwrap_or_else(|| panic!("no device {device}"));
            bind(socket.as_raw_fd(), &device).expect("a device that is up");
            Self { socket, device }
        })
    }

    /// Sends a frame through the device.
    ///
    /// # Panics
    /// The system refuses for another reason than that the device's queue is full just now.
    #[track_caller]
    pub fn send(&self, frame: &[u8]) {
        loop {
            match sendto(self.socket.as_raw_fd(), frame, &self.device, MsgFlags::empty()) {
                Ok(_) => return,
                Err(nix::Error::EAGAIN | nix::Error::ENOBUFS) => {
                    self.wait(PollFlags::POLLOUT, Duration::from_millis(100));
                }
                Err(error) => panic!("cannot send a frame: {error}"),
            }
        }
    }

    /// The next frame of an EtherType that has gone in or out there, if one has or does within `limit`. Beside a stream
    /// some are missed: the socket holds few.
    ///
    /// # Panics
    /// The socket fails.
    pub fn receive(&self, kind: u16, limit: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + limit;
        loop {
            let frame = self.next(end - Instant::now().min(end))?;
            if frame[12..14] == kind.to_be_bytes() {
                return Some(frame);
            }
        }
    }

    /// The next frame of whatever kind.
    ///
    /// # Panics
    /// The socket fails.
    pub fn next(&self, limit: Duration) -> Option<Vec<u8>> {
        let (end, mut buffer) = (Instant::now() + limit, vec![0; 65_536]);
        while Instant::now() < end {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(count) => return Some(buffer[..count].to_vec()),
                Err(nix::Error::EAGAIN) => self.wait(PollFlags::POLLIN, end - Instant::now().min(end)),
                Err(error) => panic!("cannot receive: {}", io::Error::from(error)),
            }
        }
        None
    }

    fn wait(&self, what: PollFlags, limit: Duration) {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [PollFd::new(self.socket.as_fd(), what)], limit);
    }
}
