//! In-memory drivers: two endpoints in one thread that hand packets to each other.

use crate::endpoint::*;
use crate::work::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets taken from one end before the other end gets them (as a batched socket would).
const BURST: usize = 32;

struct Clock {
    start: Instant,
    skipped: Duration,
}

impl Clock {
    fn new() -> Clock {
        Clock { start: Instant::now(), skipped: Duration::ZERO }
    }
    fn now(&self) -> Duration {
        self.start.elapsed() + self.skipped
    }
    /// Jump to `t` instead of sleeping.
    fn skip_to(&mut self, t: Duration) {
        let n = self.now();
        if t > n {
            self.skipped += t - n;
        }
    }
}

pub struct Pair<P: MemEndpoint> {
    pub a: P,
    pub b: P,
    q: VecDeque<P::Datagram>,
    pub packets: [u64; 2],
    pub wire_bytes: [u64; 2],
    pub max_packet: usize,
    /// Most packets that the client sent at once.
    pub largest_train: usize,
}

impl<P: MemEndpoint> Pair<P> {
    pub fn new(cfg: &Config, now: Duration) -> Self {
        let a = P::new(&Config { client: true, ..*cfg }, now);
        let b = P::new(&Config { client: false, ..*cfg }, now);
        Pair { a, b, q: VecDeque::new(), packets: [0; 2], wire_bytes: [0; 2], max_packet: 0, largest_train: 0 }
    }
    /// One exchange: a burst from a to b, `mid`, then everything from b to a. True on any packet.
    fn exchange(&mut self, now: Duration, mid: &mut dyn FnMut(&mut P)) -> bool {
        let mut any = false;
        for _ in 0..BURST {
            match self.a.poll_transmit(now) {
                Some(d) => {
                    let n = d.as_ref().len();
                    self.packets[0] += 1;
                    self.wire_bytes[0] += n as u64;
                    self.max_packet = self.max_packet.max(n);
                    self.q.push_back(d);
                }
                None => break,
            }
        }
        self.largest_train = self.largest_train.max(self.q.len());
        while let Some(d) = self.q.pop_front() {
            any = true;
            self.b.handle_datagram(now, d);
        }
        mid(&mut self.b);
        for _ in 0..BURST {
            match self.b.poll_transmit(now) {
                Some(d) => {
                    self.packets[1] += 1;
                    self.wire_bytes[1] += d.as_ref().len() as u64;
                    self.q.push_back(d);
                }
                None => break,
            }
        }
        while let Some(d) = self.q.pop_front() {
            any = true;
            self.a.handle_datagram(now, d);
        }
        any
    }
    /// How the client's sending went.
    fn counters(&mut self, emit: &dyn Fn(&str, f64)) {
        emit("largest_train", self.largest_train as f64);
        let counters = self.a.counters();
        for (name, value) in [("retransmissions", counters.rtx), ("t3", counters.t3), ("cwnd_end", counters.cwnd)] {
            if let Some(value) = value {
                emit(name, value as f64);
            }
        }
    }
    pub fn timeouts(&mut self, now: Duration) {
        if self.a.poll_timeout().is_some_and(|t| t <= now) {
            self.a.handle_timeout(now);
        }
        if self.b.poll_timeout().is_some_and(|t| t <= now) {
            self.b.handle_timeout(now);
        }
    }
    pub fn next_timeout(&mut self) -> Option<Duration> {
        match (self.a.poll_timeout(), self.b.poll_timeout()) {
            (Some(x), Some(y)) => Some(x.min(y)),
            (x, y) => x.or(y),
        }
    }
}

struct Null;
impl Sink for Null {
    fn piece(&mut self, _: &[u8]) {}
    fn end(&mut self, _: u16, _: u32) {}
}

fn establish<P: MemEndpoint>(p: &mut Pair<P>, c: &mut Clock) {
    p.a.connect(c.now());
    let mut idle = 0;
    while !(p.a.is_established() && p.b.is_established()) {
        let now = c.now();
        if !p.exchange(now, &mut |_| {}) {
            idle += 1;
            assert!(idle < 1000, "{}: no association", P::NAME);
            if let Some(t) = p.next_timeout() {
                c.skip_to(t);
            }
            let now = c.now();
            p.timeouts(now);
        }
    }
}

pub struct Bulk {
    pub size: usize,
    pub count: u64,
    pub streams: u16,
    pub unordered: bool,
    pub limit_s: f64,
}

