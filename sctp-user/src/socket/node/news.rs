//! What the stack tells, sorted into inboxes.

use super::link::Owner;
use super::reading::Item;
use super::{Kind, SocketNode};
use crate::event::{AssocId, EndpointId, Event};
use crate::socket::info::SndInfo;
use crate::socket::notification::{AuthIndication, Notification};
use crate::time::Time;

/// Notifications that wait for the reader of a stream, beyond which optional ones are dropped.
const MAX_NOTES: usize = 256;

impl SocketNode {
    /// Sorts the stack's news into the inboxes; answers whether there were any.
    pub(in crate::socket) fn pump(&mut self, now: Time) -> bool {
        let mut any = false;
        while let Some((ep, id, event)) = self.stack.poll_event() {
            if let Event::Connected { incoming: true, .. } = event
                && !self.links.contains_key(&id)
            {
                self.admit(now, ep, id);
            }
            self.dispatch(now, id, event);
            any = true;
        }
        any
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
        let owner = link.owner;
        let up = matches!(event, Event::Connected { .. });
        let note = match event {
            Event::Connected { inbound, outbound, incoming } => {
                link.up = true;
                link.writers.wake_into(&mut self.woken);
                Some(Notification::CommUp { assoc: id, inbound, outbound, incoming })
            }
            Event::Restarted => Some(Notification::Restarted { assoc: id }),
            Event::ShutdownReceived => {
                link.peer_shutdown = true;
                Some(Notification::ShutdownReceived { assoc: id })
            }
            Event::Lost { reason } => {
                link.ended = Some(reason.clone());
                link.writers.wake_into(&mut self.woken);
                let last =
                    if link.up { Notification::CommLost { assoc: id, reason } } else { Notification::CantStart { assoc: id, reason } };
                Some(last)
            }
            // The status tells the path MTU.
            Event::Readable | Event::PathMtu { .. } => None,
            Event::Writable => {
                let wanted = core::mem::take(&mut link.wants_room);
                link.room |= wanted;
                link.writers.wake_into(&mut self.woken);
                // The descriptor of a stream tells it.
                (wanted && owner == Owner::Socket).then_some(Notification::Writable { assoc: id })
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
        match owner {
            Owner::Nobody => self.discard(now, id),
            Owner::Stream => {
                if let Some(note) = note {
                    self.push_stream_note(id, note);
                }
                if up && let Some(note) = self.without_auth(id) {
                    self.push_stream_note(id, note);
                }
                self.fetch(id);
                self.refresh_link(id);
            }
            Owner::Socket => {
                // Messages may wait already, which came in the packet that brought the association up.
                let (before, after) = note.map_or((None, None), |n| if n.is_last() { (None, Some(n)) } else { (Some(n), None) });
                before.into_iter().for_each(|n| self.push_note(n));
                if up && let Some(note) = self.without_auth(id) {
                    self.push_note(note);
                }
                self.fetch(id);
                after.into_iter().for_each(|n| self.push_note(n));
                self.refresh_link(id);
            }
        }
    }

    /// What the user is told of a peer without authentication (RFC 6458 section 6.1.8).
    fn without_auth(&mut self, id: AssocId) -> Option<Notification> {
        let assoc = self.stack.assoc(id)?;
        let lacks = assoc.config().auth && !assoc.auth_chunks().agreed;
        lacks.then_some(Notification::Authentication { assoc: id, key: None, what: AuthIndication::NoAuth })
    }

    /// Fetches a message ahead if none is there yet, and puts the association into its socket's inbox.
    fn fetch(&mut self, id: AssocId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.next.is_none() {
            link.next = self.stack.assoc(id).and_then(|mut assoc| assoc.recv());
        }
        if link.owner == Owner::Socket
            && link.next.is_some()
            && !link.queued
            && let Some(socket) = self.sockets.get_mut(&link.ep)
        {
            link.queued = true;
            socket.inbox.push(Item::Messages(id));
        }
    }

    /// A notification for the reader of a one-to-many socket.
    pub(super) fn push_note(&mut self, note: Notification) {
        let id = note.assoc();
        let Some(link) = self.links.get(&id) else { return };
        let Some(socket) = self.sockets.get_mut(&link.ep) else { return };
        let inbox = &mut socket.inbox;
        if !link.settings.events.wants(&note) {
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

    /// A notification for the reader of a stream.
    pub(super) fn push_stream_note(&mut self, id: AssocId, note: Notification) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.settings.events.wants(&note) {
            return;
        }
        if link.notes.len() < MAX_NOTES || !note.is_optional() {
            link.notes.push_back(note);
        } else if !matches!(link.notes.back(), Some(Notification::Stopped { .. })) {
            link.notes.push_back(Notification::Stopped { assoc: id });
        }
    }

    fn discard(&mut self, now: Time, id: AssocId) {
        if let Some(mut assoc) = self.stack.assoc(id) {
            while assoc.recv().is_some() {}
        }
        if self.links.get(&id).is_some_and(|link| link.ended.is_some()) {
            self.remove_link(now, id);
        }
    }
}
