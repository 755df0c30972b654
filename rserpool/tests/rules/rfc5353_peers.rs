//! Presences: who is there, and who is no longer.

use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::enrp::config::EnrpTimers;
use rserpool::registrar::{RegistrarEvent, Service};
use rserpool::wire::{CauseCode, EncodeOptions, EnrpMessage, OperationError, RegistrarId, UpdateAction};

use crate::scene::*;

fn by_multicast(cfg: &mut RegistrarConfig) {
    cfg.enrp.targets = vec![AnnounceTarget { source: "10.0.1.50".parse().unwrap(), group: GROUP.parse().unwrap() }];
}

/// One of each message that a registrar may send to another one without being asked.
fn each_message(from: u32) -> Vec<EnrpMessage> {
    let (sender, receiver, target) = (RegistrarId(from), ME, RegistrarId(77));
    vec![
        presence(from, false, NOTHING),
        table_request(from, true),
        table(from, false, vec![]),
        update(from, UpdateAction::Add, owned(7, from)),
        list_request(from),
        EnrpMessage::ListResponse { sender, receiver, reject: false, servers: vec![] },
        EnrpMessage::InitTakeover { sender, receiver, target },
        EnrpMessage::InitTakeoverAck { sender, receiver, target },
        EnrpMessage::TakeoverServer { sender, receiver, target },
        EnrpMessage::Error { sender, receiver, error: OperationError::from(CauseCode::UNSPECIFIED) },
    ]
}

fn requires_reply(m: &EnrpMessage) -> bool {
    matches!(m, EnrpMessage::Presence { reply_required: true, .. })
}

/// RFC 5353 rows: 3.4.1-1, 3.4.1-2.
#[test]
fn any_message_of_a_registrar_that_is_not_known_makes_it_a_peer() {
    for message in each_message(1) {
        let mut s = Scene::new();
        let b = s.peer(2);
        let a = s.link(1, None);
        let answers = s.answers(a, &message);
        assert!(answers.iter().any(requires_reply), "{}: {answers:?}", message.name());
        let listed = s.answers(b, &list_request(2));
        assert!(matches!(&listed[..], [EnrpMessage::ListResponse { servers, .. }] if servers[..] == [server(1)]), "{listed:?}");
    }
}

/// RFC 5353 rows: 3.4.3-1, 3.4.3-2, 3.4.3-3.
#[test]
fn a_peer_is_asked_when_nothing_was_heard_of_it_for_a_while() {
    for (timers, patience) in [(EnrpTimers::RSPLIB, 5_000), (EnrpTimers::RFC, 61_000)] {
        for message in each_message(1) {
            let mut s = Scene::with(|cfg| cfg.enrp.timers = timers);
            let a = s.peer(1);
            s.pass(3_000);
            s.say(a, &message);
            let out = s.pass(patience + 4_000).into_iter().filter(|(_, o)| matches!(o, Out::Enrp(_, m) if requires_reply(m)));
            let asked: Vec<u64> = out.map(|(t, _)| t).collect();
            assert_eq!(asked, [3_000 + patience], "MAX-TIME-LAST-HEARD after {}", message.name());
        }
    }
}

