//! The receiver against hand-made DATA.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{DataOutcome, Rx};
use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};
use crate::time::Time;
use crate::wire::chunk::Data;
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

const READABLE: DataOutcome = DataOutcome::Accepted { readable: true };
const HELD: DataOutcome = DataOutcome::Accepted { readable: false };
const ROOM: usize = 1472;

/// A SACK as it went out: cumulative TSN, window, gap ack blocks, duplicates.
type Told = (u32, u32, Vec<(u16, u16)>, Vec<u32>);

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn rx(buffer: usize) -> Rx {
    let cfg = AssocConfig { recv_buffer: buffer, max_message: 100_000, partial_delivery: false, ..AssocConfig::rfc() };
    Rx::new(&cfg, Tsn(1), 4, false)
}

/// A whole ordered message on stream 0 whose number in the stream follows from the TSN.
fn whole(tsn: u32, payload: &[u8]) -> Data<'_> {
    let ssn = Ssn(u16::try_from(tsn.wrapping_sub(1) & 0xffff).unwrap());
    Data { immediate: false, unordered: false, begin: true, end: true, tsn: Tsn(tsn), sid: StreamId(0), ssn, ppid: Ppid(1), payload }
}

/// A fragment of message `ssn` on stream 0: B, M or E.
fn part(tsn: u32, ssn: u16, which: char, payload: &[u8]) -> Data<'_> {
    Data { begin: which == 'B', end: which == 'E', ssn: Ssn(ssn), ..whole(tsn, payload) }
}

fn give(rx: &mut Rx, data: &Data<'_>) -> DataOutcome {
    let packet = Bytes::copy_from_slice(data.payload);
    rx.on_data(&Data { payload: &packet, ..*data }, &packet)
}

/// A packet with one chunk.
fn packet(rx: &mut Rx, now: Time, data: &Data<'_>) -> DataOutcome {
    let outcome = give(rx, data);
    rx.on_packet_end(now);
    outcome
}

fn sack(rx: &mut Rx, max: usize) -> Told {
    let mut buf = Vec::new();
    let mut pkt = PacketWriter::new(&mut buf, CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) }, max);
    assert!(rx.push_sack(&mut pkt));
    pkt.finish();
    match Packet::parse(&buf).unwrap().chunks().next().unwrap().unwrap().decode().unwrap() {
        Chunk::Sack(s) => (s.cum_tsn.0, s.a_rwnd, s.gaps.iter().map(|g| (g.start, g.end)).collect(), s.dups.iter().map(|t| t.0).collect()),
        other => panic!("{other:?}"),
    }
}

fn told(rx: &mut Rx) -> Told {
    assert!(rx.sack_due());
    sack(rx, ROOM)
}

fn started(buffer: usize) -> Rx {
    let mut rx = rx(buffer);
    assert_eq!(packet(&mut rx, at(0), &whole(1, b"first")), READABLE);
    assert_eq!(told(&mut rx).0, 1, "the first DATA is acknowledged at once");
    rx.pop().unwrap();
    rx
}

/// RFC 9260 rows: 6.2-7, 6.2-8, 6.2-9. Pitfalls 37 and 38.
#[test]
fn every_second_packet_or_the_delay() {
    let mut rx = started(10_000);
    packet(&mut rx, at(10), &whole(2, b"x"));
    assert!(!rx.sack_due() && rx.sack_pending());
    assert_eq!(rx.sack_deadline(), Some(at(210)));
    packet(&mut rx, at(20), &whole(3, b"x"));
    assert_eq!(rx.sack_deadline(), None);
    assert_eq!(told(&mut rx).0, 3);
    assert!(!rx.sack_pending());
    // Two chunks in one packet are one packet.
    give(&mut rx, &whole(4, b"x"));
    give(&mut rx, &whole(5, b"x"));
    rx.on_packet_end(at(30));
    assert!(!rx.sack_due());
    rx.on_sack_timer(at(229));
    assert!(!rx.sack_due());
    rx.on_sack_timer(at(230));
    assert_eq!(told(&mut rx).0, 5);
    // Packets without DATA change nothing.
    rx.on_packet_end(at(240));
    assert!(!rx.sack_pending());
}

