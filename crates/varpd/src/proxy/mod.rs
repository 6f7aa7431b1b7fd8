//! Proxies: answers to frames that ask everybody for something, in the place of everybody. Pure.
//!
//! A frame becomes a [`Conversation`] with the plugin: which questions it is asked, one after the other, and what
//! becomes of the frame in the end.
//!
//! ```text
//!            begin: what does the frame ask for?
//!              │
//!              ├── whose an address is ───> Resolving ── Mac(another's) ───> Reply
//!              │   (ARP, solicitation)          │
//!              │                                │ the asker's own, Absent, Unknown
//!              ├── a DHCP server ─────────> Serving ──── Mac(another's) ───> Redirect
//!              │                                │
//!              │                                │ the asker's own, Absent, Unknown
//!              │                                v
//!              ├── the group ─────────────> Flooding ─── Ends ─────────────> Found
//!              │                                ├─────── Absent ───────────> Absent, or Unknown after an Unknown
//!              │                                └─────── Unknown ──────────> Unknown
//!              ├── one machine (a DHCP server's answer) ───────────────────> Redirect
//!              └── nobody (no header, no group, must be discarded) ────────> Absent
//! ```
//!
//! There are at most two questions. An answer that is none to its question counts as Unknown: nothing that a
//! plugin gets wrong takes an entry out of the driver's table.
//!
//! # What is answered, and what is not
//!
//! The rule is: *answer where the answer is certain, forward where it is not, and forward nothing that every
//! receiver must discard.* Each protocol's file names the section of its RFC next to each check.
//!
//! | frame | its proxy |
//! |---|---|
//! | ARP request, also a probe (RFC 5227 section 2.1) | a reply from the address's owner |
//! | gratuitous ARP, announcement, reply, RARP | none: to the group |
//! | neighbour solicitation, also for duplicate address detection (RFC 4862 section 5.4) | an advertisement of the owner |
//! | router solicitation and advertisement, neighbour advertisement, redirect | none: to the group |
//! | neighbour discovery that fails a check which every receiver makes (RFC 4861) | to nobody |
//! | DHCPv4 and DHCPv6 of a client | to the server's or relay's address in place of the group's |
//! | DHCPv4 of a server, broadcast | to the client's address in place of the group's |
//! | anything else, also what fails another check | none: to the group |
//!
//! An announcement whose address is another's by the plugin is still forwarded and never answered. An answer
//! would make the announcer see a conflict and perhaps give the address up (RFC 5227 section 2.4), and it is the
//! table that may be behind: a failover (VRRP and the like) announces an address at a new place before any file
//! says so. Where both machines are there, the owner hears the announcement and defends the address itself. A
//! probe is the other way round: the prober does not use the address yet and asks whether it may.
//!
//! A neighbour discovery message that its receivers must discard is not forwarded as a bridge would: with head-end
//! replication it would be sent once to each tunnel end, and no correct receiver may act on one of the copies.
//!
//! A conversation keeps the Ethernet header of its frame and the addresses in question, never the frame: a thousand
//! jumbo frames under way cost no more than a thousand small ones.

mod arp;
mod dhcp4;
mod dhcp6;
mod head;
mod neighbour;
mod udp;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::mem;
use std::net::IpAddr;

use overlay_core::lookup::{Octets, Verdict};
use overlay_core::types::{MacAddr, VlanId};
use overlay_core::wire::Ethernet;

use crate::plugins::interface::{Finding, Query};
use head::Head;

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
    state: State,
}

/// What the plugin has been asked.
#[derive(Debug)]
enum State {
    /// Whose an address is.
    Resolving(Head, Inquiry),
    /// Which machine serves DHCP.
    Serving(Head),
    /// Where the group is, and whether an earlier question had no certain answer.
    Flooding { doubt: bool },
    /// Nothing more.
    Ended,
}

/// A question for the owner of an address, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inquiry {
    Arp(arp::Request),
    Neighbour(neighbour::Solicitation),
}

/// What a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The owner of an address.
    Owner(Inquiry),
    /// Whoever serves DHCP, or DHCPv6.
    Server { v6: bool },
    /// This machine, though it is addressed to all.
    Machine(MacAddr),
    /// The group that it is addressed to.
    Group,
    /// Nobody: every receiver must discard it.
    Nobody,
}

/// Reads what a frame asks for, when it is one of a protocol's own.
type Reader = fn(&[u8], &Ethernet) -> Option<Wish>;

/// The protocols that have a proxy.
static PROTOCOLS: &[Reader] = &[arp::read, neighbour::read, dhcp4::read, dhcp6::read];