/// RFC 5353 rows: 3.4.3-4, 3.4.3-5.
#[test]
fn a_peer_that_does_not_answer_is_dead_and_taken_over() {
    let mut s = Scene::new();
    let (_, b) = (s.peer_with(1, &[7]), s.peer(2));
    let out = s.pass_with(9_999, &[(2, b)]);
    assert!(!out.iter().any(|(_, o)| matches!(o, Out::Enrp(_, EnrpMessage::InitTakeover { .. }))), "{out:?}");
    let out = s.pass(1);
    let begun = EnrpMessage::InitTakeover { sender: ME, receiver: RegistrarId::UNDEFINED, target: RegistrarId(1) };
    assert!(out.contains(&(10_000, Out::Enrp(b, begun.clone()))), "MAX-TIME-NO-RESPONSE later: {out:?}");
    // An association that cannot be set up tells as much.
    let mut s = Scene::new();
    let (a, b) = (s.peer_with(1, &[7]), s.peer(2));
    s.r.handle(s.now, rserpool::registrar::Input::Lost { assoc: a, aborted: false });
    let out = s.out();
    let [Out::Connect(Service::Enrp, token, addrs)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(addrs[..], [place(1)]);
    s.r.handle(s.now, rserpool::registrar::Input::ConnectFailed { token: *token });
    assert_eq!(to(b, s.out()), [begun]);
}

/// Each heartbeat tells all peers, and the group if there is one; nobody has to answer.
///
/// RFC 5353 rows: 2.1-1, 3.4.2-1, 3.4.2-2.
#[test]
fn presences_go_to_all_once_in_a_cycle() {
    for (timers, cycle) in [(EnrpTimers::RSPLIB, 2_444), (EnrpTimers::RFC, 30_000)] {
        let mut s = Scene::with(|cfg| {
            by_multicast(cfg);
            cfg.enrp.timers = timers;
        });
        s.pass(2_000);
        let peers = [(1, s.peer(1)), (90, s.peer(90))];
        let (cycles, spread) = (10, cycle / 8);
        let out = s.pass_with(cycles * cycle + spread, &peers);
        let times = |wanted: &dyn Fn(&Out) -> bool| out.iter().filter(|(_, o)| wanted(o)).map(|(t, _)| *t).collect::<Vec<_>>();
        let to_group = times(&|o| match o {
            Out::Announce(Service::Enrp, bytes) => match EnrpMessage::decode(bytes).unwrap().message {
                EnrpMessage::Presence { sender: ME, receiver, reply_required: false, .. } => receiver == RegistrarId::UNDEFINED,
                other => panic!("{other:?}"),
            },
            _ => false,
        });
        assert!((9..=12).contains(&to_group.len()), "{to_group:?}");
        for w in to_group.windows(2) {
            assert!((cycle - spread..=cycle + spread).contains(&(w[1] - w[0])), "{to_group:?}");
        }
        for (_, assoc) in peers {
            let to_peer = times(&|o| matches!(o, Out::Enrp(a, EnrpMessage::Presence { reply_required: false, .. }) if *a == assoc));
            assert_eq!(to_peer, to_group);
        }
    }
}

/// RFC 5353 rows: 2.1-2, 2.1-3, 3.6.1-2.
#[test]
fn presences_have_the_checksum_and_the_server_information() {
    let mut s = Scene::with(by_multicast);
    s.pass(2_000);
    let a = s.peer(1);
    for id in 7..10 {
        s.registered(id);
        let checksum = s.r.handlespace().checksum(ME);
        let answers = s.answers(a, &presence(1, true, NOTHING));
        let [EnrpMessage::Presence { checksum: told, server, reply_required: false, .. }] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(*told, Some(checksum));
        assert_eq!(server.as_ref(), Some(&crate::scene::server(50)));
        let told: Vec<_> = untimed(s.pass_with(3_000, &[(1, a)]))
            .into_iter()
            .filter_map(|o| match o {
                Out::Enrp(_, m) => Some(m),
                Out::Announce(Service::Enrp, bytes) => Some(EnrpMessage::decode(&bytes).unwrap().message),
                _ => None,
            })
            .filter_map(|m| if let EnrpMessage::Presence { checksum, .. } = m { Some(checksum) } else { None })
            .collect();
        assert!(told.len() >= 2 && told.iter().all(|c| *c == Some(checksum)), "{told:?}");
    }
}

/// RFC 5353 rows: 3.7-1, 3.7-2.
#[test]
fn what_is_not_known_is_treated_by_its_action_bits() {
    let mut s = Scene::new();
    let a = s.peer(1);
    let message = |kind: u8| vec![kind, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 50];
    let report = |code, data: &[u8]| {
        let cause = rserpool::wire::ErrorCause { code, data: data.to_vec() };
        EnrpMessage::Error { sender: ME, receiver: RegistrarId(1), error: cause.into() }
    };
    assert_eq!(s.say_bytes(a, &message(0x3f)), [], "00: no answer");
    assert_eq!(s.say_bytes(a, &message(0xbf)), [], "10: no answer");
    assert_eq!(to(a, s.say_bytes(a, &message(0x7f))), [report(CauseCode::UNRECOGNIZED_MESSAGE, &message(0x7f))]);
    // Parameters: a list request with one that is unknown.
    let with = |kind: [u8; 2]| [&[5, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 50][..], &kind, &[0, 8, 1, 2, 3, 4]].concat();
    let unknown = |kind: [u8; 2]| report(CauseCode::UNRECOGNIZED_PARAMETER, &[&kind[..], &[0, 8, 1, 2, 3, 4]].concat());
    let answered = |m: &EnrpMessage| matches!(m, EnrpMessage::ListResponse { .. });
    assert_eq!(s.say_bytes(a, &with([0x3f, 0xff])), [], "00: dropped");
    assert_eq!(to(a, s.say_bytes(a, &with([0x7f, 0xff]))), [unknown([0x7f, 0xff])], "01: dropped and reported");
    let answers = to(a, s.say_bytes(a, &with([0xbf, 0xff])));
    assert!(matches!(&answers[..], [m] if answered(m)), "10: skipped: {answers:?}");
    let answers = to(a, s.say_bytes(a, &with([0xff, 0xff])));
    assert!(answers.len() == 2 && answered(&answers[0]) && answers[1] == unknown([0xff, 0xff]), "11: skipped and reported: {answers:?}");
    // An error is never answered by one.
    let error = report(CauseCode::UNSPECIFIED, &[]).encode(EncodeOptions::default()).unwrap();
    let mut from_peer = error;
    from_peer[4..12].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 50]);
    assert_eq!(s.say_bytes(a, &from_peer), []);
    assert!(s.events.iter().any(|e| matches!(e, RegistrarEvent::RemoteError { .. })));
}
