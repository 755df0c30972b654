//! Section 9: abort and shutdown.

use sctp_user::wire::Chunk;
use sctp_user::wire::chunk::Abort;
use sctp_user::{AssocConfig, CloseReason, Event};
use testbed::puppet::{Puppet, names, raw_item};

/// RFC 9260 rows: 9.1-9.
#[test]
fn the_reason_of_an_abort_reaches_the_user() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let causes = raw_item(12, b"late");
    assert_eq!(names(&p.give(&[Chunk::Abort(Abort { t: false, causes: &causes })])).len(), 0);
    assert!(p.heard(|e| *e == Event::Lost { reason: CloseReason::PeerAborted(causes.clone().into()) }), "{:?}", p.events);
}
