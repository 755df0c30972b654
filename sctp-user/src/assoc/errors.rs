//! ERROR chunks, unknown chunks, and ABORTs for what the peer did wrong.

use core::time::Duration;

use bytes::Bytes;

use super::Association;
use super::core::{Context, Control, Core, Farewell};
use super::path::PathId;
use super::state::State;
use crate::error::CloseReason;
use crate::event::Event;
use crate::net::{Meta, Transmit};
use crate::num::Vtag;
use crate::time::Time;
use crate::wire::chunk::{Abort, ErrorChunk, Verbatim};
use crate::wire::cursor::padded;
use crate::wire::packet::{CHUNK_HEADER_LEN, COMMON_HEADER_LEN};
use crate::wire::{Cause, CommonHeader, Encode, PacketWriter, RawChunk};

/// The most bytes of the user's reason that go into an ABORT, so that it stays within one packet.
const MAX_REASON: usize = 1024;
/// Length of an error cause's header in bytes.
const CAUSE_HEADER_LEN: usize = 4;
/// Most complaints about packets of the peer in one second; what is wrong beyond goes unreported.
const MAX_COMPLAINTS: u16 = 100;

/// How many complaints went out in the present second.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Complaints {
    since: Time,
    count: u16,
    /// Whether the present packet has caused one: what does not fit beside it is dropped (RFC 5062 section 10).
    open: bool,
}

impl Complaints {
    fn allow(&mut self, now: Time) -> bool {
        if now - self.since >= Duration::from_secs(1) {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= MAX_COMPLAINTS
    }

    /// Another packet is looked at.
    pub(super) fn next_packet(&mut self) {
        self.open = false;
    }
}

impl Core {
    /// A chunk of unknown type (RFC 9260 section 3.2). `false` stops the processing of the packet.
    pub(super) fn on_unknown(&mut self, now: Time, raw: &RawChunk<'_>) -> bool {
        let action = raw.action();
        if action.reports() && !self.state.is_opening() {
            // As much of it as fits a packet: the answer to one packet never needs two for a chunk.
            let room = self.error_room().saturating_sub(CAUSE_HEADER_LEN);
            self.complain(now, &Cause::UnrecognizedChunk(raw.raw.get(..room).unwrap_or(raw.raw)));
        }
        action.continues()
    }

    /// Bytes of error causes that an ERROR in a packet of its own has room for.
    fn error_room(&self) -> usize {
        let packet = self.paths.get(self.paths.primary()).map_or(0, super::path::Path::max_packet);
        packet.saturating_sub(COMMON_HEADER_LEN + CHUNK_HEADER_LEN)
    }

    /// Reports an error to the peer. All that one packet causes share one ERROR, as long as it fits a packet; at most
    /// [`MAX_COMPLAINTS`] are made in a second.
    pub(super) fn complain(&mut self, now: Time, cause: &Cause<'_>) {
        if !self.complaints.allow(now) {
            self.counters.rare().dropped_controls += 1;
            return;
        }
        let cause = cause.to_vec();
        let room = self.error_room();
        let last = self.control.iter_mut().rev().find_map(|c| if let Control::Error(list) = c { Some(list) } else { None });
        match last {
            Some(list) if self.complaints.open => {
                let len = padded(list.len());
                if len + cause.len() <= room {
                    list.resize(len, 0);
                    list.extend_from_slice(&cause);
                } else {
                    self.counters.rare().dropped_controls += 1;
                }
            }
            _ => {
                self.complaints.open = true;
                self.push_control(Control::Error(cause));
            }
        }
    }

    pub(super) fn on_error(&mut self, ctx: &mut Context<'_>, error: &ErrorChunk<'_>) {
        for cause in error.causes().map_while(Result::ok) {
            if matches!(cause, Cause::StaleCookie(_)) {
                self.on_stale_cookie(ctx);
                return;
            }
        }
        if !self.state.is_opening() {
            self.events.push_back(Event::RemoteError(Bytes::copy_from_slice(error.causes)));
        }
    }

    /// The peer broke the protocol: ABORT with `cause`, and the end.
    pub(super) fn violate(&mut self, what: &'static str, cause: &Cause<'_>) {
        tracing::debug!(assoc = self.id.get(), what, "protocol violation");
        self.abort_with(&cause.to_vec());
        self.close(CloseReason::ProtocolViolation(what));
    }

    /// The user's abort: ABORT with User-Initiated Abort (section 9.1).
    pub(crate) fn abort(&mut self, reason: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        let reason = reason.get(..MAX_REASON).unwrap_or(reason);
        self.abort_with(&Cause::UserAbort(reason).to_vec());
        self.close(CloseReason::Aborted);
    }

    /// Builds an ABORT as the association's last packet. Before the INIT ACK there is nobody to tell.
    pub(super) fn abort_with(&mut self, causes: &[u8]) {
        if self.peer_tag != Vtag::ZERO {
            self.say_farewell(self.peer_tag, &Abort { t: false, causes });
        }
    }

    /// Builds the association's last packet, with a single chunk, where data goes.
    pub(super) fn say_farewell(&mut self, vtag: Vtag, chunk: &impl Encode) {
        self.say_farewell_on(self.paths.data_path(), vtag, chunk);
    }

    /// The same to another path.
    pub(super) fn say_farewell_on(&mut self, path: PathId, vtag: Vtag, chunk: &impl Encode) {
        let Some(path) = self.paths.get(path) else { return };
        self.farewell = Some(Box::new(Farewell { transmit: path.transmit(), vtag, chunk: chunk.to_vec() }));
    }

    /// A packet with a single chunk for where one came from that is no path.
    pub(super) fn say_aside(&mut self, meta: &Meta, chunk: &impl Encode) {
        self.farewell = Some(Box::new(Farewell { transmit: Transmit::back_to(meta), vtag: self.peer_tag, chunk: chunk.to_vec() }));
    }
}

impl Association {
    /// The association's last packet, if it has said farewell.
    pub(crate) fn take_farewell(&mut self) -> Option<(Transmit, Vec<u8>)> {
        let Self { core, ext } = self;
        let Farewell { transmit, vtag, chunk } = *core.farewell.take()?;
        let mut packet = Vec::with_capacity(COMMON_HEADER_LEN + padded(chunk.len()));
        let header = CommonHeader { src_port: core.local_port, dst_port: core.peer_port, vtag };
        let mut pkt = PacketWriter::new(&mut packet, header, usize::from(u16::MAX));
        pkt.authenticate(ext.auth.as_ref().and_then(|auth| auth.plan(core)));
        pkt.push(&Verbatim(&chunk));
        core.seal(ext, pkt);
        Some((transmit, packet))
    }
}
