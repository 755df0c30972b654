//! The messages of ENRP.

use core::fmt;

use sctp_user::wire::cursor::Reader;

use super::super::enrp::{self, EnrpMessage, UpdateAction};
use super::super::handle::PoolHandle;
use super::super::ids::RegistrarId;
use super::super::message::{Message, TRUNCATED};
use super::super::param::{DecodeError, DecodeErrorKind, Param, Params, Reports, kind, missing, once};
use super::element::ElementView;
use super::error::ErrorView;
use super::list::{Item as _, List};
use super::server::ServerView;
use super::{Viewed, handle_of};

/// An [`EnrpMessage`] in the bytes that came; the fields are those described there.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "described at EnrpMessage")]
pub enum EnrpView<'a> {
    Presence {
        sender: RegistrarId,
        receiver: RegistrarId,
        reply_required: bool,
        checksum: Option<u16>,
        server: Option<ServerView<'a>>,
    },
    HandleTableRequest {
        sender: RegistrarId,
        receiver: RegistrarId,
        own_only: bool,
    },
    HandleTableResponse {
        sender: RegistrarId,
        receiver: RegistrarId,
        reject: bool,
        more: bool,
        pools: Pools<'a>,
    },
    HandleUpdate {
        sender: RegistrarId,
        receiver: RegistrarId,
        action: UpdateAction,
        takeover_suggested: bool,
        handle: &'a [u8],
        element: ElementView<'a>,
    },
    ListRequest {
        sender: RegistrarId,
        receiver: RegistrarId,
    },
    ListResponse {
        sender: RegistrarId,
        receiver: RegistrarId,
        reject: bool,
        servers: List<'a, ServerView<'a>>,
    },
    InitTakeover {
        sender: RegistrarId,
        receiver: RegistrarId,
        target: RegistrarId,
    },
    InitTakeoverAck {
        sender: RegistrarId,
        receiver: RegistrarId,
        target: RegistrarId,
    },
    TakeoverServer {
        sender: RegistrarId,
        receiver: RegistrarId,
        target: RegistrarId,
    },
    Error {
        sender: RegistrarId,
        receiver: RegistrarId,
        error: ErrorView<'a>,
    },
}

/// The pools of a Handle Table Response, all of which have been checked.
#[derive(Clone, Copy)]
pub struct Pools<'a> {
    bytes: &'a [u8],
}

/// A pool with some of its elements, at least one.
#[derive(Clone, Copy, Debug)]
pub struct PoolView<'a> {
    /// The pool.
    pub handle: &'a [u8],
    /// The elements.
    pub elements: List<'a, ElementView<'a>>,
}

impl<'a> Pools<'a> {
    /// Walks through them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = PoolView<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            // Errors were found when the message was checked.
            let mut params = Params::new(rest, 0);
            let handle = loop {
                let p = params.next().ok()??;
                if p.kind == kind::POOL_HANDLE {
                    break p.value;
                }
            };
            let elements = params.rest();
            rest = loop {
                let here = params.rest();
                match params.next() {
                    Ok(Some(p)) if p.kind != kind::POOL_HANDLE => {}
                    _ => break here,
                }
            };
            let elements = elements.get(..elements.len() - rest.len()).unwrap_or_default();
            Some(PoolView { handle, elements: List::new(elements) })
        })
    }
}

impl fmt::Debug for Pools<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Which parameters a message type may hold.
const fn allowed(message: u8) -> &'static [u16] {
    match message {
        enrp::PRESENCE => &[kind::CHECKSUM, kind::SERVER_INFORMATION],
        enrp::HANDLE_TABLE_RESPONSE | enrp::HANDLE_UPDATE => &[kind::POOL_HANDLE, kind::POOL_ELEMENT],
        enrp::LIST_RESPONSE => &[kind::SERVER_INFORMATION],
        enrp::ERROR => &[kind::ERROR],
        _ => &[],
    }
}

