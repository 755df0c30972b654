//! Handshakes that meet an association: both open at once, restarts, and addresses that two peers name.

use bytes::Bytes;

use super::ladder::{A, PORT, Pair, Peer, answer_to, cookie_of, init, ip, kinds, packet};
use super::*;
use crate::event::SendOptions;
use crate::num::{Ppid, StreamId, Vtag};
use crate::wire::chunk::{CookieEcho, Init, InitParams};
use crate::wire::{Chunk, Packet, Param};

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
    let echo = Chunk::CookieEcho(CookieEcho { cookie: cookie_of(&ack) });
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
fn an_address_that_was_only_listed_belongs_to_who_comes_from_it() {
    let mut p = Pair::new();
    // Somebody else lists A's address as its own and opens an association from the same port.
    assert_eq!(open_by_hand(&mut p, "10.0.0.66", 5, &[Param::Address(ip(A))])[0], 11);
    assert_eq!(p.b.stack.association_count(), 1);
    let a = p.connect();
    p.settle();
    assert_eq!(p.a.state(a), "ESTABLISHED");
    assert_eq!(p.b.stack.association_count(), 2);
    assert!(!p.b.has(|e| *e == Event::Restarted));
}
