//! Associations as sockets see them: opening, sending, ending.

use core::hint::cold_path;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::{Kind, Settings, SocketNode};
use crate::config::AssocConfig;
use crate::error::{CloseReason, SendError};
use crate::event::{AssocId, EndpointId, Message};
use crate::net::PeerAddr;
use crate::num::Ssn;
use crate::socket::errno;
use crate::socket::info::SndInfo;
use crate::socket::notification::{EventKind, Notification};
use crate::socket::readiness::{Readiness, Wakers};
use crate::stack::AssocStatus;
use crate::time::Time;

/// Who reads an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::socket) enum Owner {
    /// The one-to-many socket.
    Socket,
    /// A one-to-one socket: accepted, waiting to be accepted, or connecting.
    Stream,
    /// Nobody: what arrives is thrown away.
    Nobody,
}

/// An association as sockets see it.
#[derive(Debug)]
pub(in crate::socket) struct Link {
    pub(in crate::socket) ep: EndpointId,
    pub(in crate::socket) owner: Owner,
    pub(super) up: bool,
    pub(in crate::socket) ended: Option<CloseReason>,
    pub(super) peer_shutdown: bool,
    /// Somebody waits in `connect` and wants to know how it ended.
    pub(super) connecting: bool,
    /// The next message, fetched ahead so that readiness is exact.
    pub(super) next: Option<Message>,
    /// Whether the inbox has an entry for its messages.
    pub(super) queued: bool,
    /// Notifications for the reader of a stream; bounded by `MAX_NOTES`.
    pub(super) notes: std::collections::VecDeque<Notification>,
    /// A send was refused for lack of room.
    pub(super) wants_room: bool,
    /// There is room again.
    pub(super) room: bool,
    /// Used by streams only.
    pub(super) readiness: Readiness,
    /// Tasks that wait to read from a stream.
    pub(super) readers: Wakers,
    /// Tasks that wait for room, for the outcome of a connect, or for the end.
    pub(super) writers: Wakers,
    pub(in crate::socket) settings: Settings,
}

impl SocketNode {
    pub(in crate::socket) fn connect(
        &mut self,
        now: Time,
        ep: EndpointId,
        peers: &[PeerAddr],
        cfg: Option<Arc<AssocConfig>>,
    ) -> io::Result<AssocId> {
        let kind = self.socket(ep)?.kind;
        let id = self.stack.connect(now, ep, peers, cfg).map_err(errno::connect_error)?;
        self.add_link(now, id, ep, if kind == Kind::Many { Owner::Socket } else { Owner::Stream });
        Ok(id)
    }

    pub(super) fn add_link(&mut self, now: Time, id: AssocId, ep: EndpointId, owner: Owner) {
        let Some(socket) = self.sockets.get_mut(&ep) else { return };
        let settings = socket.settings.clone();
        let dry = settings.events.has(EventKind::SenderDry);
        let link = Link {
            ep,
            owner,
            up: false,
            ended: None,
            peer_shutdown: false,
            connecting: false,
            next: None,
            queued: false,
            notes: std::collections::VecDeque::new(),
            wants_room: false,
            room: false,
            readiness: Readiness::default(),
            readers: Wakers::default(),
            writers: Wakers::default(),
            settings,
        };
        if self.links.insert(id, link).is_none() {
            socket.links += 1;
        }
        if dry && let Some(mut assoc) = self.stack.assoc(id) {
            assoc.notify_when_dry(now, true);
        }
    }

    /// Forgets an association that has ended, with what nobody read.
    pub(super) fn remove_link(&mut self, now: Time, id: AssocId) {
        let Some(mut link) = self.links.remove(&id) else { return };
        link.readers.wake_into(&mut self.woken);
        link.writers.wake_into(&mut self.woken);
        self.stack.forget(id);
        if let Some(socket) = self.sockets.get_mut(&link.ep) {
            socket.links = socket.links.saturating_sub(1);
            socket.inbox.forget(id, link.queued);
        }
        self.close_if_unused(now, link.ep);
    }

    /// Associations of a socket that are alive.
    pub(in crate::socket) fn living(&self, ep: EndpointId) -> Vec<AssocId> {
        let alive = |l: &Link| l.ep == ep && l.owner == Owner::Socket && l.ended.is_none();
        self.links.iter().filter(|(_, l)| alive(l)).map(|(id, _)| *id).collect()
    }

    pub(in crate::socket) fn link(&self, id: AssocId) -> io::Result<&Link> {
        self.links.get(&id).ok_or_else(errno::gone)
    }

    pub(in crate::socket) fn link_mut(&mut self, id: AssocId) -> io::Result<&mut Link> {
        self.links.get_mut(&id).ok_or_else(errno::gone)
    }

    /// Marks that somebody waits for the outcome of a connect, or no longer does.
    pub(in crate::socket) fn set_connecting(&mut self, now: Time, id: AssocId, on: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.connecting = on;
        // If its last notification was read meanwhile, the link was kept for us only.
        if !on && link.owner == Owner::Socket && link.ended.is_some() && !self.end_is_unread(id) {
            self.remove_link(now, id);
        }
    }

    /// Whether the association is up, has failed, or neither yet.
    pub(in crate::socket) fn outcome(&self, id: AssocId) -> Option<io::Result<()>> {
        let Some(link) = self.links.get(&id) else { return Some(Err(errno::gone())) };
        if link.up {
            return Some(Ok(()));
        }
        let reason = link.ended.as_ref()?;
        Some(Err(errno::close_error(reason, false).unwrap_or_else(errno::aborted)))
    }

    /// The association of this endpoint with the peer at `addr`, if there is one.
    pub(in crate::socket) fn find(&self, ep: EndpointId, addr: SocketAddr) -> Option<AssocId> {
        self.stack.find(ep, addr)
    }

