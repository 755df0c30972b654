//! Not SCTP: fragments, copies once into a packet, hardware CRC32C on both sides, reassembles.
//! What the harness plus "one copy and one CRC a side" costs; an upper limit, no protocol at all.

use crate::endpoint::*;
use std::collections::VecDeque;
use std::time::Duration;

pub struct Ideal {
    mtu: usize,
    window: usize,
    queued: usize,
    q: VecDeque<(u16, u32, Vec<u8>)>,
    pos: usize,
    state: u8,
    client: bool,
    ctl: VecDeque<u8>,
    ready: VecDeque<Vec<u8>>,
    part: bool,
    rpos: usize,
}

impl MemEndpoint for Ideal {
    type Datagram = Vec<u8>;
    const NAME: &'static str = "ideal";

    fn new(cfg: &Config, _now: Duration) -> Self {
        Ideal {
            mtu: cfg.mtu,
            window: cfg.window,
            queued: 0,
            q: VecDeque::new(),
            pos: 0,
            state: 0,
            client: cfg.client,
            ctl: VecDeque::new(),
            ready: VecDeque::new(),
            part: false,
            rpos: 0,
        }
    }
    fn connect(&mut self, _now: Duration) {
        self.ctl.push_back(1);
    }
    fn is_established(&self) -> bool {
        self.state == 1
    }
    fn shutdown(&mut self, _now: Duration) {
        self.ctl.push_back(2);
    }
    fn is_closed(&self) -> bool {
        self.state == 2
    }
    fn send(&mut self, _now: Duration, stream: u16, ppid: u32, data: Vec<u8>, _unordered: bool) -> Sent {
        if self.queued + data.len() > self.window {
            return Sent::Full(Some(data));
        }
        self.queued += data.len();
        self.q.push_back((stream, ppid, data));
        Sent::Accepted
    }
    fn poll_transmit(&mut self, _now: Duration) -> Option<Vec<u8>> {
        if self.q.is_empty() || !self.ctl.is_empty() {
            return self.ctl.pop_front().map(|c| vec![c]);
        }
        let mut p = Vec::with_capacity(self.mtu);
        p.extend_from_slice(&[0u8; 12]);
        while let Some((stream, ppid, m)) = self.q.front() {
            let room = self.mtu - p.len();
            if room < 17 || (room - 16 < m.len() - self.pos && p.len() > 12) {
                break;
            }
            let n = (m.len() - self.pos).min(room - 16);
            let last = self.pos + n == m.len();
            p.extend_from_slice(&[0, last as u8]);
            p.extend_from_slice(&(n as u16 + 16).to_be_bytes());
            p.extend_from_slice(&[0; 4]);
            p.extend_from_slice(&stream.to_be_bytes());
            p.extend_from_slice(&[0; 2]);
            p.extend_from_slice(&ppid.to_be_bytes());
            p.extend_from_slice(&m[self.pos..self.pos + n]);
            while p.len() % 4 != 0 {
                p.push(0);
            }
            self.pos += n;
            if last {
                self.queued -= m.len();
                self.q.pop_front();
                self.pos = 0;
            }
        }
        let c = crc32c::crc32c(&p);
        p[8..12].copy_from_slice(&c.to_le_bytes());
        Some(p)
    }
    fn handle_datagram(&mut self, _now: Duration, mut d: Vec<u8>) {
        if d.len() == 1 {
            if !self.client && self.state != d[0] {
                self.ctl.push_back(d[0]);
            }
            self.state = d[0];
            return;
        }
        let want = u32::from_le_bytes(d[8..12].try_into().unwrap());
        d[8..12].fill(0);
        assert_eq!(crc32c::crc32c(&d), want);
        self.ready.push_back(d);
    }
    fn poll_timeout(&mut self) -> Option<Duration> {
        None
    }
    fn handle_timeout(&mut self, _now: Duration) {}
    fn recv(&mut self, _now: Duration, sink: &mut dyn Sink) -> bool {
        while let Some(p) = self.ready.front() {
            if !self.part {
                self.part = true;
                self.rpos = 12;
            }
            while self.rpos < p.len() {
                let o = self.rpos;
                let n = u16::from_be_bytes([p[o + 2], p[o + 3]]) as usize;
                sink.piece(&p[o + 16..o + n]);
                self.rpos += n.div_ceil(4) * 4;
                if p[o + 1] == 1 {
                    sink.end(u16::from_be_bytes([p[o + 8], p[o + 9]]), 0);
                    if self.rpos >= p.len() {
                        self.part = false;
                        self.ready.pop_front();
                    }
                    return true;
                }
            }
            self.part = false;
            self.ready.pop_front();
        }
        false
    }
}
