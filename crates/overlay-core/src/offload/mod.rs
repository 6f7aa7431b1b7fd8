//! The virtio header that goes with every frame to and from a device, and what it must say of frames whose
//! checksum the sender left unfinished.

mod care;
mod divide;
mod merge;
mod split;
#[cfg(test)]
pub(crate) mod twin;
mod unfinished;
mod vnet_header;

pub use care::{Offload, OffloadSet, Offloads};
pub use divide::Division;
pub use merge::{Member, RUN_SEGMENTS, Run};
pub use split::{BadSuperFrame, CUT_HEADER_MAX, Cut, finish_checksum};
pub use unfinished::header_for;
pub use vnet_header::{Gso, VNET_HEADER, VnetHeader};

/// Writes a word into a header.
fn put(octets: &mut [u8], at: usize, word: u16) {
    octets[at..at + 2].copy_from_slice(&word.to_be_bytes());
}
