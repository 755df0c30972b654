//! Start-up, the peer list, and the transfer of the table (RFC 5353 sections 3.2 and 3.4).

use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::enrp::EnrpEvent;

use super::bed::{Bed, place};

fn serving(e: &RegistrarEvent) -> bool {
    matches!(e, RegistrarEvent::Enrp(EnrpEvent::Serving { .. }))
}

/// RFC 5353 section 3.2.2.1: who meets nobody is alone, and serves; who was told of nobody, at once.
#[test]
fn alone() {
    let mut bed = Bed::new();
    bed.registrar_with(1, |c| c.enrp.targets.clear());
    bed.element("Pool", 1, &[1]);
    bed.run(900);
    bed.agree();
    let b = bed.registrar_with(2, |c| {
        c.enrp.targets.clear();
        c.enrp.peers = vec![vec![place(77, 9901)]];
    });
    bed.run(900);
    assert_eq!(bed.count(Some(b), serving), 0, "there is still hope");
    bed.run(200);
    assert_eq!(bed.count(Some(b), serving), 1);
    // Where nobody listens, there is no hope: a host that answers says so at once.
    let c = bed.registrar_with(3, |c| {
        c.enrp.targets.clear();
        c.enrp.peers = vec![vec![place(2, 7)]];
    });
    bed.run(20);
    assert_eq!(bed.count(Some(c), serving), 1);
}

/// RFC 5353 sections 3.2.2 and 3.2.3, in all orders of starting, with pauses short and long: all know everything.
#[test]
fn in_every_order() {
    for pause in [0, 300, 4000] {
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let mut bed = Bed::new();
            for n in order {
                bed.registrar(n);
                bed.element("Pool", n, &[n]);
                bed.run(pause);
            }
            bed.run(8000);
            bed.agree();
            assert_eq!(bed.count(None, serving), 3);
        }
    }
}
