//! What registrars tell each other about elements.

use rserpool::wire::{
    AsapMessage, DecodeErrorKind, ElementId, EncodeOptions, EnrpMessage, Life, PolicyParam, PoolElement, RegistrarId, Transport,
    TransportUse, UpdateAction,
};

use crate::bed::{ECHO, element, handle};
use crate::scene::*;

/// The updates among the messages to each of two peers, who must get the same.
fn updates(out: Vec<Out>, peers: [rserpool::registrar::AssocKey; 2]) -> Vec<EnrpMessage> {
    let of = |a| {
        let all = to(a, out.clone());
        all.into_iter().filter(|m| matches!(m, EnrpMessage::HandleUpdate { .. })).collect::<Vec<_>>()
    };
    let [one, other] = peers.map(of);
    assert_eq!(one, other);
    one
}

fn leave(id: u32) -> AsapMessage {
    AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(id) }
}

fn registration(e: PoolElement) -> AsapMessage {
    AsapMessage::Registration { handle: handle(ECHO), element: e }
}

/// RFC 5353 rows: 3.3.1-1, 3.3.1-2, 3.3.1-3.
/// RFC 5352 rows: 3.1-35.
#[test]
fn registrations_are_told_to_all_peers() {
    let mut s = Scene::new();
    let peers = [s.peer(1), s.peer(90)];
    let pe = s.client(7);
    for load in [3, 3, 5] {
        let e = PoolElement { policy: PolicyParam::LeastUsed { load }, ..element(7, 7) };
        let out = s.ask(pe, &registration(e.clone()));
        let asap = Transport::sctp(50_000, TransportUse::DATA, ["10.0.0.7".parse().unwrap()]);
        let whole = PoolElement { home: ME, asap: Some(asap), ..e };
        assert_eq!(updates(out, peers), [update(ME.0, UpdateAction::Add, whole)]);
    }
    // A refused one is not.
    let out = s.ask(pe, &registration(element(8, 7)));
    assert_eq!(updates(out, peers), []);
}

/// RFC 5353 rows: 3.3.2-1, 3.3.2-2, 3.3.2-3, 3.3.2-4.
/// RFC 5352 rows: 3.2-11.
#[test]
fn removals_are_told_to_all_peers() {
    let alive = |peers: [rserpool::registrar::AssocKey; 2]| [(1, peers[0]), (90, peers[1])];
    let deleted = |s: &Scene, id| update(ME.0, UpdateAction::Delete, s.known(id).unwrap());
    let mut s = Scene::new();
    let peers = [s.peer(1), s.peer(90)];
    // It leaves.
    let pe = s.registered(7);
    let expected = deleted(&s, 7);
    let out = s.ask(pe, &leave(7));
    assert_eq!(updates(out, peers), [expected]);
    // Its life is over.
    let pe = s.client(8);
    s.ask(pe, &registration(PoolElement { life: Life(2_500), ..element(8, 8) }));
    let expected = deleted(&s, 8);
    let out = untimed(s.pass_with(3_000, &alive(peers)));
    assert_eq!(updates(out, peers), [expected]);
    // It does not answer.
    s.registered(9);
    let expected = deleted(&s, 9);
    let out = untimed(s.pass_with(15_000, &alive(peers)));
    assert_eq!(updates(out, peers), [expected]);
    assert_eq!(s.r.handlespace().element_count(), 0);
}

/// RFC 5352 rows: 3.2-12.
#[test]
fn what_removes_nothing_is_not_told() {
    let mut s = Scene::new();
    let peers = [s.peer(1), s.peer(90)];
    let pe = s.registered(7);
    let other = s.client(8);
    for (assoc, id) in [(other, 7), (pe, 9)] {
        let out = s.ask(assoc, &leave(id));
        assert_eq!(out.len(), 1, "an answer: {out:?}");
        assert_eq!(updates(out, peers), []);
    }
}

/// RFC 5353 rows: 3.3.1-4, 3.3.1-5, 3.3.1-6, 3.3.1-7.
#[test]
fn an_update_makes_a_pool() {
    let mut s = Scene::new();
    let a = s.peer(1);
    let with = |id, load| PoolElement { policy: PolicyParam::LeastUsed { load }, life: Life(77_000), ..owned(id, 1) };
    s.say(a, &update(1, UpdateAction::Add, with(7, 5)));
    assert_eq!((s.known(7), s.r.handlespace().pool_count()), (Some(with(7, 5)), 1));
    // The pool has its policy: an element of another one is not taken in.
    s.say(a, &update(1, UpdateAction::Add, owned(8, 1)));
    assert_eq!(s.known(8), None);
    // And users find it.
    let pu = s.client(99);
    let out = s.ask(pu, &AsapMessage::HandleResolution { subscribe: false, handle: handle(ECHO), items: None });
    let shown = PoolElement { asap: None, ..with(7, 5) };
    assert!(matches!(&out[..], [Out::Asap(_, AsapMessage::HandleResolutionResponse { elements, .. })] if elements[..] == [shown]));
}

