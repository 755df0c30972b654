//! The home registrar, and associations that other registrars opened to us.
//!
//! The process has one home, whatever elements and users it holds. It is found by the hunt, or it comes to us: a registrar that
//! has taken over opens an association and says so by a keep-alive with the H flag (RFC 5352 section 3.4, KA2.4). The association
//! with the registrar that was the home until then is kept as long as that one uses it: if it lives after all, it is answered
//! and need not think that its elements are dead; if not, the association ends by itself.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use sctp_user::Time;

use super::core::{Asap, AsapEvent, Ending, LinkId, Output};
use super::error::{RegisterError, ResolveError};
use super::request::Request;
use crate::wire::{AsapMessage, ElementId, PoolHandle, RegistrarId};

/// Most associations with registrars that are not our home; more are refused.
const MAX_VISITORS: usize = 16;

/// How long such an association may be silent before it is closed (RSPLIB's value).
const VISITOR_IDLE: Duration = Duration::from_secs(30);

/// The home registrar.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) link: LinkId,
    pub(super) registrar: RegistrarId,
    /// Where the hunt found it; empty if it came to us.
    addrs: Vec<SocketAddr>,
    /// Our addresses in the association.
    pub(super) local: Vec<IpAddr>,
}

/// An association with a registrar that is not our home: it opened it, or was our home before.
#[derive(Debug)]
pub(super) struct Visitor {
    local: Vec<IpAddr>,
    last_used: Time,
}

impl Asap {
    /// A registrar opened an association to us. `None` if there are too many: it is to be aborted.
    pub fn accept(&mut self, now: Time, local: Vec<IpAddr>) -> Option<LinkId> {
        if self.visitors.len() >= MAX_VISITORS {
            return None;
        }
        let link = self.new_link();
        self.visitors.insert(link, Visitor { local, last_used: now });
        Some(link)
    }

