//! Registration, resolution, deregistration, what is malformed, announces.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use rserpool::registrar::config::{AnnounceTarget, PortRule};
use rserpool::registrar::{Input, RegistrarEvent, RemovalReason, Service};
use rserpool::wire::{
    AsapMessage, CauseCode, ElementId, EncodeOptions, ErrorCause, Life, LifeUnit, PolicyParam, PoolElement, PoolHandle, Protocol,
    RegistrarId, Scope, Transport, TransportUse,
};
use sctp_user::Time;

use crate::bed::*;

/// RFC 5352 rows: 3.1-29, 3.2-7, 3.2-8, 3.3-17.
#[test]
fn register_resolve_deregister() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let pu = bed.client(9);
    let shown = PoolElement { home: REGISTRAR, ..element(1, 1) };
    let expected = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: handle(ECHO),
        policy: Some(PolicyParam::RoundRobin {}),
        elements: vec![shown],
        error: None,
    };
    assert_eq!(bed.ask(pu, &resolution(ECHO, None)), expected);
    // The registrar itself knows where to ask the element: at the other end of its association.
    let key = bed.r.handlespace().find(&handle(ECHO), ElementId(1)).unwrap();
    let asap = Transport::sctp(50_000, TransportUse::DATA, ["10.0.0.1".parse().unwrap()]);
    assert_eq!(bed.r.handlespace().element(key).unwrap().asap(), Some(asap));

    let gone = AsapMessage::DeregistrationResponse { handle: handle(ECHO), id: ElementId(1), error: None };
    let leave = AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) };
    assert_eq!(bed.ask(pe, &leave), gone);
    assert_eq!(bed.ask(pe, &leave), gone, "who is not known is gone");
    assert_eq!(bed.ask(pu, &resolution(ECHO, None)), unknown_pool(ECHO));
    assert_eq!(bed.removed(), [(0, 1, RemovalReason::Deregistered)]);
    bed.pass_quietly(20_000);
}

/// RFC 5352 rows: 3.1-24.
#[test]
fn registration_again_updates() {
    let mut bed = Bed::new();
    let load = |load| PoolElement { policy: PolicyParam::LeastUsed { load }, ..element(1, 1) };
    let a = bed.client(1);
    bed.say(a, &registration("LU", load(5)));
    let b = bed.client(2);
    bed.say(b, &registration("LU", PoolElement { policy: PolicyParam::LeastUsed { load: 3 }, ..element(2, 2) }));
    assert_eq!(bed.resolve(b, "LU", None), [2, 1]);
    assert_eq!(bed.ask(a, &registration("LU", load(1))), accepted("LU", 1));
    assert_eq!(bed.resolve(b, "LU", None), [1, 2]);
    assert!(bed.events.iter().any(|(_, e)| matches!(e, RegistrarEvent::Renewed { id: ElementId(1), .. })));
}

/// RFC 5352 rows: 3.3-15.
/// RFC 5356 rows: 4.1.2-1, 4.1.2-2, 4.1.2-3, 4.1.2-4.
#[test]
fn number_of_items() {
    let mut bed = Bed::new();
    for id in 1..=5 {
        bed.registered(ECHO, id, id.try_into().unwrap());
    }
    let pu = bed.client(9);
    assert_eq!(bed.resolve(pu, ECHO, None), [1, 2, 3]);
    assert_eq!(bed.resolve(pu, ECHO, Some(1)), [2]);
    assert_eq!(bed.resolve(pu, ECHO, Some(2)), [3, 4]);
    assert_eq!(bed.resolve(pu, ECHO, Some(u32::MAX)), [4, 5, 1, 2, 3]);
    let mut all = Bed::with(|cfg| cfg.max_items = None);
    for id in 1..=5 {
        all.registered(ECHO, id, id.try_into().unwrap());
    }
    let pu = all.client(9);
    assert_eq!(all.resolve(pu, ECHO, None).len(), 5);
}

