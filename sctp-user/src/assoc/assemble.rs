//! Building packets: control chunks first, then SACK, then DATA (RFC 9260 section 6.10).

use core::hint::cold_path;
use std::net::IpAddr;

use super::Association;
use super::core::{Context, Control, Core};
use super::ext::{Extensions, PartialReliability};
use super::offer::INIT_PARAMS;
use super::path::{HEARTBEAT_TLV_LEN, HeartbeatKind, PathId, source};
use super::rx::Rx;
use super::state::State;
use super::tx::Plan;
use crate::event::PathState;
use crate::net::{Ecn, Transmit};
use crate::num::Vtag;
use crate::wire::chunk::{CookieEcho, ErrorChunk, Heartbeat, Init, InitParams, Shutdown, Verbatim, kind};
use crate::wire::cursor::Writer;
use crate::wire::{Chunk, CommonHeader, Encode as _, PacketWriter, Param};

/// Where a packet goes, and from which of our addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Way {
    path: PathId,
    /// `None` leaves it to routing.
    source: Option<IpAddr>,
}

/// What there is to send next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Occasion {
    /// Where the next packet goes.
    way: Way,
    /// The path that DATA may leave by now, and which.
    data: Option<(PathId, Plan)>,
}

/// A packet that was built.
#[derive(Clone, Copy, Debug)]
struct Built {
    len: usize,
    ecn: Option<Ecn>,
}

impl Association {
    /// Appends the next packet to `buf`, or a train of at most `max_segments` packets of which only the last may be shorter. If nothing
    /// more may be sent now, the turn is over: [`Core::queued`] says so.
    pub(crate) fn poll_transmit(&mut self, ctx: &mut Context<'_>, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.core.queued = false;
        if self.core.state == State::Closed {
            cold_path();
            return None;
        }
        let transmit = if self.is_silent() { None } else { self.transmit(ctx, max_segments, buf) };
        if !self.core.queued {
            self.core.tx.end_opportunities(ctx.now, &mut self.core.paths);
        }
        transmit
    }

    /// Whether there is nothing to say, which is seen at a glance: so most turns end, and those that follow a single SACK begin.
    fn is_silent(&self) -> bool {
        let Self { core, ext } = self;
        core.control.is_empty()
            && core.tx.is_silent()
            && !core.rx.as_ref().is_some_and(Rx::sack_due)
            && !ext.is_waiting()
            && !core.paths.may_be_probed()
    }

    fn transmit(&mut self, ctx: &mut Context<'_>, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let Self { core, ext } = self;
        let start = buf.len();
        core.tx.set_amdcs(core.paths.amdcs());
        core.prune(ctx);
        ext.advance(core, ctx);
        let Some((way, limit, Built { len: first, ecn })) = core.first_packet(ctx, ext, buf) else {
            let probe = core.probe_packet(ctx, ext, buf);
            core.queued = probe.is_some();
            return probe;
        };
        core.tell_abandoned(ctx);
        let path = way.path;
        let mut last = first;
        let mut segments = 1;
        let mut over = self.is_silent();
        let Self { core, ext } = self;
        // An oversized packet goes alone, to be fragmented by IP; equal ones go out in one system call.
        // A control chunk may be longer than the first packet, and ends a train.
        // All packets of a train have the same ECN mark.
        while !over && last == first && first <= limit && segments < max_segments && core.next_control().is_none() {
            let Some(next) = core.next_occasion(ctx) else {
                over = !ext.is_waiting() && !core.paths.may_be_probed();
                break;
            };
            if next.way != way || core.tx.is_oversized_next(path, &core.paths) || core.is_markable(ext, next) != ecn.is_some() {
                break;
            }
            let Some(built) = core.next_packet(ctx, ext, next, first, buf) else { break };
            core.tell_abandoned(ctx);
            last = built.len;
            segments += 1;
        }
        if first <= limit {
            core.paths.on_data_sent(path, first);
        }
        let p = core.paths.get(path)?;
        let transmit = Transmit {
            size: buf.len() - start,
            segment_size: (segments > 1).then_some(first),
            may_fragment: first > limit,
            src: way.source,
            ecn,
            ..p.transmit()
        };
        core.count_transmit(path, &transmit);
        core.queued = !over;
        Some(transmit)
    }
}

impl Core {
    /// Builds the first packet of a train: where it goes, how long packets there may be, and how long it is.
    fn first_packet(&mut self, ctx: &mut Context<'_>, ext: &mut Extensions, buf: &mut Vec<u8>) -> Option<(Way, usize, Built)> {
        let next = self.next_occasion(ctx)?;
        let limit = self.paths.get(next.way.path)?.max_packet();
        Some((next.way, limit, self.next_packet(ctx, ext, next, limit, buf)?))
    }

