//! The cases of the kernel's own test of its receive offload (tools/testing/selftests/net/lib/gro.c), by its names, over
//! both families. Where we are stricter, because a cut gives each segment the next identification, the name says so.

use super::*;

const LEN: usize = 100;

/// A segment of a stream whose payload is `len` octets behind `place`, the number `number` of its sender's packets.
fn tcp(v6: bool, number: usize, place: usize, len: usize) -> Vec<u8> {
    let gso = if v6 { Gso::TcpV6 } else { Gso::TcpV4 };
    let (whole, vnet) = super_frame(gso, v6, false, 3, len.max(1), 60_000);
    let mut frame = segments(&whole, &vnet).remove(0);
    if len == 0 {
        shorten(&mut frame, v6);
    }
    change(&mut frame, |ip, tcp| {
        if !v6 {
            ip[4..6].copy_from_slice(&(number as u16).to_be_bytes());
        }
        tcp[4..8].copy_from_slice(&(place as u32).to_be_bytes());
        tcp[13] = ACK;
    });
    frame
}

/// Takes the only octet of payload away.
fn shorten(frame: &mut Vec<u8>, v6: bool) {
    frame.pop();
    let at = if v6 { 18 } else { 16 };
    let len = u16::from_be_bytes([frame[at], frame[at + 1]]) - 1;
    frame[at..at + 2].copy_from_slice(&len.to_be_bytes());
}

/// Segments of these lengths, one behind the other.
fn stream(v6: bool, lens: &[usize]) -> Vec<Vec<u8>> {
    let place = |number: usize| lens[..number].iter().sum();
    lens.iter().enumerate().map(|(number, len)| tcp(v6, number, place(number), *len)).collect()
}

/// Octets of payload in each frame that comes of some; of those that no run takes, the frame's.
fn coalesced(frames: &[Vec<u8>]) -> Vec<usize> {
    let (mut out, mut open): (Vec<usize>, Option<Run>) = (Vec::new(), None);
    for frame in frames {
        let found = member(frame);
        if let (Some(run), Some(member)) = (&mut open, found)
            && run.join(frame, member)
        {
            continue;
        }
        out.extend(open.take().map(|run| run.payload_len));
        match found {
            Some(member) => open = Some(Run::new(frame, member)),
            None => out.push(frame.len()),
        }
    }
    out.extend(open.map(|run| run.payload_len));
    out
}

/// What comes of three segments of which the second was changed.
fn second(v6: bool, how: impl Fn(&mut [u8], &mut [u8])) -> Vec<usize> {
    let mut frames = stream(v6, &[LEN; 3]);
    change(&mut frames[1], how);
    coalesced(&frames)
}

#[test]
fn data_same() {
    for v6 in [false, true] {
        assert_eq!(coalesced(&stream(v6, &[LEN; 2])), [2 * LEN]);
    }
}

#[test]
fn data_lrg_sml() {
    for v6 in [false, true] {
        assert_eq!(coalesced(&stream(v6, &[LEN, LEN / 2])), [LEN + LEN / 2]);
        assert_eq!(
            coalesced(&stream(v6, &[LEN, LEN / 2, LEN / 2])),
            [LEN + LEN / 2, LEN / 2],
            "nothing follows"
        );
    }
}

#[test]
fn data_lrg_1byte() {
    for v6 in [false, true] {
        assert_eq!(coalesced(&stream(v6, &[LEN, 1])), [LEN + 1]);
    }
}

#[test]
fn data_sml_lrg() {
    for v6 in [false, true] {
        assert_eq!(coalesced(&stream(v6, &[LEN / 2, LEN])), [LEN / 2, LEN]);
    }
}

#[test]
fn ack() {
    for v6 in [false, true] {
        let pure = [tcp(v6, 0, 0, 0), tcp(v6, 1, 0, 0)];
        assert_eq!(coalesced(&pure), [pure[0].len(), pure[1].len()], "pure acknowledgements stay alone");
        assert_eq!(second(v6, |_, tcp| tcp[11] ^= 1), [LEN; 3], "another acknowledgement is another run");
    }
}

