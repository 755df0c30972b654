//! A sender and a receiver on each side of a bad link, in simulated time: everything must arrive, once and in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::FragmentFormat;
use super::Tx;
use super::outstanding::ChunkState;
use crate::assoc::path::{Path, Paths};
use crate::assoc::rx::{DataOutcome, Rx};
use crate::config::AssocConfig;
use crate::entropy::{Entropy as _, SeededEntropy};
use crate::error::SendError;
use crate::event::{Message, SendOptions, Undelivered};
use crate::net::Channel;
use crate::num::{Ppid, Ssn, StreamId, Tsn, Vtag};
use crate::time::Time;
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

const HEADER: CommonHeader = CommonHeader { src_port: 1, dst_port: 2, vtag: Vtag(3) };

pub(super) struct Side {
    pub(super) tx: Tx,
    pub(super) rx: Rx,
    paths: Paths,
    t3_expiries: u32,
    data_packets: u64,
    sack_packets: u64,
    pub(super) received: Vec<Message>,
    /// What the sender gave up.
    pub(super) abandoned: Vec<Undelivered>,
    /// FORWARD TSNs sent.
    pub(super) forwards: u64,
    /// Messages taken from the receiver per look; `usize::MAX` is an eager reader.
    pub(super) greed: usize,
}

impl Side {
    fn new(cfg: &AssocConfig, own_tsn: u32, peer_tsn: u32, peer_rwnd: usize) -> Self {
        let path = Path::new(cfg, Time::ZERO, "10.0.0.1".parse().unwrap(), None, Channel::Udp { local: 9899, remote: 9899 });
        Self {
            tx: Tx::new(cfg, Tsn(own_tsn), 70, u32::try_from(peer_rwnd).unwrap()),
            rx: Rx::new(cfg, Tsn(peer_tsn), 70, false),
            paths: Paths::new(path),
            t3_expiries: 0,
            data_packets: 0,
            sack_packets: 0,
            received: Vec::new(),
            abandoned: Vec::new(),
            forwards: 0,
            greed: usize::MAX,
        }
    }

    fn deliver(&mut self, now: Time, batch: Vec<Bytes>) {
        for bytes in batch {
            let packet = Packet::parse(&bytes).unwrap();
            for chunk in packet.chunks() {
                match chunk.unwrap().decode().unwrap() {
                    Chunk::Data(data) => {
                        let outcome = self.rx.on_data(&data, &bytes);
                        assert!(!matches!(outcome, DataOutcome::Violation(_) | DataOutcome::InvalidStream(_)), "{outcome:?}");
                    }
                    Chunk::IData(data) => {
                        let outcome = self.rx.on_data(&data, &bytes);
                        assert!(!matches!(outcome, DataOutcome::Violation(_) | DataOutcome::InvalidStream(_)), "{outcome:?}");
                    }
                    Chunk::ForwardTsn(forward) => {
                        let begun = self.rx.on_forward_tsn(&forward).unwrap();
                        begun.into_iter().for_each(|begun| self.give_up_part(begun));
                    }
                    Chunk::IForwardTsn(forward) => {
                        let begun = self.rx.on_i_forward_tsn(&forward).unwrap();
                        begun.into_iter().for_each(|begun| self.give_up_part(begun));
                    }
                    Chunk::Sack(sack) => {
                        self.tx.on_sack(now, &sack, &mut self.paths).unwrap();
                        self.tx.begin_opportunity();
                    }
                    other => panic!("{other:?}"),
                }
            }
            self.rx.on_packet_end(now);
        }
        self.check();
    }

    /// What was read in part will not be completed.
    fn give_up_part(&mut self, (sid, ssn, unordered): (StreamId, Ssn, bool)) {
        let at = self.received.iter().rposition(|m| m.more && (m.sid, m.ssn, m.unordered) == (sid, ssn, unordered)).unwrap();
        self.received.remove(at);
    }

    fn read(&mut self) {
        for _ in 0..self.greed {
            match self.rx.pop() {
                Some(m) if m.offset == 0 => self.received.push(m),
                Some(m) => join(&mut self.received, &m),
                None => break,
            }
        }
    }

