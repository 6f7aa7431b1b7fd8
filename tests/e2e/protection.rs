//! Protection, further addresses and promiscuous VNICs, against frames made by hand and against the programs and the kernel
//! that ask for addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use overlay_core::types::MacAddr;
use overlay_tests::frame::{self, arp, ethernet, udp4};
use overlay_tests::{
    Daemon, Host, LONG, Plan, RawLink, SHORT, Scene, Spawned, Underlay, VNETID, Zone, await_ping, dhclient,
    dnsmasq, inner_link_local, inner_mac, inner_v4, inner_v6, start_dhclient, underlay_v4, wait_until,
};

const EVERYTHING: &str = "protection=mac-nospoof,restricted,ip-nospoof,dhcp-nospoof";
const ALL: MacAddr = MacAddr::BROADCAST;
const GROUP: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// The ends: the VNIC that sends, its neighbour, one on another host, and one that is not there.
const OWN: u8 = 1;
const NEIGHBOUR: u8 = 2;
const REMOTE: u8 = 3;
const OTHER: u8 = 9;

/// Sets one link property.
#[track_caller]
fn set(host: &Host, link: &str, property: &str) {
    host.dladm_ok(&["set-linkprop", "-p", property, link]);
}

/// Three VNICs of one overlay in a zone each: `a0` and `b0` on one host, `c0` on another.
struct Tenants {
    host: Host,
    other: Host,
    zones: [Zone; 3],
    _underlay: Underlay,
}

fn tenants() -> Tenants {
    let (host, other) = (Host::started(), Host::started());
    let underlay = Underlay::join(&host.net, &other.net, 1500);
    host.create_overlay("demo0", VNETID, underlay_v4(1), underlay_v4(2), &[]);
    other.create_overlay("demo0", VNETID, underlay_v4(2), underlay_v4(1), &[]);
    let zones =
        [(&host, "a0", OWN), (&host, "b0", NEIGHBOUR), (&other, "c0", REMOTE)].map(|(host, vnic, end)| {
            host.create_vnic(vnic, "demo0", &["-m", &inner_mac(end).to_string()]);
            Zone::holding(host, vnic, end)
        });
    for zone in &zones[1..] {
        let to = inner_v4(OWN).to_string();
        wait_until(SHORT, "the VNICs reach each other", || {
            if zone.net.ping(&to, 56, false) { Ok(()) } else { Err("no answer".to_owned()) }
        });
    }
    Tenants { host, other, zones, _underlay: underlay }
}

/// An IPv6 packet to all nodes.
fn v6(source: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).expect("a packet that fits").to_be_bytes();
    let to = "ff02::1".parse::<Ipv6Addr>().expect("an address").octets();
    [&[0x60, 0, 0, 0, high, low, next, 255], &source.octets()[..], &to, payload].concat()
}

/// A neighbour solicitation (135) or advertisement (136), with the option of a link-layer address.
fn discovery(kind: u8, target: Ipv6Addr, option: Option<(u8, MacAddr)>) -> Vec<u8> {
    let option = option.map(|(kind, mac)| [&[kind, 1], &mac.0[..]].concat()).unwrap_or_default();
    [&[kind, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..], &option].concat()
}

/// The DHCP request of a client with this hardware address and more options.
fn dhcp(client: MacAddr, options: &[u8]) -> Vec<u8> {
    let mut message = [&[1, 1, 6, 0, 0, 0, 0, 7], &[0; 20][..], &client.0].concat();
    message.resize(236, 0);
    let message = [&message[..], &[99, 130, 83, 99, 53, 1, 1], options, &[255]].concat();
    udp4((NOBODY, 68), (Ipv4Addr::BROADCAST, 67), &message)
}

/// The DHCPv6 request of a client with a DUID of this MAC address.
fn dhcp6(client: MacAddr) -> Vec<u8> {
    let message = [&[1, 0, 0, 7, 0, 1, 0, 10, 0, 3, 0, 1], &client.0[..]].concat();
    let head = [[2, 34], [2, 35], [0, 8 + 18], [0, 0]].concat();
    v6(inner_link_local(OWN), 17, &[head, message].concat())
}

