//! What the stack does when the peer's addresses come and go.

use core::time::Duration;

use sctp_user::wire::chunk::{Asconf, AsconfParam, AsconfParams, Chunk, kind};
use sctp_user::wire::tlv::TlvIter;
use sctp_user::wire::{Packet, Param};
use sctp_user::{AssocConfig, Event, PathChange, Serial};
use testbed::puppet::{Puppet, Seen, chunks, encode, encode_params, ip, names, raw_item};

use super::{ADD, DELETE, PRIMARY, acks, asconf, ask, changes, closed_network, ips, open, open_with, peers};

const A: &str = "10.0.0.1";
const B: &str = "10.1.0.1";
const Z: &str = "10.0.0.2";
const Y: &str = "10.1.0.2";
const X: &str = "10.2.0.2";

/// RFC 5061 rows: 5.3-4, 5.3-5, 5.3-28, 5.3-29.
#[test]
fn an_added_address_is_confirmed_before_it_is_used() {
    let mut p = open(&[A, B], &[Z]);
    let serial = p.tsn;
    let mut sent = ask(&mut p, Z, &asconf(serial, Z, &[(ADD, 7, Y)]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Z))]);
    assert_eq!(changes(&p, Y), [PathChange::Added]);
    // All to the first address is lost, and still nothing but HEARTBEATs goes to the second.
    sent.extend(p.send(0, &[1; 4_000]));
    sent.extend(p.pass(Duration::from_secs(10)));
    let there: Vec<_> = sent.iter().filter(|s| s.dst == ip(Y)).cloned().collect();
    assert!(there.len() > 1 && there.iter().all(|s| s.names() == ["HEARTBEAT"]), "{:?}", names(&there));
    let sent = p.answer_heartbeats(&there);
    assert!(changes(&p, Y).contains(&PathChange::Confirmed), "{:?}", p.events);
    let sent = [sent, p.pass(Duration::from_secs(60))].concat();
    assert!(sent.iter().any(|s| s.dst == ip(Y) && s.names() == ["DATA"]), "{:?}", names(&sent));
}

/// RFC 5061 rows: 5.3-25, 5.3-26, 5.3-27.
#[test]
fn a_deleted_address_gets_nothing_and_is_a_stranger() {
    let mut p = open(&[A, B], &[Z, Y, X]);
    // Data is under way to the address that goes.
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().set_primary(now, ip(Y)).unwrap();
    let sent = p.send(0, &[1; 4_000]);
    assert!(sent.iter().any(|s| s.dst == ip(Y) && s.names() == ["DATA"]));
    p.events.clear();
    let (before, serial) = (p.cum, p.tsn);
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(DELETE, 7, Y)]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Z))]);
    assert_eq!(changes(&p, Y), [PathChange::Removed]);
    let heir = peers(&mut p)[0];
    assert_eq!(changes(&p, &heir.to_string()), [PathChange::MadePrimary]);
    assert_eq!(peers(&mut p).len(), 2);
    // What was under way there goes elsewhere at once.
    assert!(sent.iter().any(|s| s.names().contains(&"DATA") && s.dst == heir), "{:?}", names(&sent));
    let mut sent = p.pass(Duration::from_secs(5));
    sent.extend(p.send(0, b"more"));
    assert!(sent.iter().all(|s| s.dst != ip(Y)), "{sent:?}");
    let sack = testbed::puppet::sack(before, 1 << 20, &[], &[]);
    let sent = p.give_in(p.envelope().from(Y), &[sack]);
    assert_eq!(names(&sent), [["ABORT"]], "out of the blue");
    assert_eq!(p.state(), "ESTABLISHED");
}

