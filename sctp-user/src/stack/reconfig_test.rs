//! Stream reconfiguration (RFC 6525) between two stacks, and against a peer that does what it wants.

use super::ladder::{A, PORT, Pair, Peer, kinds};
use bytes::Bytes;

use super::*;
use crate::error::{ReconfigError, SendError};
use crate::event::ReconfigOutcome::{Denied, Failed, Performed};
use crate::event::SendOptions;
use crate::num::{Ppid, StreamId, Tsn};
use crate::wire::chunk::{Reconfig, ReconfigParam as P, ReconfigParams, ReconfigResult as R, StreamList};
use crate::wire::{Cause, Chunk, CommonHeader, Packet, PacketWriter};

pub(super) struct T {
    pub(super) p: Pair,
    pub(super) a: AssocId,
    pub(super) b: AssocId,
    /// The initial TSNs, with which request numbers begin.
    pub(super) first: (u32, u32),
    /// What RE-CONFIG chunks said, in order.
    pub(super) log: Vec<String>,
}

fn willing(cfg: &mut AssocConfig) {
    (cfg.accept_stream_reset, cfg.accept_association_reset, cfg.accept_added_streams) = (true, true, true);
}

pub(super) fn stream(n: u16) -> StreamId {
    StreamId(n)
}

impl T {
    fn with(change: impl FnOnce(&mut AssocConfig)) -> Self {
        let mut cfg = AssocConfig { stream_reset: true, ..AssocConfig::rfc() };
        change(&mut cfg);
        let mut p = Pair::with(cfg);
        let a = p.connect();
        p.settle();
        let b = p.b.events.first().unwrap().0;
        let first = (p.a.stack.assocs.get(a).unwrap().core.local_tsn.0, p.b.stack.assocs.get(b).unwrap().core.local_tsn.0);
        p.a.events.clear();
        p.b.events.clear();
        Self { p, a, b, first, log: Vec::new() }
    }

    pub(super) fn up() -> Self {
        Self::with(willing)
    }

