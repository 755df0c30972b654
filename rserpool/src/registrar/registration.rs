//! Registration and deregistration (RFC 5352 sections 3.1 and 3.2).

use std::net::IpAddr;

use sctp_user::Time;
use sctp_user::net::canonical;

use super::changes::Change;
use super::client::Client;
use super::watch::Watched;
use super::{AssocKey, RefusalReason, Registrar, RegistrarEvent, RemovalReason};
use crate::handlespace::{ElementKey, RegisterError, Registered};
use crate::wire::{AsapMessage, CauseCode, ElementId, ErrorCause, PoolElement, PoolHandle, Protocol, Scope};

/// Why a registration is refused: what the element is told, and what the log says.
struct Refusal {
    cause: ErrorCause,
    why: &'static str,
}

impl Refusal {
    fn new(code: CauseCode, why: &'static str) -> Self {
        Self::with(code.into(), why)
    }

    fn invalid(data: Vec<u8>, why: &'static str) -> Self {
        Self::with(ErrorCause { code: CauseCode::INVALID_VALUES, data }, why)
    }

    fn with(cause: ErrorCause, why: &'static str) -> Self {
        Self { cause, why }
    }

    /// What it counts as.
    const fn reason(&self) -> RefusalReason {
        match self.cause.code {
            CauseCode::NON_UNIQUE_ELEMENT_ID => RefusalReason::IdentifierTaken,
            CauseCode::INCONSISTENT_POLICY => RefusalReason::PolicyDiffers,
            CauseCode::INCONSISTENT_TRANSPORT => RefusalReason::TransportDiffers,
            CauseCode::INCONSISTENT_CONTROL => RefusalReason::ControlDiffers,
            CauseCode::LACK_OF_RESOURCES => RefusalReason::Resources,
            CauseCode::SECURITY => RefusalReason::ElementNotAllowed,
            _ => RefusalReason::InvalidValues,
        }
    }
}

impl From<RegisterError> for Refusal {
    fn from(e: RegisterError) -> Self {
        let with = |code, data, why| Self::with(ErrorCause { code, data }, why);
        match e {
            RegisterError::InconsistentPolicy(p) => with(CauseCode::INCONSISTENT_POLICY, p.to_param(), "the pool has another policy"),
            RegisterError::InconsistentTransport(t) => {
                with(CauseCode::INCONSISTENT_TRANSPORT, t.to_param(), "the pool has another kind of transport")
            }
            RegisterError::InconsistentControl => {
                Self::new(CauseCode::INCONSISTENT_CONTROL, "the pool's elements use their transports otherwise for control")
            }
            RegisterError::Full(what) => Self::new(CauseCode::LACK_OF_RESOURCES, what),
            RegisterError::UnsupportedPolicy(_) => Self::new(CauseCode::INVALID_VALUES, "the policy is not supported"),
        }
    }
}

impl Registrar {
    pub(super) fn register(&mut self, now: Time, assoc: AssocKey, handle: PoolHandle, element: PoolElement) {
        let Some(client) = self.clients.get(&assoc) else { return };
        let id = element.id;
        let info = match self.admit(client, &handle, element) {
            Ok(info) => info,
            Err(refusal) => return self.refuse(now, assoc, handle, id, refusal),
        };
        let known = self.space.find(&handle, id);
        if let Some(holder) = known.filter(|key| self.is_held_by_another(*key, assoc)) {
            if self.contend(now, holder, assoc) {
                if let Some(client) = self.clients.get_mut(&assoc) {
                    client.blocked = Some((handle, info));
                }
            } else {
                self.refuse(now, assoc, handle, id, Refusal::new(CauseCode::NON_UNIQUE_ELEMENT_ID, "the identifier is contended for"));
            }
            return;
        }
        self.accept(now, assoc, handle, info);
    }

