//! Partial delivery, and the bounds of reassembly under attack.

use bytes::Bytes;
use proptest::prelude::*;

use super::{DataOutcome, Rx};
use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{Ppid, Ssn, StreamId, Tsn};
use crate::time::Time;
use crate::wire::chunk::Data;

const BUFFER: usize = 10_000;
const PIECE: [u8; 1000] = [7; 1000];

fn rx(change: impl FnOnce(&mut AssocConfig)) -> Rx {
    let mut cfg = AssocConfig { recv_buffer: BUFFER, ..AssocConfig::rfc() };
    change(&mut cfg);
    Rx::new(&cfg, Tsn(1), 4, false)
}

/// A fragment of message `ssn` on stream `sid`: B, M or E, or W for a whole message.
fn part(tsn: u32, sid: u16, ssn: u16, which: char, payload: &[u8]) -> Data<'_> {
    let (begin, end) = (matches!(which, 'B' | 'W'), matches!(which, 'E' | 'W'));
    Data { immediate: false, unordered: false, begin, end, tsn: Tsn(tsn), sid: StreamId(sid), ssn: Ssn(ssn), ppid: Ppid(9), payload }
}

fn give(rx: &mut Rx, data: &Data<'_>) -> DataOutcome {
    let packet = Bytes::copy_from_slice(data.payload);
    let outcome = rx.on_data(&Data { payload: &packet, ..*data }, &packet);
    rx.on_packet_end(Time::ZERO);
    outcome
}

fn accepted(rx: &mut Rx, data: &Data<'_>) {
    assert!(matches!(give(rx, data), DataOutcome::Accepted { .. }), "{data:?}");
}

fn read(rx: &mut Rx) -> Vec<(u16, u64, usize, bool)> {
    core::iter::from_fn(|| rx.pop()).map(|m| (m.sid.0, m.offset, m.payload.len(), m.more)).collect()
}

/// RFC 9260 rows: 6.9-16.
#[test]
fn a_message_that_fits_comes_whole_and_one_that_does_not_in_parts() {
    let mut rx = rx(|_| {});
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    for tsn in 2..9 {
        accepted(&mut rx, &part(tsn, 0, 0, 'M', &PIECE));
        assert!(!rx.has_message());
    }
    accepted(&mut rx, &part(9, 0, 0, 'E', &PIECE));
    assert_eq!(read(&mut rx), [(0, 0, 9000, false)]);

    accepted(&mut rx, &part(10, 0, 1, 'B', &PIECE));
    for tsn in 11..18 {
        accepted(&mut rx, &part(tsn, 0, 1, 'M', &PIECE));
        assert!(!rx.has_message() && rx.a_rwnd() > 0, "{tsn}");
    }
    // Less than a packet is left, but a chunk was promised.
    accepted(&mut rx, &part(18, 0, 1, 'M', &PIECE));
    assert_eq!(rx.a_rwnd(), 1000);
    assert!(rx.has_message(), "else nothing would ever move");
    assert_eq!(read(&mut rx), [(0, 0, 9000, true)]);
    assert_eq!(rx.a_rwnd() as usize, BUFFER);
    assert!(rx.sack_due(), "the peer hears of the room");
    // From now on every fragment is handed out as it comes, and nothing else before the end.
    accepted(&mut rx, &part(19, 0, 1, 'M', &PIECE));
    accepted(&mut rx, &part(21, 1, 0, 'W', b"other"));
    assert_eq!(read(&mut rx), [(0, 9000, 1000, true)]);
    assert!(!rx.has_message());
    accepted(&mut rx, &part(20, 0, 1, 'E', &PIECE));
    assert_eq!(read(&mut rx), [(0, 10_000, 1000, false), (1, 0, 5, false)]);
    accepted(&mut rx, &part(22, 0, 2, 'W', b"next"));
    assert_eq!(read(&mut rx), [(0, 0, 4, false)]);
    assert_eq!(rx.a_rwnd() as usize, BUFFER);
}

#[test]
fn the_partial_delivery_point_brings_parts_early() {
    let mut rx = rx(|c| c.partial_delivery_point = Some(3000));
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    accepted(&mut rx, &part(2, 0, 0, 'M', &PIECE));
    assert_eq!(read(&mut rx), []);
    // What is complete goes first, even on another stream behind a gap that closes.
    accepted(&mut rx, &part(3, 0, 0, 'M', &PIECE));
    assert_eq!(read(&mut rx), [(0, 0, 3000, true)]);
    accepted(&mut rx, &part(4, 0, 0, 'E', &PIECE));
    assert_eq!(read(&mut rx), [(0, 3000, 1000, false)]);
}

