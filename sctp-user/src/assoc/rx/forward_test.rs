//! FORWARD TSN at the receiver (RFC 3758 section 3.6).

use bytes::Bytes;

use super::{DataOutcome, Rx};
use crate::config::AssocConfig;
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};
use crate::time::Time;
use crate::wire::chunk::{Data, Entries, ForwardTsn, Sack, SkippedSsn};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

const STREAMS: u16 = 4;

/// A receiver that expects TSN 101 next.
fn rx() -> Rx {
    rx_with(|_| {})
}

fn rx_with(change: impl FnOnce(&mut AssocConfig)) -> Rx {
    let mut cfg = AssocConfig { recv_buffer: 10_000, ..AssocConfig::rfc() };
    change(&mut cfg);
    let mut rx = Rx::new(&cfg, Tsn(100), STREAMS, false);
    // The first DATA is acknowledged at once.
    assert!(accepted(give(&mut rx, 100, 3, Some(0), 'W', b"first")));
    assert_eq!(sack(&mut rx), (100, vec![]));
    rx.pop().unwrap();
    rx
}

/// A fragment of the ordered message `ssn`, or of an unordered one: B, M or E, or W for a whole message.
fn give(rx: &mut Rx, tsn: u32, sid: u16, ssn: Option<u16>, which: char, payload: &[u8]) -> DataOutcome {
    let packet = Bytes::copy_from_slice(payload);
    let (begin, end) = (matches!(which, 'B' | 'W'), matches!(which, 'E' | 'W'));
    let (ssn, unordered) = (Ssn(ssn.unwrap_or(0)), ssn.is_none());
    let data = Data { immediate: false, unordered, begin, end, tsn: Tsn(tsn), sid: StreamId(sid), ssn, ppid: Ppid(9), payload: &packet };
    let outcome = rx.on_data(&data, &packet);
    rx.on_packet_end(Time::ZERO);
    outcome
}

fn accepted(outcome: DataOutcome) -> bool {
    matches!(outcome, DataOutcome::Accepted { .. })
}

/// A FORWARD TSN in a packet of its own.
fn forward(rx: &mut Rx, tsn: u32, streams: &[(u16, u16)]) -> Option<(u16, u16, bool)> {
    let list: Vec<_> = streams.iter().map(|&(sid, ssn)| SkippedSsn { sid: StreamId(sid), ssn: Ssn(ssn) }).collect();
    let begun = rx.on_forward_tsn(&ForwardTsn { cum_tsn: Tsn(tsn), skipped: Entries::List(&list) }).unwrap();
    assert!(rx.is_to_acknowledge());
    rx.on_packet_end(Time::ZERO);
    assert!(begun.len() <= 1);
    begun.first().map(|(sid, ssn, unordered)| (sid.0, ssn.0, *unordered))
}

fn read(rx: &mut Rx) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| rx.pop()).map(|m| m.payload.to_vec()).collect()
}

/// The next SACK: its cumulative TSN and gap ack blocks.
fn sack(rx: &mut Rx) -> (u32, Vec<(u16, u16)>) {
    let mut buf = Vec::new();
    let mut pkt = PacketWriter::new(&mut buf, CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) }, 1400);
    assert!(rx.push_sack(&mut pkt));
    pkt.finish();
    let packet = Packet::parse(&buf).unwrap();
    match packet.chunks().next().unwrap().unwrap().decode().unwrap() {
        Chunk::Sack(Sack { cum_tsn, gaps, .. }) => (cum_tsn.0, gaps.iter().map(|g| (g.start, g.end)).collect()),
        other => panic!("{other:?}"),
    }
}

fn drained(rx: &mut Rx) {
    assert!(read(rx).is_empty());
    assert_eq!(rx.window.books().0, 0, "nothing is held");
    assert_eq!(rx.window.memory(), 0);
}

/// The example of section 3.6. RFC 3758 rows: 3.2-2, 3.6-2, 3.6-3, 3.6-4.
#[test]
fn the_cumulative_tsn_moves_to_the_new_one_and_beyond_what_is_there() {
    let mut rx = rx();
    for tsn in [102, 104, 105, 107] {
        assert!(accepted(give(&mut rx, tsn, 0, None, 'W', b"x")));
    }
    while rx.sack_due() {
        sack(&mut rx);
    }
    assert_eq!(forward(&mut rx, 103, &[]), None);
    assert_eq!(rx.cum_tsn(), Tsn(105));
    assert!(rx.sack_due(), "a gap is there: no delay");
    assert_eq!(sack(&mut rx), (105, vec![(2, 2)]));
    assert_eq!(forward(&mut rx, 106, &[]), None);
    assert_eq!(sack(&mut rx), (107, vec![]));
    assert_eq!(read(&mut rx).len(), 4);
    // What was skipped arrives late: a duplicate.
    assert_eq!(give(&mut rx, 103, 0, None, 'W', b"late"), DataOutcome::Duplicate);
    drained(&mut rx);
}

