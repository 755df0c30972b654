//! ASAP at the registrar.

use core::time::Duration;

use rserpool::registrar::config::AnnounceTarget;
use rserpool::registrar::{Input, RegistrarEvent, Service};
use rserpool::wire::{
    AsapMessage, CauseCode, ElementId, EncodeOptions, Life, PolicyParam, PoolElement, Protocol, RegistrarId, Transport, TransportUse,
};

use crate::bed::*;

fn cause_of(answer: &AsapMessage) -> Option<CauseCode> {
    match answer {
        AsapMessage::RegistrationResponse { error, .. } | AsapMessage::DeregistrationResponse { error, .. } => {
            error.as_ref().map(|e| e.code())
        }
        other => panic!("{other}"),
    }
}

/// What a datagram brings is an announce or nothing: requests need an association.
///
/// RFC 5352 rows: 2.1-1, 2.1-2, 2.2.1-3.
#[test]
fn a_datagram_is_no_request() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let leave = AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) };
    for m in [registration(ECHO, element(2, 1)), leave, resolution(ECHO, None), unreachable(ECHO, 1)] {
        let bytes = m.encode(EncodeOptions::default()).unwrap();
        for src in ["10.0.0.1:50000", "10.0.0.1:3863"] {
            bed.r.handle(bed.now, Input::Datagram { service: Service::Asap, src: src.parse().unwrap(), bytes: &bytes });
        }
        assert_eq!(bed.out(), [], "{m}");
    }
    assert_eq!(bed.resolve(pe, ECHO, None), [1]);
}

/// An element that the asking user cannot reach is left out, and a pool of only such elements is as good as none.
///
/// RFC 5352 rows: 2.2.6-3.
#[test]
fn a_positive_answer_has_an_element() {
    let mut bed = Bed::new();
    let local = bed.client_at(&["127.0.0.1:50000"], None);
    let user = Transport::sctp(1, TransportUse::DATA, ["127.0.0.1".parse().unwrap()]);
    assert_eq!(bed.ask(local, &registration(ECHO, PoolElement { user, ..element(1, 1) })), accepted(ECHO, 1));
    assert_eq!(bed.resolve(local, ECHO, Some(0)), [1], "also if none is asked for");
    let remote = bed.client(9);
    assert_eq!(bed.ask(remote, &resolution(ECHO, None)), unknown_pool(ECHO));
}

/// The first element makes the pool: policy, kind of transport, use of it. Who joins it must have the same; a pool that has
/// lost its last element is made anew.
///
/// RFC 5352 rows: 3.1-18, 3.1-19, 3.1-20, 3.1-21, 3.1-23.
#[test]
fn the_first_element_makes_the_pool() {
    let addr = "10.0.0.1:80";
    let usual = |id| element(id, 1);
    let load = |id| PoolElement { policy: PolicyParam::LeastUsed { load: 1 }, ..usual(id) };
    let tcp = |id| PoolElement { user: Transport::single(Protocol::Tcp, addr.parse().unwrap()), ..usual(id) };
    let control = |id| PoolElement { user: Transport { usage: TransportUse::DATA_PLUS_CONTROL, ..usual(id).user }, ..usual(id) };
    let variants: [(&dyn Fn(u32) -> PoolElement, CauseCode); 3] =
        [(&load, CauseCode::INCONSISTENT_POLICY), (&tcp, CauseCode::INCONSISTENT_TRANSPORT), (&control, CauseCode::INCONSISTENT_CONTROL)];
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let mut ask = |m: AsapMessage| bed.ask(pe, &m);
    let leave = |id| AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(id) };
    for (variant, cause) in variants {
        for (first, second) in [(variant(1), usual(2)), (usual(1), variant(2))] {
            assert_eq!(ask(registration(ECHO, first.clone())), accepted(ECHO, 1));
            assert_eq!(ask(registration(ECHO, PoolElement { id: ElementId(3), ..first })), accepted(ECHO, 3));
            assert_eq!(cause_of(&ask(registration(ECHO, second.clone()))), Some(cause));
            ask(leave(1));
            assert_eq!(cause_of(&ask(registration(ECHO, second.clone()))), Some(cause), "one is left");
            ask(leave(3));
            assert_eq!(ask(registration(ECHO, second)), accepted(ECHO, 2));
            ask(leave(2));
        }
    }
}

