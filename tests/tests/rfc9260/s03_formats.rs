//! Sections 3 to 3.3.1: packets, chunks, parameters, and DATA.

use bytes::Bytes;
use sctp_user::wire::chunk::{CookieEcho, Heartbeat};
use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, ConnectError, PeerAddr, Ppid, SendError, SendOptions, StreamId};
use testbed::puppet::{Puppet, STACK_PORT, Seen, Sent, chunks, data, encode, encode_params, names, only, raw_chunk, raw_item};

/// The chunks of a packet as they lie on the wire: type, length field, value, padding.
fn walk(packet: &[u8]) -> Vec<(u8, usize, Vec<u8>, Vec<u8>)> {
    let mut rest = &packet[12..];
    let mut out = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let padded = len.next_multiple_of(4);
        out.push((rest[0], len, rest[4..len].to_vec(), rest[len..padded].to_vec()));
        rest = &rest[padded..];
    }
    out
}

/// The values and the padding of the parameters in `bytes`.
fn walk_items(mut rest: &[u8]) -> Vec<(u16, Vec<u8>, Vec<u8>)> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let padded = len.next_multiple_of(4).min(rest.len());
        out.push((u16::from_be_bytes([rest[0], rest[1]]), rest[4..len].to_vec(), rest[len..padded].to_vec()));
        rest = &rest[padded..];
    }
    out
}

fn payloads(sent: &[Sent]) -> Vec<Vec<u8>> {
    chunks(sent).filter_map(|c| if let Seen::Data { payload, .. } = c { Some(payload.clone()) } else { None }).collect()
}

/// A life with all that the stack sends alone: handshake from both sides, and shutdown from both sides.
fn lives() -> Vec<Sent> {
    let mut log = Vec::new();
    for stack_opens in [false, true] {
        for stack_closes in [false, true] {
            let cfg = AssocConfig::rfc();
            let mut p = if stack_opens { Puppet::accepted(cfg) } else { Puppet::established(cfg) };
            let data = p.data(0, b"odd");
            p.give(&[data]);
            p.send(0, b"odd");
            p.ack();
            if stack_closes {
                p.shutdown();
                p.give(&[Chunk::ShutdownAck]);
            } else {
                p.give(&[Chunk::Shutdown(p.shutdown_chunk())]);
            }
            log.append(&mut p.log);
        }
    }
    log
}

/// RFC 9260 rows: 3-1, 6.10-8, 5.1-10, 5.1-11.
#[test]
fn init_init_ack_and_shutdown_complete_are_alone_in_their_packets() {
    let alone = ["INIT", "INIT-ACK", "SHUTDOWN-COMPLETE"];
    let log = lives();
    for name in alone {
        let of: Vec<_> = log.iter().map(Sent::names).filter(|n| n.contains(&name)).collect();
        assert!(of.len() >= 2, "{name} was not seen");
        assert!(of.iter().all(|n| *n == [name]), "{of:?}");
    }
    // Even when other chunks wait: DATA that the user has handed in already.
    let mut p = Puppet::new(AssocConfig::rfc());
    let peer = std::net::SocketAddr::new(p.addrs[0], p.port).into();
    p.id = Some(p.stack.connect(p.now, p.endpoint, &[peer], None).unwrap());
    p.try_send(0, b"early", SendOptions::ordered()).unwrap();
    assert_eq!(names(&p.collect()), [["INIT"]]);
}

/// RFC 9260 rows: 3.1-1, 3.1-2.
#[test]
fn no_packet_has_a_port_of_zero() {
    for sent in lives() {
        assert!(sent.src_port != 0 && sent.dst_port != 0);
    }
    let mut p = Puppet::new(AssocConfig::rfc());
    let nowhere = PeerAddr::from(std::net::SocketAddr::new(p.addrs[0], 0));
    assert_eq!(p.stack.connect(p.now, p.endpoint, &[nowhere], None), Err(ConnectError::PortZero));
    // Nor is one answered.
    for (src_port, dst_port) in [(0, STACK_PORT), (p.port, 0)] {
        let envelope = testbed::puppet::Envelope { src_port, dst_port, ..p.envelope() };
        assert!(p.give_in(envelope.tagged(0), &[Chunk::Init(p.init_chunk(&[]))]).is_empty());
        assert!(p.give_in(envelope.tagged(5), &[Chunk::ShutdownAck]).is_empty());
    }
    // An endpoint that leaves the choice of its port gets one that is not zero.
    let any = p.stack.open(sctp_user::EndpointConfig::new(0)).unwrap();
    assert_ne!(p.stack.local_port(any), Some(0));
}

