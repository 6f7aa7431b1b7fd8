//! What running traffic sees of a file that changes: moves, announcements, files that are bad or away.

use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, UdpSocket};

use overlay_tests::{
    Capture, Daemon, Family, Host, KernelPeer, LONG, Namespace, SHORT, Switch, Table, Transfer, Trio, VNETID,
    inner_mac, inner_v4, inner_v6, underlay_v4, wait_until,
};
use serde_json::json;

/// What a running transfer carries between two events.
const A_WHILE: u64 = 5_000_000;
/// The guest that moves.
const GUEST: u8 = 4;

/// A host of ours, end 1, and two hosts with the kernel's vxlan in a bridge, ends 2 and 3. A guest, a namespace of its
/// own, is plugged into one of the bridges.
struct Estate {
    host: Host,
    homes: [KernelPeer; 2],
    guest: Namespace,
    table: Table,
    underlay: Switch,
}

impl Estate {
    #[track_caller]
    fn new() -> Self {
        let (host, homes, guest) =
            (Host::started(), [KernelPeer::new(), KernelPeer::new()], Namespace::new());
        let underlay = Switch::join(&[&host.net, &homes[0].net, &homes[1].net], 1500);
        let mut table = Table::new(host.scratch().join("table.json"));
        table.place(1, Family::V4);
        table.place(GUEST, Family::V4);
        let estate = Self { host, homes, guest, table, underlay };
        estate.furnish();
        estate
    }

    fn furnish(&self) {
        for (end, home) in (2..).zip(&self.homes) {
            home.replicating(
                "vx0",
                VNETID,
                underlay_v4(end).into(),
                &[underlay_v4(1).into()],
                inner_mac(end),
            );
            home.net.ip(&["link", "add", "br0", "type", "bridge"]);
            home.net.ip(&["link", "set", "vx0", "master", "br0", "up"]);
            home.net.ip(&["link", "set", "br0", "up"]);
        }
        let (port, mac) = (self.port(), inner_mac(GUEST).to_string());
        let cable = ["link", "add", "eth0", "mtu", "1400", "address", &mac, "type", "veth", "peer", "name"];
        self.guest.ip(&[&cable[..], &[&port]].concat());
        self.guest.address("eth0", GUEST);
    }

    /// The other end of the guest's cable, under a name that no other namespace has.
    fn port(&self) -> String {
        self.guest.name().replace("ov-", "g")
    }

    /// Plugs the guest's cable, which is in `from`, into the bridge of a home.
    fn plug(&self, from: &Namespace, home: usize) {
        let (port, net) = (self.port(), &self.homes[home].net);
        from.ip(&["link", "set", &port, "netns", net.name()]);
        net.ip(&["link", "set", &port, "mtu", "1400", "master", "br0", "up"]);
    }

    /// Says in the table where the guest is.
    fn tell(&mut self, home: u8) {
        self.table.entry(inner_mac(GUEST))["ip"] = json!(underlay_v4(2 + home));
    }

    fn await_guest(&self) {
        wait_until(SHORT, "the guest answers", || {
            if self.host.net.ping(inner_v4(GUEST), 56, false) { Ok(()) } else { Err("silence".to_owned()) }
        });
    }

    /// Checks that a running transfer goes on, without anything that goes to a home of earlier.
    #[track_caller]
    fn goes_on_without(&self, transfer: &Transfer, home: u8) {
        transfer.wait_for_more(LONG, A_WHILE);
        let old = format!("dst host {}", underlay_v4(2 + home));
        let device = &self.underlay.devices[0];
        let capture = Capture::start(&self.host.net, device, underlay_v4(2), &old);
        transfer.wait_for_more(LONG, A_WHILE);
        assert_eq!(capture.finish(), [""; 0], "nothing goes to the old place");
    }
}

