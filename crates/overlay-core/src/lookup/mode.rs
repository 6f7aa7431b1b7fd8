use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How an overlay's destinations are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetMode {
    /// Every frame that is for no VNIC of this host goes to one tunnel end.
    Point(SocketAddr),
    /// The search plugin is asked for each destination, and its answers are kept in the target table.
    Dynamic,
}

/// The tunnel ends that may send to an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// These addresses, whatever their port: a sender's port is a hash of its flow.
    Known(Arc<HashSet<IpAddr>>),
    /// Any that knows the vnetid.
    Any,
}

impl Sources {
    /// Exactly these addresses.
    pub fn known(ends: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::Known(Arc::new(ends.into_iter().collect()))
    }

    /// Whether `sender` is one of them; `sender` is in canonical form, IPv4 never mapped.
    pub fn allow(&self, sender: IpAddr) -> bool {
        match self {
            Self::Known(ends) => ends.contains(&sender),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_tunnel_ends_are_allowed() {
        let known = Sources::known(["10.0.0.2".parse().unwrap()]);
        assert!(known.allow("10.0.0.2".parse().unwrap()));
        assert!(!known.allow("10.0.0.3".parse().unwrap()));
        assert!(Sources::Any.allow("10.0.0.3".parse().unwrap()));
    }
}