impl Conversation {
    /// With a frame as a VNIC sent it, its checksums finished; any octets will do.
    pub fn begin(frame: Octets) -> (Self, Step) {
        let head = Head::of(&frame.0).filter(|head| head.ethernet.destination.is_multicast());
        let (state, step) = match head {
            Some(head) => ask(wish(&frame.0, &head.ethernet), head),
            None => done(Verdict::Absent),
        };
        (Self { state }, step)
    }

    /// With what the plugin has found. After the end there is nothing to find: that is [`Verdict::Unknown`].
    pub fn next(&mut self, finding: Finding) -> Step {
        let (state, step) = match (mem::replace(&mut self.state, State::Ended), finding) {
            (State::Resolving(head, inquiry), Finding::Mac(mac)) if head.is_others(mac) => {
                done(Verdict::Reply(Octets(inquiry.answer(&head, mac))))
            }
            (State::Serving(head), Finding::Mac(mac)) if head.is_others(mac) => done(Verdict::Redirect(mac)),
            (State::Resolving(head, _) | State::Serving(head), finding) => {
                let certain = finding == Finding::Absent || finding == Finding::Mac(head.ethernet.source);
                flood(&head, !certain)
            }
            (State::Flooding { .. }, Finding::Ends(ends)) => done(Verdict::Found(ends)),
            (State::Flooding { doubt: false }, Finding::Absent) => done(Verdict::Absent),
            (State::Flooding { .. } | State::Ended, _) => done(Verdict::Unknown),
        };
        self.state = state;
        step
    }
}

/// A whole conversation with findings that are known beforehand; [`Verdict::Unknown`] where they do not suffice.
/// For tests and fuzzing.
pub fn rehearse(frame: Octets, findings: impl IntoIterator<Item = Finding>) -> Verdict {
    let (mut conversation, mut step) = Conversation::begin(frame);
    for finding in findings {
        if let Step::Ask(_) = step {
            step = conversation.next(finding);
        }
    }
    match step {
        Step::Ask(_) => Verdict::Unknown,
        Step::Done(verdict) => verdict,
    }
}

/// A frame that tells everybody whose an address is now, though nobody asked: a gratuitous ARP request, or an
/// unsolicited neighbour advertisement (RFC 4861 section 7.2.6). With a tag of priority 0 where there is a VLAN.
pub fn announcement(ip: IpAddr, mac: MacAddr, vid: Option<VlanId>) -> Octets {
    Octets(match ip.to_canonical() {
        IpAddr::V4(ip) => arp::announcement(ip, mac, vid),
        IpAddr::V6(ip) => neighbour::announcement(ip, mac, vid),
    })
}

impl Inquiry {
    fn ip(&self) -> IpAddr {
        match self {
            Self::Arp(request) => request.target.into(),
            Self::Neighbour(solicitation) => solicitation.target.into(),
        }
    }

    /// The frame that answers it: the address is `mac`'s.
    fn answer(&self, head: &Head, mac: MacAddr) -> Vec<u8> {
        match self {
            Self::Arp(request) => request.answer(head, mac),
            Self::Neighbour(solicitation) => solicitation.answer(head, mac),
        }
    }
}

/// What a frame asks for. One whose sender cannot be a card (IEEE 802) gets no answer.
fn wish(frame: &[u8], ethernet: &Ethernet) -> Wish {
    if ethernet.source.unicast().is_err() {
        return Wish::Group;
    }
    PROTOCOLS.iter().find_map(|read| read(frame, ethernet)).unwrap_or(Wish::Group)
}

fn ask(wish: Wish, head: Head) -> (State, Step) {
    let Ethernet { source, vid, .. } = head.ethernet;
    match wish {
        Wish::Owner(inquiry) => {
            let query = Query::Resolve { ip: inquiry.ip(), asker: source, vid };
            (State::Resolving(head, inquiry), Step::Ask(query))
        }
        Wish::Server { v6 } => (State::Serving(head), Step::Ask(Query::Dhcp { client: source, v6, vid })),
        Wish::Machine(mac) if head.is_others(mac) => done(Verdict::Redirect(mac)),
        Wish::Machine(_) | Wish::Group => flood(&head, false),
        Wish::Nobody => done(Verdict::Absent),
    }
}

fn flood(head: &Head, doubt: bool) -> (State, Step) {
    let Ethernet { destination, source, vid, .. } = head.ethernet;
    (State::Flooding { doubt }, Step::Ask(Query::Target { mac: destination, source, vid }))
}

fn done(verdict: Verdict) -> (State, Step) {
    (State::Ended, Step::Done(verdict))
}
