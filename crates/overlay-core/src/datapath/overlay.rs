use std::collections::HashMap;
use std::sync::Arc;

use super::{Device, Direction, Inner, OverlayCounters, Port, Waiting};
use crate::encap::{Encap, Outer};
use crate::lookup::{Sources, TargetMode, TargetTable};
use crate::types::{MacAddr, OverlayMtu, VnetId};
use crate::wire::Ethernet;

/// What an overlay is, as the data path sees it.
#[derive(Clone)]
pub struct OverlaySettings {
    /// Its virtual network.
    pub vnetid: VnetId,
    /// Its encapsulation.
    pub encap: &'static dyn Encap,
    /// What the outer IP header says.
    pub outer: Outer,
    /// Its largest packet.
    pub mtu: OverlayMtu,
    /// Whether it carries anything.
    pub active: bool,
    /// How destinations are found, once varpd has said so.
    pub target: Option<TargetMode>,
    /// Who may send to it: nobody before varpd has said so.
    pub sources: Option<Sources>,
}

impl OverlaySettings {
    /// Of an overlay that is active and has what is the default for the rest: nobody has said yet where anything goes, nor
    /// who may send.
    pub fn plain(vnetid: VnetId, encap: &'static dyn Encap) -> Self {
        let (outer, mtu) = (Outer::default(), OverlayMtu::default());
        Self { vnetid, encap, outer, mtu, active: true, target: None, sources: None }
    }
}

/// An overlay at one moment: changes make a new one with the same counters.
pub struct Overlay<D> {
    pub(super) settings: OverlaySettings,
    pub(super) counters: Arc<OverlayCounters>,
    pub(super) targets: Arc<TargetTable<Waiting>>,
    ports: Vec<Arc<Port<D>>>,
    by_mac: HashMap<MacAddr, usize>,
    /// Those of the VNICs that get what is for others too.
    watchers: Vec<usize>,
}

impl<D: Device> Overlay<D> {
    /// An overlay with these VNICs, whose addresses are different; its target table outlives its changes.
    pub fn new(
        settings: OverlaySettings,
        counters: Arc<OverlayCounters>,
        targets: Arc<TargetTable<Waiting>>,
        ports: Vec<Arc<Port<D>>>,
    ) -> Self {
        let watches = |place: &usize| !ports[*place].settings.policy.promisc_filtered;
        let watchers = (0..ports.len()).filter(watches).collect();
        let by_mac = owners(&ports);
        Self { settings, counters, targets, ports, by_mac, watchers }
    }

    /// What it is.
    pub const fn settings(&self) -> &OverlaySettings {
        &self.settings
    }

    /// What it has carried.
    pub const fn counters(&self) -> &Arc<OverlayCounters> {
        &self.counters
    }

    /// Its VNICs.
    pub fn ports(&self) -> &[Arc<Port<D>>] {
        &self.ports
    }

    /// The VNIC that a frame to one address is for.
    pub(super) fn owner(&self, ethernet: &Ethernet) -> Option<&Port<D>> {
        let port = &self.ports[*self.by_mac.get(&ethernet.destination)?];
        port.hears(ethernet.vid).then_some(&**port)
    }

    /// Hands a frame for all to every VNIC that hears it, but not to those to `skip`; says to how many.
    pub(super) fn flood(&self, inner: &Inner<'_>, from: Direction, skip: impl Fn(&Port<D>) -> bool) -> usize {
        let hearers = self.ports.iter().filter(|port| port.hears(inner.ethernet.vid));
        hearers.filter(|port| !skip(port)).map(|port| self.hand(port, inner, from)).count()
    }

    /// Hands a frame for one VNIC to that, and to those that get what is for others too, but not to those to `skip`; says
    /// whether its owner is here, and how many were given it.
    pub(super) fn give_owner(
        &self,
        inner: &Inner<'_>,
        from: Direction,
        skip: impl Fn(&Port<D>) -> bool,
    ) -> (bool, usize) {
        let owner = self.owner(&inner.ethernet);
        owner.into_iter().for_each(|owner| self.hand(owner, inner, from));
        let is_owner = |port: &Port<D>| owner.is_some_and(|owner| std::ptr::eq(owner, port));
        let watchers = self.watchers.iter().map(|place| &*self.ports[*place]);
        let watchers =
            watchers.filter(|port| port.hears(inner.ethernet.vid) && !is_owner(port) && !skip(port));
        let copies = watchers.map(|port| self.hand(port, inner, from)).count();
        (owner.is_some(), usize::from(owner.is_some()) + copies)
    }

    /// Hands a frame to one VNIC, at once or when its rate lets it.
    pub(super) fn hand(&self, port: &Port<D>, inner: &Inner<'_>, from: Direction) {
        port.hear(inner);
        match port.shaper() {
            None => self.give(port, inner, from),
            Some(shaper) => self.queue(port, shaper, inner, from),
        }
    }

    /// Gives a frame to one VNIC and counts what came of it.
    pub(super) fn give(&self, port: &Port<D>, inner: &Inner<'_>, from: Direction) {
        port.give(inner, &mut |outcome, load| match outcome {
            Ok(()) => self.counters.to_devices.add(load),
            Err(reason) => self.counters.lose(from, reason, load.frames),
        });
    }
}

