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
        local_terms: Terms::with(Capabilities { ecn: true, asconf: true, ..Capabilities::default() }),
        peer_terms: Terms::with(Capabilities { partial_reliability: true, interleaving: true, ..Capabilities::default() }),
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

/// What tells its key from others.
fn code(jar: &CookieJar) -> Vec<u8> {
    jar.current.mac(&[]).finalize().into_bytes().to_vec()
}

/// RFC 9260 rows: 5.1.3-3, 5.1.3-4, 5.1.3-6.
#[test]
fn the_signature_is_hmac_sha_256_under_a_random_key_that_the_cookie_does_not_hold() {
    let mut e = SeededEntropy::new(7);
    let mut key = [0; SECRET_LEN];
    SeededEntropy::new(7).fill_secret(&mut key);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let other = CookieJar::new(Time::ZERO, &mut e);
    assert_ne!(code(&jar), code(&other));
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    let (body, tag) = bytes.split_last_chunk::<MAC_LEN>().unwrap();
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    hmac.update(body);
    assert_eq!(hmac.finalize().into_bytes().as_slice(), tag);
    // All of the body are the fields of the cookie, of which none is secret.
    let mut fields = Vec::new();
    sample().encode(&mut Writer::new(&mut fields));
    assert_eq!(body[2..], fields);
    for part in key.windows(4) {
        assert!(!bytes.windows(4).any(|w| w == part));
    }
}

/// RFC 9260 rows: 5.1.3-5.
#[test]
fn the_key_changes_as_time_goes_by() {
    let mut e = SeededEntropy::new(8);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let mut keys = std::collections::BTreeSet::new();
    for minute in 0..60 {
        jar.seal(Time::from_millis(minute * 60_000), &mut e, &sample());
        keys.insert(code(&jar));
    }
    assert!(keys.len() >= 20, "{} keys in an hour", keys.len());
}

/// Attack class 4.
#[test]
fn a_signed_cookie_is_read_as_strictly_as_an_unsigned_one() {
    let mut e = SeededEntropy::new(9);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let good = jar.seal(Time::from_millis(5_000), &mut e, &sample());
    let body = good[..good.len() - MAC_LEN].to_vec();
    let open = |body: &[u8]| {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&jar.current.mac(body).finalize().into_bytes());
        jar.open(Time::from_millis(6_000), &bytes)
    };
    assert_eq!(open(&body), Ok(sample()));
    // Every truncation, with the length corrected and not; every layout but ours; trailing bytes; every count of addresses.
    for len in 0..body.len() {
        assert!(open(&body[..len]).is_err(), "{len}");
        if let Some(rest) = len.checked_sub(4) {
            let mut cut = body[..len].to_vec();
            cut[2..4].copy_from_slice(&u16::try_from(rest).unwrap().to_be_bytes());
            assert!(open(&cut).is_err(), "{len}");
        }
    }
    for layout in [0, LAYOUT - 1, LAYOUT + 1, u16::MAX] {
        let mut other = body.clone();
        other[..2].copy_from_slice(&layout.to_be_bytes());
        assert!(open(&other).is_err());
    }
    let mut longer = body.clone();
    longer.extend_from_slice(&[0; 4]);
    assert!(open(&longer).is_err());
    // No value of any byte makes it panic.
    for at in 0..body.len() {
        for value in [0, 1, 3, 0x7f, 0xff] {
            let mut odd = body.clone();
            odd[at] = value;
            let _ = open(&odd);
        }
    }
}

/// Attack class 4.
#[test]
fn sixty_four_addresses_fit_and_no_more() {
    let mut e = SeededEntropy::new(10);
    let mut jar = CookieJar::new(Time::ZERO, &mut e);
    let peer_addrs = (0..64_u16).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n])).collect();
    let full = StateCookie { peer_addrs, ..sample() };
    let bytes = jar.seal(Time::from_millis(5_000), &mut e, &full);
    assert_eq!(jar.open(Time::from_millis(5_000), &bytes), Ok(full));
    assert!(bytes.len() < 1_500, "{}", bytes.len());
}