    /// Checks what an element says of itself, and completes it: addresses that are those of its association (RFC 5352
    /// section 2.2.1), its ASAP transport, its home.
    fn admit(&self, client: &Client, handle: &PoolHandle, mut e: PoolElement) -> Result<PoolElement, Refusal> {
        if client.addr().is_none_or(|addr| !self.cfg.access.allows_element(handle, addr)) {
            return Err(Refusal::new(CauseCode::SECURITY, "such an element is not allowed from there"));
        }
        if handle.as_bytes().len() > self.cfg.max_handle {
            return Err(Refusal::new(CauseCode::INVALID_VALUES, "the pool handle is too long"));
        }
        if e.id.is_undefined() {
            return Err(Refusal::new(CauseCode::INVALID_VALUES, "the identifier is zero"));
        }
        if e.life.0 == 0 {
            return Err(Refusal::new(CauseCode::INVALID_VALUES, "the registration life is zero"));
        }
        if !matches!(e.user.protocol, Protocol::Opaque(_)) {
            let offered = e.user.to_param();
            if e.user.port == 0 {
                return Err(Refusal::invalid(offered, "the port is zero"));
            }
            // RFC 5354 section 3.4: one of two values. In other transports the field is reserved.
            if e.user.protocol == Protocol::Sctp && !e.user.usage.is_defined() {
                return Err(Refusal::invalid(offered, "the use of the transport is neither of the two that there are"));
            }
            e.user.addrs.iter_mut().for_each(|a| *a = canonical(*a));
            let access = &self.cfg.access;
            let wide = |a: &IpAddr| self.cfg.min_scope.is_none_or(|min| Scope::of(*a) >= min);
            e.user.addrs.retain(|a| client.addrs.contains(a) && wide(a) && access.allows_element(handle, *a));
            let Some(scope) = e.user.addrs.iter().map(|a| Scope::of(*a)).max() else {
                return Err(Refusal::invalid(offered, "no usable address is one of the association's"));
            };
            if scope < self.min_scope() {
                return Err(Refusal::invalid(offered, "only addresses of this host or link, while there are clients elsewhere"));
            }
        }
        if let Some(distance) = e.policy.distance_mut() {
            *distance = self.distance(client.rtt);
        }
        e.asap = Some(client.transport());
        e.home = self.id;
        if let Err(error) = self.space.check(handle, &e) {
            let refusal = Refusal::from(error);
            // The offending policy is told; the other causes bring their data along (RFC 5354 section 3.12).
            let data = if refusal.cause.code == CauseCode::INVALID_VALUES { e.policy.to_param() } else { refusal.cause.data };
            return Err(Refusal::with(ErrorCause { code: refusal.cause.code, data }, refusal.why));
        }
        let known = self.space.find(handle, e.id).is_some_and(|key| client.elements.contains(&key));
        if !known && client.elements.len() >= self.cfg.max_elements_per_association {
            return Err(Refusal::new(CauseCode::LACK_OF_RESOURCES, "too many elements on the association"));
        }
        if !known && self.peers.get(&client.prefix).is_some_and(|p| p.elements >= self.cfg.max_elements_per_peer) {
            return Err(Refusal::new(CauseCode::LACK_OF_RESOURCES, "too many elements of the peer's address prefix"));
        }
        Ok(e)
    }

    /// The scope that one of an element's addresses must have: as configured, or loopback until somebody is elsewhere.
    fn min_scope(&self) -> Scope {
        self.cfg.min_scope.unwrap_or(if self.remote_clients + self.remote_peers > 0 { Scope::SiteLocal } else { Scope::Loopback })
    }

    /// Whether an identifier belongs to somebody else, who may still be alive.
    fn is_held_by_another(&self, key: ElementKey, assoc: AssocKey) -> bool {
        let (Some(watched), Some(element), Some(client)) = (self.watched.get(&key), self.space.element(key), self.clients.get(&assoc))
        else {
            return false;
        };
        let same_place = element.asap().is_some_and(|t| client.is_at(&t));
        let gone = watched.assoc().is_none_or(|a| !self.clients.contains_key(&a));
        self.cfg.id_check && watched.assoc() != Some(assoc) && !same_place && !gone
    }

    fn accept(&mut self, now: Time, assoc: AssocKey, handle: PoolHandle, info: PoolElement) {
        let id = info.id;
        if let Some(known) = self.space.find(&handle, id) {
            self.stop_reaching(known);
        }
        let registered = match self.space.register(now, &handle, &info) {
            Ok(r) => r,
            Err(e) => return self.refuse(now, assoc, handle, id, e.into()),
        };
        match self.watched.get(&registered.key).and_then(Watched::assoc) {
            Some(before) if before != assoc => self.detach(before, registered.key),
            _ => {}
        }
        self.attach(registered.key, assoc);
        self.watch(now, registered.key, assoc);
        self.note_registration(now, &registered);
        if registered.new_element {
            self.stats.registrations += 1;
        } else {
            self.stats.renewals += 1;
        }
        self.event(if registered.new_element {
            RegistrarEvent::Registered { handle: handle.clone(), id, assoc, new_pool: registered.new_pool }
        } else {
            RegistrarEvent::Renewed { handle: handle.clone(), id, assoc }
        });
        self.send(now, assoc, &AsapMessage::RegistrationResponse { reject: false, handle, id, error: None });
    }

