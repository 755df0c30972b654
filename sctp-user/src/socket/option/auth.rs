//! Options of authentication (RFC 4895): keys, algorithms, and which chunks.

use core::cell::Cell;
use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::config::{AssocConfig, HmacId, KeyError, KeyRing, SharedKey};
use crate::num::KeyId;
use crate::socket::errno;
use crate::wire::chunk::ChunkTypes;

/// SCTP_AUTH_CHUNK (RFC 6458 section 8.3.2), for associations to come: one more chunk type that is taken only if it is authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthChunk(pub u8);

option!(AuthChunk, "SCTP_AUTH_CHUNK", ());

impl SetOpt for AuthChunk {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        for_those_to_come(place, |cfg| {
            cfg.auth = true;
            cfg.auth_chunks = cfg.auth_chunks.with(self.0);
        })
    }
}

/// SCTP_HMAC_IDENT (RFC 6458 section 8.1.17), for associations to come: the algorithms that the peer may use, the preferred one first.
/// SHA-1 is one of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HmacIdent(pub Vec<HmacId>);

option!(HmacIdent, "SCTP_HMAC_IDENT", ());

impl GetOpt for HmacIdent {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        Ok(Self(place.config(AssocSel::Future)?.auth_hmacs.clone()))
    }
}

impl SetOpt for HmacIdent {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        for_those_to_come(place, |cfg| cfg.auth_hmacs.clone_from(&self.0))
    }
}

/// What was said in INIT or INIT ACK cannot be changed.
fn for_those_to_come(place: &mut Place<'_>, change: impl Fn(&mut AssocConfig)) -> io::Result<()> {
    if place.is_stream() {
        return Err(errno::invalid("the association is there already: give EndpointConfig to connect_with"));
    }
    place.configure(AssocSel::Future, change)
}

/// SCTP_AUTH_KEY (RFC 6458 section 8.3.3): adds a shared key, or replaces the one of this number. Number 0 is the null key at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthKey {
    /// Its number.
    pub id: KeyId,
    /// The key.
    pub key: SharedKey,
}

option!(AuthKey, "SCTP_AUTH_KEY", AssocSel);

impl SetOpt for AuthKey {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        change_keys(place, sel, |keys| keys.insert(self.id, self.key.clone()))
    }
}

/// SCTP_AUTH_ACTIVE_KEY (RFC 6458 section 8.1.18): the key by which what is sent is authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthActiveKey(pub KeyId);

option!(AuthActiveKey, "SCTP_AUTH_ACTIVE_KEY", AssocSel);

impl GetOpt for AuthActiveKey {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        Ok(Self(place.config(sel)?.auth_keys.active()))
    }
}

impl SetOpt for AuthActiveKey {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        change_keys(place, sel, |keys| keys.activate(self.0))
    }
}

/// SCTP_AUTH_DEACTIVATE_KEY (RFC 6458 section 8.3.4): nothing new is sent with this key. When nothing needs it any more, a
/// [`Notification::Authentication`](crate::socket::Notification::Authentication) says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthDeactivateKey(pub KeyId);

option!(AuthDeactivateKey, "SCTP_AUTH_DEACTIVATE_KEY", AssocSel);

impl SetOpt for AuthDeactivateKey {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        change_keys(place, sel, |keys| keys.deactivate(self.0))
    }
}

/// SCTP_AUTH_DELETE_KEY (RFC 6458 section 8.3.5): forgets a key that was deactivated and is not needed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthDeleteKey(pub KeyId);

option!(AuthDeleteKey, "SCTP_AUTH_DELETE_KEY", AssocSel);

impl SetOpt for AuthDeleteKey {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        change_keys(place, sel, |keys| keys.delete(self.0))
    }
}

fn change_keys(place: &mut Place<'_>, sel: AssocSel, change: impl Fn(&mut KeyRing) -> Result<(), KeyError>) -> io::Result<()> {
    let refused = Cell::new(None);
    place.configure(sel, |cfg| {
        if let Err(err) = change(&mut cfg.auth_keys) {
            refused.set(Some(err));
        }
    })?;
    refused.take().map_or(Ok(()), |err| Err(io::Error::new(io::ErrorKind::InvalidInput, err)))
}

/// SCTP_PEER_AUTH_CHUNKS (RFC 6458 section 8.2.3): the chunk types that the peer takes only if they are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAuthChunks(pub ChunkTypes);

option!(PeerAuthChunks, "SCTP_PEER_AUTH_CHUNKS", AssocSel);

impl GetOpt for PeerAuthChunks {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let id = place.existing(sel)?;
        Ok(Self(place.assoc(id)?.auth_chunks().peer))
    }
}

/// SCTP_LOCAL_AUTH_CHUNKS (RFC 6458 section 8.2.4): the chunk types that we take only if they are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalAuthChunks(pub ChunkTypes);

option!(LocalAuthChunks, "SCTP_LOCAL_AUTH_CHUNKS", AssocSel);

impl GetOpt for LocalAuthChunks {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        match place.single(sel)? {
            Some(id) => Ok(Self(place.assoc(id)?.auth_chunks().local)),
            None => Ok(Self(place.config(sel)?.required_chunks())),
        }
    }
}
