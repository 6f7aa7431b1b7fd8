//! Everything the system offers that has no safe wrapper: the one module with `unsafe`.
#![expect(
    unsafe_code,
    reason = "system calls and ioctls without safe wrappers; each block says who guarantees what"
)]

mod peer;

pub use peer::peer_groups;
