//! Building packets: control chunks first, then SACK, then DATA (RFC 9260 section 6.10).

use super::Association;
use super::core::{Context, Control, Core};
use super::ext::Extensions;
use super::path::{HEARTBEAT_TLV_LEN, PathId};
use super::rx::Rx;
use super::state::State;
use crate::net::{Ecn, Transmit};
use crate::num::Vtag;
use crate::wire::chunk::{CookieEcho, ErrorChunk, Heartbeat, Init, InitParams, Shutdown};
use crate::wire::{Chunk, CommonHeader, PacketWriter, Param};

/// A packet that was built.
#[derive(Clone, Copy, Debug)]
struct Built {
    len: usize,
    ecn: Option<Ecn>,
}

impl Association {
    /// Appends the next packet to `buf`, or a train of at most `max_segments` packets of which only the last may be shorter.
    /// `None` when nothing may be sent now.
    pub(crate) fn poll_transmit(&mut self, ctx: &mut Context<'_>, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let Self { core, ext } = self;
        if core.state == State::Closed {
            return None;
        }
        let start = buf.len();
        let Some((path, limit, Built { len: first, ecn })) = core.first_packet(ctx, ext, buf) else {
            core.tx.end_opportunities(ctx.now, &mut core.paths);
            return None;
        };
        let mut last = first;
        let mut segments = 1;
        // An oversized packet goes alone, to be fragmented by IP; equal ones go out in one system call.
        // A control chunk may be longer than the first packet, and ends a train.
        // All packets of a train have the same ECN mark.
        while last == first
            && first <= limit
            && segments < max_segments
            && core.control.is_empty()
            && core.next_path(ctx) == Some(path)
            && core.is_markable(ctx, ext, path) == ecn.is_some()
        {
            let Some(built) = core.next_packet(ctx, ext, path, first, buf) else { break };
            last = built.len;
            segments += 1;
        }
        let p = core.paths.get(path)?;
        let transmit = Transmit {
            size: buf.len() - start,
            segment_size: (segments > 1).then_some(first),
            may_fragment: first > limit,
            ecn,
            ..p.transmit()
        };
        core.count_transmit(path, &transmit);
        Some(transmit)
    }
}

impl Core {
    /// Builds the first packet of a train: where it goes, how long packets there may be, and how long it is.
    fn first_packet(&mut self, ctx: &mut Context<'_>, ext: &mut Extensions, buf: &mut Vec<u8>) -> Option<(PathId, usize, Built)> {
        let path = self.next_path(ctx)?;
        let limit = self.paths.get(path)?.max_packet();
        Some((path, limit, self.next_packet(ctx, ext, path, limit, buf)?))
    }

    /// Where the next packet goes, if there is one.
    fn next_path(&mut self, ctx: &Context<'_>) -> Option<PathId> {
        let primary = self.paths.primary();
        match self.control.front() {
            Some(Control::Heartbeat(p, _) | Control::HeartbeatAck(p, _)) => return Some(*p),
            Some(_) => return Some(primary),
            None => {}
        }
        if self.rx.as_ref().is_some_and(Rx::sack_due) {
            return Some(self.reply_path);
        }
        self.data_path(ctx)
    }

    /// The path that DATA may leave by now.
    fn data_path(&self, ctx: &Context<'_>) -> Option<PathId> {
        // In COOKIE-ECHOED, DATA only rides behind the COOKIE ECHO.
        let may = self.state.sends_data() && self.state != State::CookieEchoed;
        may.then(|| self.tx.wants_to_send(ctx.now, &self.paths)).flatten()
    }

    /// Whether the next packet has new DATA and nothing else, so that it may say that it is ECN-capable.
    fn is_markable(&self, ctx: &Context<'_>, ext: &Extensions, path: PathId) -> bool {
        ext.ecn.is_some_and(|e| !e.has_answer())
            && self.data_path(ctx) == Some(path)
            && !self.rx.as_ref().is_some_and(Rx::sack_pending)
            && self.tx.sends_only_new(&self.paths)
    }

