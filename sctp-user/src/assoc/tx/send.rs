//! What goes into the next packet, and when (RFC 9260 section 6.1).

use super::Tx;
use super::outstanding::{ChunkState, Index, MAX_OUTSTANDING, SentChunk};
use crate::assoc::path::{Path, PathId, Paths, RttProbe};
use crate::time::Time;
use crate::wire::PacketWriter;
use crate::wire::chunk::{DATA_CHUNK_HEADER_LEN, Data};

/// What may go on a path now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    /// Chunks that are sent again.
    again: bool,
    /// Chunks that were never sent, once nothing is to be sent again.
    new: bool,
}

impl Tx {
    /// Adds the packets of one transmit opportunity (a SACK processed, a T3 expiry, an application's send) to what may be sent.
    pub(crate) fn begin_opportunity(&mut self) {
        self.burst = self.burst.saturating_add(self.cfg.max_burst).min(MAX_OUTSTANDING);
    }

    /// Everything that could be sent was sent: no opportunity is carried over.
    pub(crate) fn end_opportunities(&mut self) {
        self.burst = 0;
    }

    /// The path on which a packet with DATA may go now, if there is any. (Time will matter to paced senders.)
    pub(crate) fn wants_to_send(&self, _now: Time, paths: &Paths) -> Option<PathId> {
        let id = paths.data_path();
        let plan = self.plan(paths.get(id)?);
        (plan.again || plan.new).then_some(id)
    }

    fn plan(&self, path: &Path) -> Plan {
        let open = path.in_flight < path.cc.window() && !(path.one_packet && path.in_flight > 0);
        // With nothing in flight no SACK will ever come to give an opportunity.
        let burst = self.burst > 0 || self.out.flight_payload() == 0;
        let marked = self.out.first_marked().is_some();
        Plan { again: marked && (self.fast_packet || (open && burst)), new: open && burst && (marked || self.new_is_ready(path)) }
    }

    /// Whether new data may go as far as the peer's window and Nagle are concerned.
    fn new_is_ready(&self, path: &Path) -> bool {
        let Some(len) = self.queue.next_len(self.max_fragment(path)) else {
            return false;
        };
        self.out.len() < MAX_OUTSTANDING
            && self.window.allows(len, self.out.flight_payload(), !self.out.is_empty())
            && (!self.cfg.nagle
                || self.out.is_empty()
                || self.shutdown_pending
                || self.queue.mid_message()
                || self.queue.is_urgent()
                || self.queue.bytes() + self.queue.messages() * DATA_CHUNK_HEADER_LEN >= path.pmdcs())
    }

    /// Adds DATA chunks to `pkt`, which goes on `path`: first what is sent again, then new data. Answers how many.
    ///
    /// Nothing may fit behind the control chunks that `pkt` holds already: then a packet of its own is called for. A chunk that
    /// was made for a larger path MTU goes alone, in a packet longer than the path MTU.
    pub(crate) fn fill(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        let Some(p) = paths.get_mut(path) else {
            return 0;
        };
        let plan = self.plan(p);
        if !plan.again && !plan.new {
            return 0;
        }
        let mut count = if plan.again { self.fill_again(now, path, paths, pkt) } else { 0 };
        let alone = count > 0 && paths.get(path).is_some_and(|p| p.one_packet);
        if plan.new && !alone && self.out.first_marked().is_none() {
            count += self.fill_new(now, path, paths, pkt);
        }
        if count > 0 {
            self.burst = self.burst.saturating_sub(1);
            self.fast_packet = false;
        }
        count
    }

    fn fill_again(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        let mut count = 0;
        while let Some(index) = self.out.first_marked() {
            let Some(len) = self.out.get(index).map(SentChunk::wire_len) else {
                break;
            };
            let fits = pkt.fits(len) || (count == 0 && is_fresh(pkt, paths, path));
            if !fits {
                break;
            }
            self.resend(now, index, path, paths, pkt);
            count += 1;
        }
        count
    }