/// RFC 3758 rows: 3.6-9, 3.6-10. Pitfall 89.
#[test]
fn messages_that_waited_for_what_is_skipped_are_delivered() {
    let mut rx = rx();
    assert!(accepted(give(&mut rx, 102, 1, Some(1), 'W', b"1.1")));
    assert!(accepted(give(&mut rx, 104, 1, Some(3), 'W', b"1.3")));
    assert!(accepted(give(&mut rx, 105, 1, Some(4), 'W', b"1.4")));
    assert!(accepted(give(&mut rx, 106, 2, Some(1), 'W', b"2.1")));
    assert!(!rx.has_message());
    forward(&mut rx, 103, &[(1, 2)]);
    assert_eq!(read(&mut rx), [b"1.1", b"1.3", b"1.4"], "in their order, and with what follows");
    assert!(!rx.has_message(), "the other stream waits");
    forward(&mut rx, 107, &[(2, 0)]);
    assert_eq!(read(&mut rx), [b"2.1"]);
    assert!(accepted(give(&mut rx, 108, 1, Some(5), 'W', b"1.5")));
    assert_eq!(read(&mut rx), [b"1.5"]);
    drained(&mut rx);
}

/// RFC 3758 rows: 3.6-8. Ruling 20: the rules of delayed acknowledgement.
#[test]
fn a_forward_tsn_is_acknowledged_as_data_is() {
    let mut rx = rx();
    forward(&mut rx, 101, &[]);
    assert!(!rx.sack_due() && rx.sack_pending());
    assert_eq!(rx.sack_deadline(), Some(Time::ZERO + AssocConfig::rfc().sack_delay));
    forward(&mut rx, 102, &[]);
    assert!(rx.sack_due(), "the second packet");
    assert_eq!(sack(&mut rx), (102, vec![]));
}

/// RFC 3758 rows: 3.6-5, 3.6-6, 3.6-7. A stale one is answered at once, and changes nothing.
#[test]
fn a_stale_forward_tsn_is_answered_and_changes_nothing() {
    let mut rx = rx();
    assert!(accepted(give(&mut rx, 102, 1, Some(1), 'W', b"1.1")));
    sack(&mut rx);
    for tsn in [100, 99, 100_u32.wrapping_sub(1 << 30)] {
        assert_eq!(forward(&mut rx, tsn, &[(1, 7)]), None);
        assert!(rx.sack_due());
        assert_eq!(sack(&mut rx), (100, vec![(2, 2)]));
    }
    assert!(!rx.has_message(), "the streams it lists are not believed");
}

/// RFC 3758 rows: 3.6-11, 3.6-12. Vulnerability class 8, pion 104: into the middle of a message.
#[test]
fn a_message_that_is_skipped_in_the_middle_is_dropped_whole() {
    // All places where a message of five fragments can be cut, and whether its fragments beyond came before or after.
    for cut in 101..=105 {
        for missing in 101..=105 {
            for late in [false, true] {
                let mut rx = rx();
                let part = |tsn| match tsn {
                    101 => 'B',
                    105 => 'E',
                    _ => 'M',
                };
                let here = |tsn: &u32| *tsn != missing && (!late || *tsn <= cut);
                for tsn in (101..=105).filter(here) {
                    assert!(accepted(give(&mut rx, tsn, 0, None, part(tsn), &[7; 500])));
                }
                if cut > rx.cum_tsn().0 {
                    forward(&mut rx, cut, &[]);
                }
                let cum = rx.cum_tsn();
                for tsn in (101..=105).filter(|tsn| !here(tsn) && Tsn(*tsn).after(cum)) {
                    // The peer has given it up, but it was on its way.
                    let outcome = give(&mut rx, tsn, 0, None, part(tsn), &[7; 500]);
                    assert!(!matches!(outcome, DataOutcome::Violation(_)), "cut {cut}, missing {missing}, late {late}: {tsn}");
                }
                if rx.cum_tsn().before(Tsn(105)) {
                    forward(&mut rx, 105, &[]);
                }
                assert!(accepted(give(&mut rx, 106, 0, Some(0), 'W', b"next")));
                let got = read(&mut rx);
                assert_eq!(got.last().map(Vec::as_slice), Some(b"next".as_slice()));
                drained(&mut rx);
            }
        }
    }
}

