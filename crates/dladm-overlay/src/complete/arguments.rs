use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::{Arg, Command};
use clap_complete::engine::ArgValueCompleter;
use overlay_core::protocol::LinkClass;

use super::property;
use super::values::{self, Host};

/// What the value of an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name of a link, of one class or of any.
    Link(Option<LinkClass>),
    /// An encapsulation.
    Encap,
    /// A search plugin.
    Search,
    /// Assignments to properties of overlays.
    OverlayProperties,
    /// Assignments to link properties.
    LinkProperties,
    /// Names of link properties.
    LinkPropertyNames,
    /// An overlay that is stored and not there, or has VNICs that are.
    StoredOverlay,
    /// Fields of a table.
    Fields,
    /// `auto` or `random`, or an address.
    MacAddress,
    /// What only the user knows: a new name, a number, an address.
    Free,
}

/// What an argument of a command is.
pub(super) fn kind(command: &str, argument: &Arg) -> Kind {
    match (argument.get_id().as_str(), command) {
        ("overlay", "create-overlay") | ("vnic", "create-vnic") => Kind::Free,
        ("overlay", "up-overlay") => Kind::StoredOverlay,
        ("overlay" | "overlays", _) | ("link", "create-vnic" | "show-vnic") => {
            Kind::Link(Some(LinkClass::Overlay))
        }
        ("vnic", _) => Kind::Link(Some(LinkClass::Vnic)),
        ("link" | "links" | "old", _) => Kind::Link(None),
        ("encap", _) => Kind::Encap,
        ("search" | "plugin", _) => Kind::Search,
        ("properties", "create-overlay" | "modify-overlay") => Kind::OverlayProperties,
        ("properties", "reset-linkprop" | "show-linkprop") => Kind::LinkPropertyNames,
        ("properties", _) => Kind::LinkProperties,
        ("fields", _) => Kind::Fields,
        ("mac_address", _) => Kind::MacAddress,
        _ => Kind::Free,
    }
}

/// A subcommand with the words of its line.
#[derive(Debug)]
pub(super) struct Line {
    /// Its name.
    pub(super) command: String,
    words: Vec<OsString>,
}

impl Line {
    /// Whether a word, such as an option without a value, is among those before the last.
    pub(super) fn has(&self, option: &str) -> bool {
        self.before().iter().any(|word| word == option)
    }

    /// The value that an option has.
    pub(super) fn value(&self, short: &str, long: &str) -> Option<&str> {
        let at = self.before().iter().rposition(|word| word == short || word == long)?;
        self.before().get(at + 1)?.to_str()
    }

    fn before(&self) -> &[OsString] {
        &self.words[..self.words.len().saturating_sub(1)]
    }
}

/// The command line with the values that arguments can have here and now.
pub(super) fn with_values(command: Command, words: &[OsString], host: &Host) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        let line = Arc::new(Line { command: name.clone(), words: words.to_vec() });
        command.mut_subcommand(name, |one| one.mut_args(|argument| with_value(argument, &line, host)))
    })
}

fn with_value(argument: Arg, line: &Arc<Line>, host: &Host) -> Arg {
    let kind = kind(&line.command, &argument);
    let takes_value = argument.get_action().takes_values();
    if kind == Kind::Free || !takes_value {
        return argument;
    }
    let (line, host) = (Arc::clone(line), host.clone());
    argument.add(ArgValueCompleter::new(move |current: &OsStr| {
        current.to_str().map(|current| candidates(kind, current, &line, &host)).unwrap_or_default()
    }))
}

fn candidates(kind: Kind, current: &str, line: &Line, host: &Host) -> Vec<values::Candidate> {
    match kind {
        Kind::StoredOverlay => values::matching(current, host.stored_overlays()),
        Kind::Link(class) => values::matching(current, host.links(class)),
        Kind::Encap => values::matching(current, host.encaps()),
        Kind::Search => values::matching(current, host.searches()),
        Kind::OverlayProperties => {
            property::assignments(current, &host.overlay_properties(line.value("-s", "--search")))
        }
        Kind::LinkProperties => property::assignments(current, &values::link_properties()),
        Kind::LinkPropertyNames => values::listed(current, values::names(&values::link_properties())),
        Kind::Fields => values::listed(current, values::fields(line)),
        Kind::MacAddress => values::matching(current, values::words(&["auto", "random"])),
        Kind::Free => Vec::new(),
    }
}
