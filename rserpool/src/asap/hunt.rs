//! The server hunt (RFC 5352 section 3.6): which registrars are known, and which of them to connect to.

use core::time::Duration;
use std::net::SocketAddr;

use arrayvec::ArrayVec;
use sctp_user::{Entropy, Time};

use super::config::AsapConfig;
use super::core::LinkId;
use crate::wire::{RegistrarId, Scope};

/// Most registrars that are remembered from announces; more are not listened to until others expire.
const MAX_HEARD: usize = 64;

/// Most associations that are begun together (RFC 5352 section 3.6, SH1).
const MAX_ATTEMPTS: usize = 3;

/// How long a registrar that could not be reached is left alone; doubles with each failure.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(4);

/// A registrar that is known.
#[derive(Debug)]
struct Entry {
    id: RegistrarId,
    addrs: Vec<SocketAddr>,
    /// When its announce becomes too old; `None` if it is known by configuration.
    expires: Option<Time>,
    /// Not to be connected to before.
    not_before: Time,
    /// Failures since it last served us.
    failures: u32,
}

impl Entry {
    fn is_loopback(&self) -> bool {
        self.addrs.iter().all(|a| Scope::of(a.ip()) <= Scope::Loopback)
    }

    fn alive(&self, now: Time) -> bool {
        self.expires.is_none_or(|t| t > now)
    }

    /// The lower, the better.
    fn rank(&self) -> (u32, bool) {
        (self.failures.min(4), self.is_loopback())
    }
}

/// An association that is being set up.
#[derive(Debug)]
struct Attempt {
    link: LinkId,
    addrs: Vec<SocketAddr>,
}

/// The registrars that are known, and the associations that are being set up.
#[derive(Debug)]
pub(super) struct Hunt {
    entries: Vec<Entry>,
    attempts: ArrayVec<Attempt, MAX_ATTEMPTS>,
    /// Expiry of T5, which runs while there are attempts.
    deadline: Option<Time>,
    t5: Duration,
    t5_initial: Duration,
    t5_max: Duration,
    t7: Duration,
    settle: Duration,
}

impl Hunt {
    pub(super) fn new(cfg: &AsapConfig) -> Self {
        let fixed = |addrs: &Vec<SocketAddr>| Entry {
            id: RegistrarId::UNDEFINED,
            addrs: addrs.clone(),
            expires: None,
            not_before: Time::ZERO,
            failures: 0,
        };
        Self {
            entries: cfg.registrars.iter().filter(|a| !a.is_empty()).map(fixed).collect(),
            attempts: ArrayVec::new(),
            deadline: None,
            t5: cfg.t5_hunt,
            t5_initial: cfg.t5_hunt,
            t5_max: cfg.retran_max,
            t7: cfg.t7_outdate,
            settle: cfg.settle,
        }
    }

    /// An announce of a registrar at `addrs` was heard.
    pub(super) fn heard(&mut self, now: Time, id: RegistrarId, addrs: Vec<SocketAddr>) {
        let expires = now + self.t7;
        if let Some(entry) = self.entries.iter_mut().find(|e| e.addrs == addrs) {
            entry.id = id;
            entry.expires = entry.expires.map(|_| expires);
            return;
        }
        self.entries.retain(|e| e.alive(now));
        if addrs.is_empty() || self.entries.len() >= MAX_HEARD {
            return;
        }
        let mut entry = Entry { id, addrs, expires: Some(expires), not_before: now, failures: 0 };
        if entry.is_loopback() {
            entry.not_before = now + self.settle;
        }
        self.entries.push(entry);
    }

    /// Who is announced at these addresses.
    pub(super) fn id_at(&self, addrs: &[SocketAddr]) -> RegistrarId {
        self.entries.iter().find(|e| e.addrs == addrs).map_or(RegistrarId::UNDEFINED, |e| e.id)
    }

    /// How many registrars are known.
    pub(super) fn known(&self, now: Time) -> usize {
        self.entries.iter().filter(|e| e.alive(now)).count()
    }

    /// The next registrar to connect to, if there is a reason to connect to one more.
    ///
    /// Those that failed least come first, and a registrar on the loopback interface only if no other is left; equal ones
    /// are drawn by lot, so that clients spread over the registrars.
    pub(super) fn next(&mut self, now: Time, rng: &mut dyn Entropy) -> Option<Vec<SocketAddr>> {
        if self.attempts.is_full() {
            return None;
        }
        let open = |e: &&Entry| e.alive(now) && e.not_before <= now && self.attempts.iter().all(|a| a.addrs != e.addrs);
        let best = self.entries.iter().filter(open).map(Entry::rank).min()?;
        // A loopback registrar would always win a race against one behind a network.
        if best.1 && self.attempts.iter().any(|a| a.addrs.iter().any(|a| Scope::of(a.ip()) > Scope::Loopback)) {
            return None;
        }
        let equal: Vec<&Entry> = self.entries.iter().filter(open).filter(|e| e.rank() == best).collect();
        let drawn = usize::try_from(rng.below(equal.len() as u64)).unwrap_or(0);
        equal.get(drawn).map(|e| e.addrs.clone())
    }

    /// An association with the registrar at `addrs` was begun.
    pub(super) fn began(&mut self, now: Time, link: LinkId, addrs: Vec<SocketAddr>) {
        if self.deadline.is_none() {
            self.deadline = Some(now + self.t5);
        }
        let _ = self.attempts.try_push(Attempt { link, addrs });
    }

