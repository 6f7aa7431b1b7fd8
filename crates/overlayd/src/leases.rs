//! What DHCP has given to VNICs, kept for the next start of overlayd: its clients do not ask again before half of their
//! time is over. It stands in the run directory, because a boot ends the clients too.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use overlay_core::control::{Paths, RecordDir};
use overlay_core::engine::{Engine, LeaseInfo};
use overlay_core::types::{LinkId, MacAddr};
use serde::{Deserialize, Serialize};

use crate::driver::{Driver, Given};

/// Keeps what DHCP has given.
pub(crate) struct Leases {
    directory: Option<RecordDir>,
    /// What was kept before this start, until it is given back.
    before: BTreeMap<LinkId, Record>,
    /// How each VNIC's were numbered when they were written.
    written: BTreeMap<LinkId, u64>,
}

/// What one VNIC has been given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    link: LinkId,
    /// Its address: another VNIC may come to have its number.
    mac: MacAddr,
    leases: Vec<Kept>,
}

/// An address or prefix that a client has been given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    network: String,
    client: Vec<u8>,
    /// When it ends, in seconds since 1970; none when it does not.
    until: Option<u64>,
}

impl Leases {
    /// With what an earlier start has kept. Without a directory that works, nothing is kept, which is logged.
    pub(crate) fn open(paths: &Paths) -> Self {
        let directory = RecordDir::open(paths.leases());
        let loaded = directory.as_ref().ok().map(|directory| directory.load::<Record>());
        let mut before = BTreeMap::new();
        match loaded {
            Some(Ok(loaded)) => {
                before.extend(loaded.good.into_iter().map(|(_, record)| (record.link, record)));
                for bad in loaded.bad {
                    tracing::warn!("what DHCP gave to link {} is forgotten: {}", bad.name, bad.reason);
                }
            }
            Some(Err(error)) => tracing::warn!("what DHCP gave to VNICs is forgotten: {error}"),
            None => {}
        }
        let directory = directory.inspect_err(not_kept).ok();
        Self { directory, before, written: BTreeMap::new() }
    }

    /// Whether any VNIC has something to be kept.
    pub(crate) fn is_watching(&self) -> bool {
        !self.written.is_empty()
    }

    /// Gives back what was kept to VNICs that are there at the start, and writes down what has changed.
    pub(crate) fn look<E: Engine>(&mut self, driver: &mut Driver<E>) {
        let given = driver.given();
        let here: Vec<_> = given.iter().map(|one| one.link).collect();
        let gone: Vec<_> = self.written.keys().filter(|link| !here.contains(link)).copied().collect();
        for link in gone {
            self.written.remove(&link);
            // A file that stays says nothing to a VNIC with another address.
            let _ = self.directory.as_ref().map(|directory| directory.remove(&link.to_string()));
        }
        for one in given {
            if !self.written.contains_key(&one.link)
                && let Some(record) = self.before.remove(&one.link).filter(|record| record.mac == one.mac)
            {
                driver.give_back(one.link, record.left(seconds_now()));
                self.written.insert(one.link, 0);
            } else if self.written.get(&one.link) != Some(&one.changes) {
                self.write(&one);
            }
        }
        // A device that comes later is another, and who has it may be another.
        self.before.clear();
    }

    fn write(&mut self, given: &Given) {
        let record = Record::new(given, seconds_now());
        let saved = self.directory.as_ref().map(|directory| directory.save(&given.link.to_string(), &record));
        if let Some(Err(error)) = saved {
            not_kept(&error);
            self.directory = None;
        }
        self.written.insert(given.link, given.changes);
    }
}

impl Record {
    fn new(given: &Given, now: u64) -> Self {
        let kept = given.leases.iter().map(|lease| Kept {
            network: lease.network.to_string(),
            client: lease.client.clone(),
            until: lease.left.map(|left| now.saturating_add(left.as_secs())),
        });
        Self { link: given.link, mac: given.mac, leases: kept.collect() }
    }

    /// What is left of it.
    fn left(&self, now: u64) -> Vec<LeaseInfo> {
        let left = self.leases.iter().filter_map(|kept| {
            let left = kept.until.map(|until| Duration::from_secs(until.saturating_sub(now)));
            let lasts = left.is_none_or(|left| !left.is_zero());
            let network = kept.network.parse().ok().filter(|_| lasts)?;
            Some(LeaseInfo { network, client: kept.client.clone(), left })
        });
        left.collect()
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn not_kept(error: &io::Error) {
    tracing::warn!(
        "what DHCP gives to VNICs with ip-nospoof is lost when overlayd ends, and not written any more: {error}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_back_as_far_as_it_lasts() {
        let lease = |network: &str, left: Option<u64>| LeaseInfo {
            network: network.parse().unwrap(),
            client: vec![1, 2],
            left: left.map(Duration::from_secs),
        };
        let leases =
            vec![lease("192.0.2.1", Some(3600)), lease("192.0.2.2", Some(60)), lease("fd00::/64", None)];
        let link = LinkId(7.try_into().unwrap());
        let given = Given { link, mac: MacAddr([2, 0, 0, 0, 0, 1]), changes: 1, leases };
        let record = Record::new(&given, 1000);
        assert_eq!(record.left(1600), [lease("192.0.2.1", Some(3000)), lease("fd00::/64", None)]);
    }
}
