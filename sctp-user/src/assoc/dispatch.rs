//! What happens to a packet that belongs to an association: the verification-tag rules (RFC 9260 section 8.5), then chunk by
//! chunk.

use core::hint::cold_path;

use bytes::Bytes;

use super::core::{Context, Control, Core};
use super::ext::{Entry, Gate};
use super::path::PathId;
use super::rx::{DataOutcome, Rx, UserData};
use super::state::State;
use super::{Association, Extensions, timers::Timer};
use crate::error::CloseReason;
use crate::net::Meta;
use crate::num::Tsn;
use crate::time::Time;
use crate::wire::chunk::{Abort, Data, Heartbeat, IData, Place, Sack, kind};
use crate::wire::{Cause, Chunk, CommonHeader, Packet, RawChunk};

/// The packet that a chunk came in.
pub(super) struct Arrival<'a> {
    pub(super) path: PathId,
    pub(super) meta: &'a Meta,
    pub(super) bytes: &'a Bytes,
    pub(super) header: CommonHeader,
    /// Whether an ASCONF came before in the packet.
    pub(super) after_asconf: bool,
}

/// The lowest TSN of a packet, if it has any.
#[derive(Clone, Copy, Default, Debug)]
struct Lowest(Option<Tsn>);

impl Lowest {
    fn note(&mut self, tsn: Tsn) {
        self.0 = Some(self.0.filter(|lowest| lowest.before(tsn)).unwrap_or(tsn));
    }
}

/// Whether a packet may touch the association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It may.
    Accept,
    /// Discard it silently.
    Discard,
    /// Treat it as if the association did not exist (section 8.4).
    OutOfTheBlue,
}

impl Core {
    /// The verification-tag rules of section 8.5.1, by the first chunk of the packet.
    pub(crate) fn admit(&self, header: CommonHeader, first: &RawChunk<'_>) -> Admission {
        let reflected = first.flags & 1 != 0;
        let own_or_reflected = if reflected {
            // Before the INIT ACK there is no tag of the peer that could be reflected.
            self.peer_tag.0 != 0 && header.vtag == self.peer_tag
        } else {
            header.vtag == self.local_tag
        };
        let accept = match first.kind {
            kind::ABORT => own_or_reflected,
            kind::SHUTDOWN_COMPLETE => own_or_reflected && self.state == State::ShutdownAckSent,
            kind::SHUTDOWN_ACK if self.state.is_opening() => return Admission::OutOfTheBlue,
            _ => header.vtag == self.local_tag,
        };
        if accept { Admission::Accept } else { Admission::Discard }
    }
}

impl Association {
    /// Processes an admitted packet. `bytes` is the packet; DATA keeps slices of it.
    pub(crate) fn on_packet(&mut self, ctx: &mut Context<'_>, meta: &Meta, bytes: &Bytes, packet: &Packet<'_>) {
        self.on_rest(ctx, meta, bytes, packet, (0, Gate::default()));
    }

