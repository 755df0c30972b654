//! Registrars that are known by the name of their host. Who drives the core looks names up, since that is no work for a
//! protocol; when that is wanted is decided here.

use core::time::Duration;
use std::net::SocketAddr;

use sctp_user::Time;

/// Most addresses of one name; more are left out.
pub(super) const MAX_ADDRS_OF_NAME: usize = 16;

/// The pause between two look-ups of a name, as long as they lead to nobody; doubles each time.
const PAUSE: Duration = Duration::from_secs(1);

/// Number of a name in the order of the configuration.
pub(super) type NameIndex = usize;

#[derive(Debug)]
struct Name {
    name: String,
    /// Being looked up.
    asked: bool,
    /// Not to be looked up before.
    not_before: Time,
    /// Look-ups since a registrar of this name served us.
    rounds: u32,
}

/// The names, and when each is to be looked up.
#[derive(Debug)]
pub(super) struct Names {
    all: Vec<Name>,
    max_pause: Duration,
}

impl Names {
    pub(super) fn new(names: &[String], max_pause: Duration) -> Self {
        let name = |name: &String| Name { name: name.clone(), asked: false, not_before: Time::ZERO, rounds: 0 };
        Self { all: names.iter().map(name).collect(), max_pause }
    }

    /// A name that is to be looked up now. `in_need` says whether none of a name's addresses is worth trying.
    pub(super) fn next(&mut self, now: Time, in_need: impl Fn(NameIndex) -> bool) -> Option<String> {
        let due = |(i, n): &(NameIndex, &mut Name)| !n.asked && n.not_before <= now && in_need(*i);
        let (_, name) = self.all.iter_mut().enumerate().find(due)?;
        name.asked = true;
        Some(name.name.clone())
    }

    /// A look-up has ended: whose, if it was wanted.
    pub(super) fn answered(&mut self, now: Time, name: &str) -> Option<NameIndex> {
        let (index, name) = self.all.iter_mut().enumerate().find(|(_, n)| n.asked && n.name == name)?;
        name.asked = false;
        let pause = PAUSE.saturating_mul(1 << name.rounds.min(16)).min(self.max_pause);
        name.rounds = name.rounds.saturating_add(1);
        name.not_before = now + pause;
        Some(index)
    }

    /// A registrar of this name serves.
    pub(super) fn serves(&mut self, index: NameIndex) {
        if let Some(name) = self.all.get_mut(index) {
            name.rounds = 0;
        }
    }

    /// When the next look-up may be made.
    pub(super) fn poll_timeout(&self, now: Time, in_need: impl Fn(NameIndex) -> bool) -> Option<Time> {
        let waits = |(i, n): &(NameIndex, &Name)| !n.asked && n.not_before > now && in_need(*i);
        self.all.iter().enumerate().filter(waits).map(|(_, n)| n.not_before).min()
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }
}

/// The addresses of a name that are of use.
pub(super) fn usable(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut usable = Vec::new();
    for addr in addrs.iter().map(|a| SocketAddr::new(a.ip().to_canonical(), a.port())) {
        if addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast() && !usable.contains(&addr) {
            usable.push(addr);
        }
    }
    usable.truncate(MAX_ADDRS_OF_NAME);
    usable
}
