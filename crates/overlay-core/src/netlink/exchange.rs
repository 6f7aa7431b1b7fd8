use std::io;
use std::time::Duration;

use netlink_packet_core::{
    ErrorBuffer, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST,
    NLMSG_ALIGNTO, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator, parse_string,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;

use super::error::Fault;

/// How long an answer may take. The kernel carries a request out inside the `send` itself, so that only an
/// answer that got lost is ever waited for (netlink_unicast, af_netlink.c).
const PATIENCE: Duration = Duration::from_secs(5);
/// Twice what the kernel puts into one datagram of a dump (netlink_dump, af_netlink.c).
const DATAGRAM_MAX: usize = 64 * 1024;
/// Octets of a `struct nlmsghdr` (linux/netlink.h).
const NETLINK_HEADER_LEN: usize = 16;
/// How often a list that changed while it was read is read again.
const DUMP_ATTEMPTS: u32 = 20;
/// The attribute with the kernel's sentence (enum nlmsgerr_attrs, linux/netlink.h).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A socket on which one request at a time is made and answered.
#[derive(Debug)]
pub(super) struct Exchange {
    socket: Socket,
    sequence: u32,
    datagram: Box<[u8]>,
}

/// One message of an answer.
#[derive(Debug)]
enum Part<'a> {
    /// A device or an address.
    Body(&'a [u8]),
    /// The request is done.
    End,
    /// Not part of the answer.
    Foreign,
}

impl Exchange {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Only the kernel's datagrams are received on a connected socket.
        socket.connect(&SocketAddr::new(0, 0))?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE.as_secs().cast_signed(), 0))?;
        // An error that a kernel without these options sends has its number and no sentence.
        let _ = socket.set_cap_ack(true).and_then(|()| socket.set_ext_ack(true));
        Ok(Self { socket, sequence: 0, datagram: vec![0; DATAGRAM_MAX].into() })
    }

    /// Makes a request, and reads what comes back before its acknowledgement.
    pub(super) fn ask<T>(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.attempt(message, flags | NLM_F_ACK, read).map(|(things, _)| things)
    }

    /// Reads a whole list, again when it changed under the reader (NLM_F_DUMP_INTR, linux/netlink.h).
    pub(super) fn list<T>(
        &mut self,
        message: &RouteNetlinkMessage,
        read: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        for _ in 0..DUMP_ATTEMPTS {
            if let (things, true) = self.attempt(message.clone(), NLM_F_DUMP, &read)? {
                return Ok(things);
            }
        }
        Err(io::Error::other("the list kept changing while it was read").into())
    }

    /// One round: what came, and whether it is consistent.
    fn attempt<T>(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<(Vec<T>, bool), Fault> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.socket.send(&request(message, flags, sequence), 0)?;
        let (mut things, mut consistent) = (Vec::new(), true);
        loop {
            let mut rest = self.receive()?;
            while let Some(message) = next_message(&mut rest)? {
                let ours = message.sequence_number() == sequence;
                consistent &= !ours || message.flags() & NLM_F_DUMP_INTR == 0;
                match part(&message, sequence)? {
                    // Read to the end whatever it says: the next dump on this socket would find it busy.
                    Part::Body(body) => things.push(read(body)),
                    Part::End => {
                        let things = things.into_iter().collect::<Result<_, _>>()?;
                        return Ok((things, consistent));
                    }
                    Part::Foreign => {}
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        let len = loop {
            match self.socket.recv(&mut &mut self.datagram[..], libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(silence()),
                outcome => break outcome?,
            }
        };
        self.datagram
            .get(..len)
            .ok_or_else(|| io::Error::other(format!("an answer of {len} octets is too long")))
    }
}

fn silence() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the kernel did not answer for {} s", PATIENCE.as_secs()))
}

fn request(message: RouteNetlinkMessage, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    octets
}

/// Takes the first message off a datagram.
fn next_message<'a>(rest: &mut &'a [u8]) -> Result<Option<NetlinkBuffer<&'a [u8]>>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let message = NetlinkBuffer::new_checked(*rest)?;
    // Messages are aligned, the last one need not be padded (NLMSG_NEXT, linux/netlink.h).
    let len = (message.length() as usize).next_multiple_of(usize::from(NLMSG_ALIGNTO));
    *rest = rest.get(len..).unwrap_or_default();
    Ok(Some(message))
}

fn part<'a>(message: &NetlinkBuffer<&'a [u8]>, sequence: u32) -> Result<Part<'a>, Fault> {
    if message.sequence_number() != sequence {
        return Ok(Part::Foreign);
    }
    let payload = message.payload();
    match message.message_type() {
        NLMSG_NOOP => Ok(Part::Foreign),
        NLMSG_OVERRUN => Err(io::Error::other("part of the answer was lost").into()),
        // A dump that ends in an error has its number in the last message, which may also be empty.
        NLMSG_DONE if payload.is_empty() => Ok(Part::End),
        NLMSG_DONE => end(payload, None),
        NLMSG_ERROR => end(payload, sentence(message.flags(), payload)),
        _ => Ok(Part::Body(payload)),
    }
}