#[test]
fn riding_along_ends_the_delay() {
    let mut rx = started(10_000);
    packet(&mut rx, at(10), &whole(2, b"x"));
    assert_eq!(sack(&mut rx, ROOM).0, 2);
    assert_eq!((rx.sack_deadline(), rx.sack_pending()), (None, false));
}

/// RFC 9260 rows: 6.2-20, 6.2-21, 6.2-22, 6.2-23, 6.7-1. Pitfalls 39, 40, 41 and 46.
#[test]
fn gaps_duplicates_and_the_i_bit_are_answered_at_once() {
    let mut rx = started(10_000);
    packet(&mut rx, at(1), &Data { immediate: true, ..whole(2, b"x") });
    assert!(rx.sack_may_ride(), "with an answer that is made at once");
    assert_eq!(told(&mut rx).0, 2);
    assert_eq!(packet(&mut rx, at(2), &whole(4, b"x")), HELD);
    assert!(!rx.sack_may_ride(), "a gap");
    assert_eq!(told(&mut rx).2, [(2, 2)]);
    packet(&mut rx, at(3), &whole(6, b"x"));
    assert_eq!(told(&mut rx).2, [(2, 2), (4, 4)]);
    assert_eq!(packet(&mut rx, at(4), &whole(4, b"x")), DataOutcome::Duplicate);
    assert_eq!(told(&mut rx).3, [4]);
    assert!(rx.has_gaps());
    packet(&mut rx, at(5), &whole(5, b"x"));
    assert_eq!(told(&mut rx).2, [(2, 4)]);
    assert_eq!(packet(&mut rx, at(6), &whole(3, b"x")), READABLE);
    let (cum, _, gaps, dups) = told(&mut rx);
    assert_eq!((cum, gaps.len(), dups.len()), (6, 0, 0), "the gap just closed; duplicates are told once");
    assert_eq!(packet(&mut rx, at(6), &whole(3, b"x")), DataOutcome::Duplicate);
    assert!(!rx.sack_may_ride(), "a duplicate");
    assert_eq!(told(&mut rx).3, [3]);
    packet(&mut rx, at(7), &whole(7, b"x"));
    assert!(!rx.sack_due(), "back to normal");
}

/// RFC 9260 rows: 6.2-10, 6.2-11.
#[test]
fn a_batch_owes_one_sack_for_two_packets_each_with_the_state_of_its_moment() {
    let mut rx = started(100_000);
    for tsn in 2..=8 {
        packet(&mut rx, at(1), &whole(tsn, &[0; 1000]));
    }
    let cums: Vec<_> = core::iter::from_fn(|| rx.sack_due().then(|| sack(&mut rx, ROOM))).map(|s| (s.0, s.1)).collect();
    assert_eq!(cums, [(3, 98_000), (5, 96_000), (7, 93_000)], "the last one with the present window");
    assert!(rx.sack_pending());
    assert_eq!(rx.sack_deadline(), Some(at(201)));
    // Behind a gap every packet is answered, with the blocks of its moment.
    for tsn in [10, 11, 9] {
        packet(&mut rx, at(2), &whole(tsn, b"x"));
    }
    let all: Vec<_> = core::iter::from_fn(|| rx.sack_due().then(|| sack(&mut rx, ROOM))).map(|s| (s.0, s.2)).collect();
    assert_eq!(all, [(8, vec![(2, 2)]), (8, vec![(2, 3)]), (11, vec![])]);
}

