//! The tests' own tools, tried on two of the kernel's vxlan devices: what fails here is no fault of ours.

use overlay_tests::{
    Echo, Family, KernelPeer, Transfer, Underlay, VNETID, frame, inner_v4, inner_v6, tcp_copy, udp_receive,
    udp_send,
};

fn kernels(family: Family) -> (KernelPeer, KernelPeer, Underlay) {
    let (one, two) = (KernelPeer::new(), KernelPeer::new());
    let underlay = Underlay::join(&one.net, &two.net, 1500);
    for (peer, end) in [(&one, 1), (&two, 2)] {
        peer.vxlan("vx0", VNETID, family.underlay(end), family.underlay(3 - end), 1400);
        peer.net.address("vx0", end);
    }
    (one, two, underlay)
}

#[test]
fn pings_streams_and_echoes_cross_between_two_kernels() {
    for family in [Family::V4, Family::V6] {
        let (one, two, _underlay) = kernels(family);
        assert!(one.net.ping(inner_v4(2), 1372, true) && !one.net.ping(inner_v4(2), 1373, true));
        tcp_copy(&one.net, &two.net, inner_v6(2), 10_000_000);
        let echo = Echo::new(&one.net, &two.net, inner_v4(2));
        (0..=1402).for_each(|size| echo.round(size).expect("an echo"));
        let transfer = Transfer::start(&two.net, &one.net, inner_v4(1));
        transfer.wait_for_more(overlay_tests::SHORT, 1_000_000);
        assert!(transfer.finish() >= 1_000_000);
    }
}

#[test]
fn a_frame_made_by_hand_is_delivered_by_the_kernel() {
    let (one, two, _underlay) = kernels(Family::V4);
    two.net.ip(&["link", "del", "vx0"]);
    let mac = one.net.device("vx0")["address"].as_str().expect("an address").parse().expect("a MAC address");
    let packet = frame::udp4((inner_v4(2), 1234), (inner_v4(1), 9999), b"by hand");
    let frame = frame::ethernet(mac, frame::STRANGER, 0x0800, &packet);
    let inside = one.net.inside(|| std::net::UdpSocket::bind("0.0.0.0:9999")).expect("a free port");
    let to = std::net::SocketAddr::new(Family::V4.underlay(1), 4789);
    udp_send(&two.net, Family::V4.underlay(2), to, &frame::vxlan(VNETID, &frame));
    assert_eq!(udp_receive(&inside).as_deref(), Some(&b"by hand"[..]));
}
