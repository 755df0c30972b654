//! Finding the association of an ASCONF whose source is new (RFC 5061 section 5.2).

use sctp_user::wire::Chunk;
use testbed::puppet::{encode, ip, names};

use super::{ADD, DELETE, acks, asconf, ask, ips, open, peers};

const A: &str = "10.0.0.1";
const Z: &str = "10.0.0.2";
const Y: &str = "10.1.0.2";
const X: &str = "10.2.0.2";

/// RFC 5061 rows: 4.1.1-4, 5.2-1, 5.3.2-2.
#[test]
fn the_address_parameter_is_asked_when_the_source_is_unknown() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    // The peer's only address has changed.
    let sent = ask(&mut p, Y, &asconf(serial, Z, &[(ADD, 1, Y), (DELETE, 2, Z)]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
    assert_eq!(peers(&mut p), ips(&[Y]));
    // The source is asked first: what the parameter names is of no interest then.
    let sent = ask(&mut p, Y, &asconf(serial + 1, "10.99.0.1", &[(ADD, 1, X)]));
    assert_eq!(acks(&sent), [(serial + 1, vec![], ip(Y))]);
}

/// Rulings section 1 rows 10 and 13: a peer that has moved behind its NAT is known by the tag alone.
#[test]
fn without_an_address_the_tag_tells() {
    for any in ["0.0.0.0", "::"] {
        let mut p = open(&[A], &[Z]);
        let serial = p.tsn;
        let sent = ask(&mut p, Y, &asconf(serial, any, &[(ADD, 1, any), (DELETE, 2, any)]));
        assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
        assert_eq!(peers(&mut p), ips(&[Y]));
        p.addrs = ips(&[Y]);
        let data = p.data(0, b"from there");
        p.give(&[data]);
        assert_eq!(p.recv().unwrap().payload, "from there");
    }
}

/// The answer to a change of the only address was lost, and the peer has moved on meanwhile: it repeats its ASCONF, unchanged, from yet
/// another address, and names one that it has deleted by it.
#[test]
fn a_peer_that_moves_twice_is_found_by_its_tag() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let asked = asconf(serial, Z, &[(ADD, 1, Y), (DELETE, 2, Z)]);
    ask(&mut p, Y, &asked);
    assert_eq!(peers(&mut p), ips(&[Y]));
    let sent = ask(&mut p, X, &asked);
    assert_eq!(acks(&sent), [(serial, vec![], ip(X))]);
    let sent = ask(&mut p, X, &asconf(serial + 1, Y, &[(ADD, 1, X), (DELETE, 2, Y)]));
    assert_eq!(acks(&sent), [(serial + 1, vec![], ip(X))]);
    assert_eq!(peers(&mut p), ips(&[X]));
}

/// RFC 5061 section 5.2 rule D2-ext.
#[test]
fn a_later_asconf_of_the_packet_may_tell() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let one = asconf(serial, "10.99.0.1", &[(ADD, 1, Y)]);
    let two = asconf(serial + 1, Z, &[(DELETE, 1, Z)]);
    let sent = ask(&mut p, Y, &[one, two].concat());
    assert_eq!(acks(&sent).iter().map(|a| a.0).collect::<Vec<_>>(), [serial, serial + 1]);
    assert_eq!(peers(&mut p), ips(&[Y]));
}

/// RFC 5061 section 5.2 rule D3, and that only an ASCONF opens the door: what is behind one that adds nothing is not taken.
#[test]
fn strangers_stay_strangers() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    // The wrong tag.
    for address in [Z, "0.0.0.0"] {
        let envelope = p.envelope().from(Y).tagged(p.peer_tag ^ 1);
        let sent = p.give_bytes(envelope, envelope.seal(&asconf(serial, address, &[(ADD, 1, Y)])));
        assert_eq!(names(&sent), [["ABORT"]]);
    }
    assert_eq!(peers(&mut p), ips(&[Z]));
    // One that does not add its source is done, and answered there; nothing else of its packet is looked at.
    let data = p.data(0, b"not yours");
    let both = [asconf(serial, Z, &[(ADD, 1, X)]), encode(&[data])].concat();
    let sent = ask(&mut p, Y, &both);
    assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
    assert!(p.recv().is_none());
    // DATA before the ASCONF hides it.
    let Chunk::Data(d) = data else { panic!() };
    let both = [encode(&[Chunk::Data(d)]), asconf(serial + 1, Z, &[(ADD, 1, Y)])].concat();
    let sent = ask(&mut p, Y, &both);
    assert_eq!(names(&sent), [["ABORT"]]);
    assert!(!peers(&mut p).contains(&ip(Y)));
}

/// Two associations with the same ports: an address that belongs to one cannot be taken by the other.
#[test]
fn the_address_of_another_association_is_not_taken() {
    let mut p = open(&[A], &[Z]);
    let (first, tag) = (p.id(), p.peer_tag);
    // Another host with the same ports.
    p.addrs = ips(&[Y]);
    p.tag += 1;
    p.open();
    assert_ne!(p.id(), first);
    let serial = p.tsn;
    ask(&mut p, Y, &asconf(serial, Y, &[(ADD, 1, Z)]));
    // It is never confirmed, as HEARTBEATs there find somebody else; and packets from there are still the first association's.
    p.addrs = ips(&[Z]);
    p.peer_tag = tag;
    let data = p.data(0, b"mine");
    p.give_in(p.envelope(), &[data]);
    assert!(p.stack.assoc(first).unwrap().recv().is_some());
}
