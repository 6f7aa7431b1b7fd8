//! What the commands on link properties have in common.

use std::fmt::Display;

use overlay_core::control::ClientError;
use overlay_core::property::{PropertyError, PropertySpec, VNIC_LINK_PROPERTIES};
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::LinkName;

use super::overlay_plan::unknown;
use super::{Outcome, stored};
use crate::error::{Error, Failure};
use crate::session::Session;

/// The link of a name, if there is one.
pub(super) fn link(what: &str, name: &str, session: &mut Session<'_>) -> Result<LinkName, Failure> {
    let name = self::name(what, name)?;
    let links = session.daemons.links().map_err(|error| Failure::of_daemon(what, &error))?;
    let found = links.iter().any(|link| link.name == name);
    if found { Ok(name) } else { Err(stored::missing(what, name.as_str(), "link", session)) }
}

/// A name that a link can have.
pub(super) fn name(what: &str, name: &str) -> Result<LinkName, Failure> {
    name.parse().map_err(|error| Failure::new(what, error))
}

/// A property that a link can have.
pub(super) fn spec(name: &str) -> Result<&'static PropertySpec, PropertyError> {
    // An overlay has none that a VNIC does not have.
    let found = VNIC_LINK_PROPERTIES.iter().find(|spec| spec.name == name);
    found.ok_or_else(|| unknown(name, VNIC_LINK_PROPERTIES.iter()))
}

/// The names in the lists of `-p`.
pub(super) fn names(lists: &[String]) -> Vec<String> {
    lists.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
}

/// Changes one property or all; what overlayd refuses about it is no reason not to try the next one.
pub(super) fn change(
    what: impl Display,
    request: Request,
    session: &mut Session<'_>,
) -> Result<Outcome, Error> {
    match session.daemons.change_warned(request) {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| session.warn(warning));
            Ok(Outcome::Whole)
        }
        // Who has no right to one has none to any.
        Err(ClientError::Refused(error)) if error.code != ErrorCode::Denied => {
            session.warn_of(&Failure::of_daemon(what, &error.into()));
            Ok(Outcome::Partial)
        }
        Err(error) => Err(Failure::of_daemon(what, &error).into()),
    }
}