/// An acknowledgement, which is an error whose number is zero (RFC 3549, section 2.3.2.2).
fn end<'a>(payload: &[u8], sentence: Option<String>) -> Result<Part<'a>, Fault> {
    match ErrorBuffer::new_checked(payload)?.code() {
        None => Ok(Part::End),
        Some(code) => {
            Err(Fault { error: io::Error::from_raw_os_error(code.get().saturating_abs()), sentence })
        }
    }
}

/// The kernel's sentence about an error: it stands behind the header of the request, which is not repeated whole.
fn sentence(flags: u16, payload: &[u8]) -> Option<String> {
    let told = NLM_F_CAPPED | NLM_F_ACK_TLVS;
    let attributes = payload.get(size_of::<i32>() + NETLINK_HEADER_LEN..)?;
    let mut attributes = NlasIterator::new(attributes).flatten().filter(|_| flags & told == told);
    let message = attributes.find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    parse_string(message.value()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::link::LinkMessage;
    use nix::errno::Errno;
    use proptest::prelude::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let len = NETLINK_HEADER_LEN + payload.len();
        let mut octets = vec![0; len.next_multiple_of(4)];
        octets[NETLINK_HEADER_LEN..len].copy_from_slice(payload);
        let mut buffer = NetlinkBuffer::new(&mut octets);
        buffer.set_length(len as u32);
        buffer.set_message_type(kind);
        buffer.set_flags(flags);
        buffer.set_sequence_number(sequence);
        octets
    }

    /// An error with a sentence, as `lib/nlattr.c` and `netlink_ack` lay it out.
    fn refusal(sequence: u32) -> Vec<u8> {
        let mut payload = (-(Errno::EINVAL as i32)).to_ne_bytes().to_vec();
        payload.extend([0; NETLINK_HEADER_LEN]);
        payload.extend(8u16.to_ne_bytes());
        payload.extend(NLMSGERR_ATTR_MSG.to_ne_bytes());
        payload.extend(b"bad\0");
        message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, sequence, &payload)
    }

    fn first(mut datagram: &[u8], sequence: u32) -> Result<Part<'_>, Fault> {
        part(&next_message(&mut datagram)?.unwrap(), sequence)
    }

    #[test]
    fn a_request_carries_its_flags_sequence_and_length() {
        let octets = request(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP, 0x0102_0304);
        let read = NetlinkBuffer::new_checked(octets.as_slice()).unwrap();
        assert_eq!(read.length() as usize, octets.len());
        assert_eq!(read.message_type(), libc::RTM_GETLINK);
        assert_eq!((read.flags(), read.sequence_number()), (NLM_F_REQUEST | NLM_F_DUMP, 0x0102_0304));
    }

    #[test]
    fn an_answer_to_another_request_is_skipped() {
        assert!(matches!(first(&refusal(6), 7), Ok(Part::Foreign)));
        assert!(matches!(first(&message(16, 0, 6, &[1, 2]), 7), Ok(Part::Foreign)));
    }

    #[test]
    fn a_refusal_has_its_number_and_the_kernels_sentence() {
        let fault = first(&refusal(7), 7).unwrap_err();
        assert!(fault.is_any(&[Errno::EINVAL]));
        assert_eq!(fault.sentence.as_deref(), Some("bad"));
    }

    #[test]
    fn an_error_of_zero_and_a_done_message_end_an_answer() {
        for (kind, payload) in [(NLMSG_ERROR, vec![0; 20]), (NLMSG_DONE, vec![0; 4]), (NLMSG_DONE, vec![])] {
            assert!(matches!(first(&message(kind, 0, 1, &payload), 1), Ok(Part::End)), "{kind} {payload:?}");
        }
    }

    #[test]
    fn a_dump_that_ends_in_an_error_fails() {
        let code = (-(Errno::ENODEV as i32)).to_ne_bytes();
        assert!(first(&message(NLMSG_DONE, 0, 1, &code), 1).unwrap_err().is_any(&[Errno::ENODEV]));
    }

    #[test]
    fn messages_of_odd_length_follow_each_other_aligned() {
        let datagram = [message(16, 0, 1, &[1, 2, 3]), message(16, 0, 1, &[4])].concat();
        let mut rest = datagram.as_slice();
        let mut bodies = Vec::new();
        while let Some(message) = next_message(&mut rest).unwrap() {
            bodies.push(message.payload().to_vec());
        }
        assert_eq!(bodies, [vec![1, 2, 3], vec![4]]);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(datagram: Vec<u8>, sequence: u32) {
            let mut rest = datagram.as_slice();
            while let Ok(Some(message)) = next_message(&mut rest) {
                let _ = part(&message, sequence);
            }
        }

        #[test]
        fn a_damaged_refusal_is_read_or_refused(len in 0..48usize, place in 0..48usize, value: u8) {
            let mut octets = refusal(1);
            let (len, place) = (len.min(octets.len()), place % octets.len());
            octets[place] = value;
            let mut rest = &octets[..len];
            while let Ok(Some(message)) = next_message(&mut rest) {
                let _ = part(&message, 1);
            }
        }
    }
}
