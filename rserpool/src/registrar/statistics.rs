//! What a registrar counts.

use core::fmt;

use super::io::RemovalReason;
use super::refusal::RefusalReason;

/// Counters since the start, and how much there is at present.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Registrations of new elements that were accepted.
    pub registrations: u64,
    /// Registrations of known elements that were accepted.
    pub renewals: u64,
    /// Deregistrations that were accepted.
    pub deregistrations: u64,
    /// Handle resolutions answered by elements.
    pub resolutions: u64,
    /// Handle resolutions of pools that are not known.
    pub unknown_pools: u64,
    /// Unreachable reports about elements whose home this registrar is.
    pub reports: u64,
    /// Unreachable reports about elements of other registrars, or about nobody: they are only counted.
    pub foreign_reports: u64,
    /// Keep-alives sent.
    pub keep_alives: u64,
    /// Keep-alive acknowledgements that were waited for.
    pub acknowledgements: u64,
    /// Updates sent to subscribers.
    pub updates_sent: u64,
    /// Announces sent.
    pub announces_sent: u64,
    /// Announces of others heard.
    pub announces_heard: u64,
    /// ASAP Error messages sent.
    pub errors_sent: u64,
    /// ASAP Error messages received.
    pub errors_received: u64,
    /// Messages that are of no concern to a registrar.
    pub ignored: u64,
    /// Refusals, in the order of [`RefusalReason::ALL`].
    pub refusals: [u64; RefusalReason::ALL.len()],
    /// Removals, in the order of [`RemovalReason::ALL`].
    pub removals: [u64; RemovalReason::ALL.len()],
    /// Pools at present.
    pub pools: usize,
    /// Elements at present, whoever is their home.
    pub elements: usize,
    /// Associations with elements and users at present.
    pub associations: usize,
    /// Subscriptions at present.
    pub subscriptions: usize,
    /// Address prefixes whose rates are known at present.
    pub prefixes: usize,
}

impl Statistics {
    /// How often something was refused for this reason.
    #[must_use]
    pub fn refused(&self, why: RefusalReason) -> u64 {
        RefusalReason::ALL.iter().zip(self.refusals).find(|(r, _)| **r == why).map_or(0, |(_, n)| n)
    }

    /// How many elements were removed for this reason.
    #[must_use]
    pub fn removed(&self, why: RemovalReason) -> u64 {
        RemovalReason::ALL.iter().zip(self.removals).find(|(r, _)| **r == why).map_or(0, |(_, n)| n)
    }

    pub(super) fn count_refusal(&mut self, why: RefusalReason) {
        let at = RefusalReason::ALL.iter().position(|r| *r == why);
        if let Some(n) = at.and_then(|at| self.refusals.get_mut(at)) {
            *n += 1;
        }
    }

    pub(super) fn count_removal(&mut self, why: RemovalReason) {
        let at = RemovalReason::ALL.iter().position(|r| *r == why);
        if let Some(n) = at.and_then(|at| self.removals.get_mut(at)) {
            *n += 1;
        }
    }
}

impl fmt::Display for Statistics {
    /// One line for each number; refusals and removals that never happened are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [
            ("registrations", self.registrations),
            ("renewals", self.renewals),
            ("deregistrations", self.deregistrations),
            ("resolutions", self.resolutions),
            ("resolutions of unknown pools", self.unknown_pools),
            ("unreachable reports", self.reports),
            ("unreachable reports about others' elements", self.foreign_reports),
            ("keep-alives sent", self.keep_alives),
            ("keep-alives acknowledged", self.acknowledgements),
            ("updates sent to subscribers", self.updates_sent),
            ("announces sent", self.announces_sent),
            ("announces heard", self.announces_heard),
            ("errors sent", self.errors_sent),
            ("errors received", self.errors_received),
            ("messages ignored", self.ignored),
        ];
        counters.iter().try_for_each(|(what, n)| writeln!(f, "{what}: {n}"))?;
        for (why, n) in RefusalReason::ALL.iter().zip(self.refusals).filter(|(_, n)| *n > 0) {
            writeln!(f, "refused, {why}: {n}")?;
        }
        for (why, n) in RemovalReason::ALL.iter().zip(self.removals).filter(|(_, n)| *n > 0) {
            writeln!(f, "removed, {why}: {n}")?;
        }
        write!(f, "now: {} pools, {} elements, {} associations, ", self.pools, self.elements, self.associations)?;
        write!(f, "{} subscriptions, {} address prefixes", self.subscriptions, self.prefixes)
    }
}