/// The fixed fields behind the header.
#[derive(Debug)]
struct Fixed {
    sender: RegistrarId,
    receiver: RegistrarId,
    target: RegistrarId,
    action: UpdateAction,
}

impl Fixed {
    fn decode(message: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut id = || r.u32().map(RegistrarId).ok_or(TRUNCATED);
        let (sender, receiver) = (id()?, id()?);
        let target = match message {
            enrp::INIT_TAKEOVER | enrp::INIT_TAKEOVER_ACK | enrp::TAKEOVER_SERVER => id()?,
            _ => RegistrarId::UNDEFINED,
        };
        let action = match message {
            enrp::HANDLE_UPDATE => {
                let (Some(action), Some(_reserved)) = (r.u16(), r.u16()) else { return Err(TRUNCATED) };
                let unknown = DecodeError { offset: 12, kind: DecodeErrorKind::UnknownAction(action) };
                UpdateAction::from_number(action).ok_or(unknown)?
            }
            _ => UpdateAction::Add,
        };
        Ok(Self { sender, receiver, target, action })
    }
}

/// The parameters of a message. Of servers and elements, of which there may be several, all are checked; the first one
/// is kept for the message that has only one.
#[derive(Debug, Default)]
struct Collected<'a> {
    checksum: Option<u16>,
    server: Option<ServerView<'a>>,
    handle: Option<&'a [u8]>,
    element: Option<ElementView<'a>>,
    /// Where in a table the handle is that has had no element yet.
    bare: Option<usize>,
    error: Option<ErrorView<'a>>,
}

impl<'a> Collected<'a> {
    fn add(&mut self, message: u8, p: &Param<'a>, reports: &mut Reports<'a>) -> Result<(), DecodeError> {
        match p.kind {
            kind::CHECKSUM => {
                let mut r = p.reader();
                once(&mut self.checksum, p, r.u16().filter(|_| r.is_empty()).ok_or_else(|| p.invalid()))
            }
            kind::SERVER_INFORMATION if message == enrp::PRESENCE => once(&mut self.server, p, ServerView::decode(p, reports)),
            kind::SERVER_INFORMATION => ServerView::decode(p, reports).map(drop),
            kind::POOL_HANDLE if message == enrp::HANDLE_UPDATE => once(&mut self.handle, p, handle_of(p)),
            kind::POOL_ELEMENT if message == enrp::HANDLE_UPDATE => once(&mut self.element, p, ElementView::decode(p, reports)),
            kind::POOL_HANDLE => {
                self.no_bare_handle()?;
                self.handle = Some(handle_of(p)?);
                self.bare = Some(p.offset);
                Ok(())
            }
            kind::POOL_ELEMENT => {
                let missing = DecodeError { offset: p.offset, kind: DecodeErrorKind::Missing(kind::POOL_HANDLE) };
                self.handle.ok_or(missing)?;
                self.bare = None;
                ElementView::decode(p, reports).map(drop)
            }
            _ => once(&mut self.error, p, ErrorView::decode(p)),
        }
    }

    /// A pool entry is a handle and one or more elements (RFC 5353 section 2.3).
    const fn no_bare_handle(&self) -> Result<(), DecodeError> {
        match self.bare {
            Some(offset) => Err(DecodeError { offset, kind: DecodeErrorKind::Missing(kind::POOL_ELEMENT) }),
            None => Ok(()),
        }
    }

