//! Authenticated chunks (RFC 4895).
//!
//! Each side says which chunks it takes only if they stand behind an AUTH chunk, whose code covers them. The keys are made of what both
//! said in INIT and INIT ACK ([`KeyVector`], part of the [`Terms`](super::Terms)) and of a shared key that the users gave
//! ([`KeyRing`](crate::KeyRing), part of the configuration, which may change at any time); they are computed when they are needed.
//!
//! What goes out is authenticated by [`PacketWriter`](crate::wire::PacketWriter), which gets an [`AuthPlan`] for each packet. What comes in
//! is sorted out by the association before a chunk is looked at ([`Gate`]).

mod gate;
mod mac;
mod secret;
mod vector;

pub(crate) use self::gate::{Entry, Gate};
use self::secret::Derived;
pub(crate) use self::vector::{KeyParams, KeyVector};
use crate::assoc::core::Core;
use crate::config::{HmacId, KeyRing};
use crate::event::{Event, KeyUse};
use crate::num::KeyId;
use crate::wire::chunk::{AUTH_HEADER_LEN, Auth as AuthChunk, ChunkTypes, kind};
use crate::wire::cursor::padded;
use crate::wire::{AuthPlan, Chunk, RawChunk};

/// The types of chunks that go without being queued, where they are of use: user data, and what goes with it.
const UNQUEUED: [u8; 7] = [kind::DATA, kind::I_DATA, kind::SACK, kind::FORWARD_TSN, kind::I_FORWARD_TSN, kind::ECNE, kind::CWR];

/// Why what stands behind an AUTH chunk is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejection {
    /// We did not offer this algorithm: the peer is told (RFC 4895 section 4.1).
    UnsupportedHmac(u16),
    /// No such key, or a wrong code.
    Forged,
}

/// State of authentication, which both sides have. Most associations never authenticate anything: it is small until they do.
#[derive(Debug)]
pub(crate) struct Auth {
    /// How we authenticate: by the first algorithm of the peer's list that we have.
    hmac: HmacId,
    /// The number of the key that the peer used last, as the user was told.
    heard: KeyId,
    /// What there is to do for the peer, if it takes any chunk only if it is authenticated.
    sender: Option<Sender>,
    /// The key that was last used for receiving.
    receiving: Option<Box<Derived>>,
}

/// State of who must authenticate what it sends.
#[derive(Debug)]
struct Sender {
    /// The chunk types that the peer takes only if they are authenticated.
    wanted: ChunkTypes,
    /// Whether some of [`UNQUEUED`] are among them.
    wants_unqueued: bool,
    /// The key that was last used.
    last: Option<Box<Derived>>,
    /// Keys that were deactivated and are still needed by messages that ask for them; at most as many as a ring has.
    freeing: Vec<KeyId>,
}

impl Auth {
    /// Authentication, if both sides have it.
    pub(super) fn negotiate(core: &Core) -> Option<Self> {
        let (ours, theirs) = (&core.local_terms, &core.peer_terms);
        let hmac = theirs.auth.hmac().filter(|_| ours.capabilities.auth && theirs.capabilities.auth)?;
        let wanted = theirs.auth.required();
        let wants_unqueued = UNQUEUED.iter().any(|kind| wanted.has(*kind));
        let sender = (!wanted.is_empty()).then(|| Sender { wanted, wants_unqueued, last: None, freeing: Vec::new() });
        Some(Self { hmac, heard: KeyId::default(), sender, receiving: None })
    }

    /// How the chunks of a packet are authenticated; `None` if the peer asks for nothing.
    pub(crate) fn plan(&self, core: &Core) -> Option<AuthPlan> {
        let types = self.sender.as_ref()?.wanted;
        Some(AuthPlan { types, key: core.cfg.auth_keys.active(), hmac: self.hmac.number(), mac_len: self.hmac.mac_len() })
    }

    /// The same for a packet into which chunks that were `queued` go or do not: without them nothing may be left that the peer wants
    /// authenticated.
    pub(crate) fn plan_with(&self, core: &Core, queued: bool) -> Option<AuthPlan> {
        let concerned = queued || self.sender.as_ref().is_some_and(|s| s.wants_unqueued);
        if concerned { self.plan(core) } else { None }
    }

    /// Bytes of each packet with user data that are not left for it.
    pub(super) fn data_overhead(&self) -> usize {
        let wanted = self.sender.as_ref().is_some_and(|s| s.wanted.has(kind::DATA) || s.wanted.has(kind::I_DATA));
        if wanted { padded(AUTH_HEADER_LEN + self.hmac.mac_len()) } else { 0 }
    }

