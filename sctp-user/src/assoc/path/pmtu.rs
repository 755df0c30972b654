//! Path MTU discovery of the packetisation layer (RFC 8899), one search for each path.
//!
//! All sizes are those of whole IP packets in bytes, headers included, so that addresses of both families, UDP encapsulation
//! and reports by ICMP compare directly.
//!
//! RFC 8899 begins at BASE_PLPMTU and searches upwards. We begin at the size that the user configured, the Ethernet MTU by
//! default, as kernels do: nearly every path carries it, and the first flight does not have to be built from short packets. As
//! long as nothing of that size has been confirmed, a single T3-rtx expiry, or three lost probes, end the assumption; from then
//! on everything goes as the RFC has it. What confirms a size is a probe that was answered, or a DATA chunk that was acknowledged
//! and left for the first time in a packet of that size.
//!
//! Not so on IPv6: no router cuts a packet that is too long, and a chunk that was made for a size which does not pass can never
//! arrive, for it is not cut again either (RFC 9260 section 6.9). There we begin at the base, which every link carries.
//!
//! ```text
//!            confirmed              no candidate is left
//!     Base ────────────▶ Searching ─────────────────────▶ Complete
//!     │  ▲                   ▲    ◀───────────────────────
//!     │  │ black hole        │       PMTU_RAISE_TIMER
//!     │  └── (any state)     │ base confirmed
//!     └───────▶ Error ───────┘
//!      base lost
//! ```
//!
//! An association that never fills a packet needs no search and has none (RFC 8899 section 5.1.1 lets an idle sender rest); once
//! one path has carried a full packet, all confirmed paths search, so that the one that data switches to is known by then.

use core::time::Duration;
use std::net::IpAddr;

use crate::config::AssocConfig;
use crate::time::{Earliest, Time};

/// MAX_PROBES: so many probes of one size are lost before it counts as too large.
const MAX_PROBES: u32 = 3;
/// PMTU_RAISE_TIMER: after so long a larger size is looked for again.
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// After so long a path that does not even carry the base size is asked again.
const RETRY_BASE_AFTER: Duration = Duration::from_secs(30);
/// Least PROBE_TIMER (RFC 8899 section 5.1.1: MUST NOT be smaller).
const MIN_PROBE_TIMER: Duration = Duration::from_secs(1);
/// BASE_PLPMTU on IPv4.
const BASE_V4: usize = 1200;
/// MIN_PLPMTU on IPv4: what every host takes (RFC 1122 section 3.3.2). Less is never believed, so that nobody can have us send
/// dust.
const MIN_V4: usize = 576;
/// BASE_PLPMTU and MIN_PLPMTU on IPv6: every link carries it (RFC 8200).
const MIN_V6: usize = 1280;
/// Sizes that paths often have: Ethernet with and without tunnels and PPPoE, mobile networks, FDDI, jumbo frames. If the largest
/// size of all does not pass, the search halves this list; what lies between is found with the help of ICMP only.
const USUAL: [usize; 17] = [1006, 1200, 1280, 1360, 1400, 1420, 1440, 1452, 1460, 1472, 1480, 1492, 1500, 2304, 4352, 8160, 9000];

/// Where the search stands (RFC 8899 section 5.2); while discovery is off there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The size in use is not confirmed.
    Base,
    /// Larger sizes are being tried.
    Searching,
    /// The largest one is in use, until the raise timer has passed.
    Complete,
    /// Not even the base size passes: the minimum is in use.
    Error,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug)]
struct Probe {
    nonce: u64,
    sent: Time,
    expires: Time,
}

/// The path MTU of one path and the search for it.
#[derive(Clone, Debug)]
pub(crate) struct Pmtu {
    /// `None` if the size is fixed.
    phase: Option<Phase>,
    min: usize,
    base: usize,
    max: usize,
    /// PLPMTU: what packets are built for.
    size: usize,
    /// Whether a packet of this size is known to have arrived.
    confirmed: bool,
    /// Sizes from here on do not pass, as far as this round of the search knows.
    ceiling: usize,
    /// A size that the network named.
    hint: Option<usize>,
    /// The network named one below the base: to ask for the base again at once would bring the same answer, for ever.
    below_base: bool,
    /// Whether this round has tried the largest size of all.
    tried_top: bool,
    /// The size being probed, and how many probes of it were lost.
    trying: Option<(usize, u32)>,
    /// The last probe, unless it was answered or given up.
    probe: Option<Probe>,
    /// Whether traffic would gain from larger packets.
    wanted: bool,
    /// When the next round begins; also bounds how often `Error` asks.
    raise_at: Option<Time>,
    /// T3-rtx expiries since a packet above [`Pmtu::safe`] was last known to have arrived.
    strikes: u32,
    /// Whether such a packet left since T3-rtx last expired.
    large_sent: bool,
}