    /// Whether this association is up and not that with the home: a registrar opened it, or was the home before.
    #[must_use]
    pub fn is_visit(&self, link: LinkId) -> bool {
        self.visitors.contains_key(&link)
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    pub(super) fn wants_home(&self) -> bool {
        !self.queue.is_empty() || !self.elements.is_empty() || !self.reports.is_empty() || self.follows_any()
    }

    /// Whether there is nothing to ask but what is told to any new home, and time left for another registrar to take our elements over.
    pub(super) fn awaits_adoption(&self, now: Time) -> bool {
        let silent = self.queue.iter().all(|r| self.is_renewal(&r.kind)) && self.reports.is_empty() && !self.follows_any();
        now < self.adoption_until && silent && self.wants_home()
    }

    /// Looks for a home: names are looked up, associations begun.
    pub(super) fn hunt_on(&mut self, now: Time) {
        while let Some(name) = self.hunt.next_name(now) {
            self.out.push_back(Output::LookUp { name });
        }
        while let Some(addrs) = self.hunt.next(now, &mut *self.entropy) {
            let link = self.new_link();
            self.out.push_back(Output::Connect { link, peer: addrs.clone() });
            self.hunt.began(now, link, addrs);
        }
    }

    pub(super) fn stop_hunt(&mut self) {
        for link in self.hunt.stop() {
            self.close(link, Ending::Abort);
        }
    }

    pub(super) fn on_connected(&mut self, now: Time, link: LinkId, local: Vec<IpAddr>) {
        let Some((addrs, losers)) = self.hunt.succeeded(link) else { return };
        for loser in losers {
            self.close(loser, Ending::Abort);
        }
        let registrar = self.hunt.id_at(&addrs);
        self.settle_at(now, Home { link, registrar, addrs, local });
    }

    /// Makes a registrar the home: everything without an answer is sent to it, in the order in which it was asked for, then all
    /// elements register with it and all pools are followed there.
    fn settle_at(&mut self, now: Time, home: Home) {
        tracing::info!(registrar = %home.registrar, "home registrar found");
        self.out.push_back(Output::Event(AsapEvent::HomeFound { registrar: home.registrar, addrs: home.addrs.clone() }));
        self.home = Some(home);
        self.resend_requests(now);
        self.renew_all(now);
        self.follow_due(now);
        while let Some((handle, id)) = self.reports.pop_front() {
            self.send_home(&AsapMessage::Unreachable { handle, id });
        }
    }

    pub(super) fn on_lost(&mut self, now: Time, link: LinkId) {
        if self.home.as_ref().is_some_and(|h| h.link == link) {
            tracing::info!("association with the registrar lost");
            self.fail_home(now, false);
        } else if !self.hunt.failed(now, link) {
            self.visitors.remove(&link);
        }
    }

    /// Leaves the home for lost. What it has not answered is sent to the next one.
    pub(super) fn fail_home(&mut self, now: Time, abort: bool) {
        let Some(home) = self.home.take() else { return };
        if home.addrs.is_empty() {
            self.hunt.punish_id(now, home.registrar);
        } else {
            self.hunt.punish(now, &home.addrs);
        }
        if abort {
            self.close(home.link, Ending::Abort);
        }
        self.hunting_since = now;
        self.adoption_until = now + self.cfg.adoption_wait;
        self.out.push_back(Output::Event(AsapEvent::HomeLost { registrar: home.registrar }));
        self.follows_end(now);
        self.drop_exhausted_requests(now);
        // They wait with everything else, and if there is no registrar for too long, that is told.
        self.renew_all(now);
    }

    pub(super) fn on_local_addrs(&mut self, now: Time, link: LinkId, local: Vec<IpAddr>) {
        if let Some(visitor) = self.visitors.get_mut(&link) {
            visitor.local = local;
        } else if let Some(home) = self.home.as_mut().filter(|h| h.link == link && h.local != local) {
            home.local = local;
            self.renew_all(now);
        }
    }

    // ---- waiting for one ---------------------------------------------------------------------------------------

    /// How long requests wait for a home.
    fn patience(&self, now: Time) -> Duration {
        if self.hunt.known(now) > 0 { self.cfg.reach_limit } else { self.cfg.hunt_limit }
    }

    /// When requests without a home are given up.
    pub(super) fn give_up_deadline(&self) -> Option<Time> {
        let limit = self.patience(self.driven);
        self.queue.iter().map(|r| r.queued.max(self.hunting_since) + limit).min()
    }

    pub(super) fn give_up_requests(&mut self, now: Time) {
        let (since, limit) = (self.hunting_since, self.patience(now));
        let (late, rest): (Vec<Request>, Vec<Request>) = self.queue.drain(..).partition(|r| r.queued.max(since) + limit <= now);
        self.queue = rest.into();
        for request in late {
            self.fail_request(now, request, ResolveError::NoRegistrar, RegisterError::NoRegistrar);
        }
    }

    // ---- visitors and keep-alives ------------------------------------------------------------------------------

    /// A message of an association that is not with the home has come; whether there is such a one.
    pub(super) fn visitor_speaks(&mut self, now: Time, link: LinkId) -> bool {
        let Some(visitor) = self.visitors.get_mut(&link) else { return false };
        visitor.last_used = now;
        true
    }

    pub(super) fn close_idle_visitors(&mut self, now: Time) {
        let idle: Vec<LinkId> = self.visitors.iter().filter(|(_, v)| v.last_used + VISITOR_IDLE <= now).map(|(link, _)| *link).collect();
        for link in idle {
            self.visitors.remove(&link);
            self.close(link, Ending::Graceful);
        }
    }

    pub(super) fn visitor_deadline(&self) -> Option<Time> {
        self.visitors.values().map(|v| v.last_used + VISITOR_IDLE).min()
    }

    /// A keep-alive (RFC 5352 section 3.4): acknowledged where it came from; with the H flag its sender is the home now.
    pub(super) fn on_keep_alive(
        &mut self,
        now: Time,
        link: LinkId,
        (registrar, new_home): (RegistrarId, bool),
        pool: &PoolHandle,
        id: Option<ElementId>,
    ) {
        let ids = self.elements_asked_for(pool, id);
        if ids.is_empty() {
            return;
        }
        for id in ids {
            self.send(link, &AsapMessage::KeepAliveAck { handle: pool.clone(), id });
        }
        if let Some(home) = self.home.as_mut().filter(|h| h.link == link) {
            // One that the configuration names only by its address tells who it is.
            home.registrar = registrar;
        } else if new_home && let Some(visitor) = self.visitors.remove(&link) {
            self.move_to(now, Home { link, registrar, addrs: Vec::new(), local: visitor.local });
        }
    }

    /// A registrar has taken us over (RFC 5353 section 3.5.3).
    fn move_to(&mut self, now: Time, home: Home) {
        if let Some(old) = self.home.take() {
            self.out.push_back(Output::Event(AsapEvent::HomeLost { registrar: old.registrar }));
            self.follows_end(now);
            if old.registrar == home.registrar || self.visitors.len() >= MAX_VISITORS {
                // The same registrar over a new association has given the old one up.
                self.close(old.link, Ending::Abort);
            } else {
                self.visitors.insert(old.link, Visitor { local: old.local, last_used: now });
            }
        }
        self.stop_hunt();
        self.settle_at(now, home);
    }
}