/// W1 and W6.
pub fn bulk<P: MemEndpoint>(workload: &str, cfg: &Config, w: &Bulk) {
    let cfg = Config { streams: w.streams.max(2), ..*cfg };
    let mut c = Clock::new();
    let mut p = Pair::<P>::new(&cfg, c.now());
    establish(&mut p, &mut c);
    let mut v = Verify::new(!w.unordered, cfg.streams);
    let (mut sent, mut stalls) = (0u64, 0u64);
    let mut held: Option<Vec<u8>> = None;
    let skipped0 = c.skipped;
    let (u0, t0) = (Usage::now(), Instant::now());
    let mut dead = 0;
    while v.msgs < w.count {
        let now = c.now();
        while sent < w.count {
            let m = held.take().unwrap_or_else(|| message(sent as u32, w.size));
            match p.a.send(now, (sent % w.streams as u64) as u16, 42, m, w.unordered) {
                Sent::Accepted => sent += 1,
                Sent::Full(m) => {
                    held = m;
                    break;
                }
            }
        }
        let before = v.bytes;
        let any = p.exchange(now, &mut |b| while b.recv(now, &mut v) {});
        p.timeouts(now);
        if !any && v.bytes == before {
            stalls += 1;
            dead += 1;
            if let Some(t) = p.next_timeout() {
                c.skip_to(t);
            }
            assert!(dead < 100_000, "{}: stuck at {} of {} messages", P::NAME, v.msgs, w.count);
            let now = c.now();
            p.timeouts(now);
        } else {
            dead = 0;
        }
        if t0.elapsed().as_secs_f64() > w.limit_s {
            break;
        }
    }
    let (wall, u) = (t0.elapsed().as_secs_f64(), Usage::now().since(u0));
    let params =
        format!("size={} streams={} {} win={}K", w.size, w.streams, if w.unordered { "unordered" } else { "ordered" }, cfg.window >> 10);
    assert_eq!(v.errors, 0, "{} corrupted, duplicated or misordered", P::NAME);
    if w.limit_s == f64::MAX {
        assert_eq!(v.bytes, w.count * w.size as u64);
    }
    let e = |m: &str, x: f64| emit(workload, P::NAME, &params, m, x);
    e("MB/s", v.bytes as f64 / 1e6 / wall);
    e("msg/s", v.msgs as f64 / wall);
    e("cpu_s/GB", u.cpu() * 1e9 / v.bytes as f64);
    e("cpu_ns/msg", u.cpu() * 1e9 / v.msgs as f64);
    e("data_pkts", p.packets[0] as f64);
    e("ack_pkts", p.packets[1] as f64);
    e("overhead", (p.wire_bytes[0]) as f64 / v.bytes as f64);
    e("max_pkt", p.max_packet as f64);
    e("sacks/data_pkt", p.packets[1] as f64 / p.packets[0] as f64);
    p.counters(&e);
    e("stalls", stalls as f64);
    e("skipped_ms", (c.skipped - skipped0).as_secs_f64() * 1e3);
}

/// W2.
pub fn pingpong<P: MemEndpoint>(cfg: &Config, count: u32, size: usize) {
    let cfg = Config { nodelay: true, streams: 2, ..*cfg };
    let mut c = Clock::new();
    let mut p = Pair::<P>::new(&cfg, c.now());
    establish(&mut p, &mut c);
    let (mut va, mut vb) = (Verify::new(true, 2), Verify::new(true, 2));
    let mut lat = Vec::with_capacity(count as usize);
    let skipped0 = c.skipped;
    let (u0, t0) = (Usage::now(), Instant::now());
    for i in 0..count {
        let s = Instant::now();
        let now = c.now();
        let _ = p.a.send(now, 0, 42, message(i, size), false);
        let mut echoed = false;
        while va.msgs <= i as u64 {
            let now = c.now();
            let any = p.exchange(now, &mut |b| {
                while b.recv(now, &mut vb) {}
                if !echoed && vb.msgs > i as u64 {
                    echoed = true;
                    let _ = b.send(now, 0, 42, message(i, size), false);
                }
            });
            while p.a.recv(now, &mut va) {}
            p.timeouts(now);
            if !any && va.msgs <= i as u64 {
                if let Some(t) = p.next_timeout() {
                    c.skip_to(t);
                }
                let now = c.now();
                p.timeouts(now);
            }
        }
        lat.push(s.elapsed().as_nanos() as u64);
    }
    let (wall, u) = (t0.elapsed().as_secs_f64(), Usage::now().since(u0));
    assert_eq!(va.errors + vb.errors, 0);
    let params = format!("size={size}");
    let e = |m: &str, x: f64| emit("W2mem", P::NAME, &params, m, x);
    e("rt/s", count as f64 / wall);
    e("cpu_ns/rt", u.cpu() * 1e9 / count as f64);
    e("p50_ns", percentile(&mut lat, 0.5) as f64);
    e("p99_ns", percentile(&mut lat, 0.99) as f64);
    e("pkts/rt", (p.packets[0] + p.packets[1]) as f64 / count as f64);
    let server = p.b.counters();
    if let (Some(data), Some(sacks)) = (server.data_in, server.sacks_out) {
        e("sacks/data_pkt", sacks as f64 / data.max(1) as f64);
    }
    p.counters(&e);
    e("skipped_ms", (c.skipped - skipped0).as_secs_f64() * 1e3);
}