impl Pmtu {
    /// A path of which nothing is known.
    pub(crate) fn new(cfg: &AssocConfig, peer: IpAddr) -> Self {
        let min = if peer.is_ipv6() { MIN_V6 } else { MIN_V4 };
        let base = if peer.is_ipv6() { MIN_V6 } else { BASE_V4 };
        let max = cfg.max_mtu.max(cfg.mtu).max(min);
        let size = match cfg.pmtu_discovery {
            true if peer.is_ipv6() => base,
            true => cfg.mtu.max(min),
            false => cfg.mtu,
        };
        Self {
            phase: cfg.pmtu_discovery.then_some(Phase::Base),
            min,
            base: base.min(size),
            max,
            size,
            confirmed: false,
            ceiling: max + 1,
            hint: None,
            below_base: false,
            tried_top: false,
            trying: None,
            probe: None,
            wanted: false,
            raise_at: None,
            strikes: 0,
            large_sent: false,
        }
    }

    /// Packets are built for `size` bytes, and there is no search.
    pub(crate) fn fixed_at(cfg: &AssocConfig, peer: IpAddr, size: usize) -> Self {
        Self { phase: None, size, ..Self::new(cfg, peer) }
    }

    /// The size, if there is no search for it.
    pub(crate) fn fixed(&self) -> Option<usize> {
        self.phase.is_none().then_some(self.size)
    }

