//! Authentication in the worlds of the fuzzer: by bits of the seed, so that inputs keep their meaning.

use sctp_user::wire::chunk::{ChunkTypes, kind};
use sctp_user::{Assoc, AssocConfig, HmacId, KeyId, KeyRing, Time};

use crate::chunk::FuzzParam;

/// Chunk types that may have to be authenticated; without ABORT, so that a peer that is gone is noticed soon.
const TYPES: [u8; 6] = [kind::DATA, kind::SACK, kind::HEARTBEAT, kind::SHUTDOWN, kind::COOKIE_ECHO, kind::ERROR];

/// Whether anything is to be authenticated: in half of all worlds.
const fn is_on(seed: u64) -> bool {
    seed >> 63 != 0
}

fn types(seed: u64) -> impl Iterator<Item = u8> {
    TYPES.into_iter().enumerate().filter(move |(at, _)| seed >> (50 + at) & 1 != 0).map(|(_, kind)| kind)
}

/// Has an association want what the seed says.
pub(crate) fn configure(config: &mut AssocConfig, seed: u64) {
    if !is_on(seed) {
        return;
    }
    config.auth = true;
    config.auth_chunks = types(seed).fold(ChunkTypes::default(), ChunkTypes::with);
    if seed >> 62 & 1 != 0 {
        config.auth_hmacs = vec![HmacId::Sha1];
    }
    let mut keys = KeyRing::default();
    for id in 1..4 {
        keys.set(KeyId(id), &[0x11; 5]).unwrap_or_else(|e| panic!("{e}"));
    }
    config.auth_keys = keys;
}

/// The next key becomes the active one, and the one before it is set anew: both sides have the same all the time.
pub(crate) fn change_keys(assoc: &mut Assoc<'_>, now: Time) {
    let changed = assoc.reconfigure(now, |cfg| {
        let last = cfg.auth_keys.active();
        let _ = cfg.auth_keys.activate(KeyId((last.0 + 1) % 4)).and_then(|()| cfg.auth_keys.deactivate(last));
        if let Some(key) = cfg.auth_keys.get(last).cloned() {
            let _ = cfg.auth_keys.insert(last, key);
        }
    });
    changed.unwrap_or_else(|e| panic!("{e}"));
}

/// What a peer says of it in its INIT or INIT ACK.
pub(crate) fn params(seed: u64) -> Vec<FuzzParam> {
    let raw = |kind, value: &[u8]| FuzzParam::Raw { kind, value: value.to_vec() };
    if is_on(seed) {
        vec![raw(0x8002, &[7; 32]), raw(0x8004, &[0, 1]), raw(0x8003, &types(seed >> 6).collect::<Vec<_>>())]
    } else {
        Vec::new()
    }
}
