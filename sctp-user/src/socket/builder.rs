//! From settings to bound sockets: [`RuntimeBuilder`] and [`Runtime`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;
use udp_encap::share::OpenError;

use super::handle::Handle;
use super::lower::{Lower, MAX_LISTENERS};
use super::runtime::{Driven, Engine};
use crate::config::{PrivateChannel, StackConfig};
use crate::net::Channel;
use crate::node::Node;
use crate::transport::announce::{AnnounceFrom, Announcers, Listeners};
use crate::transport::clock::MonoClock;
use crate::transport::conflict::{self, RawConflict};
use crate::transport::layer::{LayerTransport, LowerLayer};
use crate::transport::raw::RawTransport;
#[cfg(all(feature = "tun", target_os = "linux"))]
use crate::transport::tun::{TunSettings, TunTransport};
use crate::transport::udp::{UdpSettings, UdpTransport};
use crate::transport::{Transport, addrs};

/// The UDP port that IANA assigned to SCTP in UDP (RFC 6951 section 7).
pub const DEFAULT_UDP_PORT: u16 = 9899;

/// A transport that has addresses of its own, and what the stack must know about it.
type Private = (PrivateChannel, Box<dyn Transport>);

/// Why a runtime could not be built: one line, with the remedy where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The UDP port belongs to another user's programs, or to one that does not share it.
    #[error("UDP port {port} is in use by another user or program: choose another one with --udp-port N")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// Programs of this user share the UDP port, but none of them answers: all are stopped.
    #[error("the programs on UDP port {port} do not answer: continue or end them, or choose another port with --udp-port N")]
    NoAnswer {
        /// The port.
        port: u16,
    },
    /// The UDP port could not be bound.
    #[error("cannot bind UDP port {port}: {source}")]
    Bind {
        /// The port.
        port: u16,
        /// What the operating system says.
        source: io::Error,
    },
    /// This process may not send and receive IP packets of its own.
    #[error("raw IP (protocol 132) is not permitted: run as root, give the program the right (setcap cap_net_raw+ep PROGRAM), or use UDP")]
    RawNotPermitted,
    /// Raw IP sockets cannot be opened for another reason.
    #[error("cannot open raw IP sockets (protocol 132): {0}")]
    Raw(#[source] io::Error),
    /// A TUN device cannot be used.
    #[error("cannot use the TUN device {name}: {source} (have it made: ip tuntap add dev {name} mode tun user $USER)")]
    Tun {
        /// The device.
        name: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A lower layer of the program cannot be used.
    #[error("cannot use the lower layer: {0}")]
    Layer(#[source] io::Error),
    /// Nothing is left that could carry packets.
    #[error("neither UDP nor raw IP nor any other way to send packets was chosen")]
    NoTransport,
    /// The chosen address is not one of this host's.
    #[error("cannot bind {addr}: {source}")]
    Address {
        /// The address.
        addr: IpAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A multicast group could not be joined.
    #[error("cannot listen to announces on {group}: {source}")]
    Listen {
        /// The group.
        group: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A socket for sending announces could not be made.
    #[error("cannot announce from {from}: {source}")]
    Announce {
        /// Source address and port.
        from: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The capture file could not be created.
    #[error("cannot write the capture {}: {source}", path.display())]
    Pcap {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The operating system has no means to wait for events.
    #[error("cannot wait for events: {0}")]
    Poll(#[source] io::Error),
}

impl From<RuntimeError> for io::Error {
    fn from(err: RuntimeError) -> Self {
        let kind = match &err {
            RuntimeError::PortInUse { .. } | RuntimeError::NoAnswer { .. } => io::ErrorKind::AddrInUse,
            RuntimeError::RawNotPermitted => io::ErrorKind::PermissionDenied,
            RuntimeError::NoTransport => io::ErrorKind::InvalidInput,
            RuntimeError::Raw(source)
            | RuntimeError::Layer(source)
            | RuntimeError::Tun { source, .. }
            | RuntimeError::Bind { source, .. }
            | RuntimeError::Address { source, .. }
            | RuntimeError::Listen { source, .. }
            | RuntimeError::Announce { source, .. }
            | RuntimeError::Pcap { source, .. }
            | RuntimeError::Poll(source) => source.kind(),
        };
        Self::new(kind, err)
    }
}

/// Settings of a [`Runtime`].
#[derive(Clone, Debug)]
pub struct RuntimeBuilder {
    udp: UdpSettings,
    with_udp: bool,
    raw: bool,
    raw_alone: bool,
    #[cfg(all(feature = "tun", target_os = "linux"))]
    tun: Vec<TunSettings>,
    layers: Vec<LowerLayer>,
    listen: Vec<(SocketAddr, Vec<IpAddr>)>,
    announce: Vec<AnnounceFrom>,
    pcap: Option<(PathBuf, bool)>,
}

impl RuntimeBuilder {
    /// UDP port 9899 on all addresses, shared with the other programs of this user.
    #[must_use]
    pub fn new() -> Self {
        let udp =
            UdpSettings { port: DEFAULT_UDP_PORT, private: false, share: true, fallback_to_ephemeral: false, bind: None, offload: true };
        Self {
            udp,
            with_udp: true,
            raw: false,
            raw_alone: false,
            #[cfg(all(feature = "tun", target_os = "linux"))]
            tun: Vec::new(),
            layers: Vec::new(),
            listen: Vec::new(),
            announce: Vec::new(),
            pcap: None,
        }
    }

    /// The UDP port to bind, which is also the one that peers are assumed to use; 0 binds a free one and assumes 9899.
    #[must_use]
    pub fn udp_port(mut self, port: u16) -> Self {
        self.udp.port = port;
        self
    }

    /// Whether programs of the same user on this host share the port (the default). Without it the port is this program's alone.
    #[must_use]
    pub fn share(mut self, on: bool) -> Self {
        self.udp.share = on;
        self
    }

    /// Binds a free UDP port for this program alone, as a pure client may; peers are still assumed at [`Self::udp_port`].
    #[must_use]
    pub fn private_udp(mut self) -> Self {
        self.udp.private = true;
        self
    }

    /// Whether to go on from a free UDP port if the chosen one is held by another user (for clients; off by default).
    #[must_use]
    pub fn fallback_to_ephemeral(mut self, on: bool) -> Self {
        self.udp.fallback_to_ephemeral = on;
        self
    }

    /// Whether the kernel cuts trains of packets and joins those that arrive, where it can (UDP_SEGMENT and UDP_GRO on Linux; the
    /// default). Without, every packet costs a system call.
    #[must_use]
    pub fn offload(mut self, on: bool) -> Self {
        self.udp.offload = on;
        self
    }

    /// Does without UDP encapsulation.
    #[must_use]
    pub fn no_udp(mut self) -> Self {
        self.with_udp = false;
        self
    }

    /// Sends and receives SCTP directly over IP (protocol 132), too: one raw socket for each address of the host. It needs the right
    /// to raw sockets (CAP_NET_RAW on Linux), and no SCTP in the kernel that would answer in our place.
    ///
    /// Beside UDP, a peer known only by its address is tried over UDP first.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// Whether no other SCTP, of the kernel or of another program, uses raw IP on this host (off by default). Only then are packets
    /// to SCTP ports that nobody here has open answered by an ABORT, as RFC 9260 section 8.4 asks.
    #[must_use]
    pub fn raw_alone(mut self, on: bool) -> Self {
        self.raw_alone = on;
        self
    }

    /// Sends and receives SCTP directly over IP on the TUN device `name`, too, where these addresses are the stack's own: the host
    /// is a router to it. The device is made if it is not there; its routes are the administrator's business. Peers are reached over it
    /// on [`Channel::Tun`] with the number of the device: 0 for the first one chosen, and so on. Linux only, feature `tun`.
    #[cfg(all(feature = "tun", target_os = "linux"))]
    #[must_use]
    pub fn tun(mut self, name: impl Into<String>, addrs: Vec<IpAddr>) -> Self {
        self.tun.push(TunSettings { name: name.into(), addrs });
        self
    }

    /// Carries packets over a layer of the program's own, too, such as DTLS (RFC 8261).
    #[must_use]
    pub fn lower_layer(mut self, layer: LowerLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Binds this address alone instead of all; the port is then not shared.
    #[must_use]
    pub fn bind(mut self, addr: IpAddr) -> Self {
        self.udp.bind = Some(addr);
        self
    }

    /// Receives datagrams sent to `group` (multicast address and port) on the interfaces that have these addresses.
    ///
    /// They reach the node with [`Channel::Datagram`], their destination being the group.
    #[must_use]
    pub fn announce_listener(mut self, group: SocketAddr, interfaces: Vec<IpAddr>) -> Self {
        self.listen.push((group, interfaces));
        self
    }

    /// Opens a socket for the node's [`Channel::Datagram`] transmits from `from`; see also [`Handle::announce_from`].
    #[must_use]
    pub fn announce_sender(mut self, from: AnnounceFrom) -> Self {
        self.announce.push(from);
        self
    }

    /// Writes every packet sent and received to this file, as pcapng; an existing file is overwritten.
    #[must_use]
    pub fn pcap(mut self, path: impl Into<PathBuf>) -> Self {
        self.pcap = Some((path.into(), false));
        self
    }

    /// Like [`Self::pcap`], but appends: several processes may write to one file at the same time.
    #[must_use]
    pub fn pcap_append(mut self, path: impl Into<PathBuf>) -> Self {
        self.pcap = Some((path.into(), true));
        self
    }

    /// The transports that have addresses of their own: TUN devices and lower layers.
    fn private_transports(&self) -> Result<Vec<Private>, RuntimeError> {
        let mut all: Vec<Private> = Vec::new();
        #[cfg(all(feature = "tun", target_os = "linux"))]
        for (number, settings) in (0..).zip(&self.tun) {
            let tun = TunTransport::open(settings, number).map_err(|source| RuntimeError::Tun { name: settings.name.clone(), source })?;
            all.push((tun.private_channel(), Box::new(tun)));
        }
        for layer in &self.layers {
            if all.iter().any(|(p, _)| p.channel == layer.channel()) {
                return Err(RuntimeError::Layer(io::Error::new(io::ErrorKind::AlreadyExists, "two layers with the same number")));
            }
            let transport = LayerTransport::open(layer.clone()).map_err(RuntimeError::Layer)?;
            all.push((layer.private_channel(), Box::new(transport)));
        }
        Ok(all)
    }

    /// Binds the sockets. Starts no thread.
    ///
    /// # Errors
    /// One line that can be shown to the user as it is.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        let clock = MonoClock::new();
        let udp = if self.with_udp { Some(UdpTransport::open(&self.udp, clock).map_err(|err| open_error(&self.udp, err))?) } else { None };
        let bound = self.udp.bind.filter(|ip| !ip.is_unspecified());
        let mut others: Vec<Box<dyn Transport>> = Vec::new();
        let mut raw_conflict = None;
        if self.raw {
            let addrs = addrs::usable(bound.as_slice());
            others.push(Box::new(RawTransport::open(&addrs).map_err(raw_error)?));
            raw_conflict = conflict::look(&addrs, clock);
        }
        if let Some(conflict) = raw_conflict {
            tracing::warn!("{conflict}");
        }
        let mut private = Vec::new();
        for (channel, transport) in self.private_transports()? {
            private.push(channel);
            others.push(transport);
        }
        let assumed = if self.udp.port == 0 { DEFAULT_UDP_PORT } else { self.udp.port };
        let shared = udp.iter().map(|u| Channel::Udp { local: u.local_port(), remote: assumed }).chain(self.raw.then_some(Channel::Raw));
        let channels: Vec<_> = shared.chain(private.iter().map(|p| p.channel)).collect();
        if channels.is_empty() {
            return Err(RuntimeError::NoTransport);
        }
        let mut listeners = Listeners::default();
        for (group, interfaces) in &self.listen {
            if listeners.len() == MAX_LISTENERS {
                return Err(RuntimeError::Listen { group: *group, source: io::ErrorKind::QuotaExceeded.into() });
            }
            listeners.join(*group, interfaces).map_err(|source| RuntimeError::Listen { group: *group, source })?;
        }
        let mut announcers = Announcers::default();
        for from in &self.announce {
            announcers.add(*from).map_err(|source| RuntimeError::Announce { from: from.source, source })?;
        }
        let mut lower = Lower::new(udp, others, clock);
        lower.announces(listeners, announcers);
        if let Some((path, append)) = self.pcap {
            lower.capture(&path, append).map_err(|source| RuntimeError::Pcap { path, source })?;
        }
        let engine = Engine::new(lower, clock, bound).map_err(RuntimeError::Poll)?;
        Ok(Runtime { engine, channels, private, raw_alone: self.raw_alone, raw_conflict })
    }
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Bound sockets that wait for a node to drive.
///
/// The node is given last because it wants to know the bound port: see [`Runtime::default_channel`].
#[derive(Debug)]
pub struct Runtime {
    engine: Engine,
    /// All that there are, in the order in which they are tried.
    channels: Vec<Channel>,
    /// Those with addresses of their own.
    private: Vec<PrivateChannel>,
    raw_alone: bool,
    raw_conflict: Option<RawConflict>,
}

impl Runtime {
    /// Starts with the default settings.
    #[must_use]
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// The UDP port that is bound, 0 without one.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.engine.lower.udp_port()
    }

    /// What stands in the way of raw IP on this host, if it was chosen and something does: to be shown to the user. Looked for once,
    /// when the runtime was built.
    #[must_use]
    pub fn raw_conflict(&self) -> Option<RawConflict> {
        self.raw_conflict
    }

    /// What a stack should try first with peers known only by their address: our bound UDP port, and one's own setting for theirs;
    /// without UDP, raw IP; without that, the first TUN device or lower layer.
    #[must_use]
    pub fn default_channel(&self) -> Channel {
        self.channels.first().copied().unwrap_or(Channel::Raw)
    }

    /// The configuration of a stack that this runtime is to drive: [`Self::default_channel`] and what is tried next, and what its
    /// transports can do.
    #[must_use]
    pub fn stack_config(&self) -> StackConfig {
        // What has addresses of its own does not lead to just any peer.
        let further_channels = self.channels.iter().skip(1).copied().filter(|c| c.is_shared()).collect();
        StackConfig {
            default_channel: self.default_channel(),
            further_channels,
            private_channels: self.private.clone(),
            ecn_marks: self.engine.lower.ecn_marks(),
            raw_alone: self.raw_alone,
            ..StackConfig::default()
        }
    }

    /// Drives `node` in a thread of its own until the last [`Handle`] is dropped.
    ///
    /// While a single caller blocks on a node that allows it ([`Node::is_awaited`]), as in a conversation of questions and answers, that caller receives
    /// packets itself, and the thread only looks after it: what the caller leaves undone when it returns (an acknowledgement that rides
    /// with an answer if one comes at once, timers, packets that arrive meanwhile) is done by the thread after eight milliseconds
    /// at most.
    ///
    /// # Errors
    /// The operating system refuses another thread.
    pub fn spawn<N: Node + Send + 'static>(self, node: N) -> io::Result<Handle<N>> {
        Handle::spawn(self.engine, node)
    }

    /// Drives `node` whenever the caller turns it or waits on one of its handles. No thread is started; see [`Driven`].
    #[must_use]
    pub fn drive<N: Node>(self, node: N) -> Driven<N> {
        Driven::new(self.engine, node)
    }
}

/// What a user can do something with.
fn open_error(settings: &UdpSettings, err: OpenError) -> RuntimeError {
    let port = if settings.private { 0 } else { settings.port };
    let source = match err {
        OpenError::Io { source, .. } => source,
        OpenError::NoAnswer { port } => return RuntimeError::NoAnswer { port },
        OpenError::OtherUser { port } => return RuntimeError::PortInUse { port },
        other => io::Error::other(other),
    };
    match (source.kind(), settings.bind) {
        (io::ErrorKind::AddrInUse, _) => RuntimeError::PortInUse { port },
        (io::ErrorKind::AddrNotAvailable, Some(addr)) => RuntimeError::Address { addr, source },
        _ => RuntimeError::Bind { port, source },
    }
}

fn raw_error(err: io::Error) -> RuntimeError {
    match err.kind() {
        io::ErrorKind::PermissionDenied => RuntimeError::RawNotPermitted,
        _ => RuntimeError::Raw(err),
    }
}
