//! Ladders: two stacks and a wire in the hands of the test, which sees, drops and forges packets.

use crate::net::Channel;
use std::net::IpAddr;

use bytes::Bytes;

use super::*;
use crate::config::EndpointConfig;
use crate::entropy::SeededEntropy;
use crate::error::SendError;
use crate::event::SendOptions;
use crate::net::NetErrorKind;
use crate::num::{Ppid, StreamId, Tsn, Vtag};
use crate::wire::chunk::{Abort, CookieEcho, Data, Heartbeat, Init, InitParams, Shutdown, ShutdownComplete};
use crate::wire::{Cause, Chunk, CommonHeader, Encode, Packet, PacketWriter, Param};

pub(super) const A: &str = "10.0.0.1";
pub(super) const B: &str = "10.0.0.2";
pub(super) const PORT: u16 = 7;
const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 9899 };

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

fn packet(src_port: u16, dst_port: u16, vtag: Vtag, chunks: &[Chunk<'_>]) -> Bytes {
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

fn init(tag: u32) -> Init<'static> {
    Init { tag: Vtag(tag), a_rwnd: 100_000, outbound: 5, inbound: 5, tsn: Tsn(1000), params: InitParams::List(&[]) }
}

fn answer_to(p: &mut Pair, packet: Bytes) -> Vec<Bytes> {
    p.b.take(p.now, p.a.ip, packet);
    p.b.packets(p.now)
}

#[test]
fn four_way_handshake() {
    let mut p = Pair::new();
    let id = p.connect();
    let i = p.a.packets(p.now);
    assert_eq!(kinds(&i[0]), [1]);
    p.b.take(p.now, p.a.ip, i[0].clone());
    assert_eq!(p.b.stack.association_count(), 0, "an INIT allocates nothing");
    let ack = p.b.packets(p.now);
    assert_eq!(kinds(&ack[0]), [2]);
    p.a.take(p.now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(p.now);
    assert_eq!(kinds(&echo[0]), [10]);
    p.b.take(p.now, p.a.ip, echo[0].clone());
    assert_eq!(p.b.stack.association_count(), 1);
    let done = p.b.packets(p.now);
    assert_eq!(kinds(&done[0]), [11]);
    p.a.take(p.now, p.b.ip, done[0].clone());
    assert_eq!(p.a.state(id), "ESTABLISHED");
    assert!(p.a.has(|e| matches!(e, Event::Connected { outbound: 10, incoming: false, .. })));
    assert!(p.b.has(|e| matches!(e, Event::Connected { incoming: true, .. })));
}

#[test]
fn data_rides_behind_the_cookie_echo() {
    let mut p = Pair::new();
    let id = p.connect();
    let now = p.now;
    p.a.stack.assoc(id).unwrap().send(now, StreamId(0), Ppid(5), Bytes::from_static(b"early"), SendOptions::ordered()).unwrap();
    let i = p.a.packets(now);
    p.b.take(now, p.a.ip, i[0].clone());
    let ack = p.b.packets(now);
    p.a.take(now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(now);
    assert_eq!(kinds(&echo[0]), [10, 0]);
    p.b.take(now, p.a.ip, echo[0].clone());
    let reply = p.b.packets(now);
    assert_eq!(kinds(&reply[0]), [11, 3], "COOKIE ACK first, the first DATA acknowledged at once");
    let b = p.b.events[0].0;
    assert_eq!(p.b.stack.assoc(b).unwrap().recv().unwrap().payload, "early");
}

#[test]
fn a_lost_packet_of_the_handshake_is_sent_again() {
    for lost in 0..4 {
        let mut p = Pair::new();
        let id = p.connect();
        let mut n = 0;
        for _ in 0..8 {
            for pkt in p.a.packets(p.now) {
                if n != lost {
                    p.b.take(p.now, p.a.ip, pkt);
                }
                n += 1;
            }
            for pkt in p.b.packets(p.now) {
                if n != lost {
                    p.a.take(p.now, p.b.ip, pkt);
                }
                n += 1;
            }
        }
        p.pass(Duration::from_secs(3));
        assert_eq!(p.a.state(id), "ESTABLISHED", "lost packet {lost}");
        assert_eq!(p.b.events.iter().filter(|(_, e)| matches!(e, Event::Connected { .. })).count(), 1);
    }
}

#[test]
fn no_answer_to_init_ends_after_the_retries() {
    let mut p = Pair::new();
    let id = p.connect();
    let first = p.a.packets(p.now)[0].clone();
    let mut inits = 1;
    while let Some(t) = p.a.stack.poll_timeout() {
        p.now = t;
        p.a.stack.handle_timeout(t);
        for again in p.a.packets(t) {
            assert_eq!(again, first, "a retransmitted INIT is unchanged");
            inits += 1;
        }
    }
    assert_eq!(inits, 9);
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::ConnectTimeout }));
    assert_eq!(p.a.state(id), "gone");
}

