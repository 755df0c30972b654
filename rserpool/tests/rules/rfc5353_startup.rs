//! How a registrar starts, and what it gives to others that start.

use rserpool::registrar::config::RegistrarConfig;
use rserpool::registrar::{AssocKey, Input, Registrar, RegistrarEvent, Service};
use rserpool::wire::{EncodeOptions, EnrpMessage, PolicyParam, PoolElement, RegistrarId};
use sctp_user::SeededEntropy;

use crate::bed::{ECHO, handle};
use crate::scene::*;

fn list(from: u32, servers: &[u32]) -> EnrpMessage {
    let servers = servers.iter().map(|id| server(*id)).collect();
    EnrpMessage::ListResponse { sender: RegistrarId(from), receiver: ME, reject: false, servers }
}

fn asks_for_list(m: &EnrpMessage) -> bool {
    matches!(m, EnrpMessage::ListRequest { sender: ME, .. })
}

/// Whether all of the handlespace is asked for.
fn asks_for_all(m: &EnrpMessage) -> bool {
    matches!(m, EnrpMessage::HandleTableRequest { sender: ME, own_only: false, .. })
}

/// A registrar that was told of these peers, with the associations that it has opened to them.
fn starting(peers: &[u32]) -> (Scene, Vec<AssocKey>) {
    let mut s = Scene::with(|cfg| cfg.enrp.peers = peers.iter().map(|id| vec![place(*id)]).collect());
    let out = untimed(s.pass(0));
    let mut links = Vec::new();
    for (id, o) in peers.iter().zip(&out) {
        let Out::Connect(Service::Enrp, token, addrs) = o else { panic!("{out:?}") };
        assert_eq!(addrs[..], [place(*id)]);
        links.push(s.link(*id, Some(*token)));
    }
    assert_eq!(out.len(), peers.len());
    s.out();
    (s, links)
}

/// RFC 5353 rows: 2.1-4, 2.1-5, 3.2.1-1, 3.2.1-2.
#[test]
fn a_registrar_keeps_a_random_identifier_that_is_not_zero() {
    let ids: Vec<RegistrarId> =
        (0..20).map(|seed| Registrar::new(RegistrarConfig::default(), Box::new(SeededEntropy::new(seed))).id()).collect();
    assert!(ids.iter().all(|id| id.0 != 0));
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    assert!(ids.iter().any(|id| id.0 > 1 << 31) && ids.iter().any(|id| id.0 < 1 << 31), "all 32 bits");
    // It is the sender of all that it says, for as long as it lives.
    let mut s = Scene::new();
    let a = s.peer(1);
    s.registered(7);
    let out = s.pass_with(60_000, &[(1, a)]);
    let said = to(a, untimed(out));
    assert!(said.len() > 20 && said.iter().all(|m| m.sender() == ME));
}

/// RFC 5353 rows: 3.2.2.1-3, 3.2.2.1-4, 3.2.2.1-5.
#[test]
fn a_registrar_that_is_told_of_nobody_serves_at_once() {
    let mut s = Scene::new();
    assert_eq!(s.pass(0), []);
    s.registered(7);
    assert_eq!(s.out(), [], "nobody is asked for anything");
    assert!(s.pass(4_000).is_empty());
    // And it is a mentor itself.
    let a = s.peer(1);
    assert!(
        matches!(&s.answers(a, &table_request(1, false))[..], [EnrpMessage::HandleTableResponse { reject: false, pools, .. }] if pools.len() == 1)
    );
}

/// The mentor is asked for its list, then for the whole handlespace, part by part; then the registrar serves.
///
/// RFC 5353 rows: 3-1, 3.2.2.1-1, 3.2.2.2-1, 3.2.3-1, 3.2.3-2.
#[test]
fn the_configured_peer_is_the_mentor() {
    let (mut s, links) = starting(&[1]);
    let a = links[0];
    let asked = s.answers(a, &presence(1, false, NOTHING));
    assert!(asked.iter().any(asks_for_list) && !asked.iter().any(asks_for_all), "{asked:?}");
    let asked = s.answers(a, &list(1, &[]));
    assert!(matches!(&asked[..], [m] if asks_for_all(m)), "{asked:?}");
    assert!(!s.serves());
    s.say(a, &table(1, false, vec![owned(7, 1)]));
    assert!(s.serves());
}

