//! The sender against hand-made SACKs.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::outstanding::ChunkState;
use super::send::MUCH_IN_FLIGHT;
use super::{SackSummary, Tx, Violation};
use crate::assoc::path::{Path, PathId, Paths};
use crate::config::AssocConfig;
use crate::error::SendError;
use crate::event::SendOptions;
use crate::net::Channel;
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};
use crate::time::Time;
use crate::wire::chunk::{Duplicates, GapBlock, Gaps, Sack};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

pub(super) const P: PathId = PathId(0);
/// Room for chunks in a packet over IPv4 and UDP with an MTU of 1500.
pub(super) const PMDCS: usize = 1460;
pub(super) const FULL: usize = PMDCS - 16;

/// A chunk as it went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) tsn: u32,
    pub(super) sid: u16,
    pub(super) ssn: u16,
    pub(super) len: usize,
    pub(super) begin: bool,
    pub(super) end: bool,
    pub(super) i: bool,
}

pub(super) struct T {
    pub(super) tx: Tx,
    pub(super) paths: Paths,
    pub(super) first: u32,
}

pub(super) fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

impl T {
    pub(super) fn with(cfg: &AssocConfig, first: u32) -> Self {
        let path = Path::new(cfg, Time::ZERO, "10.0.0.1".parse().unwrap(), None, Channel::Udp { local: 1, remote: 2 });
        Self { tx: Tx::new(cfg, Tsn(first), 10, 1 << 20), paths: Paths::new(path), first }
    }

    pub(super) fn new() -> Self {
        Self::with(&AssocConfig { nagle: false, ..AssocConfig::rfc() }, 100)
    }

    pub(super) fn path(&mut self) -> &mut Path {
        self.paths.get_mut(P).unwrap()
    }

    pub(super) fn queue(&mut self, count: usize, len: usize) {
        for _ in 0..count {
            self.tx.enqueue(Time::ZERO, StreamId(1), Ppid(9), &mut Bytes::from(vec![7; len]), SendOptions::ordered()).unwrap();
        }
    }

    /// One packet, if one may go.
    pub(super) fn packet(&mut self, now: Time) -> Option<Vec<Sent>> {
        let next = self.tx.next_data(now, &self.paths)?;
        let mut buf = Vec::new();
        let header = CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) };
        let mut pkt = PacketWriter::new(&mut buf, header, self.paths.get(next.0).unwrap().max_packet());
        assert!(self.tx.fill(now, next, &mut self.paths, &mut pkt) > 0);
        pkt.finish();
        let first = self.first;
        let chunks = Packet::parse(&buf).unwrap().chunks().map(|c| match c.unwrap().decode().unwrap() {
            Chunk::Data(d) => Sent {
                tsn: d.tsn.since(Tsn(first)),
                sid: d.sid.0,
                ssn: d.ssn.0,
                len: d.payload.len(),
                begin: d.begin,
                end: d.end,
                i: d.immediate,
            },
            other => panic!("{other:?}"),
        });
        Some(chunks.collect())
    }

    /// All packets of one opportunity, by their chunks' TSNs counted from the first.
    pub(super) fn flush(&mut self, now: Time) -> Vec<Vec<u32>> {
        self.tx.begin_opportunity();
        let packets = core::iter::from_fn(|| self.packet(now)).map(|p| p.iter().map(|c| c.tsn).collect()).collect();
        self.tx.end_opportunities(now, &mut self.paths);
        packets
    }

    /// A SACK of the first `n` chunks and of the chunks in `gaps`, counted from 0.
    pub(super) fn sack_window(&mut self, now: Time, n: u32, gaps: &[(u32, u32)], a_rwnd: u32) -> Result<SackSummary, Violation> {
        let cum_tsn = Tsn(self.first).plus(n).prev();
        let gap = |o: u32| u16::try_from(o + 1 - n).unwrap();
        let list: Vec<_> = gaps.iter().map(|&(a, b)| GapBlock { start: gap(a), end: gap(b) }).collect();
        let sack = Sack { cum_tsn, a_rwnd, gaps: Gaps::List(&list), dups: Duplicates::List(&[]) };
        self.tx.on_sack(now, &sack, &mut self.paths)
    }

    pub(super) fn sack(&mut self, now: Time, n: u32, gaps: &[(u32, u32)]) -> SackSummary {
        self.sack_window(now, n, gaps, 1 << 20).unwrap()
    }

    /// Sends single packets until `n` chunks of full size are out, whatever the window says.
    pub(super) fn send_full(&mut self, now: Time, n: usize) {
        self.queue(n, FULL);
        // A window that lets them all out.
        for _ in 0..64 {
            self.path().cc.on_ack(&crate::cc::AckInfo::test(now, PMDCS, usize::MAX));
        }
        while !self.tx.queue.is_empty() {
            assert!(!self.flush(now).is_empty());
        }
    }
}

