//! What a registrar knows, asked for over ENRP: a client that poses as a peer just long enough to read the handlespace and the
//! peer list.
//!
//! It introduces itself by a Presence, for RSPLIB hands its table to known peers only, and then sends a List Request and as many
//! Handle Table Requests (for all elements, W clear) as it takes. It owns no elements and is no registrar: it serves nobody,
//! refuses what it is asked for as a peer, and is gone when it has its answer. The registrar keeps it in its peer list until it
//! has been silent for too long; there is nothing to take over from it then. The identifier should therefore be a random one,
//! as it is in RSPLIB's `hsdump`: one that comes back is taken for the peer that was there before.
//!
//! The core is sans-IO: messages in, messages out. [`crate::node::DumpNode`] puts it on an association.

mod snapshot;

#[cfg(test)]
mod dump_test;

use std::collections::VecDeque;

use thiserror::Error;

pub use snapshot::Snapshot;

use crate::handlespace::Checksum;
use crate::wire::{
    DecodeError, DecodeErrorKind, EncodeOptions, EnrpMessage, OperationError, PoolElement, PoolHandle, RegistrarId, ServerInformation,
    Transport,
};

/// Most elements that a registrar may send, those sent twice included: twice what a large handlespace has.
const MAX_ELEMENTS: usize = 2_000_000;
/// Most peers that a registrar may send.
const MAX_PEERS: usize = 10_000;
/// Most messages that wait to be fetched; what a registrar asks for beyond is not answered.
const MAX_OUT: usize = 16;

/// Why there is no dump.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The registrar does not hand out its table or its list.
    #[error("the registrar refuses to tell its {0}")]
    Refused(&'static str),
    /// The registrar did not understand us.
    #[error("the registrar answers with an error: {0}")]
    Error(OperationError),
    /// A message of the registrar cannot be understood.
    #[error("the registrar sent nonsense: {0}")]
    Wire(#[from] DecodeError),
    /// The registrar says that there is more, but sends nothing.
    #[error("the registrar's table does not come to an end")]
    Endless,
    /// More elements or peers than anyone has.
    #[error("the registrar sent more than {0} entries")]
    TooMany(usize),
}

/// The dialogue with one registrar, over one association.
#[derive(Debug)]
pub struct Dump {
    own: RegistrarId,
    out: VecDeque<EnrpMessage>,
    snapshot: Snapshot,
    /// Elements and peers received so far.
    received: usize,
    have_list: bool,
    have_table: bool,
}

impl Dump {
    /// Begins the dialogue as `own`, reached at `transport`: the addresses and the port that the association has on our side,
    /// for RSPLIB believes no others.
    #[must_use]
    pub fn new(own: RegistrarId, transport: Transport) -> Self {
        let receiver = RegistrarId::UNDEFINED;
        let server = Some(ServerInformation { id: own, transport });
        let checksum = Some(Checksum::default().value());
        let out = [
            EnrpMessage::Presence { sender: own, receiver, reply_required: true, checksum, server },
            EnrpMessage::ListRequest { sender: own, receiver },
            EnrpMessage::HandleTableRequest { sender: own, receiver, own_only: false },
        ];
        Self { own, out: out.into(), snapshot: Snapshot::default(), received: 0, have_list: false, have_table: false }
    }

    /// The next message to the registrar.
    pub fn poll_message(&mut self) -> Option<Vec<u8>> {
        // All that we send is small and fits.
        self.out.pop_front()?.encode(EncodeOptions::default()).ok()
    }

    /// Takes a message of the registrar in.
    ///
    /// # Errors
    /// The dialogue has failed.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        let message = match EnrpMessage::decode(bytes) {
            Ok(decoded) => decoded.message,
            // Types to come are none of our business.
            Err(err) if matches!(err.kind, DecodeErrorKind::UnknownMessage(_)) => return Ok(()),
            Err(err) => return Err(err.into()),
        };
        let receiver = message.sender();
        match message {
            // It may want one in return, as of every new peer: ours is on its way already.
            EnrpMessage::Presence { sender, checksum, server, .. } => {
                self.snapshot.registrar = sender;
                self.snapshot.checksum = checksum.or(self.snapshot.checksum);
                self.snapshot.server = server.map(|s| s.transport).or(self.snapshot.server.take());
            }
            EnrpMessage::ListResponse { reject: true, .. } => return Err(DumpError::Refused("peer list")),
            EnrpMessage::ListResponse { servers, .. } => self.peers(servers)?,
            EnrpMessage::HandleTableResponse { reject: true, .. } => return Err(DumpError::Refused("handlespace")),
            EnrpMessage::HandleTableResponse { more, pools, .. } => self.table(receiver, more, pools)?,
            EnrpMessage::Error { error, .. } => return Err(DumpError::Error(error)),
            // A registrar that starts may take us for its mentor.
            EnrpMessage::ListRequest { .. } => {
                self.send(EnrpMessage::ListResponse { sender: self.own, receiver, reject: true, servers: Vec::new() });
            }
            EnrpMessage::HandleTableRequest { .. } => {
                let (reject, more, pools) = (true, false, Vec::new());
                self.send(EnrpMessage::HandleTableResponse { sender: self.own, receiver, reject, more, pools });
            }
            // Changes and takeovers while we look: what was read before stays as it was.
            _ => {}
        }
        Ok(())
    }

    /// Everything, once it is there.
    #[must_use]
    pub fn take(&mut self) -> Option<Snapshot> {
        (self.have_list && self.have_table).then(|| core::mem::take(&mut self.snapshot))
    }

    fn peers(&mut self, servers: Vec<ServerInformation>) -> Result<(), DumpError> {
        if self.snapshot.peers.len().saturating_add(servers.len()) > MAX_PEERS {
            return Err(DumpError::TooMany(MAX_PEERS));
        }
        self.have_list = true;
        // We are one of its peers by now.
        self.snapshot.peers.extend(servers.into_iter().filter(|server| server.id != self.own));
        Ok(())
    }

    fn table(&mut self, sender: RegistrarId, more: bool, pools: Vec<(PoolHandle, Vec<PoolElement>)>) -> Result<(), DumpError> {
        self.snapshot.registrar = sender;
        let count: usize = pools.iter().map(|(_, elements)| elements.len()).sum();
        self.received = self.received.saturating_add(count);
        if self.received > MAX_ELEMENTS {
            return Err(DumpError::TooMany(MAX_ELEMENTS));
        }
        for (handle, elements) in pools {
            let pool = self.snapshot.pools.entry(handle).or_default();
            pool.extend(elements.into_iter().map(|element| (element.id, element)));
        }
        match (more, count) {
            (true, 0) => return Err(DumpError::Endless),
            (true, _) => {
                self.send(EnrpMessage::HandleTableRequest { sender: self.own, receiver: sender, own_only: false });
            }
            (false, _) => self.have_table = true,
        }
        Ok(())
    }

    fn send(&mut self, message: EnrpMessage) {
        if self.out.len() < MAX_OUT {
            self.out.push_back(message);
        }
    }
}