    /// Builds one packet of at most `limit` bytes, unless a single control chunk is longer.
    fn next_packet(&mut self, ctx: &mut Context<'_>, ext: &mut Extensions, path: PathId, limit: usize, buf: &mut Vec<u8>) -> Option<Built> {
        if self.control.front() == Some(&Control::Init) {
            self.control.pop_front();
            self.counters.out_ctrl_chunks += 1;
            return Some(Built { len: self.init_packet(limit, buf), ecn: None });
        }
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag: self.peer_tag };
        let mut pkt = PacketWriter::new(buf, header, limit);
        let echoes = self.control.front() == Some(&Control::CookieEcho);
        self.put_control(ctx, path, &mut pkt);
        let data = if echoes { self.tx.wants_to_send(ctx.now, &self.paths) } else { self.data_path(ctx) } == Some(path);
        // Retransmissions and probes of a closed window are not ECN-capable (RFC 3168 sections 6.1.5 and 6.1.6).
        let markable = ext.ecn.is_some() && !echoes && self.tx.sends_only_new(&self.paths);
        let mut marked = false;
        self.put_sack(ext, path, data, &mut pkt);
        if data {
            if let Some(ecn) = &mut ext.ecn {
                ecn.emit_with_data(&mut self.counters, &mut pkt);
            }
            let chunks = self.tx.fill(ctx.now, path, &mut self.paths, &mut pkt);
            self.counters.out_data_packs += u64::from(chunks > 0);
            marked = markable && chunks > 0;
        }
        if pkt.is_empty() {
            pkt.discard();
            return None;
        }
        Some(Built { len: pkt.finish(), ecn: marked.then_some(Ecn::Ect0) })
    }

    /// Adds a SACK if one is due, or if there is something to say and the packet goes anyhow.
    fn put_sack(&mut self, ext: &Extensions, path: PathId, data: bool, pkt: &mut PacketWriter<'_>) {
        // It goes only where it fits as it would in a packet of its own: cut short, it would hide what was received.
        let full = self.paths.get(path).map_or(0, super::path::Path::pmdcs);
        let echo_len = ext.ecn.map_or(0, |e| e.len_with_sack());
        if let Some(rx) = &mut self.rx
            && !self.state.is_opening()
            && pkt.fits((rx.sack_len() + echo_len).min(full))
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

    /// Moves control chunks for `path` into the packet as long as they fit; the first one always goes.
    fn put_control(&mut self, ctx: &mut Context<'_>, path: PathId, pkt: &mut PacketWriter<'_>) {
        while let Some(c) = self.control.front() {
            let elsewhere = matches!(c, Control::Heartbeat(p, _) | Control::HeartbeatAck(p, _) if *p != path);
            if elsewhere || *c == Control::Init || !(pkt.is_empty() || pkt.fits(self.control_len(c))) {
                return;
            }
            if let Some(c) = self.control.pop_front() {
                self.put_chunk(ctx, &c, pkt);
            }
        }
    }

    /// Length of the chunk that `c` becomes.
    fn control_len(&self, c: &Control) -> usize {
        4 + match c {
            Control::Init => 0,
            Control::CookieEcho => self.cookie.len(),
            Control::CookieAck | Control::ShutdownAck => 0,
            Control::Heartbeat(..) => HEARTBEAT_TLV_LEN,
            Control::HeartbeatAck(_, tlvs) => tlvs.len(),
            Control::Error(causes) => causes.len(),
            Control::Shutdown => 4,
        }
    }

    fn put_chunk(&mut self, ctx: &mut Context<'_>, c: &Control, pkt: &mut PacketWriter<'_>) {
        self.counters.out_ctrl_chunks += 1;
        self.counters.out_heartbeats += u64::from(matches!(c, Control::Heartbeat(..)));
        match c {
            Control::Init => {}
            Control::CookieEcho => {
                self.echoed = Some(ctx.now);
                pkt.push(&CookieEcho { cookie: &self.cookie });
            }
            Control::CookieAck => pkt.push(&Chunk::CookieAck),
            Control::Heartbeat(id, kind) => {
                if let Some(path) = self.paths.get_mut(*id) {
                    let info = path.send_heartbeat(ctx.now, *id, *kind, ctx.entropy);
                    pkt.push(&Chunk::Heartbeat(Heartbeat { tlvs: &info.tlvs() }));
                }
            }
            Control::HeartbeatAck(_, tlvs) => pkt.push(&Chunk::HeartbeatAck(Heartbeat { tlvs })),
            Control::Error(causes) => pkt.push(&ErrorChunk { causes }),
            Control::Shutdown => {
                if let Some(rx) = &self.rx {
                    pkt.push(&Shutdown { cum_tsn: rx.cum_tsn() });
                }
            }
            Control::ShutdownAck => pkt.push(&Chunk::ShutdownAck),
        }
    }

    /// An INIT, alone in its packet, with tag zero; a retransmission is equal to the first (section 5.1).
    fn init_packet(&self, limit: usize, buf: &mut Vec<u8>) -> usize {
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag: Vtag::ZERO };
        let mut pkt = PacketWriter::new(buf, header, limit);
        let families = [0, 5, 0, 6];
        let mut params = vec![Param::SupportedAddressTypes(&families)];
        if self.preservative > 0 {
            params.push(Param::CookiePreservative(self.preservative));
        }
        self.wanted.push_params(&mut params);
        pkt.push(&Chunk::Init(Init {
            tag: self.local_tag,
            a_rwnd: u32::try_from(self.cfg.recv_buffer).unwrap_or(u32::MAX),
            outbound: self.cfg.outbound_streams,
            inbound: self.cfg.max_inbound_streams,
            tsn: self.local_tsn,
            params: InitParams::List(&params),
        }));
        pkt.finish()
    }
}