/// RFC 9260 rows: 6.1-11, 6.1-12, 6.1-13, 6.1-18, 7.2.1-4.
#[test]
fn the_initial_window_may_be_exceeded_by_less_than_a_packet() {
    let mut t = T::new();
    t.queue(10, FULL);
    assert_eq!(t.flush(at(0)), [[0], [1], [2], [3]], "three packets and a bit are 4404 bytes");
    assert_eq!(t.path().in_flight, 4 * PMDCS);
    assert_eq!(t.flush(at(0)), Vec::<Vec<u32>>::new());
    assert_eq!(t.path().t3, Some(at(1000)));
}

/// RFC 9260 rows: 6.1-15, 6.1-16. Pitfall 84.
#[test]
fn max_burst_limits_what_one_opportunity_sends() {
    let mut t = T::new();
    t.send_full(at(0), 1);
    t.queue(20, FULL);
    let cwnd = t.path().cc.window();
    assert_eq!(t.flush(at(0)).len(), 4);
    assert_eq!(t.path().cc.window(), cwnd, "the limit is no smaller window");
    t.tx.begin_opportunity();
    t.tx.begin_opportunity();
    assert_eq!(t.flush(at(0)).len(), 12, "opportunities of one batch add up");
    assert!(t.tx.next_data(at(0), &t.paths).is_none(), "none is carried over");
}

#[test]
fn a_send_of_many_packets_waits_for_the_sacks_of_much_in_flight() {
    let mut t = T::with(&AssocConfig::rfc(), u32::MAX);
    let goes = |t: &mut T, len| {
        t.tx.begin_opportunity_of_send(len, &t.paths);
        let goes = t.tx.next_data(at(0), &t.paths).is_some();
        t.tx.end_opportunities(at(0), &mut t.paths);
        goes
    };
    // Each lets the window grow by 64 packets.
    (0..2).for_each(|_| t.send_full(at(0), MUCH_IN_FLIGHT / FULL / 2));
    t.queue(10, FULL);
    assert!(goes(&mut t, 10 * FULL), "little is in flight");
    assert_eq!(t.flush(at(0)).len(), 4);
    assert!(!goes(&mut t, 10 * FULL));
    assert!(goes(&mut t, 4 * FULL), "an opportunity takes all of it");
    t.sack(at(20), 2, &[]);
    assert_eq!(t.flush(at(20)).len(), 4, "a SACK gives another one");
}

/// Pitfall 47.
#[test]
fn long_messages_are_fragmented_to_full_packets() {
    let mut t = T::with(&AssocConfig { nagle: false, sender_i_bit: false, ..AssocConfig::rfc() }, u32::MAX);
    t.queue(1, 2 * FULL + 1);
    t.queue(1, 5);
    t.tx.begin_opportunity();
    let chunk = |tsn, ssn, len, begin, end| Sent { tsn, sid: 1, ssn, len, begin, end, i: false };
    assert_eq!(t.packet(at(0)).unwrap(), [chunk(0, 0, FULL, true, false)]);
    assert_eq!(t.packet(at(0)).unwrap(), [chunk(1, 0, FULL, false, false)]);
    assert_eq!(t.packet(at(0)).unwrap(), [chunk(2, 0, 1, false, true), chunk(3, 1, 5, true, true)]);
    assert_eq!(t.packet(at(0)), None);
}

