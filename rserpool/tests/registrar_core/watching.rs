//! Keep-alives, unreachable reports, lost associations, contended identifiers.

use core::time::Duration;

use rserpool::registrar::{CloseHow, Input, RegistrarEvent, RemovalReason};
use rserpool::wire::{AsapMessage, CauseCode, ElementId};

use crate::bed::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// RFC 5352 rows: 3.5-9.
#[test]
fn an_element_that_answers_stays() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    for round in 1..=20 {
        let out = bed.pass(ms(5_000));
        assert_eq!(out, [(round * 5_000, Out::Said(pe, keep_alive(ECHO, 1)))]);
        assert_eq!(bed.say(pe, &ack(ECHO, 1)), []);
    }
    assert_eq!(bed.resolve(pe, ECHO, None), [1]);
}

/// RFC 5352 rows: 3.5-12, 3.5-13.
#[test]
fn a_silent_element_is_asked_three_times() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let asked = |t| (t, Out::Said(pe, keep_alive(ECHO, 1)));
    let out = bed.pass(ms(60_000));
    // Period 5 s, time-out 5 s, two repetitions 1 s apart; then the association, of no use any more, is aborted.
    assert_eq!(out, [asked(5_000), asked(10_000), asked(11_000), (12_000, Out::Close(pe, CloseHow::Abort))]);
    assert_eq!(bed.removed(), [(12_000, 1, RemovalReason::KeepAliveTimeout)]);
    assert_eq!(bed.r.association_count(), 0);
    // An answer to the last repetition would have been in time.
    let pe = bed.registered(ECHO, 2, 1);
    bed.pass(ms(11_900));
    bed.say(pe, &ack(ECHO, 2));
    assert_eq!(bed.resolve(pe, ECHO, None), [2]);
}