#[test]
fn large_answers_stay_within_a_message() {
    let mut bed = Bed::new();
    let addrs: Vec<String> = (1..=64).map(|n| format!("[2001:db8::{n}]:50000")).collect();
    let addrs: Vec<&str> = addrs.iter().map(String::as_str).collect();
    let pe = bed.client_at(&addrs, None);
    let ips = addrs.iter().map(|a| a.parse::<SocketAddr>().unwrap().ip());
    let user = Transport::sctp(1, TransportUse::DATA, ips);
    for id in 1..=100 {
        bed.say(pe, &registration(ECHO, PoolElement { user: user.clone(), ..element(id, 1) }));
    }
    let pu = bed.client(9);
    let named = bed.resolve(pu, ECHO, Some(u32::MAX)).len();
    assert!((30..60).contains(&named), "{named}");
}

#[track_caller]
fn refused(bed: &mut Bed, assoc: rserpool::registrar::AssocKey, pool: PoolHandle, e: PoolElement, cause: impl Into<ErrorCause>) {
    let id = e.id;
    let answer = bed.ask(assoc, &AsapMessage::Registration { handle: pool.clone(), element: e });
    let error = Some(cause.into().into());
    assert_eq!(answer, AsapMessage::RegistrationResponse { reject: true, handle: pool, id, error });
}

