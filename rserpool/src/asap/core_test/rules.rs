//! Rules of RFC 5352 that the other tests do not show.

use super::*;

/// Registers an element at a registrar that is there, and answers nothing yet.
fn asked(spec: ElementSpec) -> (Bench, LinkId, ElementKey) {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, spec).unwrap();
    b.hear(1);
    let home = b.connects[0].0;
    b.up(home);
    (b, home, key)
}

fn registrations(b: &mut Bench) -> Vec<PoolElement> {
    let of = |m| match m {
        AsapMessage::Registration { element, .. } => Some(element),
        _ => None,
    };
    b.messages().into_iter().filter_map(of).collect()
}

/// RFC 5352 rows: 3.1-7, 3.1-13.
#[test]
fn a_registration_is_complete_and_keeps_its_random_identifier() {
    let policy = PolicyParam::WeightedRoundRobin { weight: 7 };
    let spec = ElementSpec { policy: policy.clone(), usage: TransportUse::DATA, ..ElementSpec::new(pool(), 5000) };
    let (mut b, home, key) = asked(spec);
    let sent = b.messages();
    let [AsapMessage::Registration { handle, element: first }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((handle, first.id, &first.policy), (&pool(), key.id, &policy));
    assert_eq!((first.life, &first.user), (Life(90_000), &Transport::sctp(5000, TransportUse::DATA, [LOCAL])));
    b.accept_registration(home, &key);
    b.run_until(ms(30_000));
    assert_eq!(registrations(&mut b), std::slice::from_ref(first));
    let mut ids: Vec<u32> = (0..50).map(|_| b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap().id.0).collect();
    assert!(ids.iter().any(|id| *id > 1 << 31) && ids.iter().any(|id| *id < 1 << 31), "all 32 bits");
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == 50 && !ids.contains(&0));
    // The RFC's unit of lives is the second, RSPLIB's and the default the millisecond.
    let cfg = AsapConfig { registrars: vec![vec![registrar_at(1)]], ..AsapConfig::rfc() };
    let mut b = Bench::with(cfg);
    b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.drain();
    b.up(LinkId(1));
    assert_eq!(registrations(&mut b)[0].life, Life(90));
}

/// An element serves at addresses that its end of the association with the registrar has.
///
/// RFC 5352 rows: 3.1-5, 6.1-1.
#[test]
fn registered_addresses_are_bound() {
    let elsewhere: IpAddr = "10.0.0.77".parse().unwrap();
    for (addrs, registered) in [(None, vec![LOCAL]), (Some(vec![LOCAL, elsewhere]), vec![LOCAL])] {
        let (mut b, ..) = asked(ElementSpec { addrs, ..ElementSpec::new(pool(), 5000) });
        assert_eq!(registrations(&mut b)[0].user.addrs, registered);
    }
}

/// RFC 5352 rows: 3.1-1, 3.1-2, 3.1-4, 3.1-11.
#[test]
fn a_registration_goes_to_the_home_and_its_answer_ends_the_wait() {
    let (mut b, home, key) = asked(ElementSpec::new(pool(), 5000));
    assert!(matches!(&b.sent[..], [(link, AsapMessage::Registration { .. })] if *link == home));
    b.accept_registration(home, &key);
    b.sent.clear();
    b.run_until(ms(29_999));
    assert_eq!((b.closed.len(), b.sent.len()), (0, 0), "T2 is over after 3 s");
    // Without an answer it counts.
    let (mut b, home, _) = asked(ElementSpec::new(pool(), 5000));
    b.run_until(ms(2_999));
    assert_eq!(b.closed, []);
    b.run_until(ms(3_000));
    assert_eq!(b.closed, [(home, Ending::Abort)]);
}

/// Each renewal comes before the registration's life is over, also if the answer to the one before was late.
///
/// RFC 5352 rows: 3.1-8.
#[test]
fn a_registration_is_renewed_before_its_life_is_over() {
    let (mut b, home, key) = asked(ElementSpec::new(pool(), 5000));
    let mut sent_at = b.now;
    for _ in 0..10 {
        let life = Duration::from_millis(registrations(&mut b)[0].life.0.into());
        let late = b.now + Duration::from_millis(2_900);
        b.run_until(late);
        b.accept_registration(home, &key);
        let expires = sent_at + life;
        while b.sent.is_empty() {
            let next = b.asap.poll_timeout().unwrap();
            b.run_until(next);
        }
        assert!(b.now < expires);
        sent_at = b.now;
    }
}

