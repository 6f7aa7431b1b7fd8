use std::borrow::Cow;
use std::ffi::OsStr;

use clap_complete::engine::{PathCompleter, ValueCompleter};
use nix::ifaddrs::getifaddrs;
use overlay_core::property::{Kind, Possible, PropertySpec};

use super::values::{Candidate, candidate, listed, matching, zones};

/// What can follow in `name=value[,value...][,name=value...]`: a name that is not there yet, or a value.
pub(super) fn assignments(current: &str, specs: &[PropertySpec]) -> Vec<Candidate> {
    let start = current.rfind(',').map_or(0, |comma| comma + 1);
    let (before, piece) = current.split_at(start);
    if let Some((name, value)) = piece.split_once('=') {
        let spec = specs.iter().find(|spec| spec.name == name);
        let values = spec.map(|spec| matching(value, values(spec, value))).unwrap_or_default();
        return prefixed(values, &format!("{before}{name}="));
    }
    let given: Vec<_> = before.split(',').filter_map(|piece| Some(piece.split_once('=')?.0)).collect();
    let names = specs.iter().filter(|spec| !given.contains(&&*spec.name));
    let names = names.map(|spec| candidate(&format!("{}=", spec.name), &spec.doc)).collect();
    let mut found = prefixed(matching(piece, names), before);
    found.extend(more_values(before, piece, &given, specs));
    found
}

/// Further values of the last property, where it can have several.
fn more_values(before: &str, piece: &str, given: &[&str], specs: &[PropertySpec]) -> Vec<Candidate> {
    let last = given.last().and_then(|name| specs.iter().find(|spec| spec.name == **name && spec.several));
    let Some(spec) = last else { return Vec::new() };
    let value = before.rfind('=').map_or(0, |equals| equals + 1);
    let (head, values_before) = before.split_at(value);
    prefixed(listed(&format!("{values_before}{piece}"), values(spec, piece)), head)
}

fn prefixed(candidates: Vec<Candidate>, prefix: &str) -> Vec<Candidate> {
    candidates.into_iter().map(|one| one.add_prefix(prefix)).collect()
}

/// The values of a property that can be told: words, what it has when nothing is given, what this host has.
fn values(spec: &PropertySpec, begun: &str) -> Vec<Candidate> {
    let words: &[Cow<'static, str>] = match &spec.possible {
        Possible::Words(words) => words,
        Possible::WordOr { word, .. } => std::slice::from_ref(word),
        _ => &[],
    };
    let default = spec.default.iter().filter(|default| !words.contains(default));
    let mut found: Vec<_> = words.iter().map(|word| Candidate::new(&**word)).collect();
    found.extend(default.map(|default| candidate(default, "when not given")));
    match spec.kind {
        Kind::Zone => found.extend(zones()),
        // Where something listens is an address of this host's.
        Kind::Ip if spec.name.ends_with("listen_ip") => found.extend(addresses()),
        Kind::String if words.is_empty() && begun.starts_with('/') => {
            found.extend(PathCompleter::any().complete(OsStr::new(begun)));
        }
        _ => {}
    }
    found
}

/// The addresses that this host can be reached at.
fn addresses() -> Vec<Candidate> {
    let interfaces = getifaddrs().into_iter().flatten();
    let mut found: Vec<(String, String)> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| address.ip()).filter(|ip| !ip.is_loopback());
            let v6 = address.as_sockaddr_in6().map(|address| address.ip());
            let v6 = v6.filter(|ip| !ip.is_loopback() && !ip.is_unicast_link_local());
            let text = v4.map(|ip| ip.to_string()).or_else(|| v6.map(|ip| ip.to_string()))?;
            Some((text, interface.interface_name))
        })
        .collect();
    found.dedup();
    found.iter().map(|(address, device)| candidate(address, device)).collect()
}
