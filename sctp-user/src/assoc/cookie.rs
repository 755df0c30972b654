//! The State Cookie (RFC 9260 section 5.1.3): everything a listener needs to open an association, signed and given to the
//! peer to keep, so that an INIT costs no memory.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

pub use super::ext::{Capabilities, Terms};
use crate::entropy::Entropy;
use crate::net::Channel;
use crate::num::{Tsn, Vtag};
use crate::time::Time;
use crate::wire::cursor::{Reader, Writer};

/// Most peer addresses that a cookie (and an association) keeps.
pub const MAX_ADDRS: usize = 64;
/// Number of the layout below; another one's cookies are nobody's. What extensions add goes behind what is there, under a new number.
const LAYOUT: u16 = 3;
/// Length of the secret that they are signed by, in bytes.
const SECRET_LEN: usize = 32;
/// Length of a block of the hash in bytes. Each that a cookie fills is hashed twice, when it is made and when it comes back: with one IPv4 address
/// and authentication it has three, and the fields are no wider than they need be.
const BLOCK_LEN: usize = 64;
/// Length of the signature in bytes.
const MAC_LEN: usize = 32;
/// The longest Cookie Preservative that is granted (RFC 9260 section 5.2.6 leaves the bound to us).
const MAX_PRESERVATIVE: Duration = Duration::from_secs(60);

/// The contents of a cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateCookie {
    /// When it was made, by the stack's own clock.
    pub created: Time,
    /// How long it is valid.
    pub life: Duration,
    /// Our SCTP port.
    pub local_port: u16,
    /// The peer's SCTP port.
    pub peer_port: u16,
    /// Our address that the INIT came to.
    pub local_addr: IpAddr,
    /// Our Initiate Tag.
    pub local_tag: Vtag,
    /// The peer's Initiate Tag.
    pub peer_tag: Vtag,
    /// Our tag of an association that existed when the INIT came, or zero.
    pub local_tie_tag: Vtag,
    /// The peer's tag of that association, or zero.
    pub peer_tie_tag: Vtag,
    /// Our initial TSN.
    pub local_tsn: Tsn,
    /// The peer's initial TSN.
    pub peer_tsn: Tsn,
    /// The peer's receiver window in bytes.
    pub peer_rwnd: u32,
    /// Streams that we may send on.
    pub outbound: u16,
    /// Streams that the peer may send on.
    pub inbound: u16,
    /// What our INIT ACK says about extensions.
    pub local_terms: Terms,
    /// What the INIT said about them.
    pub peer_terms: Terms,
    /// What carried the INIT.
    pub channel: Channel,
    /// The peer's addresses, the source of the INIT first; at most [`MAX_ADDRS`].
    pub peer_addrs: Vec<IpAddr>,
}

/// Why a cookie is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CookieError {
    /// Not one of ours, or changed on its way: to be dropped silently.
    #[error("cookie has no valid signature")]
    Forged,
    /// Too old by this much; the contents are right.
    #[error("cookie is too old by {0:?}")]
    Stale(Duration),
}

impl StateCookie {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.created.as_nanos());
        w.u64(u64::try_from(self.life.as_nanos()).unwrap_or(u64::MAX));
        w.u16(self.local_port);
        w.u16(self.peer_port);
        for n in [self.local_tag.0, self.peer_tag.0, self.local_tie_tag.0, self.peer_tie_tag.0, self.local_tsn.0, self.peer_tsn.0] {
            w.u32(n);
        }
        w.u32(self.peer_rwnd);
        w.u16(self.outbound);
        w.u16(self.inbound);
        let (kind, local, remote) = match self.channel {
            Channel::Raw => (0, 0, 0),
            Channel::Udp { local, remote } => (1, local, remote),
            Channel::Datagram { local, remote } => (2, local, remote),
            Channel::Lower(n) => (3, (n >> 16) as u16, (n & 0xffff) as u16),
            Channel::Tun(n) => (4, (n >> 16) as u16, (n & 0xffff) as u16),
        };
        w.u8(kind);
        w.u16(local);
        w.u16(remote);
        w.u8(u8::try_from(self.peer_addrs.len()).unwrap_or(0));
        encode_addr(w, self.local_addr);
        for a in &self.peer_addrs {
            encode_addr(w, *a);
        }
        self.local_terms.encode(w);
        self.peer_terms.encode(w);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let created = Time::from_nanos(r.u64()?);
        let life = Duration::from_nanos(r.u64()?);
        let (local_port, peer_port) = (r.u16()?, r.u16()?);
        let (local_tag, peer_tag) = (Vtag(r.u32()?), Vtag(r.u32()?));
        let (local_tie_tag, peer_tie_tag) = (Vtag(r.u32()?), Vtag(r.u32()?));
        let (local_tsn, peer_tsn) = (Tsn(r.u32()?), Tsn(r.u32()?));
        let peer_rwnd = r.u32()?;
        let (outbound, inbound) = (r.u16()?, r.u16()?);
        let (kind, local, remote) = (r.u8()?, r.u16()?, r.u16()?);
        let channel = match kind {
            0 => Channel::Raw,
            1 => Channel::Udp { local, remote },
            2 => Channel::Datagram { local, remote },
            3 => Channel::Lower(u32::from(local) << 16 | u32::from(remote)),
            4 => Channel::Tun(u32::from(local) << 16 | u32::from(remote)),
            _ => return None,
        };
        let count = Some(usize::from(r.u8()?)).filter(|n| *n <= MAX_ADDRS)?;
        let local_addr = decode_addr(&mut r)?;
        let mut peer_addrs = Vec::with_capacity(count);
        for _ in 0..count {
            peer_addrs.push(decode_addr(&mut r)?);
        }
        let (local_terms, peer_terms) = (Terms::decode(&mut r)?, Terms::decode(&mut r)?);
        (r.is_empty() && !peer_addrs.is_empty()).then_some(Self {
            created,
            life,
            local_port,
            peer_port,
            local_addr,
            local_tag,
            peer_tag,
            local_tie_tag,
            peer_tie_tag,
            local_tsn,
            peer_tsn,
            peer_rwnd,
            outbound,
            inbound,
            local_terms,
            peer_terms,
            channel,
            peer_addrs,
        })
    }
}