fn datagram(from: Ipv4Addr) -> Vec<u8> {
    udp4((from, 1000), (Ipv4Addr::BROADCAST, 1000), b"here I am")
}

/// What a VNIC with the addresses of an end may send, all of it to everybody.
fn legal() -> Vec<Vec<u8>> {
    let (mac, v4) = (inner_mac(OWN), inner_v4(OWN));
    let from_own = |kind, packet: Vec<u8>| ethernet(ALL, mac, kind, &packet);
    let to_group = |packet: Vec<u8>| ethernet(GROUP, mac, 0x86dd, &packet);
    vec![
        from_own(0x0800, datagram(v4)),
        ethernet(ALL, inner_mac(77), 0x0800, &datagram(v4)),
        from_own(0x0806, arp(1, (mac, v4), (ALL, inner_v4(OTHER)))),
        from_own(0x0806, arp(2, (mac, v4), (mac, v4))),
        from_own(0x0806, arp(1, (mac, NOBODY), (ALL, v4))),
        from_own(0x0800, dhcp(mac, &[&[61, 7, 1], &mac.0[..]].concat())),
        from_own(0x0800, dhcp(mac, b"\x3d\x07printer")),
        to_group(v6(inner_v6(OWN), 59, &[])),
        to_group(v6(inner_link_local(OWN), 58, &discovery(135, inner_v6(OTHER), Some((1, mac))))),
        to_group(v6(inner_v6(OWN), 58, &discovery(136, inner_v6(OWN), Some((2, mac))))),
        to_group(v6(Ipv6Addr::UNSPECIFIED, 58, &discovery(135, inner_v6(OWN), None))),
        to_group(dhcp6(mac)),
    ]
}

/// What it may not, with the reason.
fn spoofed() -> Vec<(&'static str, Vec<u8>)> {
    let (mac, v4, other) = (inner_mac(OWN), inner_v4(OWN), inner_mac(OTHER));
    let from_own = |kind, packet: Vec<u8>| ethernet(ALL, mac, kind, &packet);
    let to_group = |packet: Vec<u8>| ethernet(GROUP, mac, 0x86dd, &packet);
    let lie = discovery(136, inner_v6(OTHER), Some((2, mac)));
    let mut fragment = datagram(inner_v4(OTHER));
    fragment[7] = 9;
    let mut cut = datagram(v4);
    cut.truncate(30);
    vec![
        ("spoofed-mac", ethernet(ALL, other, 0x0800, &datagram(v4))),
        ("restricted", from_own(0x88b5, vec![7; 46])),
        ("restricted", from_own(0x8035, arp(3, (mac, NOBODY), (mac, NOBODY)))),
        ("restricted", frame::tagged(7, &from_own(0x0800, datagram(v4)))),
        ("spoofed-ip", from_own(0x0800, datagram(inner_v4(OTHER)))),
        ("spoofed-ip", from_own(0x0800, datagram(NOBODY))),
        ("spoofed-ip", from_own(0x0800, fragment)),
        ("spoofed-ip", from_own(0x0800, cut)),
        ("spoofed-ip", to_group(v6(inner_v6(OTHER), 59, &[]))),
        ("spoofed-ip", to_group(v6(inner_link_local(OTHER), 59, &[]))),
        ("spoofed-arp", from_own(0x0806, arp(2, (mac, inner_v4(OTHER)), (ALL, v4)))),
        ("spoofed-arp", from_own(0x0806, arp(1, (other, v4), (ALL, v4)))),
        ("spoofed-arp", from_own(0x0806, arp(1, (mac, NOBODY), (ALL, inner_v4(OTHER))))),
        ("spoofed-ndp", to_group(v6(inner_v6(OWN), 58, &lie))),
        ("spoofed-ndp", to_group(v6(inner_v6(OWN), 0, &[&[58, 0, 1, 4, 0, 0, 0, 0], &lie[..]].concat()))),
        ("spoofed-ndp", to_group(v6(inner_v6(OWN), 58, &discovery(136, inner_v6(OWN), Some((2, other)))))),
        ("spoofed-ndp", to_group(v6(Ipv6Addr::UNSPECIFIED, 58, &discovery(135, inner_v6(OTHER), None)))),
        ("spoofed-dhcp", from_own(0x0800, dhcp(other, &[]))),
        ("spoofed-dhcp", from_own(0x0800, dhcp(mac, b"\x3d\x07scanner"))),
        ("spoofed-dhcp", to_group(dhcp6(other))),
    ]
}

