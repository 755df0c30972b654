//! Values that are read back, and values that change while things live.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::sim::Loss;
use sctp_user::{AssocConfig, AssocId, CloseReason, ConnectError, EndpointConfig, Event, Ppid, SendError, SendOptions, StreamId};
use testbed::puppet::Puppet;
use testbed::{Bed, Scenario, Workload};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn up(s: Scenario) -> (Bed, AssocId) {
    let mut bed = s.build();
    bed.connected();
    let (id, _) = bed.client().latest().unwrap();
    (bed, id)
}

/// Changes the client's association, which must be allowed.
fn change(bed: &mut Bed, id: AssocId, f: impl FnOnce(&mut AssocConfig)) {
    bed.world.with(bed.client, |n, now| n.stack.assoc(id).unwrap().reconfigure(now, f).unwrap());
}

#[test]
fn what_is_in_force_can_be_read_back() {
    let mut s = Scenario::new(1);
    s.assoc = AssocConfig::signalling();
    let (mut bed, id) = up(s);
    let client = bed.client;
    let cfg = bed.world.with(client, |n, _| n.stack.assoc(id).unwrap().config());
    assert_eq!(*cfg, AssocConfig::signalling());
    change(&mut bed, id, |c| c.rto_max = 3 * SECOND);
    let cfg = bed.world.with(client, |n, _| n.stack.assoc(id).unwrap().config());
    assert_eq!(cfg.rto_max, 3 * SECOND);
    let endpoint = bed.client().stack.endpoint_config(bed.client().endpoint).unwrap();
    assert_eq!(*endpoint.assoc, AssocConfig::signalling(), "the endpoint keeps its own");
    assert_eq!(endpoint.port, testbed::bed::CLIENT_PORT);
    assert_eq!(bed.client().stack.config().max_associations, 100_000);
}

/// RFC 9260 section 11.1.13.
#[test]
fn what_was_agreed_on_or_is_forbidden_cannot_change() {
    let (mut bed, id) = up(Scenario::new(2));
    type Change = fn(&mut AssocConfig);
    let refused: [(&str, Change); 4] = [
        ("outbound_streams", |c| c.outbound_streams = 11),
        ("max_inbound_streams", |c| c.max_inbound_streams = 1),
        ("sack_delay", |c| c.sack_delay = SECOND),
        ("rto_max", |c| c.rto_max = Duration::from_millis(1)),
    ];
    for (field, f) in refused {
        let both = move |c: &mut AssocConfig| {
            c.nagle = false;
            f(c);
        };
        let (error, cfg) = bed.world.with(bed.client, |n, now| {
            let mut a = n.stack.assoc(id).unwrap();
            (a.reconfigure(now, both).unwrap_err(), a.config())
        });
        assert_eq!(error.field, field);
        assert!(cfg.nagle, "nothing changed");
    }
}

#[test]
fn rto_bounds_and_error_limits_change_while_the_association_lives() {
    let (mut bed, id) = up(Scenario::new(3));
    let rto = |bed: &mut Bed| bed.world.with(bed.client, |n, _| n.stack.assoc(id).unwrap().status().rto);
    bed.world.run_for(2 * MINUTE);
    assert_eq!(rto(&mut bed), SECOND);
    change(&mut bed, id, |c| (c.rto_min, c.rto_max) = (Duration::from_millis(100), 2 * SECOND));
    assert!(rto(&mut bed) <= Duration::from_millis(200), "{:?}", rto(&mut bed));
    change(&mut bed, id, |c| (c.assoc_max_retrans, c.path_max_retrans, c.hb_interval) = (2, 2, Some(SECOND)));
    (bed.world).with(bed.client, |n, now| {
        let mut a = n.stack.assoc(id).unwrap();
        a.send(now, StreamId(0), Ppid(0), Bytes::from_static(b"into the void"), SendOptions::ordered()).unwrap();
    });
    let (a, b) = (bed.client_ip, bed.server_ip);
    bed.world.set_links(a, b, sctp_user::sim::LinkConfig { loss: Loss::percent(100), ..Default::default() });
    bed.world.run_for(3 * SECOND);
    assert!(matches!(bed.client().losses()[..], [(_, CloseReason::PeerUnreachable)]), "{:?}", bed.client().log);
}

/// RFC 9260 section 11.1.9.
#[test]
fn heartbeats_are_switched_off_and_on() {
    let (mut bed, id) = up(Scenario::new(4));
    let sent = |bed: &Bed| bed.client().stack.stats().assocs.out_heartbeats;
    change(&mut bed, id, |c| c.hb_interval = None);
    let before = sent(&bed);
    bed.world.run_for(10 * MINUTE);
    assert_eq!(sent(&bed), before);
    let deviations = bed.world.with(bed.client, |n, _| n.stack.assoc(id).unwrap().deviations());
    assert!(deviations.iter().any(|d| d.starts_with("no periodic HEARTBEATs")), "{deviations:?}");
    change(&mut bed, id, |c| c.hb_interval = Some(5 * SECOND));
    bed.world.run_for(MINUTE);
    let n = sent(&bed) - before;
    assert!((8..=12).contains(&n), "every five seconds and an RTO: {n}");
}

