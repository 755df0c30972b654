//! Addresses that come and go while data flows (RFC 5061), authenticated (RFC 4895): nothing is lost, and what is there is found.

use core::time::Duration;
use std::net::IpAddr;

use sctp_user::sim::{Fault, HostId, LinkConfig, Loss, Seen};
use sctp_user::wire::Packet;
use sctp_user::wire::chunk::kind;
use sctp_user::{AssocConfig, Entropy as _, Event, PathChange, Reliability, SeededEntropy, Time};
use std::cell::RefCell;
use std::rc::Rc;
use testbed::bed::unlimited;
use testbed::{Bed, Net, Peer, Planned, Scenario, Workload};

const HOUR: Duration = Duration::from_secs(3600);

fn seeds() -> core::ops::Range<u64> {
    0..std::env::var("SEEDS").ok().and_then(|v| v.parse().ok()).unwrap_or(20)
}

fn flow(key: u64, count: u64, every: Duration) -> Workload {
    let message = |n: u64| Planned {
        at: every * u32::try_from(n).unwrap_or(0),
        sid: (n % 3) as u16,
        unordered: n.is_multiple_of(7),
        len: 1 + usize::try_from(n * 37 % 5_000).unwrap_or(0),
        reliability: Reliability::Full,
    };
    Workload { key, messages: (0..count).map(message).collect() }
}

fn with_add_ip(mut cfg: AssocConfig) -> AssocConfig {
    (cfg.auth, cfg.add_ip) = (true, true);
    cfg
}

fn lossy(percent: u32, ms: u64) -> LinkConfig {
    LinkConfig { delay: Duration::from_millis(ms), loss: Loss::percent(percent), ..LinkConfig::default() }
}

fn changed(p: &Peer, wanted: PathChange) -> usize {
    p.log.iter().filter(|(_, _, e)| matches!(e, Event::PathState { change, .. } if *change == wanted)).count()
}

/// What both sides know of the association.
fn pages(bed: &mut Bed) -> String {
    let page = |p: &mut Peer, now| {
        let snapshot = p.latest().map(|(id, _)| id).and_then(|id| p.stack.assoc(id)?.snapshot(now)).map(|s| s.to_string());
        format!("{snapshot:?}, after {:?}", &p.log[p.log.len().saturating_sub(3)..])
    };
    let (client, server) = (bed.client, bed.server);
    format!("client {}\nserver {}", bed.world.with(client, page), bed.world.with(server, page))
}

/// The addresses that each host has.
type Held = Rc<RefCell<Vec<(HostId, Vec<IpAddr>)>>>;

/// No packet but an ASCONF leaves from an address that the host does not have.
fn watch_sources(bed: &mut Bed, hosts: &Held) -> Rc<RefCell<Vec<String>>> {
    let wrong = Rc::new(RefCell::new(Vec::new()));
    let (log, hosts) = (Rc::clone(&wrong), Rc::clone(hosts));
    bed.world.tap(move |seen: &Seen<'_>| {
        let Ok(packet) = Packet::parse(seen.payload) else { return };
        let held = hosts.borrow().iter().any(|(_, addrs)| addrs.contains(&seen.src));
        let asks = packet.chunks().map_while(Result::ok).all(|c| [kind::AUTH, kind::ASCONF].contains(&c.kind));
        if seen.sent && !held && !asks {
            log.borrow_mut().push(format!("{} from {}", seen.now, seen.src));
        }
    });
    wrong
}

/// Every few seconds one of two hosts has other addresses, in three networks, with loss; at last they have them all.
fn scenario(seed: u64) -> Scenario {
    let mut rng = SeededEntropy::new(seed ^ 0xadd1);
    let mut net = || lossy(u32::try_from(rng.below(8)).unwrap_or(0), 1 + rng.below(60));
    let mut cfg = with_add_ip(unlimited(AssocConfig::rfc()));
    cfg.nat_keepalive = Some(Duration::from_secs(2));
    Scenario {
        assoc: cfg,
        there: net(),
        back: net(),
        nets: vec![Net::new(net()), Net::ipv6(net())],
        upload: flow(seed, 400, Duration::from_millis(100)),
        download: flow(seed + 1, 400, Duration::from_millis(100)),
        ..Scenario::new(seed)
    }
}

#[test]
fn addresses_come_and_go_while_data_flows() {
    let (mut added, mut removed) = (0, 0);
    for seed in seeds() {
        let mut rng = SeededEntropy::new(seed);
        let mut bed = scenario(seed).build();
        // From network to network there is a way, if a bad one.
        bed.world.set_default_link(lossy(10, 80));
        let all = [0, 1].map(|side: usize| bed.ways.iter().map(|w| w[side]).collect::<Vec<_>>());
        let hosts: [HostId; 2] = [bed.client.into(), bed.server.into()];
        bed.connected_within(HOUR);
        for n in 1..12_u64 {
            let side = usize::try_from(rng.below(2)).unwrap();
            // The server stays reachable in the first network; the client may be anywhere, or elsewhere altogether.
            let mut addrs: Vec<_> = all[side].iter().copied().filter(|_| rng.below(2) == 0).collect();
            if side == 1 && !addrs.contains(&all[1][0]) || addrs.is_empty() {
                addrs.push(all[side][0]);
            }
            if rng.below(3) == 0 {
                addrs.reverse();
            }
            let at = bed.world.now() + Duration::from_millis(n * 3_000 + rng.below(1_000));
            bed.world.at(at, Fault::Addresses { host: hosts[side], addrs });
        }
        for side in 0..2 {
            let at = bed.world.now() + Duration::from_secs(40);
            bed.world.at(at, Fault::Addresses { host: hosts[side], addrs: all[side].clone() });
        }
        bed.deliver(HOUR).unwrap_or_else(|e| {
            let pages = pages(&mut bed);
            panic!("seed {seed}: {}\n{pages}", &e[..e.len().min(100)])
        });
        for p in [bed.client(), bed.server()] {
            added += changed(p, PathChange::Added);
            removed += changed(p, PathChange::Removed);
        }
        // In the end each knows all of the other's addresses again.
        let until = bed.world.now() + Duration::from_secs(900);
        let (client, server) = (bed.client, bed.server);
        let know = |p: &mut Peer| p.latest().map(|(id, _)| id).and_then(|id| p.stack.assoc(id).map(|a| a.paths().len()));
        let done =
            bed.world.run_until_idle_or(until, |w| w.with(client, |p, _| know(p)) == Some(3) && w.with(server, |p, _| know(p)) == Some(3));
        assert!(done, "seed {seed}: {}", pages(&mut bed));
    }
    assert!(added > 100 && removed > 100, "{added} {removed}");
}

