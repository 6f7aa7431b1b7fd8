//! What a look-up costs in a small target table and in one of a million entries.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use overlay_core::datapath::{
    Device, DeviceError, FrameBuf, Outward, Overlay, OverlaySettings, Port, PortSettings, Waiting,
};
use overlay_core::encap;
use overlay_core::lookup::{About, Fate, TargetMode, TargetTable, Timing, Verdict};
use overlay_core::offload::{OffloadSet, VNET_HEADER, VnetHeader};
use overlay_core::types::{LinkId, MacAddr, Moment, VnetId};
use overlay_core::wire::FlowHasher;
use overlay_tests::resident_kib;

use crate::figures::median;
use crate::options::Extent;
use crate::scale::show;

/// Look-ups in one measurement.
const COUNT: u32 = 1_000_000;

/// Measures and prints.
pub(crate) fn run(extent: &Extent) {
    let tables = [Filled::new(1000), Filled::new(1_000_000)];
    let mut figures: [[Vec<f64>; 2]; 3] = Default::default();
    for _ in 0..extent.rounds {
        for (place, table) in tables.iter().enumerate() {
            figures[0][place].push(table.hit(Order::Streaming));
            figures[1][place].push(table.hit(Order::Waiting));
            figures[2][place].push(table.frame());
        }
    }
    let octets = tables[1].octets;
    show("memory of a million targets", format!("{:.0} MB", octets as f64 / 1e6), "bar: 200 MB");
    let titles = [
        "a hit among a million to one among a thousand",
        "the same, each waiting for the one before",
        "a frame's way to its tunnel end with such a hit",
    ];
    for (title, figures) in titles.into_iter().zip(figures) {
        let [small, large] = figures.map(median);
        show(title, format!("{:.2} x", large / small), "bar: 2 x");
        println!("  ({large:.0} ns and {small:.0} ns)");
    }
}

/// In what order look-ups follow each other; no cache foresees either.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// The next address is known before the look-up has ended.
    Streaming,
    /// The next address depends on what was found.
    Waiting,
}

/// A target table with so many entries.
struct Filled {
    table: Arc<TargetTable<Waiting>>,
    entries: u32,
    /// What all take, of this process's memory.
    octets: u64,
}

/// The address of entry `number`.
fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 8, a, b, c, d])
}

impl Filled {
    fn new(entries: u32) -> Self {
        let before = resident_kib(std::process::id());
        let timing = Timing { ageing: None, negative: 1000, timeout: 1000 };
        let table = TargetTable::new(link(), Arc::default(), timing, entries as usize);
        let end = Verdict::Learned(vec!["10.1.0.1:4789".parse().expect("legal")]);
        (0..entries).for_each(|number| table.learn(About::Mac(mac(number)), &end, Moment(0), &mut |_| ()));
        assert_eq!(table.len(), entries as usize);
        let octets = resident_kib(std::process::id()).saturating_sub(before) * 1024;
        Self { table: Arc::new(table), entries, octets }
    }

    /// The nanoseconds of a look-up.
    fn hit(&self, order: Order) -> f64 {
        let (start, mut place) = (Instant::now(), 0u32);
        for number in 0..COUNT {
            let fate = self.table.look(mac(place % self.entries), Moment(1));
            // 4789 for each entry: no address, but nothing that the processor knows before.
            let found = match (order, &fate) {
                (Order::Waiting, Fate::Send(ends)) => u32::from(ends.all()[0].port()),
                _ => 4789,
            };
            assert_ne!(black_box(fate), Fate::Wait);
            place = (number + found).wrapping_mul(2_654_435_761);
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT)
    }

    /// The nanoseconds that a small frame takes from where a device has put it to where a socket finds its datagram.
    fn frame(&self) -> f64 {
        let overlay = self.overlay();
        let (mut room, hasher) = (FrameBuf::default(), FlowHasher::default());
        let outward = Outward { hasher: &hasher, now: Moment(1) };
        let mut frame = [0; VNET_HEADER + 60];
        // An EtherType for experiments (IEEE 802, 88-B5).
        frame[VNET_HEADER + 12..][..2].copy_from_slice(&[0x88, 0xb5]);
        let start = Instant::now();
        for number in 0..COUNT {
            let to = mac(number.wrapping_mul(2_654_435_761) % self.entries);
            frame[VNET_HEADER..][..6].copy_from_slice(&to.0);
            room.space()[..frame.len()].copy_from_slice(&frame);
            room.fill(frame.len());
            assert!(black_box(overlay.transmit(&overlay.ports()[0], &mut room, outward)).is_some());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT)
    }

    fn overlay(&self) -> Overlay<Nowhere> {
        let settings = OverlaySettings {
            target: Some(TargetMode::Dynamic),
            ..OverlaySettings::plain(
                VnetId::new(23).expect("legal"),
                encap::by_name("vxlan").expect("it is there"),
            )
        };
        let port = PortSettings::plain(link(), MacAddr([2; 6]));
        let ports = vec![Arc::new(Port::new(port, Nowhere))];
        Overlay::new(settings, Arc::default(), Arc::clone(&self.table), ports)
    }
}

fn link() -> LinkId {
    LinkId(7.try_into().expect("not 0"))
}

/// A device that nothing is sent to.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Device for Nowhere {
    fn give(&self, _: VnetHeader, _: [&[u8]; 2], _: &[&[u8]]) -> Result<(), DeviceError> {
        Err(DeviceError::Down)
    }

    fn offloads(&self) -> OffloadSet {
        OffloadSet::default()
    }
}