/// RFC 5353 rows: 3.2.3-8, 3.2.3-9, 3.2.3-15.
#[test]
fn a_table_is_asked_for_until_its_last_part() {
    let (mut s, links) = starting(&[1]);
    let a = links[0];
    s.say(a, &presence(1, false, NOTHING));
    s.say(a, &list(1, &[]));
    for id in 7..10 {
        let asked = s.answers(a, &table(1, true, vec![owned(id, 1)]));
        assert!(matches!(&asked[..], [m] if asks_for_all(m)), "{asked:?}");
        assert_eq!(s.home_of(id), Some(1));
        assert!(!s.serves());
    }
    let asked = s.answers(a, &table(1, false, vec![owned(10, 1)]));
    assert!(!asked.iter().any(asks_for_all), "{asked:?}");
    assert_eq!(s.home_of(10), Some(1));
    assert!(s.serves());
}

/// RFC 5353 rows: 3.2.3-10, 3.2.3-11, 3.2.3-12, 3.2.3-13, 3.2.3-14.
#[test]
fn entries_of_a_table_make_pools_join_them_and_replace_what_is_there() {
    let (mut s, links) = starting(&[1]);
    let a = links[0];
    s.say(a, &presence(1, false, NOTHING));
    s.say(a, &list(1, &[]));
    let with = |id, load| PoolElement { policy: PolicyParam::LeastUsed { load }, ..owned(id, 1) };
    s.say(a, &table(1, true, vec![with(7, 100)]));
    assert_eq!(s.known(7), Some(with(7, 100)), "the pool is created");
    s.say(a, &table(1, true, vec![owned(8, 1)]));
    assert_eq!(s.known(8), None, "the pool has the policy of its first element");
    s.say(a, &table(1, true, vec![with(8, 3)]));
    assert_eq!((s.known(7), s.known(8)), (Some(with(7, 100)), Some(with(8, 3))), "one more");
    s.say(a, &table(1, false, vec![with(7, 5)]));
    assert_eq!((s.known(7), s.known(8)), (Some(with(7, 5)), Some(with(8, 3))), "replaced");
    assert_eq!(s.r.handlespace().pool_count(), 1);
}

/// RFC 5353 rows: 3.2.2.2-5.
#[test]
fn the_mentors_list_fills_the_registrars_own() {
    let (mut s, links) = starting(&[1]);
    let a = links[0];
    s.say(a, &presence(1, false, NOTHING));
    let out = s.say(a, &list(1, &[2, 3]));
    for id in [2, 3] {
        assert!(out.iter().any(|o| matches!(o, Out::Connect(Service::Enrp, _, addrs) if addrs[..] == [place(id)])), "{id}: {out:?}");
    }
}

/// Of two peers the first that is met is the mentor; the other one takes its place when it is silent.
///
/// RFC 5353 rows: 3.2.2.1-2, 3.2.2.2-2, 3.2.2.2-3.
#[test]
fn another_mentor_stands_by() {
    let (mut s, links) = starting(&[1, 2]);
    for (id, a) in [(1, links[0]), (2, links[1])] {
        s.say(a, &presence(id, false, NOTHING));
    }
    let asked = s.answers(links[1], &list(2, &[]));
    assert!(!asked.iter().any(asks_for_all), "not the mentor: {asked:?}");
    let out = untimed(s.pass(4_999));
    assert!(!to(links[1], out).iter().any(asks_for_list));
    let out = untimed(s.pass(1));
    assert!(to(links[1], out).iter().any(asks_for_list));
    let asked = s.answers(links[1], &list(2, &[]));
    assert!(asked.iter().any(asks_for_all), "{asked:?}");
}