/// Failures are counted until one succeeds; too many are reported, once. It goes on nevertheless.
///
/// RFC 5352 rows: 3.1-16, 3.1-17.
#[test]
fn failed_registrations_are_counted_and_reported() {
    let mut b = Bench::with(AsapConfig { registrars: vec![vec![registrar_at(1)]], ..AsapConfig::default() });
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.drain();
    let timeout = AsapEvent::RegistrationFailed { key: key.clone(), error: RegisterError::Timeout };
    let told = |b: &Bench| b.events.iter().filter(|e| **e == timeout).count();
    for (load, again) in (1..).zip([false, true, false]) {
        for attempt in 1..=2 {
            b.run_until_registering();
            assert_eq!(told(&b), 0, "attempt {attempt}");
            b.silence();
        }
        assert_eq!(told(&b), 1, "MAX-REG-ATTEMPT is 2");
        b.run_until_registering();
        if !again {
            b.silence();
            assert_eq!(told(&b), 1, "not again before one has succeeded");
            b.run_until_registering();
        }
        let home = b.sent.last().unwrap().0;
        b.accept_registration(home, &key);
        b.asap.update(b.now, &key, PolicyParam::LeastUsed { load });
        b.events.clear();
    }
}

impl Bench {
    /// Until a registration is in flight, whatever associations that takes.
    fn run_until_registering(&mut self) {
        self.sent.clear();
        self.drain();
        while !matches!(self.sent.last(), Some((_, AsapMessage::Registration { .. }))) {
            if self.asap.home().is_none()
                && let Some((link, _)) = self.connects.pop()
            {
                self.up(link);
                continue;
            }
            let next = self.asap.poll_timeout().unwrap();
            self.run_until(next);
        }
    }

    /// Until T2 is over: the home is left.
    fn silence(&mut self) {
        let until = self.now + Duration::from_millis(3_000);
        self.run_until(until);
        assert_eq!(self.asap.home(), None);
    }
}

/// RFC 5352 rows: 3.2-2, 3.2-5, 3.2-6.
#[test]
fn a_deregistration_moves_with_the_home_and_its_answer_ends_the_wait() {
    let (mut b, home, key) = Bench::registered();
    b.hear(2);
    b.asap.deregister(b.now, &key);
    b.drain();
    let leave = AsapMessage::Deregistration { handle: pool(), id: key.id };
    assert_eq!(b.sent, [(home, leave.clone())]);
    b.sent.clear();
    b.lost(home);
    let (second, at) = *b.connects.last().unwrap();
    assert_eq!(at, registrar_at(2));
    b.up(second);
    assert_eq!(b.sent, [(second, leave)]);
    b.sent.clear();
    b.say(second, &AsapMessage::DeregistrationResponse { handle: pool(), id: key.id, error: None });
    assert!(b.events.contains(&AsapEvent::Deregistered { key }));
    b.run_until(ms(60_000));
    assert_eq!((b.sent.len(), b.closed.len()), (0, 0), "T3 is over after 3 s");
}

/// RFC 5352 rows: 3.3-1, 3.3-2, 3.3-6.
#[test]
fn a_resolution_goes_to_the_home_and_its_answer_ends_the_wait() {
    let (mut b, home, _) = Bench::registered();
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert!(matches!(&b.sent[..], [(link, AsapMessage::HandleResolution { handle, .. })] if *link == home && *handle == pool()));
    b.say(home, &resolved(vec![element(5)]));
    b.sent.clear();
    b.run_until(ms(29_999));
    assert_eq!((b.sent.len(), b.closed.len()), (0, 0), "T1 is over after 3 s");
}

/// The association that a request was sent over is lost: a hunt begins, and the next home gets the request.
///
/// RFC 5352 rows: 3.3-4, 3.7.1-1, 3.7.1-2, 3.7.1-3, 3.7.2-1.
#[test]
fn what_was_not_delivered_goes_to_another_registrar_only() {
    let (mut b, home, _) = Bench::registered();
    b.hear(2);
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    b.sent.clear();
    b.lost(home);
    assert_eq!((b.sent.len(), b.asap.home()), (0, None));
    let (second, at) = *b.connects.last().unwrap();
    assert_eq!(at, registrar_at(2));
    b.up(second);
    assert_eq!(b.asap.home(), Some(RegistrarId(2)));
    assert!(matches!(&b.sent[..], [(link, AsapMessage::HandleResolution { .. }), ..] if *link == second));
    assert!(b.sent.iter().all(|(link, _)| *link == second));
}