#[test]
fn a_full_buffer_behind_a_gap_waits_for_the_gap() {
    let mut rx = rx(|_| {});
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    for tsn in 3..12 {
        accepted(&mut rx, &part(tsn, 0, 0, 'M', &PIECE));
    }
    assert_eq!(rx.a_rwnd(), 0);
    assert!(!rx.has_message(), "the missing one may come, and the end with it");
    accepted(&mut rx, &part(2, 0, 0, 'M', &PIECE));
    assert_eq!(read(&mut rx), [(0, 0, 11_000, true)]);
}

#[test]
fn unordered_messages_come_in_parts_too_and_those_out_of_turn_do_not() {
    let mut rx = rx(|_| {});
    let u = |d| Data { unordered: true, ..d };
    accepted(&mut rx, &u(part(1, 0, 77, 'B', &PIECE)));
    for tsn in 2..=10 {
        accepted(&mut rx, &u(part(tsn, 0, 77, 'M', &PIECE)));
    }
    let m = rx.pop().unwrap();
    assert_eq!((m.ssn, m.unordered, m.more, m.payload.len()), (Ssn(0), true, true, 10_000));
    accepted(&mut rx, &u(part(11, 0, 77, 'E', &PIECE)));
    assert_eq!(read(&mut rx), [(0, 10_000, 1000, false)]);
    // Message 1 of stream 0 before message 0: a peer that does this gets no room for more.
    accepted(&mut rx, &part(12, 0, 1, 'B', &PIECE));
    for tsn in 13..=21 {
        accepted(&mut rx, &part(tsn, 0, 1, 'M', &PIECE));
    }
    assert!(!rx.has_message());
    let tsn = (22..100).find(|tsn| give(&mut rx, &part(*tsn, 0, 1, 'M', &PIECE)) == DataOutcome::NoRoom);
    assert!(tsn.is_some());
}

#[test]
fn what_is_given_up_is_told_and_frees_its_room() {
    let mut rx = rx(|c| c.partial_delivery_point = Some(1));
    accepted(&mut rx, &part(1, 2, 0, 'B', &PIECE));
    assert_eq!(read(&mut rx).len(), 1);
    accepted(&mut rx, &part(2, 2, 0, 'M', &PIECE));
    accepted(&mut rx, &part(4, 3, 0, 'W', b"whole"));
    assert_eq!(rx.give_up(), [(StreamId(2), Ssn(0), false)]);
    assert_eq!(read(&mut rx), [(3, 0, 5, false)]);
    assert_eq!(rx.a_rwnd() as usize, BUFFER);
    assert_eq!(rx.give_up(), []);
}

#[test]
fn a_limit_holds_over_all_parts() {
    let mut rx = rx(|c| {
        c.partial_delivery_point = Some(1);
        c.max_received_message = Some(2500);
    });
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    read(&mut rx);
    accepted(&mut rx, &part(2, 0, 0, 'M', &PIECE));
    read(&mut rx);
    assert_eq!(give(&mut rx, &part(3, 0, 0, 'E', &PIECE)), DataOutcome::Violation("message too long"));
}

#[test]
fn switching_it_off_in_the_midst_of_a_message_finishes_that_message() {
    let mut rx = rx(|c| c.partial_delivery_point = Some(1));
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    assert_eq!(read(&mut rx), [(0, 0, 1000, true)]);
    rx.configure(&AssocConfig { recv_buffer: BUFFER, partial_delivery: false, ..AssocConfig::rfc() });
    accepted(&mut rx, &part(2, 0, 0, 'M', &PIECE));
    accepted(&mut rx, &part(4, 1, 0, 'W', b"other"));
    assert_eq!(read(&mut rx), [(0, 1000, 1000, true)]);
    accepted(&mut rx, &part(3, 0, 0, 'E', &PIECE));
    assert_eq!(read(&mut rx), [(0, 2000, 1000, false), (1, 0, 5, false)]);
}

/// The peer has filled the window that it was told of before, but for one chunk: that one still finds room.
#[test]
fn a_buffer_that_shrinks_around_a_gap_does_not_lock_itself_up() {
    let mut rx = rx(|_| {});
    for tsn in 2..9 {
        accepted(&mut rx, &part(tsn, 0, 0, 'M', &PIECE));
    }
    rx.configure(&AssocConfig { recv_buffer: 1500, ..AssocConfig::rfc() });
    accepted(&mut rx, &part(1, 0, 0, 'B', &PIECE));
    assert_eq!(read(&mut rx), [(0, 0, 8000, true)]);
    accepted(&mut rx, &part(9, 0, 0, 'E', &PIECE));
    assert_eq!(read(&mut rx), [(0, 8000, 1000, false)]);
}

