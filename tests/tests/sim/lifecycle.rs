//! How associations begin and end, and what they survive.

use core::time::Duration;

use sctp_user::sim::{Crash, Fault, Loss, Pause, SharedBuffer};
use sctp_user::{Channel, CloseReason, Event, NetError, NetErrorKind, Node, Time};
use testbed::bed::{CLIENT_PORT, SERVER_PORT, unlimited};
use testbed::{Bed, Scenario, Workload};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn up(scenario: Scenario) -> Bed {
    let mut bed = scenario.build();
    bed.connected();
    bed
}

fn reasons(losses: &[(Time, CloseReason)]) -> Vec<&CloseReason> {
    losses.iter().map(|(_, r)| r).collect()
}

#[test]
fn the_handshake_takes_two_round_trips() {
    let mut bed = Scenario::new(1).build();
    bed.connect();
    bed.world.run_for(MINUTE);
    for (host, peer, incoming, at) in [(bed.client, bed.client(), false, 40), (bed.server, bed.server(), true, 30)] {
        let (local, _, event) = &peer.log[0];
        assert_eq!(*event, Event::Connected { inbound: 10, outbound: 10, incoming });
        assert_eq!(bed.world_time(host, *local), Time::from_millis(at));
        assert_eq!(peer.log.len(), 1);
    }
}

#[test]
fn shutdown_delivers_what_was_accepted() {
    for seed in 0..10 {
        let mut s = Scenario::new(seed);
        s.upload = Workload::steady(seed, 100, 2_000);
        s.there.loss = Loss::percent(10);
        s.back.loss = Loss::percent(10);
        s.assoc = unlimited(s.assoc);
        let mut bed = up(s);
        bed.world.with(bed.client, |n, now| n.close_when_sent(now));
        bed.closed(10 * MINUTE).unwrap();
        assert!(bed.server().complete(), "seed {seed}: {:?}", bed.server().latest().map(|(_, c)| c.oracle.missing()));
        assert_eq!(reasons(&bed.client().losses()), [&CloseReason::Shutdown]);
        assert_eq!(reasons(&bed.server().losses()), [&CloseReason::Shutdown]);
        assert!(bed.server().heard(|e| *e == Event::ShutdownReceived));
    }
}

#[test]
fn both_sides_may_shut_down_at_once() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 20, 2_000);
    s.download = Workload::steady(2, 20, 2_000);
    let mut bed = up(s);
    for id in [bed.client, bed.server] {
        bed.world.with(id, |n, now| n.close_when_sent(now));
    }
    bed.closed(MINUTE).unwrap();
    for peer in [bed.client(), bed.server()] {
        assert!(peer.complete());
        assert_eq!(reasons(&peer.losses()), [&CloseReason::Shutdown]);
    }
}

#[test]
fn abort_tells_the_peer_why() {
    let mut bed = up(Scenario::new(1));
    bed.world.with(bed.client, |n, now| n.abort(now, b"had enough"));
    bed.closed(MINUTE).unwrap();
    assert_eq!(reasons(&bed.client().losses()), [&CloseReason::Aborted]);
    let losses = bed.server().losses();
    let [(_, CloseReason::PeerAborted(causes))] = losses.as_slice() else { panic!("{losses:?}") };
    // Cause 12, User-Initiated Abort (RFC 9260 section 3.3.10.12).
    assert_eq!(&causes[..4], [0, 12, 0, 14]);
    assert_eq!(&causes[4..14], b"had enough");
}

#[test]
fn nobody_answers() {
    let mut bed = Scenario::new(1).build();
    bed.world.apply(Fault::Partition { a: bed.client_ip, b: bed.server_ip });
    bed.connect();
    bed.world.run_for(20 * MINUTE);
    let losses = bed.client().losses();
    assert_eq!(reasons(&losses), [&CloseReason::ConnectTimeout]);
    // Max.Init.Retransmits is 8: 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 + 60 seconds.
    assert_eq!(bed.world_time(bed.client, losses[0].0), Time::from_millis(243_000));
    assert_eq!(bed.world.link_stats(bed.client_ip, bed.server_ip).offered, 9);
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let mut bed = Scenario::new(1).build();
    let ip = bed.server_ip;
    bed.world.with(bed.client, |n, now| n.connect(now, ip, SERVER_PORT + 1));
    bed.world.run_for(MINUTE);
    assert!(matches!(reasons(&bed.client().losses()).as_slice(), [CloseReason::Refused(_)]), "{:?}", bed.client().log);
}

