//! Registrations.

use super::*;

/// RFC 5352 rows: 2.2.1-1, 2.2.1-2, 3.1-6, 3.1-14, 3.1-15.
#[test]
fn registers_with_what_the_registrar_knows_us_by_and_renews() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.drain();
    assert!(b.connects.is_empty(), "nobody heard yet");
    b.now = ms(700);
    b.hear(1);
    assert_eq!(b.connects, [(LinkId(1), registrar_at(1))]);
    b.up(LinkId(1));
    let [(link, AsapMessage::Registration { handle, element })] = &b.sent[..] else { panic!("{:?}", b.sent) };
    assert_eq!((*link, handle, element.id), (LinkId(1), &pool(), key.id));
    assert_eq!(element.user, Transport::sctp(5000, TransportUse::DATA_PLUS_CONTROL, [LOCAL]));
    assert_eq!((element.life, element.home), (Life(90_000), RegistrarId::UNDEFINED));
    b.accept_registration(LinkId(1), &key);
    b.sent.clear();
    b.run_until(ms(30_699));
    assert!(b.sent.is_empty());
    b.run_until(ms(30_700));
    assert_eq!(b.messages().len(), 1, "T4");
    assert_eq!(b.events.iter().filter(|e| matches!(e, AsapEvent::Registered { .. })).count(), 1);
}

#[test]
fn a_rejected_element_is_not_tried_again_unless_changed() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.hear(1);
    b.up(LinkId(1));
    let error = Some(OperationError::from(CauseCode::INCONSISTENT_POLICY));
    b.say(LinkId(1), &AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error });
    let rejected = RegisterError::Rejected(CauseCode::INCONSISTENT_POLICY);
    assert_eq!(b.events.last(), Some(&AsapEvent::RegistrationFailed { key: key.clone(), error: rejected }));
    b.sent.clear();
    b.run_until(ms(200_000));
    assert_eq!(b.sent, []);
    b.asap.update(b.now, &key, PolicyParam::LeastUsed { load: 1 });
    b.drain();
    assert_eq!(b.messages().len(), 1);
}

#[test]
fn a_registrar_that_lacked_resources_is_asked_again_for_an_element_that_it_had() {
    let (mut b, home, key) = Bench::registered();
    let error = Some(OperationError::from(CauseCode::LACK_OF_RESOURCES));
    let refusal = AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error };
    b.run_until(ms(30_000));
    assert_eq!(b.messages().len(), 1, "T4");
    let mut asked_at = vec![];
    for _ in 0..3 {
        b.say(home, &refusal);
        let postponed = RegisterError::Postponed(CauseCode::LACK_OF_RESOURCES);
        assert_eq!(b.events.last(), Some(&AsapEvent::RegistrationFailed { key: key.clone(), error: postponed }));
        assert_eq!(b.asap.element_state(&key), Some(ElementState::Registering));
        let again = b.asap.poll_timeout().unwrap();
        b.run_until(again);
        assert_eq!(b.messages().len(), 1);
        asked_at.push(again);
    }
    assert!(asked_at[2] - asked_at[1] > asked_at[1] - asked_at[0], "the pauses grow: {asked_at:?}");
    b.accept_registration(home, &key);
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
}

#[test]
fn updates_do_not_flood_and_the_last_one_counts() {
    let (mut b, home, key) = Bench::registered();
    b.run_until(ms(1_000));
    for load in 1..=50 {
        b.asap.update(b.now, &key, PolicyParam::LeastUsed { load });
    }
    b.drain();
    assert_eq!(b.messages().len(), 1);
    b.accept_registration(home, &key);
    b.run_until(ms(2_000));
    let sent = b.messages();
    let [AsapMessage::Registration { element, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(element.policy, PolicyParam::LeastUsed { load: 50 });
}

/// RFC 5352 rows: 2.2.2-1, 3.2-1, 3.2-3, 3.2-4.
#[test]
fn deregistration_and_expiry() {
    let (mut b, home, key) = Bench::registered();
    let gone = AsapMessage::DeregistrationResponse { handle: pool(), id: key.id, error: None };
    b.say(home, &gone);
    assert!(matches!(b.messages()[..], [AsapMessage::Registration { .. }]), "the life expired: again");
    b.accept_registration(home, &key);
    b.events.clear();
    b.asap.deregister(b.now, &key);
    b.drain();
    assert_eq!(b.messages(), [AsapMessage::Deregistration { handle: pool(), id: key.id }]);
    b.say(home, &gone);
    assert_eq!(b.events, [AsapEvent::Deregistered { key }]);
    assert!(!b.asap.has_elements());
    b.run_until(ms(100_000));
    assert_eq!(b.sent, []);
}

#[test]
fn deregistration_without_a_registrar_ends_too() {
    let (mut b, home, key) = Bench::registered();
    b.run_until(ms(6_000));
    b.lost(home);
    b.asap.deregister(b.now, &key);
    b.run_until(ms(60_000));
    assert!(b.events.contains(&AsapEvent::Deregistered { key }));
}

/// RFC 5352 section 3.1: a registration is not tried again without the error being corrected; some errors are not its own.
///
/// RFC 5352 rows: 3.1-12.
#[test]
fn which_refusals_are_final() {
    let outcome = |before: bool, cause: CauseCode| {
        let (mut b, home, key) = Bench::registered();
        let key = if before {
            b.run_until(ms(30_000));
            key
        } else {
            let key = b.asap.register(b.now, ElementSpec::new(pool(), 5001)).unwrap();
            b.drain();
            key
        };
        let error = Some(OperationError::from(cause));
        b.say(home, &AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error });
        b.sent.clear();
        let soon = b.now + Duration::from_millis(1_500);
        b.run_until(soon);
        (!b.messages().is_empty(), b.asap.element_state(&key).unwrap())
    };
    for cause in (0..=10).map(CauseCode).chain([0x10, 0x11, 0xf007, 0xf008, 0x7777].map(CauseCode)) {
        for before in [false, true] {
            let passing = matches!(cause.0, 6 | 0xf007 | 0xf008) || cause == CauseCode::NON_UNIQUE_ELEMENT_ID && before;
            let state = if passing { ElementState::Registering } else { ElementState::Rejected(cause) };
            assert_eq!(outcome(before, cause), (passing, state), "{cause:?}, accepted before: {before}");
        }
    }
}

/// An element that one registrar accepted is offered to the next one, whatever became of it in between.
#[test]
fn a_new_home_decides_anew() {
    let (mut b, home, key) = Bench::registered();
    b.run_until(ms(30_000));
    let error = Some(OperationError::from(CauseCode::SECURITY));
    b.say(home, &AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error });
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Rejected(CauseCode::SECURITY)));
    b.hear(2);
    b.lost(home);
    let (link, _) = *b.connects.last().unwrap();
    b.sent.clear();
    b.up(link);
    assert!(matches!(b.messages()[..], [AsapMessage::Registration { .. }]));
    b.accept_registration(link, &key);
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
}
