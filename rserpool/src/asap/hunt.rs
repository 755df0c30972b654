//! The server hunt (RFC 5352 section 3.6): which registrars are known, and which of them to connect to.

use core::time::Duration;
use std::net::SocketAddr;

use arrayvec::ArrayVec;
use sctp_user::{Entropy, Time};

use super::config::AsapConfig;
use super::core::LinkId;
use super::names::{self, NameIndex, Names};
use crate::wire::{RegistrarId, Scope};

/// Most registrars that are remembered from announces; more are not listened to until others expire.
const MAX_HEARD: usize = 64;

/// Most associations that are begun together (RFC 5352 section 3.6, SH1).
const MAX_ATTEMPTS: usize = 3;

/// How long a registrar that could not be reached is left alone; doubles with each failure.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(4);

/// How a registrar is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// By configuration.
    Fixed,
    /// By a name of the configuration, one entry for each address: they may be those of several registrars.
    Named(NameIndex),
    /// By an announce, which becomes too old then (T7).
    Heard(Time),
}

/// A registrar that is known.
#[derive(Debug)]
struct Entry {
    id: RegistrarId,
    addrs: Vec<SocketAddr>,
    origin: Origin,
    /// Not to be connected to before.
    not_before: Time,
    /// Failures since it last served us.
    failures: u32,
}

impl Entry {
    const fn new(id: RegistrarId, addrs: Vec<SocketAddr>, origin: Origin) -> Self {
        Self { id, addrs, origin, not_before: Time::ZERO, failures: 0 }
    }

    fn is_loopback(&self) -> bool {
        self.addrs.iter().all(|a| Scope::of(a.ip()) <= Scope::Loopback)
    }

    fn alive(&self, now: Time) -> bool {
        !matches!(self.origin, Origin::Heard(until) if until <= now)
    }

    /// Whether this is the registrar of an attempt, as far as that is known.
    fn is_tried_by(&self, attempt: &Attempt) -> bool {
        let same_id = !self.id.is_undefined() && self.id == attempt.id;
        same_id || self.addrs.iter().any(|a| attempt.addrs.contains(a))
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
    id: RegistrarId,
    addrs: Vec<SocketAddr>,
}

/// The registrars that are known, and the associations that are being set up.
#[derive(Debug)]
pub(super) struct Hunt {
    entries: Vec<Entry>,
    names: Names,
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
        let fixed = |addrs: &Vec<SocketAddr>| Entry::new(RegistrarId::UNDEFINED, addrs.clone(), Origin::Fixed);
        Self {
            entries: cfg.registrars.iter().filter(|a| !a.is_empty()).map(fixed).collect(),
            names: Names::new(&cfg.registrar_names, cfg.retran_max),
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
        let until = now + self.t7;
        // The configuration may name some of its addresses only.
        for entry in self.entries.iter_mut().filter(|e| !matches!(e.origin, Origin::Heard(_))) {
            if entry.addrs.iter().any(|a| addrs.contains(a)) {
                entry.id = id;
            }
        }
        if let Some(entry) = self.entries.iter_mut().find(|e| e.addrs == addrs) {
            entry.id = id;
            if let Origin::Heard(t) = &mut entry.origin {
                *t = until;
            }
            return;
        }
        self.entries.retain(|e| e.alive(now));
        let heard = self.entries.iter().filter(|e| matches!(e.origin, Origin::Heard(_))).count();
        if addrs.is_empty() || heard >= MAX_HEARD {
            return;
        }
        let mut entry = Entry::new(id, addrs, Origin::Heard(until));
        if entry.is_loopback() {
            entry.not_before = now + self.settle;
        }
        self.entries.push(entry);
    }

    /// A name that is to be looked up, if a registrar is wanted: one whose addresses are unknown, or have all failed.
    pub(super) fn next_name(&mut self, now: Time) -> Option<String> {
        let entries = &self.entries;
        self.names.next(now, |name| is_in_need(entries, name))
    }

    /// What a look-up found; nothing if it failed, and then what was known before will have to do.
    pub(super) fn looked_up(&mut self, now: Time, name: &str, addrs: &[SocketAddr]) {
        let Some(name) = self.names.answered(now, name) else { return };
        let addrs = names::usable(addrs);
        if addrs.is_empty() {
            return;
        }
        let origin = Origin::Named(name);
        // Those that are still there keep their record of failures.
        self.entries.retain(|e| e.origin != origin || addrs.iter().any(|a| e.addrs == [*a]));
        for addr in addrs {
            if !self.entries.iter().any(|e| e.origin == origin && e.addrs == [addr]) {
                self.entries.push(Entry::new(RegistrarId::UNDEFINED, vec![addr], origin));
            }
        }
    }

    /// Who is announced at these addresses.
    pub(super) fn id_at(&self, addrs: &[SocketAddr]) -> RegistrarId {
        self.entries.iter().find(|e| e.addrs == addrs).map_or(RegistrarId::UNDEFINED, |e| e.id)
    }

    /// How many registrars are known, by name at least.
    pub(super) fn known(&self, now: Time) -> usize {
        self.entries.iter().filter(|e| e.alive(now)).count().max(self.names.len())
    }

    /// The next registrar to connect to, if there is a reason to connect to one more.
    ///
    /// Those that failed least come first, and a registrar on the loopback interface only if no other is left; equal ones
    /// are drawn by lot, so that clients spread over the registrars.
    pub(super) fn next(&mut self, now: Time, rng: &mut dyn Entropy) -> Option<Vec<SocketAddr>> {
        if self.attempts.is_full() {
            return None;
        }
        let open = |e: &&Entry| e.alive(now) && e.not_before <= now && !self.attempts.iter().any(|a| e.is_tried_by(a));
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
        let id = self.id_at(&addrs);
        let _ = self.attempts.try_push(Attempt { link, id, addrs });
    }

