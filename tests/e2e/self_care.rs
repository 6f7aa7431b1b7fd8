//! What the kernel refuses is seen, counted, and goes another way. The kernel of a test machine refuses little by itself
//! (since 6.11 it finishes the checksums that a device cannot), so strace(1) refuses in its place.

use std::net::IpAddr;

use overlay_tests::{
    Bursts, Daemon, Host, LONG, Namespace, Plan, Scene, Spawned, Transfer, Underlay, VNETID, Zone, inner_v4,
    tcp_copy, underlay_v4,
};

/// Datagrams in one burst.
const BURST: usize = 30;
const DATAGRAM: u16 = 1200;
const A_WHILE: u64 = 5_000_000;

/// Two hosts with a VNIC each in a zone, that know each other and say nothing by themselves.
struct Quiet {
    hosts: [Host; 2],
    zones: [Zone; 2],
    underlay: Underlay,
}

impl Quiet {
    fn new() -> Self {
        let hosts = [Host::started(), Host::started()];
        let underlay = Underlay::join(&hosts[0].net, &hosts[1].net, 1500);
        let zone = |(host, end): (&Host, u8)| {
            host.create_overlay("demo0", VNETID, underlay_v4(end), underlay_v4(3 - end), &[]);
            host.create_vnic("foo0", "demo0", &[]);
            Zone::holding(host, "foo0", end)
        };
        let zones = [zone((&hosts[0], 1)), zone((&hosts[1], 2))];
        let quiet = Self { hosts, zones, underlay };
        quiet.introduce(0, 1);
        quiet.introduce(1, 0);
        assert!(quiet.zones[0].net.ping(inner_v4(2), 56, false), "the two ends reach each other");
        quiet
    }

    fn introduce(&self, here: usize, there: usize) {
        let mac = self.zones[there].net.device("foo0")["address"].as_str().expect("an address").to_owned();
        let to = inner_v4(there as u8 + 1).to_string();
        let words = ["neigh", "replace", &to, "lladdr", &mac, "dev", "foo0", "nud", "permanent"];
        self.zones[here].net.ip(&words);
    }

    fn bursts(&self) -> Bursts {
        Bursts::new(&self.zones[0].net, &self.zones[1].net, IpAddr::from(inner_v4(2)), DATAGRAM)
    }

    fn streams_cross(&self) {
        tcp_copy(&self.zones[0].net, &self.zones[1].net, inner_v4(2), A_WHILE);
        tcp_copy(&self.zones[1].net, &self.zones[0].net, inner_v4(1), A_WHILE);
    }
}

/// Has the first call of a kind that a driver makes from now on fail.
fn refuse(host: &Host, call: &str, error: &str) -> Spawned {
    let pid = host.running(Daemon::Overlayd).pid().to_string();
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when=1"));
    let strace = Spawned::start(&host.net, &["strace", "-f", "-p", &pid, "-e", &trace, "-e", &inject]);
    strace.wait_for(LONG, "attached");
    strace
}