#[test]
fn limits_change_and_a_reduced_buffer_is_told() {
    let mut s = Scenario::new(5);
    s.download = Workload::steady(5, 3_000, 1_000);
    let (mut bed, id) = up(s);
    change(&mut bed, id, |c| (c.max_message, c.send_buffer) = (10, 25));
    bed.world.with(bed.client, |n, now| {
        let mut a = n.stack.assoc(id).unwrap();
        let mut send = |len| a.send(now, StreamId(1), Ppid(0), Bytes::from(vec![1; len]), SendOptions::unordered());
        assert_eq!(send(11), Err(SendError::TooLong { len: 11, max: 10 }));
        assert_eq!((send(10), send(10), send(10)), (Ok(()), Ok(()), Err(SendError::WouldBlock)));
        a.reconfigure(now, |c| c.send_buffer = 1_000).unwrap();
    });
    assert!(bed.client().stack.stats().assocs.out_order_chunks == 0);
    let deviations = |bed: &mut Bed| bed.world.with(bed.client, |n, _| n.stack.assoc(id).unwrap().deviations());
    let reduced = |d: Vec<&str>| d.iter().any(|d| d.starts_with("the receive buffer was reduced"));
    change(&mut bed, id, |c| (c.recv_buffer, c.max_message) = (2 << 20, 10_000));
    assert!(!reduced(deviations(&mut bed)));
    change(&mut bed, id, |c| c.recv_buffer = 20_000);
    assert!(reduced(deviations(&mut bed)));
    bed.world.with(bed.client, |n, now| n.set_reading(now, false));
    bed.world.run_for(5 * MINUTE);
    let client = bed.client;
    let held = bed.world.with(client, |n, now| n.stack.assoc(id).unwrap().snapshot(now)).unwrap().receive.held;
    assert!(held <= 40_000, "the new buffer holds: {held}");
    change(&mut bed, id, |c| c.recv_buffer = 1 << 20);
    bed.world.with(bed.client, |n, now| n.set_reading(now, true));
    bed.world.run_for(10 * MINUTE);
    assert!(bed.client().complete(), "nothing was lost on the way: {:?}", bed.client().log);
}

#[test]
fn a_later_association_gets_the_endpoints_new_values_and_the_stacks_limits() {
    let mut bed = Scenario::new(6).build();
    let (client, ip) = (bed.client, bed.server_ip);
    bed.world.with(client, |n, _| {
        let mut cfg = AssocConfig::rfc();
        cfg.outbound_streams = 3;
        let ep = n.endpoint;
        let other_port = EndpointConfig::with(1, Arc::new(cfg.clone()));
        assert_eq!(n.stack.reconfigure_endpoint(ep, other_port).unwrap_err().field, "port");
        n.stack.reconfigure_endpoint(ep, EndpointConfig::with(0, Arc::new(cfg.clone()))).unwrap();
        cfg.mtu = 0;
        assert_eq!(n.stack.reconfigure_endpoint(ep, EndpointConfig::with(0, Arc::new(cfg))).unwrap_err().field, "mtu");
        let mut limits = n.stack.config().clone();
        limits.max_associations = 1;
        n.stack.reconfigure(limits).unwrap();
    });
    bed.connected();
    assert!(bed.client().heard(|e| matches!(e, Event::Connected { outbound: 3, .. })));
    let second = bed.world.with(client, |n, now| n.stack.connect(now, n.endpoint, &[std::net::SocketAddr::new(ip, 9).into()], None));
    assert_eq!(second, Err(ConnectError::TooManyAssociations));
}

/// RFC 9260 section 11.1.13: the DSCP is a parameter too, and with another one congestion is learnt anew (section 7.2.5).
#[test]
fn another_dscp_marks_packets_and_begins_with_the_initial_window() {
    let mut cfg = AssocConfig::rfc();
    cfg.nagle = false;
    let mut p = Puppet::established(cfg);
    for _ in 0..40 {
        p.send(0, &[1; 1_400]);
        p.send(0, &[1; 1_400]);
        p.send(0, &[1; 1_400]);
        p.send(0, &[1; 1_400]);
        p.ack();
    }
    let id = p.id();
    let grown = p.stack.assoc(id).unwrap().status().cwnd;
    assert!(grown > 4_404, "{grown}");
    assert!(p.log.iter().all(|s| s.transmit.dscp == 0));
    p.stack.assoc(id).unwrap().reconfigure(p.now, |c| (c.dscp, c.flow_label) = (46, 7)).unwrap();
    assert_eq!(p.stack.assoc(id).unwrap().status().cwnd, 4_404);
    let sent = p.send(0, b"voice");
    assert_eq!((sent[0].transmit.dscp, sent[0].transmit.flow_label), (46, 7));
}

/// Nagle's rule holds small messages back; switched off, what waited goes.
#[test]
fn nagle_is_switched_off_while_messages_wait() {
    let mut s = Scenario::new(7);
    (s.there.delay, s.back.delay) = (SECOND, SECOND);
    let (mut bed, id) = up(s);
    let send = |bed: &mut Bed| {
        bed.world.with(bed.client, |n, now| {
            let mut a = n.stack.assoc(id).unwrap();
            a.send(now, StreamId(0), Ppid(0), Bytes::from_static(b"small"), SendOptions::ordered()).unwrap();
        });
    };
    let chunks = |bed: &Bed| bed.client().stack.stats().assocs.out_order_chunks;
    send(&mut bed);
    bed.world.run_for(Duration::from_millis(10));
    send(&mut bed);
    bed.world.run_for(Duration::from_millis(10));
    assert_eq!(chunks(&bed), 1, "the second waits for the first's SACK");
    change(&mut bed, id, |c| c.nagle = false);
    bed.world.run_for(Duration::from_millis(10));
    assert_eq!(chunks(&bed), 2);
}
