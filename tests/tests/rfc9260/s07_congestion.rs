//! Section 7 but 7.3: congestion control.

use sctp_user::AssocConfig;
use testbed::puppet::{Puppet, Seen, chunks};

/// RFC 9260 rows: 7.2-1.
#[test]
fn the_first_window_limits_what_is_sent() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let sent = p.send(0, &[7; 100_000]);
    let bytes: usize = chunks(&sent).map(|c| if let Seen::Data { payload, .. } = c { payload.len() } else { 0 }).sum();
    assert!((3_000..7_000).contains(&bytes), "{bytes}");
}
