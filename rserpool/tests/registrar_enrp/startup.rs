//! Start-up, the peer list, and the transfer of the table (RFC 5353 sections 3.2 and 3.4).

use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::wire::RegistrarId;

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

/// RFC 5353 sections 3.2.2.1 and 3.2.2.2: without multicast, one configured peer is enough to learn of all.
#[test]
fn by_one_configured_peer_each() {
    let mut bed = Bed::new();
    for n in 1..=5 {
        bed.registrar_with(n, |c| {
            c.enrp.targets.clear();
            if n > 1 {
                c.enrp.peers = vec![vec![place(n - 1, 9901)]];
            }
        });
        bed.element("Pool", n, &[n]);
        bed.run(500);
    }
    bed.run(10_000);
    bed.agree();
    for r in 1..=5 {
        assert_eq!(bed.count(Some(2 * r - 1), |e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::PeerFound { .. }))), 4);
    }
}

/// RFC 5353 section 3.2.3: a table that takes many messages.
#[test]
fn a_long_table() {
    let mut bed = Bed::new();
    bed.registrar(1);
    for n in 1..=200 {
        bed.element(if n % 3 == 0 { "Pool" } else { "AnotherPool" }, n, &[1]);
    }
    bed.run(3000);
    let second = bed.registrar(2);
    bed.run(1000);
    bed.agree();
    let parts = bed.count(Some(1), |e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::TableRequested { own_only: false, .. })));
    assert!(parts > 7, "{parts}");
    assert_eq!(bed.view(second).len(), 200);
}

/// A registrar comes back at the same address under another identifier, and one under the same identifier elsewhere: the
/// elements of the old one are not lost, and it is not waited for in vain.
#[test]
fn coming_back_as_another() {
    for (address, id) in [(2, 22), (22, 2), (2, 2)] {
        let mut bed = Bed::new();
        bed.registrar(1);
        let old = bed.registrar(2);
        bed.run(2000);
        bed.element("Pool", 1, &[2]);
        bed.run(3000);
        bed.elements.values_mut().for_each(|e| e.registrars.clear());
        bed.vanish(old);
        bed.run(500);
        let new = bed.registrar_with(address, |c| c.id = RegistrarId(id));
        bed.run(40_000);
        bed.agree();
        assert_eq!(bed.r(new).id(), RegistrarId(id));
    }
}

/// Two registrars with one identifier (RFC 5353 section 3.2.1): one of them takes another one, and nobody's elements get lost.
#[test]
fn one_identifier_twice() {
    for pause in [0, 3000] {
        let mut bed = Bed::new();
        bed.registrar(1);
        for n in [2, 3] {
            bed.registrar_with(n, |c| c.id = RegistrarId(7));
            bed.element("Pool", n, &[n]);
            bed.run(pause);
        }
        bed.run(30_000);
        bed.agree();
        let ids: std::collections::BTreeSet<_> = bed.registrars.values().map(rserpool::registrar::Registrar::id).collect();
        assert_eq!(ids.len(), 3);
    }
}
