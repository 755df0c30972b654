//! Pool elements.

use super::super::element::PoolElement;
use super::super::ids::{ElementId, Life, RegistrarId};
use super::super::param::{DecodeError, DecodeErrorKind, Param, Reports, kind};
use super::list::Item;
use super::policy::PolicyView;
use super::transport::TransportView;

/// A [`PoolElement`] within a message.
#[derive(Clone, Copy, Debug)]
pub struct ElementView<'a> {
    /// Its identifier within the pool.
    pub id: ElementId,
    /// Its home registrar; undefined in a registration.
    pub home: RegistrarId,
    /// How long the registration is valid.
    pub life: Life,
    /// Where its users reach it.
    pub user: TransportView<'a>,
    /// The pool's policy with the element's values.
    pub policy: PolicyView<'a>,
    /// Where registrars reach it; absent between a registrar and its clients.
    pub asap: Option<TransportView<'a>>,
}

impl<'a> Item<'a> for ElementView<'a> {
    fn is_kind(k: u16) -> bool {
        k == kind::POOL_ELEMENT
    }

    #[allow(private_interfaces, reason = "see the trait")]
    fn decode(p: &Param<'a>, reports: &mut Reports<'a>) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        let (Some(id), Some(home), Some(life)) = (r.u32(), r.u32(), r.u32()) else {
            return Err(p.invalid());
        };
        let (mut user, mut policy, mut asap) = (None, None, None);
        let mut items = p.nested(&r);
        while let Some(item) = items.next()? {
            match item.kind {
                k if TransportView::is_kind(k) && user.is_none() => user = Some(TransportView::decode(&item, reports)?),
                kind::SCTP if asap.is_none() => asap = Some(TransportView::decode(&item, reports)?),
                kind::POLICY if policy.is_none() => policy = Some(PolicyView::decode(&item)?),
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
}

impl From<ElementView<'_>> for PoolElement {
    fn from(view: ElementView<'_>) -> Self {
        Self {
            id: view.id,
            home: view.home,
            life: view.life,
            user: view.user.into(),
            policy: view.policy.into(),
            asap: view.asap.map(Into::into),
        }
    }
}