    fn timers(&mut self, now: Time) {
        self.rx.on_sack_timer(now);
        while let Some((_, id)) = self.paths.next_t3().filter(|&(t, _)| t <= now) {
            if self.tx.on_t3(now, id, &mut self.paths).count_error {
                self.t3_expiries += 1;
            }
            self.tx.begin_opportunity();
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.rx.sack_deadline().into_iter().chain(self.paths.next_t3().map(|(t, _)| t)).min()
    }

    fn transmit(&mut self, now: Time) -> Vec<Bytes> {
        let mut out = Vec::new();
        loop {
            let mut buf = Vec::new();
            let max = self.paths.get(self.paths.data_path()).unwrap().max_packet();
            let mut pkt = PacketWriter::new(&mut buf, HEADER, max);
            self.tx.prune(now, &mut self.paths);
            let next = self.tx.next_data(now, &self.paths);
            let to = self.paths.data_path();
            self.forwards += u64::from(self.tx.push_forward(now, to, &mut self.paths, &mut pkt));
            if self.rx.sack_due() || (next.is_some() && self.rx.sack_pending()) {
                assert!(self.rx.push_sack(&mut pkt));
                self.sack_packets += 1;
            }
            if let Some(next) = next {
                let had_others = !pkt.is_empty();
                let n = self.tx.fill(now, next, &mut self.paths, &mut pkt);
                assert!(n > 0 || had_others, "wanted to send, but did not");
                self.data_packets += u64::from(n > 0);
            }
            if pkt.is_empty() {
                pkt.discard();
                break;
            }
            let len = pkt.finish();
            assert!(len <= max);
            out.push(Bytes::from(buf));
        }
        self.tx.end_opportunities(now, &mut self.paths);
        self.abandoned.extend(self.tx.take_abandoned());
        self.check();
        out
    }

    /// The books of sender and path must agree at any time.
    fn check(&self) {
        let path = self.paths.get(self.paths.primary()).unwrap();
        let in_flight: usize = self.tx.out.iter().filter(|c| c.state == ChunkState::InFlight).map(|c| c.wire_len()).sum();
        assert_eq!(path.in_flight, in_flight);
        let unacked = self.tx.out.iter().filter(|c| !matches!(c.state, ChunkState::Acked | ChunkState::Abandoned)).count();
        assert_eq!(path.outstanding, unacked);
        assert!(unacked == 0 || path.t3.is_some(), "data without a timer");
        assert!(!self.tx.is_forwarding() || self.tx.forward_due() || path.t3.is_some(), "FORWARD TSN without a timer");
        assert_eq!(self.tx.out.payload(), self.tx.out.iter().map(|c| c.fragment.len).sum::<usize>());
    }
}

/// A link with per mille probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: u64,
    pub(super) duplicate: u64,
    /// Packets that arrive within this time are handed over together.
    pub(super) batch: Duration,
}

pub(super) const GOOD: Link =
    Link { delay: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0, duplicate: 0, batch: Duration::ZERO };

pub(super) struct World {
    pub(super) now: Time,
    pub(super) sides: [Side; 2],
    link: Link,
    rng: SeededEntropy,
    wire: BTreeMap<(Time, u64), (usize, Bytes)>,
    sent: u64,
}

impl World {
    pub(super) fn new(cfg: &AssocConfig, seed: u64, tsns: [u32; 2], link: Link) -> Self {
        let side = |a: usize, b: usize| Side::new(cfg, tsns[a], tsns[b], cfg.recv_buffer);
        Self { now: Time::ZERO, sides: [side(0, 1), side(1, 0)], link, rng: SeededEntropy::new(seed), wire: BTreeMap::new(), sent: 0 }
    }

    fn flush(&mut self) {
        for from in 0..2 {
            for packet in self.sides[from].transmit(self.now) {
                let copies = 1 + u64::from(self.rng.below(1000) < self.link.duplicate);
                for _ in 0..copies {
                    if self.rng.below(1000) < self.link.loss {
                        continue;
                    }
                    let jitter = self.rng.below(u64::try_from(self.link.jitter.as_nanos()).unwrap() + 1);
                    let at = self.now + self.link.delay + Duration::from_nanos(jitter);
                    self.sent += 1;
                    self.wire.insert((at, self.sent), (1 - from, packet.clone()));
                }
            }
        }
    }

