//! Suggested takeovers (draft-dreibholz-rserpool-enrp-takeover).

use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::enrp::EnrpEvent;

use super::bed::Bed;
use super::bus::Host;

/// Each element goes to the registrar whose identifier suits it best, once, and stays there, though it also answers its former
/// home: that one does not claim it back.
#[test]
fn elements_are_handed_on_once() {
    let mut bed = Bed::new();
    let hosts: Vec<Host> = (1..=3).map(|n| bed.registrar_with(n, |cfg| cfg.enrp.suggest_takeovers = true)).collect();
    bed.run(2000);
    for n in 1..=8 {
        let element = bed.element("Pool", n, &[1]);
        bed.elements.get_mut(&element).unwrap().keeps_old = true;
    }
    bed.run(40_000);
    bed.agree();
    for id in 1..=8 {
        assert_eq!(bed.home(hosts[0], id), (1..=3).max_by_key(|r| r ^ id), "element {id}");
    }
    let adopted = bed.count(None, |e| matches!(e, RegistrarEvent::Enrp(EnrpEvent::Adopted { .. })));
    assert!(adopted <= 8, "{adopted} times a registrar became a home");
}

/// An element goes back to a home that does not suit it best, but answers the one that does: that one calls it by the H flag, so that
/// all three agree, and does not only tell everybody that the element is its own.
#[test]
fn an_element_that_goes_back_is_called() {
    let mut bed = Bed::new();
    let hosts: Vec<Host> = (1..=2).map(|n| bed.registrar_with(n, |cfg| cfg.enrp.suggest_takeovers = true)).collect();
    bed.run(2000);
    let host = bed.element("Pool", 4, &[1]);
    bed.elements.get_mut(&host).unwrap().keeps_old = true;
    bed.run(5_000);
    assert_eq!(bed.home(hosts[0], 4), Some(2));
    bed.elements.get_mut(&host).unwrap().go_back(bed.now, &mut bed.bus);
    bed.run(5_000);
    bed.agree();
    assert_eq!((bed.home(hosts[0], 4), bed.elements[&host].moves), (Some(2), 2));
}