/// A sender that spends no TSN on what it did not send of a message: the next message begins right behind.
#[test]
fn behind_a_message_without_an_end_the_next_one_may_begin() {
    for ordered in [Some(0), None] {
        let mut rx = rx();
        assert!(accepted(give(&mut rx, 102, 1, ordered, 'B', &[1; 500])));
        assert!(accepted(give(&mut rx, 103, 1, ordered, 'M', &[2; 500])));
        let list: &[_] = if ordered.is_some() { &[(1, 0)] } else { &[] };
        forward(&mut rx, 103, list);
        assert!(accepted(give(&mut rx, 104, 1, ordered.map(|ssn| ssn + 1), 'W', b"next")));
        assert_eq!(read(&mut rx), [b"next"]);
        drained(&mut rx);
    }
}

/// RFC 3758 rows: 3.6-13.
#[test]
fn the_user_hears_that_a_message_read_in_part_will_not_be_completed() {
    let mut rx = rx_with(|cfg| cfg.partial_delivery_point = Some(600));
    assert!(accepted(give(&mut rx, 101, 1, Some(0), 'B', &[1; 500])));
    assert!(accepted(give(&mut rx, 102, 1, Some(0), 'M', &[1; 500])));
    assert!(rx.pop().unwrap().more);
    assert!(accepted(give(&mut rx, 104, 1, Some(0), 'M', &[1; 500])));
    assert!(accepted(give(&mut rx, 106, 1, Some(1), 'W', b"next")));
    assert!(!rx.has_message());
    assert_eq!(forward(&mut rx, 105, &[(1, 0)]), Some((1, 0, false)));
    assert_eq!(read(&mut rx), [b"next"]);
    drained(&mut rx);
}

/// CVE-2009-0065: a stream that does not exist. Vulnerability class 8: streams named twice, or with any number.
#[test]
fn cve_2009_0065_streams_that_do_not_exist_are_ignored() {
    let mut rx = rx();
    assert!(accepted(give(&mut rx, 103, 3, Some(2), 'W', b"3.2")));
    let list: Vec<_> = (0..=u16::MAX).step_by(7).map(|sid| (sid, 40_000)).chain([(3, 1), (3, 1), (3, 0), (u16::MAX, 5)]).collect();
    forward(&mut rx, 102, &list);
    assert_eq!(read(&mut rx), [b"3.2"]);
    drained(&mut rx);
}

/// Vulnerability class 8: a TSN far beyond the window. It is no more than a peer that cheats itself.
#[test]
fn a_far_new_cumulative_tsn_moves_there_and_goes_on() {
    for far in [100 + 70_000, 100 + (1 << 30), 100 + (1_u32 << 31) - 1] {
        let mut rx = rx();
        for n in 0..8 {
            assert!(accepted(give(&mut rx, 102 + 2 * n, 0, None, 'B', &[1; 100])));
        }
        forward(&mut rx, far, &[]);
        while rx.sack_due() {
            sack(&mut rx);
        }
        assert_eq!(rx.cum_tsn(), Tsn(far));
        drained(&mut rx);
        assert!(accepted(give(&mut rx, far.wrapping_add(1), 0, None, 'W', b"on")));
        assert_eq!(read(&mut rx), [b"on"]);
    }
}

#[test]
fn stream_sequence_numbers_are_skipped_across_their_wrap() {
    let mut rx = rx();
    forward(&mut rx, 101, &[(0, 30_000)]);
    forward(&mut rx, 102, &[(0, 60_000)]);
    forward(&mut rx, 103, &[(0, 65_533)]);
    for (tsn, ssn) in [(107, 1), (106, 0), (105, 65_535)] {
        assert!(accepted(give(&mut rx, tsn, 0, Some(ssn), 'W', &ssn.to_be_bytes())));
    }
    assert!(!rx.has_message());
    forward(&mut rx, 104, &[(0, 65_534)]);
    assert_eq!(read(&mut rx), [65_535_u16, 0, 1].map(|ssn| ssn.to_be_bytes()));
    // Numbers whose turn is over are not taken back.
    forward(&mut rx, 108, &[(0, 65_000)]);
    assert!(accepted(give(&mut rx, 109, 0, Some(2), 'W', b"on")));
    assert_eq!(read(&mut rx), [b"on"]);
}

/// RFC 6525 section 5.2.4 rule G2: new TSNs begin half the number space away from the old ones.
#[test]
fn after_tsns_began_anew_only_a_forward_tsn_of_the_new_ones_counts() {
    let mut rx = rx();
    let new = 101_u32.wrapping_add(1 << 31);
    rx.begin_at(Tsn(new));
    for ahead in [0, 1, 2, 100, 20_000] {
        forward(&mut rx, new + ahead, &[]);
        assert_eq!(sack(&mut rx), (new + ahead, vec![]));
        for late in [90, 99, 100] {
            forward(&mut rx, late, &[]);
            assert_eq!(sack(&mut rx).0, new + ahead, "{late}");
        }
    }
}

