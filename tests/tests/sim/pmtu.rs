//! Path MTU discovery (RFC 8899): the search, black holes, and what ICMP may and may not do.

use core::time::Duration;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::sim::{Fault, HostConfig, LinkConfig, Loss, NodeId, World};
use sctp_user::wire::{Chunk, Packet};
use sctp_user::{AddrChange, AssocConfig, Channel, CloseReason, Event, NetError, NetErrorKind, Node as _, StackConfig, Time};
use testbed::bed::{CLIENT_PORT, SERVER_PORT, unlimited};
use testbed::{Bed, Peer, Scenario, Workload};

const LIMIT: Duration = Duration::from_secs(600);

fn scenario(link: LinkConfig) -> Scenario {
    let mut s = Scenario::new(7);
    s.assoc = unlimited(AssocConfig::rfc());
    s.there = link.clone();
    s.back = link;
    s.upload = Workload::steady(1, 300, 5_000);
    s
}

fn link(mtu: usize, reports_too_big: bool) -> LinkConfig {
    LinkConfig { mtu, reports_too_big, ..LinkConfig::default() }
}

/// The path MTU as the client sees it.
fn mtu(bed: &mut Bed) -> usize {
    bed.world.with(bed.client, |n, _| {
        let (id, _) = n.latest().unwrap();
        n.stack.assoc(id).unwrap().status().mtu
    })
}

fn set_mtu(bed: &mut Bed, mtu: usize, reports_too_big: bool) {
    bed.world.set_links(bed.client_ip, bed.server_ip, link(mtu, reports_too_big));
}

/// RFC 9260 rows: 7.3-1, 10-6.
///
/// Pitfall 101.
#[test]
fn the_search_finds_what_the_path_carries() {
    // What ICMP names exactly, the table of usual sizes finds as well.
    for (carries, reported, found) in
        [(1280, 1280, 1280), (1400, 1400, 1400), (1407, 1404, 1400), (1500, 1500, 1500), (4352, 4352, 4352), (9000, 9000, 9000)]
    {
        for (ipv6, channel) in [(false, None), (true, None), (false, Some(Channel::Raw)), (true, Some(Channel::Raw))] {
            for icmp in [true, false] {
                let mut s = scenario(link(carries, icmp));
                s.ipv6 = ipv6;
                s.channel = channel.unwrap_or(s.channel);
                let mut bed = s.build();
                bed.connected();
                bed.deliver(LIMIT).unwrap();
                bed.world.run_for(Duration::from_secs(120));
                let expected = if icmp { reported } else { found };
                assert_eq!(mtu(&mut bed), expected, "of {carries}, ipv6 {ipv6}, {channel:?}, icmp {icmp}");
                assert!(bed.client().losses().is_empty());
            }
        }
    }
}

/// Pitfall 101: a probe is a HEARTBEAT and a PAD chunk of exactly the size in question, alone and not to be fragmented.
#[test]
fn probes_are_exact_and_alone() {
    let mut bed = scenario(link(9000, false)).build();
    let probes = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&probes);
    bed.world.tap(move |p| {
        let packet = Packet::parse(p.payload).unwrap();
        let chunks: Vec<_> = packet.chunks().map(|c| c.unwrap().decode().unwrap()).collect();
        if p.sent && chunks.iter().any(|c| matches!(c, Chunk::Pad(_))) {
            assert!(matches!(chunks.as_slice(), [Chunk::Heartbeat(_), Chunk::Pad(_)]), "{chunks:?}");
            assert!(!p.may_fragment);
            seen.borrow_mut().push(p.payload.len() + 28);
        }
    });
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    assert_eq!(probes.borrow().last(), Some(&9000));
    assert!(probes.borrow().len() <= 3, "{probes:?}");
}