#[test]
fn init_to_a_closed_port_is_refused() {
    let mut p = Pair::new();
    let (now, b) = (p.now, p.b.ep);
    p.b.stack.listen(b, false);
    p.connect();
    p.settle();
    assert!(p.a.has(|e| matches!(e, Event::Lost { reason: CloseReason::Refused(_) })), "{now} {:?}", p.a.events);
}

#[test]
fn init_rules() {
    let mut p = Pair::new();
    // Tag zero, or a tag in the common header: silence.
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(init(0))])).is_empty());
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(3), &[Chunk::Init(init(5))])).is_empty());
    // Bundled: the whole packet is dropped.
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(init(5)), Chunk::CookieAck])).is_empty());
    // No streams: ABORT with the INIT's tag.
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { outbound: 0, ..init(5) })]));
    let parsed = Packet::parse(&refused[0]).unwrap();
    assert_eq!(parsed.header.vtag, Vtag(5));
    let Chunk::Abort(abort) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no ABORT") };
    assert!(!abort.t);
    assert_eq!(abort.causes().next(), Some(Ok(Cause::InvalidMandatoryParam)));
    // A host name is refused with the parameter.
    let params = [Param::HostName(b"example.org\0")];
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
    assert_eq!(kinds(&refused[0]), [6]);
    // Window below 1500.
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { a_rwnd: 1499, ..init(5) })]));
    assert_eq!(kinds(&refused[0]), [6]);
    assert_eq!(p.b.stack.association_count(), 0);
}

#[test]
fn unknown_parameters_follow_their_action_bits() {
    let report = |kind: u16| {
        let mut p = Pair::new();
        let raw = [kind.to_be_bytes(), [0, 6], *b"hi"].concat();
        let tlv = crate::wire::tlv::TlvIter::new(&raw).next().unwrap().unwrap();
        // Behind it an address that only counts if processing went on.
        let params = [Param::Unknown(tlv), Param::Address(ip("10.0.0.77"))];
        let ack = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
        let parsed = Packet::parse(&ack[0]).unwrap();
        let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
        let mut reported = false;
        let mut cookie = Vec::new();
        for (param, _) in ack.params().map(Result::unwrap) {
            match param {
                Param::Unrecognized(echo) => reported = echo == raw.as_slice(),
                Param::StateCookie(c) => cookie = c.to_vec(),
                _ => {}
            }
        }
        let cookie = p.b.stack.cookies.open(p.now, &cookie).unwrap();
        (reported, cookie.peer_addrs.len() == 2)
    };
    assert_eq!(report(0x3fff), (false, false), "00: stop");
    assert_eq!(report(0x7fff), (true, false), "01: stop, report");
    assert_eq!(report(0xbfff), (false, true), "10: skip");
    assert_eq!(report(0xffff), (true, true), "11: skip, report");
}

