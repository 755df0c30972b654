//! Stream reconfiguration: single rules of RFC 6525.

use super::ladder::{Pair, kinds};
use super::reconfig_test::{T, reset, stream};
use bytes::Bytes;

use super::*;
use crate::error::ReconfigError;
use crate::event::ReconfigOutcome::Performed;
use crate::time::Earliest;
use crate::wire::chunk::{Reconfig, ReconfigParam as P, ReconfigParams, ReconfigResult as R, StreamList};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter, Param};

/// What the INIT or INIT ACK in a packet lists.
fn listed(packet: &Bytes) -> Vec<u8> {
    let parsed = Packet::parse(packet).unwrap();
    let (Chunk::Init(init) | Chunk::InitAck(init)) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!() };
    let types = init.params().find_map(|p| if let Param::SupportedExtensions(list) = p.unwrap().0 { Some(list.to_vec()) } else { None });
    types.unwrap_or_default()
}

/// RFC 6525 rows: 5.1.1-1, 5.1.1-2.
#[test]
fn re_config_is_listed_and_asked_for() {
    for on in [true, false] {
        let mut p = Pair::with(AssocConfig { stream_reset: on, ..AssocConfig::rfc() });
        let id = p.connect();
        let init = p.a.packets(p.now).remove(0);
        p.b.take(p.now, p.a.ip, init.clone());
        let ack = p.b.packets(p.now).remove(0);
        assert_eq!([listed(&init).contains(&130), listed(&ack).contains(&130)], [on, on]);
        p.a.take(p.now, p.b.ip, ack);
        p.settle();
        let now = p.now;
        let asked = p.a.stack.assoc(id).unwrap().add_streams(now, 1, 0);
        assert_eq!(asked, if on { Ok(()) } else { Err(ReconfigError::NotSupported) });
    }
}

/// RFC 6525 rows: 5.1.1-5, 5.1.1-6, 5.1.2-12, 5.1.3-3, 5.1.3-8.
#[test]
fn one_request_is_in_flight_at_a_time() {
    let mut t = T::up();
    t.send(false, 1, "x");
    t.settle();
    let now = t.p.now;
    t.at_b().add_streams(now, 0, 1).unwrap();
    assert!(t.p.b.packets(now).iter().any(|p| kinds(p).contains(&130)));
    // The peer wants a request of us: it has to wait until ours is answered.
    let streams = [stream(1)];
    assert_eq!(t.forge(&[P::IncomingReset { request: t.number(0), streams: StreamList::List(&streams) }]), ["b: RESP 0=6"]);
    let answer = P::Response { response: t.first.1, result: R::PERFORMED, next_tsns: None };
    assert_eq!(t.forge(&[answer]), ["b: OUT 1/0/0,1"]);
    // And its own answer is ours again, until it is answered.
    assert_eq!(t.forge(&[P::IncomingReset { request: t.number(0), streams: StreamList::List(&streams) }]), ["b: OUT 1/0/0,1"]);
    t.forge(&[P::Response { response: t.first.1.wrapping_add(1), result: R::PERFORMED, next_tsns: None }]);
    assert_eq!(t.events(false).last(), Some(&reset(true, &[1], Performed)));
}

/// RFC 6525 rows: 5.1.1-7, 5.1.1-8, 5.1.1-9, 5.1.1-10, 5.2.2-2.
#[test]
fn the_timer_backs_off() {
    let mut t = T::up();
    let start = t.p.now;
    t.at_a().reset_streams(start, ResetDirection::Incoming, &[]).unwrap();
    let mut sent = Vec::new();
    for _ in 0..40 {
        let now = t.p.now;
        if t.p.a.packets(now).iter().any(|p| kinds(p).contains(&130)) {
            sent.push((now - start).as_secs());
        }
        if sent.len() == 4 {
            break;
        }
        t.p.now = t.p.a.stack.poll_timeout().unwrap();
        t.p.a.stack.handle_timeout(t.p.now);
    }
    assert_eq!(sent, [0, 1, 3, 7]);
    let timer = |s: &Stack, id| {
        let mut next = Earliest::new();
        s.assocs.get(id).unwrap().ext.note_deadlines(&mut next);
        next.get()
    };
    assert!(timer(&t.p.a.stack, t.a).is_some());
    // Answers alone start no timer, and the last one stops it.
    t.p.now = t.p.a.stack.poll_timeout().unwrap();
    t.p.a.stack.handle_timeout(t.p.now);
    t.settle();
    assert_eq!(t.log.last().unwrap(), "b: RESP 0=0");
    assert_eq!((timer(&t.p.a.stack, t.a), timer(&t.p.b.stack, t.b)), (None, None));
}

/// RFC 6525 rows: 5.1.7-3, 5.1.7-4, 5.1.7-5, 5.1.7-6, 5.1.7-7.
#[test]
fn answers_have_tsns_only_for_a_reset_of_tsns() {
    let mut t = T::up();
    assert_eq!(t.forge(&[P::AddOutgoing { request: t.number(0), count: 1 }]), ["b: RESP 0=1"]);
    assert_eq!(t.forge(&[P::TsnReset { request: t.number(1) }]), ["b: RESP 1=1 0/0"]);
}

