//! Many endpoints, many associations: the public verbs of the core.
#![allow(unused, clippy::todo, missing_docs)]

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{AssocConfig, EndpointConfig, StackConfig};
use crate::entropy::Entropy;
use crate::error::{BindError, ConnectError, SendError};
use crate::event::{AssocId, EndpointId, Event, Message, SendOptions};
use crate::net::{AddrChange, Meta, NetError, PeerAddr, Train, Transmit};
use crate::node::Node;
use crate::num::{Ppid, StreamId};
use crate::time::Time;

/// An SCTP stack: endpoints and associations, driven by the four verbs of [`Node`].
#[derive(Debug)]
pub struct Stack {}

impl Stack {
    pub fn new(cfg: StackConfig, entropy: Box<dyn Entropy>) -> Self {
        todo!()
    }
    /// Opens an endpoint; port 0 takes a free ephemeral one.
    pub fn open(&mut self, cfg: EndpointConfig) -> Result<EndpointId, BindError> {
        todo!()
    }
    /// Accept associations; at most `backlog` half-closed/unaccepted ones are the socket layer's concern. `false` stops accepting.
    pub fn listen(&mut self, ep: EndpointId, on: bool) {
        todo!()
    }
    /// Closes an endpoint: its associations are aborted.
    pub fn close(&mut self, now: Time, ep: EndpointId) {
        todo!()
    }
    pub fn local_port(&self, ep: EndpointId) -> Option<u16> {
        todo!()
    }
    pub fn connect(
        &mut self,
        now: Time,
        ep: EndpointId,
        peer: &[PeerAddr],
        cfg: Option<Arc<AssocConfig>>,
    ) -> Result<AssocId, ConnectError> {
        todo!()
    }
    pub fn assoc(&mut self, id: AssocId) -> Option<Assoc<'_>> {
        todo!()
    }
    /// The next notification. After `Event::Lost` the id stays valid for `Assoc::recv` of what had arrived until `forget` or the event was polled and its queue is empty.
    pub fn poll_event(&mut self) -> Option<(EndpointId, AssocId, Event)> {
        todo!()
    }
    pub fn handle_datagram(&mut self, now: Time, meta: &Meta, packet: Bytes) {
        todo!()
    }
}

impl Node for Stack {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        todo!()
    }
    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        todo!()
    }
    fn handle_timeout(&mut self, now: Time) {
        todo!()
    }
    fn poll_transmit(&mut self, now: Time, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        todo!()
    }
    fn poll_timeout(&self) -> Option<Time> {
        todo!()
    }
}

/// A short-lived handle on one association.
#[derive(Debug)]
pub struct Assoc<'a> {
    stack: &'a mut Stack,
}

impl Assoc<'_> {
    pub fn send(&mut self, now: Time, sid: StreamId, ppid: Ppid, payload: Bytes, opts: SendOptions) -> Result<(), SendError> {
        todo!()
    }
    pub fn recv(&mut self) -> Option<Message> {
        todo!()
    }
    /// Graceful shutdown: what was accepted for sending is delivered first.
    pub fn shutdown(&mut self, now: Time) {
        todo!()
    }
    /// ABORT with User-Initiated Abort and `reason`.
    pub fn abort(&mut self, now: Time, reason: &[u8]) {
        todo!()
    }
    /// Sends a HEARTBEAT on the path in use at once (RFC 9260 section 8.3 D); several may be outstanding.
    pub fn heartbeat(&mut self, now: Time) {
        todo!()
    }
    pub fn status(&self) -> AssocStatus {
        todo!()
    }
    pub fn endpoint(&self) -> EndpointId {
        todo!()
    }
    /// The peer's SCTP port and addresses, the primary path's first.
    pub fn peer_addrs(&self) -> Vec<std::net::SocketAddr> {
        todo!()
    }
    /// Our addresses of the association as the peer knows them, with our SCTP port.
    pub fn local_addrs(&self) -> Vec<std::net::SocketAddr> {
        todo!()
    }
}

/// A snapshot of an association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AssocStatus {
    /// "ESTABLISHED" and its like.
    pub state: &'static str,
    pub inbound_streams: u16,
    pub outbound_streams: u16,
    /// Bytes accepted for sending and not yet acknowledged.
    pub buffered: usize,
    /// Smoothed round trip of the path in use, if measured, and its variation.
    pub srtt: Option<core::time::Duration>,
    pub rttvar: core::time::Duration,
    pub rto: core::time::Duration,
    /// When a packet of the peer last arrived.
    pub last_heard: Time,
    pub mtu: usize,
    /// HEARTBEATs sent since the peer was last heard and not answered.
    pub unanswered_heartbeats: u32,
}
