//! What is measured, one round at a time.

use std::net::UdpSocket;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use overlay_tests::{Namespace, SHORT, inner_v4, wait_until};

use crate::figures::median;
use crate::rigs::Rig;

/// Octets of content in a small datagram, and in a large one, as QUIC sends them (RFC 9000 section 14).
const SMALL: usize = 64;
const LARGE: usize = 1200;

/// One of the measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    OneStream,
    FourStreams,
    SmallDatagrams,
    LargeDatagrams,
    RoundTrip,
}

impl Measure {
    /// The row's title.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneStream => "one TCP stream",
            Self::FourStreams => "four TCP streams",
            Self::SmallDatagrams => "64-byte datagrams that arrive",
            Self::LargeDatagrams => "1200-byte datagrams that arrive",
            Self::RoundTrip => "ping round trip, 2 ms apart",
        }
    }

    /// What a figure counts.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::OneStream | Self::FourStreams | Self::LargeDatagrams => "bit/s",
            Self::SmallDatagrams => "datagrams/s",
            Self::RoundTrip => "us",
        }
    }

    /// A figure with its unit.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::OneStream | Self::FourStreams | Self::LargeDatagrams => {
                format!("{:.2} Gbit/s", figure / 1e9)
            }
            Self::SmallDatagrams => format!("{:.0} k/s", figure / 1e3),
            Self::RoundTrip => format!("{figure:.0} us"),
        }
    }

    /// One round on a rig, in [`Measure::unit`].
    pub(crate) fn take(self, rig: &Rig, length: Duration) -> f64 {
        let [one, two] = &rig.zones;
        match self {
            Self::OneStream => streams(one, two, 1, length),
            Self::FourStreams => streams(one, two, 4, length),
            Self::SmallDatagrams => datagrams(one, two, SMALL, length),
            Self::LargeDatagrams => datagrams(one, two, LARGE, length) * (8 * LARGE) as f64,
            Self::RoundTrip => round_trip(one, length),
        }
    }
}

/// A server that ends with this value at the latest.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn streams(from: &Namespace, to: &Namespace, count: usize, length: Duration) -> f64 {
    let mut command = to.command(&["iperf3", "-s", "-1"]);
    let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("iperf3 is installed");
    let _server = Server(server);
    wait_until(SHORT, "iperf3 listens", || {
        let sockets = to.run(&["ss", "-Hltn"]).ok();
        if sockets.contains(":5201") { Ok(()) } else { Err(sockets) }
    });
    let (count, seconds, at) = (count.to_string(), length.as_secs().to_string(), inner_v4(2).to_string());
    let text = from.run(&["iperf3", "-c", &at, "-t", &seconds, "-P", &count, "-J"]).ok();
    let report: serde_json::Value = serde_json::from_str(&text).expect("iperf3 prints JSON");
    report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a figure")
}

/// Datagrams with `size` octets of content that arrive in a second, from a sender that never waits. Sender and receiver are
/// two threads of this process, whoever carries the datagrams.
fn datagrams(from: &Namespace, to: &Namespace, size: usize, length: Duration) -> f64 {
    let receiver = to.inside(|| UdpSocket::bind((inner_v4(2), 0))).expect("an address of that zone");
    let sender = from.inside(|| UdpSocket::bind((inner_v4(1), 0))).expect("an address of that zone");
    sender.connect(receiver.local_addr().expect("a bound socket")).expect("a route");
    receiver.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let arrivals = scope.spawn(|| count_arrivals(&receiver, size, &done));
        flood(&sender, size, length);
        done.store(true, Ordering::Relaxed);
        let arrived = arrivals.join().expect("a counter");
        arrived as f64 / length.as_secs_f64()
    })
}

fn flood(sender: &UdpSocket, size: usize, length: Duration) {
    let (start, content) = (Instant::now(), vec![0x5a; size]);
    while start.elapsed() < length {
        // A datagram that is refused is one that does not arrive.
        (0..64).for_each(|_| drop(sender.send(&content)));
    }
}

fn count_arrivals(receiver: &UdpSocket, size: usize, done: &AtomicBool) -> u64 {
    let mut arrived = 0;
    let mut buffer = vec![0; 2 * size];
    while !done.load(Ordering::Relaxed) {
        arrived += u64::from(receiver.recv(&mut buffer).is_ok_and(|len| len == size));
    }
    arrived
}

/// The median of the echoes' times, in microseconds.
fn round_trip(from: &Namespace, length: Duration) -> f64 {
    let (seconds, at) = (length.as_secs().to_string(), inner_v4(2).to_string());
    let text = from.run(&["ping", "-n", "-i", "0.002", "-w", &seconds, &at]).ok();
    let time = |line: &str| line.split("time=").nth(1)?.split(' ').next()?.parse::<f64>().ok();
    let times: Vec<_> = text.lines().filter_map(time).map(|milliseconds| milliseconds * 1000.0).collect();
    assert!(!times.is_empty(), "no echo came back:\n{text}");
    median(times)
}
