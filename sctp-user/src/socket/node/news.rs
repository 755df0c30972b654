//! What the stack tells, sorted into inboxes.

use super::link::{Link, Owner};
use super::reading::Item;
use super::{Kind, Socket, SocketNode};
use crate::event::{AssocId, EndpointId, Event};
use crate::socket::info::SndInfo;
use crate::socket::notification::{AuthIndication, Events, Notification};
use crate::time::Time;

/// Notifications that wait for the reader of a stream, beyond which optional ones are dropped.
const MAX_NOTES: usize = 256;

impl SocketNode {
    /// Sorts the stack's news into the inboxes; answers whether there were any, which mostly there are not.
    #[inline]
    pub(in crate::socket) fn pump(&mut self, now: Time) -> bool {
        let any = self.stack.has_events();
        if any {
            self.sort_events(now);
        }
        any
    }

    fn sort_events(&mut self, now: Time) {
        loop {
            // By far the most frequent.
            while let Some(id) = self.stack.poll_readable() {
                self.read_ahead(now, id);
            }
            let Some((ep, id, event)) = self.stack.poll_event() else { return };
            self.sort(now, ep, id, event);
        }
    }

    #[cold]
    #[inline(never)]
    fn sort(&mut self, now: Time, ep: EndpointId, id: AssocId, event: Event) {
        if matches!(event, Event::Connected { incoming: true, .. }) && !self.links.contains_key(&id) {
            self.admit(now, ep, id);
        }
        self.dispatch(now, id, event);
    }

    /// Fetches a message ahead, if none is there yet, and tells whoever waits for it. What nobody reads is thrown away.
    #[inline(always)] // Elsewhere it is rare.
    fn read_ahead(&mut self, now: Time, id: AssocId) {
        let Self { stack, sockets, links, woken, .. } = self;
        let Some(link) = links.get_mut(&id) else { return };
        match link.owner {
            Owner::Nobody => self.discard(now, id),
            Owner::Stream => {
                link.fetch(stack, id);
                link.refresh(woken);
            }
            Owner::Socket => {
                let Some(socket) = sockets.get_mut(&link.ep) else { return };
                link.fetch(stack, id);
                socket.queue(id, link);
                socket.refresh(woken);
            }
        }
    }

    /// A peer opened an association: to whom does it belong?
    fn admit(&mut self, now: Time, ep: EndpointId, id: AssocId) {
        let Some(socket) = self.sockets.get_mut(&ep) else { return };
        let owner = match socket.kind {
            _ if socket.closing => Owner::Nobody,
            Kind::Listener if socket.accept.len() < socket.backlog => {
                socket.accept.push_back(id);
                Owner::Stream
            }
            Kind::Many if !socket.inbox.is_full() => Owner::Socket,
            _ => Owner::Nobody,
        };
        self.add_link(now, id, ep, owner);
        if owner == Owner::Nobody
            && let Some(mut assoc) = self.stack.assoc(id)
        {
            assoc.abort(now, b"backlog is full");
        }
        self.refresh_socket(ep);
    }