    pub(super) fn at_a(&mut self) -> Assoc<'_> {
        self.p.a.stack.assoc(self.a).unwrap()
    }

    pub(super) fn at_b(&mut self) -> Assoc<'_> {
        self.p.b.stack.assoc(self.b).unwrap()
    }

    pub(super) fn send(&mut self, from_a: bool, sid: u16, text: &str) {
        let now = self.p.now;
        let mut assoc = if from_a { self.at_a() } else { self.at_b() };
        assoc.send(now, stream(sid), Ppid(1), Bytes::copy_from_slice(text.as_bytes()), SendOptions::ordered()).unwrap();
    }

    pub(super) fn read(&mut self, at_a: bool) -> Vec<(u16, u16, String)> {
        let mut assoc = if at_a { self.at_a() } else { self.at_b() };
        core::iter::from_fn(|| assoc.recv()).map(|m| (m.sid.0, m.ssn.0, String::from_utf8(m.payload.to_vec()).unwrap())).collect()
    }

    /// One RE-CONFIG chunk in words, numbers counted from the initial ones.
    fn show(&self, from_a: bool, chunk: &Reconfig<'_>) -> String {
        let (own, peer) = if from_a { self.first } else { (self.first.1, self.first.0) };
        let rel = |n: u32, base: u32| i64::from(n.wrapping_sub(base).cast_signed());
        let list = |s: StreamList<'_>| s.iter().map(|s| format!(",{s}")).collect::<String>();
        let params = chunk.params().map(|p| match p.unwrap() {
            P::OutgoingReset { request, response, last_tsn, streams } => {
                format!("OUT {}/{}/{}{}", rel(request, own), rel(response, peer), rel(last_tsn.0, own), list(streams))
            }
            P::IncomingReset { request, streams } => format!("IN {}{}", rel(request, own), list(streams)),
            P::TsnReset { request } => format!("TSN {}", rel(request, own)),
            P::Response { response, result, next_tsns } => {
                let tsns = next_tsns.map(|(s, r)| format!(" {}/{}", rel(s.0, own), rel(r.0.wrapping_sub(1 << 31), peer)));
                format!("RESP {}={}{}", rel(response, peer), result.0, tsns.unwrap_or_default())
            }
            P::AddOutgoing { request, count } => format!("ADDOUT {}+{count}", rel(request, own)),
            P::AddIncoming { request, count } => format!("ADDIN {}+{count}", rel(request, own)),
            P::Unknown(_) => "?".into(),
        });
        format!("{} {}", if from_a { "a:" } else { "b:" }, params.collect::<Vec<_>>().join("|"))
    }

    fn note(&mut self, from_a: bool, packet: &Bytes) {
        for raw in Packet::parse(packet).unwrap().chunks() {
            if let Chunk::Reconfig(c) = raw.unwrap().decode().unwrap() {
                let line = self.show(from_a, &c);
                self.log.push(line);
            }
        }
    }

    /// Delivers everything until both are quiet, but what `lost` takes.
    pub(super) fn settle_but(&mut self, mut lost: impl FnMut(bool, &Bytes) -> bool) {
        for _ in 0..200 {
            let now = self.p.now;
            let (from_a, from_b) = (self.p.a.packets(now), self.p.b.packets(now));
            if from_a.is_empty() && from_b.is_empty() {
                return;
            }
            for (is_a, packet) in from_a.into_iter().map(|p| (true, p)).chain(from_b.into_iter().map(|p| (false, p))) {
                self.note(is_a, &packet);
                if lost(is_a, &packet) {
                    continue;
                }
                if is_a {
                    self.p.b.take(now, self.p.a.ip, packet);
                } else {
                    self.p.a.take(now, self.p.b.ip, packet);
                }
            }
        }
        panic!("no end");
    }

    pub(super) fn settle(&mut self) {
        self.settle_but(|_, _| false);
    }

    /// Lets `d` pass.
    pub(super) fn pass(&mut self, d: Duration) {
        let end = self.p.now + d;
        loop {
            self.settle();
            let next = [self.p.a.stack.poll_timeout(), self.p.b.stack.poll_timeout()].into_iter().flatten().min();
            let Some(t) = next.filter(|t| *t <= end) else { break };
            self.p.now = t.max(self.p.now);
            self.p.a.stack.handle_timeout(self.p.now);
            self.p.b.stack.handle_timeout(self.p.now);
        }
        self.p.now = end;
    }

    pub(super) fn events(&mut self, at_a: bool) -> Vec<Event> {
        let peer = if at_a { &mut self.p.a } else { &mut self.p.b };
        let all = core::mem::take(&mut peer.events).into_iter().map(|(_, e)| e);
        all.filter(|e| !matches!(e, Event::Readable | Event::PathMtu { .. })).collect()
    }

    /// A RE-CONFIG chunk of `a`'s side, made by hand, and what `b` answers.
    pub(super) fn forge(&mut self, params: &[P<'_>]) -> Vec<String> {
        let mut body = Vec::new();
        let tag = self.p.b.stack.assocs.get(self.b).unwrap().core.local_tag;
        let port = self.p.a.stack.local_port(self.p.a.ep).unwrap();
        let header = CommonHeader { src_port: port, dst_port: PORT, vtag: tag };
        let mut w = PacketWriter::new(&mut body, header, 1 << 16);
        w.push(&Reconfig { params: ReconfigParams::List(params) });
        w.finish();
        let (now, ip) = (self.p.now, self.p.a.ip);
        self.p.b.take(now, ip, body.into());
        let answers = self.p.b.packets(now);
        self.log.clear();
        for packet in &answers {
            self.note(false, packet);
        }
        core::mem::take(&mut self.log)
    }

    /// The number of `a`'s `n`-th request.
    pub(super) fn number(&self, n: u32) -> u32 {
        self.first.0.wrapping_add(n)
    }
}

pub(super) fn reset(outgoing: bool, streams: &[u16], outcome: crate::ReconfigOutcome) -> Event {
    Event::StreamsReset { incoming: !outgoing, outgoing, streams: streams.iter().map(|s| StreamId(*s)).collect(), outcome }
}

/// RFC 6525 sections 5.1.2, 5.2.2 and 5.2.7; the first flow of appendix A.
/// RFC 6525 rows: 5.1.2-2, 5.1.2-3, 5.1.2-5, 5.1.2-9, 5.1.2-10.
#[test]
fn outgoing_streams_begin_anew() {
    let mut t = T::up();
    let now = t.p.now;
    t.send(true, 1, "one");
    t.send(true, 2, "two");
    t.send(true, 3, "three");
    t.at_a().reset_streams(now, ResetDirection::Outgoing, &[stream(1), stream(2)]).unwrap();
    t.send(true, 1, "one anew");
    t.send(true, 3, "three on");
    t.settle();
    assert_eq!(t.log, ["a: OUT 0/-1/3,1,2", "b: RESP 0=1"]);
    let expected =
        [(1, 0, "one"), (2, 0, "two"), (3, 0, "three"), (3, 1, "three on"), (1, 0, "one anew")].map(|(s, n, t)| (s, n, t.to_owned()));
    let read = t.read(false);
    assert_eq!(read.iter().filter(|m| m.0 == 1).collect::<Vec<_>>(), expected.iter().filter(|m| m.0 == 1).collect::<Vec<_>>());
    assert_eq!(read.iter().filter(|m| m.0 == 3).collect::<Vec<_>>(), expected.iter().filter(|m| m.0 == 3).collect::<Vec<_>>());
    assert_eq!(t.events(true), [reset(true, &[1, 2], Performed)]);
    assert_eq!(t.events(false), [reset(false, &[1, 2], Performed)]);
}