#[test]
fn elements_on_one_association_are_watched_one_by_one() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    assert_eq!(bed.ask(pe, &registration(ECHO, element(2, 1))), accepted(ECHO, 2));
    assert_eq!(bed.ask(pe, &registration("Other", element(1, 1))), accepted("Other", 1));
    for _ in 0..200 {
        for (_, out) in bed.pass(ms(100)) {
            match out {
                Out::Said(to, AsapMessage::KeepAlive { handle, id: Some(id), .. }) if id == ElementId(1) => {
                    bed.say(to, &AsapMessage::KeepAliveAck { handle, id });
                }
                Out::Said(_, AsapMessage::KeepAlive { id: Some(ElementId(2)), .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(bed.removed().iter().map(|r| r.1).collect::<Vec<_>>(), [2]);
    assert_eq!(bed.r.association_count(), 1);
    assert_eq!(bed.r.handlespace().element_count(), 2);
}

/// RFC 5352 rows: 3.5-14.
#[test]
fn periods_are_spread() {
    let mut bed = Bed::with(|cfg| cfg.keep_alive.spread_percent = 50);
    let mut times = Vec::new();
    for id in 1..=50 {
        bed.registered(ECHO, id, id.try_into().unwrap());
    }
    times.extend(bed.pass(ms(7_500)).iter().filter(|(_, o)| matches!(o, Out::Said(..))).map(|(t, _)| *t));
    assert_eq!(times.len(), 50);
    assert!(times.iter().all(|t| (2_500..=7_500).contains(t)), "{times:?}");
    for quarter in 0..4 {
        let range = 2_500 + quarter * 1_250..2_500 + (quarter + 1) * 1_250;
        assert!(times.iter().filter(|t| range.contains(*t)).count() >= 4, "{times:?}");
    }
}

#[test]
fn short_periods_for_the_impatient() {
    let mut bed = Bed::with(|cfg| {
        cfg.keep_alive.period = ms(300);
        cfg.keep_alive.timeout = ms(300);
        cfg.keep_alive.retry_interval = ms(100);
    });
    bed.registered(ECHO, 1, 1);
    bed.pass(ms(10_000));
    assert_eq!(bed.removed(), [(800, 1, RemovalReason::KeepAliveTimeout)]);
}

/// RFC 5352 rows: 3.5-5, 3.5-6, 3.5-7, 3.5-8.
#[test]
fn a_report_is_checked_at_once() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let pu = bed.client(9);
    bed.pass_quietly(1_000);
    let asked = Out::Said(pe, keep_alive(ECHO, 1));
    assert_eq!(bed.say(pu, &unreachable(ECHO, 1)), std::slice::from_ref(&asked));
    assert_eq!(bed.say(pu, &unreachable(ECHO, 1)), [], "one outstanding");
    bed.say(pe, &ack(ECHO, 1));
    assert_eq!(bed.say(pu, &unreachable(ECHO, 1)), [], "one per second");
    bed.pass_quietly(1_000);
    assert_eq!(bed.say(pu, &unreachable(ECHO, 1)), std::slice::from_ref(&asked));
    // No answer this time: an element of another host has 2 s, then as always.
    assert_eq!(bed.pass(ms(1_999)), []);
    let out = bed.pass(ms(3_000));
    assert_eq!(out, [(4_000, asked.clone()), (5_000, asked), (6_000, Out::Close(pe, CloseHow::Abort))]);
    assert_eq!(bed.removed(), [(6_000, 1, RemovalReason::KeepAliveTimeout)]);
    assert_eq!(bed.say(pu, &unreachable(ECHO, 1)), [], "about nobody");
}

/// RFC 5352 rows: 3.5-10, 3.5-11.
#[test]
fn reports_of_more_than_three_remove_an_element_that_answers() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let users: Vec<_> = (10..15).map(|host| bed.client(host)).collect();
    let report = |bed: &mut Bed, user: usize| {
        for o in bed.say(users[user], &unreachable(ECHO, 1)) {
            assert_eq!(o, Out::Said(pe, keep_alive(ECHO, 1)));
            bed.say(pe, &ack(ECHO, 1));
        }
        bed.r.handlespace().element_count()
    };
    // Three users, however often, are not more than three; after a minute all is forgotten.
    for _ in 0..5 {
        assert_eq!([0, 1, 2].map(|user| report(&mut bed, user)), [1; 3]);
    }
    for _ in 0..14 {
        for (_, o) in bed.pass(ms(5_000)) {
            assert_eq!(o, Out::Said(pe, keep_alive(ECHO, 1)));
            bed.say(pe, &ack(ECHO, 1));
        }
    }
    assert_eq!([3, 4, 0].map(|user| report(&mut bed, user)), [1; 3]);
    assert_eq!(report(&mut bed, 1), 0);
    assert_eq!(bed.removed(), [(70_000, 1, RemovalReason::Reported)]);
}

#[test]
fn a_dead_process_takes_its_elements_along() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.registered(ECHO, 2, 2);
    bed.say(pe, &registration("Other", element(3, 1)));
    assert_eq!(bed.lose(pe, true), []);
    assert_eq!(bed.removed(), [(0, 1, RemovalReason::ProcessDied), (0, 3, RemovalReason::ProcessDied)]);
    assert_eq!(bed.r.handlespace().element_count(), 1);
    let mut bed = Bed::with(|cfg| cfg.remove_on_loss = true);
    let pe = bed.registered(ECHO, 1, 1);
    assert_eq!(bed.lose(pe, false), []);
    assert_eq!(bed.removed(), [(0, 1, RemovalReason::AssociationLost)]);
}

#[test]
fn a_lost_association_is_replaced() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.say(pe, &registration(ECHO, element(2, 1)));
    bed.pass_quietly(1_000);
    let out = bed.lose(pe, false);
    let [Out::Connect(token, addrs)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(addrs[..], ["10.0.0.1:50000".parse().unwrap()]);
    bed.pass_quietly(700);
    // Meanwhile the elements are still there.
    let pu = bed.client(9);
    assert_eq!(bed.resolve(pu, ECHO, None).len(), 2);
    let again = bed.client_at(&["10.0.0.1:50000"], Some(*token));
    assert_eq!(bed.out(), [Out::Said(again, keep_alive(ECHO, 1)), Out::Said(again, keep_alive(ECHO, 2))]);
    // The first answers, the second does not within the 2 s that it had to be reached.
    bed.pass_quietly(300);
    bed.say(again, &ack(ECHO, 1));
    bed.pass_quietly(1_000);
    assert_eq!(bed.removed(), [(3_000, 2, RemovalReason::AssociationLost)]);
    // The first is watched over the new association.
    assert_eq!(bed.pass(ms(4_000)), [(7_000, Out::Said(again, keep_alive(ECHO, 1)))]);
}

#[test]
fn nobody_at_the_other_end() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let out = bed.lose(pe, false);
    let [Out::Connect(token, _)] = &out[..] else { panic!("{out:?}") };
    bed.pass_quietly(100);
    bed.r.handle(bed.now, Input::ConnectFailed { token: *token });
    assert_eq!(bed.out(), []);
    assert_eq!(bed.removed(), [(100, 1, RemovalReason::AssociationLost)]);
    // On the own host half a second of silence is enough; the association that comes too late is not kept.
    bed.r.handle(bed.now, Input::Addresses(&["10.0.0.2".parse().unwrap()]));
    let pe = bed.registered(ECHO, 2, 2);
    let out = bed.lose(pe, false);
    let [Out::Connect(token, _)] = &out[..] else { panic!("{out:?}") };
    bed.pass_quietly(1_000);
    assert_eq!(bed.removed().last(), Some(&(600, 2, RemovalReason::AssociationLost)));
    let late = bed.client_at(&["10.0.0.2:50000"], Some(*token));
    assert_eq!(bed.out(), [Out::Close(late, CloseHow::Shutdown)]);
}