    /// Processes what comes next; `false` if nothing ever will.
    fn step(&mut self) -> bool {
        self.flush();
        let arrival = self.wire.keys().next().map(|k| k.0);
        let deadline = self.sides.iter().filter_map(Side::deadline).min();
        let Some(next) = arrival.into_iter().chain(deadline).min() else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|t| t <= self.now) {
            self.now += self.link.batch;
        }
        let mut batches = [Vec::new(), Vec::new()];
        while let Some(entry) = self.wire.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, packet) = entry.remove();
            batches[to].push(packet);
        }
        for (side, batch) in self.sides.iter_mut().zip(batches) {
            side.deliver(self.now, batch);
            side.timers(self.now);
            side.read();
        }
        true
    }

    /// Feeds `messages` to both sides as buffers allow and runs until all are acknowledged.
    /// Both sides have agreed on I-DATA.
    pub(super) fn interleave(&mut self, cfg: &AssocConfig, tsns: [u32; 2]) {
        for (side, peer) in self.sides.iter_mut().zip([tsns[1], tsns[0]]) {
            side.tx.establish(70, u32::try_from(cfg.recv_buffer).unwrap(), FragmentFormat::IData);
            side.rx = Rx::new(cfg, Tsn(peer), 70, true);
        }
    }

    pub(super) fn exchange(&mut self, mut messages: [VecDeque<(u16, Bytes, SendOptions)>; 2]) {
        for _ in 0..4_000_000 {
            for (side, queue) in self.sides.iter_mut().zip(&mut messages) {
                while let Some((sid, payload, opts)) = queue.front() {
                    match side.tx.enqueue(self.now, StreamId(*sid), Ppid(u32::from(*sid)), &mut payload.clone(), *opts) {
                        Ok(()) => drop(queue.pop_front()),
                        Err(SendError::WouldBlock) => break,
                        Err(e) => panic!("{e}"),
                    }
                    side.tx.begin_opportunity();
                }
            }
            if messages.iter().all(VecDeque::is_empty) && self.sides.iter().all(|s| s.tx.is_drained() && !s.rx.has_message()) {
                return;
            }
            let alive = self.step();
            let more = messages.iter().any(|m| !m.is_empty()) || self.sides.iter().any(|s| s.rx.has_message());
            assert!(alive || more, "stalled at {}", self.now);
            if !alive {
                self.sides.iter_mut().for_each(Side::read);
            }
        }
        panic!("no end at {}", self.now);
    }
}

/// Adds a part to the message that it belongs to.
fn join(received: &mut [Message], part: &Message) {
    let m = received.iter_mut().rfind(|m| m.more && m.sid == part.sid).unwrap();
    assert!(m.more && m.payload.len() as u64 == part.offset && (m.sid, m.ssn, m.unordered) == (part.sid, part.ssn, part.unordered));
    m.payload = [&m.payload[..], &part.payload].concat().into();
    m.more = part.more;
}

/// A message whose content tells its number.
pub(super) fn message(n: u32, len: usize) -> Bytes {
    let mut bytes: Vec<u8> = n.to_be_bytes().iter().copied().cycle().take(len.max(4)).collect();
    bytes[3..].iter_mut().enumerate().for_each(|(i, b)| *b = b.wrapping_add(u8::try_from(i % 251).unwrap()));
    Bytes::from(bytes)
}

fn random_messages(rng: &mut SeededEntropy, count: u32, longest: u64, streams: u64) -> VecDeque<(u16, Bytes, SendOptions)> {
    (0..count)
        .map(|n| {
            let short = rng.below(3) > 0;
            let len = usize::try_from(rng.below(if short { 300 } else { longest })).unwrap();
            let opts = if rng.below(4) == 0 { SendOptions::unordered() } else { SendOptions::ordered() };
            (u16::try_from(rng.below(streams)).unwrap(), message(n, len), opts)
        })
        .collect()
}

/// What arrived against what was sent: ordered messages in order per stream, unordered ones as a set.
fn assert_delivered(sent: &VecDeque<(u16, Bytes, SendOptions)>, received: &[Message]) {
    assert_eq!(sent.len(), received.len());
    assert!(received.iter().all(|m| !m.more));
    for sid in 0..70 {
        let want: Vec<_> = sent.iter().filter(|m| m.0 == sid && !m.2.unordered).map(|m| &m.1).collect();
        let got: Vec<_> = received.iter().filter(|m| m.sid.0 == sid && !m.unordered).map(|m| &m.payload).collect();
        assert!(want == got, "stream {sid}");
        let mut want: Vec<_> = sent.iter().filter(|m| m.0 == sid && m.2.unordered).map(|m| &m.1).collect();
        let mut got: Vec<_> = received.iter().filter(|m| m.sid.0 == sid && m.unordered).map(|m| &m.payload).collect();
        want.sort();
        got.sort();
        assert!(want == got, "unordered on stream {sid}");
    }
    assert!(received.iter().all(|m| m.ppid.0 == u32::from(m.sid.0)));
}

