//! Checksums, and putting right what differs.

use rserpool::registrar::AssocKey;
use rserpool::wire::{AsapMessage, ElementId, EnrpMessage, Life, PoolElement, RegistrarId, UpdateAction};

use crate::bed::{ECHO, handle};
use crate::scene::*;

/// The Internet checksum (RFC 1071) over the blocks of these elements of the pool: handle, padded with zeros, and identifier.
fn checksum(ids: &[u32]) -> u16 {
    let mut sum = 0_u64;
    for id in ids {
        let mut block = ECHO.as_bytes().to_vec();
        block.resize(block.len().next_multiple_of(4), 0);
        block.extend(id.to_be_bytes());
        sum += block.chunks(2).map(|w| u64::from(u16::from_be_bytes([w[0], w[1]]))).sum::<u64>();
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Whether exactly the peer's own elements are asked for, and nothing else.
fn asks_for_own(messages: &[EnrpMessage]) -> bool {
    matches!(messages, [EnrpMessage::HandleTableRequest { sender: ME, own_only: true, .. }])
}

fn told(s: &mut Scene, a: AssocKey, theirs: u16) -> Option<u16> {
    match &s.answers(a, &presence(1, true, theirs))[..] {
        [EnrpMessage::Presence { checksum, .. }] => *checksum,
        other => panic!("{other:?}"),
    }
}

/// RFC 5353 rows: 3.6.2-2, 3.6.2-3, 3.6.2-4.
#[test]
fn the_own_checksum_is_that_of_rfc_1071_and_follows_each_change() {
    let mut s = Scene::new();
    let a = s.peer(1);
    assert_eq!(told(&mut s, a, NOTHING), Some(checksum(&[])));
    let clients: Vec<AssocKey> = (7..10).map(|id| s.registered(id)).collect();
    assert_eq!(told(&mut s, a, NOTHING), Some(checksum(&[7, 8, 9])));
    // What is a peer's does not count, also if it was our own.
    s.say(a, &update(1, UpdateAction::Add, owned(11, 1)));
    assert_eq!(told(&mut s, a, checksum(&[11])), Some(checksum(&[7, 8, 9])));
    s.ask(clients[1], &AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(8) });
    assert_eq!(told(&mut s, a, checksum(&[11])), Some(checksum(&[7, 9])));
}

/// RFC 5353 rows: 3.6-1, 3.6.1-1, 3.6.1-3, 3.6.1-4, 3.6.2-1.
#[test]
fn a_peers_checksum_is_compared_with_the_one_kept_for_it() {
    let mut s = Scene::new();
    let (a, b) = (s.peer_with(1, &[7, 8]), s.peer_with(90, &[9]));
    s.registered(11);
    s.out();
    let say = |s: &mut Scene, a, id, theirs| s.answers(a, &presence(id, false, theirs));
    assert_eq!(say(&mut s, a, 1, checksum(&[7, 8])), []);
    assert_eq!(say(&mut s, b, 90, checksum(&[9])), []);
    assert!(asks_for_own(&say(&mut s, b, 90, checksum(&[7, 8]))));
    assert!(asks_for_own(&say(&mut s, a, 1, checksum(&[7]))));
}

/// RFC 5353 rows: 3.6.1-5, 3.6.3-1, 3.6.3-3.
#[test]
fn what_differs_is_asked_for_at_once() {
    let mut s = Scene::new();
    let a = s.peer_with(1, &[7]);
    assert!(asks_for_own(&s.answers(a, &presence(1, false, checksum(&[7, 8])))));
    s.say(a, &table(1, false, vec![owned(7, 1), owned(8, 1)]));
    assert_eq!(s.answers(a, &presence(1, false, checksum(&[7, 8]))), []);
    // Who has just started and says that it owns nothing gets the time of one more presence to learn what it owned.
    assert_eq!(s.answers(a, &presence(1, false, NOTHING)), []);
    assert!(asks_for_own(&s.answers(a, &presence(1, false, NOTHING))));
}

/// RFC 5353 rows: 3.6.3-4.
#[test]
fn what_a_registrar_owns_is_listed_at_once() {
    let mut s = Scene::new();
    let a = s.peer(1);
    s.say(a, &update(1, UpdateAction::Add, owned(7, 1)));
    s.registered(8);
    s.registered(9);
    let listed = |s: &mut Scene, own_only| match &s.answers(a, &table_request(1, own_only))[..] {
        [EnrpMessage::HandleTableResponse { sender: ME, reject: false, more: false, pools, .. }] => {
            pools.iter().flat_map(|(_, elements)| elements.iter().map(|e| (e.id.0, e.home.0))).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(listed(&mut s, true), [(8, ME.0), (9, ME.0)]);
    let mut all = listed(&mut s, false);
    all.sort_unstable();
    assert_eq!(all, [(7, 1), (8, ME.0), (9, ME.0)]);
}

/// Of four elements of a peer its table in two parts has two, one of them changed, and a fifth: the others go.
///
/// RFC 5353 rows: 3.6.3-2, 3.6.3-5, 3.6.3-6, 3.6.3-7, 3.6.3-8.
#[test]
fn elements_that_are_no_longer_listed_are_removed() {
    let mut s = Scene::new();
    let (a, b) = (s.peer_with(1, &[7, 8, 9, 10]), s.peer_with(90, &[12]));
    s.registered(13);
    s.out();
    let theirs = checksum(&[8, 10, 11]);
    assert!(asks_for_own(&s.answers(a, &presence(1, false, theirs))));
    let changed = PoolElement { life: Life(55_000), ..owned(8, 1) };
    assert!(asks_for_own(&s.answers(a, &table(1, true, vec![changed.clone(), owned(11, 1)]))));
    assert_eq!([7, 8, 9, 10, 11].map(|id| s.home_of(id)), [Some(1); 5], "not before the end");
    let out = s.say(a, &table(1, false, vec![owned(10, 1)]));
    assert_eq!([7, 8, 9, 10, 11].map(|id| s.home_of(id)), [None, Some(1), None, Some(1), Some(1)]);
    assert_eq!(s.known(8), Some(changed));
    assert_eq!((s.home_of(12), s.home_of(13)), (Some(90), Some(ME.0)), "others are none of its business");
    assert_eq!(to(b, out), [], "silently");
    assert_eq!(s.r.handlespace().checksum(RegistrarId(1)), theirs);
}
