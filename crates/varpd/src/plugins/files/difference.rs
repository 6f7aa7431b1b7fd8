//! What a new table changes. Pure.

use std::net::IpAddr;

use overlay_core::types::{MacAddr, VlanId};

use super::super::interface::News;
use super::table::Table;

/// The most news of single addresses, and the most announcements. When more has changed, everything is doubtful instead.
pub const NEWS_MAX: usize = 65_536;

/// What is to be told when one table takes the place of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// For the driver.
    pub news: Vec<News>,
    /// For the neighbours of addresses that have got another owner.
    pub announcements: Vec<Announcement>,
    /// Whether other tunnel ends may send than before.
    pub sources: bool,
}

/// The new owner of an inner address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The address.
    pub ip: IpAddr,
    /// Its owner.
    pub mac: MacAddr,
    /// The VLAN.
    pub vid: Option<VlanId>,
}

impl Difference {
    /// From one table to the next.
    pub fn between(old: &Table, new: &Table) -> Self {
        let announcements = announcements(old, new).take(NEWS_MAX).collect();
        Self { news: news(old, new), announcements, sources: old.sources() != new.sources() }
    }
}

fn news(old: &Table, new: &Table) -> Vec<News> {
    let mut news: Vec<_> = moved(old, new).chain(gone(old, new)).take(NEWS_MAX + 1).collect();
    if news.len() > NEWS_MAX {
        return vec![News::AllDoubtful];
    }
    if old.broadcast() != new.broadcast() || groups_differ(old, new) || groups_differ(new, old) {
        news.push(News::GroupsDoubtful);
    }
    news
}

/// Addresses whose tunnel ends are others than before, or were not there.
fn moved(old: &Table, new: &Table) -> impl Iterator<Item = News> {
    let cards = new.destinations().filter(|(mac, _)| !mac.is_multicast());
    let changed = cards.filter(|(mac, ends)| old.ends(*mac) != Some(ends));
    changed.map(|(mac, ends)| News::Moved(mac, ends.to_vec()))
}

fn gone(old: &Table, new: &Table) -> impl Iterator<Item = News> {
    let cards = old.destinations().filter(|(mac, _)| !mac.is_multicast());
    cards.filter(|(mac, _)| new.ends(*mac).is_none()).map(|(mac, _)| News::Gone(mac))
}

/// Whether a group address of one table has other tunnel ends of its own in another, or none.
fn groups_differ(one: &Table, other: &Table) -> bool {
    let mut groups = one.destinations().filter(|(mac, _)| mac.is_multicast());
    groups.any(|(mac, ends)| other.ends(mac) != Some(ends))
}

/// Inner addresses that have an owner in both, but not the same. An address of one VLAN may also have lost its entry to
/// one for every VLAN, or the other way round.
fn announcements(old: &Table, new: &Table) -> impl Iterator<Item = Announcement> {
    let dropped = old.inner().filter(|inner| !new.has_inner(*inner));
    new.inner().chain(dropped).filter_map(|(ip, vid)| {
        let (before, mac) = (old.resolve(ip, vid)?, new.resolve(ip, vid)?);
        (before != mac).then_some(Announcement { ip, mac, vid })
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{content, table};
    use super::super::table::{Draft, Listed};
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};
    use std::net::SocketAddr;

    /// The driver's cache: what was answered, with those answers that are to be asked for again.
    struct Cache {
        answers: HashMap<MacAddr, Option<Vec<SocketAddr>>>,
        doubtful: HashSet<MacAddr>,
    }

    impl Cache {
        /// After every address has been asked for.
        fn filled(table: &Table, asked: &HashSet<MacAddr>) -> Self {
            let answer = |mac: &MacAddr| (*mac, table.target(*mac).map(<[_]>::to_vec));
            Self { answers: asked.iter().map(answer).collect(), doubtful: HashSet::new() }
        }

        fn take(&mut self, news: &News) {
            let all = self.answers.keys().copied();
            match news {
                News::Moved(mac, ends) | News::Learned(mac, ends) => {
                    self.answers.entry(*mac).and_modify(|answer| *answer = Some(ends.clone()));
                }
                News::Gone(mac) => drop(self.answers.entry(*mac).and_modify(|answer| *answer = None)),
                News::Doubtful(mac) => drop(self.doubtful.insert(*mac)),
                News::GroupsDoubtful => self.doubtful.extend(all.filter(|mac| mac.is_multicast())),
                News::AllDoubtful => self.doubtful.extend(all),
            }
        }

        fn ask_again(&mut self, table: &Table) {
            for mac in self.doubtful.drain() {
                self.answers.insert(mac, table.target(mac).map(<[_]>::to_vec));
            }
        }
    }

    fn addresses() -> HashSet<MacAddr> {
        (0..16).map(|number| MacAddr([2 + number / 8, 8, 0x20, 0, 0, number % 8])).collect()
    }

    proptest! {
        #[test]
        fn the_news_make_a_cache_of_the_old_table_one_of_the_new(old in content(), new in content()) {
            let (old, new) = (table(&old.0, &old.1), table(&new.0, &new.1));
            let mut cache = Cache::filled(&old, &addresses());
            let Difference { news, sources, .. } = Difference::between(&old, &new);
            news.iter().for_each(|news| cache.take(news));
            cache.ask_again(&new);
            prop_assert_eq!(cache.answers, Cache::filled(&new, &addresses()).answers);
            prop_assert_eq!(sources, old.sources() != new.sources());
        }

        #[test]
        fn neighbours_hear_of_every_new_owner_and_of_nothing_else(old in content(), new in content()) {
            let (old, new) = (table(&old.0, &old.1), table(&new.0, &new.1));
            // What a neighbour believes of an address, in each VLAN of which a file speaks or in none.
            let questions: HashSet<_> = old.inner().chain(new.inner()).collect();
            let mut announced = HashMap::new();
            for Announcement { ip, mac, vid } in Difference::between(&old, &new).announcements {
                prop_assert!(announced.insert((ip, vid), mac).is_none(), "{} twice", ip);
            }
            for (ip, vid) in questions {
                let (before, after) = (old.resolve(ip, vid), new.resolve(ip, vid));
                let expected = after.filter(|_| before.is_some() && before != after);
                prop_assert_eq!(announced.remove(&(ip, vid)), expected);
            }
            prop_assert!(announced.is_empty());
        }

        #[test]
        fn a_table_does_not_differ_from_itself(content in content()) {
            let table = table(&content.0, &content.1);
            prop_assert_eq!(Difference::between(&table, &table), Difference::default());
        }
    }

    #[test]
    fn when_too_much_has_changed_everything_is_doubtful() {
        let mut draft = Draft::default();
        for number in 0..=NEWS_MAX as u32 {
            let [_, a, b, c] = number.to_be_bytes();
            let (mac, ends) = (MacAddr([2, 0, 0, a, b, c]), vec!["192.0.2.1:4789".parse().unwrap()]);
            draft.add(Listed { mac, ends, inner: Vec::new(), vid: None, dhcp_proxy: None }).unwrap();
        }
        let many = draft.finish().0;
        assert_eq!(Difference::between(&Table::default(), &many).news, [News::AllDoubtful]);
        assert_eq!(Difference::between(&many, &Table::default()).news, [News::AllDoubtful]);
    }
}