/// RFC 6525 sections 5.1.3 and 5.2.3; the second flow of appendix A.
/// RFC 6525 rows: 5.1.2-6, 5.1.2-7, 5.1.3-5, 5.2.2-1, 5.2.3-5.
#[test]
fn incoming_streams_begin_anew() {
    let mut t = T::up();
    t.send(false, 1, "one");
    t.settle();
    let now = t.p.now;
    t.at_a().reset_streams(now, ResetDirection::Incoming, &[stream(1)]).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: IN 0,1", "b: OUT 0/0/0,1", "a: RESP 0=1"]);
    t.send(false, 1, "anew");
    t.settle();
    assert_eq!(t.read(true), [(1, 0, "one".to_owned()), (1, 0, "anew".to_owned())]);
    assert_eq!(t.events(true), [reset(false, &[1], Performed)]);
    assert_eq!(t.events(false), [reset(true, &[1], Performed)]);
    // RFC 6525 section 5.2.3: what has just begun anew needs no further reset.
    let (mut t, now) = (T::up(), now);
    t.at_a().reset_streams(now, ResetDirection::Incoming, &[]).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: IN 0", "b: RESP 0=0"]);
    assert_eq!(t.events(true), [reset(false, &[], Performed)]);
}

/// The third flow of appendix A: both directions by one chunk, all answers in one chunk.
/// RFC 6525 rows: 5.1.2-4, 5.1.2-8, 5.2.1-1, 5.2.1-2, 5.2.2-11.
#[test]
fn both_directions_begin_anew_by_one_chunk() {
    let mut t = T::up();
    for from_a in [true, false] {
        t.send(from_a, 1, "old");
    }
    t.settle();
    let now = t.p.now;
    t.at_a().reset_streams(now, ResetDirection::Both, &[]).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: OUT 0/-1/0|IN 1", "b: RESP 0=1|OUT 0/1/0", "a: RESP 0=1"]);
    for from_a in [true, false] {
        t.send(from_a, 1, "new");
        t.settle();
        assert_eq!(t.read(!from_a).last().unwrap(), &(1, 0, "new".to_owned()));
    }
}

/// The fourth flow of appendix A: TSNs go where the peer says, and nothing that was sent is lost.
/// RFC 6525 rows: 5.1.4-1, 5.1.4-2, 5.1.4-3, 5.1.4-4, 5.1.4-5.
#[test]
fn an_association_begins_anew() {
    let mut t = T::up();
    for n in 0..3 {
        t.send(true, 1, &format!("a{n}"));
        t.send(false, 1, &format!("b{n}"));
    }
    let now = t.p.now;
    t.at_a().reset_association(now).unwrap();
    t.send(true, 1, "a new");
    t.send(false, 1, "b");
    t.settle();
    assert_eq!(t.log, ["a: TSN 0", "b: RESP 0=1 4/3"]);
    let text = |all: Vec<(u16, u16, String)>| all.into_iter().map(|(_, ssn, text)| (ssn, text)).collect::<Vec<_>>();
    let own = |list: &[(u16, &str)]| list.iter().map(|(n, s)| (*n, (*s).to_owned())).collect::<Vec<_>>();
    assert_eq!(text(t.read(false)), own(&[(0, "a0"), (1, "a1"), (2, "a2"), (0, "a new")]));
    assert_eq!(text(t.read(true)), own(&[(0, "b0"), (1, "b1"), (2, "b2"), (3, "b")]));
    t.send(false, 1, "b new");
    t.settle();
    assert_eq!(text(t.read(true)), own(&[(0, "b new")]));
    let (a, b) = (t.events(true), t.events(false));
    let tsns = |e: &Event| match e {
        Event::AssociationReset { local_tsn, peer_tsn, outcome: Performed } => (*local_tsn, *peer_tsn),
        other => panic!("{other:?}"),
    };
    assert_eq!((a.len(), b.len()), (1, 1));
    assert_eq!((tsns(&a[0]).0, tsns(&a[0]).1), (tsns(&b[0]).1, tsns(&b[0]).0));
    // RFC 6525 section 5.1.4: not again within 30 s.
    assert_eq!(t.at_a().reset_association(now + Duration::from_secs(29)), Err(ReconfigError::TooSoon));
    t.pass(Duration::from_secs(31));
    let now = t.p.now;
    t.at_a().reset_association(now).unwrap();
    t.send(true, 1, "third");
    t.settle();
    assert_eq!(text(t.read(false)), own(&[(0, "third")]));
}

