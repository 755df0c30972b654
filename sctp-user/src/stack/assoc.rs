//! What can be asked and wanted of one association.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::{AssocStatus, AuthChunks, Snapshot, Stack, is_about_to_send};
use crate::assoc::Core;
use crate::assoc::rx::Rx;
use crate::assoc::state::State;
use crate::config::AssocConfig;
use crate::error::{ConfigError, SendError};
use crate::event::{AssocId, EndpointId, Message, PrPolicy, SendOptions};
use crate::num::{Ppid, StreamId, Tsn};
use crate::stats::{Abandoned, AssocStats};
use crate::time::Time;

/// A short-lived handle on one association.
#[derive(Debug)]
pub struct Assoc<'a> {
    pub(super) stack: &'a mut Stack,
    pub(super) id: AssocId,
    pub(super) ep: EndpointId,
}

impl Stack {
    /// [`Assoc::recv`].
    #[inline]
    pub(crate) fn recv(&mut self, id: AssocId) -> Option<Message> {
        if self.assocs.get(id)?.core.is_read() { None } else { self.read(id) }
    }

    #[inline(never)]
    fn read(&mut self, id: AssocId) -> Option<Message> {
        let core = &mut self.assocs.get_mut(id)?.core;
        let message = core.recv();
        if core.state != State::Closed {
            // Nothing read, nothing changed.
            if message.is_some() && !is_about_to_send(core) {
                self.touch(id);
            }
        } else if message.is_none() && !self.events.iter().any(|(_, of, _)| *of == id) {
            self.forget(id);
        }
        message
    }

    /// The receive side of an association, once its peer was heard.
    #[cfg(feature = "socket")]
    pub(crate) fn rx(&self, id: AssocId) -> Option<&Rx> {
        self.assocs.get(id)?.core.rx.as_ref()
    }
}

