//! The messages of ASAP.

use bytes::Bytes;

use super::super::asap::{self, AsapMessage};
use super::super::handle::PoolHandle;
use super::super::ids::{ElementId, RegistrarId};
use super::super::message::{Message, TRUNCATED};
use super::super::param::{DecodeError, Param, Reports, kind, missing, once};
use super::element::ElementView;
use super::error::ErrorView;
use super::list::{Item as _, List};
use super::policy::PolicyView;
use super::transport::TransportView;
use super::{Viewed, handle_of};

/// An [`AsapMessage`] in the bytes that came; the fields are those described there.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "described at AsapMessage")]
pub enum AsapView<'a> {
    Registration {
        handle: &'a [u8],
        element: ElementView<'a>,
    },
    Deregistration {
        handle: &'a [u8],
        id: ElementId,
    },
    RegistrationResponse {
        reject: bool,
        handle: &'a [u8],
        id: ElementId,
        error: Option<ErrorView<'a>>,
    },
    DeregistrationResponse {
        handle: &'a [u8],
        id: ElementId,
        error: Option<ErrorView<'a>>,
    },
    HandleResolution {
        subscribe: bool,
        handle: &'a [u8],
        items: Option<u32>,
    },
    HandleResolutionResponse {
        subscribed: bool,
        handle: &'a [u8],
        policy: Option<PolicyView<'a>>,
        elements: List<'a, ElementView<'a>>,
        error: Option<ErrorView<'a>>,
    },
    KeepAlive {
        new_home: bool,
        registrar: RegistrarId,
        handle: &'a [u8],
        id: Option<ElementId>,
    },
    KeepAliveAck {
        handle: &'a [u8],
        id: ElementId,
    },
    Unreachable {
        handle: &'a [u8],
        id: ElementId,
    },
    ServerAnnounce {
        registrar: RegistrarId,
        transports: List<'a, TransportView<'a>>,
    },
    Cookie(&'a [u8]),
    CookieEcho(&'a [u8]),
    BusinessCard {
        handle: &'a [u8],
        policy: Option<PolicyView<'a>>,
        elements: List<'a, ElementView<'a>>,
    },
    Error(ErrorView<'a>),
}

/// Which parameters a message type may hold.
const fn allowed(message: u8) -> &'static [u16] {
    match message {
        asap::REGISTRATION => &[kind::POOL_HANDLE, kind::POOL_ELEMENT, kind::ERROR],
        asap::DEREGISTRATION | asap::KEEP_ALIVE | asap::KEEP_ALIVE_ACK | asap::UNREACHABLE => &[kind::POOL_HANDLE, kind::ELEMENT_ID],
        asap::REGISTRATION_RESPONSE | asap::DEREGISTRATION_RESPONSE => &[kind::POOL_HANDLE, kind::ELEMENT_ID, kind::ERROR],
        asap::HANDLE_RESOLUTION => &[kind::POOL_HANDLE, kind::RESOLUTION_OPTION],
        asap::HANDLE_RESOLUTION_RESPONSE => &[kind::POOL_HANDLE, kind::POLICY, kind::POOL_ELEMENT, kind::ERROR],
        asap::SERVER_ANNOUNCE => &[kind::SCTP, kind::TCP],
        asap::COOKIE | asap::COOKIE_ECHO => &[kind::COOKIE],
        asap::BUSINESS_CARD => &[kind::POOL_HANDLE, kind::POLICY, kind::POOL_ELEMENT],
        _ => &[kind::ERROR],
    }
}

/// The parameters of a message, collected whatever their order. Of elements and transports, of which there may be
/// several, all are checked; the first element is kept for the message that has only one.
#[derive(Debug, Default)]
struct Collected<'a> {
    handle: Option<&'a [u8]>,
    id: Option<ElementId>,
    element: Option<ElementView<'a>>,
    policy: Option<PolicyView<'a>>,
    items: Option<u32>,
    cookie: Option<&'a [u8]>,
    error: Option<ErrorView<'a>>,
}

impl<'a> Collected<'a> {
    fn add(&mut self, message: u8, p: &Param<'a>, reports: &mut Reports<'a>) -> Result<(), DecodeError> {
        match p.kind {
            kind::POOL_HANDLE => once(&mut self.handle, p, handle_of(p)),
            kind::ELEMENT_ID => once(&mut self.id, p, p.u32().map(ElementId)),
            kind::POLICY => once(&mut self.policy, p, PolicyView::decode(p)),
            kind::RESOLUTION_OPTION => once(&mut self.items, p, p.u32()),
            kind::COOKIE => once(&mut self.cookie, p, Ok(p.value)),
            kind::ERROR => once(&mut self.error, p, ErrorView::decode(p)),
            kind::POOL_ELEMENT if message == asap::REGISTRATION => once(&mut self.element, p, ElementView::decode(p, reports)),
            kind::POOL_ELEMENT => ElementView::decode(p, reports).map(drop),
            _ => TransportView::decode(p, reports).map(drop),
        }
    }

