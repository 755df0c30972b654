//! FORWARD TSN: the peer is told to wait no more for what was abandoned (RFC 3758 section 3.5).

use core::hint::cold_path;
use core::time::Duration;
use std::collections::BTreeMap;

use super::format::FragmentFormat;
use super::outstanding::Index;
use super::{Tx, Undelivered};
use crate::assoc::path::{PathId, Paths};
use crate::event::PrPolicy;
use crate::num::StreamId;
use crate::stats::Abandoned;
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::{Entries, ForwardTsn, IForwardTsn, SkippedMid, SkippedSsn};

/// A FORWARD TSN that changes nothing is not sent again before this has passed, or a round trip (section 3.5 F2); longer would be a delay
/// that F3 advises against.
const REPEAT: Duration = Duration::from_millis(200);

/// The last FORWARD TSN.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Time,
    /// The last chunk that it covered.
    upto: Index,
    path: PathId,
    /// Whether others went elsewhere, so that the peer's answer says nothing about the path.
    moved: bool,
}

/// Partial reliability of a sender.
#[derive(Clone, Default, Debug)]
pub(super) struct Forward {
    /// Whether both sides have it: only then what was sent can be abandoned.
    pub(super) agreed: bool,
    /// Whether chunks were marked to be sent again since it was last looked what is to be abandoned.
    pub(super) news: bool,
    /// Whether a FORWARD TSN is to be sent.
    due: bool,
    /// What there is once a message was abandoned.
    pub(super) past: Option<Box<Past>>,
}

/// What was abandoned.
#[derive(Clone, Default, Debug)]
pub(super) struct Past {
    /// The last FORWARD TSN, until the peer has acknowledged it.
    told: Option<Told>,
    /// Messages that the user does not know of.
    pub(super) failed: Vec<Undelivered>,
    /// Messages by stream and policy: at most three for each stream.
    pub(super) counts: BTreeMap<(StreamId, PrPolicy), Abandoned>,
}

impl Forward {
    /// The last FORWARD TSN, until the peer has acknowledged it.
    fn told(&self) -> Option<Told> {
        self.past.as_ref().and_then(|p| p.told)
    }
}

impl Tx {
    /// Both sides have the extension: what was sent can be abandoned from now on.
    pub(crate) fn allow_abandoning(&mut self) {
        self.forward.agreed = true;
    }

    /// Whether a FORWARD TSN is to be sent.
    pub(crate) fn forward_due(&self) -> bool {
        self.forward.due && self.is_forwarding()
    }

    /// Whether Advanced.Peer.Ack.Point is beyond what the peer has acknowledged.
    pub(super) fn is_forwarding(&self) -> bool {
        self.out.advanced() >= self.out.base()
    }

    /// Chunks were abandoned: if Advanced.Peer.Ack.Point moves, the peer is told.
    pub(super) fn forward_after_abandonment(&mut self, now: Time, paths: &mut Paths) {
        let before = self.out.advanced();
        self.forward.due |= self.out.advance() > before;
        if self.is_forwarding() {
            self.keep_t3(now, paths.data_path(), paths);
        }
    }

    /// A SACK was processed (section 3.5 A4); `skipped`: it covers abandoned chunks, so that the peer has got a FORWARD TSN.
    pub(super) fn forward_after_ack(&mut self, now: Time, skipped: bool, paths: &mut Paths) {
        if !skipped && self.forward.past.is_none() {
            return;
        }
        cold_path();
        if skipped && let Some(path) = self.forward.told().filter(|t| !t.moved).and_then(|t| paths.get_mut(t.path)) {
            path.on_answer();
        }
        let advanced = self.out.advance();
        if self.is_forwarding() {
            let wait = paths.get(paths.data_path()).and_then(|p| p.rtt.srtt()).map_or(REPEAT, |srtt| srtt.min(REPEAT));
            let told = self.forward.told().is_some_and(|t| t.upto >= advanced && now - t.at < wait);
            self.forward.due |= !told;
            self.keep_t3(now, paths.data_path(), paths);
        } else {
            self.forward.due = false;
            if let Some(past) = &mut self.forward.past {
                past.told = None;
            }
            if !self.window.is_waiting() {
                // It ran for the FORWARD TSN alone.
                paths.iter_mut().filter(|(_, p)| p.outstanding == 0).for_each(|(_, p)| p.t3 = None);
            }
        }
    }

