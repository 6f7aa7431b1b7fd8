//! Runs of one flow's segments become super-frames again: the rules of the kernel's own receive offload
//! (net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c), as early returns that each give their reason.

use super::{CUT_HEADER_MAX, Gso, VnetHeader, put};
use crate::wire::{Ethernet, Packet, Sum, Transport, pseudo_sum};

/// Segments in one run: what one vectored write takes with room to spare (IOV_MAX is 1024).
pub const RUN_SEGMENTS: usize = 64;
/// Octets of a packet that an IPv4 header can tell.
const PACKET_MAX: usize = 65_535;

/// What some write for a checksum of 0. Only UDP has a use for it (RFC 768), and there it is the only way to write 0.
const ALTERNATE_ZERO: [u8; 2] = [0xff; 2];

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// A frame that may be part of a run: whole, undivided, and with nothing in its headers that a super-frame cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    gso: Gso,
    ip: usize,
    transport: usize,
    header_len: usize,
    /// Where its payload ends, and the frame.
    end: usize,
}

impl Member {
    /// The frame as a member; none when it has to stay alone.
    pub fn new(frame: &[u8], ethernet: &Ethernet) -> Option<Self> {
        let packet = Packet::parse(frame, ethernet)?;
        let transport = packet.transport?;
        let (ip, at) = (ethernet.header_len, packet.payload_offset);
        // IP options say something of each packet.
        if !packet.v6 && at - ip != 20 {
            return None;
        }
        let (gso, header_len) = match transport {
            Transport::Tcp => (tcp_kind(&packet)?, packet.tcp_header_len()?),
            Transport::Udp => (udp_kind(&packet)?, 8),
        };
        let member =
            Self { gso, ip, transport: at, header_len: at + header_len, end: at + packet.payload.len() };
        // A segment without payload carries an acknowledgement of its own, and Ethernet padding would be lost.
        let whole = member.payload_len() > 0 && member.end == frame.len();
        let bears = whole && member.header_len <= CUT_HEADER_MAX;
        bears.then_some(member)
    }

    /// Whether its checksums are right, and as we write them: a cut is to give back the same octets.
    pub fn is_intact(&self, frame: &[u8]) -> bool {
        if !self.is_v6() && !is_intact_header(&frame[self.ip..self.transport]) {
            return false;
        }
        if self.protocol() == Transport::Tcp && self.checksum(frame) == ALTERNATE_ZERO {
            return false;
        }
        let addresses = &frame[self.addresses()..self.transport];
        let octets = &frame[self.transport..self.end];
        pseudo_sum(addresses, self.protocol(), octets.len()).plus(octets).folded() == 0xffff
    }

    fn checksum(&self, frame: &[u8]) -> [u8; 2] {
        let at = self.transport + self.protocol().checksum_offset();
        [frame[at], frame[at + 1]]
    }

    /// Where the payload stands in the frame.
    pub const fn payload(&self) -> std::ops::Range<usize> {
        self.header_len..self.end
    }

    /// Octets of the headers.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    const fn payload_len(&self) -> usize {
        self.end - self.header_len
    }

    const fn protocol(&self) -> Transport {
        self.gso.transport()
    }

    fn is_v6(&self) -> bool {
        self.transport - self.ip == 40
    }

    fn addresses(&self) -> usize {
        self.ip + if self.is_v6() { 8 } else { 12 }
    }
}

fn is_intact_header(ip: &[u8]) -> bool {
    ip[10..12] != ALTERNATE_ZERO && Sum::default().plus(ip).folded() == 0xffff
}

fn tcp_kind(packet: &Packet<'_>) -> Option<Gso> {
    let flags = *packet.payload.get(13)?;
    // Any other flag says something of this segment alone.
    (flags & !PSH == ACK).then_some(if packet.v6 { Gso::TcpV6 } else { Gso::TcpV4 })
}

fn udp_kind(packet: &Packet<'_>) -> Option<Gso> {
    let len = u16::from_be_bytes([packet.payload[4], packet.payload[5]]);
    // Without a checksum nobody can say whether the datagram is whole.
    (usize::from(len) == packet.payload.len() && packet.checksum() != Some(0)).then_some(Gso::Udp)
}

/// A run in the making: its first frame's headers, and what the next member must be like.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    first: Member,
    headers: [u8; CUT_HEADER_MAX],
    segments: usize,
    payload_len: usize,
    last_len: usize,
    closed: bool,
}

impl Run {
    /// A run of one intact frame.
    pub fn new(frame: &[u8], member: Member) -> Self {
        let mut headers = [0; CUT_HEADER_MAX];
        headers[..member.header_len].copy_from_slice(&frame[..member.header_len]);
        let (payload_len, last_len) = (member.payload_len(), member.payload_len());
        let closed = member.gso != Gso::Udp && frame[member.transport + 13] & PSH != 0;
        Self { first: member, headers, segments: 1, payload_len, last_len, closed }
    }

    /// How many frames it is of.
    pub const fn segments(&self) -> usize {
        self.segments
    }