/// RFC 9260 rows: 7.2.3-1, 7.2.4-2, 7.2.4-4, 7.2.4-5, 7.2.4-6. Pitfall 56.
#[test]
fn fast_retransmit_at_the_third_miss_once_and_beyond_cwnd() {
    let mut t = T::new();
    t.send_full(at(0), 20);
    let cwnd = t.path().cc.window();
    t.sack(at(20), 0, &[(1, 1)]);
    t.sack(at(21), 0, &[(1, 2)]);
    assert_eq!(t.flush(at(21)), Vec::<Vec<u32>>::new());
    let s = t.sack(at(22), 0, &[(1, 3)]);
    assert!(s.clear_errors && !s.cum_advanced && s.newly_acked_bytes == PMDCS);
    let half = (cwnd / 2).max(4 * PMDCS);
    assert_eq!((t.path().cc.window(), t.path().cc.slow_start_threshold()), (half, half));
    let t3 = t.path().t3;
    assert_eq!(t.flush(at(30)), [[0]], "at once, first");
    assert_ne!(t.path().t3, t3, "the earliest chunk is sent again: T3 restarts");
    // A second loss in the same recovery costs no further window, and waits for room.
    for n in 4..8 {
        t.sack(at(31), 0, &[(1, n), (n + 2, 19)]);
    }
    assert_eq!(t.path().cc.window(), half);
    // What was sent at time 0 cannot tell that the retransmission is lost.
    assert_eq!(t.tx.out.get(1).unwrap().state, ChunkState::InFlight);
    t.sack(at(50), 20, &[]);
    assert!(t.tx.recovery.is_none() && t.tx.is_drained());
    assert_eq!((t.path().t3, t.path().in_flight), (None, 0));
}

/// RFC 9260 rows: 7.2.4-3, 6.7-4, 6.7-5.
#[test]
fn only_newly_acknowledged_higher_chunks_count_as_misses() {
    let mut t = T::new();
    t.send_full(at(0), 10);
    t.sack(at(20), 0, &[(5, 5)]);
    for _ in 0..10 {
        t.sack(at(21), 0, &[(5, 5)]);
    }
    assert_eq!(t.flush(at(21)), Vec::<Vec<u32>>::new(), "the same SACK again says nothing new");
    t.sack(at(22), 0, &[(3, 3), (5, 5)]);
    t.sack(at(23), 0, &[(2, 3), (5, 5)]);
    assert_eq!(t.tx.out.get(5).unwrap().misses, 1, "chunk 4 lies above the newly acknowledged ones");
    assert_eq!(t.tx.out.first_marked(), Some(1), "chunk 0 lies below");
    assert_eq!(t.tx.out.get(2).unwrap().misses, 0, "missed thrice, marked");
    assert_eq!(t.flush(at(24)), [[0], [1]]);
}

#[test]
fn a_lost_fast_retransmission_is_repeated_if_later_data_arrives() {
    for repeat in [true, false] {
        let cfg = AssocConfig { nagle: false, repeat_fast_retransmit: repeat, ..AssocConfig::rfc() };
        let mut t = T::with(&cfg, 0_u32.wrapping_sub(3));
        t.send_full(at(0), 10);
        for n in 1..4 {
            t.sack(at(20), 0, &[(1, n)]);
        }
        assert_eq!(t.flush(at(21))[0], [0]);
        t.sack(at(40), 0, &[(1, 9)]);
        t.queue(4, FULL);
        assert_eq!(t.flush(at(41)), [[10], [11], [12], [13]]);
        for n in 10..13 {
            t.sack(at(60), 0, &[(1, n)]);
        }
        let expected: &[Vec<u32>] = if repeat { &[vec![0]] } else { &[] };
        assert_eq!(t.flush(at(61)), expected);
    }
}

