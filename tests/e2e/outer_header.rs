//! What the outer IP header says, beside the kernel's vxlan device with the same options; and ECN on the way.

use std::net::{IpAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use overlay_core::types::MacAddr;
use overlay_tests::{
    Capture, Family, Host, KernelPeer, Namespace, RawLink, SHORT, Underlay, VNETID, await_ping, frame,
    inner_v4, udp_receive, wait_until,
};

/// A host of ours and the kernel's device, with these options each.
fn scene(family: Family, ours: &str, kernels: &[&str]) -> (Host, KernelPeer, Underlay) {
    let (host, peer) = (Host::started(), KernelPeer::new());
    let underlay = Underlay::join(&host.net, &peer.net, 1500);
    host.create_overlay("demo0", VNETID, family.underlay(1), family.underlay(2), &["-p", ours]);
    host.create_vnic("foo0", "demo0", &[]);
    host.net.address("foo0", 1);
    let (local, remote) = (family.underlay(2).to_string(), family.underlay(1).to_string());
    let id = VNETID.to_string();
    let device = ["link", "add", "vx0", "mtu", "1400", "type", "vxlan", "id", &id, "dstport", "4789"];
    peer.net.ip(&[&device[..], &["local", &local, "remote", &remote], kernels].concat());
    peer.net.address("vx0", 2);
    await_ping(&host.net);
    (host, peer, underlay)
}

/// How many datagrams of a ping with this type of service leave each end that match a filter: three, or none.
fn pings_matching(
    scene: &(Host, KernelPeer, Underlay),
    family: Family,
    tos: &str,
    filter: &str,
) -> [usize; 2] {
    let (host, peer, underlay) = scene;
    // With an inner echo in them: the others are nobody's business here.
    let echo = match family {
        Family::V4 => "udp dst port 4789 and udp[28:2] = 0x0800 and udp[39] = 1",
        Family::V6 => "udp dst port 4789 and ip6[68:2] = 0x0800 and ip6[79] = 1",
    };
    let filter = format!("{echo} and ({filter})");
    let captures = [
        Capture::start(&host.net, &underlay.one, family.underlay(2), &filter),
        Capture::start(&peer.net, &underlay.two, family.underlay(1), &filter),
    ];
    let to = inner_v4(2).to_string();
    host.net.run(&["ping", "-n", "-c", "3", "-i", "0.2", "-M", "dont", "-Q", tos, &to]).ok();
    captures.map(|capture| capture.finish().len())
}

#[test]
fn ttl_and_tos_are_inherited_and_df_set_as_the_kernel_does() {
    let options = ["ttl", "inherit", "tos", "inherit", "df", "set"];
    let scene = scene(Family::V4, "vxlan/ttl=inherit,vxlan/tos=inherit,vxlan/df=set", &options);
    scene.0.net.run(&["sysctl", "-q", "-w", "net.ipv4.ip_default_ttl=33"]).ok();
    scene.1.net.run(&["sysctl", "-q", "-w", "net.ipv4.ip_default_ttl=33"]).ok();
    let filter = "ip[8] = 33 and ip[1] = 0xb8 and ip[6] & 0x40 != 0";
    assert_eq!(pings_matching(&scene, Family::V4, "0xb8", filter), [3, 3]);
}

#[test]
fn ttl_and_tos_are_values_and_df_unset_as_the_kernel_does() {
    let options = ["ttl", "7", "tos", "0x20", "df", "unset"];
    let scene = scene(Family::V4, "vxlan/ttl=7,vxlan/tos=32,vxlan/df=unset", &options);
    let filter = "ip[8] = 7 and ip[1] = 0x20 and ip[6] & 0x40 = 0";
    assert_eq!(pings_matching(&scene, Family::V4, "0xb8", filter), [3, 3]);
}

#[test]
fn df_is_inherited_as_the_kernel_does() {
    let scene = scene(Family::V4, "vxlan/df=inherit", &["df", "inherit"]);
    // The echo request goes without DF; what the kernel's device sends is an echo reply, whose DF is its own affair.
    assert_eq!(pings_matching(&scene, Family::V4, "0", "ip[6] & 0x40 = 0")[0], 3);
    let capture = Capture::start(
        &scene.0.net,
        &scene.2.one,
        Family::V4.underlay(2),
        "udp dst port 4789 and udp[36] & 0x40 != 0 and ip[6] & 0x40 != 0",
    );
    assert!(scene.0.net.ping(inner_v4(2), 56, true));
    assert!(!capture.finish().is_empty(), "one that may not be divided inside may not outside");
}

#[test]
fn the_outer_header_of_ipv6_says_the_same() {
    let options = ["ttl", "9", "tos", "inherit"];
    let scene = scene(Family::V6, "vxlan/ttl=9,vxlan/tos=inherit", &options);
    let filter = "ip6[7] = 9 and ip6[0:2] & 0x0ff0 = 0x0b80";
    assert_eq!(pings_matching(&scene, Family::V6, "0xb8", filter), [3, 3]);
}

#[test]
fn ecn_is_copied_out_whatever_the_dscp() {
    let scene = scene(Family::V4, "vxlan/tos=32", &["tos", "0x20"]);
    for ecn in 1..4 {
        let filter = format!("ip[1] = {}", 0x20 | ecn);
        let ours = pings_matching(&scene, Family::V4, &format!("{}", 0xb8 | ecn), &filter)[0];
        assert_eq!(ours, 3, "codepoint {ecn}");
    }
}

#[test]
fn the_outer_header_changes_under_traffic() {
    let scene = scene(Family::V4, "vxlan/ttl=7", &[]);
    for (change, filter) in [
        ("vxlan/ttl=9", "ip[8] = 9 and ip[6] & 0x40 != 0"),
        ("vxlan/tos=184", "ip[8] = 9 and ip[1] = 0xb8"),
        ("vxlan/df=unset", "ip[6] & 0x40 = 0"),
        ("vxlan/df=set", "ip[6] & 0x40 != 0"),
    ] {
        scene.0.dladm_ok(&["modify-overlay", "-p", change, "demo0"]);
        assert_eq!(pings_matching(&scene, Family::V4, "0", filter)[0], 3, "{change}");
    }
    scene.0.check_counters();
}

const VNIC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 0x11]);

