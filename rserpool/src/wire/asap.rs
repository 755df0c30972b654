//! The messages of ASAP (RFC 5352 section 2.2).

use bytes::Bytes;
use sctp_user::wire::cursor::{Reader, padded};
use thiserror::Error;

use super::cause::OperationError;
use super::element::PoolElement;
use super::handle::PoolHandle;
use super::ids::{ElementId, RegistrarId};
use super::param::{DecodeError, DecodeErrorKind, Param, ParamWriter, Params, Reports, kind, missing, once};
use super::policy::PolicyParam;
use super::transport::Transport;

/// An ASAP message. The order of the variants is that of their type numbers, which begin with 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AsapMessage {
    /// An element asks to become a member of a pool, or renews its membership (RFC 5352 section 2.2.1).
    Registration {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        element: PoolElement,
    },
    /// An element leaves (section 2.2.2).
    Deregistration {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
    },
    /// The answer to a registration (section 2.2.3).
    RegistrationResponse {
        /// Whether the registration was refused (R flag).
        reject: bool,
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// Why it was refused; without the flag, a warning.
        error: Option<OperationError>,
    },
    /// The answer to a deregistration, or the news that the registration expired (section 2.2.4).
    DeregistrationResponse {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
        /// Why it was refused.
        error: Option<OperationError>,
    },
    /// Somebody asks for a pool's elements (section 2.2.5).
    HandleResolution {
        /// Whether updates are wanted from now on (S flag).
        subscribe: bool,
        /// The pool.
        handle: PoolHandle,
        /// How many elements are wanted (option 0x803f); `u32::MAX` stands for as many as possible.
        items: Option<u32>,
    },
    /// The answer to a handle resolution (section 2.2.6).
    HandleResolutionResponse {
        /// Whether updates will follow (A flag).
        subscribed: bool,
        /// The pool.
        handle: PoolHandle,
        /// The pool's policy; absent means round robin.
        policy: Option<PolicyParam>,
        /// The elements in the order in which they are to be tried.
        elements: Vec<PoolElement>,
        /// Why the pool could not be resolved.
        error: Option<OperationError>,
    },
    /// A registrar asks whether an element is alive (section 2.2.7).
    KeepAlive {
        /// Whether the registrar wants to become the element's home (H flag).
        new_home: bool,
        /// The registrar.
        registrar: RegistrarId,
        /// The pool.
        handle: PoolHandle,
        /// The element: an addition of RSPLIB's, needed as soon as two elements share an association.
        id: Option<ElementId>,
    },
    /// The element is alive (section 2.2.8).
    KeepAliveAck {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
    },
    /// Somebody reports that an element does not answer (section 2.2.9).
    Unreachable {
        /// The pool.
        handle: PoolHandle,
        /// The element.
        id: ElementId,
    },
    /// A registrar tells by multicast that it is there (section 2.2.10).
    ServerAnnounce {
        /// The registrar.
        registrar: RegistrarId,
        /// Where it is reached: SCTP and TCP. None: at the source of the datagram.
        transports: Vec<Transport>,
    },
    /// An element deposits state with its user (section 2.2.11).
    Cookie(Bytes),
    /// The user hands the latest cookie to the next element (section 2.2.12).
    CookieEcho(Bytes),
    /// Peers of a session tell where to go on after a failure (section 2.2.13).
    BusinessCard {
        /// The pool.
        handle: PoolHandle,
        /// The pool's policy: an addition of RSPLIB's.
        policy: Option<PolicyParam>,
        /// The elements in the order in which they are to be tried.
        elements: Vec<PoolElement>,
    },
    /// Something in a message was not understood (section 2.2.14).
    Error(OperationError),
}

/// How a message is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EncodeOptions {
    /// Whether the message length counts the padding of the last parameter. RFC 5354 section 4 says no; RSPLIB does it.
    pub count_padding: bool,
}

/// A message does not fit into its length field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("message of {len} bytes, at most 65535 are possible")]
pub struct EncodeError {
    /// Its length in bytes.
    pub len: usize,
}

/// What [`AsapMessage::decode`] finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The message.
    pub message: AsapMessage,
    /// With these options it is encoded to the same bytes again, provided that it had nothing unknown in it.
    pub options: EncodeOptions,
    /// Unknown parameters that were skipped and are to be reported (RFC 5354 section 3, action 11), at most eight.
    pub reports: Vec<Vec<u8>>,
}

