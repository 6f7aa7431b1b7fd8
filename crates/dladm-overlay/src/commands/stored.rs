//! What is stored of links, for the forms of `show` that take `-P`.

use std::fmt::Display;

use overlay_core::protocol::StoredLink;

use crate::error::Failure;
use crate::session::Session;

/// What is stored of every link.
pub(super) fn links(what: impl Display, session: &mut Session<'_>) -> Result<Vec<StoredLink>, Failure> {
    session.daemons.stored_links().map_err(|error| Failure::of_daemon(what, &error))
}

/// Why nothing is stored of a link, and what to do about it.
pub(super) fn not_stored(what: impl Display, name: &str, kind: &str, session: &mut Session<'_>) -> Failure {
    let there = session.daemons.links();
    if there.is_ok_and(|links| links.iter().any(|link| link.name.as_str() == name)) {
        return Failure::new(what, "it is temporary: nothing of it is stored");
    }
    let why = format!("no such {} is stored", noun(kind));
    Failure::new(what, why).or_hint(format!("what is stored: dladm show-{kind} -P"))
}

fn noun(kind: &str) -> &str {
    if kind == "vnic" { "VNIC" } else { kind }
}

/// Why a link is not there, and what to do about it.
pub(super) fn missing(what: impl Display, name: &str, kind: &str, session: &mut Session<'_>) -> Failure {
    let stored = session.daemons.stored_links();
    if stored.is_ok_and(|links| links.iter().any(|link| link.name.as_str() == name && !link.active)) {
        return Failure::new(what, "it is stored, and not there now")
            .or_hint("bring it up: dladm up-overlay");
    }
    Failure::new(what, format!("there is no such {}", noun(kind)))
        .or_hint(format!("what there is: dladm show-{kind}"))
}