/// RFC 6525 rows: 5.2.1-3, 5.2.1-4, 5.2.4-1.
#[test]
fn a_peer_that_needs_several_tries_gets_the_same_answer() {
    let mut t = T::up();
    let before = t.at_b().stats().out_sacks;
    let request = P::TsnReset { request: t.number(0) };
    let first = t.forge(&[request]);
    assert_eq!(first, ["b: RESP 0=1 0/0"]);
    for _ in 0..3 {
        assert_eq!(t.forge(&[request]), first);
    }
    assert_eq!(t.at_b().stats().out_sacks, before + 4, "each with a SACK");
    assert_eq!(t.events(false).len(), 1, "done once");
}

/// RFC 6525 rows: 5.2.3-1, 5.2.3-2, 5.2.3-3, 5.2.3-4.
#[test]
fn a_reset_that_is_under_way_is_not_asked_for_twice() {
    let mut t = T::up();
    t.send(false, 1, "x");
    t.send(false, 3, "x");
    t.settle();
    let now = t.p.now;
    t.at_b().reset_streams(now, ResetDirection::Outgoing, &[stream(1), stream(2)]).unwrap();
    t.p.b.packets(now);
    let (covered, other) = ([stream(1)], [stream(1), stream(3)]);
    let ask = |t: &T, n, list| P::IncomingReset { request: t.number(n), streams: StreamList::List(list) };
    assert_eq!(t.forge(&[ask(&t, 0, &covered)]), ["b: RESP 0=0"]);
    assert_eq!(t.forge(&[ask(&t, 1, &other)]), ["b: RESP 1=6"]);
    let answer = P::Response { response: t.first.1, result: R::PERFORMED, next_tsns: None };
    assert_eq!(t.forge(&[answer]), ["b: OUT 1/1/1,1,3"]);
}

/// RFC 6525 rows: 5.1.4-7.
#[test]
fn tsns_begin_anew_once_in_30_seconds() {
    let mut t = T::up();
    let now = t.p.now;
    t.at_a().reset_association(now).unwrap();
    t.settle();
    t.pass(Duration::from_secs(29));
    let now = t.p.now;
    assert_eq!(t.at_a().reset_association(now), Err(ReconfigError::TooSoon));
    t.pass(Duration::from_secs(1));
    let now = t.p.now;
    t.at_a().reset_association(now).unwrap();
}

/// RFC 6525 rows: 5.2.4-2, 5.2.4-3, 5.2.4-5, 5.2.4-6, 5.2.4-7.
#[test]
fn tsns_begin_anew_when_all_is_acknowledged() {
    let mut t = T::up();
    t.send(false, 1, "lost");
    let now = t.p.now;
    assert_eq!(t.p.b.packets(now).len(), 1);
    t.at_a().reset_association(now).unwrap();
    t.settle();
    assert_eq!(t.log, ["a: TSN 0", "b: RESP 0=6"]);
    t.send(false, 1, "new");
    t.pass(Duration::from_secs(10));
    assert_eq!(t.log.last().unwrap(), "b: RESP 0=1 1/0");
    let read: Vec<_> = t.read(true).into_iter().map(|m| (m.1, m.2)).collect();
    assert_eq!(read, [(0, "lost".to_owned()), (0, "new".to_owned())]);
    assert!(matches!(t.events(true)[..], [Event::AssociationReset { outcome: Performed, .. }]));
}

/// RFC 6525 rows: 5.2.7-3, 5.2.7-4.
#[test]
fn in_progress_counts_no_error() {
    let mut t = T::up();
    let (first, ip) = (t.first.0, t.p.b.ip);
    let core = &t.p.a.stack.assocs.get(t.a).unwrap().core;
    let header = CommonHeader { src_port: core.peer_port, dst_port: core.local_port, vtag: core.local_tag };
    let answer = |result| {
        let mut packet = Vec::new();
        let mut w = PacketWriter::new(&mut packet, header, 1400);
        w.push(&Reconfig { params: ReconfigParams::List(&[P::Response { response: first, result, next_tsns: None }]) });
        w.finish();
        Bytes::from(packet)
    };
    let now = t.p.now;
    t.at_a().reset_streams(now, ResetDirection::Outgoing, &[stream(1)]).unwrap();
    let mut asked = 0;
    while asked < 30 {
        let now = t.p.now;
        if t.p.a.packets(now).iter().any(|p| kinds(p).contains(&130)) {
            asked += 1;
            t.p.a.take(now, ip, answer(R::IN_PROGRESS));
        }
        t.p.now = t.p.a.stack.poll_timeout().unwrap();
        t.p.a.stack.handle_timeout(t.p.now);
    }
    assert_eq!(t.at_a().stats().reconfig_expireds, 0);
    let now = t.p.now;
    t.p.a.take(now, ip, answer(R::PERFORMED));
    assert_eq!(t.events(true), [reset(true, &[1], Performed)]);
}