#[test]
fn a_stream_goes_on_when_its_host_moves_with_a_new_file_and_with_one_changed_in_place() {
    let mut estate = Estate::new();
    estate.tell(0);
    estate.table.write();
    let config = estate.table.property();
    estate.host.create_searched("demo0", VNETID, underlay_v4(1), "files", &["-p", &config]);
    estate.host.create_vnic("foo0", "demo0", &["-m", &inner_mac(1).to_string()]);
    estate.host.net.address("foo0", 1);
    estate.plug(&estate.guest, 0);
    estate.await_guest();
    let transfer = Transfer::start(&estate.host.net, &estate.guest, inner_v4(GUEST));
    let back = Transfer::start(&estate.guest, &estate.host.net, inner_v6(1));
    transfer.wait_for_more(SHORT, A_WHILE);
    back.wait_for_more(SHORT, A_WHILE);

    estate.plug(&estate.homes[0].net, 1);
    estate.tell(1);
    estate.table.write();
    estate.goes_on_without(&transfer, 0);
    back.wait_for_more(LONG, A_WHILE);

    estate.plug(&estate.homes[1].net, 0);
    estate.tell(0);
    estate.table.overwrite();
    estate.goes_on_without(&transfer, 1);
    back.wait_for_more(LONG, A_WHILE);

    transfer.finish();
    back.finish();
    estate.host.check_counters();
}

/// The same VNIC on two hosts of ours, as if it could be moved: ends 2 and 3 of three.
fn twins() -> (Vec<Host>, Table, Switch) {
    let hosts: Vec<_> = (0..3).map(|_| Host::started()).collect();
    let nets: Vec<_> = hosts.iter().map(|host| &host.net).collect();
    let underlay = Switch::join(&nets, 1500);
    let mut table = Table::new(hosts[0].scratch().join("table.json"));
    (1..=2).for_each(|end| table.place(end, Family::V4));
    table.write();
    for (number, host) in (1..).zip(&hosts) {
        let inner = u8::min(number, 2);
        host.create_searched("demo0", VNETID, underlay_v4(number), "files", &["-p", &table.property()]);
        host.create_vnic("foo0", "demo0", &["-m", &inner_mac(inner).to_string()]);
        host.net.address("foo0", inner);
    }
    (hosts, table, underlay)
}

/// Sends a numbered datagram, and says which of the receivers it arrives at.
#[track_caller]
fn arrives_at(sender: &UdpSocket, receivers: &[UdpSocket], number: u32) -> usize {
    sender.send_to(&number.to_be_bytes(), (inner_v4(2), 9999)).expect("a datagram is taken");
    wait_until(SHORT, &format!("datagram {number} arrives"), || {
        let mut octets = [0; 4];
        let place = receivers.iter().position(|socket| socket.recv(&mut octets).is_ok());
        let place = place.ok_or_else(|| "nothing".to_owned())?;
        assert_eq!(octets, number.to_be_bytes(), "each arrives once");
        Ok(place)
    })
}

#[test]
fn each_datagram_arrives_once_while_its_destination_moves() {
    let (hosts, mut table, _underlay) = twins();
    let receivers = [&hosts[1], &hosts[2]].map(|host| {
        let socket = host.net.inside(|| UdpSocket::bind("0.0.0.0:9999")).expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        socket
    });
    let sender = hosts[0].net.inside(|| UdpSocket::bind((inner_v4(1), 0))).expect("an address");
    let mut numbers = 0..;
    let mut next = || arrives_at(&sender, &receivers, numbers.next().expect("endless"));
    for place in [0, 1, 0, 1] {
        table.entry(inner_mac(2))["ip"] = json!(underlay_v4(2 + u8::try_from(place).expect("0 or 1")));
        if place == 0 {
            table.write();
        } else {
            table.overwrite();
        }
        wait_until(SHORT, "the new place is in force", || {
            let seen = next();
            if seen == place { Ok(()) } else { Err(format!("still at {seen}")) }
        });
        (0..100).for_each(|_| assert_eq!(next(), place, "the old place gets nothing any more"));
    }
    hosts.iter().for_each(Host::check_counters);
}

fn neighbour(net: &Namespace, of: IpAddr) -> String {
    let shown = net.ip(&["neigh", "show", &of.to_string(), "dev", "foo0"]);
    let words: Vec<_> = shown.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "lladdr").map_or(0, |place| place + 1);
    words.get(place).map(|word| (*word).to_owned()).unwrap_or_default()
}

