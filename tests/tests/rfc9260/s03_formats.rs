//! Section 3: the formats of packets, chunks, parameters and error causes.

use sctp_user::AssocConfig;
use sctp_user::wire::Chunk;
use testbed::puppet::{Puppet, Seen, only};

/// RFC 9260 rows: 3.1-4, 3.3.2-2.
#[test]
fn an_init_is_sent_under_tag_zero_and_without_a_host_name() {
    let mut p = Puppet::new(AssocConfig::rfc());
    let sent = p.connect();
    let packet = only(&sent);
    assert_eq!((packet.names(), packet.vtag), (vec!["INIT"], 0));
    let Seen::Init(init) = packet.first() else { panic!("{packet:?}") };
    assert_eq!(init.param(11), None);
}

/// RFC 9260 rows: 3.3.2-7.
#[test]
fn an_init_with_tag_zero_is_dropped_in_silence() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.tag = 0;
    let init = Chunk::Init(p.init_chunk(&[]));
    assert!(p.give_in(p.envelope().tagged(0), &[init]).is_empty());
    assert_eq!(p.stack.association_count(), 0);
}