/// RFC 5061 rows: 4.2.1-3, 5.2-10, 5.3.2-3.
#[test]
fn a_wildcard_adds_the_source() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let sent = ask(&mut p, Y, &asconf(serial, Z, &[(ADD, 7, "0.0.0.0")]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
    assert_eq!(peers(&mut p), ips(&[Z, Y]));
    // Only the answer and what confirms the address may go there.
    assert!(
        sent.iter().filter(|s| s.dst == ip(Y)).flat_map(testbed::puppet::Sent::names).all(|n| ["ASCONF-ACK", "HEARTBEAT"].contains(&n))
    );
}

/// RFC 5061 rows: 4.2.2-3.
#[test]
fn a_wildcard_deletes_all_but_the_source() {
    for any in ["0.0.0.0", "::"] {
        let mut p = open(&[A, B], &[Z, Y, X]);
        let serial = p.tsn;
        let sent = ask(&mut p, Y, &asconf(serial, Y, &[(DELETE, 7, any)]));
        assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
        assert_eq!(peers(&mut p), ips(&[Y]));
        assert!(changes(&p, Y).contains(&PathChange::MadePrimary));
    }
}

/// Attack class 6: CVE-2026-64564, the path that is named in the address parameter is deleted twice, by its name and by the wildcard.
#[test]
fn cve_2026_64564_the_address_of_the_request_outlives_the_wildcard_behind_its_own_deletion() {
    let mut p = open(&[A, B], &[Z, Y, X]);
    let serial = p.tsn;
    // As a stranger's address is no path yet, the request finds its association by its address parameter, and is answered there.
    let sent = ask(&mut p, Y, &asconf(serial, Z, &[(DELETE, 1, Z), (DELETE, 2, "0.0.0.0")]));
    assert_eq!(acks(&sent), [(serial, vec![], ip(Y))]);
    assert_eq!(peers(&mut p), ips(&[Y]));
    let sent = ask(&mut p, Y, &asconf(serial + 1, Y, &[(DELETE, 1, Y), (DELETE, 2, "0.0.0.0")]));
    assert_eq!(acks(&sent), [(serial + 1, vec![(1, 0xa0)], ip(Y))]);
    assert_eq!(peers(&mut p), ips(&[Y]));
}

/// RFC 5061 rows: 5.3-18, 5.3-19, 5.3-20, 5.3-21.
/// Attack class 6: DELETE of the last address, and of the address that the request comes from.
#[test]
fn the_last_address_and_the_source_are_not_deleted() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(DELETE, 7, Z)]));
    assert_eq!(acks(&sent), [(serial, vec![(7, 0xa0)], ip(Z))]);
    assert_eq!(peers(&mut p), ips(&[Z]));
    let mut p = open(&[A], &[Z, Y]);
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(DELETE, 7, Z)]));
    assert_eq!(acks(&sent), [(serial, vec![(7, 0xa2)], ip(Z))]);
    let sent = ask(&mut p, Z, &asconf(serial + 1, Z, &[(DELETE, 8, Y), (DELETE, 9, Z)]));
    assert_eq!(acks(&sent), [(serial + 1, vec![(9, 0xa0)], ip(Z))]);
    assert_eq!(peers(&mut p), ips(&[Z]));
}

/// RFC 5061 rows: 5.3-22, 5.3-23, 5.3-24.
#[test]
fn without_room_an_addition_and_all_behind_it_fail() {
    let mut p = open(&[A], &[Z]);
    let mut serial = p.tsn;
    for n in 0..63 {
        let sent = ask(&mut p, Z, &asconf(serial, Z, &[(ADD, n, &format!("10.9.{n}.2"))]));
        assert_eq!(acks(&sent), [(serial, vec![], ip(Z))], "{n}");
        serial += 1;
    }
    let requests = [(DELETE, 1, "10.9.0.2"), (ADD, 2, X), (ADD, 3, Y), (DELETE, 4, "10.9.1.2"), (PRIMARY, 5, Z)];
    let sent = ask(&mut p, Z, &asconf(serial, Z, &requests));
    assert_eq!(acks(&sent), [(serial, vec![(3, 0xa1), (4, 0xa1)], ip(Z))]);
    assert!(peers(&mut p).contains(&ip(X)) && peers(&mut p).contains(&ip("10.9.1.2")));
}

/// RFC 5061 rows: 4.2.1-2, 4.2.2-2.
#[test]
fn what_no_host_can_have_is_not_added() {
    for addr in ["224.0.0.1", "255.255.255.255", "ff02::1", "127.0.0.1", A] {
        let mut p = open(&[A], &[Z]);
        let serial = p.tsn;
        let sent = ask(&mut p, Z, &asconf(serial, Z, &[(ADD, 7, addr)]));
        assert_eq!(acks(&sent), [(serial, vec![(7, 0xa4)], ip(Z))], "{addr}");
        assert_eq!(peers(&mut p), ips(&[Z]));
        // What is not there is gone already.
        let sent = ask(&mut p, Z, &asconf(serial + 1, Z, &[(DELETE, 8, addr)]));
        assert_eq!(acks(&sent), [(serial + 1, vec![], ip(Z))], "{addr}");
    }
}

/// RFC 5061 rows: 5.2-4, 5.2-5, 5.2-6, 5.2-7.
#[test]
fn requests_are_done_in_their_order() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(PRIMARY, 1, Y), (ADD, 2, Y), (ADD, 3, X), (DELETE, 4, Y)]));
    assert_eq!(acks(&sent), [(serial, vec![(1, 5)], ip(Z))], "it is not there yet");
    assert_eq!(peers(&mut p), ips(&[Z, X]));
}

