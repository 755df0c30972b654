//! The role of a pool element: registration, renewal, keep-alives, deregistration (RFC 5352 sections 3.1, 3.2 and 3.5).

use core::time::Duration;
use std::net::IpAddr;

use sctp_user::Time;

use super::core::{Asap, AsapEvent};
use super::error::{RegisterError, may_pass};
use super::request::RequestKind;
use crate::wire::{
    AsapMessage, CauseCode, ElementId, Life, OperationError, PolicyParam, PoolElement, PoolHandle, RegistrarId, Scope, Transport,
    TransportUse,
};

/// Most elements of one process.
const MAX_ELEMENTS: usize = 65_536;

/// The first pause after a registration that got no answer; doubles up to RETRAN-MAX.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// An element of this process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementKey {
    /// Its pool.
    pub handle: PoolHandle,
    /// Its identifier in the pool.
    pub id: ElementId,
}

/// What is registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElementSpec {
    /// Pool and identifier; [`ElementId::UNDEFINED`] lets [`Asap::register`] draw one.
    pub key: ElementKey,
    /// The SCTP port on which users are served.
    pub port: u16,
    /// Whether users may use the association as a control channel, for cookies.
    pub usage: TransportUse,
    /// The addresses on which users are served; `None` takes those that the registrar knows us by.
    pub addrs: Option<Vec<IpAddr>>,
    /// The pool's policy with this element's values.
    pub policy: PolicyParam,
    /// T4: how often the registration is renewed.
    pub interval: Duration,
    /// How long a registration is valid; at least twice the interval makes sense.
    pub life: Duration,
}

impl ElementSpec {
    /// An element of `handle` that serves sessions on `port`: round robin, renewed each 30 s, valid for three times as long.
    #[must_use]
    pub fn new(handle: PoolHandle, port: u16) -> Self {
        let interval = Duration::from_secs(30);
        Self {
            key: ElementKey { handle, id: ElementId::UNDEFINED },
            port,
            usage: TransportUse::DATA_PLUS_CONTROL,
            addrs: None,
            policy: PolicyParam::RoundRobin {},
            interval,
            life: interval * 3,
        }
    }
}

/// How it stands with an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementState {
    /// Not registered yet, or not any more; it is tried.
    Registering,
    /// Registered.
    Registered,
    /// Refused for this reason; not tried again unless something is changed.
    Rejected(CauseCode),
    /// Leaving the pool.
    Deregistering,
}

#[derive(Debug)]
pub(super) struct OwnElement {
    spec: ElementSpec,
    state: ElementState,
    /// A registration is in the queue of requests.
    asked: bool,
    /// Something changed since that registration was sent.
    dirty: bool,
    /// When the last registration was sent.
    last_sent: Option<Time>,
    /// The next pause after a registration without an answer.
    pause: Duration,
    /// The lack of a registrar was reported and has not ended.
    told: bool,
    /// It was registered once: a refusal may be the registrar's passing state.
    was_registered: bool,
}

impl Asap {
    /// Registers an element and keeps it registered; the outcome comes as [`AsapEvent`].
    ///
    /// RFC 5352 section 3.1 advises to stop after MAX-REG-ATTEMPT failures. Here the failure is reported then, but attempts go
    /// on with back-off: a registrar that comes back finds its elements. Who wants to stop deregisters.
    ///
    /// # Errors
    /// There are too many, or this one exists.
    pub fn register(&mut self, now: Time, mut spec: ElementSpec) -> Result<ElementKey, RegisterError> {
        if self.elements.len() >= MAX_ELEMENTS {
            return Err(RegisterError::TooManyElements);
        }
        while spec.key.id.is_undefined() {
            spec.key.id = ElementId(self.entropy.u32());
        }
        let key = spec.key.clone();
        if self.elements.contains_key(&key) {
            return Err(RegisterError::Duplicate);
        }
        let element = OwnElement {
            spec,
            state: ElementState::Registering,
            asked: false,
            dirty: false,
            last_sent: None,
            pause: FIRST_PAUSE,
            told: false,
            was_registered: false,
        };
        self.elements.insert(key.clone(), element);
        self.ask_registration(now, &key);
        self.drive(now);
        Ok(key)
    }

