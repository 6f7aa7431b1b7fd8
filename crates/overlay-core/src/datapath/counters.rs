use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::{CounterInfo, DropCount, LinkCounters};

/// Why a frame was dropped. Each dropped frame has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The overlay is not activated, or is being stopped.
    NotActive,
    /// Nothing says where the frame's destination is.
    NoTarget,
    /// It is too short for an Ethernet header.
    Runt,
    /// It is larger than the MTU.
    TooBig,
    /// The lookup says that nobody has its destination.
    LookupAbsent,
    /// The lookup cannot say where its destination is.
    LookupUnknown,
    /// The lookup was not answered in time.
    LookupTimeout,
    /// Too many frames wait for lookups.
    LookupFull,
    /// An administrator has set its destination to be dropped.
    TargetDrop,
    /// The lookup side has answered it in the place of whoever it was for.
    Proxied,
    /// Its sender is no tunnel end that the search plugin knows.
    UnknownVtep,
    /// No VNIC here has its destination address and VLAN.
    UnknownMac,
    /// It is for the VNIC that sent it.
    ToItself,
    /// It is for all, and no VNIC is in its VLAN.
    NoReceiver,
    /// The underlay has no way to the tunnel end.
    NoRoute,
    /// The underlay takes no datagram of its size.
    UnderlayMtu,
    /// The socket's or the network card's queue is full.
    SendFull,
    /// The underlay socket is not open, or refused it for another reason.
    SendRefused,
    /// The VNIC is not up.
    DeviceDown,
    /// The VNIC has no room for it, or the system no memory.
    DeviceFull,
    /// The VNIC takes no frame of its form.
    DeviceRefused,
    /// It is more than the VNIC's `maxbw` lets through and its queue holds.
    OverMaxbw,
    /// It is a super-frame that cannot be cut into frames.
    BadSuperFrame,
    /// Its datagram met congestion, which the packet inside cannot say.
    BadEcn,
    /// Its source is no MAC address of the VNIC that sent it, which may have no other.
    SpoofedMac,
    /// It is none of IPv4, IPv6 and ARP, or in a VLAN, and the VNIC that sent it may send nothing else.
    Restricted,
    /// Its source is no IP address of the VNIC that sent it, which may have no other.
    SpoofedIp,
    /// It is ARP that speaks of another than the VNIC that sent it.
    SpoofedArp,
    /// It is neighbour discovery that speaks of another than the VNIC that sent it.
    SpoofedNdp,
    /// It is DHCP that speaks of another client than the VNIC that sent it, or a server's.
    SpoofedDhcp,
}

impl DropReason {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Self; 30] = [
        Self::NotActive,
        Self::NoTarget,
        Self::Runt,
        Self::TooBig,
        Self::LookupAbsent,
        Self::LookupUnknown,
        Self::LookupTimeout,
        Self::LookupFull,
        Self::TargetDrop,
        Self::Proxied,
        Self::UnknownVtep,
        Self::UnknownMac,
        Self::ToItself,
        Self::NoReceiver,
        Self::NoRoute,
        Self::UnderlayMtu,
        Self::SendFull,
        Self::SendRefused,
        Self::DeviceDown,
        Self::DeviceFull,
        Self::DeviceRefused,
        Self::OverMaxbw,
        Self::BadSuperFrame,
        Self::BadEcn,
        Self::SpoofedMac,
        Self::Restricted,
        Self::SpoofedIp,
        Self::SpoofedArp,
        Self::SpoofedNdp,
        Self::SpoofedDhcp,
    ];

    /// The name it is shown under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotActive => "not-active",
            Self::NoTarget => "no-target",
            Self::Runt => "runt",
            Self::TooBig => "too-big",
            Self::LookupAbsent => "lookup-absent",
            Self::LookupUnknown => "lookup-unknown",
            Self::LookupTimeout => "lookup-timeout",
            Self::LookupFull => "lookup-full",
            Self::TargetDrop => "target-drop",
            Self::Proxied => "proxied",
            Self::UnknownVtep => "unknown-vtep",
            Self::UnknownMac => "unknown-mac",
            Self::ToItself => "to-itself",
            Self::NoReceiver => "no-receiver",
            Self::NoRoute => "no-route",
            Self::UnderlayMtu => "underlay-mtu",
            Self::SendFull => "send-full",
            Self::SendRefused => "send-refused",
            Self::DeviceDown => "device-down",
            Self::DeviceFull => "device-full",
            Self::DeviceRefused => "device-refused",
            Self::OverMaxbw => "over-maxbw",
            Self::BadSuperFrame => "bad-super-frame",
            Self::BadEcn => "bad-ecn",
            Self::SpoofedMac => "spoofed-mac",
            Self::Restricted => "restricted",
            Self::SpoofedIp => "spoofed-ip",
            Self::SpoofedArp => "spoofed-arp",
            Self::SpoofedNdp => "spoofed-ndp",
            Self::SpoofedDhcp => "spoofed-dhcp",
        }
    }
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the underlay.
    In,
    /// From a VNIC.
    Out,
}

/// What a frame counts for: a super-frame is as many frames as it is cut into, and counts its octets once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Frames.
    pub frames: usize,
    /// Octets, Ethernet header included.
    pub bytes: usize,
}