/// An end of ours whose peer is a socket, which marks its datagrams.
struct Marked {
    host: Host,
    _peer: Namespace,
    _underlay: Underlay,
    sender: UdpSocket,
    to: IpAddr,
    seen: RawLink,
    inside: UdpSocket,
}

fn marked(family: Family) -> Marked {
    let (host, peer) = (Host::started(), Namespace::new());
    let underlay = Underlay::join(&host.net, &peer, 1500);
    host.create_overlay("demo0", VNETID, family.underlay(1), family.underlay(2), &[]);
    host.create_vnic("foo0", "demo0", &["-m", &VNIC.to_string()]);
    host.net.address("foo0", 1);
    let from = family.underlay(2);
    let sender = peer.inside(|| UdpSocket::bind((from, 0))).expect("an address of the peer");
    let seen = RawLink::open(&host.net, "foo0");
    let inside = host.net.inside(|| UdpSocket::bind((inner_v4(1), 9999))).expect("an address of the VNIC");
    Marked { host, _peer: peer, _underlay: underlay, sender, to: family.underlay(1), seen, inside }
}

impl Marked {
    /// Sends a datagram whose outer and inner headers say this of congestion.
    fn send(&self, outer: u8, inner: u8) {
        let tos = i32::from(outer);
        match self.to {
            IpAddr::V4(_) => setsockopt(&self.sender, sockopt::Ipv4Tos, &tos),
            IpAddr::V6(_) => setsockopt(&self.sender, sockopt::Ipv6TClass, &tos),
        }
        .expect("a mark");
        let mut packet = frame::udp4((inner_v4(2), 9), (inner_v4(1), 9999), &[outer, inner]);
        packet[1] = inner;
        packet[10..12].fill(0);
        let sum = frame::checksum(&packet[..20]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        let frame = frame::ethernet(VNIC, frame::STRANGER, 0x0800, &packet);
        self.sender.send_to(&frame::vxlan(VNETID, &frame), (self.to, 4789)).expect("a datagram is taken");
    }

    /// What the VNIC saw of the datagram with that content.
    fn arrived(&self, outer: u8, inner: u8) -> u8 {
        assert_eq!(udp_receive(&self.inside), Some(vec![outer, inner]), "its checksum is right");
        wait_until(SHORT, "the frame", || {
            let frame = self.seen.receive(0x0800, SHORT).ok_or("no frame")?;
            let ours = frame.len() >= 44 && frame[42..44] == [outer, inner];
            if ours { Ok(frame[15]) } else { Err("another frame".to_owned()) }
        })
    }
}

fn marks_arrive(family: Family) {
    let marked = marked(family);
    // Not-ECT, ECT(1), ECT(0), CE as numbers; RFC 6040 section 4.2, figure 4.
    let behind = |inner, outer| match (inner, outer) {
        (0, 3) => None,
        (0, _) => Some(0),
        (_, 3) => Some(3),
        (2, 1) => Some(1),
        (inner, _) => Some(inner),
    };
    for outer in 0..4 {
        for inner in 0..4 {
            marked.send(outer, inner);
            if let Some(expected) = behind(inner, outer) {
                assert_eq!(marked.arrived(outer, inner), expected, "{inner} in {outer}");
            }
        }
    }
    marked.host.check_counters();
    assert_eq!(marked.host.counters("demo0").dropped("bad-ecn"), 1);
}

#[test]
fn marks_of_an_ipv4_underlay_arrive_inside() {
    marks_arrive(Family::V4);
}

#[test]
fn marks_of_an_ipv6_underlay_arrive_inside() {
    marks_arrive(Family::V6);
}