    /// Processes its chunks from the `skip`-th on, after `gate` has come to what it is.
    pub(crate) fn on_rest(
        &mut self,
        ctx: &mut Context<'_>,
        meta: &Meta,
        bytes: &Bytes,
        packet: &Packet<'_>,
        (skip, mut gate): (usize, Gate),
    ) {
        let Self { core, ext } = self;
        // From an address that the peer has yet to add, nothing is taken but the ASCONF that does (RFC 5061 section 5.3.2).
        let mut from = core.paths.find(meta.src);
        let mut after_asconf = false;
        let first = packet.first_kind();
        if first == Some(kind::ABORT)
            && let Some(Ok(Chunk::Abort(abort))) = packet.chunks().next().and_then(Result::ok).as_ref().map(RawChunk::decode)
            && !core.local_terms.auth.requires(kind::ABORT)
            && core.is_refused_on_one_channel(ctx, meta.channel, Some(abort.causes))
        {
            return;
        }
        if let Some(path) = from {
            core.heard(ctx.now, path, meta, first == Some(kind::INIT_ACK));
        }
        let was_waiting = core.state == State::ShutdownSent;
        core.complaints.next_packet();
        core.count_packet(from, bytes.len());
        let alone = || packet.chunks().nth(1).is_none();
        let mut lowest = Lowest::default();
        let mut chunks = packet.chunks();
        if skip > 0 {
            cold_path();
            chunks.by_ref().take(skip).for_each(drop);
        }
        while let Some(Ok(raw)) = chunks.next() {
            // RFC 9260 section 6.10: these are never bundled, so the packet is not to be trusted.
            if matches!(raw.kind, kind::INIT | kind::INIT_ACK | kind::SHUTDOWN_COMPLETE) && !alone() {
                break;
            }
            match gate.enter(ext.auth.as_mut(), core, ctx, bytes, &raw) {
                Entry::Admit => {}
                Entry::Skip => {
                    cold_path();
                    continue;
                }
                Entry::Stop => {
                    cold_path();
                    break;
                }
            }
            // Most chunks are DATA and SACK, which concern no extension and open nothing: they need not pass by all that follows.
            if from.is_some() && matches!(raw.kind, kind::DATA | kind::SACK) {
                if raw.kind == kind::DATA {
                    let Some(data) = Data::decode(&raw) else { break };
                    lowest.note(data.tsn);
                    core.on_data(ctx.now, &data, bytes);
                } else {
                    let Some(sack) = Sack::decode(&raw) else { break };
                    core.counters.in_ctrl_chunks += 1;
                    core.on_sack(ctx, &sack);
                }
                if core.state == State::Closed {
                    cold_path();
                    break;
                }
                continue;
            }
            cold_path();
            if !ext.knows(raw.kind) {
                core.counters.in_ctrl_chunks += 1;
                if core.on_unknown(ctx.now, &raw) {
                    continue;
                }
                break;
            }
            let Ok(chunk) = raw.decode() else {
                tracing::debug!(assoc = core.id.get(), kind = raw.kind, "malformed chunk");
                break;
            };
            match &chunk {
                Chunk::Data(Data { tsn, .. }) | Chunk::IData(IData { tsn, .. }) => lowest.note(*tsn),
                _ => core.counters.in_ctrl_chunks += 1,
            }
            if from.is_none() && !matches!(raw.kind, kind::AUTH | kind::ASCONF) {
                break;
            }
            if raw.kind == kind::ABORT && ext.ignores_abort_to(ctx.now, meta.dst, raw.flags & 1 != 0) {
                break;
            }
            let path = from.unwrap_or_else(|| core.paths.primary());
            let (opening, was_opening) = (core.state == State::CookieWait, core.state.is_opening());
            let arrival = Arrival { path, meta, bytes, header: packet.header, after_asconf };
            ext.on_chunk(core, ctx, &arrival, &chunk);
            let go_on = core.on_chunk(ctx, &arrival, &chunk);
            if raw.kind == kind::ASCONF {
                // Paths may have come and gone, or got other numbers.
                let now_from = core.paths.find(meta.src);
                if let Some(path) = now_from.filter(|_| from.is_none()) {
                    core.heard(ctx.now, path, meta, false);
                }
                (from, after_asconf) = (now_from, true);
            }
            if opening && core.state == State::CookieEchoed {
                // The INIT ACK told what the peer has.
                *ext = Extensions::negotiate(core);
                ext.begin(core);
            }
            if was_opening && !core.state.is_opening() {
                ext.on_established(core, ctx);
            }
            if !go_on || core.state == State::Closed {
                break;
            }
        }
        let Lowest(lowest) = lowest;
        core.counters.in_data_packs += u64::from(lowest.is_some());
        if let Some(lowest) = lowest.filter(|_| core.state != State::Closed) {
            ext.on_data_packet(core, lowest, meta.ecn);
        }
        if let Some(path) = from
            && core.state != State::Closed
            && (lowest.is_some() || core.rx.as_ref().is_some_and(Rx::is_to_acknowledge))
        {
            core.after_data(ctx, path);
        }
        if core.state != State::Closed {
            ext.advance(core, ctx);
        }
        ext.on_packet_end(core);
        if was_waiting && core.state == State::ShutdownSent {
            cold_path();
            // Section 9.2: whatever comes shows that the peer is at it; it gets the time to send what it has left.
            core.errors = 0;
            core.timers.start(Timer::T2, ctx.now + core.rto());
        }
    }
}

