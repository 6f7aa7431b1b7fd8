//! What holds of every conversation.

use super::golden::{self, ASKER, OWNER, ends, flooded, refreshed, slow, tagged, transport_sum, verdict};
use super::*;
use overlay_core::wire::Packet;
use proptest::prelude::*;

/// A frame that is a legal ARP packet or neighbour advertisement, whose checksum the slow reference agrees with.
fn is_legal(frame: &[u8]) -> bool {
    let Some(ethernet) = Ethernet::parse(frame).filter(|ethernet| ethernet.source.unicast().is_ok()) else {
        return false;
    };
    let payload = &frame[ethernet.header_len..];
    let untagged = [&frame[..12], &ethernet.ethertype.to_be_bytes(), payload].concat();
    match ethernet.ethertype {
        0x0806 => payload.len() == 28 && payload[..6] == [0, 1, 8, 0, 6, 4],
        0x86dd => {
            let packet = Packet::parse(frame, &ethernet);
            let advertises = payload[6..8] == [58, 255] && payload[40..42] == [136, 0];
            let named = payload[64..66] == [2, 1] && payload[66..] == ethernet.source.0;
            packet.is_some() && advertises && named && transport_sum(&untagged) == 0xffff
        }
        _ => false,
    }
}

/// A finding of each kind, lawful or not.
fn findings() -> Vec<Finding> {
    vec![
        Finding::Mac(OWNER),
        Finding::Mac(ASKER),
        Finding::Mac(MacAddr::BROADCAST),
        Finding::Mac(MacAddr::default()),
        Finding::Ends(ends()),
        Finding::Absent,
        Finding::Unknown,
    ]
}

/// Every verdict that two findings can lead to.
fn verdicts(frame: &[u8]) -> Vec<Verdict> {
    let pairs =
        findings().into_iter().flat_map(|one| findings().into_iter().map(move |two| [one.clone(), two]));
    pairs.map(|pair| rehearse(Octets(frame.to_vec()), pair)).collect()
}

/// Whether what a frame leads to is fit for the driver.
fn is_sound(frame: &[u8], verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Reply(Octets(reply)) => {
            is_legal(reply) && Ethernet::parse(reply).unwrap().vid == Ethernet::parse(frame).unwrap().vid
        }
        Verdict::Redirect(mac) => mac.unicast().is_ok() && frame[6..12] != mac.0,
        Verdict::Found(_) | Verdict::Absent | Verdict::Unknown => true,
        Verdict::Learned(_) | Verdict::Doubtful => false,
    }
}

#[test]
fn golden_checksums_are_the_slow_references() {
    for (name, frame) in golden::all() {
        match frame[12..14] {
            [0x08, 0x06] => {}
            [0x08, 0x00] => {
                assert_eq!((slow(&frame[14..34]), transport_sum(&frame)), (0xffff, 0xffff), "{name}");
            }
            _ => assert_eq!(transport_sum(&frame), 0xffff, "{name}"),
        }
    }
}

#[test]
fn questions_say_who_asks_what_and_in_which_vlan() {
    let vid = VlanId::new(7).ok();
    let begin = |frame| Conversation::begin(Octets(tagged(frame, &[0x81, 0, 0, 7]))).1;
    let resolve = |ip: &str| Step::Ask(Query::Resolve { ip: ip.parse().unwrap(), asker: ASKER, vid });
    let dhcp = |v6| Step::Ask(Query::Dhcp { client: ASKER, v6, vid });
    assert_eq!(begin(golden::arp_request()), resolve("192.0.2.2"));
    assert_eq!(begin(golden::arp_probe()), resolve("192.0.2.2"));
    assert_eq!(begin(golden::solicitation()), resolve("2001:db8::2"));
    assert_eq!(begin(golden::detection()), resolve("2001:db8::2"));
    assert_eq!(begin(golden::discover()), dhcp(false));
    assert_eq!(begin(golden::solicit()), dhcp(true));
    let group = Query::Target { mac: MacAddr([0x33, 0x33, 0, 0, 0, 2]), source: ASKER, vid };
    assert_eq!(begin(golden::router_solicitation()), Step::Ask(group));
}

