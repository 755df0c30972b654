//! W5: a simulated path on a virtual clock. Rate, drop-tail queue, delay and random loss, in both directions.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::endpoint::{Config, MemEndpoint, Sent};
use crate::mem::Pair;
use crate::work::{Usage, Verify, emit, message};

/// Bytes of IPv4 and UDP header of each packet, which take their time on the link too.
const BELOW: usize = 28;

/// What waits for the link at most; what comes then is dropped.
enum Queue {
    Bytes(f64),
    /// So many packets, the one that is being sent included; when those that wait have left.
    Packets(usize, VecDeque<Duration>),
}

/// One direction.
struct Link {
    /// Bytes per second.
    rate: f64,
    delay: Duration,
    queue: Queue,
    loss: f64,
    /// Longest SCTP packet; a longer one vanishes.
    mtu: usize,
    busy_until: Duration,
    rng: u64,
    sent: u64,
    lost: u64,
    overflow: u64,
    too_long: u64,
}

impl Link {
    fn new(s: &Sim, mtu: usize, seed: u64) -> Self {
        let rate = s.rate();
        let mut link = Self {
            rate,
            delay: Duration::from_secs_f64(s.rtt_ms / 2e3),
            queue: match s.queue {
                0 => Queue::Bytes((rate * s.rtt_ms / 1e3).max(3000.0).floor()),
                packets => Queue::Packets(packets, VecDeque::new()),
            },
            loss: s.loss,
            mtu,
            busy_until: Duration::ZERO,
            rng: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            sent: 0,
            lost: 0,
            overflow: 0,
            too_long: 0,
        };
        for _ in 0..16 {
            link.rand();
        }
        link
    }

    fn rand(&mut self) -> f64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is_full(&mut self, now: Duration, bytes: f64) -> bool {
        match &mut self.queue {
            Queue::Bytes(limit) => self.busy_until.saturating_sub(now).as_secs_f64() * self.rate + bytes > *limit,
            Queue::Packets(limit, leave) => {
                while leave.front().is_some_and(|at| *at <= now) {
                    leave.pop_front();
                }
                leave.len() >= *limit
            }
        }
    }

    /// When the packet arrives, or `None` when it is dropped.
    fn offer(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        self.sent += 1;
        if bytes > self.mtu {
            self.too_long += 1;
            return None;
        }
        let bytes = (bytes + BELOW) as f64;
        if self.is_full(now, bytes) {
            self.overflow += 1;
            return None;
        }
        self.busy_until = self.busy_until.max(now) + Duration::from_secs_f64(bytes / self.rate);
        if let Queue::Packets(_, leave) = &mut self.queue {
            leave.push_back(self.busy_until);
        }
        if self.rand() < self.loss {
            self.lost += 1;
            return None;
        }
        Some(self.busy_until + self.delay)
    }
}

/// A packet under way; the earliest is the greatest.
struct Arrival<D> {
    at: Duration,
    n: u64,
    to_b: bool,
    packet: D,
}

impl<D> PartialEq for Arrival<D> {
    fn eq(&self, other: &Self) -> bool {
        self.n == other.n
    }
}

impl<D> Eq for Arrival<D> {}

impl<D> PartialOrd for Arrival<D> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<D> Ord for Arrival<D> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.n).cmp(&(self.at, self.n))
    }
}

/// The path and how long it is used.
pub struct Sim {
    pub mbit: f64,
    pub rtt_ms: f64,
    /// Share of packets that are lost, in each direction.
    pub loss: f64,
    pub seconds: f64,
    /// Packets that the queue of each direction holds; 0: one bandwidth-delay product.
    pub queue: usize,
    pub seed: u64,
    /// The association begins at a time below this, drawn by the seed, and its data as much later; 0: at once.
    pub spread_ms: f64,
    /// Bytes of a message.
    pub size: usize,
    /// Print counters and window every so many milliseconds; 0: never.
    pub trace_ms: u64,
}

impl Sim {
    fn rate(&self) -> f64 {
        self.mbit * 1e6 / 8.0
    }

    fn params(&self, window: usize) -> String {
        let queue = if self.queue > 0 { format!(" queue={}", self.queue) } else { String::new() };
        format!("{}Mbit rtt={}ms loss={}%{queue} win={}K", self.mbit, self.rtt_ms, self.loss * 100.0, window >> 10)
    }
}

/// What is seen on the wire of the sender.
#[derive(Default)]
struct Seen {
    data: u64,
    largest_train: u64,
}

impl Seen {
    /// One go: the packets that left back to back.
    fn train(&mut self, packets: u64) {
        self.largest_train = self.largest_train.max(packets);
    }
}

/// Whether a packet has a chunk of type `kind`.
fn has_chunk(packet: &[u8], kind: u8) -> bool {
    let mut at = 12;
    while let Some(&[t, _, hi, lo]) = packet.get(at..at + 4) {
        if t == kind {
            return true;
        }
        at += usize::from(u16::from_be_bytes([hi, lo])).max(4).next_multiple_of(4);
    }
    false
}

