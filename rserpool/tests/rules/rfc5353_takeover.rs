//! A dead registrar's elements find a new home.

use rserpool::registrar::enrp::EnrpEvent;
use rserpool::registrar::enrp::config::Arbitration;
use rserpool::registrar::{AssocKey, RegistrarEvent, Service};
use rserpool::wire::{AsapMessage, ElementId, EnrpMessage, RegistrarId, UpdateAction};

use crate::bed::{ECHO, handle};
use crate::scene::*;

const DEAD: u32 = 20;

fn init(from: u32, target: u32) -> EnrpMessage {
    EnrpMessage::InitTakeover { sender: RegistrarId(from), receiver: RegistrarId::UNDEFINED, target: RegistrarId(target) }
}

fn ack(from: u32, to: u32, target: u32) -> EnrpMessage {
    EnrpMessage::InitTakeoverAck { sender: RegistrarId(from), receiver: RegistrarId(to), target: RegistrarId(target) }
}

fn taken(by: u32, target: u32) -> EnrpMessage {
    EnrpMessage::TakeoverServer { sender: RegistrarId(by), receiver: RegistrarId::UNDEFINED, target: RegistrarId(target) }
}

fn about_takeovers(m: &EnrpMessage) -> bool {
    matches!(m, EnrpMessage::InitTakeover { .. } | EnrpMessage::InitTakeoverAck { .. } | EnrpMessage::TakeoverServer { .. })
}

/// The messages about takeovers to one peer.
fn takeovers(a: AssocKey, out: &[Out]) -> Vec<EnrpMessage> {
    to(a, out.to_vec()).into_iter().filter(about_takeovers).collect()
}

/// A registrar with two peers that live, 1 and 90, and one with two elements, 7 and 8, that has just been noticed to be dead.
struct Death {
    s: Scene,
    low: AssocKey,
    high: AssocKey,
    dead: AssocKey,
    out: Vec<Out>,
}

impl Death {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut rserpool::registrar::config::RegistrarConfig)) -> Self {
        let mut s = Scene::with(change);
        let (low, high, dead) = (s.peer(1), s.peer(90), s.peer_with(DEAD, &[7, 8]));
        let alive = [(1, low), (90, high)];
        let mut out = Vec::new();
        while !out.iter().any(|o| matches!(o, Out::Enrp(_, EnrpMessage::InitTakeover { .. }))) {
            assert!(s.now.as_millis() < 20_000, "nobody misses it");
            out = untimed(s.pass_with(1_000, &alive));
        }
        Self { s, low, high, dead, out }
    }
}

/// RFC 5353 rows: 3.5.1-1, 3.5.1-2.
#[test]
fn a_takeover_begins_with_a_word_to_all_and_to_the_target() {
    let d = Death::new();
    for peer in [d.low, d.high, d.dead] {
        assert_eq!(takeovers(peer, &d.out), [init(ME.0, DEAD)]);
    }
}

/// RFC 5353 rows: 3.5.1-3, 3.5.1-13, 3.5.1-14, 3.5.2-1, 3.5.2-2.
#[test]
fn a_takeover_is_completed_when_all_have_acknowledged() {
    let Death { mut s, low, high, .. } = Death::new();
    let out = s.say(low, &ack(1, ME.0, DEAD));
    assert_eq!(out, [], "one is missing");
    assert_eq!((s.home_of(7), s.home_of(8)), (Some(DEAD), Some(DEAD)));
    let out = s.say(high, &ack(90, ME.0, DEAD));
    for peer in [low, high] {
        assert_eq!(to(peer, out.clone()).first(), Some(&taken(ME.0, DEAD)), "before anything else: {out:?}");
    }
    assert_eq!((s.home_of(7), s.home_of(8)), (Some(ME.0), Some(ME.0)));
    // A single one is waited for as well.
    let mut s = Scene::new();
    let low = s.peer(1);
    s.peer_with(DEAD, &[7]);
    let out = untimed(s.pass_with(11_000, &[(1, low)]));
    assert_eq!(takeovers(low, &out), [init(ME.0, DEAD)]);
    assert_eq!(s.home_of(7), Some(DEAD));
    s.say(low, &ack(1, ME.0, DEAD));
    assert_eq!(s.home_of(7), Some(ME.0));
}

/// RFC 5353 rows: 3.5.2-3, 3.5.2-4.
#[test]
fn the_elements_are_told_by_keep_alives_with_the_h_flag() {
    let Death { mut s, low, high, .. } = Death::new();
    s.say(low, &ack(1, ME.0, DEAD));
    let mut out = s.say(high, &ack(90, ME.0, DEAD));
    out.extend(untimed(s.pass(10)));
    for id in [7, 8] {
        let at = format!("10.0.0.{id}:50000").parse().unwrap();
        let connect = out.iter().find_map(|o| match o {
            Out::Connect(Service::Asap, token, addrs) if addrs[..] == [at] => Some(*token),
            _ => None,
        });
        let pe = s.client_for(u8::try_from(id).unwrap(), connect);
        let asked = AsapMessage::KeepAlive { new_home: true, registrar: ME, handle: handle(ECHO), id: Some(ElementId(id)) };
        assert_eq!(s.out(), [Out::Asap(pe, asked)]);
        // It agrees: everybody is told who its home is.
        let out = s.ask(pe, &AsapMessage::KeepAliveAck { handle: handle(ECHO), id: ElementId(id) });
        for peer in [low, high] {
            assert_eq!(to(peer, out.clone()), [update(ME.0, UpdateAction::Add, s.known(id).unwrap())]);
        }
        assert_eq!(s.home_of(id), Some(ME.0));
    }
    let listed = s.answers(low, &list_request(1));
    assert!(matches!(&listed[..], [EnrpMessage::ListResponse { servers, .. }] if servers[..] == [server(90)]), "{listed:?}");
}