/// RFC 9260 rows: 6.1-1, 6.1-14, 6.3.3-2, 7.2.1-2, 7.2.3-2. Pitfalls 54, 55 and 57.
#[test]
fn timeout_sends_one_packet_and_new_data_waits() {
    let mut t = T::new();
    t.send_full(at(0), 10);
    t.queue(5, 10);
    let cwnd = t.path().cc.window();
    assert!(t.tx.on_t3(at(1000), P, &mut t.paths).count_error);
    assert_eq!(t.path().rto(), Duration::from_secs(2));
    assert_eq!((t.path().cc.window(), t.path().cc.slow_start_threshold()), (PMDCS, (cwnd / 2).max(4 * PMDCS)));
    assert_eq!((t.path().in_flight, t.tx.out.flight_payload()), (0, 0));
    assert_eq!(t.flush(at(1000)), [[0]]);
    assert_eq!(t.path().t3, Some(at(3000)));
    t.sack(at(1020), 1, &[]);
    assert_eq!(t.path().cc.window(), 2 * PMDCS);
    assert_eq!(t.flush(at(1020)), [[1], [2]]);
    assert_eq!(t.path().rto(), Duration::from_secs(2), "Karn: no measurement from what was sent again");
    t.sack(at(1040), 10, &[]);
    assert_eq!(t.flush(at(1040)), [[10, 11, 12, 13, 14]]);
    t.sack(at(1060), 15, &[]);
    assert_eq!((t.path().rto(), t.path().rtt.srtt()), (Duration::from_secs(1), Some(Duration::from_millis(20))));
    assert_eq!(t.path().t3, None);
}

/// RFC 9260 rows: 6.10-4.
#[test]
fn small_chunks_are_bundled_when_sent_again() {
    let mut t = T::new();
    t.queue(3, 100);
    assert_eq!(t.flush(at(0)), [[0, 1, 2]]);
    t.queue(2, 100);
    t.flush(at(1));
    t.tx.on_t3(at(1000), P, &mut t.paths);
    t.queue(1, 100);
    assert_eq!(t.flush(at(1000)), [[0, 1, 2, 3, 4]], "the new one waits");
    t.sack(at(1010), 2, &[]);
    assert_eq!(t.flush(at(1010)), [[5]]);
}

/// RFC 9260 rows: 6.1-21.
#[test]
fn t3_restarts_only_when_the_earliest_chunk_is_acknowledged() {
    let mut t = T::new();
    t.send_full(at(0), 4);
    assert_eq!(t.path().t3, Some(at(1000)));
    t.sack(at(100), 0, &[(1, 2)]);
    assert_eq!(t.path().t3, Some(at(1000)));
    t.sack(at(200), 1, &[(1, 1)]);
    assert_eq!(t.path().t3, Some(at(1200)));
}

/// Pitfalls 51 and 53.
#[test]
fn reneging_puts_chunks_back_in_flight() {
    let mut t = T::new();
    t.send_full(at(0), 3);
    t.sack(at(10), 0, &[(1, 2)]);
    assert_eq!(t.path().in_flight, PMDCS);
    t.path().t3 = None;
    t.sack(at(11), 0, &[]);
    assert_eq!((t.path().in_flight, t.path().outstanding), (3 * PMDCS, 3));
    assert_eq!(t.path().t3, Some(at(1011)));
    assert_eq!(t.tx.out.get(2).unwrap().misses, 1);
    // A SHUTDOWN says nothing about gaps.
    t.sack(at(12), 0, &[(2, 2)]);
    let s = t.tx.on_shutdown_cum(at(13), Tsn(100), &mut t.paths).unwrap();
    assert!(s.cum_advanced);
    assert_eq!(t.path().in_flight, PMDCS, "chunk 2 is still acknowledged");
    assert_eq!(t.tx.on_shutdown_cum(at(14), Tsn(103), &mut t.paths), Err(Violation("SACK of a TSN that was never sent")));
    t.tx.on_shutdown_cum(at(14), Tsn(102), &mut t.paths).unwrap();
    assert!(t.tx.is_drained());
}

