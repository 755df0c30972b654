//! Path MTU discovery as the association sees it (RFC 8899 section 6.2): probe packets, reports of the network, and what the
//! user is told.

use super::Extensions;
use super::core::{Context, Core};
use super::path::PathId;
use crate::event::Event;
use crate::net::Transmit;
use crate::wire::chunk::{Heartbeat, Pad, kind};
use crate::wire::packet::CHUNK_HEADER_LEN;
use crate::wire::{Chunk, CommonHeader, PacketWriter};

impl Core {
    /// Builds a probe, if one is due on any path: a HEARTBEAT, and a PAD chunk that brings the packet to the size in question.
    ///
    /// It is neither data nor answered by much, so cwnd does not limit it; one probe for each path is under way at a time (RFC
    /// 8899 section 3 item 7). Its loss changes neither cwnd nor RTO nor error counters.
    pub(super) fn probe_packet(&mut self, ctx: &mut Context<'_>, ext: &mut Extensions, buf: &mut Vec<u8>) -> Option<Transmit> {
        if !self.state.sends_heartbeats() {
            return None;
        }
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag: self.peer_tag };
        let (id, transmit, info, len) = self.paths.iter_mut().find_map(|(id, path)| {
            let (info, len) = path.send_probe(ctx.now, id, || ctx.entropy.u64())?;
            Some((id, path.transmit(), info, len))
        })?;
        let mut pkt = PacketWriter::new(buf, header, len);
        pkt.authenticate(ext.auth.as_ref().and_then(|auth| auth.plan(self)));
        pkt.push(&Chunk::Heartbeat(Heartbeat { tlvs: &info.tlvs() }));
        let padding = vec![0; pkt.room_for(kind::PAD).saturating_sub(CHUNK_HEADER_LEN).min(Pad::MAX)];
        pkt.push(&Pad { padding: &padding });
        let transmit = Transmit { size: self.seal(ext, pkt), ..transmit };
        self.count_transmit(id, &transmit);
        self.counters.out_heartbeats += 1;
        // HEARTBEAT and PAD.
        self.counters.out_ctrl_chunks += 2;
        Some(transmit)
    }

    /// The search on `path` may have come to another size: the user is told.
    pub(super) fn note_mtu(&mut self, path: PathId) {
        if let Some(p) = self.paths.get_mut(path)
            && let Some(mtu) = p.take_mtu()
        {
            tracing::debug!(assoc = self.id.get(), addr = %p.addr, mtu, "path MTU");
            self.events.push_back(Event::PathMtu { addr: p.addr, mtu });
        }
    }

    /// The network says, and the quoted packet is ours, that a link on `path` carries `mtu` bytes at most.
    pub(crate) fn on_too_big(&mut self, path: PathId, mtu: u32) {
        let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
        if self.paths.get_mut(path).is_some_and(|p| p.on_too_big(mtu)) {
            self.note_mtu(path);
        }
    }
}
