//! Streams that take no new messages while their numbers are about to begin anew (RFC 6525).

use bytes::Bytes;

use super::tx_test::{T, at};
use crate::assoc::streams::Streams;
use crate::event::SendOptions;
use crate::num::{Ppid, StreamId, Tsn};

fn send(t: &mut T, sid: u16, len: usize, opts: SendOptions) {
    t.tx.enqueue(at(0), StreamId(sid), Ppid(1), &mut Bytes::from(vec![7; len]), opts).unwrap();
}

fn part() -> SendOptions {
    SendOptions { unfinished: true, ..SendOptions::ordered() }
}

/// All chunks that may leave, by stream and stream sequence number.
fn leave(t: &mut T) -> Vec<(u16, u16)> {
    t.tx.begin_opportunity();
    core::iter::from_fn(|| t.packet(at(0))).flatten().map(|c| (c.sid, c.ssn)).collect()
}

/// RFC 6525 section 5.1.2 rule A1: what was accepted before leaves with its number, what comes later waits, other streams go on.
/// RFC 6525 rows: 5.1.2-1, 5.2.7-5.
#[test]
fn messages_wait_for_the_answer() {
    let mut t = T::new();
    send(&mut t, 1, 10, SendOptions::ordered());
    t.tx.pause(Streams::listed([StreamId(1)]), false);
    assert!(!t.tx.has_left(), "it has no TSN yet");
    send(&mut t, 1, 20, SendOptions::ordered());
    send(&mut t, 2, 30, SendOptions::ordered());
    assert_eq!(t.tx.buffered(), 60);
    assert_eq!(leave(&mut t), [(1, 0), (2, 0)]);
    assert!(t.tx.has_left() && !t.tx.is_drained());
    t.tx.resume(true);
    send(&mut t, 1, 5, SendOptions::ordered());
    send(&mut t, 2, 5, SendOptions::ordered());
    assert_eq!(leave(&mut t), [(1, 0), (2, 1), (1, 1)], "the stream begins anew, the other one does not");
}

/// RFC 6525 section 5.2.7 rule H3: a denied request changes nothing.
#[test]
fn a_denied_request_changes_no_number() {
    let mut t = T::new();
    send(&mut t, 1, 10, SendOptions::ordered());
    assert_eq!(leave(&mut t), [(1, 0)]);
    t.tx.pause(Streams::all(), false);
    send(&mut t, 1, 20, SendOptions::ordered());
    assert_eq!(leave(&mut t), []);
    t.tx.resume(false);
    assert_eq!(leave(&mut t), [(1, 1)]);
}

/// A message in parts belongs to where its first part does, and what has no end can be taken back.
#[test]
fn parts_stay_together() {
    let mut t = T::new();
    send(&mut t, 1, 10, part());
    t.tx.pause(Streams::all(), false);
    assert!(!t.tx.has_left(), "it is begun");
    send(&mut t, 1, 10, SendOptions::ordered());
    assert_eq!(leave(&mut t), [(1, 0), (1, 0)]);
    assert!(t.tx.has_left());
    send(&mut t, 1, 1, SendOptions::ordered());
    send(&mut t, 1, 2, part());
    send(&mut t, 2, 3, part());
    assert!(t.tx.has_unfinished());
    let dropped = t.tx.drop_unfinished().unwrap();
    assert_eq!(dropped.iter().map(|m| m.message.payload.len()).collect::<Vec<_>>(), [2, 3]);
    assert!(!t.tx.has_unfinished());
    let left = t.tx.take_undelivered();
    assert_eq!(left.iter().map(|m| (m.message.payload.len(), m.sent)).collect::<Vec<_>>(), [(10, true), (10, true), (1, false)]);
    assert_eq!(t.tx.buffered(), 0);
}

/// What is held counts against the send buffer, and a shutdown waits for it.
#[test]
fn what_is_held_is_bounded_and_not_forgotten() {
    let mut t = T::new();
    t.tx.pause(Streams::all(), false);
    assert!(t.tx.is_drained(), "nothing is held");
    let mut taken = 0;
    while t.tx.enqueue(at(0), StreamId(1), Ppid(1), &mut Bytes::from(vec![7; 10_000]), SendOptions::ordered()).is_ok() {
        taken += 10_000;
        assert!(taken <= 1 << 20);
    }
    assert!(taken > (1 << 20) - 20_000 && !t.tx.is_drained());
    t.tx.resume(true);
    let mut t = T::new();
    t.tx.pause(Streams::all(), true);
    assert!(!t.tx.is_drained(), "a reset of TSNs goes before a shutdown");
}

/// RFC 6525 section 5.2.7 rule H5: TSNs begin where the peer says, and what is on its way of the old ones does no harm.
/// RFC 6525 rows: 5.2.7-6.
#[test]
fn tsns_begin_anew() {
    let mut t = T::new();
    t.queue(3, 10);
    assert_eq!(t.flush(at(0)).concat(), [0, 1, 2]);
    t.sack(at(10), 3, &[]);
    let next = Tsn(t.first).plus(3 + (1 << 31));
    t.tx.begin_at(next);
    assert_eq!(t.tx.next_tsn(), next);
    for old in [1, 2, 3] {
        assert!(t.sack(at(20), old, &[]).stale, "a late SACK");
    }
    t.queue(1, 10);
    assert_eq!(t.flush(at(30)).concat(), [3 + (1 << 31)]);
    let _ = t.sack(at(40), 4 + (1 << 31), &[]);
    assert!(t.tx.is_drained());
}
