//! Proxies: answers to frames that ask everybody for something, in the place of everybody. Pure.
//!
//! A frame becomes a [`Conversation`] with the plugin: which questions it is asked, one after the other, and what
//! becomes of the frame in the end.

use std::net::IpAddr;

use overlay_core::lookup::{Octets, Verdict};
use overlay_core::types::{MacAddr, VlanId};
use overlay_core::wire::Ethernet;

use crate::plugins::interface::{Finding, Query};

/// What is to be done next for a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The plugin is asked, and its finding given to [`Conversation::next`].
    Ask(Query),
    /// This becomes of the frame.
    Done(Verdict),
}

/// A frame to many, on its way to what becomes of it.
#[derive(Debug)]
pub struct Conversation {
    /// Kept for the answer that is made of it.
    _frame: Octets,
}

impl Conversation {
    /// With a frame as a VNIC sent it, its checksums finished.
    pub fn begin(frame: Octets) -> (Self, Step) {
        let step = match Ethernet::parse(&frame.0) {
            Some(ethernet) => Step::Ask(group(&ethernet)),
            None => Step::Done(Verdict::Absent),
        };
        (Self { _frame: frame }, step)
    }

    /// With what the plugin has found.
    pub fn next(&mut self, finding: Finding) -> Step {
        Step::Done(match finding {
            Finding::Ends(ends) => Verdict::Found(ends),
            Finding::Unknown => Verdict::Unknown,
            Finding::Mac(_) | Finding::Absent => Verdict::Absent,
        })
    }
}

fn group(ethernet: &Ethernet) -> Query {
    let Ethernet { destination, source, vid, .. } = *ethernet;
    Query::Target { mac: destination, source, vid }
}

/// PLACEHOLDER until the proxies are there: the unsolicited frame that tells of an address.
pub fn announcement(_ip: IpAddr, _mac: MacAddr, _vid: Option<VlanId>) -> Octets {
    Octets::default()
}