/// Pitfalls 49, 50 and 52. Attack class 9.
#[test]
fn nonsense_is_refused_or_ignored() {
    let mut t = T::new();
    t.send_full(at(0), 5);
    assert!(t.sack_window(at(1), 6, &[], 1000).is_err(), "cumulative");
    assert!(t.sack_window(at(1), 0, &[(1, 5)], 1000).is_err(), "by a gap block");
    assert_eq!(t.path().in_flight, 5 * PMDCS, "nothing changed");
    t.sack(at(2), 2, &[]);
    let stale = t.sack_window(at(3), 1, &[], 0).unwrap();
    assert!(stale.stale);
    assert_eq!(t.tx.window.room(0), 1 << 20, "not even the window is taken from an old SACK");
    // Reversed, empty, overlapping and unordered blocks.
    let list = [(3, 3), (3, 2), (0, 9), (2, 3), (2, 2), (0, 0)].map(|(start, end)| GapBlock { start, end });
    let sack = Sack { cum_tsn: Tsn(101), a_rwnd: 9, gaps: Gaps::List(&list), dups: Duplicates::List(&[]) };
    t.tx.on_sack(at(4), &sack, &mut t.paths).unwrap();
    assert_eq!(t.path().in_flight, PMDCS);
    assert_eq!(t.tx.out.acked().len(), 1);
}

/// RFC 9260 rows: 6.1-2, 6.1-4, 6.1-5, 6.1-7, 6.1-8. Pitfall 48.
#[test]
fn the_window_of_the_peer_limits_new_data_and_probes_wait() {
    let mut t = T::new();
    t.send_full(at(0), 1);
    t.sack_window(at(10), 1, &[], 500).unwrap();
    assert_eq!(t.path().t3, Some(at(1010)), "wait for the probe");
    t.queue(3, 400);
    assert_eq!(t.flush(at(11)), [[1]], "400 bytes fit");
    t.sack_window(at(20), 2, &[], 0).unwrap();
    assert_eq!(t.flush(at(20)), Vec::<Vec<u32>>::new());
    assert_eq!(t.path().t3, Some(at(1020)));
    assert!(!t.tx.on_t3(at(1020), P, &mut t.paths).count_error);
    assert_eq!(t.flush(at(1020)), [[2]], "one chunk");
    let cwnd = t.path().cc.window();
    assert_eq!(t.path().t3, Some(at(3020)), "backed off");
    t.sack_window(at(1030), 2, &[], 0).unwrap();
    assert!(!t.tx.on_t3(at(3020), P, &mut t.paths).count_error, "the peer answered");
    assert_eq!(t.flush(at(3020)), [[2]]);
    assert_eq!((t.path().t3, t.path().cc.window()), (Some(at(7020)), cwnd));
    assert!(t.tx.on_t3(at(7020), P, &mut t.paths).count_error, "the peer is silent");
    assert_eq!(t.flush(at(7020)), [[2]]);
    t.sack_window(at(7030), 2, &[], 5000).unwrap();
    assert_eq!(t.flush(at(7030)), [[2]], "it was dropped: sent again at once");
    t.sack_window(at(7040), 3, &[], 5000).unwrap();
    assert_eq!(t.flush(at(7040)), [[3]]);
}

#[test]
fn i_bits_end_bursts() {
    let bits = |t: &mut T| {
        t.tx.begin_opportunity();
        let all: Vec<bool> = core::iter::from_fn(|| t.packet(at(0))).flatten().map(|c| c.i).collect();
        t.tx.end_opportunities(at(0), &mut t.paths);
        all
    };
    let mut t = T::new();
    t.queue(3, 10);
    assert_eq!(bits(&mut t), [false, false, true], "the queue is empty");
    let mut t = T::new();
    t.queue(9, FULL);
    assert_eq!(bits(&mut t), [false, false, false, true], "cwnd is full");
    let mut t = T::new();
    t.tx.window.set(2500);
    t.queue(3, 1000);
    assert_eq!(bits(&mut t), [false, true], "rwnd is full");
    let mut t = T::with(&AssocConfig { sender_i_bit: false, nagle: false, ..AssocConfig::rfc() }, 1);
    t.queue(1, 10);
    t.tx.enqueue(
        Time::ZERO,
        StreamId(0),
        Ppid(0),
        &mut Bytes::from_static(b"x"),
        SendOptions { sack_immediately: true, ..SendOptions::ordered() },
    )
    .unwrap();
    assert_eq!(bits(&mut t), [false, true], "as the application asked");
}