pub(super) fn encode_addr(w: &mut Writer<'_>, a: IpAddr) {
    match a {
        IpAddr::V4(a) => {
            w.u8(4);
            w.bytes(&a.octets());
        }
        IpAddr::V6(a) => {
            w.u8(16);
            w.bytes(&a.octets());
        }
    }
}

pub(super) fn decode_addr(r: &mut Reader<'_>) -> Option<IpAddr> {
    match r.u8()? {
        4 => r.array::<4>().map(IpAddr::from),
        16 => r.array::<16>().map(IpAddr::from),
        _ => None,
    }
}

/// Signs and checks cookies under a secret that rotates; cookies of the secret before it are still accepted.
pub struct CookieJar {
    current: Secret,
    previous: Option<Secret>,
    rotated: Time,
    /// The longest life of any cookie sealed so far: endpoints may differ, and a secret must outlive them all.
    longest: Duration,
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").field("rotated", &self.rotated).finish_non_exhaustive()
    }
}

impl CookieJar {
    /// A jar with a fresh secret.
    pub fn new(now: Time, entropy: &mut dyn Entropy) -> Self {
        Self { current: Secret::fresh(entropy), previous: None, rotated: now, longest: Duration::from_secs(60) }
    }

    /// How long a cookie with Valid.Cookie.Life `life` may live if its peer asks for `preservative` more.
    #[must_use]
    pub fn granted_life(life: Duration, preservative: Duration) -> Duration {
        life + preservative.min(MAX_PRESERVATIVE)
    }

    /// The signed cookie. Rotates the secret when it is older than any cookie could become.
    pub fn seal(&mut self, now: Time, entropy: &mut dyn Entropy, cookie: &StateCookie) -> Vec<u8> {
        self.longest = self.longest.max(cookie.life);
        if now - self.rotated >= self.longest + MAX_PRESERVATIVE {
            self.previous = Some(core::mem::replace(&mut self.current, Secret::fresh(entropy)));
            self.rotated = now;
        }
        let mut bytes = Vec::with_capacity(4 * BLOCK_LEN);
        let mut w = Writer::new(&mut bytes);
        w.u16(LAYOUT);
        cookie.encode(&mut w);
        let mac = self.current.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// Checks signature (in constant time) and age of a cookie that came back.
    ///
    /// # Errors
    /// [`CookieError::Forged`] says nothing about the contents; with [`CookieError::Stale`] they are returned too.
    pub fn open(&self, now: Time, bytes: &[u8]) -> Result<StateCookie, (CookieError, Option<Box<StateCookie>>)> {
        let forged = (CookieError::Forged, None);
        let Some((body, tag)) = bytes.split_last_chunk::<MAC_LEN>() else { return Err(forged) };
        let right = |secret: &Secret| secret.mac(body).verify_slice(tag).is_ok();
        if !right(&self.current) && !self.previous.as_ref().is_some_and(right) {
            return Err(forged);
        }
        // Signed or not, it is read as strictly as anything that comes from outside.
        let cookie = contents(body).and_then(StateCookie::decode).ok_or(forged)?;
        let age = now - cookie.created;
        if age > cookie.life {
            return Err((CookieError::Stale(age.saturating_sub(cookie.life)), Some(Box::new(cookie))));
        }
        Ok(cookie)
    }
}

/// What stands behind the number of its layout in a cookie.
fn contents(body: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(body);
    (r.u16()? == LAYOUT).then(|| r.rest())
}

/// A secret, as an HMAC that has its key taken in already, which is as much work as half a cookie. The state is wiped when it is dropped.
struct Secret(Hmac<Sha256>);

impl Secret {
    fn fresh(entropy: &mut dyn Entropy) -> Self {
        // HMAC wants keys as long as a block of its hash; a shorter one is filled up with zeros (RFC 2104 section 2).
        let mut key = Zeroizing::new([0; BLOCK_LEN]);
        let (secret, _) = key.split_at_mut(SECRET_LEN);
        entropy.fill_secret(secret);
        Self(Hmac::new((&*key).into()))
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(body);
        mac
    }
}

#[cfg(test)]
#[path = "cookie_test.rs"]
mod cookie_test;
