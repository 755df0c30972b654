//! What goes into the next packet, and when (RFC 9260 section 6.1).

use core::hint::cold_path;

use super::fragment::Fragment;
use super::outstanding::{ChunkState, Index, MAX_OUTSTANDING, SentChunk};
use super::{Tx, TxStats};
use crate::assoc::path::{Path, PathId, Paths, RttProbe};
use crate::num::StreamId;
use crate::time::Time;
use crate::wire::PacketWriter;

/// The room left in a packet is used for a fragment if it is at least this fraction of a full one: each chunk costs a header.
const MIN_FILL: usize = 8;

/// User data in flight, in bytes, whose SACKs a sender waits for: two trains as UDP sockets take them, more than their acknowledgement delays.
pub(super) const MUCH_IN_FLIGHT: usize = 128 * 1024;

/// What may go on a path now: at least one of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
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

    /// The same for an application's send of `len` bytes. If that is more than the opportunity allows, most of it waits for SACKs anyhow; with
    /// much in flight they are near, and all of it goes with what they allow, in longer trains.
    pub(crate) fn begin_opportunity_of_send(&mut self, len: usize, paths: &Paths) {
        let waits = || len > paths.get(paths.data_path()).map_or(0, |p| self.cfg.max_burst.saturating_mul(p.pmdcs()));
        // What pacing holds back has its time.
        if self.out.flight_payload() < MUCH_IN_FLIGHT || self.release.is_some() || !waits() {
            self.begin_opportunity();
        }
    }

    /// Everything that could be sent was sent: no opportunity is carried over, but by a control that paces.
    pub(crate) fn end_opportunities(&mut self, now: Time, paths: &mut Paths) {
        let id = paths.data_path();
        let Some(path) = paths.get_mut(id) else {
            return;
        };
        if self.queue.is_empty() && self.out.first_marked().is_none() && path.in_flight < path.cc.window() {
            path.rate.set_app_limited(path.in_flight);
        }
        let paced = path.paced_until().filter(|&release| release > now && self.next_data(release, paths).is_some());
        self.release = paced;
        self.burst = 0;
    }

    /// When a packet that pacing holds back may go: [`Self::begin_opportunity`].
    pub(crate) fn release(&self) -> Option<Time> {
        self.release
    }

    /// The time of [`Self::release`] may have come.
    pub(crate) fn on_release(&mut self, now: Time) {
        if self.release.take_if(|at| *at <= now).is_some() {
            self.begin_opportunity();
        }
    }

    /// Whether there is no DATA and no FORWARD TSN to send, whatever may go now.
    pub(crate) fn is_silent(&self) -> bool {
        self.queue.is_empty() && self.out.first_marked().is_none() && !self.forward_due()
    }

    /// The path on which a packet with DATA may go now, if there is any, and what may go.
    pub(crate) fn next_data(&self, now: Time, paths: &Paths) -> Option<(PathId, Plan)> {
        if self.queue.is_empty() && self.out.first_marked().is_none() {
            return None;
        }
        let id = self.next_path(paths);
        let plan = self.plan(now, paths.get(id)?);
        (plan.again || plan.new).then_some((id, plan))
    }

    /// Where the next chunk goes.
    fn next_path(&self, paths: &Paths) -> PathId {
        match self.out.first_marked() {
            None => self.new_path(paths),
            Some(index) => {
                cold_path();
                self.path_again(index, paths)
            }
        }
    }

    /// Where the next new chunk goes: to the address that the user named, if that path is active.
    fn new_path(&self, paths: &Paths) -> PathId {
        let wanted = self.queue.path().and_then(|addr| paths.find(addr)).filter(|id| paths.is_active(*id));
        wanted.unwrap_or_else(|| paths.data_path())
    }

    /// Where a chunk goes that is to be sent again (section 6.4).
    fn path_again(&self, index: Index, paths: &Paths) -> PathId {
        match self.out.get(index) {
            Some(chunk) if chunk.timed_out => paths.retransmit_path(chunk.path),
            Some(chunk) => paths.fast_retransmit_path(chunk.path),
            None => paths.data_path(),
        }
    }

    fn plan(&self, now: Time, path: &Path) -> Plan {
        let open = path.in_flight < path.cc.window() && !(path.one_packet && path.in_flight > 0);
        let open = open && path.paced_until().is_none_or(|release| release <= now);
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
        let full = self.queue.bytes() + self.queue.messages() * self.header_len() >= path.pmdcs();
        if self.corked && !full && !self.queue.mid_message() {
            return false;
        }
        self.out.len() < MAX_OUTSTANDING
            && self.window.allows(len, self.out.flight_payload(), !self.out.is_empty())
            && (!self.cfg.nagle
                || self.out.is_empty()
                || self.shutdown_pending
                || self.queue.mid_message()
                || self.queue.is_urgent()
                || full)
    }

    /// Adds DATA chunks to `pkt`, which goes where [`Self::next_data`] says, and as it says: first what is sent again, then new data. Answers
    /// how many.
    ///
    /// Nothing may fit behind the control chunks that `pkt` holds already: then a packet of its own is called for. A chunk that
    /// was made for a larger path MTU goes alone, in a packet longer than the path MTU.
    pub(crate) fn fill(&mut self, now: Time, (path, plan): (PathId, Plan), paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        let before = paths.get(path).map_or(0, |p| p.in_flight);
        let (mut count, mut sid) = (0, None);
        if plan.again {
            cold_path();
            (count, sid) = self.fill_again(now, path, paths, pkt);
        }
        let alone = count > 0 && paths.get(path).is_some_and(|p| p.one_packet);
        if plan.new && !alone && self.out.first_marked().is_none() {
            count += self.fill_new(now, path, sid, paths, pkt);
        }
        self.prune(now, paths);
        if count > 0 {
            self.burst = self.burst.saturating_sub(1);
            self.fast_packet = false;
            if let Some(p) = paths.get_mut(path) {
                p.pace(now, p.in_flight.saturating_sub(before));
            }
        }
        count
    }

    /// Whether the chunk that is to be sent again next was made for a larger path MTU than that of `path`: it goes alone, and not
    /// in a train, whose packets are equal.
    pub(crate) fn is_oversized_next(&self, path: PathId, paths: &Paths) -> bool {
        let next = self.out.first_marked().and_then(|index| self.out.get(index));
        next.zip(paths.get(path)).is_some_and(|(chunk, path)| chunk.wire_len() + self.reserved() > path.pmdcs())
    }

    /// Adds chunks that are sent again; answers how many, and the stream of the last.
    fn fill_again(&mut self, now: Time, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> (usize, Option<StreamId>) {
        let mut count = 0;
        let mut stream = None;
        let apart = self.queue.keeps_packets_apart();
        while let Some(index) = self.out.first_marked().filter(|index| self.path_again(*index, paths) == path) {
            if self.is_spent(now, index) {
                self.abandon(now, index, paths);
                continue;
            }
            let Some((len, fragment)) = self.out.get(index).map(|c| (c.wire_len(), &c.fragment)) else {
                break;
            };
            let (sid, kind) = (fragment.sid, fragment.format.kind());
            let fits = pkt.fits_chunk(kind, len) || (count == 0 && is_fresh(pkt, paths, path));
            let apart = apart && stream.is_some_and(|s| s != sid);
            if !fits || apart || !pkt.takes_key(kind, fragment.auth_key) {
                break;
            }
            self.resend(now, index, path, paths, pkt);
            stream = Some(sid);
            count += 1;
        }
        (count, stream)
    }

    /// Sends the marked chunk `index` again, on `path`.
    fn resend(&mut self, now: Time, index: Index, path: PathId, paths: &mut Paths, pkt: &mut PacketWriter<'_>) {
        let next = self.out.next_index();
        let earliest = self.out.earliest(path) == Some(index);
        let Some((_, chunk)) = self.out.set_state(index, ChunkState::InFlight) else {
            return;
        };
        let old = core::mem::replace(&mut chunk.path, path);
        chunk.moved |= old != path;
        chunk.blind = self.window.is_closed_for(chunk.fragment.len);
        chunk.resent_before = next;
        chunk.resends = chunk.resends.saturating_add(1);
        self.blind |= chunk.blind;
        let wire_len = chunk.wire_len();
        self.stats.rtx += 1;
        if let Some(p) = paths.get_mut(old) {
            p.outstanding -= 1;
            p.rate.on_resend(index);
            if old != path && p.outstanding == 0 {
                p.t3 = None;
            }
        }
        // Karn's rule, in the wider sense of section 6.3.1 C5.
        for (_, p) in paths.iter_mut() {
            p.rtt_probe.take_if(|probe| probe.index >= index);
        }
        let Some(p) = paths.get_mut(path) else {
            return;
        };
        p.outstanding += 1;
        p.stats.rtx_chunks += 1;
        p.on_send(now, wire_len);
        let before = p.in_flight;
        p.in_flight += wire_len;
        if p.t3.is_none() || earliest {
            p.restart_t3(now);
        }
        self.write(index, before, paths, pkt);
    }

    /// Adds new chunks behind others of `stream`; answers how many.
    fn fill_new(&mut self, now: Time, path: PathId, mut stream: Option<StreamId>, paths: &mut Paths, pkt: &mut PacketWriter<'_>) -> usize {
        let mut added = 0;
        let kind = self.queue.format().kind();
        while self.new_path(paths) == path && stream.is_none_or(|sid| self.queue.goes_with(sid)) {
            if self.abandon_expired_head(now, paths) {
                cold_path();
                continue;
            }
            let Some(p) = paths.get_mut(path) else {
                break;
            };
            let max = self.next_max(p, pkt);
            let Some(len) = self.queue.next_len(max) else {
                break;
            };
            let fits = pkt.fits_chunk(kind, self.header_len() + len);
            let any = !self.out.is_empty();
            if !fits || self.out.len() >= MAX_OUTSTANDING || !self.window.allows(len, self.out.flight_payload(), any) {
                break;
            }
            if !pkt.takes_key(kind, self.queue.auth_key()) {
                break;
            }
            let blind = self.window.is_closed_for(len);
            let Some(fragment) = self.queue.pop(max) else {
                break;
            };
            self.stats.count_new(&fragment, blind);
            stream = Some(fragment.sid);
            let chunk = SentChunk { blind, ..SentChunk::new(fragment, path) };
            let wire_len = chunk.wire_len();
            self.blind |= blind;
            p.on_send(now, wire_len);
            let index = self.out.push(chunk);
            p.rate.on_send(now, index, p.in_flight);
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
            if pkt.room_for(kind) <= self.header_len() {
                break;
            }
        }
        if added > 0 {
            self.queue.end_packet();
        }
        added
    }

    /// Most user data in one chunk on `path`: it fits a packet, and the whole window of the peer.
    pub(super) fn max_fragment(&self, path: &Path) -> usize {
        self.longest_chunk().min(path.pmdcs() - self.header_len() - self.reserved()).min(self.window.largest())
    }

    /// Most user data in the next chunk of `pkt`: a message that takes several chunks anyhow fills what is left of the packet.
    /// No chunk is cut to what is left of a window: that would leave packets part-filled.
    fn next_max(&self, path: &Path, pkt: &PacketWriter<'_>) -> usize {
        let max = self.max_fragment(path);
        let room = pkt.room_for(self.queue.format().kind()).saturating_sub(self.header_len()) & !3;
        let fills = !pkt.is_empty() && room < max && room >= max / MIN_FILL && self.queue.rest().is_some_and(|rest| rest > max);
        if fills { room } else { max }
    }

    /// Encodes a chunk that is in the books already; `before` bytes were in flight on its path.
    fn write(&self, index: Index, before: usize, paths: &mut Paths, pkt: &mut PacketWriter<'_>) {
        let Some(chunk) = self.out.get(index) else {
            return;
        };
        let f = &chunk.fragment;
        let path = paths.get_mut(chunk.path).filter(|_| self.cfg.sender_i_bit);
        let immediate = f.immediate || path.is_some_and(|p| self.benefits(p, index, before));
        f.write(self.out.tsn(index), immediate, pkt);
    }

    /// Whether the sender benefits from an immediate SACK of the chunk just sent (section 6.1 at the end): it emptied the
    /// queue, or filled a window, or all that is left is to shut down.
    fn benefits(&self, path: &mut Path, index: Index, before: usize) -> bool {
        if self.shutdown_pending || (self.out.first_marked().is_none() && self.queue.is_empty()) {
            return true;
        }
        // A full window is filled again by each SACK. One SACK that is not delayed in a round trip is enough to keep it so; more
        // would only be more SACKs, one for every packet in the end.
        if self.out.get(path.i_bit).is_some_and(|c| c.state == ChunkState::InFlight) {
            return false;
        }
        let cwnd = path.cc.window();
        let fills_cwnd = before < cwnd && path.in_flight >= cwnd;
        let fills_rwnd =
            || self.queue.next_len(self.max_fragment(path)).is_some_and(|len| len > self.window.room(self.out.flight_payload()));
        let fills = fills_cwnd || fills_rwnd();
        if fills {
            path.i_bit = index;
        }
        fills
    }
}

impl TxStats {
    /// A chunk goes out for the first time.
    fn count_new(&mut self, f: &Fragment, probe: bool) {
        *(if f.unordered { &mut self.unorder } else { &mut self.order }) += 1;
        self.user_bytes += f.len as u64;
        self.fragmented += u64::from(f.begin() && !f.end());
        self.probes += u64::from(probe);
    }
}

/// Whether a chunk that is too long for the path MTU may make up this packet: nothing is in it, and it is no train's follower,
/// which may not be longer than the first.
fn is_fresh(pkt: &PacketWriter<'_>, paths: &Paths, path: PathId) -> bool {
    pkt.is_empty() && paths.get(path).is_some_and(|p| pkt.max() >= p.max_packet())
}