    /// T3-rtx expired (section 3.5 A5).
    pub(super) fn forward_after_timeout(&mut self) {
        if self.forward.past.is_some() {
            self.out.advance();
            self.forward.due |= self.is_forwarding();
        }
    }

    /// Adds the FORWARD TSN that is due to `pkt`, which goes on `path`; answers whether it did. One that does not fit gets a packet of
    /// its own, and covers no more than fits there (section 3.5 C4).
    pub(crate) fn push_forward(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> bool {
        if !self.forward_due() {
            return false;
        }
        let (fixed, each) = match self.queue.format() {
            FragmentFormat::Data => (ForwardTsn::FIXED_LEN, ForwardTsn::ENTRY_LEN),
            FragmentFormat::IData => (IForwardTsn::FIXED_LEN, IForwardTsn::ENTRY_LEN),
        };
        let Some(room) = pkt.room().checked_sub(fixed) else { return false };
        let (upto, skipped) = self.skipped(room / each);
        if upto < self.out.base() || (upto < self.out.advanced() && !pkt.is_empty()) {
            return false;
        }
        self.out.set_advanced(upto);
        let cum_tsn = self.out.tsn(upto);
        match self.queue.format() {
            FragmentFormat::Data => {
                let ssns: Vec<_> = skipped.iter().map(|s| SkippedSsn { sid: s.sid, ssn: s.mid.to_ssn() }).collect();
                pkt.push(&ForwardTsn { cum_tsn, skipped: Entries::List(&ssns) });
            }
            FragmentFormat::IData => pkt.push(&IForwardTsn { cum_tsn, skipped: Entries::List(&skipped) }),
        }
        self.stats.forward_tsns += 1;
        self.forward.due = false;
        let moved = self.forward.told().is_some_and(|t| t.moved || t.path != path);
        self.forward.past.get_or_insert_default().told = Some(Told { at: now, upto, path, moved });
        self.keep_t3(now, path, paths);
        true
    }

    /// The last messages in the streams of what is skipped up to Advanced.Peer.Ack.Point, or to the last chunk before there are more than
    /// `max`; and that chunk. Of DATA, unordered messages are not listed.
    fn skipped(&self, max: usize) -> (Index, Vec<SkippedMid>) {
        let all = self.queue.format() == FragmentFormat::IData;
        let mut list: Vec<SkippedMid> = Vec::new();
        let mut upto = self.out.base() - 1;
        for index in self.out.base()..=self.out.advanced() {
            let Some(f) = self.out.get(index).map(|c| &c.fragment) else { break };
            if all || !f.unordered {
                let entry = SkippedMid { sid: f.sid, unordered: f.unordered, mid: f.mid };
                match list.binary_search_by_key(&(f.sid, f.unordered), |s| (s.sid, s.unordered)) {
                    Ok(at) => list.get_mut(at).into_iter().for_each(|last| *last = entry),
                    Err(_) if list.len() >= max => break,
                    Err(at) => list.insert(at, entry),
                }
            }
            upto = index;
        }
        (upto, list)
    }

    /// At least one T3-rtx runs while a FORWARD TSN is not acknowledged (section 3.5 C5).
    fn keep_t3(&self, now: Time, path: PathId, paths: &mut Paths) {
        if paths.next_t3().is_none()
            && let Some(p) = paths.get_mut(path)
        {
            p.restart_t3(now);
        }
    }
}
