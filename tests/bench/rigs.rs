//! The two set-ups that are compared.

use overlay_tests::{Host, Namespace, SHORT, Underlay, VNETID, inner_v4, underlay_v4, wait_until};

/// The MTU of the cards in the zones, in octets, over an underlay of 1500.
pub(crate) const MTU: u16 = 1450;

/// Two zones, each on a host of its own, that reach each other through a tunnel.
pub(crate) struct Rig {
    /// The zones, ends 1 and 2.
    pub(crate) zones: [Namespace; 2],
    _hosts: Hosts,
    _underlay: Underlay,
}

/// What carries the tunnel; kept because it ends with its value.
enum Hosts {
    Ours(#[expect(dead_code, reason = "held for its Drop")] Box<[Host; 2]>),
    Kernel(#[expect(dead_code, reason = "held for its Drop")] [Namespace; 2]),
}

impl Rig {
    /// Overlays of ours, whose VNICs are moved into the zones.
    pub(crate) fn ours() -> Self {
        let hosts = [Host::started(), Host::started()];
        let underlay = Underlay::join(&hosts[0].net, &hosts[1].net, 1500);
        let zones = [Namespace::new(), Namespace::new()];
        let mtu = format!("mtu={MTU}");
        for ((host, zone), end) in hosts.iter().zip(&zones).zip(1..) {
            host.create_overlay("demo0", VNETID, underlay_v4(end), underlay_v4(3 - end), &["-p", &mtu]);
            host.create_vnic("foo0", "demo0", &[]);
            host.net.ip(&["link", "set", "foo0", "netns", zone.name()]);
            zone.address("foo0", end);
        }
        Self { zones, _hosts: Hosts::Ours(Box::new(hosts)), _underlay: underlay }
    }

    /// The usual deployment on Linux: zone, veth, bridge, the kernel's vxlan device.
    pub(crate) fn kernel() -> Self {
        let hosts = [Namespace::new(), Namespace::new()];
        let underlay = Underlay::join(&hosts[0], &hosts[1], 1500);
        let zones = [Namespace::new(), Namespace::new()];
        for ((host, zone), end) in hosts.iter().zip(&zones).zip(1..) {
            bridged(host, zone, end);
        }
        Self { zones, _hosts: Hosts::Kernel(hosts), _underlay: underlay }
    }

    /// Waits until the ends reach each other.
    pub(crate) fn warm_up(&self) {
        wait_until(SHORT, "the zones reach each other", || {
            let answered = self.zones[0].ping(inner_v4(2), 56, false);
            if answered { Ok(()) } else { Err("a ping without answer".to_owned()) }
        });
    }
}

fn bridged(host: &Namespace, zone: &Namespace, end: u8) {
    let (mtu, id) = (MTU.to_string(), VNETID.to_string());
    let (local, remote) = (underlay_v4(end).to_string(), underlay_v4(3 - end).to_string());
    let kind = ["link", "add", "vx0", "mtu", &mtu, "type", "vxlan", "id", &id, "dstport", "4789"];
    host.ip(&[&kind[..], &["local", &local, "remote", &remote]].concat());
    host.ip(&["link", "add", "br0", "mtu", &mtu, "type", "bridge"]);
    host.ip(&[
        "link",
        "add",
        "v0",
        "mtu",
        &mtu,
        "type",
        "veth",
        "peer",
        "name",
        "foo0",
        "netns",
        zone.name(),
    ]);
    for port in ["vx0", "v0"] {
        host.ip(&["link", "set", port, "master", "br0", "up"]);
    }
    host.ip(&["link", "set", "br0", "up"]);
    zone.ip(&["link", "set", "foo0", "mtu", &mtu]);
    zone.address("foo0", end);
}
