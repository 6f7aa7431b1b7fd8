//! Our host against the kernel's own vxlan device, which cannot tell that the other end is not the kernel.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use nix::net::if_::if_nametoindex;
use overlay_tests::{
    Echo, Family, KernelPeer, Namespace, Plan, SHORT, Scene, Underlay, inner_v4, inner_v6, tcp_copy,
    udp_receive, udp_send, wait_until,
};

/// What each way has to carry intact.
const HUNDRED_MEGABYTES: u64 = 100 * 1000 * 1000;

/// Octets of the headers of an ICMP echo request in an IPv4 packet.
const ECHO_HEADERS: usize = 28;

const ON_IPV4: Plan = Plan { family: Family::V4, any_listener: false, underlay_mtu: 1500, mtu: 1450 };
const ON_IPV6: Plan = Plan { family: Family::V6, any_listener: false, underlay_mtu: 1500, mtu: 1430 };

fn ping_every_size(plan: Plan) {
    let scene = Scene::kernel(plan);
    let edge = usize::from(plan.mtu) - ECHO_HEADERS;
    let ways = [(&scene.host.net, 2), (&scene.peer.net, 1)];
    for (from, end) in ways {
        for size in [0, 1, 55, 56, 57, edge - 1, edge] {
            assert!(from.ping(inner_v4(end), size, true), "{size} octets in one piece to end {end}");
        }
        assert!(!from.ping(inner_v4(end), edge + 1, true), "the MTU's edge is the edge");
        for size in [edge + 1, 2 * edge, 8000, 65507] {
            assert!(from.ping(inner_v4(end), size, false), "{size} octets in pieces to end {end}");
            assert!(
                from.ping(inner_v6(end), size.min(65487), false),
                "{size} octets in pieces of IPv6 to end {end}"
            );
        }
    }
    for (from, to, end) in [(ways[0].0, ways[1].0, 2), (ways[1].0, ways[0].0, 1)] {
        every_datagram_size_comes_back(from, to, inner_v4(end).into(), plan.mtu);
        every_datagram_size_comes_back(from, to, inner_v6(end).into(), plan.mtu);
    }
    scene.host.check_counters();
}

fn every_datagram_size_comes_back(from: &Namespace, to: &Namespace, at: IpAddr, mtu: u16) {
    let echo = Echo::new(from, to, at);
    for size in 0..=usize::from(mtu) + 2 {
        echo.round(size).unwrap_or_else(|problem| panic!("{at}: {problem}"));
    }
}

#[test]
fn packets_of_every_size_cross_an_ipv4_underlay_both_ways() {
    ping_every_size(ON_IPV4);
}

#[test]
fn packets_of_every_size_cross_an_ipv6_underlay_both_ways() {
    ping_every_size(ON_IPV6);
}

fn copy_both_ways(scene: &Scene<KernelPeer>, octets: u64) {
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), octets);
    tcp_copy(&scene.peer.net, &scene.host.net, inner_v4(1), octets);
    scene.host.check_counters();
}

#[test]
fn a_hundred_megabytes_cross_an_ipv4_underlay_intact_each_way() {
    copy_both_ways(&Scene::kernel(ON_IPV4), HUNDRED_MEGABYTES);
}

#[test]
fn a_hundred_megabytes_cross_an_ipv6_underlay_intact_each_way() {
    copy_both_ways(&Scene::kernel(ON_IPV6), HUNDRED_MEGABYTES);
}

#[test]
fn ipv6_content_crosses_intact_each_way() {
    let scene = Scene::kernel(ON_IPV4);
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v6(2), HUNDRED_MEGABYTES / 5);
    tcp_copy(&scene.peer.net, &scene.host.net, inner_v6(1), HUNDRED_MEGABYTES / 5);
    scene.host.check_counters();
}

