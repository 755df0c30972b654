//! The Pool Element parameter (RFC 5354 section 3.10).

use core::fmt;

use sctp_user::wire::cursor::padded;

use super::ids::{ElementId, Life, RegistrarId};
use super::param::{ParamWriter, kind};
use super::policy::PolicyParam;
use super::transport::Transport;

/// A pool element as it travels: who it is, where it serves, how it wants to be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolElement {
    /// Its identifier within the pool.
    pub id: ElementId,
    /// Its home registrar; undefined in a registration.
    pub home: RegistrarId,
    /// How long the registration is valid.
    pub life: Life,
    /// Where its users reach it.
    pub user: Transport,
    /// The pool's policy with the element's values.
    pub policy: PolicyParam,
    /// Where registrars reach it; absent between a registrar and its clients.
    pub asap: Option<Transport>,
}

impl PoolElement {
    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::POOL_ELEMENT, |w| {
            w.u32(self.id.0);
            w.u32(self.home.0);
            w.u32(self.life.0);
            self.user.encode(w);
            self.policy.encode(w);
            if let Some(asap) = &self.asap {
                asap.encode(w);
            }
        });
    }

    /// The length of the parameter on the wire, in bytes, padding included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let asap = self.asap.as_ref().map_or(0, Transport::raw_len);
        padded(16 + padded(self.user.raw_len()) + padded(self.policy.raw_len()) + asap)
    }
}

impl fmt::Display for PoolElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PE {} home {} life {} {} {}", self.id, self.home, self.life, self.user, self.policy)?;
        if let Some(asap) = &self.asap { write!(f, " asap {asap}") } else { Ok(()) }
    }
}
