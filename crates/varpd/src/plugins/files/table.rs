//! What a file says, in the form in which it is asked. Pure.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use overlay_core::lookup::Sources;
use overlay_core::types::{MacAddr, VlanId};

/// The most entries of a table, the most tunnel ends of all of them together, and the most inner addresses.
pub const ENTRIES_MAX: usize = 4_194_304;

/// An IP address inside the overlay, and the VLAN in which it answers; in every VLAN where there is none.
pub type Inner = (IpAddr, Option<VlanId>);

/// Where each MAC address is and whose each inner address is. Each question takes one or two look-ups by hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    entries: HashMap<MacAddr, Entry>,
    inner: HashMap<Inner, MacAddr>,
    broadcast: Vec<SocketAddr>,
    sources: Sources,
}

/// What is kept of one MAC address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    ends: Box<[SocketAddr]>,
    dhcp_proxy: Option<MacAddr>,
}

impl Table {
    /// How many MAC addresses have an entry.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no MAC address has one.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tunnel ends to which frames for `mac` go, at least one; none where the file does not say. A group address
    /// without tunnel ends of its own has those of the list `broadcast`.
    pub fn target(&self, mac: MacAddr) -> Option<&[SocketAddr]> {
        let everybody = || Some(&*self.broadcast).filter(|ends| mac.is_multicast() && !ends.is_empty());
        self.ends(mac).or_else(everybody)
    }

    /// The tunnel ends of the address's own entry, at least one.
    pub fn ends(&self, mac: MacAddr) -> Option<&[SocketAddr]> {
        self.entries.get(&mac).map(|entry| &*entry.ends).filter(|ends| !ends.is_empty())
    }

    /// Every address that has tunnel ends of its own, with them, in no order.
    pub fn destinations(&self) -> impl Iterator<Item = (MacAddr, &[SocketAddr])> {
        let entries = self.entries.iter().map(|(mac, entry)| (*mac, &*entry.ends));
        entries.filter(|(_, ends)| !ends.is_empty())
    }

    /// The tunnel ends for group addresses without their own.
    pub fn broadcast(&self) -> &[SocketAddr] {
        &self.broadcast
    }

    /// Whose an inner address is, for a question from a VLAN or from outside of all. What stands for that VLAN goes
    /// before what stands for every one.
    pub fn resolve(&self, ip: IpAddr, vid: Option<VlanId>) -> Option<MacAddr> {
        let everywhere = || self.inner.get(&(ip, None));
        self.inner.get(&(ip, vid)).or_else(everywhere).copied()
    }

    /// Every inner address with its VLAN, in no order.
    pub fn inner(&self) -> impl Iterator<Item = Inner> {
        self.inner.keys().copied()
    }

    /// Whether an inner address stands in the file for exactly this VLAN, or for every one.
    pub fn has_inner(&self, inner: Inner) -> bool {
        self.inner.contains_key(&inner)
    }

    /// Who gets the DHCP requests of a client.
    pub fn dhcp_proxy(&self, client: MacAddr) -> Option<MacAddr> {
        self.entries.get(&client).and_then(|entry| entry.dhcp_proxy)
    }

    /// The addresses of all tunnel ends in the file.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

impl Default for Table {
    fn default() -> Self {
        Draft::default().finish().0
    }
}

/// One entry as the file has it, each value checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The MAC address that it is about.
    pub mac: MacAddr,
    /// Where frames for it go; each gets a copy.
    pub ends: Vec<SocketAddr>,
    /// Its addresses inside the overlay.
    pub inner: Vec<IpAddr>,
    /// The VLAN in which those answer.
    pub vid: Option<VlanId>,
    /// Who gets its DHCP requests.
    pub dhcp_proxy: Option<MacAddr>,
}

/// A table while it is read, in the file's order.
#[derive(Debug, Default)]
pub struct Draft {
    listed: Vec<Option<Listed>>,
    places: HashMap<MacAddr, usize>,
    broadcast: Vec<SocketAddr>,
    ends: usize,
    inner: usize,
    /// The first key that means nothing, with its entry.
    pub ignored: Option<(MacAddr, String)>,
}

