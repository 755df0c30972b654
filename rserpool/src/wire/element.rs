//! The Pool Element parameter (RFC 5354 section 3.10).

use core::fmt;

use super::ids::{ElementId, Life, RegistrarId};
use super::param::{DecodeError, DecodeErrorKind, Param, ParamWriter, Reports, kind};
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
    pub(crate) fn decode(p: &Param<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        let (Some(id), Some(home), Some(life)) = (r.u32(), r.u32(), r.u32()) else {
            return Err(p.invalid());
        };
        let (mut user, mut policy, mut asap) = (None, None, None);
        let mut items = p.nested(&r);
        while let Some(item) = items.next()? {
            match item.kind {
                k if Transport::is_kind(k) && user.is_none() => user = Some(Transport::decode(&item, reports)?),
                kind::SCTP if asap.is_none() => asap = Some(Transport::decode(&item, reports)?),
                kind::POLICY if policy.is_none() => policy = Some(PolicyParam::decode(&item)?),
                _ => reports.unknown(&item)?,
            }
        }
        let missing = |k| DecodeError { offset: p.offset, kind: DecodeErrorKind::Missing(k) };
        Ok(Self {
            id: ElementId(id),
            home: RegistrarId(home),
            life: Life(life),
            user: user.ok_or(missing(kind::SCTP))?,
            policy: policy.ok_or(missing(kind::POLICY))?,
            asap,
        })
    }

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
        let mut out = Vec::new();
        let mut w = ParamWriter::new(&mut out);
        self.encode(&mut w);
        w.pad4();
        out.len()
    }
}

impl fmt::Display for PoolElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PE {} home {} life {} {} {}", self.id, self.home, self.life, self.user, self.policy)?;
        if let Some(asap) = &self.asap { write!(f, " asap {asap}") } else { Ok(()) }
    }
}
