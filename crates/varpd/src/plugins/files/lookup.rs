//! The state machine. Pure.

use std::path::PathBuf;
use std::sync::Arc;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::types::Moment;

use super::super::Lookup;
use super::super::interface::{Action, Event, Finding, Io, IoAction, IoEvent, News, Query};
use super::difference::{Announcement, Difference};
use super::io::Keeper;
use super::table::Table;
use super::{Order, Report};

/// The most destinations of a warm start: as many as a target table holds unless told otherwise.
const PRELOAD_MAX: usize = 65_536;

/// An instance: the last good table, if there has been one, and what is wrong with the file now, if anything is.
pub(super) struct Files {
    path: PathBuf,
    accept_any: bool,
    preload: bool,
    table: Option<Arc<Table>>,
    degraded: Option<String>,
}

impl Files {
    pub(super) fn new(path: PathBuf, accept_any: bool, preload: bool) -> Self {
        Self { path, accept_any, preload, table: None, degraded: None }
    }

    fn loaded(&mut self, table: Arc<Table>, difference: Difference, actions: &mut Vec<Action>) {
        let old = self.table.replace(table.clone());
        if self.degraded.take().is_some() {
            // Before it is associated anew, or the old trouble would be told once more with that.
            actions.push(Action::Restore);
        }
        if old.is_none() || (difference.sources && !self.accept_any) {
            actions.push(Action::Ready);
        }
        if let Some(old) = old {
            tell(difference, actions);
            actions.push(Action::Io(IoAction::Files(Order::Drop(old))));
        }
    }

    /// A warm start, where it is wanted.
    fn associated(&self, actions: &mut Vec<Action>) {
        if let Some(table) = self.table.as_ref().filter(|_| self.preload) {
            let cards = table.destinations().filter(|(mac, _)| !mac.is_multicast());
            let learned = cards.map(|(mac, ends)| Action::News(News::Learned(mac, ends.to_vec())));
            actions.extend(learned.take(PRELOAD_MAX));
        }
    }

    fn failed(&mut self, reason: String, actions: &mut Vec<Action>) {
        if self.degraded.as_ref() != Some(&reason) {
            self.degraded = Some(reason.clone());
            actions.push(Action::Degrade(reason));
        }
    }

    fn find(&self, query: &Query) -> Finding {
        let Some(table) = &self.table else {
            return Finding::Unknown;
        };
        let found = match *query {
            Query::Target { mac, .. } => table.target(mac).map(|ends| Finding::Ends(ends.to_vec())),
            Query::Resolve { ip, vid, .. } => table.resolve(ip, vid).map(Finding::Mac),
            Query::Dhcp { client, .. } => table.dhcp_proxy(client).map(Finding::Mac),
        };
        found.unwrap_or(Finding::Absent)
    }
}

fn tell(difference: Difference, actions: &mut Vec<Action>) {
    actions.extend(difference.news.into_iter().map(Action::News));
    let announce = |Announcement { ip, mac, vid }| Action::Announce { ip, mac, vid };
    actions.extend(difference.announcements.into_iter().map(announce));
}

impl Lookup for Files {
    fn target(&self) -> TargetMode {
        TargetMode::Dynamic
    }

    fn sources(&self) -> Sources {
        match &self.table {
            _ if self.accept_any => Sources::Any,
            Some(table) => table.sources().clone(),
            None => Sources::known([]),
        }
    }

    fn on_event(&mut self, event: Event, _now: Moment, actions: &mut Vec<Action>) {
        match event {
            Event::Started => actions.push(Action::Io(IoAction::Files(Order::Watch))),
            Event::Associated => self.associated(actions),
            Event::Reload => actions.push(Action::Io(IoAction::Files(Order::Reload))),
            Event::Ask(ticket, query) => actions.push(Action::Answer(ticket, self.find(&query))),
            Event::Io(IoEvent::Files(Report::Loaded(table, difference))) => {
                self.loaded(table, difference, actions);
            }
            Event::Io(IoEvent::Files(Report::Failed(reason))) => self.failed(reason, actions),
            Event::Alarm | Event::Io(_) => {}
        }
    }