    /// Sends the marked chunk `index` again, on `path`.
    fn resend(&mut self, now: Time, index: Index, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) {
        let next = self.out.next_index();
        let earliest = self.out.earliest(path) == Some(index);
        let Some((_, chunk)) = self.out.set_state(index, ChunkState::InFlight) else {
            return;
        };
        let old = core::mem::replace(&mut chunk.path, path);
        chunk.blind = self.window.is_closed_for(chunk.fragment.len);
        chunk.resent_before = next;
        self.blind |= chunk.blind;
        let wire_len = chunk.wire_len();
        if let Some(p) = paths.get_mut(old) {
            p.outstanding -= 1;
            // Karn's rule, in the wider sense of section 6.3.1 C5.
            p.rtt_probe.take_if(|probe| probe.index >= index);
        }
        let Some(p) = paths.get_mut(path) else {
            return;
        };
        p.rtt_probe.take_if(|probe| probe.index >= index);
        p.outstanding += 1;
        p.on_send(now);
        let before = p.in_flight;
        p.in_flight += wire_len;
        if p.t3.is_none() || earliest {
            p.restart_t3(now);
        }
        self.write(index, before, paths, pkt);
    }

    fn fill_new(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        let mut added = 0;
        while let Some(p) = paths.get_mut(path) {
            let max = self.max_fragment(p);
            let Some(len) = self.queue.next_len(max) else {
                break;
            };
            let fits = pkt.fits(DATA_CHUNK_HEADER_LEN + len);
            let any = !self.out.is_empty();
            if !fits || self.out.len() >= MAX_OUTSTANDING || !self.window.allows(len, self.out.flight_payload(), any) {
                break;
            }
            let blind = self.window.is_closed_for(len);
            let Some(fragment) = self.queue.pop(max) else {
                break;
            };
            let chunk = SentChunk { blind, ..SentChunk::new(fragment, path) };
            let wire_len = chunk.wire_len();
            self.blind |= blind;
            p.on_send(now);
            let index = self.out.push(chunk);
            let before = p.in_flight;
            p.in_flight += wire_len;
            p.outstanding += 1;
            p.rtt_probe.get_or_insert(RttProbe { index, sent: now });
            // A timer that waits for a zero window probe is not the one of this chunk.
            if self.window.stop_waiting() || p.t3.is_none() {
                p.restart_t3(now);
            }
            self.write(index, before, paths, pkt);
            self.out.set_packet(index, pkt.len());
            added += 1;
        }
        added
    }

    /// Encodes a chunk that is in the books already; `before` bytes were in flight on its path.
    fn write(&self, index: Index, before: usize, paths: &Paths, pkt: &mut PacketWriter<'_>) {
        let Some(chunk) = self.out.get(index) else {
            return;
        };
        let f = &chunk.fragment;
        pkt.push(&Data {
            immediate: f.immediate || self.cfg.sender_i_bit && paths.get(chunk.path).is_some_and(|p| self.benefits(p, before)),
            unordered: f.unordered,
            begin: f.begin(),
            end: f.end(),
            tsn: self.out.tsn(index),
            sid: f.sid,
            ssn: f.ssn,
            ppid: f.ppid,
            payload: f.payload(),
        });
    }

    /// Whether the sender benefits from an immediate SACK of the chunk just sent (section 6.1 at the end): it emptied the
    /// queue, or filled a window, or all that is left is to shut down.
    fn benefits(&self, path: &Path, before: usize) -> bool {
        let nothing_left = self.out.first_marked().is_none() && self.queue.is_empty();
        let cwnd = path.cc.window();
        let fills_rwnd =
            || self.queue.next_len(self.max_fragment(path)).is_some_and(|len| len > self.window.room(self.out.flight_payload()));
        self.shutdown_pending || nothing_left || (before < cwnd && path.in_flight >= cwnd) || fills_rwnd()
    }
}

/// Whether a chunk that is too long for the path MTU may make up this packet: nothing is in it, and it is no train's follower,
/// which may not be longer than the first.
fn is_fresh(pkt: &PacketWriter<'_>, paths: &Paths, path: PathId) -> bool {
    pkt.is_empty() && paths.get(path).is_some_and(|p| pkt.len() + pkt.room() >= p.max_packet())
}
