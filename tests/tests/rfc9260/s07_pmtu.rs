//! Sections 6.9, 6.10 and 7.3: the path MTU of each address, and what is built for it.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use sctp_user::wire::{Chunk, Param};
use sctp_user::{AssocConfig, Node as _, SendError, SendOptions};
use testbed::puppet::{Envelope, Puppet, Seen, Sent, chunks, encode_params, ip};

/// IPv4 and UDP header.
const BELOW: usize = 28;
const PEER: [&str; 2] = ["10.0.0.2", "10.1.0.2"];

/// Two ways to the puppet, each of which swallows packets that are longer than its MTU. Answers what the stack sent meanwhile.
fn live(p: &mut Puppet, d: Duration, first: Vec<Sent>, mtu: [usize; 2]) -> Vec<Sent> {
    let end = p.now + d;
    let mut todo = VecDeque::from(first);
    let mut log = Vec::new();
    loop {
        while let Some(sent) = todo.pop_front() {
            let way = usize::from(sent.dst == ip(PEER[1]));
            if sent.bytes.len() + BELOW <= mtu[way] {
                todo.extend(p.answer_heartbeats(core::slice::from_ref(&sent)));
                if sent.names().contains(&"DATA") {
                    let envelope = Envelope { src: sent.dst, dst: sent.src, ..p.envelope() };
                    todo.extend(p.give_in(envelope, &[p.sack()]));
                }
            }
            log.push(sent);
        }
        match p.stack.poll_timeout() {
            Some(t) if t <= end => todo.extend(p.tick().unwrap()),
            _ => break,
        }
    }
    p.now = end;
    log
}

/// An association over two ways with these MTUs, which had time to find them.
fn searched(mtu: [usize; 2]) -> Puppet {
    let mut cfg = AssocConfig::rfc();
    cfg.mtu = 1_200;
    let mut p = Puppet::at(cfg, &["10.0.0.1"], &PEER);
    p.params = encode_params(&[Param::Address(ip(PEER[0])), Param::Address(ip(PEER[1]))]);
    let first = p.open();
    live(&mut p, Duration::from_secs(5), first, mtu);
    // The search begins with the first full packet.
    let first = p.send(0, &[0; 5_000]);
    live(&mut p, Duration::from_secs(120), first, mtu);
    p
}

fn found(p: &mut Puppet, addr: &str) -> usize {
    let id = p.id();
    let addr: IpAddr = ip(addr);
    p.stack.assoc(id).unwrap().paths().iter().find(|q| q.addr == addr).map(|q| q.mtu).unwrap()
}

/// RFC 9260 rows: 7.3-1, 7.3-2, 7.3-3.
#[test]
fn each_address_has_its_own_path_mtu() {
    for mtu in [[4_352, 1_400], [1_400, 4_352], [9_000, 1_500]] {
        let mut p = searched(mtu);
        for (addr, real) in PEER.iter().zip(mtu) {
            let found = found(&mut p, addr);
            assert_eq!(found, real, "{addr}");
        }
    }
}

/// RFC 9260 rows: 7.3-4, 7.3-5, 6.9-6, 6.10-2.
#[test]
fn messages_are_cut_for_the_narrowest_way_and_packets_filled_for_the_primary_one() {
    let mut p = searched([4_352, 1_400]);
    let narrow = found(&mut p, PEER[1]);
    let wide = found(&mut p, PEER[0]);
    let first = p.send(0, &[1; 100_000]);
    let sent = live(&mut p, Duration::from_secs(20), first, [4_352, 1_400]);
    let data: Vec<_> = sent.iter().filter(|s| s.names().contains(&"DATA")).collect();
    assert!(data.iter().all(|s| s.dst == ip(PEER[0]) && s.bytes.len() + BELOW <= wide));
    assert!(data.iter().any(|s| s.bytes.len() + BELOW > narrow), "several chunks share a packet");
    let longest = chunks(&sent).map(|c| if let Seen::Data { payload, .. } = c { payload.len() + 16 } else { 0 }).max().unwrap();
    // So that each of them could go the other way alone.
    assert!(longest + 12 + BELOW <= narrow && longest + 12 + BELOW + 64 > narrow, "{longest} {narrow}");
    let bytes: usize = chunks(&sent).map(|c| if let Seen::Data { payload, .. } = c { payload.len() } else { 0 }).sum();
    assert_eq!((bytes, p.status().unwrap().buffered), (100_000, 0));
}

/// RFC 9260 rows: 6.9-5.
#[test]
fn without_fragmentation_a_message_that_does_not_fit_is_refused() {
    let mut cfg = AssocConfig::rfc();
    (cfg.fragment, cfg.mtu, cfg.pmtu_discovery) = (false, 1_000, false);
    let mut p = Puppet::established(cfg);
    let most = 1_000 - BELOW - 12 - 16;
    assert!(matches!(p.try_send(0, &vec![1; most + 1], SendOptions::ordered()), Err(SendError::TooLong { .. })));
    assert!(p.collect().is_empty());
    let sent = p.send(0, &vec![1; most]);
    assert_eq!((sent.len(), sent[0].bytes.len() + BELOW), (1, 1_000));
    assert!(matches!(sent[0].first(), Seen::Data { begin: true, end: true, .. }));
    assert!(p.give(&[Chunk::Shutdown(p.shutdown_chunk())]).len() == 1);
}
