//! How associations end, and what does not end them.

use bytes::Bytes;

use super::ladder::{B, CHANNEL, PORT, Pair, ip, kinds};
use super::*;
use crate::error::SendError;
use crate::event::SendOptions;
use crate::net::NetErrorKind;
use crate::num::{Ppid, StreamId};
use crate::wire::{Cause, Encode};

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
