//! Section 10: ICMP.

use bytes::Bytes;
use sctp_user::{AssocConfig, NetError, NetErrorKind, Node as _};
use testbed::puppet::{CHANNEL, Puppet};

/// RFC 9260 rows: 10-5.
#[test]
fn an_icmp_message_with_another_tag_is_ignored() {
    let mut p = Puppet::in_state(AssocConfig::rfc(), "SHUTDOWN-PENDING");
    let data = p.log.iter().find(|s| s.names() == ["DATA"]).unwrap().clone();
    let mut quoted = data.bytes.to_vec();
    quoted[4] ^= 1;
    let err = NetError { kind: NetErrorKind::ProtocolUnreachable, dst: data.dst, channel: CHANNEL, quoted: Bytes::from(quoted) };
    for _ in 0..5 {
        p.stack.handle_net_error(p.now, &err);
    }
    assert!(p.collect().is_empty());
    assert_eq!(p.state(), "SHUTDOWN-PENDING");
    // Under the right one it ends the association.
    p.stack.handle_net_error(p.now, &NetError { quoted: data.bytes, ..err });
    p.collect();
    assert_eq!(p.state(), "CLOSED");
}