/// Rule by rule, in both directions of arrival: a fragment whose neighbour contradicts it ends the association, and one that
/// belongs to its neighbour does not, ordered and unordered alike.
///
/// RFC 9260 rows: 6.9-14, 6.9-15.
///
/// Pitfall 44.
#[test]
fn every_constellation_of_two_neighbours() {
    for unordered in [false, true] {
        for (first, second) in ['B', 'M', 'E', 'W'].into_iter().flat_map(|a| ['B', 'M', 'E', 'W'].map(|b| (a, b))) {
            // A message begins where, and only where, the one before has ended.
            let fine = matches!(first, 'E' | 'W') == matches!(second, 'B' | 'W');
            let ssn = |which| if matches!(which, 'B' | 'W') { 1 } else { 0 };
            let ssn = if fine { [0, ssn(second)] } else { [0, 0] };
            let data =
                [(10, first, ssn[0]), (11, second, ssn[1])].map(|(tsn, which, ssn)| Data { unordered, ..part(tsn, 0, ssn, which, b"x") });
            for order in [[0, 1], [1, 0]] {
                let mut rx = rx(|_| {});
                accepted(&mut rx, &data[order[0]]);
                let violated = matches!(give(&mut rx, &data[order[1]]), DataOutcome::Violation(_));
                assert_eq!(violated, !fine, "{first}{second}, {order:?}, unordered {unordered}");
            }
        }
    }
}

/// Fragments without beginning or end, each behind a gap of its own: ranges, memory and window stay within their bounds, and
/// the association still works when the gaps fill.
///
/// Pitfall 44.
///
/// Attack class 8.
#[test]
fn fragments_that_never_end_are_bounded() {
    let mut rx = rx(|_| {});
    let mut taken = 0;
    for n in 0..200_000 {
        taken += usize::from(matches!(give(&mut rx, &part(2 + 2 * n, 0, 0, 'M', b"x")), DataOutcome::Accepted { .. }));
    }
    assert!(taken <= 4 * BUFFER / 128, "{taken}");
    assert_eq!(rx.a_rwnd(), 0);
    accepted(&mut rx, &part(1, 0, 0, 'B', b"x"));
}

/// Attack class 10.
#[test]
fn large_fragments_behind_a_gap_are_bounded_by_the_buffer() {
    let mut rx = rx(|_| {});
    let accepts = |rx: &mut Rx, tsn| matches!(give(rx, &part(tsn, 0, 0, 'M', &PIECE)), DataOutcome::Accepted { .. });
    let taken = (3..60_000).filter(|tsn| accepts(&mut rx, *tsn)).count();
    assert!(taken <= BUFFER / PIECE.len() + 1, "{taken}");
}

proptest! {
    /// Whatever fragments come, in whatever order, what is held stays within five buffers, nothing panics, and what is read was
    /// put together by the rules.
    ///
    /// Attack class 8.
    #[test]
    fn any_fragments_stay_within_bounds(
        pieces in prop::collection::vec((0_u32..400, 0_u16..4, 0_u16..3, any::<(bool, bool, bool)>(), 1_usize..1200), 1..400),
        reads in any::<bool>(),
        point in prop::option::of(1_usize..5000),
    ) {
        let mut rx = rx(|c| c.partial_delivery_point = point);
        let zeros = [0; 1200];
        let mut open: Option<Message> = None;
        for (n, (offset, sid, ssn, (begin, end, unordered), len)) in pieces.into_iter().enumerate() {
            let data = Data { begin, end, unordered, ..part(1 + offset, sid, ssn, 'M', &zeros[..len]) };
            if matches!(give(&mut rx, &data), DataOutcome::Violation(_)) {
                break;
            }
            prop_assert!(rx.window.memory() <= 5 * BUFFER + 1328, "{}", rx.window.memory());
            if reads && n % 7 == 0 {
                for m in core::iter::from_fn(|| rx.pop()) {
                    let expected = open.as_ref().map_or(0, |o| o.offset + o.payload.len() as u64);
                    prop_assert_eq!(m.offset, expected);
                    open = m.more.then_some(m);
                }
            }
        }
    }
}