/// Pitfall 85.
#[test]
fn nagle_waits_for_a_full_packet_while_data_is_outstanding() {
    let mut t = T::with(&AssocConfig::rfc(), 1);
    t.queue(1, 100);
    assert_eq!(t.flush(at(0)), [[0]]);
    t.queue(1, 100);
    assert_eq!(t.flush(at(1)), Vec::<Vec<u32>>::new());
    t.queue(12, 100);
    assert_eq!(t.flush(at(2)).len(), 1, "a packet is full");
    assert!(!t.tx.queue.is_empty());
    t.tx.set_shutdown_pending();
    assert_eq!(t.flush(at(3)).len(), 1, "nothing more will come");
}

/// RFC 9260 rows: 6.5-1. Attack class 10.
#[test]
fn sends_are_checked_and_the_buffer_is_bounded() {
    let cfg = AssocConfig { send_buffer: 1000, max_message: 5000, ..AssocConfig::rfc() };
    let mut t = T::with(&cfg, 1);
    let mut send =
        |sid: u16, len: usize| t.tx.enqueue(Time::ZERO, StreamId(sid), Ppid(0), &mut Bytes::from(vec![0; len]), SendOptions::ordered());
    assert_eq!(send(10, 1), Err(SendError::InvalidStream));
    assert_eq!(send(0, 0), Err(SendError::Empty));
    assert_eq!(send(0, 5001), Err(SendError::TooLong { len: 5001, max: 5000 }));
    assert_eq!(send(0, 5000), Ok(()), "an empty buffer takes any message");
    assert_eq!(send(0, 1), Err(SendError::WouldBlock));
    assert_eq!(t.tx.buffered(), 5000);
    t.flush(at(0));
    assert!(!t.sack(at(1), 3, &[]).writable, "668 bytes are left");
    assert!(t.sack(at(1), 4, &[]).writable);
    assert!(!t.sack(at(1), 4, &[]).writable, "told once");
    let mut t = T::with(&AssocConfig { send_buffer: 1 << 20, ..AssocConfig::rfc() }, 1);
    let tiny = || Bytes::from_static(b"x");
    let accepted =
        (0..1 << 20).take_while(|_| t.tx.enqueue(Time::ZERO, StreamId(0), Ppid(0), &mut tiny(), SendOptions::ordered()).is_ok()).count();
    assert_eq!(accepted, 1 << 16);
}

#[test]
fn undelivered_messages_come_back_whole_and_in_order() {
    let mut t = T::new();
    t.queue(1, 10);
    t.queue(1, 3 * FULL);
    t.queue(1, 20);
    t.tx.enqueue(Time::ZERO, StreamId(0), Ppid(5), &mut Bytes::from_static(b"last"), SendOptions::unordered()).unwrap();
    t.tx.begin_opportunity();
    t.packet(at(0)).unwrap();
    t.packet(at(0)).unwrap();
    assert_eq!(t.tx.out.len(), 4, "streams take turns: the first, the last, and of the second what fills one packet and another");
    t.sack(at(1), 1, &[]);
    let lost = t.tx.take_undelivered();
    let brief: Vec<_> = lost.iter().map(|m| &m.message).map(|m| (m.sid.0, m.ssn, m.payload.len(), m.unordered)).collect();
    assert_eq!(brief, [(1, Ssn(1), 3 * FULL, false), (1, Ssn(0), 20, false), (0, Ssn(0), 4, true)]);
    assert!(t.tx.is_drained());
}

#[test]
fn chunks_made_for_a_larger_mtu_go_alone() {
    let mut t = T::new();
    t.send_full(at(0), 2);
    t.path().set_mtu(1000);
    t.tx.on_t3(at(1000), P, &mut t.paths);
    assert_eq!(t.flush(at(1000)), [[0]]);
    t.sack(at(1010), 2, &[]);
    t.queue(1, FULL);
    assert_eq!(t.flush(at(1010)), [[2], [3]]);
}