/// RFC 5352 rows: 2.2.1-4, 3.1-22.
#[test]
fn registrations_are_checked() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let pool = || handle(ECHO);
    let good = || element(1, 1);
    let invalid = |data: Vec<u8>| ErrorCause { code: CauseCode::INVALID_VALUES, data };
    let long = PoolHandle::with_max([b'x'; 33], 64).unwrap();
    refused(&mut bed, pe, long, good(), CauseCode::INVALID_VALUES);
    refused(&mut bed, pe, pool(), element(0, 1), CauseCode::INVALID_VALUES);
    refused(&mut bed, pe, pool(), PoolElement { life: Life(0), ..good() }, CauseCode::INVALID_VALUES);
    let no_port = Transport::sctp(0, TransportUse::DATA, ["10.0.0.1".parse().unwrap()]);
    refused(&mut bed, pe, pool(), PoolElement { user: no_port.clone(), ..good() }, invalid(no_port.to_param()));
    let foreign = element(1, 77).user;
    refused(&mut bed, pe, pool(), element(1, 77), invalid(foreign.to_param()));
    let policy = PolicyParam::Other { number: 0x4000_0099, values: vec![0; 4] };
    refused(&mut bed, pe, pool(), PoolElement { policy: policy.clone(), ..good() }, invalid(policy.to_param()));
    assert_eq!(bed.r.handlespace().pool_count(), 0);

    assert_eq!(bed.ask(pe, &registration(ECHO, good())), accepted(ECHO, 1));
    let other = PoolElement { policy: PolicyParam::LeastUsed { load: 1 }, ..element(2, 1) };
    let cause = ErrorCause { code: CauseCode::INCONSISTENT_POLICY, data: PolicyParam::RoundRobin {}.to_param() };
    refused(&mut bed, pe, pool(), other, cause);
    let tcp = Transport::single(Protocol::Tcp, "10.0.0.1:80".parse().unwrap());
    let cause = ErrorCause { code: CauseCode::INCONSISTENT_TRANSPORT, data: good().user.to_param() };
    refused(&mut bed, pe, pool(), PoolElement { user: tcp, ..element(2, 1) }, cause);
    let control = Transport { usage: TransportUse::DATA_PLUS_CONTROL, ..good().user };
    refused(&mut bed, pe, pool(), PoolElement { user: control, ..element(2, 1) }, CauseCode::INCONSISTENT_CONTROL);
    assert_eq!(bed.r.handlespace().element_count(), 1);

    // Of several addresses those of the association are kept.
    let both = Transport::sctp(1, TransportUse::DATA, ["10.0.0.1".parse().unwrap(), "10.0.0.77".parse().unwrap()]);
    assert_eq!(bed.ask(pe, &registration(ECHO, PoolElement { user: both, ..element(2, 1) })), accepted(ECHO, 2));
    let key = bed.r.handlespace().find(&pool(), ElementId(2)).unwrap();
    assert_eq!(bed.r.handlespace().element(key).unwrap().user().addrs, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn loopback_is_for_those_who_are_alone_on_their_host() {
    let on_loopback = |id| PoolElement { user: Transport::sctp(1, TransportUse::DATA, ["127.0.0.1".parse().unwrap()]), ..element(id, 1) };
    let mut bed = Bed::new();
    let local = bed.client_at(&["127.0.0.1:50000"], None);
    assert_eq!(bed.ask(local, &registration(ECHO, on_loopback(1))), accepted(ECHO, 1));
    // Somebody is elsewhere now: such elements are not shown to him, and no new ones are taken.
    let remote = bed.registered(ECHO, 2, 2);
    assert_eq!(bed.resolve(remote, ECHO, None), [2]);
    assert_eq!(bed.resolve(local, ECHO, None).len(), 2);
    let cause = ErrorCause { code: CauseCode::INVALID_VALUES, data: on_loopback(3).user.to_param() };
    refused(&mut bed, local, handle(ECHO), on_loopback(3), cause.clone());
    assert_eq!(bed.ask(local, &registration("Other", PoolElement { id: ElementId(5), ..element(5, 1) })), {
        // Not even an address of the host helps if the association does not have it.
        let error = Some(ErrorCause { code: CauseCode::INVALID_VALUES, data: element(5, 1).user.to_param() }.into());
        AsapMessage::RegistrationResponse { reject: true, handle: handle("Other"), id: ElementId(5), error }
    });
    bed.lose(remote, true);
    assert_eq!(bed.ask(local, &registration(ECHO, on_loopback(3))), accepted(ECHO, 3));

    // Who is at an address of the host itself is not elsewhere.
    bed.r.handle(bed.now, Input::Addresses(&["10.0.0.2".parse().unwrap()]));
    let neighbour = bed.registered(ECHO, 2, 2);
    assert_eq!(bed.ask(local, &registration(ECHO, on_loopback(4))), accepted(ECHO, 4));
    assert_eq!(bed.resolve(neighbour, ECHO, Some(u32::MAX)).len(), 4);
    bed.r.handle(bed.now, Input::Addresses(&[]));
    refused(&mut bed, local, handle(ECHO), on_loopback(5), ErrorCause { data: on_loopback(5).user.to_param(), ..cause.clone() });
    assert_eq!(bed.resolve(neighbour, ECHO, Some(u32::MAX)), [2]);

    let mut strict = Bed::with(|cfg| cfg.min_scope = Some(Scope::SiteLocal));
    let local = strict.client_at(&["127.0.0.1:50000"], None);
    refused(&mut strict, local, handle(ECHO), on_loopback(3), cause);
}

#[test]
fn nobody_is_deregistered_by_others() {
    let mut bed = Bed::new();
    bed.registered(ECHO, 1, 1);
    let other = bed.client(2);
    let leave = AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) };
    let error = Some(CauseCode::SECURITY.into());
    assert_eq!(bed.ask(other, &leave), AsapMessage::DeregistrationResponse { handle: handle(ECHO), id: ElementId(1), error });
    assert_eq!(bed.resolve(other, ECHO, None), [1]);
    // From its own address and port it works over any association.
    let same_place = bed.client(1);
    assert!(matches!(bed.ask(same_place, &leave), AsapMessage::DeregistrationResponse { error: None, .. }));
}

#[test]
fn registration_life() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let mortal = PoolElement { life: Life(1_000), ..element(1, 1) };
    bed.say(pe, &registration(ECHO, mortal.clone()));
    bed.pass_quietly(900);
    bed.say(pe, &registration(ECHO, mortal));
    bed.pass_quietly(999);
    let told = AsapMessage::DeregistrationResponse { handle: handle(ECHO), id: ElementId(1), error: None };
    assert_eq!(bed.pass(Duration::from_millis(1)), [(1_900, Out::Said(pe, told))]);
    assert_eq!(bed.removed(), [(1_900, 1, RemovalReason::LifeExpired)]);
    assert_eq!(bed.resolve(pe, ECHO, None), [0; 0]);

    let mut seconds = Bed::with(|cfg| cfg.life_unit = LifeUnit::Seconds);
    let pe = seconds.client(1);
    seconds.say(pe, &registration(ECHO, PoolElement { life: Life(4), ..element(1, 1) }));
    seconds.pass_quietly(3_999);
    assert_eq!(seconds.pass(Duration::from_millis(1)).len(), 1);
}

