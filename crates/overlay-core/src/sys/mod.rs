//! Everything the system offers that has no safe wrapper: the one module with `unsafe`.
#![expect(
    unsafe_code,
    reason = "system calls and ioctls without safe wrappers; each block says who guarantees what"
)]

mod control;
mod mmsg;
mod namespace;
mod passed;
mod peer;
mod prefetch;
mod terminal;
mod tun;
mod udp;
pub mod vector;
mod zeroed;

pub use control::{SOCKET_TTL, Shape};
pub use mmsg::{DATAGRAM_MAX, Messages, Received, RecvBatch, SendRoom};
pub use namespace::is_network_namespace;
pub use passed::passed_descriptors;
pub use peer::peer_groups;
pub use prefetch::prefetch;
pub use terminal::terminal_height;
pub use tun::{attach_tap, set_carrier, set_offload, set_persist, set_vnet_header, tap_name, tap_namespace};
pub use udp::{
    accept_trains, accept_zero_checksum, can_send_trains, dropped_in_queue, hear_tos, ipv6_mtu,
    stamp_datagrams,
};
pub use zeroed::ZeroedSlice;
