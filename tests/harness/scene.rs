use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use overlay_core::types::MacAddr;

use crate::{Host, Namespace, SHORT, Underlay, wait_until};

/// The virtual network of a scene.
pub const VNETID: u32 = 23;

/// The IPv4 address of an end on the underlay.
pub fn underlay_v4(end: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, end)
}

/// The IPv6 address of an end on the underlay.
pub fn underlay_v6(end: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, end.into())
}

/// The IPv4 address of an end inside the overlay.
pub fn inner_v4(end: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 23, end)
}

/// The IPv6 address of an end inside the overlay.
pub fn inner_v6(end: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd23, 0, 0, 0, 0, 0, 0, end.into())
}

/// The address family that carries the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The underlay address of an end.
    pub fn underlay(self, end: u8) -> IpAddr {
        match self {
            Self::V4 => underlay_v4(end).into(),
            Self::V6 => underlay_v6(end).into(),
        }
    }
}

/// How the two ends of a scene are to be joined.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What carries the tunnel.
    pub family: Family,
    /// Whether our ends listen on all addresses of both families, `::`, instead of on their own.
    pub any_listener: bool,
    /// The MTU of the underlay, in octets.
    pub underlay_mtu: u32,
    /// The MTU of the overlay, in octets.
    pub mtu: u16,
}

impl Default for Plan {
    fn default() -> Self {
        Self { family: Family::V4, any_listener: false, underlay_mtu: 1500, mtu: 1400 }
    }
}

impl Plan {
    fn listen(&self, end: u8) -> IpAddr {
        if self.any_listener { Ipv6Addr::UNSPECIFIED.into() } else { self.family.underlay(end) }
    }

    /// Makes the overlay `demo0` on a host that is end `end`, with the VNIC `foo0`, up and addressed.
    #[track_caller]
    pub fn furnish(&self, host: &Host, end: u8) {
        let (mtu, other) = (format!("mtu={}", self.mtu), self.family.underlay(3 - end));
        host.create_overlay("demo0", VNETID, self.listen(end), other, &["-p", &mtu]);
        host.create_vnic("foo0", "demo0", &[]);
        host.net.address("foo0", end);
    }
}

/// The kernel's own vxlan device, in a namespace that has nothing else.
#[derive(Debug)]
pub struct KernelPeer {
    /// Its namespace.
    pub net: Namespace,
}

impl Default for KernelPeer {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelPeer {
    /// One without a device.
    pub fn new() -> Self {
        Self { net: Namespace::new() }
    }

    /// Makes a vxlan device between two underlay addresses.
    #[track_caller]
    pub fn vxlan(&self, device: &str, vnetid: u32, local: IpAddr, remote: IpAddr, mtu: u16) {
        let (id, mtu) = (vnetid.to_string(), mtu.to_string());
        let (local, remote) = (local.to_string(), remote.to_string());
        let kind = ["link", "add", device, "mtu", &mtu, "type", "vxlan", "id", &id, "dstport", "4789"];
        self.net.ip(&[&kind[..], &["local", &local, "remote", &remote]].concat());
    }

    /// Makes a vxlan device with this MAC address that learns where others are, and sends what is for all, or for an
    /// address that it has not learnt, to each of `remotes`.
    #[track_caller]
    pub fn replicating(&self, device: &str, vnetid: u32, local: IpAddr, remotes: &[IpAddr], mac: MacAddr) {
        let (id, local, mac) = (vnetid.to_string(), local.to_string(), mac.to_string());
        let kind = ["link", "add", device, "mtu", "1400", "address", &mac, "type", "vxlan", "id", &id];
        self.net.ip(&[&kind[..], &["dstport", "4789", "local", &local]].concat());
        for remote in remotes {
            let words = ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", device, "dst"];
            self.net.run(&[&words[..], &[&remote.to_string()]].concat()).ok();
        }
    }
}

/// Two ends of one overlay: end 1 is a host of ours with `foo0`, end 2 another or the kernel's.
#[derive(Debug)]
pub struct Scene<Peer> {
    /// End 1.
    pub host: Host,
    /// End 2.
    pub peer: Peer,
    /// What joins them.
    pub underlay: Underlay,
}

impl Scene<Host> {
    /// Two hosts of ours.
    #[track_caller]
    pub fn ours(plan: Plan) -> Self {
        let (host, peer) = (Host::started(), Host::started());
        let underlay = Underlay::join(&host.net, &peer.net, plan.underlay_mtu);
        plan.furnish(&host, 1);
        plan.furnish(&peer, 2);
        await_ping(&host.net);
        Self { host, peer, underlay }
    }
}

impl Scene<KernelPeer> {
    /// A host of ours and the kernel's `vx0`.
    #[track_caller]
    pub fn kernel(plan: Plan) -> Self {
        let (host, peer) = (Host::started(), KernelPeer::new());
        let underlay = Underlay::join(&host.net, &peer.net, plan.underlay_mtu);
        plan.furnish(&host, 1);
        let (local, remote) = (plan.family.underlay(2), plan.family.underlay(1));
        peer.vxlan("vx0", VNETID, local, remote, plan.mtu);
        peer.net.address("vx0", 2);
        await_ping(&host.net);
        Self { host, peer, underlay }
    }
}

/// Waits until the ends of a scene reach each other inside.
#[track_caller]
pub fn await_ping(from: &Namespace) {
    wait_until(SHORT, "the two ends of the scene reach each other", || {
        if from.ping(inner_v4(2), 56, false) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
}

/// A zone: a namespace that holds one VNIC of a host and nothing else.
#[derive(Debug)]
pub struct Zone {
    /// Its namespace.
    pub net: Namespace,
}

impl Zone {
    /// Moves a VNIC into a fresh zone, and gives it there the IPv4 address of `end`, up and without IPv6,
    /// so that it sends nothing that no test asked for.
    #[track_caller]
    pub fn holding(host: &Host, vnic: &str, end: u8) -> Self {
        let net = Namespace::new();
        net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"]).ok();
        net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1"]).ok();
        host.net.ip(&["link", "set", vnic, "netns", net.name()]);
        net.ip(&["link", "set", vnic, "up"]);
        net.ip(&["addr", "add", &format!("{}/24", inner_v4(end)), "dev", vnic]);
        Self { net }
    }
}
