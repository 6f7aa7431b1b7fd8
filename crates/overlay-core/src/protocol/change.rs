use serde::{Deserialize, Serialize};

use super::{LinkClass, LinkState};
use crate::types::LinkName;

/// Something that has happened on a host, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A link is there.
    #[serde(rename = "added")]
    LinkAdded {
        /// Its name.
        link: LinkName,
        /// Its kind.
        class: LinkClass,
        /// Whether it can carry frames.
        state: LinkState,
    },
    /// A link has gone.
    #[serde(rename = "removed")]
    LinkRemoved {
        /// Its name.
        link: LinkName,
        /// Its kind.
        class: LinkClass,
    },
    /// A link has another name.
    #[serde(rename = "renamed")]
    LinkRenamed {
        /// Its new name.
        link: LinkName,
        /// Its old one.
        from: LinkName,
    },
    /// A link can carry frames, or can no longer.
    #[serde(rename = "state")]
    LinkState {
        /// The link.
        link: LinkName,
        /// Whether it can.
        state: LinkState,
    },
    /// A property of a link has another value: a link property, or one of an overlay that is not its search plugin's.
    Property {
        /// The link.
        link: LinkName,
        /// The property.
        property: String,
        /// Its value, where it has one.
        value: Option<String>,
    },
    /// An overlay or a VNIC does not work, or not for the same reason as before.
    Degraded {
        /// The link.
        link: LinkName,
        /// Why, for people.
        details: String,
    },
    /// An overlay or a VNIC works again.
    Restored {
        /// The link.
        link: LinkName,
    },
    /// More has happened than this client has taken; look again at what there is.
    Missed,
}