/// The fifth and sixth flow of appendix A.
/// RFC 6525 rows: 5.1.5-1, 5.1.5-2, 5.1.6-1, 5.2.5-2, 5.2.6-1.
#[test]
fn streams_are_added() {
    let mut t = T::up();
    let now = t.p.now;
    t.at_a().add_streams(now, 0, 3).unwrap();
    assert_eq!(t.at_a().send(now, stream(10), Ppid(1), Bytes::from_static(b"x"), SendOptions::ordered()), Err(SendError::InvalidStream));
    t.settle();
    assert_eq!(t.log, ["a: ADDOUT 0+3", "b: RESP 0=1"]);
    t.log.clear();
    t.send(true, 12, "on a new stream");
    t.at_a().add_streams(now, 2, 0).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: ADDIN 1+2", "b: ADDOUT 0+2", "a: RESP 0=1"]);
    t.send(false, 11, "on another");
    t.settle();
    assert_eq!((t.read(false)[0].0, t.read(true)[0].0), (12, 11));
    let changed = |inbound, outbound| Event::StreamsChanged { inbound, outbound, outcome: Performed };
    assert_eq!(t.events(true), [changed(10, 13), changed(12, 13)]);
    assert_eq!(t.events(false), [changed(13, 10), changed(13, 12)]);
    t.log.clear();
    t.at_a().add_streams(now, 1, 1).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: ADDOUT 2+1|ADDIN 3+1", "b: RESP 2=1", "b: ADDOUT 1+1", "a: RESP 1=1"]);
    assert_eq!((t.at_a().status().outbound_streams, t.at_b().status().outbound_streams), (14, 13));
}

/// RFC 6525 section 6.3.1: by default all requests of the peer are denied, and nothing changes.
/// RFC 6525 rows: 5.1.3-4, 5.2.1-5.
#[test]
fn requests_are_denied_unless_they_are_welcome() {
    let mut t = T::with(|_| {});
    t.send(true, 1, "old");
    t.send(false, 1, "old");
    t.settle();
    let now = t.p.now;
    for n in 0..4 {
        match n {
            0 => t.at_a().reset_streams(now, ResetDirection::Outgoing, &[]).unwrap(),
            1 => t.at_a().reset_streams(now, ResetDirection::Incoming, &[]).unwrap(),
            2 => t.at_a().reset_association(now).unwrap(),
            _ => t.at_a().add_streams(now, 1, 1).unwrap(),
        }
        t.send(true, 1, "still the same");
        t.settle();
    }
    assert!(t.log.iter().filter(|l| l.starts_with("b:")).all(|l| l.split('|').all(|p| p.ends_with("=2"))), "{:?}", t.log);
    assert_eq!(t.read(false).last().unwrap().1, 4, "no number began anew");
    let events = t.events(true);
    assert_eq!(events[..2], [reset(true, &[], Denied), reset(false, &[], Denied)]);
    assert!(matches!(events[2], Event::AssociationReset { outcome: Denied, .. }));
    assert!(events[3..].iter().all(|e| matches!(e, Event::StreamsChanged { inbound: 10, outbound: 10, outcome: Denied })));
    assert_eq!((events.len(), t.events(false)), (5, vec![]));
    // What it asked for itself a side takes.
    let mut t = T::with(|_| {});
    t.send(false, 1, "old");
    t.settle();
    let now = t.p.now;
    t.at_b().reconfigure(now, willing).unwrap();
    t.at_a().reset_streams(now, ResetDirection::Incoming, &[]).unwrap();
    t.settle();
    t.at_a().add_streams(now, 2, 0).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: IN 0", "b: OUT 0/0/0", "a: RESP 0=1", "a: ADDIN 1+2", "b: ADDOUT 1+2", "a: RESP 1=1"]);
}

