//! The extensions in random worlds: which ones each side has, and what is done with them.

use std::collections::BTreeMap;

use sctp_user::wire::chunk::{ChunkTypes, kind};
use sctp_user::{
    Assoc, AssocConfig, Entropy, HmacId, KeyId, KeyRing, ReconfigError, ResetDirection, SeededEntropy, StreamId, StreamScheduler, Time,
};

/// The shared keys that both sides have, besides the null key.
pub(crate) const KEYS: [KeyId; 3] = [KeyId(1), KeyId(2), KeyId(700)];
/// Chunk types that a side may want authenticated.
const AUTHENTICATED: [u8; 13] = [
    kind::DATA,
    kind::I_DATA,
    kind::SACK,
    kind::HEARTBEAT,
    kind::HEARTBEAT_ACK,
    kind::ABORT,
    kind::SHUTDOWN,
    kind::SHUTDOWN_ACK,
    kind::ERROR,
    kind::COOKIE_ACK,
    kind::RE_CONFIG,
    kind::FORWARD_TSN,
    kind::I_FORWARD_TSN,
];
const SCHEDULERS: [StreamScheduler; 6] = [
    StreamScheduler::FirstCome,
    StreamScheduler::RoundRobin,
    StreamScheduler::RoundRobinPacket,
    StreamScheduler::Priority,
    StreamScheduler::FairCapacity,
    StreamScheduler::WeightedFair,
];

/// What an application asks for beyond sending and receiving.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// Messages are authenticated by this key from now on, and no others.
    Key(KeyId),
    /// Streams begin anew; none stands for all.
    ResetStreams(ResetDirection, Vec<StreamId>),
    /// All TSNs begin anew.
    ResetAssociation,
    /// More streams, of the peer and of its own.
    AddStreams(u16, u16),
    /// The peer is to send to this address of its own, by its number among those that the host has.
    PeerPrimary(usize),
}

impl Wish {
    /// Whether streams begin anew by it.
    pub(crate) const fn renumbers(&self) -> bool {
        matches!(self, Self::ResetStreams(..) | Self::ResetAssociation)
    }

    pub(crate) fn draw(rng: &mut SeededEntropy, streams: u16) -> Self {
        let below = |rng: &mut SeededEntropy, n: usize| usize::try_from(rng.below(n as u64)).unwrap_or(0);
        match rng.below(8) {
            0..=2 => Self::Key(KEYS[below(rng, KEYS.len())]),
            3 | 4 => {
                let direction = [ResetDirection::Outgoing, ResetDirection::Incoming, ResetDirection::Both][below(rng, 3)];
                // Sometimes one that does not exist.
                let some = (0..rng.below(4)).map(|_| StreamId(u16::try_from(rng.below(u64::from(streams) + 1)).unwrap_or(0)));
                Self::ResetStreams(direction, some.collect())
            }
            5 => Self::ResetAssociation,
            6 => Self::AddStreams(u16::try_from(rng.below(5)).unwrap_or(0), u16::try_from(1 + rng.below(4)).unwrap_or(1)),
            _ => Self::PeerPrimary(below(rng, 4)),
        }
    }

