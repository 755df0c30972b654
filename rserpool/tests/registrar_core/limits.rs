//! Floods stay bounded, and no sequence of inputs brings the registrar into disorder.

use core::time::Duration;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use rserpool::handlespace::Limits;
use rserpool::registrar::config::Rate;
use rserpool::registrar::{AssocKey, CloseHow, ConnectToken, Input};
use rserpool::wire::{ASAP_PPID, AsapMessage, CauseCode, ElementId, EncodeOptions, Life, PoolElement};

use crate::bed::*;

#[test]
fn rate_of_requests() {
    let mut bed = Bed::with(|cfg| cfg.rate = Rate { per_second: 10, burst: 5 });
    let pe = bed.registered(ECHO, 1, 1);
    let served = (0..100)
        .filter(|_| matches!(bed.ask(pe, &resolution(ECHO, None)), AsapMessage::HandleResolutionResponse { error: None, .. }))
        .count();
    assert_eq!(served, 4);
    let refusal = bed.ask(pe, &resolution(ECHO, None));
    assert!(matches!(refusal, AsapMessage::HandleResolutionResponse { error: Some(e), .. } if e.code() == CauseCode::LACK_OF_RESOURCES));
    let refusal = bed.ask(pe, &registration(ECHO, element(2, 1)));
    assert!(
        matches!(refusal, AsapMessage::RegistrationResponse { reject: true, error: Some(e), .. } if e.code() == CauseCode::LACK_OF_RESOURCES)
    );
    assert_eq!(bed.say_bytes(pe, b"\x7f"), [], "not even errors");
    // Others are served, and what we asked for ourselves is heard.
    let pu = bed.client(2);
    assert_eq!(bed.resolve(pu, ECHO, None), [1]);
    bed.say(pu, &unreachable(ECHO, 1));
    bed.say(pe, &ack(ECHO, 1));
    bed.pass(Duration::from_secs(4));
    assert_eq!(bed.removed(), []);
    assert_eq!(bed.resolve(pe, ECHO, None), [1]);
}

#[test]
fn number_of_everything() {
    let mut bed = Bed::with(|cfg| {
        cfg.max_associations = 3;
        cfg.max_elements_per_association = 2;
        cfg.limits = Limits { pools: 2, elements: 3, elements_per_pool: 3 };
    });
    let a = bed.registered("A", 1, 1);
    let full = |answer: AsapMessage| matches!(answer, AsapMessage::RegistrationResponse { reject: true, error: Some(e), .. } if e.code() == CauseCode::LACK_OF_RESOURCES);
    assert_eq!(bed.ask(a, &registration("B", element(1, 1))), accepted("B", 1));
    assert!(full(bed.ask(a, &registration("A", element(2, 1)))), "on the association");
    let b = bed.client(2);
    assert!(full(bed.ask(b, &registration("C", element(1, 2)))), "pools");
    assert_eq!(bed.ask(b, &registration("B", element(2, 2))), accepted("B", 2));
    assert!(full(bed.ask(b, &registration("B", element(3, 2)))), "elements");
    bed.client(3);
    assert_eq!(bed.out(), []);
    let fourth = bed.client(4);
    assert_eq!(bed.out(), [Out::Close(fourth, CloseHow::Abort)]);
    assert_eq!(bed.say(fourth, &resolution("A", None)), [], "it is not served");
    assert_eq!(bed.r.association_count(), 3);
}

#[test]
fn requests_that_wait() {
    let mut bed = Bed::new();
    let holder = bed.registered(ECHO, 1, 1);
    let thief = bed.client(2);
    bed.say(thief, &registration(ECHO, element(1, 2)));
    let mut sent = 0;
    let out = loop {
        sent += 1;
        let out = bed.say(thief, &resolution(ECHO, None));
        if !out.is_empty() {
            break out;
        }
        assert!(sent < 10_000, "a queue without end");
    };
    assert_eq!(out, [Out::Close(thief, CloseHow::Abort)]);
    assert_eq!(bed.say(holder, &ack(ECHO, 1)), [], "nobody waits any more");
}

#[test]
fn idle_associations_are_shut_down() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    bed.say(pe, &registration(ECHO, PoolElement { life: Life(400_000), ..element(1, 1) }));
    let pu = bed.client(2);
    let mut closed = Vec::new();
    let mut live = |bed: &mut Bed, tenths: usize| {
        for (t, o) in (0..tenths).flat_map(|_| answering(bed)) {
            if let Out::Close(assoc, how) = o {
                closed.push((t, assoc, how));
            }
        }
    };
    for _ in 0..20 {
        live(&mut bed, 100);
        bed.resolve(pu, ECHO, None);
    }
    let last_said = bed.now.as_millis();
    live(&mut bed, 4_000);
    // The user 300 s after its last request; the element lives on its keep-alives until its registration is over.
    assert_eq!(closed[0], (last_said + 300_000, pu, CloseHow::Shutdown));
    assert_eq!(closed.len(), 1);
    // Then its association is of no use either.
    bed.pass_quietly(1_000);
    assert_eq!(bed.removed(), [(400_000, 1, rserpool::registrar::RemovalReason::LifeExpired)]);
}

/// A tenth of a second, in which all keep-alives are answered.
fn answering(bed: &mut Bed) -> Vec<(u64, Out)> {
    let out = bed.pass(Duration::from_millis(100));
    for (_, o) in &out {
        if let Out::Said(to, AsapMessage::KeepAlive { .. }) = o {
            bed.say(*to, &ack(ECHO, 1));
        }
    }
    out
}

