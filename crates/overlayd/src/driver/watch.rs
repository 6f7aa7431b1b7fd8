//! What happens, for those who watch: what there is now is held against what there was at the last look.

use std::collections::BTreeMap;

use overlay_core::engine::Engine;
use overlay_core::protocol::{Change, Event, LinkClass, LinkPropertyInfo, LinkState, Response, Status};
use overlay_core::types::{LinkId, LinkName};

use super::link_properties::STATE;
use super::{ConnectionId, Driver};

/// Who watches, and what they know.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watchers: Vec<ConnectionId>,
    seen: View,
    /// Whether something may have changed since the last look.
    pub(super) stale: bool,
}

type View = BTreeMap<LinkId, Seen>;

/// What of a link can be told when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: LinkName,
    class: LinkClass,
    state: LinkState,
    /// What is wrong with an overlay.
    problem: Option<String>,
    properties: BTreeMap<String, Option<String>>,
}

impl<E: Engine> Driver<E> {
    /// Tells a connection of changes from now on.
    pub(super) fn watch(&mut self, caller: ConnectionId) -> Response {
        if self.watch.watchers.is_empty() {
            self.watch.seen = self.view();
        }
        self.watch_no_more(caller);
        self.watch.watchers.push(caller);
        Response::Done
    }

    /// Takes note that a connection has ended.
    pub(super) fn watch_no_more(&mut self, connection: ConnectionId) {
        self.watch.watchers.retain(|watcher| *watcher != connection);
    }

    /// Whether anybody watches, so that [`look`](Self::look) is to be called now and then: not all that changes is asked for.
    pub(crate) fn is_watched(&self) -> bool {
        !self.watch.watchers.is_empty()
    }

    /// Tells who watches what has changed by what was asked for or done here.
    pub(crate) fn look_again(&mut self) {
        if self.watch.stale {
            self.look();
        }
    }

    /// Tells who watches what has changed.
    pub(crate) fn look(&mut self) {
        if !self.is_watched() {
            return;
        }
        self.watch.stale = false;
        self.checked.take();
        let now = self.view();
        let before = std::mem::replace(&mut self.watch.seen, now);
        let changes = changes(&before, &self.watch.seen);
        for watcher in &self.watch.watchers {
            self.events.extend(changes.iter().map(|change| (*watcher, Event::Change(change.clone()))));
        }
    }

    fn view(&self) -> View {
        let mut values = BTreeMap::<_, BTreeMap<_, _>>::new();
        // That a link has another state is told by itself.
        let properties = self.link_properties().into_iter().filter(|property| property.spec.name != STATE);
        for LinkPropertyInfo { link, spec, value, .. } in properties {
            values.entry(link).or_default().insert(spec.name.into_owned(), value);
        }
        // One whose creation is not finished is not there yet.
        let made = self.show_links().into_iter().filter(|link| link.state != LinkState::Unknown);
        let links = made.map(|link| {
            let properties = values.remove(&link.name).unwrap_or_default();
            let problem = link.vnic.and_then(|vnic| vnic.fault);
            (link.id, Seen { name: link.name, class: link.class, state: link.state, problem, properties })
        });
        let mut view: View = links.collect();
        for overlay in self.show_overlays() {
            let Some(seen) = view.get_mut(&overlay.id) else { continue };
            seen.problem = match overlay.status {
                Status::Online => None,
                Status::Degraded(reason) => Some(reason),
            };
            seen.properties
                .extend(overlay.properties.into_iter().map(|one| (one.spec.name.into_owned(), one.value)));
        }
        view
    }
}

/// What has happened between two looks: what has gone, then what has changed or come, link by link.
fn changes(before: &View, now: &View) -> Vec<Change> {
    let gone = before
        .iter()
        .filter(|(id, _)| !now.contains_key(id))
        .map(|(_, seen)| Change::LinkRemoved { link: seen.name.clone(), class: seen.class });
    let rest = now.iter().flat_map(|(id, seen)| match before.get(id) {
        Some(old) if old == seen => Vec::new(),
        Some(old) => seen.since(old),
        None => seen.added(),
    });
    gone.chain(rest).collect()
}

impl Seen {
    fn added(&self) -> Vec<Change> {
        let added = Change::LinkAdded { link: self.name.clone(), class: self.class, state: self.state };
        [added].into_iter().chain(self.problem_since(None)).collect()
    }

    fn since(&self, old: &Self) -> Vec<Change> {
        let link = || self.name.clone();
        let renamed =
            (old.name != self.name).then(|| Change::LinkRenamed { link: link(), from: old.name.clone() });
        let state = (old.state != self.state).then(|| Change::LinkState { link: link(), state: self.state });
        let other = self.properties.iter().filter(|(name, value)| old.properties.get(*name) != Some(*value));
        let properties = other.map(|(property, value)| Change::Property {
            link: link(),
            property: property.clone(),
            value: value.clone(),
        });
        let problem = self.problem_since(old.problem.as_ref());
        renamed.into_iter().chain(properties).chain(state).chain(problem).collect()
    }

    fn problem_since(&self, old: Option<&String>) -> Option<Change> {
        let link = self.name.clone();
        match &self.problem {
            problem if problem.as_ref() == old => None,
            Some(details) => Some(Change::Degraded { link, details: details.clone() }),
            None => Some(Change::Restored { link }),
        }
    }
}
