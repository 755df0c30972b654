//! Section 5 but 5.4, and section 4: how associations begin.

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::CookieEcho;
use sctp_user::{AssocConfig, Node as _};
use testbed::puppet::{Puppet, names};

/// RFC 9260 rows: 5.1-6.
#[test]
fn an_init_leaves_no_state_behind() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let ack = p.give_init();
    assert_eq!(p.stack.association_count(), 0);
    assert_eq!(p.stack.poll_timeout(), None);
    let cookie = ack.cookie();
    let done = p.give(&[Chunk::CookieEcho(CookieEcho { cookie: &cookie })]);
    assert_eq!(names(&done)[0][0], "COOKIE-ACK");
    assert_eq!(p.stack.association_count(), 1);
}

/// RFC 9260 rows: 5.2.5-1.
#[test]
fn a_cookie_ack_outside_cookie_echoed_is_dropped_in_silence() {
    for state in ["COOKIE-WAIT", "ESTABLISHED", "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"] {
        let mut p = Puppet::in_state(AssocConfig::rfc(), state);
        assert!(p.give(&[Chunk::CookieAck]).is_empty(), "{state}");
        assert_eq!(p.state(), state);
    }
}