#[test]
fn flags_psh() {
    for v6 in [false, true] {
        assert_eq!(second(v6, |_, tcp| tcp[13] |= PSH), [2 * LEN, LEN], "it ends the run that it is in");
    }
}

/// A flag that says something of one segment keeps it, and its neighbours, out of any run.
fn stays_alone(flag: u8) {
    for v6 in [false, true] {
        let whole = stream(v6, &[LEN])[0].len();
        assert_eq!(second(v6, |_, tcp| tcp[13] |= flag), [LEN, whole, LEN], "{flag:x}");
    }
}

#[test]
fn flags_syn() {
    stays_alone(0x02);
}

#[test]
fn flags_rst() {
    stays_alone(0x04);
}

#[test]
fn flags_urg() {
    stays_alone(0x20);
}

#[test]
fn flags_cwr() {
    stays_alone(0x80);
}

#[test]
fn flags_fin_and_ece_and_none_at_all() {
    stays_alone(0x01);
    stays_alone(0x40);
    for v6 in [false, true] {
        let whole = stream(v6, &[LEN])[0].len();
        assert_eq!(second(v6, |_, tcp| tcp[13] = 0), [LEN, whole, LEN]);
        assert_eq!(second(v6, |_, tcp| tcp[12] |= 1), [LEN; 3], "the flag beside the header's length");
    }
}

#[test]
fn tcp_csum() {
    for v6 in [false, true] {
        let mut frames = stream(v6, &[LEN; 3]);
        let whole = frames[1].len();
        frames[1].last_mut().into_iter().for_each(|octet| *octet ^= 1);
        assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
    }
}

#[test]
fn tcp_seq() {
    for v6 in [false, true] {
        assert_eq!(second(v6, |_, tcp| tcp[7] ^= 1), [LEN; 3]);
        let twice = [stream(v6, &[LEN; 2]), stream(v6, &[LEN; 2])].concat();
        assert_eq!(coalesced(&twice), [2 * LEN; 2], "a stream sent again");
    }
}

/// Options `order` of {timestamp, no-operation, no-operation}, as the kernel's test permutes them.
fn timestamped(tcp: &mut [u8], order: usize, time: u8) {
    let stamp = [8, 10, 0, 0, 0, time, 0, 0, 0, 0];
    let options = match order {
        0 => [&[1, 1][..], &stamp].concat(),
        1 => [&[1][..], &stamp, &[1]].concat(),
        _ => [&stamp[..], &[1, 1]].concat(),
    };
    tcp[20..32].copy_from_slice(&options);
}

#[test]
fn tcp_ts() {
    for v6 in [false, true] {
        let mut frames = stream(v6, &[LEN; 5]);
        for (frame, (order, time)) in frames.iter_mut().zip([(0, 0), (0, 0), (0, 100), (1, 100), (2, 100)]) {
            change(frame, |_, tcp| timestamped(tcp, order, time));
        }
        assert_eq!(coalesced(&frames), [2 * LEN, LEN, LEN, LEN]);
    }
}

#[test]
fn tcp_opt() {
    for v6 in [false, true] {
        assert_eq!(second(v6, |_, tcp| tcp[21] = 0), [LEN; 3]);
        let (whole, vnet) = super_frame(if v6 { Gso::TcpV6 } else { Gso::TcpV4 }, v6, false, 1, LEN, 60_000);
        let mut short = segments(&whole, &vnet).remove(0);
        change(&mut short, |ip, tcp| {
            if !v6 {
                ip[4..6].copy_from_slice(&[0, 1]);
            }
            tcp[4..8].copy_from_slice(&(LEN as u32).to_be_bytes());
            tcp[13] = ACK;
        });
        let frames = [tcp(v6, 0, 0, LEN), short];
        assert_eq!(coalesced(&frames), [LEN, LEN], "fewer options");
    }
}

#[test]
fn ip_csum() {
    let mut frames = stream(false, &[LEN; 3]);
    let whole = frames[1].len();
    frames[1][25] ^= 1;
    assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
}

/// Changes the class of the second packet.
fn class(v6: bool, bits: u8) -> Vec<usize> {
    second(v6, |ip, _| if v6 { ip[1] |= bits << 4 } else { ip[1] |= bits })
}

