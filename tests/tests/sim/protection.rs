//! Stacks that speak only with who has a shared key (RFC 4895): who is let in, what a stranger can do, and a change of keys.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sctp_user::sim::{LinkConfig, Loss};
use sctp_user::wire::chunk::{Abort, CookieEcho};
use sctp_user::wire::{Chunk, Packet};
use sctp_user::{AssocConfig, CloseReason, Event, KeyId, KeyRing};
use testbed::puppet::{Puppet, Signer, encode, names};
use testbed::{Bed, Scenario, Workload};

const KEY: &[u8] = b"a key of sixteen";
const OTHER: &[u8] = b"sixteen of a key";
/// Longer than any of these deliveries takes.
const LIMIT: Duration = Duration::from_secs(3_600);

fn only(id: u16, key: &[u8]) -> KeyRing {
    KeyRing::only(KeyId(id), key).unwrap()
}

/// Two keys, of which this is the active one.
fn two(active: u16) -> KeyRing {
    let mut ring = only(1, KEY);
    ring.set(KeyId(2), OTHER).unwrap();
    ring.activate(KeyId(active)).unwrap();
    ring
}

/// Two hosts with keys, over a link that loses now and then.
fn bed(seed: u64, client: Option<&KeyRing>, server: Option<&KeyRing>) -> Bed {
    let mut scenario = Scenario::new(seed);
    scenario.there = LinkConfig { loss: Loss::percent(2), ..LinkConfig::ideal(Duration::from_millis(10)) };
    scenario.back = scenario.there.clone();
    (scenario.upload, scenario.download) = (Workload::steady(seed, 600, 3_000), Workload::steady(seed + 1, 600, 2_000));
    let mut bed = scenario.build();
    for (node, keys) in [(bed.client, client), (bed.server, server)] {
        if let Some(keys) = keys {
            bed.world.with(node, |n, now| n.stack.protect(now, keys)).unwrap();
        }
    }
    bed
}

#[test]
fn who_has_the_key_is_let_in() {
    for (seed, client, server) in [(1, only(1, KEY), only(1, KEY)), (2, two(1), only(1, KEY)), (3, two(1), two(2)), (4, two(2), two(1))] {
        let mut bed = bed(seed, Some(&client), Some(&server));
        bed.connected();
        bed.deliver(LIMIT).unwrap();
        bed.world.with(bed.client, |n, now| n.shutdown(now));
        bed.closed(LIMIT).unwrap();
    }
}

/// RFC 4895 section 6.3: a server that wants COOKIE ECHO authenticated accepts associations of clients with the right key only; a client
/// that wants COOKIE ACK authenticated has none with a server without.
#[test]
fn who_has_no_key_or_a_wrong_one_stays_outside() {
    let (right, wrong, elsewhere, null) = (only(1, KEY), only(1, OTHER), only(2, KEY), KeyRing::default());
    let pairs = [
        (None, Some(&right)),
        (Some(&right), None),
        (Some(&wrong), Some(&right)),
        (Some(&elsewhere), Some(&right)),
        (Some(&null), Some(&right)),
        (Some(&right), Some(&null)),
    ];
    for (seed, (client, server)) in (10..).zip(pairs) {
        let mut bed = bed(seed, client, server);
        bed.connect();
        bed.world.run_for(LIMIT);
        let (c, s) = (bed.client(), bed.server());
        let why: Vec<_> = c.losses().into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(why, [CloseReason::ConnectTimeout], "{seed}: {:?}", c.log);
        assert_eq!((c.delivered(), s.delivered()), (0, 0), "{seed}");
        if server == Some(&right) {
            assert!(s.conns.is_empty() && s.stack.stats().stack.unauthenticated_cookies > 0, "{seed}: {:?}", s.log);
        }
    }
}

/// An association with a peer that has the key, and what that peer authenticates with.
fn opened() -> (Puppet, Signer) {
    let mut p = Puppet::new(AssocConfig::rfc());
    let now = p.now;
    p.stack.protect(now, &only(1, KEY)).unwrap();
    p.params = Signer::params(7, &[], &[1]);
    let ack = p.give_init();
    let signer = Signer::new(&p.params, &ack).with_key(1, KEY);
    let cookie = ack.cookie();
    let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert!(p.give_raw(&echo).is_empty(), "a COOKIE ECHO without AUTH");
    assert!(p.give_raw(&signer.clone().with_key(1, OTHER).seal(&echo)).is_empty(), "a COOKIE ECHO by a wrong key");
    assert!(p.give_raw(&signer.clone().with_key(0, &[]).seal(&echo)).is_empty(), "a COOKIE ECHO by the null key");
    assert_eq!(p.stack.association_count(), 0);
    let sent = p.give_raw(&signer.seal(&echo));
    assert_eq!((names(&sent).concat().last().copied(), p.state()), (Some("COOKIE-ACK"), "ESTABLISHED"));
    (p, signer)
}

