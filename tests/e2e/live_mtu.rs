//! An MTU that changes while frames flow: none is lost, and streams go on.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use overlay_core::property::Assignment;
use overlay_core::protocol::Request;
use overlay_tests::{Daemon, Host, LONG, Namespace, Plan, Scene, Transfer, inner_v4, wait_until};

const A_BIT: u64 = 2_000_000;

/// Datagrams between two changes.
const SOME: u64 = 500;

/// Datagrams under way at the most: few enough for every queue on their way.
const UNDER_WAY: u64 = 16;

/// Datagrams with numbers, each when an earlier one has arrived, from one end to the other, as large as the largest MTU or smaller: the sender's system
/// divides what is too large for its device.
struct Numbered {
    stop: Arc<AtomicBool>,
    arrived: Arc<AtomicU64>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Vec<u64>>,
}

impl Numbered {
    fn start(from: &Namespace, to: &Namespace, end: u8) -> Self {
        let receiver = to.inside(|| UdpSocket::bind((inner_v4(end), 0))).expect("an address");
        let sender = from.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("any address");
        // No path MTU is remembered: what does not fit the device is divided (ip(7)).
        sender.connect(receiver.local_addr().expect("a bound socket")).expect("a route");
        receiver.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
        let (stop, arrived) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (asked, count) = (Arc::clone(&stop), Arc::clone(&arrived));
        let (credit, credits) = mpsc::channel();
        let sender = thread::spawn(move || {
            let mut sent = 0u64;
            while !asked.load(Ordering::Relaxed) {
                let mut datagram = vec![7; if sent.is_multiple_of(2) { 1372 } else { 100 }];
                datagram[..8].copy_from_slice(&sent.to_be_bytes());
                match sender.send(&datagram) {
                    Ok(_) => sent += 1,
                    // The device has just become smaller: the next try is divided.
                    Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {}
                    Err(error) => panic!("cannot send: {error}"),
                }
                if sent >= UNDER_WAY {
                    // One that is lost brings the rest to a stop, which who waits for more tells of.
                    let _ = credits.recv_timeout(Duration::from_secs(1));
                }
            }
            sent
        });
        let receiver = thread::spawn(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 2048]);
            while let Ok(len) = receiver.recv(&mut buffer) {
                let number = buffer[..len].first_chunk().copied().map(u64::from_be_bytes);
                seen.push(number.expect("a number"));
                count.fetch_add(1, Ordering::Relaxed);
                let _ = credit.send(());
            }
            seen
        });
        Self { stop, arrived, sender, receiver }
    }

    #[track_caller]
    fn wait_for_more(&self) {
        let goal = self.arrived.load(Ordering::Relaxed) + SOME;
        wait_until(LONG, "datagrams go on arriving", || {
            let arrived = self.arrived.load(Ordering::Relaxed);
            if arrived >= goal { Ok(()) } else { Err(format!("{arrived} of {goal}")) }
        });
    }

    #[track_caller]
    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().expect("the sender ends well");
        let mut seen = self.receiver.join().expect("the receiver ends well");
        seen.sort_unstable();
        let lost: Vec<_> = (0..sent).filter(|number| seen.binary_search(number).is_err()).collect();
        assert!(lost.is_empty(), "{} of {sent} datagrams are lost: {lost:?}", lost.len());
    }
}

fn of_overlay(mtu: &str) -> Request {
    let properties = vec![Assignment::new("mtu", mtu)];
    Request::SetOverlayProperties { overlay: "demo0".parse().expect("a name"), properties }
}

fn of_vnic(mtu: &str) -> Request {
    let properties = vec![Assignment::new("mtu", mtu)];
    Request::SetLinkProperties { name: "foo0".parse().expect("a name"), properties, temporary: false }
}

#[track_caller]
fn change(host: &Host, request: Request, mtu: u16) {
    host.ask(Daemon::Overlayd, request);
    assert_eq!(host.net.device("foo0")["mtu"], mtu);
}

#[test]
fn no_datagram_is_lost_while_the_mtu_changes_at_one_end_after_the_other() {
    let scene = Scene::ours(Plan::default());
    let (one, two) = (&scene.host, &scene.peer);
    let there = Numbered::start(&one.net, &two.net, 2);
    let back = Numbered::start(&two.net, &one.net, 1);
    for (mtu, octets) in [("1200", 1200), ("1400", 1400), ("600", 600), ("1450", 1450), ("auto", 1450)] {
        for host in [one, two] {
            change(host, of_overlay(mtu), octets);
            there.wait_for_more();
            back.wait_for_more();
        }
    }
    for (mtu, octets) in [("1000", 1000), ("1450", 1450)] {
        change(one, of_vnic(mtu), octets);
        there.wait_for_more();
        back.wait_for_more();
    }
    there.finish();
    back.finish();
    for host in [one, two] {
        assert_eq!(host.counters("demo0").dropped("too-big"), 0);
    }
}

#[test]
fn streams_go_on_while_the_mtu_of_their_overlay_changes() {
    let scene = Scene::kernel(Plan::default());
    let there = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    let back = Transfer::start(&scene.peer.net, &scene.host.net, inner_v4(1));
    for (mtu, octets) in [("1200", 1200), ("1400", 1400), ("900", 900), ("1400", 1400)] {
        change(&scene.host, of_overlay(mtu), octets);
        there.wait_for_more(LONG, A_BIT);
        back.wait_for_more(LONG, A_BIT);
    }
    there.finish();
    back.finish();
    assert_eq!(scene.host.counters("demo0").dropped("too-big"), 0);
    scene.host.check_counters();
}