/// Frames and their octets.
#[derive(Debug, Default)]
pub(super) struct Tally {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, load: Load) {
        self.add_all(load.frames as u64, load.bytes as u64);
    }

    fn add_all(&self, frames: u64, bytes: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

type Drops = [AtomicU64; DropReason::ALL.len()];

/// What an overlay counts: frames from devices, the wire and the lookup side, and copies, are the sum of frames to
/// devices and the wire, drops, and the frames that wait now.
#[derive(Debug, Default)]
pub struct OverlayCounters {
    pub(super) from_devices: Tally,
    pub(super) from_wire: Tally,
    pub(super) to_devices: Tally,
    pub(super) to_wire: Tally,
    injected: Tally,
    copies: AtomicU64,
    waiting: AtomicU64,
    drops_in: Drops,
    drops_out: Drops,
}

impl OverlayCounters {
    /// Counts dropped frames.
    pub fn lose(&self, direction: Direction, reason: DropReason, frames: usize) {
        self.drops(direction)[reason as usize].fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Counts what a tunnel end was sent.
    pub fn sent(&self, load: Load) {
        self.to_wire.add(load);
    }

    /// Counts the copies of a frame that went to several places, of which the first got the frame itself.
    pub(super) fn became(&self, places: usize, frames: usize) {
        let copies = places.saturating_sub(1) * frames;
        self.copies.fetch_add(copies as u64, Ordering::Relaxed);
    }

    /// Counts a frame that the lookup side has made.
    pub(super) fn inject(&self, load: Load) {
        self.injected.add(load);
    }

    /// Frames begin to wait for a lookup, or for their VNIC's rate.
    pub(super) fn wait(&self, frames: usize) {
        self.waiting.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Frames wait no longer.
    pub(super) fn waited(&self, frames: usize) {
        self.waiting.fetch_sub(frames as u64, Ordering::Relaxed);
    }

    fn drops(&self, direction: Direction) -> &Drops {
        match direction {
            Direction::In => &self.drops_in,
            Direction::Out => &self.drops_out,
        }
    }

    fn dropped(&self, direction: Direction) -> u64 {
        self.drops(direction).iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// All of it, for show.
    pub fn info(&self) -> CounterInfo {
        let frames = |reason: DropReason| {
            let count = |drops: &Drops| drops[reason as usize].load(Ordering::Relaxed);
            count(&self.drops_in) + count(&self.drops_out)
        };
        let drops =
            DropReason::ALL.iter().map(|reason| (reason, frames(*reason))).filter(|(_, frames)| *frames > 0);
        CounterInfo {
            from_devices: self.from_devices.frames(),
            from_wire: self.from_wire.frames(),
            injected: self.injected.frames(),
            copies: self.copies.load(Ordering::Relaxed),
            to_devices: self.to_devices.frames(),
            to_wire: self.to_wire.frames(),
            waiting: self.waiting.load(Ordering::Relaxed),
            drops: drops
                .map(|(reason, frames)| DropCount { reason: reason.name().to_owned(), frames })
                .collect(),
        }
    }

    /// As a link: what came from the underlay and what went there.
    pub fn link(&self) -> LinkCounters {
        LinkCounters {
            in_frames: self.from_wire.frames(),
            in_bytes: self.from_wire.bytes(),
            in_drops: self.dropped(Direction::In),
            out_frames: self.to_wire.frames(),
            out_bytes: self.to_wire.bytes(),
            out_drops: self.dropped(Direction::Out),
        }
    }
}

/// What a VNIC counts.
#[derive(Debug, Default)]
pub struct PortCounters {
    pub(super) sent: Tally,
    pub(super) given: Tally,
    in_drops: AtomicU64,
    out_drops: AtomicU64,
}

impl PortCounters {
    /// Counts frames of the VNIC that were dropped.
    pub fn lost(&self, frames: usize) {
        self.out_drops.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Adds what the VNIC had counted with an earlier device.
    pub fn go_on_from(&self, before: &LinkCounters) {
        self.given.add_all(before.in_frames, before.in_bytes);
        self.sent.add_all(before.out_frames, before.out_bytes);
        self.in_drops.fetch_add(before.in_drops, Ordering::Relaxed);
        self.out_drops.fetch_add(before.out_drops, Ordering::Relaxed);
    }

    /// Counts frames for the VNIC that it was not given.
    pub(super) fn not_given(&self, frames: usize) {
        self.in_drops.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// As a link: what it was given and what it sent.
    pub fn link(&self) -> LinkCounters {
        LinkCounters {
            in_frames: self.given.frames(),
            in_bytes: self.given.bytes(),
            in_drops: self.in_drops.load(Ordering::Relaxed),
            out_frames: self.sent.frames(),
            out_bytes: self.sent.bytes(),
            out_drops: self.out_drops.load(Ordering::Relaxed),
        }
    }
}

/// What an underlay socket counts of datagrams that belong to no overlay.
#[derive(Debug, Default)]
pub struct MuxCounters {
    /// Datagrams that arrived, whatever became of them.
    pub datagrams: AtomicU64,
    /// Those without a header of the encapsulation, or cut by the system.
    pub bad_header: AtomicU64,
    /// Those for a vnetid that no overlay here has.
    pub unknown_vnetid: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        for (place, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
            assert_eq!(DropReason::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