/// A path that shrinks without a word: nothing is lost, and soon the new size is known.
///
/// RFC 9260 rows: 6.9-7.
#[test]
fn a_black_hole_is_survived() {
    for (before, after) in [(1500, 1280), (9000, 1500), (9000, 1200), (1500, 600)] {
        let mut s = scenario(LinkConfig { rate: Some(20_000_000), ..link(before, false) });
        s.upload = Workload::steady(1, 8_000, 5_000);
        let mut bed = s.build();
        bed.connected();
        bed.world.run_for(Duration::from_secs(3));
        let at = bed.server().delivered();
        assert!(at > 100 && at < 7_000, "{at} in the midst of it");
        set_mtu(&mut bed, after, false);
        bed.world.run_for(Duration::from_secs(20));
        assert!(bed.server().delivered() > at + 100, "{before} to {after}: stuck at {at}");
        bed.deliver(LIMIT).unwrap();
        bed.world.run_for(Duration::from_secs(60));
        let found = mtu(&mut bed);
        assert!(found <= after.max(576) && found + 200 > after, "{before} to {after}: {found}");
        assert!(bed.client().heard(|e| matches!(e, Event::PathMtu { mtu, .. } if *mtu == found)));
    }
}

/// The same with ICMP: the report is used at once, what is too long already goes as fragments.
///
/// RFC 9260 rows: 10-6, 6.9-7.
///
/// Pitfall 100.
#[test]
fn a_report_is_used_at_once() {
    let mut s = scenario(LinkConfig { rate: Some(20_000_000), ..link(1500, true) });
    s.upload = Workload::steady(1, 8_000, 5_000);
    let mut bed = s.build();
    bed.connected();
    bed.world.run_for(Duration::from_secs(3));
    set_mtu(&mut bed, 1300, true);
    bed.world.run_for(Duration::from_millis(500));
    assert_eq!(mtu(&mut bed), 1300);
    bed.deliver(LIMIT).unwrap();
}

/// After ten minutes the search looks for more.
///
/// Pitfall 101.
#[test]
fn a_path_that_grows_is_found_by_the_raise_timer() {
    let mut s = scenario(link(1500, true));
    s.upload.messages.iter_mut().enumerate().for_each(|(i, m)| m.at = Duration::from_secs(4 * i as u64));
    let mut bed = s.build();
    bed.connected();
    bed.world.run_for(Duration::from_secs(10));
    assert_eq!(mtu(&mut bed), 1500);
    set_mtu(&mut bed, 9000, true);
    bed.world.run_for(Duration::from_secs(500));
    assert_eq!(mtu(&mut bed), 1500, "not yet");
    bed.world.run_for(Duration::from_secs(150));
    assert_eq!(mtu(&mut bed), 9000);
}

#[test]
fn an_association_that_sends_little_does_not_search() {
    let mut s = scenario(link(9000, true));
    s.upload = Workload::steady(1, 50, 100);
    s.upload.messages.iter_mut().enumerate().for_each(|(i, m)| m.at = Duration::from_secs(i as u64));
    let mut bed = s.build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    assert_eq!(mtu(&mut bed), 1500);
}

#[test]
fn a_fixed_size_stays() {
    let mut s = scenario(link(9000, true));
    s.assoc.pmtu_discovery = false;
    s.assoc.mtu = 1400;
    let mut bed = s.build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    let err = report(&mut bed, 1280, |_| {});
    bed.world.with(bed.client, |n, now| n.handle_net_error(now, &err));
    assert_eq!(mtu(&mut bed), 1400);
}

#[test]
fn loss_does_not_shrink_packets_for_long() {
    let mut s = scenario(LinkConfig { loss: Loss::percent(20), ..link(1500, false) });
    s.upload = Workload::steady(1, 2_000, 5_000);
    let mut bed = s.build();
    bed.connected();
    bed.deliver(Duration::from_secs(7200)).unwrap();
    assert!(mtu(&mut bed) >= 1200);
    bed.world.set_links(bed.client_ip, bed.server_ip, link(1500, false));
}

/// A report of `mtu` bytes about the client's last packet, changed by `f`.
fn report(bed: &mut Bed, mtu: u32, f: impl FnOnce(&mut Vec<u8>)) -> NetError {
    let last = last_packet(&mut bed.world, bed.client_ip);
    bed.world.with(bed.client, |n, now| {
        let (id, _) = n.latest().unwrap();
        n.stack.assoc(id).unwrap().heartbeat(now);
    });
    let mut quoted = last.borrow()[..8].to_vec();
    f(&mut quoted);
    let channel = Channel::Udp { local: 9899, remote: 9899 };
    NetError { kind: NetErrorKind::TooBig { mtu }, dst: bed.server_ip, channel, quoted: Bytes::from(quoted) }
}

