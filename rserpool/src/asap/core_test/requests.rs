//! Requests and answers.

use super::*;

#[test]
fn answers_belong_to_requests_in_their_order() {
    let (mut b, home, key) = Bench::registered();
    let first = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    let other = PoolHandle::new("Other").unwrap();
    let second = b.asap.resolve(b.now, &other, 1, Duration::ZERO);
    b.asap.update(b.now, &key, PolicyParam::RoundRobin {});
    b.drain();
    assert_eq!(b.messages().len(), 2, "both are in flight; an update without a change is none");
    b.say(home, &resolved(vec![element(5)]));
    let unknown = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: other.clone(),
        policy: None,
        elements: vec![],
        error: Some(OperationError::from(CauseCode::UNKNOWN_POOL_HANDLE)),
    };
    b.say(home, &unknown);
    let expected = [
        AsapEvent::Resolved { request: first, result: Ok(vec![element(5)]) },
        AsapEvent::Resolved { request: second, result: Err(ResolveError::UnknownPoolHandle(other)) },
    ];
    assert_eq!(b.events, expected);
}

/// RFC 5352 rows: 3.1-10, 3.3-3, 3.3-5, 3.6-5.
#[test]
fn a_wrong_answer_or_none_moves_everything_to_another_registrar() {
    for silent in [false, true] {
        let (mut b, home, key) = Bench::registered();
        b.hear(2);
        let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
        b.drain();
        if silent {
            b.hear(1);
            b.run_until(ms(2_999));
            assert_eq!(b.closed, []);
            b.run_until(ms(3_000));
        } else {
            b.accept_registration(home, &key);
        }
        assert_eq!(b.closed, [(home, Ending::Abort)], "silent: {silent}");
        let (link, addr) = *b.connects.last().unwrap();
        assert_eq!(addr, registrar_at(2), "the other one first");
        b.sent.clear();
        b.up(link);
        let sent = b.messages();
        assert!(matches!(sent[..], [AsapMessage::HandleResolution { .. }, AsapMessage::Registration { .. }]), "{sent:?}");
        b.say(link, &resolved(vec![element(5)]));
        b.accept_registration(link, &key);
        assert!(b.events.contains(&AsapEvent::Resolved { request, result: Ok(vec![element(5)]) }));
    }
}

#[test]
fn requests_are_not_repeated_for_ever() {
    let mut b = Bench::with(AsapConfig { registrars: vec![vec![registrar_at(7)]], ..AsapConfig::default() });
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    let mut times = 0;
    for _ in 0..20 {
        if b.events.iter().any(|e| matches!(e, AsapEvent::Resolved { .. })) {
            break;
        }
        let link = b.connects.last().unwrap().0;
        if !b.closed.iter().any(|(l, _)| *l == link) && b.asap.home().is_none() {
            b.up(link);
            times += 1;
        }
        let next = b.asap.poll_timeout().unwrap();
        b.run_until(next);
    }
    assert_eq!(times, 3, "once and MAX-REQUEST-RETRANSMIT times");
    assert!(b.events.contains(&AsapEvent::Resolved { request, result: Err(ResolveError::Timeout) }));
}

#[test]
fn nonsense_does_no_harm() {
    let (mut b, home, _) = Bench::registered();
    for bytes in [&b""[..], b"\x01", b"\x99\x00\x00\x04", b"\x0e\x00\x00\x04", b"\x03\x00\x00\x08\x00\x09\x00\x00", &[0xff; 70_000]] {
        b.asap.handle(b.now, Input::Message { link: home, bytes });
        b.asap.handle(b.now, Input::Message { link: LinkId(999), bytes });
        b.asap.handle(b.now, Input::Announce { src: registrar_at(1), bytes });
    }
    b.drain();
    assert_eq!(b.asap.registrars_known(b.now), 1);
}

/// Several elements and several users of one process, over one association: each answer finds its request, also after the
/// registrar is lost with everything in flight.
#[test]
fn interleaved_requests_of_elements_and_users_survive_the_registrar() {
    let pools: Vec<PoolHandle> = (0..3).map(|n| PoolHandle::new(format!("Pool {n}")).unwrap()).collect();
    let mut b = Bench::new();
    b.hear(1);
    b.hear(2);
    let mut expected = vec![];
    let mut keys = vec![];
    for (n, pool) in pools.iter().enumerate() {
        let port = 5_000 + u16::try_from(n).unwrap();
        keys.push(b.asap.register(b.now, ElementSpec::new(pool.clone(), port)).unwrap());
        for _ in 0..2 {
            b.asap.resolve(b.now, pool, 1, Duration::ZERO);
        }
        expected.extend(["Registration", "Handle Resolution", "Handle Resolution"]);
    }
    b.drain();
    // Two registrars are tried at once; whichever is up first is the home.
    let first = b.connects[0].0;
    b.up(first);
    let names = |b: &Bench| b.sent.iter().map(|(_, m)| m.name()).collect::<Vec<_>>();
    assert_eq!(names(&b), expected);
    let asked: Vec<AsapMessage> = b.messages();
    // The first four are answered, then the registrar is gone.
    for m in &asked[..4] {
        b.say(first, &answer_to(m));
    }
    b.asap.deregister(b.now, &keys[0]);
    b.drain();
    b.sent.clear();
    b.lost(first);
    let second = b.connects.last().unwrap().0;
    b.up(second);
    let again = b.messages();
    let deregistration = AsapMessage::Deregistration { handle: keys[0].handle.clone(), id: keys[0].id };
    assert_eq!(again[..6], [&asked[4..], &[deregistration]].concat(), "in the order in which they were asked");
    let renewed: Vec<_> = again[6..].iter().map(AsapMessage::name).collect();
    assert_eq!(renewed, ["Registration"], "the one that was registered, and not those in flight nor the one that leaves");
    for m in &again {
        b.say(second, &answer_to(m));
    }
    let resolved = b.events.iter().filter(|e| matches!(e, AsapEvent::Resolved { result: Ok(_), .. })).count();
    assert_eq!(resolved, 6, "each exactly once");
    let states: Vec<_> = keys.iter().map(|k| b.asap.element_state(k)).collect();
    assert_eq!(states, [None, Some(ElementState::Registered), Some(ElementState::Registered)]);
    assert_eq!(b.sent, []);
}

/// A registrar that answers out of order is left, and another one is asked everything.
#[test]
fn answers_in_another_order_end_the_association() {
    let mut b = Bench::new();
    b.hear(1);
    let other = PoolHandle::new("Other").unwrap();
    let asked = [pool(), other].map(|p| b.asap.resolve(b.now, &p, 1, Duration::ZERO));
    b.drain();
    let first = b.connects[0].0;
    b.up(first);
    let requests = b.messages();
    b.hear(2);
    b.say(first, &answer_to(&requests[1]));
    assert_eq!(b.closed, [(first, Ending::Abort)]);
    assert_eq!(b.events.iter().filter(|e| matches!(e, AsapEvent::Resolved { .. })).count(), 0);
    let (second, at) = *b.connects.last().unwrap();
    assert_eq!(at, registrar_at(2));
    b.up(second);
    assert_eq!(b.messages(), requests);
    for m in &requests {
        b.say(second, &answer_to(m));
    }
    let ended: Vec<_> = b
        .events
        .iter()
        .filter_map(|e| match e {
            AsapEvent::Resolved { request, result } => Some((*request, result.is_ok())),
            _ => None,
        })
        .collect();
    assert_eq!(ended, asked.map(|request| (request, true)));
}