/// RFC 5352 rows: 2.2.14-1, 2.2.14-2.
#[test]
fn malformed_requests() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let hex = |s: &str| (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect::<Vec<u8>>();
    let error = |code: CauseCode, data: &str| Out::Said(pe, AsapMessage::Error(ErrorCause { code, data: hex(data) }.into()));
    let handle = "0009000c4563686f506f6f6c";
    let mut answers = |bytes: &str| bed.say_bytes(pe, &hex(bytes));
    let invalid = || vec![error(CauseCode::INVALID_VALUES, "")];
    assert_eq!(answers("05000004"), invalid(), "no pool handle");
    assert_eq!(answers("01000004"), invalid(), "an empty registration");
    assert_eq!(answers("0500004000"), invalid(), "longer than it is");
    assert_eq!(answers("05"), invalid());
    assert_eq!(answers(""), invalid());
    assert_eq!(answers(&format!("05000010000900ff{}", &handle[8..])), invalid(), "a parameter beyond the message");
    assert_eq!(answers("7f000004"), [error(CauseCode::UNRECOGNIZED_MESSAGE, "7f000004")]);
    assert_eq!(answers("3f000004"), []);
    let unknown = "aabbccdd";
    assert_eq!(answers(&format!("05000018{handle}3fff0008{unknown}")), []);
    assert_eq!(
        answers(&format!("05000018{handle}7fff0008{unknown}")),
        [error(CauseCode::UNRECOGNIZED_PARAMETER, &format!("7fff0008{unknown}"))]
    );
    assert_eq!(answers(&format!("05000018{handle}bfff0008{unknown}")).len(), 1);
    let reported = answers(&format!("05000018{handle}ffff0008{unknown}"));
    assert!(matches!(&reported[0], Out::Said(_, AsapMessage::HandleResolutionResponse { error: None, .. })));
    assert_eq!(reported[1..], [error(CauseCode::UNRECOGNIZED_PARAMETER, &format!("ffff0008{unknown}"))]);
    // What asks for nothing is not answered, not even if it makes no sense here.
    assert_eq!(answers("0e000004"), [], "an error is never answered by an error");
    assert_eq!(answers("0e00000c000c000800100004"), []);
    assert_eq!(answers("0a000008aabbccdd"), []);
    assert_eq!(answers(&format!("08000018{handle}000e000800000009")), []);
    assert_eq!(answers(&format!("09000018{handle}000e000800000009")), []);
    assert_eq!(answers(&format!("03000018{handle}000e000800000001")), []);
    // Other protocols are not ours.
    bed.r.handle(bed.now, Input::Message { assoc: pe, ppid: 12, sid: 0, bytes: &[5, 0, 0, 4] });
    assert_eq!(bed.out(), []);
    assert!(matches!(bed.events.last(), Some((_, RegistrarEvent::WrongProtocol { ppid: 12, .. }))));
    assert_eq!(bed.resolve(pe, ECHO, None), [1], "all that did no harm");
}

fn announcing(port: u16) -> (Bed, SocketAddr, SocketAddr) {
    let target = |source: &str, group: &str| AnnounceTarget { source: source.parse().unwrap(), group: group.parse().unwrap() };
    let (lo, net) = (target("127.0.0.1", "239.0.0.50:3863"), target("10.0.0.5", "239.0.0.51:3863"));
    let bed = Bed::with(|cfg| {
        cfg.asap_port = port;
        cfg.announce.targets = vec![lo, net];
    });
    (bed, lo.group, net.group)
}

