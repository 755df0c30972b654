//! Partitions that heal: each element has one home in the end, which is where it thinks that its home is.

use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::enrp::EnrpEvent;

use super::bed::Bed;
use super::bus::Host;

/// Time for one half to take the other one over.
const APART: u64 = 25_000;
/// Two heartbeats, and what comes of them.
const TOGETHER: u64 = 12_000;

fn two_and_two(renewing: bool) -> (Bed, Vec<Host>, Vec<Host>) {
    let mut bed = Bed::new();
    let registrars = (1..=4).map(|i| bed.registrar(i)).collect();
    bed.run(2000);
    let elements: Vec<Host> = (1..=8).map(|i| bed.element("Pool", i, &[1 + (i - 1) % 4])).collect();
    bed.run(3000);
    bed.agree();
    for e in bed.elements.values_mut() {
        e.renewing = renewing;
        e.registrars.clear();
    }
    (bed, registrars, elements)
}

/// Only the registrars do not reach each other: every element is pulled back and forth between the halves that think that
/// the other one is dead, but keeps being reached by all.
#[test]
fn between_registrars_alone() {
    for renewing in [true, false] {
        let (mut bed, r, _) = two_and_two(renewing);
        bed.cut(&r[..2], &r[2..], true);
        bed.run(APART);
        bed.cut(&r[..2], &r[2..], false);
        bed.run(TOGETHER);
        bed.agree();
        // It is over: nothing moves any more.
        let moves: Vec<u32> = bed.elements.values().map(|e| e.moves).collect();
        let before = bed.view(r[0]);
        bed.run(20_000);
        bed.agree();
        assert_eq!(bed.view(r[0]), before);
        assert_eq!(bed.elements.values().map(|e| e.moves).collect::<Vec<_>>(), moves);
        assert!(moves.iter().all(|m| *m <= 3), "{moves:?}");
    }
}

/// The network falls apart, the elements with their registrars: each half goes on with what it has, and afterwards each
/// element is where it was.
#[test]
fn through_everything() {
    let (mut bed, r, e) = two_and_two(true);
    let homes: Vec<_> = (1..=8).map(|id| bed.home(r[0], id)).collect();
    // Elements 1, 2, 5 and 6 are at registrars 1 and 2.
    let (left, right): (Vec<Host>, Vec<Host>) = e.iter().partition(|h| [1, 2].contains(&bed.home(r[0], bed.elements[h].id.0).unwrap()));
    let a: Vec<Host> = r[..2].iter().chain(&left).copied().collect();
    let b: Vec<Host> = r[2..].iter().chain(&right).copied().collect();
    bed.cut(&a, &b, true);
    bed.run(APART);
    assert_eq!((bed.view(r[0]).len(), bed.view(r[2]).len()), (4, 4), "the others' elements do not answer");
    bed.cut(&a, &b, false);
    bed.run(TOGETHER);
    bed.agree();
    assert_eq!((1..=8).map(|id| bed.home(r[3], id)).collect::<Vec<_>>(), homes);
    assert!(bed.elements.values().all(|e| e.moves == 0));
}

/// A partition shorter than what it takes to think that somebody is dead changes nothing.
#[test]
fn too_short_to_matter() {
    let (mut bed, r, _) = two_and_two(true);
    bed.cut(&r[..2], &r[2..], true);
    bed.run(2900);
    bed.cut(&r[..2], &r[2..], false);
    bed.run(TOGETHER);
    bed.agree();
    assert_eq!(bed.count(None, |e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::TakeoverBegun { .. }))), 0);
}