/// RFC 9260 rows: 3.1-3, 3.3.2-6, 3.3.3-4, 8.5-1, 5.1-1.
#[test]
fn packets_carry_the_tag_that_the_peer_has_given() {
    for accepted in [false, true] {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.tag = 0x1357_9bdf;
        if accepted {
            p.accept();
            let Seen::Init(init) = p.log[0].first() else { panic!("{:?}", p.log[0]) };
            assert!(init.tag != 0 && init.tag == p.peer_tag);
        } else {
            p.open();
        }
        p.send(0, &[1; 3000]);
        let data = p.data(0, b"x");
        p.give(&[data, Chunk::Heartbeat(Heartbeat { tlvs: &raw_item(1, b"hb") })]);
        p.ack();
        p.ack();
        p.shutdown();
        p.give(&[Chunk::ShutdownAck]);
        for sent in p.log.iter().filter(|s| s.names() != ["INIT"]) {
            assert_eq!(sent.vtag, 0x1357_9bdf, "{:?}", sent.names());
        }
        assert_eq!(p.log.last().unwrap().names(), ["SHUTDOWN-COMPLETE"]);
    }
}

/// RFC 9260 rows: 3.1-4, 8.5.1-1, 12.3-1, 12.3-2.
#[test]
fn an_init_is_sent_alone_and_under_tag_zero() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.connect();
    p.pass(core::time::Duration::from_secs(20));
    assert!(p.log.len() > 3, "the INIT is sent again");
    for packet in &p.log {
        assert_eq!((packet.names(), packet.vtag), (vec!["INIT"], 0));
    }
}

/// RFC 9260 rows: 3.1-5, 8.4-6, 8.4-7, 3.3.13-2, 8.5.1-11.
#[test]
fn a_shutdown_complete_out_of_the_blue_reflects_the_tag() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let sent = p.give_in(p.envelope().tagged(0x0bad_cafe), &[Chunk::ShutdownAck]);
    let packet = only(&sent);
    assert_eq!((packet.vtag, packet.chunks[0].flags), (0x0bad_cafe, 1));
    assert_eq!(*packet.first(), Seen::ShutdownComplete { t: true });
}

/// RFC 9260 rows: 3.2-1, 3.2-2, 3.2-3, 3.3.1-8, 3.3.1-10.
#[test]
fn chunks_are_padded_with_at_most_three_zero_bytes() {
    let mut p = Puppet::established(AssocConfig::rfc());
    for len in 1..9_usize {
        let sent = p.send(0, &vec![0xee; len]);
        p.ack();
        let packet = only(&sent);
        let [(0, length, value, padding)] = &walk(&packet.bytes)[..] else { panic!("{packet:?}") };
        assert_eq!((*length, value.len()), (16 + len, 12 + len));
        assert_eq!(packet.bytes.len(), 12 + (16 + len).next_multiple_of(4));
        assert!(padding.len() < 4 && padding.iter().all(|b| *b == 0), "{padding:?}");
    }
    for packet in lives() {
        assert_eq!(packet.bytes.len() % 4, 0);
        assert!(walk(&packet.bytes).iter().all(|(_, _, _, padding)| padding.iter().all(|b| *b == 0)));
    }
}

/// RFC 9260 rows: 3.2-4.
#[test]
fn what_a_chunk_is_padded_with_does_not_matter() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (one, two) = (p.data(0, b"odd"), p.data(0, b"next"));
    let mut bytes = encode(&[one, two]);
    assert_eq!(bytes[19], 0);
    bytes[19] = 0xff;
    p.give_raw(&bytes);
    assert_eq!(p.recv().unwrap().payload, "odd");
    assert_eq!(p.recv().unwrap().payload, "next");
}

/// RFC 9260 rows: 3.2.1-1, 3.2.1-2.
#[test]
fn parameters_are_padded_with_at_most_three_zero_bytes() {
    for len in 1..6 {
        let mut p = Puppet::new(AssocConfig::rfc());
        p.params = [raw_item(0xc0f0, &vec![7; len]), raw_item(0xc0f1, &[8])].concat();
        p.give_init();
        let packet = p.log.last().unwrap();
        assert_eq!(packet.bytes.len() % 4, 0);
        let [(2, _, value, _)] = &walk(&packet.bytes)[..] else { panic!("{packet:?}") };
        let items = walk_items(&value[16..]);
        assert!(items.iter().filter(|(kind, ..)| *kind == 8).count() == 2, "{items:?}");
        assert!(items.iter().all(|(_, _, padding)| padding.len() < 4 && padding.iter().all(|b| *b == 0)), "{items:?}");
    }
}

