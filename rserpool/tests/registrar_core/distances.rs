//! Distances of elements in the policies that prefer near ones (draft-dreibholz-rserpool-delay).

use core::time::Duration;

use rserpool::registrar::{AssocKey, Input};
use rserpool::wire::{PolicyParam, PoolElement};

use crate::bed::*;

fn distance(bed: &mut Bed, assoc: AssocKey, rtt: Option<u64>) -> u32 {
    if let Some(ms) = rtt {
        bed.r.handle(bed.now, Input::PathRtt { assoc, rtt: Duration::from_millis(ms) });
    }
    // What the element says of its distance does not count.
    let policy = PolicyParam::LeastUsedDpf { load: 1, load_dpf: 2, distance: 12_345 };
    assert_eq!(bed.ask(assoc, &registration("Near", PoolElement { policy, ..element(1, 1) })), accepted("Near", 1));
    let key = bed.r.handlespace().find(&handle("Near"), rserpool::wire::ElementId(1)).unwrap();
    match bed.r.handlespace().element(key).unwrap().policy() {
        PolicyParam::LeastUsedDpf { load: 1, load_dpf: 2, distance } => distance,
        other => panic!("{other}"),
    }
}

/// Half of the round-trip time, to the nearest multiple of the step.
#[test]
fn half_the_round_trip_time_rounded() {
    let mut bed = Bed::new();
    let pe = bed.client(1);
    let table =
        [(None, 0), (Some(30), 0), (Some(50), 50), (Some(149), 50), (Some(150), 100), (Some(400), 200), (Some(u64::MAX / 4), u32::MAX)];
    for (rtt, expected) in table {
        assert_eq!(distance(&mut bed, pe, rtt), expected, "{rtt:?}");
    }
    let mut fine = Bed::with(|cfg| cfg.distance_step = Duration::from_millis(1));
    let pe = fine.client(1);
    assert_eq!(distance(&mut fine, pe, Some(31)), 16);
    // Nobody's round-trip time is nobody's business.
    fine.r.handle(fine.now, Input::PathRtt { assoc: AssocKey(77), rtt: Duration::from_secs(1) });
    assert_eq!(fine.out(), []);
}
