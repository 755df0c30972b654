//! Sections 8.4 and 8.5: packets out of the blue and verification tags.

use sctp_user::AssocConfig;
use sctp_user::wire::Chunk;
use testbed::puppet::{Puppet, Seen, data, only};

/// RFC 9260 rows: 8.4-10, 8.4-11.
#[test]
fn data_out_of_the_blue_is_aborted_under_its_own_tag() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let sent = p.give_in(p.envelope().tagged(99), &[Chunk::Data(data(1, 0, 0, b"x"))]);
    let packet = only(&sent);
    assert_eq!(packet.vtag, 99);
    assert!(matches!(packet.first(), Seen::Abort { t: true, .. }));
}