/// Keeps the last packet that `from` sent.
fn last_packet(world: &mut World, from: IpAddr) -> Rc<RefCell<Vec<u8>>> {
    let last = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&last);
    world.tap(move |p| {
        if p.sent && p.src == from {
            *keep.borrow_mut() = p.payload.to_vec();
        }
    });
    last
}

/// RFC 9260 rows: 10-3, 10-4, 10-5.
///
/// Pitfall 100.
#[test]
fn forged_and_absurd_reports_are_ignored() {
    let mut bed = scenario(link(1500, false)).build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    let told = |bed: &mut Bed, err: &NetError| {
        bed.world.with(bed.client, |n, now| n.handle_net_error(now, err));
        mtu(bed)
    };
    let wrong_tag = report(&mut bed, 1300, |q| q[5] ^= 1);
    assert_eq!(told(&mut bed, &wrong_tag), 1500, "wrong tag");
    let no_tag = report(&mut bed, 1300, |q| q[4..8].fill(0));
    assert_eq!(told(&mut bed, &no_tag), 1500, "tag zero, and no INIT");
    let wrong_port = report(&mut bed, 1300, |q| q[1] ^= 1);
    assert_eq!(told(&mut bed, &wrong_port), 1500, "nobody's");
    let cut = report(&mut bed, 1300, |q| q.truncate(7));
    assert_eq!(told(&mut bed, &cut), 1500, "no tag quoted");
    for absurd in [0, 1, 68, 296, 575, 1500, 9000, u32::MAX] {
        let err = report(&mut bed, absurd, |_| {});
        assert_eq!(told(&mut bed, &err), 1500, "{absurd} bytes");
    }
    let other_way = NetError { channel: Channel::Raw, ..report(&mut bed, 1300, |_| {}) };
    assert_eq!(told(&mut bed, &other_way), 1500, "about packets without UDP");
    // A true one is a hint: the base until a probe has shown more.
    let genuine = report(&mut bed, 1400, |_| {});
    assert_eq!(told(&mut bed, &genuine), 1200);
    bed.world.run_for(Duration::from_secs(1));
    assert_eq!(mtu(&mut bed), 1400);
}

/// RFC 9260 rows: 10-2, 10-7, 10-8, 5062.5.3-1.
#[test]
fn protocol_unreachable_counts_as_an_abort_and_port_unreachable_for_nothing() {
    let directly = |kind, quoted: &[u8], bed: &Bed| NetError {
        kind,
        dst: bed.server_ip,
        channel: Channel::Raw,
        quoted: Bytes::copy_from_slice(quoted),
    };
    let lost = |bed: &Bed| bed.client().losses().iter().any(|(_, r)| *r == CloseReason::NetworkUnreachable);
    let raw = || {
        let mut s = scenario(link(1500, true));
        s.channel = Channel::Raw;
        s.upload = Workload::steady(1, 1, 10);
        s.build()
    };
    let tell = |bed: &mut Bed, err: &NetError| bed.world.with(bed.client, |n, now| n.handle_net_error(now, err));

    // While the INIT waits: twenty bytes tell that it is ours.
    let mut bed = raw();
    let last = last_packet(&mut bed.world, bed.client_ip);
    bed.connect();
    let init = last.borrow().clone();
    let mut other = init[..20].to_vec();
    other[19] ^= 1;
    for (quoted, ends) in [(other.as_slice(), false), (&init[..16], false), (&init[..20], true)] {
        let err = directly(NetErrorKind::ProtocolUnreachable, quoted, &bed);
        tell(&mut bed, &err);
        assert_eq!(lost(&bed), ends);
    }

    let mut bed = raw();
    let last = last_packet(&mut bed.world, bed.client_ip);
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    let sent = last.borrow()[..8].to_vec();
    // A late one about the INIT, whose tag an eavesdropper of the INIT ACK may know.
    let mut late = init.clone();
    late[16..20].copy_from_slice(&[0; 4]);
    for err in [
        directly(NetErrorKind::PortUnreachable, &sent, &bed),
        directly(NetErrorKind::PortUnreachable, &sent, &bed),
        directly(NetErrorKind::Unreachable, &sent, &bed),
        directly(NetErrorKind::ProtocolUnreachable, &late, &bed),
    ] {
        tell(&mut bed, &err);
        bed.world.run_for(Duration::from_secs(1));
        assert!(!lost(&bed), "{err:?}");
    }
    let err = directly(NetErrorKind::ProtocolUnreachable, &sent, &bed);
    tell(&mut bed, &err);
    assert!(lost(&bed));
    assert!(bed.world.now() > Time::ZERO);
}