#[test]
fn an_inner_address_with_another_mac_address_is_announced() {
    let mut trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    let addresses: [IpAddr; 2] = [inner_v4(2).into(), inner_v6(2).into()];
    addresses.iter().for_each(|ip| assert_eq!(neighbour(&trio.one.net, *ip), "02:08:20:00:00:02"));
    trio.table.set(inner_mac(2), json!({ "ip": underlay_v4(2), "port": 4789 }));
    let heir = json!({ "ip": underlay_v4(3), "port": 4789, "arp": inner_v4(2), "ndp": inner_v6(2) });
    trio.table.set(inner_mac(5), heir);
    trio.table.write();
    for ip in addresses {
        wait_until(SHORT, &format!("the neighbour {ip} is another, without any traffic to it"), || {
            let shown = neighbour(&trio.one.net, ip);
            if shown == "02:08:20:00:00:05" { Ok(()) } else { Err(shown) }
        });
    }
    trio.check_counters();
}

/// The good table with a port that is none, and what is said about it.
fn spoilt(table: &Table) -> (String, String) {
    let text = table.text().replacen("\"port\": 4789", "\"port\": 70000", 1);
    let line = text.lines().position(|line| line.contains("70000")).expect("a port") + 1;
    let column = text.lines().nth(line - 1).map(|line| line.find("70000").expect("a port") + 5);
    let place = format!("line {line}, column {}", column.expect("a line"));
    let path = table.path().display();
    (text, format!("{path}: {place}: entry 2:8:20:0:0:1: port 70000 is not in 1-65535"))
}

#[test]
fn a_bad_file_harms_no_traffic_and_is_told_of() {
    let trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    let transfer = Transfer::start(&trio.one.net, &trio.two.net, inner_v4(2));
    let (text, message) = spoilt(&trio.table);
    for in_place in [true, false] {
        if in_place {
            fs::write(trio.table.path(), &text).expect("written");
        } else {
            trio.table.replace(&text);
        }
        let shown = trio.one.await_degraded("demo0", "port");
        assert!(shown.contains(&message), "{shown} does not contain {message}");
        transfer.wait_for_more(SHORT, A_WHILE);
        trio.one.dladm_ok(&["modify-overlay", "-f", "demo0"]);
        transfer.wait_for_more(SHORT, A_WHILE);
        trio.ping_any_to_any();
        trio.table.write();
        trio.one.await_online("demo0");
    }
    trio.table.remove();
    let shown = trio.one.await_degraded("demo0", "No such file");
    assert!(shown.contains(&trio.table.path().display().to_string()), "{shown}");
    trio.ping_any_to_any();
    trio.table.write();
    trio.one.await_online("demo0");
    transfer.finish();
    trio.check_counters();
}

#[test]
fn the_hangup_signal_makes_varpd_read_a_file_that_its_writer_has_not_closed() {
    let mut trio = Trio::new(Family::V4);
    trio.ping_any_to_any();
    trio.table.entry(inner_mac(3))["ip"] = json!(underlay_v4(2));
    let mut file = File::options().write(true).truncate(true).open(trio.table.path()).expect("it is there");
    file.write_all(trio.table.text().as_bytes()).expect("written");
    trio.one.running(Daemon::Varpd).hang_up();
    wait_until(SHORT, "the change is in force", || match trio.one.target("demo0", inner_mac(3)) {
        Some((row, _)) if row == "10.0.0.2:4789 known lookup" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(file);
    trio.check_counters();
}

#[test]
fn an_overlay_with_a_bad_file_is_not_created_and_leaves_nothing_behind() {
    let host = Host::started();
    let mut table = Table::new(host.scratch().join("table.json"));
    (1..=3).for_each(|end| table.place(end, Family::V4));
    let before = host.snapshot();
    let create = || host.create_searched_refused("demo0", "127.0.0.1", "files", &["-p", &table.property()]);
    let path = table.path().display().to_string();
    let (text, message) = spoilt(&table);
    let cut = "line 2, column 14: 'broadcasts' is neither a MAC address nor 'broadcast'";
    let cases = [
        (Some(&*text), message),
        (Some("{\n  \"broadcasts\": []\n}\n"), format!("{path}: {cut}")),
        (None, format!("{path}: cannot be opened: No such file or directory (os error 2)")),
    ];
    for (text, message) in cases {
        match text {
            Some(text) => table.replace(text),
            None => table.remove(),
        }
        let refusal = create();
        assert!(refusal.contains(&message), "{refusal} does not contain {message}");
        assert_eq!(host.snapshot(), before);
    }
    table.write();
    host.create_searched("demo0", VNETID, "127.0.0.1", "files", &["-p", &table.property()]);
    host.dladm_ok(&["delete-overlay", "demo0"]);
}