    /// Tells who wants to know what a registration has changed.
    fn note_registration(&mut self, now: Time, done: &Registered) {
        let change = if done.new_element || done.moved_from.is_some() { Change::Added } else { Change::Renewed { changed: done.changed } };
        self.element_changed(now, done.key, change);
    }

    fn refuse(&mut self, now: Time, assoc: AssocKey, handle: PoolHandle, id: ElementId, refusal: Refusal) {
        let reason = refusal.reason();
        let Refusal { cause, why } = refusal;
        self.refused(now, reason, RegistrarEvent::Refused { handle: handle.clone(), id, assoc, cause: cause.code, why });
        self.send(now, assoc, &AsapMessage::RegistrationResponse { reject: true, handle, id, error: Some(cause.into()) });
    }

    /// The holder of a contended identifier has answered, or is gone: the registration that waits is decided, and what
    /// waits behind it is served.
    pub(super) fn resume(&mut self, now: Time, assoc: AssocKey, holder_lives: bool) {
        let Some((handle, info)) = self.clients.get_mut(&assoc).and_then(|c| c.blocked.take()) else { return };
        if holder_lives {
            let refusal = Refusal::new(CauseCode::NON_UNIQUE_ELEMENT_ID, "another living element has the identifier");
            self.refuse(now, assoc, handle, info.id, refusal);
        } else {
            // The handlespace may have changed meanwhile: all over again.
            self.register(now, assoc, handle, info);
        }
        while let Some(client) = self.clients.get_mut(&assoc).filter(|c| c.blocked.is_none()) {
            let Some(bytes) = client.dequeue() else { break };
            self.serve(now, assoc, &bytes);
        }
    }

    pub(super) fn deregister(&mut self, now: Time, assoc: AssocKey, handle: PoolHandle, id: ElementId) {
        let Some(client) = self.clients.get(&assoc) else { return };
        let mut error = None;
        // An element that is not known is as good as gone (RFC 5352 section 3.2).
        if let Some(key) = self.space.find(&handle, id) {
            let same_place = || self.space.element(key).and_then(|e| e.asap()).is_some_and(|t| client.is_at(&t));
            if client.elements.contains(&key) || same_place() {
                self.remove(now, key, RemovalReason::Deregistered);
            } else {
                let (cause, why) = (CauseCode::SECURITY, "an element can only be deregistered by itself");
                let event = RegistrarEvent::Refused { handle: handle.clone(), id, assoc, cause, why };
                self.refused(now, RefusalReason::NotItsOwn, event);
                error = Some(cause.into());
            }
        }
        self.stats.deregistrations += u64::from(error.is_none());
        self.send(now, assoc, &AsapMessage::DeregistrationResponse { handle, id, error });
    }

    /// A registration was not renewed in time: the element is told (RFC 5352 section 2.2.4).
    pub(super) fn life_expired(&mut self, now: Time, key: ElementKey) {
        if let (Some(assoc), Some(e)) = (self.watched.get(&key).and_then(Watched::assoc), self.space.element(key)) {
            let told = AsapMessage::DeregistrationResponse { handle: e.handle().clone(), id: e.id(), error: None };
            self.send(now, assoc, &told);
        }
        self.remove(now, key, RemovalReason::LifeExpired);
    }

    /// Removes an element with all that is known of it.
    pub(super) fn remove(&mut self, now: Time, key: ElementKey, why: RemovalReason) {
        if self.watched.contains_key(&key) {
            self.element_changed(now, key, Change::Removed);
        } else if let Some(handle) = self.space.element(key).map(|e| e.handle().clone()) {
            self.pool_changed(now, &handle);
        }
        self.stop_reaching(key);
        let contender = self.unwatch(key);
        if let Some(gone) = self.space.remove(key) {
            self.stats.count_removal(why);
            self.event(RegistrarEvent::Removed { handle: gone.handle, id: gone.id, why, pool_gone: gone.pool_gone });
        }
        if let Some(assoc) = contender {
            self.resumptions.push_back((assoc, false));
        }
    }
}