impl Assoc<'_> {
    /// Hands in a message.
    ///
    /// # Errors
    /// The association is closing, the stream does not exist, the message is empty or too long, or the send buffer is full.
    pub fn send(&mut self, now: Time, sid: StreamId, ppid: Ppid, mut payload: Bytes, opts: SendOptions) -> Result<(), SendError> {
        self.send_from(now, sid, ppid, &mut payload, opts)
    }

    /// As [`Self::send`], but a message that is refused stays in `payload`.
    pub(crate) fn send_from(
        &mut self,
        now: Time,
        sid: StreamId,
        ppid: Ppid,
        payload: &mut Bytes,
        opts: SendOptions,
    ) -> Result<(), SendError> {
        let Some(core) = self.stack.assocs.get_mut(self.id).map(|a| &mut a.core) else { return Err(SendError::Closed) };
        let sent = core.send(now, sid, ppid, payload, opts);
        if !is_about_to_send(core) {
            self.stack.touch(self.id);
        }
        sent
    }

    /// The next message; part of one if it does not fit the receive buffer ([`Message::more`]). Reading makes room in the receive window.
    pub fn recv(&mut self) -> Option<Message> {
        self.stack.recv(self.id)
    }

    /// Whether [`Event::SenderDry`](crate::Event::SenderDry) tells each time that everything sent is acknowledged; at once if nothing
    /// is under way.
    pub fn notify_when_dry(&mut self, now: Time, on: bool) {
        self.stack.with_assoc(now, self.id, |a, _| a.core.notify_when_dry(on));
        self.stack.touch(self.id);
    }

    /// The last TSN up to which everything was received (RFC 6458 section 5.3.5); `None` before the peer was heard.
    #[must_use]
    pub fn cumulative_tsn(&self) -> Option<Tsn> {
        self.core().and_then(|c| c.rx.as_ref()).map(Rx::cum_tsn)
    }

    /// Closes gracefully: what was accepted for sending is delivered first.
    pub fn shutdown(&mut self, now: Time) {
        self.stack.with_assoc(now, self.id, |a, ctx| a.core.shutdown(ctx));
        self.stack.touch(self.id);
    }

    /// Sends an ABORT with the cause User-Initiated Abort and `reason`.
    pub fn abort(&mut self, now: Time, reason: &[u8]) {
        self.stack.with_assoc(now, self.id, |a, _| a.core.abort(reason));
        self.stack.touch(self.id);
    }

    /// Sends a HEARTBEAT on the path in use at once (RFC 9260 section 8.3 D); several may be outstanding.
    pub fn heartbeat(&mut self, now: Time) {
        self.stack.with_assoc(now, self.id, |a, _| a.core.heartbeat());
        self.stack.touch(self.id);
    }

    /// Counters since it was opened.
    #[must_use]
    pub fn stats(&self) -> AssocStats {
        self.core().map(Core::stats).unwrap_or_default()
    }

    /// Messages given up: those of one stream, or of all, by one policy, or by any (RFC 7496 sections 4.3 and 4.4).
    #[must_use]
    pub fn abandoned(&self, sid: Option<StreamId>, policy: Option<PrPolicy>) -> Abandoned {
        self.core().map(|core| core.tx.abandoned(sid, policy)).unwrap_or_default()
    }

    /// A snapshot.
    #[must_use]
    pub fn status(&self) -> AssocStatus {
        self.core().map(Core::status).unwrap_or_default()
    }

    /// Everything there is to see, with times counted from `now`. Printed it is a page for people.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # use sctp_user::{EndpointConfig, SeededEntropy, Stack, StackConfig, Time};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(1)));
    /// let endpoint = stack.open(EndpointConfig::new(5000))?;
    /// let peer: SocketAddr = "192.0.2.1:5001".parse()?;
    /// let id = stack.connect(Time::ZERO, endpoint, &[peer.into()], None)?;
    /// let page = stack.assoc(id).and_then(|a| a.snapshot(Time::from_millis(300))).ok_or("gone")?.to_string();
    /// assert!(page.contains("COOKIE-WAIT, opened by us, port 5000 to 5001"));
    /// assert!(page.contains("timers      T1 in 700ms"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn snapshot(&self, now: Time) -> Option<Snapshot> {
        self.core().map(|c| c.snapshot(now))
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<AssocConfig> {
        self.core().map(|c| Arc::clone(&c.cfg)).unwrap_or_default()
    }

    /// Changes the configuration of this association: `change` edits the one in force (RFC 9260 section 11.1.13).
    ///
    /// New values count at once, for its paths and timers too; a timer that runs keeps its time.
    ///
    /// # Errors
    /// A new value is forbidden, or was settled when the association was opened; then nothing is changed.
    pub fn reconfigure(&mut self, now: Time, change: impl FnOnce(&mut AssocConfig)) -> Result<(), ConfigError> {
        let mut cfg = AssocConfig::clone(&self.config());
        change(&mut cfg);
        let done = self.stack.with_assoc(now, self.id, |a, ctx| a.reconfigure(ctx, cfg));
        self.stack.touch(self.id);
        done.unwrap_or(Ok(()))
    }

    /// The chunk types that must be authenticated (RFC 4895).
    #[must_use]
    pub fn auth_chunks(&self) -> AuthChunks {
        let of =
            |c: &Core| AuthChunks { agreed: c.agreed().auth, local: c.local_terms.auth.required(), peer: c.peer_terms.auth.required() };
        self.core().map(of).unwrap_or_default()
    }

    /// What it does against the advice of RFC 9260: [`AssocConfig::deviations`], and what depends on its paths.
    #[must_use]
    pub fn deviations(&self) -> Vec<&'static str> {
        self.core().map(Core::deviations).unwrap_or_default()
    }

    /// The endpoint that it belongs to.
    #[must_use]
    pub fn endpoint(&self) -> EndpointId {
        self.ep
    }

    /// The peer's addresses with its SCTP port, the primary path's first.
    #[must_use]
    pub fn peer_addrs(&self) -> Vec<SocketAddr> {
        self.core().map(Core::peer_addrs).unwrap_or_default()
    }

    /// Our addresses as the peer knows them, with our SCTP port; none before the peer was heard.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.core().map(|c| c.local_addrs.iter().map(|a| SocketAddr::new(*a, c.local_port)).collect()).unwrap_or_default()
    }

    pub(super) fn core(&self) -> Option<&Core> {
        self.stack.assocs.get(self.id).map(|a| &a.core)
    }
}
