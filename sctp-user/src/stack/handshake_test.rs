//! The handshake: INIT, its parameters, cookies, and what rides along.

use bytes::Bytes;

use super::ladder::{B, PORT, Pair, Peer, answer_to, init, ip, kinds, packet};
use super::*;
use crate::error::SendError;
use crate::event::SendOptions;
use crate::num::{Ppid, StreamId, Vtag};
use crate::wire::chunk::{Heartbeat, Init, InitParams};
use crate::wire::{Cause, Chunk, Encode, Packet, Param};

#[test]
fn four_way_handshake() {
    let mut p = Pair::new();
    let id = p.connect();
    let i = p.a.packets(p.now);
    assert_eq!(kinds(&i[0]), [1]);
    p.b.take(p.now, p.a.ip, i[0].clone());
    assert_eq!(p.b.stack.association_count(), 0, "an INIT allocates nothing");
    let ack = p.b.packets(p.now);
    assert_eq!(kinds(&ack[0]), [2]);
    p.a.take(p.now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(p.now);
    assert_eq!(kinds(&echo[0]), [10]);
    p.b.take(p.now, p.a.ip, echo[0].clone());
    assert_eq!(p.b.stack.association_count(), 1);
    let done = p.b.packets(p.now);
    assert_eq!(kinds(&done[0]), [11]);
    p.a.take(p.now, p.b.ip, done[0].clone());
    assert_eq!(p.a.state(id), "ESTABLISHED");
    assert!(p.a.has(|e| matches!(e, Event::Connected { outbound: 10, incoming: false, .. })));
    assert!(p.b.has(|e| matches!(e, Event::Connected { incoming: true, .. })));
}

#[test]
fn data_rides_behind_the_cookie_echo() {
    let mut p = Pair::new();
    let id = p.connect();
    let now = p.now;
    p.a.stack.assoc(id).unwrap().send(now, StreamId(0), Ppid(5), Bytes::from_static(b"early"), SendOptions::ordered()).unwrap();
    let i = p.a.packets(now);
    p.b.take(now, p.a.ip, i[0].clone());
    let ack = p.b.packets(now);
    p.a.take(now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(now);
    assert_eq!(kinds(&echo[0]), [10, 0]);
    p.b.take(now, p.a.ip, echo[0].clone());
    let reply = p.b.packets(now);
    assert_eq!(kinds(&reply[0]), [11, 3], "COOKIE ACK first, the first DATA acknowledged at once");
    let b = p.b.events[0].0;
    assert_eq!(p.b.stack.assoc(b).unwrap().recv().unwrap().payload, "early");
}

#[test]
fn a_lost_packet_of_the_handshake_is_sent_again() {
    for lost in 0..4 {
        let mut p = Pair::new();
        let id = p.connect();
        let mut n = 0;
        for _ in 0..8 {
            for pkt in p.a.packets(p.now) {
                if n != lost {
                    p.b.take(p.now, p.a.ip, pkt);
                }
                n += 1;
            }
            for pkt in p.b.packets(p.now) {
                if n != lost {
                    p.a.take(p.now, p.b.ip, pkt);
                }
                n += 1;
            }
        }
        p.pass(Duration::from_secs(3));
        assert_eq!(p.a.state(id), "ESTABLISHED", "lost packet {lost}");
        assert_eq!(p.b.events.iter().filter(|(_, e)| matches!(e, Event::Connected { .. })).count(), 1);
    }
}

#[test]
fn no_answer_to_init_ends_after_the_retries() {
    let mut p = Pair::new();
    let id = p.connect();
    let first = p.a.packets(p.now)[0].clone();
    let mut inits = 1;
    while let Some(t) = p.a.stack.poll_timeout() {
        p.now = t;
        p.a.stack.handle_timeout(t);
        for again in p.a.packets(t) {
            assert_eq!(again, first, "a retransmitted INIT is unchanged");
            inits += 1;
        }
    }
    assert_eq!(inits, 9);
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::ConnectTimeout }));
    assert_eq!(p.a.state(id), "gone");
}