/// RFC 9260 rows: 6.2-18, 6.7-6, 6.7-7.
#[test]
fn blocks_that_do_not_fit_are_left_out() {
    let mut rx = started(10_000_000);
    for n in 0..500 {
        packet(&mut rx, at(1), &whole(3 + 2 * n, b"x"));
        if n < 499 {
            sack(&mut rx, ROOM);
        }
    }
    packet(&mut rx, at(1), &whole(3, b"x"));
    sack(&mut rx, ROOM);
    let (_, _, gaps, dups) = sack(&mut rx, 12 + 16 + 4 * 7);
    assert_eq!((gaps.len(), dups.len()), (7, 0));
    let mut buf = Vec::new();
    let mut pkt = PacketWriter::new(&mut buf, CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) }, 20);
    assert!(!rx.push_sack(&mut pkt));
}

/// Attack class 10.
#[test]
fn owed_sacks_are_bounded() {
    let mut rx = started(100_000);
    for _ in 0..100_000 {
        packet(&mut rx, at(1), &whole(1, b"first"));
    }
    let mut n = 0;
    while rx.sack_due() {
        assert!(sack(&mut rx, ROOM).3.len() <= 365);
        n += 1;
    }
    assert_eq!(n, 1024);
}

/// RFC 9260 rows: 6.2-2, 6.2-4, 6.2-5, 6.2-29, 6.2-30.
#[test]
fn a_closed_window_drops_new_data_and_says_so() {
    let mut rx = started(4000);
    for tsn in 2..=5 {
        assert_eq!(packet(&mut rx, at(1), &whole(tsn, &[0; 1000])), READABLE);
    }
    while rx.sack_due() {
        sack(&mut rx, ROOM);
    }
    assert_eq!(packet(&mut rx, at(2), &whole(6, &[0; 1000])), DataOutcome::NoRoom);
    let (cum, window, gaps, _) = told(&mut rx);
    assert_eq!((cum, window, gaps.len()), (5, 0, 0));
    rx.pop().unwrap();
    assert!(!rx.sack_due(), "a quarter of the buffer, but less than a packet");
    assert_eq!(packet(&mut rx, at(3), &whole(6, &[0; 1000])), DataOutcome::NoRoom, "the window was not reopened");
    sack(&mut rx, ROOM);
    rx.pop().unwrap();
    assert_eq!(told(&mut rx).1, 2000, "window update");
    assert_eq!(packet(&mut rx, at(4), &whole(6, &[0; 1000])), READABLE);
}

/// Nothing that was acknowledged has to go for it: there is a reserve.
///
/// RFC 9260 rows: 6.2-3, 6.2-31, 6.2-32.
#[test]
fn chunks_below_the_highest_are_taken_in_over_a_closed_window() {
    let mut rx = started(4000);
    for tsn in 3..=6 {
        assert_eq!(packet(&mut rx, at(1), &whole(tsn, &[0; 1000])), HELD);
    }
    assert_eq!(rx.a_rwnd(), 0);
    assert_eq!(packet(&mut rx, at(1), &whole(7, b"x")), DataOutcome::NoRoom);
    assert_eq!(packet(&mut rx, at(1), &whole(2, &[0; 1000])), READABLE);
    assert_eq!(core::iter::from_fn(|| rx.pop()).count(), 5);
}

#[test]
fn unknown_streams_are_acknowledged_and_not_delivered() {
    let mut rx = started(4000);
    assert_eq!(packet(&mut rx, at(1), &Data { sid: StreamId(4), ..whole(2, b"x") }), DataOutcome::InvalidStream(StreamId(4)));
    assert_eq!((rx.cum_tsn(), rx.has_message()), (Tsn(2), false));
}

/// Attack class 9.
#[test]
fn far_tsns_are_dropped() {
    let mut rx = started(4000);
    assert_eq!(packet(&mut rx, at(1), &whole(1 + 65_536, b"x")), DataOutcome::NoRoom);
    assert_eq!(packet(&mut rx, at(1), &whole(0x8000_0001, b"x")), DataOutcome::Duplicate, "2^31 away counts as old");
    assert_eq!(rx.cum_tsn(), Tsn(1));
}

