//! What each scheduler promises, with streams that come and go and units of any length.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::{Next, Scheduler, new};
use crate::config::{AssocConfig, StreamScheduler};
use crate::num::StreamId;

const STREAMS: u16 = 5;
/// Longest unit in bytes.
const LONGEST: usize = 1500;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A unit of so many bytes for a stream.
    Push(u16, usize),
    /// The next unit goes.
    Serve,
    /// A packet is complete.
    EndPacket,
    /// What a stream has is taken back.
    Drop(u16),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let one = prop_oneof![
        10 => (0..STREAMS, 1..=LONGEST).prop_map(|(sid, len)| Op::Push(sid, len)),
        8 => Just(Op::Serve),
        3 => Just(Op::EndPacket),
        1 => (0..STREAMS).prop_map(Op::Drop),
    ];
    proptest::collection::vec(one, 1..400)
}

fn config(scheduler: StreamScheduler, values: &[u16]) -> AssocConfig {
    let stream_values = values.iter().enumerate().map(|(sid, v)| (StreamId(u16::try_from(sid).unwrap()), *v)).collect();
    AssocConfig { scheduler, stream_values, ..AssocConfig::rfc() }
}

/// One unit that went.
#[derive(Clone, Copy, Debug)]
struct Served {
    sid: u16,
    seq: u64,
    len: usize,
    /// The packet that it went in.
    packet: usize,
}

/// A scheduler with the queues of the streams.
struct Run {
    scheduler: Box<dyn Scheduler>,
    queues: BTreeMap<u16, VecDeque<(u64, usize)>>,
    seq: u64,
    packet: usize,
    /// The stream of the packet that is being filled, where packets are kept apart.
    filling: Option<u16>,
    log: Vec<Served>,
    /// For each stream how long the log was when it last became active.
    active_since: BTreeMap<u16, usize>,
}

impl Run {
    fn new(cfg: &AssocConfig) -> Self {
        Self {
            scheduler: new(cfg),
            queues: BTreeMap::new(),
            seq: 0,
            packet: 0,
            filling: None,
            log: Vec::new(),
            active_since: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Push(sid, len) => {
                let queue = self.queues.entry(sid).or_default();
                queue.push_back((self.seq, len));
                if queue.len() == 1 {
                    self.scheduler.activate(StreamId(sid), Next { seq: self.seq, len });
                    self.active_since.insert(sid, self.log.len());
                }
                self.seq += 1;
            }
            Op::Serve => {
                self.serve();
            }
            Op::EndPacket => self.end_packet(),
            Op::Drop(sid) => {
                if self.queues.remove(&sid).is_some_and(|q| !q.is_empty()) {
                    self.scheduler.deactivate(StreamId(sid));
                }
            }
        }
    }

    fn end_packet(&mut self) {
        self.scheduler.end_packet();
        self.packet += 1;
        self.filling = None;
    }

    /// Sends the next unit; answers whether there was one.
    fn serve(&mut self) -> bool {
        let Some(sid) = self.scheduler.pick().map(|s| s.0) else {
            assert!(self.queues.values().all(VecDeque::is_empty), "something waits for no reason");
            return false;
        };
        assert_eq!(self.scheduler.pick(), Some(StreamId(sid)), "picking is stable");
        if self.scheduler.keeps_packets_apart() && self.filling.is_some_and(|f| f != sid) {
            self.end_packet();
            return self.serve();
        }
        self.filling = Some(sid);
        let queue = self.queues.get_mut(&sid).unwrap();
        let (seq, len) = queue.pop_front().expect("only streams with something to send are picked");
        let next = queue.front().map(|(seq, len)| Next { seq: *seq, len: *len });
        self.scheduler.served(StreamId(sid), len, next);
        self.log.push(Served { sid, seq, len, packet: self.packet });
        true
    }

    /// Sends all that is left.
    fn finish(&mut self) {
        while self.serve() {}
    }

    fn active(&self) -> Vec<u16> {
        self.queues.iter().filter(|(_, q)| !q.is_empty()).map(|(sid, _)| *sid).collect()
    }

    /// For each two streams that have had something to send for a while: what went since both have, and the two.
    fn pairs(&self) -> Vec<(u16, u16, &[Served])> {
        let active = self.active();
        let mut pairs = Vec::new();
        for a in &active {
            for b in active.iter().filter(|b| *b > a) {
                let since = self.active_since[a].max(self.active_since[b]);
                pairs.push((*a, *b, &self.log[since..]));
            }
        }
        pairs
    }
}

fn units(log: &[Served], sid: u16) -> usize {
    log.iter().filter(|s| s.sid == sid).count()
}

fn bytes(log: &[Served], sid: u16) -> usize {
    log.iter().filter(|s| s.sid == sid).map(|s| s.len).sum()
}