/// RFC 5061 rows: 4.2.1-1, 4.2.2-1, 4.2.3-1, 4.2.4-1, 5.2-8.
#[test]
fn an_answer_has_the_number_and_the_bytes_of_its_request() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let requests = [(ADD, 0x0123_4567, "224.0.0.1"), (DELETE, 0xffff_ffff, Z), (PRIMARY, 0, X)];
    let asked = asconf(serial, Z, &requests);
    let sent = ask(&mut p, Z, &asked);
    assert_eq!(acks(&sent), [(serial, vec![(0x0123_4567, 0xa4), (0xffff_ffff, 0xa0), (0, 5)], ip(Z))]);
    let ack = &sent[0].chunks[0].raw;
    let items: Vec<_> = TlvIter::new(&ack[8..]).map(Result::unwrap).collect();
    assert!(items.iter().all(|t| t.kind == 0xc003));
    // Its cause has the whole request.
    assert_eq!(items[0].value[8..], asked[16..32]);
}

/// RFC 5061 section 5.2 rule V2: what is not understood is reported by the two high bits of its type.
#[test]
fn unknown_requests_are_reported_and_skipped_as_their_type_says() {
    let any = AsconfParam::Request { request: ADD, correlation: 9, addr: ip(Y) };
    for (kind, reported, goes_on) in [(0x0123_u16, false, false), (0x4123, true, false), (0x8123, false, true), (0xc123, true, true)] {
        let mut p = open(&[A], &[Z]);
        let serial = p.tsn;
        let raw = raw_item(kind, &[0, 0, 0, 5, 1, 2, 3, 4]);
        let unknown = AsconfParam::Unknown(TlvIter::new(&raw).next().unwrap().unwrap());
        let params = [unknown, any];
        let chunk = Chunk::Asconf(Asconf { serial: Serial(serial), address: ip(Z), params: AsconfParams::List(&params) });
        let sent = p.give(&[chunk]);
        let errors = if reported { vec![(5, 8)] } else { vec![] };
        assert_eq!(acks(&sent), [(serial, errors, ip(Z))], "{kind:x}");
        assert_eq!(peers(&mut p).len(), 1 + usize::from(goes_on), "{kind:x}");
    }
}

/// RFC 5061 rows: 3-1, 3-2, 3-3, 5.2-9.
/// Attack class 6, CVE-2014-3687: an ASCONF that comes again gets the kept answer, and none that is older or from nowhere.
#[test]
fn an_asconf_that_comes_again_gets_the_same_answer_and_is_not_done_again() {
    // Numbers pass the end of their space.
    let mut p = Puppet::at(closed_network(), &[A], &[Z]);
    p.tsn = u32::MAX - 1;
    p.params = encode_params(&[Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK])]);
    p.open();
    let numbers = [u32::MAX - 1, u32::MAX, 0, 1];
    for (n, serial) in numbers.into_iter().enumerate() {
        let addr = format!("10.{}.0.2", n + 5);
        let requests = [(ADD, 1, addr.as_str()), (DELETE, 2, Z)];
        let first = ask(&mut p, Z, &asconf(serial, Z, &requests));
        assert_eq!(acks(&first), [(serial, vec![(2, 0xa2)], ip(Z))]);
        p.events.clear();
        for _ in 0..3 {
            let again = ask(&mut p, Z, &asconf(serial, Z, &requests));
            assert_eq!(again[0].chunks[0].raw, first[0].chunks[0].raw);
            assert!(changes(&p, &addr).is_empty());
        }
        // Behind what was done, and ahead of what comes next: silence.
        for stray in
            [serial.wrapping_sub(1), serial.wrapping_add(2), serial.wrapping_add(1 << 31).wrapping_sub(1), serial.wrapping_sub(1 << 30)]
        {
            let sent = ask(&mut p, Z, &asconf(stray, Z, &[(ADD, 1, X)]));
            assert!(acks(&sent).is_empty(), "{serial} {stray}");
        }
        assert!(!peers(&mut p).contains(&ip(X)));
    }
}