/// What `dladm show-overlay -s` says of the offloads of a link or a socket: in use, off, and how many refusals.
fn offloads(host: &Host, of: &str) -> [String; 3] {
    let shown = host.dladm_ok(&["show-overlay", "-s", "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("an array of rows");
    ["offloads", "offloads-off", "offloads-refused"].map(|counter| {
        let row = rows.iter().find(|row| row["link"] == of && row["counter"] == counter);
        row.map(|row| row["value"].to_string().trim_matches('"').to_owned()).unwrap_or_default()
    })
}

const SOCKET: &str = "10.0.0.1:4789";

#[test]
fn trains_that_the_path_cannot_take_are_switched_off_without_a_loss() {
    let quiet = Quiet::new();
    assert_eq!(offloads(&quiet.hosts[0], SOCKET), ["trains-out,trains-in", "", ""]);
    let strace = refuse(&quiet.hosts[0], "sendmmsg", "EIO");
    quiet.bursts().send(BURST);
    strace.wait_for(LONG, "INJECTED");
    drop(strace);
    assert_eq!(offloads(&quiet.hosts[0], SOCKET), ["trains-in", "trains-out", "1"]);
    quiet.bursts().send(BURST);
    quiet.streams_cross();
    assert_eq!(offloads(&quiet.hosts[0], SOCKET), ["trains-in", "trains-out", "1"], "they are tried no more");
    assert_eq!(quiet.hosts[0].counters("demo0").drops(), 0);
}

#[test]
fn a_train_that_finds_no_memory_goes_in_datagrams_and_the_next_as_a_train() {
    // The last says that its datagrams are too big for their way, which is nothing against trains.
    for (error, refused) in [("ENOBUFS", "1"), ("EINVAL", "1"), ("EMSGSIZE", "")] {
        let quiet = Quiet::new();
        let strace = refuse(&quiet.hosts[0], "sendmmsg", error);
        quiet.bursts().send(BURST);
        strace.wait_for(LONG, "INJECTED");
        drop(strace);
        assert_eq!(offloads(&quiet.hosts[0], SOCKET), ["trains-out,trains-in", "", refused], "{error}");
        quiet.streams_cross();
        assert_eq!(quiet.hosts[0].counters("demo0").drops(), 0, "{error}");
    }
}

/// What a VNIC of this kernel does.
const ALL: &str = "checksum,tso4,tso6,tso-ecn,uso4,uso6,runs-tcp4,runs-tcp6,runs-udp";

#[test]
fn a_device_that_does_not_know_super_frames_gets_frames_from_then_on() {
    let quiet = Quiet::new();
    assert_eq!(offloads(&quiet.hosts[1], "foo0"), [ALL, "", ""]);
    let strace = refuse(&quiet.hosts[1], "writev", "EINVAL");
    quiet.bursts().send(BURST);
    strace.wait_for(LONG, "INJECTED");
    drop(strace);
    let others = ALL.replace(",runs-udp", "");
    assert_eq!(offloads(&quiet.hosts[1], "foo0"), [&others, "runs-udp", "1"]);
    quiet.bursts().send(BURST);
    quiet.streams_cross();
    assert_eq!(offloads(&quiet.hosts[1], "foo0"), [&others, "runs-udp", "1"], "it is asked no more");
    assert_eq!(quiet.hosts[1].counters("demo0").drops(), 0);
}

#[test]
fn a_device_that_finds_no_memory_is_given_super_frames_again() {
    let quiet = Quiet::new();
    let strace = refuse(&quiet.hosts[1], "writev", "ENOMEM");
    quiet.bursts().send(BURST);
    strace.wait_for(LONG, "INJECTED");
    drop(strace);
    assert_eq!(offloads(&quiet.hosts[1], "foo0"), [ALL, "", "1"]);
    assert_eq!(quiet.hosts[1].counters("demo0").drops(), 0);
}

/// Under a stream that goes on all the while.
#[test]
fn a_stream_goes_on_over_a_device_that_loses_its_checksum_offload() {
    let quiet = Quiet::new();
    let transfer = Transfer::start(&quiet.zones[0].net, &quiet.zones[1].net, inner_v4(2));
    transfer.wait_for_more(LONG, A_WHILE);
    quiet.hosts[0].net.run(&["ethtool", "-K", &quiet.underlay.one, "tx", "off"]).ok();
    transfer.wait_for_more(LONG, A_WHILE);
    let strace = refuse(&quiet.hosts[0], "sendmmsg", "EIO");
    strace.wait_for(LONG, "INJECTED");
    drop(strace);
    transfer.wait_for_more(LONG, A_WHILE);
    transfer.finish();
}

/// The offloads of a device, as the kernel shows them.
fn features(net: &Namespace) -> String {
    net.run(&["ethtool", "-k", "foo0"]).ok()
}

/// A program that attaches to the device as overlayd does, but wants frames finished, another header and another order.
const ANOTHER: &str = "
import fcntl, struct
tun = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'foo0', 0x0002 | 0x1000 | 0x4000)) # TUNSETIFF: TAP, NO_PI, VNET_HDR
fcntl.ioctl(tun, 0x400454d0, 0)                         # TUNSETOFFLOAD
fcntl.ioctl(tun, 0x400454d8, struct.pack('i', 10))      # TUNSETVNETHDRSZ
fcntl.ioctl(tun, 0x400454dc, struct.pack('i', 0))       # TUNSETVNETLE
";

#[test]
fn nothing_is_inherited_from_whoever_had_the_device_before() {
    let mut scene = Scene::ours(Plan::default());
    let before = features(&scene.host.net);
    assert!(
        before.contains("tx-checksumming: on") && before.contains("tcp-segmentation-offload: on"),
        "{before}"
    );
    scene.host.kill9(Daemon::Overlayd);
    scene.host.net.run(&["python3", "-c", ANOTHER]).ok();
    assert_ne!(features(&scene.host.net), before, "another has changed them");
    scene.host.start_overlayd();
    assert_eq!(features(&scene.host.net), before);
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), A_WHILE);
    scene.host.kill9(Daemon::Overlayd);
    for feature in ["tx", "tso"] {
        scene.host.net.run(&["ethtool", "-K", "foo0", feature, "off"]).ok();
    }
    assert_ne!(features(&scene.host.net), before, "somebody has changed them");
    scene.host.start_overlayd();
    assert_eq!(features(&scene.host.net), before);
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), A_WHILE);
    tcp_copy(&scene.peer.net, &scene.host.net, inner_v4(1), A_WHILE);
}