/// RFC 6525 section 5.1.1: nothing is asked of a peer that has not listed RE-CONFIG; section 6.3: one request at a time.
/// RFC 6525 rows: 5.1.1-3, 5.1.1-4, 5.2.7-9.
#[test]
fn what_cannot_be_asked_for_is_refused_at_once() {
    let mut t = T::with(|c| c.stream_reset = false);
    let now = t.p.now;
    assert_eq!(t.at_a().reset_association(now), Err(ReconfigError::NotSupported));
    assert_eq!(t.forge(&[P::TsnReset { request: t.number(0) }]), Vec::<String>::new(), "a chunk of no known type");
    let mut t = T::up();
    let all: Vec<_> = (0..5_000).map(StreamId).collect();
    for (streams, err) in [(&[StreamId(10)][..], ReconfigError::InvalidStream), (&all[..10].repeat(200), ReconfigError::TooMany)] {
        assert_eq!(t.at_a().reset_streams(now, ResetDirection::Outgoing, streams), Err(err));
    }
    assert_eq!(t.at_a().add_streams(now, 0, 0), Err(ReconfigError::TooMany));
    assert_eq!(t.at_a().add_streams(now, 0, 65_526), Err(ReconfigError::TooMany));
    t.at_a().reset_streams(now, ResetDirection::Outgoing, &[]).unwrap();
    assert_eq!(t.at_a().add_streams(now, 1, 0), Err(ReconfigError::AlreadyInProgress));
    t.settle();
    t.at_a().add_streams(now, 0, 1).unwrap();
    t.settle();
    t.at_a().shutdown(now);
    assert_eq!(t.at_a().reset_association(now), Err(ReconfigError::Closed));
}

/// RFC 6525 sections 5.1.1 and 5.2.1: requests and answers that are lost, one after the other.
/// RFC 6525 rows: 5.1.3-1, 5.1.3-2, 5.1.4-6, 5.2.2-10.
#[test]
fn lost_requests_and_answers_are_sent_again() {
    for what in 0..5 {
        for lost in 0..4 {
            let mut t = T::up();
            t.send(true, 1, "old");
            t.send(false, 1, "old");
            t.settle();
            let now = t.p.now;
            match what {
                0 => t.at_a().reset_streams(now, ResetDirection::Both, &[]).unwrap(),
                1 => t.at_a().reset_streams(now, ResetDirection::Incoming, &[stream(1)]).unwrap(),
                2 => t.at_a().reset_association(now).unwrap(),
                3 => t.at_a().add_streams(now, 1, 1).unwrap(),
                _ => t.at_a().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap(),
            }
            t.send(true, 1, "new");
            let mut n = 0;
            t.settle_but(|_, p| {
                let hit = kinds(p).contains(&130);
                n += i32::from(hit);
                hit && n <= lost
            });
            t.pass(Duration::from_secs(40));
            t.send(false, 1, "new");
            t.send(true, 1, "newer");
            t.settle();
            let (a, b) = (t.read(true), t.read(false));
            let incoming = matches!(what, 0..=2);
            let outgoing = matches!(what, 0 | 2 | 4);
            assert_eq!(a.iter().map(|m| m.1).collect::<Vec<_>>(), [0, u16::from(!incoming)], "{what} {lost}: {:?}", t.log);
            let expected = if outgoing { [0, 0, 1] } else { [0, 1, 2] };
            assert_eq!(b.iter().map(|m| m.1).collect::<Vec<_>>(), expected, "{what} {lost}: {:?}", t.log);
            let events = t.events(true);
            assert!(!events.is_empty() && events.iter().all(|e| !matches!(e, Event::Lost { .. })), "{what} {lost}: {events:?}");
            let streams = (t.at_a().status().outbound_streams, t.at_b().status().outbound_streams);
            assert_eq!(streams, if what == 3 { (11, 11) } else { (10, 10) }, "{what} {lost}: counted once (CVE-2026-89476)");
        }
    }
}

/// RFC 6525 section 5.1.1: a peer that never answers is lost, as with DATA.
/// RFC 6525 rows: 5.1.1-11.
#[test]
fn silence_ends_the_association() {
    let mut t = T::up();
    let now = t.p.now;
    t.at_a().add_streams(now, 1, 0).unwrap();
    let mut sent = 0;
    while let Some(at) = t.p.a.stack.poll_timeout() {
        sent += t.p.a.packets(t.p.now).iter().filter(|p| kinds(p).contains(&130)).count();
        t.p.now = at;
        t.p.a.stack.handle_timeout(at);
    }
    t.p.a.packets(t.p.now);
    assert!(t.p.a.has(|e| *e == Event::Lost { reason: CloseReason::PeerUnreachable }));
    assert!((3..=11).contains(&sent), "{sent}");
}