/// Class 3 of the known attacks: whoever knows tags, ports and TSNs, but not the key, can neither speak nor end anything.
#[test]
fn a_stranger_can_neither_speak_nor_end_nor_restart_anything() {
    let (mut p, signer) = opened();
    let forger = signer.clone().with_key(1, OTHER);
    let data = encode(&[p.data(0, b"forged")]);
    let abort = encode(&[Chunk::Abort(Abort { t: false, causes: &[] })]);
    let reflected = encode(&[Chunk::Abort(Abort { t: true, causes: &[] })]);
    let shutdown = encode(&[Chunk::Shutdown(p.shutdown_chunk())]);
    let own = p.envelope().vtag;
    for chunks in [&data, &abort, &shutdown] {
        for forged in [chunks.clone(), forger.seal(chunks)] {
            assert!(p.give_raw(&forged).is_empty(), "{:?}", p.log.last());
        }
    }
    let envelope = p.envelope().tagged(p.tag);
    assert!(p.give_bytes(envelope, envelope.seal(&reflected)).is_empty());
    // A restart: an INIT is answered, since nothing is known of its sender; its cookie opens nothing.
    let ack = p.give_init();
    let cookie = ack.cookie();
    let echo = encode(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    for forged in [echo.clone(), forger.seal(&echo), Signer::new(&p.params, &ack).with_key(1, OTHER).seal(&echo)] {
        assert!(p.give_raw(&forged).is_empty());
    }
    assert!(!p.heard(|e| matches!(e, Event::Restarted | Event::Lost { .. })), "{:?}", p.events);
    p.peer_tag = own;
    assert_eq!((p.state(), p.recv()), ("ESTABLISHED", None));
    // Who has the key can do it all.
    let sent = p.give_raw(&signer.seal(&data));
    assert_eq!((names(&sent), p.recv().map(|m| m.payload)), (vec![vec!["SACK"]], Some("forged".into())));
    p.give_raw(&signer.seal(&abort));
    assert!(p.heard(|e| matches!(e, Event::Lost { .. })));
}

/// How many packets each key has authenticated.
type Uses = Rc<RefCell<BTreeMap<u16, usize>>>;

fn watch(bed: &mut Bed) -> Uses {
    let uses = Uses::default();
    let tap = Rc::clone(&uses);
    bed.world.tap(move |seen| {
        let Ok(packet) = Packet::parse(seen.payload) else { return };
        for raw in packet.chunks().map_while(Result::ok) {
            if let (true, Ok(Chunk::Auth(auth))) = (seen.sent, raw.decode()) {
                *tap.borrow_mut().entry(auth.key.0).or_default() += 1;
            }
        }
    });
    uses
}

#[test]
fn keys_change_while_data_flows() {
    let mut bed = bed(30, Some(&only(1, KEY)), Some(&only(1, KEY)));
    let uses = watch(&mut bed);
    bed.connected();
    // All get the new key, all send with it, nobody takes the old one any more; never both sides at once.
    for keys in [two(1), two(2), only(2, OTHER)] {
        for node in [bed.client, bed.server] {
            bed.world.run_for(Duration::from_millis(100));
            bed.world.with(node, |n, now| n.stack.protect(now, &keys)).unwrap();
        }
    }
    let (c, s) = (bed.client().delivered(), bed.server().delivered());
    assert!((1..600).contains(&c) && (1..600).contains(&s), "{c} and {s}: it is in full flow");
    let before = uses.borrow().clone();
    bed.deliver(LIMIT).unwrap();
    let after = uses.borrow().clone();
    assert!(before[&1] > 20 && before[&1] == after[&1], "{before:?} {after:?}");
    assert!(after[&2] > before[&2] + 20, "{before:?} {after:?}");
    for peer in [bed.client(), bed.server()] {
        assert!(peer.losses().is_empty(), "{:?}", peer.log);
    }
    // An association to come has the new keys, too.
    bed.world.with(bed.client, |n, now| n.shutdown(now));
    bed.closed(LIMIT).unwrap();
    bed.connect();
    bed.world.run_for(LIMIT);
    assert_eq!(bed.server().conns.len(), 2);
}