/// RFC 9260 rows: 3.2.1-3.
#[test]
fn what_a_parameter_is_padded_with_does_not_matter() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = [raw_item(0x8101, &[1]), raw_item(0xc102, &[2, 3])].concat();
    for at in [5, 6, 7] {
        p.params[at] = 0xff;
    }
    assert_eq!(p.give_init().params.iter().filter(|(kind, _)| *kind == 8).count(), 1, "what stands behind it is found");
}

/// RFC 9260 rows: 3.2.1-4, 3.2.1-5.
#[test]
fn an_address_is_parameter_five_in_each_chunk() {
    let address = encode_params(&[Param::Address(testbed::puppet::ip("10.0.0.9"))]);
    assert_eq!(address[..4], [0, 5, 0, 8]);
    // In an INIT and in an INIT ACK.
    let mut p = Puppet::new(AssocConfig::rfc());
    p.params = address.clone();
    p.open();
    let mut q = Puppet::new(AssocConfig::rfc());
    q.params = address.clone();
    q.accept();
    for p in [&mut p, &mut q] {
        let id = p.id();
        let known: Vec<_> = p.stack.assoc(id).unwrap().peer_addrs().iter().map(|a| a.ip().to_string()).collect();
        assert_eq!(known, ["10.0.0.2", "10.0.0.9"]);
    }
    // And in an error cause of ours: the address that a restart added.
    let mut p = Puppet::established(AssocConfig::rfc());
    p.tag = 77;
    let sent = p.give_in(p.envelope().tagged(0), &[Chunk::Init(p.init_chunk(&address))]);
    let Seen::Abort { causes, .. } = only(&sent).first() else { panic!("{sent:?}") };
    assert_eq!(causes[..], [(11, address)]);
}

/// RFC 9260 rows: 3.2.2-1, 3.3.3.1.2-1.
#[test]
fn unknown_parameters_of_an_init_come_back_in_the_init_ack() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let unknown = [
        raw_item(0xc0f0, b"four"),
        raw_item(0x80f1, b"hush"),
        raw_item(0xc0f2, b"more"),
        raw_item(0x40f3, b"stop"),
        raw_item(0xc0f4, b"late"),
    ];
    p.params = unknown.concat();
    let ack = p.give_init();
    let reported: Vec<_> = ack.params.iter().filter(|(kind, _)| *kind == 8).map(|(_, v)| v.clone()).collect();
    assert_eq!(reported, [unknown[0].clone(), unknown[2].clone(), unknown[3].clone()]);
}

/// RFC 9260 rows: 3.2.2-2, 3.2.2-3, 5.1-7.
#[test]
fn unknown_parameters_of_an_init_ack_are_reported_behind_the_cookie_echo() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let unknown = [raw_item(0xc0f0, b"four"), raw_item(0xc0f2, b"more")].concat();
    p.params = unknown.clone();
    p.connect();
    let sent = p.give_init_ack();
    assert_eq!(names(&sent), [["COOKIE-ECHO", "ERROR"]], "one report for both");
    let Seen::Error { causes } = &sent[0].chunks[1].body else { panic!("{sent:?}") };
    assert_eq!(causes[..], [(8, unknown)]);
}

/// RFC 9260 rows: 3.3.1-2, 3.3.1-3, 6.6-3.
#[test]
fn unordered_data_is_delivered_at_once_whatever_its_sequence_number() {
    let mut p = Puppet::established(AssocConfig::rfc());
    // TSNs out of order, sequence numbers that repeat and jump.
    for (ahead, ssn, payload) in [(3, 7_u16, b"three"), (2, 7, b"two.."), (0, 60_000, b"zero."), (1, 0, b"one..")] {
        let mut d = data(p.tsn.wrapping_add(ahead), 1, ssn, payload);
        d.unordered = true;
        p.give(&[Chunk::Data(d)]);
        let message = p.recv().unwrap();
        assert!(message.unordered);
        assert_eq!(message.payload, payload[..]);
    }
}