/// RFC 6525 section 5.2.2 rule E2 and section 5.2.7 rule H2: a reset waits for the DATA before it, and the wait counts no errors.
/// RFC 6525 rows: 5.2.2-3, 5.2.2-5, 5.2.2-6.
#[test]
fn a_reset_waits_for_lost_data() {
    let mut t = T::up();
    t.send(true, 1, "lost");
    let now = t.p.now;
    let lost = t.p.a.packets(now);
    assert_eq!(kinds(&lost[0]), [0]);
    t.at_a().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: OUT 0/-1/0,1", "b: RESP 0=6"]);
    assert_eq!(t.events(false), []);
    let errors = t.at_a().stats().reconfig_expireds;
    t.pass(Duration::from_secs(20));
    assert_eq!(t.log.last().unwrap(), "b: RESP 0=1");
    assert_eq!(t.at_a().stats().reconfig_expireds, errors);
    assert_eq!((t.events(true), t.events(false)), (vec![reset(true, &[1], Performed)], vec![reset(false, &[1], Performed)]));
    t.send(true, 1, "anew");
    t.settle();
    assert_eq!(t.read(false).iter().map(|m| m.1).collect::<Vec<_>>(), [0, 0]);
}

/// RFC 6525 section 5.2.3: both sides at once, in every combination; none waits for ever.
/// RFC 6525 rows: 5.1.2-11, 5.1.3-6, 5.1.3-7.
#[test]
fn simultaneous_requests_end() {
    for (first, second) in (0..5).flat_map(|x| (0..5).map(move |y| (x, y))) {
        let mut t = T::up();
        t.send(true, 1, "old");
        t.send(false, 1, "old");
        t.settle();
        let now = t.p.now;
        let ask = |mut assoc: Assoc<'_>, what| match what {
            0 => assoc.reset_streams(now, ResetDirection::Outgoing, &[]),
            1 => assoc.reset_streams(now, ResetDirection::Incoming, &[stream(1)]),
            2 => assoc.reset_streams(now, ResetDirection::Both, &[stream(1)]),
            3 => assoc.reset_association(now),
            _ => assoc.add_streams(now, 1, 1),
        };
        ask(t.at_a(), first).unwrap();
        ask(t.at_b(), second).unwrap();
        t.send(true, 1, "new");
        t.send(false, 1, "new");
        t.pass(Duration::from_secs(60));
        for at_a in [true, false] {
            let events = t.events(at_a);
            let lost = |e: &Event| matches!(e, Event::Lost { .. });
            assert!(!events.is_empty() && !events.iter().any(lost), "{first} {second}: {events:?} {:?}", t.log);
        }
        let (a, b) = (t.read(true), t.read(false));
        assert_eq!((a.len(), b.len()), (2, 2), "{first} {second}: {:?}", t.log);
        // Either side may ask again.
        let now = t.p.now;
        t.at_a().add_streams(now, 1, 1).unwrap();
        t.at_b().add_streams(now, 1, 1).unwrap();
        t.pass(Duration::from_secs(60));
        let now = t.p.now;
        t.at_a().shutdown(now);
        t.pass(Duration::from_secs(60));
        assert!(t.p.a.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }), "{first} {second}: {:?}", t.log);
    }
}

/// A shutdown delivers what waits for the answer.
#[test]
fn a_shutdown_waits_for_what_is_held() {
    for what in 0..2 {
        let mut t = T::up();
        t.send(true, 1, "old");
        let now = t.p.now;
        match what {
            0 => t.at_a().reset_streams(now, ResetDirection::Outgoing, &[]).unwrap(),
            _ => t.at_a().reset_association(now).unwrap(),
        }
        t.send(true, 1, "new");
        t.at_a().shutdown(now);
        let mut first = true;
        t.settle_but(|_, p| kinds(p).contains(&130) && core::mem::take(&mut first));
        t.pass(Duration::from_secs(30));
        assert!(t.p.a.has(|e| *e == Event::Lost { reason: CloseReason::Shutdown }), "{what}: {:?}", t.log);
        assert_eq!(t.read(false).iter().map(|m| m.1).collect::<Vec<_>>(), [0, 0], "{what}");
    }
}

/// Vulnerability class 11: CVE-2026-89476 (a response twice), CVE-2026-89477 (a response to what was never sent).
/// RFC 6525 rows: 5.2.7-1, 5.2.7-2, 5.2.7-8.
#[test]
fn responses_that_answer_nothing_change_nothing() {
    let mut t = T::up();
    let now = t.p.now;
    let next = t.first.1;
    let response = |n: u32, r| P::Response { response: next.wrapping_add(n), result: r, next_tsns: Some((Tsn(1), Tsn(2))) };
    for result in [R::PERFORMED, R::NOTHING_TO_DO, R::IN_PROGRESS, R::DENIED, R(99)] {
        assert_eq!(t.forge(&[response(0, result), response(1, result)]), Vec::<String>::new());
    }
    t.at_b().add_streams(now, 0, 5).unwrap();
    t.p.b.packets(now);
    for _ in 0..3 {
        t.forge(&[response(0, R::PERFORMED), response(0, R::PERFORMED)]);
    }
    assert_eq!(t.at_b().status().outbound_streams, 15);
    assert_eq!(t.events(false).len(), 1);
    t.send(false, 14, "on the last one");
}