#[test]
fn unknown_chunks_follow_their_action_bits() {
    for (kind, reported, goes_on) in [(0x3f, false, false), (0x7f, true, false), (0xbf, false, true), (0xff, true, true)] {
        let (mut p, _, b) = Pair::up();
        let core = &p.b.stack.assocs.get(b).unwrap().core;
        let (tag, tsn) = (core.local_tag, core.rx.as_ref().unwrap().cum_tsn().next());
        let raw = [kind, 0, 0, 5, 9, 0, 0, 0];
        let data = Data {
            immediate: false,
            unordered: false,
            begin: true,
            end: true,
            tsn,
            sid: StreamId(0),
            ssn: crate::num::Ssn(0),
            ppid: Ppid(0),
            payload: b"x",
        };
        let mut buf = Vec::new();
        let mut w = PacketWriter::new(&mut buf, CommonHeader { src_port: 50_000, dst_port: PORT, vtag: tag }, 1400);
        w.push(&Raw(&raw));
        w.push(&Chunk::Data(data));
        w.finish();
        let got = answer_to(&mut p, Bytes::from(buf));
        let kinds: Vec<u8> = got.iter().flat_map(kinds).collect();
        assert_eq!(kinds.contains(&9), reported, "type {kind:#x}");
        assert_eq!(p.b.stack.assoc(b).unwrap().recv().is_some(), goes_on, "type {kind:#x}");
        if reported && goes_on {
            assert_eq!(kinds, [9, 3], "the ERROR precedes the SACK in one packet");
            assert_eq!(got.len(), 1);
        }
    }
}

struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, w: &mut crate::wire::cursor::Writer<'_>) {
        w.bytes(self.0);
    }
}

#[test]
fn out_of_the_blue() {
    let mut p = Pair::new();
    let tag = Vtag(77);
    let data = Data {
        immediate: false,
        unordered: false,
        begin: true,
        end: true,
        tsn: Tsn(1),
        sid: StreamId(0),
        ssn: crate::num::Ssn(0),
        ppid: Ppid(0),
        payload: b"x",
    };
    let reply = answer_to(&mut p, packet(9, PORT, tag, &[Chunk::Data(data)]));
    let parsed = Packet::parse(&reply[0]).unwrap();
    assert_eq!((kinds(&reply[0]), parsed.header.vtag), (vec![6], tag));
    assert_eq!(parsed.chunks().next().unwrap().unwrap().flags, 1, "T bit");
    let reply = answer_to(&mut p, packet(9, PORT, tag, &[Chunk::ShutdownAck]));
    let parsed = Packet::parse(&reply[0]).unwrap();
    assert_eq!((kinds(&reply[0]), parsed.header.vtag), (vec![14], tag));
    assert_eq!(parsed.chunks().next().unwrap().unwrap().flags, 1, "T bit");
    let stale = Cause::StaleCookie(5).to_vec();
    for silent in [
        Chunk::Abort(Abort { t: false, causes: &[] }),
        Chunk::ShutdownComplete(ShutdownComplete { t: false }),
        Chunk::CookieAck,
        Chunk::Error(crate::wire::chunk::ErrorChunk { causes: &stale }),
    ] {
        assert!(answer_to(&mut p, packet(9, PORT, tag, &[silent])).is_empty(), "{silent:?}");
    }
    // Not from a unicast address.
    let reply = {
        p.b.take(p.now, ip("224.0.0.1"), packet(9, PORT, tag, &[Chunk::Data(data)]));
        p.b.packets(p.now)
    };
    assert!(reply.is_empty());
}

#[test]
fn verification_tags() {
    let (mut p, a, b) = Pair::up();
    let core = &p.b.stack.assocs.get(b).unwrap().core;
    let (own, peer) = (core.local_tag, core.peer_tag);
    let wrong = Vtag(own.0 ^ 1);
    let abort = |t| Chunk::Abort(Abort { t, causes: &[] });
    for (tag, t) in [(wrong, false), (wrong, true), (own, true), (peer, false)] {
        assert!(answer_to(&mut p, packet(50_000, PORT, tag, &[abort(t)])).is_empty());
        assert_eq!(p.b.state(b), "ESTABLISHED", "{tag:?} {t}");
    }
    assert!(answer_to(&mut p, packet(50_000, PORT, wrong, &[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(0) })])).is_empty());
    assert_eq!(p.b.state(b), "ESTABLISHED");
    // An ABORT behind another chunk cannot use the reflected tag.
    answer_to(&mut p, packet(50_000, PORT, own, &[Chunk::CookieAck, abort(true)]));
    assert_eq!(p.b.state(b), "ESTABLISHED");
    answer_to(&mut p, packet(50_000, PORT, peer, &[abort(true)]));
    assert_eq!(p.b.state(b), "gone");
    assert!(p.b.has(|e| matches!(e, Event::Lost { reason: CloseReason::PeerAborted(_) })));
    assert_eq!(p.a.state(a), "ESTABLISHED");
}

