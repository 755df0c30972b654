//! SCTP in UDP (RFC 6951) on real sockets: the crate `udp-encap` in the core's terms.
#![allow(clippy::disallowed_methods, reason = "edge: the shared port's own deadlines are measured on the real clock")]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use mio::event::Event;
use mio::{Registry, Token};
use udp_encap::share::{ClaimError, Incoming, OpenError, Request, Role, ShareConfig, SharedPort};
use udp_encap::{Bind, NetErrorKind as UdpErrorKind, Received};

use super::clock::MonoClock;
use super::outbox::Outbox;
use super::{Input, Sent, Transport};
use crate::entropy::{Entropy as _, OsEntropy};
use crate::net::{Channel, Ecn, Meta, NetError, NetErrorKind, Train, Transmit, canonical};
use crate::time::Time;

/// Batches, and trains in them, that are handed up before the node's answers are sent: as many trains as the kernel delivers in one call.
const BATCHES: usize = 8;
const TRAINS: usize = 32;

/// How the UDP port is to be bound.
#[derive(Clone, Debug)]
pub(crate) struct UdpSettings {
    pub(crate) port: u16,
    pub(crate) private: bool,
    pub(crate) share: bool,
    pub(crate) fallback_to_ephemeral: bool,
    pub(crate) bind: Option<IpAddr>,
    /// Whether the kernel may cut and join trains.
    pub(crate) offload: bool,
}

/// The state of a shared UDP port as this process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Sharing {
    /// Whether this process reads the port for all.
    pub reader: bool,
    /// How often the reader changed since the port was first bound, as far as this process knows.
    pub generation: u64,
}

/// A claim of an SCTP port that was asked for.
struct PendingClaim {
    ticket: u64,
    request: Request,
    answer: Option<io::Result<u16>>,
}

#[derive(Default)]
struct Claims {
    /// Those whose callers have not fetched the answer; at most one for each waiting caller.
    pending: Vec<PendingClaim>,
    next_ticket: u64,
    /// Ports that were given when nobody waited any more, to be released.
    unwanted: Vec<u16>,
}

impl Claims {
    /// Deals with what is no train.
    #[cold]
    fn take_note(&mut self, incoming: Incoming, local: u16, sink: &mut dyn FnMut(Input<'_>)) {
        match incoming {
            Incoming::Error(err) => {
                let channel = Channel::Udp { local, remote: err.dst.port() };
                let kind = error_kind(&err.kind);
                sink(Input::Error(NetError { kind, dst: canonical(err.dst.ip()), channel, quoted: err.quoted }));
            }
            Incoming::Claimed { request, result } => {
                match self.pending.iter_mut().find(|c| c.request == request) {
                    Some(claim) => claim.answer = Some(result.map_err(claim_error)),
                    None => self.unwanted.extend(result),
                }
                sink(Input::News);
            }
            Incoming::PortsDied { ports } => sink(Input::PortsDied(&ports)),
            Incoming::PortsLost { ports } => tracing::error!(?ports, "these SCTP ports went to another process"),
            Incoming::RoleChanged { role, generation } => {
                tracing::info!(?role, generation, "sharing of the UDP port");
                sink(Input::News);
            }
            // Room for a send: the flush that follows every batch uses it.
            _ => {}
        }
    }
}

pub(crate) struct UdpTransport {
    port: SharedPort,
    claims: Claims,
    outbox: Outbox,
    clock: MonoClock,
}

impl UdpTransport {
    /// Binds the port, or attaches to the process that has it. May take up to two seconds if that one is frozen.
    pub(crate) fn open(settings: &UdpSettings, clock: MonoClock) -> Result<Self, OpenError> {
        let mut udp = Self::open_any(settings, clock)?;
        if !settings.offload {
            udp.port.set_offload(false).map_err(|source| OpenError::Io { port: udp.port.udp_port(), source })?;
        }
        Ok(udp)
    }

    fn open_any(settings: &UdpSettings, clock: MonoClock) -> Result<Self, OpenError> {
        let bind = settings.bind.filter(|ip| !ip.is_unspecified()).map_or(Bind::Any, Bind::Addr);
        let port = if settings.private { 0 } else { settings.port };
        // A single address is nothing that all programs of the user could live with.
        let share = settings.share && port != 0 && matches!(bind, Bind::Any);
        match Self::open_one(ShareConfig { udp_port: port, bind, share, ..ShareConfig::default() }, clock) {
            Err(err) if settings.fallback_to_ephemeral && port != 0 => {
                tracing::warn!(%err, port, "going on from a free UDP port");
                Self::open_one(ShareConfig { udp_port: 0, bind, share: false, ..ShareConfig::default() }, clock)
            }
            other => other,
        }
    }

    fn open_one(cfg: ShareConfig, clock: MonoClock) -> Result<Self, OpenError> {
        let mut entropy = OsEntropy::new().map_err(|source| OpenError::Io { port: cfg.udp_port, source })?;
        let port = SharedPort::open(&cfg, move |out| entropy.fill_public(out))?;
        Ok(Self { port, claims: Claims::default(), outbox: Outbox::default(), clock })
    }

    /// What the shared port calls the time.
    fn instant(&self, now: Time) -> Instant {
        self.clock.instant(now).unwrap_or_else(Instant::now)
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.port.udp_port()
    }