#[test]
fn one_at_the_cumulative_tsn_ends_a_message_whose_rest_was_never_sent() {
    let mut rx = rx();
    assert!(accepted(give(&mut rx, 101, 1, Some(0), 'B', b"no more of it")));
    assert_eq!(forward(&mut rx, 101, &[(1, 0)]), None);
    assert_eq!(sack(&mut rx), (101, vec![]), "it moves nothing");
    assert!(accepted(give(&mut rx, 102, 1, Some(1), 'W', b"next")));
    assert_eq!(read(&mut rx), [b"next"]);
    // Once more, late.
    assert_eq!(forward(&mut rx, 101, &[(1, 0)]), None);
    drained(&mut rx);
}

/// All orders of `n` things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![vec![]] };
    let shorter = orders(last);
    let with = |at: usize| shorter.iter().map(move |o| [&o[..at], &[last], &o[at..]].concat());
    (0..n).flat_map(with).collect()
}

/// Linux gives no TSNs to the unsent rest of a message that it gives up, and its FORWARD TSN may get lost.
#[test]
fn a_message_that_breaks_off_is_dropped_and_the_next_one_delivered_in_whatever_order_they_come() {
    for (broken, next) in [(Some(0), Some(1)), (None, None), (Some(0), None)] {
        let chunks = [
            (101, broken, 'B', &b"be"[..]),
            (102, broken, 'M', b"gi"),
            (103, broken, 'M', b"n"),
            (104, next, 'B', b"ne"),
            (105, next, 'E', b"xt"),
        ];
        for order in orders(chunks.len()) {
            let mut rx = rx();
            rx.allow_breaking_off();
            for at in &order {
                let (tsn, ssn, which, payload) = chunks[*at];
                assert!(accepted(give(&mut rx, tsn, 1, ssn, which, payload)), "{order:?}");
            }
            assert_eq!(read(&mut rx), [b"next"], "{order:?}");
            assert_eq!(rx.cum_tsn(), Tsn(105));
            drained(&mut rx);
            // What is said of it later changes nothing, and the stream goes on.
            forward(&mut rx, 103, &[(1, 0)]);
            let following = Some(if next.is_some() { 2 } else { u16::from(broken.is_some()) });
            assert!(accepted(give(&mut rx, 106, 1, following, 'W', b"more")));
            assert_eq!(read(&mut rx), [b"more"], "{order:?}");
        }
    }
}

#[test]
fn of_a_message_that_breaks_off_nothing_is_dropped_before_what_precedes_it_is_here() {
    let mut rx = rx();
    rx.allow_breaking_off();
    assert!(accepted(give(&mut rx, 102, 1, Some(1), 'B', b"begin")));
    assert!(accepted(give(&mut rx, 103, 1, Some(2), 'W', b"two")));
    assert!(!rx.has_message(), "the turn is that of a message which may come yet");
    assert!(accepted(give(&mut rx, 101, 1, Some(0), 'W', b"zero")));
    assert_eq!(read(&mut rx), [&b"zero"[..], b"two"]);
    drained(&mut rx);
}

#[test]
fn the_user_is_told_when_a_message_breaks_off_of_which_a_part_was_handed_out() {
    let mut rx = rx_with(|cfg| (cfg.partial_delivery, cfg.partial_delivery_point) = (true, Some(4)));
    rx.allow_breaking_off();
    assert!(accepted(give(&mut rx, 101, 1, Some(0), 'B', b"begin")));
    assert_eq!(read(&mut rx), [b"begin"]);
    let packet = Bytes::from_static(b"next");
    let (sid, ssn, ppid) = (StreamId(1), Ssn(1), Ppid(9));
    let data = Data { immediate: false, unordered: false, begin: true, end: true, tsn: Tsn(102), sid, ssn, ppid, payload: &packet };
    assert!(accepted(rx.on_data(&data, &packet)));
    assert_eq!(rx.on_packet_end(Time::ZERO), [(StreamId(1), Ssn(0), false)]);
    assert_eq!(read(&mut rx), [b"next"]);
    drained(&mut rx);
}

/// RFC 9260 section 6.9.
#[test]
fn without_partial_reliability_no_message_may_break_off() {
    let mut rx = rx();
    assert!(accepted(give(&mut rx, 101, 1, Some(0), 'B', b"begin")));
    assert!(matches!(give(&mut rx, 102, 1, Some(1), 'W', b"next"), DataOutcome::Violation(_)));
}