#[test]
fn announces() {
    let bare = vec![0x0a, 0, 0, 8, 0xaa, 0xbb, 0xcc, 0xdd];
    let (mut bed, lo, net) = announcing(3863);
    assert_eq!(bed.pass(Duration::ZERO), [(0, Out::Announce(lo, bare.clone())), (0, Out::Announce(net, bare.clone()))]);
    let times: Vec<u64> = bed.pass(Duration::from_secs(10)).iter().map(|(t, _)| *t).step_by(2).collect();
    let gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.iter().all(|g| (875..=1125).contains(g)), "{gaps:?}");
    assert!(gaps.windows(2).any(|w| w[0] != w[1]), "spread: {gaps:?}");

    // Another port is named, but not on loopback.
    let (mut bed, lo, net) = announcing(40_000);
    bed.r.handle(Time::ZERO, Input::Addresses(&["127.0.0.1".parse().unwrap(), "10.0.0.5".parse().unwrap(), "fe80::1".parse().unwrap()]));
    let out = bed.pass(Duration::ZERO);
    assert_eq!(out[0], (0, Out::Announce(lo, bare)));
    let Out::Announce(group, bytes) = &out[1].1 else { panic!() };
    let transports = vec![Transport::sctp(40_000, TransportUse::DATA, ["10.0.0.5".parse().unwrap()])];
    let named = AsapMessage::ServerAnnounce { registrar: REGISTRAR, transports };
    assert_eq!((*group, AsapMessage::decode(bytes).unwrap().message), (net, named));
}

/// RFC 5352 rows: 3.6-1.
/// On request announces say what the RFC wants them to: all addresses always, on loopback and with the registered port too.
///
/// RFC 5352 section 3.6.
#[test]
fn announces_to_the_letter() {
    let target = |source: &str| AnnounceTarget { source: source.parse().unwrap(), group: "224.0.1.185:3863".parse().unwrap() };
    let mut bed = Bed::with(|cfg| {
        cfg.announce.port_rule = PortRule::Rfc;
        cfg.announce.targets = vec![target("127.0.0.1"), target("10.0.0.5")];
    });
    let addrs: Vec<IpAddr> = ["10.0.0.5", "192.0.2.9", "fe80::1", "127.0.0.1"].map(|a| a.parse().unwrap()).to_vec();
    bed.r.handle(Time::ZERO, Input::Addresses(&addrs));
    let told = |out: &Out| match out {
        Out::Announce(_, bytes) => match AsapMessage::decode(bytes).unwrap().message {
            AsapMessage::ServerAnnounce { transports, .. } => transports,
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    };
    let all = |addrs: &[&str]| vec![Transport::sctp(3863, TransportUse::DATA, addrs.iter().map(|a| a.parse().unwrap()))];
    let out = bed.pass(Duration::ZERO);
    assert_eq!(told(&out[0].1), all(&["10.0.0.5", "127.0.0.1", "192.0.2.9"]));
    assert_eq!(told(&out[1].1), all(&["10.0.0.5", "192.0.2.9"]));
}

#[test]
fn announces_are_rarer_among_many_but_never_outdated() {
    let (mut bed, ..) = announcing(3863);
    let mut period = |others: u32| {
        for _ in 0..4 {
            for id in 1..=others {
                let m = AsapMessage::ServerAnnounce { registrar: RegistrarId(id), transports: Vec::new() };
                let bytes = m.encode(EncodeOptions::default()).unwrap();
                bed.r.handle(bed.now, Input::Datagram { service: Service::Asap, src: "10.0.0.9:3863".parse().unwrap(), bytes: &bytes });
            }
            bed.pass(Duration::from_secs(1));
        }
        let before = bed.now.as_millis();
        bed.pass(Duration::from_millis(2300)).first().unwrap().0 - before
    };
    assert!(period(0) <= 1125);
    for others in [1, 4, 100] {
        assert!(period(others) <= 2250, "{others}");
    }
    // Our own announces, heard by multicast, are not another registrar.
    let own = AsapMessage::ServerAnnounce { registrar: REGISTRAR, transports: Vec::new() }.encode(EncodeOptions::default()).unwrap();
    let (mut bed, ..) = announcing(3863);
    let mut last = 0;
    for (t, _) in (0..50).flat_map(|_| {
        bed.r.handle(bed.now, Input::Datagram { service: Service::Asap, src: "10.0.0.5:3863".parse().unwrap(), bytes: &own });
        bed.pass(Duration::from_millis(100))
    }) {
        assert!(t - last <= 1125);
        last = t;
    }
    assert!(last > 3_000);
}