const CLIENT: [[u8; 4]; 2] = [[10, 0, 1, 1], [10, 0, 2, 1]];
const SERVER: [[u8; 4]; 2] = [[10, 0, 1, 2], [10, 0, 2, 2]];

/// Two hosts with two addresses each; the path to each address of the server carries another size, without ICMP.
fn two_paths(sizes: [usize; 2], upload: Workload) -> (World, NodeId<Peer>, NodeId<Peer>) {
    let mut world = World::new(3);
    for (server, size) in SERVER.into_iter().zip(sizes) {
        for client in CLIENT {
            world.set_links(client.into(), server.into(), LinkConfig { rate: Some(5_000_000), ..link(size, false) });
        }
    }
    let upload = Arc::new(upload);
    let none = Arc::new(Workload::none());
    let cfg = unlimited(AssocConfig::rfc());
    let mut add = |name: &str, addrs: [[u8; 4]; 2], port, plans| {
        let peer = Peer::new(StackConfig::default(), port, &cfg, world.fork_entropy(), plans);
        let addrs: Vec<IpAddr> = addrs.into_iter().map(IpAddr::from).collect();
        let id = world.add(HostConfig { addrs: addrs.clone(), ..HostConfig::new(name, addrs[0]) }, peer);
        world.with(id, |n, now| n.handle_addresses(now, AddrChange::Set(addrs)));
        id
    };
    let client = add("client", CLIENT, CLIENT_PORT, [upload.clone(), none.clone()]);
    let server = add("server", SERVER, SERVER_PORT, [none, upload]);
    world.with(client, |n, now| n.connect(now, SERVER[0].into(), SERVER_PORT));
    (world, client, server)
}

/// Each path has its own size, found while data goes by one of them; chunks fit the smallest, so that the switch to the other
/// path needs no IP fragmentation.
///
/// RFC 9260 rows: 7.3-2, 7.3-3, 7.3-4, 7.3-5, 6.9-6.
#[test]
fn every_path_has_a_size_of_its_own_and_chunks_fit_all() {
    let (mut world, client, server) = two_paths([9000, 1400], Workload::steady(1, 3_000, 20_000));
    world.run_for(Duration::from_secs(60));
    let sizes: Vec<_> = world.with(client, |n, _| {
        let (id, _) = n.latest().unwrap();
        n.stack.assoc(id).unwrap().paths().iter().map(|p| (p.addr, p.mtu)).collect()
    });
    assert_eq!(sizes, [(IpAddr::from(SERVER[0]), 9000), (IpAddr::from(SERVER[1]), 1400)]);
    assert!(!world.node(server).complete(), "in the midst of it");
    let seen = Rc::new(RefCell::new((0, 0)));
    let count = Rc::clone(&seen);
    world.tap(move |p| {
        if p.sent && IpAddr::from(CLIENT[0]) == p.src || IpAddr::from(CLIENT[1]) == p.src {
            assert!(!p.may_fragment);
            let longest = Packet::parse(p.payload).unwrap().chunks().map(|c| c.unwrap().raw.len()).max().unwrap();
            let mut seen = count.borrow_mut();
            *seen = (longest.max(seen.0), p.payload.len().max(seen.1));
        }
    });
    world.run_for(Duration::from_secs(1));
    let (chunk, packet) = *seen.borrow();
    assert!(chunk <= 1400 - 40 && packet > 8000, "chunks of {chunk}, packets of {packet} bytes");
    for c in CLIENT {
        world.apply(Fault::Partition { a: c.into(), b: SERVER[0].into() });
    }
    let before = world.node(server).delivered();
    world.run_for(Duration::from_secs(30));
    assert!(world.node(server).delivered() > before + 100);
    assert!(world.node(server).violations.is_empty());
}