/// What arrives before the next frame like `last`.
#[track_caller]
fn arrivals(link: &RawLink, last: &[u8]) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    loop {
        let next = link.next(SHORT).unwrap_or_else(|| panic!("{last:02x?} has not arrived: {seen:02x?}"));
        if next == last {
            return seen;
        }
        seen.push(next);
    }
}

#[test]
fn each_violation_is_counted_under_its_own_reason_and_arrives_nowhere() {
    let Tenants { host, other, zones, _underlay } = tenants();
    for property in [
        EVERYTHING,
        &format!("allowed-ips={},{}", inner_v4(OWN), inner_v6(OWN)),
        "allowed-dhcp-cids=printer",
        &format!("secondary-macs={}", inner_mac(77)),
    ] {
        set(&host, "a0", property);
    }
    let own = RawLink::open(&zones[0].net, "a0");
    let others = [("b0", &zones[1]), ("c0", &zones[2])].map(|(vnic, zone)| RawLink::open(&zone.net, vnic));
    for frame in legal() {
        own.send(&frame);
        others.iter().for_each(|link| drop(arrivals(link, &frame)));
    }
    assert_eq!(host.counters("demo0").drops(), 0, "{:?}", host.counters("demo0"));
    let last = &legal()[0];
    for (reason, frame) in spoofed() {
        let before = host.counters("demo0");
        own.send(&frame);
        own.send(last);
        for link in &others {
            let seen = arrivals(link, last);
            assert!(!seen.contains(&frame), "{reason}: {frame:02x?}");
        }
        let after = host.counters("demo0");
        let counted = (after.dropped(reason) - before.dropped(reason), after.drops() - before.drops());
        assert_eq!(counted, (1, 1), "{reason}: {frame:02x?} {after:?}");
    }
    // As it was made, so it is again without protection.
    host.dladm_ok(&["reset-linkprop", "-p", "protection", "a0"]);
    for (_, frame) in spoofed().into_iter().filter(|(_, frame)| frame[12] != 0x81) {
        own.send(&frame);
        others.iter().for_each(|link| drop(arrivals(link, &frame)));
    }
    other.check_counters();
}

#[test]
fn a_vnic_has_its_further_addresses_here_and_on_the_wire() {
    let Tenants { host, other: _other, zones, _underlay } = tenants();
    let (further, own) = (inner_mac(77), RawLink::open(&zones[0].net, "a0"));
    let kind = 0x88b5;
    let frames = [("b0", 1, NEIGHBOUR), ("c0", 2, REMOTE)].map(|(vnic, zone, end)| {
        let frame = ethernet(further, inner_mac(end), kind, &[end; 46]);
        (RawLink::open(&zones[zone].net, vnic), frame)
    });
    frames[1].0.send(&frames[1].1);
    wait_until(SHORT, "nobody has it", || {
        let counters = host.counters("demo0");
        if counters.dropped("unknown-mac") == 1 { Ok(()) } else { Err(format!("{counters:?}")) }
    });
    set(&host, "a0", &format!("secondary-macs={further}"));
    for (link, frame) in &frames {
        link.send(frame);
        assert_eq!(own.receive(kind, SHORT).as_ref(), Some(frame));
    }
}

/// A tcpdump of what arrives on a device.
fn tcpdump(zone: &Zone, device: &str) -> Spawned {
    let dump = Spawned::start(&zone.net, &["tcpdump", "-l", "-n", "-Q", "in", "-i", device, "icmp"]);
    dump.wait_for(LONG, "listening on");
    dump
}