/// A member that registers anew is tested like a new one; refused, it stays as it was.
///
/// RFC 5352 rows: 3.1-25, 3.1-26.
#[test]
fn a_registration_anew_is_tested_too() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.say(pe, &registration(ECHO, element(2, 1)));
    let tcp = Transport::single(Protocol::Tcp, "10.0.0.1:80".parse().unwrap());
    let control = Transport { usage: TransportUse::DATA_PLUS_CONTROL, ..element(1, 1).user };
    for (e, cause) in [
        (PoolElement { policy: PolicyParam::LeastUsed { load: 1 }, ..element(1, 1) }, CauseCode::INCONSISTENT_POLICY),
        (PoolElement { user: tcp, ..element(1, 1) }, CauseCode::INCONSISTENT_TRANSPORT),
        (PoolElement { user: control, ..element(1, 1) }, CauseCode::INCONSISTENT_CONTROL),
    ] {
        assert_eq!(cause_of(&bed.ask(pe, &registration(ECHO, e))), Some(cause));
    }
    let shown = |bed: &mut Bed| match bed.ask(pe, &resolution(ECHO, None)) {
        AsapMessage::HandleResolutionResponse { elements, .. } => elements.into_iter().find(|e| e.id == ElementId(1)).unwrap(),
        other => panic!("{other}"),
    };
    assert_eq!(shown(&mut bed), PoolElement { home: REGISTRAR, ..element(1, 1) });
    // What passes replaces everything.
    let user = Transport::sctp(4712, TransportUse::DATA, element(1, 1).user.addrs);
    let changed = PoolElement { user, life: Life(70_000), ..element(1, 1) };
    assert_eq!(bed.ask(pe, &registration(ECHO, changed.clone())), accepted(ECHO, 1));
    assert_eq!(shown(&mut bed), PoolElement { home: REGISTRAR, ..changed });
}

/// RFC 5352 rows: 3.1-30, 3.1-31, 3.1-32, 3.1-33.
#[test]
fn registrations_are_answered_and_the_r_flag_tells_how() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let flags = |m: &AsapMessage| m.encode(EncodeOptions::default()).unwrap()[1];
    for (e, flag, cause) in [
        (element(1, 1), 0, None),
        (element(1, 1), 0, None),
        (element(0, 1), 1, Some(CauseCode::INVALID_VALUES)),
        (PoolElement { policy: PolicyParam::LeastUsed { load: 1 }, ..element(2, 1) }, 1, Some(CauseCode::INCONSISTENT_POLICY)),
    ] {
        let answer = bed.ask(pe, &registration(ECHO, e));
        assert_eq!((flags(&answer), cause_of(&answer)), (flag, cause));
    }
}

/// RFC 5352 rows: 3.2-9, 3.2-10.
#[test]
fn deregistrations_are_answered_and_refused_ones_have_the_cause() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let other = bed.client(2);
    let leave = AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) };
    assert_eq!(cause_of(&bed.ask(other, &leave)), Some(CauseCode::SECURITY));
    assert_eq!(cause_of(&bed.ask(pe, &leave)), None);
    assert_eq!(cause_of(&bed.ask(pe, &leave)), None);
}

/// RFC 5352 rows: 3.3-13, 3.3-14, 3.3-16.
#[test]
fn the_answer_tells_the_policy_of_the_pool_that_was_asked_for() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let policies = [PolicyParam::RoundRobin {}, PolicyParam::LeastUsed { load: 7 }];
    for (policy, name) in policies.iter().zip(["A", "B"]) {
        let e = PoolElement { policy: policy.clone(), ..element(1, 1) };
        assert_eq!(bed.ask(pe, &registration(name, e)), accepted(name, 1));
    }
    for (policy, name) in policies.iter().zip(["A", "B"]) {
        let AsapMessage::HandleResolutionResponse { handle: of, policy: told, elements, error: None, .. } =
            bed.ask(pe, &resolution(name, None))
        else {
            panic!()
        };
        assert_eq!((of, told.map(|p| p.number())), (handle(name), Some(policy.number())));
        assert_eq!(elements[0].policy, *policy);
    }
}