/// Vulnerability class 11: str0m #883, a stream that is used again before its reset is finished.
#[test]
fn str0m_883_a_stream_is_used_again_before_its_reset_is_done() {
    let mut t = T::up();
    t.send(true, 1, "old");
    let now = t.p.now;
    t.at_a().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap();
    t.send(true, 1, "new");
    // What is out is lost, the request too.
    t.p.a.packets(now);
    t.send(true, 1, "newer");
    t.pass(Duration::from_secs(30));
    assert_eq!(t.read(false), [(1, 0, "old".into()), (1, 0, "new".into()), (1, 1, "newer".into())]);
}

/// Vulnerability class 11: CVE-2023-2177, streams that are refused leave nothing behind that is half made.
#[test]
fn cve_2023_2177_streams_that_are_not_added_are_not_there() {
    let mut t = T::with(|_| {});
    for _ in 0..3 {
        let now = t.p.now;
        t.at_a().add_streams(now, 5, 5).unwrap();
        t.settle();
        let status = t.at_a().status();
        assert_eq!((status.inbound_streams, status.outbound_streams), (10, 10));
        let sent = t.at_a().send(now, stream(10), Ppid(1), Bytes::from_static(b"x"), SendOptions::ordered());
        assert!(sent.is_err(), "{sent:?}");
        t.send(true, 9, "the last one");
        t.pass(Duration::from_secs(5));
        assert_eq!(t.read(false).len(), 1);
    }
}

/// Vulnerability class 11: streams beyond what there can be; RFC 6525 sections 5.2.5 and 5.2.6: a limit that can be set.
/// RFC 6525 rows: 5.1.7-1, 5.2.5-1, 5.2.5-3, 5.2.6-2.
#[test]
fn streams_are_added_up_to_a_limit() {
    let mut t = T::up();
    let at = |t: &T, n| t.number(n);
    assert_eq!(t.forge(&[P::AddOutgoing { request: at(&t, 0), count: 2_038 }]), ["b: RESP 0=1"]);
    assert_eq!(t.forge(&[P::AddOutgoing { request: at(&t, 1), count: 1 }]), ["b: RESP 1=2"]);
    assert_eq!(t.forge(&[P::AddOutgoing { request: at(&t, 2), count: u16::MAX }]), ["b: RESP 2=2"]);
    assert_eq!(t.forge(&[P::AddIncoming { request: at(&t, 3), count: 2_039 }]), ["b: RESP 3=2"]);
    assert_eq!(t.forge(&[P::AddIncoming { request: at(&t, 4), count: u16::MAX }]), ["b: RESP 4=2"]);
    assert_eq!(t.forge(&[P::AddOutgoing { request: at(&t, 5), count: 0 }]), ["b: RESP 5=0"]);
    assert_eq!(t.at_b().status().inbound_streams, 2_048);
    // The last answers come again as they were (RFC 6525 section 5.2.1); older or later numbers are wrong.
    assert_eq!(t.forge(&[P::AddIncoming { request: at(&t, 4), count: 9 }]), ["b: RESP 4=2"]);
    assert_eq!(t.forge(&[P::AddIncoming { request: at(&t, 3), count: 9 }]), ["b: RESP 3=5"]);
    assert_eq!(t.forge(&[P::AddIncoming { request: at(&t, 7), count: 9 }]), ["b: RESP 7=5"]);
}