#[test]
fn ip_ecn() {
    assert_eq!((class(false, 3), class(true, 3)), (vec![LEN; 3], vec![LEN; 3]));
}

#[test]
fn ip_tos() {
    assert_eq!((class(false, 8), class(true, 8)), (vec![LEN; 3], vec![LEN; 3]));
}

#[test]
fn ip_flow_label() {
    assert_eq!(second(true, |ip, _| ip[3] ^= 1), [LEN; 3]);
}

#[test]
fn ip_ttl() {
    assert_eq!(second(false, |ip, _| ip[8] -= 1), [LEN; 3]);
    assert_eq!(second(true, |ip, _| ip[7] -= 1), [LEN; 3]);
}

#[test]
fn ip_opt() {
    let mut frames = stream(false, &[LEN; 3]);
    // Four no-operations (RFC 791 section 3.1).
    frames[1].splice(34..34, [1; 4]);
    frames[1][14] = 0x46;
    let len = u16::from_be_bytes([frames[1][16], frames[1][17]]) + 4;
    frames[1][16..18].copy_from_slice(&len.to_be_bytes());
    change(&mut frames[1], |_, _| ());
    let whole = frames[1].len();
    assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
}

#[test]
fn ip_frag4() {
    for (flags, offset) in [(0x20, 0), (0x20, 1), (0, 1)] {
        let mut frames = stream(false, &[LEN; 3]);
        let whole = frames[1].len();
        change(&mut frames[1], |ip, _| ip[6..8].copy_from_slice(&[flags, offset]));
        assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
    }
}

/// An extension header of 8 octets: destination options, or a fragment's.
fn extended(frame: &mut Vec<u8>, kind: u8, octet: u8) {
    frame.splice(54..54, [6, 0, 1, 4, 0, 0, 0, octet]);
    frame[20] = kind;
    frame[19] += 8;
}

#[test]
fn ip_frag6() {
    let mut frames = stream(true, &[LEN; 3]);
    extended(&mut frames[1], 44, 1);
    let whole = frames[1].len();
    assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
}

#[test]
fn ip_v6ext_diff_and_same_stay_alone() {
    for octets in [[1, 2], [1, 1]] {
        let mut frames = stream(true, &[LEN; 2]);
        frames.iter_mut().zip(octets).for_each(|(frame, octet)| extended(frame, 60, octet));
        assert_eq!(coalesced(&frames), [frames[0].len(); 2]);
    }
}

/// What comes of packets with these identifications.
fn identified(undivided: bool, numbers: &[usize]) -> Vec<usize> {
    let frame = |(place, number): (usize, &usize)| {
        let mut frame = tcp(false, *number, place * LEN, LEN);
        change(&mut frame, |ip, _| ip[6] = if undivided { 0x40 } else { 0 });
        frame
    };
    coalesced(&numbers.iter().enumerate().map(frame).collect::<Vec<_>>())
}

#[test]
fn ip_id_df1_inc() {
    assert_eq!(identified(true, &[8, 9]), [2 * LEN]);
    assert_eq!(identified(true, &[0xffff, 0]), [2 * LEN], "it begins again after the last");
}

#[test]
fn ip_id_df0_inc() {
    assert_eq!(identified(false, &[8, 9]), [2 * LEN]);
}

#[test]
fn ip_id_df1_fixed_and_df0_fixed_stay_alone() {
    assert_eq!(identified(true, &[8, 8]), [LEN; 2]);
    assert_eq!(identified(false, &[8, 8]), [LEN; 2]);
}

#[test]
fn ip_id_df1_inc_fixed() {
    assert_eq!(identified(true, &[8, 9, 9]), [2 * LEN, LEN]);
}

#[test]
fn ip_id_df1_fixed_inc_joins_the_last_two() {
    assert_eq!(identified(true, &[8, 8, 9]), [LEN, 2 * LEN]);
}

/// So many segments, of the largest that 1500 octets hold, fill a packet.
fn large(v6: bool) -> (usize, usize, usize) {
    let size = if v6 { 1500 - 72 } else { 1500 - 52 };
    let room = PACKET_MAX - if v6 { 72 } else { 52 };
    (size, room / size, room % size)
}

