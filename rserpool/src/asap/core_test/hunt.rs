//! Finding a registrar.

use super::*;

#[test]
fn an_unreachable_static_registrar_ends_in_no_registrar() {
    let cfg = AsapConfig { registrars: vec![vec![registrar_at(7)]], ..AsapConfig::default() };
    let mut b = Bench::with(cfg);
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    let link = b.connects[0].0;
    b.now = ms(3_500);
    b.lost(link);
    b.run_until(ms(9_999));
    assert_eq!((b.connects.len(), b.events.len()), (2, 0), "tried again after a pause");
    b.run_until(ms(10_000));
    assert_eq!(b.events, [AsapEvent::Resolved { request, result: Err(ResolveError::NoRegistrar) }]);
    b.run_until(ms(20_000));
    assert_eq!(b.asap.poll_timeout(), None, "nothing is wanted any more");
}

/// RFC 5352 rows: 3.6-7, 3.6-8.
/// RFC 5353 rows: 1.1-3.
#[test]
fn the_first_of_three_becomes_home_and_the_others_are_given_up() {
    let mut b = Bench::new();
    for n in 1..=4 {
        b.hear(n);
    }
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects.len(), 3);
    let (second, others) = (b.connects[1].0, [b.connects[0].0, b.connects[2].0]);
    b.up(second);
    assert_eq!(b.closed, others.map(|l| (l, Ending::Abort)));
    assert_eq!(b.sent.len(), 1);
    assert_eq!(
        b.asap.home(),
        Some(RegistrarId(u32::from(match b.connects[1].1.ip() {
            IpAddr::V4(a) => a.octets()[3],
            IpAddr::V6(_) => 0,
        })))
    );
}

/// RFC 5352 rows: 3.6-2.
#[test]
fn announces_name_addresses_or_come_from_them() {
    let mut b = Bench::new();
    let named = Transport::sctp(4000, TransportUse::DATA, ["10.0.0.50".parse().unwrap(), "fe80::1".parse().unwrap()]);
    let message = AsapMessage::ServerAnnounce { registrar: RegistrarId(1), transports: vec![named] };
    let bytes = message.encode(EncodeOptions::default()).unwrap();
    b.asap.handle(b.now, Input::Announce { src: registrar_at(1), bytes: &bytes });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects[0].1, "10.0.0.50:4000".parse().unwrap());
    let mut b = Bench::new();
    b.asap.handle(b.now, Input::Announce { src: "[::ffff:10.0.0.3]:44".parse().unwrap(), bytes: &announce(9) });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects[0].1, "10.0.0.3:44".parse().unwrap());
    let mut b = Bench::with(AsapConfig::rfc());
    b.asap.handle(b.now, Input::Announce { src: "10.0.0.3:44".parse().unwrap(), bytes: &announce(9) });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects[0].1, "10.0.0.3:3863".parse().unwrap(), "by the letter of the RFC");
}
/// RFC 5352 rows: 3.1-3.
#[test]
fn no_registrar_is_told_in_time_and_once_and_tried_on() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.run_until(ms(60_000));
    let failed = AsapEvent::RegistrationFailed { key: key.clone(), error: RegisterError::NoRegistrar };
    let unresolved = AsapEvent::Resolved { request, result: Err(ResolveError::NoRegistrar) };
    assert_eq!(b.events, [failed, unresolved]);
    b.hear(1);
    let home = b.connects[0].0;
    b.up(home);
    assert_eq!(b.sent.len(), 1);
    b.accept_registration(home, &key);
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
}

#[test]
fn names_are_looked_up_when_a_registrar_is_wanted_and_each_address_is_tried() {
    let cfg = AsapConfig { registrar_names: vec!["r.example:3863".into()], ..AsapConfig::default() };
    let mut b = Bench::with(cfg);
    b.run_until(ms(1_000));
    assert_eq!(b.lookups, [""; 0], "nothing is wanted");
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.lookups, ["r.example:3863"]);
    b.asap.handle(b.now, Input::LookedUp { name: "r.example:3863", addrs: vec![registrar_at(1), registrar_at(2)] });
    b.drain();
    assert_eq!(b.connects.len(), 2);
    let links: Vec<_> = b.connects.iter().map(|(link, _)| *link).collect();
    b.lost(links[0]);
    b.up(links[1]);
    assert_eq!(b.messages().len(), 1);
    assert_eq!(b.lookups.len(), 1);
    // The one that serves is lost, the other one does not answer again: the name may have got other addresses.
    b.lost(links[1]);
    b.run_until(ms(2_100));
    assert_eq!(b.lookups.len(), 2);
    for link in b.connects.iter().skip(2).map(|(link, _)| *link).collect::<Vec<_>>() {
        b.lost(link);
    }
    b.asap.handle(b.now, Input::LookedUp { name: "r.example:3863", addrs: vec![registrar_at(3)] });
    b.drain();
    let (link, addr) = *b.connects.last().unwrap();
    assert_eq!(addr, registrar_at(3));
    b.up(link);
    b.say(link, &resolved(vec![element(5)]));
    assert_eq!(b.events.last(), Some(&AsapEvent::Resolved { request, result: Ok(vec![element(5)]) }));
}

#[test]
fn a_name_that_is_not_found_ends_in_no_registrar() {
    let mut b = Bench::with(AsapConfig { registrar_names: vec!["nowhere.example:1".into()], ..AsapConfig::default() });
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    for _ in 0..4 {
        b.asap.handle(b.now, Input::LookedUp { name: "nowhere.example:1", addrs: vec![] });
        let next = b.asap.poll_timeout().unwrap();
        b.run_until(next);
    }
    assert_eq!(b.lookups.len(), 4, "at 0, 1, 3 and 7 s");
    b.run_until(ms(10_000));
    assert_eq!(b.events, [AsapEvent::Resolved { request, result: Err(ResolveError::NoRegistrar) }]);
}
