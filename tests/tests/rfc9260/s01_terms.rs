//! Sections 1 and 2: one association between two endpoints, serial numbers.

use sctp_user::{AssocConfig, ConnectError};
use testbed::puppet::Puppet;

/// RFC 9260 rows: 1.3-1.
#[test]
fn two_endpoints_have_one_association() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let peer = std::net::SocketAddr::new(p.addrs[0], p.port).into();
    assert_eq!(p.stack.connect(p.now, p.endpoint, &[peer], None), Err(ConnectError::AlreadyConnected));
    assert_eq!(p.stack.association_count(), 1);
}
