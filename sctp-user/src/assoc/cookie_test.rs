use super::*;
use crate::entropy::SeededEntropy;

fn sample() -> StateCookie {
    StateCookie {
        created: Time::from_millis(5_000),
        life: Duration::from_secs(60),
        local_port: 7,
        peer_port: 50_000,
        local_addr: "10.1.1.1".parse().unwrap(),
        local_tag: Vtag(1),
        peer_tag: Vtag(2),
        local_tie_tag: Vtag(3),
        peer_tie_tag: Vtag(4),
        local_tsn: Tsn(5),
        peer_tsn: Tsn(6),
        peer_rwnd: 100_000,
        outbound: 10,
        inbound: 20,
        agreed: Capabilities { ecn: true },
        channel: Channel::Udp { local: 9899, remote: 4711 },
        peer_addrs: ["10.1.1.2", "2001:db8::5"].iter().map(|a| a.parse().unwrap()).collect(),
    }
}

#[test]
fn comes_back_as_it_went() {
    let mut e = SeededEntropy::new(1);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    assert_eq!(jar.open(Time::from_millis(65_000), &bytes), Ok(sample()));
}

/// RFC 9260 rows: 5.1.3-3.
#[test]
fn every_flipped_bit_is_noticed() {
    let mut e = SeededEntropy::new(2);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(jar.open(Time::from_millis(6_000), &bad), Err((CookieError::Forged, None)), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(jar.open(Time::from_millis(6_000), &bytes[..len]).is_err(), "length {len}");
    }
}

#[test]
fn an_old_cookie_is_stale_by_the_excess() {
    let mut e = SeededEntropy::new(3);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    let (why, cookie) = jar.open(Time::from_millis(67_500), &bytes).unwrap_err();
    assert_eq!(why, CookieError::Stale(Duration::from_millis(2_500)));
    assert_eq!(cookie, Some(Box::new(sample())));
}

#[test]
fn a_cookie_survives_one_rotation_and_not_two() {
    let mut e = SeededEntropy::new(4);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let old = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    jar.seal(Time::from_millis(200_000), &mut e, &sample());
    assert!(matches!(jar.open(Time::from_millis(200_000), &old), Err((CookieError::Stale(_), _))));
    jar.seal(Time::from_millis(400_000), &mut e, &sample());
    assert_eq!(jar.open(Time::from_millis(400_000), &old), Err((CookieError::Forged, None)));
}

#[test]
fn another_jar_does_not_accept_it() {
    let mut e = SeededEntropy::new(5);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let other = CookieJar::new(Time::ZERO, &mut e);
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    assert_eq!(other.open(Time::from_millis(5_000), &bytes), Err((CookieError::Forged, None)));
}

#[test]
fn short_lived_cookies_of_one_endpoint_do_not_wear_out_the_secret_of_another() {
    let mut e = SeededEntropy::new(6);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let long = StateCookie { life: Duration::from_secs(600), ..sample() };
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &long);
    for s in (6..600).step_by(10) {
        jar.seal(Time::from_millis(s * 1_000), &mut e, &StateCookie { life: Duration::from_secs(1), ..sample() });
    }
    assert_eq!(jar.open(Time::from_millis(600_000), &bytes), Ok(long));
}
