//! Resolutions, reports and the cache.

use super::*;

/// RFC 5352 rows: 3.5-1.
#[test]
fn failed_elements_are_reported_and_left_out() {
    let (mut b, home, _) = Bench::registered();
    b.asap.report_unreachable(b.now, &pool(), ElementId(5), Some(element(5).user));
    b.drain();
    assert_eq!(b.messages(), [AsapMessage::Unreachable { handle: pool(), id: ElementId(5) }]);
    b.asap.resolve(b.now, &pool(), 2, Duration::ZERO);
    b.say(home, &resolved(vec![element(5), element(6)]));
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(e), .. }) if *e == [element(6)]));

    // Only failed ones in a list that may be incomplete: asked again for all.
    b.sent.clear();
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.say(home, &resolved(vec![element(5)]));
    let items: Vec<_> = b
        .messages()
        .into_iter()
        .map(|m| match m {
            AsapMessage::HandleResolution { items, .. } => items,
            m => panic!("{m:?}"),
        })
        .collect();
    assert_eq!(items, [Some(1), Some(128)]);
    b.say(home, &resolved(vec![element(5)]));
    let all_failed = ResolveError::AllExcluded(pool());
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Err(e), .. }) if *e == all_failed));
    b.run_until(ms(29_000));
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    b.run_until(ms(30_000));
    b.say(home, &resolved(vec![element(5)]));
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(e), .. }) if *e == [element(5)]));
}

/// RFC 5352 rows: 3.3-7, 3.3-8, 3.3-9, 3.3-10, 3.3-11.
#[test]
fn the_cache_answers_while_it_is_fresh_and_when_nobody_else_does() {
    let (mut b, home, _) = Bench::registered();
    let second = Duration::from_secs(1);
    b.asap.resolve(b.now, &pool(), 2, second);
    b.say(home, &resolved(vec![element(5), element(6)]));
    b.sent.clear();
    b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    assert_eq!(b.sent, [], "from the cache");
    b.run_until(ms(6_000));
    b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    assert_eq!(b.messages().len(), 1, "stale");
    b.say(home, &resolved(vec![element(5), element(6)]));
    b.lost(home);
    b.events.clear();
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.run_until(ms(12_000));
    assert!(b.events.iter().any(|e| matches!(e, AsapEvent::Resolved { result: Ok(_), .. })), "{:?}", b.events);
}

#[test]
fn an_unknown_pool_is_not_asked_for_again_and_again() {
    let (mut b, home, _) = Bench::registered();
    let unknown = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: pool(),
        policy: None,
        elements: vec![],
        error: Some(OperationError::from(CauseCode::UNKNOWN_POOL_HANDLE)),
    };
    let minute = Duration::from_secs(60);
    b.asap.resolve(b.now, &pool(), 1, minute);
    b.say(home, &unknown);
    b.sent.clear();
    b.events.clear();
    b.asap.resolve(b.now, &pool(), 1, minute);
    b.drain();
    let unresolved = Err(ResolveError::UnknownPoolHandle(pool()));
    assert!(matches!(&b.events[..], [AsapEvent::Resolved { result, .. }] if *result == unresolved));
    assert_eq!(b.sent, []);
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.messages().len(), 1, "who accepts no old answers accepts no old refusals");
    b.say(home, &unknown);
    b.run_until(ms(1_000));
    b.asap.resolve(b.now, &pool(), 1, minute);
    b.drain();
    assert_eq!(b.messages().len(), 1, "a pool may appear any time: a second, not a minute");
    // Another refusal says nothing about the pool.
    let mut refused = unknown.clone();
    if let AsapMessage::HandleResolutionResponse { error, .. } = &mut refused {
        *error = Some(OperationError::from(CauseCode::LACK_OF_RESOURCES));
    }
    b.say(home, &resolved(vec![element(5)]));
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.say(home, &refused);
    b.events.clear();
    b.asap.resolve(b.now, &pool(), 1, minute);
    b.drain();
    assert!(matches!(&b.events[..], [AsapEvent::Resolved { result: Ok(_), .. }]), "{:?}", b.events);
}

/// With a stale value the registrar gives what it likes and the policy is applied here: turns are taken from the first answer on.
#[test]
fn the_first_answer_takes_part_in_the_turns_of_the_cache() {
    let (mut b, home, _) = Bench::registered();
    let minute = Duration::from_secs(60);
    b.asap.resolve(b.now, &pool(), 1, minute);
    b.say(home, &resolved(vec![element(5), element(6), element(7)]));
    for _ in 0..5 {
        b.asap.resolve(b.now, &pool(), 1, minute);
    }
    b.drain();
    let turns: Vec<u32> = b
        .events
        .iter()
        .filter_map(|e| match e {
            AsapEvent::Resolved { result: Ok(elements), .. } => Some(elements[0].id.0),
            _ => None,
        })
        .collect();
    assert_eq!(turns.len(), 6);
    let mut once = turns[..3].to_vec();
    once.sort_unstable();
    assert_eq!(once, [5, 6, 7]);
    assert_eq!(turns[..3], turns[3..]);
}

#[test]
fn the_cache_is_filled_and_emptied_on_demand() {
    let (mut b, home, _) = Bench::registered();
    b.asap.populate(b.now, &pool());
    b.drain();
    assert_eq!(b.messages().len(), 1);
    b.say(home, &resolved(vec![element(5)]));
    assert_eq!(b.events, [], "nobody waits for it");
    b.asap.populate(b.now, &pool());
    b.asap.resolve(b.now, &pool(), 1, Duration::from_secs(1));
    b.drain();
    assert_eq!((b.sent.len(), b.events.len()), (0, 1));
    b.asap.purge(&pool());
    b.asap.resolve(b.now, &pool(), 1, Duration::from_secs(1));
    b.drain();
    assert_eq!(b.messages().len(), 1);
}

/// Reports wait for a registrar if there is none, and go once to the next one.
#[test]
fn reports_without_a_registrar_wait_for_one_and_are_bounded() {
    let mut b = Bench::new();
    for id in 1..=1_000 {
        b.asap.report_unreachable(b.now, &pool(), ElementId(id), None);
    }
    b.hear(1);
    let first = b.connects[0].0;
    b.up(first);
    let sent = b.messages();
    assert_eq!(sent.len(), 256);
    assert_eq!(sent.last(), Some(&AsapMessage::Unreachable { handle: pool(), id: ElementId(1_000) }));
    b.hear(2);
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.lost(first);
    let (second, _) = *b.connects.last().unwrap();
    b.sent.clear();
    b.up(second);
    assert!(matches!(b.messages()[..], [AsapMessage::HandleResolution { .. }]), "a report counts once for each failure");
}