/// Pitfall 44.
#[test]
fn fragment_rules() {
    // What arrives after a complete message with TSN 1, and what the last chunk is.
    type Chunks = &'static [(u32, u16, char)];
    let cases: [(Chunks, bool); 12] = [
        (&[(2, 1, 'B'), (3, 1, 'B')], true),
        (&[(2, 1, 'M')], true),
        (&[(2, 1, 'E')], true),
        (&[(2, 1, 'B'), (3, 1, 'E'), (4, 1, 'M')], true),
        (&[(2, 1, 'B'), (3, 2, 'E')], true),
        (&[(3, 1, 'M'), (2, 1, 'M')], true),
        (&[(4, 1, 'E'), (3, 1, 'E')], true),
        (&[(4, 1, 'B'), (3, 1, 'M')], true),
        (&[(3, 1, 'B'), (4, 1, 'M'), (2, 1, 'B')], true),
        (&[(3, 1, 'E'), (2, 1, 'B')], false),
        (&[(4, 1, 'E'), (3, 1, 'M'), (2, 1, 'B')], false),
        (&[(5, 2, 'E'), (3, 1, 'E'), (4, 2, 'B'), (2, 1, 'B')], false),
    ];
    for (chunks, bad) in cases {
        let mut rx = started(4000);
        let outcomes: Vec<_> = chunks.iter().map(|&(tsn, ssn, which)| packet(&mut rx, at(1), &part(tsn, ssn, which, b"x"))).collect();
        let (last, others) = outcomes.split_last().unwrap();
        assert!(others.iter().all(|o| matches!(o, DataOutcome::Accepted { .. })), "{chunks:?}: {outcomes:?}");
        assert_eq!(matches!(last, DataOutcome::Violation(_)), bad, "{chunks:?}: {outcomes:?}");
        assert!(bad || *last == READABLE);
    }
    // A whole message inside an unfinished one.
    let mut rx = started(4000);
    packet(&mut rx, at(1), &part(2, 1, 'B', b"x"));
    assert!(matches!(packet(&mut rx, at(1), &whole(3, b"x")), DataOutcome::Violation(_)));
    // Fragments that differ in the U bit.
    let mut rx = started(4000);
    packet(&mut rx, at(1), &part(2, 1, 'B', b"x"));
    assert!(matches!(packet(&mut rx, at(1), &Data { unordered: true, ..part(3, 1, 'E', b"x") }), DataOutcome::Violation(_)));
    // A stream sequence number that waits already.
    let mut rx = started(4000);
    packet(&mut rx, at(1), &Data { ssn: Ssn(9), ..whole(2, b"x") });
    assert!(matches!(packet(&mut rx, at(1), &Data { ssn: Ssn(9), ..whole(3, b"x") }), DataOutcome::Violation(_)));
}

#[test]
fn too_long_messages_are_refused() {
    let mut rx = started(1 << 20);
    let payload = [0; 30_000];
    packet(&mut rx, at(1), &part(2, 1, 'B', &payload));
    packet(&mut rx, at(1), &part(3, 1, 'M', &payload));
    packet(&mut rx, at(1), &part(4, 1, 'M', &payload));
    assert_eq!(packet(&mut rx, at(1), &part(5, 1, 'E', &payload)), DataOutcome::Violation("message too long"));
}

#[test]
fn messages_survive_a_restart() {
    let mut old = started(4000);
    packet(&mut old, at(1), &whole(2, b"old"));
    let mut new = rx(4000);
    packet(&mut new, at(2), &whole(1, b"new"));
    let messages = old.take_messages();
    assert_eq!(old.a_rwnd(), 4000);
    new.give_messages(messages);
    assert_eq!(new.a_rwnd(), 4000 - 6);
    let read: Vec<_> = core::iter::from_fn(|| new.pop()).map(|m| m.payload).collect();
    assert_eq!(read, [&b"old"[..], b"new"]);
}