/// Calls `check` for each two streams and each interval in which both had something to send.
fn for_each_interval(run: &Run, mut check: impl FnMut(u16, u16, &[Served])) {
    for (a, b, log) in run.pairs() {
        for from in 0..log.len() {
            check(a, b, &log[from..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// RFC 8260 section 3.1: the order of the user, whatever the streams.
    #[test]
    fn first_come_first_served(ops in ops()) {
        let mut run = Run::new(&config(StreamScheduler::FirstCome, &[]));
        ops.into_iter().for_each(|op| run.apply(op));
        for s in run.log.windows(2) {
            prop_assert!(s[0].seq < s[1].seq);
        }
        run.finish();
    }

    /// RFC 8260 section 3.2: of any two streams that have something to send, neither is ahead by more than one unit.
    #[test]
    fn round_robin_is_fair_by_units(ops in ops()) {
        let mut run = Run::new(&config(StreamScheduler::RoundRobin, &[]));
        for op in ops {
            run.apply(op);
            for_each_interval(&run, |a, b, log| assert!(units(log, a).abs_diff(units(log, b)) <= 1));
        }
        run.finish();
    }

    /// RFC 8260 section 3.3: a packet has chunks of one stream, and of any two streams that have something to send, neither has more
    /// than one packet more.
    #[test]
    fn round_robin_by_packets_is_fair_by_packets(ops in ops()) {
        let mut run = Run::new(&config(StreamScheduler::RoundRobinPacket, &[]));
        for op in ops {
            run.apply(op);
            for_each_interval(&run, |a, b, log| {
                let packets = |sid| {
                    let mut list: Vec<_> = log.iter().filter(|s| s.sid == sid).map(|s| s.packet).collect();
                    list.dedup();
                    list.len()
                };
                assert!(packets(a).abs_diff(packets(b)) <= 1, "{a} {b} {log:?}");
            });
        }
        run.finish();
        for s in run.log.windows(2) {
            prop_assert!(s[0].packet != s[1].packet || s[0].sid == s[1].sid);
        }
    }

    /// RFC 8260 section 3.4: nothing goes while a stream with a higher priority has something; those of one priority take turns.
    #[test]
    fn priorities_are_strict(ops in ops(), values in proptest::collection::vec(0..3_u16, usize::from(STREAMS))) {
        let mut run = Run::new(&config(StreamScheduler::Priority, &values));
        let value = |sid: u16| values[usize::from(sid)];
        for op in ops {
            let active = run.active();
            let before = run.log.len();
            run.apply(op);
            if let Some(s) = run.log.get(before) {
                prop_assert!(active.iter().all(|other| value(*other) >= value(s.sid)));
            }
            for_each_interval(&run, |a, b, log| {
                assert!(value(a) != value(b) || units(log, a).abs_diff(units(log, b)) <= 1);
            });
        }
        run.finish();
    }

    /// RFC 8260 section 3.5: of any two streams that have something to send, neither is ahead by more than two units' bytes.
    #[test]
    fn capacity_is_shared_equally(ops in ops(), values in proptest::collection::vec(0..9_u16, usize::from(STREAMS))) {
        let mut run = Run::new(&config(StreamScheduler::FairCapacity, &values));
        for op in ops {
            run.apply(op);
            for_each_interval(&run, |a, b, log| {
                assert!(bytes(log, a).abs_diff(bytes(log, b)) <= 2 * LONGEST, "{a} {b} {log:?}");
            });
        }
        run.finish();
    }

    /// RFC 8260 rows: 3-1.
    ///
    /// RFC 8260 section 3.6: the same with each stream's bytes divided by its weight.
    #[test]
    fn capacity_is_shared_by_weights(ops in ops(), values in proptest::collection::vec(0..9_u16, usize::from(STREAMS))) {
        let mut run = Run::new(&config(StreamScheduler::WeightedFair, &values));
        let weight = |sid: u16| i64::from(values[usize::from(sid)].max(1));
        for op in ops {
            run.apply(op);
            for_each_interval(&run, |a, b, log| {
                let of = |sid| i64::try_from(bytes(log, sid)).unwrap();
                let longest = i64::try_from(LONGEST).unwrap();
                // |A/a - B/b| <= L/a + L/b, without fractions; rounding costs less than a byte.
                let ahead = (of(a) * weight(b) - of(b) * weight(a)).abs();
                assert!(ahead <= (longest + 1) * (weight(a) + weight(b)), "{a} {b} {log:?}");
            });
        }
        run.finish();
    }

    /// A stream that becomes active waits for no more than one unit of each other stream (Done-when 4 of the extensions).
    #[test]
    fn whoever_comes_waits_for_one_unit_of_each(
        backlog in proptest::collection::vec(1..=LONGEST, 5..60),
        lead in 0..40_usize,
        which in 0..4_usize,
    ) {
        use StreamScheduler::{FairCapacity, Priority, RoundRobin, WeightedFair};
        let scheduler = [RoundRobin, Priority, FairCapacity, WeightedFair][which];
        let mut run = Run::new(&config(scheduler, &[]));
        for sid in 1..STREAMS {
            for len in &backlog {
                run.apply(Op::Push(sid, *len));
            }
        }
        for _ in 0..lead {
            run.serve();
        }
        let before = run.log.len();
        run.apply(Op::Push(0, 100));
        while run.serve() && run.log.last().unwrap().sid != 0 {}
        let ahead = &run.log[before..run.log.len() - 1];
        for sid in 1..STREAMS {
            prop_assert!(units(ahead, sid) <= 1, "{:?}", ahead);
        }
    }
}

/// A change while running loses no stream: the new scheduler is told of all that have something to send by the send queue.
#[test]
fn streams_take_turns_and_leave_when_empty() {
    let mut run = Run::new(&config(StreamScheduler::RoundRobin, &[]));
    for sid in [3, 1, 2, 2, 2] {
        run.apply(Op::Push(sid, 10));
    }
    run.finish();
    assert_eq!(run.log.iter().map(|s| s.sid).collect::<Vec<_>>(), [3, 1, 2, 2, 2]);
}
