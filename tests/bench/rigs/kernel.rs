//! The usual deployment on Linux: zone, veth, bridge, the kernel's vxlan device.

use overlay_tests::{Namespace, VNETID, underlay_v4};

use super::{Cable, MTU};

/// Both hosts.
pub(super) fn hosts(zones: &[Namespace; 2], cable: Cable) -> [Namespace; 2] {
    let hosts = [Namespace::new(), Namespace::new()];
    cable.join(&hosts[0], &hosts[1]);
    for ((host, zone), end) in hosts.iter().zip(zones).zip(1..) {
        furnish(host, zone, end);
    }
    hosts
}

fn furnish(host: &Namespace, zone: &Namespace, end: u8) {
    let (mtu, id) = (MTU.to_string(), VNETID.to_string());
    let (local, remote) = (underlay_v4(end).to_string(), underlay_v4(3 - end).to_string());
    let kind = ["link", "add", "vx0", "mtu", &mtu, "type", "vxlan", "id", &id, "dstport", "4789"];
    host.ip(&[&kind[..], &["local", &local, "remote", &remote]].concat());
    host.ip(&["link", "add", "br0", "mtu", &mtu, "type", "bridge"]);
    let veth = ["link", "add", "v0", "mtu", &mtu, "type", "veth"];
    host.ip(&[&veth[..], &["peer", "name", "foo0", "netns", zone.name()]].concat());
    for port in ["vx0", "v0"] {
        host.ip(&["link", "set", port, "master", "br0", "up"]);
    }
    host.ip(&["link", "set", "br0", "up"]);
    zone.ip(&["link", "set", "foo0", "mtu", &mtu]);
    zone.address("foo0", end);
}