/// W3: handshake, graceful shutdown, drop.
pub fn assoc<P: MemEndpoint>(cfg: &Config, count: u32) {
    let mut c = Clock::new();
    let (u0, t0) = (Usage::now(), Instant::now());
    let (mut pkts, mut largest_train, mut unclosed) = (0, 0, 0u32);
    for i in 0..count {
        let mut p = Pair::<P>::new(&Config { id: i as u64, ..*cfg }, c.now());
        establish(&mut p, &mut c);
        p.a.shutdown(c.now());
        let mut idle = 0;
        while !(p.a.is_closed() && p.b.is_closed()) {
            let now = c.now();
            let any = p.exchange(now, &mut |b| while b.recv(now, &mut Null) {});
            while p.a.recv(now, &mut Null) {}
            if !any {
                idle += 1;
                if idle > 5 {
                    unclosed += 1;
                    break;
                }
            }
        }
        pkts += p.packets[0] + p.packets[1];
        largest_train = largest_train.max(p.largest_train);
    }
    let (wall, u) = (t0.elapsed().as_secs_f64(), Usage::now().since(u0));
    let e = |m: &str, x: f64| emit("W3mem", P::NAME, "", m, x);
    e("assoc/s", count as f64 / wall);
    e("cpu_us/assoc", u.cpu() * 1e6 / count as f64);
    e("pkts/assoc", pkts as f64 / count as f64);
    e("largest_train", largest_train as f64);
    e("unclosed", unclosed as f64);
    e("skipped_ms", c.skipped.as_secs_f64() * 1e3);
}

/// W4: bytes for one idle end, and after each end sent and received one 1 KiB message.
pub fn idle<P: MemEndpoint>(cfg: &Config, n: usize, touch: bool) {
    let mut c = Clock::new();
    // warm-up so that one-time allocations are not counted
    for _ in 0..4 {
        let mut p = Pair::<P>::new(cfg, c.now());
        establish(&mut p, &mut c);
    }
    let mut v: Vec<Pair<P>> = Vec::with_capacity(n);
    let (h0, r0) = (heap_bytes(), rss_bytes());
    for i in 0..n {
        let mut p = Pair::<P>::new(&Config { id: i as u64, ..*cfg }, c.now());
        establish(&mut p, &mut c);
        if touch {
            let now = c.now();
            let _ = p.a.send(now, 0, 1, message(0, 1024), false);
            for _ in 0..4 {
                p.exchange(now, &mut |b| {
                    if b.recv(now, &mut Null) {
                        let _ = b.send(now, 0, 1, message(0, 1024), false);
                    }
                });
                while p.a.recv(now, &mut Null) {}
            }
            if let Some(t) = p.next_timeout() {
                c.skip_to(t);
            }
            let now = c.now();
            p.timeouts(now);
            for _ in 0..4 {
                p.exchange(now, &mut |_| {});
            }
        }
        v.push(p);
    }
    let (h, r) = (heap_bytes() - h0, rss_bytes().saturating_sub(r0));
    let params = format!("n={n} {}", if touch { "used" } else { "fresh" });
    let own = (n * std::mem::size_of::<Pair<P>>()) as u64;
    emit("W4mem", P::NAME, &params, "heap_bytes/end", (h + own) as f64 / (2 * n) as f64);
    emit("W4mem", P::NAME, &params, "rss_bytes/end", r as f64 / (2 * n) as f64);
    std::mem::forget(v);
}