    /// What the next packet is for, and where it goes, if there is one.
    fn next_occasion(&self, ctx: &Context<'_>) -> Option<Occasion> {
        let data = self.data_path(ctx);
        let way = if let Some(c) = self.next_control() {
            self.way_of(c)
        } else if self.rx.as_ref().is_some_and(Rx::sack_due)
            && let path = self.sack_path()
            && !self.is_stranded(path)
        {
            self.settled(path)
        } else if self.forward_due() && !self.is_stranded(self.paths.data_path()) {
            self.settled(self.paths.data_path())
        } else {
            self.settled(data?.0)
        };
        Some(Occasion { way, data })
    }

    /// The first control chunk that can go. One whose path none of our addresses reaches waits, but holds up no other.
    fn next_control(&self) -> Option<&Control> {
        if self.control.is_empty() {
            return None;
        }
        cold_path();
        self.control.iter().find(|c| self.may_go(c))
    }

    /// Whether a control chunk can go: to a stranded path, only what tells of addresses.
    fn may_go(&self, c: &Control) -> bool {
        let tells = matches!(c, Control::Encoded(e) if matches!(e.kind, kind::ASCONF | kind::ASCONF_ACK));
        tells || !self.is_stranded(self.way_of(c).path)
    }

    /// The path with the source that it was confirmed with.
    fn settled(&self, path: PathId) -> Way {
        Way { path, source: self.paths.get(path).and_then(|p| p.local) }
    }

    /// Where a control chunk goes: an answer to where it was asked for, all else where data goes (section 6.4).
    fn way_of(&self, c: &Control) -> Way {
        match c {
            Control::Heartbeat(path, _) => Way { path: *path, source: self.heartbeat_source(*path) },
            Control::HeartbeatAck(path, source, _) => Way { path: *path, source: Some(*source) },
            // With a HEARTBEAT beside it, it may go to an address that is not confirmed (section 5.4).
            Control::CookieAck => self.settled(self.heard_on),
            Control::Error(_) if self.is_confirmed(self.heard_on) && !self.is_stranded(self.heard_on) => self.settled(self.heard_on),
            Control::Init | Control::CookieEcho => self.settled(self.paths.primary()),
            Control::Encoded(c) => {
                let way = self.settled(c.path.unwrap_or_else(|| self.paths.data_path()));
                Way { source: c.source.or(way.source), ..way }
            }
            Control::Error(_) | Control::Shutdown | Control::ShutdownAck => self.settled(self.paths.data_path()),
        }
    }

    pub(super) fn is_confirmed(&self, path: PathId) -> bool {
        self.paths.get(path).is_some_and(|p| p.confirmed)
    }

    /// The source of the next HEARTBEAT on a path: the one by which the path was confirmed, as long as they are answered.
    fn heartbeat_source(&self, path: PathId) -> Option<IpAddr> {
        let p = self.paths.get(path)?;
        source::for_attempt(&self.local_addrs, p.local, p.addr, p.heartbeat.attempt())
    }

    /// Where SACKs go: to where the last DATA came from, unless that way back is known to be broken.
    fn sack_path(&self) -> PathId {
        let data = self.paths.data_path();
        let broken = self.paths.state(self.reply_path) != PathState::Active && self.paths.is_active(data);
        if broken || !self.is_confirmed(self.reply_path) { data } else { self.reply_path }
    }

    /// The path that DATA may leave by now.
    fn data_path(&self, ctx: &Context<'_>) -> Option<(PathId, Plan)> {
        // In COOKIE-ECHOED, DATA only rides behind the COOKIE ECHO.
        if !self.state.sends_data() || self.state == State::CookieEchoed {
            return None;
        }
        self.tx.next_data(ctx.now, &self.paths).filter(|(path, _)| !self.is_stranded(*path))
    }

    /// Whether a FORWARD TSN is to be sent: as DATA, but never with a COOKIE ECHO.
    fn forward_due(&self) -> bool {
        self.tx.forward_due() && self.state.sends_data() && self.state != State::CookieEchoed
    }

    /// Whether the next packet has new DATA and nothing else, so that it may say that it is ECN-capable.
    fn is_markable(&self, ext: &Extensions, Occasion { way, data }: Occasion) -> bool {
        ext.ecn.is_some_and(|e| !e.has_answer())
            && data.is_some_and(|(path, _)| path == way.path)
            && !self.rx.as_ref().is_some_and(Rx::sack_pending)
            && !self.forward_due()
            && self.tx.sends_only_new(&self.paths)
    }

