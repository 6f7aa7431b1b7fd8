//! What a plugin's state machine and the owner of the instances say to each other.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use overlay_core::types::{MacAddr, Moment, VlanId};
use tokio::sync::mpsc;

use super::files;
use super::program::{ProgramAction, ProgramEvent};

/// The number of a question, by which its answer is known again; never used twice for one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a plugin is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Where frames to an address go; of a group address, every tunnel end of the group.
    /// Answered by [`Finding::Ends`].
    Target {
        /// The address.
        mac: MacAddr,
        /// The sender of the frame that raised the question.
        source: MacAddr,
        /// That frame's VLAN inside the tunnel.
        vid: Option<VlanId>,
    },
    /// Whose an IP address of the overlay is, for ARP and neighbour discovery. Answered by [`Finding::Mac`].
    Resolve {
        /// The address.
        ip: IpAddr,
        /// Who asks.
        asker: MacAddr,
        /// The VLAN of the question.
        vid: Option<VlanId>,
    },
    /// Which machine serves DHCP to a client, or relays it. Answered by [`Finding::Mac`].
    Dhcp {
        /// The client.
        client: MacAddr,
        /// Whether it is DHCPv6.
        v6: bool,
        /// The VLAN of the question.
        vid: Option<VlanId>,
    },
}

/// What a plugin answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// These tunnel ends, each of them.
    Ends(Vec<SocketAddr>),
    /// This address.
    Mac(MacAddr),
    /// There is none, and that is certain.
    Absent,
    /// It cannot be said now.
    Unknown,
}

/// What happens to an instance of a plugin.
#[derive(Debug)]
pub enum Event {
    /// It begins to work; the first event, and once.
    Started,
    /// The driver has taken it, for the first time or anew, and may know nothing yet: a warm start has its place here.
    /// What the driver still has of an earlier time has been called doubtful already.
    Associated,
    /// The administrator wants everything read again (SIGHUP).
    Reload,
    /// It is asked, and must answer each ticket once, now or later.
    Ask(Ticket, Query),
    /// The moment of its last [`Action::Alarm`] has come.
    Alarm,
    /// Its I/O has news.
    Io(IoEvent),
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// The driver is to be told, now or anew, how destinations are found and who may send.
    Ready,
    /// The answer to a question.
    Answer(Ticket, Finding),
    /// What is known of a destination has changed.
    News(News),
    /// Whoever has an old address for this IP address on this host is to hear of the new one: an unsolicited ARP or
    /// neighbour advertisement.
    Announce {
        /// The IP address.
        ip: IpAddr,
        /// Whose it is now.
        mac: MacAddr,
        /// Its VLAN.
        vid: Option<VlanId>,
    },
    /// Lookups do not work, or not wholly, and why, in one line.
    Degrade(String),
    /// They work again.
    Restore,
    /// [`Event::Alarm`] is to come at this moment, in place of any earlier alarm.
    Alarm(Moment),
    /// Something for its I/O to do.
    Io(IoAction),
}

/// News of destinations, asked for or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An address is at these tunnel ends now; of interest only where it has been asked for.
    Moved(MacAddr, Vec<SocketAddr>),
    /// The same, and to be kept though nobody has asked: a warm start.
    Learned(MacAddr, Vec<SocketAddr>),
    /// Nobody has an address any more.
    Gone(MacAddr),
    /// What was answered of an address may be wrong now: it is to be asked for again.
    Doubtful(MacAddr),
    /// The same for every group address.
    GroupsDoubtful,
    /// The same for every address.
    AllDoubtful,
}

/// What a plugin's I/O tells its state machine: a variant for each plugin that has any.
#[derive(Debug)]
pub enum IoEvent {
    /// Of `files`.
    Files(files::Report),
    /// Of the twin of tests.
    #[cfg(test)]
    Twin,
    /// Of a plugin that is a program.
    Program(ProgramEvent),
}

/// What a plugin's state machine wants of its I/O: a variant for each plugin that has any.
#[derive(Debug)]
pub enum IoAction {
    /// Of `files`.
    Files(files::Order),
    /// Of the twin of tests.
    #[cfg(test)]
    Twin,
    /// Of a plugin that is a program.
    Program(ProgramAction),
}

/// The I/O of one instance of a plugin.
pub trait Io: Send {
    /// Carries out actions and reports events until `actions` ends, and then gives up what it holds.
    fn run(
        self: Box<Self>,
        actions: mpsc::UnboundedReceiver<IoAction>,
        events: IoEvents,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Where a plugin's I/O reports what happens.
pub struct IoEvents(Box<dyn Fn(IoEvent) -> bool + Send + Sync>);

impl IoEvents {
    /// Into `sink`, which says whether anybody still wants to know.
    pub fn new(sink: impl Fn(IoEvent) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(sink))
    }

    /// Reports an event; whether anybody still wants to know of more.
    pub fn report(&self, event: IoEvent) -> bool {
        (self.0)(event)
    }
}

impl fmt::Debug for IoEvents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IoEvents")
    }
}
