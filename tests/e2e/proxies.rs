//! The proxies against the programs and the kernel that ask: ARP, neighbour and router discovery, duplicate address
//! detection, DHCP. In the untagged network, and in a VLAN.

use std::net::{IpAddr, Ipv6Addr};

use overlay_core::types::MacAddr;
use overlay_tests::{
    Capture, Family, Host, LONG, Namespace, SHORT, Table, Trio, dhclient, dnsmasq, inner_link_local,
    inner_mac, inner_v4, inner_v6, underlay_v4, wait_until,
};
use serde_json::json;

const VID: u16 = 7;
/// Whose addresses are in the file, though nobody is there.
const ABSENTEE: u8 = 8;
/// Addresses that the file does not know, of end 3 and of nobody.
const UNLISTED: u8 = 33;
const NOBODYS: u8 = 44;
/// Another address of end 1 in the file, not in use at first.
const SPARE: u8 = 77;

/// The ends with a table in which somebody is listed who is not there, and who serves DHCP to end 1 is `server`.
fn trio(vid: Option<u16>, server: u8) -> Trio {
    let trio = Trio::with(Family::V4, vid, |table| {
        table.place(ABSENTEE, Family::V4);
        table.entry(inner_mac(ABSENTEE))["ip"] = json!(underlay_v4(3));
        let own = table.entry(inner_mac(1));
        own["ndp"] = json!([inner_v6(1), inner_link_local(1), inner_v6(SPARE)]);
        own["dhcp-proxy"] = json!(inner_mac(server));
        if let Some(vid) = vid {
            in_vlan(table, vid);
        }
    });
    let (_, net, device) = trio.ends()[2];
    net.ip(&["addr", "add", &format!("{}/24", inner_v4(UNLISTED)), "dev", device]);
    net.ip(&["addr", "add", &format!("{}/64", inner_v6(UNLISTED)), "dev", device, "nodad"]);
    wait_until(SHORT, "every link-local address is in use", || {
        let shown = trio.ends().map(|(_, net, device)| net.ip(&["-6", "addr", "show", "dev", device]));
        let usable = |text: &String| text.contains("fe80") && !text.contains("tentative");
        if shown.iter().all(usable) { Ok(()) } else { Err(shown.join("\n")) }
    });
    trio
}

/// Gives the absentee to the VLAN, and its addresses outside of the VLAN to another, who must not be told of.
fn in_vlan(table: &mut Table, vid: u16) {
    table.entry(inner_mac(ABSENTEE))["vlan"] = json!(vid);
    let decoy = json!({ "arp": inner_v4(ABSENTEE), "ndp": inner_v6(ABSENTEE), "vlan": vid + 1 });
    table.set(inner_mac(99), decoy);
}

/// What a program that asks from `foo0` of end 1 prints, where it gets an answer.
fn asks(host: &Host, words: &[&str]) -> Option<String> {
    let outcome = host.net.run(words);
    outcome.succeeded().then(|| outcome.stdout.trim().to_owned())
}

/// The MAC address that one of several programs prints, with as many leading zeros as it likes.
fn mac(text: Option<String>) -> Option<MacAddr> {
    text.map(|text| text.to_lowercase().parse().unwrap_or_else(|_| panic!("no MAC address: {text}")))
}

/// What arping prints of the first answer: the MAC address of whoever has it.
fn arping(host: &Host, more: &[&str], ip: impl ToString) -> Option<String> {
    let words = ["arping", "-r", "-i", "foo0", "-c", "1", "-C", "1", "-w", "1"];
    asks(host, &[&words, more, &[&ip.to_string()]].concat())
}

fn ndisc6(host: &Host, ip: Ipv6Addr) -> Option<MacAddr> {
    let ip = ip.to_string();
    mac(asks(host, &["ndisc6", "-q", "-1", "-n", "-r", "2", "-w", "500", &ip, "foo0"]))
}