    /// How messages of this association go for which nothing is said.
    pub(in crate::socket) fn default_send(&self, id: AssocId) -> SndInfo {
        self.links.get(&id).and_then(|l| l.settings.send.as_deref().copied()).unwrap_or_default()
    }

    /// Sends, or does what else the flags say; `None` if there is no room, and then `payload` is still there.
    pub(in crate::socket) fn send(&mut self, now: Time, id: AssocId, info: &SndInfo, payload: &mut Bytes) -> Option<io::Result<()>> {
        if info.abort {
            cold_path();
            return Some(self.abort(now, id, payload));
        }
        // An end without a message.
        if !(info.eof && payload.is_empty()) {
            let sent = self.send_message(now, id, info, payload)?;
            if sent.is_err() || !info.eof {
                return Some(sent);
            }
        }
        cold_path();
        Some(self.shutdown(now, id))
    }

    fn send_message(&mut self, now: Time, id: AssocId, info: &SndInfo, payload: &mut Bytes) -> Option<io::Result<()>> {
        let Some(link) = self.links.get_mut(&id) else { return Some(Err(errno::gone())) };
        if let Some(reason) = &link.ended {
            cold_path();
            let err = errno::close_error(reason, link.up).unwrap_or_else(|| errno::send_error(SendError::Closed));
            return Some(Err(err));
        }
        let Some(mut assoc) = self.stack.assoc(id) else { return Some(Err(errno::gone())) };
        if let Some(addr) = info.path {
            cold_path();
            if !assoc.peer_addrs().iter().any(|a| a.ip() == addr.to_canonical()) {
                return Some(Err(errno::invalid("the peer has no such address")));
            }
        }
        let result =
            assoc.send_from(now, info.sid, info.ppid, payload, info.options(link.settings.explicit_eor, link.settings.reliability));
        link.wants_room = result == Err(SendError::WouldBlock);
        let out = if link.wants_room { None } else { Some(result.map_err(errno::send_error)) };
        if core::mem::take(&mut link.room) && link.owner == Owner::Stream {
            cold_path();
            link.refresh(&mut self.woken);
        }
        self.pump(now);
        out
    }

    /// Sends what follows a message that was sent just now, as long as it needs no more than that one did and there is room: how many. What
    /// stops it, [`Self::send`] finds again.
    pub(in crate::socket) fn send_further<'a>(
        &mut self,
        now: Time,
        id: AssocId,
        messages: impl Iterator<Item = (Bytes, &'a SndInfo)>,
    ) -> usize {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.ended.is_none()) else { return 0 };
        let Some(mut assoc) = self.stack.assoc(id) else { return 0 };
        let (explicit_eor, reliability) = (link.settings.explicit_eor, link.settings.reliability);
        let mut sent = 0;
        for (payload, info) in messages {
            let plain = !info.abort && !info.eof && info.path.is_none();
            if !plain || assoc.send(now, info.sid, info.ppid, payload, info.options(explicit_eor, reliability)).is_err() {
                break;
            }
            sent += 1;
        }
        self.pump(now);
        sent
    }

    /// Sends to all associations of a one-to-many socket; those without room get their message back.
    pub(in crate::socket) fn send_all(&mut self, now: Time, ep: EndpointId, info: &SndInfo, payload: &Bytes) -> io::Result<()> {
        let mut refused = None;
        for id in self.living(ep) {
            match self.send(now, id, info, &mut payload.clone()) {
                Some(Ok(())) => {}
                Some(Err(err)) => refused = Some(err),
                None => {
                    let message = Message::whole(info.sid, Ssn(0), info.ppid, info.unordered, payload.clone());
                    self.push_note(Notification::SendFailed { assoc: id, message, info: *info, sent: false });
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    pub(in crate::socket) fn shutdown(&mut self, now: Time, id: AssocId) -> io::Result<()> {
        self.stack.assoc(id).ok_or_else(errno::gone)?.shutdown(now);
        self.pump(now);
        Ok(())
    }

    pub(in crate::socket) fn abort(&mut self, now: Time, id: AssocId, reason: &[u8]) -> io::Result<()> {
        self.stack.assoc(id).ok_or_else(errno::gone)?.abort(now, reason);
        self.pump(now);
        Ok(())
    }

    /// The user is done with the association: it ends, gracefully unless it is not to linger, and what still arrives is thrown
    /// away.
    pub(in crate::socket) fn leave(&mut self, now: Time, id: AssocId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.owner = Owner::Nobody;
        link.next = None;
        link.notes.clear();
        let abort = link.settings.linger == Some(core::time::Duration::ZERO);
        if link.ended.is_some() {
            self.remove_link(now, id);
            return;
        }
        if let Some(mut assoc) = self.stack.assoc(id) {
            while assoc.recv().is_some() {}
            if abort { assoc.abort(now, b"") } else { assoc.shutdown(now) }
        }
        self.pump(now);
    }

    pub(in crate::socket) fn status(&mut self, id: AssocId) -> io::Result<AssocStatus> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.status())
    }

    pub(in crate::socket) fn peer_addrs(&mut self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.peer_addrs())
    }

    pub(in crate::socket) fn local_addrs(&mut self, id: AssocId) -> io::Result<Vec<SocketAddr>> {
        Ok(self.stack.assoc(id).ok_or_else(errno::gone)?.local_addrs())
    }

    /// How the association ended, `Ok` if gracefully; `None` while it lives.
    pub(in crate::socket) fn ending(&self, id: AssocId) -> Option<io::Result<()>> {
        let Some(link) = self.links.get(&id) else { return Some(Err(errno::gone())) };
        let reason = link.ended.as_ref()?;
        Some(errno::close_error(reason, link.up).map_or(Ok(()), Err))
    }
}