#[test]
fn traffic_crosses_with_every_offload_off() {
    for plan in [ON_IPV4, ON_IPV6] {
        let scene = Scene::kernel(plan);
        Underlay::plain(&scene.host.net, &scene.underlay.one);
        Underlay::plain(&scene.peer.net, &scene.underlay.two);
        for feature in ["tx", "rx", "gso", "tso", "gro"] {
            scene.peer.net.run(&["ethtool", "-K", "vx0", feature, "off"]).ok();
        }
        assert!(scene.host.net.ping(inner_v4(2), 1400 - ECHO_HEADERS, true));
        copy_both_ways(&scene, HUNDRED_MEGABYTES / 5);
    }
}

#[test]
fn traffic_crosses_with_the_vnics_offloads_off() {
    let scene = Scene::kernel(ON_IPV4);
    for feature in ["tx", "gso", "tso", "gro"] {
        scene.host.net.run(&["ethtool", "-K", "foo0", feature, "off"]).ok();
    }
    copy_both_ways(&scene, HUNDRED_MEGABYTES / 5);
}

/// The MAC address of a device as the kernel knows it.
fn mac(net: &Namespace, device: &str) -> String {
    net.device(device)["address"].as_str().expect("an Ethernet device").to_owned()
}

fn neighbour(net: &Namespace, device: &str, of: IpAddr) -> Result<String, String> {
    let shown = net.ip(&["neigh", "show", &of.to_string(), "dev", device]);
    let words: Vec<_> = shown.split_whitespace().collect();
    let address = words.iter().position(|word| *word == "lladdr").and_then(|at| words.get(at + 1));
    address.map(|text| (*text).to_owned()).ok_or(shown)
}

#[test]
fn arp_and_neighbour_discovery_resolve_through_the_tunnel() {
    let scene = Scene::kernel(ON_IPV4);
    let (ours, theirs) = (mac(&scene.host.net, "foo0"), mac(&scene.peer.net, "vx0"));
    for (net, device, end, expected) in
        [(&scene.host.net, "foo0", 2, theirs), (&scene.peer.net, "vx0", 1, ours)]
    {
        for to in [IpAddr::from(inner_v4(end)), inner_v6(end).into()] {
            net.ip(&["neigh", "flush", "dev", device]);
            assert!(net.ping(to, 56, false), "{to} answers after it was forgotten");
            assert_eq!(neighbour(net, device, to), Ok(expected.clone()), "{to}");
        }
    }
    scene.host.check_counters();
}

/// A receiver on a device for what is sent to many.
fn receiver(net: &Namespace, end: u8, device: &str) -> (UdpSocket, UdpSocket) {
    net.inside(|| {
        let v4 = UdpSocket::bind("0.0.0.0:9999").expect("a free port");
        v4.join_multicast_v4(&"239.1.2.3".parse().expect("a group"), &inner_v4(end)).expect("a member");
        let v6 = UdpSocket::bind("[::]:9998").expect("a free port");
        let index = if_nametoindex(device).expect("a device");
        v6.join_multicast_v6(&"ff02::2323".parse().expect("a group"), index).expect("a member");
        (v4, v6)
    })
}

fn reaches_many(from: (&Namespace, u8, &str), to: (&Namespace, u8, &str)) {
    let (v4, v6) = receiver(to.0, to.1, to.2);
    from.0.ip(&["route", "replace", "239.0.0.0/8", "dev", from.2]);
    let index = from.0.inside(|| if_nametoindex(from.2).expect("a device"));
    let scoped = SocketAddrV6::new("ff02::2323".parse().expect("a group"), 9998, 0, index);
    let sends: [(&str, IpAddr, SocketAddr, &UdpSocket); 4] = [
        (
            "subnet broadcast",
            inner_v4(from.1).into(),
            "192.168.23.255:9999".parse().expect("an address"),
            &v4,
        ),
        ("IPv4 multicast", inner_v4(from.1).into(), "239.1.2.3:9999".parse().expect("an address"), &v4),
        ("IPv6 multicast", inner_v6(from.1).into(), scoped.into(), &v6),
        (
            "a long broadcast",
            inner_v4(from.1).into(),
            "192.168.23.255:9999".parse().expect("an address"),
            &v4,
        ),
    ];
    for (what, source, address, receiver) in sends {
        let content = if what.starts_with("a long") { what.repeat(200) } else { what.to_owned() };
        udp_send(from.0, source, address, content.as_bytes());
        assert_eq!(udp_receive(receiver).as_deref(), Some(content.as_bytes()), "{what}");
    }
}

