//! Beginnings and ends of associations on bad links, on many seeds.

use core::time::Duration;

use sctp_user::sim::{Chance, Crash, Fault, Loss};
use sctp_user::{CloseReason, Entropy, Event, Time};
use testbed::bed::{CLIENT_PORT, SERVER_PORT, unlimited};
use testbed::{Bed, Peer, Scenario, WireOracle, Workload};

const LIMIT: Duration = Duration::from_secs(4 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

fn seeds() -> core::ops::Range<u64> {
    0..std::env::var("SEEDS").ok().and_then(|v| v.parse().ok()).unwrap_or(50)
}

fn check(seed: u64, result: Result<(), String>) {
    if let Err(why) = result {
        panic!("seed {seed}: {why}");
    }
}

fn random_ms(bed: &mut Bed, most: u64) -> Duration {
    Duration::from_millis(bed.world.rng().below(most))
}

#[test]
fn both_sides_connect_at_about_the_same_time() {
    for seed in seeds() {
        let mut bed = Scenario::rough(seed, 10).build();
        let wire = WireOracle::watch(&mut bed.world, Duration::from_millis(200));
        let (client_ip, server_ip) = (bed.client_ip, bed.server_ip);
        bed.world.with(bed.client, |n, now| n.connect(now, server_ip, SERVER_PORT));
        let wait = random_ms(&mut bed, 700);
        bed.world.run_for(wait);
        // Too late for a collision if the association is there already.
        if bed.server().latest().is_none() {
            bed.world.with(bed.server, |n, now| n.connect(now, client_ip, CLIENT_PORT));
        }
        check(seed, bed.deliver(LIMIT));
        check(seed, wire.check());
        for peer in [bed.client(), bed.server()] {
            let connected = peer.log.iter().filter(|(_, _, e)| matches!(e, Event::Connected { .. })).count();
            assert_eq!((connected, peer.losses().len()), (1, 0), "seed {seed}: {:?}", peer.log);
        }
    }
}

#[test]
fn a_client_that_restarts() {
    for seed in seeds() {
        let mut bed = Scenario::rough(seed, 10).build();
        bed.connect();
        let life = random_ms(&mut bed, 5_000);
        bed.world.run_for(life);
        bed.world.apply(Fault::Crash { host: bed.client.host(), how: Crash::Machine });
        let pause = random_ms(&mut bed, 3_000);
        bed.world.run_for(pause);
        bed.restart_client();
        bed.connect();
        check(seed, bed.deliver(LIMIT));
    }
}

/// What was accepted was delivered, or somebody was told otherwise.
fn nothing_silently_lost(seed: u64, from: &Peer, to: &Peer) {
    let graceful = |p: &Peer| p.losses().iter().all(|(_, r)| *r == CloseReason::Shutdown);
    if !(graceful(from) && graceful(to)) {
        return;
    }
    let sent = from.latest().map_or(0, |(_, c)| c.sent);
    let failed = from.log.iter().filter(|(_, _, e)| matches!(e, Event::SendFailed { .. })).count();
    assert_eq!(to.delivered() + failed, sent, "seed {seed}: {:?} {:?}", from.losses(), to.losses());
}

#[test]
fn a_shutdown_in_the_middle_loses_nothing_that_was_accepted() {
    let mut graceful = 0;
    for seed in seeds() {
        let mut bed = Scenario::rough(seed, 30).build();
        let wire = WireOracle::watch(&mut bed.world, Duration::from_millis(200));
        bed.connected_within(HOUR);
        let life = random_ms(&mut bed, 4_000);
        bed.world.run_for(life);
        let both = seed % 3 == 0;
        bed.world.with(bed.client, |n, now| n.shutdown(now));
        if both {
            bed.world.with(bed.server, |n, now| n.shutdown(now));
        }
        check(seed, bed.closed(LIMIT));
        check(seed, wire.check());
        nothing_silently_lost(seed, bed.client(), bed.server());
        nothing_silently_lost(seed, bed.server(), bed.client());
        graceful += u64::from(bed.client().losses().iter().chain(&bed.server().losses()).all(|(_, r)| *r == CloseReason::Shutdown));
    }
    let all = seeds().end;
    println!("{graceful} of {all} closed gracefully");
    assert!(graceful * 10 >= all * 8, "only {graceful} of {all} closed gracefully");
}

#[test]
fn an_abort_in_the_middle_corrupts_nothing() {
    for seed in seeds() {
        let mut bed = Scenario::rough(seed, 30).build();
        bed.connected_within(HOUR);
        let life = random_ms(&mut bed, 4_000);
        bed.world.run_for(life);
        bed.world.with(bed.server, |n, now| n.abort(now, b"enough"));
        check(seed, bed.closed(LIMIT));
        assert!(matches!(bed.client().losses().as_slice(), [(_, CloseReason::PeerAborted(_))]), "seed {seed}: {:?}", bed.client().log);
    }
}

#[test]
fn packets_from_long_ago_do_no_harm() {
    for seed in seeds() {
        let mut s = Scenario::rough(seed, 30);
        for link in [&mut s.there, &mut s.back] {
            link.duplicate = Chance::percent(50);
            link.reorder = Chance::percent(5);
            link.reorder_by = Duration::from_secs(150);
        }
        let mut bed = s.build();
        let wire = WireOracle::watch(&mut bed.world, Duration::from_millis(200));
        bed.connect();
        check(seed, bed.deliver(LIMIT));
        bed.world.run_for(Duration::from_secs(300));
        check(seed, bed.check());
        check(seed, wire.check());
        assert!(bed.client().losses().is_empty() && bed.server().losses().is_empty(), "seed {seed}");
    }
}

#[test]
fn many_clients_of_one_server() {
    let mut s = Scenario::new(1);
    s.assoc = unlimited(s.assoc);
    s.upload = Workload::steady(1, 20, 2_000);
    s.download = Workload::steady(2, 20, 2_000);
    let mut bed = s.build();
    let mut cfg = sctp_user::sim::LinkConfig { loss: Loss::percent(5), ..Default::default() };
    cfg.jitter = Duration::from_millis(20);
    bed.world.set_default_link(cfg);
    let ip = bed.server_ip;
    let clients: Vec<_> = (0..100).map(|i| bed.add_client([10, 1, 0, i].into())).collect();
    for (i, client) in clients.iter().copied().enumerate() {
        bed.world.call_at(Time::from_millis(i as u64), move |w| {
            w.with(client, |n, now| n.connect(now, ip, SERVER_PORT));
        });
    }
    let server = bed.server;
    let done = bed.world.run_until_idle_or(Time::from_millis(600_000), |w| {
        clients.iter().all(|c| w.node(*c).complete()) && w.node(server).conns.values().all(|c| c.oracle.complete())
    });
    assert!(done, "{} associations, {} messages", bed.server().conns.len(), bed.server().delivered());
    assert_eq!((bed.server().conns.len(), bed.server().delivered()), (100, 2_000));
    assert!(clients.iter().all(|c| bed.world.node(*c).violations.is_empty()));
    check(1, bed.check());
}
