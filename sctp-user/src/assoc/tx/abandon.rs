//! Messages that are given up: from the queue, and among the chunks that were sent (RFC 3758 section 3.5 A2 and A3, RFC 7496).

use core::hint::cold_path;

use super::outstanding::{ChunkState, Index};
use super::policy::Policy;
use super::{Tx, Undelivered};
use crate::assoc::path::Paths;
use crate::event::PrPolicy;
use crate::num::StreamId;
use crate::stats::Abandoned;
use crate::time::Time;

impl Tx {
    /// Gives up what must not go any more of what would go next: to be asked before [`Self::next_data`].
    #[inline]
    pub(crate) fn prune(&mut self, now: Time, paths: &mut Paths) {
        if self.out.first_marked().is_some() || self.queue.has_particular_head() {
            self.prune_next(now, paths);
        }
    }

    #[cold]
    fn prune_next(&mut self, now: Time, paths: &mut Paths) {
        while let Some(index) = self.out.first_marked().filter(|index| self.is_spent(now, *index)) {
            self.abandon(now, index, paths);
        }
        while self.abandon_expired_head(now, paths) {}
    }

    /// Whether [`Self::take_abandoned`] has any.
    #[inline]
    pub(crate) fn has_abandoned(&self) -> bool {
        self.forward.past.as_ref().is_some_and(|p| !p.failed.is_empty())
    }

    /// The messages that were given up since the last call.
    pub(crate) fn take_abandoned(&mut self) -> Vec<Undelivered> {
        self.forward.past.as_mut().map(|p| core::mem::take(&mut p.failed)).unwrap_or_default()
    }

    /// How many messages were given up, on one stream or all, by one policy or all.
    pub(crate) fn abandoned(&self, sid: Option<StreamId>, policy: Option<PrPolicy>) -> Abandoned {
        let wanted = |(of, by): &(StreamId, PrPolicy)| sid.is_none_or(|sid| sid == *of) && policy.is_none_or(|policy| policy == *by);
        let counts = self.forward.past.iter().flat_map(|p| &p.counts).filter(|(key, _)| wanted(key)).map(|(_, n)| n);
        counts.fold(Abandoned::default(), |sum, n| Abandoned { unsent: sum.unsent + n.unsent, sent: sum.sent + n.sent })
    }

    /// Whether the chunk `index` must not be sent once more.
    pub(super) fn is_spent(&self, now: Time, index: Index) -> bool {
        self.forward.agreed && self.out.get(index).is_some_and(|c| c.fragment.policy.is_spent(now, c.resends))
    }

    /// Chunks were marked to be sent again: gives up those of them that must not be. The congestion window has been told of the
    /// loss (section 3.5 F5).
    pub(super) fn abandon_spent(&mut self, now: Time, paths: &mut Paths) {
        if !core::mem::take(&mut self.forward.news) || !self.forward.agreed {
            return;
        }
        cold_path();
        let mut spent = core::mem::take(&mut self.changed);
        spent.clear();
        spent.extend(self.out.marked().filter(|index| self.is_spent(now, *index)));
        for index in &spent {
            self.abandon(now, *index, paths);
        }
        self.changed = spent;
        if self.out.first_marked().is_none() {
            self.fast_packet = false;
        }
    }

    /// Gives up the message of which the chunk `index` is a part, whole: other chunks of it, and what of it was not sent.
    pub(super) fn abandon(&mut self, now: Time, index: Index, paths: &mut Paths) {
        let Some(f) = self.out.get(index).filter(|c| c.state != ChunkState::Abandoned).map(|c| &c.fragment) else {
            return;
        };
        let (seq, sid) = (f.seq, f.sid);
        self.note_abandoned(f.undelivered(), f.policy);
        let (first, last, ended) = self.out.extent(index);
        for at in first..=last {
            if self.out.get(at).is_some_and(|c| c.fragment.seq == seq) {
                self.retire(now, at, paths);
            }
        }
        if !ended && let Some((rest, ..)) = self.queue.abandon_rest(sid, seq) {
            // Without a TSN behind the last fragment that was sent, the peer might have all that there are, and wait for the end.
            self.out.push_abandoned(rest, paths.data_path());
        }
        self.forward_after_abandonment(now, paths);
    }