/// An inner address that stands for two MAC addresses: the first in the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadowed {
    /// The address.
    pub ip: IpAddr,
    /// The MAC address that does not get it.
    pub mac: MacAddr,
}

impl Draft {
    /// Adds an entry. An earlier one of the same MAC address goes, with its place in the order (illumos).
    ///
    /// # Errors
    /// What there is too much of.
    pub fn add(&mut self, mut listed: Listed) -> Result<(), String> {
        canonical(&mut listed.ends);
        self.ends += listed.ends.len();
        self.inner += listed.inner.len();
        if let Some(earlier) = self.places.insert(listed.mac, self.listed.len()) {
            self.listed[earlier] = None;
        }
        self.listed.push(Some(listed));
        let counts =
            [(self.listed.len(), "entries"), (self.ends, "tunnel ends"), (self.inner, "inner addresses")];
        match counts.iter().find(|(count, _)| *count > ENTRIES_MAX) {
            Some((_, what)) => Err(format!("there are more than {ENTRIES_MAX} {what}")),
            None => Ok(()),
        }
    }

    /// Notes a key of an entry that means nothing.
    pub fn note_ignored(&mut self, mac: MacAddr, key: Option<String>) {
        if self.ignored.is_none() {
            self.ignored = key.map(|key| (mac, key));
        }
    }

    /// Sets the tunnel ends for group addresses without their own.
    pub fn broadcast(&mut self, mut ends: Vec<SocketAddr>) {
        canonical(&mut ends);
        self.broadcast = ends;
    }

    /// The table, and the first inner address in it that is there for a second MAC address too.
    pub fn finish(self) -> (Table, Option<Shadowed>) {
        let (mut inner, mut shadowed) = (HashMap::with_capacity(self.inner), None);
        let mut known: HashSet<_> = self.broadcast.iter().map(SocketAddr::ip).collect();
        let mut entries = HashMap::with_capacity(self.places.len());
        for listed in self.listed.into_iter().flatten() {
            let Listed { mac, ends, inner: addresses, vid, dhcp_proxy } = listed;
            for ip in addresses {
                let owner = *inner.entry((ip, vid)).or_insert(mac);
                shadowed = shadowed.or((owner != mac).then_some(Shadowed { ip, mac }));
            }
            known.extend(ends.iter().map(SocketAddr::ip));
            entries.insert(mac, Entry { ends: ends.into(), dhcp_proxy });
        }
        let sources = Sources::Known(Arc::new(known));
        (Table { entries, inner, broadcast: self.broadcast, sources }, shadowed)
    }
}