#[test]
fn an_element_comes_back_by_itself() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.lose(pe, false);
    // It opens an association from the same port: it is asked there.
    let again = bed.client(1);
    assert_eq!(bed.out(), [Out::Said(again, keep_alive(ECHO, 1))]);
    bed.say(again, &ack(ECHO, 1));
    bed.pass_quietly(3_000);
    // It registers anew from another port.
    bed.lose(again, false);
    let other = bed.client_at(&["10.0.0.1:50001"], None);
    assert_eq!(bed.out(), []);
    assert_eq!(bed.ask(other, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    bed.pass_quietly(4_000);
    assert_eq!(bed.removed(), []);
    // The loss of an association that it has left does not concern it.
    let third = bed.client(1);
    assert_eq!(bed.lose(third, true), []);
    assert_eq!(bed.r.handlespace().element_count(), 1);
}

#[test]
fn a_restarted_peer_is_asked() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.say(pe, &registration(ECHO, element(2, 1)));
    bed.r.handle(bed.now, Input::Restarted { assoc: pe });
    assert_eq!(bed.out(), [Out::Said(pe, keep_alive(ECHO, 1)), Out::Said(pe, keep_alive(ECHO, 2))]);
    // One registers anew, which is as good as an answer; the other is unknown to the new process.
    assert_eq!(bed.ask(pe, &registration(ECHO, element(1, 1))), accepted(ECHO, 1));
    bed.pass_quietly(3_000);
    assert_eq!(bed.removed(), [(2_000, 2, RemovalReason::ProcessDied)]);
}

/// RFC 5352 rows: 3.1-24.
#[test]
fn an_identifier_belongs_to_who_answers() {
    let mut bed = Bed::new();
    let holder = bed.registered(ECHO, 1, 1);
    let thief = bed.client(2);
    assert_eq!(bed.say(thief, &registration(ECHO, element(1, 2))), [Out::Said(holder, keep_alive(ECHO, 1))]);
    // Answers come in the order of the requests: the resolution waits.
    assert_eq!(bed.say(thief, &resolution(ECHO, None)), []);
    let out = bed.say(holder, &ack(ECHO, 1));
    let error = Some(CauseCode::NON_UNIQUE_ELEMENT_ID.into());
    let refused = AsapMessage::RegistrationResponse { reject: true, handle: handle(ECHO), id: ElementId(1), error };
    assert_eq!(out[0], Out::Said(thief, refused.clone()));
    assert!(
        matches!(&out[1], Out::Said(to, AsapMessage::HandleResolutionResponse { elements, .. }) if *to == thief && elements.len() == 1)
    );
    assert_eq!(out.len(), 2);

    // Without an answer it changes hands. A second one that wants it meanwhile is refused at once.
    bed.say(thief, &registration(ECHO, element(1, 2)));
    let third = bed.client(3);
    assert_eq!(bed.say(third, &registration(ECHO, element(1, 3))), [Out::Said(third, refused)]);
    let out = bed.pass(ms(2_000));
    assert_eq!(out, [(2_000, Out::Close(holder, CloseHow::Abort)), (2_000, Out::Said(thief, accepted(ECHO, 1)))]);
    let key = bed.r.handlespace().find(&handle(ECHO), ElementId(1)).unwrap();
    assert_eq!(bed.r.handlespace().element(key).unwrap().user(), element(1, 2).user);

    // Who wanted it and went is forgotten.
    let holder = thief;
    let thief = bed.client(4);
    assert_eq!(bed.say(thief, &registration(ECHO, element(1, 4))), [Out::Said(holder, keep_alive(ECHO, 1))]);
    assert_eq!(bed.lose(thief, true), []);
    assert_eq!(bed.say(holder, &ack(ECHO, 1)), []);
    assert_eq!(bed.r.handlespace().element_count(), 1);

    // Unless nobody cares.
    let mut bed = Bed::with(|cfg| cfg.id_check = false);
    bed.registered(ECHO, 1, 1);
    bed.registered(ECHO, 1, 2);
}

