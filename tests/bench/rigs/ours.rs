//! Overlays of ours, whose VNICs are moved into the zones.

use overlay_tests::{Host, Namespace, VNETID, underlay_v4};

use super::{Cable, MTU};

/// Both hosts.
pub(super) fn hosts(zones: &[Namespace; 2], cable: Cable) -> [Host; 2] {
    let hosts = [Host::started(), Host::started()];
    cable.join(&hosts[0].net, &hosts[1].net);
    let mtu = format!("mtu={MTU}");
    for ((host, zone), end) in hosts.iter().zip(zones).zip(1..) {
        host.create_overlay("demo0", VNETID, underlay_v4(end), underlay_v4(3 - end), &["-p", &mtu]);
        host.create_vnic("foo0", "demo0", &[]);
        host.net.ip(&["link", "set", "foo0", "netns", zone.name()]);
        zone.address("foo0", end);
    }
    hosts
}
