//! What peers want to know: the peer list (RFC 5353 section 3.2.2.2) and the handlespace (sections 3.2.3 and 3.6.3).

use sctp_user::Time;

use super::event::EnrpEvent;
use super::links::Link;
use crate::handlespace::TableCursor;
use crate::registrar::{AssocKey, Registrar};
use crate::wire::{EnrpMessage, PoolElement, PoolHandle, RegistrarId, Scope, ServerInformation, Transport, TransportUse};

/// Room for peers in a List Response, in bytes.
const MAX_LIST_BYTES: usize = 60_000;
/// The length of a Handle Table Response without pool entries.
const HEADER: usize = 12;

/// A table on its way to a peer (RFC 5353 section 3.2.3, step 2).
#[derive(Debug)]
pub(super) struct Session {
    own_only: bool,
    cursor: TableCursor,
    /// The next request comes by then, or the transfer is over.
    until: Time,
}

impl Session {
    pub(super) const fn until(&self) -> Time {
        self.until
    }
}

/// An element as it is shown to a peer of this reach; not at all if none of its addresses is of use there.
pub(super) fn shown(mut element: PoolElement, reach: Scope) -> Option<PoolElement> {
    let useful = |t: &mut Transport| {
        let any = t.addrs.is_empty();
        t.addrs.retain(|a| Scope::of(*a) >= reach);
        any || !t.addrs.is_empty()
    };
    (useful(&mut element.user) && element.asap.as_mut().is_none_or(useful)).then_some(element)
}

/// The length of a parameter with a value of `n` bytes, padding included.
const fn param_len(n: usize) -> usize {
    4 + n.next_multiple_of(4)
}

impl Registrar {
    /// The requester learns of all peers, but of itself.
    pub(super) fn list_requested(&mut self, assoc: AssocKey, from: RegistrarId) {
        // "MUST reject the request [...] in the process of startup" (RFC 5353 section 3.2.2.2).
        let reject = !self.enrp.is_serving();
        let mut servers = Vec::new();
        let reach = self.enrp.links.get(&assoc).map_or(Scope::SiteLocal, Link::reach);
        let mut room = MAX_LIST_BYTES;
        for (id, peer) in self.enrp.peers.iter().filter(|(id, p)| *id != from && p.is_active() && p.confirmed) {
            let Some(port) = peer.addrs.first().map(std::net::SocketAddr::port) else { continue };
            let useful = peer.addrs.iter().map(std::net::SocketAddr::ip).filter(|a| Scope::of(*a) >= reach);
            let server = ServerInformation { id, transport: Transport::sctp(port, TransportUse::DATA, useful) };
            if server.transport.addrs.is_empty() || reject {
                continue;
            }
            match room.checked_sub(server.encoded_len()) {
                Some(left) => room = left,
                None => break,
            }
            servers.push(server);
        }
        self.reply(assoc, &EnrpMessage::ListResponse { sender: self.id, receiver: from, reject, servers });
    }

    /// A part of the table, from where the last answer to this peer ended. A requester that we did not know before is
    /// refused, as by RSPLIB; by the time of its next request it is known.
    pub(super) fn table_requested(&mut self, now: Time, assoc: AssocKey, from: RegistrarId, own_only: bool, is_new: bool) {
        let reply =
            |reject, more, pools| EnrpMessage::HandleTableResponse { sender: RegistrarId::UNDEFINED, receiver: from, reject, more, pools };
        let others = self.enrp.links.iter().filter(|(a, l)| **a != assoc && l.session.as_ref().is_some_and(|s| s.until > now)).count();
        let reject = is_new || !self.enrp.is_serving() || others >= self.cfg.enrp.max_table_sessions;
        let Some(link) = self.enrp.links.get_mut(&assoc) else { return };
        let reach = link.reach();
        let until = now + self.cfg.enrp.timers.max_time_no_response;
        let before = link.session.take().filter(|s| s.own_only == own_only && s.until > now);
        let mut answer = if reject {
            reply(true, false, Vec::new())
        } else {
            let mut session = before.unwrap_or_else(|| Session { own_only, cursor: TableCursor::default(), until });
            session.until = until;
            let (pools, more) = self.table_part(&mut session, reach);
            if more && let Some(link) = self.enrp.links.get_mut(&assoc) {
                link.session = Some(session);
            }
            reply(false, more, pools)
        };
        if let EnrpMessage::HandleTableResponse { sender, .. } = &mut answer {
            *sender = self.id;
        }
        self.event(EnrpEvent::TableRequested { id: from, own_only, reject });
        self.reply(assoc, &answer);
    }

    /// The next elements that fit into one message, and whether there are more. One alone may be longer than we like.
    fn table_part(&mut self, session: &mut Session, reach: Scope) -> (Vec<(PoolHandle, Vec<PoolElement>)>, bool) {
        let (max_bytes, max_elements) = (self.cfg.enrp.max_table_bytes, self.cfg.enrp.max_table_elements);
        let owner = session.own_only.then_some(self.id);
        let mut pools: Vec<(PoolHandle, Vec<PoolElement>)> = Vec::new();
        let (mut bytes, mut count) = (HEADER, 0);
        let more = self.space.table(&mut session.cursor, owner, |element| {
            let Some(info) = shown(element.info(), reach) else { return true };
            let same_pool = pools.last().is_some_and(|(h, _)| h == element.handle());
            let handle_len = if same_pool { 0 } else { param_len(element.handle().as_bytes().len()) };
            let len = handle_len + info.encoded_len();
            if count > 0 && (count >= max_elements || bytes + len > max_bytes) {
                return false;
            }
            bytes += len;
            count += 1;
            match pools.last_mut().filter(|_| same_pool) {
                Some((_, elements)) => elements.push(info),
                None => pools.push((element.handle().clone(), vec![info])),
            }
            true
        });
        (pools, more)
    }
}
