use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use overlay_core::control::Daemon;
use overlay_core::property::Assignment;
use overlay_core::protocol::{Request, Response};

use crate::{Host, LONG, Namespace, Transfer, wait_until};

/// Octets of content in the datagrams of a flood, and of the headers in front of it: Ethernet, IPv4, UDP.
const CONTENT: u64 = 1300;
const HEADERS: u64 = ETHERNET + 20 + 8;
const ETHERNET: u64 = 14;
/// Octets of a full frame with a TCP segment where the MTU is 1400, and of the content in it: IPv4 and TCP with timestamps
/// take 52.
const FRAME: f64 = 1414.0;
const SEGMENT: f64 = 1348.0;

/// Datagrams from one namespace to another as fast as their sender can, for nobody who reads them.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
    _receiver: UdpSocket,
}

impl Flood {
    /// Starts one to an address of `to`.
    ///
    /// # Panics
    /// The sockets cannot be made.
    #[track_caller]
    pub fn start(from: &Namespace, to: &Namespace, at: impl Into<IpAddr>) -> Self {
        let at = at.into();
        let receiver = to.inside(|| UdpSocket::bind((at, 0))).expect("an address of that namespace");
        let sender = from.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("any address");
        sender.connect(receiver.local_addr().expect("a bound socket")).expect("a route to it");
        let stop = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&stop);
        let sender = thread::spawn(move || {
            let content = [0x5a; CONTENT as usize];
            while !asked.load(Ordering::Relaxed) {
                // A datagram that the system does not take is one less.
                let _ = sender.send(&content);
            }
        });
        Self { stop, sender: Some(sender), _receiver: receiver }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.sender.take().map(JoinHandle::join);
    }
}

/// A device inside the overlay at which something arrives.
#[derive(Debug, Clone, Copy)]
pub struct Sink<'a> {
    net: &'a Namespace,
    device: &'a str,
    /// Octets of headers that the device counts for each packet.
    headers: u64,
}

impl<'a> Sink<'a> {
    /// A VNIC of ours.
    pub const fn vnic(net: &'a Namespace, device: &'a str) -> Self {
        Self { net, device, headers: HEADERS }
    }

    /// A device of the kernel's vxlan, which does not count Ethernet headers.
    pub const fn kernels(net: &'a Namespace, device: &'a str) -> Self {
        Self { net, device, headers: HEADERS - ETHERNET }
    }

    /// Octets of a flood's frames that have arrived. Packets may have been put together, which then have one header.
    ///
    /// # Panics
    /// The device is not there.
    #[track_caller]
    pub fn flooded(&self) -> f64 {
        let stats = &self.net.device(self.device)["stats64"]["rx"];
        let count = |what: &str| stats[what].as_u64().expect("a counter");
        let content = count("bytes").saturating_sub(count("packets") * self.headers);
        content as f64 / CONTENT as f64 * (CONTENT + HEADERS) as f64
    }
}

impl Transfer {
    /// Octets of the frames that have arrived, where the MTU is 1400.
    pub fn streamed(&self) -> f64 {
        self.received() as f64 / SEGMENT * FRAME
    }
}

/// Lets time pass while something arrives.
pub fn pass(length: Duration) {
    let start = Instant::now();
    let over = || if start.elapsed() >= length { Ok(()) } else { Err("it is not over".to_owned()) };
    wait_until(length + LONG, "time passes", over);
}

/// The rate at which octets arrive, in bits per second: the median of `count` windows.
pub fn rate(window: Duration, count: usize, octets: impl Fn() -> f64) -> f64 {
    let look = || {
        let before = Instant::now();
        let count = octets();
        // In the middle of what it takes to look.
        (before + before.elapsed() / 2, count)
    };
    let mut last = look();
    let mut rates: Vec<f64> = (0..count)
        .map(|_| {
            pass(window);
            let now = look();
            let rate = (now.1 - last.1) * 8.0 / (now.0 - last.0).as_secs_f64();
            last = now;
            rate
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[count / 2]
}

impl Host {
    /// Sets a link property while the link runs.
    ///
    /// # Panics
    /// It is refused.
    #[track_caller]
    pub fn set_link_property(&self, link: &str, property: &str, value: &str) {
        let (name, properties) = (link.parse().expect("a link name"), vec![Assignment::new(property, value)]);
        let set = Request::SetLinkProperties { name, properties, temporary: false };
        assert_eq!(self.ask(Daemon::Overlayd, set), Response::Done);
    }

    /// Gives a link property its default again.
    ///
    /// # Panics
    /// It is refused.
    #[track_caller]
    pub fn reset_link_property(&self, link: &str, property: &str) {
        let (name, properties) = (link.parse().expect("a link name"), vec![property.to_owned()]);
        let reset = Request::ResetLinkProperties { name, properties, temporary: false };
        assert_eq!(self.ask(Daemon::Overlayd, reset), Response::Done);
    }
}
