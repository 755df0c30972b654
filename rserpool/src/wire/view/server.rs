//! Registrars.

use super::super::ids::RegistrarId;
use super::super::param::{DecodeError, DecodeErrorKind, Param, Reports, kind};
use super::super::server::ServerInformation;
use super::list::Item;
use super::transport::TransportView;

/// A [`ServerInformation`] within a message.
#[derive(Clone, Copy, Debug)]
pub struct ServerView<'a> {
    /// The registrar.
    pub id: RegistrarId,
    /// The SCTP transport of its ENRP service.
    pub transport: TransportView<'a>,
}

impl<'a> Item<'a> for ServerView<'a> {
    fn is_kind(k: u16) -> bool {
        k == kind::SERVER_INFORMATION
    }

    #[allow(private_interfaces, reason = "see the trait")]
    fn decode(p: &Param<'a>, reports: &mut Reports<'a>) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        let id = RegistrarId(r.u32().ok_or_else(|| p.invalid())?);
        let mut transport = None;
        let mut items = p.nested(&r);
        while let Some(item) = items.next()? {
            match item.kind {
                kind::SCTP if transport.is_none() => transport = Some(TransportView::decode(&item, reports)?),
                _ => reports.unknown(&item)?,
            }
        }
        let missing = DecodeError { offset: p.offset, kind: DecodeErrorKind::Missing(kind::SCTP) };
        Ok(Self { id, transport: transport.ok_or(missing)? })
    }
}

impl From<ServerView<'_>> for ServerInformation {
    fn from(view: ServerView<'_>) -> Self {
        Self { id: view.id, transport: view.transport.into() }
    }
}
