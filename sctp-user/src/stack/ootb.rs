//! Packets out of the blue (RFC 9260 section 8.4): right checksum, no association.

use super::Stack;
use crate::net::{Channel, Meta, Transmit};
use crate::num::Vtag;
use crate::time::Time;
use crate::wire::chunk::{Abort, ShutdownComplete, kind};
use crate::wire::{Cause, Chunk, CommonHeader, Encode, Packet, PacketWriter};

/// What most answers take in bytes: a packet of a chunk with a few causes.
const SHORT_ANSWER: usize = 64;

impl Stack {
    /// Rules 2 and 5 to 8 of section 8.4; INIT and COOKIE ECHO (3 and 4) went to the responder, and the source's kind (1) was
    /// checked before.
    pub(super) fn out_of_the_blue(&mut self, now: Time, meta: &Meta, packet: &Packet<'_>) {
        if self.cfg.blackhole || self.is_foreign(meta, packet.header.dst_port) {
            return;
        }
        // RFC 4895 section 6.3: as if there were no AUTH chunk.
        let Some(Ok(first)) = packet.chunks().find(|c| c.as_ref().is_ok_and(|c| c.kind != kind::AUTH) || c.is_err()) else { return };
        let silent = |c: crate::wire::RawChunk<'_>| match c.kind {
            kind::ABORT | kind::SHUTDOWN_COMPLETE | kind::COOKIE_ACK => true,
            kind::ERROR => stale_cookie(&c),
            _ => false,
        };
        if packet.chunks().map_while(Result::ok).any(silent) {
            return;
        }
        if first.kind == kind::SHUTDOWN_ACK {
            self.answer(now, meta, packet.header, packet.header.vtag, &ShutdownComplete { t: true });
        } else {
            self.answer(now, meta, packet.header, packet.header.vtag, &Abort { t: true, causes: &[] });
        }
    }

    /// Whether a packet may be for another SCTP of this host: a raw socket sees what comes for all of them (rulings section 5 row 19).
    pub(super) fn is_foreign(&self, meta: &Meta, port: u16) -> bool {
        meta.channel == Channel::Raw && !self.cfg.raw_alone && self.ports.by_port(port).is_none()
    }

    /// Sends one chunk back to where a packet came from, keeping nothing.
    pub(super) fn answer(&mut self, now: Time, meta: &Meta, to: CommonHeader, vtag: Vtag, chunk: &impl Encode) {
        if !self.ootb_limit.allow(now, meta.src) {
            self.counters.limited_answers += 1;
            return;
        }
        self.reply(meta, (to, vtag), SHORT_ANSWER, chunk);
    }

    /// As [`Self::answer`], for answers that have a limit of their own; `room` is what they take in bytes.
    pub(super) fn reply(&mut self, meta: &Meta, (to, vtag): (CommonHeader, Vtag), room: usize, chunk: &impl Encode) {
        let mut bytes = Vec::with_capacity(room);
        let header = CommonHeader { src_port: to.dst_port, dst_port: to.src_port, vtag };
        let mut pkt = PacketWriter::new(&mut bytes, header, usize::from(u16::MAX));
        pkt.push(chunk);
        pkt.finish();
        self.push_reply(Transmit::back_to(meta), bytes);
    }
}

fn stale_cookie(chunk: &crate::wire::RawChunk<'_>) -> bool {
    let Ok(Chunk::Error(e)) = chunk.decode() else { return false };
    e.causes().map_while(Result::ok).any(|c| matches!(c, Cause::StaleCookie(_)))
}
