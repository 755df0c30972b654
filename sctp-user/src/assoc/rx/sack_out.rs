//! When to acknowledge (RFC 9260 section 6.2), and the SACKs that are owed.
//!
//! The rules count packets. Packets that arrive together are treated as if they had come one by one: each SACK that they
//! cause is recorded with the state of that moment, and all of them are written afterwards.

use core::hint::cold_path;
use core::time::Duration;
use std::collections::VecDeque;

use super::tracker::Tracker;
use crate::config::AssocConfig;
use crate::num::Tsn;
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::{Duplicates, GapBlock, Gaps, Sack, kind};

/// Most SACKs that are owed at once, enough for the largest batch that a receiver hands over; beyond it the last one is
/// brought up to date instead.
const MAX_OWED: usize = 1024;
/// Most gap ack blocks in all owed SACKs; beyond it likewise.
const MAX_OWED_GAPS: usize = 16_384;
/// Most duplicates in one SACK.
const MAX_DUPS: usize = 1024;
/// Most used records kept for their memory.
const MAX_SPARE: usize = 64;

/// A SACK as of some moment.
#[derive(Clone, Debug)]
struct Snapshot {
    cum: Tsn,
    a_rwnd: usize,
    /// Hardly any has some.
    lists: Option<Box<Lists>>,
}

/// What SACKs list of what did not come in order.
#[derive(Clone, Debug, Default)]
struct Lists {
    /// At most what the tracker bounds.
    gaps: Vec<GapBlock>,
    /// At most `MAX_DUPS`.
    dups: Vec<Tsn>,
}

impl Snapshot {
    fn gaps(&self) -> &[GapBlock] {
        self.lists.as_ref().map_or(&[], |l| &l.gaps)
    }

    fn dups(&self) -> &[Tsn] {
        self.lists.as_ref().map_or(&[], |l| &l.dups)
    }
}

/// The state of acknowledging.
#[derive(Clone, Debug)]
pub(crate) struct SackOut {
    delay: Duration,
    /// Packets after which a SACK is not delayed any more: two, unless configured otherwise.
    frequency: u32,
    /// Whether only the last SACK of a batch is sent.
    per_batch: bool,
    /// At most `MAX_OWED`, in the order in which they are to be sent.
    owed: VecDeque<Snapshot>,
    /// Gap ack blocks in `owed`: at most `MAX_OWED_GAPS` and one tracker's.
    owed_gaps: usize,
    /// Used ones, for their memory: at most `MAX_SPARE`.
    #[expect(clippy::vec_box, reason = "what moves is the box")]
    spare: Vec<Box<Lists>>,
    /// Packets with DATA that no recorded SACK covers.
    unacked: u32,
    deadline: Option<Time>,
    /// Whether a SACK is to be sent now, with the state of the moment of writing.
    forced: bool,
    /// Whether the packet being processed has DATA.
    packet_has_data: bool,
    /// Whether the packet being processed demands an immediate SACK.
    immediate: bool,
    /// Whether there were gaps after the last packet.
    had_gaps: bool,
}

impl SackOut {
    /// Follows `cfg`; the first DATA chunk is acknowledged at once (section 5.1).
    pub(crate) fn new(cfg: &AssocConfig) -> Self {
        Self {
            delay: cfg.sack_delay,
            frequency: cfg.sack_frequency,
            per_batch: cfg.ack_per_batch,
            owed: VecDeque::new(),
            owed_gaps: 0,
            spare: Vec::new(),
            unacked: 0,
            deadline: None,
            forced: false,
            packet_has_data: false,
            immediate: true,
            had_gaps: false,
        }
    }

    /// Takes new values; a delay that runs keeps its end.
    pub(crate) fn configure(&mut self, cfg: &AssocConfig) {
        (self.delay, self.frequency, self.per_batch) = (cfg.sack_delay, cfg.sack_frequency, cfg.ack_per_batch);
    }

    /// Gives back memory that is not used.
    pub(crate) fn release(&mut self) {
        self.owed.shrink_to(0);
        self.spare = Vec::new();
    }

    /// The packet being processed has DATA; `immediate` if it must not wait for its SACK.
    pub(crate) fn on_data(&mut self, immediate: bool) {
        self.packet_has_data = true;
        self.immediate |= immediate;
    }

    /// Whether the packet being processed has DATA, or what counts as such.
    pub(crate) fn has_data(&self) -> bool {
        self.packet_has_data
    }

    /// Whether a SACK must go now.
    pub(crate) fn is_due(&self) -> bool {
        self.forced || !self.owed.is_empty()
    }

