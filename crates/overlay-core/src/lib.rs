//! Overlay networks on Linux: what `overlayd`, `varpd` and `dladm` share.
//!
//! The pure core (`types`, `property`, `wire`, `encap`, `lookup`, `offload`, `protocol`, `datapath`) has no clock,
//! no sockets and no files: frames, datagrams and octets come in as arguments and go out as results. The ends
//! that do I/O (`device`, `socket`, `engine`, `netlink`, `control`) stand around it, and `unsafe` lives in `sys`.
#![doc = include_str!("../theory.md")]
#![deny(unsafe_code)]

pub mod control;
pub mod datapath;
pub mod device;
pub mod encap;
pub mod engine;
pub mod lookup;
pub mod memory;
pub mod netlink;
pub mod offload;
pub mod property;
pub mod protocol;
pub mod socket;
pub mod sys;
pub mod types;
pub mod wire;