#[test]
fn both_open_at_once() {
    let mut p = Pair::new();
    let a = p.connect();
    let addr = SocketAddr::new(p.a.ip, 50_000);
    let b = p.b.stack.connect(p.now, p.b.ep, &[addr.into()], None).unwrap();
    p.settle();
    p.pass(Duration::from_secs(5));
    assert_eq!((p.a.state(a), p.b.state(b)), ("ESTABLISHED", "ESTABLISHED"));
    assert_eq!((p.a.stack.association_count(), p.b.stack.association_count()), (1, 1));
    for peer in [&p.a, &p.b] {
        assert_eq!(peer.events.iter().filter(|(_, e)| matches!(e, Event::Connected { .. })).count(), 1);
    }
    let now = p.now;
    p.a.stack.assoc(a).unwrap().send(now, StreamId(1), Ppid(5), Bytes::from_static(b"hello"), SendOptions::ordered()).unwrap();
    p.settle();
    assert_eq!(p.b.stack.assoc(b).unwrap().recv().unwrap().payload, "hello");
}

#[test]
fn a_restarted_peer_takes_over_its_association() {
    let (mut p, _, b) = Pair::up();
    p.a = Peer::new(A, 50_000, 99, AssocConfig::rfc());
    let a = p.connect();
    p.settle();
    assert_eq!((p.a.state(a), p.b.state(b)), ("ESTABLISHED", "ESTABLISHED"));
    assert!(p.b.has(|e| *e == Event::Restarted));
    assert_eq!(p.b.stack.association_count(), 1);
    let now = p.now;
    p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(5), Bytes::from_static(b"again"), SendOptions::ordered()).unwrap();
    p.settle();
    assert_eq!(p.b.stack.assoc(b).unwrap().recv().unwrap().payload, "again");
}

/// Opens an association with `b` from `from` by forged packets; answers the chunks that the COOKIE ECHO is answered with.
fn open_by_hand(p: &mut Pair, from: &str, tag: u32, params: &[Param<'_>]) -> Vec<u8> {
    let init = Chunk::Init(Init { params: InitParams::List(params), ..init(tag) });
    p.b.take(p.now, ip(from), packet(50_000, PORT, Vtag(0), &[init]));
    let reply = p.b.packets(p.now);
    let parsed = Packet::parse(&reply[0]).unwrap();
    let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
    let cookie = ack.params().find_map(|i| if let Ok((Param::StateCookie(c), _)) = i { Some(c.to_vec()) } else { None }).unwrap();
    let echo = Chunk::CookieEcho(CookieEcho { cookie: &cookie });
    p.b.take(p.now, ip(from), packet(50_000, PORT, ack.tag, &[echo]));
    p.b.packets(p.now).first().map(kinds).unwrap_or_default()
}

#[test]
fn a_restart_with_fewer_addresses_frees_the_others() {
    const OTHER: &str = "10.9.9.9";
    let mut p = Pair::new();
    assert_eq!(open_by_hand(&mut p, A, 5, &[Param::Address(ip(OTHER))])[0], 11);
    assert_eq!(open_by_hand(&mut p, A, 6, &[])[0], 11);
    assert!(p.b.has(|e| *e == Event::Restarted));
    // Nobody's any more: a peer of its own may come from there.
    assert_eq!(open_by_hand(&mut p, OTHER, 7, &[])[0], 11);
    assert_eq!(p.b.stack.association_count(), 2);
}

#[test]
fn an_init_with_new_addresses_is_no_restart() {
    let (mut p, _, b) = Pair::up();
    let params = [Param::Address(ip("10.9.9.9"))];
    let reply = answer_to(&mut p, packet(50_000, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
    assert_eq!(kinds(&reply[0]), [6]);
    assert_eq!(p.b.state(b), "ESTABLISHED");
}

#[test]
fn a_stale_cookie_is_reported_and_asked_for_again() {
    let mut p = Pair::new();
    let id = p.connect();
    let i = p.a.packets(p.now);
    p.b.take(p.now, p.a.ip, i[0].clone());
    let ack = p.b.packets(p.now);
    p.a.take(p.now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(p.now);
    let late = p.now + Duration::from_secs(61);
    p.b.take(late, p.a.ip, echo[0].clone());
    let error = p.b.packets(late);
    assert_eq!(kinds(&error[0]), [9]);
    assert_eq!(p.b.stack.association_count(), 0);
    p.a.take(p.now, p.b.ip, error[0].clone());
    let again = p.a.packets(p.now);
    let parsed = Packet::parse(&again[0]).unwrap();
    let Chunk::Init(init) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT") };
    assert!(init.params().any(|x| matches!(x.unwrap().0, Param::CookiePreservative(ms) if (1..=1_000).contains(&ms))));
    p.now = late;
    for pkt in again {
        p.b.take(late, p.a.ip, pkt);
    }
    p.settle();
    assert_eq!(p.a.state(id), "ESTABLISHED");
}

#[test]
fn graceful_shutdown_delivers_what_was_accepted() {
    let (mut p, a, b) = Pair::up();
    let now = p.now;
    for n in 0..50_u8 {
        p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from(vec![n; 3000]), SendOptions::ordered()).unwrap();
    }
    p.a.stack.assoc(a).unwrap().shutdown(now);
    assert_eq!(
        p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from_static(b"late"), SendOptions::ordered()),
        Err(SendError::Closed)
    );
    p.pass(Duration::from_secs(10));
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }), "{:?}", p.a.events);
    assert!(p.b.has(|e| *e == Event::ShutdownReceived));
    assert!(p.b.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }));
    let mut got = 0;
    while let Some(m) = p.b.stack.assoc(b).and_then(|mut a| a.recv()) {
        assert_eq!(m.payload, vec![got; 3000]);
        got += 1;
    }
    assert_eq!(got, 50);
    assert_eq!((p.a.stack.association_count(), p.b.stack.association_count()), (0, 0));
}

