//! Registrars that come to us.

use super::*;

/// RFC 5352 rows: 2.2.7-1, 3.4-1, 3.4-2.
/// RFC 5353 rows: 1.1-1, 1.1-2.
#[test]
fn keep_alives_are_answered_and_the_h_bit_moves_home() {
    let (mut b, home, key) = Bench::registered();
    let second = b.asap.register(b.now, ElementSpec::new(pool(), 5001)).unwrap();
    b.drain();
    b.accept_registration(home, &second);
    b.sent.clear();
    let ask_by = |registrar, new_home, handle: &PoolHandle, id| {
        let (registrar, handle) = (RegistrarId(registrar), handle.clone());
        AsapMessage::KeepAlive { new_home, registrar, handle, id }
    };
    let ask = |new_home, handle: &PoolHandle, id| ask_by(if new_home { 77 } else { 7 }, new_home, handle, id);
    b.say(home, &ask(false, &pool(), Some(key.id)));
    assert_eq!(b.asap.home(), Some(RegistrarId(7)), "who it is, it knows best");
    assert_eq!(b.messages(), [AsapMessage::KeepAliveAck { handle: pool(), id: key.id }]);
    b.say(home, &ask(false, &pool(), Some(ElementId(key.id.0 ^ 1))));
    b.say(home, &ask(false, &PoolHandle::new("Other").unwrap(), None));
    assert_eq!(b.messages(), [], "not ours: silence");
    b.say(home, &ask(false, &pool(), None));
    assert_eq!(b.messages().len(), 2, "without an identifier: all of the pool");

    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    b.say(visitor, &ask(false, &pool(), Some(key.id)));
    assert_eq!(b.sent.drain(..).map(|(l, _)| l).collect::<Vec<_>>(), [visitor], "acknowledged where it came from");
    assert_eq!(b.closed, []);
    b.say(visitor, &ask(true, &pool(), Some(key.id)));
    assert_eq!(b.asap.home(), Some(RegistrarId(77)));
    assert!(b.sent.iter().all(|(l, _)| *l == visitor));
    let sent = b.messages();
    assert!(matches!(sent[0], AsapMessage::KeepAliveAck { .. }));
    assert_eq!(sent.iter().filter(|m| matches!(m, AsapMessage::Registration { .. })).count(), 2);

    // The old one may live: it is answered as long as it asks, and does not become the home again by that.
    b.now = ms(20_000);
    let again = AsapMessage::KeepAlive { new_home: false, registrar: RegistrarId(1), handle: pool(), id: Some(key.id) };
    b.say(home, &again);
    assert!(matches!(b.sent.drain(..).collect::<Vec<_>>()[..], [(link, AsapMessage::KeepAliveAck { .. })] if link == home));
    b.say(home, &AsapMessage::DeregistrationResponse { handle: pool(), id: key.id, error: None });
    assert_eq!(b.sent, [], "what it has to say about registrations does not count");
    assert_eq!(b.asap.home(), Some(RegistrarId(77)));
    b.accept_registration(visitor, &key);
    b.accept_registration(visitor, &second);
    b.run_until(ms(49_999));
    assert_eq!(b.closed, []);
    b.run_until(ms(50_000));
    assert_eq!(b.closed, [(home, Ending::Graceful)], "it has been silent for 30 s");
}

/// RFC 5352 section 3.4, KA2.4: a registrar that is the home already is not adopted anew, but it may use a new association.
#[test]
fn the_home_may_come_over_a_new_association() {
    let (mut b, home, key) = Bench::registered();
    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    let ask = AsapMessage::KeepAlive { new_home: true, registrar: RegistrarId(1), handle: pool(), id: Some(key.id) };
    b.say(visitor, &ask);
    assert_eq!(b.closed, [(home, Ending::Abort)]);
    assert_eq!(b.asap.home(), Some(RegistrarId(1)));
    assert!(matches!(b.messages()[..], [AsapMessage::KeepAliveAck { .. }, AsapMessage::Registration { .. }]));
    b.say(visitor, &ask);
    assert_eq!(b.messages().len(), 1, "at home it is a keep-alive like any other");
}

/// What was in flight when another registrar took us over is asked there, once.
#[test]
fn requests_in_flight_move_with_the_home() {
    let (mut b, home, key) = Bench::registered();
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    b.sent.clear();
    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    b.say(visitor, &AsapMessage::KeepAlive { new_home: true, registrar: RegistrarId(77), handle: pool(), id: None });
    let sent = b.sent.drain(..).collect::<Vec<_>>();
    let kinds: Vec<_> = sent.iter().map(|(link, m)| (*link, m.name())).collect();
    let expected = [AsapMessage::KeepAliveAck { handle: pool(), id: key.id }.name(), "Handle Resolution", "Registration"];
    assert_eq!(kinds, expected.map(|name| (visitor, name)));
    // The old home answers late.
    b.say(home, &resolved(vec![element(4)]));
    assert!(!b.events.iter().any(|e| matches!(e, AsapEvent::Resolved { .. })));
    b.say(visitor, &resolved(vec![element(5)]));
    b.accept_registration(visitor, &key);
    assert!(b.events.contains(&AsapEvent::Resolved { request, result: Ok(vec![element(5)]) }));
    assert_eq!(b.sent, []);
}

/// A home that came to us is one that is known; when it is lost, others are tried first.
#[test]
fn a_home_that_came_to_us_is_not_the_first_to_be_tried_when_it_is_lost() {
    let (mut b, home, key) = Bench::registered();
    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    b.hear(2);
    b.say(visitor, &AsapMessage::KeepAlive { new_home: true, registrar: RegistrarId(2), handle: pool(), id: Some(key.id) });
    b.lost(home);
    b.connects.clear();
    b.lost(visitor);
    assert_eq!(b.connects.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [registrar_at(1)]);
}

#[test]
fn visitors_are_bounded_and_leave() {
    let mut b = Bench::new();
    let all: Vec<_> = std::iter::from_fn(|| b.asap.accept(b.now, vec![])).take(1_000).collect();
    assert_eq!(all.len(), 16);
    b.run_until(ms(29_999));
    assert_eq!(b.closed, []);
    b.run_until(ms(30_000));
    assert_eq!(b.closed.len(), 16);
    assert!(b.asap.accept(b.now, vec![]).is_some());
}
