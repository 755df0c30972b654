//! Streams that begin anew, with DATA in any order.

use bytes::Bytes;
use proptest::prelude::*;

use super::{DataOutcome, Rx};
use crate::assoc::streams::Streams;
use crate::config::AssocConfig;
use crate::num::{Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::Data;

/// TSN, stream, number in it, first and last fragment, payload.
type Sent = (u32, u16, u16, (bool, bool), Vec<u8>);

fn chunk(tsn: u32, sid: u16, ssn: u16, flags: (bool, bool), payload: &[u8]) -> Data<'_> {
    let (begin, end) = flags;
    let (tsn, sid, ssn) = (Tsn(tsn), StreamId(sid), Ssn(ssn));
    Data { immediate: false, unordered: false, begin, end, tsn, sid, ssn, ppid: Ppid(1), payload }
}

fn give(rx: &mut Rx, data: &Data<'_>) -> DataOutcome {
    let packet = Bytes::copy_from_slice(data.payload);
    rx.on_data(&Data { payload: &packet, ..*data }, &packet)
}

fn read(rx: &mut Rx) -> Vec<(u16, u16, Vec<u8>)> {
    core::iter::from_fn(|| rx.pop()).map(|m| (m.sid.0, m.ssn.0, m.payload.to_vec())).collect()
}

fn rx() -> Rx {
    Rx::new(&AssocConfig { recv_buffer: 1 << 20, ..AssocConfig::rfc() }, Tsn(1), 4, false)
}

/// RFC 6525 section 5.2.2 rule E3: only the streams that are named begin anew.
/// RFC 6525 rows: 5.2.2-8.
#[test]
fn streams_begin_anew_at_once_if_nothing_is_missing() {
    let mut rx = rx();
    give(&mut rx, &chunk(1, 0, 0, (true, true), b"a"));
    give(&mut rx, &chunk(2, 1, 0, (true, true), b"b"));
    assert!(rx.reset_after(Streams::listed([StreamId(1)]), Tsn(2)));
    give(&mut rx, &chunk(3, 1, 0, (true, true), b"c"));
    give(&mut rx, &chunk(4, 0, 1, (true, true), b"d"));
    let all = read(&mut rx);
    assert_eq!(all.iter().map(|(sid, ssn, _)| (*sid, *ssn)).collect::<Vec<_>>(), [(0, 0), (1, 0), (1, 0), (0, 1)]);
}

/// RFC 6525 section 5.2.2 rules E2 and E4.
/// RFC 6525 rows: 5.2.2-4, 5.2.2-9.
#[test]
fn what_was_sent_after_the_reset_waits_for_what_was_sent_before() {
    let mut rx = rx();
    assert!(!rx.reset_after(Streams::all(), Tsn(2)));
    // The first two fragments of the new message 0 and the whole new message 1.
    for data in [chunk(4, 0, 0, (false, true), b"y"), chunk(5, 0, 1, (true, true), b"z"), chunk(3, 0, 0, (true, false), b"x")] {
        assert_eq!(give(&mut rx, &data), DataOutcome::Accepted { readable: false });
    }
    assert_eq!(rx.finish_reset(), None);
    give(&mut rx, &chunk(2, 0, 1, (true, true), b"old 1"));
    assert_eq!((rx.finish_reset(), read(&mut rx)), (None, vec![]));
    give(&mut rx, &chunk(1, 0, 0, (true, true), b"old 0"));
    assert_eq!(rx.finish_reset(), Some(DataOutcome::Accepted { readable: true }));
    let expected = [(0, 0, "old 0"), (0, 1, "old 1"), (0, 0, "xy"), (0, 1, "z")];
    assert_eq!(read(&mut rx), expected.map(|(sid, ssn, text)| (sid, ssn, text.as_bytes().to_vec())));
    assert_eq!((rx.cum_tsn(), rx.has_gaps(), rx.a_rwnd()), (Tsn(5), false, 1 << 20));
}

/// RFC 6525 section 5.2.7 rule H5: all TSNs and SSNs begin anew, what waited is not lost, and nothing stays charged.
/// RFC 6525 rows: 5.2.4-4, 5.2.7-7.
#[test]
fn tsns_begin_anew() {
    let mut rx = rx();
    give(&mut rx, &chunk(1, 0, 0, (true, true), b"a"));
    give(&mut rx, &chunk(3, 0, 2, (true, true), b"c"));
    give(&mut rx, &chunk(5, 2, 0, (true, false), b"never ends"));
    rx.give_up();
    rx.begin_at(Tsn(7));
    assert_eq!((rx.cum_tsn(), rx.has_gaps(), rx.sack_due()), (Tsn(6), false, true));
    give(&mut rx, &chunk(7, 0, 0, (true, true), b"new"));
    let expected = [(0, 0, "a"), (0, 2, "c"), (0, 0, "new")];
    assert_eq!(read(&mut rx), expected.map(|(sid, ssn, text)| (sid, ssn, text.as_bytes().to_vec())));
    assert_eq!((rx.cum_tsn(), rx.a_rwnd()), (Tsn(7), 1 << 20));
}

proptest! {
    /// Whatever the order of arrival, the user reads each stream as it was sent.
    /// RFC 6525 rows: 5.2.2-7.
    #[test]
    fn any_order_of_arrival_reads_the_same(
        before in proptest::collection::vec((0_u16..3, 1_usize..4), 0..8),
        after in proptest::collection::vec((0_u16..3, 1_usize..4), 0..8),
        order in proptest::collection::vec(any::<u32>(), 64),
        one in any::<bool>(),
    ) {
        let streams = if one { Streams::listed([StreamId(1)]) } else { Streams::all() };
        let mut sent = Vec::<Sent>::new();
        let mut next = [0_u16; 3];
        let mut expected: Vec<Vec<(u16, Vec<u8>)>> = vec![Vec::new(); 3];
        let mut tsn = 1_u32;
        let mut last = 0;
        for (phase, messages) in [before, after].into_iter().enumerate() {
            if phase == 1 {
                last = tsn - 1;
                (0..3).filter(|sid| streams.has(StreamId(*sid))).for_each(|sid| next[usize::from(sid)] = 0);
            }
            for (sid, parts) in messages {
                let ssn = next[usize::from(sid)];
                next[usize::from(sid)] += 1;
                let mut whole = Vec::new();
                for part in 0..parts {
                    let payload = tsn.to_be_bytes().to_vec();
                    whole.extend(&payload);
                    sent.push((tsn, sid, ssn, (part == 0, part + 1 == parts), payload));
                    tsn += 1;
                }
                expected[usize::from(sid)].push((ssn, whole));
            }
        }
        let mut arriving: Vec<_> = sent.iter().enumerate().collect();
        arriving.sort_by_key(|(i, _)| order.get(*i).copied().unwrap_or_default());
        let mut rx = rx();
        // The request came first of all.
        rx.reset_after(streams, Tsn(last));
        for (_, (tsn, sid, ssn, flags, payload)) in arriving {
            let outcome = give(&mut rx, &chunk(*tsn, *sid, *ssn, *flags, payload));
            prop_assert!(matches!(outcome, DataOutcome::Accepted { .. }), "{:?}", outcome);
            if let Some(outcome) = rx.finish_reset() {
                prop_assert!(matches!(outcome, DataOutcome::Accepted { .. }), "{:?}", outcome);
            }
        }
        let mut got: Vec<Vec<(u16, Vec<u8>)>> = vec![Vec::new(); 3];
        for (sid, ssn, payload) in read(&mut rx) {
            got[usize::from(sid)].push((ssn, payload));
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(rx.a_rwnd(), 1 << 20);
    }
}
