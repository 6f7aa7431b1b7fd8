use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::{Moment, Network};

/// Questions of one VNIC whose answers are awaited; the oldest goes first.
const ASKED_MAX: usize = 16;
/// Addresses and prefixes of one VNIC; the one that ends first goes first.
const HELD_MAX: usize = 64;
/// What "for ever" is in seconds (RFC 2131 section 3.3, RFC 8415 section 7.7).
const FOR_EVER: u32 = u32::MAX;

/// What the DHCP clients of a VNIC have asked for, and been given.
#[derive(Debug)]
pub(super) struct Leases {
    asked: Vec<Asked>,
    held: Vec<Lease>,
    /// The number of what is held: another one after each change, which nothing else in this process has had.
    state: u64,
}

impl Default for Leases {
    fn default() -> Self {
        Self { asked: Vec::new(), held: Vec::new(), state: next_state() }
    }
}

fn next_state() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// A question to DHCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) v6: bool,
    /// The number of the exchange.
    pub(super) number: u32,
    /// Who asks: a DUID; or a hardware address, and a client identifier if it has one.
    pub(super) client: Vec<u8>,
    /// The address that is asked for, where no other may be given.
    pub(super) address: Option<Ipv4Addr>,
    /// When it was asked last. A lease counts from then (RFC 2131 section 4.4.1).
    pub(super) at: Moment,
}

/// What a client has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Asks(Asked),
    Returns(Vec<Network>),
}

/// What a server has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) v6: bool,
    pub(super) number: u32,
    /// Whom: a DUID, or a hardware address.
    pub(super) client: Vec<u8>,
    /// What is given, for how many seconds; 0 for what is taken back. Nothing, of IPv4, is a refusal.
    pub(super) granted: Vec<(Network, u32)>,
}

/// An address or prefix that a DHCP client has been given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address, or all with the prefix.
    pub network: Network,
    /// Whose it is: a DUID; or a hardware address, and a client identifier if it has one.
    pub client: Vec<u8>,
    /// When it ends; the end of time when it does not.
    pub until: Moment,
}

impl Asked {
    fn is_answered_by(&self, answer: &Answer) -> bool {
        let client =
            if self.v6 { self.client == answer.client } else { self.client.starts_with(&answer.client) };
        // Who sees a question may answer it: never with what was not asked for.
        let fits = |network: &Network| self.address.is_none_or(|address| network.contains(address.into()));
        (self.v6, self.number) == (answer.v6, answer.number)
            && client
            && answer.granted.iter().all(|(network, _)| fits(network))
    }
}

impl Leases {
    /// Whether an address is one that a client has been given, and still has.
    pub(super) fn hold(&self, address: IpAddr, now: Moment) -> bool {
        self.held.iter().any(|held| held.network.contains(address) && held.until > now)
    }

    /// Whether an answer with this number is awaited.
    pub(super) fn await_answer(&self, v6: bool, number: u32) -> bool {
        self.asked.iter().any(|asked| (asked.v6, asked.number) == (v6, number))
    }

    /// Takes note of what a client says.
    pub(super) fn note(&mut self, said: Said) {
        match said {
            Said::Asks(asked) => self.ask(asked),
            Said::Returns(networks) => networks.iter().for_each(|network| self.forget(network)),
        }
    }

    fn ask(&mut self, asked: Asked) {
        self.asked.retain(|other| (other.v6, other.number) != (asked.v6, asked.number));
        if self.asked.len() == ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push(asked);
    }

    fn forget(&mut self, network: &Network) {
        self.held.retain(|held| held.network != *network);
        self.state = next_state();
    }

    /// The number of what is held, never 0.
    pub(super) const fn state(&self) -> u64 {
        self.state
    }

    /// All that is held.
    pub(super) fn all(&self) -> Vec<Lease> {
        self.held.clone()
    }

    /// Takes over what was held before, but for what is known better now.
    pub(super) fn restore(&mut self, leases: Vec<Lease>) {
        let known: Vec<_> = self.held.iter().map(|held| held.network).collect();
        let others = leases.into_iter().filter(|lease| !known.contains(&lease.network));
        self.held.extend(others);
        self.held.truncate(HELD_MAX);
        self.state = next_state();
    }

    /// Takes note of an answer to a question that was asked.
    pub(super) fn take(&mut self, answer: &Answer) {
        let Some(place) = self.asked.iter().position(|asked| asked.is_answered_by(answer)) else { return };
        let asked = self.asked.remove(place);
        if !asked.v6 {
            // A client has one IPv4 address.
            self.held.retain(|held| !held.network.is_ipv4() || held.client != asked.client);
            self.state = next_state();
        }
        for (network, seconds) in &answer.granted {
            self.forget(network);
            if *seconds > 0 {
                self.keep(&asked, *network, *seconds);
            }
        }
    }

    fn keep(&mut self, asked: &Asked, network: Network, seconds: u32) {
        self.held.retain(|held| held.until > asked.at);
        if self.held.len() == HELD_MAX
            && let Some(first) = (0..HELD_MAX).min_by_key(|place| self.held[*place].until)
        {
            self.held.swap_remove(first);
        }
        let until = match seconds {
            FOR_EVER => Moment(u64::MAX),
            seconds => asked.at.after(u64::from(seconds) * 1000),
        };
        self.held.push(Lease { network, client: asked.client.clone(), until });
        self.state = next_state();
    }
}