/// Each tunnel end once, in an order that does not depend on the file's.
fn canonical(ends: &mut Vec<SocketAddr>) {
    ends.sort_unstable();
    ends.dedup();
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few different ones, so that entries meet.
    pub(crate) fn mac() -> impl Strategy<Value = MacAddr> {
        (0..2_u8, 0..8_u8).prop_map(|(group, last)| MacAddr([2 + group, 8, 0x20, 0, 0, last]))
    }

    pub(crate) fn end() -> impl Strategy<Value = SocketAddr> {
        let v4 = (1..6_u8).prop_map(|last| IpAddr::from([192, 0, 2, last]));
        let v6 = (1..6_u16).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        (prop_oneof![v4, v6], 1..3_u16).prop_map(SocketAddr::from)
    }

    fn inner() -> impl Strategy<Value = IpAddr> {
        let v4 = (1..6_u8).prop_map(|last| IpAddr::from([10, 8, 0, last]));
        let v6 = (1..6_u16).prop_map(|last| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]));
        prop_oneof![v4, v6]
    }

    pub(crate) fn vid() -> impl Strategy<Value = Option<VlanId>> {
        prop::option::of((1..3_u16).prop_map(|number| VlanId::new(number).unwrap()))
    }

    /// An entry as a file can have it: its tunnel ends have one port.
    pub(crate) fn listed() -> impl Strategy<Value = Listed> {
        let ends = (prop::collection::vec(end(), 0..4), 1..3_u16);
        let ends = ends.prop_map(|(ends, port)| ends.iter().map(|end| (end.ip(), port).into()).collect());
        (mac(), ends, prop::collection::vec(inner(), 0..4), vid(), prop::option::of(mac()))
            .prop_map(|(mac, ends, inner, vid, dhcp_proxy)| Listed { mac, ends, inner, vid, dhcp_proxy })
    }

    /// A file's content.
    pub(crate) fn content() -> impl Strategy<Value = (Vec<Listed>, Vec<SocketAddr>)> {
        (prop::collection::vec(listed(), 0..12), prop::collection::vec(end(), 0..3))
    }

    pub(crate) fn table(listed: &[Listed], broadcast: &[SocketAddr]) -> Table {
        let mut draft = Draft::default();
        listed.iter().for_each(|listed| draft.add(listed.clone()).unwrap());
        draft.broadcast(broadcast.to_vec());
        draft.finish().0
    }

    /// What illumos does: the last entry of each MAC address, in the file's order.
    fn effective(listed: &[Listed]) -> Vec<&Listed> {
        let last = |index: usize| !listed[index + 1..].iter().any(|later| later.mac == listed[index].mac);
        (0..listed.len()).filter(|index| last(*index)).map(|index| &listed[index]).collect()
    }

    proptest! {
        #[test]
        fn a_table_answers_as_a_search_through_the_file_does(
            (listed, broadcast) in content(), mac in mac(), ip in inner(), vid in vid(),
        ) {
            let table = table(&listed, &broadcast);
            let effective = effective(&listed);
            let own = effective.iter().find(|listed| listed.mac == mac);
            prop_assert_eq!(table.dhcp_proxy(mac), own.and_then(|listed| listed.dhcp_proxy));
            let ends = own.map(|listed| listed.ends.clone()).filter(|ends| !ends.is_empty());
            let fallback = mac.is_multicast() && !broadcast.is_empty();
            let mut ends = ends.or(fallback.then_some(broadcast));
            ends.iter_mut().for_each(canonical);
            prop_assert_eq!(table.target(mac), ends.as_deref());
            let owner = |vid| effective.iter().find(|one| one.vid == vid && one.inner.contains(&ip));
            let expected = owner(vid).or_else(|| owner(None)).map(|listed| listed.mac);
            prop_assert_eq!(table.resolve(ip, vid), expected);
        }

        #[test]
        fn all_tunnel_ends_and_no_others_are_sources((listed, broadcast) in content()) {
            let ends = effective(&listed).into_iter().flat_map(|listed| &listed.ends).chain(&broadcast);
            let (table, known) = (table(&listed, &broadcast), Sources::known(ends.map(SocketAddr::ip)));
            prop_assert_eq!(table.sources(), &known);
        }
    }

    fn listed_at(mac: u8, inner: &str, vid: Option<u16>) -> Listed {
        let vid = vid.map(|number| VlanId::new(number).unwrap());
        let (mac, inner) = (MacAddr([2, 0, 0, 0, 0, mac]), vec![inner.parse().unwrap()]);
        Listed { mac, ends: Vec::new(), inner, vid, dhcp_proxy: None }
    }

    #[test]
    fn an_entry_with_a_vlan_answers_only_there_and_goes_before_one_without() {
        let table = table(&[listed_at(1, "10.0.0.1", None), listed_at(2, "10.0.0.1", Some(5))], &[]);
        let owner = |vid| table.resolve("10.0.0.1".parse().unwrap(), vid).unwrap().0[5];
        assert_eq!((owner(None), owner(VlanId::new(5).ok()), owner(VlanId::new(6).ok())), (1, 2, 1));
    }

    #[test]
    fn the_first_of_two_owners_has_an_inner_address_and_the_other_is_told_of() {
        let mut draft = Draft::default();
        draft.add(listed_at(2, "10.0.0.1", None)).unwrap();
        draft.add(listed_at(1, "10.0.0.1", None)).unwrap();
        let (table, shadowed) = draft.finish();
        let ip = "10.0.0.1".parse().unwrap();
        assert_eq!(table.resolve(ip, None), Some(MacAddr([2, 0, 0, 0, 0, 2])));
        assert_eq!(shadowed, Some(Shadowed { ip, mac: MacAddr([2, 0, 0, 0, 0, 1]) }));
    }
}