fn run(cfg: &AssocConfig, seed: u64, link: Link, counts: [u32; 2], longest: u64) -> World {
    let mut rng = SeededEntropy::new(seed ^ 0xda7a);
    // Every run wraps its TSNs.
    let tsns = [0_u32.wrapping_sub(u32::try_from(rng.below(50)).unwrap()), 0_u32.wrapping_sub(5)];
    let mut world = World::new(cfg, seed, tsns, link);
    let messages = counts.map(|n| random_messages(&mut rng, n, longest, 7));
    world.exchange(messages.clone());
    assert_delivered(&messages[0], &world.sides[1].received);
    assert_delivered(&messages[1], &world.sides[0].received);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn everything_arrives_over_a_bad_link(
        seed: u64, loss in 0_u64..200, duplicate in 0_u64..100, jitter in 0_u64..40, batch in 0_u64..3,
        nagle: bool, repeat: bool, buffer in prop::sample::select(vec![3000_usize, 20_000, 1 << 20]),
    ) {
        let cfg = AssocConfig { nagle, repeat_fast_retransmit: repeat, recv_buffer: buffer, send_buffer: 1 << 17, ..AssocConfig::rfc() };
        let link = Link {
            jitter: Duration::from_millis(jitter),
            batch: Duration::from_millis(batch),
            loss,
            duplicate,
            ..GOOD
        };
        run(&cfg, seed, link, [200, 100], 40_000);
    }
}

#[test]
fn slow_readers_close_the_window_and_lose_nothing() {
    for seed in 0..20 {
        let cfg = AssocConfig { recv_buffer: 10_000, ..AssocConfig::rfc() };
        let mut world = World::new(&cfg, seed, [7, 9], Link { loss: 20 * (seed % 3), ..GOOD });
        let mut rng = SeededEntropy::new(seed);
        let messages = [random_messages(&mut rng, 100, 30_000, 3), VecDeque::new()];
        world.sides[1].greed = 1;
        world.exchange(messages.clone());
        assert_delivered(&messages[0], &world.sides[1].received);
    }
}

/// RFC 9260 rows: 6.1-6.
#[test]
fn a_stopped_reader_is_probed_without_errors_and_resumes_at_once() {
    let cfg = AssocConfig { recv_buffer: 20_000, ..AssocConfig::rfc() };
    let mut world = World::new(&cfg, 1, [7, 9], GOOD);
    world.sides[1].greed = 0;
    let payload = message(1, 1000);
    for _ in 0..100 {
        world.sides[0].tx.enqueue(Time::ZERO, StreamId(0), Ppid(0), &mut payload.clone(), SendOptions::ordered()).unwrap();
    }
    world.sides[0].tx.begin_opportunity();
    while world.now < Time::from_millis(600_000) {
        assert!(world.step(), "probing goes on");
    }
    assert_eq!(world.sides[0].t3_expiries, 0, "the peer answers: no errors");
    let probes = world.sides[0].data_packets;
    assert!((20..45).contains(&probes), "exponential back-off: {probes} packets");
    world.sides[1].greed = usize::MAX;
    world.sides[1].read();
    let resumed = world.now;
    while !world.sides[0].tx.is_drained() {
        assert!(world.step());
    }
    assert!(world.now - resumed < Duration::from_secs(2), "resumed after {:?}", world.now - resumed);
    assert_eq!(world.sides[1].received.len(), 100);
}