    fn io(&self) -> Option<Box<dyn Io>> {
        Some(Box::new(Keeper::new(self.path.clone(), self.accept_any)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::interface::Ticket;
    use super::super::format::parse;
    use super::*;
    use overlay_core::types::{MacAddr, VlanId};
    use std::net::SocketAddr;

    const RED: &str = r#"{
        "2:0:0:0:0:1": { "ip": "192.0.2.1", "port": 4789, "arp": "10.0.0.1", "dhcp-proxy": "2:0:0:0:0:2" },
        "2:0:0:0:0:2": { "ip": "192.0.2.2", "port": 4789, "arp": "10.0.0.2", "vlan": 5 },
        "1:0:5e:0:0:1": { "ip": "192.0.2.9", "port": 4789 },
        "broadcast": ["192.0.2.1:4789", "192.0.2.2:4789"]
    }"#;

    /// An instance with what its I/O would hold.
    struct Twin {
        files: Files,
        table: Option<Arc<Table>>,
    }

    impl Twin {
        fn new(accept_any: bool, preload: bool) -> Self {
            Self { files: Files::new("/x".into(), accept_any, preload), table: None }
        }

        fn with(text: &str) -> Self {
            let mut twin = Self::new(false, false);
            twin.load(text);
            twin
        }

        fn on(&mut self, event: Event) -> Vec<String> {
            let mut actions = Vec::new();
            self.files.on_event(event, Moment(0), &mut actions);
            actions.iter().map(|action| format!("{action:?}")).collect()
        }

        fn load(&mut self, text: &str) -> Vec<String> {
            let table = Arc::new(parse(text.as_bytes()).unwrap());
            let old = self.table.replace(table.clone());
            let difference = old.map(|old| Difference::between(&old, &table)).unwrap_or_default();
            let mut actions = self.on(Event::Io(IoEvent::Files(Report::Loaded(table, difference))));
            actions.retain(|action| !action.starts_with("Io(Files(Drop("));
            actions
        }

        fn fail(&mut self, reason: &str) -> Vec<String> {
            self.on(Event::Io(IoEvent::Files(Report::Failed(reason.to_owned()))))
        }

        fn ask(&mut self, query: Query) -> Finding {
            let mut actions = Vec::new();
            self.files.on_event(Event::Ask(Ticket(7), query), Moment(0), &mut actions);
            match actions.pop() {
                Some(Action::Answer(Ticket(7), finding)) if actions.is_empty() => finding,
                other => panic!("{other:?}"),
            }
        }
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, last])
    }

    fn target(mac: MacAddr) -> Query {
        Query::Target { mac, source: MacAddr::default(), vid: None }
    }

    fn resolve(ip: &str, vid: Option<u16>) -> Query {
        let vid = vid.map(|number| VlanId::new(number).unwrap());
        Query::Resolve { ip: ip.parse().unwrap(), asker: MacAddr::default(), vid }
    }

    fn ends(ends: &[&str]) -> Finding {
        Finding::Ends(ends.iter().map(|end| end.parse::<SocketAddr>().unwrap()).collect())
    }

    #[test]
    fn started_it_watches_the_file() {
        assert_eq!(Twin::new(false, false).on(Event::Started), ["Io(Files(Watch))"]);
    }

    #[test]
    fn told_to_reload_it_reads_again() {
        assert_eq!(Twin::with(RED).on(Event::Reload), ["Io(Files(Reload))"]);
    }

    #[test]
    fn a_table_that_was_replaced_is_given_away() {
        let mut twin = Twin::with(RED);
        let old = Arc::downgrade(&twin.table.take().unwrap());
        let report = Report::Loaded(Arc::new(parse(b"{}").unwrap()), Difference::default());
        let mut actions = Vec::new();
        twin.files.on_event(Event::Io(IoEvent::Files(report)), Moment(0), &mut actions);
        assert!(
            matches!(&actions[..], [Action::Io(IoAction::Files(Order::Drop(_)))]) && old.upgrade().is_some()
        );
        actions.clear();
        assert!(old.upgrade().is_none());
    }

    #[test]
    fn before_any_table_everything_is_unknown() {
        let mut twin = Twin::new(false, false);
        twin.on(Event::Started);
        let dhcp = Query::Dhcp { client: mac(1), v6: false, vid: None };
        for query in [target(mac(1)), resolve("10.0.0.1", None), dhcp] {
            assert_eq!(twin.ask(query), Finding::Unknown);
        }
        twin.fail("bad");
        assert_eq!(twin.ask(target(mac(1))), Finding::Unknown);
    }

    #[test]
    fn the_first_table_makes_it_ready() {
        let mut twin = Twin::new(false, false);
        assert_eq!(twin.load(RED), ["Ready"]);
        let known = ["192.0.2.1", "192.0.2.2", "192.0.2.9"].map(|ip| ip.parse().unwrap());
        assert_eq!(twin.files.sources(), Sources::known(known));
    }

    #[test]
    fn a_warm_start_hands_over_every_card_at_each_association() {
        let mut twin = Twin::new(false, true);
        assert!(twin.on(Event::Associated).is_empty());
        assert_eq!(twin.load(RED), ["Ready"]);
        for _ in 0..2 {
            let mut actions = twin.on(Event::Associated);
            actions.sort();
            let learned = "News(Learned(2:0:0:0:0:1, [192.0.2.1:4789]))";
            assert_eq!((actions.len(), &*actions[0]), (2, learned), "{actions:?}");
        }
        assert!(Twin::with(RED).on(Event::Associated).is_empty(), "only where it is wanted");
    }

