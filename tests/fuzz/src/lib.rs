//! Entries for fuzzing: each takes any octets, and panics when the product breaks a promise over them.
//!
//! `fuzz_targets` runs them under libFuzzer; the ordinary test `replay` runs them over `corpus`, where each crash ever
//! found is a file, and over random octets.
#![forbid(unsafe_code)]

mod datapath;
mod frame;
mod guard;
#[path = "../../../crates/overlayd/src/records.rs"]
#[expect(dead_code, reason = "overlayd is a program, and only reading its records concerns us here")]
mod records;
mod stored;
mod stream;
#[path = "../../../crates/overlayd/src/until_boot.rs"]
#[expect(dead_code, reason = "overlayd is a program, and only reading its records concerns us here")]
mod until_boot;

use overlay_core::datapath::Remedy;
use overlay_core::lookup::{Octets, Verdict};
use overlay_core::offload::Division;
use overlay_core::protocol::{Call, Request, Response, ServerLine, Session};
use overlay_core::types::MacAddr;
use overlay_core::wire::{Ecn, Ethernet, Packet, is_question};
use varpd::plugins::files::format;
use varpd::plugins::interface::Finding;
use varpd::plugins::program::answers_every_question;
use varpd::proxy::rehearse;

pub use datapath::{merge, receive, transmit};
pub use guard::guard;
pub use stored::records;

/// An entry with its name, which is that of its corpus and its target.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: [Entry; 12] = [
    ("files", files),
    ("records", records),
    ("control", control),
    ("arp", arp),
    ("ndp", ndp),
    ("dhcp", dhcp),
    ("program", program),
    ("transmit", transmit),
    ("receive", receive),
    ("merge", merge),
    ("oversize", oversize),
    ("guard", guard),
];

/// Characters in one line for people, with whatever they quote.
const LINE_MAX: usize = 600;

/// Tunnel ends of the findings that the proxies get.
const END: &str = "192.0.2.1:4789";

