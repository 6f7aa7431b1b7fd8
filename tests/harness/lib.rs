//! Hosts, networks and traffic for the end-to-end tests.
//!
//! A host is a network namespace with its own two daemons ([`Host`]); an [`Underlay`] joins hosts by a
//! veth pair and a [`Switch`] by a bridge; a [`KernelPeer`] has the kernel's vxlan device where a host has
//! ours; a [`Zone`] is a namespace that a VNIC was moved into. A [`Scene`] is two ends that can already talk, a [`Trio`] three.
//! A [`Machine`] is a copy of this one with the package installed, booted by systemd.
//! A host that ends while its driver runs checks that the driver has accounted for every frame ([`Accounts`]).
//! Every name carries the process id, so that two runs never meet, and whatever a test made ends with it,
//! also when it panics. Nothing here sleeps but [`wait_until`].
#![forbid(unsafe_code)]

pub mod frame;

mod accounts;
mod capture;
mod command;
mod counters;
mod creation;
mod daemon;
mod dhcp;
mod disk;
mod flow;
mod host;
mod machine;
mod namespace;
mod process;
mod raw;
mod scene;
mod spawned;
mod table;
mod traffic;
mod trio;
mod underlay;
mod wait;

pub use accounts::Accounts;
pub use capture::{Capture, questions_to_all};
pub use command::{Outcome, program};
pub use counters::Counters;
pub use creation::{Creation, Step};
pub use daemon::Running;
pub use dhcp::{dhclient, dnsmasq, start_dhclient};
pub use disk::Disk;
pub use flow::{Flood, Sink, pass, rate};
pub use host::Host;
pub use machine::{Machine, Package, Scratch, project};
pub use namespace::Namespace;
pub use overlay_core::control::Daemon;
pub use process::{cpu_ticks, open_fds, raise_fd_limit, resident_kib};
pub use raw::RawLink;
pub use scene::{
    Family, KernelPeer, Plan, Scene, VNETID, Zone, await_ping, inner_v4, inner_v6, underlay_v4, underlay_v6,
};
pub use spawned::Spawned;
pub use table::{Table, inner_link_local, inner_mac};
pub use traffic::{Bursts, Echo, Transfer, tcp_copy, udp_receive, udp_send};
pub use trio::{Third, Trio};
pub use underlay::{Routed, Switch, Underlay};
pub use wait::{LONG, SHORT, wait_until};