/// The element's own association with its home carries its reports.
///
/// RFC 5352 rows: 3.5-2, 3.5-3.
#[test]
fn a_failure_is_reported_once_and_to_the_home() {
    let (mut b, home, _) = Bench::registered();
    b.asap.report_unreachable(b.now, &pool(), ElementId(5), None);
    b.drain();
    assert_eq!(b.sent, [(home, AsapMessage::Unreachable { handle: pool(), id: ElementId(5) })]);
    b.sent.clear();
    b.hear(2);
    b.lost(home);
    let (second, _) = *b.connects.last().unwrap();
    b.up(second);
    assert!(!b.sent.iter().any(|(_, m)| matches!(m, AsapMessage::Unreachable { .. })), "{:?}", b.sent);
}

/// RFC 5352 rows: 3.6-4, 3.6-6, 3.6-11.
#[test]
fn configured_registrars_are_tried_one_after_the_other() {
    let registrars = (1..=5).map(|n| vec![registrar_at(n)]).collect();
    let mut b = Bench::with(AsapConfig { registrars, ..AsapConfig::default() });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects.len(), 3);
    for n in 3..5 {
        let (link, _) = b.connects[n - 3];
        b.lost(link);
        let at: Vec<SocketAddr> = b.connects.iter().map(|(_, at)| *at).collect();
        assert!(at.len() == n + 1 && !at[..n].contains(&at[n]), "another one: {at:?}");
    }
}

/// RFC 5352 rows: 3.6-9, 3.6-10, 3.6-12.
#[test]
fn the_hunt_timer_doubles_to_its_limit_and_is_reset_by_an_association() {
    let registrars = (1..=3).map(|n| vec![registrar_at(n)]).collect();
    let mut b = Bench::with(AsapConfig { registrars, ..AsapConfig::default() });
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.drain();
    // How long three attempts last before they are given up together.
    let spans = |b: &mut Bench, n: usize| {
        let mut spans = Vec::new();
        while spans.len() < n {
            while b.connects.is_empty() {
                let next = b.asap.poll_timeout().unwrap();
                b.run_until(next);
            }
            let began = b.now;
            b.closed.clear();
            while b.closed.is_empty() {
                let next = b.asap.poll_timeout().unwrap();
                b.run_until(next);
            }
            spans.push((b.now - began).as_millis());
            b.connects.clear();
        }
        spans
    };
    assert_eq!(spans(&mut b, 6), [7_500, 15_000, 30_000, 60_000, 60_000, 60_000]);
    while b.connects.is_empty() {
        let next = b.asap.poll_timeout().unwrap();
        b.run_until(next);
    }
    let (home, _) = b.connects[0];
    b.up(home);
    b.accept_registration(home, &key);
    b.closed.clear();
    let soon = b.now + Duration::from_millis(29_000);
    b.run_until(soon);
    assert_eq!(b.closed, [], "stopped");
    b.connects.clear();
    b.lost(home);
    assert_eq!(spans(&mut b, 1), [7_500], "reset");
}

/// RFC 5352 rows: 2.2.6-1, 2.2.6-2.
#[test]
fn the_policy_of_an_answer_is_not_told_by_its_elements() {
    let (mut b, home, _) = Bench::registered();
    let minute = Duration::from_secs(60);
    let with = |id, load| PoolElement { policy: PolicyParam::LeastUsed { load }, ..element(id) };
    b.asap.resolve(b.now, &pool(), 1, minute);
    // Round robin, though the loads say that 6 should always be first.
    b.say(home, &resolved(vec![with(5, 100), with(6, 1), with(7, 50)]));
    for _ in 0..5 {
        b.asap.resolve(b.now, &pool(), 1, minute);
    }
    b.drain();
    let of = |e: &AsapEvent| match e {
        AsapEvent::Resolved { result: Ok(elements), .. } => Some(elements[0].id.0),
        _ => None,
    };
    let mut first: Vec<u32> = b.events.iter().filter_map(of).collect();
    first.sort_unstable();
    assert_eq!(first, [5, 5, 6, 6, 7, 7]);
}