    /// The attempt `link` succeeded: its addresses, and the other attempts, which are of no use any more.
    pub(super) fn succeeded(&mut self, link: LinkId) -> Option<(Vec<SocketAddr>, Vec<LinkId>)> {
        let at = self.attempts.iter().position(|a| a.link == link)?;
        let winner = self.attempts.remove(at);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.addrs == winner.addrs) {
            entry.failures = 0;
        }
        self.t5 = self.t5_initial;
        Some((winner.addrs, self.stop()))
    }

    /// The attempt `link` failed. Whether it was one.
    pub(super) fn failed(&mut self, now: Time, link: LinkId) -> bool {
        let Some(at) = self.attempts.iter().position(|a| a.link == link) else { return false };
        let attempt = self.attempts.remove(at);
        self.punish(now, &attempt.addrs);
        if self.attempts.is_empty() {
            self.deadline = None;
        }
        true
    }

    /// The registrar at `addrs` was lost or did not answer: others are tried first.
    pub(super) fn punish(&mut self, now: Time, addrs: &[SocketAddr]) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.addrs == addrs) {
            let pause = PAUSE.saturating_mul(1 << entry.failures.min(8)).min(MAX_PAUSE);
            entry.failures = entry.failures.saturating_add(1);
            entry.not_before = entry.not_before.max(now + pause);
        }
    }

    /// Ends all attempts: their links.
    pub(super) fn stop(&mut self) -> Vec<LinkId> {
        self.deadline = None;
        self.attempts.drain(..).map(|a| a.link).collect()
    }

    /// T5: gives up the attempts if it has expired (SH5).
    pub(super) fn expire(&mut self, now: Time) -> Vec<LinkId> {
        if self.deadline.is_none_or(|t| t > now) {
            return Vec::new();
        }
        self.t5 = self.t5.saturating_mul(2).min(self.t5_max);
        let addrs: Vec<_> = self.attempts.iter().map(|a| a.addrs.clone()).collect();
        for addrs in addrs {
            self.punish(now, &addrs);
        }
        self.stop()
    }

    /// When there is something to do, provided that a registrar is wanted.
    pub(super) fn poll_timeout(&self, now: Time) -> Option<Time> {
        let waiting = self.entries.iter().filter(|e| e.alive(now) && e.not_before > now).map(|e| e.not_before);
        waiting.chain(self.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use sctp_user::SeededEntropy;

    use super::*;

    fn at(s: &str) -> Vec<SocketAddr> {
        vec![s.parse().unwrap()]
    }

    fn ms(n: u64) -> Time {
        Time::from_millis(n)
    }

    #[test]
    fn prefers_a_registrar_beyond_loopback() {
        let mut rng = SeededEntropy::new(3);
        let mut h = Hunt::new(&AsapConfig::default());
        h.heard(ms(0), RegistrarId(1), at("127.0.0.1:3863"));
        assert_eq!(h.next(ms(0), &mut rng), None, "another may be heard in a moment");
        assert_eq!(h.poll_timeout(ms(0)), Some(ms(50)));
        h.heard(ms(10), RegistrarId(1), at("10.0.0.1:3863"));
        assert_eq!(h.next(ms(60), &mut rng), Some(at("10.0.0.1:3863")));
        h.began(ms(60), LinkId(1), at("10.0.0.1:3863"));
        assert_eq!(h.next(ms(60), &mut rng), None, "no race against loopback");
        assert!(h.failed(ms(70), LinkId(1)));
        assert_eq!(h.next(ms(70), &mut rng), Some(at("127.0.0.1:3863")));
    }

    #[test]
    fn three_at_once_and_entries_expire() {
        let mut rng = SeededEntropy::new(3);
        let mut h = Hunt::new(&AsapConfig::default());
        for i in 1..=5 {
            h.heard(ms(0), RegistrarId(i), at(&format!("10.0.0.{i}:3863")));
        }
        for i in 0..3 {
            let addrs = h.next(ms(0), &mut rng).unwrap();
            h.began(ms(0), LinkId(i), addrs);
        }
        assert_eq!(h.next(ms(0), &mut rng), None);
        let tried: Vec<_> = h.attempts.iter().map(|a| a.addrs.clone()).collect();
        assert_eq!(h.expire(ms(7_499)), []);
        for i in 1..=5 {
            h.heard(ms(7_000), RegistrarId(i), at(&format!("10.0.0.{i}:3863")));
        }
        assert_eq!(h.expire(ms(7_500)).len(), 3);
        let next = h.next(ms(8_000), &mut rng).unwrap();
        assert!(!tried.contains(&next), "a different set");
        assert_eq!(h.known(ms(11_999)), 5);
        assert_eq!(h.known(ms(12_000)), 0);
        assert_eq!(h.next(ms(12_000), &mut rng), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut h = Hunt::new(&AsapConfig::default());
        for port in 1..2_000u16 {
            h.heard(ms(0), RegistrarId(1), vec![SocketAddr::from(([10, 0, 0, 1], port))]);
        }
        assert_eq!(h.entries.len(), MAX_HEARD);
        h.heard(ms(6_000), RegistrarId(2), at("10.0.0.2:1"));
        assert_eq!(h.entries.len(), 1);
    }
}