#[test]
fn a_question_without_a_certain_answer_goes_on_to_the_group() {
    for frame in [golden::arp_request(), golden::solicitation(), golden::discover(), golden::solicit()] {
        for first in findings().into_iter().filter(|first| *first != Finding::Mac(OWNER)) {
            let (mut conversation, _) = Conversation::begin(Octets(frame.clone()));
            let step = conversation.next(first);
            let mac = Ethernet::parse(&frame).unwrap().destination;
            assert_eq!(step, Step::Ask(Query::Target { mac, source: ASKER, vid: None }));
            assert_eq!(conversation.next(Finding::Ends(ends())), Step::Done(flooded()));
        }
    }
}

#[test]
fn absence_is_certain_only_where_each_answer_was() {
    let verdict = |first, second| rehearse(Octets(golden::arp_request()), [first, second]);
    for certain in [Finding::Absent, Finding::Mac(ASKER)] {
        assert_eq!(verdict(certain.clone(), Finding::Absent), Verdict::Absent);
        assert_eq!(verdict(certain.clone(), Finding::Unknown), Verdict::Unknown);
        assert_eq!(verdict(certain, Finding::Mac(OWNER)), Verdict::Unknown);
    }
    for doubtful in [Finding::Unknown, Finding::Ends(ends()), Finding::Mac(MacAddr::BROADCAST)] {
        assert_eq!(verdict(doubtful, Finding::Absent), Verdict::Unknown);
    }
}

#[test]
fn after_the_end_nothing_is_found() {
    let (mut conversation, _) = Conversation::begin(Octets(golden::arp_request()));
    assert!(matches!(conversation.next(Finding::Mac(OWNER)), Step::Done(Verdict::Reply(_))));
    for finding in findings() {
        assert_eq!(conversation.next(finding), Step::Done(Verdict::Unknown));
    }
}

#[test]
fn findings_that_do_not_suffice_leave_it_unknown() {
    assert_eq!(rehearse(Octets(golden::arp_request()), []), Verdict::Unknown);
    assert_eq!(rehearse(Octets(golden::arp_request()), [Finding::Absent]), Verdict::Unknown);
}

#[test]
fn what_is_for_no_group_is_for_nobody() {
    for (name, mut frame) in golden::all() {
        frame[..6].copy_from_slice(&OWNER.0);
        assert_eq!(Conversation::begin(Octets(frame)).1, Step::Done(Verdict::Absent), "{name}");
    }
}

#[test]
fn a_sender_that_is_no_card_gets_no_answer() {
    for (name, mut frame) in golden::all() {
        for source in [MacAddr::default(), MacAddr::BROADCAST] {
            frame[6..12].copy_from_slice(&source.0);
            assert_eq!(verdict(frame.clone()), flooded(), "{name}");
        }
    }
}

#[test]
fn other_protocols_go_to_the_group() {
    for ethertype in [[0x80, 0x35], [0x88, 0xcc], [0, 46], [0x08, 0x06]] {
        let frame = [&[0xff; 6][..], &ASKER.0, &ethertype, &[7; 46]].concat();
        assert_eq!(verdict(frame), flooded(), "{ethertype:x?}");
    }
}

#[test]
fn a_frame_cut_at_any_length_gets_no_proxy() {
    for (name, frame) in golden::all() {
        // An ARP packet ends before its frame's padding.
        let whole = if frame[12..14] == [0x08, 0x06] { 42 } else { frame.len() };
        for tags in [&[][..], &[0x81, 0, 0, 7]] {
            for len in 0..whole + tags.len() {
                let cut = tagged(frame.clone(), tags)[..len].to_vec();
                let expected = if len < 14 + tags.len() { Verdict::Absent } else { flooded() };
                assert_eq!(verdict(cut), expected, "{name} with {len} octets");
            }
        }
    }
}