#[test]
fn both_shut_down_at_once() {
    let (mut p, a, b) = Pair::up();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().shutdown(now);
    p.b.stack.assoc(b).unwrap().shutdown(now);
    p.pass(Duration::from_secs(5));
    for peer in [&p.a, &p.b] {
        assert!(peer.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }), "{:?}", peer.events);
    }
}

#[test]
fn abort_reaches_the_peer_with_its_reason() {
    let (mut p, a, _) = Pair::up();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().abort(now, b"enough");
    p.settle();
    let reason = p.b.events.iter().find_map(|(_, e)| match e {
        Event::Lost { reason: CloseReason::PeerAborted(causes) } => Some(causes.clone()),
        _ => None,
    });
    assert_eq!(reason.unwrap(), Cause::UserAbort(b"enough").to_vec());
}

#[test]
fn silence_of_the_peer_ends_in_loss_with_the_unsent() {
    let (mut p, a, _) = Pair::up();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()).unwrap();
    p.a.packets(now);
    while let Some(t) = p.a.stack.poll_timeout() {
        p.a.stack.handle_timeout(t);
        p.a.packets(t);
    }
    assert!(p.a.has(|e| matches!(e, Event::SendFailed { message, .. } if message.payload == "x")));
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::PeerUnreachable }));
}

#[test]
fn a_dead_local_process_ends_its_associations_at_once() {
    let mut p = Pair::new();
    p.b.ip = p.a.ip;
    let a = p.connect();
    p.settle();
    p.a.stack.handle_ports_died(p.now, &[4711]);
    assert_eq!(p.a.state(a), "ESTABLISHED");
    p.a.stack.handle_ports_died(p.now, &[PORT]);
    p.a.packets(p.now);
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::LocalPeerDied }));
}