/// RFC 5061 rows: 5.1.1-3, 5.1.1-4, 5.5-1, 5.5-3, 5.5-4.
/// (What the peer bundles; the stack itself sends one at a time.)
#[test]
fn bundled_asconfs_are_answered_in_one_packet_in_order() {
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let one = asconf(serial, Z, &[(ADD, 1, Y)]);
    let two = asconf(serial + 1, Z, &[(ADD, 1, X)]);
    let sent = ask(&mut p, Z, &one);
    assert_eq!(acks(&sent).len(), 1);
    // The answer was lost: the peer repeats the first, with the second behind it.
    let sent = ask(&mut p, Z, &[one.clone(), two.clone()].concat());
    assert_eq!(sent[0].names(), ["ASCONF-ACK", "ASCONF-ACK"]);
    assert_eq!(acks(&sent).iter().map(|a| a.0).collect::<Vec<_>>(), [serial, serial + 1]);
    // And once more: both answers are still there.
    let sent = ask(&mut p, Z, &[one, two].concat());
    assert_eq!(acks(&sent).iter().map(|a| a.0).collect::<Vec<_>>(), [serial, serial + 1]);
    assert_eq!(peers(&mut p), ips(&[Z, Y, X]));
}

/// RFC 5061 rows: 5.2-11, 5.2-12.
#[test]
fn answers_beyond_a_packet_are_kept_for_later() {
    let mut cfg = closed_network();
    cfg.mtu = 576;
    let mut p = open_with(cfg, &[A], &[Z]);
    let serial = p.tsn;
    // Each answer has its refused requests in it.
    let refused: Vec<_> = (0..10).map(|n| (ADD, n, "224.0.0.1")).collect();
    let bundle: Vec<_> = (0..3).map(|n| asconf(serial + n, Z, &refused)).collect();
    let sent = ask(&mut p, Z, &bundle.concat());
    assert_eq!(acks(&sent).len(), 1);
    assert!(sent.iter().all(|s| s.bytes.len() <= 576 - 28));
    // All were done; their answers come when they are asked for.
    for (number, asconf) in (serial..).zip(&bundle).skip(1) {
        let sent = ask(&mut p, Z, asconf);
        assert_eq!(acks(&sent)[0].0, number);
    }
}

/// RFC 5061 rows: 5.4-2, 5.4-3.
#[test]
fn a_primary_path_is_taken_as_soon_as_it_is_confirmed() {
    let mut p = open(&[A, B], &[Z, Y]);
    let serial = p.tsn;
    let sent = ask(&mut p, Z, &asconf(serial, Z, &[(PRIMARY, 1, X)]));
    assert_eq!(acks(&sent), [(serial, vec![(1, 5)], ip(Z))]);
    assert_eq!(peers(&mut p)[0], ip(Z), "unchanged");
    ask(&mut p, Z, &asconf(serial + 1, Z, &[(PRIMARY, 1, Y)]));
    assert_eq!(peers(&mut p)[0], ip(Y));
    assert_eq!(changes(&p, Y), [PathChange::MadePrimary]);
    let mut sent = ask(&mut p, Z, &asconf(serial + 2, Z, &[(ADD, 1, X), (PRIMARY, 2, X)]));
    assert_eq!(acks(&sent), [(serial + 2, vec![], ip(Z))]);
    assert_eq!(peers(&mut p)[0], ip(Y), "not confirmed yet");
    sent.extend(p.pass(Duration::from_secs(2)));
    p.answer_heartbeats(&sent);
    assert_eq!(peers(&mut p)[0], ip(X));
    // A wildcard is the source.
    ask(&mut p, Z, &asconf(serial + 3, Z, &[(PRIMARY, 2, "0.0.0.0")]));
    assert_eq!(peers(&mut p)[0], ip(Z));
}

/// RFC 5061 section 5.4: the same wish in INIT and INIT ACK.
#[test]
fn an_init_may_wish_for_a_primary_path() {
    let params = encode_params(&[
        Param::Address(ip(Y)),
        Param::SetPrimary { correlation: 3, addr: ip(Y) },
        Param::SupportedExtensions(&[kind::ASCONF, kind::ASCONF_ACK]),
    ]);
    for stack_opens in [false, true] {
        let mut p = Puppet::at(closed_network(), &[A, B], &[Z]);
        p.params = params.clone();
        let mut sent = if stack_opens { p.accept() } else { p.open() };
        assert_eq!(peers(&mut p), ips(&[Z, Y]));
        sent.extend(p.pass(Duration::from_secs(2)));
        p.answer_heartbeats(&sent);
        assert_eq!(peers(&mut p), ips(&[Y, Z]), "{stack_opens}");
    }
}

