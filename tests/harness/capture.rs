use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::{Family, LONG, Namespace, Spawned};

/// The UDP port of the datagram that says where a capture ends (RFC 863: whoever gets it discards it).
const END: u16 = 9;

/// What leaves a device, seen by tcpdump.
#[derive(Debug)]
pub struct Capture<'a> {
    tcpdump: Spawned,
    namespace: &'a Namespace,
    other: SocketAddr,
}

impl<'a> Capture<'a> {
    /// Begins to look at what leaves the underlay device of a namespace and matches `filter` (pcap-filter(7)); `other` is
    /// some address beyond the device.
    ///
    /// # Panics
    /// tcpdump does not start.
    #[track_caller]
    pub fn start(namespace: &'a Namespace, device: &str, other: impl Into<IpAddr>, filter: &str) -> Self {
        // In this order: an octet beyond a packet's end ends the whole filter.
        let filter = format!("udp dst port {END} or ({filter})");
        let words = ["tcpdump", "-n", "-l", "-e", "--immediate-mode", "-Q", "out", "-i", device, &filter];
        let tcpdump = Spawned::start(namespace, &words);
        tcpdump.wait_for(LONG, "listening on");
        Self { tcpdump, namespace, other: SocketAddr::new(other.into(), END) }
    }

    /// A line for each VXLAN datagram that matched up to now.
    ///
    /// # Panics
    /// tcpdump does not see the datagram that ends it.
    #[track_caller]
    pub fn finish(self) -> Vec<String> {
        let any = if self.other.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = self.namespace.inside(|| UdpSocket::bind(any)).expect("any address");
        socket.send_to(b"end", self.other).expect("a datagram is taken");
        let mark = format!("{}.{END}: ", self.other.ip());
        self.tcpdump.wait_for(LONG, &mark);
        let lines = self.tcpdump.lines().into_iter().take_while(|line| !line.contains(&mark));
        // What is inside a tunnel stands on a line of its own.
        lines.filter(|line| line.contains("4789: VXLAN")).collect()
    }
}

/// A filter for datagrams whose inner frame asks everybody for the owner of an address, on behalf of somebody who has one:
/// ARP requests and neighbour solicitations to a group, but not the kernel's duplicate address detection.
pub fn questions_to_all(family: Family) -> String {
    // Octets of the UDP datagram: 8 of its header, 8 of VXLAN, 14 of Ethernet, then the inner packet.
    let at = |offset: usize, count: usize| match family {
        Family::V4 => format!("udp[{offset}:{count}]"),
        Family::V6 => format!("ip6[{}:{count}]", 40 + offset),
    };
    let arp = format!("{} = 0x0806", at(28, 2));
    let solicitation = format!(
        "({} = 0x86dd and {} = 58 and {} = 135 and {} != 0)",
        at(28, 2),
        at(36, 1),
        at(70, 1),
        at(38, 4)
    );
    format!("udp dst port 4789 and {} & 1 = 1 and ({arp} or {solicitation})", at(16, 1))
}
