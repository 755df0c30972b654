//! Sections 12 to 14: security, hosts without SCTP, parameters of stacks and associations.

use std::sync::{Arc, Mutex};

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::{CookieEcho, GapBlock, Heartbeat};
use sctp_user::{AssocConfig, Entropy, NetError, NetErrorKind, Node as _, SeededEntropy, Stack, StackConfig};
use testbed::puppet::{CHANNEL, Puppet, Seen, encode, names, only, raw_chunk, raw_item, sack};

/// RFC 9260 rows: 12.4-1, 10-1.
#[test]
fn icmp_is_validated_before_it_counts() {
    for kind in
        [NetErrorKind::Unreachable, NetErrorKind::PortUnreachable, NetErrorKind::ProtocolUnreachable, NetErrorKind::TooBig { mtu: 1000 }]
    {
        let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-PENDING");
        let data = p.log.iter().find(|s| s.names() == ["DATA"]).unwrap().clone();
        let before = p.status().unwrap();
        // The ports of a stranger, no packet at all, and a tag that is not ours to send.
        for quoted in [vec![0; 12], vec![], [&data.bytes[..4], &[0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0]].concat()] {
            for _ in 0..3 {
                p.stack.handle_net_error(p.now, &NetError { kind, dst: data.dst, channel: CHANNEL, quoted: quoted.clone().into() });
            }
        }
        assert!(p.collect().is_empty());
        assert_eq!(p.status().unwrap(), before);
    }
}

/// RFC 9260 rows: 12.4-2, 6.2-11.
#[test]
fn several_answers_to_one_packet_share_one_packet() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let (one, two) = (p.data(0, b"one"), p.data(77, b"no such stream"));
    let heartbeat = raw_item(1, b"hb");
    let packet = [encode(&[one, two, Chunk::Heartbeat(Heartbeat { tlvs: &heartbeat })]), raw_chunk(0xc9, 0, b"what")].concat();
    let sent = p.give_raw(&packet);
    let mut names = only(&sent).names();
    names.sort_unstable();
    assert_eq!(names, ["ERROR", "HEARTBEAT-ACK", "SACK"]);
}

/// RFC 9260 rows: 12.4-5.
#[test]
fn a_sack_of_what_was_not_sent_aborts() {
    for lie in [
        |p: &Puppet| sack(p.cum.wrapping_add(1), p.a_rwnd, &[], &[]),
        |p: &Puppet| sack(p.cum.wrapping_add(0x4000_0000), p.a_rwnd, &[], &[]),
        |p: &Puppet| sack(p.cum.wrapping_sub(1), p.a_rwnd, &[GapBlock { start: 2, end: 3 }], &[]),
    ] {
        let mut p = Puppet::established(AssocConfig::rfc());
        p.send(0, b"one");
        p.ack();
        p.send(0, b"two");
        let sent = p.give(&[lie(&p)]);
        assert!(matches!(only(&sent).first(), Seen::Abort { t: false, .. }), "{:?}", names(&sent));
        assert_eq!(p.state(), "CLOSED");
    }
}

/// Randomness that notes how many secret bytes are asked for.
#[derive(Debug)]
struct Noted {
    inner: SeededEntropy,
    secret: Arc<Mutex<usize>>,
}

impl Entropy for Noted {
    fn fill_public(&mut self, out: &mut [u8]) {
        self.inner.fill_public(out);
    }

    fn fill_secret(&mut self, out: &mut [u8]) {
        *self.secret.lock().unwrap() += out.len();
        self.inner.fill_secret(out);
    }
}

/// RFC 9260 rows: 14.1-1, 5.1.3-4.
#[test]
fn the_key_of_cookies_is_secret_random_and_long() {
    let secret = Arc::new(Mutex::new(0));
    let _ = Stack::new(StackConfig::default(), Box::new(Noted { inner: SeededEntropy::new(1), secret: secret.clone() }));
    assert!(*secret.lock().unwrap() >= 32);
    // Two stacks that differ in nothing but it do not take each other's cookies.
    let mut p = Puppet::new(AssocConfig::rfc());
    let cookie = p.give_init().cookie();
    let mut q = Puppet::new(AssocConfig::rfc());
    q.stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(2)));
    let endpoint = q.stack.open(sctp_user::EndpointConfig::new(testbed::puppet::STACK_PORT)).unwrap();
    q.stack.listen(endpoint, true);
    q.peer_tag = p.peer_tag;
    assert!(q.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]).is_empty());
    assert_eq!(q.stack.association_count(), 0);
    assert_eq!(names(&p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })])), [["COOKIE-ACK"]]);
}

/// RFC 9260 rows: 14.2-1.
#[test]
fn a_closed_association_leaves_nothing_behind() {
    let mut p = Puppet::established(AssocConfig::rfc());
    assert_eq!(p.stack.association_count(), 1);
    p.abort(b"over");
    assert_eq!(p.stack.association_count(), 0);
    assert_eq!(p.stack.poll_timeout(), None);
    assert!(matches!(only(&p.give(&[Chunk::ShutdownAck])).first(), Seen::ShutdownComplete { t: true }), "out of the blue now");
}
