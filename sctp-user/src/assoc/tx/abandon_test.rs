//! Partial reliability of the sender: against hand-made SACKs, and against a receiver over a bad link.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::loopback_test::{GOOD, Link, World, message};
use super::outstanding::ChunkState;
use super::tx_test::{FULL, P, T, at};
use crate::config::AssocConfig;
use crate::entropy::{Entropy as _, SeededEntropy};
use crate::error::SendError;
use crate::event::{Message, Reliability, SendOptions};
use crate::num::{Ppid, StreamId, Tsn, Vtag};
use crate::wire::chunk::{ForwardTsn, SkippedSsn};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

impl T {
    /// A sender whose peer has partial reliability, too.
    fn partial() -> Self {
        let mut t = Self::new();
        t.tx.allow_abandoning();
        t
    }

    fn give(&mut self, ms: u64, sid: u16, len: usize, reliability: Reliability) -> Result<(), SendError> {
        let opts = SendOptions { reliability, ..SendOptions::ordered() };
        self.tx.enqueue(at(ms), StreamId(sid), Ppid(9), &mut Bytes::from(vec![7; len]), opts)
    }

    /// The FORWARD TSN that is due, in a packet with room for `room` bytes of chunks: up to where, and which streams it skips.
    fn forward_in(&mut self, ms: u64, room: usize) -> Option<(u32, Vec<(u16, u16)>)> {
        let mut buf = Vec::new();
        let mut pkt = PacketWriter::new(&mut buf, CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) }, room + 12);
        if !self.tx.push_forward(at(ms), P, &mut self.paths, &mut pkt) {
            pkt.discard();
            return None;
        }
        assert!(pkt.finish() <= room + 12);
        let packet = Packet::parse(&buf).unwrap();
        let chunk = packet.chunks().next().unwrap().unwrap();
        match chunk.decode().unwrap() {
            Chunk::ForwardTsn(ForwardTsn { cum_tsn, skipped }) => {
                Some((cum_tsn.since(Tsn(self.first)) + 1, skipped.iter().map(|SkippedSsn { sid, ssn }| (sid.0, ssn.0)).collect()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// The FORWARD TSN that is due: how many of the first chunks it covers, and which streams it skips.
    fn forward(&mut self, ms: u64) -> Option<(u32, Vec<(u16, u16)>)> {
        self.forward_in(ms, 1400)
    }

    /// The messages given up since the last call: their streams and whether they were sent.
    fn abandoned(&mut self) -> Vec<(u16, bool)> {
        self.tx.take_abandoned().into_iter().map(|u| (u.message.sid.0, u.sent)).collect()
    }

    fn t3(&mut self, ms: u64) {
        self.tx.on_t3(at(ms), P, &mut self.paths);
        self.tx.begin_opportunity();
        self.tx.prune(at(ms), &mut self.paths);
    }
}

/// RFC 3758 rows: 3.5-2, 3.5-3, 3.5-4, 3.5-15, 3.5-23. Pitfall 91: no retransmission means that it is sent once.
#[test]
fn without_retransmissions_a_lost_message_is_sent_once() {
    let mut t = T::partial();
    t.give(0, 1, 100, Reliability::Retransmissions(0)).unwrap();
    assert_eq!(t.flush(at(0)), [[0]]);
    let cwnd = t.path().cc.window();
    t.t3(1000);
    assert_eq!(t.abandoned(), [(1, true)]);
    assert!(t.path().cc.window() < cwnd, "the loss counts for congestion all the same (RFC 3758 section 3.5 F5)");
    assert_eq!((t.path().in_flight, t.path().outstanding), (0, 0));
    assert!(t.flush(at(1000)).is_empty());
    assert_eq!(t.forward(1000), Some((1, vec![(1, 0)])));
    assert!(t.path().t3.is_some(), "RFC 3758 section 3.5 C5");
    assert_eq!(t.forward(1000), None, "once");
    // It is lost: T3-rtx has it sent again, and counts an error.
    assert!(t.tx.on_t3(at(3000), P, &mut t.paths).count_error);
    assert_eq!(t.forward(3000), Some((1, vec![(1, 0)])));
    assert!(!t.tx.is_drained(), "a shutdown waits until the peer has heard of it");
    let window = t.path().cc.window();
    let s = t.sack(at(3100), 1, &[]);
    assert!(s.clear_errors && s.newly_acked_bytes == 0);
    assert_eq!((t.path().t3, t.path().cc.window()), (None, window), "nothing grows for what was given up");
    assert!(t.tx.is_drained() && !t.tx.forward_due());
}

#[test]
fn so_many_retransmissions_as_were_asked_for_whatever_causes_them() {
    let mut t = T::partial();
    t.give(0, 1, FULL, Reliability::Retransmissions(2)).unwrap();
    t.send_full(at(0), 9);
    for n in 1..=3 {
        t.sack(at(20 + n), 0, &[(1, u32::try_from(n).unwrap())]);
    }
    assert_eq!(t.flush(at(30)), [[0]], "a fast retransmission");
    t.sack(at(60), 0, &[(1, 9)]);
    t.t3(2000);
    assert_eq!(t.flush(at(2000)), [[0]], "one after a timeout");
    assert!(t.abandoned().is_empty());
    t.t3(6000);
    assert_eq!(t.abandoned(), [(1, true)]);
    assert!(t.flush(at(6000)).is_empty());
    assert_eq!(t.forward(6000), Some((1, vec![(1, 0)])), "what the peer has beyond is not abandoned");
    t.sack(at(6100), 10, &[]);
    assert!(t.tx.is_drained());
}

/// Pitfall 91: the lifetime is looked at before the first transmission, too.
#[test]
fn a_lifetime_ends_in_the_queue_and_before_each_retransmission() {
    let mut t = T::partial();
    t.queue(4, FULL);
    t.give(0, 1, 100, Reliability::Lifetime(Duration::from_millis(500))).unwrap();
    t.give(0, 1, 100, Reliability::Lifetime(Duration::from_millis(5000))).unwrap();
    assert_eq!(t.flush(at(0)), [[0], [1], [2], [3]]);
    t.sack(at(600), 4, &[]);
    t.tx.prune(at(600), &mut t.paths);
    assert_eq!(t.abandoned(), [(1, false)]);
    assert_eq!(t.flush(at(600)), [[4]], "no TSN was spent on what had not left");
    assert_eq!(t.forward(600), None);
    t.t3(1700);
    assert_eq!(t.flush(at(1700)), [[4]], "its time has not come");
    t.t3(6000);
    assert_eq!(t.abandoned(), [(1, true)]);
    assert_eq!(t.forward(6000), Some((5, vec![(1, 4)])));
    // Marked to be sent again, but waiting: its time ends meanwhile.
    let mut t = T::partial();
    t.give(0, 1, 100, Reliability::Lifetime(Duration::from_millis(2000))).unwrap();
    t.flush(at(0));
    t.tx.on_t3(at(1000), P, &mut t.paths);
    assert!(t.abandoned().is_empty());
    t.tx.begin_opportunity();
    t.tx.prune(at(2000), &mut t.paths);
    assert_eq!((t.tx.next_data(at(2000), &t.paths), t.abandoned()), (None, vec![(1, true)]));
}

/// RFC 3758 rows: 3.5-5. Pitfall 91: a message of which a part was sent is given up whole.
#[test]
fn all_of_a_message_is_given_up_together() {
    let mut t = T::partial();
    t.give(0, 1, 10 * FULL, Reliability::Lifetime(Duration::from_millis(50))).unwrap();
    t.queue(1, 10);
    assert_eq!(t.flush(at(0)), [[0], [1], [2], [3]]);
    // All that was sent arrives, so that nothing is missing at the peer, but the end.
    t.sack(at(40), 2, &[(3, 3)]);
    t.tx.prune(at(60), &mut t.paths);
    assert_eq!(t.abandoned(), [(1, true)]);
    assert_eq!((t.path().in_flight, t.path().outstanding), (0, 0));
    assert_eq!(t.forward(60), Some((5, vec![(1, 0)])), "a TSN stands for what was not sent");
    assert_eq!(t.tx.buffered(), 10, "its memory is free");
    t.tx.begin_opportunity();
    let next = t.packet(at(60)).unwrap();
    assert_eq!((next[0].tsn, next[0].ssn, next[0].begin), (5, 1, true));
    assert!(
        t.tx.on_sack(
            at(90),
            &crate::wire::chunk::Sack {
                cum_tsn: Tsn(t.first + 5),
                a_rwnd: 1 << 20,
                gaps: crate::wire::chunk::Gaps::List(&[]),
                dups: crate::wire::chunk::Duplicates::List(&[]),
            },
            &mut t.paths
        )
        .unwrap()
        .cum_advanced
    );
    assert!(t.tx.is_drained());
}

/// The peer has acknowledged all that was sent of it, and takes that back: still nothing of it is sent again.
#[test]
fn what_is_given_up_stays_so_whatever_the_peer_acknowledges() {
    let mut t = T::partial();
    t.queue(1, FULL);
    t.give(0, 2, 2 * FULL, Reliability::Retransmissions(0)).unwrap();
    t.queue(1, FULL);
    assert_eq!(t.flush(at(0)), [[0], [1], [2], [3]]);
    t.sack(at(20), 0, &[(1, 1), (3, 3)]);
    t.t3(1000);
    assert_eq!(t.abandoned(), [(2, true)]);
    assert_eq!(t.forward(1000), None, "the first chunk is not given up");
    t.sack(at(1010), 0, &[(3, 3)]);
    t.sack(at(1020), 0, &[(1, 3)]);
    t.sack(at(1030), 0, &[]);
    for n in 1..=2 {
        assert_eq!(t.tx.out.get(n + 1).unwrap().state, ChunkState::Abandoned);
    }
    t.sack(at(1040), 1, &[]);
    assert_eq!(t.forward(1040), Some((3, vec![(2, 0)])));
    t.sack(at(1050), 4, &[]);
    assert!(t.tx.is_drained());
    assert_eq!((t.path().in_flight, t.path().outstanding), (0, 0));
}

/// Unordered messages are in no list; each stream has one entry. RFC 3758 rows: 3.2-3, 3.2-4, 3.5-10, 3.5-11, 3.5-12.
#[test]
fn a_forward_tsn_lists_each_ordered_stream_once() {
    let mut t = T::partial();
    for (sid, unordered) in [(3, false), (1, false), (2, true), (3, false), (5, false), (4, false)] {
        let opts = SendOptions { reliability: Reliability::Retransmissions(0), unordered, ..SendOptions::ordered() };
        t.tx.enqueue(at(0), StreamId(sid), Ppid(0), &mut Bytes::from_static(b"x"), opts).unwrap();
    }
    let order = t.flush(at(0));
    assert_eq!(order.concat().len(), 6);
    t.t3(1000);
    assert_eq!(t.forward(1000), Some((6, vec![(1, 0), (3, 1), (4, 0), (5, 0)])));
}

/// RFC 3758 rows: 3.5-13.
#[test]
fn a_forward_tsn_goes_no_farther_than_its_packet_has_room() {
    let mut t = T::partial();
    for sid in 0..5 {
        t.give(0, sid, 10, Reliability::Retransmissions(0)).unwrap();
    }
    t.flush(at(0));
    t.t3(1000);
    assert_eq!(t.forward_in(1000, 8 + 3 * 4).map(|(n, list)| (n, list.len())), Some((3, 3)));
    assert_eq!(t.forward(1000), None);
    t.sack(at(1100), 3, &[]);
    assert_eq!(t.forward(1100), Some((5, vec![(3, 0), (4, 0)])), "the rest follows");
}

/// RFC 3758 rows: 3.5-18, 3.5-19, 3.5-20, 3.5-21, 3.5-22.
#[test]
fn a_forward_tsn_is_repeated_when_sacks_show_that_it_did_not_arrive() {
    let mut t = T::partial();
    t.give(0, 1, FULL, Reliability::Retransmissions(0)).unwrap();
    t.send_full(at(0), 12);
    for n in 1..=3 {
        t.sack(at(20 + n), 0, &[(1, u32::try_from(n).unwrap())]);
    }
    assert_eq!(t.forward(23), Some((1, vec![(1, 0)])));
    t.sack(at(25), 0, &[(1, 5)]);
    assert_eq!(t.forward(25), None, "it is on its way");
    t.sack(at(230), 0, &[(1, 7)]);
    assert_eq!(t.forward(230), Some((1, vec![(1, 0)])), "by now it should have been there");
    // A SACK is out of order by the cumulative TSN that the peer acknowledged, not by what it was told.
    assert!(!t.sack(at(240), 0, &[(1, 8)]).stale);
    t.sack(at(250), 9, &[]);
    assert!(t.sack(at(251), 0, &[(1, 8)]).stale);
    assert_eq!(t.forward(500), None);
}

/// RFC 7496 section 3.2.
#[test]
fn important_messages_take_the_room_of_less_important_ones() {
    let cfg = AssocConfig { nagle: false, send_buffer: 10_000, ..AssocConfig::rfc() };
    let mut t = T::with(&cfg, 100);
    t.tx.allow_abandoning();
    for (sid, priority) in [(1, 5), (2, 7), (3, 7), (4, 1)] {
        t.give(0, sid, 2000, Reliability::Priority(priority)).unwrap();
    }
    t.give(0, 5, 2000, Reliability::Full).unwrap();
    assert_eq!(t.give(0, 6, 2000, Reliability::Priority(7)), Err(SendError::WouldBlock), "nobody gives way to an equal");
    assert_eq!(t.give(0, 6, 9000, Reliability::Priority(0)), Err(SendError::WouldBlock), "for nothing, none is given up");
    assert!(t.abandoned().is_empty());
    t.give(0, 6, 3000, Reliability::Priority(6)).unwrap();
    assert_eq!(t.abandoned(), [(3, false), (2, false)], "the youngest of the least important first");
    t.give(0, 7, 3000, Reliability::Full).unwrap();
    assert_eq!(t.abandoned(), [(6, false)]);
    let counts = t.tx.abandoned(None, None);
    assert_eq!((counts.unsent, counts.sent), (3, 0));
    assert_eq!(t.tx.abandoned(Some(StreamId(6)), None).unsent, 1);
    // Of what was sent, nothing gives way.
    while !t.flush(at(0)).is_empty() {
        t.path().cc.on_ack(&crate::cc::AckInfo::test(at(0), 1460, usize::MAX));
    }
    assert_eq!(t.give(0, 8, 9000, Reliability::Full), Err(SendError::WouldBlock));
    assert!(t.abandoned().is_empty());
}

/// Without the extension at the peer only what has not left can be given up.
#[test]
fn a_peer_without_the_extension_gets_all_that_was_begun() {
    let mut t = T::new();
    t.give(0, 1, FULL, Reliability::Retransmissions(0)).unwrap();
    t.give(0, 2, 6 * FULL, Reliability::Lifetime(Duration::from_millis(10))).unwrap();
    t.give(0, 3, FULL, Reliability::Lifetime(Duration::from_millis(10))).unwrap();
    t.flush(at(0));
    t.t3(1000);
    for n in 0..40 {
        t.flush(at(1000 + n));
        let all = u32::try_from(t.tx.out.next_index() - 1).unwrap();
        t.sack(at(1000 + n), all, &[]);
        assert!(!t.tx.forward_due());
    }
    assert_eq!(t.abandoned(), [(3, false)]);
    assert!(t.tx.is_drained());
}

/// A lifetime that is over makes room, whoever asks.
#[test]
fn a_full_buffer_is_cleared_of_what_is_too_old() {
    let cfg = AssocConfig { nagle: false, send_buffer: 10_000, ..AssocConfig::rfc() };
    let mut t = T::with(&cfg, 100);
    for sid in 0..5 {
        t.give(0, sid, 2000, Reliability::Lifetime(Duration::from_millis(100))).unwrap();
    }
    assert_eq!(t.give(99, 9, 2000, Reliability::Full), Err(SendError::WouldBlock));
    t.give(100, 9, 9000, Reliability::Full).unwrap();
    assert_eq!(t.abandoned().len(), 5);
}

fn policy(rng: &mut SeededEntropy) -> Reliability {
    match rng.below(5) {
        0 => Reliability::Full,
        1 => Reliability::Lifetime(Duration::from_millis(rng.below(400))),
        2 => Reliability::Retransmissions(0),
        3 => Reliability::Retransmissions(u32::try_from(rng.below(3)).unwrap()),
        _ => Reliability::Priority(u32::try_from(rng.below(3)).unwrap()),
    }
}

/// Every message arrives or is reported; what was never sent does not arrive; what is reliable does; each stream keeps its order.
fn judge(sent: &VecDeque<(u16, Bytes, SendOptions)>, received: &[Message], abandoned: &[super::Undelivered]) {
    assert!(received.iter().all(|m| !m.more));
    let arrived = |payload: &Bytes| received.iter().filter(|m| m.payload == *payload).count();
    for (_, payload, opts) in sent {
        let times = arrived(payload);
        let reported = abandoned.iter().find(|u| u.message.payload == *payload);
        assert!(times <= 1, "twice");
        match reported {
            None => assert_eq!(times, 1, "lost without a word: {opts:?}"),
            Some(u) => assert!(opts.reliability != Reliability::Full && (u.sent || times == 0), "{opts:?}"),
        }
    }
    for sid in 0..70 {
        let place = |m: &Message| sent.iter().position(|s| s.1 == m.payload).unwrap();
        let places: Vec<_> = received.iter().filter(|m| m.sid.0 == sid && !m.unordered).map(place).collect();
        assert!(places.is_sorted(), "stream {sid}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn every_message_arrives_or_is_reported(
        seed: u64, loss in 0_u64..300, duplicate in 0_u64..100, jitter in 0_u64..40, nagle: bool, both: bool, interleaved: bool,
        buffer in prop::sample::select(vec![3000_usize, 20_000, 1 << 20]), greed in prop::sample::select(vec![1, usize::MAX]),
    ) {
        let cfg = AssocConfig { nagle, recv_buffer: buffer, send_buffer: 1 << 16, ..AssocConfig::rfc() };
        let link = Link { jitter: Duration::from_millis(jitter), loss, duplicate, ..GOOD };
        let mut rng = SeededEntropy::new(seed);
        let tsns = [0_u32.wrapping_sub(u32::try_from(rng.below(90)).unwrap()), 0_u32.wrapping_sub(5)];
        let mut world = World::new(&cfg, seed, tsns, link);
        if interleaved {
            world.interleave(&cfg, tsns);
        }
        for side in &mut world.sides {
            side.greed = greed;
            if both {
                side.tx.allow_abandoning();
            }
        }
        let mut messages = |count: u32| -> VecDeque<_> {
            (0..count).map(|n| {
                let short = rng.below(3) > 0;
                let len = usize::try_from(rng.below(if short { 300 } else { 20_000 })).unwrap();
                let opts = SendOptions { reliability: policy(&mut rng), unordered: rng.below(4) == 0, ..SendOptions::ordered() };
                (u16::try_from(rng.below(6)).unwrap(), message(n, len + 4), opts)
            }).collect()
        };
        let messages = [messages(200), messages(100)];
        world.exchange(messages.clone());
        judge(&messages[0], &world.sides[1].received, &world.sides[0].abandoned);
        judge(&messages[1], &world.sides[0].received, &world.sides[1].abandoned);
        prop_assert!(both || world.sides.iter().all(|s| s.forwards == 0));
    }
}