impl Core {
    /// One chunk. `false` stops the processing of the packet.
    fn on_chunk(&mut self, ctx: &mut Context<'_>, at: &Arrival<'_>, chunk: &Chunk<'_>) -> bool {
        match chunk {
            Chunk::Data(c) => self.on_data(ctx.now, c, at.bytes),
            Chunk::IData(c) => self.on_data(ctx.now, &self.renumbered(c), at.bytes),
            Chunk::Sack(c) => self.on_sack(ctx, c),
            Chunk::InitAck(c) => self.on_init_ack(ctx, at.meta, c),
            Chunk::CookieAck => self.on_cookie_ack(ctx),
            Chunk::Heartbeat(c) => self.on_heartbeat(at, c),
            Chunk::HeartbeatAck(c) => self.on_heartbeat_ack(ctx, c),
            Chunk::Abort(c) => self.on_abort(at.header, c),
            Chunk::Shutdown(c) => self.on_shutdown(ctx, c.cum_tsn),
            Chunk::ShutdownAck => self.on_shutdown_ack(),
            Chunk::ShutdownComplete(_) => self.on_shutdown_complete(),
            Chunk::Error(c) => self.on_error(ctx, c),
            // A COOKIE ECHO that is not first, or an INIT here, was sorted out by the stack. The others belong to extensions.
            // Padding is nothing (RFC 4820 section 3).
            Chunk::Init(_)
            | Chunk::CookieEcho(_)
            | Chunk::Ecne(_)
            | Chunk::Cwr(_)
            | Chunk::Auth(_)
            | Chunk::Pad(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IForwardTsn(_)
            | Chunk::Asconf(_)
            | Chunk::AsconfAck(_)
            | Chunk::Reconfig(_) => {}
            Chunk::Unknown(raw) => return self.on_unknown(ctx.now, raw),
        }
        true
    }

    /// A fragment with its number by the RFC, whatever the peer calls it ([`AssocConfig::linux_fsn`](crate::AssocConfig::linux_fsn)).
    fn renumbered<'a>(&self, c: &IData<'a>) -> IData<'a> {
        match c.place {
            Place::Later(fsn) if self.cfg.linux_fsn => IData { place: Place::Later(fsn.next()), ..*c },
            _ => *c,
        }
    }

    fn on_data(&mut self, now: Time, data: &impl UserData, bytes: &Bytes) {
        if !self.state.receives_data() {
            cold_path();
            return;
        }
        if data.payload().is_empty() {
            cold_path();
            self.violate("DATA without user data", &Cause::NoUserData(data.tsn()));
            return;
        }
        let Some(rx) = &mut self.rx else { return };
        let outcome = rx.on_data(data, bytes);
        self.counters.count_data(data, outcome);
        match outcome {
            DataOutcome::Accepted { .. } => self.note_data(now),
            DataOutcome::NoRoom => {}
            DataOutcome::Duplicate => self.duplicate = true,
            DataOutcome::InvalidStream(sid) => {
                cold_path();
                self.complain(now, &Cause::InvalidStream(sid));
            }
            DataOutcome::Violation(what) => {
                cold_path();
                self.violate(what, &Cause::ProtocolViolation(what.as_bytes()));
            }
        }
    }

    /// After the last chunk of a packet with DATA, or with what counts as such for acknowledgements: acknowledge now or later, tell the user.
    fn after_data(&mut self, ctx: &mut Context<'_>, path: PathId) {
        // A duplicate may mean that SACKs do not arrive by that path (section 6.4).
        let before = core::mem::replace(&mut self.reply_path, path);
        if core::mem::take(&mut self.duplicate) && before == path {
            cold_path();
            self.reply_path = self.paths.other(path).unwrap_or(path);
        }
        if self.state.receives_data()
            && let Some(rx) = &mut self.rx
        {
            let broken_off = rx.on_packet_end(ctx.now);
            self.tell_broken_off(broken_off);
        }
        let Some(rx) = &mut self.rx else { return };
        if self.state == State::ShutdownSent {
            cold_path();
            // Section 9.2: each packet with DATA is answered at once by SHUTDOWN and SACK, and T2 starts anew.
            rx.force_sack();
            self.push_control(Control::Shutdown);
        }
        self.notify_readable();
    }

    fn on_sack(&mut self, ctx: &mut Context<'_>, sack: &Sack<'_>) {
        if !self.state.sends_data() {
            cold_path();
            return;
        }
        self.counters.in_sacks += 1;
        self.counters.in_gap_blocks += sack.gaps.len() as u64;
        self.counters.in_duplicate_reports += sack.dups.len() as u64;
        match self.tx.on_sack(ctx.now, sack, &mut self.paths) {
            Ok(summary) => self.acknowledged(ctx, &summary),
            Err(violation) => {
                cold_path();
                self.violate(violation.0, &Cause::ProtocolViolation(violation.0.as_bytes()));
            }
        }
    }

    fn on_heartbeat(&mut self, at: &Arrival<'_>, hb: &Heartbeat<'_>) {
        self.counters.in_heartbeats += 1;
        // Nothing leaves from an address that the peer does not know yet, or no more (RFC 5061 section 5.3 rules F1 and F4).
        if self.state.answers_heartbeats() && self.local_addrs.contains(&at.meta.dst) {
            self.push_control(Control::HeartbeatAck(at.path, at.meta.dst, Bytes::copy_from_slice(hb.tlvs)));
        }
    }

    fn on_abort(&mut self, header: CommonHeader, abort: &Abort<'_>) {
        // The first chunk passed the tag rules; an ABORT behind others must not use its T bit to get around them.
        let tag = if abort.t { self.peer_tag } else { self.local_tag };
        // Section 3.3.7: one whose causes are malformed is dropped in silence.
        if header.vtag != tag || abort.causes().any(|c| c.is_err()) {
            return;
        }
        if abort.t && self.state == State::ShutdownAckSent {
            // The peer has forgotten us, which it does only after SHUTDOWN COMPLETE: that one was lost, and nothing else.
            self.close(CloseReason::Shutdown);
            return;
        }
        let causes = Bytes::copy_from_slice(abort.causes);
        self.close(if self.state.is_opening() { CloseReason::Refused(causes) } else { CloseReason::PeerAborted(causes) });
    }
}