    pub(crate) fn sharing(&self) -> Option<Sharing> {
        let reader = match self.port.role() {
            Role::Private => return None,
            role => role == Role::Reader,
        };
        Some(Sharing { reader, generation: self.port.generation() })
    }

    /// Asks for an SCTP port, 0 for a free one; the answer is fetched by the ticket.
    pub(crate) fn claim(&mut self, port: u16) -> u64 {
        let ticket = self.claims.next_ticket;
        self.claims.next_ticket = ticket.wrapping_add(1);
        let request = self.port.start_claim(port, Instant::now());
        self.claims.pending.push(PendingClaim { ticket, request, answer: None });
        ticket
    }

    /// The answer to a claim, if it has come.
    pub(crate) fn take_claim(&mut self, ticket: u64) -> Option<io::Result<u16>> {
        let claims = &mut self.claims.pending;
        let at = claims.iter().position(|c| c.ticket == ticket && c.answer.is_some())?;
        claims.swap_remove(at).answer
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn forget_claim(&mut self, ticket: u64) {
        let claims = &mut self.claims.pending;
        let Some(at) = claims.iter().position(|c| c.ticket == ticket) else { return };
        // The answer may have come just when the caller gave up.
        if let Some(Ok(port)) = claims.swap_remove(at).answer {
            self.release(port);
        }
    }

    pub(crate) fn release(&mut self, port: u16) {
        self.port.release(port, Instant::now());
    }
}

impl Transport for UdpTransport {
    fn carries(&self, channel: Channel) -> bool {
        matches!(channel, Channel::Udp { .. })
    }

    fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()> {
        self.port.register(registry.try_clone()?, Token(first))
    }

    fn note_ready(&mut self, event: &Event) {
        self.port.handle_event(event);
    }

    /// Looks after the shared port, too.
    fn receive(&mut self, now: Time, sink: &mut dyn FnMut(Input<'_>)) -> bool {
        let (now, local) = (self.instant(now), self.local_port());
        let mut trains = 0;
        for _ in 0..BATCHES {
            let more = self.port.recv(now, |incoming| match incoming {
                Incoming::Train(Received { ref meta, bytes, stride }) => {
                    trains += 1;
                    sink(Input::Packets(&meta_of(meta, local), Train { bytes, stride }));
                }
                other => self.claims.take_note(other, local, sink),
            });
            while let Some(port) = self.claims.unwanted.pop() {
                self.port.release(port, now);
            }
            match more {
                Ok(true) if trains < TRAINS => {}
                Ok(more) => return more,
                Err(err) => {
                    tracing::debug!(%err, "UDP receive");
                    return false;
                }
            }
        }
        true
    }

    #[inline]
    fn send(&mut self, t: &Transmit, bytes: &[u8], sent: Sent<'_>) {
        let port = &mut self.port;
        self.outbox.send(t, bytes, |t, bytes| port.send(&datagram_of(t), bytes), sent);
    }

    fn flush(&mut self, sent: Sent<'_>) {
        let port = &mut self.port;
        self.outbox.flush(|t, bytes| port.send(&datagram_of(t), bytes), sent);
    }

    fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    fn next_deadline(&self) -> Option<Time> {
        self.port.next_deadline().map(|at| self.clock.at(at))
    }

    fn ecn_marks(&self) -> bool {
        self.port.caps().ecn
    }

    fn max_segments(&self) -> usize {
        self.port.max_segments()
    }
}

/// No address needs a change: there are no IPv4-mapped ones.
fn meta_of(meta: &udp_encap::DatagramMeta, local: u16) -> Meta {
    Meta {
        src: meta.src.ip(),
        dst: meta.dst_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        channel: Channel::Udp { local, remote: meta.src.port() },
        ecn: meta.ecn.map(ecn_up),
        ifindex: meta.ifindex,
    }
}

fn datagram_of(t: &Transmit) -> udp_encap::Transmit {
    udp_encap::Transmit {
        src: t.src,
        dst: t.dst,
        ecn: t.ecn.map(ecn_down),
        dscp: t.dscp,
        flow_label: t.flow_label,
        segment_size: t.segment_size,
        may_fragment: t.may_fragment,
    }
}

pub(super) fn ecn_up(ecn: udp_encap::Ecn) -> Ecn {
    match ecn {
        udp_encap::Ecn::Ect0 => Ecn::Ect0,
        udp_encap::Ecn::Ect1 => Ecn::Ect1,
        udp_encap::Ecn::Ce => Ecn::Ce,
    }
}

pub(super) fn ecn_down(ecn: Ecn) -> udp_encap::Ecn {
    match ecn {
        Ecn::Ect0 => udp_encap::Ecn::Ect0,
        Ecn::Ect1 => udp_encap::Ecn::Ect1,
        Ecn::Ce => udp_encap::Ecn::Ce,
    }
}

fn error_kind(kind: &UdpErrorKind) -> NetErrorKind {
    match kind {
        UdpErrorKind::PortUnreachable => NetErrorKind::PortUnreachable,
        UdpErrorKind::TooBig { mtu } => NetErrorKind::TooBig { mtu: *mtu },
        _ => NetErrorKind::Unreachable,
    }
}

fn claim_error(err: ClaimError) -> io::Error {
    let kind = match err {
        ClaimError::TimedOut => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::AddrInUse,
    };
    io::Error::new(kind, err)
}
