//! The lookup side stands still, is killed, or comes late: what is known serves on, what is not waits for it, and
//! nothing grows.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use overlay_core::types::MacAddr;
use overlay_tests::frame::ethernet;
use overlay_tests::{
    Daemon, Host, KernelPeer, LONG, Plan, RawLink, SHORT, Transfer, Underlay, VNETID, inner_v4, resident_kib,
    underlay_v4, wait_until,
};

const HERE: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
const THERE: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 2]);
/// In the file, and never asked for before a test does.
const NEW: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 3]);
/// Another such.
const LATER: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 4]);

/// An EtherType for experiments (IEEE 802, local experimental 1).
const EXPERIMENT: u16 = 0x88b5;

const A_BIT: u64 = 2_000_000;

/// A host with an overlay whose destinations a file knows, and the kernel's vxlan at the other end.
struct Stand {
    host: Host,
    peer: KernelPeer,
    _underlay: Underlay,
    config: PathBuf,
}

impl Stand {
    fn new(properties: &str) -> Self {
        let (host, peer) = (Host::started(), KernelPeer::new());
        let underlay = Underlay::join(&host.net, &peer.net, 1500);
        let config = host.paths().run.join("table.json");
        fs::write(&config, table()).expect("written");
        let all =
            format!("vxlan/listen_ip={},files/config={},{properties}", underlay_v4(1), config.display());
        let vnetid = VNETID.to_string();
        host.dladm_ok(&["create-overlay", "-e", "vxlan", "-s", "files", "-v", &vnetid, "-p", &all, "demo0"]);
        host.create_vnic("foo0", "demo0", &["-m", &HERE.to_string()]);
        // Without IPv6 it sends nothing that no test asked for.
        host.net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.foo0.disable_ipv6=1"]).ok();
        host.net.ip(&["link", "set", "foo0", "up"]);
        host.net.ip(&["addr", "add", &format!("{}/24", inner_v4(1)), "dev", "foo0"]);
        peer.vxlan("vx0", VNETID, underlay_v4(2).into(), underlay_v4(1).into(), Plan::default().mtu);
        peer.net.ip(&["link", "set", "vx0", "address", &linux(THERE)]);
        peer.net.address("vx0", 2);
        wait_until(LONG, "the two ends reach each other", || {
            if host.net.ping(inner_v4(2), 56, false) {
                Ok(())
            } else {
                Err("a ping without answer".to_owned())
            }
        });
        Self { host, peer, _underlay: underlay, config }
    }

    fn transfer(&self) -> Transfer {
        Transfer::start(&self.host.net, &self.peer.net, inner_v4(2))
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.host.counters("demo0").dropped(reason)
    }

    #[track_caller]
    fn waiting(&self, frames: u64) {
        wait_until(LONG, &format!("{frames} frames wait"), || {
            match self.host.counters("demo0").of("waiting") {
                found if found == frames => Ok(()),
                other => Err(format!("{other} wait")),
            }
        });
    }
}

fn table() -> String {
    let entry = |mac: MacAddr, end: u8, more: &str| {
        format!("\"{mac}\": {{\"ip\": \"{}\", \"port\": 4789{more}}}", underlay_v4(end))
    };
    let entries = [
        entry(HERE, 1, ", \"arp\": \"192.168.23.1\""),
        entry(THERE, 2, ", \"arp\": \"192.168.23.2\""),
        entry(NEW, 2, ""),
        entry(LATER, 2, ""),
    ];
    format!("{{{}}}", entries.join(",\n"))
}

/// As `ip` wants an address.
fn linux(mac: MacAddr) -> String {
    mac.0.map(|octet| format!("{octet:02x}")).join(":")
}

fn numbered(to: MacAddr, number: u8) -> Vec<u8> {
    ethernet(to, HERE, EXPERIMENT, &[number; 60])
}

/// The numbers of the next frames that arrive.
fn arrivals(link: &RawLink, count: usize) -> Vec<u8> {
    (0..count).map_while(|_| Some(link.receive(EXPERIMENT, LONG)?[14])).collect()
}

#[test]
fn while_varpd_stands_still_what_is_known_serves_and_what_is_not_waits_and_is_dropped() {
    // Each second the entries in use are to be checked, and cannot be.
    let mut stand = Stand::new("target/timeout=1,target/negative=1,target/ageing=1");
    let out = RawLink::open(&stand.host.net, "foo0");
    let transfer = stand.transfer();
    transfer.wait_for_more(LONG, A_BIT);
    stand.host.daemon(Daemon::Varpd).freeze();
    (0..3).for_each(|number| out.send(&numbered(NEW, number)));
    stand.waiting(3);
    wait_until(LONG, "they are dropped for want of an answer", || match stand.dropped("lookup-timeout") {
        3 => Ok(()),
        other => Err(format!("{other} of 3")),
    });
    stand.waiting(0);
    for _ in 0..5 {
        transfer.wait_for_more(SHORT, A_BIT);
    }
    // A refusal is not remembered for long.
    wait_until(LONG, "the address is asked for again", || {
        out.send(&numbered(NEW, 9));
        if stand.host.counters("demo0").of("waiting") > 0 { Ok(()) } else { Err("nothing waits".to_owned()) }
    });
    transfer.wait_for_more(SHORT, A_BIT);
    transfer.finish();
    stand.host.daemon(Daemon::Varpd).thaw();
    let there = RawLink::open(&stand.peer.net, "vx0");
    wait_until(LONG, "it is found", || {
        out.send(&numbered(NEW, 10));
        there
            .receive(EXPERIMENT, Duration::from_millis(100))
            .map(drop)
            .ok_or_else(|| "nothing came".to_owned())
    });
    stand.host.check_counters();
}

