//! I-FORWARD-TSN at the receiver (RFC 8260 section 2.3.1).

use bytes::Bytes;

use super::{DataOutcome, Rx};
use crate::assoc::streams::Streams;
use crate::config::AssocConfig;
use crate::num::{Fsn, Mid, Ppid, StreamId, Tsn};
use crate::time::Time;
use crate::wire::chunk::{Entries, ForwardTsn, IData, IForwardTsn, Place, SkippedMid};

fn rx(point: Option<usize>) -> Rx {
    let cfg = AssocConfig { recv_buffer: 10_000, partial_delivery_point: point, interleave_streams: true, ..AssocConfig::rfc() };
    Rx::new(&cfg, Tsn(1), 4, true)
}

/// Fragment `fsn` of message `mid`, the last one if `end`.
fn give(rx: &mut Rx, tsn: u32, (sid, unordered, mid): (u16, bool, u32), fsn: u32, end: bool, payload: &[u8]) -> DataOutcome {
    let packet = Bytes::copy_from_slice(payload);
    let place = if fsn == 0 { Place::First(Ppid(9)) } else { Place::Later(Fsn(fsn)) };
    let (sid, mid) = (StreamId(sid), Mid(mid));
    let data = IData { immediate: false, unordered, end, tsn: Tsn(tsn), sid, mid, place, payload: &packet };
    let outcome = rx.on_data(&data, &packet);
    rx.on_packet_end(Time::ZERO);
    outcome
}

fn took(outcome: DataOutcome) {
    assert!(matches!(outcome, DataOutcome::Accepted { .. }), "{outcome:?}");
}

/// Which messages broke off.
fn forward(rx: &mut Rx, tsn: u32, list: &[(u16, bool, u32)]) -> Vec<(u16, u16, bool)> {
    let list: Vec<_> = list.iter().map(|&(sid, unordered, mid)| SkippedMid { sid: StreamId(sid), unordered, mid: Mid(mid) }).collect();
    let begun = rx.on_i_forward_tsn(&IForwardTsn { cum_tsn: Tsn(tsn), skipped: Entries::List(&list) }).unwrap();
    rx.on_packet_end(Time::ZERO);
    begun.into_iter().map(|(sid, ssn, unordered)| (sid.0, ssn.0, unordered)).collect()
}

fn read(rx: &mut Rx) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| rx.pop()).map(|m| m.payload.to_vec()).collect()
}

fn drained(rx: &mut Rx) {
    assert!(read(rx).is_empty());
    assert_eq!((rx.window.books().0, rx.window.memory()), (0, 0), "nothing is held");
}

/// Pitfall 96: message identifiers, and the U bit says of which messages.
#[test]
fn ordered_and_unordered_messages_are_skipped_apart() {
    let mut rx = rx(None);
    took(give(&mut rx, 2, (1, false, 0), 1, false, &[1; 300]));
    took(give(&mut rx, 3, (1, true, 0), 0, false, &[2; 300]));
    took(give(&mut rx, 4, (1, false, 1), 0, true, b"next"));
    assert!(!rx.has_message());
    forward(&mut rx, 1, &[(1, false, 0)]);
    assert_eq!(read(&mut rx), [b"next"], "it waited for what is skipped");
    took(give(&mut rx, 5, (1, true, 0), 1, true, &[2; 300]));
    assert_eq!(read(&mut rx).concat(), [2; 600], "the unordered one was not meant");
    took(give(&mut rx, 7, (1, true, 1), 1, false, &[3; 300]));
    forward(&mut rx, 7, &[(1, true, 1)]);
    drained(&mut rx);
}

/// usrsctp 547, pion 104: fragments of a skipped message that come late are neither a violation nor kept.
#[test]
fn late_fragments_of_a_skipped_message_are_dropped() {
    for unordered in [false, true] {
        let mut rx = rx(None);
        took(give(&mut rx, 2, (2, unordered, 0), 1, false, &[1; 300]));
        took(give(&mut rx, 3, (0, true, 0), 0, true, b"another"));
        forward(&mut rx, 1, &[(2, unordered, 0)]);
        took(give(&mut rx, 5, (2, unordered, 0), 3, true, &[1; 300]));
        took(give(&mut rx, 4, (2, unordered, 0), 2, false, &[1; 300]));
        took(give(&mut rx, 6, (2, unordered, 1), 0, true, b"next"));
        assert_eq!(read(&mut rx), [b"another".as_slice(), b"next"]);
        drained(&mut rx);
    }
    // Without one, the past of an ordered stream is a violation, as ever.
    let mut rx = rx(None);
    took(give(&mut rx, 1, (2, false, 0), 0, true, b"whole"));
    assert!(matches!(give(&mut rx, 2, (2, false, 0), 1, true, b"again"), DataOutcome::Violation(_)));
}

