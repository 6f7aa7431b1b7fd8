//! Three hosts with the search plugin `files`, the third being the kernel's own vxlan device.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use nix::net::if_::if_nametoindex;
use overlay_tests::{
    Capture, Daemon, Family, Namespace, SHORT, Trio, inner_mac, inner_v4, inner_v6, questions_to_all,
    udp_receive, udp_send, wait_until,
};

/// An inner address of end 3 that the file does not know.
const UNLISTED: u8 = 33;

fn any_reaches_any(family: Family) {
    let trio = Trio::new(family);
    let filter = questions_to_all(family);
    let (first, second) = (&trio.underlay.devices[0], &trio.underlay.devices[1]);
    let asked_by_one = Capture::start(&trio.one.net, first, family.underlay(3), &filter);
    let asked_by_two = Capture::start(&trio.two.net, second, family.underlay(3), &filter);
    trio.ping_any_to_any();
    assert_eq!(asked_by_one.finish(), [""; 0], "no question of end 1 to all crosses the underlay");
    assert_eq!(asked_by_two.finish(), [""; 0], "no question of end 2 to all crosses the underlay");
    for host in [&trio.one, &trio.two] {
        let counters = host.counters("demo0");
        assert!(counters.dropped("proxied") >= 4 && counters.of("injected") >= 4, "{counters:?}");
    }
    who_is_not_listed_is_found(&trio, family);
    trio.check_counters();
}

/// Ends 1 and 2 find an address that the file does not have, by asking everybody.
fn who_is_not_listed_is_found(trio: &Trio, family: Family) {
    trio.three.net().ip(&["addr", "add", &format!("{}/24", inner_v4(UNLISTED)), "dev", "vx0"]);
    trio.three.net().ip(&["addr", "add", &format!("{}/64", inner_v6(UNLISTED)), "dev", "vx0", "nodad"]);
    let device = &trio.underlay.devices[0];
    let asked = Capture::start(&trio.one.net, device, family.underlay(3), &questions_to_all(family));
    assert!(trio.one.net.ping(inner_v4(UNLISTED), 56, false), "an ARP request reaches end 3");
    assert!(trio.one.net.ping(inner_v6(UNLISTED), 56, false), "a solicitation reaches end 3");
    // Each question goes to ends 2 and 3.
    let lines = asked.finish();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(trio.two.net.ping(inner_v4(UNLISTED), 56, false));
}

#[test]
fn any_end_reaches_any_other_over_ipv4() {
    any_reaches_any(Family::V4);
}

#[test]
fn any_end_reaches_any_other_over_ipv6() {
    any_reaches_any(Family::V6);
}

/// A receiver on a device for what is sent to many, over IPv4 and IPv6.
fn receiver(net: &Namespace, end: u8, device: &str) -> [UdpSocket; 2] {
    net.inside(|| {
        let v4 = UdpSocket::bind("0.0.0.0:9999").expect("a free port");
        v4.join_multicast_v4(&"239.1.2.3".parse().expect("a group"), &inner_v4(end)).expect("a member");
        let v6 = UdpSocket::bind("[::]:9998").expect("a free port");
        let index = if_nametoindex(device).expect("a device");
        v6.join_multicast_v6(&"ff02::2323".parse().expect("a group"), index).expect("a member");
        [v4, v6]
    })
}

/// Where a subnet broadcast, an IPv4 and an IPv6 multicast datagram go, and which receiver takes them.
fn groups(net: &Namespace, device: &str) -> [(SocketAddr, usize); 3] {
    net.ip(&["route", "replace", "239.0.0.0/8", "dev", device]);
    let index = net.inside(|| if_nametoindex(device).expect("a device"));
    let scoped = SocketAddrV6::new("ff02::2323".parse().expect("a group"), 9998, 0, index);
    let address = |text: &str| text.parse().expect("an address");
    [(address("192.168.23.255:9999"), 0), (address("239.1.2.3:9999"), 0), (scoped.into(), 1)]
}

#[test]
fn what_is_for_all_reaches_every_end_once() {
    let trio = Trio::new(Family::V4);
    let receivers = trio.ends().map(|(end, net, device)| receiver(net, end, device));
    for (end, net, device) in trio.ends() {
        for (group, place) in groups(net, device) {
            let source: IpAddr = if group.is_ipv4() { inner_v4(end).into() } else { inner_v6(end).into() };
            let texts: Vec<_> = (0..3).map(|number| format!("{number} of {end} to {group}")).collect();
            texts.iter().for_each(|text| udp_send(net, source, group, text.as_bytes()));
            // The sender's own kernel gives it one copy of each; another would be one that came back.
            for (number, sockets) in (1..).zip(&receivers) {
                let got = texts.iter().map(|_| udp_receive(&sockets[place]).unwrap_or_default());
                let mut got: Vec<_> = got.map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
                // Each has a source port of its own, and is a flow.
                got.sort();
                assert_eq!(got, texts, "what end {number} has");
            }
        }
    }
    for socket in receivers.iter().flatten() {
        socket.set_nonblocking(true).expect("a socket");
        assert!(socket.recv(&mut [0; 64]).is_err(), "nothing more has come");
    }
    trio.check_counters();
}

/// Sends numbered datagrams at once to a destination that nothing is known of, and checks their order.
fn all_arrive_in_order(trio: &Trio, to: u8, receiver: &UdpSocket, meanwhile: impl FnOnce()) {
    let mac = inner_mac(to).to_string();
    trio.one.dladm_ok(&["modify-overlay", "-f", "demo0"]);
    let address = inner_v4(to).to_string();
    trio.one.net.ip(&["neigh", "replace", &address, "lladdr", &mac, "nud", "permanent", "dev", "foo0"]);
    let sender = trio.one.net.inside(|| UdpSocket::bind((inner_v4(1), 0))).expect("an address");
    for number in 0..20u8 {
        sender.send_to(&[number], (inner_v4(to), 9999)).expect("a datagram is taken");
    }
    meanwhile();
    let arrived: Vec<_> = (0..20).filter_map(|_| udp_receive(receiver)).flatten().collect();
    assert_eq!(arrived, (0..20).collect::<Vec<u8>>(), "to end {to}");
}

#[test]
fn the_first_datagrams_wait_and_none_is_lost() {
    let trio = Trio::new(Family::V4);
    let receivers = [(2, &trio.two.net), (3, trio.three.net())]
        .map(|(end, net)| (end, net.inside(|| UdpSocket::bind("0.0.0.0:9999")).expect("a free port")));
    for _ in 0..5 {
        receivers.iter().for_each(|(end, socket)| all_arrive_in_order(&trio, *end, socket, || {}));
    }
    let varpd = trio.one.running(Daemon::Varpd);
    for (end, socket) in &receivers {
        varpd.halt();
        all_arrive_in_order(&trio, *end, socket, || {
            wait_until(SHORT, "all of them wait", || {
                let waiting = trio.one.counters("demo0").of("waiting");
                if waiting >= 20 { Ok(()) } else { Err(format!("{waiting} wait")) }
            });
            varpd.go_on();
        });
    }
    trio.check_counters();
}