/// Message types.
const REGISTRATION: u8 = 0x01;
const DEREGISTRATION: u8 = 0x02;
const REGISTRATION_RESPONSE: u8 = 0x03;
const DEREGISTRATION_RESPONSE: u8 = 0x04;
const HANDLE_RESOLUTION: u8 = 0x05;
const HANDLE_RESOLUTION_RESPONSE: u8 = 0x06;
const KEEP_ALIVE: u8 = 0x07;
const KEEP_ALIVE_ACK: u8 = AsapMessage::KEEP_ALIVE_ACK;
const UNREACHABLE: u8 = 0x09;
const SERVER_ANNOUNCE: u8 = 0x0a;
const COOKIE: u8 = 0x0b;
const COOKIE_ECHO: u8 = 0x0c;
const BUSINESS_CARD: u8 = 0x0d;
const ERROR: u8 = AsapMessage::ERROR;

/// The only flag of each message that has one: R, S, A and H.
const FLAG: u8 = 0x01;

/// Which parameters a message type may hold.
const fn allowed(message: u8) -> &'static [u16] {
    match message {
        REGISTRATION => &[kind::POOL_HANDLE, kind::POOL_ELEMENT, kind::ERROR],
        DEREGISTRATION | KEEP_ALIVE | KEEP_ALIVE_ACK | UNREACHABLE => &[kind::POOL_HANDLE, kind::ELEMENT_ID],
        REGISTRATION_RESPONSE | DEREGISTRATION_RESPONSE => &[kind::POOL_HANDLE, kind::ELEMENT_ID, kind::ERROR],
        HANDLE_RESOLUTION => &[kind::POOL_HANDLE, kind::RESOLUTION_OPTION],
        HANDLE_RESOLUTION_RESPONSE => &[kind::POOL_HANDLE, kind::POLICY, kind::POOL_ELEMENT, kind::ERROR],
        SERVER_ANNOUNCE => &[kind::SCTP, kind::TCP],
        COOKIE | COOKIE_ECHO => &[kind::COOKIE],
        BUSINESS_CARD => &[kind::POOL_HANDLE, kind::POLICY, kind::POOL_ELEMENT],
        _ => &[kind::ERROR],
    }
}

/// The parameters of a message, collected whatever their order.
#[derive(Debug, Default)]
struct Collected {
    handle: Option<PoolHandle>,
    id: Option<ElementId>,
    elements: Vec<PoolElement>,
    policy: Option<PolicyParam>,
    items: Option<u32>,
    transports: Vec<Transport>,
    cookie: Option<Bytes>,
    error: Option<OperationError>,
}

impl Collected {
    fn add(&mut self, p: &Param<'_>, reports: &mut Reports) -> Result<(), DecodeError> {
        match p.kind {
            kind::POOL_HANDLE => once(&mut self.handle, p, PoolHandle::decode(p)),
            kind::ELEMENT_ID => once(&mut self.id, p, p.u32().map(ElementId)),
            kind::POLICY => once(&mut self.policy, p, PolicyParam::decode(p)),
            kind::RESOLUTION_OPTION => once(&mut self.items, p, p.u32()),
            kind::COOKIE => once(&mut self.cookie, p, Ok(Bytes::copy_from_slice(p.value))),
            kind::ERROR => once(&mut self.error, p, OperationError::decode(p)),
            kind::POOL_ELEMENT => {
                self.elements.push(PoolElement::decode(p, reports)?);
                Ok(())
            }
            _ => {
                self.transports.push(Transport::decode(p, reports)?);
                Ok(())
            }
        }
    }

    fn handle(&mut self) -> Result<PoolHandle, DecodeError> {
        self.handle.take().ok_or_else(|| missing(kind::POOL_HANDLE))
    }

    fn id(&mut self) -> Result<ElementId, DecodeError> {
        self.id.take().ok_or_else(|| missing(kind::ELEMENT_ID))
    }

    fn cookie(&mut self) -> Result<Bytes, DecodeError> {
        self.cookie.take().ok_or_else(|| missing(kind::COOKIE))
    }

    fn error(&mut self) -> Result<OperationError, DecodeError> {
        self.error.take().ok_or_else(|| missing(kind::ERROR))
    }

    /// The one element of a registration.
    fn element(&mut self) -> Result<PoolElement, DecodeError> {
        match (self.elements.pop(), self.elements.is_empty()) {
            (Some(element), true) => Ok(element),
            (None, _) => Err(missing(kind::POOL_ELEMENT)),
            (Some(_), false) => Err(DecodeError { offset: 4, kind: DecodeErrorKind::Unexpected(kind::POOL_ELEMENT) }),
        }
    }

