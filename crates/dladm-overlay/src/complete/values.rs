use std::fs;
use std::sync::{Arc, Mutex};

use clap::builder::StyledStr;
use overlay_core::control::ClientError;
use overlay_core::property::{
    OVERLAY_LINK_PROPERTIES, OVERLAY_PROPERTIES, Permission, PropertySpec, VNIC_LINK_PROPERTIES,
};
use overlay_core::protocol::{LinkClass, PluginInfo, StoredLink, StoredWhat};

use super::arguments::Line;
use crate::commands::columns;
use crate::daemons::Daemons;

pub(super) use clap_complete::CompletionCandidate as Candidate;

/// Where `ip netns` keeps namespaces.
const ZONES: &str = "/run/netns";

/// The daemons, of which each is asked only when an argument needs it. One that does not answer has nothing to offer.
#[derive(Clone)]
pub(crate) struct Host(Arc<Mutex<dyn Daemons + Send>>);

impl Host {
    /// The one of these daemons.
    pub(crate) fn new(daemons: impl Daemons + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(daemons)))
    }

    fn ask<T: Default>(&self, ask: impl FnOnce(&mut dyn Daemons) -> Result<T, ClientError>) -> T {
        let daemons = self.0.lock();
        daemons.ok().and_then(|mut daemons| ask(&mut *daemons).ok()).unwrap_or_default()
    }

    /// Links of a class, or all.
    pub(super) fn links(&self, class: Option<LinkClass>) -> Vec<Candidate> {
        let links = self.ask(|daemons| daemons.links());
        let links = links.iter().filter(|link| class.is_none_or(|class| link.class == class));
        let over = |vnic: &overlay_core::protocol::VnicInfo| {
            format!("VNIC over {}", vnic.over.as_ref().map_or("?", |over| over.as_str()))
        };
        links
            .map(|link| {
                let help = link.vnic.as_ref().map_or_else(|| "overlay".to_owned(), over);
                candidate(link.name.as_str(), &help)
            })
            .collect()
    }

    /// Overlays that are stored and not there, or have VNICs that are.
    pub(super) fn stored_overlays(&self) -> Vec<Candidate> {
        let stored = self.ask(|daemons| daemons.stored_links());
        let waits_on = |overlay: &StoredLink| {
            stored.iter().any(|vnic| {
                let over = matches!(&vnic.what, StoredWhat::Vnic { over, .. } if over.as_ref() == Some(&overlay.name));
                !vnic.active && over
            })
        };
        let candidate = |link: &StoredLink| {
            let help = match link.what {
                StoredWhat::Overlay { .. } if !link.active => "stored overlay",
                StoredWhat::Overlay { .. } if waits_on(link) => {
                    "overlay with stored VNICs that are not there"
                }
                _ => return None,
            };
            Some(candidate(link.name.as_str(), help))
        };
        stored.iter().filter_map(candidate).collect()
    }

    /// Encapsulation plugins.
    pub(super) fn encaps(&self) -> Vec<Candidate> {
        plugins(&self.ask(|daemons| daemons.encaps()), "encapsulation")
    }

    /// Search plugins.
    pub(super) fn searches(&self) -> Vec<Candidate> {
        plugins(&self.ask(|daemons| daemons.searches()), "search plugin")
    }

    /// What can be given to overlays: the generic properties, each encapsulation's, and those of one search plugin or, where
    /// none is chosen, of each.
    pub(super) fn overlay_properties(&self, search: Option<&str>) -> Vec<PropertySpec> {
        let encaps = self.ask(|daemons| daemons.encaps());
        let mut searches = self.ask(|daemons| daemons.searches());
        searches.retain(|plugin| search.is_none_or(|search| plugin.name == search));
        let of_plugins = encaps.into_iter().chain(searches).flat_map(|plugin| plugin.properties);
        let all = OVERLAY_PROPERTIES.iter().cloned().chain(of_plugins);
        // The vnetid has an option of its own.
        all.filter(|spec| spec.permission == Permission::ReadWrite && spec.name != "vnetid").collect()
    }
}

/// Every link property that can be set.
pub(super) fn link_properties() -> Vec<PropertySpec> {
    let of_overlays = OVERLAY_LINK_PROPERTIES
        .iter()
        .filter(|one| VNIC_LINK_PROPERTIES.iter().all(|two| two.name != one.name));
    let all = VNIC_LINK_PROPERTIES.iter().chain(of_overlays);
    all.filter(|spec| spec.permission == Permission::ReadWrite).cloned().collect()
}

/// The names of properties.
pub(super) fn names(specs: &[PropertySpec]) -> Vec<Candidate> {
    specs.iter().map(|spec| candidate(&spec.name, &spec.doc)).collect()
}

/// Words that need no explanation.
pub(super) fn words(words: &[&str]) -> Vec<Candidate> {
    words.iter().map(Candidate::new).collect()
}

/// The fields of the table that a command line is for.
pub(super) fn fields(line: &Line) -> Vec<Candidate> {
    let tables = columns::tables();
    let table = |option| tables.iter().find(|one| one.command == line.command && one.option == option);
    let options: Vec<_> =
        tables.iter().filter(|one| one.command == line.command).map(|one| one.option).collect();
    let chosen = options.iter().find(|option| !option.is_empty() && line.has(option)).unwrap_or(&"");
    let fields = table(*chosen).map(|table| &table.fields[..]).unwrap_or_default();
    fields.iter().map(|field| candidate(&field.name.to_ascii_lowercase(), field.doc)).collect()
}

/// Network namespaces.
pub(super) fn zones() -> Vec<Candidate> {
    let entries = fs::read_dir(ZONES).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.iter().map(|name| candidate(name, "network namespace")).collect()
}

/// Those that go on from what is there.
pub(super) fn matching(current: &str, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|one| one.get_value().as_encoded_bytes().starts_with(current.as_bytes()));
    candidates
}

/// Those that go on from the last piece of a list with commas, and are not in it yet.
pub(super) fn listed(current: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let (before, piece) = current
        .rsplit_once(',')
        .map_or(("", current), |(_, piece)| current.split_at(current.len() - piece.len()));
    let taken = |one: &Candidate| before.split(',').any(|word| one.get_value() == word);
    let fresh = matching(piece, candidates).into_iter().filter(|one| !taken(one));
    fresh.map(|one| one.add_prefix(before)).collect()
}

/// One with its meaning.
pub(super) fn candidate(value: &str, help: &str) -> Candidate {
    Candidate::new(value).help(Some(StyledStr::from(help.to_owned())))
}

fn plugins(plugins: &[PluginInfo], what: &str) -> Vec<Candidate> {
    plugins.iter().map(|plugin| candidate(&plugin.name, what)).collect()
}
