//! Message pattern, verification, resource usage, output lines.

use crate::endpoint::Sink;
use std::sync::OnceLock;

const PERIOD: usize = 4096;
const MAX: usize = 1 << 20;

fn pattern() -> &'static [u8] {
    static P: OnceLock<Vec<u8>> = OnceLock::new();
    P.get_or_init(|| {
        let mut x: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut base = Vec::with_capacity(PERIOD);
        for _ in 0..PERIOD {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            base.push((x >> 32) as u8);
        }
        base.iter().copied().cycle().take(MAX + PERIOD).collect()
    })
}

/// Makes what messages are made of, which is no part of what is measured.
pub fn prepare() {
    pattern();
}

fn off(seq: u32) -> usize {
    (seq as usize).wrapping_mul(7919) % PERIOD
}

/// Message `seq`: 4 bytes seq, 4 bytes length, then a piece of the pattern chosen by seq.
pub fn message(seq: u32, len: usize) -> Vec<u8> {
    debug_assert!(len >= 8);
    let mut v = Vec::with_capacity(len);
    v.extend_from_slice(&seq.to_le_bytes());
    v.extend_from_slice(&(len as u32).to_le_bytes());
    let o = off(seq);
    v.extend_from_slice(&pattern()[o..o + len - 8]);
    v
}

/// Checks every byte of every message, and the order within each stream when ordered.
pub struct Verify {
    pub msgs: u64,
    pub bytes: u64,
    pub errors: u64,
    pub last: u32,
    ordered: bool,
    per_stream: Vec<u32>,
    head: [u8; 8],
    pos: usize,
    len: usize,
    seq: u32,
    bad: bool,
    seen: Vec<u64>,
}

impl Verify {
    pub fn new(ordered: bool, streams: u16) -> Self {
        Verify {
            msgs: 0,
            bytes: 0,
            errors: 0,
            last: 0,
            ordered,
            per_stream: vec![0; streams as usize],
            head: [0; 8],
            pos: 0,
            len: 0,
            seq: 0,
            bad: false,
            seen: Vec::new(),
        }
    }
}

impl Sink for Verify {
    #[inline]
    fn piece(&mut self, mut b: &[u8]) {
        self.bytes += b.len() as u64;
        while self.pos < 8 && !b.is_empty() {
            let n = (8 - self.pos).min(b.len());
            self.head[self.pos..self.pos + n].copy_from_slice(&b[..n]);
            self.pos += n;
            b = &b[n..];
            if self.pos == 8 {
                self.seq = u32::from_le_bytes(self.head[..4].try_into().unwrap());
                self.len = u32::from_le_bytes(self.head[4..].try_into().unwrap()) as usize;
            }
        }
        if !b.is_empty() {
            let o = off(self.seq) + self.pos - 8;
            let end = o + b.len();
            if end > MAX + PERIOD || pattern()[o..end] != *b {
                self.bad = true;
            }
            self.pos += b.len();
        }
    }
    fn end(&mut self, stream: u16, _ppid: u32) {
        let mut ok = !self.bad && self.pos == self.len && self.pos >= 8;
        // every message exactly once
        let (w, bit) = (self.seq as usize / 64, 1u64 << (self.seq % 64));
        if w < (1 << 22) {
            if self.seen.len() <= w {
                self.seen.resize(w + 1, 0);
            }
            ok &= self.seen[w] & bit == 0;
            self.seen[w] |= bit;
        }
        if self.ordered {
            match self.per_stream.get_mut(stream as usize) {
                // per stream strictly increasing; the first message has seq+1 >= 1
                Some(last) => {
                    ok &= self.seq + 1 > *last;
                    *last = self.seq + 1;
                }
                None => ok = false,
            }
        }
        if !ok {
            self.errors += 1;
        }
        self.last = self.seq;
        self.msgs += 1;
        self.pos = 0;
        self.bad = false;
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub user: f64,
    pub sys: f64,
}

impl Usage {
    pub fn now() -> Usage {
        unsafe {
            let mut r: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut r);
            let f = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
            Usage { user: f(r.ru_utime), sys: f(r.ru_stime) }
        }
    }
    pub fn since(self, a: Usage) -> Usage {
        Usage { user: self.user - a.user, sys: self.sys - a.sys }
    }
    pub fn cpu(self) -> f64 {
        self.user + self.sys
    }
}

/// Live heap bytes (glibc: what malloc handed out, mmapped blocks included).
pub fn heap_bytes() -> u64 {
    unsafe {
        let m = libc::mallinfo2();
        (m.uordblks + m.hblkhd) as u64
    }
}

pub fn rss_bytes() -> u64 {
    let s = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    s.split_whitespace().nth(1).and_then(|x| x.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// One measured value: workload, peer, parameters, metric, value.
pub fn emit(workload: &str, peer: &str, params: &str, metric: &str, value: f64) {
    // the same adapter may stand for a patched build of its stack
    let label = std::env::var("BENCH_LABEL").unwrap_or(peer.into());
    let peer = label.as_str();
    println!("M\t{workload}\t{peer}\t{params}\t{metric}\t{value:.6}");
}

pub fn percentile(v: &mut [u64], p: f64) -> u64 {
    if v.is_empty() {
        return 0;
    }
    v.sort_unstable();
    v[((v.len() - 1) as f64 * p) as usize]
}