#[test]
fn payloads_that_are_most_of_their_packet_share_it_and_others_do_not() {
    let mut rx = rx(4000);
    let packet = Bytes::from(vec![5; 1200]);
    rx.on_data(&whole(1, &packet[100..700]), &packet);
    rx.on_data(&whole(2, &packet[700..800]), &packet);
    rx.on_data(&whole(3, &packet[800..1100]), &packet);
    rx.on_data(&whole(4, &[5; 700]), &packet);
    let payloads: Vec<_> = core::iter::from_fn(|| rx.pop()).map(|m| m.payload).collect();
    let inside = |b: &Bytes| packet.as_ptr_range().contains(&b.as_ptr());
    assert_eq!(payloads.iter().map(|p| (p.len(), inside(p))).collect::<Vec<_>>(), [(600, true), (100, false), (300, false), (700, false)]);
}

/// RFC 9260 rows: 6.2-25, 6.2-26, 6.2-27, 6.2-28.
#[test]
fn the_window_grows_only_with_what_the_user_has_read() {
    let mut rx = started(10_000);
    packet(&mut rx, at(1), &part(3, 1, 'E', &[0; 1000]));
    assert_eq!(told(&mut rx).1, 9000, "held out of order");
    packet(&mut rx, at(2), &part(2, 1, 'B', &[0; 1000]));
    assert_eq!(told(&mut rx).1, 8000, "acknowledged, put together, not read");
    packet(&mut rx, at(3), &part(4, 2, 'B', &[0; 1000]));
    packet(&mut rx, at(3), &part(5, 2, 'M', &[0; 1000]));
    assert_eq!(told(&mut rx).1, 6000, "fragments of a message that is not complete");
    assert_eq!(rx.pop().unwrap().payload.len(), 2000);
    packet(&mut rx, at(4), &part(6, 2, 'M', &[0; 500]));
    packet(&mut rx, at(4), &part(7, 2, 'M', &[0; 500]));
    assert_eq!(told(&mut rx).1, 7000, "current when it is sent");
}

/// RFC 9260 rows: 7.2.4-1.
#[test]
fn while_there_is_a_hole_each_packet_is_answered() {
    let mut rx = started(10_000);
    for tsn in [3, 4, 5, 6] {
        packet(&mut rx, at(1), &whole(tsn, b"x"));
        assert_eq!(told(&mut rx).2, [(2, u16::try_from(tsn - 1).unwrap())]);
    }
    packet(&mut rx, at(2), &whole(2, b"x"));
    assert_eq!(told(&mut rx).0, 6);
}

#[test]
fn delay_is_configurable() {
    let cfg = AssocConfig { sack_delay: Duration::from_millis(50), ..AssocConfig::rfc() };
    let mut rx = Rx::new(&cfg, Tsn(1), 1, false);
    packet(&mut rx, at(0), &whole(1, b"x"));
    told(&mut rx);
    packet(&mut rx, at(5), &whole(2, b"x"));
    assert_eq!(rx.sack_deadline(), Some(at(55)));
}

#[test]
fn frequency_is_configurable_and_the_delay_counts_from_the_first_packet() {
    for (sack_frequency, expected) in [(1, vec![2, 3, 4, 5, 6, 7]), (4, vec![5])] {
        let cfg = AssocConfig { sack_frequency, ..AssocConfig::rfc() };
        let mut rx = Rx::new(&cfg, Tsn(1), 1, false);
        packet(&mut rx, at(0), &whole(1, b"x"));
        told(&mut rx);
        let mut cums = Vec::new();
        for tsn in 2..=7 {
            packet(&mut rx, at(10 * u64::from(tsn)), &whole(tsn, b"x"));
            cums.extend(rx.sack_due().then(|| told(&mut rx).0));
        }
        assert_eq!(cums, expected);
        assert_eq!(rx.sack_deadline(), (sack_frequency == 4).then(|| at(60 + 200)), "TSN 6 waits since 60 ms");
    }
}

