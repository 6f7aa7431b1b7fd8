//! Golden VXLAN packets: what our header looks like on the wire, read by tshark and by ourselves.
//!
//! `OVERLAY_BLESS=1` writes the files of `tests/golden` anew.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use overlay_core::encap::Encap;
use overlay_core::encap::vxlan::Vxlan;
use overlay_core::types::{MacAddr, VlanId, VnetId};
use overlay_core::wire::Ethernet;
use overlay_tests::frame::{self, STRANGER, checksum};
use overlay_tests::{Family, Plan, Scene, Underlay, inner_v4};

const VNIC: MacAddr = MacAddr([2, 8, 0x20, 0xab, 0xcd, 0xef]);
const OUTER: (MacAddr, MacAddr) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));

/// Octets of the outer Ethernet and UDP headers, and of the outer IP header of each family.
const ETHERNET: usize = 14;
const UDP: usize = 8;
const IPV4: usize = 20;
const IPV6: usize = 40;

/// How tshark says that a checksum is there and right.
const CHECKSUM_GOOD: &str = "1";

/// What a decoder says of one packet.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    vnetid: u32,
    flags: u16,
    destination: MacAddr,
    source: MacAddr,
    vid: Option<u16>,
}

/// Inner frames of every kind that has a header of its own.
fn inner_frames() -> Vec<(u32, Vec<u8>)> {
    let arp = frame::arp(1, (STRANGER, inner_v4(2)), (MacAddr::default(), inner_v4(1)));
    let udp = frame::udp4((inner_v4(2), 1234), (inner_v4(1), 9999), b"golden");
    let plain = frame::ethernet(VNIC, STRANGER, 0x0800, &udp);
    let full = frame::echo_request(inner_v4(2), inner_v4(1), &[0x5a; 1372]);
    vec![
        (23, frame::ethernet(MacAddr::BROADCAST, STRANGER, 0x0806, &arp)),
        (0, plain.clone()),
        (0xff_ffff, plain.clone()),
        (0x12_3456, frame::tagged(7, &plain)),
        (23, frame::tagged(4094, &plain)),
        (
            23,
            frame::ethernet(
                MacAddr([0x33, 0x33, 0, 0, 0, 1]),
                STRANGER,
                0x86dd,
                &ipv6(58, &[128, 0, 0, 0, 0, 23, 0, 1]),
            ),
        ),
        (23, frame::ethernet(VNIC, STRANGER, 0x0800, &full)),
    ]
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).expect("a packet that fits").to_be_bytes();
    let (from, to) = (octets(Family::V6.underlay(1)), octets(Family::V6.underlay(2)));
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &from, &to, payload].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// A whole packet of the underlay around a frame, with our header in it and every checksum right.
fn packet(family: Family, vnetid: u32, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0xff; Vxlan.header_len()];
    Vxlan.write(VnetId::new(vnetid).expect("24 bits"), &mut header);
    let length = u16::try_from(UDP + header.len() + inner.len()).expect("a datagram that fits");
    let mut udp =
        [&50_000_u16.to_be_bytes()[..], &4789_u16.to_be_bytes(), &length.to_be_bytes(), &[0, 0]].concat();
    udp.extend([&header[..], inner].concat());
    let (from, to) = (octets(family.underlay(1)), octets(family.underlay(2)));
    let pseudo = [&from[..], &to, &[0, 17], &length.to_be_bytes(), &udp].concat();
    udp[6..8].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    match family {
        Family::V4 => frame::ethernet(OUTER.1, OUTER.0, 0x0800, &ipv4(&from, &to, &udp)),
        Family::V6 => frame::ethernet(OUTER.1, OUTER.0, 0x86dd, &ipv6(17, &udp)),
    }
}

fn ipv4(from: &[u8], to: &[u8], payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(IPV4 + payload.len()).expect("a packet that fits").to_be_bytes();
    let mut header = [&[0x45, 0, high, low, 0, 0, 0x40, 0, 64, 17, 0, 0][..], from, to].concat();
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [&header[..], payload].concat()
}

/// A capture file (pcap, version 2.4, Ethernet) of packets a second apart.
fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1].iter().for_each(|word: &u32| file.extend(word.to_le_bytes()));
    for (second, packet) in (0..).zip(packets) {
        let len = u32::try_from(packet.len()).expect("a packet that fits");
        [second, 0, len, len].iter().for_each(|word: &u32| file.extend(word.to_le_bytes()));
        file.extend(packet);
    }
    file
}

/// Which of several fields of one name is meant.
#[derive(Clone, Copy)]
enum Which {
    Outermost,
    Innermost,
}

/// Fields of every packet of a capture file, as tshark reads them.
fn tshark(file: &Path, fields: &[&str], which: Which) -> Vec<BTreeMap<String, String>> {
    let occurrence = match which {
        Which::Outermost => "occurrence=f",
        Which::Innermost => "occurrence=l",
    };
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "udp.check_checksum:TRUE", "-r"]).arg(file);
    command.args(["-T", "fields", "-E", occurrence]).args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.stdin(Stdio::null()).output().expect("tshark is installed (apt-get install tshark)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let named = |line: &str| {
        fields.iter().map(|name| (*name).to_owned()).zip(line.split('\t').map(str::to_owned)).collect()
    };
    String::from_utf8_lossy(&output.stdout).lines().map(named).collect()
}

