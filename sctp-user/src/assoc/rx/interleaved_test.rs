//! The receiver of I-DATA against hand-made chunks and against a model.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use super::{DataOutcome, Rx};
use crate::config::AssocConfig;
use crate::event::Message;
use crate::num::{Fsn, Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::chunk::{Data, IData, Place, SkippedMid};

const READABLE: DataOutcome = DataOutcome::Accepted { readable: true };
const HELD: DataOutcome = DataOutcome::Accepted { readable: false };

fn config(buffer: usize, point: Option<usize>) -> AssocConfig {
    AssocConfig {
        recv_buffer: buffer,
        max_message: 100_000,
        partial_delivery_point: point,
        interleave_streams: true,
        interleaving: true,
        ..AssocConfig::rfc()
    }
}

fn rx(buffer: usize) -> Rx {
    Rx::new(&config(buffer, None), Tsn(1), 8, true)
}

/// A fragment of ordered message `mid` on stream `sid`: its number, and whether it is the last.
fn part(tsn: u32, sid: u16, mid: u32, fsn: u32, end: bool, payload: &[u8]) -> IData<'_> {
    let place = if fsn == 0 { Place::First(Ppid(u32::from(sid) + 100)) } else { Place::Later(Fsn(fsn)) };
    IData { immediate: false, unordered: false, end, tsn: Tsn(tsn), sid: StreamId(sid), mid: Mid(mid), place, payload }
}

fn unordered(data: IData<'_>) -> IData<'_> {
    IData { unordered: true, ..data }
}

fn give(rx: &mut Rx, data: &IData<'_>) -> DataOutcome {
    let packet = Bytes::copy_from_slice(data.payload);
    rx.on_data(&IData { payload: &packet, ..*data }, &packet)
}

fn violates(rx: &mut Rx, data: &IData<'_>) -> &'static str {
    match give(rx, data) {
        DataOutcome::Violation(what) => what,
        other => panic!("{other:?} for {data:?}"),
    }
}

fn read(rx: &mut Rx) -> Vec<(u16, u64, bool, Vec<u8>)> {
    core::iter::from_fn(|| rx.pop()).map(|m| (m.sid.0, m.offset, m.more, m.payload.to_vec())).collect()
}

/// Figure 2 of RFC 8260. RFC 8260 rows: 2.2.3-1.
#[test]
fn the_figure_of_the_rfc_is_put_together() {
    let mut rx = rx(10_000);
    // 0/0/0 1/0/0 2/0/0 0/0/1 1/1/0 2/0/1 0/0/2 1/2/0 2/0/2 as SID/MID/FSN.
    let order = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 0, 1), (1, 1, 0), (2, 0, 1), (0, 0, 2), (1, 2, 0), (2, 0, 2)];
    let mut readable = Vec::new();
    for (n, (sid, mid, fsn)) in order.into_iter().enumerate() {
        let payload = [b"abc"[usize::from(sid)], b'0' + u8::try_from(n).unwrap()];
        let outcome = give(&mut rx, &part(u32::try_from(n).unwrap() + 1, sid, mid, fsn, sid == 1 || fsn == 2, &payload));
        if outcome == READABLE {
            readable.push(n);
        }
    }
    assert_eq!(readable, [1, 4, 6, 7, 8]);
    let got: Vec<_> = read(&mut rx).into_iter().map(|(sid, .., payload)| (sid, String::from_utf8(payload).unwrap())).collect();
    let expected = [(1, "b1"), (1, "b4"), (0, "a0a3a6"), (1, "b7"), (2, "c2c5c8")];
    assert_eq!(got, expected.map(|(sid, text)| (sid, text.to_owned())));
}

