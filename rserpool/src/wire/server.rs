//! The Server Information parameter (RFC 5354 section 3.11).

use core::fmt;

use super::ids::RegistrarId;
use super::param::{DecodeError, DecodeErrorKind, Param, ParamWriter, Reports, kind};
use super::transport::Transport;

/// Which registrar it is, and where other registrars reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerInformation {
    /// The registrar. Undefined for a configured peer that has not been heard yet: RSPLIB lists such ones too.
    pub id: RegistrarId,
    /// The SCTP transport of its ENRP service.
    pub transport: Transport,
}

impl ServerInformation {
    pub(crate) fn decode(p: &Param<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut r = p.reader();
        let id = RegistrarId(r.u32().ok_or_else(|| p.invalid())?);
        let mut transport = None;
        let mut items = p.nested(&r);
        while let Some(item) = items.next()? {
            match item.kind {
                kind::SCTP if transport.is_none() => transport = Some(Transport::decode(&item, reports)?),
                _ => reports.unknown(&item)?,
            }
        }
        let missing = DecodeError { offset: p.offset, kind: DecodeErrorKind::Missing(kind::SCTP) };
        Ok(Self { id, transport: transport.ok_or(missing)? })
    }

    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::SERVER_INFORMATION, |w| {
            w.u32(self.id.0);
            self.transport.encode(w);
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

impl fmt::Display for ServerInformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registrar {} {}", self.id, self.transport)
    }
}
