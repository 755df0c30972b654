//! Several paths: nothing is lost and nothing stands still as long as one of them works.

use core::time::Duration;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use sctp_user::sim::{Fault, LinkConfig, Loss};
use sctp_user::wire::{Chunk, Packet};
use sctp_user::{
    AddrChange, AssocConfig, CloseReason, Entropy as _, Event, Node as _, PathChange, PathState, PathStatus, PeerAddr, Reliability,
    SeededEntropy, Time,
};
use testbed::bed::{CLIENT_PORT, SERVER_PORT, unlimited};
use testbed::{Bed, Net, Peer, Planned, Scenario, WireOracle, Workload};

const HOUR: Duration = Duration::from_secs(3600);

fn seeds() -> core::ops::Range<u64> {
    0..std::env::var("SEEDS").ok().and_then(|v| v.parse().ok()).unwrap_or(20)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(n: u64) -> Time {
    Time::from_millis(n)
}

/// A packet with DATA: when it was sent or received, and where to.
#[derive(Clone, Copy, Debug)]
struct Moved {
    at: Time,
    sent: bool,
    dst: IpAddr,
}

/// Notes every DATA packet, and what goes to addresses that are not confirmed.
fn watch(bed: &mut Bed) -> Rc<RefCell<Vec<Moved>>> {
    let log = Rc::new(RefCell::new(Vec::new()));
    let tap = Rc::clone(&log);
    bed.world.tap(move |seen| {
        let Ok(packet) = Packet::parse(seen.payload) else { return };
        let data = packet.chunks().map_while(Result::ok).any(|c| matches!(c.decode(), Ok(Chunk::Data(_))));
        if data {
            tap.borrow_mut().push(Moved { at: seen.now, sent: seen.sent, dst: seen.dst });
        }
    });
    log
}

/// Messages of one length, one each `every`.
fn flow(key: u64, count: u64, len: usize, every: Duration) -> Workload {
    let messages = (0..count).map(|n| Planned {
        at: every * u32::try_from(n).unwrap(),
        sid: (n % 3) as u16,
        unordered: n % 7 == 0,
        len,
        reliability: Reliability::Full,
    });
    Workload { key, messages: messages.collect() }
}

fn two_paths(seed: u64) -> Scenario {
    Scenario { nets: vec![Net::new(LinkConfig::default())], upload: flow(seed, 1_000, 1_000, ms(5)), ..Scenario::new(seed) }
}

fn paths(bed: &mut Bed, client: bool) -> Vec<PathStatus> {
    let node = if client { bed.client } else { bed.server };
    bed.world.with(node, |n, _| {
        let id = n.latest().unwrap().0;
        n.stack.assoc(id).unwrap().paths()
    })
}

fn path(bed: &mut Bed, client: bool, addr: IpAddr) -> PathStatus {
    paths(bed, client).into_iter().find(|p| p.addr == addr).unwrap()
}

fn changes(peer: &Peer, addr: IpAddr) -> Vec<PathChange> {
    let change = |e: &Event| match e {
        Event::PathState { addr: a, change } if *a == addr => Some(*change),
        _ => None,
    };
    peer.log.iter().filter_map(|(_, _, e)| change(e)).collect()
}

fn cut(bed: &mut Bed, net: usize) {
    let [a, b] = bed.ways[net];
    bed.world.apply(Fault::Partition { a, b });
}

fn heal(bed: &mut Bed, net: usize) {
    let [a, b] = bed.ways[net];
    bed.world.apply(Fault::Heal { a, b });
}

/// Association.Max.Retrans, once for all: nobody gave up.
fn nobody_gave_up(bed: &Bed) {
    assert!(bed.client().losses().is_empty() && bed.server().losses().is_empty(), "{:?} {:?}", bed.client().log, bed.server().log);
}

/// The longest time from a failure to the first DATA on another path: rulings section 1 row 8.
fn switch_over_time(cfg: &AssocConfig, rto: Duration, rtt: Duration) -> Duration {
    let errors = cfg.pf_max_retrans.unwrap();
    let waits = (0..=errors).map(|k| (rto * 2_u32.pow(k)).min(cfg.rto_max));
    waits.sum::<Duration>() + rtt
}

/// A world of two paths under continuous transfer whose primary path fails, in one direction or both, at any time.
fn failing_primary(seed: u64) -> (Scenario, Vec<(bool, bool)>, Time) {
    let mut rng = SeededEntropy::new(seed ^ 0x00fa_110e);
    let rng = &mut rng;
    let link = |rng: &mut SeededEntropy| LinkConfig {
        delay: Duration::from_micros(500 + rng.below(60_000)),
        jitter: Duration::from_micros(rng.below(3_000)),
        rate: (rng.below(2) == 0).then(|| 3_000_000 + rng.below(50_000_000)),
        ..LinkConfig::default()
    };
    let mut cfg = if rng.below(3) == 0 { AssocConfig::signalling() } else { AssocConfig::rfc() };
    cfg.pf_max_retrans = Some(u32::try_from([0, 0, 0, 1, 2][usize::try_from(rng.below(5)).unwrap()]).unwrap());
    let mut net = Net::new(link(rng));
    (net.back, net.ipv6) = (link(rng), rng.below(2) == 0);
    // Longer than the time until the failure and the switch-over together.
    let count = 1_600 + rng.below(400);
    let scenario = Scenario {
        assoc: cfg,
        there: link(rng),
        back: link(rng),
        nets: vec![net],
        upload: flow(seed, count, usize::try_from(100 + rng.below(1_300)).unwrap(), ms(5)),
        download: if rng.below(2) == 0 { flow(seed ^ 1, 200, 800, ms(20)) } else { Workload::none() },
        train: if rng.below(2) == 0 { 1 } else { 8 },
        ..Scenario::new(seed)
    };
    let directions = [vec![(true, false)], vec![(false, true)], vec![(true, true)], vec![(true, true)]];
    let how = directions[usize::try_from(rng.below(4)).unwrap()].clone();
    (scenario, how, at(2_500 + rng.below(2_000)))
}

/// The acceptance line of multi-homing: on every seed nothing is lost, and data moves within the switch-over time.
///
/// RFC 9260 rows: 6.4-1, 6.4.1-1, 8.2-6.
#[test]
fn a_primary_path_that_fails_is_left_in_time_and_nothing_is_lost() {
    for seed in seeds() {
        let (scenario, how, when) = failing_primary(seed);
        let cfg = scenario.assoc.clone();
        // Packets queue for a moment where the rate is limited.
        let rtt = [&scenario.there, &scenario.back].iter().map(|l| l.delay + l.jitter).sum::<Duration>() + ms(15);
        let mut bed = scenario.build();
        let log = watch(&mut bed);
        bed.connected();
        bed.world.run_until(when);
        let [client, server] = bed.ways[0];
        let [_, other] = bed.ways[1];
        for (there, back) in how.clone() {
            for (on, from, to) in [(there, client, server), (back, server, client)] {
                if on {
                    bed.world.apply(Fault::Cut { from, to });
                }
            }
        }
        assert_eq!(path(&mut bed, true, other).state, PathState::Active, "seed {seed}: confirmed by now");
        let primary = path(&mut bed, true, server);
        assert!(primary.primary && primary.in_use, "seed {seed}");
        // If SACKs still come, the last one may be a delayed one, and the timer starts anew with it (section 6.3.2 R3).
        let sacks = if how.iter().any(|(_, back)| *back) { Duration::ZERO } else { cfg.sack_delay };
        let limit = when + switch_over_time(&cfg, primary.rto, rtt) + sacks;
        bed.deliver(HOUR).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let moved = log.borrow().iter().find(|m| m.at >= when && m.sent && m.dst == other).map(|m| m.at);
        assert!(moved.is_some_and(|m| m <= limit), "seed {seed}: moved at {moved:?}, not by {limit}; failed at {when}, {primary:?}");
        nobody_gave_up(&bed);
        let told = changes(bed.client(), server);
        assert!(cfg.pf_max_retrans > Some(0) || told.contains(&PathChange::PotentiallyFailed), "seed {seed}: {told:?}");
    }
}

/// RFC 9260 rows: 8.2-3, 8.2-5, 8.3-6, 8.3-12.
#[test]
fn data_comes_back_to_a_primary_path_that_works_again() {
    for seed in seeds().take(10) {
        let mut bed = Scenario { upload: flow(seed, 1_200, 500, ms(100)), ..two_paths(seed) }.build();
        let wire = WireOracle::watch(&mut bed.world, ms(200));
        bed.connected();
        let [[_, server], [_, other]] = [bed.ways[0], bed.ways[1]];
        bed.world.run_until(at(5_000));
        cut(&mut bed, 0);
        bed.world.run_until(at(12_000));
        assert_eq!(path(&mut bed, true, server).state, PathState::PotentiallyFailed);
        assert!(path(&mut bed, true, other).in_use);
        heal(&mut bed, 0);
        bed.world.run_until(at(40_000));
        assert!(path(&mut bed, true, server).in_use, "seed {seed}: {:?}", paths(&mut bed, true));
        // This time for long: six HEARTBEATs are not answered.
        cut(&mut bed, 0);
        bed.world.run_until(at(110_000));
        let down = path(&mut bed, true, server);
        assert_eq!((down.state, down.error_count), (PathState::Inactive, 6), "seed {seed}");
        heal(&mut bed, 0);
        bed.deliver(HOUR).unwrap();
        bed.world.run_for(Duration::from_secs(400));
        assert!(path(&mut bed, true, server).in_use, "seed {seed}: HEARTBEATs went on");
        use PathChange::{Available, PotentiallyFailed, Unreachable};
        assert_eq!(changes(bed.client(), server), [PotentiallyFailed, Available, PotentiallyFailed, Unreachable, Available]);
        assert_eq!(changes(bed.client(), other), [PathChange::Confirmed]);
        nobody_gave_up(&bed);
        wire.check().unwrap();
    }
}

#[test]
fn both_paths_flap() {
    for seed in seeds() {
        let mut scenario = two_paths(seed);
        scenario.assoc = unlimited(AssocConfig::rfc());
        scenario.assoc.path_max_retrans = 5;
        scenario.download = flow(seed ^ 1, 300, 300, ms(20));
        let mut bed = scenario.build();
        let wire = WireOracle::watch(&mut bed.world, ms(200));
        bed.connected();
        let mut rng = SeededEntropy::new(seed);
        for _ in 0..30 {
            let net = usize::try_from(rng.below(2)).unwrap();
            match rng.below(4) {
                0 => cut(&mut bed, net),
                1 => {
                    let way = bed.ways[net];
                    let side = usize::try_from(rng.below(2)).unwrap();
                    bed.world.apply(Fault::Cut { from: way[side], to: way[1 - side] });
                }
                _ => heal(&mut bed, net),
            }
            bed.world.run_for(ms(rng.below(3_000)));
        }
        heal(&mut bed, 0);
        heal(&mut bed, 1);
        bed.deliver(HOUR).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        wire.check().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        nobody_gave_up(&bed);
    }
}

#[test]
fn a_path_whose_mtu_shrinks_is_no_trap() {
    for seed in seeds().take(5) {
        for reports in [false, true] {
            let mut bed = Scenario { upload: flow(seed, 300, 3_000, ms(10)), ..two_paths(seed) }.build();
            bed.connected();
            bed.world.run_until(at(2_000));
            let [from, to] = bed.ways[0];
            let narrow = LinkConfig { mtu: 1_000, reports_too_big: reports, ..LinkConfig::default() };
            bed.world.apply(Fault::Link { from, to, cfg: Box::new(narrow) });
            bed.deliver(HOUR).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            nobody_gave_up(&bed);
        }
    }
}

#[test]
fn one_family_dies_and_the_other_carries_on() {
    for seed in seeds().take(5) {
        let link = LinkConfig::default;
        let nets = vec![Net::new(link()), Net::ipv6(link()), Net::ipv6(link())];
        let mut bed = Scenario { nets, upload: flow(seed, 900, 500, ms(20)), ..two_paths(seed) }.build();
        bed.connected();
        bed.world.run_until(at(6_000));
        assert_eq!(paths(&mut bed, true).len(), 4);
        assert!(paths(&mut bed, true).iter().all(|p| p.state == PathState::Active), "{:?}", paths(&mut bed, true));
        assert!(paths(&mut bed, false).iter().all(|p| p.state == PathState::Active), "{:?}", paths(&mut bed, false));
        // Each path leaves from the address of its own network.
        for [client, server] in bed.ways.clone() {
            assert_eq!(path(&mut bed, true, server).local, Some(client));
            assert_eq!(path(&mut bed, false, client).local, Some(server));
        }
        cut(&mut bed, 0);
        cut(&mut bed, 1);
        bed.deliver(HOUR).unwrap();
        nobody_gave_up(&bed);
        let used = paths(&mut bed, true).into_iter().find(|p| p.in_use).unwrap();
        assert!(used.addr.is_ipv6());
    }
}

/// RFC 9260 rows: 8.1-2, 5.4-2.
#[test]
fn listed_addresses_that_do_not_answer_do_no_harm() {
    for seed in seeds().take(5) {
        let dead = LinkConfig { loss: Loss::percent(100), ..LinkConfig::default() };
        let mut scenario = two_paths(seed);
        scenario.nets = vec![Net::new(dead.clone()), Net::ipv6(dead)];
        scenario.assoc.assoc_max_retrans = 2;
        let mut bed = scenario.build();
        let log = watch(&mut bed);
        bed.connected();
        bed.deliver(HOUR).unwrap();
        bed.world.run_for(Duration::from_secs(600));
        nobody_gave_up(&bed);
        for net in [1, 2] {
            let server = bed.ways[net][1];
            let p = path(&mut bed, true, server);
            assert_eq!((p.state, p.error_count), (PathState::Inactive, 6));
            assert!(log.borrow().iter().all(|m| m.dst != server));
            assert_eq!(changes(bed.client(), server), [PathChange::Unreachable]);
        }
        // Even when nothing else works.
        bed.world.with(bed.client, |n, now| {
            let id = n.latest().unwrap().0;
            n.stack.assoc(id).unwrap().heartbeat(now);
        });
        cut(&mut bed, 0);
        assert!(bed.closed(HOUR).is_ok(), "seed {seed}");
        assert_eq!(bed.client().losses()[0].1, CloseReason::PeerUnreachable);
        assert!(log.borrow().iter().all(|m| m.dst != bed.ways[1][1] && m.dst != bed.ways[2][1]));
    }
}

/// RFC 9260 rows: 8.1-1, 8.1-3, 8.1-4, 8.1-5.
#[test]
fn when_all_paths_are_gone_the_association_ends() {
    for seed in seeds().take(5) {
        let mut bed = two_paths(seed).build();
        bed.connected();
        bed.world.run_until(at(3_000));
        cut(&mut bed, 0);
        bed.world.run_until(at(4_000));
        cut(&mut bed, 1);
        // Eleven time-outs, at most a minute each.
        let (client, limit) = (bed.client, bed.world.now() + Duration::from_secs(11 * 60));
        assert!(bed.world.run_until_idle_or(limit, |w| !w.node(client).losses().is_empty()), "seed {seed}");
        assert_eq!(bed.client().losses()[0].1, CloseReason::PeerUnreachable);
        // The server has nothing to send: HEARTBEATs tell it, at their pace.
        let server = bed.server;
        let ended = bed.world.run_until_idle_or(limit + HOUR, |w| !w.node(server).losses().is_empty());
        assert!(ended && bed.server().losses()[0].1 == CloseReason::PeerUnreachable, "seed {seed}");
        assert!(bed.client().heard(|e| matches!(e, Event::SendFailed { .. })), "what was outstanding is handed back");
    }
}

/// Rulings section 1 row 12: INIT, INIT ACK and COOKIE ECHO are longer than the path MTU, and IP fragments them.
#[test]
fn sixty_four_addresses_each_over_a_narrow_path() {
    let narrow = LinkConfig { mtu: 1_280, ..LinkConfig::default() };
    let mut scenario =
        Scenario { ipv6: true, there: narrow.clone(), back: narrow.clone(), upload: Workload::steady(1, 200, 1_000), ..Scenario::new(1) };
    scenario.nets = (0..63).map(|_| Net::ipv6(narrow.clone())).collect();
    scenario.assoc.mtu = 1_280;
    let mut bed = scenario.build();
    let wire = WireOracle::watch(&mut bed.world, ms(200));
    bed.connected();
    bed.deliver(HOUR).unwrap();
    bed.world.run_for(Duration::from_secs(70));
    for client in [true, false] {
        let all = paths(&mut bed, client);
        assert_eq!(all.len(), 64);
        assert!(all.iter().all(|p| p.state == PathState::Active), "{:?}", all.iter().find(|p| p.state != PathState::Active));
    }
    wire.check().unwrap();
    // Down to the last one.
    bed.world.with(bed.client, |n, _| n.log.clear());
    for net in 0..63 {
        cut(&mut bed, net);
    }
    bed.world.run_for(HOUR);
    nobody_gave_up(&bed);
    assert!(paths(&mut bed, true).iter().any(|p| p.in_use && p.addr == bed.ways[63][1]));
}

/// RFC 9260 rows: 5.4-1.
#[test]
fn addresses_are_confirmed_one_by_one() {
    let nets: Vec<_> = (0..3).map(|_| Net::new(LinkConfig::default())).collect();
    let mut bed = Scenario { nets, upload: Workload::none(), ..Scenario::new(1) }.build();
    bed.connected();
    let confirmed = |bed: &mut Bed| paths(bed, true).iter().filter(|p| p.state == PathState::Active).count();
    for n in 2..=4 {
        bed.world.run_for(ms(500));
        assert_eq!(confirmed(&mut bed), n, "HB.Max.Burst is one for each RTO, which is a second");
        bed.world.run_for(ms(500));
    }
    let confirmed = |e: &&(Time, _, Event)| matches!(e.2, Event::PathState { change: PathChange::Confirmed, .. });
    assert_eq!(bed.client().log.iter().filter(confirmed).count(), 3);
}

#[test]
fn the_user_moves_the_primary_path() {
    let mut bed = two_paths(1).build();
    let log = watch(&mut bed);
    bed.connected();
    let [[_, server], [_, other]] = [bed.ways[0], bed.ways[1]];
    let choose = |bed: &mut Bed, addr| {
        bed.world.with(bed.client, |n, now| {
            let id = n.latest().unwrap().0;
            n.stack.assoc(id).unwrap().set_primary(now, addr)
        })
    };
    assert_eq!(choose(&mut bed, other), Err(sctp_user::PathError::Unconfirmed));
    let own = bed.client_ip;
    assert_eq!(choose(&mut bed, own), Err(sctp_user::PathError::UnknownAddress));
    bed.world.run_until(at(2_500));
    choose(&mut bed, other).unwrap();
    let since = bed.world.now() + ms(200);
    bed.deliver(HOUR).unwrap();
    assert!(log.borrow().iter().filter(|m| m.at > since && m.sent).all(|m| m.dst == other));
    assert_eq!(changes(bed.client(), other), [PathChange::Confirmed, PathChange::MadePrimary]);
    assert_eq!(changes(bed.client(), server), []);
}

#[test]
fn the_next_address_is_tried_if_the_first_does_not_answer() {
    for seed in seeds().take(5) {
        let mut bed = two_paths(seed).build();
        cut(&mut bed, 0);
        let to: Vec<_> = bed.ways.iter().map(|w| PeerAddr::from(SocketAddr::new(w[1], SERVER_PORT))).collect();
        bed.world.with(bed.client, |n, now| n.stack.connect(now, n.endpoint, &to, None).unwrap());
        bed.world.run_until(at(1_500));
        assert!(bed.client().latest().is_some(), "at the second attempt");
        bed.deliver(HOUR).unwrap();
        let [[_, first], [_, second]] = [bed.ways[0], bed.ways[1]];
        assert!(path(&mut bed, true, second).primary);
        assert_eq!(paths(&mut bed, true).len(), 2);
        assert_eq!(path(&mut bed, true, first).state, PathState::Active, "the user gave it, so it needs no proof");
    }
}

/// Both open at once, each to another address of the other: the paths by which the cookies came are confirmed.
#[test]
fn a_collision_confirms_the_paths_of_both_openings() {
    for seed in seeds().take(10) {
        let mut scenario = two_paths(seed);
        scenario.download = flow(seed ^ 1, 200, 300, ms(20));
        let mut bed = scenario.build();
        let wire = WireOracle::watch(&mut bed.world, ms(200));
        let [_, first] = bed.ways[0];
        let [second, _] = bed.ways[1];
        bed.world.with(bed.client, |n, now| n.connect(now, first, SERVER_PORT));
        bed.world.with(bed.server, |n, now| n.connect(now, second, CLIENT_PORT));
        bed.deliver(HOUR).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        bed.world.run_for(Duration::from_secs(10));
        for client in [true, false] {
            let all = paths(&mut bed, client);
            assert_eq!(all.len(), 2, "seed {seed}");
            assert!(all.iter().all(|p| p.state == PathState::Active), "seed {seed}: {all:?}");
        }
        for peer in [bed.client(), bed.server()] {
            assert_eq!(peer.conns.len(), 1, "seed {seed}: one association");
        }
        wire.check().unwrap();
    }
}

/// A host whose peer lists an address that is the host's own too, as hosts with equal inner networks do, leaves it alone.
#[test]
fn an_address_that_both_have_is_no_path() {
    let mut bed = Scenario { upload: Workload::steady(1, 50, 1_000), ..Scenario::new(1) }.build();
    let inner: IpAddr = [172, 17, 0, 1].into();
    for (node, own) in [(bed.client, bed.client_ip), (bed.server, bed.server_ip)] {
        bed.world.with(node, |n, now| n.handle_addresses(now, AddrChange::Set(vec![own, inner])));
    }
    bed.connected();
    bed.deliver(HOUR).unwrap();
    for client in [true, false] {
        assert_eq!(paths(&mut bed, client).len(), 1);
    }
}

/// RFC 7829 section 5, by option.
#[test]
fn a_primary_path_may_be_left_for_good() {
    let mut scenario = two_paths(1);
    scenario.assoc.primary_switch_max_retrans = Some(2);
    let mut bed = scenario.build();
    bed.connected();
    let [[_, server], [_, other]] = [bed.ways[0], bed.ways[1]];
    bed.world.run_until(at(2_500));
    cut(&mut bed, 0);
    bed.world.run_until(at(20_000));
    heal(&mut bed, 0);
    bed.world.run_until(at(200_000));
    let back = path(&mut bed, true, server);
    assert_eq!((back.state, back.primary, back.in_use), (PathState::Active, false, false));
    assert!(path(&mut bed, true, other).primary);
    bed.deliver(HOUR).unwrap();
}
