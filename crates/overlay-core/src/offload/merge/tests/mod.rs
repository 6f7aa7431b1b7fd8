//! The rules, each with a test; those of the kernel's own self-test are in `gro`.

mod gro;

use super::super::twin::{segments, super_frame};
use super::*;
use proptest::prelude::*;

fn ethernet(frame: &[u8]) -> Ethernet {
    Ethernet::parse(frame).unwrap()
}

fn member(frame: &[u8]) -> Option<Member> {
    Member::new(frame, &Ethernet::parse(frame)?).filter(|member| member.is_intact(frame))
}

/// Two neighbouring segments of one flow.
fn pair(gso: Gso, v6: bool) -> [Vec<u8>; 2] {
    let (frame, vnet) = super_frame(gso, v6, false, 3, 250, 100);
    let mut parts = segments(&frame, &vnet);
    parts.truncate(2);
    // The first segment of the maker's frame has CWR, which no member has.
    parts.iter_mut().for_each(|part| {
        change(part, |_, transport| {
            if gso != Gso::Udp {
                transport[13] = ACK;
            }
        });
    });
    parts.try_into().unwrap()
}

/// Changes headers and makes the checksums right again.
fn change(frame: &mut [u8], how: impl Fn(&mut [u8], &mut [u8])) {
    let packet_offset = Packet::parse(frame, &ethernet(frame)).unwrap().payload_offset;
    let (before, transport) = frame.split_at_mut(packet_offset);
    how(&mut before[14..], transport);
    let v6 = before[14] >> 4 == 6;
    let protocol = if before[14 + if v6 { 6 } else { 9 }] == 6 { Transport::Tcp } else { Transport::Udp };
    if !v6 {
        put(before, 24, 0);
        let checksum = Sum::default().plus(&before[14..]).checksum();
        put(before, 24, checksum);
    }
    put(transport, protocol.checksum_offset(), 0);
    let addresses = if v6 { &before[22..] } else { &before[26..34] };
    let sum = pseudo_sum(addresses, protocol, transport.len()).plus(transport);
    put(transport, protocol.checksum_offset(), protocol.checksum(sum));
}

fn joins(one: &[u8], other: &[u8]) -> bool {
    let (Some(first), Some(second)) = (member(one), member(other)) else { return false };
    Run::new(one, first).join(other, second)
}

proptest! {
    #[test]
    fn a_run_of_a_super_frames_segments_is_the_super_frame(
        kind in 0usize..4, tagged: bool, options in 0usize..11, len in 1usize..6000, size in 100usize..1500,
    ) {
        let (gso, v6) = [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false), (Gso::Udp, true)][kind];
        let (mut frame, vnet) = super_frame(gso, v6, tagged, options, len, size);
        let transport = Packet::parse(&frame, &ethernet(&frame)).unwrap().payload_offset;
        if gso != Gso::Udp { frame[transport + 13] = ACK | PSH; }
        let parts = segments(&frame, &vnet);
        let mut run = Run::new(&parts[0], member(&parts[0]).unwrap());
        for part in &parts[1..] {
            prop_assert!(run.join(part, member(part).unwrap()));
        }
        prop_assert_eq!(run.segments(), parts.len());
        let (merged_vnet, headers) = run.finish();
        let mut merged = headers.to_vec();
        parts.iter().for_each(|part| merged.extend(&part[member(part).unwrap().payload()]));
        if parts.len() > 1 {
            prop_assert_eq!(merged_vnet, vnet);
        }
        prop_assert_eq!(segments(&merged, &merged_vnet), parts);
    }

    #[test]
    fn any_frames_are_judged(one in prop::collection::vec(any::<u8>(), 14..120), other in prop::collection::vec(any::<u8>(), 14..120)) {
        joins(&one, &other);
    }
}

#[test]
fn neighbours_join() {
    for (gso, v6) in [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false), (Gso::Udp, true)] {
        let [one, other] = pair(gso, v6);
        assert!(joins(&one, &other), "{gso:?}");
    }
}

#[test]
fn what_a_super_frame_cannot_say_keeps_a_frame_alone() {
    type Change = fn(&mut [u8], &mut [u8]);
    let changes: [(&str, Change); 12] = [
        ("another port", |_, tcp| tcp[1] = 7),
        ("another sequence", |_, tcp| tcp[7] ^= 1),
        ("another acknowledgement", |_, tcp| tcp[11] ^= 1),
        ("another window", |_, tcp| tcp[15] ^= 1),
        ("FIN", |_, tcp| tcp[13] |= 1),
        ("SYN", |_, tcp| tcp[13] |= 2),
        ("ECN's echo", |_, tcp| tcp[13] |= 0x40),
        ("another option", |_, tcp| tcp[21] ^= 1),
        ("another TOS", |ip, _| ip[1] = 4),
        ("another TTL", |ip, _| ip[8] = 1),
        ("no DF", |ip, _| ip[6] = 0),
        ("another identification", |ip, _| ip[5] ^= 8),
    ];
    for (what, how) in changes {
        let [one, mut other] = pair(Gso::TcpV4, false);
        change(&mut other, how);
        assert!(!joins(&one, &other), "{what}");
    }
}

#[test]
fn a_wrong_checksum_keeps_a_frame_alone() {
    for (gso, v6) in [(Gso::TcpV4, false), (Gso::TcpV6, true), (Gso::Udp, false)] {
        let [_, mut other] = pair(gso, v6);
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(member(&other), None);
    }
}

#[test]
fn a_wrong_checksum_of_the_ip_header_keeps_a_frame_alone() {
    let [mut one, _] = pair(Gso::TcpV4, false);
    one[24] ^= 1;
    assert_eq!(member(&one), None);
}

#[test]
fn a_push_ends_a_run() {
    let [mut one, other] = pair(Gso::TcpV4, false);
    change(&mut one, |_, tcp| tcp[13] |= PSH);
    assert!(!joins(&one, &other));
}

#[test]
fn datagrams_without_a_checksum_stay_alone() {
    let [mut one, _] = pair(Gso::Udp, false);
    one[40..42].copy_from_slice(&[0, 0]);
    assert_eq!(member(&one), None);
}