    /// Gives up the message at the head of the queue if its lifetime has ended; answers whether it did.
    #[inline]
    pub(super) fn abandon_expired_head(&mut self, now: Time, paths: &mut Paths) -> bool {
        self.queue.has_particular_head() && self.abandon_head(now, paths)
    }

    #[cold]
    fn abandon_head(&mut self, now: Time, paths: &mut Paths) -> bool {
        match self.queue.expired_head(now) {
            None => false,
            Some(false) => {
                if let Some((message, policy)) = self.queue.abandon_head() {
                    self.note_abandoned(message, policy);
                }
                true
            }
            Some(true) => self.forward.agreed && self.abandon_begun_head(now, paths),
        }
    }

    /// The same, if something of it was sent.
    fn abandon_begun_head(&mut self, now: Time, paths: &mut Paths) -> bool {
        let Some((sid, seq)) = self.queue.head_message() else { return false };
        let mut sent = (self.out.base()..self.out.next_index()).rev();
        let part = sent.find(|&i| self.out.get(i).is_some_and(|c| c.fragment.seq == seq && c.state != ChunkState::Abandoned));
        match part {
            Some(index) => self.abandon(now, index, paths),
            // All of them were acknowledged.
            None => {
                if let Some((rest, message, policy)) = self.queue.abandon_rest(sid, seq) {
                    self.note_abandoned(message, policy);
                    self.out.push_abandoned(rest, paths.data_path());
                    self.forward_after_abandonment(now, paths);
                }
            }
        }
        true
    }

    /// Gives up messages until one of `len` bytes with this policy has room, if that is possible; answers whether it has.
    pub(super) fn make_room(&mut self, now: Time, len: usize, policy: Policy) -> bool {
        while let Some((message, policy)) = self.queue.abandon_expired(now) {
            self.note_abandoned(message, policy);
        }
        if self.has_room(len) {
            return true;
        }
        let gives_way = |rank: u32| policy.rank().is_none_or(|own| rank > own);
        if !self.forward.agreed || !self.queue.can_free(self.buffered().saturating_add(len).saturating_sub(self.cfg.send_buffer), gives_way)
        {
            return false;
        }
        while !self.has_room(len)
            && let Some((message, policy)) = self.queue.abandon_least()
        {
            self.note_abandoned(message, policy);
        }
        true
    }

    /// A chunk is given up: for the books of its path it is as if it were acknowledged, but nothing grows for it (section 3.5 A2).
    fn retire(&mut self, now: Time, index: Index, paths: &mut Paths) {
        let Some(path) = self.out.get(index).map(|c| c.path) else { return };
        let earliest = self.out.earliest(path) == Some(index);
        let Some((old, wire_len)) = self.out.abandon(index) else { return };
        let Some(p) = paths.get_mut(path) else { return };
        if old == ChunkState::InFlight {
            p.in_flight -= wire_len;
        }
        if old == ChunkState::Acked {
            return;
        }
        p.outstanding -= 1;
        p.rtt_probe.take_if(|probe| probe.index == index);
        p.rate.on_resend(index);
        if p.outstanding == 0 {
            p.t3 = None;
        } else if earliest && p.t3.is_some() {
            p.restart_t3(now);
        }
    }

    /// A message is given up: it is counted, and the user will hear of it.
    fn note_abandoned(&mut self, message: Undelivered, policy: Policy) {
        let sent = message.sent;
        *(if sent { &mut self.stats.abandoned_sent } else { &mut self.stats.abandoned_unsent }) += 1;
        let past = self.forward.past.get_or_insert_default();
        if let Some(policy) = policy.kind() {
            let counts = past.counts.entry((message.message.sid, policy)).or_default();
            *(if sent { &mut counts.sent } else { &mut counts.unsent }) += 1;
        }
        past.failed.push(message);
    }
}
