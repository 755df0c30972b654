//! ERROR chunks, unknown chunks, and ABORTs for what the peer did wrong.

use bytes::Bytes;

use super::core::{Context, Control, Core, Farewell};
use super::state::State;
use crate::error::CloseReason;
use crate::event::Event;
use crate::net::Transmit;
use crate::num::Vtag;
use crate::wire::chunk::{Abort, ErrorChunk};
use crate::wire::{Cause, CommonHeader, Encode, PacketWriter, RawChunk};

/// The most bytes of an unknown chunk that are echoed, so that an answer stays within one packet.
const MAX_ECHO: usize = 1024;

impl Core {
    /// A chunk of unknown type (RFC 9260 section 3.2). `false` stops the processing of the packet.
    pub(super) fn on_unknown(&mut self, raw: &RawChunk<'_>) -> bool {
        let action = raw.action();
        if action.reports() && !self.state.is_opening() {
            let echo = raw.raw.get(..MAX_ECHO).unwrap_or(raw.raw);
            self.push_control(Control::Error(Cause::UnrecognizedChunk(echo).to_vec()));
        }
        action.continues()
    }

    pub(super) fn on_error(&mut self, ctx: &mut Context<'_>, error: &ErrorChunk<'_>) {
        for cause in error.causes().map_while(Result::ok) {
            if let Cause::StaleCookie(micros) = cause {
                self.on_stale_cookie(ctx, micros);
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
        let reason = reason.get(..MAX_ECHO).unwrap_or(reason);
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
        let Some(path) = self.paths.get(self.paths.data_path()) else { return };
        let mut packet = Vec::new();
        let header = CommonHeader { src_port: self.local_port, dst_port: self.peer_port, vtag };
        let mut w = PacketWriter::new(&mut packet, header, usize::from(u16::MAX));
        w.push(chunk);
        let size = w.finish();
        let transmit = Transmit { size, ..path.transmit() };
        self.farewell = Some(Farewell { transmit, packet });
    }
}
