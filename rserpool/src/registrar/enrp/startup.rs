//! Start-up (RFC 5353 section 3.2): the first peer that is met is the mentor, which is asked for its peers and for the
//! whole handlespace. A registrar that meets nobody serves alone.

use std::collections::BTreeSet;

use sctp_user::Time;

use super::EnrpTimer;
use super::event::EnrpEvent;
use crate::registrar::{Registrar, Timer};
use crate::wire::{EnrpMessage, RegistrarId, ServerInformation};

/// How far a registrar has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// It looks for a mentor, or learns from it.
    Starting(Start),
    /// It is one of the registrars of its scope.
    Serving,
}

/// What has been tried to become one.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Until when to wait for a mentor; unset before anything was done.
    deadline: Option<Time>,
    mentor: Option<RegistrarId>,
    /// Peers that did not want to be, or failed as mentor; at most as many as peers.
    tried: BTreeSet<RegistrarId>,
}

impl Registrar {
    const fn starting(&mut self) -> Option<&mut Start> {
        match &mut self.enrp.phase {
            Phase::Starting(start) => Some(start),
            Phase::Serving => None,
        }
    }

    pub(super) fn is_mentor(&mut self, id: RegistrarId) -> bool {
        self.starting().is_some_and(|s| s.mentor == Some(id))
    }

    /// Work begins; or the time to find a mentor is over.
    pub(super) fn start_timeout(&mut self, now: Time) {
        let deadline = now + self.cfg.enrp.timers.mentor_discovery;
        let Some(start) = self.starting() else { return };
        if start.deadline.is_none() {
            start.deadline = Some(deadline);
            self.enrp_timer(EnrpTimer::Start, Some(deadline));
            self.heartbeat(now);
        } else if start.mentor.is_none() {
            self.serve_peers(now);
        }
    }

    /// A peer has become known: it becomes the mentor if there is none, and is asked for its peers in any case, for it may
    /// know others than we do.
    pub(super) fn welcome(&mut self, now: Time, id: RegistrarId) {
        if let Some(start) = self.starting()
            && start.mentor.is_none()
            && !start.tried.contains(&id)
        {
            start.mentor = Some(id);
            self.enrp_timer(EnrpTimer::Mentor, Some(now + self.cfg.enrp.timers.max_time_no_response));
        }
        self.tell(id, &EnrpMessage::ListRequest { sender: self.id, receiver: id });
    }

    /// A peer tells whom it knows.
    pub(super) fn list_arrived(&mut self, now: Time, from: RegistrarId, reject: bool, servers: &[ServerInformation]) {
        for server in servers {
            // RSPLIB lists configured peers, too, whose identifiers it does not know.
            let unknown = !server.id.is_undefined() && server.id != self.id && !self.enrp.peers.contains(server.id);
            let addrs: Vec<_> = server.transport.socket_addrs().filter(|a| a.port() != 0 && !self.is_own_place(*a)).collect();
            let allowed = addrs.iter().all(|a| self.cfg.access.allows_registrar(a.ip()));
            if unknown && allowed && !addrs.is_empty() && self.enrp.peers.add(now, server.id, addrs, false) {
                self.arm_peer(now, server.id);
                self.connect_peer(server.id);
            }
        }
        if self.is_mentor(from) {
            if reject {
                self.next_mentor(now);
            } else {
                self.enrp_timer(EnrpTimer::Mentor, None);
                self.start_sync(now, from, false);
            }
        }
    }

    pub(super) fn mentor_timeout(&mut self, now: Time) {
        self.next_mentor(now);
    }

    pub(super) fn mentor_lost(&mut self, now: Time, id: RegistrarId) {
        if self.is_mentor(id) {
            self.next_mentor(now);
        }
    }

    /// The mentor refuses or is silent: another one may do (RFC 5353 section 3.2.2.2). If there is none, what is left of
    /// the time to find one is waited for, and then the comparison of checksums with each peer brings what is missing.
    pub(super) fn next_mentor(&mut self, now: Time) {
        let Some(start) = self.starting() else { return };
        if let Some(old) = start.mentor.take() {
            start.tried.insert(old);
        }
        let late = start.deadline.is_none_or(|d| d <= now);
        let tried = start.tried.clone();
        let next = self.enrp.peers.iter().find(|(id, p)| p.confirmed && p.is_active() && !tried.contains(id)).map(|(id, _)| id);
        self.enrp_timer(EnrpTimer::Mentor, None);
        match next {
            Some(id) => self.welcome(now, id),
            None if late => self.serve_peers(now),
            None => {}
        }
    }

    /// A configured peer could not be reached. If that was the last hope, there is nobody to wait for.
    pub(super) fn contact_failed(&mut self, now: Time) {
        let hope = !self.cfg.enrp.targets.is_empty() || self.enrp.contacts.iter().any(|c| c.is_promising());
        if !hope && self.enrp.peers.iter().next().is_none() {
            self.serve_peers(now);
        }
    }

    /// Start-up is over: elements and users may find us, and peers get what they ask for.
    pub(super) fn serve_peers(&mut self, now: Time) {
        if self.enrp.is_serving() {
            return;
        }
        self.enrp.phase = Phase::Serving;
        self.enrp_timer(EnrpTimer::Start, None);
        self.enrp_timer(EnrpTimer::Mentor, None);
        let peers = self.enrp.peers.active().len();
        self.event(EnrpEvent::Serving { peers, elements: self.space.element_count() });
        if !self.cfg.announce.targets.is_empty() && !self.stopping {
            self.timers.set(Timer::Announce, Some(now));
        }
        self.present_to_all();
    }
}
