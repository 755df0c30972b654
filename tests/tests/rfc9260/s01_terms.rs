//! Section 1: one association between two endpoints, serial numbers.

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::CookieEcho;
use sctp_user::{AssocConfig, BindError, ConnectError, EndpointConfig, SendOptions};
use testbed::puppet::{Puppet, STACK_PORT, Seen, data, names};

/// RFC 9260 rows: 1.3-1.
#[test]
fn two_endpoints_have_one_association() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let peer = std::net::SocketAddr::new(p.addrs[0], p.port).into();
    assert_eq!(p.stack.connect(p.now, p.endpoint, &[peer], None), Err(ConnectError::AlreadyConnected));
    // The peer cannot open a second one either: it restarts the first.
    p.tag += 1;
    let cookie = p.give_init().cookie();
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
    assert_eq!(p.stack.association_count(), 1);
}

/// RFC 9260 rows: 1.3-2.
#[test]
fn all_addresses_of_an_endpoint_have_its_port() {
    let mut p = Puppet::at(AssocConfig::rfc(), &["10.0.0.1", "10.0.1.1", "2001:db8::1"], &["10.0.0.2"]);
    for (dst, src) in [("10.0.0.1", "10.0.0.2"), ("10.0.1.1", "10.0.1.2"), ("2001:db8::1", "2001:db8::2")] {
        let sent = p.give_in(p.envelope().tagged(0).to(dst).from(src), &[Chunk::Init(p.init_chunk(&[]))]);
        assert_eq!((sent[0].names(), sent[0].src_port), (vec!["INIT-ACK"], STACK_PORT));
        assert_eq!(sent[0].src.to_string(), dst);
    }
    p.accept();
    let id = p.id();
    assert!(p.stack.assoc(id).unwrap().local_addrs().iter().all(|a| a.port() == STACK_PORT));
}

/// RFC 9260 rows: 1.3-3.
#[test]
fn a_port_belongs_to_one_endpoint() {
    let mut p = Puppet::new(AssocConfig::rfc());
    assert_eq!(p.stack.open(EndpointConfig::new(STACK_PORT)), Err(BindError::AddrInUse(STACK_PORT)));
    let (one, two) = (p.stack.open(EndpointConfig::new(0)).unwrap(), p.stack.open(EndpointConfig::new(0)).unwrap());
    assert_ne!(p.stack.local_port(one), p.stack.local_port(two));
}

/// RFC 9260 rows: 1.6-1, 1.6-2.
#[test]
fn gaps_are_reported_across_the_wrap_of_tsns() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tsn = u32::MAX - 1;
    p.open();
    // MAX - 1, MAX, (0 is missing), 1, and an old one.
    let mut last = None;
    for (tsn, ssn) in [(u32::MAX - 1, 0), (u32::MAX, 1), (1, 3), (u32::MAX, 1)] {
        let sent = p.give(&[Chunk::Data(data(tsn, 0, ssn, b"x"))]);
        last = sent.last().map(|s| s.first().clone()).or(last);
    }
    let Some(Seen::Sack { cum, gaps, dups, .. }) = last else { panic!("no SACK") };
    assert_eq!((cum, gaps, dups), (u32::MAX, vec![(2, 2)], vec![u32::MAX]));
    let sent = p.give(&[Chunk::Data(data(0, 0, 2, b"x"))]);
    assert!(matches!(sent.last().unwrap().first(), Seen::Sack { cum: 1, gaps, .. } if gaps.is_empty()), "{sent:?}");
}

/// RFC 9260 rows: 1.6-5, 6.5-5.
#[test]
fn stream_sequence_numbers_wrap() {
    let mut cfg = AssocConfig::rfc();
    cfg.nagle = false;
    let mut p = Puppet::established(cfg);
    // Both directions, 65,540 messages.
    for n in 0..65_540_u32 {
        let [hi, lo] = n.to_be_bytes()[2..] else { panic!() };
        let (ssn, payload) = (u16::from_be_bytes([hi, lo]), [hi, lo]);
        let data = p.data(0, &payload);
        p.give(&[data]);
        let message = p.recv().unwrap();
        assert_eq!((message.ssn.0, &message.payload[..]), (ssn, &payload[..]));
        let sent = p.send(0, &payload);
        assert!(sent.iter().any(|s| s.chunks.iter().any(|c| matches!(&c.body, Seen::Data { ssn: s, .. } if *s == ssn))), "{n}: {sent:?}");
        p.ack();
        p.log.clear();
        p.events.clear();
    }
}

/// Each TSN of a send window is at least one byte of what was accepted for sending.
///
/// RFC 9260 rows: 1.6-3, 6.1-23.
#[test]
fn no_send_window_reaches_half_the_circle_of_tsns() {
    let with = |send_buffer, max_message| {
        let mut cfg = AssocConfig::rfc();
        (cfg.send_buffer, cfg.max_message) = (send_buffer, max_message);
        cfg
    };
    // The last message may go beyond the buffer by its length.
    let most = (1 << 30) - 1;
    assert_eq!(with(most, most).validate(), Ok(()));
    assert!(most + most < 1 << 31);
    assert!(with(most + 1, most).validate().is_err());
    assert!(with(most, most + 1).validate().is_err());
    // And the buffer is a bound.
    let mut p = Puppet::new(with(10_000, 1_000));
    p.connect();
    let accepted = (0..100).take_while(|_| p.try_send(0, &[7; 1_000], SendOptions::ordered()).is_ok()).count();
    assert!((10..=11).contains(&accepted), "{accepted}");
}