#[test]
fn both_sides_may_connect_at_once() {
    for seed in 0..5 {
        let mut s = Scenario::new(seed);
        s.upload = Workload::steady(1, 20, 2_000);
        s.download = Workload::steady(2, 20, 2_000);
        let mut bed = s.build();
        let (client_ip, server_ip) = (bed.client_ip, bed.server_ip);
        bed.world.with(bed.client, |n, now| n.connect(now, server_ip, SERVER_PORT));
        bed.world.run_for(Duration::from_millis(3 * seed));
        bed.world.with(bed.server, |n, now| n.connect(now, client_ip, CLIENT_PORT));
        bed.deliver(MINUTE).unwrap();
        bed.world.run_for(5 * MINUTE);
        for peer in [bed.client(), bed.server()] {
            let connected = peer.log.iter().filter(|(_, _, e)| matches!(e, Event::Connected { .. })).count();
            assert_eq!((connected, peer.log.len()), (1, 1), "{:?}", peer.log);
        }
    }
}

#[test]
fn a_partition_that_heals_costs_only_time() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 500, 5_000);
    s.download = Workload::steady(2, 500, 5_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(200));
    bed.world.apply(Fault::Partition { a: bed.client_ip, b: bed.server_ip });
    bed.world.run_for(40 * SECOND);
    let before = bed.server().delivered();
    assert!(before < 500);
    bed.world.apply(Fault::Heal { a: bed.client_ip, b: bed.server_ip });
    bed.deliver(3 * MINUTE).unwrap();
}

#[test]
fn a_partition_that_stays_is_noticed_by_both() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 500, 5_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(200));
    let cut = bed.world.now();
    bed.world.apply(Fault::Partition { a: bed.client_ip, b: bed.server_ip });
    bed.closed(60 * MINUTE).unwrap();
    let lost = |id, peer: &testbed::Peer| {
        let losses = peer.losses();
        assert_eq!(reasons(&losses), [&CloseReason::PeerUnreachable]);
        bed.world_time(id, losses[0].0) - cut
    };
    // Association.Max.Retrans is 10: 1 + 2 + ... + 32 + 5 * 60 s for the sender of data.
    let sender = lost(bed.client, bed.client());
    assert!(sender > 5 * MINUTE && sender < 8 * MINUTE, "{sender:?}");
    // The idle side sends a HEARTBEAT every 30 s + RTO, and waits an RTO that doubles, for each.
    let idle = lost(bed.server, bed.server());
    assert!(idle > 5 * MINUTE && idle < 25 * MINUTE, "{idle:?}");
}

#[test]
fn an_idle_association_lives_on_heartbeats() {
    let mut bed = up(Scenario::new(1));
    bed.world.run_for(60 * MINUTE);
    assert_eq!((bed.client().log.len(), bed.server().log.len()), (1, 1));
    let sent = bed.world.link_stats(bed.client_ip, bed.server_ip).offered;
    // One HEARTBEAT each way per 30 s + RTO, half as much jitter at most, and the answers.
    assert!((140..300).contains(&sent), "{sent} packets in an hour");
}

#[test]
fn a_restarted_server_ends_the_old_association() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 2_000, 1_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(100));
    bed.restart_server();
    bed.world.run_for(MINUTE);
    // The new stack knows nothing of the association: it is out of the blue (RFC 9260 section 8.4).
    assert!(matches!(reasons(&bed.client().losses()).as_slice(), [CloseReason::PeerAborted(_)]), "{:?}", bed.client().log);
    assert!(bed.server().log.is_empty());
    bed.connect();
    bed.deliver(MINUTE).unwrap();
}