/// Sends for as long as the simulation lasts, and reports what arrived.
pub fn run<P: MemEndpoint>(cfg: &Config, s: &Sim) {
    let (mut ab, mut ba) = (Link::new(s, cfg.mtu, s.seed * 2 + 1), Link::new(s, cfg.mtu, s.seed * 2 + 2));
    let spread = s.spread_ms / 1e3;
    let mut now = Duration::from_secs_f64(ab.rand() * spread);
    let data_from = now + Duration::from_secs_f64(ba.rand() * spread);
    let cfg = Config { streams: 2, id: if spread > 0.0 { s.seed } else { cfg.id }, ..*cfg };
    let mut p = Pair::<P>::new(&cfg, now);
    let mut wire: BinaryHeap<Arrival<P::Datagram>> = BinaryHeap::new();
    let mut v = Verify::new(true, 2);
    let (mut n, mut seq, mut sacks) = (0u64, 0u32, 0u64);
    let mut seen = Seen::default();
    let mut held = None;
    let end = data_from + Duration::from_secs_f64(s.seconds);
    let mut traced = Duration::ZERO;
    let mut idle_jumps = 0u32;
    p.a.connect(now);
    let usage = Usage::now();
    while now < end {
        while now >= data_from && p.a.is_established() {
            let m = held.take().unwrap_or_else(|| message(seq, s.size));
            match p.a.send(now, 0, 42, m, false) {
                Sent::Accepted => seq += 1,
                Sent::Full(m) => {
                    held = m;
                    break;
                }
            }
        }
        let mut train = 0;
        while let Some(packet) = p.a.poll_transmit(now) {
            train += 1;
            seen.data += u64::from(has_chunk(packet.as_ref(), 0));
            if let Some(at) = ab.offer(now, packet.as_ref().len()) {
                n += 1;
                wire.push(Arrival { at, n, to_b: true, packet });
            }
        }
        seen.train(train);
        while let Some(packet) = p.b.poll_transmit(now) {
            sacks += u64::from(has_chunk(packet.as_ref(), 3));
            if let Some(at) = ba.offer(now, packet.as_ref().len()) {
                n += 1;
                wire.push(Arrival { at, n, to_b: false, packet });
            }
        }
        let next = match (wire.peek().map(|x| x.at), p.next_timeout()) {
            (Some(x), Some(y)) => x.min(y),
            (Some(x), None) => x,
            (None, Some(y)) => y,
            (None, None) => break,
        };
        let next = if now < data_from { next.min(data_from) } else { next };
        if next > now {
            (idle_jumps, now) = (0, next);
        } else {
            idle_jumps += 1;
            if idle_jumps > 1000 {
                now += Duration::from_micros(100); // a stack that keeps asking for "now"
            }
        }
        while wire.peek().is_some_and(|x| x.at <= now) {
            let Some(x) = wire.pop() else { break };
            if x.to_b {
                p.b.handle_datagram(now, x.packet);
                while p.b.recv(now, &mut v) {}
            } else {
                p.a.handle_datagram(now, x.packet);
            }
        }
        p.timeouts(now);
        while p.b.recv(now, &mut v) {}
        if s.trace_ms > 0 && now >= traced {
            let c = p.a.counters();
            eprintln!("{:.3} s: {} MB, {c:?}, {} dropped, {} lost", now.as_secs_f64(), v.bytes / 1_000_000, ab.overflow, ab.lost);
            traced = now + Duration::from_millis(s.trace_ms);
        }
        if p.a.is_closed() {
            eprintln!("# {}: association lost at {now:?}", P::NAME);
            break;
        }
    }
    let cpu = Usage::now().since(usage).cpu();
    assert_eq!(v.errors, 0, "{}: corrupted, duplicated or misordered", P::NAME);
    assert_eq!(ab.too_long + ba.too_long, 0, "{}: packets longer than the MTU", P::NAME);
    let params = s.params(cfg.window);
    let workload = if s.queue > 0 { "queue" } else { "W5sim" };
    let e = |m: &str, x: f64| emit(workload, P::NAME, &params, m, x);
    let c = p.a.counters();
    e("goodput_share", v.bytes as f64 / s.seconds / s.rate());
    e("fill", v.bytes as f64 / (ab.sent as f64 * (cfg.mtu - BELOW) as f64));
    e("packets", ab.sent as f64);
    e("sacks/data_pkt", sacks as f64 / seen.data as f64);
    e("largest_train", seen.largest_train as f64);
    e("queue_drops", ab.overflow as f64);
    e("lost_ppm", (ab.overflow + ab.lost) as f64 * 1e6 / ab.sent as f64);
    for (name, value) in [("retransmissions", c.rtx), ("t3", c.t3), ("cwnd_end", c.cwnd)] {
        if let Some(value) = value {
            e(name, value as f64);
        }
    }
    e("cpu_s/GB", cpu * 1e9 / v.bytes.max(1) as f64);
}
