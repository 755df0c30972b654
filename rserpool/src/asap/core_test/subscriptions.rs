//! Pools that are followed.

use super::*;

fn listing(granted: bool, elements: Vec<PoolElement>) -> AsapMessage {
    let policy = Some(PolicyParam::RoundRobin {});
    AsapMessage::HandleResolutionResponse { subscribed: granted, handle: pool(), policy, elements, error: None }
}

fn gone() -> AsapMessage {
    let error = Some(OperationError::from(CauseCode::UNKNOWN_POOL_HANDLE));
    AsapMessage::HandleResolutionResponse { subscribed: false, handle: pool(), policy: None, elements: vec![], error }
}

fn followed() -> (Bench, LinkId) {
    let (mut b, home, _) = Bench::registered();
    b.asap.subscribe(b.now, &pool()).unwrap();
    b.drain();
    assert!(matches!(b.messages()[..], [AsapMessage::HandleResolution { subscribe: true, .. }]));
    b.say(home, &listing(true, vec![element(5)]));
    assert_eq!(b.events, [AsapEvent::PoolChanged { handle: pool(), result: Ok(vec![element(5)]) }]);
    b.events.clear();
    (b, home)
}

/// RFC 5352 sections 2.2.5 and 2.2.6: updates come by themselves and keep the cache fresh.
#[test]
fn updates_refresh_the_cache_without_being_asked_for() {
    let (mut b, home) = followed();
    b.now = ms(20_000);
    b.say(home, &listing(true, vec![element(6)]));
    assert_eq!(b.events, [AsapEvent::PoolChanged { handle: pool(), result: Ok(vec![element(6)]) }]);
    b.events.clear();
    b.now = ms(29_000);
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::from_millis(1));
    b.drain();
    assert_eq!(b.events, [AsapEvent::Resolved { request, result: Ok(vec![element(6)]) }]);
    assert_eq!(b.sent, [], "however old: the registrar would have told");
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    let asked = b.messages();
    assert!(matches!(asked[..], [AsapMessage::HandleResolution { subscribe: false, .. }]), "the registrar chooses; the subscription stays");
}

/// An update between a question and its answer: both say how the pool stands, and neither ends the association.
#[test]
fn an_update_may_cross_a_request() {
    let (mut b, home) = followed();
    let other = PoolHandle::new("Other").unwrap();
    let first = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    let second = b.asap.resolve(b.now, &other, 1, Duration::ZERO);
    b.drain();
    b.say(home, &listing(true, vec![element(6)]));
    b.say(home, &listing(true, vec![element(7)]));
    let answers = [pool(), other].map(|handle| answer_to(&AsapMessage::HandleResolution { subscribe: false, handle, items: None }));
    for answer in &answers {
        b.say(home, answer);
    }
    assert_eq!(b.closed, []);
    let expected = [
        AsapEvent::PoolChanged { handle: pool(), result: Ok(vec![element(6)]) },
        AsapEvent::PoolChanged { handle: pool(), result: Ok(vec![element(7)]) },
        AsapEvent::Resolved { request: first, result: Ok(vec![element(5)]) },
        AsapEvent::Resolved { request: second, result: Ok(vec![element(5)]) },
    ];
    assert_eq!(b.events, expected);
}

/// RFC 5352 section 2.2.5: registrars do not share subscriptions; a new home has to be asked.
#[test]
fn a_new_home_is_asked_again_and_in_between_the_cache_ages() {
    let (mut b, home) = followed();
    b.now = ms(10_000);
    b.hear(2);
    b.lost(home);
    let second = Duration::from_secs(1);
    b.now = ms(10_900);
    b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(_), .. })), "fresh until the registrar was lost");
    b.now = ms(11_000);
    let late = b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    b.events.clear();
    let (link, _) = *b.connects.last().unwrap();
    b.sent.clear();
    b.up(link);
    let asked: Vec<bool> = b
        .sent
        .iter()
        .filter_map(|(_, m)| match m {
            AsapMessage::HandleResolution { subscribe, .. } => Some(*subscribe),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [false, true], "what waited, and the subscription");
    let requests: Vec<AsapMessage> = b.messages();
    for m in &requests {
        b.say(link, &answer_to(m));
    }
    assert!(b.events.contains(&AsapEvent::Resolved { request: late, result: Ok(vec![element(5)]) }));
    assert!(b.events.contains(&AsapEvent::PoolChanged { handle: pool(), result: Ok(vec![element(5)]) }));
    b.say(link, &listing(true, vec![element(9)]));
    assert_eq!(b.closed, []);
}

/// A pool that is gone, and a registrar that does not grant subscriptions, are asked again every five seconds.
#[test]
fn what_is_not_granted_is_asked_for_again() {
    for refusal in [gone(), listing(false, vec![element(5)])] {
        let (mut b, home) = followed();
        b.say(home, &gone());
        assert_eq!(b.events, [AsapEvent::PoolChanged { handle: pool(), result: Err(ResolveError::UnknownPoolHandle(pool())) }]);
        for n in 1..=3 {
            b.run_until(ms(5_000 * n - 1));
            assert_eq!(b.sent, []);
            b.run_until(ms(5_000 * n));
            assert!(matches!(b.messages()[..], [AsapMessage::HandleResolution { subscribe: true, .. }]));
            b.say(home, &refusal);
        }
        assert_eq!(b.closed, []);
    }
}

#[test]
fn who_has_unsubscribed_hears_nothing_more_and_the_association_stays() {
    let (mut b, home) = followed();
    b.asap.unsubscribe(&pool());
    b.say(home, &listing(true, vec![element(6)]));
    b.say(home, &gone());
    assert_eq!((b.events.len(), b.closed.len()), (0, 0));
    b.hear(2);
    b.lost(home);
    let (link, _) = *b.connects.last().unwrap();
    b.sent.clear();
    b.up(link);
    assert!(matches!(b.messages()[..], [AsapMessage::Registration { .. }]), "the new home is not asked");
    b.say(
        link,
        &AsapMessage::HandleResolutionResponse { subscribed: false, handle: pool(), policy: None, elements: vec![element(1)], error: None },
    );
    assert_eq!(b.closed, [(link, Ending::Abort)], "nobody asked for that");
}

#[test]
fn subscriptions_are_bounded() {
    let mut b = Bench::new();
    let handle = |n: usize| PoolHandle::new(format!("pool {n}")).unwrap();
    for n in 0..MAX_SUBSCRIPTIONS {
        b.asap.subscribe(b.now, &handle(n)).unwrap();
    }
    assert_eq!(b.asap.subscribe(b.now, &handle(MAX_SUBSCRIPTIONS)), Err(ResolveError::TooManyRequests));
    assert_eq!(b.asap.subscribe(b.now, &handle(0)), Ok(()), "one more who wants the same");
    b.asap.unsubscribe(&handle(0));
    assert_eq!(b.asap.subscribe(b.now, &handle(MAX_SUBSCRIPTIONS)), Err(ResolveError::TooManyRequests));
    b.asap.unsubscribe(&handle(0));
    assert_eq!(b.asap.subscribe(b.now, &handle(MAX_SUBSCRIPTIONS)), Ok(()));
}