/// The user sees the lower half of the identifier (RFC 8260 section 4.1), and the payload protocol identifier of the first fragment,
/// also if that comes last.
#[test]
fn order_is_that_of_message_identifiers_beyond_16_bits() {
    let mut rx = rx(1 << 20);
    let mut tsn = 0;
    for mid in 0..65_540_u32 {
        tsn += 1;
        assert_eq!(give(&mut rx, &part(tsn, 3, mid, 0, true, &mid.to_be_bytes())), READABLE);
        let m = rx.pop().unwrap();
        assert_eq!((u32::from(m.ssn.0), m.ppid.0), (mid % 65_536, 103));
        assert_eq!(m.payload, mid.to_be_bytes().as_slice());
    }
    assert_eq!(give(&mut rx, &part(tsn + 3, 3, 65_541, 0, true, b"later")), HELD);
    assert_eq!(give(&mut rx, &part(tsn + 2, 3, 65_540, 1, true, b"end")), HELD);
    assert_eq!(give(&mut rx, &part(tsn + 1, 3, 65_540, 0, false, b"begin ")), READABLE);
    let got: Vec<_> = core::iter::from_fn(|| rx.pop()).map(|m| (m.ssn, m.ppid.0, m.tsn, m.payload)).collect();
    let (end, later) = (Tsn(tsn + 1), Tsn(tsn + 3));
    assert_eq!(got, [(Ssn(4), 103, end, "begin end".into()), (Ssn(5), 103, later, "later".into())]);
}

/// Ordered and unordered messages of a stream are numbered each for themselves.
#[test]
fn ordered_and_unordered_messages_with_one_identifier_are_two() {
    let mut rx = rx(10_000);
    assert_eq!(give(&mut rx, &part(1, 0, 0, 0, false, b"or")), HELD);
    assert_eq!(give(&mut rx, &unordered(part(2, 0, 0, 0, false, b"un"))), HELD);
    assert_eq!(give(&mut rx, &part(3, 0, 0, 1, true, b"dered")), READABLE);
    assert_eq!(give(&mut rx, &unordered(part(4, 0, 0, 1, true, b"ordered"))), READABLE);
    let got: Vec<_> = core::iter::from_fn(|| rx.pop()).map(|m| (m.unordered, m.payload)).collect();
    assert_eq!(got, [(false, "ordered".into()), (true, "unordered".into())]);
}

/// RFC 8260 rows: 2.2.3-3, 2.2.3-4. Attack class 8: I-DATA mixed with DATA, I-DATA without negotiation. Pitfall 93.
#[test]
fn the_kind_of_chunk_that_was_not_agreed_on_is_a_violation() {
    let data = Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(1),
        sid: StreamId(0),
        ssn: Ssn(0),
        ppid: Ppid(0),
        payload: b"x",
    };
    let packet = Bytes::from_static(b"x");
    assert!(matches!(rx(10_000).on_data(&data, &packet), DataOutcome::Violation(_)));
    let mut plain = Rx::new(&AssocConfig::rfc(), Tsn(1), 8, false);
    assert!(matches!(give(&mut plain, &part(1, 0, 0, 0, true, b"x")), DataOutcome::Violation(_)));
    // Even if its TSN is of the past, or far ahead.
    for tsn in [0, 0x7000_0000] {
        assert!(matches!(rx(10_000).on_data(&Data { tsn: Tsn(tsn), ..data }, &packet), DataOutcome::Violation(_)));
        assert!(matches!(give(&mut plain, &part(tsn, 0, 0, 0, true, b"x")), DataOutcome::Violation(_)));
    }
}