#[test]
fn what_waits_for_a_varpd_that_stood_still_arrives_in_order() {
    let mut stand = Stand::new("target/timeout=60");
    let (out, there) = (RawLink::open(&stand.host.net, "foo0"), RawLink::open(&stand.peer.net, "vx0"));
    stand.host.daemon(Daemon::Varpd).freeze();
    (0..20).for_each(|number| out.send(&numbered(NEW, number)));
    stand.waiting(20);
    stand.host.daemon(Daemon::Varpd).thaw();
    assert_eq!(arrivals(&there, 20), (0..20).collect::<Vec<_>>());
    stand.host.check_counters();
}

#[test]
fn what_waits_for_a_varpd_that_was_killed_arrives_in_order_once_it_is_back() {
    let mut stand = Stand::new("target/timeout=60");
    let out = RawLink::open(&stand.host.net, "foo0");
    let transfer = stand.transfer();
    stand.host.kill9(Daemon::Varpd);
    (0..20).for_each(|number| out.send(&numbered(NEW, number)));
    stand.waiting(20);
    transfer.wait_for_more(SHORT, A_BIT);
    transfer.finish();
    let there = RawLink::open(&stand.peer.net, "vx0");
    stand.host.start_varpd();
    assert_eq!(arrivals(&there, 20), (0..20).collect::<Vec<_>>());
    out.send(&numbered(LATER, 21));
    assert_eq!(arrivals(&there, 1), [21]);
    stand.host.check_counters();
}

#[test]
fn a_varpd_that_comes_back_to_another_file_corrects_what_serves() {
    let mut stand = Stand::new("target/timeout=1");
    assert!(stand.host.net.ping(inner_v4(2), 56, false));
    stand.host.kill9(Daemon::Varpd);
    let moved = table().replace(&underlay_v4(2).to_string(), "10.0.0.3");
    fs::write(&stand.config, moved).expect("written");
    assert!(stand.host.net.ping(inner_v4(2), 56, false), "what is known serves on");
    stand.host.start_varpd();
    wait_until(LONG, "the entry follows the file", || {
        stand.host.net.ping(inner_v4(2), 56, false);
        let shown = stand.host.dladm_ok(&["show-overlay", "-t", "-p", "-o", "target,destination", "demo0"]);
        if shown.contains("10.0.0.3") { Ok(()) } else { Err(shown) }
    });
    stand.host.check_counters();
}

#[test]
fn what_was_found_is_found_again_by_an_overlayd_that_was_killed() {
    let mut stand = Stand::new("target/timeout=3");
    let transfer = stand.transfer();
    for _ in 0..3 {
        transfer.wait_for_more(LONG, A_BIT);
        stand.host.kill9(Daemon::Overlayd);
        stand.host.start_overlayd();
    }
    transfer.wait_for_more(LONG, A_BIT);
    transfer.finish();
    stand.host.check_counters();
}

/// Addresses that no file has.
fn unknown(number: u32) -> MacAddr {
    let [_, a, b, c] = number.to_be_bytes();
    MacAddr([0x02, 0xbb, 0, a, b, c])
}

#[test]
fn a_flood_of_new_destinations_while_varpd_reads_nothing_costs_bounded_memory() {
    let mut stand = Stand::new("target/timeout=4,target/negative=0");
    let (out, there) = (RawLink::open(&stand.host.net, "foo0"), RawLink::open(&stand.peer.net, "vx0"));
    let overlayd = stand.host.daemon(Daemon::Overlayd).pid();
    let before = resident_kib(overlayd);
    stand.host.daemon(Daemon::Varpd).freeze();
    let mut peaks = Vec::new();
    for round in 0..2 {
        let full = stand.dropped("lookup-full");
        let mut fresh = 0..;
        // A device keeps only so many frames for who reads them late; so they come until there are enough.
        wait_until(LONG, "too much is asked for", || {
            fresh.by_ref().take(10_000).for_each(|number| {
                out.send(&ethernet(unknown(number), HERE, EXPERIMENT, &[0; 400]));
            });
            if stand.dropped("lookup-full") > full { Ok(()) } else { Err("there was room".to_owned()) }
        });
        // Each of these is a question of its own.
        (0..5000).for_each(|_| out.send(&ethernet(MacAddr([0xff; 6]), HERE, 0x0806, &[0; 400])));
        stand.host.overlay("demo0").expect("a control request is answered");
        peaks.push(resident_kib(overlayd));
        wait_until(LONG, &format!("round {round} is over"), || {
            let counters = stand.host.counters("demo0");
            if counters.of("waiting") == 0 { Ok(()) } else { Err(format!("{counters:?}")) }
        });
    }
    let most = peaks.iter().max().expect("two rounds");
    assert!(*most <= before + 96 * 1024, "{before} KiB grew to {peaks:?}");
    let counters = stand.host.counters("demo0");
    assert!(counters.dropped("lookup-full") > 0 && counters.dropped("lookup-timeout") > 0, "{counters:?}");
    stand.host.daemon(Daemon::Varpd).thaw();
    wait_until(LONG, "a new destination is found", || {
        out.send(&numbered(NEW, 1));
        match there.receive(EXPERIMENT, Duration::from_millis(200)) {
            Some(frame) if frame[..6] == NEW.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(stand.host.net.ping(inner_v4(2), 56, false));
    stand.host.check_counters();
}