/// RFC 5353 rows: 3.2.3-18, 3.2.3-19.
#[test]
fn a_download_that_stops_is_begun_with_another_mentor() {
    let (mut s, links) = starting(&[1, 2]);
    for (id, a) in [(1, links[0]), (2, links[1])] {
        s.say(a, &presence(id, false, NOTHING));
    }
    assert!(s.answers(links[0], &list(1, &[])).iter().any(asks_for_all));
    assert!(s.answers(links[0], &table(1, true, vec![owned(7, 1)])).iter().any(asks_for_all));
    let mut out = untimed(s.pass_with(5_000, &[(1, links[0]), (2, links[1])]));
    out.extend(s.say(links[1], &list(2, &[])));
    assert!(to(links[1], out).iter().any(asks_for_all));
    s.say(links[1], &table(2, false, vec![owned(7, 1), owned(8, 2)]));
    assert!(s.serves() && s.home_of(8) == Some(2));
}

/// RFC 5353 rows: 3.2.2.2-7, 3.2.3-17.
#[test]
fn a_mentor_that_refuses_is_followed_by_another() {
    for refuses_list in [true, false] {
        let (mut s, links) = starting(&[1, 2]);
        for (id, a) in [(1, links[0]), (2, links[1])] {
            s.say(a, &presence(id, false, NOTHING));
        }
        let sender = RegistrarId(1);
        let out = if refuses_list {
            s.say(links[0], &EnrpMessage::ListResponse { sender, receiver: ME, reject: true, servers: vec![] })
        } else {
            s.say(links[0], &list(1, &[]));
            s.say(links[0], &EnrpMessage::HandleTableResponse { sender, receiver: ME, reject: true, more: false, pools: vec![] })
        };
        assert!(to(links[1], out).iter().any(asks_for_list), "list: {refuses_list}");
        assert!(s.answers(links[1], &list(2, &[])).iter().any(asks_for_all));
    }
    // With nobody else there is nothing to wait for: it serves, and compares checksums from then on.
    let (mut s, links) = starting(&[1]);
    s.say(links[0], &presence(1, false, NOTHING));
    s.say(links[0], &EnrpMessage::ListResponse { sender: RegistrarId(1), receiver: ME, reject: true, servers: vec![] });
    s.pass(1_000);
    assert!(s.serves());
    let asked = s.answers(links[0], &presence(1, false, 0x1234));
    assert!(asked.iter().any(|m| matches!(m, EnrpMessage::HandleTableRequest { own_only: true, .. })), "{asked:?}");
}

/// RFC 5353 rows: 2.3-1, 2.3-2, 2.6-1, 2.6-2, 3.2.2.2-6.
#[test]
fn a_registrar_that_starts_refuses_to_be_a_mentor() {
    let (mut s, links) = starting(&[1]);
    s.say(links[0], &presence(1, false, NOTHING));
    s.say(links[0], &list(1, &[]));
    s.say(links[0], &table(1, true, vec![owned(7, 1)]));
    let b = s.peer(2);
    for request in [list_request(2), table_request(2, false), table_request(2, true)] {
        let answers = s.answers(b, &request);
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        match answer {
            EnrpMessage::ListResponse { reject: true, servers, .. } => assert!(servers.is_empty()),
            EnrpMessage::HandleTableResponse { reject: true, more: false, pools, .. } => assert!(pools.is_empty()),
            other => panic!("{other:?}"),
        }
        assert_eq!(answer.encode(EncodeOptions::default()).unwrap()[1] & 1, 1, "the R flag");
    }
}

/// RFC 5353 rows: 3.2.3-16.
#[test]
fn a_registrar_with_too_many_downloads_refuses_one_more() {
    let mut s = Scene::with(|cfg| {
        cfg.enrp.max_table_sessions = 1;
        cfg.enrp.max_table_elements = 1;
    });
    let (a, b) = (s.peer(1), s.peer(2));
    s.registered(7);
    s.registered(8);
    s.out();
    assert!(matches!(&s.answers(a, &table_request(1, false))[..], [EnrpMessage::HandleTableResponse { reject: false, more: true, .. }]));
    let refused = s.answers(b, &table_request(2, false));
    assert!(matches!(&refused[..], [EnrpMessage::HandleTableResponse { reject: true, pools, .. }] if pools.is_empty()), "{refused:?}");
}

