//! The messages of ENRP (RFC 5353 section 2).

use sctp_user::wire::cursor::Reader;

use super::cause::OperationError;
use super::element::PoolElement;
use super::handle::PoolHandle;
use super::ids::RegistrarId;
use super::message::{self, EncodeError, EncodeOptions};
use super::param::{DecodeError, ParamWriter, kind};
use super::server::ServerInformation;
use super::view::{EnrpView, Viewed};

/// What a Handle Update wants done (RFC 5353 section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UpdateAction {
    /// Add the element, or replace what is known of it (`ADD_PE`).
    Add,
    /// Delete it (`DEL_PE`).
    Delete,
}

impl UpdateAction {
    const fn number(self) -> u16 {
        match self {
            Self::Add => 0,
            Self::Delete => 1,
        }
    }

    pub(super) const fn from_number(n: u16) -> Option<Self> {
        match n {
            0 => Some(Self::Add),
            1 => Some(Self::Delete),
            _ => None,
        }
    }
}

/// An ENRP message. The order of the variants is that of their type numbers, which begin with 1.
///
/// `sender` is the registrar that sent it; `receiver` the one that it is for, undefined if it is for all or if the
/// sender does not know (RFC 5353 section 2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnrpMessage {
    /// A registrar tells that it is there, or asks whether a peer is (RFC 5353 section 2.1).
    Presence {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// Whether the receiver shall answer with a Presence of its own (R flag).
        reply_required: bool,
        /// The checksum over the elements that the sender owns. RSPLIB does not hear a Presence without it.
        checksum: Option<u16>,
        /// Where the sender is reached. RSPLIB answers a Presence without it with an error.
        server: Option<ServerInformation>,
    },
    /// A registrar asks for the handlespace (section 2.2).
    HandleTableRequest {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// Whether only elements that the receiver owns are wanted (W flag).
        own_only: bool,
    },
    /// The answer, or a part of it (section 2.3).
    HandleTableResponse {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// Whether the request was refused (R flag).
        reject: bool,
        /// Whether another request gets more (M flag).
        more: bool,
        /// Elements by pool; no pool is without elements. A pool may come again in the same message or in a later one.
        pools: Vec<(PoolHandle, Vec<PoolElement>)>,
    },
    /// The home of an element tells what became of it (section 2.4).
    HandleUpdate {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// What to do.
        action: UpdateAction,
        /// Whether the sender suggests that the receiver becomes the element's home (T flag of
        /// draft-dreibholz-rserpool-enrp-takeover).
        takeover_suggested: bool,
        /// The pool.
        handle: PoolHandle,
        /// The element.
        element: PoolElement,
    },
    /// A registrar asks for the peers that another one knows (section 2.5).
    ListRequest {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
    },
    /// The answer (section 2.6).
    ListResponse {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// Whether the request was refused (R flag).
        reject: bool,
        /// The peers.
        servers: Vec<ServerInformation>,
    },
    /// A registrar wants to take over the elements of another one (section 2.7).
    InitTakeover {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// The registrar whose elements are to be taken over.
        target: RegistrarId,
    },
    /// The sender does not object (section 2.8).
    InitTakeoverAck {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// The registrar whose elements are to be taken over.
        target: RegistrarId,
    },
    /// The sender has taken over (section 2.9).
    TakeoverServer {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// The registrar whose elements it owns now.
        target: RegistrarId,
    },
    /// Something in a message was not understood (section 2.10).
    Error {
        /// Who sent it.
        sender: RegistrarId,
        /// Whom it is for.
        receiver: RegistrarId,
        /// What was wrong.
        error: OperationError,
    },
}

/// What [`EnrpMessage::decode`] finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedEnrp {
    /// The message.
    pub message: EnrpMessage,
    /// With these options it is encoded to the same bytes again, provided that it had nothing unknown in it.
    pub options: EncodeOptions,
    /// Unknown parameters that were skipped and are to be reported (RFC 5354 section 3, action 11), at most eight.
    pub reports: Vec<Vec<u8>>,
}

/// Message types.
pub(super) const PRESENCE: u8 = 0x01;
pub(super) const HANDLE_TABLE_REQUEST: u8 = 0x02;
pub(super) const HANDLE_TABLE_RESPONSE: u8 = 0x03;
pub(super) const HANDLE_UPDATE: u8 = 0x04;
pub(super) const LIST_REQUEST: u8 = 0x05;
pub(super) const LIST_RESPONSE: u8 = 0x06;
pub(super) const INIT_TAKEOVER: u8 = 0x07;
pub(super) const INIT_TAKEOVER_ACK: u8 = 0x08;
pub(super) const TAKEOVER_SERVER: u8 = 0x09;
pub(super) const ERROR: u8 = EnrpMessage::ERROR;

/// The lowest flag: R (reply required, reject), W, and T.
pub(super) const FLAG: u8 = 0x01;
/// M of a Handle Table Response.
pub(super) const MORE: u8 = 0x02;

impl EnrpMessage {
    /// Type number of an Error.
    pub(crate) const ERROR: u8 = 0x0a;

    /// Decodes a message. Its length may count the padding of the last parameter or not, the padding itself may be
    /// missing, and what follows behind the length is not looked at. Parameters may come in any order, but for elements,
    /// which follow their pool's handle.
    ///
    /// # Errors
    /// What is wrong with it, and where; [`DecodeError::to_report`] tells what to answer, and
    /// [`EnrpMessage::sender_of`] whom.
    pub fn decode(bytes: &[u8]) -> Result<DecodedEnrp, DecodeError> {
        let Viewed { message, options, reports } = EnrpView::decode(bytes)?;
        Ok(DecodedEnrp { message: message.into(), options, reports: reports.to_vecs() })
    }

