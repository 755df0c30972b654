//! Takeovers (RFC 5353 section 3.5).

use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::registrar::enrp::config::Arbitration;

use super::bed::Bed;
use super::bus::Host;

/// A takeover bound with RSPLIB's timers: silence, no answer, acknowledgements, the elements' answers.
const BOUND: u64 = 5000 + 5000 + 5000 + 5000;

/// So many registrars with an element each, that know of each other and all.
fn cluster(n: u8) -> (Bed, Vec<Host>) {
    let mut bed = Bed::new();
    let hosts = (1..=n).map(|i| bed.registrar(i)).collect();
    bed.run(2000);
    let all: Vec<u8> = (1..=n).collect();
    for i in 1..=n {
        let mut order = all.clone();
        order.rotate_left(usize::from(i) - 1);
        bed.element("Pool", i, &order);
    }
    bed.run(4000);
    bed.agree();
    (bed, hosts)
}

fn begun(e: &RegistrarEvent) -> bool {
    matches!(e, RegistrarEvent::Enrp(EnrpEvent::TakeoverBegun { .. }))
}

/// RFC 5353 sections 3.4.3 and 3.5, with 2, 3 and 5 registrars. The elements do not notice anything themselves: they are
/// pulled over.
#[test]
fn of_a_registrar_that_is_gone() {
    for n in [2, 3, 5] {
        for noticed in [false, true] {
            let (mut bed, hosts) = cluster(n);
            for e in bed.elements.values_mut() {
                e.renewing = false;
                e.registrars.clear();
            }
            bed.run(100);
            let dead = hosts[1];
            if noticed {
                bed.kill(dead);
            } else {
                bed.vanish(dead);
            }
            bed.run(if noticed { 1000 } else { BOUND });
            bed.agree();
            assert!(bed.count(None, begun) >= 1);
        }
    }
}

/// RFC 5353 section 3.5.1, rule 2, both ways (`--takeover-arbitration`): two that notice at the same time do not both take
/// over.
#[test]
fn by_two_at_once() {
    for rule in [Arbitration::LowerWins, Arbitration::HigherWins] {
        let mut bed = Bed::new();
        let hosts: Vec<Host> = (1..=3).map(|i| bed.registrar_with(i, |c| c.enrp.arbitration = rule)).collect();
        bed.run(2000);
        bed.element("Pool", 1, &[2]);
        bed.run(3000);
        bed.elements.values_mut().for_each(|e| e.registrars.clear());
        // Both learn of the death at the same moment.
        bed.kill(hosts[1]);
        bed.run(2000);
        bed.agree();
        assert_eq!(bed.count(None, begun), 2, "both began");
        let winner = if rule == Arbitration::LowerWins { 1 } else { 3 };
        assert_eq!(bed.home(hosts[0], 1), Some(winner));
        let moves: u32 = bed.moves().iter().sum();
        assert_eq!(moves, 1, "the element was pulled once");
    }
}

/// Who takes over dies in the middle of it, or right after it: somebody else does it.
#[test]
fn by_one_that_dies() {
    for after in [11, 21, 31, 60, 500] {
        let (mut bed, hosts) = cluster(4);
        for e in bed.elements.values_mut() {
            e.registrars.clear();
        }
        bed.kill(hosts[2]);
        bed.run(after);
        bed.vanish(hosts[0]);
        bed.run(2 * BOUND);
        // Who was pulled to the dead one notices when it renews.
        bed.run(10_000);
        bed.agree();
    }
}

/// Two registrars do not hear each other, a third one hears both and has to agree to both takeovers (RFC 5353 section 3.5.1,
/// rule 3). Elements move, but nothing is lost, and nothing goes on moving.
#[test]
fn of_one_that_lives() {
    let (mut bed, hosts) = cluster(3);
    bed.cut(&hosts[..1], &hosts[1..2], true);
    bed.run(9500);
    bed.cut(&hosts[..1], &hosts[1..2], false);
    bed.run(BOUND);
    bed.agree();
    let moves = bed.moves();
    assert!(moves.iter().all(|m| *m <= 2), "{moves:?}");
    bed.run(BOUND);
    bed.agree();
    assert_eq!(bed.moves(), moves);
}

/// A registrar that has just started knows elements of a dead one only from its mentor's table, and cannot reach their home; then
/// the mentor dies as well. It takes both over: nobody else can.
#[test]
fn of_a_registrar_that_was_never_met() {
    let (mut bed, hosts) = cluster(2);
    for e in bed.elements.values_mut() {
        e.renewing = false;
        e.registrars.clear();
    }
    bed.vanish(hosts[1]);
    let late = bed.registrar(3);
    bed.run(4_000);
    assert_eq!(bed.view(late).len(), 2);
    bed.vanish(hosts[0]);
    bed.run(BOUND + 10_000);
    bed.agree();
    assert_eq!((bed.home(late, 1), bed.home(late, 2)), (Some(3), Some(3)));
}