    /// Builds one packet of at most `limit` bytes, unless a single control chunk is longer.
    fn next_packet(
        &mut self,
        ctx: &mut Context<'_>,
        ext: &mut Extensions,
        Occasion { way, data }: Occasion,
        limit: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Built> {
        let path = way.path;
        let has_control = !self.control.is_empty();
        let mut echoes = false;
        if has_control {
            cold_path();
            if self.control.pop_front_if(|c| *c == Control::Init).is_some() {
                self.counters.out_ctrl_chunks += 1;
                return Some(Built { len: self.init_packet(limit, buf), ecn: None });
            }
            echoes = self.control.front() == Some(&Control::CookieEcho);
        }
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag: self.peer_tag };
        let mut pkt = PacketWriter::new(buf, header, limit);
        pkt.authenticate(ext.auth.as_ref().and_then(|auth| auth.plan_with(self, has_control)));
        if has_control {
            cold_path();
            self.put_control(ctx, way, &mut pkt);
        }
        let data = if echoes { self.tx.next_data(ctx.now, &self.paths) } else { data };
        // What is not HEARTBEAT leaves from the source that the path was confirmed with, or not at all (section 5.4).
        let settled = self.is_confirmed(path) && !self.is_stranded(path) && way == self.settled(path);
        let data = data.filter(|(id, _)| settled && *id == path);
        // Retransmissions and probes of a closed window are not ECN-capable (RFC 3168 sections 6.1.5 and 6.1.6).
        let markable = ext.ecn.is_some() && !echoes && self.tx.sends_only_new(&self.paths);
        let mut marked = false;
        if settled && self.forward_due() && path == self.paths.data_path() {
            cold_path();
            PartialReliability::emit(self, ctx.now, &mut pkt);
        }
        if settled {
            self.put_sack(ext, path, data.is_some(), &mut pkt);
        }
        if let Some((_, plan)) = data {
            if let Some(ecn) = &mut ext.ecn {
                ecn.emit_with_data(&mut self.counters, &mut pkt);
            }
            let chunks = self.tx.fill(ctx.now, (path, plan), &mut self.paths, &mut pkt);
            self.counters.out_data_packs += u64::from(chunks > 0);
            marked = markable && chunks > 0;
        }
        if pkt.is_empty() {
            cold_path();
            pkt.discard();
            return None;
        }
        Some(Built { len: self.seal(ext, pkt), ecn: marked.then_some(Ecn::Ect0) })
    }

    /// Finishes a packet.
    pub(super) fn seal(&mut self, ext: &mut Extensions, mut pkt: PacketWriter<'_>) -> usize {
        pkt.set_checksum(ext.checksum_mode());
        if pkt.has_zero_checksum() {
            cold_path();
            self.counters.rare().out_zero_checksums += 1;
        }
        let Some(auth) = &mut ext.auth else { return pkt.finish() };
        pkt.finish_with(|key, covered| {
            self.counters.rare().out_auths += 1;
            self.counters.out_ctrl_chunks += 1;
            auth.sign(self, key, covered);
        })
    }

    /// Adds a SACK if one is due, or if there is something to say and the packet goes anyhow.
    fn put_sack(&mut self, ext: &Extensions, path: PathId, data: bool, pkt: &mut PacketWriter<'_>) {
        if !self.rx.as_ref().is_some_and(Rx::sack_pending) {
            return;
        }
        // It goes only where it fits as it would in a packet of its own: cut short, it would hide what was received.
        let echo_len = ext.ecn.map_or(0, |e| e.len_with_sack());
        let reserved = if echo_len > 0 { pkt.reserved() } else { pkt.reserved_for(kind::SACK) };
        let full = self.paths.get(path).map_or(0, super::path::Path::pmdcs).saturating_sub(reserved);
        if let Some(rx) = &mut self.rx
            && !self.state.is_opening()
            && pkt.len() + reserved + (rx.sack_len() + echo_len).min(full) <= pkt.max()
            && (rx.sack_due() || (rx.sack_pending() && (data || !pkt.is_empty())))
        {
            if let Some(ecn) = ext.ecn {
                ecn.emit_with_sack(&mut self.counters, pkt);
            }
            self.counters.out_gap_blocks += rx.next_gaps() as u64;
            self.counters.out_sacks += 1;
            self.counters.out_ctrl_chunks += 1;
            rx.push_sack(pkt);
        }
    }