/// Attack class 8: fragments with missing B or E, duplicate FSN, FSN beyond the last fragment.
/// Pitfall 95.
#[test]
fn impossible_fragments_are_violations() {
    let first = part(1, 0, 0, 0, false, b"x");
    let second = part(2, 0, 0, 1, false, b"x");
    let end = part(3, 0, 0, 2, true, b"x");
    let last = |tsn, fsn| part(tsn, 0, 0, fsn, true, b"x");
    let middle = |tsn, fsn| IData { place: Place::Later(Fsn(fsn)), ..part(tsn, 0, 0, fsn, false, b"x") };
    let cases: [(&[IData<'_>], IData<'_>, &str); 13] = [
        (&[first], part(2, 0, 0, 0, false, b"y"), "two first fragments of a message"),
        (&[first], part(2, 0, 0, 0, true, b"y"), "two first fragments of a message"),
        (&[], middle(1, 0), "fragment 0 that is not the first one"),
        (&[first, second], middle(4, 1), "fragment number used twice"),
        (&[first, middle(3, 5)], middle(4, 5), "fragment number used twice"),
        (&[first, end], middle(4, 3), "fragment behind the last one"),
        (&[first, end], middle(4, 2), "fragment behind the last one"),
        (&[first, end], last(4, 7), "fragment behind the last one"),
        (&[first, middle(3, 5)], last(4, 3), "last fragment before others"),
        (&[first], middle(4, 0x8000_0001), "fragment number used twice"),
        (&[middle(3, 5)], last(4, 4), "last fragment before others"),
        (&[part(1, 0, 0, 0, true, b"whole")], middle(2, 1), "message identifier of the past"),
        (&[part(2, 0, 1, 0, true, b"waits")], part(3, 0, 1, 1, false, b"x"), "fragment of a message that is complete"),
    ];
    for (before, bad, what) in cases {
        let mut rx = rx(10_000);
        for data in before {
            assert!(matches!(give(&mut rx, data), DataOutcome::Accepted { .. }), "{data:?}");
        }
        assert_eq!(violates(&mut rx, &bad), what, "{before:?}, then {bad:?}");
    }
}

/// Attack class 8: crafted message identifiers.
#[test]
fn crafted_message_identifiers_are_late_or_wait() {
    for mid in [1, 2, 0x7fff_ffff] {
        let mut rx = rx(10_000);
        assert_eq!(give(&mut rx, &part(1, 0, mid, 0, true, b"x")), HELD);
        assert_eq!(violates(&mut rx, &part(2, 0, mid, 0, true, b"x")), "fragment of a message that is complete");
    }
    for mid in [0x8000_0001, u32::MAX] {
        assert_eq!(violates(&mut rx(10_000), &part(1, 0, mid, 0, true, b"x")), "message identifier of the past");
    }
    let mut rx = rx(10_000);
    for (n, mid) in [0, u32::MAX, 0x8000_0000, 5].into_iter().enumerate() {
        assert_eq!(give(&mut rx, &unordered(part(u32::try_from(n).unwrap() + 1, 0, mid, 0, true, b"x"))), READABLE);
    }
}

/// RFC 8260 rows: 2.1-9. The number of fragments is not bounded by 32 bits: what counts is the distance.
#[test]
fn fragment_numbers_wrap() {
    let mut partial = super::interleaved::Interleaved::new(usize::MAX, usize::MAX);
    let place = |fsn| Place::Later(Fsn(fsn));
    let payload = || Bytes::from_static(b"x");
    let data = |tsn, fsn, end| IData { place: place(fsn), ..part(tsn, 0, 0, fsn, end, b"x") };
    assert!(!partial.insert(&part(1, 0, 0, 0, false, b"x"), payload()).unwrap().readable);
    partial.skip_to(StreamId(0), Mid(0), Fsn(u32::MAX));
    assert!(!partial.insert(&data(4, 1, true), payload()).unwrap().readable);
    assert!(!partial.insert(&data(2, u32::MAX, false), payload()).unwrap().readable);
    let done = partial.insert(&data(3, 0, false), payload()).unwrap();
    assert!(done.readable && done.pieces == 4);
}

#[test]
fn a_message_that_is_too_long_ends_it() {
    let mut rx = Rx::new(&AssocConfig { max_received_message: Some(1000), ..config(10_000, None) }, Tsn(1), 8, true);
    assert_eq!(violates(&mut rx, &part(1, 0, 0, 0, true, &[0; 1001])), "message too long");
    assert_eq!(give(&mut rx, &part(1, 0, 0, 0, false, &[0; 500])), HELD);
    assert_eq!(give(&mut rx, &part(3, 0, 0, 2, false, &[0; 400])), HELD);
    assert_eq!(violates(&mut rx, &part(2, 0, 0, 1, false, &[0; 101])), "message too long");
}

/// RFC 6458 section 8.1.20, level 2: parts of several streams in turn, and what is complete before them.
#[test]
fn a_full_buffer_is_handed_out_in_parts_of_several_streams() {
    let mut rx = rx(8_000);
    for n in 0..8 {
        assert_eq!(give(&mut rx, &part(u32::from(n) + 1, n, 0, 0, false, &[u8::try_from(n).unwrap(); 990])), HELD);
    }
    assert_eq!(rx.a_rwnd(), 0);
    // Parts make room for a packet, and their messages are begun.
    let got: Vec<_> = read(&mut rx).into_iter().map(|(sid, offset, more, payload)| (sid, offset, more, payload.len())).collect();
    assert_eq!(got, [(0, 0, true, 990), (1, 0, true, 990)]);
    assert_eq!((rx.has_message(), rx.a_rwnd()), (false, 2060));
    assert_eq!(give(&mut rx, &part(9, 7, 0, 1, false, &[7; 100])), HELD);
    // What is begun is handed out as it comes; what is complete goes before.
    give(&mut rx, &part(10, 1, 0, 1, false, b"more"));
    give(&mut rx, &part(11, 2, 0, 1, true, b"end"));
    give(&mut rx, &part(12, 0, 0, 1, true, b"end"));
    let got: Vec<_> = read(&mut rx).into_iter().map(|(sid, offset, more, payload)| (sid, offset, more, payload.len())).collect();
    assert_eq!(got, [(0, 990, false, 3), (2, 0, false, 993), (1, 990, true, 4)]);
}

/// The rest of a message is not mixed with other messages of its stream (RFC 8260 section 4.3.1).
#[test]
fn between_the_parts_of_a_message_is_no_other_of_its_stream() {
    let mut rx = Rx::new(&config(100_000, Some(5)), Tsn(1), 8, true);
    give(&mut rx, &unordered(part(1, 0, 7, 0, false, b"begin")));
    assert_eq!(read(&mut rx), [(0, 0, true, b"begin".to_vec())]);
    assert_eq!(give(&mut rx, &part(2, 0, 0, 0, true, b"ordered")), HELD);
    assert_eq!(give(&mut rx, &unordered(part(3, 0, 8, 0, true, b"unordered"))), HELD);
    give(&mut rx, &unordered(part(4, 0, 9, 0, false, b"another")));
    give(&mut rx, &part(5, 0, 1, 0, false, b"a third"));
    assert!(!rx.has_message());
    assert_eq!(give(&mut rx, &part(6, 1, 0, 0, true, b"stream 1")), READABLE);
    give(&mut rx, &unordered(part(7, 0, 7, 1, false, b"middle")));
    assert_eq!(read(&mut rx), [(1, 0, false, b"stream 1".to_vec()), (0, 5, true, b"middle".to_vec())]);
    assert_eq!(give(&mut rx, &unordered(part(8, 0, 7, 2, true, b"end"))), READABLE);
    let got: Vec<_> = read(&mut rx).into_iter().map(|(.., more, payload)| (more, String::from_utf8(payload).unwrap())).collect();
    assert_eq!(got, [(false, "end"), (false, "ordered"), (false, "unordered"), (true, "a third")].map(|(m, t)| (m, t.to_owned())));
    assert_eq!(give(&mut rx, &part(9, 0, 1, 1, true, b"!")), READABLE);
    let got: Vec<_> = read(&mut rx).into_iter().map(|(.., payload)| payload).collect();
    assert_eq!(got, [b"!".to_vec(), b"another".to_vec()]);
}

#[test]
fn giving_up_tells_every_message_that_was_begun_and_frees_all() {
    let mut rx = Rx::new(&config(100_000, Some(5)), Tsn(1), 8, true);
    for sid in 0..4 {
        give(&mut rx, &part(u32::from(sid) + 1, sid, 0, 0, false, &b"begin"[..usize::from(sid) + 2]));
    }
    assert_eq!(read(&mut rx), [(3, 0, true, b"begin".to_vec())]);
    assert_eq!(give(&mut rx, &unordered(part(5, 3, 2, 0, true, b"held"))), HELD);
    give(&mut rx, &part(7, 1, 0, 5, false, b"early"));
    assert_eq!(rx.give_up(), [(StreamId(3), Ssn(0), false)]);
    assert_eq!(read(&mut rx), [(3, 0, false, b"held".to_vec())]);
    assert_eq!(rx.window.memory(), 0);
}

/// Attack class 10: what a peer leaves incomplete is bounded by the window, however it is cut.
#[test]
fn fragments_without_end_close_the_window() {
    let mut rx = rx(20_000);
    let mut taken = 0;
    for n in 0..100_000_u32 {
        let data = unordered(IData { place: Place::Later(Fsn(n | 1)), ..part(n + 1, 0, n, 1, false, b"x") });
        taken += u32::from(give(&mut rx, &data) == HELD);
    }
    assert!(rx.window.memory() <= 100_000 && taken < 1000, "{} {taken}", rx.window.memory());
    assert!(!rx.has_message());
}

#[derive(Clone, Debug)]
struct Sent {
    sid: u16,
    unordered: bool,
    mid: u32,
    payload: Vec<u8>,
    pieces: usize,
}

/// The chunks of messages, interleaved as a sender may, with TSNs.
fn chunks(messages: &[Sent], choices: &[u8]) -> Vec<(u32, Sent, usize)> {
    let mut queues: BTreeMap<u16, VecDeque<(Sent, usize)>> = BTreeMap::new();
    for m in messages {
        let queue = queues.entry(m.sid).or_default();
        queue.extend((0..m.pieces).map(|n| (m.clone(), n)));
    }
    let mut out = Vec::new();
    let mut choices = choices.iter().cycle();
    while !queues.is_empty() {
        let at = usize::from(*choices.next().unwrap_or(&0)) % queues.len();
        let sid = *queues.keys().nth(at).unwrap();
        let queue = queues.get_mut(&sid).unwrap();
        let (m, n) = queue.pop_front().unwrap();
        if queue.is_empty() {
            queues.remove(&sid);
        }
        out.push((u32::try_from(out.len()).unwrap() + 1, m, n));
    }
    out
}

fn messages() -> impl Strategy<Value = Vec<Sent>> {
    let one = (0..4_u16, any::<bool>(), 1..400_usize, 1..6_usize);
    proptest::collection::vec(one, 1..30).prop_map(|list| {
        let mut mids: BTreeMap<(u16, bool), u32> = BTreeMap::new();
        let mut number = 0_u8;
        list.into_iter()
            .map(|(sid, unordered, len, pieces)| {
                let next = mids.entry((sid, unordered)).or_default();
                let mid = *next;
                *next += 1;
                number = number.wrapping_add(1);
                let payload = (0..len.max(pieces)).map(|n| number.wrapping_mul(31).wrapping_add(u8::try_from(n % 251).unwrap())).collect();
                Sent { sid, unordered, mid, payload, pieces }
            })
            .collect()
    })
}

/// Puts what is read together, as a user does, and checks that nothing else of a stream comes between the parts of a message.
#[derive(Default)]
struct Reader {
    open: BTreeMap<u16, Vec<u8>>,
    whole: Vec<(u16, bool, Vec<u8>)>,
}

impl Reader {
    fn take(&mut self, m: &Message) {
        let begun = self.open.remove(&m.sid.0);
        assert_eq!(begun.as_ref().map_or(0, Vec::len) as u64, m.offset, "another message between the parts of one: {m:?}");
        let mut bytes = begun.unwrap_or_default();
        bytes.extend_from_slice(&m.payload);
        if m.more {
            self.open.insert(m.sid.0, bytes);
        } else {
            self.whole.push((m.sid.0, m.unordered, bytes));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// RFC 8260 rows: 2.2.3-2.
    ///
    /// Whatever the order of arrival, every message comes out once and whole, ordered ones in their order, and the books are empty.
    #[test]
    fn all_orders_of_arrival_give_the_messages(
        messages in messages(),
        choices in proptest::collection::vec(any::<u8>(), 1..50),
        shuffle in proptest::collection::vec(any::<u16>(), 1..200),
        point in proptest::option::of(1..300_usize),
        read_every in 1..9_usize,
    ) {
        let chunks = chunks(&messages, &choices);
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        // Mostly near where it was, as on a network.
        order.sort_by_key(|i| i * 4 + usize::from(shuffle[i % shuffle.len()] % 40));
        let mut rx = Rx::new(&config(1 << 20, point), Tsn(1), 4, true);
        let mut reader = Reader::default();
        for (n, at) in order.into_iter().enumerate() {
            let (tsn, m, piece) = &chunks[at];
            let size = m.payload.len() / m.pieces;
            let end = *piece + 1 == m.pieces;
            let payload = if end { &m.payload[piece * size..] } else { &m.payload[piece * size..(piece + 1) * size] };
            let data = IData { unordered: m.unordered, ..part(*tsn, m.sid, m.mid, u32::try_from(*piece).unwrap(), end, payload) };
            prop_assert!(matches!(give(&mut rx, &data), DataOutcome::Accepted { .. }), "{:?}", data);
            prop_assert_eq!(give(&mut rx, &data), DataOutcome::Duplicate);
            if n % read_every == 0 {
                while let Some(m) = rx.pop() {
                    reader.take(&m);
                }
            }
        }
        while let Some(m) = rx.pop() {
            reader.take(&m);
        }
        prop_assert!(reader.open.is_empty());
        for sid in 0..4 {
            let of = |unordered| messages.iter().filter(move |m| m.sid == sid && m.unordered == unordered).map(|m| m.payload.clone());
            let got = |unordered| reader.whole.iter().filter(move |(s, u, _)| *s == sid && *u == unordered).map(|(.., p)| p.clone());
            prop_assert_eq!(got(false).collect::<Vec<_>>(), of(false).collect::<Vec<_>>());
            let sorted = |mut list: Vec<Vec<u8>>| { list.sort(); list };
            prop_assert_eq!(sorted(got(true).collect()), sorted(of(true).collect()));
        }
        prop_assert_eq!(rx.window.memory(), 0);
        prop_assert!(rx.give_up().is_empty());
    }

    /// What is skipped is what a look at every message finds, wherever identifiers wrap; nothing of other messages is lost.
    #[test]
    fn skipping_by_ranges_is_skipping_one_by_one(
        begin: u32,
        messages in proptest::collection::btree_map((0_u16..2, any::<bool>(), 0_u32..90), 1_u32..5, 0..50),
        skips in proptest::collection::vec((0_u16..2, any::<bool>(), -20_i32..90), 1..6),
    ) {
        let mut partial = super::interleaved::Interleaved::new(usize::MAX, usize::MAX);
        let begins = [0, 1].map(|sid| SkippedMid { sid: StreamId(sid), unordered: false, mid: Mid(begin).prev() });
        // The turn comes to `begin` from behind, in steps that serial numbers can tell.
        for step in [begin / 3, begin / 3 * 2] {
            partial.skip(begins.iter().map(|s| SkippedMid { mid: Mid(step), ..*s }));
        }
        partial.skip(begins.into_iter());
        let mut tsn = 0;
        for ((sid, unordered, ahead), fragments) in messages {
            for fsn in 1..=fragments {
                tsn += 1;
                let data = IData { unordered, ..part(tsn, sid, begin.wrapping_add(ahead), fsn, false, b"x") };
                prop_assert!(partial.insert(&data, Bytes::from_static(b"x")).is_ok());
            }
        }
        let mut turns = [Mid(begin); 2];
        for (sid, unordered, ahead) in skips {
            let (last, turn) = (Mid(begin.wrapping_add(ahead.cast_unsigned())), &mut turns[usize::from(sid)]);
            let passed = |mid: u32| Mid(mid).at_or_before(last) && (unordered || !Mid(mid).before(*turn));
            let (gone, kept): (Vec<_>, Vec<_>) =
                partial.held().into_iter().partition(|&(s, u, mid, _)| s == sid && u == unordered && passed(mid));
            let dropped = partial.skip(core::iter::once(SkippedMid { sid: StreamId(sid), unordered, mid: last }));
            prop_assert_eq!(partial.held(), kept);
            prop_assert_eq!(dropped.pieces, gone.iter().map(|(.., early)| early).sum::<usize>());
            if !unordered && !last.before(*turn) {
                *turn = last.next();
            }
        }
    }

    /// Attack class 8: whatever a peer sends, nothing panics, and memory stays within what the window admits.
    #[test]
    fn any_chunks_are_survived(list in proptest::collection::vec((0_u32..60, 0..3_u16, 0_u32..4, any::<[bool; 3]>(), 0_u32..5, 1..500_usize), 1..120)) {
        let mut rx = Rx::new(&config(4000, Some(900)), Tsn(1), 3, true);
        let payload = vec![7; 500];
        for (tsn, sid, mid, [begin, end, unordered], fsn, len) in list {
            // Near the wrap, too.
            let spread = |n: u32| if n == 4 { u32::MAX } else { n };
            let place = if begin { Place::First(Ppid(1)) } else { Place::Later(Fsn(spread(fsn))) };
            let data = IData { place, unordered, ..part(tsn, sid, spread(mid), 0, end, &payload[..len]) };
            if matches!(give(&mut rx, &data), DataOutcome::Violation(_)) {
                break;
            }
            if tsn % 3 == 0 {
                rx.pop();
            }
            prop_assert!(rx.window.memory() <= 8 * 4000);
        }
    }
}