    /// Octets of the longest frame it is of.
    pub const fn segment_len(&self) -> usize {
        self.first.header_len + self.first.payload_len()
    }

    /// Whether a frame is of the same flow, so that it may not overtake the run. A packet that cannot be read may be of
    /// any flow.
    pub fn is_of_flow(&self, frame: &[u8], ethernet: &Ethernet) -> bool {
        let Some(packet) = Packet::parse(frame, ethernet) else {
            return ethernet.ethertype.to_be_bytes() == self.headers[self.first.ip - 2..self.first.ip];
        };
        let ports =
            self.headers[self.first.transport..][..4] == packet.payload[..packet.payload.len().min(4)];
        packet.addresses == &self.headers[self.first.addresses()..self.first.transport]
            && (ports || packet.transport.is_none())
    }

    /// Takes an intact frame in, when it is the next of the run.
    pub fn join(&mut self, frame: &[u8], member: Member) -> bool {
        if !self.continues(frame, member) {
            return false;
        }
        self.segments += 1;
        self.payload_len += member.payload_len();
        self.last_len = member.payload_len();
        if member.gso != Gso::Udp && frame[member.transport + 13] & PSH != 0 {
            // The sender wants its reader woken here.
            self.headers[self.first.transport + 13] |= PSH;
            self.closed = true;
        }
        true
    }

    fn continues(&self, frame: &[u8], member: Member) -> bool {
        let first = self.first;
        let room = first.header_len - first.ip + self.payload_len + member.payload_len() <= PACKET_MAX;
        // After a shorter one nothing can follow: the cut would put the boundary elsewhere.
        let open = !self.closed && self.last_len == first.payload_len() && self.segments < RUN_SEGMENTS;
        let alike = (member.gso, member.ip, member.header_len) == (first.gso, first.ip, first.header_len);
        room && open
            && alike
            && member.payload_len() <= first.payload_len()
            && frame[..first.ip] == self.headers[..first.ip]
            && self.ip_continues(frame)
            && self.transport_continues(frame)
    }

    fn ip_continues(&self, frame: &[u8]) -> bool {
        let (ours, theirs) = (&self.headers[self.first.ip..], &frame[self.first.ip..]);
        if self.first.is_v6() {
            // Version, class and flow label; next header and hop limit; addresses.
            return ours[..4] == theirs[..4] && ours[6..40] == theirs[6..40];
        }
        let number = |octets: &[u8]| u16::from_be_bytes([octets[4], octets[5]]);
        let undivided = ours[6] & 0x40 != 0;
        let next = number(ours).wrapping_add(self.segments as u16) == number(theirs);
        // Version, length and TOS; DF; TTL and protocol; addresses. The identification of a packet that may not be
        // fragmented means nothing (RFC 6864 section 4.1) to a datagram's receiver; a stream's has to count on.
        let identified = next || (undivided && self.first.gso == Gso::Udp);
        ours[..2] == theirs[..2]
            && ours[6..10] == theirs[6..10]
            && ours[12..20] == theirs[12..20]
            && identified
    }

    fn transport_continues(&self, frame: &[u8]) -> bool {
        let (ours, theirs) = (&self.headers[self.first.transport..], &frame[self.first.transport..]);
        if self.first.gso == Gso::Udp {
            return ours[..4] == theirs[..4];
        }
        let sequence = |octets: &[u8]| u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]);
        let next = sequence(ours).wrapping_add(self.payload_len as u32) == sequence(theirs);
        let options = 20..self.first.header_len - self.first.transport;
        // Ports; acknowledgement and header length; window and urgent pointer; options.
        ours[..4] == theirs[..4]
            && next
            && ours[8..13] == theirs[8..13]
            && ours[14..16] == theirs[14..16]
            && ours[18..20] == theirs[18..20]
            && ours[options.clone()] == theirs[options]
    }

    /// The headers of the super-frame, and its virtio header.
    pub fn finish(&mut self) -> (VnetHeader, &[u8]) {
        let first = self.first;
        let behind = first.header_len - first.transport + self.payload_len;
        self.write_ip(behind);
        let offset = first.protocol().checksum_offset();
        let addresses = &self.headers[first.addresses()..first.transport];
        let pseudo = pseudo_sum(addresses, first.protocol(), behind).folded();
        put(&mut self.headers, first.transport + offset, pseudo);
        if first.gso == Gso::Udp {
            put(&mut self.headers, first.transport + 4, behind as u16);
        }
        let vnet = VnetHeader::unfinished(first.transport, offset);
        let vnet = vnet.segmented(first.gso, first.header_len, first.payload_len());
        (vnet, &self.headers[..first.header_len])
    }

    fn write_ip(&mut self, behind: usize) {
        let first = self.first;
        if first.is_v6() {
            return put(&mut self.headers, first.ip + 4, behind as u16);
        }
        put(&mut self.headers, first.ip + 2, (20 + behind) as u16);
        put(&mut self.headers, first.ip + 10, 0);
        let checksum = Sum::default().plus(&self.headers[first.ip..first.transport]).checksum();
        put(&mut self.headers, first.ip + 10, checksum);
    }
}

#[cfg(test)]
mod tests;