    /// Moves control chunks that go the same way into the packet as long as they fit; the first one always goes.
    fn put_control(&mut self, ctx: &mut Context<'_>, way: Way, pkt: &mut PacketWriter<'_>) {
        let mut waiting = 0;
        while let Some(c) = self.control.get(waiting) {
            if !self.may_go(c) {
                waiting += 1;
                continue;
            }
            if self.way_of(c) != way || *c == Control::Init || !(pkt.is_empty() || pkt.fits(self.control_len(c))) {
                return;
            }
            if let Some(c) = self.control.remove(waiting) {
                self.put_chunk(ctx, &c, pkt);
            }
        }
    }

    /// Length of the chunk that `c` becomes.
    fn control_len(&self, c: &Control) -> usize {
        4 + match c {
            Control::Init => 0,
            Control::CookieEcho => self.echo.as_ref().map_or(0, |echo| echo.cookie.len()),
            Control::CookieAck | Control::ShutdownAck => 0,
            Control::Heartbeat(..) => HEARTBEAT_TLV_LEN,
            Control::HeartbeatAck(_, _, tlvs) => tlvs.len(),
            Control::Error(causes) => causes.len(),
            Control::Shutdown => 4,
            // Its bytes have their header already.
            Control::Encoded(c) => c.bytes.len().saturating_sub(4),
        }
    }

    fn put_chunk(&mut self, ctx: &mut Context<'_>, c: &Control, pkt: &mut PacketWriter<'_>) {
        self.counters.out_ctrl_chunks += 1;
        self.counters.out_heartbeats += u64::from(matches!(c, Control::Heartbeat(..)));
        match c {
            Control::Init => {}
            Control::CookieEcho => {
                if let Some(echo) = &mut self.echo {
                    echo.sent = Some(ctx.now);
                    pkt.push(&CookieEcho { cookie: &echo.cookie });
                }
            }
            Control::CookieAck => {
                pkt.push(&Chunk::CookieAck);
                if !self.is_confirmed(self.heard_on) {
                    self.put_heartbeat(ctx, self.heard_on, HeartbeatKind::Periodic, pkt);
                }
            }
            Control::Heartbeat(id, kind) => self.put_heartbeat(ctx, *id, *kind, pkt),
            Control::HeartbeatAck(_, _, tlvs) => pkt.push(&Chunk::HeartbeatAck(Heartbeat { tlvs })),
            Control::Error(causes) => pkt.push(&ErrorChunk { causes }),
            Control::Shutdown => {
                if let Some(rx) = &self.rx {
                    pkt.push(&Shutdown { cum_tsn: rx.cum_tsn() });
                }
            }
            Control::ShutdownAck => pkt.push(&Chunk::ShutdownAck),
            Control::Encoded(c) => pkt.push(&Verbatim(&c.bytes)),
        }
    }

    fn put_heartbeat(&mut self, ctx: &mut Context<'_>, id: PathId, kind: HeartbeatKind, pkt: &mut PacketWriter<'_>) {
        let source = self.heartbeat_source(id);
        if let Some(path) = self.paths.get_mut(id) {
            let info = path.send_heartbeat(ctx.now, (id, source), kind, ctx.entropy);
            pkt.push(&Chunk::Heartbeat(Heartbeat { tlvs: &info.tlvs() }));
        }
    }

    /// An INIT, alone in its packet, with tag zero; a retransmission is equal to the first (section 5.1).
    fn init_packet(&self, limit: usize, buf: &mut Vec<u8>) -> usize {
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag: Vtag::ZERO };
        let mut pkt = PacketWriter::new(buf, header, limit);
        let peer = self.paths.get(self.paths.primary());
        let mut own = peer.map(|p| source::listed(&self.cfg, &self.local_addrs, p.addr)).unwrap_or_default();
        if self.cfg.brief_listing && self.local_terms.capabilities.asconf {
            own.truncate(source::BRIEF_LIST);
        }
        let mut params = Vec::with_capacity(INIT_PARAMS);
        let mut w = Writer::new(&mut params);
        own.into_iter().for_each(|a| Param::Address(a).encode(&mut w));
        // RFC 8261 section 6.1: a lower layer knows no addresses.
        if peer.is_none_or(|p| p.channel.has_addresses()) {
            Param::SupportedAddressTypes(self.cfg.families.types()).encode(&mut w);
        }
        if self.preservative > 0 {
            Param::CookiePreservative(self.preservative).encode(&mut w);
        }
        self.local_terms.write_params(&mut w);
        w.trim_padding();
        pkt.push(&Chunk::Init(Init {
            tag: self.local_tag,
            a_rwnd: u32::try_from(self.cfg.recv_buffer).unwrap_or(u32::MAX),
            outbound: self.cfg.outbound_streams,
            inbound: self.cfg.max_inbound_streams,
            tsn: self.local_tsn,
            params: InitParams::Wire(&params),
        }));
        pkt.finish()
    }
}