#[test]
fn init_to_a_closed_port_is_refused() {
    let mut p = Pair::new();
    let (now, b) = (p.now, p.b.ep);
    p.b.stack.listen(b, false);
    p.connect();
    p.settle();
    assert!(p.a.has(|e| matches!(e, Event::Lost { reason: CloseReason::Refused(_) })), "{now} {:?}", p.a.events);
}

#[test]
fn init_rules() {
    let mut p = Pair::new();
    // Tag zero, or a tag in the common header: silence.
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(init(0))])).is_empty());
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(3), &[Chunk::Init(init(5))])).is_empty());
    // Bundled: the whole packet is dropped.
    assert!(answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(init(5)), Chunk::CookieAck])).is_empty());
    // No streams: ABORT with the INIT's tag.
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { outbound: 0, ..init(5) })]));
    let parsed = Packet::parse(&refused[0]).unwrap();
    assert_eq!(parsed.header.vtag, Vtag(5));
    let Chunk::Abort(abort) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no ABORT") };
    assert!(!abort.t);
    assert_eq!(abort.causes().next(), Some(Ok(Cause::InvalidMandatoryParam)));
    // A host name is refused with the parameter.
    let params = [Param::HostName(b"example.org\0")];
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
    assert_eq!(kinds(&refused[0]), [6]);
    // Window below 1500.
    let refused = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { a_rwnd: 1499, ..init(5) })]));
    assert_eq!(kinds(&refused[0]), [6]);
    assert_eq!(p.b.stack.association_count(), 0);
}

#[test]
fn unknown_parameters_follow_their_action_bits() {
    let report = |kind: u16| {
        let mut p = Pair::new();
        let raw = [kind.to_be_bytes(), [0, 6], *b"hi"].concat();
        let tlv = crate::wire::tlv::TlvIter::new(&raw).next().unwrap().unwrap();
        // Behind it an address that only counts if processing went on.
        let params = [Param::Unknown(tlv), Param::Address(ip("10.0.0.77"))];
        let ack = answer_to(&mut p, packet(9, PORT, Vtag(0), &[Chunk::Init(Init { params: InitParams::List(&params), ..init(5) })]));
        let parsed = Packet::parse(&ack[0]).unwrap();
        let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
        let mut reported = false;
        let mut cookie = Vec::new();
        for (param, _) in ack.params().map(Result::unwrap) {
            match param {
                Param::Unrecognized(echo) => reported = echo == raw.as_slice(),
                Param::StateCookie(c) => cookie = c.to_vec(),
                _ => {}
            }
        }
        let cookie = p.b.stack.cookies.open(p.now, &cookie).unwrap();
        (reported, cookie.peer_addrs.len() == 2)
    };
    assert_eq!(report(0x3fff), (false, false), "00: stop");
    assert_eq!(report(0x7fff), (true, false), "01: stop, report");
    assert_eq!(report(0xbfff), (false, true), "10: skip");
    assert_eq!(report(0xffff), (true, true), "11: skip, report");
}

#[test]
fn a_stale_cookie_is_reported_and_asked_for_again() {
    let mut p = Pair::new();
    let id = p.connect();
    let i = p.a.packets(p.now);
    p.b.take(p.now, p.a.ip, i[0].clone());
    let ack = p.b.packets(p.now);
    p.a.take(p.now, p.b.ip, ack[0].clone());
    let echo = p.a.packets(p.now);
    let late = p.now + Duration::from_secs(61);
    p.b.take(late, p.a.ip, echo[0].clone());
    let error = p.b.packets(late);
    assert_eq!(kinds(&error[0]), [9]);
    assert_eq!(p.b.stack.association_count(), 0);
    p.a.take(p.now, p.b.ip, error[0].clone());
    let again = p.a.packets(p.now);
    let parsed = Packet::parse(&again[0]).unwrap();
    let Chunk::Init(init) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT") };
    assert!(init.params().any(|x| matches!(x.unwrap().0, Param::CookiePreservative(ms) if (1..=1_000).contains(&ms))));
    p.now = late;
    for pkt in again {
        p.b.take(late, p.a.ip, pkt);
    }
    p.settle();
    assert_eq!(p.a.state(id), "ESTABLISHED");
}

