//! Sections 5.4, 6.4 and 8.1 to 8.3: paths and their failures.

use sctp_user::AssocConfig;
use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::Heartbeat;
use testbed::puppet::{Puppet, Seen, only, raw_item};

/// RFC 9260 rows: 8.3-10.
#[test]
fn a_heartbeat_is_answered_at_once_with_all_that_it_held() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tlvs = [raw_item(1, b"odd"), raw_item(0x8fff, b"else")].concat();
    let sent = p.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &tlvs })]);
    let Seen::HeartbeatAck { items } = only(&sent).first() else { panic!("{sent:?}") };
    assert_eq!(*items, [(1, b"odd".to_vec()), (0x8fff, b"else".to_vec())]);
}