    /// Whether anything was received that no SACK told the peer.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_due() || self.unacked > 0
    }

    /// When the delay ends.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// A SACK with the state of the moment of writing is to be sent now.
    pub(crate) fn force(&mut self) {
        self.forced = true;
    }

    /// TSNs begin anew: what is owed tells of old ones.
    pub(crate) fn forget(&mut self) {
        self.owed.clear();
        (self.owed_gaps, self.unacked, self.deadline, self.had_gaps) = (0, 0, None, false);
    }

    /// The packet being processed ends.
    pub(crate) fn on_packet_end(&mut self, now: Time, tracker: &mut Tracker, a_rwnd: usize) {
        if !self.packet_has_data {
            return;
        }
        self.packet_has_data = false;
        self.unacked += 1;
        let gaps = tracker.has_gaps();
        if self.immediate || gaps || self.had_gaps || self.unacked >= self.frequency {
            self.owe(tracker, a_rwnd);
        } else {
            // The delay counts from the first packet that is not acknowledged.
            self.deadline.get_or_insert(now + self.delay);
        }
        self.immediate = false;
        self.had_gaps = gaps;
    }

    /// The delay may have ended.
    pub(crate) fn on_timer(&mut self, now: Time, tracker: &mut Tracker, a_rwnd: usize) {
        if self.deadline.is_some_and(|t| t <= now) {
            self.owe(tracker, a_rwnd);
        }
    }

    /// Records a SACK that is to be sent.
    fn owe(&mut self, tracker: &mut Tracker, a_rwnd: usize) {
        self.unacked = 0;
        self.deadline = None;
        let merged = self.per_batch && !self.owed.is_empty();
        let full = merged || self.owed.len() >= MAX_OWED || self.owed_gaps >= MAX_OWED_GAPS;
        let before = if full { self.owed.pop_back() } else { None };
        self.owed_gaps -= before.as_ref().map_or(0, |s| s.gaps().len());
        let mut lists = before.and_then(|s| s.lists);
        if lists.is_some() || tracker.entries() > 0 {
            cold_path();
            let list = lists.get_or_insert_with(|| self.spare.pop().unwrap_or_default());
            list.gaps.clear();
            tracker.gap_blocks(&mut list.gaps);
            self.owed_gaps += list.gaps.len();
            tracker.take_duplicates(&mut list.dups);
            list.dups.truncate(MAX_DUPS);
        }
        self.owed.push_back(Snapshot { cum: tracker.cum(), a_rwnd, lists });
    }

    /// Length of the chunk that [`Self::write`] would write with room for everything.
    pub(crate) fn next_len(&self, tracker: &Tracker) -> usize {
        let entries = self.owed.front().map_or_else(|| tracker.entries(), |s| s.gaps().len() + s.dups().len());
        Sack::FIXED_LEN + 4 * entries
    }

    /// Gap ack blocks in it.
    pub(crate) fn next_gaps(&self, tracker: &Tracker) -> usize {
        self.owed.front().map_or_else(|| tracker.gaps(), |s| s.gaps().len())
    }

    /// Writes the oldest owed SACK, or the present state if none is owed. The last one carries the present window.
    ///
    /// Answers the advertised window, or `None` if not even a SACK without blocks fits.
    pub(crate) fn write(&mut self, tracker: &mut Tracker, a_rwnd: usize, pkt: &mut PacketWriter<'_>) -> Option<usize> {
        let room = pkt.room_for(kind::SACK).checked_sub(Sack::FIXED_LEN)?;
        if self.owed.is_empty() {
            self.owe(tracker, a_rwnd);
        }
        let mut s = self.owed.pop_front()?;
        if self.owed.is_empty() {
            s.a_rwnd = a_rwnd;
            // What was forced is told by this one, unless something arrived since it was recorded.
            self.forced &= self.unacked > 0;
        }
        let (gaps, dups) = (s.gaps(), s.dups());
        self.owed_gaps -= gaps.len();
        let gaps = gaps.get(..room / 4).unwrap_or(gaps);
        let left = (room / 4).saturating_sub(gaps.len());
        pkt.push(&Sack {
            cum_tsn: s.cum,
            a_rwnd: u32::try_from(s.a_rwnd).unwrap_or(u32::MAX),
            gaps: Gaps::List(gaps),
            dups: Duplicates::List(dups.get(..left).unwrap_or(dups)),
        });
        let advertised = s.a_rwnd;
        if let Some(mut lists) = s.lists
            && self.spare.len() < MAX_SPARE
        {
            cold_path();
            lists.dups.clear();
            self.spare.push(lists);
        }
        Some(advertised)
    }
}