#[test]
fn one_sack_for_a_batch_by_option() {
    let cfg = AssocConfig { ack_per_batch: true, ..AssocConfig::rfc() };
    let mut rx = Rx::new(&cfg, Tsn(1), 1, false);
    for tsn in [1, 2, 3, 3, 4, 5, 7, 8] {
        packet(&mut rx, at(1), &whole(tsn, b"x"));
    }
    let (cum, _, gaps, dups) = told(&mut rx);
    assert_eq!((cum, gaps, dups), (5, vec![(2, 3)], vec![3]));
    assert!(!rx.sack_due());
}

proptest! {
    /// Messages cut into chunks arrive in any order, some twice: each is delivered once, ordered ones in order.
    #[test]
    fn any_order_of_arrival(
        first: u32,
        messages in prop::collection::vec((0_u16..4, prop::bool::weighted(0.3), 1_usize..6), 1..20),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
    ) {
        let mut rx = Rx::new(&AssocConfig::rfc(), Tsn(first), 4, false);
        let mut chunks: Vec<(Data<'_>, Vec<u8>)> = Vec::new();
        let mut next_ssn = [u16::MAX; 4];
        let mut ssn_of = [0_u16; 4];
        for (n, &(sid, unordered, parts)) in messages.iter().enumerate() {
            let s = usize::from(sid);
            if !unordered {
                next_ssn[s] = next_ssn[s].wrapping_add(1);
                ssn_of[s] = next_ssn[s];
            }
            for p in 0..parts {
                let tsn = Tsn(first).plus(u32::try_from(chunks.len()).unwrap());
                let data = Data {
                    immediate: false, unordered, begin: p == 0, end: p + 1 == parts, tsn,
                    sid: StreamId(sid), ssn: Ssn(ssn_of[s]), ppid: Ppid(u32::try_from(n).unwrap()), payload: &[],
                };
                chunks.push((data, vec![u8::try_from(n).unwrap(), u8::try_from(p).unwrap()]));
            }
        }
        let all = chunks.len();
        let mut arrivals: Vec<usize> = order.iter().map(|i| i.index(all)).collect();
        arrivals.extend((0..all).rev());
        let mut got: Vec<Message> = Vec::new();
        for i in arrivals {
            let (data, payload) = &chunks[i];
            let outcome = packet(&mut rx, at(1), &Data { payload, ..*data });
            prop_assert!(matches!(outcome, DataOutcome::Accepted { .. } | DataOutcome::Duplicate), "{:?}", outcome);
            let before = got.len();
            got.extend(core::iter::from_fn(|| rx.pop()));
            prop_assert_eq!(outcome == READABLE, got.len() > before);
        }
        prop_assert_eq!(rx.cum_tsn(), Tsn(first).plus(u32::try_from(all).unwrap()).prev());
        prop_assert_eq!(rx.a_rwnd(), 1 << 20, "everything was given back");
        for sid in 0..4 {
            let want = messages.iter().enumerate().filter(|(_, m)| m.0 == sid && !m.1).map(|(n, _)| n);
            let have = got.iter().filter(|m| m.sid.0 == sid && !m.unordered).map(|m| usize::try_from(m.ppid.0).unwrap());
            prop_assert!(want.eq(have), "stream {}", sid);
        }
        prop_assert_eq!(got.len(), messages.len());
        for m in got {
            let (n, parts) = (m.ppid.0, messages[usize::try_from(m.ppid.0).unwrap()].2);
            let want: Vec<u8> = (0..parts).flat_map(|p| [u8::try_from(n).unwrap(), u8::try_from(p).unwrap()]).collect();
            prop_assert_eq!(&m.payload[..], &want[..]);
        }
    }
}