proptest! {
    /// Random SACKs, sane or not, against sets: what is acknowledged, what is in flight, what is left.
    ///
    /// Attack class 9: TSNs wrap, too.
    #[test]
    fn agrees_with_sets(
        first: u32,
        steps in prop::collection::vec((0_u32..12, prop::collection::vec((0_u16..40, 0_u16..6), 0..5), prop::bool::weighted(0.1), 0_usize..6), 1..60),
    ) {
        let cfg = AssocConfig { nagle: false, max_burst: 1000, ..AssocConfig::rfc() };
        let mut t = T::with(&cfg, first);
        let (mut cum, mut acked, mut ever, mut now) = (0_u32, BTreeSet::new(), BTreeSet::new(), 0);
        for (advance, blocks, timeout, more) in steps {
            t.queue(more, 700);
            t.flush(at(now));
            now += 10;
            if timeout && t.path().t3.is_some() {
                t.tx.on_t3(at(now), P, &mut t.paths);
            }
            let next = cum + u32::try_from(t.tx.out.len()).unwrap();
            let new_cum = cum + advance;
            let list: Vec<_> = blocks.iter().map(|&(start, len)| GapBlock { start, end: start + len }).collect();
            let sack = Sack { cum_tsn: Tsn(first).plus(new_cum).prev(), a_rwnd: 1 << 20, gaps: Gaps::List(&list), dups: Duplicates::List(&[]) };
            let valid = list.iter().filter(|b| b.start > 0);
            let reported: BTreeSet<u32> = valid.flat_map(|b| (b.start..=b.end).map(|o| new_cum + u32::from(o) - 1)).collect();
            let bad = new_cum > next || reported.last().is_some_and(|&l| l >= next);
            let result = t.tx.on_sack(at(now), &sack, &mut t.paths);
            prop_assert_eq!(result.is_err(), bad);
            if let Ok(summary) = result {
                // What was acknowledged, taken back and acknowledged again is not new.
                let newly = (cum..new_cum).chain(reported.iter().copied().filter(|&o| o >= new_cum)).filter(|&o| ever.insert(o)).count();
                prop_assert_eq!(summary.newly_acked_bytes, newly * 716);
                cum = new_cum;
                acked = reported;
            }
            let model: Vec<bool> = (cum..next).map(|o| acked.contains(&o)).collect();
            let states: Vec<_> = t.tx.out.iter().map(|c| c.state).collect();
            prop_assert_eq!(states.iter().map(|s| *s == ChunkState::Acked).collect::<Vec<_>>(), model);
            let count = |s| states.iter().filter(|x| **x == s).count();
            prop_assert_eq!(t.path().in_flight, count(ChunkState::InFlight) * 716);
            prop_assert_eq!(t.tx.out.flight_payload(), count(ChunkState::InFlight) * 700);
            prop_assert_eq!(t.tx.out.marked_bytes(), count(ChunkState::Marked) * 716);
            prop_assert_eq!(t.path().outstanding, states.len() - count(ChunkState::Acked));
            prop_assert_eq!(t.tx.out.payload(), states.len() * 700);
        }
    }
}

/// RFC 9260 rows: 6.3.3-1, 7.2-3.
#[test]
fn chunks_move_with_their_books_to_another_path() {
    let mut t = T::new();
    t.send_full(at(0), 6);
    let cfg = AssocConfig::rfc();
    let second = Path::new(&cfg, at(0), "10.0.1.1".parse().unwrap(), None, Channel::Udp { local: 1, remote: 2 });
    let other = t.paths.add(second).unwrap();
    t.paths.set_primary(other);
    t.sack(at(10), 0, &[(3, 3)]);
    t.tx.on_t3(at(1000), P, &mut t.paths);
    assert_eq!(t.flush(at(1000)), [[0], [1], [2], [4]], "the other path has its own window");
    let books = |t: &T| t.paths.iter().map(|(_, p)| (p.in_flight / PMDCS, p.outstanding, p.t3)).collect::<Vec<_>>();
    assert_eq!(books(&t), [(0, 1, None), (4, 4, Some(at(2000)))], "chunk 5 still waits");
    t.sack(at(1010), 1, &[(3, 3)]);
    assert_eq!(t.flush(at(1010)), [[5]]);
    assert_eq!(books(&t), [(0, 0, None), (4, 4, Some(at(2010)))]);
    t.sack(at(1020), 6, &[]);
    assert_eq!(books(&t), [(0, 0, None), (0, 0, None)]);
}
