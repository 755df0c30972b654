//! Section 7 but 7.3: congestion control.

use sctp_user::{AssocConfig, Congestion};
use testbed::puppet::{Puppet, Seen, chunks, sack};

/// User bytes of the DATA chunks.
fn bytes(sent: &[testbed::puppet::Sent]) -> usize {
    chunks(sent).map(|c| if let Seen::Data { payload, .. } = c { payload.len() } else { 0 }).sum()
}

/// RFC 9260 rows: 7.2-1.
#[test]
fn the_first_window_limits_what_is_sent() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let sent = p.send(0, &[7; 100_000]);
    let bytes = bytes(&sent);
    assert!((3_000..7_000).contains(&bytes), "{bytes}");
}

/// How much may be in flight: as much as leaves when there is more than enough to send, and opportunities besides.
fn window(p: &mut Puppet) -> usize {
    let mut sum = 0;
    for _ in 0..40 {
        sum += bytes(&p.send(0, &[1; 1400]));
    }
    sum
}

/// Acknowledges chunk by chunk until nothing is outstanding.
fn drain(p: &mut Puppet, acked: &mut u32) {
    while *acked != p.cum {
        *acked = acked.wrapping_add(1);
        p.give(&[sack(*acked, 1 << 20, &[], &[])]);
    }
}

/// RFC 9260 rows: 7.2.5-1, 7.2.5.1-1.
#[test]
fn another_dscp_starts_congestion_control_anew() {
    for (dscp, anew) in [(0, false), (46, true)] {
        let mut p = Puppet::established(AssocConfig::rfc());
        let mut acked = p.cum;
        let first = window(&mut p);
        drain(&mut p, &mut acked);
        let grown = window(&mut p);
        assert!(grown > first + 3 * 1400, "{first} {grown}");
        drain(&mut p, &mut acked);
        let (id, now) = (p.id(), p.now);
        p.stack.assoc(id).unwrap().reconfigure(now, |cfg| cfg.dscp = dscp).unwrap();
        let then = window(&mut p);
        assert_eq!(then == first, anew, "{first}, grown to {grown}, then {then}");
    }
}

#[test]
fn the_control_of_a_running_association_can_be_changed() {
    let mut p = Puppet::established(AssocConfig::rfc());
    let mut acked = p.cum;
    let first = window(&mut p);
    drain(&mut p, &mut acked);
    let (id, now) = (p.id(), p.now);
    p.stack.assoc(id).unwrap().reconfigure(now, |cfg| cfg.congestion = Congestion::Cubic).unwrap();
    assert!(p.stack.assoc(id).unwrap().deviations().iter().any(|d| d.starts_with("CUBIC")));
    assert_eq!(window(&mut p), first, "it begins anew");
}