/// What the user has in part breaks off; what it held up in its stream goes on.
#[test]
fn messages_read_in_part_break_off_and_hold_nothing_up_any_more() {
    let mut rx = rx(Some(200));
    took(give(&mut rx, 1, (0, false, 0), 0, false, &[1; 300]));
    took(give(&mut rx, 2, (1, true, 0), 0, false, &[2; 300]));
    assert!(rx.pop().unwrap().more && rx.pop().unwrap().more);
    took(give(&mut rx, 3, (0, true, 0), 0, true, b"held 0"));
    took(give(&mut rx, 4, (1, false, 0), 0, true, b"held 1"));
    took(give(&mut rx, 6, (1, false, 2), 0, true, b"later"));
    assert!(!rx.has_message());
    // The ordered messages up to 1 of stream 1 are skipped while its unordered one is being read.
    assert_eq!(forward(&mut rx, 5, &[(0, false, 0), (1, false, 1)]), [(0, 0, false)]);
    assert_eq!(read(&mut rx), [b"held 0"]);
    assert_eq!(forward(&mut rx, 7, &[(1, true, 0)]), [(1, 0, true)]);
    assert_eq!(read(&mut rx), [b"held 1".as_slice(), b"later"]);
    took(give(&mut rx, 8, (1, false, 3), 0, true, b"on"));
    assert_eq!(read(&mut rx), [b"on"]);
    drained(&mut rx);
}

/// Vulnerability class 8: streams that do not exist, identifiers from anywhere, lists in any order.
#[test]
fn crafted_identifiers_do_no_harm() {
    for mid in [0, 1, 1 << 30, u32::MAX >> 1, 1 << 31, u32::MAX] {
        let mut rx = rx(None);
        took(give(&mut rx, 2, (0, false, 1), 1, false, &[1; 300]));
        took(give(&mut rx, 3, (0, true, 7), 2, false, &[1; 300]));
        let all: Vec<_> =
            [0, 3, 4, 9, u16::MAX].into_iter().flat_map(|sid| [(sid, true, mid), (sid, false, mid), (sid, false, 0)]).collect();
        forward(&mut rx, 3, &all);
        took(give(&mut rx, 4, (0, true, mid.wrapping_add(9)), 0, true, b"on"));
        assert_eq!(read(&mut rx), [b"on"], "{mid}");
        assert_eq!(rx.cum_tsn(), Tsn(4));
    }
}

/// Messages that come after a great many others are not taken for ones that were skipped.
#[test]
fn identifiers_may_begin_anew_after_a_skip() {
    let mut rx = rx(None);
    forward(&mut rx, 1, &[(0, true, 5)]);
    for (n, mid) in [6, 1 << 29, (1 << 30) + 9, 1 << 31, u32::MAX, 5].into_iter().enumerate() {
        took(give(&mut rx, 2 + u32::try_from(n).unwrap(), (0, true, mid), 0, true, b"x"));
        assert_eq!(read(&mut rx).len(), 1, "{mid}");
    }
}

/// RFC 8260 section 2.3.1: each kind of user data has its chunk.
#[test]
fn the_chunk_of_the_other_kind_is_a_violation() {
    let list = ForwardTsn { cum_tsn: Tsn(9), skipped: Entries::List(&[]) };
    assert!(rx(None).on_forward_tsn(&list).is_err());
    let mut plain = Rx::new(&AssocConfig::rfc(), Tsn(1), 4, false);
    assert!(plain.on_i_forward_tsn(&IForwardTsn { cum_tsn: Tsn(9), skipped: Entries::List(&[]) }).is_err());
    assert_eq!(plain.cum_tsn(), Tsn(0));
}

/// RFC 6525: the identifiers of a stream begin anew, and are not taken for those that were skipped before.
#[test]
fn a_stream_that_begins_anew_has_nothing_skipped() {
    let mut rx = rx(None);
    forward(&mut rx, 1, &[(0, true, 5), (0, false, 5)]);
    assert!(rx.reset_after(Streams::listed([StreamId(0)]), Tsn(1)));
    took(give(&mut rx, 2, (0, true, 0), 0, true, b"unordered"));
    took(give(&mut rx, 3, (0, false, 0), 0, true, b"ordered"));
    assert_eq!(read(&mut rx), [b"unordered".as_slice(), b"ordered"]);
}
