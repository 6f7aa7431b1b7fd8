//! Super-frames that go as one from end to end: seen whole on the device that they arrive at, with every octet right.

use std::iter::from_fn;
use std::net::IpAddr;
use std::time::Instant;

use overlay_core::types::MacAddr;
use overlay_tests::{
    Bursts, Family, Host, KernelPeer, LONG, Namespace, Plan, RawLink, Scene, Transfer, Underlay, Zone,
    inner_v4, inner_v6, underlay_v4,
};

const ON_IPV4: Plan = Plan { family: Family::V4, any_listener: false, underlay_mtu: 1500, mtu: 1450 };
const ON_IPV6: Plan = Plan { family: Family::V6, any_listener: false, underlay_mtu: 1500, mtu: 1430 };

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Octets of a datagram that fits every plan, with all headers.
const DATAGRAM: u16 = 1200;
/// Datagrams in one burst: no more than the kernel takes, and less than 64 KiB.
const BURST: usize = 40;
/// What a stream carries at the least.
const A_WHILE: u64 = 20_000_000;

/// A namespace with a device inside the overlay.
type End<'a> = (&'a Namespace, &'a str);

/// Looks at what arrives at a device from one address.
struct Watch {
    link: RawLink,
    sender: MacAddr,
    limit: usize,
}

impl Watch {
    fn new(from: End<'_>, to: End<'_>) -> Self {
        let text = |end: End<'_>, what: &str| end.0.device(end.1)[what].clone();
        let sender = text(from, "address").as_str().and_then(|text| text.parse().ok()).expect("an address");
        let mtu = text(to, "mtu").as_u64().and_then(|mtu| usize::try_from(mtu).ok()).expect("an MTU");
        Self { link: RawLink::open(to.0, to.1), sender, limit: mtu + 14 }
    }

    /// Waits for a frame longer than the device's MTU.
    #[track_caller]
    fn sees_one_whole(&self, kind: u16) {
        let long = |frame: &Vec<u8>| frame.len() > self.limit && frame[6..12] == self.sender.0;
        let end = Instant::now() + LONG;
        let mut seen = from_fn(|| self.link.receive(kind, end.saturating_duration_since(Instant::now())));
        assert!(seen.any(|frame| long(&frame)), "a frame of more than {} octets", self.limit);
    }
}

fn kind(at: IpAddr) -> u16 {
    if at.is_ipv4() { IPV4 } else { IPV6 }
}

#[track_caller]
fn a_stream_goes_whole(from: End<'_>, to: End<'_>, at: IpAddr) {
    let watch = Watch::new(from, to);
    let transfer = Transfer::start(from.0, to.0, at);
    watch.sees_one_whole(kind(at));
    transfer.wait_for_more(LONG, A_WHILE);
    transfer.finish();
}

#[track_caller]
fn bursts_go_whole(from: End<'_>, to: End<'_>, at: IpAddr) {
    let watch = Watch::new(from, to);
    let mut bursts = Bursts::new(from.0, to.0, at, DATAGRAM);
    bursts.send(BURST);
    watch.sees_one_whole(kind(at));
    [1, 2, 7, BURST].iter().for_each(|count| bursts.send(*count));
}

#[test]
fn what_the_kernels_device_sends_goes_up_whole() {
    for plan in [ON_IPV4, ON_IPV6] {
        let scene = Scene::kernel(plan);
        let (kernel, ours) = ((&scene.peer.net, "vx0"), (&scene.host.net, "foo0"));
        for at in [IpAddr::from(inner_v4(1)), inner_v6(1).into()] {
            a_stream_goes_whole(kernel, ours, at);
            bursts_go_whole(kernel, ours, at);
        }
    }
}

#[test]
fn what_the_kernels_device_is_sent_arrives_intact_and_its_streams_whole() {
    for plan in [ON_IPV4, ON_IPV6] {
        let scene = Scene::kernel(plan);
        let (ours, kernel) = ((&scene.host.net, "foo0"), (&scene.peer.net, "vx0"));
        for at in [IpAddr::from(inner_v4(2)), inner_v6(2).into()] {
            a_stream_goes_whole(ours, kernel, at);
            // The kernel puts datagrams together only for sockets that ask for it.
            let mut bursts = Bursts::new(ours.0, kernel.0, at, DATAGRAM);
            [BURST, 1, 2, 7, BURST].iter().for_each(|count| bursts.send(*count));
        }
    }
}

#[test]
fn ours_give_each_other_super_frames() {
    for plan in [ON_IPV4, ON_IPV6] {
        let scene = Scene::ours(plan);
        let (one, two) = ((&scene.host.net, "foo0"), (&scene.peer.net, "foo0"));
        for at in [IpAddr::from(inner_v4(2)), inner_v6(2).into()] {
            a_stream_goes_whole(one, two, at);
            bursts_go_whole(one, two, at);
        }
    }
}

/// Frames on an underlay that cuts them, and puts none together.
#[test]
fn ours_merge_what_arrives_in_single_datagrams() {
    let scene = Scene::ours(ON_IPV4);
    for (host, device) in [(&scene.host, &scene.underlay.one), (&scene.peer, &scene.underlay.two)] {
        Underlay::plain(&host.net, device);
        host.net.run(&["ethtool", "-K", device, "tx-udp-segmentation", "off"]).ok();
    }
    let (one, two) = ((&scene.host.net, "foo0"), (&scene.peer.net, "foo0"));
    a_stream_goes_whole(one, two, inner_v4(2).into());
}

#[test]
fn neighbours_are_handed_super_frames_whole() {
    let host = Host::started();
    let peer = KernelPeer::new();
    let _underlay = Underlay::join(&host.net, &peer.net, 1500);
    host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
    let [a, b] = [("a0", 1), ("b0", 2)].map(|(vnic, end)| {
        host.create_vnic(vnic, "demo0", &[]);
        Zone::holding(&host, vnic, end)
    });
    assert!(a.net.ping(inner_v4(2), 56, false), "they know each other");
    let before = host.counters("demo0");
    a_stream_goes_whole((&a.net, "a0"), (&b.net, "b0"), inner_v4(2).into());
    bursts_go_whole((&b.net, "b0"), (&a.net, "a0"), inner_v4(1).into());
    assert_eq!(host.counters("demo0").of("to-wire"), before.of("to-wire"), "nothing of it was on the wire");
}