/// RFC 5061 rows: 4.2-1, 4.2-2.
#[test]
fn what_has_its_place_elsewhere_is_ignored() {
    let request = raw_item(0xc001, &[0, 0, 0, 1, 0, 5, 0, 8, 10, 9, 9, 9]);
    let mut p = Puppet::at(closed_network(), &[A], &[Z]);
    for kind in [0xc001, 0xc002, 0xc003, 0xc005] {
        p.params.extend(raw_item(kind, &request[4..]));
    }
    let ack = p.give_init();
    assert!(ack.params.iter().all(|(kind, _)| *kind != 8), "reported: {ack:?}");
    let mut p = open(&[A], &[Z]);
    let serial = p.tsn;
    let raw = [raw_item(0xc005, &[0, 0, 0, 1]), raw_item(0xc006, &[0, 0, 0, 1])].concat();
    let unknown: Vec<_> = TlvIter::new(&raw).map(|t| AsconfParam::Unknown(t.unwrap())).collect();
    let chunk = Chunk::Asconf(Asconf { serial: Serial(serial), address: ip(Z), params: AsconfParams::List(&unknown) });
    let sent = p.give(&[chunk]);
    assert_eq!(acks(&sent).len(), 1);
    assert_eq!((p.state(), peers(&mut p)), ("ESTABLISHED", ips(&[Z])));
}

/// RFC 5061 rows: 4.2.6-2, 4.2.6-3, 4.2.6-4, 4.2.6-5, 6-6.
#[test]
fn an_adaptation_indication_is_handed_on_unread() {
    let mut cfg = AssocConfig::rfc();
    cfg.adaptation = Some(0xfeed_beef);
    for stack_opens in [false, true] {
        let mut p = Puppet::new(cfg.clone());
        p.params = encode_params(&[Param::Adaptation(0x1234_5678)]);
        let said = if stack_opens {
            let init = p.connect();
            let Seen::Init(init) = init[0].first() else { panic!() };
            p.give_init_ack();
            p.give(&[Chunk::CookieAck]);
            init.params.clone()
        } else {
            p.open();
            let ack = chunks(&p.log).find_map(|c| if let Seen::InitAck(i) = c { Some(i.params.clone()) } else { None });
            ack.unwrap()
        };
        assert!(said.contains(&(0xc006, 0xfeed_beef_u32.to_be_bytes().to_vec())), "{said:?}");
        assert_eq!(p.events[..2].iter().filter(|e| **e == Event::Adaptation(0x1234_5678)).count(), 1, "{:?}", p.events);
        let id = p.id();
        assert_eq!(p.stack.assoc(id).unwrap().adaptation(), Some(0x1234_5678));
        p.send(0, b"x");
        assert!(p.log.iter().flat_map(|s| &s.chunks).skip(1).all(|c| c.kind != kind::ASCONF));
    }
}

/// RFC 5061 rows: 4.2.7-1, 4.2.7-3, 4.2.7-4, 4.2.7-5.
#[test]
fn supported_extensions_are_those_that_are_switched_on() {
    for on in [false, true] {
        let mut cfg = closed_network();
        cfg.add_ip = on;
        let mut p = Puppet::new(cfg);
        let init = p.connect();
        let Seen::Init(init) = init[0].first() else { panic!() };
        let listed: Vec<_> = init.params.iter().filter(|(kind, _)| *kind == 0x8008).map(|(_, v)| v.clone()).collect();
        let asconf: Vec<_> = listed.concat().into_iter().filter(|k| [kind::ASCONF, kind::ASCONF_ACK].contains(k)).collect();
        assert_eq!(asconf.len(), if on { 2 } else { 0 });
        assert!(listed.len() <= 1);
        // Both are understood, or neither is.
        let mut p = if on { open(&[A], &[Z]) } else { Puppet::established(AssocConfig::rfc()) };
        let serial = p.tsn;
        let sent = ask(&mut p, Z, &asconf_of(serial));
        assert_eq!(acks(&sent).len(), usize::from(on));
    }
}

fn asconf_of(serial: u32) -> Vec<u8> {
    asconf(serial, Z, &[(ADD, 1, Y)])
}

/// RFC 5061 rows: 4.1.1-8.
#[test]
fn where_it_is_off_an_asconf_is_an_unknown_chunk() {
    let mut cfg = AssocConfig::rfc();
    cfg.add_ip = false;
    let mut p = Puppet::established(cfg);
    let data = p.data(0, b"behind it");
    let both = [asconf_of(p.tsn), encode(&[data])].concat();
    let sent = p.give_raw(&both);
    let Some(Seen::Error { causes }) = chunks(&sent).find(|c| matches!(c, Seen::Error { .. })) else { panic!("{:?}", names(&sent)) };
    assert_eq!((causes[0].0, causes[0].1[0]), (6, kind::ASCONF));
    assert_eq!(p.recv().unwrap().payload, "behind it");
    let packet = Packet::parse(&sent[0].bytes).unwrap();
    assert!(packet.chunks().all(|c| c.is_ok()));
}