    /// Builds the message; `all` are its parameters.
    fn finish(&self, m: Message<'a>, fixed: &Fixed, all: &'a [u8]) -> Result<EnrpView<'a>, DecodeError> {
        self.no_bare_handle()?;
        let &Fixed { sender, receiver, target, action } = fixed;
        let flag = m.flags & enrp::FLAG != 0;
        Ok(match m.number {
            enrp::PRESENCE => {
                let &Self { checksum, server, .. } = self;
                EnrpView::Presence { sender, receiver, reply_required: flag, checksum, server }
            }
            enrp::HANDLE_TABLE_REQUEST => EnrpView::HandleTableRequest { sender, receiver, own_only: flag },
            enrp::HANDLE_TABLE_RESPONSE => {
                let more = m.flags & enrp::MORE != 0;
                EnrpView::HandleTableResponse { sender, receiver, reject: flag, more, pools: Pools { bytes: all } }
            }
            enrp::HANDLE_UPDATE => {
                let handle = self.handle.ok_or_else(|| missing(kind::POOL_HANDLE))?;
                let element = self.element.ok_or_else(|| missing(kind::POOL_ELEMENT))?;
                EnrpView::HandleUpdate { sender, receiver, action, takeover_suggested: flag, handle, element }
            }
            enrp::LIST_REQUEST => EnrpView::ListRequest { sender, receiver },
            enrp::LIST_RESPONSE => EnrpView::ListResponse { sender, receiver, reject: flag, servers: List::new(all) },
            enrp::INIT_TAKEOVER => EnrpView::InitTakeover { sender, receiver, target },
            enrp::INIT_TAKEOVER_ACK => EnrpView::InitTakeoverAck { sender, receiver, target },
            enrp::TAKEOVER_SERVER => EnrpView::TakeoverServer { sender, receiver, target },
            _ => EnrpView::Error { sender, receiver, error: self.error.ok_or_else(|| missing(kind::ERROR))? },
        })
    }
}

impl<'a> EnrpView<'a> {
    /// Decodes a message, by the rules of [`EnrpMessage::decode`].
    ///
    /// # Errors
    /// What is wrong with it, and where; [`DecodeError::to_report`] tells what to answer, and
    /// [`EnrpMessage::sender_of`] whom.
    pub fn decode(bytes: &'a [u8]) -> Result<Viewed<'a, Self>, DecodeError> {
        let m = Message::open(bytes, enrp::ERROR)?;
        let mut r = m.reader();
        let fixed = Fixed::decode(m.number, &mut r)?;
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
        let message = collected.finish(m, &fixed, r.rest())?;
        Ok(Viewed { message, options: m.options(&params), reports })
    }
}

impl From<EnrpView<'_>> for EnrpMessage {
    fn from(view: EnrpView<'_>) -> Self {
        match view {
            EnrpView::Presence { sender, receiver, reply_required, checksum, server } => {
                Self::Presence { sender, receiver, reply_required, checksum, server: server.map(Into::into) }
            }
            EnrpView::HandleTableRequest { sender, receiver, own_only } => Self::HandleTableRequest { sender, receiver, own_only },
            EnrpView::HandleTableResponse { sender, receiver, reject, more, pools } => {
                let owned = |p: PoolView<'_>| (PoolHandle::from_wire(p.handle), p.elements.iter().map(Into::into).collect());
                Self::HandleTableResponse { sender, receiver, reject, more, pools: pools.iter().map(owned).collect() }
            }
            EnrpView::HandleUpdate { sender, receiver, action, takeover_suggested, handle, element } => {
                let handle = PoolHandle::from_wire(handle);
                Self::HandleUpdate { sender, receiver, action, takeover_suggested, handle, element: element.into() }
            }
            EnrpView::ListRequest { sender, receiver } => Self::ListRequest { sender, receiver },
            EnrpView::ListResponse { sender, receiver, reject, servers } => {
                Self::ListResponse { sender, receiver, reject, servers: servers.iter().map(Into::into).collect() }
            }
            EnrpView::InitTakeover { sender, receiver, target } => Self::InitTakeover { sender, receiver, target },
            EnrpView::InitTakeoverAck { sender, receiver, target } => Self::InitTakeoverAck { sender, receiver, target },
            EnrpView::TakeoverServer { sender, receiver, target } => Self::TakeoverServer { sender, receiver, target },
            EnrpView::Error { sender, receiver, error } => Self::Error { sender, receiver, error: error.into() },
        }
    }
}