/// RFC 5353 rows: 3.3.1-8, 3.3.1-9.
#[test]
fn an_update_adds_and_replaces() {
    let mut s = Scene::new();
    let a = s.peer_with(1, &[7]);
    s.say(a, &update(1, UpdateAction::Add, owned(8, 1)));
    assert_eq!((s.known(7), s.known(8)), (Some(owned(7, 1)), Some(owned(8, 1))));
    let user = Transport::sctp(4712, TransportUse::DATA, ["10.0.0.77".parse().unwrap()]);
    let changed = PoolElement { user, life: Life(66_000), ..owned(7, 1) };
    s.say(a, &update(1, UpdateAction::Add, changed.clone()));
    assert_eq!((s.known(7), s.known(8)), (Some(changed), Some(owned(8, 1))));
    // An element that we hold is asked before another registrar's word is taken for it.
    let pe = s.registered(9);
    s.say(a, &update(1, UpdateAction::Add, owned(9, 1)));
    let out = untimed(s.pass(0));
    assert!(out.iter().any(|o| matches!(o, Out::Asap(to, AsapMessage::KeepAlive { .. }) if *to == pe)), "{out:?}");
    assert_eq!(s.home_of(9), Some(ME.0));
}

/// RFC 5353 rows: 3.3.2-5, 3.3.2-6, 3.3.2-7.
#[test]
fn an_update_removes_an_element_and_the_last_one_its_pool() {
    let mut s = Scene::new();
    let a = s.peer_with(1, &[7, 8]);
    assert_eq!(s.say(a, &update(1, UpdateAction::Delete, owned(7, 1))), []);
    assert_eq!((s.home_of(7), s.home_of(8), s.r.handlespace().pool_count()), (None, Some(1), 1));
    assert_eq!(s.say(a, &update(1, UpdateAction::Delete, owned(8, 1))), []);
    assert_eq!((s.home_of(8), s.r.handlespace().pool_count()), (None, 0));
    assert_eq!(s.say(a, &update(1, UpdateAction::Delete, owned(8, 1))), [], "about nobody");
}

/// RFC 5352 rows: 3.1-28.
#[test]
fn an_element_that_registers_here_leaves_its_old_home() {
    let mut s = Scene::new();
    let a = s.peer_with(1, &[7]);
    assert_eq!(s.home_of(7), Some(1));
    let pe = s.client(7);
    let out = s.ask(pe, &registration(element(7, 7)));
    assert_eq!(s.home_of(7), Some(ME.0));
    assert_eq!(to(a, out), [update(ME.0, UpdateAction::Add, s.known(7).unwrap())]);
}

/// RFC 5353 rows: 2.4-1, 2.4-2, 2.4-3.
#[test]
fn an_update_adds_or_deletes_and_its_reserved_field_does_not_matter() {
    for (action, number) in [(UpdateAction::Add, 0), (UpdateAction::Delete, 1)] {
        let message = update(1, action, owned(7, 1));
        let mut bytes = message.encode(EncodeOptions::default()).unwrap();
        assert_eq!(bytes[12..16], [0, number, 0, 0]);
        bytes[14..16].copy_from_slice(&[0xa5, 0x5a]);
        assert_eq!(EnrpMessage::decode(&bytes).unwrap().message, message);
        for other in [[0, 2], [1, 0], [0xff, 0xff]] {
            bytes[12..14].copy_from_slice(&other);
            let error = EnrpMessage::decode(&bytes).unwrap_err().kind;
            assert_eq!(error, DecodeErrorKind::UnknownAction(u16::from_be_bytes(other)));
        }
    }
}

/// RFC 5353 rows: 2-1.
#[test]
fn the_most_significant_byte_goes_first() {
    let m = EnrpMessage::InitTakeover { sender: RegistrarId(0x0102_0304), receiver: RegistrarId(0x0506_0708), target: RegistrarId(9) };
    assert_eq!(m.encode(EncodeOptions::default()).unwrap()[2..], [0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
}

/// RFC 5353 rows: 2.3-4.
#[test]
fn a_pool_entry_is_a_handle_and_its_elements() {
    let message = table(1, false, vec![owned(7, 1), owned(8, 1)]);
    let bytes = message.encode(EncodeOptions::default()).unwrap();
    let kind_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let next = |at: usize| at + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])).next_multiple_of(4);
    let (handle_at, first) = (12, next(12));
    assert_eq!([handle_at, first, next(first)].map(kind_at), [9, 10, 10]);
    assert_eq!(next(next(first)), bytes.len());
    // Elements without a pool belong nowhere.
    let mut orphans = bytes.clone();
    orphans.drain(handle_at..first);
    let len = u16::try_from(orphans.len()).unwrap();
    orphans[2..4].copy_from_slice(&len.to_be_bytes());
    assert!(EnrpMessage::decode(&orphans).is_err());
}
