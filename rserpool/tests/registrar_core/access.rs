//! Allow lists, rates and numbers by address prefix (RFC 5355 sections 2.1, 2.2, 2.4, 2.5 and 2.13).

use core::time::Duration;

use rserpool::registrar::access::{ElementRule, HandlePattern};
use rserpool::registrar::config::Rate;
use rserpool::registrar::{CloseHow, Input, RefusalReason, RegistrarEvent, Service};
use rserpool::wire::{AsapMessage, CauseCode, EncodeOptions, RegistrarId};

use crate::bed::*;

#[track_caller]
fn refused(answer: &AsapMessage) -> CauseCode {
    match answer {
        AsapMessage::RegistrationResponse { reject: true, error: Some(e), .. }
        | AsapMessage::DeregistrationResponse { error: Some(e), .. }
        | AsapMessage::HandleResolutionResponse { error: Some(e), .. } => e.code(),
        other => panic!("{other}"),
    }
}

/// Elements are let in by pool and address; what is not allowed is rejected due to security considerations.
///
/// RFC 5354 section 3.12.10; RFC 5355 section 2.4.3.
#[test]
fn elements_by_pool_and_address() {
    let mut bed = Bed::with(|cfg| {
        let rule = |pool: &str, from: &str| ElementRule { pool: HandlePattern::new(pool), from: vec![from.parse().unwrap()] };
        cfg.access.elements = vec![rule("Echo*", "10.0.0.0/30"), rule("?", "10.0.0.7")];
        cfg.access.users = vec!["10.0.0.0/24".parse().unwrap()];
    });
    let a = bed.client(1);
    assert_eq!(bed.ask(a, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    assert_eq!(refused(&bed.ask(a, &registration("A", element(1, 1)))), CauseCode::SECURITY);
    let b = bed.client(7);
    assert_eq!(refused(&bed.ask(b, &registration(ECHO, element(2, 7)))), CauseCode::SECURITY);
    assert_eq!(bed.ask(b, &registration("A", element(2, 7))), accepted("A", 2));
    // An address that the association has besides does not make an element there.
    let both = bed.client_at(&["10.0.0.2:50000", "192.0.2.1:50000"], None);
    let mut e = element(3, 2);
    e.user.addrs.push("192.0.2.1".parse().unwrap());
    assert_eq!(bed.ask(both, &registration(ECHO, e)), accepted(ECHO, 3));
    let key = bed.r.handlespace().find(&handle(ECHO), rserpool::wire::ElementId(3)).unwrap();
    assert_eq!(bed.r.handlespace().element(key).unwrap().info().user.addrs, element(3, 2).user.addrs);
    assert_eq!(bed.r.statistics().refused(RefusalReason::ElementNotAllowed), 2);
    assert_eq!(bed.resolve(b, ECHO, None), [1, 3], "as a user it is welcome");
}

/// Users are let in by address: others get no answer but the refusal, and their reports are not heard.
#[test]
fn users_by_address() {
    let mut bed = Bed::with(|cfg| {
        cfg.access.users = vec!["10.0.0.8/29".parse().unwrap()];
        cfg.access.elements = vec![ElementRule { pool: HandlePattern::new("*"), from: vec!["10.0.0.0/29".parse().unwrap()] }];
    });
    let pe = bed.registered(ECHO, 1, 1);
    let pu = bed.client(9);
    assert_eq!(bed.resolve(pu, ECHO, None), [1]);
    assert_eq!(refused(&bed.ask(pe, &resolution(ECHO, None))), CauseCode::SECURITY);
    assert_eq!(bed.say(pe, &unreachable(ECHO, 1)), [], "not even a keep-alive");
    assert_eq!(refused(&bed.ask(pu, &registration(ECHO, element(2, 9)))), CauseCode::SECURITY);
    // Who is neither has no association.
    let nobody = bed.client(16);
    assert_eq!(bed.out(), [Out::Close(nobody, CloseHow::Abort)]);
    assert_eq!(bed.r.statistics().refused(RefusalReason::UserNotAllowed), 3);
    assert_eq!(bed.r.association_count(), 2);
}

fn announce(id: u32) -> Vec<u8> {
    AsapMessage::ServerAnnounce { registrar: RegistrarId(id), transports: Vec::new() }.encode(EncodeOptions::default()).unwrap()
}

/// Announces are heard from registrars that are allowed, and not too often from one place: neither false ones nor a flood
/// of them change how often we announce.
///
/// RFC 5352 section 9.2: a receiver must be prepared for many announces from attackers.
#[test]
fn registrars_by_address() {
    let mut bed = Bed::with(|cfg| {
        cfg.access.registrars = vec!["10.0.0.0/24".parse().unwrap()];
        cfg.rates.announces = Rate { per_second: 1, burst: 3 };
    });
    let mut heard = |src: &str, id: u32| {
        let src = src.parse().unwrap();
        bed.r.handle(bed.now, Input::Datagram { service: Service::Asap, src, bytes: &announce(id) });
        bed.out();
        bed.r.statistics().announces_heard
    };
    assert_eq!([heard("10.0.0.5:3863", 5), heard("192.0.2.1:3863", 6), heard("10.0.0.6:3863", 7)], [1, 1, 2]);
    for id in 100..200 {
        heard("10.0.0.5:3863", id);
    }
    assert_eq!(bed.r.statistics().announces_heard, 4);
    let stats = bed.r.statistics();
    assert_eq!((stats.refused(RefusalReason::RegistrarNotAllowed), stats.refused(RefusalReason::AnnounceRate)), (1, 98));
    bed.r.handle(bed.now, Input::Datagram { service: Service::Enrp, src: "192.0.2.1:9901".parse().unwrap(), bytes: &[1, 0, 0, 4] });
    assert_eq!(bed.r.statistics().refused(RefusalReason::RegistrarNotAllowed), 2, "presences neither");
}

/// A new association is no new start for the rates of an address prefix, and others are served.
#[test]
fn reconnecting_escapes_no_rate() {
    let mut bed = Bed::with(|cfg| {
        cfg.rates.resolutions = Rate { per_second: 10, burst: 20 };
        cfg.rates.registrations = Rate { per_second: 10, burst: 30 };
        cfg.rates.errors = Rate { per_second: 1, burst: 5 };
    });
    bed.registered(ECHO, 1, 1);
    let (mut resolved, mut registered, mut errors) = (0, 0, 0);
    for n in 0..100_u32 {
        let flooder = bed.client_at(&[&format!("10.0.0.66:{}", 1_000 + n)], None);
        let answer = bed.ask(flooder, &resolution(ECHO, None));
        if matches!(answer, AsapMessage::HandleResolutionResponse { error: None, .. }) {
            resolved += 1;
        } else {
            assert_eq!(refused(&answer), CauseCode::LACK_OF_RESOURCES);
        }
        let answer = bed.ask(flooder, &registration("Flood", element(1_000 + n, 66)));
        registered += u32::from(matches!(answer, AsapMessage::RegistrationResponse { reject: false, .. }));
        errors += bed.say_bytes(flooder, b"\x7f\0\0\x04").len();
        bed.lose(flooder, true);
    }
    assert_eq!((resolved, registered, errors), (20, 30, 5));
    let pu = bed.client(9);
    assert_eq!(bed.resolve(pu, ECHO, None), [1]);
    let stats = bed.r.statistics();
    assert_eq!((stats.refused(RefusalReason::ResolutionRate), stats.refused(RefusalReason::RegistrationRate)), (80, 70));
    // What was refused so often was logged once in this second.
    let logged = bed.events.iter().filter(|(_, e)| matches!(e, RegistrarEvent::Limited { what: RefusalReason::ResolutionRate, .. }));
    assert_eq!(logged.count(), 1);
    // After a second, ten more, and the log tells how many it left out.
    bed.pass(Duration::from_secs(1));
    let flooder = bed.client_at(&["10.0.0.66:999"], None);
    let again =
        (0..30).filter(|_| matches!(bed.ask(flooder, &resolution(ECHO, None)), AsapMessage::HandleResolutionResponse { error: None, .. }));
    assert_eq!(again.count(), 10);
    assert!(bed.events.iter().any(|(_, e)| *e == RegistrarEvent::Unsaid { why: RefusalReason::ResolutionRate, count: 79 }));
}

/// A host with 2^64 addresses is one peer; with the option, so is a network of IPv4 hosts.
#[test]
fn who_counts_as_one_peer() {
    let mut bed = Bed::with(|cfg| {
        cfg.rates.resolutions = Rate { per_second: 1, burst: 3 };
        cfg.rates.ipv4_prefix = 24;
    });
    let served = |bed: &mut Bed, peer: &str| {
        let c = bed.client_at(&[peer], None);
        refused(&bed.ask(c, &resolution(ECHO, None))) == CauseCode::UNKNOWN_POOL_HANDLE
    };
    let six = ["[2001:db8:1:2::1]:1", "[2001:db8:1:2::2]:1", "[2001:db8:1:2:ffff::]:1", "[2001:db8:1:2::4]:1", "[2001:db8:1:3::1]:1"];
    assert_eq!(six.map(|p| served(&mut bed, p)), [true, true, true, false, true]);
    let four = ["10.0.0.1:1", "10.0.0.2:1", "[::ffff:10.0.0.3]:1", "10.0.0.4:1", "10.0.1.1:1"];
    assert_eq!(four.map(|p| served(&mut bed, p)), [true, true, true, false, true]);
}

/// RSPLIB's cause for what is too much, on request; only for resolutions, where it means something.
#[test]
fn another_cause_on_request() {
    let mut bed = Bed::with(|cfg| {
        cfg.limit_cause = CauseCode::UNKNOWN_POOL_HANDLE;
        cfg.rates.resolutions = Rate { per_second: 1, burst: 1 };
        cfg.rates.registrations = Rate { per_second: 1, burst: 1 };
    });
    let pe = bed.registered(ECHO, 1, 1);
    assert_eq!(bed.resolve(pe, ECHO, None), [1]);
    assert_eq!(bed.ask(pe, &resolution(ECHO, None)), unknown_pool(ECHO));
    assert_eq!(refused(&bed.ask(pe, &registration(ECHO, element(1, 1)))), CauseCode::LACK_OF_RESOURCES);
}

/// The flood of associations and of elements of one address prefix ends somewhere, and leaves room for others.
#[test]
fn numbers_of_one_peer() {
    let mut bed = Bed::with(|cfg| {
        cfg.max_associations_per_peer = 3;
        cfg.max_elements_per_peer = 5;
        cfg.rates.associations = Rate { per_second: 1, burst: 10 };
    });
    let flooders: Vec<_> = (0..3).map(|n| bed.client_at(&[&format!("10.0.0.66:{}", 1_000 + n)], None)).collect();
    assert_eq!(bed.out(), []);
    let fourth = bed.client_at(&["10.0.0.66:1003"], None);
    assert_eq!(bed.out(), [Out::Close(fourth, CloseHow::Abort)]);
    for id in 1..=5 {
        let via = flooders[(id % 3) as usize];
        assert_eq!(bed.ask(via, &registration(ECHO, element(id, 66))), accepted(ECHO, id));
    }
    assert_eq!(refused(&bed.ask(flooders[0], &registration(ECHO, element(6, 66)))), CauseCode::LACK_OF_RESOURCES);
    assert_eq!(bed.ask(flooders[1], &registration(ECHO, element(1, 66))), accepted(ECHO, 1), "a known one");
    bed.registered(ECHO, 7, 7);
    // Room again with the end of an association and its elements, but opening them too fast is noticed.
    bed.lose(flooders[0], true);
    let mut opened = 0;
    for n in 0..20 {
        let c = bed.client_at(&[&format!("10.0.0.66:{}", 2_000 + n)], None);
        if bed.out().is_empty() {
            opened += 1;
            bed.lose(c, true);
        }
    }
    assert_eq!(opened, 7, "ten with the three that were opened before");
    let stats = bed.r.statistics();
    assert_eq!((stats.refused(RefusalReason::PeerAssociations), stats.refused(RefusalReason::AssociationRate)), (1, 13));
}

/// One peer is one reporter, however many associations it opens.
///
/// RFC 5352 section 3.5 (MAX-BAD-PE-REPORT) with RFC 5355 section 2.13.3.
#[test]
fn one_peer_reports_nobody_away() {
    let mut bed = Bed::with(|cfg| cfg.rates.reports = Rate { per_second: 1, burst: 50 });
    let pe = bed.registered(ECHO, 1, 1);
    for n in 0..100 {
        let liar = bed.client_at(&[&format!("10.0.0.66:{}", 1_000 + n)], None);
        if !bed.say(liar, &unreachable(ECHO, 1)).is_empty() {
            bed.say(pe, &ack(ECHO, 1));
        }
        bed.lose(liar, true);
    }
    assert_eq!(bed.removed(), []);
    let stats = bed.r.statistics();
    assert_eq!((stats.reports, stats.refused(RefusalReason::ReportRate), stats.keep_alives), (50, 50, 1));
    // Reports about nobody, or about another registrar's element, are only counted.
    let pu = bed.client(9);
    assert_eq!(bed.say(pu, &unreachable("Nothing", 1)), []);
    assert_eq!(bed.r.statistics().foreign_reports, 1);
}

/// What was counted can be read.
#[test]
fn statistics() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.ask(pe, &registration(ECHO, element(1, 1)));
    bed.resolve(pe, ECHO, None);
    bed.ask(pe, &resolution("Nothing", None));
    bed.pass(Duration::from_secs(5));
    bed.say(pe, &ack(ECHO, 1));
    bed.say_bytes(pe, b"\x7f\0\0\x04");
    bed.ask(pe, &AsapMessage::Deregistration { handle: handle(ECHO), id: rserpool::wire::ElementId(1) });
    let text = bed.r.statistics().to_string();
    for line in [
        "registrations: 1",
        "renewals: 1",
        "deregistrations: 1",
        "resolutions: 1",
        "resolutions of unknown pools: 1",
        "keep-alives sent: 1",
        "keep-alives acknowledged: 1",
        "errors sent: 1",
        "refused, malformed message: 1",
        "removed, deregistered: 1",
        "now: 0 pools, 0 elements, 1 associations, 0 subscriptions, 1 address prefixes",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}
