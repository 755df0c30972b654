//! Sections 12 to 15: security, management, parameters of associations, registries.

use sctp_user::AssocConfig;
use sctp_user::wire::Chunk;
use testbed::puppet::{Puppet, Seen, only, sack};

/// RFC 9260 rows: 12.4-5.
#[test]
fn a_sack_of_what_was_not_sent_aborts() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let lie: Chunk<'_> = sack(p.cum.wrapping_add(1), p.a_rwnd, &[], &[]);
    let sent = p.give(&[lie]);
    assert!(matches!(only(&sent).first(), Seen::Abort { t: false, .. }), "{sent:?}");
    assert_eq!(p.state(), "CLOSED");
}
