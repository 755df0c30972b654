//! Updates for those who asked for them (RFC 5352 sections 2.2.5 and 2.2.6).

use core::time::Duration;

use rserpool::registrar::{AssocKey, CloseHow, RefusalReason};
use rserpool::wire::{AsapMessage, CauseCode, ElementId, PolicyParam, PoolElement};

use crate::bed::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn subscription(pool: &str, items: Option<u32>) -> AsapMessage {
    AsapMessage::HandleResolution { subscribe: true, handle: handle(pool), items }
}

fn leave(pool: &str, id: u32) -> AsapMessage {
    AsapMessage::Deregistration { handle: handle(pool), id: ElementId(id) }
}

/// The A flag and the identifiers, in order, of a positive answer.
#[track_caller]
fn named(m: &AsapMessage) -> (bool, Vec<u32>) {
    let AsapMessage::HandleResolutionResponse { subscribed, elements, error: None, .. } = m else { panic!("{m}") };
    let mut ids: Vec<u32> = elements.iter().map(|e| e.id.0).collect();
    ids.sort_unstable();
    (*subscribed, ids)
}

/// The updates that come out in the next `span` ms: when, to whom, the A flag and whom they name; elements live.
fn updates(bed: &mut Bed, span: u64) -> Vec<(u64, AssocKey, bool, Vec<u32>)> {
    let mut all = Vec::new();
    let until = bed.now + ms(span);
    loop {
        // In small steps, so that keep-alives are answered at their time.
        for (t, o) in bed.pass(ms(10)) {
            match o {
                Out::Said(to, AsapMessage::KeepAlive { handle, id: Some(id), .. }) => {
                    bed.say(to, &AsapMessage::KeepAliveAck { handle, id });
                }
                Out::Said(to, m) => {
                    let (flag, ids) = named(&m);
                    all.push((t, to, flag, ids));
                }
                other => panic!("{other:?}"),
            }
        }
        if bed.now >= until {
            return all;
        }
    }
}

/// The S flag asks for updates, the A flag promises them, and each change of the pool brings one.
///
/// RFC 5352 section 2.2.5, the 'S' bit.
#[test]
fn a_subscriber_is_told_about_changes() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let (subscriber, other) = (bed.client(8), bed.client(9));
    assert_eq!(named(&bed.ask(subscriber, &subscription(ECHO, None))), (true, vec![1]));
    assert_eq!(named(&bed.ask(other, &resolution(ECHO, None))), (false, vec![1]), "no flag for who did not ask");
    assert_eq!(bed.r.statistics().subscriptions, 1);
    // One joins.
    let second = bed.registered(ECHO, 2, 2);
    assert_eq!(updates(&mut bed, 2_000), [(0, subscriber, true, vec![1, 2])]);
    // One leaves.
    bed.say(second, &leave(ECHO, 2));
    assert_eq!(updates(&mut bed, 2_000), [(2_000, subscriber, true, vec![1])]);
    // One dies.
    let third = bed.registered(ECHO, 3, 3);
    assert_eq!(updates(&mut bed, 2_000), [(4_000, subscriber, true, vec![1, 3])]);
    bed.lose(third, true);
    assert_eq!(updates(&mut bed, 2_000), [(6_000, subscriber, true, vec![1])]);
    // A registration that says the same again is no change, neither is another pool's.
    assert_eq!(bed.ask(pe, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    bed.registered("Other", 7, 7);
    assert_eq!(updates(&mut bed, 20_000), []);
}

/// Policy values are information about the pool's elements as well: a new load is told, by the pool's order.
#[test]
fn new_policy_values_are_a_change() {
    let mut bed = Bed::new();
    let loaded = |id, load| PoolElement { policy: PolicyParam::LeastUsed { load }, ..element(id, 1) };
    let pe = bed.client(1);
    for id in 1..=3 {
        assert_eq!(bed.ask(pe, &registration(ECHO, loaded(id, 10 * id))), accepted(ECHO, id));
    }
    let subscriber = bed.client(8);
    assert_eq!(named(&bed.ask(subscriber, &subscription(ECHO, Some(1)))), (true, vec![1]));
    bed.say(pe, &registration(ECHO, loaded(1, 99)));
    assert_eq!(updates(&mut bed, 100), [(0, subscriber, true, vec![2])], "as many as were asked for");
    // Who subscribes again may ask for another number.
    assert_eq!(named(&bed.ask(subscriber, &subscription(ECHO, Some(2)))), (true, vec![2, 3]));
    assert_eq!(bed.r.statistics().subscriptions, 1);
    bed.say(pe, &registration(ECHO, loaded(2, 98)));
    assert_eq!(updates(&mut bed, 1_500), [(1_000, subscriber, true, vec![2, 3])]);
}

/// However often a pool changes, a subscriber gets one update in an interval, and the last state in the end.
#[test]
fn changes_are_collected() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let subscriber = bed.client(8);
    bed.ask(subscriber, &subscription(ECHO, Some(u32::MAX)));
    let mut got = Vec::new();
    for id in 2..=100 {
        assert_eq!(bed.ask(pe, &registration(ECHO, element(id, 1))), accepted(ECHO, id));
        got.extend(updates(&mut bed, 30));
    }
    got.extend(updates(&mut bed, 3_000));
    let times: Vec<u64> = got.iter().map(|(t, ..)| *t).collect();
    assert_eq!(times, [0, 1_000, 2_000, 3_000]);
    assert_eq!(got[3].3, (1..=100).collect::<Vec<u32>>());
}