    /// Changes the policy's values, such as the load, and tells the registrar, unless that was done a moment ago.
    ///
    /// An element that was rejected is tried again. Unknown elements are ignored.
    pub fn update(&mut self, now: Time, key: &ElementKey, policy: PolicyParam) {
        let pause = self.cfg.min_update_interval;
        let Some(element) = self.elements.get_mut(key) else { return };
        if matches!(element.state, ElementState::Deregistering) || element.spec.policy == policy {
            return;
        }
        element.spec.policy = policy;
        if matches!(element.state, ElementState::Rejected(_)) {
            element.state = ElementState::Registering;
        }
        if element.asked {
            element.dirty = true;
        } else {
            let earliest = element.last_sent.map_or(now, |t| t + pause).max(now);
            let planned = self.due.get(key).unwrap_or(Time::MAX);
            self.due.set(key.clone(), Some(earliest.min(planned)));
        }
        self.drive(now);
    }

    /// Takes an element out of its pool; [`AsapEvent::Deregistered`] follows, also if no registrar can be told.
    pub fn deregister(&mut self, now: Time, key: &ElementKey) {
        let Some(element) = self.elements.get_mut(key) else { return };
        if matches!(element.state, ElementState::Deregistering) {
            return;
        }
        element.state = ElementState::Deregistering;
        let was_sent = element.last_sent.is_some();
        self.due.set(key.clone(), None);
        if self.home.is_none() {
            self.queue.retain(|r| r.kind != RequestKind::Register(key.clone()));
        }
        if was_sent {
            self.request(now, RequestKind::Deregister(key.clone()));
        } else {
            self.forget_element(key);
        }
        self.drive(now);
    }

    /// How it stands with an element; `None` if there is no such one.
    #[must_use]
    pub fn element_state(&self, key: &ElementKey) -> Option<ElementState> {
        self.elements.get(key).map(|e| e.state)
    }

    /// Whether any element is registered, or on its way in or out.
    #[must_use]
    pub fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    fn ask_registration(&mut self, now: Time, key: &ElementKey) {
        let Some(element) = self.elements.get_mut(key).filter(|e| !e.asked) else { return };
        element.asked = true;
        self.due.set(key.clone(), None);
        self.request(now, RequestKind::Register(key.clone()));
    }

    /// Registers whatever is due.
    pub(super) fn register_due(&mut self, now: Time) {
        while let Some(key) = self.due.pop_expired(now) {
            self.ask_registration(now, &key);
        }
    }

    /// There is a new home, or our addresses changed: all registrations are renewed.
    pub(super) fn renew_all(&mut self, now: Time) {
        // Another registrar decides anew about elements that this or another one had accepted before.
        for e in self.elements.values_mut().filter(|e| e.was_registered && matches!(e.state, ElementState::Rejected(_))) {
            e.state = ElementState::Registering;
        }
        let wanted = |e: &OwnElement| !e.asked && matches!(e.state, ElementState::Registering | ElementState::Registered);
        let keys: Vec<ElementKey> = self.elements.iter().filter(|(_, e)| wanted(e)).map(|(k, _)| k.clone()).collect();
        for key in keys {
            self.ask_registration(now, &key);
        }
    }

    /// Whether this only registers again what a registrar had accepted.
    pub(super) fn is_renewal(&self, request: &RequestKind) -> bool {
        matches!(request, RequestKind::Register(key) if self.elements.get(key).is_some_and(|e| e.was_registered))
    }

    /// The registration as it is now; `None` if the element is gone.
    pub(super) fn registration_of(&mut self, now: Time, key: &ElementKey) -> Option<AsapMessage> {
        let home = self.home.as_ref()?;
        let element = self.elements.get_mut(key)?;
        element.last_sent = Some(now);
        element.dirty = false;
        let spec = &element.spec;
        let mut addrs = spec.addrs.clone().unwrap_or_else(|| home.local.clone());
        // "MUST be a bound IP address in the SCTP endpoint used to communicate with the ENRP server" (RFC 5352 section 6.1). If none
        // is, the registrar says so.
        if addrs.iter().any(|a| home.local.contains(a)) {
            addrs.retain(|a| home.local.contains(a));
        }
        // What is of no use to anybody else goes, as long as something is left.
        let best = addrs.iter().map(|a| Scope::of(*a)).max().unwrap_or(Scope::None).min(Scope::SiteLocal);
        addrs.retain(|a| Scope::of(*a) >= best);
        let element = PoolElement {
            id: key.id,
            home: RegistrarId::UNDEFINED,
            life: Life::from_duration(spec.life, self.cfg.life_unit),
            user: Transport::sctp(spec.port, spec.usage, addrs),
            policy: spec.policy.clone(),
            asap: None,
        };
        Some(AsapMessage::Registration { handle: key.handle.clone(), element })
    }