#[test]
fn a_restarted_client_is_recognised() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 200, 1_000);
    s.download = Workload::steady(2, 200, 1_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(100));
    bed.world.apply(Fault::Crash { host: bed.client.host(), how: Crash::Machine });
    bed.world.run_for(5 * SECOND);
    bed.restart_client();
    bed.connect();
    bed.deliver(5 * MINUTE).unwrap();
    let restarts = bed.server().log.iter().filter(|(_, _, e)| *e == Event::Restarted).count();
    assert_eq!((restarts, bed.server().conns.len()), (1, 1), "{:?}", bed.server().log);
    assert_eq!(bed.client().log.len(), 1);
}

#[test]
fn a_receiver_that_does_not_read_stops_the_sender_for_as_long_as_it_likes() {
    let mut s = Scenario::new(1);
    s.assoc.recv_buffer = 50_000;
    s.assoc.send_buffer = 50_000;
    s.upload = Workload::steady(1, 300, 1_000);
    let mut bed = up(s);
    bed.world.with(bed.server, |n, now| n.set_reading(now, false));
    // Zero-window probes are answered, so that no limit counts (RFC 9260 section 6.1 A).
    bed.world.run_for(60 * MINUTE);
    assert_eq!((bed.client().losses().len(), bed.server().losses().len()), (0, 0), "{:?}", bed.client().log);
    let sent = bed.client().latest().unwrap().1.sent;
    assert!((50..110).contains(&sent), "{sent} messages for two buffers of 50");
    bed.world.with(bed.server, |n, now| n.set_reading(now, true));
    bed.deliver(3 * MINUTE).unwrap();
}

#[test]
fn a_reader_that_pauses_often() {
    for seed in 0..10 {
        let mut s = Scenario::rough(seed, 30);
        s.assoc.recv_buffer = 70_000;
        let mut bed = s.build();
        let (client, server) = (bed.client, bed.server);
        for i in 0..200_u64 {
            let id = if i % 2 == 0 { client } else { server };
            bed.world.call_at(Time::from_millis(300 * i), move |w| w.with(id, |n, now| n.set_reading(now, i % 4 < 2)));
        }
        bed.world.call_at(Time::from_millis(300 * 200), move |w| {
            w.with(client, |n, now| n.set_reading(now, true));
            w.with(server, |n, now| n.set_reading(now, true));
        });
        bed.connect();
        bed.deliver(240 * MINUTE).unwrap();
    }
}

#[test]
fn a_frozen_peer_that_comes_back_in_time() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 500, 5_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(200));
    bed.world.apply(Fault::Pause { host: bed.server.host(), packets: Pause::Queue(200) });
    bed.world.run_for(30 * SECOND);
    bed.world.apply(Fault::Resume { host: bed.server.host() });
    bed.deliver(3 * MINUTE).unwrap();
}

#[test]
fn a_clock_that_leaps_does_no_harm() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 500, 5_000);
    s.download = Workload::steady(2, 500, 5_000);
    let mut bed = up(s);
    for i in 1..20 {
        let host = if i % 2 == 0 { bed.client.host() } else { bed.server.host() };
        bed.world.at(Time::from_millis(100 * i), Fault::ClockJump { host, by: 10 * SECOND });
    }
    bed.deliver(10 * MINUTE).unwrap();
}

#[test]
fn a_process_that_dies_on_this_machine_is_noticed_at_once() {
    let mut s = Scenario::new(1);
    s.one_machine = true;
    let mut bed = s.build();
    bed.connect();
    bed.deliver(MINUTE).unwrap();
    let now = bed.world.now();
    bed.world.apply(Fault::Crash { host: bed.server.host(), how: Crash::Process { sctp_ports: vec![SERVER_PORT] } });
    bed.world.run_for(SECOND);
    let losses = bed.client().losses();
    assert_eq!(reasons(&losses), [&CloseReason::LocalPeerDied]);
    assert_eq!(bed.world_time(bed.client, losses[0].0), now);
}