/// The programs that ask for an address are told who has it.
fn whoever_asks_is_told(trio: &Trio) {
    let host = &trio.one;
    for (end, expected) in [(2, 2), (3, 3), (ABSENTEE, ABSENTEE), (UNLISTED, 3)] {
        assert_eq!(mac(arping(host, &[], inner_v4(end))), Some(inner_mac(expected)), "{}", inner_v4(end));
        assert_eq!(ndisc6(host, inner_v6(end)), Some(inner_mac(expected)), "{}", inner_v6(end));
    }
    assert_eq!(ndisc6(host, inner_link_local(2)), Some(inner_mac(2)));
    assert_eq!(arping(host, &[], inner_v4(NOBODYS)), None);
    assert_eq!(ndisc6(host, inner_v6(NOBODYS)), None);
}

/// Duplicate address detection, by a program over IPv4 and by the kernel over IPv6.
fn duplicates_are_found(trio: &Trio) {
    let host = &trio.one;
    for (end, used) in [(ABSENTEE, true), (2, true), (1, false), (NOBODYS, false)] {
        let answered = arping(host, &["-0"], inner_v4(end)).is_some();
        assert_eq!(answered, used, "a probe (RFC 5227) for {}", inner_v4(end));
    }
    let twice = ["arping", "-q", "-d", "-i", "foo0", "-c", "2", "-w", "1", &inner_v4(2).to_string()];
    assert!(host.net.run(&twice).succeeded(), "an address has one owner, though it is asked for twice");
    let addresses =
        [(ABSENTEE, true), (SPARE, false), (NOBODYS, false)].map(|(end, used)| (inner_v6(end), used));
    for (address, _) in addresses {
        host.net.ip(&["addr", "add", &format!("{address}/64"), "dev", "foo0"]);
    }
    for (address, duplicate) in addresses {
        wait_until(SHORT, &format!("the kernel knows whether {address} is a duplicate"), || {
            let shown = host.net.ip(&["-o", "addr", "show", "dev", "foo0", "to", &address.to_string()]);
            let found = shown.contains("dadfailed");
            // A failed one stays tentative.
            if !found && shown.contains("tentative") || found != duplicate { Err(shown) } else { Ok(()) }
        });
        host.net.ip(&["addr", "del", &format!("{address}/64"), "dev", "foo0"]);
    }
}

fn neighbour(net: &Namespace, device: &str, of: IpAddr) -> String {
    net.ip(&["neigh", "show", &of.to_string(), "dev", device])
}

/// Announcements of both kinds reach everybody.
fn announcements_reach_everybody(trio: &Trio) {
    let own = inner_v4(1).to_string();
    let [_, others @ ..] = trio.ends();
    for kind in [&["-U"][..], &["-U", "-P"]] {
        for (_, net, device) in others {
            net.ip(&["neigh", "replace", &own, "lladdr", "2:9:9:9:9:9", "nud", "stale", "dev", device]);
        }
        let words =
            [&["arping", "-q", "-i", "foo0", "-c", "1", "-w", "1"], kind, &["-S", &own, &own]].concat();
        for (_, net, device) in others {
            // A kernel believes a broadcast reply only when its entry is older than a second.
            wait_until(SHORT, &format!("an announcement by {kind:?} is heard"), || {
                trio.one.net.run(&words);
                let shown = neighbour(net, device, inner_v4(1).into());
                if shown.contains("02:08:20:00:00:01") { Ok(()) } else { Err(shown) }
            });
        }
    }
}

