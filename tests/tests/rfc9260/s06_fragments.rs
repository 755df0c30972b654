//! Sections 6.9 and 7.3: fragmentation and path MTU.

use sctp_user::AssocConfig;
use testbed::puppet::{Puppet, Seen, chunks};

/// RFC 9260 rows: 6.9-14.
#[test]
fn fragments_say_which_is_first_and_which_is_last() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let sent = p.send(0, &[7; 4000]);
    let ends: Vec<_> =
        chunks(&sent).filter_map(|c| if let Seen::Data { begin, end, .. } = c { Some((*begin, *end)) } else { None }).collect();
    assert_eq!(ends, [(true, false), (false, false), (false, true)]);
}