    /// Builds the message; `registrar` is the fixed field of those that have one.
    fn finish(mut self, message: u8, flag: bool, registrar: RegistrarId) -> Result<AsapMessage, DecodeError> {
        let s = &mut self;
        Ok(match message {
            REGISTRATION => AsapMessage::Registration { handle: s.handle()?, element: s.element()? },
            DEREGISTRATION => AsapMessage::Deregistration { handle: s.handle()?, id: s.id()? },
            REGISTRATION_RESPONSE => {
                AsapMessage::RegistrationResponse { reject: flag, handle: s.handle()?, id: s.id()?, error: self.error }
            }
            DEREGISTRATION_RESPONSE => AsapMessage::DeregistrationResponse { handle: s.handle()?, id: s.id()?, error: self.error },
            HANDLE_RESOLUTION => AsapMessage::HandleResolution { subscribe: flag, handle: s.handle()?, items: self.items },
            HANDLE_RESOLUTION_RESPONSE => AsapMessage::HandleResolutionResponse {
                subscribed: flag,
                handle: s.handle()?,
                policy: self.policy,
                elements: self.elements,
                error: self.error,
            },
            KEEP_ALIVE => AsapMessage::KeepAlive { new_home: flag, registrar, handle: s.handle()?, id: self.id },
            KEEP_ALIVE_ACK => AsapMessage::KeepAliveAck { handle: s.handle()?, id: s.id()? },
            UNREACHABLE => AsapMessage::Unreachable { handle: s.handle()?, id: s.id()? },
            SERVER_ANNOUNCE => AsapMessage::ServerAnnounce { registrar, transports: self.transports },
            COOKIE => AsapMessage::Cookie(s.cookie()?),
            COOKIE_ECHO => AsapMessage::CookieEcho(s.cookie()?),
            BUSINESS_CARD => AsapMessage::BusinessCard { handle: s.handle()?, policy: self.policy, elements: self.elements },
            _ => AsapMessage::Error(s.error()?),
        })
    }
}

impl AsapMessage {
    /// Type number of an Endpoint Keep-Alive Ack.
    pub(crate) const KEEP_ALIVE_ACK: u8 = 0x08;
    /// Type number of an Error.
    pub(crate) const ERROR: u8 = 0x0e;