#[test]
fn broadcast_and_multicast_datagrams_cross_both_ways() {
    let scene = Scene::kernel(ON_IPV4);
    let (ours, theirs) = ((&scene.host.net, 1, "foo0"), (&scene.peer.net, 2, "vx0"));
    reaches_many(ours, theirs);
    reaches_many(theirs, ours);
    scene.host.check_counters();
}

#[test]
fn a_listener_on_all_addresses_serves_both_families() {
    for plan in [ON_IPV4, ON_IPV6] {
        let scene = Scene::kernel(Plan { any_listener: true, ..plan });
        assert!(scene.peer.net.ping(inner_v4(1), usize::from(plan.mtu) - ECHO_HEADERS, true));
        copy_both_ways(&scene, HUNDRED_MEGABYTES / 20);
    }
}

#[test]
fn two_overlays_on_one_listener_reach_ends_of_either_family() {
    let scene = Scene::kernel(Plan { any_listener: true, ..ON_IPV6 });
    scene.host.create_overlay("demo1", 24, "::", Family::V4.underlay(2), &[]);
    scene.host.create_vnic("bar0", "demo1", &[]);
    scene.host.net.ip(&["link", "set", "bar0", "up"]);
    scene.host.net.ip(&["addr", "add", "192.168.24.1/24", "dev", "bar0"]);
    scene.peer.vxlan("vx1", 24, Family::V4.underlay(2), Family::V4.underlay(1), 1400);
    scene.peer.net.ip(&["link", "set", "vx1", "up"]);
    scene.peer.net.ip(&["addr", "add", "192.168.24.2/24", "dev", "vx1"]);
    wait_until(SHORT, "the second overlay answers", || {
        if scene.host.net.ping("192.168.24.2", 56, false) { Ok(()) } else { Err("no answer".to_owned()) }
    });
    assert!(scene.peer.net.ping(inner_v4(1), 56, false), "the first one still answers");
    scene.host.check_counters();
}

#[test]
fn the_outer_source_port_is_one_for_each_inner_flow() {
    let scene = Scene::kernel(ON_IPV4);
    let echo = Echo::new(&scene.host.net, &scene.peer.net, inner_v4(2));
    let mut capture = scene.peer.net.command(&[
        "tcpdump",
        "-n",
        "-l",
        "-c",
        "20",
        "-i",
        &scene.underlay.two,
        "src 10.0.0.1 and udp dst port 4789 and udp[4:2] = 172",
    ]);
    let piped = std::process::Stdio::piped;
    let mut child = capture.stdout(piped()).stderr(piped()).spawn().expect("tcpdump runs");
    let mut banner = std::io::BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert_ne!(
            std::io::BufRead::read_line(&mut banner, &mut line).expect("a banner"),
            0,
            "tcpdump ended"
        );
    }
    // 172 octets of UDP: 8 of its header, 8 of VXLAN, 14 of Ethernet, 28 of the inner headers and these.
    (0..20).for_each(|_| echo.round(114).expect("an echo"));
    let output = child.wait_with_output().expect("tcpdump ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut ports: Vec<u16> = text
        .lines()
        .filter_map(|line| line.split("10.0.0.1.").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    ports.dedup();
    assert!(matches!(ports[..], [49152..=65535]), "{ports:?}: {text}");
}