/// A user's error is taken note of, and the registrar's other messages do no harm at it.
///
/// RFC 5352 rows: 4-6, 4-7.
#[test]
fn each_message_to_a_registrar_is_handled() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    assert_eq!(bed.ask(pe, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    assert_eq!(bed.say(pe, &unreachable(ECHO, 1)), [Out::Said(pe, keep_alive(ECHO, 1))]);
    assert_eq!(bed.say(pe, &ack(ECHO, 1)), []);
    bed.pass_quietly(3_000);
    assert_eq!(bed.removed(), [], "the acknowledgement counted");
    assert_eq!(bed.say(pe, &AsapMessage::Error(CauseCode::LACK_OF_RESOURCES.into())), []);
    assert!(
        matches!(bed.events.last(), Some((_, RegistrarEvent::RemoteError { error, .. })) if error.code() == CauseCode::LACK_OF_RESOURCES)
    );
    let gone = AsapMessage::DeregistrationResponse { handle: handle(ECHO), id: ElementId(1), error: None };
    assert_eq!(bed.ask(pe, &AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) }), gone);
    assert_eq!(bed.pass(Duration::from_secs(20)), []);
}

/// The element and its registrar know each other: the registrar is named as the home in all that it tells, and its
/// keep-alives carry its identifier.
///
/// RFC 5352 rows: 1.1-1, 3.1-27, 3.1-34.
#[test]
fn the_registrar_that_accepts_is_the_home() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let elsewhere = PoolElement { home: RegistrarId(9), ..element(1, 1) };
    for _ in 0..2 {
        assert_eq!(bed.ask(pe, &registration(ECHO, elsewhere.clone())), accepted(ECHO, 1));
        let AsapMessage::HandleResolutionResponse { elements, .. } = bed.ask(pe, &resolution(ECHO, None)) else { panic!() };
        assert_eq!(elements[0].home, REGISTRAR);
        let space = bed.r.handlespace();
        assert_ne!(space.checksum(REGISTRAR), space.checksum(RegistrarId(9)), "an element of its own");
    }
    assert_eq!(bed.pass(Duration::from_secs(5)), [(5_000, Out::Said(pe, keep_alive(ECHO, 1)))]);
}

/// By the RFC a registrar announces itself the more rarely the more there are: (N+1) x T6. Where a ceiling is set, as by default
/// for the sake of those that forget a registrar after 5 s, it does so at least that often.
///
/// RFC 5352 rows: 3.6-1.
#[test]
fn announces_share_their_rate_among_the_registrars() {
    for (max_period, expected) in [(None, 10_000), (Some(Duration::from_secs(2)), 2_000)] {
        let target = AnnounceTarget { source: "10.0.0.5".parse().unwrap(), group: "239.0.0.50:3863".parse().unwrap() };
        let mut bed = Bed::with(|cfg| {
            cfg.asap_port = 40_000;
            cfg.announce.targets = vec![target];
            cfg.announce.max_period = max_period;
        });
        let addrs = ["10.0.0.5".parse().unwrap(), "2001:db8::5".parse().unwrap()];
        bed.r.handle(bed.now, Input::Addresses(&addrs));
        let mut times = Vec::new();
        for _ in 0..60 {
            for id in 1..10_u8 {
                let m = AsapMessage::ServerAnnounce { registrar: RegistrarId(id.into()), transports: Vec::new() };
                let (bytes, src) = (m.encode(EncodeOptions::default()).unwrap(), ([10, 0, 1, id], 3863).into());
                bed.r.handle(bed.now, Input::Datagram { service: Service::Asap, src, bytes: &bytes });
            }
            for (t, o) in bed.pass(Duration::from_secs(1)) {
                let Out::Announce(_, bytes) = o else { panic!("{o:?}") };
                let AsapMessage::ServerAnnounce { transports, .. } = AsapMessage::decode(&bytes).unwrap().message else { panic!() };
                assert_eq!(transports, [Transport::sctp(40_000, TransportUse::DATA, addrs)], "all addresses");
                times.push(t);
            }
        }
        // The first ones came while it had heard of nobody.
        let gaps: Vec<u64> = times.windows(2).skip(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.len() > 2 && gaps.iter().all(|g| (expected * 7 / 8..=expected * 9 / 8).contains(g)), "{gaps:?}");
    }
}
