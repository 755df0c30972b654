//! The messages of ASAP (RFC 5352 section 2.2).

use bytes::Bytes;

use super::cause::OperationError;
use super::element::PoolElement;
use super::handle::PoolHandle;
use super::ids::{ElementId, RegistrarId};
use super::message::{self, EncodeError, EncodeOptions};
use super::param::{DecodeError, ParamWriter, kind};
use super::policy::PolicyParam;
use super::transport::Transport;
use super::view::{AsapView, Viewed};

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
pub(super) const REGISTRATION: u8 = 0x01;
pub(super) const DEREGISTRATION: u8 = 0x02;
pub(super) const REGISTRATION_RESPONSE: u8 = 0x03;
pub(super) const DEREGISTRATION_RESPONSE: u8 = 0x04;
pub(super) const HANDLE_RESOLUTION: u8 = 0x05;
pub(super) const HANDLE_RESOLUTION_RESPONSE: u8 = 0x06;
pub(super) const KEEP_ALIVE: u8 = 0x07;
pub(super) const KEEP_ALIVE_ACK: u8 = AsapMessage::KEEP_ALIVE_ACK;
pub(super) const UNREACHABLE: u8 = 0x09;
pub(super) const SERVER_ANNOUNCE: u8 = 0x0a;
pub(super) const COOKIE: u8 = 0x0b;
pub(super) const COOKIE_ECHO: u8 = 0x0c;
pub(super) const BUSINESS_CARD: u8 = 0x0d;
pub(super) const ERROR: u8 = AsapMessage::ERROR;

/// The only flag of each message that has one: R, S, A and H.
pub(super) const FLAG: u8 = 0x01;

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
        let Viewed { message, options, reports } = AsapView::decode(bytes)?;
        Ok(Decoded { message: message.into(), options, reports: reports.to_vecs() })
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
        let flags = if self.flag() { FLAG } else { 0 };
        message::write(out, (self.number(), flags), options, |w| self.encode_body(w))
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