    /// The attempt `link` succeeded: its addresses, and the other attempts, which are of no use any more.
    pub(super) fn succeeded(&mut self, link: LinkId) -> Option<(Vec<SocketAddr>, Vec<LinkId>)> {
        let at = self.attempts.iter().position(|a| a.link == link)?;
        let winner = self.attempts.remove(at);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.addrs == winner.addrs) {
            entry.failures = 0;
            if let Origin::Named(name) = entry.origin {
                self.names.serves(name);
            }
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

    /// The registrar of this identifier was lost, wherever it is.
    pub(super) fn punish_id(&mut self, now: Time, id: RegistrarId) {
        if id.is_undefined() {
            return;
        }
        let all: Vec<Vec<SocketAddr>> = self.entries.iter().filter(|e| e.id == id).map(|e| e.addrs.clone()).collect();
        for addrs in all {
            self.punish(now, &addrs);
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
        let names = self.names.poll_timeout(now, |name| is_in_need(&self.entries, name));
        waiting.chain(self.deadline).chain(names).min()
    }
}

/// Whether none of a name's addresses is known to be worth trying.
fn is_in_need(entries: &[Entry], name: NameIndex) -> bool {
    entries.iter().filter(|e| e.origin == Origin::Named(name)).all(|e| e.failures > 0)
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

    /// RFC 5352 rows: 3.6-3, 3.6-13, 3.6-14, 3.6-15.
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
    fn one_registrar_is_not_tried_at_two_addresses_at_once() {
        let mut rng = SeededEntropy::new(3);
        let cfg = AsapConfig { registrars: vec![[at("10.0.0.1:1"), at("10.1.0.1:1")].concat()], ..AsapConfig::default() };
        let mut h = Hunt::new(&cfg);
        h.heard(ms(0), RegistrarId(1), at("10.0.0.1:1"));
        h.heard(ms(0), RegistrarId(1), at("10.2.0.1:1"));
        let addrs = h.next(ms(0), &mut rng).unwrap();
        h.began(ms(0), LinkId(1), addrs);
        assert_eq!(h.next(ms(0), &mut rng), None);
        h.heard(ms(0), RegistrarId(2), at("10.2.0.2:1"));
        assert_eq!(h.next(ms(0), &mut rng), Some(at("10.2.0.2:1")));
        h.failed(ms(1), LinkId(1));
        let mut others: Vec<_> = std::iter::from_fn(|| {
            let addrs = h.next(ms(1), &mut rng)?;
            h.began(ms(1), LinkId(2), addrs.clone());
            h.failed(ms(1), LinkId(2));
            Some(addrs)
        })
        .collect();
        others.sort();
        assert_eq!(others.len(), 3, "SH4: another transport address of it: {others:?}");
    }

    #[test]
    fn a_name_is_looked_up_again_with_back_off_when_all_its_addresses_fail() {
        let mut rng = SeededEntropy::new(3);
        let cfg = AsapConfig { registrar_names: vec!["r.example:3863".into()], ..AsapConfig::default() };
        let mut h = Hunt::new(&cfg);
        assert_eq!(h.next(ms(0), &mut rng), None);
        assert_eq!(h.next_name(ms(0)).as_deref(), Some("r.example:3863"));
        assert_eq!(h.next_name(ms(0)), None, "asked already");
        h.looked_up(ms(5), "other.example:3863", &at("10.0.0.9:3863"));
        assert_eq!(h.entries.len(), 0);
        let both = [at("10.0.0.1:3863"), at("10.0.0.2:3863"), at("0.0.0.0:3863"), at("10.0.0.2:3863")].concat();
        h.looked_up(ms(5), "r.example:3863", &both);
        assert_eq!(h.entries.len(), 2, "each usable address once");
        for link in [1, 2] {
            assert_eq!(h.next_name(ms(2_000)), None, "there is one to try");
            let addrs = h.next(ms(2_000), &mut rng).unwrap();
            h.began(ms(2_000), LinkId(link), addrs);
            h.failed(ms(2_000), LinkId(link));
        }
        // The first look-up is over for a second; later ones pause twice as long each.
        let mut at_times = vec![];
        let mut now = ms(2_000);
        for _ in 0..9 {
            assert!(h.next_name(now).is_some());
            at_times.push(now);
            h.looked_up(now, "r.example:3863", &[]);
            assert_eq!(h.next_name(now), None);
            now = h.names.poll_timeout(now, |_| true).unwrap();
        }
        let pauses: Vec<_> = at_times.windows(2).map(|w| (w[1] - w[0]).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60], "up to RETRAN-MAX");
        assert_eq!(h.entries.len(), 2, "a look-up that fails takes nothing away");
        h.looked_up(now, "r.example:3863", &[]);
        assert!(h.next_name(now).is_some());
        h.looked_up(now, "r.example:3863", &at("10.0.0.3:3863"));
        assert_eq!(h.entries.len(), 1);
        let addrs = h.next(now, &mut rng).unwrap();
        h.began(now, LinkId(3), addrs);
        assert!(h.succeeded(LinkId(3)).is_some());
        h.punish(now, &at("10.0.0.3:3863"));
        let later = now + Duration::from_secs(60);
        assert!(h.next_name(later).is_some());
        h.looked_up(later, "r.example:3863", &[]);
        assert!(h.next_name(later + Duration::from_secs(1)).is_some(), "the pauses began anew when it served");
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