/// RFC 5353 rows: 3.5.1-5.
#[test]
fn a_registrar_that_is_the_target_says_that_it_is_there() {
    let mut s = Scene::new();
    let (low, high) = (s.peer(1), s.peer(90));
    s.registered(7);
    s.out();
    let out = s.say(low, &init(1, ME.0));
    for peer in [low, high] {
        let told = to(peer, out.clone());
        assert!(told.iter().any(|m| matches!(m, EnrpMessage::Presence { sender: ME, .. })), "{out:?}");
        assert!(!told.iter().any(about_takeovers), "no acknowledgement");
    }
    assert_eq!(s.home_of(7), Some(ME.0));
}

/// RFC 5353 rows: 3.5.1-6, 3.5.1-15.
#[test]
fn a_presence_of_the_target_stops_the_takeover() {
    let Death { mut s, low, high, dead, .. } = Death::new();
    s.say(low, &ack(1, ME.0, DEAD));
    let checksum = s.r.handlespace().checksum(RegistrarId(DEAD));
    s.say(dead, &presence(DEAD, false, checksum));
    assert!(s.events.iter().any(|e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::TakeoverLost { target: RegistrarId(DEAD), .. }))));
    let out = s.say(high, &ack(90, ME.0, DEAD));
    assert_eq!(takeovers(low, &out), []);
    assert_eq!((s.home_of(7), s.home_of(8)), (Some(DEAD), Some(DEAD)));
    // It is active again: it is told of what happens, and missed when it falls silent.
    s.registered(9);
    let alive = [(1, low), (90, high)];
    let out = untimed(s.pass_with(11_000, &alive));
    assert_eq!(takeovers(high, &out), [init(ME.0, DEAD)], "another takeover after its silence, and not before");
}

/// RFC 5353 rows: 3.5.1-4, 3.5.1-11, 3.5.1-12.
#[test]
fn who_is_not_concerned_acknowledges_and_leaves_the_target_alone() {
    let mut s = Scene::new();
    let (low, high, target) = (s.peer(1), s.peer(90), s.peer_with(DEAD, &[7]));
    let out = s.say(high, &init(90, DEAD));
    assert_eq!(takeovers(high, &out), [ack(ME.0, 90, DEAD)]);
    // It is not monitored while the takeover may be going on: at other times it would have been asked after 5 s.
    let out = untimed(s.pass_with(4_900, &[(1, low), (90, high)]));
    assert_eq!(takeovers(high, &out), []);
    let out = untimed(s.pass_with(100, &[(1, low), (90, high)]));
    assert!(!to(target, out).iter().any(|m| matches!(m, EnrpMessage::Presence { reply_required: true, .. })));
}

/// Two want to take over the same registrar. By default the lower identifier goes on, as RSPLIB has it; by option the higher.
///
/// RFC 5353 rows: 3.5.1-7, 3.5.1-8, 3.5.1-9, 3.5.1-10.
#[test]
fn of_two_takeovers_one_goes_on() {
    for (rule, [first, second]) in [(Arbitration::LowerWins, [1, 90]), (Arbitration::HigherWins, [90, 1])] {
        let Death { mut s, low, high, .. } = Death::with(|cfg| cfg.enrp.arbitration = rule);
        let at = |id| if id == 1 { low } else { high };
        // Who comes after us is ignored, and its acknowledgement still awaited.
        assert_eq!(s.say(at(second), &init(second, DEAD)), [], "{rule:?}");
        assert!(!s.events.iter().any(|e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::TakeoverLost { .. }))));
        // Who goes before us is acknowledged, and ours is over.
        let out = s.say(at(first), &init(first, DEAD));
        assert_eq!(takeovers(at(first), &out), [ack(ME.0, first, DEAD)], "{rule:?}");
        assert!(s.events.iter().any(|e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::TakeoverLost { target: RegistrarId(DEAD), .. }))));
        for id in [1, 90] {
            let out = s.say(at(id), &ack(id, ME.0, DEAD));
            assert_eq!(takeovers(low, &out), [], "acknowledgements that come late");
        }
        assert_eq!(s.home_of(7), Some(DEAD));
    }
}

/// RFC 5353 rows: 3.5.2-5.
#[test]
fn a_peers_takeover_is_entered() {
    let Death { mut s, low, high, .. } = Death::new();
    assert_eq!(takeovers(low, &s.say(low, &taken(1, DEAD))), []);
    assert_eq!((s.home_of(7), s.home_of(8)), (Some(1), Some(1)));
    let listed = s.answers(high, &list_request(90));
    assert!(matches!(&listed[..], [EnrpMessage::ListResponse { servers, .. }] if servers[..] == [server(1)]), "{listed:?}");
    let out = untimed(s.pass_with(20_000, &[(1, low), (90, high)]));
    assert_eq!((takeovers(low, &out), takeovers(high, &out)), (vec![], vec![]), "nothing is left to be taken over");
}