#[test]
fn a_vnic_that_is_not_filtered_sees_its_neighbours_traffic() {
    let Tenants { host, other: _other, zones, _underlay } = tenants();
    host.create_vnic("spy0", "demo0", &[]);
    let spy = Zone::holding(&host, "spy0", 8);
    let filtered = tcpdump(&spy, "spy0");
    assert!(zones[0].net.ping(inner_v4(NEIGHBOUR), 56, false));
    // What is for it comes last.
    let to_spy =
        || if zones[0].net.ping(inner_v4(8), 56, false) { Ok(()) } else { Err("silence".to_owned()) };
    wait_until(SHORT, "the one that watches answers", to_spy);
    filtered.wait_for(SHORT, "> 192.168.23.8: ICMP echo request");
    let lines = filtered.lines().join("\n");
    assert!(!lines.contains("192.168.23.2"), "{lines}");
    set(&host, "spy0", "promisc-filtered=off");
    let watching = tcpdump(&spy, "spy0");
    for (zone, to) in [(0, NEIGHBOUR), (0, REMOTE), (2, NEIGHBOUR)] {
        assert!(zones[zone].net.ping(inner_v4(to), 56, false));
        for line in ["echo request", "echo reply"] {
            watching.wait_for(SHORT, line);
        }
    }
    for pair in ["192.168.23.1 > 192.168.23.2", "192.168.23.3 > 192.168.23.1", "192.168.23.3 > 192.168.23.2"]
    {
        watching.wait_for(SHORT, pair);
    }
}

/// Two hosts, the first of which may send nothing that is not its own, and has no address.
fn guarded() -> Scene<Host> {
    let scene = Scene::ours(Plan::default());
    set(&scene.host, "foo0", EVERYTHING);
    assert!(!scene.host.net.ping(inner_v4(2), 56, false), "an address that nobody has given it");
    scene.host.net.ip(&["addr", "flush", "dev", "foo0", "scope", "global"]);
    scene
}

const LEASES: [&str; 2] = [
    "--dhcp-range=192.168.23.100,192.168.23.110,255.255.255.0,1h",
    "--dhcp-range=fd23::1000,fd23::10ff,64,1h",
];

/// The address of a family on `foo0`, once it is there.
fn await_address(host: &Host, family: &str, begins: &str) {
    wait_until(SHORT, "the address is there", || {
        let shown = host.net.ip(&[family, "-o", "addr", "show", "dev", "foo0", "scope", "global"]);
        if shown.contains(begins) && !shown.contains("tentative") { Ok(()) } else { Err(shown) }
    });
}

#[test]
fn an_address_from_dhcp_works_and_no_other() {
    let scene = guarded();
    let _server = dnsmasq(&scene.peer.net, "foo0", &LEASES);
    for (family, leased, other) in [("-4", "192.168.23.1", "192.168.23.77"), ("-6", "fd23::10", "fd23::77")] {
        let client = dhclient(
            &scene.host,
            &[&[family][..], if family == "-6" { &["-D", "LL"] } else { &[] }].concat(),
        );
        await_address(&scene.host, family, leased);
        let to = if family == "-4" { inner_v4(2).to_string() } else { inner_v6(2).to_string() };
        assert!(scene.host.net.ping(&to, 56, false), "{family}: the leased address works");
        let before = scene.host.counters("demo0");
        let prefix = if family == "-4" { "24" } else { "64" };
        scene.host.net.ip(&[
            &["addr", "add", &format!("{other}/{prefix}"), "dev", "foo0"][..],
            if family == "-6" { &["nodad"] } else { &[] },
        ]
        .concat());
        let ping = ["ping", "-n", "-q", "-c", "1", "-W", "1", "-I", other, &to];
        assert!(!scene.host.net.run(&ping).succeeded(), "{family}: another does not");
        let after = scene.host.counters("demo0");
        assert!(after.dropped("spoofed-ip") > before.dropped("spoofed-ip"), "{after:?}");
        drop(client);
    }
    // Nor does it when somebody else's name is used.
    let before = scene.host.counters("demo0").dropped("spoofed-dhcp");
    let configuration = scene.host.scratch().join("printer.conf");
    std::fs::write(&configuration, "send dhcp-client-identifier \"printer\";\n").expect("written");
    let _client = start_dhclient(&scene.host, &["-4", "-cf", &configuration.display().to_string()]);
    wait_until(LONG, "the client's requests are dropped", || {
        let counters = scene.host.counters("demo0");
        if counters.dropped("spoofed-dhcp") > before { Ok(()) } else { Err(format!("{counters:?}")) }
    });
}