    fn dispatch(&mut self, now: Time, id: AssocId, event: Event) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let woken = &mut self.woken;
        let up = matches!(event, Event::Connected { .. });
        let note = match event {
            Event::Connected { inbound, outbound, incoming } => {
                link.up = true;
                link.writers.wake_into(woken);
                Some(Notification::CommUp { assoc: id, inbound, outbound, incoming })
            }
            Event::Restarted => Some(Notification::Restarted { assoc: id }),
            Event::ShutdownReceived => {
                link.peer_shutdown = true;
                Some(Notification::ShutdownReceived { assoc: id })
            }
            Event::Lost { reason } => {
                link.ended = Some(reason.clone());
                link.writers.wake_into(woken);
                let last =
                    if link.up { Notification::CommLost { assoc: id, reason } } else { Notification::CantStart { assoc: id, reason } };
                Some(last)
            }
            // The status tells the path MTU.
            Event::Readable | Event::PathMtu { .. } => None,
            Event::Writable => {
                let wanted = core::mem::take(&mut link.wants_room);
                link.room |= wanted;
                link.writers.wake_into(woken);
                // The descriptor of a stream tells it.
                (wanted && link.owner == Owner::Socket).then_some(Notification::Writable { assoc: id })
            }
            Event::PartialDeliveryAborted { sid, ssn, unordered } => {
                Some(Notification::PartialDeliveryAborted { assoc: id, sid, ssn, unordered })
            }
            Event::SendFailed { message, context, sent } => {
                let mut info = SndInfo::stream(message.sid).ppid(message.ppid).context(context);
                info.unordered = message.unordered;
                Some(Notification::SendFailed { assoc: id, message, info, sent })
            }
            Event::Authentication { key, what } => Some(Notification::Authentication { assoc: id, key: Some(key), what: what.into() }),
            Event::SenderDry => Some(Notification::SenderDry { assoc: id }),
            Event::PathState { addr, change } => Some(Notification::PathState { assoc: id, addr, change }),
            Event::Adaptation(indication) => Some(Notification::Adaptation { assoc: id, indication }),
            Event::RemoteError(causes) => Some(Notification::RemoteError { assoc: id, causes }),
            Event::StreamsReset { incoming, outgoing, streams, outcome } => {
                Some(Notification::StreamsReset { assoc: id, incoming, outgoing, streams, outcome })
            }
            Event::AssociationReset { local_tsn, peer_tsn, outcome } => {
                Some(Notification::AssociationReset { assoc: id, local_tsn, peer_tsn, outcome })
            }
            Event::StreamsChanged { inbound, outbound, outcome } => {
                Some(Notification::StreamsChanged { assoc: id, inbound, outbound, outcome })
            }
        };
        let without_auth = if up { self.without_auth(id) } else { None };
        // Messages may wait already, which came in the packet that brought the association up, or with its end, and are read before that.
        let is_end = note.as_ref().is_some_and(Notification::is_last);
        if is_end {
            self.read_ahead(now, id);
        }
        note.into_iter().chain(without_auth).for_each(|n| self.push_note(n));
        if !is_end {
            self.read_ahead(now, id);
        }
    }

    /// What the user is told of a peer without authentication (RFC 6458 section 6.1.8).
    fn without_auth(&mut self, id: AssocId) -> Option<Notification> {
        let assoc = self.stack.assoc(id)?;
        let lacks = assoc.config().auth && !assoc.auth_chunks().agreed;
        lacks.then_some(Notification::Authentication { assoc: id, key: None, what: AuthIndication::NoAuth })
    }

    /// A notification for the reader of an association, who is told that it is there.
    pub(super) fn push_note(&mut self, note: Notification) {
        let Some(link) = self.links.get_mut(&note.assoc()) else { return };
        match link.owner {
            Owner::Nobody => {}
            Owner::Stream => {
                link.push_note(note);
                link.refresh(&mut self.woken);
            }
            Owner::Socket => {
                let Some(socket) = self.sockets.get_mut(&link.ep) else { return };
                socket.push_note(link.settings.events, note);
                socket.refresh(&mut self.woken);
            }
        }
    }

    #[cold]
    fn discard(&mut self, now: Time, id: AssocId) {
        while self.stack.recv(id).is_some() {}
        if self.links.get(&id).is_some_and(|link| link.ended.is_some()) {
            self.remove_link(now, id);
        }
    }
}

impl Socket {
    /// A notification for the reader of a one-to-many socket, who wants `events`.
    fn push_note(&mut self, events: Events, note: Notification) {
        let id = note.assoc();
        let inbox = &mut self.inbox;
        if !events.wants(&note) {
            match note {
                Notification::PartialDeliveryAborted { .. } => inbox.give_up_rest(id),
                note if note.is_last() => inbox.push(Item::End(id)),
                _ => {}
            }
        } else if !inbox.is_full() || !note.is_optional() {
            inbox.push(Item::Note(note));
        } else if !core::mem::replace(&mut inbox.stopped, true) {
            inbox.push(Item::Note(Notification::Stopped { assoc: id }));
        }
    }
}

impl Link {
    /// A notification for the reader of a stream.
    fn push_note(&mut self, note: Notification) {
        if !self.settings.events.wants(&note) {
            return;
        }
        if self.notes.len() < MAX_NOTES || !note.is_optional() {
            self.notes.push_back(note);
        } else if !matches!(self.notes.back(), Some(Notification::Stopped { .. })) {
            self.notes.push_back(Notification::Stopped { assoc: note.assoc() });
        }
    }
}