    fn handle(&self) -> Result<&'a [u8], DecodeError> {
        self.handle.ok_or_else(|| missing(kind::POOL_HANDLE))
    }

    fn id(&self) -> Result<ElementId, DecodeError> {
        self.id.ok_or_else(|| missing(kind::ELEMENT_ID))
    }

    fn cookie(&self) -> Result<&'a [u8], DecodeError> {
        self.cookie.ok_or_else(|| missing(kind::COOKIE))
    }

    /// Builds the message; `registrar` is the fixed field of those that have one, `all` its parameters.
    fn finish(&self, m: Message<'a>, registrar: RegistrarId, all: &'a [u8]) -> Result<AsapView<'a>, DecodeError> {
        let flag = m.flags & asap::FLAG != 0;
        let &Self { policy, error, .. } = self;
        Ok(match m.number {
            asap::REGISTRATION => {
                let element = self.element.ok_or_else(|| missing(kind::POOL_ELEMENT));
                AsapView::Registration { handle: self.handle()?, element: element? }
            }
            asap::DEREGISTRATION => AsapView::Deregistration { handle: self.handle()?, id: self.id()? },
            asap::REGISTRATION_RESPONSE => AsapView::RegistrationResponse { reject: flag, handle: self.handle()?, id: self.id()?, error },
            asap::DEREGISTRATION_RESPONSE => AsapView::DeregistrationResponse { handle: self.handle()?, id: self.id()?, error },
            asap::HANDLE_RESOLUTION => AsapView::HandleResolution { subscribe: flag, handle: self.handle()?, items: self.items },
            asap::HANDLE_RESOLUTION_RESPONSE => {
                let elements = List::new(all);
                AsapView::HandleResolutionResponse { subscribed: flag, handle: self.handle()?, policy, elements, error }
            }
            asap::KEEP_ALIVE => AsapView::KeepAlive { new_home: flag, registrar, handle: self.handle()?, id: self.id },
            asap::KEEP_ALIVE_ACK => AsapView::KeepAliveAck { handle: self.handle()?, id: self.id()? },
            asap::UNREACHABLE => AsapView::Unreachable { handle: self.handle()?, id: self.id()? },
            asap::SERVER_ANNOUNCE => AsapView::ServerAnnounce { registrar, transports: List::new(all) },
            asap::COOKIE => AsapView::Cookie(self.cookie()?),
            asap::COOKIE_ECHO => AsapView::CookieEcho(self.cookie()?),
            asap::BUSINESS_CARD => AsapView::BusinessCard { handle: self.handle()?, policy, elements: List::new(all) },
            _ => AsapView::Error(error.ok_or_else(|| missing(kind::ERROR))?),
        })
    }
}

impl<'a> AsapView<'a> {
    /// Decodes a message, by the rules of [`AsapMessage::decode`].
    ///
    /// # Errors
    /// What is wrong with it, and where; [`DecodeError::to_report`] tells what to answer.
    pub fn decode(bytes: &'a [u8]) -> Result<Viewed<'a, Self>, DecodeError> {
        let m = Message::open(bytes, asap::ERROR)?;
        let mut r = m.reader();
        let registrar = match m.number {
            asap::KEEP_ALIVE | asap::SERVER_ANNOUNCE => RegistrarId(r.u32().ok_or(TRUNCATED)?),
            _ => RegistrarId::UNDEFINED,
        };
        let mut params = m.params(&r);
        let mut collected = Collected::default();
        let mut reports = Reports::default();
        while let Some(p) = params.next()? {
            if allowed(m.number).contains(&p.kind) {
                collected.add(m.number, &p, &mut reports)?;
            } else {
                reports.unknown(&p)?;
            }
        }
        let message = collected.finish(m, registrar, r.rest())?;
        Ok(Viewed { message, options: m.options(&params), reports })
    }
}

impl From<AsapView<'_>> for AsapMessage {
    fn from(view: AsapView<'_>) -> Self {
        let owned = PoolHandle::from_wire;
        match view {
            AsapView::Registration { handle, element } => Self::Registration { handle: owned(handle), element: element.into() },
            AsapView::Deregistration { handle, id } => Self::Deregistration { handle: owned(handle), id },
            AsapView::RegistrationResponse { reject, handle, id, error } => {
                Self::RegistrationResponse { reject, handle: owned(handle), id, error: error.map(Into::into) }
            }
            AsapView::DeregistrationResponse { handle, id, error } => {
                Self::DeregistrationResponse { handle: owned(handle), id, error: error.map(Into::into) }
            }
            AsapView::HandleResolution { subscribe, handle, items } => Self::HandleResolution { subscribe, handle: owned(handle), items },
            AsapView::HandleResolutionResponse { subscribed, handle, policy, elements, error } => Self::HandleResolutionResponse {
                subscribed,
                handle: owned(handle),
                policy: policy.map(Into::into),
                elements: elements.iter().map(Into::into).collect(),
                error: error.map(Into::into),
            },
            AsapView::KeepAlive { new_home, registrar, handle, id } => Self::KeepAlive { new_home, registrar, handle: owned(handle), id },
            AsapView::KeepAliveAck { handle, id } => Self::KeepAliveAck { handle: owned(handle), id },
            AsapView::Unreachable { handle, id } => Self::Unreachable { handle: owned(handle), id },
            AsapView::ServerAnnounce { registrar, transports } => {
                Self::ServerAnnounce { registrar, transports: transports.iter().map(Into::into).collect() }
            }
            AsapView::Cookie(cookie) => Self::Cookie(Bytes::copy_from_slice(cookie)),
            AsapView::CookieEcho(cookie) => Self::CookieEcho(Bytes::copy_from_slice(cookie)),
            AsapView::BusinessCard { handle, policy, elements } => Self::BusinessCard {
                handle: owned(handle),
                policy: policy.map(Into::into),
                elements: elements.iter().map(Into::into).collect(),
            },
            AsapView::Error(error) => Self::Error(error.into()),
        }
    }
}
