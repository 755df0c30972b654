//! The port table against what ports may do, and against a plain model.
#![allow(clippy::disallowed_methods, reason = "edge: tests need some instant to start from")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn two() -> (PortTable, MemberId, MemberId) {
    let mut table = PortTable::default();
    let a = table.join(0).unwrap();
    let b = table.join(1).unwrap();
    (table, a, b)
}

#[test]
fn numbers_rise_and_are_bounded() {
    let mut table = PortTable::default();
    for i in 0..MAX_MEMBERS {
        assert_eq!(table.join(0), Some(u32::try_from(i + 1).unwrap()));
    }
    assert_eq!(table.join(0), None);
    assert!(table.admit(1, 9), "a known one may come back");
    assert!(!table.admit(0, 9));
}

#[test]
fn one_port_one_process() {
    let now = Instant::now();
    let (mut table, a, b) = two();
    assert_eq!(table.claim(a, 3863, now, || 0), Ok(3863));
    assert_eq!(table.claim(b, 3863, now, || 0), Err(ClaimError::InUse));
    assert_eq!(table.claim(a, 3863, now, || 0), Err(ClaimError::InUse), "two sockets of one process neither");
    assert!(!table.release(b, 3863, now));
    assert!(table.release(a, 3863, now));
    assert_eq!(table.claim(b, 3863, now, || 0), Ok(3863));
}

#[test]
fn a_dead_ephemeral_port_rests_for_two_minutes_and_a_closed_one_for_two_seconds() {
    let now = Instant::now();
    let (mut table, a, b) = two();
    let port = table.claim(a, 0, now, || 7).unwrap();
    assert_eq!(port, 49_152 + 7);
    assert_eq!(table.leave(a, Fate::Died, now), [port]);
    let almost = now + QUARANTINE_DEATH - Duration::from_millis(1);
    let other = table.claim(b, 0, almost, || 7).unwrap();
    assert_ne!(other, port);
    assert!(table.release(b, other, almost));
    assert_eq!(table.claim(b, 0, now + QUARANTINE_DEATH, || 7), Ok(port));
    let later = almost + QUARANTINE_CLOSE;
    assert_eq!(table.claim(b, 0, later, || other & 0x3fff), Ok(other));
    // A port that is asked for by number is given: a server that starts again must not wait.
    let (mut table, a, b) = two();
    table.claim(a, 50_000, now, || 0).unwrap();
    table.leave(a, Fate::Died, now);
    assert_eq!(table.claim(b, 50_000, now, || 0), Ok(50_000));
}

#[test]
fn all_ephemeral_ports_can_be_had_and_then_no_more() {
    let now = Instant::now();
    let (mut table, a, _) = two();
    let mut seen = BTreeSet::new();
    let mut draw = 0u16;
    for _ in 0..16_384 {
        // Unlucky draws: all taken but the last few, and in the end the search goes on from there.
        draw = draw.wrapping_add(3) & !1;
        let port = table.claim(a, 0, now, || draw).unwrap();
        assert!(EPHEMERAL.contains(&port) && seen.insert(port));
    }
    assert_eq!(table.claim(a, 0, now, || 3), Err(ClaimError::Exhausted));
}

#[test]
fn a_member_that_comes_back_gets_what_is_free() {
    let now = Instant::now();
    let (mut table, a, b) = two();
    for port in [1, 2] {
        table.claim(a, port, now, || 0).unwrap();
    }
    table.claim(b, 3, now, || 0).unwrap();
    let result = table.reclaim(a, &BTreeSet::from([2, 3, 4]), now);
    assert_eq!(result, Reclaimed { taken: vec![4], freed: vec![1], refused: vec![3] });
    assert_eq!(table.ports_of(a).collect::<Vec<_>>(), [2, 4]);
}

#[derive(Clone, Debug)]
enum Op {
    Claim(u32, u16),
    Release(u32, u16),
    Leave(u32, bool),
    Admit(u32),
    Wait(u16),
}

#[test]
fn only_what_took_a_slot_later_shows_that_a_process_died() {
    let list = |members: &[(u32, u16)]| {
        let mut table = PortTable::default();
        members.iter().for_each(|(id, slot)| assert!(table.admit(*id, *slot)));
        table
    };
    let mut known = list(&[(5, 2)]);
    known.insert(5, 80);
    assert_eq!(known.bereaved(&list(&[(6, 2)]), |_| false), [80], "another one has its slot");
    assert_eq!(known.bereaved(&list(&[(6, 3)]), |_| true), [80], "nobody has its slot");
    assert_eq!(known.bereaved(&list(&[(6, 3)]), |_| false), [], "the reader has not heard of it yet");
    assert_eq!(known.bereaved(&list(&[(4, 2)]), |_| false), [], "it took the slot of one whose death the reader has not heard of");
}

fn op() -> impl Strategy<Value = Op> {
    // Few members and ports, so that they meet.
    let port = prop_oneof![Just(0u16), 1..4u16, 65_530..=65_535u16];
    prop_oneof![
        (1..4u32, port.clone()).prop_map(|(m, p)| Op::Claim(m, p)),
        (1..4u32, port).prop_map(|(m, p)| Op::Release(m, p)),
        (1..4u32, any::<bool>()).prop_map(|(m, died)| Op::Leave(m, died)),
        (1..4u32).prop_map(Op::Admit),
        (0..3_000u16).prop_map(Op::Wait),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_map_and_a_copy_stays_equal(ops in proptest::collection::vec(op(), 1..60)) {
        let mut now = Instant::now();
        let mut table = PortTable::default();
        let mut model: BTreeMap<u16, u32> = BTreeMap::new();
        let mut draws = 0u16;
        for op in ops {
            match op {
                Op::Claim(id, port) => {
                    let result = table.claim(id, port, now, || { draws = draws.wrapping_add(5); 0x3ffa | draws });
                    match result {
                        Ok(got) => {
                            prop_assert!(port == 0 || got == port);
                            prop_assert!(model.insert(got, id).is_none());
                        }
                        Err(error) => prop_assert!(error == ClaimError::InUse && model.contains_key(&port)),
                    }
                }
                Op::Release(id, port) => {
                    let held = model.get(&port) == Some(&id);
                    prop_assert_eq!(table.release(id, port, now), held);
                    if held { model.remove(&port); }
                }
                Op::Leave(id, died) => {
                    let ports = table.leave(id, if died { Fate::Died } else { Fate::Closed }, now);
                    let expected: Vec<u16> = model.iter().filter(|(_, m)| **m == id).map(|(p, _)| *p).collect();
                    model.retain(|_, m| *m != id);
                    prop_assert_eq!(ports, expected);
                }
                Op::Admit(id) => prop_assert!(table.admit(id, 3)),
                Op::Wait(ms) => now += Duration::from_millis(u64::from(ms)),
            }
            for (port, id) in &model {
                prop_assert_eq!(table.holder(*port), Some(*id));
            }
        }
        // Only the ports of known members travel.
        for id in 1..4 { table.admit(id, 3); }
        let snapshot = table.snapshot(now);
        let copy = PortTable::load(&snapshot, now);
        prop_assert_eq!(copy.snapshot(now), snapshot);
        for (port, id) in &model {
            prop_assert_eq!(copy.holder(*port), Some(*id));
        }
    }
}
