//! Section 16: protocol parameters.

use core::time::Duration;

use sctp_user::AssocConfig;

/// RFC 9260 rows: 16-1, 16-2.
#[test]
fn the_parameters_have_the_recommended_values() {
    let cfg = AssocConfig::rfc();
    assert_eq!((cfg.rto_initial, cfg.rto_min, cfg.rto_max), (Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!((cfg.max_burst, cfg.assoc_max_retrans, cfg.path_max_retrans, cfg.max_init_retransmits), (4, 10, 5, 8));
    assert_eq!((cfg.hb_interval, cfg.sack_delay), (Some(Duration::from_secs(30)), Duration::from_millis(200)));
    assert_eq!(cfg.cookie_life, Duration::from_secs(60));
}
