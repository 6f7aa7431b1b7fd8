//! What `maxbw` lets through, either way, against what it says.

use std::time::Duration;

use overlay_tests::{
    Flood, Host, KernelPeer, Plan, Scene, Sink, Transfer, Underlay, Zone, inner_v4, pass, rate, underlay_v4,
};

use crate::options::Extent;

/// The rates, with how they are set.
const RATES: [(&str, f64); 5] = [("1200K", 1.2e6), ("10M", 1e7), ("100M", 1e8), ("1G", 1e9), ("5G", 5e9)];

/// Measures and prints all of it.
pub(crate) fn run(extent: &Extent) {
    println!("medians of three windows of {} s; octets of frames, as they arrive\n", extent.length.as_secs());
    println!("{:<46} {:>6} {:>15} {:>8}", "work", "maxbw", "measured", "off by");
    beside_the_kernels(extent.length);
    between_neighbours(extent.length);
}

fn show(work: &str, set: (&str, f64), window: Duration, octets: impl Fn() -> f64) {
    pass(window / 2);
    let measured = rate(window, 3, octets);
    let off = (measured / set.1 - 1.0) * 100.0;
    println!("{work:<46} {:>6} {:>8.2} Mbit/s {off:>+6.2} %", set.0, measured / 1e6);
}

/// One end is the kernel's vxlan.
fn beside_the_kernels(window: Duration) {
    let scene = Scene::kernel(Plan::default());
    let (here, there) = (&scene.host.net, &scene.peer.net);
    for set in RATES {
        scene.host.set_link_property("foo0", "maxbw", set.0);
        for (work, from, to, end, sink) in [
            ("out of a VNIC, to the kernel's vxlan", here, there, 2, Sink::kernels(there, "vx0")),
            ("from the kernel's vxlan into a VNIC", there, here, 1, Sink::vnic(here, "foo0")),
        ] {
            let flood = Flood::start(from, to, inner_v4(end));
            show(&format!("datagrams {work}"), set, window, || sink.flooded());
            drop(flood);
            let transfer = Transfer::start(from, to, inner_v4(end));
            show(&format!("a stream {work}"), set, window, || transfer.streamed());
            scene.host.reset_link_property("foo0", "maxbw");
            transfer.finish();
            scene.host.set_link_property("foo0", "maxbw", set.0);
        }
    }
}

/// Both ends are VNICs of one host.
fn between_neighbours(window: Duration) {
    let (host, peer) = (Host::started(), KernelPeer::new());
    let _underlay = Underlay::join(&host.net, &peer.net, 1500);
    host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
    let [a, b] = [("a0", 1), ("b0", 2)].map(|(vnic, end)| {
        host.create_vnic(vnic, "demo0", &[]);
        Zone::holding(&host, vnic, end)
    });
    for set in RATES {
        for (work, vnic) in
            [("out of a VNIC to its neighbour", "a0"), ("into a VNIC from its neighbour", "b0")]
        {
            host.set_link_property(vnic, "maxbw", set.0);
            let transfer = Transfer::start(&a.net, &b.net, inner_v4(2));
            show(&format!("a stream {work}"), set, window, || transfer.streamed());
            host.reset_link_property(vnic, "maxbw");
            transfer.finish();
        }
    }
}