    /// Says it. What an association does not have, or cannot do just now, it refuses.
    ///
    /// # Errors
    /// A refusal for a reason that cannot be.
    pub(crate) fn say(&self, a: &mut Assoc<'_>, now: Time) -> Result<(), String> {
        let reconfigured = match self {
            Self::Key(key) => {
                return a.reconfigure(now, |cfg| activate(&mut cfg.auth_keys, *key)).map_err(|e| e.to_string());
            }
            Self::ResetStreams(direction, streams) => a.reset_streams(now, *direction, streams),
            Self::ResetAssociation => a.reset_association(now),
            Self::AddStreams(incoming, outgoing) => a.add_streams(now, *incoming, *outgoing),
            Self::PeerPrimary(number) => {
                let own = a.local_addrs();
                if let Some(addr) = own.get(*number % own.len().max(1)) {
                    // Nobody promises that the peer has Add-IP, or that the address is not just being deleted.
                    let _ = a.set_peer_primary(now, addr.ip());
                }
                return Ok(());
            }
        };
        match reconfigured {
            Err(ReconfigError::TooMany) => Err(format!("{self:?}: too many")),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// A secret that both sides know.
fn secret(key: KeyId) -> [u8; 20] {
    [u8::try_from(key.0 % 251).unwrap_or(0); 20]
}

/// The shared keys of a side; all of both sides are alike but for which one is active.
pub(crate) fn ring(active: KeyId) -> KeyRing {
    let mut ring = KeyRing::default();
    for key in KEYS {
        ring.set(key, &secret(key)).unwrap();
    }
    ring.activate(active).unwrap();
    ring
}

/// Makes a key the active one and has no new message use another one. Nothing is deleted: what the peer still sends by an older
/// key is to be accepted.
fn activate(ring: &mut KeyRing, key: KeyId) {
    for key in KEYS {
        if ring.get(key).is_none() {
            ring.set(key, &secret(key)).unwrap();
        }
    }
    ring.set(key, &secret(key)).unwrap();
    ring.activate(key).unwrap();
    for other in KEYS.into_iter().filter(|other| *other != key) {
        ring.deactivate(other).unwrap();
    }
}

/// Any extensions for one side.
pub(crate) fn draw(rng: &mut SeededEntropy, cfg: &mut AssocConfig, streams: u16) {
    let one_in = |rng: &mut SeededEntropy, n: u64| rng.below(n) == 0;
    let below = |rng: &mut SeededEntropy, n: usize| usize::try_from(rng.below(n as u64)).unwrap_or(0);
    cfg.auth = one_in(rng, 2);
    cfg.auth_chunks = ChunkTypes::default();
    if cfg.auth {
        let few = AUTHENTICATED.into_iter().filter(|_| one_in(rng, 4));
        cfg.auth_chunks = few.fold(cfg.auth_chunks, |set, kind| set.with(kind));
        cfg.auth_hmacs =
            [vec![HmacId::Sha1], vec![HmacId::Sha256, HmacId::Sha1], vec![HmacId::Sha1, HmacId::Sha256]][below(rng, 3)].clone();
        let active = if one_in(rng, 3) { KeyId(0) } else { KEYS[below(rng, KEYS.len())] };
        cfg.auth_keys = ring(active);
    }
    cfg.add_ip = !one_in(rng, 3);
    cfg.add_ip_without_auth = one_in(rng, 3);
    cfg.auto_asconf = !one_in(rng, 4);
    cfg.brief_listing = one_in(rng, 4);
    cfg.adaptation = one_in(rng, 4).then_some(7);
    cfg.partial_reliability = !one_in(rng, 3);
    cfg.stream_reset = !one_in(rng, 3);
    cfg.accept_stream_reset = !one_in(rng, 4);
    cfg.accept_association_reset = !one_in(rng, 4);
    cfg.accept_added_streams = !one_in(rng, 4);
    cfg.interleave_streams = one_in(rng, 2);
    cfg.interleaving = one_in(rng, 2);
    if cfg.interleaving {
        (cfg.partial_delivery, cfg.interleave_streams) = (true, true);
    }
    cfg.scheduler = SCHEDULERS[below(rng, SCHEDULERS.len())];
    cfg.stream_values = BTreeMap::new();
    if one_in(rng, 2) {
        cfg.stream_values = (0..streams).map(|sid| (StreamId(sid), u16::try_from(rng.below(5)).unwrap_or(0))).collect();
    }
}

/// What a side takes authenticated only, a peer without authentication could never send (RFC 4895 section 6.3): then nobody asks for it.
pub(crate) fn reconcile(configs: &mut [AssocConfig; 2]) {
    if !configs.iter().all(|cfg| cfg.auth) {
        configs.iter_mut().for_each(|cfg| cfg.auth_chunks = ChunkTypes::default());
    }
}

/// Has `new` keep what `old` has agreed on with the peer, and the keys.
pub(crate) fn keep(old: &AssocConfig, new: &mut AssocConfig) {
    (new.auth, new.auth_chunks) = (old.auth, old.auth_chunks);
    (new.auth_hmacs, new.auth_keys) = (old.auth_hmacs.clone(), old.auth_keys.clone());
    (new.add_ip, new.add_ip_without_auth) = (old.add_ip, old.add_ip_without_auth);
    (new.brief_listing, new.adaptation) = (old.brief_listing, old.adaptation);
    (new.partial_reliability, new.stream_reset, new.interleaving) = (old.partial_reliability, old.stream_reset, old.interleaving);
    if old.interleaving {
        (new.partial_delivery, new.interleave_streams) = (true, true);
    }
}