#[test]
fn port_unreachable_is_believed_only_twice_and_only_with_our_tag() {
    let (mut p, a, _) = Pair::up();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()).unwrap();
    let quoted = p.a.packets(now)[0].clone();
    let err = |quoted: Bytes| NetError { kind: NetErrorKind::PortUnreachable, dst: ip(B), channel: CHANNEL, quoted };
    let mut forged = quoted.to_vec();
    forged[4] ^= 1;
    p.a.stack.handle_net_error(now, &err(Bytes::from(forged)));
    assert!(p.a.packets(now).is_empty());
    p.a.stack.handle_net_error(now, &err(quoted.clone()));
    let probe = p.a.packets(now);
    assert_eq!(kinds(&probe[0]), [4], "a HEARTBEAT asks");
    p.a.stack.handle_net_error(now, &err(quoted.clone()));
    assert_eq!(p.a.state(a), "ESTABLISHED", "within 100 ms it is the same error");
    let later = now + Duration::from_millis(100);
    p.a.stack.handle_net_error(later, &err(quoted));
    p.a.packets(later);
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::NetworkUnreachable }));
}

#[test]
fn a_suspended_host_does_not_lose_its_associations() {
    let mut cfg = AssocConfig::session();
    cfg.hb_interval = Some(Duration::from_secs(1));
    let mut p = Pair::with(cfg);
    let a = p.connect();
    p.settle();
    let now = p.now;
    p.a.stack.assoc(a).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()).unwrap();
    p.a.packets(now);
    // Twenty suspensions of 30 s each: as many expired timers as the limits allow several times over, none of which counts.
    for _ in 0..20 {
        p.now += Duration::from_secs(30);
        p.a.stack.handle_timeout(p.now);
        assert_eq!(p.a.state(a), "ESTABLISHED");
    }
}

#[test]
fn messages_for_streams_that_the_peer_refuses_come_back() {
    let mut p = Pair::new();
    let narrow = AssocConfig { max_inbound_streams: 2, ..AssocConfig::rfc() };
    p.b = Peer::new(B, PORT, 2, narrow);
    let id = p.connect();
    let now = p.now;
    for sid in [0, 5, 1] {
        p.a.stack.assoc(id).unwrap().send(now, StreamId(sid), Ppid(0), Bytes::from(vec![0; 10]), SendOptions::ordered()).unwrap();
    }
    p.settle();
    assert_eq!(p.a.state(id), "ESTABLISHED");
    let failed: Vec<_> =
        p.a.events.iter().filter_map(|(_, e)| if let Event::SendFailed { message, .. } = e { Some(message.sid.0) } else { None }).collect();
    assert_eq!(failed, [5]);
    let b = p.b.events[0].0;
    let got: Vec<_> = core::iter::from_fn(|| p.b.stack.assoc(b)?.recv()).map(|m| m.sid.0).collect();
    assert_eq!(got, [0, 1]);
    assert_eq!(
        p.a.stack.assoc(id).unwrap().send(now, StreamId(2), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()),
        Err(SendError::InvalidStream)
    );
}

#[test]
fn a_shutdown_during_the_handshake_waits_for_what_was_accepted() {
    let mut p = Pair::new();
    let id = p.connect();
    let now = p.now;
    let send =
        |p: &mut Pair| p.a.stack.assoc(id).unwrap().send(now, StreamId(0), Ppid(0), Bytes::from(vec![7; 9_000]), SendOptions::ordered());
    send(&mut p).unwrap();
    p.a.stack.assoc(id).unwrap().shutdown(now);
    assert_eq!(send(&mut p), Err(SendError::Closed));
    p.pass(Duration::from_secs(5));
    let b = p.b.events[0].0;
    assert_eq!(p.b.stack.assoc(b).unwrap().recv().unwrap().payload.len(), 9_000);
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }), "{:?}", p.a.events);
    assert!(!p.a.has(|e| matches!(e, Event::SendFailed { .. })));
}

