//! Requests in flight. An answer names no request: registrars answer those of one association in their order, so the answer
//! belongs to the oldest one. What does not fit means that both sides disagree about what was asked: the association is
//! abandoned, and everything without an answer is sent to the next registrar.

use sctp_user::Time;

use super::cache::Listing;
use super::core::{Asap, AsapEvent, Output};
use super::element::ElementKey;
use super::error::{RegisterError, ResolveError};
use super::user::Resolution;
use crate::wire::{AsapMessage, ElementId, PoolHandle};

/// A request without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) kind: RequestKind,
    /// When it was asked for.
    pub(super) queued: Time,
    /// How often it was sent.
    pub(super) sent: u32,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RequestKind {
    Register(ElementKey),
    Deregister(ElementKey),
    Resolve(Resolution),
}

impl RequestKind {
    /// Whether an answer of a registrar's answers this.
    fn is_answered_by(&self, message: &AsapMessage) -> bool {
        let same = |key: &ElementKey, handle: &PoolHandle, id: &ElementId| key.handle == *handle && key.id == *id;
        match (self, message) {
            (Self::Register(key), AsapMessage::RegistrationResponse { handle, id, .. })
            | (Self::Deregister(key), AsapMessage::DeregistrationResponse { handle, id, .. }) => same(key, handle, id),
            // The A flag answers the S flag; without that, it is an update of a pool that is followed.
            (Self::Resolve(r), AsapMessage::HandleResolutionResponse { handle, subscribed, .. }) => {
                r.handle == *handle && (r.subscribe || !subscribed)
            }
            _ => false,
        }
    }
}

impl Asap {
    /// Sends a request, now or as soon as there is a registrar.
    pub(super) fn request(&mut self, now: Time, kind: RequestKind) {
        let mut request = Request { kind, queued: now, sent: 0 };
        if self.queue.is_empty() {
            self.head_since = now;
        }
        if self.home.is_some() {
            request.sent = 1;
            if let Some(message) = self.message_of(now, &request.kind) {
                self.send_home(&message);
            }
        }
        self.queue.push_back(request);
    }

    fn message_of(&mut self, now: Time, kind: &RequestKind) -> Option<AsapMessage> {
        match kind {
            RequestKind::Register(key) => self.registration_of(now, key),
            RequestKind::Deregister(key) => Some(AsapMessage::Deregistration { handle: key.handle.clone(), id: key.id }),
            RequestKind::Resolve(r) => Some(self.resolution_of(r)),
        }
    }

    /// There is a new home: asks it everything that has no answer.
    pub(super) fn resend_requests(&mut self, now: Time) {
        self.head_since = now;
        let waiting: Vec<Request> = self.queue.drain(..).collect();
        for mut request in waiting {
            request.sent += 1;
            if let Some(message) = self.message_of(now, &request.kind) {
                self.send_home(&message);
                self.queue.push_back(request);
            }
        }
    }

    /// T1, T2 or T3 of the oldest request: the timers of later ones start when it is answered.
    pub(super) fn request_deadline(&self) -> Option<Time> {
        let limit = match self.queue.front()?.kind {
            RequestKind::Register(_) => self.cfg.t2_registration,
            RequestKind::Deregister(_) => self.cfg.t3_deregistration,
            RequestKind::Resolve(_) => self.cfg.t1_request,
        };
        Some(self.head_since + limit)
    }

    /// The home is lost: requests that were sent as often as allowed have failed.
    pub(super) fn drop_exhausted_requests(&mut self, now: Time) {
        let waiting: Vec<Request> = self.queue.drain(..).collect();
        for request in waiting {
            let limit = match request.kind {
                RequestKind::Register(_) => self.cfg.max_reg_attempt,
                _ => self.cfg.max_request_retransmit.saturating_add(1),
            };
            if request.sent < limit.max(1) {
                self.queue.push_back(request);
            } else {
                self.fail_request(now, request, ResolveError::Timeout, RegisterError::Timeout);
            }
        }
    }

    pub(super) fn fail_request(&mut self, now: Time, request: Request, resolve: ResolveError, register: RegisterError) {
        match request.kind {
            RequestKind::Register(key) => self.registration_failed(now, &key, register),
            RequestKind::Deregister(key) => self.forget_element(&key),
            RequestKind::Resolve(r) => self.resolution_failed(now, r, resolve),
        }
    }

    /// The home registrar said something that is not a keep-alive.
    pub(super) fn on_answer(&mut self, now: Time, message: AsapMessage) {
        if self.queue.front().is_some_and(|r| r.kind.is_answered_by(&message)) {
            let request = self.queue.pop_front();
            self.head_since = now;
            if let Some(Request { kind, .. }) = request {
                self.on_expected(now, kind, message);
            }
            return;
        }
        match message {
            // Unasked: the registration has expired (RFC 5352 section 2.2.4).
            AsapMessage::DeregistrationResponse { handle, id, .. } => self.registration_expired(now, &ElementKey { handle, id }),
            // What RSPLIB answers to what it cannot read comes without a request too, after a report for instance.
            AsapMessage::Error(error) if self.queue.is_empty() => {
                tracing::warn!(error = %error.code(), "the registrar reports an error");
            }
            AsapMessage::HandleResolutionResponse { handle, policy, elements, error, .. } if self.may_be_update(&handle) => {
                self.on_update(now, handle, Listing::new(policy, elements), error.as_ref());
            }
            AsapMessage::Error(_)
            | AsapMessage::RegistrationResponse { .. }
            | AsapMessage::HandleResolutionResponse { subscribed: false, .. } => {
                tracing::warn!(message = message.name(), "not what was asked for: leaving the registrar");
                self.fail_home(now, true);
            }
            message => tracing::debug!(message = message.name(), "ignored: no message for a client"),
        }
    }

    fn on_expected(&mut self, now: Time, kind: RequestKind, message: AsapMessage) {
        match (kind, message) {
            (RequestKind::Register(key), AsapMessage::RegistrationResponse { reject, error, .. }) => {
                self.on_registration_response(now, &key, reject, error.as_ref());
            }
            (RequestKind::Deregister(key), message) => {
                if let AsapMessage::DeregistrationResponse { error: Some(error), .. } = message {
                    // It ends nevertheless: keep-alives for it are not answered any more.
                    tracing::warn!(pool = %key.handle, element = %key.id, code = %error.code(), "deregistration refused");
                }
                self.forget_element(&key);
            }
            (RequestKind::Resolve(r), AsapMessage::HandleResolutionResponse { subscribed, policy, elements, error, .. }) => {
                let listing = Listing::new(policy, elements);
                if r.subscribe {
                    self.follow_answered(now, &r.handle, subscribed && error.is_none());
                    self.on_update(now, r.handle, listing, error.as_ref());
                } else {
                    self.on_resolution_response(now, r, listing, error.as_ref());
                }
            }
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: AsapEvent) {
        self.out.push_back(Output::Event(event));
    }
}