    #[test]
    fn any_sender_is_accepted_on_request() {
        let mut twin = Twin::new(true, false);
        twin.load(RED);
        assert_eq!(twin.files.sources(), Sources::Any);
        assert_eq!(
            twin.load(r#"{"broadcast": ["192.0.2.7:1"]}"#).iter().find(|action| *action == "Ready"),
            None
        );
    }

    #[test]
    fn the_same_table_again_changes_nothing() {
        assert_eq!(Twin::with(RED).load(RED), [""; 0]);
    }

    #[test]
    fn a_moved_card_is_told_of_and_may_send_from_there() {
        let moved = RED.replacen("192.0.2.1\"", "192.0.2.3\"", 1);
        assert_eq!(Twin::with(RED).load(&moved), ["Ready", "News(Moved(2:0:0:0:0:1, [192.0.2.3:4789]))"]);
    }

    #[test]
    fn a_card_that_vanished_is_told_of() {
        let news = Twin::with(RED).load(
            &RED.replace("2:0:0:0:0:2\": { \"ip\"", "2:0:0:0:0:2\": { \"was\"")
                .replace("\"port\": 4789, \"arp\": \"10.0.0.2\"", "\"arp\": \"10.0.0.2\""),
        );
        assert_eq!(news, ["News(Gone(2:0:0:0:0:2))"]);
    }

    #[test]
    fn changed_groups_are_doubtful() {
        let own = RED.replace("192.0.2.9", "192.0.2.2");
        assert_eq!(Twin::with(RED).load(&own), ["Ready", "News(GroupsDoubtful)"]);
        let everybody = RED.replace("[\"192.0.2.1:4789\", ", "[");
        assert_eq!(Twin::with(RED).load(&everybody), ["News(GroupsDoubtful)"]);
    }

    #[test]
    fn a_new_owner_of_an_inner_address_is_announced_in_its_vlan() {
        let swapped = RED.replace("2:0:0:0:0:2\": {", "2:0:0:0:0:3\": {");
        let actions = Twin::with(RED).load(&swapped);
        let announce = "Announce { ip: 10.0.0.2, mac: 2:0:0:0:0:3, vid: Some(VlanId(5)) }";
        assert_eq!(actions.last().map(String::as_str), Some(announce), "{actions:?}");
        assert_eq!(actions.len(), 3);
    }

    #[test]
    fn a_bad_file_degrades_once_and_the_old_table_goes_on() {
        let mut twin = Twin::with(RED);
        assert_eq!(twin.fail("line 1"), ["Degrade(\"line 1\")"]);
        assert_eq!(twin.fail("line 1"), [""; 0]);
        assert_eq!(twin.fail("line 2"), ["Degrade(\"line 2\")"]);
        assert_eq!(twin.ask(target(mac(1))), ends(&["192.0.2.1:4789"]));
    }

    #[test]
    fn a_good_file_restores() {
        let mut twin = Twin::with(RED);
        twin.fail("bad");
        assert_eq!(twin.load(RED), ["Restore"]);
        assert_eq!(twin.load(RED), [""; 0]);
        let mut twin = Twin::new(false, false);
        assert_eq!(twin.fail("bad"), ["Degrade(\"bad\")"]);
        assert_eq!(twin.load(RED), ["Restore", "Ready"]);
    }

    #[test]
    fn targets_are_exact_entries_or_nobodys() {
        let mut twin = Twin::with(RED);
        assert_eq!(twin.ask(target(mac(2))), ends(&["192.0.2.2:4789"]));
        assert_eq!(twin.ask(target(mac(3))), Finding::Absent);
    }

    #[test]
    fn groups_without_an_entry_go_to_everybody() {
        let mut twin = Twin::with(RED);
        assert_eq!(twin.ask(target(MacAddr([1, 0, 0x5e, 0, 0, 1]))), ends(&["192.0.2.9:4789"]));
        assert_eq!(twin.ask(target(MacAddr::BROADCAST)), ends(&["192.0.2.1:4789", "192.0.2.2:4789"]));
        assert_eq!(Twin::with("{}").ask(target(MacAddr::BROADCAST)), Finding::Absent);
    }

    #[test]
    fn inner_addresses_resolve_in_their_vlan() {
        let mut twin = Twin::with(RED);
        assert_eq!(twin.ask(resolve("10.0.0.1", None)), Finding::Mac(mac(1)));
        assert_eq!(twin.ask(resolve("10.0.0.1", Some(9))), Finding::Mac(mac(1)));
        assert_eq!(twin.ask(resolve("10.0.0.2", Some(5))), Finding::Mac(mac(2)));
        assert_eq!(twin.ask(resolve("10.0.0.2", None)), Finding::Absent);
        assert_eq!(twin.ask(resolve("10.0.0.3", None)), Finding::Absent);
    }

    #[test]
    fn dhcp_requests_go_to_the_clients_proxy() {
        let mut twin = Twin::with(RED);
        let dhcp = |client, v6| Query::Dhcp { client, v6, vid: None };
        assert_eq!(twin.ask(dhcp(mac(1), false)), Finding::Mac(mac(2)));
        assert_eq!(twin.ask(dhcp(mac(1), true)), Finding::Mac(mac(2)));
        assert_eq!(twin.ask(dhcp(mac(2), false)), Finding::Absent);
        assert_eq!(twin.ask(dhcp(mac(3), false)), Finding::Absent);
    }

    #[test]
    fn an_alarm_that_was_never_set_does_nothing() {
        assert_eq!(Twin::with(RED).on(Event::Alarm), [""; 0]);
    }
}
