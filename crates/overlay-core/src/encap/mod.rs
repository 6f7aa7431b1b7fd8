//! Encapsulations: how a frame is put into a datagram. One file each, and one line in [`ENCAPS`].

mod outer;
pub mod vxlan;

use std::net::SocketAddr;

use crate::property::{Properties, PropertySpec};
use crate::types::VnetId;

pub use outer::{Df, Outer, Stamp, TTL_DEFAULT};

/// Every encapsulation, by which `-e` finds it.
pub static ENCAPS: &[&dyn Encap] = &[&vxlan::Vxlan];

/// Octets that any encapsulation may put before a frame.
pub const HEADER_MAX: usize = 48;

/// An encapsulation over UDP.
pub trait Encap: Sync {
    /// Its name, and the first part of its properties' names.
    fn name(&self) -> &'static str;

    /// Its properties.
    fn properties(&self) -> &'static [PropertySpec];

    /// Where an overlay with these properties listens; they have been checked against the table.
    fn listen(&self, properties: &Properties) -> Option<SocketAddr>;

    /// What the outer IP header of an overlay with these properties says; they have been checked against the table.
    fn outer(&self, properties: &Properties) -> Outer;

    /// Whether one of its properties can change while the overlay runs.
    fn is_live(&self, property: &str) -> bool;

    /// Octets of the header that [`Encap::write`] makes; at most [`HEADER_MAX`].
    fn header_len(&self) -> usize;

    /// Writes the header of a frame into exactly [`Encap::header_len`] octets, whatever is in them.
    fn write(&self, vnetid: VnetId, header: &mut [u8]);

    /// Reads the header of a datagram: the virtual network, and how many octets the header has.
    ///
    /// # Errors
    /// [`BadHeader`]: the datagram is to be dropped.
    fn read(&self, datagram: &[u8]) -> Result<(VnetId, usize), BadHeader>;
}

/// A datagram is none of the encapsulation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header of this encapsulation")]
pub struct BadHeader;

/// The encapsulation of a name.
pub fn by_name(name: &str) -> Option<&'static dyn Encap> {
    ENCAPS.iter().find(|encap| encap.name() == name).copied()
}

/// Every name, for messages.
pub fn names() -> String {
    ENCAPS.iter().map(|encap| encap.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    //! What every entry of the registry must keep.
    use super::*;
    use crate::property::Assignment;
    use proptest::prelude::*;

    #[test]
    fn names_are_unique_and_found() {
        for encap in ENCAPS {
            assert_eq!(by_name(encap.name()).unwrap().name(), encap.name());
            assert_eq!(ENCAPS.iter().filter(|other| other.name() == encap.name()).count(), 1);
        }
        assert!(by_name("carrier-pigeon").is_none());
    }

    #[test]
    fn properties_carry_their_owners_name_and_a_listener_comes_of_them() {
        for encap in ENCAPS {
            let prefix = format!("{}/", encap.name());
            assert!(
                encap.properties().iter().all(|spec| spec.name.starts_with(&prefix) && !spec.doc.is_empty())
            );
            let given = [Assignment::new(format!("{prefix}listen_ip"), "10.0.0.1")];
            let properties = Properties::check(encap.properties(), &given).unwrap();
            assert_eq!(
                encap.listen(&properties).unwrap().ip(),
                "10.0.0.1".parse::<std::net::IpAddr>().unwrap()
            );
        }
    }

    #[test]
    fn where_nothing_is_said_of_the_outer_header_it_is_the_sockets() {
        for encap in ENCAPS {
            let given = [Assignment::new(format!("{}/listen_ip", encap.name()), "10.0.0.1")];
            let properties = Properties::check(encap.properties(), &given).unwrap();
            assert_eq!(encap.outer(&properties), Outer::default());
        }
    }

    proptest! {
        #[test]
        fn read_undoes_write_into_dirty_octets(number in 0..=VnetId::MAX, dirt: u8, frame in prop::collection::vec(any::<u8>(), 0..64)) {
            for encap in ENCAPS {
                let vnetid = VnetId::new(number).unwrap();
                let mut datagram = vec![dirt; encap.header_len()];
                encap.write(vnetid, &mut datagram);
                datagram.extend(&frame);
                prop_assert_eq!(encap.read(&datagram), Ok((vnetid, encap.header_len())));
                prop_assert!(encap.header_len() <= HEADER_MAX);
                for len in 0..encap.header_len() {
                    prop_assert_eq!(encap.read(&datagram[..len]), Err(BadHeader));
                }
            }
        }

        #[test]
        fn any_octets_are_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..64)) {
            for encap in ENCAPS {
                if let Ok((_, header)) = encap.read(&datagram) {
                    prop_assert!(header <= datagram.len());
                }
            }
        }
    }
}