/// RFC 5353 rows: 3.2.2.2-4, 3.4-1.
#[test]
fn a_mentor_lists_all_registrars_that_live() {
    let mut s = Scene::new();
    let links = [1, 2, 3].map(|id| (id, s.peer(id)));
    let listed = |s: &mut Scene| match &s.answers(links[0].1, &list_request(1))[..] {
        [EnrpMessage::ListResponse { reject: false, servers, .. }] => servers.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(listed(&mut s), [server(2), server(3)]);
    // One falls silent and is no longer listed once it is dead.
    s.pass_with(12_000, &links[..2]);
    assert_eq!(listed(&mut s), [server(2)]);
}

/// The elements of a table that is asked for until the end, part by part, and how many parts it took.
fn download(s: &mut Scene, a: AssocKey, own_only: bool) -> (Vec<u32>, usize) {
    let (mut ids, mut parts) = (Vec::new(), 0);
    loop {
        let answers = s.answers(a, &table_request(1, own_only));
        let [EnrpMessage::HandleTableResponse { reject: false, more, pools, .. }] = &answers[..] else { panic!("{answers:?}") };
        assert!(pools.iter().all(|(h, elements)| *h == handle(ECHO) && !elements.is_empty()));
        ids.extend(pools.iter().flat_map(|(_, elements)| elements.iter().map(|e| e.id.0)));
        parts += 1;
        if !more {
            ids.sort_unstable();
            return (ids, parts);
        }
    }
}

/// RFC 5353 rows: 3.2.3-3, 3.2.3-4, 3.2.3-5, 3.2.3-6, 3.2.3-7.
#[test]
fn a_table_comes_in_parts_and_the_last_one_says_so() {
    let mut s = Scene::with(|cfg| cfg.enrp.max_table_elements = 2);
    let a = s.peer(1);
    for id in 7..12 {
        s.registered(id);
    }
    // After the last part the next request begins anew.
    for _ in 0..2 {
        assert_eq!(download(&mut s, a, false), ((7..12).collect(), 3));
    }
}

/// RFC 5353 rows: 3.2.3-20, 3.2.3-21.
#[test]
fn a_download_that_is_not_gone_on_with_is_forgotten() {
    let mut s = Scene::with(|cfg| cfg.enrp.max_table_elements = 2);
    let a = s.peer(1);
    for id in 7..12 {
        s.registered(id);
    }
    let part = |s: &mut Scene| match &s.answers(a, &table_request(1, false))[..] {
        [EnrpMessage::HandleTableResponse { pools, .. }] => pools.iter().flat_map(|(_, e)| e.iter().map(|e| e.id.0)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let first = part(&mut s);
    s.pass_with(4_000, &[(1, a)]);
    let second = part(&mut s);
    assert_ne!(first, second, "it goes on");
    s.pass_with(5_000, &[(1, a)]);
    assert_eq!(part(&mut s), first, "from the beginning");
}

/// RFC 5353 rows: 2.3-3.
#[test]
fn a_registrar_without_elements_has_nothing_to_list() {
    let mut s = Scene::new();
    let a = s.peer(1);
    let answers = s.answers(a, &table_request(1, false));
    assert!(matches!(&answers[..], [EnrpMessage::HandleTableResponse { reject: false, more: false, pools, .. }] if pools.is_empty()));
    s.registered(7);
    assert_eq!(download(&mut s, a, false), (vec![7], 1));
    assert!(!s.events.iter().any(|e| matches!(e, RegistrarEvent::Limited { .. })));
    s.r.handle(s.now, Input::Lost { assoc: a, aborted: false });
}