/// RFC 6525 section 3.1: combinations that are not allowed get an ERROR, and nothing of them is done. Vulnerability class 11:
/// CVE-2014-8613 (crafted RE-CONFIG).
/// RFC 6525 rows: 3.1-1.
#[test]
fn combinations_that_are_not_allowed_are_refused() {
    let mut t = T::up();
    let n = t.number(0);
    let all = StreamList::List(&[]);
    let out = P::OutgoingReset { request: n, response: 0, last_tsn: Tsn(n.wrapping_sub(1)), streams: all };
    let tsn = P::TsnReset { request: n };
    let add = P::AddOutgoing { request: n, count: 1 };
    let bad: [&[P<'_>]; 6] =
        [&[], &[tsn, tsn], &[out, add], &[tsn, out], &[out, out], &[out, P::IncomingReset { request: n, streams: all }, tsn]];
    for params in bad {
        let mut body = Vec::new();
        let b = &t.p.b.stack.assocs.get(t.b).unwrap().core;
        let header = CommonHeader { src_port: b.peer_port, dst_port: b.local_port, vtag: b.local_tag };
        let mut w = PacketWriter::new(&mut body, header, 1 << 16);
        w.push(&Reconfig { params: ReconfigParams::List(params) });
        w.finish();
        t.p.b.take(t.p.now, t.p.a.ip, body.into());
        let answers = t.p.b.packets(t.p.now);
        let parsed = Packet::parse(&answers[0]).unwrap();
        let Chunk::Error(e) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no ERROR for {params:?}") };
        assert!(matches!(e.causes().next(), Some(Ok(Cause::ProtocolViolation(_)))));
    }
    assert_eq!((t.events(false), t.p.b.state(t.b)), (vec![], "ESTABLISHED"));
    assert_eq!(t.forge(&[tsn]).len(), 1, "no number was used up");
}

/// RFC 6525 section 4.4, table 3: streams that do not exist; vulnerability class 11: the reset of a stream on which a message is
/// incomplete (a stream identifier that is in use).
/// RFC 6525 rows: 5.1.7-2.
#[test]
fn streams_that_do_not_exist_or_are_in_use() {
    let mut t = T::up();
    let streams = [StreamId(10)];
    let list = StreamList::List(&streams);
    let last_tsn = Tsn(t.first.0).prev();
    assert_eq!(t.forge(&[P::OutgoingReset { request: t.number(0), response: 0, last_tsn, streams: list }]), ["b: RESP 0=3"]);
    assert_eq!(t.forge(&[P::IncomingReset { request: t.number(1), streams: list }]), ["b: RESP 1=3"]);
    // CVE-2026-68315: an answer that would have to name more streams than fit.
    let many: Vec<_> = (0..10).map(StreamId).collect::<Vec<_>>().repeat(3_000);
    assert_eq!(t.forge(&[P::IncomingReset { request: t.number(2), streams: StreamList::List(&many) }]), ["b: RESP 2=2"]);
    // A reset "after" TSNs that never come is for ever in progress, and only one.
    let far = Tsn(t.first.0).plus(1_000_000);
    let none = StreamList::List(&[]);
    assert_eq!(t.forge(&[P::OutgoingReset { request: t.number(3), response: 0, last_tsn: far, streams: none }]), ["b: RESP 3=6"]);
    assert_eq!(t.forge(&[P::OutgoingReset { request: t.number(3), response: 0, last_tsn: far, streams: none }]), ["b: RESP 3=6"]);
    assert_eq!(t.forge(&[P::OutgoingReset { request: t.number(4), response: 0, last_tsn, streams: none }]), ["b: RESP 4=4"]);
    assert_eq!(t.forge(&[P::TsnReset { request: t.number(5) }]), ["b: RESP 5=4"]);
}

/// The peer resets again and again: its requests leave no memory behind, and the program is told no more than it can read.
#[test]
fn a_flood_of_requests_is_bounded() {
    let mut t = T::up();
    t.send(false, 1, "x");
    t.settle();
    let now = t.p.now;
    for n in 0..500 {
        let streams = [StreamId(1)];
        t.forge(&[P::IncomingReset { request: t.number(n), streams: StreamList::List(&streams) }]);
    }
    let a = t.p.b.stack.assocs.get(t.b).unwrap();
    assert!(a.core.control.len() <= 64 && a.core.events.len() <= 64);
    assert!(t.at_b().reset_association(now).is_err(), "still busy with the first");
}

/// Rulings section 1 row 21: at a restart request numbers begin anew, and what was asked has failed.
#[test]
fn a_restart_ends_what_was_asked() {
    let mut t = T::up();
    t.send(false, 1, "unread");
    t.settle();
    let now = t.p.now;
    t.at_b().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap();
    t.p.b.packets(now);
    t.send(false, 1, "held");
    // The peer forgets everything and comes again.
    t.p.a = Peer::new(A, 50_000, 9, AssocConfig { stream_reset: true, ..AssocConfig::rfc() });
    t.a = t.p.connect();
    t.settle();
    let events = t.events(false);
    assert!(events.contains(&Event::Restarted) && events.contains(&reset(true, &[1], Failed)), "{events:?}");
    assert!(events.iter().any(|e| matches!(e, Event::SendFailed { sent: false, .. })), "{events:?}");
    let now = t.p.now;
    t.at_b().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap();
    t.settle();
    assert_eq!(t.events(false), [reset(true, &[1], Denied)], "{:?}", t.log);
}
