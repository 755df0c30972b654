//! A host that reads a registrar's handlespace over one association, and nothing else.

use std::net::SocketAddr;

use bytes::Bytes;
use sctp_user::{
    AddrChange, AssocId, BindError, CloseReason, ConnectError, EndpointConfig, EndpointId, Event, KeyRing, Meta, NetError, Node, PeerAddr,
    Ppid, SendError, SendOptions, Stack, StreamId, Time, Train, Transmit,
};
use thiserror::Error;

use crate::dump::{Dump, DumpError, Snapshot};
use crate::wire::{ENRP_PPID, RegistrarId, Transport, TransportUse};

/// Why there is no dump.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DumpFailure {
    /// There is no association with the registrar, or no more.
    #[error("no association with the registrar: {0:?}")]
    Lost(CloseReason),
    /// The registrar answered, but not with what was asked for.
    #[error(transparent)]
    Answer(#[from] DumpError),
}

/// A client that dumps.
#[derive(Debug)]
pub struct DumpNode {
    stack: Stack,
    endpoint: EndpointId,
    own: RegistrarId,
    assoc: Option<AssocId>,
    dump: Option<Dump>,
    /// A message for which the send buffer had no room.
    waiting: Option<Bytes>,
    /// Whether the result is known, taken or not.
    over: bool,
    result: Option<Result<Snapshot, DumpFailure>>,
}

impl DumpNode {
    /// A client that poses as registrar `own` on a new endpoint of `stack`.
    ///
    /// # Errors
    /// The endpoint cannot be opened.
    pub fn new(mut stack: Stack, config: EndpointConfig, own: RegistrarId) -> Result<Self, BindError> {
        let endpoint = stack.open(config)?;
        Ok(Self { stack, endpoint, own, assoc: None, dump: None, waiting: None, over: false, result: None })
    }

    /// Speaks only with who has one of these shared keys, see [`Stack::protect`].
    pub fn protect(&mut self, now: Time, keys: &KeyRing) {
        // It fails for messages that ask for a key which is gone; ours ask for none.
        let _ = self.stack.protect(now, keys);
    }

    /// Begins to ask the registrar whose ENRP service is at `addrs`.
    ///
    /// # Errors
    /// None of the addresses can be used.
    pub fn ask(&mut self, now: Time, addrs: &[SocketAddr]) -> Result<(), ConnectError> {
        let peer: Vec<PeerAddr> = addrs.iter().copied().map(PeerAddr::from).collect();
        self.assoc = Some(self.stack.connect(now, self.endpoint, &peer, None)?);
        Ok(())
    }

    /// What came of it, once that is known; then it is gone from here.
    pub fn take_result(&mut self) -> Option<Result<Snapshot, DumpFailure>> {
        self.result.take()
    }

    /// Whether the association is gone.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.assoc.is_none()
    }

    fn pump(&mut self, now: Time) {
        while let Some((_, id, event)) = self.stack.poll_event() {
            match event {
                Event::Connected { .. } => self.introduce(now, id),
                Event::Readable => self.receive(now, id),
                Event::Writable => self.send(now, id),
                Event::Lost { reason } => {
                    self.receive(now, id);
                    self.assoc = None;
                    if !core::mem::replace(&mut self.over, true) {
                        self.result = Some(Err(DumpFailure::Lost(reason)));
                    }
                }
                _ => {}
            }
        }
    }

    fn introduce(&mut self, now: Time, id: AssocId) {
        let Some(assoc) = self.stack.assoc(id) else { return };
        let local = assoc.local_addrs();
        let port = local.first().map_or(0, SocketAddr::port);
        let transport = Transport::sctp(port, TransportUse::DATA, local.iter().map(SocketAddr::ip));
        self.dump = Some(Dump::new(self.own, transport));
        self.send(now, id);
    }

    fn receive(&mut self, now: Time, id: AssocId) {
        while let Some(message) = self.stack.assoc(id).and_then(|mut a| a.recv()) {
            let Some(dump) = &mut self.dump else { continue };
            // A registrar speaks ENRP on its ENRP port; anything else is none of our business (RFC 5353 section 5.3).
            if message.ppid != Ppid(ENRP_PPID) {
                continue;
            }
            let result = match dump.handle(&message.payload) {
                Ok(()) => dump.take().map(Ok),
                Err(err) => Some(Err(err.into())),
            };
            if let Some(result) = result {
                (self.over, self.result, self.dump) = (true, Some(result), None);
                if let Some(mut assoc) = self.stack.assoc(id) {
                    assoc.shutdown(now);
                }
                return;
            }
        }
        self.send(now, id);
    }

    fn send(&mut self, now: Time, id: AssocId) {
        let Some(dump) = &mut self.dump else { return };
        while let Some(bytes) = self.waiting.take().or_else(|| dump.poll_message().map(Bytes::from)) {
            let Some(mut assoc) = self.stack.assoc(id) else { return };
            if assoc.send(now, StreamId(0), Ppid(ENRP_PPID), bytes.clone(), SendOptions::ordered()) == Err(SendError::WouldBlock) {
                self.waiting = Some(bytes);
                return;
            }
            // Other errors: the association is going down, and says so itself.
        }
    }
}

impl Node for DumpNode {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        self.stack.handle_batch(now, meta, train);
        self.pump(now);
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.stack.handle_net_error(now, err);
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.stack.handle_timeout(now);
        self.pump(now);
    }

    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.pump(now);
        self.stack.poll_transmit(now, max_segments, buf)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.stack.poll_timeout()
    }

    fn handle_addresses(&mut self, now: Time, change: AddrChange) {
        self.stack.handle_addresses(now, change);
        self.pump(now);
    }

    fn handle_ports_died(&mut self, now: Time, ports: &[u16]) {
        self.stack.handle_ports_died(now, ports);
        self.pump(now);
    }
}
