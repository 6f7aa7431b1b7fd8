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

/// An overlay at one moment: changes make a new one with the same counters.
pub struct Overlay<D> {
    pub(super) settings: OverlaySettings,
    pub(super) counters: Arc<OverlayCounters>,
    pub(super) targets: Arc<TargetTable<Waiting>>,
    ports: Vec<Arc<Port<D>>>,
    by_mac: HashMap<MacAddr, usize>,
}

impl<D: Device> Overlay<D> {
    /// An overlay with these VNICs, whose addresses are different; its target table outlives its changes.
    pub fn new(
        settings: OverlaySettings,
        counters: Arc<OverlayCounters>,
        targets: Arc<TargetTable<Waiting>>,
        ports: Vec<Arc<Port<D>>>,
    ) -> Self {
        let by_mac = ports.iter().enumerate().map(|(place, port)| (port.settings.mac, place)).collect();
        Self { settings, counters, targets, ports, by_mac }
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

    /// Hands a frame for all to every VNIC that hears it but its sender; says to how many.
    pub(super) fn flood(&self, inner: &Inner<'_>, from: Direction, sender: Option<MacAddr>) -> usize {
        let hearers = self.ports.iter().filter(|port| port.hears(inner.ethernet.vid));
        let receivers = hearers.filter(|port| Some(port.settings.mac) != sender);
        receivers.map(|port| self.hand(port, inner, from)).count()
    }

    /// Hands a frame to one VNIC and counts what came of it.
    pub(super) fn hand(&self, port: &Port<D>, inner: &Inner<'_>, from: Direction) {
        port.give(inner, &mut |outcome, load| match outcome {
            Ok(()) => self.counters.to_devices.add(load),
            Err(reason) => self.counters.lose(from, reason, load.frames),
        });
    }
}
