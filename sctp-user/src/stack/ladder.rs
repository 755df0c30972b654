//! Ladders: two stacks and a wire in the hands of the test, which sees, drops and forges packets.

use std::net::IpAddr;

use bytes::Bytes;

use super::*;
use crate::config::EndpointConfig;
use crate::entropy::SeededEntropy;
use crate::net::Channel;
use crate::num::{Tsn, Vtag};
use crate::wire::chunk::{Init, InitParams};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter, Param};

pub(super) const A: &str = "10.0.0.1";
pub(super) const B: &str = "10.0.0.2";
pub(super) const PORT: u16 = 7;
pub(super) const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };

pub(super) fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

pub(super) struct Peer {
    pub(super) stack: Stack,
    pub(super) ip: IpAddr,
    pub(super) ep: EndpointId,
    pub(super) events: Vec<(AssocId, Event)>,
}

impl Peer {
    pub(super) fn new(addr: &str, port: u16, seed: u64, cfg: AssocConfig) -> Self {
        let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(seed)));
        let ep = stack.open(EndpointConfig::with(port, Arc::new(cfg))).unwrap();
        stack.listen(ep, true);
        Self { stack, ip: ip(addr), ep, events: Vec::new() }
    }

    pub(super) fn packets(&mut self, now: Time) -> Vec<Bytes> {
        let mut out = Vec::new();
        let mut buf = Vec::new();
        while let Some(t) = self.stack.poll_transmit(now, 1, &mut buf) {
            assert_eq!(t.size, buf.len());
            out.push(Bytes::from(core::mem::take(&mut buf)));
        }
        while let Some((_, id, e)) = self.stack.poll_event() {
            self.events.push((id, e));
        }
        out
    }

    pub(super) fn take(&mut self, now: Time, from: IpAddr, packet: Bytes) {
        let meta = Meta { src: from, dst: self.ip, channel: CHANNEL, ecn: None, ifindex: None };
        self.stack.handle_datagram(now, &meta, packet);
        while let Some((_, id, e)) = self.stack.poll_event() {
            self.events.push((id, e));
        }
    }

    pub(super) fn has(&self, f: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, e)| f(e))
    }

    pub(super) fn state(&mut self, id: AssocId) -> &'static str {
        self.stack.assoc(id).map_or("gone", |a| a.status().state)
    }
}

pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) a: Peer,
    pub(super) b: Peer,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(AssocConfig::rfc())
    }

    pub(super) fn with(cfg: AssocConfig) -> Self {
        Self { now: Time::from_millis(1), a: Peer::new(A, 50_000, 1, cfg.clone()), b: Peer::new(B, PORT, 2, cfg) }
    }

    pub(super) fn connect(&mut self) -> AssocId {
        let addr = SocketAddr::new(self.b.ip, PORT);
        self.a.stack.connect(self.now, self.a.ep, &[addr.into()], None).unwrap()
    }

    /// Delivers everything until both are quiet; answers how many packets that took.
    pub(super) fn settle(&mut self) -> usize {
        let mut n = 0;
        loop {
            let (from_a, from_b) = (self.a.packets(self.now), self.b.packets(self.now));
            if from_a.is_empty() && from_b.is_empty() {
                return n;
            }
            n += from_a.len() + from_b.len();
            assert!(n < 10_000, "no end");
            for p in from_a {
                self.b.take(self.now, self.a.ip, p);
            }
            for p in from_b {
                self.a.take(self.now, self.b.ip, p);
            }
        }
    }

    /// Lets `d` pass, serving every deadline in it.
    pub(super) fn pass(&mut self, d: Duration) {
        let end = self.now + d;
        loop {
            self.settle();
            let next = [self.a.stack.poll_timeout(), self.b.stack.poll_timeout()].into_iter().flatten().min();
            match next.filter(|t| *t <= end) {
                Some(t) => self.now = t.max(self.now),
                None => break,
            }
            self.a.stack.handle_timeout(self.now);
            self.b.stack.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub(super) fn up() -> (Self, AssocId, AssocId) {
        let mut p = Self::new();
        let a = p.connect();
        p.settle();
        let b = p.b.events.first().unwrap().0;
        assert_eq!((p.a.state(a), p.b.state(b)), ("ESTABLISHED", "ESTABLISHED"));
        (p, a, b)
    }
}

pub(super) fn packet(src_port: u16, dst_port: u16, vtag: Vtag, chunks: &[Chunk<'_>]) -> Bytes {
    let mut buf = Vec::new();
    let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port, dst_port, vtag }, 1400);
    for c in chunks {
        w.push(c);
    }
    w.finish();
    Bytes::from(buf)
}

pub(super) fn kinds(p: &Bytes) -> Vec<u8> {
    Packet::parse(p).unwrap().chunks().map(|c| c.unwrap().kind).collect()
}

pub(super) fn init(tag: u32) -> Init<'static> {
    Init { tag: Vtag(tag), a_rwnd: 100_000, outbound: 5, inbound: 5, tsn: Tsn(1000), params: InitParams::List(&[]) }
}

pub(super) fn answer_to(p: &mut Pair, packet: Bytes) -> Vec<Bytes> {
    p.b.take(p.now, p.a.ip, packet);
    p.b.packets(p.now)
}

/// The cookie in an INIT ACK.
pub(super) fn cookie_of<'a>(ack: &Init<'a>) -> &'a [u8] {
    ack.params().find_map(|p| if let Param::StateCookie(cookie) = p.unwrap().0 { Some(cookie) } else { None }).unwrap()
}