/// What a world of clients may do.
#[derive(Clone, Debug)]
enum Op {
    Connect { host: u8 },
    Meant { nth: usize },
    Failed { nth: usize },
    Lose { nth: usize, aborted: bool },
    Restart { nth: usize },
    Say { nth: usize, message: AsapMessage },
    Noise { nth: usize, bytes: Vec<u8> },
    Wait(u64),
}

fn message() -> impl Strategy<Value = AsapMessage> {
    let pool = prop_oneof![Just("A"), Just("Long")];
    (pool, 1u32..4, 1u8..4, 0u8..7, prop_oneof![Just(u32::MAX), 200u32..9_000]).prop_map(|(pool, id, host, kind, life)| match kind {
        0..=2 => registration(pool, PoolElement { life: Life(life), ..element(id, host) }),
        3 => AsapMessage::Deregistration { handle: handle(pool), id: ElementId(id) },
        4 => resolution(pool, Some(life)),
        5 => unreachable(pool, id),
        _ => ack(pool, id),
    })
}

fn op() -> impl Strategy<Value = Op> {
    let nth = || 0usize..8;
    prop_oneof![
        3 => (1u8..4).prop_map(|host| Op::Connect { host }),
        2 => nth().prop_map(|nth| Op::Meant { nth }),
        1 => nth().prop_map(|nth| Op::Failed { nth }),
        2 => (nth(), any::<bool>()).prop_map(|(nth, aborted)| Op::Lose { nth, aborted }),
        1 => nth().prop_map(|nth| Op::Restart { nth }),
        12 => (nth(), message()).prop_map(|(nth, message)| Op::Say { nth, message }),
        1 => (nth(), vec(any::<u8>(), 0..40)).prop_map(|(nth, bytes)| Op::Noise { nth, bytes }),
        3 => (0u64..3_000).prop_map(Op::Wait),
    ]
}

/// The other side of a random run: which associations and attempts there are.
#[derive(Default)]
struct Outside {
    up: Vec<AssocKey>,
    attempts: Vec<(ConnectToken, String)>,
    tokens: BTreeSet<ConnectToken>,
    asked: usize,
    answered: usize,
}

impl Outside {
    fn take(&mut self, out: Vec<Out>) {
        for o in out {
            match o {
                Out::Connect(token, addrs) => {
                    assert!(self.tokens.insert(token), "a token used twice");
                    self.attempts.push((token, addrs[0].to_string()));
                }
                Out::Close(assoc, CloseHow::Abort) => self.up.retain(|a| *a != assoc),
                Out::Said(_, AsapMessage::KeepAlive { .. } | AsapMessage::Error(_)) => {}
                Out::Said(_, AsapMessage::RegistrationResponse { .. } | AsapMessage::HandleResolutionResponse { .. }) => self.answered += 1,
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_disorder(ops in vec(op(), 1..150)) {
        let mut bed = Bed::with(|cfg| cfg.max_associations = 6);
        let mut outside = Outside::default();
        for op in ops {
            let pick = |nth: usize| (!outside.up.is_empty()).then(|| outside.up[nth % outside.up.len()]);
            let attempt = |nth: usize| (!outside.attempts.is_empty()).then(|| nth % outside.attempts.len());
            let out = match op {
                Op::Connect { host } => {
                    let assoc = bed.client(host);
                    outside.up.push(assoc);
                    bed.out()
                }
                Op::Meant { nth } => {
                    let Some(i) = attempt(nth) else { continue };
                    let (token, peer) = outside.attempts.swap_remove(i);
                    let assoc = bed.client_at(&[&peer], Some(token));
                    outside.up.push(assoc);
                    bed.out()
                }
                Op::Failed { nth } => {
                    let Some(i) = attempt(nth) else { continue };
                    let (token, _) = outside.attempts.swap_remove(i);
                    bed.r.handle(bed.now, Input::ConnectFailed { token });
                    bed.out()
                }
                Op::Lose { nth, aborted } => {
                    let Some(assoc) = pick(nth) else { continue };
                    outside.up.retain(|a| *a != assoc);
                    bed.lose(assoc, aborted)
                }
                Op::Restart { nth } => {
                    let Some(assoc) = pick(nth) else { continue };
                    bed.r.handle(bed.now, Input::Restarted { assoc });
                    bed.out()
                }
                Op::Say { nth, message } => {
                    let Some(assoc) = pick(nth) else { continue };
                    let answered = matches!(message, AsapMessage::Registration { .. } | AsapMessage::HandleResolution { .. });
                    outside.asked += usize::from(answered);
                    bed.r.handle(bed.now, Input::Message { assoc, ppid: ASAP_PPID, sid: 0, bytes: &message.encode(EncodeOptions::default()).unwrap() });
                    bed.out()
                }
                Op::Noise { nth, bytes } => {
                    let Some(assoc) = pick(nth) else { continue };
                    bed.say_bytes(assoc, &bytes)
                }
                Op::Wait(ms) => bed.pass(Duration::from_millis(ms)).into_iter().map(|(_, o)| o).collect(),
            };
            outside.take(out);
            prop_assert!(bed.r.association_count() <= 6);
            prop_assert!(bed.r.handlespace().element_count() <= 6);
        }
        // Nobody says anything any more: everything ends.
        let out = bed.pass(Duration::from_secs(60)).into_iter().map(|(_, o)| o).collect();
        outside.take(out);
        prop_assert_eq!(bed.r.handlespace().element_count(), 0);
        prop_assert!(outside.answered <= outside.asked + 1);
        for assoc in std::mem::take(&mut outside.up) {
            prop_assert_eq!(bed.lose(assoc, false), []);
        }
        prop_assert_eq!(bed.r.association_count(), 0);
        prop_assert_eq!(bed.r.poll_timeout(), None);
    }
}