/// The pool ceases: the subscriber is told by an error, and one of the same name is another pool.
///
/// RFC 5352 section 2.2.5: no further updates after a negative response.
#[test]
fn the_end_of_the_pool_ends_the_subscription() {
    let mut bed = Bed::new();
    let subscriber = bed.client(8);
    // There is nothing to subscribe to yet, and that is not kept in mind.
    assert_eq!(bed.ask(subscriber, &subscription(ECHO, None)), unknown_pool(ECHO));
    let pe = bed.registered(ECHO, 1, 1);
    bed.pass_quietly(2_000);
    bed.ask(subscriber, &subscription(ECHO, None));
    bed.say(pe, &leave(ECHO, 1));
    assert_eq!(bed.pass(ms(10)), [(2_000, Out::Said(subscriber, unknown_pool(ECHO)))]);
    assert_eq!(bed.r.statistics().subscriptions, 0);
    assert_eq!(bed.ask(pe, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    bed.pass_quietly(3_000);
}

/// "For the lifetime of the SCTP association": not longer, and the association is not idle meanwhile.
///
/// RFC 5352 section 2.2.5, the 'S' bit.
#[test]
fn the_end_of_the_association_ends_the_subscription() {
    let mut bed = Bed::with(|cfg| cfg.idle_timeout = Some(Duration::from_secs(5)));
    bed.registered(ECHO, 1, 1);
    let subscriber = bed.client(8);
    bed.ask(subscriber, &subscription(ECHO, None));
    let user = bed.client(9);
    for step in 0..40_u64 {
        for (_, o) in bed.pass(ms(500)) {
            match o {
                Out::Said(to, AsapMessage::KeepAlive { handle, id: Some(id), .. }) => {
                    bed.say(to, &AsapMessage::KeepAliveAck { handle, id });
                }
                Out::Close(assoc, how) => assert_eq!((assoc, how, step), (user, CloseHow::Shutdown, 9)),
                other => panic!("{other:?}"),
            }
        }
    }
    bed.lose(subscriber, false);
    assert_eq!(bed.r.statistics().subscriptions, 0);
    bed.registered(ECHO, 2, 2);
    assert_eq!(updates(&mut bed, 2_000), []);
}

/// An element that this subscriber cannot reach is not named to it; if no other is left, the pool is gone for it.
#[test]
fn updates_name_what_is_of_use_to_the_subscriber() {
    let mut bed = Bed::new();
    let on_loopback = |id| PoolElement {
        user: rserpool::wire::Transport::sctp(1, rserpool::wire::TransportUse::DATA, ["127.0.0.1".parse().unwrap()]),
        ..element(id, 1)
    };
    let local = bed.client_at(&["127.0.0.1:50000"], None);
    assert_eq!(bed.ask(local, &registration(ECHO, on_loopback(1))), accepted(ECHO, 1));
    let pe = bed.registered(ECHO, 2, 2);
    let subscriber = bed.client(8);
    assert_eq!(named(&bed.ask(subscriber, &subscription(ECHO, None))), (true, vec![2]));
    bed.say(pe, &leave(ECHO, 2));
    assert_eq!(bed.pass(ms(10)), [(0, Out::Said(subscriber, unknown_pool(ECHO)))]);
}

/// There is a bound per pool, per association and in all; beyond, the answer says that there will be no updates.
///
/// RFC 5352 section 2.2.6: the A flag is 0 if the registrar "has resource issues".
#[test]
fn subscriptions_are_bounded() {
    let mut bed = Bed::with(|cfg| {
        cfg.subscriptions.per_pool = 2;
        cfg.subscriptions.per_association = 2;
        cfg.subscriptions.total = 4;
    });
    for (n, pool) in (1..).zip(["A", "B", "C", "D"]) {
        bed.registered(pool, n, n.try_into().unwrap());
    }
    let clients: Vec<AssocKey> = (11..15).map(|host| bed.client(host)).collect();
    let mut accepted = |nth: usize, pool: &str| named(&bed.ask(clients[nth], &subscription(pool, None))).0;
    assert_eq!([accepted(0, "A"), accepted(1, "A"), accepted(2, "A")], [true, true, false], "of one pool");
    assert!(accepted(1, "A"), "again is not another one");
    assert_eq!([accepted(0, "B"), accepted(0, "C")], [true, false], "of one association");
    assert_eq!([accepted(2, "C"), accepted(3, "D")], [true, false], "in all");
    let stats = bed.r.statistics();
    assert_eq!((stats.subscriptions, stats.refused(RefusalReason::Subscriptions)), (4, 3));
    // Somebody makes room.
    bed.lose(clients[0], false);
    assert!(named(&bed.ask(clients[3], &subscription("D", None))).0);
    // Off.
    let mut bed = Bed::with(|cfg| cfg.subscriptions.per_pool = 0);
    let pe = bed.registered(ECHO, 1, 1);
    assert_eq!(named(&bed.ask(pe, &subscription(ECHO, None))), (false, vec![1]));
}

/// A thousand subscribers are not told in one go, but all are told, once.
#[test]
fn many_subscribers_are_served_in_batches() {
    let mut bed = Bed::new();
    bed.registered(ECHO, 1, 1);
    let clients: Vec<AssocKey> = (0..1_000).map(|n| bed.client_at(&[&format!("10.0.9.9:{}", 1_000 + n)], None)).collect();
    for c in &clients {
        bed.ask(*c, &subscription(ECHO, None));
    }
    bed.registered(ECHO, 2, 2);
    let out = bed.pass(ms(900));
    let told: Vec<AssocKey> = out.iter().map(|(_, o)| if let Out::Said(to, _) = o { *to } else { panic!("{o:?}") }).collect();
    assert_eq!(told, clients);
    let most = out.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max();
    assert!(most <= Some(64), "{most:?}");
}

/// A refusal is no subscription.
#[test]
fn who_may_not_resolve_may_not_subscribe() {
    let mut bed = Bed::with(|cfg| {
        cfg.access.users.push("10.0.0.9/32".parse().unwrap());
    });
    bed.registered(ECHO, 1, 1);
    let stranger = bed.client(8);
    let AsapMessage::HandleResolutionResponse { subscribed: false, error: Some(e), .. } = bed.ask(stranger, &subscription(ECHO, None))
    else {
        panic!()
    };
    assert_eq!(e.code(), CauseCode::SECURITY);
    assert_eq!(bed.r.statistics().subscriptions, 0);
}