    /// Computes the code of `covered`, which begins with the AUTH chunk.
    pub(crate) fn sign(&mut self, core: &Core, id: KeyId, covered: &mut [u8]) {
        let keys = &core.cfg.auth_keys;
        let active = || Some((keys.active(), keys.get(keys.active())?));
        // No key is deleted that messages ask for.
        let Some((id, key)) = keys.get(id).map(|key| (id, key)).or_else(active) else { return };
        let Some(slot) = self.sender.as_mut().map(|s| &mut s.last) else { return };
        if !slot.as_ref().is_some_and(|d| d.is(id, self.hmac, key)) {
            *slot = Derived::new(id, self.hmac, key, (core.local_terms.auth.bytes(), core.peer_terms.auth.bytes()));
        }
        let (head, rest) = covered.split_at_mut(AUTH_HEADER_LEN.min(covered.len()));
        if let Some(field) = head.get_mut(4..6) {
            field.copy_from_slice(&id.0.to_be_bytes());
        }
        let (code, tail) = rest.split_at_mut(self.hmac.mac_len().min(rest.len()));
        if let Some(derived) = slot {
            derived.mac.compute(head, code, tail);
        }
    }

    /// Whether what follows the AUTH chunk `raw` in the packet `bytes` comes from the peer as it is.
    fn verify(&mut self, core: &mut Core, bytes: &[u8], raw: &RawChunk<'_>) -> Result<(), Rejection> {
        let vectors = (&core.local_terms.auth, &core.peer_terms.auth);
        let id = verify(&core.cfg.auth_keys, vectors, &mut self.receiving, bytes, raw)?;
        if core::mem::replace(&mut self.heard, id) != id {
            core.events.push_back(Event::Authentication { key: id, what: KeyUse::NewKey });
        }
        Ok(())
    }

    /// The user has changed the keys: those that were deactivated are free when no message asks for them any more.
    pub(super) fn on_reconfigured(&mut self, core: &mut Core, old: &KeyRing) {
        let keys = &core.cfg.auth_keys;
        let given_up: Vec<_> = keys.iter().filter(|(id, usable)| !usable && old.is_usable(*id)).map(|(id, _)| id).collect();
        match &mut self.sender {
            Some(sender) => sender.freeing.extend(given_up),
            None => core.events.extend(given_up.into_iter().map(|key| Event::Authentication { key, what: KeyUse::FreeKey })),
        }
        self.free_keys(core);
    }

    /// Messages may have been acknowledged: tells the user which keys are not needed any more.
    pub(super) fn free_keys(&mut self, core: &mut Core) {
        let Some(sender) = &mut self.sender else { return };
        sender.freeing.retain(|id| {
            // It may have been set anew.
            let given_up = !core.cfg.auth_keys.is_usable(*id);
            let needed = given_up && core.tx.asks_for_key(*id);
            if given_up && !needed {
                core.events.push_back(Event::Authentication { key: *id, what: KeyUse::FreeKey });
            }
            needed
        });
    }

    /// Gives back what can be computed again.
    pub(super) fn release(&mut self) {
        self.receiving = None;
        if let Some(sender) = &mut self.sender {
            sender.last = None;
            sender.freeing.shrink_to(0);
        }
    }
}

/// Checks an AUTH chunk where there is no association yet, or not one whose keys count: what both sides said stands in the cookie.
pub(crate) fn verify_once(keys: &KeyRing, vectors: (&KeyVector, &KeyVector), bytes: &[u8], raw: &RawChunk<'_>) -> Result<(), Rejection> {
    verify(keys, vectors, &mut None, bytes, raw).map(drop)
}

/// Checks an AUTH chunk of a peer (RFC 4895 section 6.3) and answers the key that it was made with. `cache` is the key that was used last.
fn verify(
    keys: &KeyRing,
    (ours, theirs): (&KeyVector, &KeyVector),
    cache: &mut Option<Box<Derived>>,
    bytes: &[u8],
    raw: &RawChunk<'_>,
) -> Result<KeyId, Rejection> {
    let Ok(Chunk::Auth(AuthChunk { key: id, hmac, mac })) = raw.decode() else { return Err(Rejection::Forged) };
    let hmac = HmacId::from_number(hmac).filter(|h| ours.lists(*h)).ok_or(Rejection::UnsupportedHmac(hmac))?;
    let key = keys.get(id).ok_or(Rejection::Forged)?;
    if !cache.as_ref().is_some_and(|d| d.is(id, hmac, key)) {
        *cache = Derived::new(id, hmac, key, (ours.bytes(), theirs.bytes()));
    }
    let covered = bytes.get(raw.offset..).unwrap_or(&[]);
    let (head, tail) = (covered.get(..AUTH_HEADER_LEN), covered.get(AUTH_HEADER_LEN + mac.len()..));
    match (cache, head, tail) {
        (Some(derived), Some(head), Some(tail)) if derived.mac.verify(head, mac, tail) => Ok(id),
        _ => Err(Rejection::Forged),
    }
}

#[cfg(test)]
mod capture_test;