const FIELDS: [&str; 5] = ["vxlan.vni", "vxlan.flags", "eth.dst", "eth.src", "vlan.id"];

fn read_by_tshark(file: &Path) -> Vec<Decoded> {
    let decoded = |row: &BTreeMap<String, String>| Decoded {
        vnetid: row["vxlan.vni"].parse().expect("a number"),
        flags: u16::from_str_radix(row["vxlan.flags"].trim_start_matches("0x"), 16).expect("flags"),
        destination: row["eth.dst"].parse().expect("a MAC address"),
        source: row["eth.src"].parse().expect("a MAC address"),
        vid: row["vlan.id"].parse().ok(),
    };
    tshark(file, &FIELDS, Which::Innermost).iter().map(decoded).collect()
}

fn read_by_us(packet: &[u8], outer_ip: usize) -> Decoded {
    let datagram = &packet[ETHERNET + outer_ip + UDP..];
    let (vnetid, header) = Vxlan.read(datagram).expect("a header of ours");
    let ethernet = Ethernet::parse(&datagram[header..]).expect("an inner frame");
    Decoded {
        vnetid: vnetid.number(),
        flags: u16::from_be_bytes([datagram[0], datagram[1]]),
        destination: ethernet.destination,
        source: ethernet.source,
        vid: ethernet.vid.map(VlanId::number),
    }
}

fn golden(family: Family, name: &str) -> (PathBuf, Vec<Vec<u8>>) {
    let packets = inner_frames().iter().map(|(vnetid, inner)| packet(family, *vnetid, inner)).collect();
    (Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name), packets)
}

fn agrees(family: Family, name: &str, outer_ip: usize) {
    let (path, packets) = golden(family, name);
    if std::env::var_os("OVERLAY_BLESS").is_some() {
        fs::write(&path, pcap(&packets)).expect("a file of the repository");
    }
    assert!(fs::read(&path).expect("the golden file") == pcap(&packets), "{name}: our packets have changed");
    let ours: Vec<_> = packets.iter().map(|packet| read_by_us(packet, outer_ip)).collect();
    assert_eq!(ours, read_by_tshark(&path), "tshark and we read the same");
    let sent: Vec<_> = inner_frames().into_iter().map(|(vnetid, _)| vnetid).collect();
    assert_eq!(ours.iter().map(|packet| packet.vnetid).collect::<Vec<_>>(), sent);
    assert!(ours.iter().all(|packet| packet.flags == 0x0800), "flag I alone");
    let sums = tshark(&path, &["udp.checksum.status", "_ws.malformed"], Which::Outermost);
    let right = |row: &BTreeMap<String, String>| {
        row["_ws.malformed"].is_empty() && row["udp.checksum.status"] == CHECKSUM_GOOD
    };
    assert!(sums.iter().all(right), "{sums:?}");
}

#[test]
fn golden_packets_over_ipv4_are_read_alike_by_tshark() {
    agrees(Family::V4, "vxlan-ipv4.pcap", IPV4);
}

#[test]
fn golden_packets_over_ipv6_are_read_alike_by_tshark() {
    agrees(Family::V6, "vxlan-ipv6.pcap", IPV6);
}

/// Pings through a scene, and the capture file of what our host sent meanwhile.
fn captured(scene: &Scene<overlay_tests::KernelPeer>, file: &Path) {
    let path = file.to_str().expect("a plain path");
    let filter = "udp dst port 4789 and inbound";
    let words = ["tcpdump", "-n", "-U", "-c", "5", "-w", path, "-i", &scene.underlay.two, filter];
    let mut child = scene.peer.net.command(&words).stderr(Stdio::null()).spawn().expect("tcpdump runs");
    overlay_tests::wait_until(overlay_tests::LONG, "five packets of ours are captured", || {
        scene.host.net.ping(inner_v4(2), 56, false);
        child.try_wait().expect("a child").ok_or_else(|| "tcpdump still waits".to_owned())
    });
}

#[test]
fn what_overlayd_sends_has_its_checksums_and_ports_as_tshark_reads_them() {
    for plan in [Plan::default(), Plan { family: Family::V6, ..Plan::default() }] {
        let scene = Scene::kernel(plan);
        Underlay::plain(&scene.host.net, &scene.underlay.one);
        let file = scene.host.paths().run.join("sent.pcap");
        captured(&scene, &file);
        let fields = ["udp.srcport", "udp.dstport", "udp.checksum.status", "vxlan.vni"];
        let rows = tshark(&file, &fields, Which::Outermost);
        assert_eq!(rows.len(), 5);
        for row in rows {
            let port: u16 = row["udp.srcport"].parse().expect("a port");
            assert!(port >= 49152 && row["udp.dstport"] == "4789" && row["vxlan.vni"] == "23", "{row:?}");
            assert_eq!(
                row["udp.checksum.status"], CHECKSUM_GOOD,
                "a checksum that is there and right: {row:?}"
            );
        }
    }
}