    /// What packets are built for.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether the search has begun.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted || self.phase.is_none()
    }

    /// Full packets are being sent: larger ones would help.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// When [`Pmtu::on_timer`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let mut next = Earliest::new();
        next.note(self.probe.map(|p| p.expires));
        next.note(self.raise_at.filter(|_| self.wanted));
        next.get()
    }

    /// Whether [`Pmtu::due`] may have an answer.
    pub(crate) fn may_be_due(&self) -> bool {
        self.wanted && self.probe.is_none() && self.raise_at.is_none()
    }

    /// The size of the probe to send now, if one is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<usize> {
        if !self.may_be_due() {
            return None;
        }
        if self.trying.is_none() {
            self.trying = self.candidate().map(|size| (size, 0));
            if self.trying.is_none() {
                self.finish(now);
            }
        }
        self.trying.map(|(size, _)| size)
    }

    /// A probe leaves; the timer runs for at least `rto`.
    pub(crate) fn on_probe_sent(&mut self, now: Time, nonce: u64, rto: Duration) {
        self.probe = Some(Probe { nonce, sent: now, expires: now + rto.max(MIN_PROBE_TIMER) });
    }

    /// A HEARTBEAT ACK returned `nonce`: the round-trip time if it answers the probe.
    pub(crate) fn on_probe_ack(&mut self, now: Time, nonce: u64) -> Option<Duration> {
        let probe = self.probe.take_if(|p| p.nonce == nonce)?;
        let (size, _) = self.trying.take()?;
        self.hint.take_if(|h| *h <= size);
        self.size = self.size.max(size);
        self.on_confirmed(size);
        Some(now - probe.sent)
    }

    /// The probe timer, or the raise timer, may have expired. `connected`: small packets pass, as far as is known; if not, a lost
    /// probe says nothing about its size.
    pub(crate) fn on_timer(&mut self, now: Time, connected: bool) {
        if self.probe.is_some_and(|p| p.expires <= now) {
            self.probe = None;
            if connected && let Some((size, lost)) = &mut self.trying {
                *lost += 1;
                if *lost >= MAX_PROBES {
                    let size = *size;
                    self.on_too_large(now, size);
                }
            }
        }
        if self.wanted && self.raise_at.is_some_and(|at| at <= now) {
            self.raise_at = None;
            self.below_base = false;
            if self.phase == Some(Phase::Complete) {
                self.phase = Some(Phase::Searching);
                self.begin_round(self.max + 1);
            }
        }
    }

    /// DATA leaves in a packet of this size that IP may not fragment.
    pub(crate) fn on_data_sent(&mut self, size: usize) {
        self.large_sent |= size > self.safe();
    }

    /// A DATA chunk arrived that left in a packet of this size and was never sent again.
    pub(crate) fn on_data_acked(&mut self, size: usize) {
        if self.phase.is_some() && size > self.safe() {
            self.strikes = 0;
            // Chunks are multiples of four: a full packet may have three bytes less.
            if size + 4 > self.size {
                self.on_confirmed(self.size);
            }
        }
    }

    /// T3-rtx expired: a black hole, if it happens again and again to large packets (RFC 8899 section 4.3).
    pub(crate) fn on_t3(&mut self) {
        if self.phase.is_none() || !core::mem::take(&mut self.large_sent) {
            return;
        }
        self.strikes += 1;
        if self.strikes > u32::from(self.confirmed) {
            // The size that failed may be tried again: it could have been plain loss.
            self.fall(self.size + 1);
        }
    }

    /// A validated report that packets above `mtu` bytes do not pass (RFC 8899 section 4.6.2): a hint where to probe, never a
    /// size to use. Answers whether anything came of it.
    pub(crate) fn on_too_big(&mut self, mtu: usize) -> bool {
        let probed = self.probe.and(self.trying).map_or(0, |(size, _)| size);
        if self.phase.is_none() || mtu < self.min || mtu >= self.size.max(probed) {
            return false;
        }
        let hint = mtu & !3;
        if mtu < self.size {
            self.fall(mtu + 1);
            if self.size >= self.base {
                self.phase = Some(Phase::Searching);
            }
        } else {
            self.ceiling = self.ceiling.min(mtu + 1);
            self.forget_probe();
        }
        self.hint = Some(hint).filter(|h| *h > self.size);
        self.below_base = mtu < self.base;
        true
    }

    /// The next size to try, if there is one.
    fn candidate(&self) -> Option<usize> {
        let fits = |s: &usize| *s > self.size && *s < self.ceiling && *s <= self.max;
        match self.phase? {
            Phase::Base => Some(self.size),
            Phase::Complete => None,
            Phase::Error => {
                self.hint.filter(fits).or(Some(self.base).filter(|_| !self.below_base)).filter(|s| *s > self.size || !self.confirmed)
            }
            Phase::Searching => {
                let top = self.max.min(self.ceiling - 1) & !3;
                if let Some(hint) = self.hint.filter(fits) {
                    return Some(hint);
                }
                if !self.tried_top && top > self.size {
                    return Some(top);
                }
                let usual: arrayvec::ArrayVec<usize, { USUAL.len() }> = USUAL.into_iter().filter(fits).collect();
                usual.get(usual.len() / 2).copied()
            }
        }
    }

    fn begin_round(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
        self.tried_top = false;
        self.hint = None;
        self.below_base = false;
        self.forget_probe();
    }

    fn forget_probe(&mut self) {
        self.trying = None;
        self.probe = None;
    }

    /// No candidate is left: the next round begins when traffic wants it and the raise timer allows it.
    fn finish(&mut self, now: Time) {
        self.wanted = false;
        self.raise_at = Some(now + RAISE_AFTER);
        if self.phase == Some(Phase::Searching) {
            self.phase = Some(Phase::Complete);
        }
    }

    /// A packet of `size` bytes arrived.
    fn on_confirmed(&mut self, size: usize) {
        self.strikes = 0;
        self.confirmed |= size >= self.size;
        if self.confirmed && self.size >= self.base && matches!(self.phase, Some(Phase::Base | Phase::Error)) {
            if self.phase == Some(Phase::Error) {
                self.begin_round(self.max + 1);
            }
            self.phase = Some(Phase::Searching);
            self.raise_at = None;
            // What was on its way asked for what is known now.
            self.forget_probe();
        }
    }

    /// Probes of `size` bytes do not pass.
    fn on_too_large(&mut self, now: Time, size: usize) {
        self.forget_probe();
        self.hint.take_if(|h| *h >= size);
        match self.phase {
            Some(Phase::Searching) => {
                self.ceiling = self.ceiling.min(size);
                self.tried_top = true;
            }
            Some(Phase::Base) => self.fall(size),
            Some(Phase::Error) => self.raise_at = Some(now + RETRY_BASE_AFTER),
            _ => {}
        }
    }

    /// The size in use does not pass: back to the base, and from there to the minimum.
    fn fall(&mut self, ceiling: usize) {
        let to_base = self.size > self.base && ceiling > self.base;
        self.size = if to_base { self.base } else { self.min.min(self.size) };
        self.phase = Some(if to_base { Phase::Base } else { Phase::Error });
        self.confirmed = false;
        self.strikes = 0;
        self.large_sent = false;
        self.wanted = true;
        self.raise_at = None;
        self.begin_round(ceiling.max(self.base + 1));
    }

    /// The largest size that is no suspect: larger packets may be lost for their size.
    fn safe(&self) -> usize {
        if self.size > self.base { self.base } else { self.min }
    }
}
