//! The engine allocates nothing for each frame or batch whose destination is known: two of them, with everything between a
//! program's socket and the underlay. Their rooms for batches grow for a while, a few times each; so the count is bounded,
//! and far below one in a hundred batches. As root.

mod counting;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use overlay_core::datapath::{OverlaySettings, PortPolicy};
use overlay_core::device::Namespace;
use overlay_core::encap;
use overlay_core::engine::userspace::UserspaceEngine;
use overlay_core::engine::{DeviceSpec, Engine, Existing, OverlaySpec};
use overlay_core::lookup::{About, Answer, Sources, TargetMode, Timing, Verdict};
use overlay_core::netlink::Netlink;
use overlay_core::types::{LinkId, MacAddr, OverlayMtu, Rate, VnetId};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Echoes, each of which is four batches.
const ECHOES: usize = 5000;
/// Octets of a stream.
const STREAM: usize = 50_000_000;
/// How often the rooms of both engines may still grow.
const GROWTH: u64 = 100;

/// A host: a namespace with an engine that has one overlay with one VNIC.
struct End {
    net: Namespace,
    engine: UserspaceEngine,
}

fn link(number: u32) -> LinkId {
    LinkId(number.try_into().expect("not 0"))
}

fn mac(end: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, end])
}

fn underlay(end: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, end], 4789))
}

fn inner(end: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 23, end).into()
}

/// Runs a command of the system in this thread's namespace.
fn system(words: &str) {
    let mut words = words.split(' ');
    let status = Command::new(words.next().expect("a program")).args(words).status();
    assert!(status.expect("it can be run").success());
}

fn spec(end: u8) -> OverlaySpec {
    let settings = OverlaySettings {
        target: Some(TargetMode::Dynamic),
        sources: Some(Sources::Any),
        ..OverlaySettings::plain(
            VnetId::new(23).expect("legal"),
            encap::by_name("vxlan").expect("it is there"),
        )
    };
    let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
    OverlaySpec { settings, listen: underlay(end), timing, targets_max: 65_536 }
}

fn device(end: u8, maxbw: Option<Rate>) -> DeviceSpec {
    DeviceSpec {
        link: link(2),
        name: "foo0".parse().expect("a name"),
        mac: mac(end),
        vid: None,
        mtu: OverlayMtu::default(),
        policy: PortPolicy { maxbw, ..PortPolicy::default() },
        zone: None,
    }
}

impl End {
    /// A host whose underlay device is `u0`, once it is there.
    fn new() -> Self {
        let net = Namespace::fresh().expect("root may make one");
        let engine = net.within(|| {
            for conf in ["all", "default"] {
                // What the system would say of itself over IPv6 is no hit. It may not know IPv6 at all.
                let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{conf}/disable_ipv6"), "1");
            }
            UserspaceEngine::start().expect("an engine")
        });
        Self { net, engine: engine.expect("it may be entered") }
    }

    fn furnish(&mut self, end: u8) {
        let engine = &mut self.engine;
        let furnished = self.net.within(|| {
            system(&format!("ip addr add {}/24 dev u0", underlay(end).ip()));
            system("ip link set u0 up");
            engine.set_overlay(link(1), &spec(end));
            engine.start(link(1)).expect("its address is free");
            engine.add_device(link(1), &device(end, None), Existing::Refuse).expect("a device");
            system("ip link set foo0 up");
            system(&format!("ip addr add {}/24 dev foo0", inner(end)));
            let other = 3 - end;
            system(&format!("ip neigh add {} lladdr {} dev foo0 nud permanent", inner(other), mac(other)));
        });
        furnished.expect("it may be entered");
        let verdict = Verdict::Learned(vec![underlay(3 - end)]);
        engine.learn(vec![Answer { link: link(1), about: About::Mac(mac(3 - end)), verdict }]);
    }

    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.net.within(work).expect("it may be entered")
    }

    fn limit(&mut self, end: u8, maxbw: Option<Rate>) {
        self.engine.change_device(link(1), &device(end, maxbw)).expect("it takes another policy");
    }

    fn frames(&self) -> u64 {
        let (counters, _) = self.engine.overlay_counters(link(1));
        counters.from_devices + counters.from_wire
    }
}

fn pair() -> [End; 2] {
    let mut ends = [End::new(), End::new()];
    let other = &ends[1].net;
    ends[0].within(|| {
        system("ip link add u0 type veth peer name u1");
        let mut netlink = Netlink::open().expect("a socket");
        let peer = netlink.device("u1").expect("it can be asked for").expect("it is there");
        netlink.move_to(peer.index, other.as_fd(), &peer.name).expect("it moves");
    });
    ends[1].within(|| system("ip link set u1 name u0"));
    (1..).zip(&mut ends).for_each(|(number, end)| end.furnish(number));
    ends
}

/// Sends small datagrams there and back, one at a time.
fn echo([one, two]: &[UdpSocket; 2]) {
    let mut buffer = [0; 64];
    for _ in 0..ECHOES {
        one.send(b"there").expect("it leaves");
        two.recv(&mut buffer).expect("it arrives");
        two.send(b"back").expect("it leaves");
        one.recv(&mut buffer).expect("it comes back");
    }
}

/// Sends a stream from one to the other.
fn stream(from: &mut TcpStream, to: &mut TcpStream) {
    let (block, mut room) = (vec![7; 128 * 1024], vec![0; 128 * 1024]);
    thread::scope(|scope| {
        scope.spawn(|| {
            counting::unwatch();
            let mut left = STREAM;
            while left > 0 {
                let len = left.min(block.len());
                from.write_all(&block[..len]).expect("it goes on");
                left -= len;
            }
        });
        let mut left = STREAM;
        while left > 0 {
            left -= to.read(&mut room).expect("it goes on");
        }
    });
}

#[test]
fn engines_allocate_nothing_for_a_frame_whose_destination_is_known() {
    counting::unwatch();
    let mut ends = pair();
    let limit = Some(Duration::from_secs(20));
    let udp = [(0, 1), (1, 2)].map(|(place, number): (usize, u8)| {
        let socket = ends[place].within(|| UdpSocket::bind((inner(number), 7000)).expect("an address"));
        socket.set_read_timeout(limit).expect("a time limit");
        socket.connect((inner(3 - number), 7000)).expect("a route");
        socket
    });
    let listener = ends[1].within(|| TcpListener::bind((inner(2), 7000)).expect("an address"));
    let mut from = ends[0].within(|| TcpStream::connect((inner(2), 7000)).expect("it is reached"));
    let (mut to, _) = listener.accept().expect("it connects");
    [&from, &to].iter().for_each(|socket| socket.set_read_timeout(limit).expect("a time limit"));
    let mut carry = || {
        echo(&udp);
        stream(&mut from, &mut to);
    };
    for maxbw in [None, "1G".parse().ok()] {
        (1..).zip(&mut ends).for_each(|(number, end)| end.limit(number, maxbw));
        // Until rooms are as large as such traffic needs them.
        carry();
        let (given, frames) = (counting::given(), ends.iter().map(End::frames).sum::<u64>());
        carry();
        let given = counting::given() - given;
        let frames = ends.iter().map(End::frames).sum::<u64>() - frames;
        assert!(frames > 4 * ECHOES as u64 + 2 * STREAM as u64 / 1460, "only {frames} frames were carried");
        assert!(given <= GROWTH, "{given} allocations for {frames} frames, limit {maxbw:?}");
    }
}
