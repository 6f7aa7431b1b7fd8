//! A thousand overlays on one host, and a target table of a million entries. Figures of this machine;
//! `docs/performance.md` says which bars they are held against.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use overlay_tests::{
    Daemon, Host, LONG, Namespace, SHORT, Underlay, Zone, inner_v4, resident_kib, underlay_v4, wait_until,
};

use crate::figures::median;
use crate::hits;
use crate::options::Extent;

/// Overlays on each of the two hosts, each with a VNIC.
const MANY: u32 = 1000;
/// The one that carries the stream.
const CHOSEN: u32 = MANY / 2;
/// Octets that are written to a stream at once.
const BLOCK: usize = 128 * 1024;

/// Measures and prints everything of this page.
pub(crate) fn run(extent: &Extent) {
    println!("scale: {} rounds, interleaved; medians\n", extent.rounds);
    hits::run(extent);
    let alone = Pair::start();
    let many = Pair::start();
    [&alone, &many].iter().for_each(|pair| pair.make([CHOSEN]));
    let before = Memory::of(&many.hosts[0]);
    let kernel = kernel_kib();
    let start = Instant::now();
    many.make_at(0, (0..MANY).filter(|number| *number != CHOSEN));
    let took = start.elapsed().as_secs_f64();
    let (after, kernel) = (Memory::of(&many.hosts[0]), kernel_kib().saturating_sub(kernel));
    show("1,000 overlays, each with a VNIC, are made by dladm", format!("{took:.1} s"), "bar: 60 s");
    let each = |kib: u64| format!("{:.1} KiB", kib as f64 / f64::from(MANY - 1));
    show("memory of overlayd for an idle one", each(after.overlayd - before.overlayd), "bar: 128 KiB");
    show("memory of varpd for it", each(after.varpd - before.varpd), "");
    show("memory of the kernel for it", each(kernel), "");
    many.make_at(1, (0..MANY).filter(|number| *number != CHOSEN));
    let [figures_alone, figures_many] = streams([&alone, &many], extent);
    let ratio = format!("{:.2}", figures_many / figures_alone);
    show("a stream on one of a thousand, and on one that is alone", ratio, "bar: 0.95");
    println!("  ({:.2} and {:.2} Gbit/s)", figures_many / 1e9, figures_alone / 1e9);
}

/// Prints one figure.
pub(crate) fn show(title: &str, figure: String, bar: &str) {
    println!("{title:<56} {figure:>16}   {bar}");
}

/// The medians of two pairs' streams, which take turns; who is first changes too.
fn streams(pairs: [&Pair; 2], extent: &Extent) -> [f64; 2] {
    let zones = pairs.map(Pair::zones);
    let mut figures = [Vec::new(), Vec::new()];
    for round in 0..extent.rounds {
        for turn in 0..2 {
            let pair = (round + turn) % 2;
            figures[pair].push(stream(&zones[pair], extent.length));
        }
    }
    figures.map(median)
}

/// Two hosts with overlays between them.
struct Pair {
    hosts: [Host; 2],
    _underlay: Underlay,
}

impl Pair {
    fn start() -> Self {
        let hosts = [Host::started(), Host::started()];
        let underlay = Underlay::join(&hosts[0].net, &hosts[1].net, 1500);
        Self { hosts, _underlay: underlay }
    }

    fn make(&self, numbers: impl IntoIterator<Item = u32> + Clone) {
        (0..2).for_each(|end| self.make_at(end, numbers.clone()));
    }

    /// Makes overlays with a VNIC each at one end.
    fn make_at(&self, end: usize, numbers: impl IntoIterator<Item = u32>) {
        let (own, other) = if end == 0 { (1, 2) } else { (2, 1) };
        for number in numbers {
            let (overlay, vnic) = (format!("many{number}"), vnic(number));
            let host = &self.hosts[end];
            let mtu = ["-p", "mtu=1450"];
            host.create_overlay(&overlay, 1 + number, underlay_v4(own), underlay_v4(other), &mtu);
            host.create_vnic(&vnic, &overlay, &[]);
        }
    }

    /// Zones with the VNICs of the chosen overlay, which reach each other.
    fn zones(&self) -> [Zone; 2] {
        let zone = |end: usize| Zone::holding(&self.hosts[end], &vnic(CHOSEN), end as u8 + 1);
        let zones = [zone(0), zone(1)];
        wait_until(SHORT, "the zones reach each other", || {
            let answered = zones[0].net.ping(inner_v4(2), 56, false);
            if answered { Ok(()) } else { Err("a ping without answer".to_owned()) }
        });
        zones
    }
}

fn vnic(number: u32) -> String {
    format!("card{number}")
}

/// Bits in a second of one TCP stream.
fn stream([from, to]: &[Zone; 2], length: Duration) -> f64 {
    let listener = listen(&to.net);
    let address = listener.local_addr().expect("a bound socket");
    let mut sender = from.net.inside(|| TcpStream::connect(address).expect("it is reached"));
    let (mut receiver, _) = listener.accept().expect("it connects");
    [&sender, &receiver].iter().for_each(|socket| {
        socket
            .set_read_timeout(Some(LONG))
            .and_then(|()| socket.set_write_timeout(Some(LONG)))
            .expect("limits");
    });
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(move || {
            let block = vec![0x5a; BLOCK];
            while start.elapsed() < length {
                sender.write_all(&block).expect("the stream goes on");
            }
        });
        let (mut room, mut octets) = (vec![0; BLOCK], 0);
        loop {
            match receiver.read(&mut room).expect("the stream goes on") {
                0 => break,
                count => octets += count,
            }
        }
        octets as f64 * 8.0 / start.elapsed().as_secs_f64()
    })
}

fn listen(net: &Namespace) -> TcpListener {
    net.inside(|| TcpListener::bind((inner_v4(2), 0)).expect("an address of that zone"))
}

/// What the daemons of a host have in use, in KiB.
struct Memory {
    overlayd: u64,
    varpd: u64,
}

impl Memory {
    fn of(host: &Host) -> Self {
        let of = |daemon| resident_kib(host.running(daemon).pid());
        Self { overlayd: of(Daemon::Overlayd), varpd: of(Daemon::Varpd) }
    }
}

/// What the kernel has taken for itself, in KiB: slabs, areas, and what it keeps for each processor (proc_meminfo(5)).
fn kernel_kib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("a list of memory");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    ["SUnreclaim", "VmallocUsed", "Percpu"].into_iter().filter_map(of).sum()
}
