//! The Server Information parameter (RFC 5354 section 3.11).

use core::fmt;

use sctp_user::wire::cursor::padded;

use super::ids::RegistrarId;
use super::param::{ParamWriter, kind};
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
    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::SERVER_INFORMATION, |w| {
            w.u32(self.id.0);
            self.transport.encode(w);
        });
    }

    /// The length of the parameter on the wire, in bytes, padding included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        padded(8 + self.transport.raw_len())
    }
}

impl fmt::Display for ServerInformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registrar {} {}", self.id, self.transport)
    }
}