/// RFC 9260 rows: 3.3.1-4, 3.3.1-6, 3.3.1-7, 3.3.1-12, 6.9-13.
#[test]
fn fragments_share_flag_stream_and_protocol_and_follow_each_other() {
    for unordered in [false, true] {
        let mut p = Puppet::established(AssocConfig::rfc());
        p.send(3, b"first of its stream");
        p.ack();
        let opts = if unordered { SendOptions::unordered() } else { SendOptions::ordered() };
        let (id, now) = (p.id(), p.now);
        p.stack.assoc(id).unwrap().send(now, StreamId(3), Ppid(0x0102_0304), Bytes::from(vec![9; 4000]), opts).unwrap();
        let sent = p.collect();
        let before = p.cum.wrapping_sub(u32::try_from(payloads(&sent).len()).unwrap());
        for (n, chunk) in (1..).zip(chunks(&sent)) {
            let Seen::Data { tsn, sid, ssn, ppid, unordered: u, .. } = chunk else { panic!("{chunk:?}") };
            assert_eq!((*tsn, *sid, *ppid, *u), (before.wrapping_add(n), 3, 0x0102_0304, unordered));
            assert!(unordered || *ssn == 1, "{ssn}");
        }
        assert_eq!(payloads(&sent).concat(), vec![9; 4000]);
    }
}

/// RFC 9260 rows: 3.3.1-5, 3.3.1-9, 3.3.1-11, 6.2-34.
#[test]
fn data_has_at_least_one_byte_and_both_ends_in_one_piece() {
    let mut p = Puppet::established(AssocConfig::rfc());
    assert_eq!(p.try_send(0, b"", SendOptions::ordered()), Err(SendError::Empty));
    assert!(p.collect().is_empty());
    let sent = p.send(0, b"x");
    let [(0, length, _, padding)] = &walk(&only(&sent).bytes)[..] else { panic!("{sent:?}") };
    assert_eq!((*length, padding.len()), (17, 3));
    assert!(matches!(only(&sent).first(), Seen::Data { begin: true, end: true, .. }), "{sent:?}");
}

/// RFC 9260 rows: 3.3.1-13, 1.6-4.
#[test]
fn tsns_follow_each_other_across_the_wrap() {
    // The stack's initial TSN is random and cannot be chosen: what it receives wraps, and what it sends has no gaps.
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tsn = u32::MAX - 1;
    p.open();
    for n in 0..4_u32 {
        let data = p.data(0, b"wrap");
        let sent = p.give(&[data]);
        p.pass(core::time::Duration::from_millis(200));
        let cum = p.log.iter().rev().find_map(|s| if let Seen::Sack { cum, .. } = s.first() { Some(*cum) } else { None });
        assert_eq!(cum, Some((u32::MAX - 1).wrapping_add(n)), "{sent:?}");
        assert_eq!(p.recv().unwrap().payload, "wrap");
    }
    let first = p.cum.wrapping_add(1);
    let mut tsns = Vec::new();
    for n in 0..20 {
        let sent = p.send(n % 3, b"one by one");
        p.ack();
        tsns.extend(chunks(&sent).filter_map(|c| if let Seen::Data { tsn, .. } = c { Some(tsn.wrapping_sub(first)) } else { None }));
    }
    assert_eq!(tsns, (0..20).collect::<Vec<_>>());
}

/// RFC 9260 rows: 15.2-2.
#[test]
fn unknown_flags_are_ignored_and_sent_as_zero() {
    for packet in lives() {
        for chunk in &packet.chunks {
            let known = match chunk.kind {
                0 => 0x0f,
                6 | 14 => 0x01,
                _ => 0,
            };
            assert_eq!(chunk.flags & !known, 0, "{chunk:?}");
        }
    }
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let echo = raw_chunk(10, 0xff, &cookie);
    assert_eq!(names(&p.give_raw(&echo)), [["COOKIE-ACK"]]);
    let mut data = encode(&[p.data(0, b"flags")]);
    data[1] |= 0xf0;
    assert_eq!(names(&p.give_raw(&data)), [["SACK"]]);
    assert_eq!(p.recv().unwrap().payload, "flags");
    let shutdown = encode(&[Chunk::Shutdown(p.shutdown_chunk())]);
    assert_eq!(names(&p.give_raw(&[&[7, 0xff], &shutdown[2..]].concat())), [["SHUTDOWN-ACK"]]);
}

/// RFC 9260 rows: 3.3.11-1, 3.3.12-1.
#[test]
fn the_handshake_comes_before_data() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let peer = std::net::SocketAddr::new(p.addrs[0], p.port).into();
    p.id = Some(p.stack.connect(p.now, p.endpoint, &[peer], None).unwrap());
    p.try_send(0, b"early", SendOptions::ordered()).unwrap();
    assert_eq!(names(&p.collect()), [["INIT"]]);
    assert_eq!(names(&p.give_init_ack()), [["COOKIE-ECHO", "DATA"]]);
    // The other side: DATA rides behind the COOKIE ECHO, its SACK behind the COOKIE ACK.
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let data = p.data(0, b"early");
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie }), data])), [["COOKIE-ACK", "SACK"]]);
    assert_eq!(p.recv().unwrap().payload, "early");
}