    /// Decodes a message. Its length may count the padding of the last parameter or not, the padding itself may be
    /// missing, and what follows behind the length is not looked at. Parameters may come in any order.
    ///
    /// # Errors
    /// What is wrong with it, and where; [`DecodeError::to_report`] tells what to answer.
    pub fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
        const TRUNCATED: DecodeError = DecodeError { offset: 0, kind: DecodeErrorKind::Truncated };
        let mut r = Reader::new(bytes);
        let (Some(message), Some(flags), Some(len)) = (r.u8(), r.u8(), r.u16()) else {
            return Err(TRUNCATED);
        };
        if !(REGISTRATION..=ERROR).contains(&message) {
            return Err(DecodeError { offset: 0, kind: DecodeErrorKind::UnknownMessage(message) });
        }
        let body = usize::from(len).checked_sub(4).and_then(|n| r.take(n)).ok_or(TRUNCATED)?;
        let mut r = Reader::new(body);
        let registrar = match message {
            KEEP_ALIVE | SERVER_ANNOUNCE => RegistrarId(r.u32().ok_or(TRUNCATED)?),
            _ => RegistrarId::UNDEFINED,
        };
        let mut params = Params::new(r.rest(), 4 + body.len() - r.len());
        let mut collected = Collected::default();
        let mut reports = Reports::default();
        while let Some(p) = params.next()? {
            if allowed(message).contains(&p.kind) {
                collected.add(&p, &mut reports)?;
            } else {
                reports.unknown(&p)?;
            }
        }
        let count_padding = params.ragged && len.is_multiple_of(4);
        let message = collected.finish(message, flags & FLAG != 0, registrar)?;
        Ok(Decoded { message, options: EncodeOptions { count_padding }, reports: reports.0 })
    }

    /// The message as bytes; the padding is always there, `options` says whether it counts.
    ///
    /// # Errors
    /// It is longer than a length field can tell.
    pub fn encode(&self, options: EncodeOptions) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(128);
        let mut w = ParamWriter::new(&mut out);
        w.u8(self.number());
        w.u8(if self.flag() { FLAG } else { 0 });
        w.u16(0);
        self.encode_body(&mut w);
        let len = if options.count_padding { padded(w.len()) } else { w.len() };
        let field = u16::try_from(len).map_err(|_| EncodeError { len })?;
        w.patch_u16(2, field);
        w.pad4();
        Ok(out)
    }

    fn encode_body(&self, w: &mut ParamWriter<'_>) {
        let id_param = |w: &mut ParamWriter<'_>, id: ElementId| w.param(kind::ELEMENT_ID, |w| w.u32(id.0));
        match self {
            Self::Registration { handle, element } => {
                handle.encode(w);
                element.encode(w);
            }
            Self::Deregistration { handle, id } | Self::KeepAliveAck { handle, id } | Self::Unreachable { handle, id } => {
                handle.encode(w);
                id_param(w, *id);
            }
            Self::RegistrationResponse { handle, id, error, .. } | Self::DeregistrationResponse { handle, id, error } => {
                handle.encode(w);
                id_param(w, *id);
                error.iter().for_each(|e| e.encode(w));
            }
            Self::HandleResolution { handle, items, .. } => {
                handle.encode(w);
                if let Some(items) = items {
                    w.param(kind::RESOLUTION_OPTION, |w| w.u32(*items));
                }
            }
            Self::HandleResolutionResponse { handle, policy, elements, error, .. } => {
                handle.encode(w);
                policy.iter().for_each(|p| p.encode(w));
                elements.iter().for_each(|e| e.encode(w));
                error.iter().for_each(|e| e.encode(w));
            }
            Self::KeepAlive { registrar, handle, id, .. } => {
                w.u32(registrar.0);
                handle.encode(w);
                if let Some(id) = id {
                    id_param(w, *id);
                }
            }
            Self::ServerAnnounce { registrar, transports } => {
                w.u32(registrar.0);
                transports.iter().for_each(|t| t.encode(w));
            }
            Self::Cookie(cookie) | Self::CookieEcho(cookie) => w.param(kind::COOKIE, |w| w.bytes(cookie)),
            Self::BusinessCard { handle, policy, elements } => {
                handle.encode(w);
                policy.iter().for_each(|p| p.encode(w));
                elements.iter().for_each(|e| e.encode(w));
            }
            Self::Error(error) => error.encode(w),
        }
    }

    /// The type number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Registration { .. } => REGISTRATION,
            Self::Deregistration { .. } => DEREGISTRATION,
            Self::RegistrationResponse { .. } => REGISTRATION_RESPONSE,
            Self::DeregistrationResponse { .. } => DEREGISTRATION_RESPONSE,
            Self::HandleResolution { .. } => HANDLE_RESOLUTION,
            Self::HandleResolutionResponse { .. } => HANDLE_RESOLUTION_RESPONSE,
            Self::KeepAlive { .. } => KEEP_ALIVE,
            Self::KeepAliveAck { .. } => KEEP_ALIVE_ACK,
            Self::Unreachable { .. } => UNREACHABLE,
            Self::ServerAnnounce { .. } => SERVER_ANNOUNCE,
            Self::Cookie(_) => COOKIE,
            Self::CookieEcho(_) => COOKIE_ECHO,
            Self::BusinessCard { .. } => BUSINESS_CARD,
            Self::Error(_) => ERROR,
        }
    }

    /// The type's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registration { .. } => "Registration",
            Self::Deregistration { .. } => "Deregistration",
            Self::RegistrationResponse { .. } => "Registration Response",
            Self::DeregistrationResponse { .. } => "Deregistration Response",
            Self::HandleResolution { .. } => "Handle Resolution",
            Self::HandleResolutionResponse { .. } => "Handle Resolution Response",
            Self::KeepAlive { .. } => "Endpoint Keep-Alive",
            Self::KeepAliveAck { .. } => "Endpoint Keep-Alive Ack",
            Self::Unreachable { .. } => "Endpoint Unreachable",
            Self::ServerAnnounce { .. } => "Server Announce",
            Self::Cookie(_) => "Cookie",
            Self::CookieEcho(_) => "Cookie Echo",
            Self::BusinessCard { .. } => "Business Card",
            Self::Error(_) => "Error",
        }
    }

    const fn flag(&self) -> bool {
        match self {
            Self::RegistrationResponse { reject: flag, .. }
            | Self::HandleResolution { subscribe: flag, .. }
            | Self::HandleResolutionResponse { subscribed: flag, .. }
            | Self::KeepAlive { new_home: flag, .. } => *flag,
            _ => false,
        }
    }
}