#[test]
fn messages_for_streams_that_the_peer_refuses_come_back() {
    let mut p = Pair::new();
    let narrow = AssocConfig { max_inbound_streams: 2, ..AssocConfig::rfc() };
    p.b = Peer::new(B, PORT, 2, narrow);
    let id = p.connect();
    let now = p.now;
    for sid in [0, 5, 1] {
        p.a.stack.assoc(id).unwrap().send(now, StreamId(sid), Ppid(0), Bytes::from(vec![0; 10]), SendOptions::ordered()).unwrap();
    }
    p.settle();
    assert_eq!(p.a.state(id), "ESTABLISHED");
    let failed: Vec<_> =
        p.a.events.iter().filter_map(|(_, e)| if let Event::SendFailed { message, .. } = e { Some(message.sid.0) } else { None }).collect();
    assert_eq!(failed, [5]);
    let b = p.b.events[0].0;
    let got: Vec<_> = core::iter::from_fn(|| p.b.stack.assoc(b)?.recv()).map(|m| m.sid.0).collect();
    assert_eq!(got, [0, 1]);
    assert_eq!(
        p.a.stack.assoc(id).unwrap().send(now, StreamId(2), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()),
        Err(SendError::InvalidStream)
    );
}

#[test]
fn a_peer_that_finds_every_cookie_stale_does_not_keep_us_busy() {
    let mut p = Pair::new();
    let id = p.connect();
    let stale = Cause::StaleCookie(1).to_vec();
    for _ in 0..40 {
        for pkt in p.a.packets(p.now) {
            if kinds(&pkt)[0] == 1 {
                p.b.take(p.now, p.a.ip, pkt);
                for ack in p.b.packets(p.now) {
                    p.a.take(p.now, p.b.ip, ack);
                }
            } else {
                let tag = p.a.stack.assocs.get(id).unwrap().core.local_tag;
                let error = packet(PORT, 50_000, tag, &[Chunk::Error(crate::wire::chunk::ErrorChunk { causes: &stale })]);
                p.a.take(p.now, p.b.ip, error);
            }
        }
    }
    assert!(p.a.has(|e| *e == Event::Lost { reason: CloseReason::ConnectTimeout }), "{:?}", p.a.events);
}

#[test]
fn packets_from_an_address_that_the_init_ack_listed_belong_to_the_association() {
    let mut p = Pair::new();
    let id = p.connect();
    let init_packet = p.a.packets(p.now)[0].clone();
    p.b.take(p.now, p.a.ip, init_packet);
    let ack = p.b.packets(p.now)[0].clone();
    let parsed = Packet::parse(&ack).unwrap();
    let Chunk::InitAck(ack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
    let mut params: Vec<_> = ack.params().map(|x| x.unwrap().0).collect();
    params.insert(0, Param::Address(ip("10.0.0.99")));
    let listed = Init { params: InitParams::List(&params), ..ack };
    let forwarded = packet(PORT, 50_000, parsed.header.vtag, &[Chunk::InitAck(listed)]);
    p.a.take(p.now, p.b.ip, forwarded);
    p.settle();
    let tag = p.a.stack.assocs.get(id).unwrap().core.local_tag;
    let tlvs = [0, 1, 0, 8, 1, 2, 3, 4];
    let beat = packet(PORT, 50_000, tag, &[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
    p.a.take(p.now, ip("10.0.0.99"), beat);
    let reply = p.a.packets(p.now);
    assert_eq!(kinds(&reply[0]), [5], "answered, not aborted");
    assert_eq!(p.a.state(id), "ESTABLISHED");
}
