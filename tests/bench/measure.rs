//! What is measured, one round at a time.

use std::net::UdpSocket;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use overlay_tests::{Namespace, SHORT, inner_v4, wait_until};

use crate::rigs::Rig;

/// Octets of content in a datagram of the datagram measure.
const SMALL: usize = 64;

/// One of the measures.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measure {
    OneStream,
    FourStreams,
    Datagrams,
    RoundTrip,
}

impl Measure {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 4] = [Self::OneStream, Self::FourStreams, Self::Datagrams, Self::RoundTrip];

    /// The row's title.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneStream => "one TCP stream",
            Self::FourStreams => "four TCP streams",
            Self::Datagrams => "64-byte datagrams that arrive",
            Self::RoundTrip => "round trip (less is better)",
        }
    }

    /// A figure with its unit.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::OneStream | Self::FourStreams => format!("{:.2} Gbit/s", figure / 1e9),
            Self::Datagrams => format!("{:.0} k/s", figure / 1e3),
            Self::RoundTrip => format!("{figure:.0} us"),
        }
    }

    /// One round on a rig: bits per second, datagrams per second, or microseconds.
    pub(crate) fn take(self, rig: &Rig, length: Duration) -> f64 {
        let [one, two] = &rig.zones;
        match self {
            Self::OneStream => streams(one, two, 1, length),
            Self::FourStreams => streams(one, two, 4, length),
            Self::Datagrams => datagrams(one, two, length),
            Self::RoundTrip => round_trip(one, length),
        }
    }
}

/// The middle one of some figures; of the two in the middle, their mean.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
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

fn datagrams(from: &Namespace, to: &Namespace, length: Duration) -> f64 {
    let receiver = to.inside(|| UdpSocket::bind((inner_v4(2), 0))).expect("an address of that zone");
    let sender = from.inside(|| UdpSocket::bind((inner_v4(1), 0))).expect("an address of that zone");
    sender.connect(receiver.local_addr().expect("a bound socket")).expect("a route");
    receiver.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let arrivals = scope.spawn(|| count_arrivals(&receiver, &done));
        flood(&sender, length);
        done.store(true, Ordering::Relaxed);
        let arrived = arrivals.join().expect("a counter");
        arrived as f64 / length.as_secs_f64()
    })
}

fn flood(sender: &UdpSocket, length: Duration) {
    let (start, content) = (Instant::now(), [0x5a; SMALL]);
    while start.elapsed() < length {
        // A datagram that is refused is one that does not arrive.
        (0..64).for_each(|_| drop(sender.send(&content)));
    }
}

fn count_arrivals(receiver: &UdpSocket, done: &AtomicBool) -> u64 {
    let mut arrived = 0;
    let mut buffer = [0; 2 * SMALL];
    while !done.load(Ordering::Relaxed) {
        arrived += u64::from(receiver.recv(&mut buffer).is_ok());
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
