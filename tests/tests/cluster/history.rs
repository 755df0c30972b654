//! Who lived when, and when hosts and ways between them last changed: what the oracle of stale answers goes by.

use std::collections::{BTreeMap, BTreeSet};

use rserpool::asap::ElementKey;
use rserpool::wire::RegistrarId;
use sctp_user::Time;

/// An element's process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) host: usize,
    /// When it died or left its pool, if it does not live.
    pub(crate) died: Option<Time>,
}

/// How a host is at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Down,
    Up,
    Frozen,
}

#[derive(Debug)]
pub(crate) struct History {
    elements: BTreeMap<ElementKey, Life>,
    hosts: Vec<(Standing, Time)>,
    /// The registrar of each host, the last one if it is dead.
    registrars: BTreeMap<usize, RegistrarId>,
    cuts: BTreeSet<(usize, usize)>,
    links: BTreeMap<(usize, usize), Time>,
    /// When anything changed last that concerns registrars.
    unrest: Time,
}

impl History {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            elements: BTreeMap::new(),
            hosts: vec![(Standing::Down, Time::ZERO); hosts],
            registrars: BTreeMap::new(),
            cuts: BTreeSet::new(),
            links: BTreeMap::new(),
            unrest: Time::ZERO,
        }
    }

    pub(crate) fn registrar(&mut self, now: Time, host: usize, id: RegistrarId) {
        self.registrars.insert(host, id);
        self.stands(now, host, Standing::Up);
    }

    /// A registrar may change its name: it has found out that another one has it.
    pub(crate) fn renamed(&mut self, now: Time, host: usize, id: RegistrarId) {
        if self.registrars.insert(host, id) != Some(id) {
            self.hosts[host].1 = now;
            self.unrest = now;
        }
    }

    pub(crate) fn stands(&mut self, now: Time, host: usize, standing: Standing) {
        self.hosts[host] = (standing, now);
        if self.registrars.contains_key(&host) {
            self.unrest = now;
        }
        if standing == Standing::Down {
            for life in self.elements.values_mut().filter(|l| l.host == host && l.died.is_none()) {
                life.died = Some(now);
            }
        }
    }

    pub(crate) fn born(&mut self, key: ElementKey, host: usize) {
        self.elements.insert(key, Life { host, died: None });
    }

    pub(crate) fn left(&mut self, now: Time, key: &ElementKey) {
        if let Some(life) = self.elements.get_mut(key) {
            life.died.get_or_insert(now);
        }
    }

    pub(crate) fn cut(&mut self, now: Time, from: usize, to: usize, cut: bool) {
        let changed = if cut { self.cuts.insert((from, to)) } else { self.cuts.remove(&(from, to)) };
        if changed {
            self.links.insert((from.min(to), from.max(to)), now);
            if self.registrars.contains_key(&from) || self.registrars.contains_key(&to) {
                self.unrest = now;
            }
        }
    }

    pub(crate) fn weather(&mut self, now: Time) {
        self.unrest = now;
    }

    pub(crate) fn standing(&self, host: usize) -> Standing {
        self.hosts[host].0
    }

    pub(crate) fn cuts(&self) -> Vec<(usize, usize)> {
        self.cuts.iter().copied().collect()
    }

    pub(crate) fn element(&self, key: &ElementKey) -> Option<Life> {
        self.elements.get(key).copied()
    }

    /// The elements that live and have not left.
    pub(crate) fn living(&self) -> impl Iterator<Item = (&ElementKey, usize)> {
        self.elements.iter().filter(|(_, l)| l.died.is_none()).map(|(k, l)| (k, l.host))
    }

    /// When anything changed last that concerns registrars: their processes, or a way to one of them.
    pub(crate) const fn unrest(&self) -> Time {
        self.unrest
    }

    /// The host on which the registrar runs, if there is exactly one of this name.
    pub(crate) fn host_of(&self, id: RegistrarId) -> Option<usize> {
        let mut on = self.registrars.iter().filter(|(host, r)| **r == id && self.hosts[**host].0 != Standing::Down).map(|(host, _)| *host);
        on.next().filter(|_| on.next().is_none())
    }

    /// The registrars that run, with their hosts.
    pub(crate) fn running(&self) -> Vec<(usize, RegistrarId)> {
        self.registrars.iter().filter(|(host, _)| self.hosts[**host].0 != Standing::Down).map(|(h, id)| (*h, *id)).collect()
    }

    /// Whether a host has been up, and gone about its work, ever since.
    pub(crate) fn up_since(&self, host: usize, since: Time) -> bool {
        self.hosts[host].0 == Standing::Up && self.hosts[host].1 < since
    }

    /// Whether two hosts have reached each other ever since.
    pub(crate) fn joined_since(&self, a: usize, b: usize, since: Time) -> bool {
        let apart = self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a));
        !apart && self.links.get(&(a.min(b), a.max(b))).is_none_or(|t| *t < since)
    }
}