    /// Who sent the message in `bytes`, which need not be one that is understood: an error goes back there.
    #[must_use]
    pub fn sender_of(bytes: &[u8]) -> Option<RegistrarId> {
        let mut r = Reader::new(bytes);
        let _header = r.u32()?;
        r.u32().map(RegistrarId)
    }

    /// The message as bytes; the padding is always there, `options` says whether it counts.
    ///
    /// # Errors
    /// It is longer than a length field can tell.
    pub fn encode(&self, options: EncodeOptions) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(128);
        self.encode_into(options, &mut out)?;
        Ok(out)
    }

    /// Appends the message to `out`, which may be a buffer that is used again and again.
    ///
    /// # Errors
    /// It is longer than a length field can tell; `out` is as it was.
    pub fn encode_into(&self, options: EncodeOptions, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        message::write(out, (self.number(), self.flags()), options, |w| {
            w.u32(self.sender().0);
            w.u32(self.receiver().0);
            self.encode_body(w);
        })
    }

    /// What follows the sender and the receiver.
    fn encode_body(&self, w: &mut ParamWriter<'_>) {
        match self {
            Self::Presence { checksum, server, .. } => {
                if let Some(checksum) = checksum {
                    w.param(kind::CHECKSUM, |w| w.u16(*checksum));
                }
                server.iter().for_each(|s| s.encode(w));
            }
            Self::HandleTableRequest { .. } | Self::ListRequest { .. } => {}
            Self::HandleTableResponse { pools, .. } => {
                for (handle, elements) in pools {
                    handle.encode(w);
                    elements.iter().for_each(|e| e.encode(w));
                }
            }
            Self::HandleUpdate { action, handle, element, .. } => {
                w.u16(action.number());
                w.u16(0);
                handle.encode(w);
                element.encode(w);
            }
            Self::ListResponse { servers, .. } => servers.iter().for_each(|s| s.encode(w)),
            Self::InitTakeover { target, .. } | Self::InitTakeoverAck { target, .. } | Self::TakeoverServer { target, .. } => {
                w.u32(target.0);
            }
            Self::Error { error, .. } => error.encode(w),
        }
    }

    /// The registrar that sent it.
    #[must_use]
    pub const fn sender(&self) -> RegistrarId {
        match self {
            Self::Presence { sender, .. }
            | Self::HandleTableRequest { sender, .. }
            | Self::HandleTableResponse { sender, .. }
            | Self::HandleUpdate { sender, .. }
            | Self::ListRequest { sender, .. }
            | Self::ListResponse { sender, .. }
            | Self::InitTakeover { sender, .. }
            | Self::InitTakeoverAck { sender, .. }
            | Self::TakeoverServer { sender, .. }
            | Self::Error { sender, .. } => *sender,
        }
    }

    /// The registrar that it is for; undefined if it is for all, or if the sender does not know.
    #[must_use]
    pub const fn receiver(&self) -> RegistrarId {
        match self {
            Self::Presence { receiver, .. }
            | Self::HandleTableRequest { receiver, .. }
            | Self::HandleTableResponse { receiver, .. }
            | Self::HandleUpdate { receiver, .. }
            | Self::ListRequest { receiver, .. }
            | Self::ListResponse { receiver, .. }
            | Self::InitTakeover { receiver, .. }
            | Self::InitTakeoverAck { receiver, .. }
            | Self::TakeoverServer { receiver, .. }
            | Self::Error { receiver, .. } => *receiver,
        }
    }

    /// The type number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Presence { .. } => PRESENCE,
            Self::HandleTableRequest { .. } => HANDLE_TABLE_REQUEST,
            Self::HandleTableResponse { .. } => HANDLE_TABLE_RESPONSE,
            Self::HandleUpdate { .. } => HANDLE_UPDATE,
            Self::ListRequest { .. } => LIST_REQUEST,
            Self::ListResponse { .. } => LIST_RESPONSE,
            Self::InitTakeover { .. } => INIT_TAKEOVER,
            Self::InitTakeoverAck { .. } => INIT_TAKEOVER_ACK,
            Self::TakeoverServer { .. } => TAKEOVER_SERVER,
            Self::Error { .. } => ERROR,
        }
    }

    /// The type's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Presence { .. } => "Presence",
            Self::HandleTableRequest { .. } => "Handle Table Request",
            Self::HandleTableResponse { .. } => "Handle Table Response",
            Self::HandleUpdate { .. } => "Handle Update",
            Self::ListRequest { .. } => "List Request",
            Self::ListResponse { .. } => "List Response",
            Self::InitTakeover { .. } => "Init Takeover",
            Self::InitTakeoverAck { .. } => "Init Takeover Ack",
            Self::TakeoverServer { .. } => "Takeover Server",
            Self::Error { .. } => "Error",
        }
    }

    const fn flags(&self) -> u8 {
        let (flag, more) = match self {
            Self::Presence { reply_required: flag, .. }
            | Self::HandleTableRequest { own_only: flag, .. }
            | Self::HandleUpdate { takeover_suggested: flag, .. }
            | Self::ListResponse { reject: flag, .. } => (*flag, false),
            Self::HandleTableResponse { reject, more, .. } => (*reject, *more),
            _ => (false, false),
        };
        (if flag { FLAG } else { 0 }) | (if more { MORE } else { 0 })
    }
}
