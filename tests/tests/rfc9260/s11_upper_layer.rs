//! Section 11: what the user may ask for and is told.

use sctp_user::{AssocConfig, Event};
use testbed::puppet::Puppet;

#[test]
fn the_user_is_told_that_an_association_is_up_with_its_streams() {
    let mut p = Puppet::new(AssocConfig::rfc());
    p.streams = (3, 4);
    p.open();
    assert!(p.heard(|e| *e == Event::Connected { inbound: 3, outbound: 4, incoming: true }), "{:?}", p.events);
}
