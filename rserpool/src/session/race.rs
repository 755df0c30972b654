//! Connecting to the first element that answers: candidates are begun one after the other, without waiting for failures.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use sctp_user::Time;

use crate::asap::LinkId;
use crate::wire::{ElementId, PoolElement, Protocol, Scope};

/// Most associations that are begun together.
const MAX_ATTEMPTS: usize = 4;

#[derive(Debug)]
struct Attempt {
    link: LinkId,
    element: PoolElement,
    since: Time,
}

/// Elements that are tried, the best first.
#[derive(Debug)]
pub(super) struct Race {
    left: VecDeque<PoolElement>,
    attempts: Vec<Attempt>,
    /// When the next one is begun.
    next_at: Time,
    pause: Duration,
}

/// Who won.
pub(super) struct Outcome {
    pub(super) winner: PoolElement,
    /// Associations that are not needed any more.
    pub(super) losers: Vec<LinkId>,
    /// Elements that were begun earlier and had far more time: they may be dead.
    pub(super) suspects: Vec<PoolElement>,
}

impl Race {
    /// Among `elements`, those that a session can use; `avoid` is tried last.
    pub(super) fn new(now: Time, mut elements: Vec<PoolElement>, avoid: Option<ElementId>, pause: Duration) -> Self {
        elements.retain(|e| e.user.protocol == Protocol::Sctp && !addresses(e).is_empty());
        elements.sort_by_key(|e| Some(e.id) == avoid);
        Self { left: elements.into(), attempts: Vec::new(), next_at: now, pause }
    }

    /// The next element to connect to, if it is time.
    pub(super) fn next(&mut self, now: Time, link: LinkId) -> Option<Vec<SocketAddr>> {
        if now < self.next_at || self.attempts.len() >= MAX_ATTEMPTS {
            return None;
        }
        let element = self.left.pop_front()?;
        self.next_at = now + self.pause;
        let addrs = addresses(&element);
        self.attempts.push(Attempt { link, element, since: now });
        Some(addrs)
    }

    /// An association is up.
    pub(super) fn won(&mut self, now: Time, link: LinkId) -> Option<Outcome> {
        let at = self.attempts.iter().position(|a| a.link == link)?;
        let winner = self.attempts.remove(at);
        let took = now.saturating_since(winner.since);
        let patience = took.saturating_mul(3).max(self.pause);
        let late = |a: &Attempt| a.since < winner.since && now.saturating_since(a.since) > patience;
        Some(Outcome {
            losers: self.attempts.iter().map(|a| a.link).collect(),
            suspects: self.attempts.iter().filter(|a| late(a)).map(|a| a.element.clone()).collect(),
            winner: winner.element,
        })
    }

    /// An association could not be set up: whose. The next one is begun at once.
    pub(super) fn lost(&mut self, now: Time, link: LinkId) -> Option<PoolElement> {
        let at = self.attempts.iter().position(|a| a.link == link)?;
        self.next_at = now;
        Some(self.attempts.remove(at).element)
    }

    /// Whether nothing can come of it any more.
    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty() && self.attempts.is_empty()
    }

    /// Gives up: the associations to end.
    pub(super) fn links(&self) -> Vec<LinkId> {
        self.attempts.iter().map(|a| a.link).collect()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        (!self.left.is_empty() && self.attempts.len() < MAX_ATTEMPTS).then_some(self.next_at)
    }
}

/// Where an element is reached. Loopback addresses, which every host has, count only if there are no others.
fn addresses(element: &PoolElement) -> Vec<SocketAddr> {
    let mut addrs: Vec<SocketAddr> = element.user.socket_addrs().collect();
    addrs.retain(|a| a.port() != 0 && !matches!(Scope::of(a.ip()), Scope::None | Scope::LinkLocal));
    if addrs.iter().any(|a| Scope::of(a.ip()) > Scope::Loopback) {
        addrs.retain(|a| Scope::of(a.ip()) > Scope::Loopback);
    }
    addrs
}