#[test]
fn large_max() {
    for v6 in [false, true] {
        let (size, count, rest) = large(v6);
        let lens = [vec![size; count], vec![rest]].concat();
        assert_eq!(coalesced(&stream(v6, &lens)), [count * size + rest], "up to the last octet");
    }
}

#[test]
fn large_rem() {
    for v6 in [false, true] {
        let (size, count, rest) = large(v6);
        let lens = [vec![size; count], vec![rest + 1]].concat();
        assert_eq!(coalesced(&stream(v6, &lens)), [count * size, rest + 1], "and not one more");
    }
}

#[test]
fn a_run_has_at_most_as_many_segments_as_one_write_takes() {
    assert_eq!(coalesced(&stream(false, &[LEN; RUN_SEGMENTS + 1])), [RUN_SEGMENTS * LEN, LEN]);
}

/// Datagrams of these lengths.
fn datagrams(v6: bool, lens: &[usize]) -> Vec<Vec<u8>> {
    let frame = |(number, len): (usize, &usize)| {
        let (whole, vnet) = super_frame(Gso::Udp, v6, false, 0, *len, 60_000);
        let mut frame = segments(&whole, &vnet).remove(0);
        change(&mut frame, |ip, _| {
            if !v6 {
                ip[4..6].copy_from_slice(&(number as u16).to_be_bytes());
            }
        });
        frame
    };
    lens.iter().enumerate().map(frame).collect()
}

#[test]
fn udp_same_length_and_a_shorter_last() {
    for v6 in [false, true] {
        assert_eq!(coalesced(&datagrams(v6, &[LEN, LEN, LEN / 2])), [2 * LEN + LEN / 2]);
        assert_eq!(coalesced(&datagrams(v6, &[LEN / 2, LEN])), [LEN / 2, LEN]);
    }
}

#[test]
fn udp_csum() {
    for v6 in [false, true] {
        let mut frames = datagrams(v6, &[LEN; 3]);
        let whole = frames[1].len();
        frames[1].last_mut().into_iter().for_each(|octet| *octet ^= 1);
        assert_eq!(coalesced(&frames), [LEN, whole, LEN]);
    }
}

#[test]
fn udp_len_that_is_not_the_packets() {
    let mut frames = datagrams(false, &[LEN; 2]);
    let whole = frames[1].len();
    change(&mut frames[1], |_, udp| udp[5] -= 1);
    assert_eq!(coalesced(&frames), [LEN, whole]);
}

/// A datagram that may not be fragmented has an identification that means nothing (RFC 6864 section 4.1).
#[test]
fn udp_fixed_id_coalesces_where_it_means_nothing() {
    for (undivided, expected) in [(0x40, vec![2 * LEN]), (0, vec![LEN; 2])] {
        let mut frames = datagrams(false, &[LEN; 2]);
        frames.iter_mut().for_each(|frame| {
            change(frame, |ip, _| {
                ip[4..6].copy_from_slice(&[0, 0]);
                ip[6] = undivided;
            });
        });
        assert_eq!(coalesced(&frames), expected);
    }
}

/// A checksum of 0 may be written as all ones; a cut would write 0.
#[test]
fn a_checksum_written_as_all_ones_keeps_a_segment_alone() {
    let mut frames = stream(false, &[LEN; 2]);
    // The window makes the sum whole: the checksum is 0 then.
    let at = 34 + 16;
    let checksum = u16::from_be_bytes([frames[1][at], frames[1][at + 1]]);
    let window = u16::from_be_bytes([frames[1][48], frames[1][49]]);
    let whole = Sum::default().plus_word(checksum).plus_word(window).folded();
    for frame in &mut frames {
        change(frame, |_, tcp| tcp[14..16].copy_from_slice(&whole.to_be_bytes()));
    }
    assert_eq!(frames[1][at..at + 2], [0, 0]);
    assert_eq!(coalesced(&frames), [2 * LEN]);
    frames[1][at..at + 2].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(coalesced(&frames), [LEN, frames[1].len()]);
}