#[test]
fn an_address_from_dhcp_outlives_a_crash_of_overlayd() {
    let mut scene = guarded();
    let server = dnsmasq(&scene.peer.net, "foo0", &LEASES[..1]);
    let client = dhclient(&scene.host, &["-4"]);
    await_address(&scene.host, "-4", "192.168.23.1");
    drop((client, server));
    let directory = scene.host.paths().leases();
    wait_until(SHORT, "the address is written down", || {
        let files = std::fs::read_dir(&directory).map_err(|error| error.to_string())?;
        let texts = files.flatten().map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
        let texts = texts.collect::<Vec<_>>().concat();
        if texts.contains("192.168.23.1") { Ok(()) } else { Err(texts) }
    });
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    await_ping(&scene.host.net);
    scene.host.net.ip(&["addr", "add", "192.168.23.77/24", "dev", "foo0"]);
    let ping = ["ping", "-n", "-q", "-c", "1", "-W", "1", "-I", "192.168.23.77", "192.168.23.2"];
    assert!(!scene.host.net.run(&ping).succeeded(), "another address is as good as before");
}

#[test]
fn the_kernels_own_neighbour_discovery_works_for_what_is_allowed() {
    let scene = guarded();
    set(&scene.host, "foo0", "allowed-ips=fd24::/64");
    let _router = {
        scene.peer.net.ip(&["addr", "add", "fd24::2/64", "dev", "foo0", "nodad"]);
        scene.peer.net.ip(&["addr", "add", "fd25::2/64", "dev", "foo0", "nodad"]);
        dnsmasq(&scene.peer.net, "foo0", &["--enable-ra", "--dhcp-range=fd24::,ra-only"])
    };
    let before = scene.host.counters("demo0");
    // Its link-local address is made anew, and with it duplicates are looked for and a router is asked.
    for state in ["down", "up"] {
        scene.host.net.ip(&["link", "set", "foo0", state]);
    }
    await_address(&scene.host, "-6", "fd24::");
    wait_until(SHORT, "the address that the kernel has made works", || {
        if scene.host.net.ping("fd24::2", 56, false) { Ok(()) } else { Err("no answer".to_owned()) }
    });
    let between = scene.host.counters("demo0");
    for reason in ["spoofed-mac", "spoofed-arp", "spoofed-ndp", "restricted"] {
        assert_eq!(between.dropped(reason), before.dropped(reason), "{between:?}");
    }
    scene.host.net.ip(&["addr", "add", "fd25::1/64", "dev", "foo0"]);
    wait_until(SHORT, "detection of duplicates of a foreign address is dropped", || {
        let counters = scene.host.counters("demo0");
        if counters.dropped("spoofed-ndp") > between.dropped("spoofed-ndp") {
            Ok(())
        } else {
            Err(format!("{counters:?}"))
        }
    });
    await_address(&scene.host, "-6", "fd25::");
    let ping = ["ping", "-n", "-q", "-c", "1", "-W", "1", "-I", "fd25::1", "fd25::2"];
    assert!(!scene.host.net.run(&ping).succeeded());
    set(&scene.host, "foo0", "allowed-ips=fd25::/64");
    wait_until(SHORT, "it works once it is allowed", || {
        let outcome = scene.host.net.run(&ping);
        if outcome.succeeded() { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
    host_is_as_before(&scene);
}

/// Without protection, an address of its own choice works again.
fn host_is_as_before(scene: &Scene<Host>) {
    scene.host.dladm_ok(&["reset-linkprop", "-p", "protection", "foo0"]);
    scene.host.net.address("foo0", 1);
    await_ping(&scene.host.net);
}
