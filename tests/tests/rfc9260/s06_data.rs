//! Section 6 but 6.4, 6.9: transfer of user data.

use sctp_user::AssocConfig;
use testbed::puppet::{Puppet, Seen, names, only};

/// RFC 9260 rows: 6.2-1, 6.2-17.
#[test]
fn data_is_acknowledged_by_its_tsn() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let tsn = p.tsn;
    let data = p.data(0, b"first");
    let sent = p.give(&[data]);
    let Seen::Sack { cum, gaps, .. } = only(&sent).first() else { panic!("{:?}", names(&sent)) };
    assert_eq!((*cum, gaps.len()), (tsn, 0));
}