/// The file of the search plugin `files`: it is read the same way twice, or refused in one line.
pub fn files(octets: &[u8]) {
    let whole = format::parse_with_notes(octets).map(|(table, _)| table);
    match (format::parse(octets), whole) {
        (Ok(table), Ok(again)) => {
            assert_eq!(table.len(), again.len());
            assert!(table.destinations().all(|(mac, ends)| !ends.is_empty() && table.ends(mac).is_some()));
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            let (line, count) = (error.to_string(), octets.iter().filter(|octet| **octet == b'\n').count());
            assert!(line.chars().count() <= LINE_MAX && !line.contains(char::is_control), "{line:?}");
            assert!(error.place.line >= 1 && error.place.line <= count + 1, "{line}");
        }
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

/// A control socket: what is read is a request that comes back as it was, or is answered with an error.
pub fn control(octets: &[u8]) {
    let mut session = Session::new("overlayd");
    let (cut, octets) = octets.split_first().unwrap_or((&0, &[]));
    session.receive(b"{\"protocol\":1,\"program\":\"fuzz\"}\n");
    for piece in octets.chunks(usize::from(*cut) + 1) {
        session.receive(piece);
        serve(&mut session, cut % 2 == 0);
    }
    session.receive(b"\n");
    serve(&mut session, cut % 2 == 0);
    let answers = std::str::from_utf8(session.output()).expect("a daemon writes text");
    let mut lines = answers.lines().skip(1);
    assert!(lines.all(|line| serde_json::from_str::<ServerLine>(line).is_ok()), "{answers}");
    // The other way: what a client and varpd read of a daemon.
    if let Ok(line) = serde_json::from_slice::<ServerLine>(octets) {
        let text = serde_json::to_string(&line).expect("it can be written");
        assert_eq!(serde_json::from_str::<ServerLine>(&text).ok(), Some(line));
    }
}

fn serve(session: &mut Session, may_change: bool) {
    while let Some(incoming) = session.next_request(|| may_change) {
        let call = Call { id: incoming.id, request: incoming.request };
        let text = serde_json::to_string(&call).expect("it can be written");
        assert_eq!(serde_json::from_str::<Call>(&text).ok().as_ref(), Some(&call), "{text}");
        assert!(may_change || call.request.privilege() == overlay_core::protocol::Privilege::Read);
        let response =
            if call.request == Request::Links { Response::Links(Vec::new()) } else { Response::Done };
        session.reply(call.id, Ok(response));
    }
}

/// A broadcast frame with ARP in it.
pub fn arp(octets: &[u8]) {
    let frame = frame::arp(octets);
    for reply in replies(&frame) {
        assert_eq!(reply[..6], frame[6..12], "an answer goes to the asker");
        assert!(reply.len() >= 42, "{reply:02x?}");
    }
}

/// A multicast frame with neighbour discovery in it.
pub fn ndp(octets: &[u8]) {
    let frame = frame::ndp(octets);
    for reply in replies(&frame) {
        assert_eq!(frame::icmpv6_sum(&reply), Some(0), "{reply:02x?} for {frame:02x?}");
    }
}

/// A frame to many with DHCP or DHCPv6 in it.
pub fn dhcp(octets: &[u8]) {
    let frame = frame::dhcp(octets);
    assert!(replies(&frame).is_empty(), "DHCP is only passed on");
}

/// The output of a program that is a plugin: each question is answered once.
pub fn program(octets: &[u8]) {
    assert!(answers_every_question(octets));
}

/// A frame that is too big for its way, whose datagrams met congestion: an answer is a whole packet to its sender, its pieces
/// are all of it, and a mark changes no length.
pub fn oversize(octets: &[u8]) {
    let (limit, mut frame) = frame::any_ip(octets);
    Ecn::of(octets.first().copied().unwrap_or(0)).mark(&mut frame);
    let Some(ethernet) = Ethernet::parse(&frame) else { return };
    match Remedy::of(&frame, limit) {
        Remedy::Answer(answer) => {
            assert_eq!(answer[..6], frame[6..12], "an answer goes to the sender");
            let head = Ethernet::parse(&answer).expect("a header");
            let packet = Packet::parse(&answer, &head).expect("a whole packet");
            assert_eq!(packet.payload_offset + packet.payload.len(), answer.len());
            assert!(frame::icmpv6_sum(&answer).unwrap_or(0) == 0, "{answer:02x?}");
        }
        Remedy::Divide(limit) => {
            let Some(division) = Division::new(&frame, &ethernet, limit) else { return };
            let mut header = vec![0xee; division.header_len()];
            let mut octets = 0;
            for piece in 0..division.count() {
                division.write_header(&frame, piece, &mut header);
                let payload = division.payload(piece).len();
                assert!(header.len() - ethernet.header_len + payload <= limit);
                octets += payload;
            }
            assert!(header.len() + octets <= frame.len());
        }
        Remedy::Loosen | Remedy::Drop => {}
    }
}

/// What the proxies answer to a frame, whatever is found.
fn replies(frame: &[u8]) -> Vec<Vec<u8>> {
    // The driver looks at it first.
    let _ = Ethernet::parse(frame).map(|ethernet| is_question(frame, &ethernet));
    let end = || Finding::Ends(vec![END.parse().expect("an address")]);
    let owner = || Finding::Mac(MacAddr([2, 8, 0x20, 0, 0, 9]));
    let findings = [
        vec![owner(), end()],
        vec![owner(), Finding::Absent],
        vec![Finding::Absent, end()],
        vec![Finding::Unknown, Finding::Unknown],
        vec![end(), owner()],
    ];
    let verdicts = findings.into_iter().map(|findings| rehearse(Octets(frame.to_vec()), findings));
    let reply = |verdict| match verdict {
        Verdict::Reply(Octets(reply)) => Some(reply),
        _ => None,
    };
    verdicts.filter_map(reply).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_come_as_far_as_an_answer() {
        let request = include_bytes!("../corpus/arp/tagged-request");
        let solicitation = include_bytes!("../corpus/ndp/tagged-solicitation");
        for frame in [frame::arp(request), frame::ndp(solicitation)] {
            let reply = &replies(&frame)[0];
            assert_eq!((&reply[..6], &reply[12..16]), (&frame[6..12], &frame[12..16]));
        }
        for seed in [&include_bytes!("../corpus/dhcp/discover")[..], include_bytes!("../corpus/dhcp/solicit")]
        {
            let server = MacAddr([2, 8, 0x20, 0, 0, 9]);
            let verdict = rehearse(Octets(frame::dhcp(seed)), [Finding::Mac(server)]);
            assert_eq!(verdict, Verdict::Redirect(server));
        }
    }

    #[test]
    fn the_seeds_of_frames_too_big_are_answered_or_divided() {
        let remedy = |seed: &[u8]| {
            let (limit, frame) = frame::any_ip(seed);
            Remedy::of(&frame, limit)
        };
        for seed in
            [&include_bytes!("../corpus/oversize/undivided")[..], include_bytes!("../corpus/oversize/ipv6")]
        {
            assert!(matches!(remedy(seed), Remedy::Answer(_)));
        }
        assert_eq!(remedy(include_bytes!("../corpus/oversize/divided")), Remedy::Divide(68));
    }

    #[test]
    fn the_reference_for_checksums_knows_a_wrong_one() {
        let mut frame = frame::ndp(include_bytes!("../corpus/ndp/solicitation"));
        assert_eq!(frame::icmpv6_sum(&frame), Some(0));
        frame[60] ^= 1;
        assert_ne!(frame::icmpv6_sum(&frame), Some(0));
    }
}