/// Which VNIC a MAC address is of. One's own address is nobody else's, whatever he says.
fn owners<D>(ports: &[Arc<Port<D>>]) -> HashMap<MacAddr, usize> {
    let further = ports
        .iter()
        .enumerate()
        .flat_map(|(place, port)| port.settings.policy.secondary_macs.iter().map(move |mac| (*mac, place)));
    let own = ports.iter().enumerate().map(|(place, port)| (port.settings.mac, place));
    further.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to, point};
    use crate::datapath::{PortPolicy, Protection};
    use crate::types::{MacAddr, VlanId};

    const AWAY: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);
    const FURTHER: MacAddr = MacAddr([2, 8, 0x20, 0, 1, 1]);

    fn further(macs: &[MacAddr]) -> PortPolicy {
        PortPolicy { secondary_macs: macs.to_vec(), ..PortPolicy::default() }
    }

    fn watcher() -> PortPolicy {
        PortPolicy { promisc_filtered: false, ..PortPolicy::default() }
    }

    /// What has come from the wire, with the tag of a VLAN.
    fn receive(bench: &Bench, to: MacAddr, vid: Option<u8>) -> Vec<u8> {
        let mut frame = frame_to(to, 60);
        vid.into_iter().for_each(|vid| drop(frame.splice(12..12, [0x81, 0, 0, vid])));
        bench.overlay.receive(point().ip(), &frame, None);
        bench.check_counters();
        frame
    }

    fn send(bench: &Bench, from: usize, to: MacAddr) -> Vec<u8> {
        let frame = frame_to(to, 60);
        if bench.transmit(from, &frame).is_some() {
            bench.sent(60);
        }
        bench.check_counters();
        frame
    }

    #[test]
    fn a_vnic_gets_what_is_for_its_further_addresses() {
        let mut bench = Bench::new(&[None, None]);
        bench.set_policy(0, further(&[FURTHER]));
        let frames = [receive(&bench, FURTHER, None), send(&bench, 1, FURTHER)];
        assert_eq!(bench.taken(0), frames);
        send(&bench, 0, FURTHER);
        assert_eq!(bench.drops(), [("to-itself", 1)]);
        assert!(bench.taken(1).is_empty());
        bench.set_policy(0, further(&[]));
        receive(&bench, FURTHER, None);
        assert_eq!(bench.drops(), [("unknown-mac", 1), ("to-itself", 1)], "no longer");
    }

    #[test]
    fn nobody_takes_the_frames_of_anothers_own_address() {
        for (taker, owner) in [(0, 1), (1, 0)] {
            let mut bench = Bench::new(&[None, None]);
            bench.set_policy(taker, further(&[bench.mac(owner)]));
            let frame = receive(&bench, bench.mac(owner), None);
            assert_eq!((bench.taken(owner), bench.taken(taker).len()), (vec![frame], 0));
        }
    }

    #[test]
    fn a_watcher_sees_what_its_neighbours_send_and_are_sent() {
        let mut bench = Bench::new(&[None, None, None]);
        bench.set_policy(2, watcher());
        let mac = bench.mac(1);
        let frames =
            [send(&bench, 0, mac), send(&bench, 0, AWAY), receive(&bench, mac, None), send(&bench, 0, ANY)];
        assert_eq!(bench.taken(2), frames);
        assert_eq!((bench.taken(0).len(), bench.taken(1).len()), (0, 3));
        assert!(bench.drops().is_empty());
    }

    #[test]
    fn what_is_for_nobody_is_dropped_only_where_no_watcher_takes_it() {
        let mut bench = Bench::new(&[None, None]);
        bench.set_policy(1, watcher());
        let frame = receive(&bench, AWAY, None);
        assert_eq!((bench.taken(1), bench.drops().len()), (vec![frame], 0));
        bench.set_policy(1, PortPolicy::default());
        receive(&bench, AWAY, None);
        assert_eq!(bench.drops(), [("unknown-mac", 1)]);
    }

    #[test]
    fn a_watcher_sees_its_own_frames_once_at_the_most() {
        let mut bench = Bench::new(&[None, None]);
        bench.set_policy(1, watcher());
        let mac = bench.mac(1);
        send(&bench, 1, AWAY);
        send(&bench, 1, ANY);
        assert!(bench.taken(1).is_empty(), "none that it has sent");
        let frames = [send(&bench, 0, mac), receive(&bench, mac, None)];
        assert_eq!(bench.taken(1), frames, "each that is for it once");
    }

    #[test]
    fn a_watcher_stays_in_its_vlan() {
        let seven = VlanId::new(7).ok();
        let mut bench = Bench::new(&[seven, seven, VlanId::new(8).ok(), None]);
        (1..4).for_each(|port| bench.set_policy(port, watcher()));
        let mac = bench.mac(0);
        let tagged = receive(&bench, mac, Some(7));
        assert_eq!((bench.taken(1).len(), bench.taken(2).len()), (1, 0));
        assert_eq!(bench.taken(3), [tagged], "one without a VLAN sees all, with their tags");
        receive(&bench, mac, Some(9));
        assert_eq!((bench.taken(1).len(), bench.taken(2).len(), bench.taken(3).len()), (1, 0, 2));
    }

    #[test]
    fn a_watcher_that_is_down_costs_the_owner_nothing() {
        let mut bench = Bench::new(&[None, None, None]);
        bench.set_policy(2, watcher());
        bench.set_down(2);
        let mac = bench.mac(1);
        let frame = send(&bench, 0, mac);
        assert_eq!((bench.taken(1), bench.drops()), (vec![frame], vec![("device-down", 1)]));
    }

    #[test]
    fn what_a_vnic_may_not_send_reaches_nobody() {
        let mut bench = Bench::new(&[None, None]);
        let protection = Protection { mac_nospoof: true, ..Protection::default() };
        bench.set_policy(0, PortPolicy { protection, ..PortPolicy::default() });
        bench.set_policy(1, watcher());
        let mac = bench.mac(1);
        for to in [mac, ANY, AWAY] {
            send(&bench, 0, to);
        }
        assert!(bench.taken(1).is_empty());
        assert_eq!(bench.drops(), [("spoofed-mac", 3)]);
        assert_eq!(bench.overlay.ports()[0].counters().link().out_drops, 3);
    }
}