    pub(super) fn on_registration_response(&mut self, now: Time, key: &ElementKey, reject: bool, error: Option<&OperationError>) {
        let pause = self.cfg.min_update_interval;
        let Some(element) = self.elements.get_mut(key) else { return };
        element.asked = false;
        if matches!(element.state, ElementState::Deregistering) {
            return;
        }
        element.told = false;
        if !reject {
            if let Some(warning) = error {
                tracing::warn!(pool = %key.handle, element = %key.id, code = %warning.code(), "registered, with a warning");
            }
            element.pause = FIRST_PAUSE;
            element.was_registered = true;
            element.state = ElementState::Registered;
            let next = if element.dirty { pause } else { element.spec.interval };
            self.due.set(key.clone(), Some(now + next));
            self.event(AsapEvent::Registered { key: key.clone() });
            return;
        }
        let code = error.map_or(CauseCode::UNSPECIFIED, OperationError::code);
        tracing::warn!(pool = %key.handle, element = %key.id, %code, "registration rejected");
        let passing = may_pass(code, element.was_registered);
        if passing {
            element.state = ElementState::Registering;
            let at = now + element.pause;
            element.pause = element.pause.saturating_mul(2).min(self.cfg.retran_max);
            self.due.set(key.clone(), Some(at));
        } else if element.dirty {
            element.state = ElementState::Registering;
            self.due.set(key.clone(), Some(now + pause));
        } else {
            element.state = ElementState::Rejected(code);
        }
        let error = if passing { RegisterError::Postponed(code) } else { RegisterError::Rejected(code) };
        self.event(AsapEvent::RegistrationFailed { key: key.clone(), error });
    }

    /// A registration got no answer, or found no registrar.
    pub(super) fn registration_failed(&mut self, now: Time, key: &ElementKey, error: RegisterError) {
        let most = self.cfg.retran_max;
        let Some(element) = self.elements.get_mut(key) else { return };
        element.asked = false;
        if matches!(element.state, ElementState::Deregistering) {
            return;
        }
        element.state = ElementState::Registering;
        let at = now + element.pause;
        element.pause = element.pause.saturating_mul(2).min(most);
        let news = !core::mem::replace(&mut element.told, true);
        self.due.set(key.clone(), Some(at));
        if news {
            self.event(AsapEvent::RegistrationFailed { key: key.clone(), error });
        }
    }

    /// The registrar says that the element is not registered any more, without having been asked.
    pub(super) fn registration_expired(&mut self, now: Time, key: &ElementKey) {
        let Some(element) = self.elements.get_mut(key).filter(|e| e.state == ElementState::Registered) else { return };
        tracing::warn!(pool = %key.handle, element = %key.id, "registration expired: registering again");
        element.state = ElementState::Registering;
        self.ask_registration(now, key);
    }

    pub(super) fn forget_element(&mut self, key: &ElementKey) {
        if self.elements.remove(key).is_some() {
            self.due.set(key.clone(), None);
            self.event(AsapEvent::Deregistered { key: key.clone() });
        }
    }

    /// Which elements a keep-alive asks for: the named one, or all of the pool (rulings, 2.13).
    pub(super) fn elements_asked_for(&self, pool: &PoolHandle, id: Option<ElementId>) -> Vec<ElementId> {
        let asked = |key: &ElementKey| key.handle == *pool && id.is_none_or(|id| id == key.id);
        let alive = |e: &OwnElement| !matches!(e.state, ElementState::Deregistering);
        self.elements.iter().filter(|(key, e)| asked(key) && alive(e)).map(|(key, _)| key.id).collect()
    }
}