#[test]
fn a_flipped_bit_under_a_checksum_never_gets_a_proxy() {
    for (name, frame) in golden::all().into_iter().filter(|(_, frame)| frame[12..14] != [0x08, 0x06]) {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            for verdict in verdicts(&flipped) {
                assert!(is_sound(&flipped, &verdict), "{name}: {verdict:?}");
                let treated = matches!(verdict, Verdict::Reply(_) | Verdict::Redirect(_));
                // In IPv6, class and flow label have none, nor the hop limit, which only neighbour discovery heeds.
                let unchecked = frame[12] == 0x86 && matches!(bit, 116..144);
                let hop_limit = frame[20] == 17 && frame[12] == 0x86 && matches!(bit, 168..176);
                assert!(!treated || bit < 14 * 8 || unchecked || hop_limit, "{name}: bit {bit}");
            }
        }
    }
}

#[test]
fn any_flipped_bit_leaves_a_sound_verdict() {
    for (name, frame) in golden::all() {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            for verdict in verdicts(&flipped) {
                assert!(is_sound(&flipped, &verdict), "{name}, bit {bit}: {verdict:?}");
            }
        }
    }
}

#[test]
fn an_announcement_is_legal_and_goes_to_the_group() {
    for ip in ["192.0.2.2", "2001:db8::2", "fe80::2", "::ffff:192.0.2.2"] {
        for vid in [None, VlanId::new(7).ok()] {
            let Octets(frame) = announcement(ip.parse().unwrap(), OWNER, vid);
            assert!(is_legal(&frame), "{ip}");
            assert_eq!(Ethernet::parse(&frame).unwrap().vid, vid);
            assert_eq!(verdict(frame), flooded(), "{ip}");
        }
    }
}

#[test]
fn a_mapped_address_is_announced_as_what_it_is() {
    let announced = |ip: &str| announcement(ip.parse().unwrap(), OWNER, None);
    assert_eq!(announced("::ffff:192.0.2.2"), announced("192.0.2.2"));
}

proptest! {
    #[test]
    fn any_octets_lead_to_a_sound_verdict(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        for verdict in verdicts(&frame) {
            prop_assert!(is_sound(&frame, &verdict), "{verdict:?}");
        }
    }

    /// Golden frames with a part overwritten and their checksums right again get past the first checks.
    #[test]
    fn any_part_overwritten_leads_to_a_sound_verdict(
        which in 0..golden::all().len(),
        at in 0usize..300,
        octets in prop::collection::vec(any::<u8>(), 1..40),
        tail in prop::collection::vec(any::<u8>(), 0..60),
        fix: bool,
    ) {
        let (_, mut frame) = golden::all().swap_remove(which);
        let place = frame.len().min(at);
        let end = frame.len().min(place + octets.len());
        frame[place..end].copy_from_slice(&octets[..end - place]);
        if frame[12..14] != [0x08, 0x06] && fix {
            frame = if tail.is_empty() { refreshed(frame) } else { golden::extended(frame, &tail) };
        }
        for verdict in verdicts(&frame) {
            prop_assert!(is_sound(&frame, &verdict), "{verdict:?}");
        }
    }

    #[test]
    fn any_options_are_walked_within_their_message(options in prop::collection::vec(0u8..4, 0..120)) {
        for frame in [golden::solicitation(), golden::detection(), golden::solicit(), golden::discover()] {
            let frame = golden::extended(frame, &options);
            for verdict in verdicts(&frame) {
                prop_assert!(is_sound(&frame, &verdict), "{verdict:?}");
            }
        }
    }

    /// A conversation asks at most two questions, whatever it is told.
    #[test]
    fn every_conversation_ends(which in 0..golden::all().len(), told in prop::collection::vec(0usize..7, 2)) {
        let (_, frame) = golden::all().swap_remove(which);
        let (mut conversation, mut step) = Conversation::begin(Octets(frame));
        for finding in told {
            if let Step::Ask(_) = step {
                step = conversation.next(findings()[finding].clone());
            }
        }
        prop_assert!(matches!(step, Step::Done(_)));
    }
}
