//! The State Cookie.

use core::time::Duration;
use std::net::IpAddr;

use arbitrary::{Arbitrary, Unstructured};
use sctp_user::cookie::{Capabilities, CookieError, CookieJar, StateCookie, Terms};
use sctp_user::{Channel, Entropy, SeededEntropy, Time, Tsn, Vtag};

/// Longest time that a case lets pass before the cookie comes back.
const MAX_AGE_MS: u64 = 300_000;

#[derive(Arbitrary, Debug)]
struct Case {
    seed: u64,
    fields: Fields,
    /// Milliseconds between other cookies that are sealed meanwhile, so that secrets rotate.
    others: Vec<u16>,
    age_ms: u32,
    damage: Damage,
    foreign: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Fields {
    preservative_ms: u16,
    ports: (u16, u16),
    tags: [u32; 4],
    tsns: (u32, u32),
    rwnd: u32,
    streams: (u16, u16),
    channel: (u8, u16, u16),
    local: IpAddr,
    first: IpAddr,
    more: Vec<IpAddr>,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    None,
    Flip { at: u16, xor: u8 },
    Cut(u16),
    Append(u8),
}

/// A genuine cookie comes back as it went, is known as stale after its life, and not at all after any damage.
pub fn cookie(data: &[u8]) {
    let mut u = Unstructured::new(data);
    if let Ok(case) = Case::arbitrary(&mut u) {
        run(&case);
    }
}

fn run(case: &Case) {
    let mut entropy = SeededEntropy::new(case.seed);
    let start = Time::from_millis(1_000);
    let mut jar = CookieJar::new(Time::ZERO, &mut entropy);
    let made = state_cookie(&case.fields, start);
    let sealed = jar.seal(start, &mut entropy, &made);

    let mut now = start;
    let back = start + Duration::from_millis(u64::from(case.age_ms) % MAX_AGE_MS);
    for ms in case.others.iter().take(64) {
        now += Duration::from_millis(u64::from(*ms));
        if now > back {
            break;
        }
        // Cookies of one stack share Valid.Cookie.Life; peers may ask for more (RFC 9260 section 5.2.6).
        let life = CookieJar::granted_life(Duration::from_secs(60), Duration::from_millis(u64::from(*ms)));
        jar.seal(now, &mut entropy, &StateCookie { created: now, life, ..made.clone() });
    }
    let age = back.saturating_since(start);
    let stale = age > made.life;

    assert_eq!(jar.open(back, &case.foreign), Err((CookieError::Forged, None)));
    let damaged = damage(&sealed, &case.damage);
    match jar.open(back, &damaged) {
        Ok(opened) => assert!(damaged == sealed && opened == made && !stale),
        Err((CookieError::Stale(by), contents)) => {
            assert!(damaged == sealed && stale);
            assert_eq!((by, contents), (age - made.life, Some(Box::new(made))));
        }
        // Two secrets live: a cookie is known at least as long as it is valid.
        Err((CookieError::Forged, contents)) => assert!(contents.is_none() && (damaged != sealed || stale)),
    }
    // Another stack's cookie is nothing to us.
    let mut other: SeededEntropy = SeededEntropy::new(case.seed ^ 1);
    let stranger = CookieJar::new(Time::ZERO, &mut other);
    assert_eq!(stranger.open(back, &sealed), Err((CookieError::Forged, None)));
    let _ = other.u32();
}

fn terms(bits: u32) -> Terms {
    let has = |n: u32| bits >> n & 1 == 1;
    Terms::with(Capabilities {
        ecn: has(0),
        // It is what RANDOM, CHUNKS and HMAC-ALGO make of it.
        auth: false,
        asconf: has(2),
        partial_reliability: has(3),
        reconfig: has(4),
        interleaving: has(5),
        i_forward_tsn: has(6),
    })
}

fn state_cookie(f: &Fields, created: Time) -> StateCookie {
    let life = CookieJar::granted_life(Duration::from_secs(60), Duration::from_millis(u64::from(f.preservative_ms)));
    let (kind, local, remote) = f.channel;
    StateCookie {
        created,
        life,
        local_port: f.ports.0,
        peer_port: f.ports.1,
        local_addr: f.local,
        local_tag: Vtag(f.tags[0]),
        peer_tag: Vtag(f.tags[1]),
        local_tie_tag: Vtag(f.tags[2]),
        peer_tie_tag: Vtag(f.tags[3]),
        local_tsn: Tsn(f.tsns.0),
        peer_tsn: Tsn(f.tsns.1),
        peer_rwnd: f.rwnd,
        outbound: f.streams.0,
        inbound: f.streams.1,
        local_terms: terms(f.rwnd),
        peer_terms: terms(f.rwnd >> 8),
        channel: match kind % 4 {
            0 => Channel::Raw,
            1 => Channel::Udp { local, remote },
            2 => Channel::Datagram { local, remote },
            _ => Channel::Lower(u32::from(local) << 16 | u32::from(remote)),
        },
        peer_addrs: core::iter::once(f.first).chain(f.more.iter().copied()).take(sctp_user::cookie::MAX_ADDRS).collect(),
    }
}

fn damage(sealed: &[u8], how: &Damage) -> Vec<u8> {
    let mut bytes = sealed.to_vec();
    match *how {
        Damage::None => {}
        Damage::Flip { at, xor } => {
            let at = usize::from(at) % bytes.len();
            if let Some(b) = bytes.get_mut(at) {
                *b ^= xor;
            }
        }
        Damage::Cut(n) => bytes.truncate(bytes.len().saturating_sub(usize::from(n))),
        Damage::Append(b) => bytes.push(b),
    }
    bytes
}