/// A host that has one address, and then another one, goes on where it was (section 5.3.2): within a few round trips, and without
/// waiting for a retransmission timer.
#[test]
fn a_host_that_moves_goes_on_at_once() {
    let [old, new]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 9].into()];
    for both_ways in [false, true] {
        let scenario = Scenario {
            assoc: with_add_ip(AssocConfig::rfc()),
            upload: flow(1, 200, Duration::from_millis(50)),
            download: if both_ways { flow(2, 200, Duration::from_millis(50)) } else { Workload::none() },
            there: lossy(0, 20),
            back: lossy(0, 20),
            ..Scenario::new(7)
        };
        let mut bed = scenario.build();
        bed.world.set_link(new, bed.server_ip, lossy(0, 20));
        bed.world.set_link(bed.server_ip, new, lossy(0, 20));
        let hosts = Rc::new(RefCell::new(vec![(bed.client.into(), vec![old]), (bed.server.into(), vec![bed.server_ip])]));
        let wrong = watch_sources(&mut bed, &hosts);
        bed.connected();
        let moved = bed.world.now() + Duration::from_secs(3);
        bed.world.at(moved, Fault::Addresses { host: bed.client.into(), addrs: vec![new] });
        let table = Rc::clone(&hosts);
        bed.world.call_at(moved, move |_| table.borrow_mut()[0].1 = vec![new]);
        bed.deliver(HOUR).unwrap();
        let took = bed.world.now().saturating_since(Time::ZERO);
        assert!(took < Duration::from_secs(12), "{took:?}");
        assert!(wrong.borrow().is_empty(), "{:?}", wrong.borrow());
        assert_eq!((changed(bed.server(), PathChange::Added), changed(bed.server(), PathChange::Removed)), (1, 1));
    }
}

/// A second address that comes is a second path; when the first one goes, data goes on by the second at once.
#[test]
fn a_path_is_there_before_the_first_one_goes() {
    let scenario = Scenario {
        assoc: with_add_ip(AssocConfig::rfc()),
        nets: vec![Net::new(lossy(0, 10))],
        upload: flow(1, 300, Duration::from_millis(20)),
        ..Scenario::new(3)
    };
    let mut bed = scenario.build();
    let (first, second) = (bed.ways[0][0], bed.ways[1][0]);
    bed.world.apply(Fault::Addresses { host: bed.client.into(), addrs: vec![first] });
    bed.connected();
    let start = bed.world.now();
    bed.world.at(start + Duration::from_secs(1), Fault::Addresses { host: bed.client.into(), addrs: vec![first, second] });
    bed.world.at(start + Duration::from_secs(3), Fault::Addresses { host: bed.client.into(), addrs: vec![second] });
    bed.deliver(HOUR).unwrap();
    let (took, stats) = (bed.world.now() - start, bed.client().stack.stats().assocs);
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert_eq!((stats.out_asconfs, stats.in_asconf_acks, stats.t3_expireds), (2, 2, 0));
}

/// A control chunk for a path that none of our addresses reaches holds up nothing else: neither an answer to an ASCONF, nor a SACK.
#[test]
fn a_path_out_of_reach_holds_up_nothing() {
    let scenario = Scenario {
        assoc: with_add_ip(AssocConfig::rfc()),
        nets: vec![Net::ipv6(lossy(0, 10))],
        download: flow(1, 100, Duration::from_millis(50)),
        ..Scenario::new(4)
    };
    let mut bed = scenario.build();
    let [first, second] = [0, 1].map(|n: usize| bed.ways[n]);
    bed.world.apply(Fault::Addresses { host: bed.client.into(), addrs: vec![first[0]] });
    bed.world.apply(Fault::Addresses { host: bed.server.into(), addrs: vec![first[1]] });
    bed.connected();
    let start = bed.world.now();
    bed.world.at(start + Duration::from_secs(1), Fault::Addresses { host: bed.server.into(), addrs: vec![first[1], second[1]] });
    bed.world.run_until(start + Duration::from_secs(2));
    let client = bed.client;
    bed.world.with(client, |p, now| {
        let (id, _) = p.latest().unwrap();
        let mut assoc = p.stack.assoc(id).unwrap();
        assert_eq!(assoc.paths().len(), 2, "it is known, but there is no IPv6 here");
        assoc.request_heartbeat(now, second[1]).unwrap();
    });
    bed.world.at(start + Duration::from_secs(3), Fault::Addresses { host: bed.server.into(), addrs: vec![first[1]] });
    bed.deliver(HOUR).unwrap();
    bed.world.run_for(Duration::from_secs(2));
    assert_eq!((changed(bed.client(), PathChange::Removed), bed.server().stack.stats().assocs.t3_expireds), (1, 0));
}