#[test]
fn a_nat_that_rebinds_is_followed() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 300, 2_000);
    s.download = Workload::steady(2, 300, 2_000);
    let mut bed = s.build();
    bed.world.apply(Fault::Rebind { host: bed.client.host(), inner: 9899, outer: 50_000 });
    bed.connected();
    bed.world.run_for(Duration::from_millis(100));
    bed.world.apply(Fault::Rebind { host: bed.client.host(), inner: 9899, outer: 50_001 });
    bed.deliver(2 * MINUTE).unwrap();
}

#[test]
fn a_process_that_dies_elsewhere_is_found_out_by_icmp() {
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 2_000, 5_000);
    let mut bed = up(s);
    bed.world.run_for(Duration::from_millis(200));
    let died = bed.world.now();
    bed.world.apply(Fault::Crash { host: bed.server.host(), how: Crash::Process { sctp_ports: vec![SERVER_PORT] } });
    bed.world.run_for(MINUTE);
    let losses = bed.client().losses();
    assert_eq!(reasons(&losses), [&CloseReason::NetworkUnreachable]);
    let gap = bed.world_time(bed.client, losses[0].0) - died;
    assert!(gap > Duration::from_millis(100) && gap < Duration::from_secs(3), "{gap:?}");
}

#[test]
fn icmp_that_anybody_could_have_made_up_is_ignored() {
    let mut bed = up(Scenario::new(1));
    for i in 0..20_u8 {
        // The ports are right, the verification tag is a guess.
        let mut quoted = vec![0; 28];
        quoted[..2].copy_from_slice(&CLIENT_PORT.to_be_bytes());
        quoted[2..4].copy_from_slice(&SERVER_PORT.to_be_bytes());
        quoted[4..8].copy_from_slice(&[i, 1, 2, 3]);
        let channel = Channel::Udp { local: 9899, remote: 9899 };
        let err = NetError { kind: NetErrorKind::PortUnreachable, dst: bed.server_ip, channel, quoted: quoted.into() };
        bed.world.with(bed.client, |n, now| n.handle_net_error(now, &err));
        bed.world.run_for(SECOND);
    }
    assert!(bed.client().losses().is_empty());
}

#[test]
fn a_stale_cookie_is_asked_for_anew() {
    let mut s = Scenario::new(1);
    s.assoc = unlimited(s.assoc);
    s.upload = Workload::steady(1, 10, 1_000);
    s.download = Workload::steady(2, 10, 1_000);
    let mut bed = s.build();
    let trace = SharedBuffer::default();
    bed.world.trace(trace.clone());
    bed.connect();
    // The INIT passes, the COOKIE ECHO does not until its cookie is more than a minute old.
    bed.world.run_for(Duration::from_millis(5));
    bed.world.apply(Fault::Cut { from: bed.client_ip, to: bed.server_ip });
    bed.world.run_for(62 * SECOND);
    bed.world.apply(Fault::Heal { a: bed.client_ip, b: bed.server_ip });
    bed.deliver(10 * MINUTE).unwrap();
    let trace = String::from_utf8(trace.bytes()).unwrap();
    let inits = trace.lines().filter(|l| l.contains("client     Sent") && l.contains(", INIT tag")).count();
    assert_eq!(inits, 2, "{trace}");
}

#[test]
fn cookies_outlive_the_rotation_of_their_secret() {
    let mut bed = Scenario::new(1).build();
    for i in 0..10_u64 {
        // Each connects half a minute after the last: some just before, some just after a new secret.
        bed.world.run_for(Duration::from_millis(30_000 + i * 1_111));
        let client = bed.add_client([10, 0, 1, u8::try_from(i).unwrap()].into());
        let ip = bed.server_ip;
        bed.world.with(client, |n, now| n.connect(now, ip, SERVER_PORT));
        bed.world.run_for(SECOND);
        assert!(bed.world.node(client).latest().is_some(), "client {i}");
    }
    assert_eq!(bed.server().conns.len(), 10);
}
