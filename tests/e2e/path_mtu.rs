//! A way that becomes narrower while something is on it, behind a router.

use overlay_tests::{
    Family, Host, KernelPeer, LONG, Namespace, Plan, Routed, Transfer, VNETID, await_ping, inner_v4, inner_v6,
};

/// Octets that a way takes once it is narrow: of IPv6 too, and less than a packet of 1280 inside needs.
const NARROW: u32 = 1300;

/// Octets that have to arrive before the way is narrowed, and after.
const STRETCH: u64 = 20_000_000;

fn plan(family: Family) -> Plan {
    let mtu = if family == Family::V4 { 1450 } else { 1430 };
    Plan { family, mtu, ..Plan::default() }
}

fn goes_on(host: &Host, far: &Namespace, underlay: &Routed) {
    await_ping(&host.net);
    let transfers =
        [Transfer::start(&host.net, far, inner_v4(2)), Transfer::start(&host.net, far, inner_v6(2))];
    transfers.iter().for_each(|transfer| transfer.wait_for_more(LONG, STRETCH));
    underlay.narrow(NARROW);
    transfers.iter().for_each(|transfer| transfer.wait_for_more(LONG, STRETCH));
    for transfer in transfers {
        transfer.finish();
    }
    host.check_counters();
    let counters = host.counters("demo0");
    assert!(counters.dropped("underlay-mtu") > 0 && counters.of("injected") > 0, "{counters:?}");
}

fn between_ours(family: Family) {
    let (one, two) = (Host::started(), Host::started());
    let underlay = Routed::join(&one.net, &two.net);
    plan(family).furnish(&one, 1);
    plan(family).furnish(&two, 2);
    goes_on(&one, &two.net, &underlay);
    two.check_counters();
}

fn to_the_kernels(family: Family) {
    let (one, peer) = (Host::started(), KernelPeer::new());
    let underlay = Routed::join(&one.net, &peer.net);
    plan(family).furnish(&one, 1);
    peer.vxlan("vx0", VNETID, family.underlay(2), family.underlay(1), plan(family).mtu);
    peer.net.address("vx0", 2);
    goes_on(&one, &peer.net, &underlay);
}

#[test]
fn a_transfer_goes_on_where_an_ipv4_underlay_becomes_narrow() {
    between_ours(Family::V4);
}

#[test]
fn a_transfer_goes_on_where_an_ipv6_underlay_becomes_narrow() {
    between_ours(Family::V6);
}

#[test]
fn a_transfer_to_the_kernels_device_goes_on_where_an_ipv4_underlay_becomes_narrow() {
    to_the_kernels(Family::V4);
}

#[test]
fn a_transfer_to_the_kernels_device_goes_on_where_an_ipv6_underlay_becomes_narrow() {
    to_the_kernels(Family::V6);
}