/// A router on end 3 hears solicitations, and its advertisements arrive.
fn routers_are_found(trio: &Trio) {
    let _router =
        dnsmasq(trio.three.net(), trio.three.device(), &["--enable-ra", "--dhcp-range=fd23::,ra-only"]);
    wait_until(LONG, "a router is found", || {
        let outcome = trio.one.net.run(&["rdisc6", "-1", "-q", "-n", "-r", "1", "foo0"]);
        if outcome.stdout.contains("fd23::/64") { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
}

/// The place of an octet of the packet inside, in the UDP datagram that carries it; 4 more with a tag.
fn inside(vid: Option<u16>, offset: usize) -> usize {
    8 + 8 + 14 + vid.map_or(0, |_| 4) + offset
}

/// What goes from a client to all, and not to a server alone.
fn requests_to_all(vid: Option<u16>) -> String {
    let (v4, v6) = (inside(vid, 22), inside(vid, 42));
    format!("udp[16] & 1 = 1 and (udp[{v4}:2] = 67 or udp[{v6}:2] = 547)")
}

const LEASES: [&str; 2] = [
    "--dhcp-range=192.168.23.100,192.168.23.110,255.255.255.0,1h",
    "--dhcp-range=fd23::1000,fd23::10ff,64,1h",
];

/// A client on a host gets its address by DHCP and uses it; whether its requests went to all.
fn is_served(trio: &Trio, number: usize, vid: Option<u16>, more: &[&str]) -> bool {
    let host = [&trio.one, &trio.two][number];
    let device = &trio.underlay.devices[number];
    let capture = Capture::start(&host.net, device, underlay_v4(3), &requests_to_all(vid));
    let family = if more.contains(&"-6") { "-6" } else { "-4" };
    if family == "-4" {
        host.net.ip(&["-4", "addr", "flush", "dev", "foo0"]);
    }
    let _client = dhclient(host, more);
    let leased = if family == "-4" { "192.168.23.1" } else { "fd23::10" };
    wait_until(SHORT, "the leased address is there", || {
        let shown = host.net.ip(&[family, "-o", "addr", "show", "dev", "foo0"]);
        if shown.contains(leased) { Ok(()) } else { Err(shown) }
    });
    let to: IpAddr = if family == "-4" { inner_v4(3).into() } else { inner_v6(3).into() };
    assert!(host.net.ping(to, 56, false), "it works");
    !capture.finish().is_empty()
}

#[test]
fn whoever_asks_for_an_address_is_told_and_duplicates_are_found() {
    let trio = trio(None, 3);
    whoever_asks_is_told(&trio);
    duplicates_are_found(&trio);
    announcements_reach_everybody(&trio);
    trio.check_counters();
}

#[test]
fn dhcp_clients_are_served_by_the_machine_in_the_file_or_by_whoever_hears_them() {
    let trio = trio(None, 3);
    let server = dnsmasq(trio.three.net(), "vx0", &LEASES);
    for family in ["-4", "-6"] {
        assert!(!is_served(&trio, 0, None, &[family]), "dhcp-proxy: only the server is asked ({family})");
        assert!(is_served(&trio, 1, None, &[family]), "no dhcp-proxy: all are asked ({family})");
    }
    drop(server);
    trio.check_counters();
}

#[test]
fn routers_are_found_and_all_of_it_works_in_a_vlan() {
    routers_are_found(&trio(None, 3));
    let trio = trio(Some(VID), 2);
    trio.ping_any_to_any();
    whoever_asks_is_told(&trio);
    duplicates_are_found(&trio);
    announcements_reach_everybody(&trio);
    routers_are_found(&trio);
    // The server is on a host of ours now, and answers to all when it is asked to.
    let server = dnsmasq(&trio.two.net, "foo0", &[LEASES[0], LEASES[1], "--dhcp-broadcast"]);
    let capture = Capture::start(
        &trio.two.net,
        &trio.underlay.devices[1],
        underlay_v4(3),
        "udp[16] & 1 = 1 and udp[56:2] = 68",
    );
    assert!(!is_served(&trio, 0, Some(VID), &["-4"]), "only the server is asked");
    assert_eq!(capture.finish(), [""; 0], "and it answers the client alone");
    assert!(!is_served(&trio, 0, Some(VID), &["-6"]), "only the server is asked");
    drop(server);
    trio.check_counters();
}