/// RFC 5352 rows: 4-1, 4-2, 4-3, 4-4, 4-8.
#[test]
fn one_process_is_user_and_element() {
    let (mut b, home, key) = Bench::registered();
    let ask = AsapMessage::KeepAlive { new_home: false, registrar: RegistrarId(1), handle: pool(), id: Some(key.id) };
    b.say(home, &ask);
    assert_eq!(b.messages(), [AsapMessage::KeepAliveAck { handle: pool(), id: key.id }]);
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.say(home, &resolved(vec![element(5)]));
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(_), .. })));
    b.asap.report_unreachable(b.now, &pool(), ElementId(5), None);
    b.drain();
    assert_eq!(b.messages().last(), Some(&AsapMessage::Unreachable { handle: pool(), id: ElementId(5) }));
    // An error without a request is taken note of; as the answer to one it means another registrar.
    b.say(home, &AsapMessage::Error(CauseCode::UNSPECIFIED.into()));
    assert_eq!(b.closed, []);
    b.asap.deregister(b.now, &key);
    b.say(home, &AsapMessage::Error(CauseCode::UNSPECIFIED.into()));
    assert_eq!(b.closed, [(home, Ending::Abort)]);
}

/// RFC 5356 rows: 5.1.3-1, 5.3.3-1.
#[test]
fn a_session_asks_for_several_elements() {
    let (mut b, ..) = Bench::registered();
    let cfg = crate::session::SessionConfig::default();
    assert!(cfg.items > 1);
    b.asap.resolve(b.now, &pool(), cfg.items, cfg.stale);
    b.drain();
    let items = u32::try_from(cfg.items).ok();
    assert_eq!(b.messages(), [AsapMessage::HandleResolution { subscribe: false, handle: pool(), items }]);
}

/// What failed is not active any more: the next one counts.
///
/// RFC 5356 rows: 4.5.3-1.
#[test]
fn of_priorities_the_highest_active_one_is_chosen() {
    let (mut b, home, _) = Bench::registered();
    let with = |id, priority| PoolElement { policy: PolicyParam::Priority { priority }, ..element(id) };
    let answer = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: pool(),
        policy: Some(PolicyParam::Priority { priority: 0 }),
        elements: vec![with(6, 9), with(5, 3), with(7, 1)],
        error: None,
    };
    let mut chosen = Vec::new();
    for _ in 0..3 {
        b.asap.resolve(b.now, &pool(), 3, Duration::ZERO);
        b.say(home, &answer);
        let Some(AsapEvent::Resolved { result: Ok(elements), .. }) = b.events.last() else { panic!("{:?}", b.events) };
        chosen.push(elements[0].id);
        let failed = elements[0].id;
        b.asap.report_unreachable(b.now, &pool(), failed, None);
    }
    assert_eq!(chosen, [6, 5, 7].map(ElementId));
}

/// A registrar that takes over comes to its elements. They wait for it a moment, but not if they have something to ask.
#[test]
fn an_element_may_wait_for_the_registrar_that_takes_over() {
    let lonely = |b: &mut Bench| {
        b.asap.cfg.adoption_wait = Duration::from_millis(500);
        b.hear(2);
        b.connects.clear();
    };
    // It comes.
    let (mut b, home, key) = Bench::registered();
    lonely(&mut b);
    b.lost(home);
    b.run_until(ms(300));
    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    b.say(visitor, &AsapMessage::KeepAlive { new_home: true, registrar: RegistrarId(2), handle: pool(), id: Some(key.id) });
    b.accept_registration(visitor, &key);
    b.run_until(ms(2_000));
    assert_eq!((b.connects.len(), b.asap.home()), (0, Some(RegistrarId(2))));
    // It does not.
    let (mut b, home, _) = Bench::registered();
    lonely(&mut b);
    b.lost(home);
    b.run_until(ms(499));
    assert_eq!(b.connects, []);
    b.run_until(ms(500));
    assert!(b.connects.iter().any(|c| c.1 == registrar_at(2)), "{:?}", b.connects);
    // There is something to ask.
    let (mut b, home, _) = Bench::registered();
    lonely(&mut b);
    b.lost(home);
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert!(b.connects.iter().any(|c| c.1 == registrar_at(2)), "{:?}", b.connects);
}
