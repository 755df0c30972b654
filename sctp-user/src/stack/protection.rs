//! A stack that speaks only with who has a shared key (RFC 4895), whatever its endpoints are configured to.

use std::sync::Arc;

use super::Stack;
use crate::config::{AssocConfig, KeyRing};
use crate::error::ConfigError;
use crate::time::Time;
use crate::wire::chunk::kind;

/// What is taken only if it is authenticated. With COOKIE ECHO and COOKIE ACK among it no association comes up with who has no
/// key; with the others nobody can speak in the peer's place, nor end the association, nor shut it down.
const PROTECTED: [u8; 10] = [
    kind::DATA,
    kind::I_DATA,
    kind::ABORT,
    kind::SHUTDOWN,
    kind::SHUTDOWN_ACK,
    kind::COOKIE_ECHO,
    kind::COOKIE_ACK,
    kind::RE_CONFIG,
    kind::FORWARD_TSN,
    kind::I_FORWARD_TSN,
];

/// The shared keys of a stack, if it has some.
#[derive(Debug, Default)]
pub(super) struct Protection {
    keys: Option<KeyRing>,
    /// The configuration that was last protected, as it was and as it is: sessions of one kind share theirs.
    last: Option<(Arc<AssocConfig>, Arc<AssocConfig>)>,
}

impl Protection {
    /// A configuration with the keys; as it is if there are none.
    pub(super) fn of(&mut self, cfg: Arc<AssocConfig>) -> Arc<AssocConfig> {
        let Some(keys) = &self.keys else { return cfg };
        if let Some((plain, protected)) = &self.last
            && (Arc::ptr_eq(plain, &cfg) || Arc::ptr_eq(protected, &cfg))
        {
            return Arc::clone(protected);
        }
        let mut new = AssocConfig::clone(&cfg);
        new.auth = true;
        new.auth_chunks = PROTECTED.iter().fold(new.auth_chunks, |set, kind| set.with(*kind));
        new.auth_keys = keys.clone();
        let new = Arc::new(new);
        self.last = Some((cfg, Arc::clone(&new)));
        new
    }
}

impl Stack {
    /// Has every endpoint and every association of this stack, those to come too, speak only with who has one of these shared keys:
    /// chunks of users, and all that could open, end or change an association, are taken only if they are authenticated (RFC 4895
    /// section 6.3). The active key authenticates what is sent.
    ///
    /// Called again it changes the keys while all goes on. Then a new key is given to all hosts first, then made active, and the old
    /// one removed at last. Associations that began without keys stay without.
    ///
    /// An association whose peer has begun anew is not found out by its packets then (section 6.3): it ends by its timers.
    ///
    /// # Errors
    /// A key that is missing was asked for by messages that wait; the others are changed all the same.
    pub fn protect(&mut self, now: Time, keys: &KeyRing) -> Result<(), ConfigError> {
        self.protection = Protection { keys: Some(keys.clone()), last: None };
        for endpoint in self.ports.iter_mut() {
            endpoint.assoc = self.protection.of(Arc::clone(&endpoint.assoc));
        }
        let mut result = Ok(());
        for id in self.assocs.ids() {
            if let Some(mut a) = self.assoc(id).filter(|a| a.config().auth) {
                result = result.and(a.reconfigure(now, |cfg| cfg.auth_keys = keys.clone()));
            }
        }
        result
    }
}