#[test]
fn an_address_that_was_only_listed_belongs_to_who_comes_from_it() {
    let mut p = Pair::new();
    // Somebody else lists A's address as its own and opens an association from the same port.
    let camper = ip("10.0.0.66");
    let params = [Param::Address(ip(A))];
    p.b.take(p.now, camper, packet(50_000, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
    let ack = p.b.packets(p.now)[0].clone();
    let parsed = Packet::parse(&ack).unwrap();
    let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
    let cookie = ack.params().find_map(|x| if let Param::StateCookie(c) = x.unwrap().0 { Some(c) } else { None }).unwrap();
    p.b.take(p.now, camper, packet(50_000, PORT, ack.tag, &[Chunk::CookieEcho(CookieEcho { cookie })]));
    p.b.packets(p.now);
    assert_eq!(p.b.stack.association_count(), 1);
    let a = p.connect();
    p.settle();
    assert_eq!(p.a.state(a), "ESTABLISHED");
    assert_eq!(p.b.stack.association_count(), 2);
    assert!(!p.b.has(|e| *e == Event::Restarted));
}

#[test]
fn packets_from_an_address_that_the_init_ack_listed_belong_to_the_association() {
    let mut p = Pair::new();
    let id = p.connect();
    let init_packet = p.a.packets(p.now)[0].clone();
    p.b.take(p.now, p.a.ip, init_packet);
    let ack = p.b.packets(p.now)[0].clone();
    let parsed = Packet::parse(&ack).unwrap();
    let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
    let mut params: Vec<_> = ack.params().map(|x| x.unwrap().0).collect();
    params.insert(0, Param::Address(ip("10.0.0.99")));
    let listed = Init { params: InitParams::List(&params), ..ack };
    let forwarded = packet(PORT, 50_000, parsed.header.vtag, &[Chunk::InitAck(listed)]);
    p.a.take(p.now, p.b.ip, forwarded);
    p.settle();
    let tag = p.a.stack.assocs.get(id).unwrap().core.local_tag;
    let tlvs = [0, 1, 0, 8, 1, 2, 3, 4];
    let beat = packet(PORT, 50_000, tag, &[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
    p.a.take(p.now, ip("10.0.0.99"), beat);
    let reply = p.a.packets(p.now);
    assert_eq!(kinds(&reply[0]), [5], "answered, not aborted");
    assert_eq!(p.a.state(id), "ESTABLISHED");
}

#[test]
fn sacks_of_a_train_keep_their_gap_blocks() {
    let (mut p, _, b) = Pair::up();
    let core = &p.b.stack.assocs.get(b).unwrap().core;
    let (tag, first) = (core.local_tag, core.rx.as_ref().unwrap().cum_tsn().next());
    // Of seven packets that arrive together the third and the fifth are missing.
    for n in [0, 1, 3, 5, 6] {
        let tsn = first.plus(n);
        let ssn = crate::num::Ssn(u16::try_from(n).unwrap());
        let data =
            Data { immediate: false, unordered: false, begin: true, end: true, tsn, sid: StreamId(0), ssn, ppid: Ppid(0), payload: b"x" };
        p.b.take(p.now, ip(A), packet(50_000, PORT, tag, &[Chunk::Data(data)]));
    }
    let mut sacks = Vec::new();
    let mut buf = Vec::new();
    while let Some(t) = p.b.stack.poll_transmit(p.now, 16, &mut buf) {
        for one in buf.chunks(t.segment_size.unwrap_or(t.size)) {
            let parsed = Packet::parse(one).unwrap();
            let Chunk::Sack(sack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no SACK") };
            sacks.push((sack.cum_tsn.since(first), sack.gaps.iter().map(|g| (g.start, g.end)).collect::<Vec<_>>()));
        }
        buf.clear();
    }
    let with_gaps: Vec<_> = sacks.into_iter().filter(|(_, gaps)| !gaps.is_empty()).collect();
    assert_eq!(with_gaps, [(1, vec![(2, 2)]), (1, vec![(2, 2), (4, 4)]), (1, vec![(2, 2), (4, 5)])]);
}

#[test]
fn a_peer_that_finds_every_cookie_stale_does_not_keep_us_busy() {
    let mut p = Pair::new();
    let id = p.connect();
    let stale = Cause::StaleCookie(1).to_vec();
    for _ in 0..40 {
        for pkt in p.a.packets(p.now) {
            if kinds(&pkt)[0] == 1 {
                p.b.take(p.now, p.a.ip, pkt);
                for ack in p.b.packets(p.now) {
                    p.a.take(p.now, p.b.ip, ack);
                }
            } else {
                let tag = p.a.stack.assocs.get(id).unwrap().core.local_tag;
                let error = packet(PORT, 50_000, tag, &[Chunk::Error(crate::wire::chunk::ErrorChunk { causes: &stale })]);
                p.a.take(p.now, p.b.ip, error);
            }
        }
    }
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::ConnectTimeout }), "{:?}", p.a.events);
}