#[test]
fn messages_larger_than_the_receive_buffer_arrive() {
    for recv_buffer in [1500, 5000, 100_000] {
        let cfg = AssocConfig { recv_buffer, max_message: 1 << 20, ..AssocConfig::rfc() };
        let mut world = World::new(&cfg, 3, [7, 9], Link { loss: 10, ..GOOD });
        let len = if recv_buffer < 5000 { 60_000 } else { 1 << 20 };
        let messages =
            [VecDeque::from([(0, message(1, len), SendOptions::ordered()), (0, message(2, 10), SendOptions::ordered())]), VecDeque::new()];
        world.exchange(messages.clone());
        assert_delivered(&messages[0], &world.sides[1].received);
    }
}

/// Attack class 9: the sequence numbers of a stream wrap twice.
#[test]
fn stream_sequence_numbers_wrap_end_to_end() {
    let cfg = AssocConfig { nagle: true, ..AssocConfig::rfc() };
    let mut world = World::new(&cfg, 4, [7, 9], Link { loss: 3, delay: Duration::from_millis(1), ..GOOD });
    let messages = [(0..140_000).map(|n| (0, message(n, 4), SendOptions::ordered())).collect(), VecDeque::new()];
    world.exchange(messages.clone());
    assert_delivered(&messages[0], &world.sides[1].received);
}

#[test]
fn bulk_data_on_a_clean_link_needs_no_retransmission_and_few_sacks() {
    let cfg = AssocConfig::rfc();
    let mut world = World::new(&cfg, 5, [7, 9], GOOD);
    let messages = [(0..500).map(|n| (0, message(n, 14_440), SendOptions::ordered())).collect(), VecDeque::new()];
    world.exchange(messages.clone());
    assert_delivered(&messages[0], &world.sides[1].received);
    let (data, sacks) = (world.sides[0].data_packets, world.sides[1].sack_packets);
    assert_eq!(data, 5000, "ten full packets a message, each sent once");
    assert!((2500..3600).contains(&sacks), "{sacks}");
    assert_eq!(world.sides[0].t3_expiries, 0);
    // 7.2 MB with a receive window of 1 MiB and 20 ms round trips: well below a second once slow start has filled the window.
    assert!(world.now < Time::from_millis(1500), "{}", world.now);
}

#[test]
fn batches_are_acknowledged_and_answered_as_if_packets_had_come_one_by_one() {
    let time = |batch| {
        let mut world = World::new(&AssocConfig::rfc(), 6, [7, 9], Link { batch: Duration::from_micros(batch), ..GOOD });
        let messages = [(0..500).map(|n| (0, message(n, 14_440), SendOptions::ordered())).collect(), VecDeque::new()];
        world.exchange(messages);
        (world.now.as_millis(), world.sides[1].sack_packets)
    };
    let (one, sacks_one) = time(0);
    let (many, sacks_many) = time(1);
    assert!(many < one + one / 4, "{one} ms one by one, {many} ms in batches");
    assert!(sacks_one.abs_diff(sacks_many) < sacks_one / 10, "{sacks_one} and {sacks_many}");
}

#[test]
fn single_losses_are_repaired_without_timeouts() {
    let mut expiries = 0;
    let mut worst = Time::ZERO;
    for seed in 0..10 {
        let link = Link { loss: 10, ..GOOD };
        let mut world = World::new(&AssocConfig::rfc(), seed, [7, 9], link);
        let messages = [(0..300).map(|n| (0, message(n, 14_440), SendOptions::ordered())).collect(), VecDeque::new()];
        world.exchange(messages);
        expiries += world.sides[0].t3_expiries;
        worst = worst.max(world.now);
    }
    assert!(expiries <= 5, "{expiries} timeouts in ten runs, the slowest took {worst}");
}

#[test]
fn repeated_fast_retransmission_pays_at_heavy_loss() {
    let time = |repeat_fast_retransmit| {
        let (mut ms, mut expiries) = (0, 0);
        for seed in 0..15 {
            let cfg = AssocConfig { repeat_fast_retransmit, ..AssocConfig::rfc() };
            let mut world = World::new(&cfg, seed, [7, 9], Link { loss: 50, ..GOOD });
            let messages = [(0..300).map(|n| (0, message(n, 14_440), SendOptions::ordered())).collect(), VecDeque::new()];
            world.exchange(messages);
            ms += world.now.as_millis();
            expiries += world.sides[0].t3_expiries;
        }
        (ms, expiries)
    };
    let ((with, few), (without, many)) = (time(true), time(false));
    assert!(with * 4 < without * 3 && few < many, "{with} ms and {few} timeouts with it, {without} ms and {many} without");
}
