use std::collections::{BTreeMap, HashMap};

use overlay_core::types::LinkId;

use crate::instance::Instance;
use crate::store::ID_MAX;

/// All instances, by number and by overlay.
#[derive(Default)]
pub(super) struct Table {
    by_id: BTreeMap<u32, Instance>,
    by_link: HashMap<LinkId, u32>,
    highest: u32,
}

impl Table {
    /// A number that no instance has: above all that were ever in use, else the lowest free one.
    pub(super) fn free_id(&self) -> Option<u32> {
        if self.highest < ID_MAX {
            return Some(self.highest + 1);
        }
        (1..=ID_MAX).find(|id| !self.by_id.contains_key(id))
    }

    /// Numbers up to this one count as having been in use.
    pub(super) fn reserve(&mut self, id: u32) {
        self.highest = self.highest.max(id);
    }

    /// Adds an instance whose number and overlay are free.
    pub(super) fn add(&mut self, instance: Instance) {
        self.reserve(instance.id);
        self.by_link.insert(instance.link, instance.id);
        self.by_id.insert(instance.id, instance);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Instance> {
        let instance = self.by_id.remove(&id)?;
        self.by_link.remove(&instance.link);
        Some(instance)
    }

    pub(super) fn instance(&self, id: u32) -> Option<&Instance> {
        self.by_id.get(&id)
    }

    pub(super) fn instance_mut(&mut self, id: u32) -> Option<&mut Instance> {
        self.by_id.get_mut(&id)
    }

    /// The number of an overlay's instance.
    pub(super) fn id_of_link(&self, link: LinkId) -> Option<u32> {
        self.by_link.get(&link).copied()
    }

    /// The instance of an overlay.
    pub(super) fn of_link(&self, link: LinkId) -> Option<&Instance> {
        self.by_id.get(&self.id_of_link(link)?)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Instance> {
        self.by_id.values()
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.by_id.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::NewInstance;
    use crate::plugins::Registry;
    use overlay_core::property::Assignment;
    use std::num::NonZeroU32;

    fn instance(id: u32) -> Instance {
        let link = LinkId(NonZeroU32::new(id).unwrap());
        let given =
            vec![Assignment::new("direct/dest_ip", "10.0.0.2"), Assignment::new("direct/dest_port", "4789")];
        let (vnetid, plugin) = (None, "direct".to_owned());
        let wanted = NewInstance { link, vnetid, plugin, properties: given, temporary: false };
        Instance::new(id, wanted, &Registry::new(Vec::new())).unwrap()
    }

    #[test]
    fn numbers_rise_and_are_not_given_out_twice() {
        let mut table = Table::default();
        assert_eq!(table.free_id(), Some(1));
        table.add(instance(5));
        table.remove(5).unwrap();
        assert_eq!(table.free_id(), Some(6));
    }

    #[test]
    fn numbers_begin_again_at_the_lowest_free_one_after_the_last() {
        let mut table = Table::default();
        table.add(instance(1));
        table.add(instance(ID_MAX));
        assert_eq!(table.free_id(), Some(2));
    }

    #[test]
    fn an_instance_is_found_by_its_overlay_while_it_is_there() {
        let mut table = Table::default();
        table.add(instance(3));
        let link = LinkId(NonZeroU32::new(3).unwrap());
        assert_eq!(table.of_link(link).map(|instance| instance.id), Some(3));
        table.remove(3);
        assert!(table.of_link(link).is_none() && table.ids().is_empty());
    }
}
