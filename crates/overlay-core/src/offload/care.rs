//! What is left to somebody better placed, and what was found not to work: for each underlay socket and each device.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use super::Gso;
use crate::protocol::OffloadInfo;

/// Work that the kernel does in our place, or leaves to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// Datagrams leave in trains, one system call for many (UDP_SEGMENT).
    TrainsOut,
    /// Datagrams arrive in trains (UDP_GRO).
    TrainsIn,
    /// A VNIC's frames come with unfinished checksums (TUN_F_CSUM).
    Checksum,
    /// They come as super-frames of TCP over IPv4 (TUN_F_TSO4).
    Tso4,
    /// Of TCP over IPv6 (TUN_F_TSO6).
    Tso6,
    /// Of TCP with congestion marks (TUN_F_TSO_ECN).
    TsoEcn,
    /// Of UDP over IPv4 (TUN_F_USO4).
    Uso4,
    /// Of UDP over IPv6 (TUN_F_USO6).
    Uso6,
    /// A VNIC is given super-frames of TCP over IPv4.
    RunsTcp4,
    /// Of TCP over IPv6.
    RunsTcp6,
    /// Of UDP.
    RunsUdp,
}

impl Offload {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::TrainsOut,
        Self::TrainsIn,
        Self::Checksum,
        Self::Tso4,
        Self::Tso6,
        Self::TsoEcn,
        Self::Uso4,
        Self::Uso6,
        Self::RunsTcp4,
        Self::RunsTcp6,
        Self::RunsUdp,
    ];

    /// What a device does with super-frames of a kind that it is given.
    pub const fn given(kind: Gso) -> Self {
        match kind {
            Gso::TcpV4 => Self::RunsTcp4,
            Gso::TcpV6 => Self::RunsTcp6,
            Gso::Udp => Self::RunsUdp,
        }
    }

    /// The name it is shown under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrainsOut => "trains-out",
            Self::TrainsIn => "trains-in",
            Self::Checksum => "checksum",
            Self::Tso4 => "tso4",
            Self::Tso6 => "tso6",
            Self::TsoEcn => "tso-ecn",
            Self::Uso4 => "uso4",
            Self::Uso6 => "uso6",
            Self::RunsTcp4 => "runs-tcp4",
            Self::RunsTcp6 => "runs-tcp6",
            Self::RunsUdp => "runs-udp",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Some of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OffloadSet(u16);

impl OffloadSet {
    /// These and those of `self`.
    #[must_use]
    pub fn with(self, more: &[Offload]) -> Self {
        Self(more.iter().fold(self.0, |set, offload| set | offload.bit()))
    }

    /// Whether it is one of them.
    pub const fn has(self, offload: Offload) -> bool {
        self.0 & offload.bit() != 0
    }

    fn names(self) -> Vec<String> {
        let named = Offload::ALL.into_iter().filter(|offload| self.has(*offload));
        named.map(|offload| offload.name().to_owned()).collect()
    }
}

/// The offloads of one socket or device: what was found when it was opened, and what has been refused since.
#[derive(Debug, Default)]
pub struct Offloads {
    found: OffloadSet,
    off: AtomicU16,
    refused: AtomicU64,
}

impl Offloads {
    /// Those that were found, none of them refused.
    pub fn new(found: OffloadSet) -> Self {
        Self { found, off: AtomicU16::new(0), refused: AtomicU64::new(0) }
    }

    /// Whether one is in use.
    pub fn uses(&self, offload: Offload) -> bool {
        self.found.has(offload) && !self.off().has(offload)
    }

    /// Counts that something was refused, and went another way.
    pub fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Switches one off; whether it was on until now.
    pub fn switch_off(&self, offload: Offload) -> bool {
        let before = OffloadSet(self.off.fetch_or(offload.bit(), Ordering::Relaxed));
        self.found.has(offload) && !before.has(offload)
    }

    fn off(&self) -> OffloadSet {
        OffloadSet(self.off.load(Ordering::Relaxed))
    }

    /// All of it, for show.
    pub fn info(&self) -> OffloadInfo {
        let off = OffloadSet(self.found.0 & self.off().0);
        let on = OffloadSet(self.found.0 & !off.0);
        OffloadInfo { on: on.names(), off: off.names(), refused: self.refused.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offload_has_its_own_place_and_name() {
        for (place, offload) in Offload::ALL.iter().enumerate() {
            assert_eq!(*offload as usize, place);
            assert_eq!(Offload::ALL.iter().filter(|other| other.name() == offload.name()).count(), 1);
        }
    }

    #[test]
    fn one_is_switched_off_once_and_the_others_stay() {
        let offloads = Offloads::new(OffloadSet::default().with(&[Offload::TrainsOut, Offload::TrainsIn]));
        assert!(offloads.uses(Offload::TrainsOut) && !offloads.uses(Offload::Checksum));
        offloads.count_refusal();
        assert!(offloads.switch_off(Offload::TrainsOut) && !offloads.switch_off(Offload::TrainsOut));
        assert!(!offloads.switch_off(Offload::Checksum), "it never was on");
        assert!(!offloads.uses(Offload::TrainsOut) && offloads.uses(Offload::TrainsIn));
        let (on, off) = (vec!["trains-in".to_owned()], vec!["trains-out".to_owned()]);
        assert_eq!(offloads.info(), OffloadInfo { on, off, refused: 1 });
    }
}