#[test]
fn a_silent_element_that_wakes_up_is_told_by_the_abort() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    bed.pass(ms(12_000));
    // Acknowledgements that come too late are those of a stranger.
    assert_eq!(bed.say(pe, &ack(ECHO, 1)), []);
    assert_eq!(bed.registered(ECHO, 1, 1).0, pe.0 + 1);
    let kinds: Vec<_> = bed.events.iter().filter(|(_, e)| matches!(e, RegistrarEvent::Registered { .. })).collect();
    assert_eq!(kinds.len(), 2);
}

#[test]
fn a_registrar_that_stops_looks_for_nobody() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let pu = bed.client(2);
    bed.r.stop();
    assert_eq!(bed.out(), [Out::Close(pe, CloseHow::Shutdown), Out::Close(pu, CloseHow::Shutdown)]);
    assert_eq!((bed.lose(pe, false), bed.lose(pu, false)), (vec![], vec![]));
    let late = bed.client(3);
    assert_eq!(bed.out(), [Out::Close(late, CloseHow::Abort)]);
    assert_eq!(bed.r.association_count(), 0);
    bed.pass_quietly(60_000);
    assert_eq!(bed.r.poll_timeout(), None);
}

/// Each association waits for the identifier that the one before holds, with its own deregistration behind: one answer
/// decides them all, one after the other, however many there are.
#[test]
fn a_chain_of_contenders_is_no_chain_of_calls() {
    const LENGTH: u32 = 3_000;
    let mut bed = Bed::new();
    let mut chain = Vec::new();
    for id in 1..=LENGTH {
        let assoc = bed.client_at(&[&format!("10.0.0.1:{}", 20_000 + id)], None);
        assert_eq!(bed.ask(assoc, &registration(ECHO, element(id, 1))), accepted(ECHO, id));
        chain.push(assoc);
    }
    let first = chain[0];
    for (id, assoc) in (1_u32..).zip(chain.iter().skip(1)) {
        bed.say(*assoc, &registration(ECHO, element(id, 1)));
        bed.say(*assoc, &AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(id + 1) });
    }
    bed.say(first, &AsapMessage::Deregistration { handle: handle(ECHO), id: ElementId(1) });
    assert_eq!(bed.r.handlespace().element_count(), usize::try_from(LENGTH - 1).unwrap());
}

/// An element that ends every association by which it is asked does not keep the registrar busy: it had its chance.
#[test]
fn an_element_that_hangs_up_when_it_is_asked_is_removed() {
    let mut bed = Bed::new();
    let pe = bed.registered(ECHO, 1, 1);
    let out = bed.lose(pe, false);
    let [Out::Connect(token, _)] = out.as_slice() else { panic!("{out:?}") };
    let again = bed.client_at(&["10.1.1.1:50000"], Some(*token));
    assert_eq!(bed.out(), [Out::Said(again, keep_alive(ECHO, 1))]);
    assert_eq!(bed.lose(again, false), []);
    assert_eq!(bed.r.handlespace().element_count(), 0);
}
